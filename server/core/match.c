/*
 * match: who gets what. It looks only where something may have changed: a
 * callback that nobody could take is passed over, and its class asleep, until
 * an agent came, left duty, or a cool-down ended. It proposes; it changes
 * nothing but its own notes (cursors, heaps, asleep).
 */
#include "core/match.h"

#include "core/projection_impl.h"

/*
 * The idle tree is walked so far before all candidates are compared: when
 * some wait for other work, they stand at its front for hours.
 */
#define WALK_MAX 64

static bool
head_before(const struct heap_node *na, const struct heap_node *nb)
{
	const struct class *a = heap_entry(na, struct class, head);
	const struct class *b = heap_entry(nb, struct class, head);

	return waiting_key_compare(&a->cursor->key, &b->cursor->key) < 0;
}

static bool
cool_before(const struct heap_node *na, const struct heap_node *nb)
{
	const struct class *a = heap_entry(na, struct class, cool);
	const struct class *b = heap_entry(nb, struct class, cool);

	return a->wake_at != b->wake_at ? a->wake_at < b->wake_at : a->id < b->id;
}

void
match_init(struct projection *p)
{
	heap_init(&p->heads, head_before);
	heap_init(&p->cooling, cool_before);
}

void
match_fini(struct projection *p)
{
	heap_fini(&p->heads);
	heap_fini(&p->cooling);
	bits_fini(&p->asleep);
	bits_fini(&p->scratch);
}

/* ---- which classes are looked at ---- */

static void
set_cursor(struct projection *p, struct class *c, struct callback *cb)
{
	bool wanted = cb != NULL && !c->starved;

	if (cb == c->cursor && wanted == heap_in(&c->head))
		return;
	/* Out before the key changes. */
	if (heap_in(&c->head) && !wanted)
		heap_remove(&p->heads, &c->head);
	c->cursor = cb;
	if (wanted && heap_in(&c->head))
		heap_moved(&p->heads, &c->head);
	else if (wanted)
		heap_insert(&p->heads, &c->head);
}

static void
set_wake(struct projection *p, struct class *c, int64_t at)
{
	c->wake_at = at;
	if (at == INT64_MAX && heap_in(&c->cool))
		heap_remove(&p->cooling, &c->cool);
	else if (at != INT64_MAX && heap_in(&c->cool))
		heap_moved(&p->cooling, &c->cool);
	else if (at != INT64_MAX)
		heap_insert(&p->cooling, &c->cool);
}

void
match_class_wake(struct projection *p, struct class *c)
{
	bits_drop(&p->asleep, c->slot);
	set_wake(p, c, INT64_MAX);
	c->starved = false;
	set_cursor(p, c, c->due.first);
}

void
match_agent_wake(struct projection *p, const struct agent *a)
{
	for (size_t w = 0; w < a->classes.nwords; w++) {
		uint64_t some = a->classes.words[w] & bits_word(&p->asleep, w);

		while (some != 0)
			match_class_wake(p, p->classes[w * BITS_WORD + bits_pop(&some)]);
	}
}

void
match_due_added(struct projection *p, struct callback *cb)
{
	struct class *c = cb->class;

	/* A starved class starts from its first callback when it is woken. */
	if (!c->starved &&
	    (c->cursor == NULL || waiting_key_compare(&cb->key, &c->cursor->key) < 0))
		set_cursor(p, c, cb);
}

void
match_due_removing(struct projection *p, struct callback *cb)
{
	struct class *c = cb->class;

	if (c->cursor == cb)
		set_cursor(p, c, RB_NEXT(waiting_tree, &c->due.tree, cb));
}

static void
starve(struct projection *p, struct class *c)
{
	bits_add(&p->asleep, c->slot);
	c->starved = true;
	set_wake(p, c, INT64_MAX);
	set_cursor(p, c, NULL);
}

static void
pass_over(struct projection *p, struct class *c)
{
	bits_add(&p->asleep, c->slot);
	set_cursor(p, c, RB_NEXT(waiting_tree, &c->due.tree, c->cursor));
}

static void
wake_cooled(struct projection *p, int64_t now_ms)
{
	struct heap_node *n;

	while ((n = heap_min(&p->cooling)) != NULL &&
	    heap_entry(n, struct class, cool)->wake_at <= now_ms)
		match_class_wake(p, heap_entry(n, struct class, cool));
}

