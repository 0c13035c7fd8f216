/*
 * projection_live: callbacks and their offers: an image comes in,
 * and the object goes to the place that follows from its state. What has ended
 * leaves memory. It must not know who should get what.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/projection_impl.h"

struct callback *
live_find(const struct projection *p, struct id id)
{
	struct map_node *n = map_first(&p->callbacks, map_hash_id(id));

	for (; n != NULL; n = map_next(n)) {
		struct callback *cb = map_entry(n, struct callback, by_id);

		if (id_equal(cb->id, id))
			return cb;
	}
	return NULL;
}

struct offer *
live_offer_find(const struct projection *p, struct id id)
{
	struct map_node *n = map_first(&p->offers, map_hash_id(id));

	for (; n != NULL; n = map_next(n)) {
		struct offer *o = map_entry(n, struct offer, by_id);

		if (id_equal(o->id, id))
			return o;
	}
	return NULL;
}

/* ---- offers: held while they are pending ---- */

/*
 * When one more agent is to be offered it: a step after the newest offer that
 * is still pending, so that one who rejects makes room for the next at once.
 */
static int64_t
ring_time(const struct callback *cb)
{
	const struct queue *q = cb->place == PLACE_OFFERED ? cb->class->queue : NULL;
	const struct offer *o;
	int64_t newest = INT64_MIN;
	size_t n = 0;

	if (q == NULL || q->strategy != STRATEGY_RING_PROGRESSIVELY)
		return INT64_MAX;
	LIST_FOREACH (o, &cb->offers, of_callback) {
		newest = o->created_at > newest ? o->created_at : newest;
		n++;
	}
	/* With all its offers made, or its window passed, the last pending one has to end some time. */
	if (n == 0 || n >= q->ring_max || json_int(cb->image, "offers", 0) >= q->max_offers)
		return INT64_MAX;
	/* A supervisor may have offered it before its time: that is not for the others. */
	int64_t at = newest + q->ring_step_ms;

	return at < cb->due_at ? cb->due_at : at;
}

static void
ring(struct projection *p, struct callback *cb)
{
	match_ring(p, cb, cb->in_flight ? INT64_MAX : ring_time(cb));
}

void
live_queue_changed(struct projection *p, const struct queue *q)
{
	for (struct map_node *n = map_each(&p->callbacks, NULL); n != NULL;
	     n = map_each(&p->callbacks, n)) {
		struct callback *cb = map_entry(n, struct callback, by_id);

		if (cb->place == PLACE_OFFERED && cb->class->queue == q)
			ring(p, cb);
	}
}

static void
offer_drop(struct projection *p, struct offer *o)
{
	LIST_REMOVE(o, of_agent);
	if (o->of != NULL) {
		LIST_REMOVE(o, of_callback);
		ring(p, o->of);
	}
	deadline_fini(&p->deadlines, &o->end);
	map_remove(&p->offers, &o->by_id);
	json_decref(o->image);
	free(o);
}

static void
offer_new(struct projection *p, struct id id, struct agent *a, const json_t *image, uint64_t seq)
{
	struct offer *o = xcalloc(1, sizeof(*o));

	o->id = id;
	o->seq = seq;
	o->agent = a;
	o->created_at = json_int(image, "created_at", 0);
	(void)json_id(image, "callback", &o->callback);
	o->of = live_find(p, o->callback);
	LIST_INSERT_HEAD(&a->offers, o, of_agent);
	if (o->of != NULL) {
		LIST_INSERT_HEAD(&o->of->offers, o, of_callback);
		ring(p, o->of);
	}
	map_insert(&p->offers, &o->by_id, map_hash_id(id));
	deadline_init(&p->deadlines, &o->end, DEADLINE_OFFER);
	deadline_set(&p->deadlines, &o->end, json_int(image, "deadline_at", INT64_MAX));
	image_keep(&o->image, image);
}

bool
live_offer(struct projection *p, const json_t *image, const char **why)
{
	struct id id, callback;
	uint64_t seq;
	enum offer_state state;
	const char *name = json_text(image, "state");
	struct agent *a = roster_member(p, image, "agent");

	if (!json_id(image, "id", &id) || !json_id(image, "callback", &callback) ||
	    !image_seq(image, &seq) || name == NULL || a == NULL) {
		*why = "an offer without id, callback, seq or state, or to an unknown agent";
		return false;
	}
	if (!offer_state_parse(name, &state)) {
		*why = "an unknown state of an offer";
		return false;
	}
	struct offer *o = live_offer_find(p, id);

	if (o != NULL && o->seq >= seq)
		return true;
	/* Nothing but its end happens to a pending offer. */
	if (o != NULL)
		offer_drop(p, o);
	if (state == OFFER_PENDING)
		offer_new(p, id, a, image, seq);
	else if (state == OFFER_ACCEPTED)
		wait_handed(p, live_find(p, callback), json_int(image, "ended_at", 0));
	roster_touch(p, a);
	return true;
}

/* ---- callbacks ---- */

