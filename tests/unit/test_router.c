/*
 * test_router: what is proposed, when, and not twice. Each test tells a story
 * to a world and its projection, and reads the router's proposals as text.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/router.h"
#include "core/wait.h"
#include "world.h"

#define NOW 1000000
#define ACTIONS 256

struct story {
	struct world *w;
	struct projection *p;
	struct router_action actions[ACTIONS]; /* in flight */
	int n;
	struct router_action *first; /* of the last run */
	int64_t next_at;
	struct buf said;
};

static void
on_action(void *arg, const struct router_action *action)
{
	struct story *s = arg;
	struct buf *b = &s->said;
	static const char *const names[] = { "offer", "timeout", "deadline", "agent", "lost",
		"disconnect", "elapsed", "due", "future", "reload" };

	assert_true(s->n < ACTIONS);
	s->actions[s->n++] = *action;
	buf_printf(b, "%s%s", b->len > 0 ? " " : "", names[action->kind]);
	if (action->kind == ROUTER_OFFER) {
		buf_printf(b, " %d>", world_number(action->callback));
		for (int i = 0; i < action->n; i++)
			buf_printf(b, "%s%d", i > 0 ? "+" : "", action->agents[i]);
	} else if (action->kind == ROUTER_OFFER_TIMEOUT) {
		buf_printf(b, " %d", world_number(action->offer));
	} else if (action->kind == ROUTER_CALLBACK_DEADLINE) {
		buf_printf(b, " %d", world_number(action->callback));
	} else if (action->agent_id != 0) {
		buf_printf(b, " %d", action->agent_id);
	} else if (action->class_id != 0) {
		buf_printf(b, " %d", action->class_id);
	}
}

/* Feeds what happened, runs the router at the world's time, and compares what it says. */
static void
expect_max(struct story *s, int max, const char *text)
{
	world_feed(s->w, s->p);
	buf_reset(&s->said);
	buf_puts(&s->said, "");
	s->first = &s->actions[s->n];
	s->next_at = router_run(s->p, s->w->now, max, on_action, s);
	assert_string_equal(s->said.data, text);
}

static void
expect(struct story *s, const char *text)
{
	expect_max(s, 100, text);
}

/* All that is in flight was answered. */
static void
settle(struct story *s)
{
	world_feed(s->w, s->p);
	for (int i = 0; i < s->n; i++)
		router_settled(s->p, &s->actions[i]);
	s->n = 0;
}

/* The lease went, and came back. */
static void
reset(struct story *s)
{
	router_reset(s->p);
	s->n = 0;
}

/* Class 1 for everybody; class 2 for skill 1. */
static struct story *
story_of(const char *strategy, int cooldown_s)
{
	struct story *s = xcalloc(1, sizeof(*s));

	s->w = world_new(NOW);
	world_queue(s->w, 1, "", strategy, 10, cooldown_s);
	world_class(s->w, 1, 1, "");
	world_class(s->w, 2, 1, "1:1");
	return s;
}

static void
load(struct story *s, int due_limit, int future_limit)
{
	projection_free(s->p);
	s->p = world_load(s->w, due_limit, future_limit);
}

static void
story_end(struct story *s)
{
	projection_free(s->p);
	world_free(s->w);
	buf_fini(&s->said);
	free(s);
}

static void
offer_to(struct story *s, int callback, int id)
{
	world_offer(s->w, callback, &id, 1, 20000);
}

/* ---- the main job ---- */

static void
a_callback_goes_round(void **state)
{
	struct story *s = story_of("longest_idle", 120);

	(void)state;
	world_agent(s->w, 1, "", "ready", 10);
	world_agent(s->w, 2, "", "ready", 20);
	load(s, 100, 100);
	expect(s, "");
	assert_int_equal(s->next_at, INT64_MAX);
	world_submit(s->w, 1, 0, NOW, NOW, 0);
	expect(s, "offer 1>1");
	offer_to(s, 1, 1);
	settle(s);
	expect(s, "");
	assert_int_equal(s->next_at, NOW + 20000);
	s->w->now += 20000;
	expect(s, "timeout 1");
	expect(s, "");
	world_refuse(s->w, 1, "timeout");
	settle(s);
	expect(s, "offer 1>2");
	offer_to(s, 1, 2);
	settle(s);
	world_accept(s->w, 2);
	expect(s, "");
	assert_int_equal(s->next_at, s->w->now + 600000);
	assert_int_equal(projection_holder(s->p, world_callback_id(1)), 2);
	world_finish(s->w, 1, "completed");
	expect(s, "");
	assert_int_equal(s->next_at, INT64_MAX);
	assert_int_equal(projection_counts(s->p).available, 2);
	story_end(s);
}

static void
queued_when_its_time_has_come(void **state)
{
	struct story *s = story_of("longest_idle", 120);

	(void)state;
	world_agent(s->w, 1, "", "ready", 10);
	world_submit(s->w, 1, 0, NOW + 500, NOW + 500, 0);
	load(s, 100, 100);
	expect(s, "");
	assert_int_equal(s->next_at, NOW + 500);
	s->w->now = NOW + 499;
	expect(s, "");
	s->w->now = NOW + 500;
	expect(s, "offer 1>1");
	story_end(s);
}

