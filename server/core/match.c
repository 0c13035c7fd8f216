/*
 * match: who gets what. It looks only where something may have changed: a
 * callback that nobody could take is passed over, and its class asleep, until
 * an agent came, left duty, or a cool-down ended. It proposes; it changes
 * nothing but its own notes (cursors, heaps, asleep).
 */
#include "core/match.h"

#include "core/projection_impl.h"

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

static bool
ring_before(const struct heap_node *na, const struct heap_node *nb)
{
	const struct callback *a = heap_entry(na, struct callback, ring);
	const struct callback *b = heap_entry(nb, struct callback, ring);

	return a->ring_at != b->ring_at ? a->ring_at < b->ring_at : id_compare(a->id, b->id) < 0;
}

void
match_init(struct projection *p)
{
	heap_init(&p->heads, head_before);
	heap_init(&p->cooling, cool_before);
	heap_init(&p->rings, ring_before);
}

void
match_fini(struct projection *p)
{
	heap_fini(&p->heads);
	heap_fini(&p->cooling);
	heap_fini(&p->rings);
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

/* ---- with whom ---- */

static bool
was_tried(const struct callback *cb, int agent_id)
{
	for (size_t i = 0; i < cb->ntried; i++)
		if (cb->tried[i].agent_id == agent_id)
			return true;
	return false;
}

/* NULL: nobody is preferred who could take it, or he did not want it, or is not there. */
static struct agent *
preferred(const struct projection *p, const struct callback *cb)
{
	struct agent *a = cb->preferred != 0 ? roster_find(p, cb->preferred) : NULL;

	if (a == NULL || a->removed || a->state == AGENT_LOGGED_OUT ||
	    !bits_has(&cb->class->eligible, a->slot) || was_tried(cb, a->id))
		return NULL;
	return a;
}

enum match_verdict
match_judge(
    struct projection *p, struct callback *cb, int64_t now_ms, struct match *m, int64_t *again_at)
{
	struct class *c = cb->class;
	size_t want = c->queue->strategy == STRATEGY_RING_ALL ? c->queue->ring_max : 1;

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
	struct agent *a = preferred(p, cb);

	if (a != NULL && a->available) {
		m->agents[m->n++] = a;
		return MATCH_FOUND;
	}
	if (a != NULL && cb->preferred_until > now_ms) {
		*again_at = cb->preferred_until;
		return MATCH_PREFERRED;
	}
	if (strategy_choose(p, cb, now_ms, want, m))
		return MATCH_FOUND;
	*again_at = strategy_cooled_at(p, cb);
	return MATCH_COOLING;
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

/* ---- to one more agent ---- */

void
match_ring(struct projection *p, struct callback *cb, int64_t at)
{
	if (at == cb->ring_at)
		return;
	/* Out before the key changes. */
	if (heap_in(&cb->ring))
		heap_remove(&p->rings, &cb->ring);
	cb->ring_at = at;
	if (at != INT64_MAX)
		heap_insert(&p->rings, &cb->ring);
}

static struct callback *
first_ring(const struct projection *p)
{
	struct heap_node *n = heap_min(&p->rings);

	return n != NULL ? heap_entry(n, struct callback, ring) : NULL;
}

/* After those that wait: they have nobody yet. */
static bool
ring_next(struct projection *p, int64_t now_ms, struct match *m, int64_t *next_at)
{
	struct callback *cb;

	/* Nobody is free: an event, or the end of somebody's rest, will say when to look again. */
	if (RB_EMPTY(&p->idle))
		return false;
	while ((cb = first_ring(p)) != NULL && cb->ring_at <= now_ms) {
		int64_t open_at = hours_from(&cb->class->queue->hours, now_ms);

		m->callback = cb;
		if (cb->expires_at <= now_ms) {
			match_ring(p, cb, INT64_MAX);
			continue;
		}
		if (open_at <= now_ms && strategy_choose(p, cb, now_ms, 1, m))
			return true;
		match_ring(p, cb, open_at > now_ms ? open_at : now_ms + RETRY_MS);
	}
	if (cb != NULL && cb->ring_at < *next_at)
		*next_at = cb->ring_at;
	return false;
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
	return found || ring_next(p, now_ms, m, next_at);
}
