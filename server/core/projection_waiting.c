/*
 * projection_waiting: the windows: per requirement class the first due ones,
 * and the first of those not yet due; where they end, and when more is needed.
 * It must not know why a callback waits, nor who may take it.
 */
#include <string.h>

#include "base/json.h"
#include "core/projection_impl.h"

/* Falling due at one look: 4,000 take about 2 ms; the rest goes with the next look. */
#define MOVE_MAX 4000

int
waiting_key_compare(const struct waiting_key *a, const struct waiting_key *b)
{
	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	if (a->second != b->second)
		return a->second < b->second ? -1 : 1;
	return id_compare(a->id, b->id);
}

static int
tree_compare(struct callback *a, struct callback *b)
{
	return waiting_key_compare(&a->key, &b->key);
}

RB_GENERATE(waiting_tree, callback, tree, tree_compare)

static struct waiting_key
due_key(const struct callback *cb)
{
	return (struct waiting_key){ -cb->priority, cb->promise_at, cb->id };
}

static struct waiting_key
future_key(const struct callback *cb)
{
	return (struct waiting_key){ cb->due_at, 0, cb->id };
}

void
waiting_init(struct projection *p, struct window *w, enum deadline_kind kind)
{
	*w = (struct window){ .complete = true };
	RB_INIT(&w->tree);
	deadline_init(&p->deadlines, &w->load, kind);
}

static size_t
limit_of(const struct projection *p, const struct window *w)
{
	return (size_t)(w == &p->future ? p->limits.future_window : p->limits.due_window);
}

/*
 * While more is being read, nothing is cut off: what arrives meanwhile may lie
 * within the new horizon and yet not be among what was read.
 */
static bool
is_open(const struct projection *p, const struct window *w)
{
	return !p->loaded || w->load.in_flight;
}

void
waiting_check(struct projection *p, struct window *w)
{
	bool hungry = !w->complete && (w->count + w->proposed) * 2 < limit_of(p, w);

	if (w->load.in_flight)
		return;
	if (!hungry)
		deadline_clear(&p->deadlines, &w->load);
	else if (!deadline_is_set(&w->load))
		deadline_set(&p->deadlines, &w->load, p->now_ms);
}

static struct window *
window_of(struct projection *p, struct callback *cb)
{
	return cb->place == PLACE_FUTURE ? &p->future : &cb->class->due;
}

void
waiting_remove(struct projection *p, struct callback *cb)
{
	struct window *w = window_of(p, cb);

	if (cb->place == PLACE_DUE)
		match_due_removing(p, cb);
	if (w->first == cb)
		w->first = RB_NEXT(waiting_tree, &w->tree, cb);
	RB_REMOVE(waiting_tree, &w->tree, cb);
	w->count--;
	waiting_check(p, w);
}

/* The tail beyond twice the limit goes; then it is known that there is more than is held. */
static void
cut_to_limit(struct projection *p, struct window *w)
{
	size_t most = 2 * limit_of(p, w);

	while (w->count > most) {
		struct callback *last = RB_MAX(waiting_tree, &w->tree);
		struct callback *before = RB_PREV(waiting_tree, &w->tree, last);

		w->complete = false;
		w->horizon = before != NULL ? before->key
					    : (struct waiting_key){ INT64_MIN, INT64_MIN, { 0 } };
		live_drop(p, last);
	}
}

static void
cut_to_horizon(struct projection *p, struct window *w)
{
	struct callback *last;

	while (!w->complete && (last = RB_MAX(waiting_tree, &w->tree)) != NULL &&
	    waiting_key_compare(&last->key, &w->horizon) > 0)
		live_drop(p, last);
}

static void
insert(struct projection *p, struct callback *cb, struct window *w, enum place place)
{
	RB_INSERT(waiting_tree, &w->tree, cb);
	if (w->first == NULL || waiting_key_compare(&cb->key, &w->first->key) < 0)
		w->first = cb;
	w->count++;
	live_enter(p, cb, place);
	if (place == PLACE_DUE)
		match_due_added(p, cb);
	if (!is_open(p, w))
		cut_to_limit(p, w);
}

void
waiting_add(struct projection *p, struct callback *cb)
{
	bool due = cb->due_at <= p->now_ms;
	struct window *w = due ? &cb->class->due : &p->future;
	struct waiting_key key = due ? due_key(cb) : future_key(cb);

	if (due && cb->in_flight) {
		live_enter(p, cb, PLACE_PROPOSED);
	} else if (w->complete || is_open(p, w) || waiting_key_compare(&key, &w->horizon) <= 0) {
		cb->key = key;
		insert(p, cb, w, due ? PLACE_DUE : PLACE_FUTURE);
	} else {
		live_drop(p, cb);
		waiting_check(p, w);
	}
}