static void
nothing_is_proposed_twice(void **state)
{
	struct story *s = story_of("longest_idle", 120);

	(void)state;
	world_agent(s->w, 1, "", "ready", 10);
	world_agent(s->w, 2, "", "ready", 20);
	world_submit(s->w, 1, 0, NOW, NOW, 0);
	load(s, 100, 100);
	expect(s, "offer 1>1");
	expect(s, "");
	assert_int_equal(projection_counts(s->p).available, 1);
	assert_int_equal(projection_counts(s->p).waiting_due, 1);
	/* Another one goes to the other agent. */
	world_submit(s->w, 1, 5, NOW, NOW, 0);
	expect(s, "offer 2>2");
	reset(s);
	expect(s, "offer 2>1 offer 1>2");
	story_end(s);
}

static void
refused_and_lost_are_not_repeated_at_once(void **state)
{
	struct story *s = story_of("longest_idle", 120);

	(void)state;
	world_agent(s->w, 1, "", "ready", 10);
	world_submit(s->w, 1, 0, NOW, NOW, 0);
	load(s, 100, 100);
	expect(s, "offer 1>1");
	settle(s);
	expect(s, "");
	assert_int_equal(s->next_at, NOW + 1000);
	s->w->now += 1000;
	expect(s, "offer 1>1");
	settle(s);
	/* An event that touches them lifts it. */
	world_changed(s->w, 1, "callback.noted");
	world_status(s->w, 1, "agent.ready");
	expect(s, "offer 1>1");
	story_end(s);
}

static void
the_race_was_lost(void **state)
{
	struct story *s = story_of("longest_idle", 120);

	(void)state;
	world_agent(s->w, 1, "", "ready", 10);
	world_submit(s->w, 1, 0, NOW, NOW, 0);
	world_submit(s->w, 1, 0, NOW, NOW + 1, 0);
	load(s, 100, 100);
	expect(s, "offer 1>1");
	/* Cancelled meanwhile: the agent has nothing to do with it. */
	world_finish(s->w, 1, "cancelled");
	settle(s);
	expect(s, "offer 2>1");
	/* Noted meanwhile: a new version. */
	world_changed(s->w, 2, "callback.noted");
	settle(s);
	expect(s, "offer 2>1");
	assert_int_equal(s->first->version, s->w->callbacks[2].seq);
	story_end(s);
}

static void
ring_all_and_one_left_out(void **state)
{
	struct story *s = story_of("ring_all", 120);
	int two[] = { 1, 2 };

	(void)state;
	for (int id = 1; id <= 3; id++)
		world_agent(s->w, id, "", "ready", id);
	world_submit(s->w, 1, 0, NOW, NOW, 0);
	load(s, 100, 100);
	expect(s, "offer 1>1+2+3");
	/* The database knew that 3 cannot. */
	world_offer(s->w, 1, two, 2, 20000);
	settle(s);
	world_submit(s->w, 1, 0, NOW, NOW, 0);
	expect(s, "");
	world_refuse(s->w, 1, "rejected");
	expect(s, "offer 2>1");
	offer_to(s, 2, 1);
	settle(s);
	/* It is offered to 2 still. The last one brings it back: 3 is rested, 2 has just rejected it. */
	world_refuse(s->w, 2, "rejected");
	expect(s, "");
	s->w->now += 1000;
	expect(s, "offer 1>3");
	offer_to(s, 1, 3);
	settle(s);
	world_accept(s->w, 4);
	expect(s, "");
	assert_int_equal(projection_holder(s->p, world_callback_id(1)), 3);
	story_end(s);
}

static void
ring_all_first_accept_wins(void **state)
{
	struct story *s = story_of("ring_all", 120);
	int two[] = { 1, 2 };

	(void)state;
	world_agent(s->w, 1, "", "ready", 1);
	world_agent(s->w, 2, "", "ready", 2);
	world_submit(s->w, 1, 0, NOW, NOW, 0);
	load(s, 100, 100);
	expect(s, "offer 1>1+2");
	world_offer(s->w, 1, two, 2, 20000);
	settle(s);
	assert_int_equal(projection_counts(s->p).offers, 2);
	assert_int_equal(projection_counts(s->p).available, 0);
	world_accept(s->w, 2);
	expect(s, "");
	assert_int_equal(projection_counts(s->p).offers, 0);
	assert_int_equal(projection_counts(s->p).available, 1);
	assert_int_equal(projection_holder(s->p, world_callback_id(1)), 2);
	story_end(s);
}

