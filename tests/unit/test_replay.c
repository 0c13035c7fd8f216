/*
 * test_replay: random histories. A snapshot and the events after it equal a
 * later load; who gets what is what plain searching says, and what explain said
 * before; and windows that are bounded hold exactly the first of those that wait.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/explain.h"
#include "core/projection_impl.h"
#include "core/router.h"
#include "world.h"

#define AGENTS 10
#define QUEUES 3
#define CLASSES 6
#define STEPS 400
#define HISTORIES 60

static unsigned seed;
static int widened;

static int
draw(int below)
{
	seed = seed * 1664525u + 1013904223u;
	return (int)((seed >> 8) % (unsigned)below);
}

static const char *
draw_skills(void)
{
	static const char *const some[] = { "", "", "1:1", "1:5", "2:3", "1:3,2:2", "3:9",
		"1:9,2:9,3:9", "2:5,3:5" };

	return some[draw(sizeof(some) / sizeof(some[0]))];
}

/* ---- plain searching ---- */

static bool
has_skills(const char *has, const char *needs)
{
	int need, level, own, own_level, used, used2;

	for (const char *at = needs; sscanf(at, "%d:%d%n", &need, &level, &used) == 2;
	     at += used + (at[used] == ',')) {
		bool ok = false;

		for (const char *of = has; sscanf(of, "%d:%d%n", &own, &own_level, &used2) == 2;
		     of += used2 + (of[used2] == ','))
			ok |= own == need && own_level >= level;
		if (!ok)
			return false;
	}
	return true;
}

static bool
able(const struct world *w, int agent, int class)
{
	const struct world_class *c = &w->classes[class];
	const char *has = w->agents[agent].skills;

	return (c->agent == 0 || c->agent == agent) && has_skills(has, c->skills) &&
	    has_skills(has, w->queues[c->queue].skills);
}

static bool
on_duty(const struct world *w, int agent)
{
	const struct world_agent *a = &w->agents[agent];

	return !a->removed && a->connected &&
	    (strcmp(a->state, "ready") == 0 || strcmp(a->state, "after_call_work") == 0);
}

static bool
available(const struct world *w, int agent)
{
	return on_duty(w, agent) && strcmp(w->agents[agent].state, "ready") == 0 &&
	    !world_offered(w, agent) && !world_holds(w, agent);
}

/* When he was tried; 0 never. */
static int64_t
tried_at(const struct world_callback *c, int agent)
{
	for (int i = 0; i < c->ntried; i++) {
		if (c->tried[i].agent == agent)
			return c->tried[i].at;
	}
	return 0;
}

/* Takes the agent out of left[] who has the smallest key, of several the one with the smallest tie; 0 none. */
static int
take_first(bool *left, const int64_t *key, const int64_t *tie)
{
	int first = 0;

	for (int a = 1; a <= AGENTS; a++) {
		if (left[a] &&
		    (first == 0 || key[a] < key[first] ||
			(key[a] == key[first] && tie[a] < tie[first])))
			first = a;
	}
	left[first] = false;
	return first;
}