/* ---- which agents ---- */

/* The agents of one word of slots who could be asked; those in scratch were asked already. */
static uint64_t
askable(const struct projection *p, const struct class *c, size_t w)
{
	return bits_word(&p->available, w) & bits_word(&c->eligible, w) &
	    ~bits_word(&p->scratch, w);
}

static bool
any_askable(const struct projection *p, const struct class *c)
{
	for (size_t v = 0; v < p->available_words.nwords; v++) {
		uint64_t words = p->available_words.words[v];

		while (words != 0) {
			if (askable(p, c, v * BITS_WORD + bits_pop(&words)) != 0)
				return true;
		}
	}
	return false;
}

/* From the front of the idle tree; false when that was not enough to tell. */
static bool
walk_idle(struct projection *p, const struct class *c, size_t want, struct match *m)
{
	struct agent *a = RB_MIN(idle_tree, &p->idle);

	for (int i = 0; i < WALK_MAX && a != NULL && (size_t)m->n < want; i++) {
		if (bits_has(&c->eligible, a->slot) && !bits_has(&p->scratch, a->slot))
			m->agents[m->n++] = a;
		a = RB_NEXT(idle_tree, &p->idle, a);
	}
	return a == NULL || (size_t)m->n == want;
}

static bool
idle_before(const struct projection *p, size_t slot, const struct agent *b)
{
	int64_t since = p->idle_since[slot];

	return since != b->idle_since ? since < b->idle_since : p->agents[slot]->id < b->id;
}

/* Keeps the first `want` in order. */
static void
rank_idle(const struct projection *p, size_t slot, size_t want, struct match *m)
{
	int at = m->n;

	while (at > 0 && idle_before(p, slot, m->agents[at - 1]))
		at--;
	if ((size_t)at == want)
		return;
	if ((size_t)m->n < want)
		m->n++;
	for (int i = m->n - 1; i > at; i--)
		m->agents[i] = m->agents[i - 1];
	m->agents[at] = p->agents[slot];
}

/* The longest idle of all who could be asked, at most want. */
static void
pick_idle(struct projection *p, const struct callback *cb, size_t want, struct match *m)
{
	const struct class *c = cb->class;

	m->n = 0;
	if ((cb->ntried > 0 && !any_askable(p, c)) || walk_idle(p, c, want, m))
		return;
	m->n = 0;
	for (size_t v = 0; v < p->available_words.nwords; v++) {
		uint64_t words = p->available_words.words[v];

		while (words != 0) {
			size_t w = v * BITS_WORD + bits_pop(&words);
			uint64_t slots = askable(p, c, w);

			while (slots != 0)
				rank_idle(p, w * BITS_WORD + bits_pop(&slots), want, m);
		}
	}
}

/* ---- who was tried ---- */

static int64_t
cool_at(const struct callback *cb, size_t i)
{
	return cb->tried[i].at + cb->class->queue->cooldown_ms;
}

/* Puts who was tried into scratch: all of them, or those whose cool-down is not over at now. */
static void
scratch_tried(struct projection *p, const struct callback *cb, int64_t now_ms, bool all)
{
	for (size_t i = 0; i < cb->ntried; i++) {
		const struct agent *a =
		    all || cool_at(cb, i) > now_ms ? roster_find(p, cb->tried[i].agent_id) : NULL;

		if (a != NULL)
			bits_add(&p->scratch, a->slot);
	}
}

static void
scratch_clear(struct projection *p, const struct callback *cb)
{
	for (size_t i = 0; i < cb->ntried; i++) {
		const struct agent *a = roster_find(p, cb->tried[i].agent_id);

		if (a != NULL)
			bits_drop(&p->scratch, a->slot);
	}
}

/* True when nobody on duty who is eligible is still to be tried. */
static bool
everybody_tried(struct projection *p, const struct callback *cb)
{
	const struct class *c = cb->class;
	bool all = true;

	scratch_tried(p, cb, 0, true);
	for (size_t w = 0; all && w < p->on_duty.nwords; w++)
		all = (p->on_duty.words[w] & bits_word(&c->eligible, w) &
			  ~bits_word(&p->scratch, w)) == 0;
	scratch_clear(p, cb);
	return all;
}