static void
ring_progressively_takes_one_more(void **state)
{
	struct story *s = story_of("ring_progressively", 120);

	(void)state;
	for (int id = 1; id <= 3; id++)
		world_agent(s->w, id, "", "ready", id);
	world_submit(s->w, 1, 0, NOW, NOW, 0);
	load(s, 100, 100);
	expect(s, "offer 1>1");
	offer_to(s, 1, 1);
	settle(s);
	expect(s, "");
	assert_int_equal(s->next_at, NOW + 2000);
	s->w->now = NOW + 1999;
	expect(s, "");
	s->w->now = NOW + 2000;
	expect(s, "offer 1>2");
	assert_int_equal(s->first->version, s->w->callbacks[1].seq);
	expect(s, "");
	offer_to(s, 1, 2);
	settle(s);
	expect(s, "");
	assert_int_equal(s->next_at, NOW + 4000);
	/* Who rejects makes room at once: that to 1 is old enough. */
	world_refuse(s->w, 2, "rejected");
	expect(s, "offer 1>3");
	/* It came back meanwhile, and that was refused: it is a plain one again. */
	world_refuse(s->w, 1, "rejected");
	expect(s, "");
	settle(s);
	expect(s, "offer 1>3");
	offer_to(s, 1, 3);
	settle(s);
	/* Both others cool down: they are looked for now and then. */
	s->w->now += 2000;
	expect(s, "");
	assert_int_equal(s->next_at, s->w->now + 1000);
	s->w->now = NOW + 4000 + 15000;
	world_agent(s->w, 4, "", "ready", 4);
	expect(s, "offer 1>4");
	world_accept(s->w, 3);
	settle(s);
	expect(s, "");
	assert_int_equal(projection_holder(s->p, world_callback_id(1)), 3);
	assert_int_equal(s->next_at, s->w->now + 600000);
	story_end(s);
}

static void
ring_progressively_knows_its_bounds(void **state)
{
	struct story *s = story_of("ring_progressively", 120);

	(void)state;
	world_queue(s->w, 1, "", "ring_progressively", 2, 120);
	for (int id = 1; id <= 3; id++)
		world_agent(s->w, id, "", "ready", id);
	world_submit(s->w, 1, 0, NOW, NOW, 0);
	offer_to(s, 1, 1);
	load(s, 100, 100);
	expect(s, "");
	assert_int_equal(s->next_at, NOW + 2000);
	s->w->now += 2000;
	expect(s, "offer 1>2");
	/* Refused, and nothing has changed: not at once again. */
	settle(s);
	expect(s, "");
	assert_int_equal(s->next_at, s->w->now + 1000);
	reset(s);
	expect(s, "offer 1>2");
	reset(s);
	/* Nor when another strategy, or a full ring, is all there is. */
	world_queue(s->w, 1, "", "ring_all", 2, 120);
	expect(s, "");
	assert_int_equal(s->next_at, NOW + 20000);
	s->w->now += 1000;
	world_queue(s->w, 1, "", "ring_progressively", 1, 120);
	expect(s, "");
	assert_int_equal(s->next_at, NOW + 20000);
	world_queue(s->w, 1, "", "ring_progressively", 2, 120);
	/* One that waits goes first. */
	s->w->agents[2].state = "not_ready";
	world_status(s->w, 2, "agent.not_ready");
	world_submit(s->w, 1, -9, NOW, NOW, 0);
	expect(s, "offer 2>3");
	offer_to(s, 2, 3);
	settle(s);
	/* Nobody is free: there is nothing to look for until somebody is. */
	expect(s, "");
	assert_int_equal(s->next_at, NOW + 20000);
	s->w->agents[2].state = "ready";
	world_status(s->w, 2, "agent.ready");
	expect(s, "offer 1>2");
	offer_to(s, 1, 2);
	settle(s);
	load(s, 100, 100);
	expect(s, "");
	/* Full; cancelled, it asks for nobody. */
	world_agent(s->w, 4, "", "ready", 4);
	s->w->now += 2000;
	expect(s, "offer 2>4");
	reset(s);
	world_finish(s->w, 1, "cancelled");
	world_finish(s->w, 2, "cancelled");
	expect(s, "");
	assert_int_equal(s->next_at, INT64_MAX);
	/* A supervisor offered it before it is due: until then it is for that one alone. */
	world_submit(s->w, 1, 0, s->w->now + 9000, s->w->now + 9000, 0);
	offer_to(s, 3, 4);
	expect(s, "");
	assert_int_equal(s->next_at, s->w->now + 9000);
	story_end(s);
}

static void
cool_down_and_everybody_tried(void **state)
{
	struct story *s = story_of("longest_idle", 120);

	(void)state;
	world_agent(s->w, 1, "", "ready", 1);
	world_agent(s->w, 2, "", "after_call_work", 2);
	world_submit(s->w, 1, 9, NOW, NOW, 0);
	world_submit(s->w, 1, 0, NOW, NOW, 0);
	load(s, 100, 100);
	expect(s, "offer 1>1");
	offer_to(s, 1, 1);
	settle(s);
	world_refuse(s->w, 1, "rejected");
	/* 2 is on duty and was not tried: 1 is passed over, and the one behind is not held up. */
	expect(s, "offer 2>1");
	offer_to(s, 2, 1);
	settle(s);
	world_refuse(s->w, 2, "rejected");
	expect(s, "");
	assert_int_equal(s->next_at, NOW + 120000);
	/* 2 leaves duty: now everybody was tried. */
	s->w->agents[2].state = "not_ready";
	world_status(s->w, 2, "agent.not_ready");
	expect(s, "offer 1>1");
	reset(s);
	s->w->agents[2].state = "after_call_work";
	world_status(s->w, 2, "agent.x");
	expect(s, "");
	/* The cool-down ends. */
	s->w->now = NOW + 119999;
	expect(s, "");
	s->w->now = NOW + 120000;
	expect(s, "offer 1>1");
	story_end(s);
}