/* Out of its place, which the old values tell. The holder is not settled yet. */
void
live_leave(struct projection *p, struct callback *cb)
{
	if (cb->place == PLACE_NONE)
		return;
	struct queue *q = cb->class->queue;

	match_ring(p, cb, INT64_MAX);
	switch (cb->place) {
	case PLACE_FUTURE:
		waiting_remove(p, cb);
		break;
	case PLACE_DUE:
		waiting_remove(p, cb);
		q->due--;
		break;
	case PLACE_PROPOSED:
		LIST_REMOVE(cb, link);
		cb->class->due.proposed--;
		q->due--;
		break;
	case PLACE_OFFERED:
		q->offered--;
		break;
	case PLACE_HELD:
		LIST_REMOVE(cb, link);
		q->held--;
		break;
	case PLACE_NONE:
	case PLACES:
		assert(false);
	}
	p->places[cb->place]--;
	cb->place = PLACE_NONE;
}

/* Trees are entered by projection_waiting.c, which calls this. */
void
live_enter(struct projection *p, struct callback *cb, enum place place)
{
	struct queue *q = cb->class->queue;

	assert(cb->place == PLACE_NONE);
	if (place == PLACE_DUE || place == PLACE_PROPOSED)
		q->due++;
	if (place == PLACE_PROPOSED) {
		LIST_INSERT_HEAD(&p->proposed, cb, link);
		cb->class->due.proposed++;
	}
	if (place == PLACE_OFFERED)
		q->offered++;
	if (place == PLACE_FUTURE)
		wait_left(q);
	if (place == PLACE_HELD) {
		q->held++;
		LIST_INSERT_HEAD(&cb->agent->held, cb, link);
	}
	p->places[place]++;
	cb->place = place;
}

void
live_drop(struct projection *p, struct callback *cb)
{
	struct window *due = cb->place == PLACE_PROPOSED ? &cb->class->due : NULL;
	struct offer *o;

	live_leave(p, cb);
	/* One that did not fit has none. */
	if (cb->class != NULL)
		wait_left(cb->class->queue);
	if (due != NULL)
		waiting_check(p, due);
	while ((o = LIST_FIRST(&cb->offers)) != NULL) {
		LIST_REMOVE(o, of_callback);
		o->of = NULL;
	}
	deadline_fini(&p->deadlines, &cb->end);
	map_remove(&p->callbacks, &cb->by_id);
	json_decref(cb->image);
	free(cb->tried);
	free(cb);
}

void
live_propose(struct projection *p, struct callback *cb)
{
	cb->in_flight = true;
	if (cb->place == PLACE_OFFERED) {
		ring(p, cb);
		return;
	}
	live_leave(p, cb);
	live_enter(p, cb, PLACE_PROPOSED);
}

void
live_settled(struct projection *p, struct callback *cb, int64_t again_at)
{
	cb->in_flight = false;
	if (cb->place == PLACE_OFFERED && ring_time(cb) != INT64_MAX)
		match_ring(p, cb, ring_time(cb) < again_at ? again_at : ring_time(cb));
	if (cb->place != PLACE_PROPOSED)
		return;
	cb->again_at = again_at;
	live_leave(p, cb);
	waiting_add(p, cb);
}

static bool
parse_tried(struct callback *cb, const json_t *image)
{
	const json_t *tried = json_object_get(image, "tried");
	size_t n = json_array_size(tried);

	free(cb->tried);
	cb->tried = n > 0 ? xcalloc(n, sizeof(*cb->tried)) : NULL;
	cb->ntried = n;
	for (size_t i = 0; i < n; i++) {
		const json_t *pair = json_array_get(tried, i);
		const json_t *agent = json_array_get(pair, 0);
		const json_t *at = json_array_get(pair, 1);

		if (!json_is_integer(agent) || !json_is_integer(at))
			return false;
		cb->tried[i] = (struct tried){ (int)json_integer_value(agent),
			(int64_t)json_integer_value(at) };
	}
	return tried == NULL || json_is_array(tried);
}

/* What does not fit leaves it half read: the whole projection will be dropped. */
static bool
parse_callback(struct projection *p, struct callback *cb, const json_t *image, const char **why)
{
	int64_t class = json_int(image, "class", 0);
	int64_t after_s = json_int(image, "widen_after_s", -1);

	cb->class = class > 0 && class <= INT32_MAX ? settings_class_find(p, (int)class) : NULL;
	cb->agent = roster_member(p, image, "agent");
	if (cb->class == NULL || !image_int(image, "priority", &cb->priority) ||
	    !image_int(image, "due_at", &cb->due_at) ||
	    !image_int(image, "promise_at", &cb->promise_at)) {
		*why = "a callback without priority, due_at or promise_at, or of an unknown class";
		return false;
	}
	cb->expires_at = json_int(image, "expires_at", INT64_MAX);
	cb->widen_at = after_s < 0 ? INT64_MAX : cb->due_at + after_s * 1000;
	cb->preferred = (int)json_int(image, "preferred_agent", 0);
	cb->preferred_until = cb->due_at + json_int(image, "preferred_for_s", 0) * 1000;
	cb->attempt = (struct id){ 0 };
	(void)json_id(image, "attempt", &cb->attempt);
	if (!parse_tried(cb, image)) {
		*why = "a callback whose tried are not pairs of agent and time";
		return false;
	}
	if (callback_is_held(cb->state) &&
	    (cb->agent == NULL || json_object_get(image, "deadline_at") == NULL)) {
		*why = "a callback held without a deadline, or by an unknown agent";
		return false;
	}
	return true;
}