static struct agent *
tried_candidate(const struct projection *p, const struct callback *cb, size_t i)
{
	struct agent *a = roster_find(p, cb->tried[i].agent_id);

	return a != NULL && a->available && bits_has(&cb->class->eligible, a->slot) ? a : NULL;
}

/* Who was tried longest ago, first; of the same moment by id. */
static void
pick_longest_ago(struct projection *p, const struct callback *cb, size_t want, struct match *m)
{
	int64_t when[MATCH_MAX];

	m->n = 0;
	for (size_t i = 0; i < cb->ntried; i++) {
		struct agent *a = tried_candidate(p, cb, i);
		int64_t tried_at = cb->tried[i].at;
		int at = m->n;

		if (a == NULL)
			continue;
		while (at > 0 &&
		    (tried_at != when[at - 1] ? tried_at < when[at - 1]
					      : a->id < m->agents[at - 1]->id))
			at--;
		if ((size_t)at == want)
			continue;
		if ((size_t)m->n < want)
			m->n++;
		for (int k = m->n - 1; k > at; k--) {
			m->agents[k] = m->agents[k - 1];
			when[k] = when[k - 1];
		}
		m->agents[at] = a;
		when[at] = tried_at;
	}
}

/* When the first of the available ones may be asked again. */
static int64_t
first_cooled(const struct projection *p, const struct callback *cb)
{
	int64_t first = INT64_MAX;

	for (size_t i = 0; i < cb->ntried; i++) {
		if (tried_candidate(p, cb, i) != NULL && cool_at(cb, i) < first)
			first = cool_at(cb, i);
	}
	return first;
}

enum match_verdict
match_judge(
    struct projection *p, struct callback *cb, int64_t now_ms, struct match *m, int64_t *again_at)
{
	struct class *c = cb->class;
	size_t want = c->queue->ring_all ? c->queue->ring_max : 1;

	m->callback = cb;
	m->n = 0;
	*again_at = hours_from(&c->queue->hours, now_ms);
	if (*again_at > now_ms)
		return MATCH_CLOSED;
	*again_at = cb->again_at;
	if (*again_at > now_ms)
		return MATCH_NOT_YET;
	*again_at = INT64_MAX;
	/* Its promise has passed: it is about to expire. */
	if (cb->expires_at <= now_ms)
		return MATCH_EXPIRING;
	if (p->candidates[c->slot] == 0)
		return MATCH_NOBODY;
	scratch_tried(p, cb, now_ms, false);
	pick_idle(p, cb, want, m);
	scratch_clear(p, cb);
	if (m->n > 0)
		return MATCH_FOUND;
	if (!everybody_tried(p, cb)) {
		*again_at = first_cooled(p, cb);
		return MATCH_COOLING;
	}
	pick_longest_ago(p, cb, want, m);
	return MATCH_FOUND;
}

/* What is not to be matched now is not looked at again until something changes that. */
static void
put_aside(struct projection *p, struct class *c, enum match_verdict verdict, int64_t again_at)
{
	if (verdict == MATCH_NOBODY || verdict == MATCH_CLOSED) {
		starve(p, c);
		set_wake(p, c, again_at);
		return;
	}
	if (again_at < c->wake_at)
		set_wake(p, c, again_at);
	pass_over(p, c);
}

bool
match_next(struct projection *p, int64_t now_ms, struct match *m, int64_t *next_at)
{
	bool found = false;
	struct heap_node *n;

	wake_cooled(p, now_ms);
	/* With nobody available it would only put every class asleep that the next agent wakes again. */
	while (!found && !RB_EMPTY(&p->idle) && (n = heap_min(&p->heads)) != NULL) {
		struct class *c = heap_entry(n, struct class, head);
		int64_t again_at;
		enum match_verdict verdict = match_judge(p, c->cursor, now_ms, m, &again_at);

		found = verdict == MATCH_FOUND;
		if (!found)
			put_aside(p, c, verdict, again_at);
	}
	n = heap_min(&p->cooling);
	if (n != NULL && heap_entry(n, struct class, cool)->wake_at < *next_at)
		*next_at = heap_entry(n, struct class, cool)->wake_at;
	return found;
}