static void
a_new_cool_down_counts_at_once(void **state)
{
	struct story *s = story_of("longest_idle", 120);

	(void)state;
	world_agent(s->w, 1, "", "ready", 1);
	world_agent(s->w, 2, "", "after_call_work", 2);
	world_submit(s->w, 1, 0, NOW, NOW, 0);
	load(s, 100, 100);
	offer_to(s, 1, 1);
	world_refuse(s->w, 1, "rejected");
	expect(s, "");
	world_queue(s->w, 1, "", "longest_idle", 1, 0);
	expect(s, "offer 1>1");
	story_end(s);
}

static void
a_skill_learnt_counts_at_once(void **state)
{
	struct story *s = story_of("longest_idle", 120);

	(void)state;
	world_agent(s->w, 1, "", "ready", 1);
	world_submit(s->w, 2, 0, NOW, NOW, 0);
	load(s, 100, 100);
	expect(s, "");
	world_agent_change(s->w, 1, "1:3", false);
	expect(s, "offer 1>1");
	reset(s);
	world_queue(s->w, 1, "1:4", "longest_idle", 1, 120);
	expect(s, "");
	world_queue(s->w, 1, "1:3", "longest_idle", 1, 120);
	expect(s, "offer 1>1");
	story_end(s);
}

static void
who_is_able_no_more_need_not_be_tried(void **state)
{
	struct story *s = story_of("longest_idle", 120);

	(void)state;
	world_agent(s->w, 1, "1:1", "ready", 1);
	world_agent(s->w, 2, "1:1", "after_call_work", 2);
	world_submit(s->w, 2, 0, NOW, NOW, 0);
	load(s, 100, 100);
	offer_to(s, 1, 1);
	world_refuse(s->w, 1, "rejected");
	expect(s, "");
	world_agent_change(s->w, 2, "", false);
	expect(s, "offer 1>1");
	story_end(s);
}

/* Class 1's only callback, for agent 2 if he comes within a minute; agent 1 could take it. */
static struct story *
story_of_preferred(const char *state)
{
	struct story *s = story_of("longest_idle", 120);

	world_agent(s->w, 1, "", "ready", 1);
	world_agent(s->w, 2, "", state, 2);
	world_submit(s->w, 1, 0, NOW, NOW, 0);
	s->w->callbacks[1].preferred = 2;
	s->w->callbacks[1].preferred_for_s = 60;
	world_changed(s->w, 1, "callback.changed");
	load(s, 100, 100);
	expect(s, "");
	assert_int_equal(s->next_at, NOW + 60000);
	return s;
}

static void
who_is_preferred_comes(void **state)
{
	struct story *s = story_of_preferred("not_ready");

	(void)state;
	s->w->agents[2].state = "ready";
	world_status(s->w, 2, "agent.ready");
	expect(s, "offer 1>2");
	story_end(s);
}

static void
who_is_preferred_does_not_come(void **state)
{
	struct story *s = story_of_preferred("not_ready");

	(void)state;
	s->w->now += 60000;
	expect(s, "offer 1>1");
	story_end(s);
}

static void
who_is_preferred_goes_home(void **state)
{
	static const char *const from[] = { "not_ready", "after_call_work" };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct story *s = story_of_preferred(from[i]);

		s->w->agents[2].state = "logged_out";
		world_status(s->w, 2, "agent.logged_out");
		expect(s, "offer 1>1");
		story_end(s);
	}
}

static void
who_is_preferred_is_able_no_more(void **state)
{
	struct story *s = story_of_preferred("not_ready");

	(void)state;
	world_agent_change(s->w, 2, "", true);
	expect(s, "offer 1>1");
	story_end(s);
}

static void
for_one_agent_alone(void **state)
{
	struct story *s = story_of("ring_all", 120);

	(void)state;
	world_class_of(s->w, 3, 1, "1:1", 2);
	world_agent(s->w, 1, "1:9", "ready", 1);
	world_agent(s->w, 2, "", "ready", 2);
	world_submit(s->w, 3, 0, NOW, NOW, 0);
	load(s, 100, 100);
	/* He has not the skill yet. */
	expect(s, "");
	world_agent_change(s->w, 2, "1:1", false);
	expect(s, "offer 1>2");
	reset(s);
	world_agent_change(s->w, 2, "1:1", true);
	expect(s, "");
	story_end(s);
}

/* ---- how long ---- */