bool
waiting_move(struct projection *p)
{
	struct callback *cb;

	for (int i = 0; i < MOVE_MAX; i++) {
		cb = p->future.first;
		if (cb == NULL || cb->due_at > p->now_ms)
			return false;
		live_leave(p, cb);
		waiting_add(p, cb);
	}
	cb = p->future.first;
	return cb != NULL && cb->due_at <= p->now_ms;
}

void
waiting_row(struct projection *p, const json_t *image)
{
	const char *state = json_text(image, "state");
	struct callback row = { .priority = json_int(image, "priority", 0),
		.due_at = json_int(image, "due_at", 0),
		.promise_at = json_int(image, "promise_at", 0) };

	if (state == NULL || strcmp(state, callback_state_name(CALLBACK_SCHEDULED)) != 0 ||
	    !json_id(image, "id", &row.id))
		return;
	p->row_seen = true;
	p->row_due = due_key(&row);
	p->row_future = future_key(&row);
}

/* A load or refill told where it ends. */
static void
set_horizon(struct projection *p, struct window *w, bool complete, const struct waiting_key *last)
{
	/* Nobody waits for it any more: what lay behind the horizon was cut off as it came. */
	if (!is_open(p, w))
		return;
	w->complete = complete;
	w->horizon = last != NULL ? *last : (struct waiting_key){ INT64_MIN, INT64_MIN, { 0 } };
	w->refilled = true;
	p->row_seen = false;
	cut_to_horizon(p, w);
	cut_to_limit(p, w);
	waiting_check(p, w);
}

bool
waiting_due_window(struct projection *p, const json_t *image, const char **why)
{
	int64_t id = json_int(image, "class", 0);
	struct class *c = id > 0 && id <= INT32_MAX ? settings_class_find(p, (int)id) : NULL;

	if (c == NULL) {
		*why = "a due_window of an unknown class";
		return false;
	}
	set_horizon(
	    p, &c->due, json_bool(image, "complete", false), p->row_seen ? &p->row_due : NULL);
	return true;
}

bool
waiting_future_window(struct projection *p, const json_t *image, const char **why)
{
	struct waiting_key last = p->row_future;
	bool known = p->row_seen;
	bool complete = json_bool(image, "complete", false);

	if (image_int(image, "last_at", &last.first)) {
		last.second = 0;
		known = json_id(image, "last_id", &last.id);
	}
	if (!known && !complete && p->refill != REFILL_NONE) {
		*why = "a future_window that goes on without a row";
		return false;
	}
	set_horizon(p, &p->future, complete, known ? &last : NULL);
	return true;
}

void
waiting_loaded(struct projection *p)
{
	/*
	 * A load's time may be later than the one at which its windows end: what
	 * fell due in between went in without a look at the ends.
	 */
	for (size_t i = 0; i < p->nclasses; i++) {
		cut_to_horizon(p, &p->classes[i]->due);
		cut_to_limit(p, &p->classes[i]->due);
	}
}

void
waiting_settled(struct projection *p, struct window *w)
{
	bool refilled = w->refilled;

	w->refilled = false;
	if (!w->load.in_flight)
		return;
	deadline_clear(&p->deadlines, &w->load);
	deadline_back(&p->deadlines, &w->load, 0);
	/* Without new rows, what was kept behind the horizon has gaps before it. */
	cut_to_horizon(p, w);
	cut_to_limit(p, w);
	waiting_check(p, w);
	if (!refilled && deadline_is_set(&w->load))
		deadline_set(&p->deadlines, &w->load, p->now_ms + RETRY_MS);
}

/* ---- the next of those that wait of which something becomes: it expires, or is widened ---- */

void
waiting_elapse(struct projection *p, int64_t at)
{
	if (p->elapse.in_flight && at < p->elapse_seen)
		p->elapse_seen = at;
	else if (!p->elapse.in_flight && at < p->elapse.at)
		deadline_set(&p->deadlines, &p->elapse, at);
}

void
projection_set_elapse(struct projection *p, int64_t at_ms)
{
	/* What was seen since the look may not have been there when it looked. */
	deadline_set(&p->deadlines, &p->elapse, at_ms < p->elapse_seen ? at_ms : p->elapse_seen);
	p->elapse_told = true;
}

void
waiting_elapse_settled(struct projection *p)
{
	if (!p->elapse.in_flight)
		return;
	deadline_back(&p->deadlines, &p->elapse, p->elapse_told ? 0 : p->now_ms + RETRY_MS);
	p->elapse_told = false;
	int64_t seen = p->elapse_seen;

	p->elapse_seen = INT64_MAX;
	waiting_elapse(p, seen);
}
