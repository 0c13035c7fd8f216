/*
 * strategy: of those who are free, who is asked: in the order of the queue's
 * strategy, but who was tried after all others. It must not know which callback
 * is next.
 */
#include "core/match.h"
#include "core/projection_impl.h"

/*
 * The idle tree is walked so far before all candidates are compared: when
 * some wait for other work, they stand at its front for hours.
 */
#define WALK_MAX 64

/* ---- which agents ---- */

/* The agents of one word of slots who could be asked; those in scratch were asked already. */
static inline uint64_t
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

/*
 * What each strategy goes by: the least first; of the same, who is idle for
 * longest. None: the idle order alone.
 */
typedef int64_t (*key_fn)(const struct callback *, const struct standing *);

static int64_t
key_turn(const struct callback *cb, const struct standing *s)
{
	(void)cb;
	return s->offered_seq;
}

static int64_t
key_accepted(const struct callback *cb, const struct standing *s)
{
	(void)cb;
	return s->accepted;
}

static int64_t
key_talk(const struct callback *cb, const struct standing *s)
{
	(void)cb;
	return s->talk_ms;
}

/* The same position: by id, which is the order in which they were set up. */
static int64_t
key_position(const struct callback *cb, const struct standing *s)
{
	(void)cb;
	return (int64_t)s->position << 32 | s->id;
}

/*
 * A lot that follows from who draws for what, so that every node, and a
 * replay, draws the same; for the next offer of the same callback, another.
 */
static int64_t
key_lot(const struct callback *cb, const struct standing *s)
{
	uint64_t draw = map_hash_id(cb->id) ^ map_hash_int((int64_t)cb->seq);

	return (int64_t)(map_hash_int((int64_t)(draw ^ (uint64_t)s->id)) >> 1);
}

static const key_fn keys[STRATEGIES] = {
	[STRATEGY_ROUND_ROBIN] = key_turn,
	[STRATEGY_FEWEST_CALLS] = key_accepted,
	[STRATEGY_LEAST_TALK_TIME] = key_talk,
	[STRATEGY_TOP_DOWN] = key_position,
	[STRATEGY_RANDOM] = key_lot,
};

/* The one with the least key of all who could be asked. */
static void
pick_least(const struct projection *p, const struct callback *cb, key_fn key, struct match *m)
{
	int64_t least = INT64_MAX;

	m->n = 0;
	for (size_t w = 0; w < p->available.nwords; w++) {
		uint64_t slots = askable(p, cb->class, w);

		while (slots != 0) {
			size_t slot = w * BITS_WORD + bits_pop(&slots);
			int64_t mine = key(cb, &p->standings[slot]);

			if (m->n > 0 &&
			    (mine > least ||
				(mine == least && !idle_before(p, slot, m->agents[0]))))
				continue;
			m->agents[0] = p->agents[slot];
			m->n = 1;
			least = mine;
		}
	}
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

int64_t
strategy_cooled_at(const struct projection *p, const struct callback *cb)
{
	int64_t first = INT64_MAX;

	for (size_t i = 0; i < cb->ntried; i++) {
		if (tried_candidate(p, cb, i) != NULL && cool_at(cb, i) < first)
			first = cool_at(cb, i);
	}
	return first;
}

bool
strategy_choose(
    struct projection *p, const struct callback *cb, int64_t now_ms, size_t want, struct match *m)
{
	key_fn key = keys[cb->class->queue->strategy];

	scratch_tried(p, cb, now_ms, false);
	if (key != NULL)
		pick_least(p, cb, key, m);
	else
		pick_idle(p, cb, want, m);
	scratch_clear(p, cb);
	if (m->n == 0 && everybody_tried(p, cb))
		pick_longest_ago(p, cb, want, m);
	return m->n > 0;
}