/* Somebody is offered that one, and takes it, at that time. */
static void
takes(struct story *s, int callback, int64_t at)
{
	int agents[] = { 1 };

	s->w->now = at;
	world_offer(s->w, callback, agents, 1, 5000);
	world_accept(s->w, s->w->noffers);
	world_feed(s->w, s->p);
	router_run(s->p, at, 0, on_action, s);
	world_finish(s->w, callback, "completed");
	world_feed(s->w, s->p);
}

static int64_t
expected(struct story *s, int callback)
{
	return wait_expected_ms(s->p, world_callback_id(callback), s->w->now);
}

static void
what_was_handed_out_says_how_long_it_takes(void **state)
{
	struct story *s = story_of("longest_idle", 120);

	(void)state;
	for (int i = 0; i < 10; i++)
		world_submit(s->w, 1, 0, NOW, NOW + i, 0);
	load(s, 100, 100);
	assert_int_equal(expected(s, 1), -1);
	world_agent(s->w, 1, "", "ready", 1);
	world_feed(s->w, s->p);
	/* He is free for the first; of the others nothing is known yet. */
	assert_int_equal(expected(s, 1), 0);
	assert_int_equal(expected(s, 2), -1);
	assert_int_equal(expected(s, 99), -1);
	for (int i = 1; i <= 4; i++)
		takes(s, i, NOW + i * 60000);
	s->w->agents[1].state = "after_call_work";
	world_status(s->w, 1, "agent.after_call_work");
	world_feed(s->w, s->p);
	assert_int_equal(expected(s, 5), 60000);
	assert_int_equal(expected(s, 10), 6 * 60000);
	assert_int_equal(wait_of_next_ms(s->p, 1, s->w->now), 7 * 60000);
	assert_int_equal(wait_of_next_ms(s->p, 2, s->w->now), -1);
	/* Told a minute, it was a minute and a half. The first was told at once. */
	takes(s, 5, NOW + 4 * 60000 + 90000);
	struct wait_counts n = wait_counts(s->p);

	assert_int_equal(n.told, 2);
	assert_int_equal(n.error_ms, 60000 + 30000);
	assert_int_equal(n.late_ms, 60000 + 30000);
	/* With nobody there, nobody knows. */
	s->w->agents[1].state = "not_ready";
	world_status(s->w, 1, "agent.not_ready");
	world_feed(s->w, s->p);
	assert_int_equal(expected(s, 6), -1);
	assert_int_equal(wait_of_next_ms(s->p, 1, s->w->now), -1);
	story_end(s);
}

/* An idle hour says nothing of how fast it goes when there is work. */
static void
a_queue_that_nobody_is_in_is_not_slow(void **state)
{
	struct story *s = story_of("longest_idle", 120);

	(void)state;
	world_agent(s->w, 1, "", "ready", 1);
	load(s, 100, 100);
	for (int i = 1; i <= 8; i++) {
		world_submit(s->w, 1, 0, s->w->now, s->w->now, 0);
		world_feed(s->w, s->p);
		takes(s, i, NOW + i * 3600000);
	}
	s->w->agents[1].state = "after_call_work";
	world_status(s->w, 1, "agent.after_call_work");
	world_submit(s->w, 1, 0, s->w->now, s->w->now, 0);
	world_feed(s->w, s->p);
	assert_int_equal(expected(s, 9), -1);
	story_end(s);
}

/* What left without being handed out, or a night, says nothing either. */
static void
gaps_in_which_nobody_could_be_handed_out_do_not_count(void **state)
{
	struct story *s = story_of("longest_idle", 120);

	(void)state;
	world_agent(s->w, 1, "", "ready", 1);
	load(s, 100, 100);
	for (int i = 1; i <= 8; i += 2) {
		world_submit(s->w, 1, 0, s->w->now, s->w->now, 0);
		world_submit(s->w, 1, 0, s->w->now, s->w->now, 0);
		world_feed(s->w, s->p);
		takes(s, i, s->w->now + 3600000);
		world_finish(s->w, i + 1, "cancelled");
		world_feed(s->w, s->p);
	}
	world_submit(s->w, 1, 0, s->w->now, s->w->now, 0);
	world_submit(s->w, 1, 0, s->w->now, s->w->now, 0);
	world_feed(s->w, s->p);
	assert_int_equal(expected(s, 10), -1);
	story_end(s);
}

/* Three, a minute apart, and one who is left waiting when it closes: the next morning does not count. */
static void
a_night_is_no_gap(void **state)
{
	struct story *s = story_of("longest_idle", 120);
	long long day = NOW / 1000;
	char hours[128];

	(void)state;
	snprintf(hours, sizeof(hours), "%lld-%lld,%lld-%lld", day, day + 3600, day + 13 * 3600,
	    day + 22 * 3600);
	world_hours(s->w, 1, hours);
	for (int i = 0; i < 8; i++)
		world_submit(s->w, 1, 0, NOW, NOW + i, 0);
	world_agent(s->w, 1, "", "ready", 1);
	load(s, 100, 100);
	for (int i = 1; i <= 4; i++)
		takes(s, i, NOW + i * 60000);
	takes(s, 5, NOW + 14 * 3600000);
	s->w->agents[1].state = "after_call_work";
	world_status(s->w, 1, "agent.after_call_work");
	world_feed(s->w, s->p);
	assert_int_equal(expected(s, 6), 60000);
	story_end(s);
}