/* splitmix64's last step. */
static uint64_t
mixed(uint64_t x)
{
	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* What the queue's strategy goes by. */
static int64_t
plain_key(const struct world *w, const char *strategy, int callback, int agent)
{
	const struct world_agent *a = &w->agents[agent];
	struct id id = world_callback_id(callback);

	if (strcmp(strategy, "round_robin") == 0)
		return (int64_t)a->offered_seq;
	if (strcmp(strategy, "fewest_calls") == 0)
		return a->accepted;
	if (strcmp(strategy, "least_talk_time") == 0)
		return a->talk_ms;
	if (strcmp(strategy, "top_down") == 0)
		return a->position * 1000 + agent;
	if (strcmp(strategy, "random") == 0)
		return (int64_t)(mixed(mixed(mixed(id.hi) ^ id.lo) ^
				     mixed(w->callbacks[callback].seq) ^ (uint64_t)agent) >>
		    1);
	return a->idle_since;
}

static const struct world_queue *
queue_of(const struct world *w, int callback)
{
	return &w->queues[w->classes[w->callbacks[callback].class].queue];
}

/* Who is asked before all others, and may be waited for; 0: nobody. */
static int
plain_preferred(const struct world *w, int callback)
{
	const struct world_callback *c = &w->callbacks[callback];
	const struct world_agent *a = &w->agents[c->preferred];

	if (!world_waits(w, callback) || c->preferred == 0 || a->removed ||
	    strcmp(a->state, "logged_out") == 0 || !able(w, c->preferred, c->class) ||
	    tried_at(c, c->preferred) != 0)
		return 0;
	return c->preferred;
}

static int
plain_agents(const struct world *w, int callback, const bool *spare, int *agents)
{
	const struct world_callback *c = &w->callbacks[callback];
	const struct world_queue *q = queue_of(w, callback);
	int want = strcmp(q->strategy, "ring_all") == 0 ? q->ring_max : 1, n = 0;
	bool fresh[AGENTS + 1] = { 0 }, tried[AGENTS + 1] = { 0 }, everybody = true, any = false;
	int64_t key[AGENTS + 1], idle[AGENTS + 1], when[AGENTS + 1];
	static const int64_t id[AGENTS + 1];
	int preferred = plain_preferred(w, callback);

	if (preferred != 0 && spare[preferred]) {
		agents[0] = preferred;
		return 1;
	}
	if (preferred != 0 && c->due_at + c->preferred_for_s * 1000 > w->now)
		return 0;
	for (int a = 1; a <= AGENTS; a++) {
		int64_t at = tried_at(c, a);

		key[a] = plain_key(w, q->strategy, callback, a);
		idle[a] = w->agents[a].idle_since;
		when[a] = at;
		if (!able(w, a, c->class))
			continue;
		everybody &= at != 0 || !on_duty(w, a);
		fresh[a] = spare[a] && (at == 0 || at + q->cooldown_s * 1000 <= w->now);
		tried[a] = spare[a] && !fresh[a];
		any |= fresh[a];
	}
	while (n < want &&
	    (agents[n] = any	? take_first(fresh, key, idle)
		    : everybody ? take_first(tried, when, id)
				: 0) != 0)
		n++;
	return n;
}

static int
by_order(const void *a, const void *b, void *w)
{
	return world_before(w, *(const int *)a, *(const int *)b) ? -1 : 1;
}

/* When one that is offered is to be offered to one more; INT64_MAX: not. */
static int64_t
plain_ring(const struct world *w, int callback)
{
	const struct world_queue *q = queue_of(w, callback);
	int64_t newest = 0;
	int pending = 0;

	if (strcmp(w->callbacks[callback].state, "offered") != 0 ||
	    strcmp(q->strategy, "ring_progressively") != 0)
		return INT64_MAX;
	for (int o = 1; o <= w->noffers; o++) {
		const struct world_offer *offer = &w->offers[o];

		if (offer->callback != callback || strcmp(offer->state, "pending") != 0)
			continue;
		pending++;
		newest = offer->created_at > newest ? offer->created_at : newest;
	}
	if (pending >= q->ring_max || !world_open(w, q->id) ||
	    (w->callbacks[callback].expires_at != 0 && w->callbacks[callback].expires_at <= w->now))
		return INT64_MAX;
	newest += WORLD_RING_STEP_S * 1000;
	return newest > w->callbacks[callback].due_at ? newest : w->callbacks[callback].due_at;
}

static int
by_ring(const void *a, const void *b, void *w)
{
	int64_t x = plain_ring(w, *(const int *)a), y = plain_ring(w, *(const int *)b);

	return x != y ? (x < y ? -1 : 1) : *(const int *)a < *(const int *)b ? -1 : 1;
}

static void
plain_offer(const struct world *w, int callback, bool *spare, struct buf *said)
{
	int agents[AGENTS + 1];
	int n = plain_agents(w, callback, spare, agents);

	if (n > 0)
		buf_printf(said, " %d>", callback);
	for (int i = 0; i < n; i++) {
		spare[agents[i]] = false;
		buf_printf(said, "%s%d", i > 0 ? "+" : "", agents[i]);
	}
}

static void
plain_offers(struct world *w, struct buf *said)
{
	static int list[WORLD_CALLBACKS];
	bool spare[AGENTS + 1] = { 0 };
	int n = 0;

	for (int a = 1; a <= AGENTS; a++)
		spare[a] = available(w, a);
	for (int i = 1; i <= w->ncallbacks; i++) {
		const struct world_callback *c = &w->callbacks[i];

		if (world_waits(w, i) && c->due_at <= w->now &&
		    world_open(w, w->classes[c->class].queue) &&
		    (c->expires_at == 0 || c->expires_at > w->now))
			list[n++] = i;
	}
	qsort_r(list, (size_t)n, sizeof(*list), by_order, w);
	for (int i = 0; i < n; i++)
		plain_offer(w, list[i], spare, said);
	/* And those that are offered already, to one more: whose time came first. */
	n = 0;
	for (int i = 1; i <= w->ncallbacks; i++) {
		if (plain_ring(w, i) <= w->now)
			list[n++] = i;
	}
	qsort_r(list, (size_t)n, sizeof(*list), by_ring, w);
	for (int i = 0; i < n; i++)
		plain_offer(w, list[i], spare, said);
}

/* ---- a random history ---- */

/* A random callback that is in that state; 0 when a few tries find none. */
static int
draw_callback(const struct world *w, const char *state)
{
	for (int i = 0; i < 12 && w->ncallbacks > 0; i++) {
		int n = 1 + draw(w->ncallbacks);

		if (strcmp(w->callbacks[n].state, state) == 0)
			return n;
	}
	return 0;
}

static int
draw_offer(const struct world *w)
{
	for (int i = 0; i < 30 && w->noffers > 0; i++) {
		int o = w->noffers - draw(w->noffers < 30 ? w->noffers : 30);

		if (strcmp(w->offers[o].state, "pending") == 0)
			return o;
	}
	return 0;
}

static void
step_submit(struct world *w)
{
	int64_t due = w->now + (draw(3) > 0 ? -draw(1000) : draw(20000));

	world_submit(
	    w, 1 + draw(CLASSES), draw(3) - 1, due, due, draw(4) > 0 ? 0 : due + draw(60000));
	if (draw(3) > 0)
		return;
	if (draw(2) > 0) {
		w->callbacks[w->ncallbacks].preferred = 1 + draw(AGENTS);
		w->callbacks[w->ncallbacks].preferred_for_s = draw(20);
	} else {
		w->callbacks[w->ncallbacks].widen_after_s = 1 + draw(20);
	}
	world_changed(w, w->ncallbacks, "callback.changed");
}

static void
step_offer(struct world *w)
{
	int n = draw_callback(w, "scheduled"), agents[3], k = 0;

	/* To more agents, or not yet. */
	if (draw(3) == 0)
		n = draw_callback(w, "offered");
	for (int i = 0; i < 3; i++) {
		int a = 1 + draw(AGENTS);

		if (available(w, a) && (k < 1 || agents[0] != a) && (k < 2 || agents[1] != a))
			agents[k++] = a;
	}
	if (n != 0 && k > 0 && (world_waits(w, n) || strcmp(w->callbacks[n].state, "offered") == 0))
		world_offer(w, n, agents, k, 5000 + draw(5000));
}

static void
step_answer(struct world *w)
{
	int o = draw_offer(w);

	if (o != 0 && draw(3) == 0)
		world_accept(w, o);
	else if (o != 0)
		world_refuse(w, o, draw(2) > 0 ? "rejected" : "timeout");
}

static void
step_call(struct world *w)
{
	int n;

	if ((n = draw_callback(w, "establishing")) != 0)
		world_ended(w, n);
	if ((n = draw_callback(w, "ready_to_call")) == 0)
		return;
	switch (draw(4)) {
	case 0:
		world_give_back(w, n);
		break;
	case 1:
		world_finish(w, n, "completed");
		break;
	default:
		world_call(w, n);
	}
}

static void
step_waiting(struct world *w)
{
	int n = draw_callback(w, draw(2) > 0 ? "scheduled" : "offered");
	struct world_callback *c = &w->callbacks[n];

	if (n == 0)
		return;
	switch (draw(5)) {
	case 0:
		world_finish(w, n, "cancelled");
		return;
	case 1:
		c->due_at = c->promise_at = w->now + draw(30000) - 3000;
		break;
	case 2:
		if (strcmp(c->state, "scheduled") == 0)
			c->linked_to = c->linked_to != 0 ? 0 : 1;
		break;
	case 3:
		c->priority = draw(3) - 1;
		break;
	}
	world_changed(w, n, "callback.changed");
}

static void
step_status(struct world *w)
{
	static const char *const states[] = { "ready", "ready", "ready", "not_ready",
		"after_call_work", "logged_out" };
	int id = 1 + draw(AGENTS);
	struct world_agent *a = &w->agents[id];

	a->state = states[draw(6)];
	a->connected = strcmp(a->state, "logged_out") != 0 && draw(6) > 0;
	a->node = a->connected ? 1 : 0;
	a->deadline_at = strcmp(a->state, "after_call_work") == 0 ? w->now + draw(10000) : 0;
	if (draw(2) > 0)
		a->idle_since = w->now * 16 + id;
	/* A call of his ended; or he signed in again. */
	a->talk_ms += draw(3) * 1000;
	if (draw(8) == 0)
		a->accepted = (int)(a->talk_ms = 0);
	world_status(w, id, "agent.changed");
}

static const char *
draw_strategy(void)
{
	static const char *const all[] = { "longest_idle", "ring_all", "round_robin",
		"fewest_calls", "least_talk_time", "top_down", "random", "ring_progressively",
		"ring_progressively" };

	return all[draw(sizeof(all) / sizeof(all[0]))];
}

static void
step_settings(struct world *w)
{
	int id = 1 + draw(QUEUES);
	char spans[128];

	switch (draw(5)) {
	case 4:
		/* Closed now, or soon, and open again some seconds later. */
		snprintf(spans, sizeof(spans), "%ld-%ld,%ld-%ld", (long)(w->now / 1000) - draw(3),
		    (long)(w->now / 1000) + 1 + draw(3), (long)(w->now / 1000) + 5 + draw(5),
		    (long)(w->now / 1000) + 20 + draw(100));
		world_hours(w, id, spans);
		break;
	case 0:
		world_queue(w, id, draw(2) > 0 ? "" : draw_skills(), draw_strategy(), 1 + draw(4),
		    draw(30));
		break;
	case 1:
		id = 1 + draw(AGENTS);
		w->agents[id].position = draw(4);
		world_agent_change(w, id, draw_skills(), draw(5) == 0);
		break;
	default:
		world_session(w, (int)w->seq, 1 + draw(AGENTS), false);
		if (draw(2) > 0)
			world_session(w, w->sessions[0].number, 1, true);
	}
}

static void
step(struct world *w)
{
	static void (*const steps[])(struct world *) = { step_submit, step_submit, step_submit,
		step_offer, step_offer, step_answer, step_answer, step_call, step_waiting,
		step_status, step_status };

	if (draw(30) == 0)
		step_settings(w);
	else
		steps[draw(sizeof(steps) / sizeof(steps[0]))](w);
	w->now += draw(4) == 0 ? draw(2000) : draw(20);
}

static struct world *
begin(unsigned history)
{
	struct world *w = world_new(10000000);

	seed = history * 2654435761u + 12345;
	world_queue(w, 1, "", history % 2 == 0 ? "longest_idle" : draw_strategy(), 3, 10);
	world_queue(w, 2, "", history % 3 == 0 ? "ring_progressively" : "ring_all", 2, 10);
	world_queue(w, 3, "", draw_strategy(), 3, 10);
	for (int i = 1; i <= CLASSES; i++)
		world_class_of(w, i, 1 + i % QUEUES, i <= 2 ? "" : draw_skills(), i == 5 ? 3 : 0);
	for (int i = 1; i <= AGENTS; i++)
		world_agent(w, i, draw_skills(), "ready", w->now * 16 + i);
	return w;
}

/* ---- unbounded: the same as a load, and as plain searching ---- */

static void
on_offer(void *arg, const struct router_action *action)
{
	if (action->kind != ROUTER_OFFER)
		return;
	buf_printf(arg, " %d>", world_number(action->callback));
	for (int i = 0; i < action->n; i++)
		buf_printf(arg, "%s%d", i > 0 ? "+" : "", action->agents[i]);
}

static void
check_offers(struct world *w, struct projection *p, unsigned history)
{
	struct buf plain = { 0 }, routed = { 0 };

	buf_puts(&plain, "");
	buf_puts(&routed, "");
	plain_offers(w, &plain);
	router_run(p, w->now, 10000, on_offer, &routed);
	router_reset(p);
	if (strcmp(plain.data, routed.data) != 0)
		fail_msg("history %u, seq %d: expected%s, got%s", history, (int)w->seq, plain.data,
		    routed.data);
	buf_fini(&plain);
	buf_fini(&routed);
}

/* The first in order of those that would be offered, and to whom: "number>agent+agent", or "". */
static void
explained_first(const struct world *w, struct projection *p, char text[256])
{
	int first = 0;

	text[0] = '\0';
	for (int i = 1; i <= w->ncallbacks; i++) {
		json_t *said =
		    world_waits(w, i) ? projection_explain(p, world_callback_id(i), w->now) : NULL;
		const char *why = json_string_value(json_object_get(said, "why"));

		if (why != NULL && strcmp(why, "next") == 0 &&
		    (first == 0 || world_before(w, i, first))) {
			int at = snprintf(text, 256, " %d>", i);
			const json_t *agent;
			size_t n;

			json_array_foreach (json_object_get(said, "agents"), n, agent)
				at += snprintf(text + at, 256 - (size_t)at, "%s%d",
				    n > 0 ? "+" : "", (int)json_integer_value(agent));
			first = i;
		}
		json_decref(said);
	}
}

static const struct world *explained;

/* One more for who has offers already is no answer to why somebody waits. */
static void
on_first_offer(void *arg, const struct router_action *action)
{
	if (action->kind == ROUTER_OFFER && world_waits(explained, world_number(action->callback)))
		on_offer(arg, action);
}

/* One offer after the other: what is explained is what the router then does. */
static void
check_explained(struct world *w, struct projection *p, unsigned history)
{
	char said[256];
	struct buf done = { 0 };

	explained = w;
	router_run(p, w->now, 0, on_offer, &done);
	do {
		int64_t next_at = w->now;

		buf_reset(&done);
		buf_puts(&done, "");
		explained_first(w, p, said);
		while (done.len == 0 && next_at <= w->now)
			next_at = router_run(p, w->now, 1, on_first_offer, &done);
		if (strcmp(said, done.data) != 0)
			fail_msg("history %u, seq %d: explained%s, done%s", history, (int)w->seq,
			    said, done.data);
	} while (done.len > 0);
	router_reset(p);
	buf_fini(&done);
}

static void
check_same(struct projection *a, struct projection *b, unsigned history)
{
	json_t *x = projection_dump(a), *y = projection_dump(b);

	if (!json_equal(x, y)) {
		char *s = json_dumps(x, JSON_SORT_KEYS), *t = json_dumps(y, JSON_SORT_KEYS);
		size_t at = 0;

		while (s[at] != '\0' && s[at] == t[at])
			at++;
		at = at > 200 ? at - 200 : 0;
		fail_msg("history %u: they differ at\n%.400s\n%.400s", history, s + at, t + at);
	}
	struct projection_counts n = projection_counts(a), m = projection_counts(b);

	assert_int_equal(n.available, m.available);
	assert_int_equal(n.offered, m.offered);
	assert_int_equal(n.held, m.held);
	assert_int_equal(n.waiting_due + n.waiting_future, m.waiting_due + m.waiting_future);
	json_decref(x);
	json_decref(y);
}

static void
a_snapshot_and_its_events_equal_a_load(void **state)
{
	(void)state;
	for (unsigned history = 0; history < HISTORIES; history++) {
		struct world *w = begin(history);
		struct projection *first = world_load(w, WORLD_CALLBACKS, WORLD_CALLBACKS);
		struct projection *later = NULL;

		for (int i = 0; i < STEPS; i++) {
			step(w);
			if (i == STEPS / 2)
				later = world_load(w, WORLD_CALLBACKS, WORLD_CALLBACKS);
			/* One is fed as it happens, the other in lumps. */
			world_feed(w, first);
			if (draw(5) == 0)
				check_offers(w, first, history);
			if (i % 20 == 7)
				check_explained(w, first, history);
			if (i % 50 != 49)
				continue;
			struct projection *now = world_load(w, WORLD_CALLBACKS, WORLD_CALLBACKS);

			check_same(first, now, history);
			check_offers(w, now, history);
			if (later != NULL) {
				world_feed(w, later);
				check_same(later, now, history);
				check_offers(w, later, history);
			}
			projection_free(now);
		}
		projection_free(first);
		projection_free(later);
		world_free(w);
	}
}

/* ---- bounded: a node that works, with answers late, lost and in any order ---- */

#define FLIGHT 512

struct node {
	struct world *w;
	struct projection *p;
	struct router_action flight[FLIGHT];
	int n;
	int due_limit, future_limit;
	bool reload;
	int made, reloads, refills;
};

static void
on_action(void *arg, const struct router_action *action)
{
	struct node *node = arg;

	assert_true(node->n < FLIGHT);
	node->flight[node->n++] = *action;
}

static void
decide_offer(struct node *node, const struct router_action *a)
{
	struct world *w = node->w;
	int n = world_number(a->callback), agents[MATCH_MAX], k = 0;

	if (w->callbacks[n].seq != a->version || !world_waits(w, n) ||
	    w->callbacks[n].due_at > w->now)
		return;
	for (int i = 0; i < a->n; i++) {
		if (available(w, a->agents[i]))
			agents[k++] = a->agents[i];
	}
	if (k > 0)
		world_offer(w, n, agents, k, 5000 + draw(5000));
	node->made += k > 0;
}

/* Into another class, from the middle of its window to anywhere in that of the other. */
static void
widen(struct world *w, int n)
{
	struct world_callback *c = &w->callbacks[n];

	c->class = 1 + draw(CLASSES);
	c->priority += draw(2);
	c->widen_after_s = draw(2) > 0 ? 0 : c->widen_after_s + 1 + draw(20);
	world_changed(w, n, "callback.widened");
	widened++;
}

static void
decide_elapsed(struct node *node)
{
	struct world *w = node->w;

	for (int n = 1; n <= w->ncallbacks; n++) {
		if (world_waits(w, n) && w->callbacks[n].expires_at != 0 &&
		    w->callbacks[n].expires_at <= w->now)
			world_finish(w, n, "expired");
		else if (world_waits(w, n) && world_widen_at(w, n) <= w->now)
			widen(w, n);
	}
	world_feed(w, node->p);
	projection_set_elapse(node->p, world_next_elapse(w, w->now));
}

static void
decide(struct node *node, const struct router_action *a)
{
	struct world *w = node->w;

	switch (a->kind) {
	case ROUTER_OFFER:
		decide_offer(node, a);
		break;
	case ROUTER_OFFER_TIMEOUT:
		if (strcmp(w->offers[world_number(a->offer)].state, "pending") == 0)
			world_refuse(w, world_number(a->offer), "timeout");
		break;
	case ROUTER_LOAD_DUE:
		node->refills++;
		/* Sometimes read before the latest events are known here. */
		if (draw(2) > 0)
			world_feed(w, node->p);
		world_refill_due(w, node->p, a->class_id, node->due_limit);
		break;
	case ROUTER_LOAD_FUTURE:
		node->refills++;
		world_refill_future(w, node->p, a->after_at, a->after_id, node->future_limit);
		break;
	case ROUTER_LOOK_ELAPSED:
		decide_elapsed(node);
		break;
	case ROUTER_RELOAD:
		node->reload = true;
		break;
	default:
		break;
	}
}

static void
answer_some(struct node *node, int most)
{
	for (; node->n > 0 && most > 0; most--) {
		int i = draw(node->n);
		struct router_action a = node->flight[i];

		node->flight[i] = node->flight[--node->n];
		if (draw(10) > 0)
			decide(node, &a);
		if (node->reload)
			break;
		world_feed(node->w, node->p);
		router_settled(node->p, &a);
	}
	if (node->reload) {
		projection_free(node->p);
		node->p = world_load(node->w, node->due_limit, node->future_limit);
		node->reload = false;
		node->n = 0;
		node->reloads++;
	}
}

/* Everything up to the horizon is held, and where it belongs. */
static void
check_windows(struct node *node, unsigned history)
{
	const struct world *w = node->w;
	struct projection *p = node->p;
	int list[WORLD_CALLBACKS];

	/* What fell due behind the future's horizon is not known: more, or all, is being asked for. */
	if (!p->future.complete && p->future.horizon.first <= p->now_ms) {
		assert_true(deadline_is_set(&p->future.load));
		return;
	}
	for (int c = 1; c <= CLASSES; c++) {
		const struct window *due = &settings_class_find(p, c)->due;
		int n = world_due(w, c, list);
		size_t held = 0;

		for (int i = 0; i < n; i++) {
			const struct callback *cb = live_find(p, world_callback_id(list[i]));
			struct waiting_key key = { -w->callbacks[list[i]].priority,
				w->callbacks[list[i]].promise_at, world_callback_id(list[i]) };
			bool known =
			    cb != NULL && (cb->place == PLACE_DUE || cb->place == PLACE_PROPOSED);

			held += known;
			if (!known &&
			    (due->complete || waiting_key_compare(&key, &due->horizon) <= 0))
				fail_msg("history %u, seq %d: %d is missing in class %d", history,
				    (int)w->seq, list[i], c);
		}
		assert_int_equal(held, due->count + due->proposed);
		if (!due->complete && (due->count + due->proposed) * 2 < (size_t)node->due_limit)
			assert_true(due->load.in_flight || deadline_is_set(&due->load));
	}
	int n = world_future(w, list);

	for (int i = 0; i < n; i++) {
		const struct callback *cb = live_find(p, world_callback_id(list[i]));
		struct waiting_key key = { w->callbacks[list[i]].due_at, 0,
			world_callback_id(list[i]) };

		if (cb == NULL &&
		    (p->future.complete || waiting_key_compare(&key, &p->future.horizon) <= 0))
			fail_msg("history %u, seq %d: %d is missing in the future", history,
			    (int)w->seq, list[i]);
	}
}

static void
bounded_windows_hold_the_first(void **state)
{
	int made = 0, reloads = 0, refills = 0;

	(void)state;
	for (unsigned history = 0; history < HISTORIES; history++) {
		struct node *node = xcalloc(1, sizeof(*node));

		node->w = begin(history + 1000);
		node->due_limit = 2 + draw(6);
		node->future_limit = 2 + draw(12);
		for (int i = 0; i < 100; i++)
			step_submit(node->w);
		node->p = world_load(node->w, node->due_limit, node->future_limit);
		for (int i = 0; i < STEPS; i++) {
			step(node->w);
			world_feed(node->w, node->p);
			router_run(node->p, node->w->now, 1 + draw(20), on_action, node);
			answer_some(node, draw(12));
			world_feed(node->w, node->p);
			router_run(node->p, node->w->now, FLIGHT - node->n, on_action, node);
			check_windows(node, history);
			if (draw(100) == 0) {
				router_reset(node->p);
				node->n = 0;
			}
		}
		made += node->made;
		reloads += node->reloads;
		refills += node->refills;
		projection_free(node->p);
		world_free(node->w);
		free(node);
	}
	/* The histories did go where they were meant to. */
	assert_true(made > 500 && refills > 200 && reloads > 20 && widened > 200);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_snapshot_and_its_events_equal_a_load),
		cmocka_unit_test(bounded_windows_hold_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