/* Where the state says; it may be in the window no more, and gone, afterwards. */
static void
settle(struct projection *p, struct callback *cb, const json_t *image)
{
	bool held = callback_is_held(cb->state);
	bool waits = cb->state == CALLBACK_SCHEDULED && json_object_get(image, "linked_to") == NULL;

	/* Of the many that wait no image is kept: they are shown from the database. */
	image_keep(&cb->image, held || cb->state == CALLBACK_OFFERED ? image : NULL);
	deadline_set(
	    &p->deadlines, &cb->end, held ? json_int(image, "deadline_at", INT64_MAX) : INT64_MAX);
	if (held) {
		live_enter(p, cb, PLACE_HELD);
	} else if (cb->state == CALLBACK_OFFERED) {
		live_enter(p, cb, PLACE_OFFERED);
		ring(p, cb);
	} else if (waits) {
		waiting_elapse(p, cb->expires_at < cb->widen_at ? cb->expires_at : cb->widen_at);
		waiting_add(p, cb);
	} else {
		live_drop(p, cb);
	}
}

static void
log_state(const struct callback *cb, enum callback_state to)
{
	char text[ID_TEXT_SIZE];

	if (cb->state == to || !log_level_on(LOG_LEVEL_DEBUG))
		return;
	id_format(cb->id, text);
	log_debug("callback=%s from=%s to=%s", text, callback_state_name(cb->state),
	    callback_state_name(to));
}

static struct callback *
callback_new(struct projection *p, struct id id, enum callback_state state)
{
	struct callback *cb = xcalloc(1, sizeof(*cb));

	cb->id = id;
	cb->state = state;
	cb->expires_at = cb->widen_at = cb->ring_at = INT64_MAX;
	LIST_INIT(&cb->offers);
	deadline_init(&p->deadlines, &cb->end, DEADLINE_CALLBACK);
	map_insert(&p->callbacks, &cb->by_id, map_hash_id(id));
	return cb;
}

bool
live_callback(struct projection *p, const json_t *image, const char **why)
{
	struct id id;
	uint64_t seq;
	enum callback_state state;
	const char *name = json_text(image, "state");

	if (!json_id(image, "id", &id) || !image_seq(image, &seq) || name == NULL) {
		*why = "a callback without id, seq or state";
		return false;
	}
	if (!callback_state_parse(name, &state)) {
		*why = "an unknown state of a callback";
		return false;
	}
	struct callback *cb = live_find(p, id);

	if (cb != NULL && cb->seq >= seq)
		return true;
	if (cb == NULL && callback_terminal(state))
		return true;
	if (cb == NULL)
		cb = callback_new(p, id, state);
	struct agent *before = cb->place == PLACE_HELD ? cb->agent : NULL;
	struct window *due = cb->place == PLACE_PROPOSED ? &cb->class->due : NULL;

	live_leave(p, cb);
	if (due != NULL)
		waiting_check(p, due);
	log_state(cb, state);
	cb->seq = seq;
	cb->state = state;
	cb->again_at = 0;
	struct id attempt = cb->attempt;

	if (!parse_callback(p, cb, image, why))
		return false;
	/* Its last image may still come and say how it ended; but it must not stay for ever. */
	struct attempt *ended =
	    id_equal(attempt, cb->attempt) ? NULL : live_attempt_find(p, attempt);

	if (ended != NULL)
		live_attempt_drop(p, ended);
	struct agent *after = callback_is_held(state) ? cb->agent : NULL;

	settle(p, cb, image);
	if (before != NULL && before != after)
		roster_touch(p, before);
	if (after != NULL)
		roster_touch(p, after);
	return true;
}

/* ---- the end ---- */

void
live_free(struct projection *p)
{
	struct map_node *next;

	for (struct map_node *n = map_each(&p->offers, NULL); n != NULL; n = next) {
		next = map_each(&p->offers, n);
		offer_drop(p, map_entry(n, struct offer, by_id));
	}
	for (struct map_node *n = map_each(&p->attempts, NULL); n != NULL; n = next) {
		next = map_each(&p->attempts, n);
		live_attempt_drop(p, map_entry(n, struct attempt, by_id));
	}
	for (struct map_node *n = map_each(&p->callbacks, NULL); n != NULL; n = next) {
		next = map_each(&p->callbacks, n);
		live_drop(p, map_entry(n, struct callback, by_id));
	}
	map_fini(&p->offers);
	map_fini(&p->attempts);
	map_fini(&p->callbacks);
}