/* He was told, got it, gave it back undialled, and got it again: one telling. */
static void
what_is_told_once_is_compared_once(void **state)
{
	struct story *s = story_of("longest_idle", 120);
	int agents[] = { 1 };

	(void)state;
	world_submit(s->w, 1, 0, NOW, NOW, 0);
	world_agent(s->w, 1, "", "ready", 1);
	load(s, 100, 100);
	assert_int_equal(expected(s, 1), 0);
	for (int i = 1; i <= 2; i++) {
		s->w->now += 60000;
		world_offer(s->w, 1, agents, 1, 5000);
		world_accept(s->w, i);
		world_feed(s->w, s->p);
		world_give_back(s->w, 1);
		world_feed(s->w, s->p);
	}
	struct wait_counts n = wait_counts(s->p);

	assert_int_equal(n.told, 1);
	assert_int_equal(n.error_ms, 60000);
	story_end(s);
}

/* ---- deadlines ---- */

static void
every_deadline_fires_once(void **state)
{
	struct story *s = story_of("longest_idle", 120);

	(void)state;
	world_agent(s->w, 1, "", "ready", 1);
	world_agent(s->w, 2, "", "after_call_work", 1);
	s->w->agents[2].deadline_at = NOW + 3000;
	world_status(s->w, 2, "agent.after_call_work");
	world_submit(s->w, 1, 0, NOW, NOW, 0);
	load(s, 100, 100);
	offer_to(s, 1, 1);
	world_accept(s->w, 1);
	expect(s, "");
	assert_int_equal(s->next_at, NOW + 3000);
	s->w->now += 3000;
	expect(s, "agent 2");
	assert_int_equal(s->first->version, s->w->agents[2].seq);
	expect(s, "");
	s->w->agents[2].state = "not_ready";
	s->w->agents[2].deadline_at = 0;
	world_status(s->w, 2, "agent.not_ready");
	settle(s);
	s->w->now = NOW + 600000;
	expect(s, "deadline 1");
	assert_int_equal(s->first->version, s->w->callbacks[1].seq);
	/* Refused: the call had begun; the new deadline is the one that holds. */
	world_call(s->w, 1);
	settle(s);
	expect(s, "");
	assert_int_equal(s->next_at, s->w->now + 120000);
	s->w->now += 120000;
	expect(s, "deadline 1");
	/* Lost without an answer: again, but not at once. */
	settle(s);
	expect(s, "");
	assert_int_equal(s->next_at, s->w->now + 1000);
	story_end(s);
}

static void
an_agent_is_lost(void **state)
{
	struct story *s = story_of("longest_idle", 120);

	(void)state;
	world_agent(s->w, 1, "", "ready", 1);
	world_submit(s->w, 1, 0, NOW, NOW, 0);
	load(s, 100, 100);
	s->w->agents[1].connected = false;
	s->w->agents[1].lost_at = NOW + 30000;
	world_status(s->w, 1, "agent.disconnected");
	expect(s, "");
	assert_int_equal(s->next_at, NOW + 30000);
	s->w->now += 30000;
	expect(s, "lost 1");
	expect(s, "");
	s->w->agents[1].state = "not_ready";
	s->w->agents[1].lost_at = 0;
	world_status(s->w, 1, "agent.lost");
	settle(s);
	expect(s, "");
	assert_int_equal(s->next_at, INT64_MAX);
	story_end(s);
}

static void
he_comes_back_within_the_grace_time(void **state)
{
	struct story *s = story_of("longest_idle", 120);

	(void)state;
	world_agent(s->w, 1, "", "ready", 1);
	load(s, 100, 100);
	s->w->agents[1].connected = false;
	s->w->agents[1].lost_at = NOW + 30000;
	world_status(s->w, 1, "agent.disconnected");
	expect(s, "");
	s->w->agents[1].connected = true;
	s->w->agents[1].lost_at = 0;
	world_status(s->w, 1, "agent.connected");
	s->w->now += 30000;
	expect(s, "");
	world_submit(s->w, 1, 0, NOW, NOW, 0);
	expect(s, "offer 1>1");
	story_end(s);
}

static void
a_node_is_dead(void **state)
{
	struct story *s = story_of("longest_idle", 120);
	struct id one = world_node_id(1);

	(void)state;
	world_agent(s->w, 1, "", "ready", 1);
	world_agent(s->w, 2, "", "ready", 2);
	s->w->agents[2].node = 2;
	world_status(s->w, 2, "agent.connected");
	load(s, 100, 100);
	expect(s, "");
	projection_set_nodes(s->p, NULL, 0);
	expect(s, "");
	projection_set_nodes(s->p, &one, 1);
	/* What is on a dead node is not offered anything either. */
	world_submit(s->w, 1, 0, NOW, NOW, 0);
	world_submit(s->w, 1, 0, NOW, NOW, 0);
	expect(s, "disconnect 2 offer 1>1");
	assert_true(id_equal(s->first->node, world_node_id(2)));
	expect(s, "");
	s->w->agents[2].connected = false;
	s->w->agents[2].lost_at = NOW + 30000;
	world_status(s->w, 2, "agent.disconnected");
	settle(s);
	projection_set_nodes(s->p, &one, 1);
	s->w->now += 1000;
	expect(s, "offer 1>1");
	story_end(s);
}

static void
a_node_younger_than_the_list(void **state)
{
	struct story *s = story_of("longest_idle", 120);
	struct id one = world_node_id(1);

	(void)state;
	world_agent(s->w, 1, "", "ready", 1);
	load(s, 100, 100);
	s->w->agents[1].node = 3;
	world_status(s->w, 1, "agent.connected");
	world_feed(s->w, s->p);
	projection_set_nodes(s->p, &one, 1);
	expect(s, "");
	projection_set_nodes(s->p, &one, 1);
	expect(s, "disconnect 1");
	story_end(s);
}

static void
promises_expire(void **state)
{
	struct story *s = story_of("longest_idle", 120);

	(void)state;
	world_submit(s->w, 1, 0, NOW, NOW, NOW + 5000);
	load(s, 100, 100);
	expect(s, "");
	assert_int_equal(s->next_at, NOW + 5000);
	world_submit(s->w, 1, 0, NOW, NOW, NOW + 3000);
	expect(s, "");
	assert_int_equal(s->next_at, NOW + 3000);
	s->w->now = NOW + 3000;
	/* Who becomes ready now does not get it any more. */
	world_agent(s->w, 1, "", "ready", 1);
	expect(s, "elapsed offer 1>1");
	reset(s);
	world_agent_change(s->w, 1, "", true);
	expect(s, "");
	assert_int_equal(s->next_at, s->w->now + 1000);
	s->w->now += 1000;
	expect(s, "elapsed");
	/* One that comes while the look is under way is not forgotten. */
	world_submit(s->w, 1, 0, NOW, NOW, NOW + 4500);
	world_finish(s->w, 2, "expired");
	world_feed(s->w, s->p);
	projection_set_elapse(s->p, NOW + 5000);
	settle(s);
	expect(s, "");
	assert_int_equal(s->next_at, NOW + 4500);
	s->w->now = NOW + 4500;
	expect(s, "elapsed");
	projection_set_elapse(s->p, INT64_MAX);
	settle(s);
	expect(s, "");
	assert_int_equal(s->next_at, INT64_MAX);
	story_end(s);
}

/* To another class, who is able there gets it; and then to none. */
static void
who_waits_is_widened(void **state)
{
	struct story *s = story_of("longest_idle", 120);

	(void)state;
	world_agent(s->w, 1, "", "ready", 1);
	world_submit(s->w, 2, 0, NOW, NOW, NOW + 90000);
	s->w->callbacks[1].widen_after_s = 30;
	world_changed(s->w, 1, "callback.changed");
	load(s, 100, 100);
	expect(s, "");
	assert_int_equal(s->next_at, NOW + 30000);
	s->w->now = NOW + 30000;
	expect(s, "elapsed");
	s->w->callbacks[1].class = 1;
	s->w->callbacks[1].widen_after_s = 0;
	world_changed(s->w, 1, "callback.widened");
	world_feed(s->w, s->p);
	projection_set_elapse(s->p, NOW + 90000);
	settle(s);
	expect(s, "offer 1>1");
	assert_int_equal(s->next_at, NOW + 90000);
	story_end(s);
}

/* ---- windows ---- */

static void
a_due_window_is_refilled(void **state)
{
	struct story *s = story_of("longest_idle", 120);

	(void)state;
	for (int i = 1; i <= 20; i++)
		world_submit(s->w, 1, 0, NOW, NOW + i, 0);
	load(s, 4, 100);
	assert_int_equal(projection_counts(s->p).waiting_due, 4);
	expect(s, "");
	/* What arrives behind the horizon is not held; what is before it is. */
	world_submit(s->w, 1, 0, NOW, NOW + 100, 0);
	world_submit(s->w, 1, 1, NOW, NOW + 100, 0);
	expect(s, "");
	assert_int_equal(projection_counts(s->p).waiting_due, 5);
	for (int id = 1; id <= 4; id++)
		world_agent(s->w, id, "", "ready", id);
	expect(s, "offer 22>1 offer 1>2 offer 2>3 offer 3>4");
	/* The database's window still has what is in flight: more cannot be had yet. */
	expect(s, "");
	int offers[] = { 22, 1, 2, 3 };

	for (int i = 0; i < 4; i++)
		offer_to(s, offers[i], i + 1);
	settle(s);
	expect(s, "due 1");
	expect(s, "");
	world_refill_due(s->w, s->p, 1, 4);
	settle(s);
	assert_int_equal(projection_counts(s->p).waiting_due, 4);
	expect(s, "");
	story_end(s);
}

static void
a_refill_that_was_lost(void **state)
{
	struct story *s = story_of("longest_idle", 120);

	(void)state;
	for (int i = 1; i <= 8; i++)
		world_submit(s->w, 1, 0, NOW, NOW + i, 0);
	load(s, 4, 100);
	for (int i = 1; i <= 3; i++)
		world_finish(s->w, i, "cancelled");
	expect(s, "due 1");
	/* What comes meanwhile is kept until it is known how far the window reaches. */
	world_submit(s->w, 1, 0, NOW, NOW + 100, 0);
	world_feed(s->w, s->p);
	assert_int_equal(projection_counts(s->p).waiting_due, 2);
	settle(s);
	assert_int_equal(projection_counts(s->p).waiting_due, 1);
	expect(s, "");
	assert_int_equal(s->next_at, s->w->now + 1000);
	s->w->now += 1000;
	expect(s, "due 1");
	world_refill_due(s->w, s->p, 1, 4);
	settle(s);
	assert_int_equal(projection_counts(s->p).waiting_due, 4);
	expect(s, "");
	story_end(s);
}

static void
the_future_is_refilled(void **state)
{
	struct story *s = story_of("longest_idle", 120);

	(void)state;
	for (int i = 1; i <= 20; i++)
		world_submit(s->w, 1, 0, NOW + i * 1000, NOW + i * 1000, 0);
	load(s, 100, 4);
	assert_int_equal(projection_counts(s->p).waiting_future, 4);
	s->w->now = NOW + 3000;
	expect(s, "future");
	assert_int_equal(s->first->after_at, NOW + 4000);
	world_refill_future(s->w, s->p, s->first->after_at, s->first->after_id, 4);
	settle(s);
	assert_int_equal(projection_counts(s->p).waiting_future, 5);
	/* Later than the horizon: nobody knows what fell due. */
	s->w->now = NOW + 15000;
	expect(s, "reload");
	expect(s, "");
	assert_int_equal(projection_counts(s->p).waiting_due, 8);
	load(s, 100, 4);
	assert_int_equal(projection_counts(s->p).waiting_due, 15);
	expect(s, "");
	story_end(s);
}

static void
no_more_than_was_asked_for(void **state)
{
	struct story *s = story_of("longest_idle", 120);

	(void)state;
	for (int id = 1; id <= 3; id++) {
		world_agent(s->w, id, "", "ready", id);
		world_submit(s->w, 1, 0, NOW, NOW + id, 0);
	}
	load(s, 100, 100);
	expect_max(s, 2, "offer 1>1 offer 2>2");
	assert_true(s->next_at <= s->w->now);
	expect_max(s, 2, "offer 3>3");
	assert_int_equal(s->next_at, INT64_MAX);
	story_end(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_callback_goes_round),
		cmocka_unit_test(queued_when_its_time_has_come),
		cmocka_unit_test(nothing_is_proposed_twice),
		cmocka_unit_test(refused_and_lost_are_not_repeated_at_once),
		cmocka_unit_test(the_race_was_lost),
		cmocka_unit_test(ring_all_and_one_left_out),
		cmocka_unit_test(ring_all_first_accept_wins),
		cmocka_unit_test(ring_progressively_takes_one_more),
		cmocka_unit_test(ring_progressively_knows_its_bounds),
		cmocka_unit_test(cool_down_and_everybody_tried),
		cmocka_unit_test(a_new_cool_down_counts_at_once),
		cmocka_unit_test(a_skill_learnt_counts_at_once),
		cmocka_unit_test(who_is_able_no_more_need_not_be_tried),
		cmocka_unit_test(what_was_handed_out_says_how_long_it_takes),
		cmocka_unit_test(a_queue_that_nobody_is_in_is_not_slow),
		cmocka_unit_test(gaps_in_which_nobody_could_be_handed_out_do_not_count),
		cmocka_unit_test(a_night_is_no_gap),
		cmocka_unit_test(what_is_told_once_is_compared_once),
		cmocka_unit_test(for_one_agent_alone),
		cmocka_unit_test(who_is_preferred_comes),
		cmocka_unit_test(who_is_preferred_does_not_come),
		cmocka_unit_test(who_is_preferred_goes_home),
		cmocka_unit_test(who_is_preferred_is_able_no_more),
		cmocka_unit_test(every_deadline_fires_once),
		cmocka_unit_test(an_agent_is_lost),
		cmocka_unit_test(he_comes_back_within_the_grace_time),
		cmocka_unit_test(a_node_is_dead),
		cmocka_unit_test(a_node_younger_than_the_list),
		cmocka_unit_test(promises_expire),
		cmocka_unit_test(who_waits_is_widened),
		cmocka_unit_test(a_due_window_is_refilled),
		cmocka_unit_test(a_refill_that_was_lost),
		cmocka_unit_test(the_future_is_refilled),
		cmocka_unit_test(no_more_than_was_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
