/*
 * test_match: who gets what. A case is one line; to add one, add a line.
 *
 * agents     name:skills:idle since:state[:standing] ...   name a letter; skills letter and level, "-" none: x5y3;
 *            state: ready, not_ready, acw (after-call work), out (logged out), gone (desk lost), busy, offered, removed;
 *            standing: last turn/callbacks accepted/time talked/position
 * callbacks  number:needs:priority:promise[:tried[:preferred]] ...   numbers from 1 in order; tried who@when,...;
 *            preferred who+seconds from 1 o'clock, when all are due; instead of needs "-": none
 * queue      strategy/needs/cool-down[/hours]: one (longest_idle), ring (ring_all) and how many at most, or by
 *            its name; open only then: 90-110,200-300
 * expect     number>agent+agent ... in the order of the matches; then, if one is kept back by a cool-down,
 *            until it is due or until the queue opens, next=when
 *
 * It is 100 o'clock; all times are in seconds.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/match.h"
#include "core/projection_impl.h"
#include "world.h"

#define NOW 100

/* clang-format off */
static const struct {
	const char *name, *agents, *callbacks, *queue, *expect;
} cases[] = {
	{ "nobody there", "", "1:-:0:50", "one/-/20", "" },
	{ "nothing due", "a:-:10:ready", "", "one/-/20", "" },
	{ "one and one", "a:-:10:ready", "1:-:0:50", "one/-/20", "1>a" },
	{ "longest idle first", "a:-:30:ready b:-:10:ready c:-:20:ready", "1:-:0:50 2:-:0:51 3:-:0:52", "one/-/20", "1>b 2>c 3>a" },
	{ "idle since the same moment: by id", "c:-:10:ready a:-:10:ready b:-:10:ready", "1:-:0:50 2:-:0:50", "one/-/20", "1>a 2>b" },
	{ "the earlier promise first", "a:-:10:ready", "1:-:0:60 2:-:0:50", "one/-/20", "2>a" },
	{ "priority before promise", "a:-:10:ready", "1:-:0:50 2:-:1:60", "one/-/20", "2>a" },
	{ "a negative priority comes last", "a:-:10:ready", "1:-:-5:50 2:-:0:60", "one/-/20", "2>a" },
	{ "the same promise: by id", "a:-:10:ready b:-:11:ready", "1:-:0:50 2:-:0:50", "one/-/20", "1>a 2>b" },
	{ "order holds over classes", "a:x9y9:10:ready b:x9y9:11:ready", "1:x1:0:60 2:y1:0:50 3:x1:1:90", "one/-/20", "3>a 2>b" },

	{ "the level is reached", "a:x3:10:ready", "1:x3:0:50", "one/-/20", "1>a" },
	{ "the level is not reached", "a:x2:10:ready", "1:x3:0:50", "one/-/20", "" },
	{ "the skill is missing", "a:y9:10:ready", "1:x1:0:50", "one/-/20", "" },
	{ "all skills are needed", "a:x5:10:ready b:x5y5:20:ready", "1:x5y5:0:50", "one/-/20", "1>b" },
	{ "the queue's needs count too", "a:x5:10:ready b:x5y2:20:ready", "1:x5:0:50", "one/y2/20", "1>b" },
	{ "the higher of both needs counts", "a:x3:10:ready b:x4:20:ready", "1:x2:0:50", "one/x4/20", "1>b" },
	{ "who can do more is not spared", "a:x5y5:10:ready b:x5:20:ready", "1:x1:0:50 2:y1:0:51", "one/-/20", "1>a" },
	{ "a class nobody can take hides nobody", "a:x1:10:ready", "1:y9:9:50 2:y9:9:51 3:x1:0:90", "one/-/20", "3>a" },

	{ "not ready", "a:-:10:not_ready", "1:-:0:50", "one/-/20", "" },
	{ "in after-call work", "a:-:10:acw", "1:-:0:50", "one/-/20", "" },
	{ "logged out", "a:-:10:out", "1:-:0:50", "one/-/20", "" },
	{ "his desk is gone", "a:-:10:gone", "1:-:0:50", "one/-/20", "" },
	{ "he is busy", "a:-:10:busy b:-:20:ready", "1:-:0:50", "one/-/20", "1>b" },
	{ "he is offered another", "a:-:10:offered b:-:20:ready", "1:-:0:50", "one/-/20", "1>b" },
	{ "he was removed", "a:-:10:removed", "1:-:0:50", "one/-/20", "" },

	{ "who rejected comes after all others", "a:-:10:ready b:-:20:ready", "1:-:0:50:a@99", "one/-/20", "1>b" },
	{ "not again before the cool-down", "a:-:10:ready b:-:20:busy", "1:-:0:50:a@90", "one/-/20", "next=110" },
	{ "again after the cool-down", "a:-:10:ready b:-:20:busy", "1:-:0:50:a@80", "one/-/20", "1>a" },
	{ "after the cool-down like any other", "a:-:10:ready b:-:20:ready", "1:-:0:50:a@70", "one/-/20", "1>a" },
	{ "no cool-down", "a:-:10:ready b:-:20:busy", "1:-:0:50:a@100", "one/-/0", "1>a" },
	{ "a cooling one holds nobody up", "a:-:10:ready b:-:20:busy", "1:-:9:50:a@90 2:-:9:51:a@95 3:-:0:52", "one/-/20", "3>a" },
	{ "the first cool-down that ends", "a:-:10:ready b:-:20:ready c:-:5:busy", "1:-:0:50:a@95,b@91", "one/-/20", "next=111" },
	{ "only of who is available", "a:-:10:ready b:-:20:busy c:-:5:busy", "1:-:0:50:b@85,a@95", "one/-/20", "next=115" },
	{ "two cooling ones, one agent each", "a:-:10:ready b:-:20:ready", "1:-:0:50:a@95 2:-:0:51:b@95", "one/-/20", "1>b 2>a" },

	{ "everybody was tried: the longest ago", "a:-:10:ready b:-:20:ready", "1:-:0:50:b@98,a@99", "one/-/20", "1>b" },
	{ "everybody, all at once: by id", "b:-:10:ready a:-:20:ready", "1:-:0:50:b@99,a@99", "one/-/20", "1>a" },
	{ "alone he is everybody", "a:-:10:ready", "1:-:0:50:a@99", "one/-/20", "1>a" },
	{ "who is not ready does not count", "a:-:10:ready b:-:20:not_ready", "1:-:0:50:a@99", "one/-/20", "1>a" },
	{ "who is logged out does not count", "a:-:10:ready b:-:20:out c:-:20:gone", "1:-:0:50:a@99", "one/-/20", "1>a" },
	{ "who was removed does not count", "a:-:10:ready b:-:20:removed", "1:-:0:50:a@99", "one/-/20", "1>a" },
	{ "who is in after-call work counts", "a:-:10:ready b:-:20:acw", "1:-:0:50:a@99", "one/-/20", "next=119" },
	{ "who is offered another counts", "a:-:10:ready b:-:20:offered", "1:-:0:50:a@99", "one/-/20", "next=119" },
	{ "who lacks the skill does not count", "a:x1:10:ready b:-:20:busy", "1:x1:0:50:a@99", "one/-/20", "1>a" },
	{ "everybody, but the longest ago is busy", "a:-:10:ready b:-:20:busy", "1:-:0:50:b@97,a@99", "one/-/20", "1>a" },
	{ "one who cooled goes before everybody", "a:-:10:ready b:-:5:ready", "1:-:0:50:b@99,a@70", "one/-/20", "1>a" },
	{ "who was tried and is no more", "a:-:10:ready", "1:-:0:50:z@99", "one/-/20", "1>a" },

	{ "ring_all: all at once, by idle", "a:-:30:ready b:-:10:ready c:-:20:ready", "1:-:0:50", "ring9/-/20", "1>b+c+a" },
	{ "ring_all: at most ring_max", "a:-:30:ready b:-:10:ready c:-:20:ready", "1:-:0:50 2:-:0:51", "ring2/-/20", "1>b+c 2>a" },
	{ "ring_all: only who is able", "a:x1:30:ready b:-:10:ready c:x2:20:ready", "1:x1:0:50", "ring9/-/20", "1>c+a" },
	{ "ring_all: not who was tried", "a:-:30:ready b:-:10:ready c:-:20:ready", "1:-:0:50:b@99", "ring9/-/20", "1>c+a" },
	{ "ring_all: everybody was tried", "a:-:30:ready b:-:10:ready c:-:20:ready", "1:-:0:50:b@99,a@97,c@98", "ring2/-/20", "1>a+c" },
	{ "ring_all: cooling", "a:-:30:ready b:-:10:busy", "1:-:0:50:a@99", "ring9/-/20", "next=119" },
	{ "ring_all: one", "a:-:30:ready b:-:10:ready", "1:-:0:50", "ring1/-/20", "1>b" },

	{ "preferred: he is free", "a:-:10:ready b:-:20:ready", "1:-:0:50::b+0", "one/-/20", "1>b" },
	{ "preferred: he is waited for", "a:-:10:ready b:-:20:busy", "1:-:0:50::b+120", "one/-/20", "next=121" },
	{ "preferred: in after-call work, too", "a:-:10:ready b:-:20:acw", "1:-:0:50::b+120", "one/-/20", "next=121" },
	{ "preferred: not ready, too", "a:-:10:ready b:-:20:not_ready", "1:-:0:50::b+120", "one/-/20", "next=121" },
	{ "preferred: not longer than so", "a:-:10:ready b:-:20:busy", "1:-:0:50::b+99", "one/-/20", "1>a" },
	{ "preferred: only if he is free", "a:-:10:ready b:-:20:busy", "1:-:0:50::b+0", "one/-/20", "1>a" },
	{ "preferred: holds nobody up", "a:-:10:ready b:-:20:busy", "1:-:9:50::b+120 2:-:0:60", "one/-/20", "2>a" },
	{ "preferred: who is not there is not", "a:-:10:ready b:-:20:out", "1:-:0:50::b+120", "one/-/20", "1>a" },
	{ "preferred: who was removed is not", "a:-:10:ready b:-:20:removed", "1:-:0:50::b+120", "one/-/20", "1>a" },
	{ "preferred: who is not able is not", "a:x1:10:ready b:-:20:busy", "1:x1:0:50::b+120", "one/-/20", "1>a" },
	{ "preferred: who did not want it is not", "a:-:10:ready b:-:20:busy", "1:-:0:50:b@99:b+120", "one/-/20", "1>a" },
	{ "preferred: nobody knows him", "a:-:10:ready", "1:-:0:50::z+120", "one/-/20", "1>a" },
	{ "preferred: by himself, where all are rung", "a:-:10:ready b:-:20:ready", "1:-:0:50::b+0", "ring9/-/20", "1>b" },
	{ "preferred: before the strategy", "a:-:10:ready:0/0/0/1 b:-:20:ready:0/0/0/9", "1:-:0:50::b+0", "top_down/-/20", "1>b" },
	{ "preferred: the first who wants him gets him", "a:-:10:ready b:-:20:ready", "1:-:0:50::b+0 2:-:0:51::b+120", "one/-/20", "1>b" },
	{ "preferred: while it is closed nobody", "a:-:10:ready b:-:20:ready", "1:-:0:50::b+120", "one/-/20/150-160", "next=150" },

	{ "the queue is open", "a:-:10:ready", "1:-:0:50", "one/-/20/90-110", "1>a" },
	{ "it opens in this moment", "a:-:10:ready", "1:-:0:50", "one/-/20/100-110", "1>a" },
	{ "it closes in this moment", "a:-:10:ready", "1:-:0:50", "one/-/20/90-100,130-140", "next=130" },
	{ "it opens later", "a:-:10:ready", "1:-:0:50", "one/-/20/10-20,150-160,170-180", "next=150" },
	{ "it never opens again", "a:-:10:ready", "1:-:0:50", "one/-/20/10-20", "" },
	{ "it is closed, and nobody there", "a:-:10:not_ready", "1:-:0:50", "one/-/20/150-160", "" },
	{ "it is closed before any cool-down ends", "a:-:10:ready b:-:20:busy", "1:-:0:50:a@90", "one/-/20/150-160", "next=150" },

	{ "round_robin: his turn is longest ago", "a:-:10:ready:9/1/1/1 b:-:20:ready:3/5/5/5 c:-:30:ready:7/0/0/0", "1:-:0:50 2:-:0:51 3:-:0:52", "round_robin/-/20", "1>b 2>c 3>a" },
	{ "round_robin: who had none, first", "a:-:10:ready:1/0/0/0 b:-:20:ready:0/9/9/9", "1:-:0:50", "round_robin/-/20", "1>b" },
	{ "round_robin: two had none", "a:-:20:ready b:-:10:ready c:-:20:ready", "1:-:0:50 2:-:0:50 3:-:0:50", "round_robin/-/20", "1>b 2>a 3>c" },
	{ "round_robin: only who is able", "a:x1:10:ready:9/0/0/0 b:-:20:ready:3/0/0/0", "1:x1:0:50", "round_robin/-/20", "1>a" },
	{ "round_robin: only who is free", "a:-:10:ready:9/0/0/0 b:-:20:acw:3/0/0/0 c:-:20:busy d:-:9:gone", "1:-:0:50", "round_robin/-/20", "1>a" },
	{ "round_robin: one at a time", "a:-:10:ready b:-:20:ready", "1:-:0:50", "round_robin/-/20", "1>a" },
	{ "round_robin: not who was tried", "a:-:10:ready:1/0/0/0 b:-:20:ready:2/0/0/0", "1:-:0:50:a@99", "round_robin/-/20", "1>b" },
	{ "round_robin: cooling", "a:-:10:ready:1/0/0/0 b:-:20:busy", "1:-:0:50:a@99", "round_robin/-/20", "next=119" },
	{ "round_robin: everybody was tried", "a:-:10:ready:1/0/0/0 b:-:20:ready:2/0/0/0", "1:-:0:50:b@98,a@99", "round_robin/-/20", "1>b" },

	{ "fewest_calls", "a:-:10:ready:1/3/1/1 b:-:30:ready:9/1/9/9 c:-:20:ready:5/2/5/5", "1:-:0:50 2:-:0:51 3:-:0:52", "fewest_calls/-/20", "1>b 2>c 3>a" },
	{ "fewest_calls: as many: longest idle", "a:-:30:ready:1/2/1/1 b:-:10:ready:9/2/9/9 c:-:20:ready:5/2/5/5", "1:-:0:50", "fewest_calls/-/20", "1>b" },
	{ "fewest_calls: and idle as long: by id", "b:-:10:ready:1/2/1/1 a:-:10:ready:9/2/9/9", "1:-:0:50", "fewest_calls/-/20", "1>a" },

	{ "least_talk_time", "a:-:10:ready:1/1/3000/1 b:-:30:ready:9/9/1000/9 c:-:20:ready:5/5/2000/5", "1:-:0:50 2:-:0:51 3:-:0:52", "least_talk_time/-/20", "1>b 2>c 3>a" },
	{ "least_talk_time: as long: longest idle", "a:-:30:ready:1/1/7/1 b:-:10:ready:9/9/7/9", "1:-:0:50", "least_talk_time/-/20", "1>b" },
	{ "least_talk_time: beyond 32 bits", "a:-:10:ready:0/0/4294967296/0 b:-:30:ready:0/0/5/0", "1:-:0:50", "least_talk_time/-/20", "1>b" },

	{ "top_down", "a:-:10:ready:1/1/1/3 b:-:30:ready:9/9/9/1 c:-:20:ready:5/5/5/2", "1:-:0:50 2:-:0:51 3:-:0:52", "top_down/-/20", "1>b 2>c 3>a" },
	{ "top_down: the same position: by id", "b:-:10:ready:0/0/0/7 a:-:30:ready:0/0/0/7 c:-:1:ready:0/0/0/8", "1:-:0:50", "top_down/-/20", "1>a" },
	{ "top_down: the first is busy", "a:-:30:busy b:-:20:ready c:-:10:ready", "1:-:0:50", "top_down/-/20", "1>b" },

	{ "ring_progressively: one to begin with", "a:-:30:ready b:-:10:ready c:-:20:ready", "1:-:0:50 2:-:0:51", "ring_progressively/-/20", "1>b 2>c" },

	{ "random: the only one", "a:x1:30:ready b:-:20:ready c:x1:10:busy", "1:x1:0:50", "random/-/20", "1>a" },
	{ "random: not who was tried", "a:-:30:ready b:-:20:ready", "1:-:0:50:a@99 2:-:0:51:b@99", "random/-/20", "1>b 2>a" },
	{ "no strategy that is known here", "a:-:30:ready b:-:10:ready c:-:20:ready", "1:-:0:50 2:-:0:51 3:-:0:52", "tomorrows/-/20", "1>b 2>c 3>a" },
};
/* clang-format on */

/* "x5y3" to world's "1:5,2:3". */
static void
skills(const char *text, char out[64])
{
	int at = 0;

	out[0] = '\0';
	for (; text[0] >= 'a' && text[0] <= 'z'; text += 2)
		at += snprintf(out + at, (size_t)(64 - at), "%s%d:%c", at > 0 ? "," : "",
		    text[0] - 'a' + 1, text[1]);
}

static void
make_queue(struct world *w, const char *text)
{
	char strategy[24], needs[16], hours[64] = "", out[64];
	int cooldown;

	assert_true(sscanf(text, "%23[^/]/%15[^/]/%d/%63s", strategy, needs, &cooldown, hours) >= 3);
	skills(needs, out);
	if (strncmp(strategy, "ring", 4) == 0 && strchr(strategy, '_') == NULL)
		world_queue(w, 1, out, "ring_all", atoi(strategy + 4), cooldown);
	else if (strcmp(strategy, "one") == 0)
		world_queue(w, 1, out, "longest_idle", 1, cooldown);
	else
		world_queue(w, 1, out, strategy, 9, cooldown);
	if (hours[0] != '\0')
		world_hours(w, 1, hours);
	/* What the busy and the offered have in hand is of a queue that nobody else is able for. */
	world_queue(w, 2, "26:10", "longest_idle", 1, 0);
	world_class(w, 1, 2, "");
}

/* In hand of that agent, or offered to him. */
static void
occupy(struct world *w, int agent, bool busy)
{
	int n = world_submit(w, 1, 0, 1, 1, 0);

	world_offer(w, n, &agent, 1, 1000000);
	if (busy)
		world_accept(w, w->noffers);
}

/* "turn/accepted/talked/position" */
static void
make_standing(struct world *w, int id, const char *text)
{
	struct world_agent *a = &w->agents[id];
	char has[64];
	unsigned long turn;
	long talked;

	assert_int_equal(
	    sscanf(text, "%lu/%d/%ld/%d", &turn, &a->accepted, &talked, &a->position), 4);
	a->offered_seq = turn;
	a->talk_ms = talked;
	world_status(w, id, "agent.changed");
	snprintf(has, sizeof(has), "%s", a->skills);
	world_agent_change(w, id, has, a->removed);
}

static void
make_agent(struct world *w, const char *text)
{
	char name, has[16], state[16], standing[32] = "", out[64];
	int idle;

	assert_true(sscanf(text, "%c:%15[^:]:%d:%15[^:]:%31s", &name, has, &idle, state, standing) >= 4);
	int id = name - 'a' + 1;

	skills(has, out);
	world_agent(w, id, out,
	    strcmp(state, "acw") == 0		  ? "after_call_work"
		: strcmp(state, "out") == 0	  ? "logged_out"
		: strcmp(state, "not_ready") == 0 ? "not_ready"
						  : "ready",
	    idle * 1000);
	if (strcmp(state, "gone") == 0) {
		w->agents[id].connected = false;
		world_status(w, id, "agent.disconnected");
	} else if (strcmp(state, "removed") == 0) {
		world_agent_change(w, id, out, true);
	} else if (strcmp(state, "busy") == 0 || strcmp(state, "offered") == 0) {
		occupy(w, id, state[0] == 'b');
	} else {
		assert_non_null(strstr("ready not_ready acw out", state));
	}
	if (standing[0] != '\0')
		make_standing(w, id, standing);
}

/* One class for each way to need something. */
static int
class_of(struct world *w, const char *needs)
{
	char out[64];
	int id = 2;

	skills(needs, out);
	while (w->classes[id].id != 0 && strcmp(w->classes[id].skills, out) != 0)
		id++;
	if (w->classes[id].id == 0)
		world_class(w, id, 1, out);
	return id;
}

/* Returns world's number of it. */
static int
make_callback(struct world *w, const char *text)
{
	char needs[16], tried[64] = "";
	int number, priority, promise;

	assert_true(
	    sscanf(text, "%d:%15[^:]:%d:%d:%63s", &number, needs, &priority, &promise, tried) >= 4);
	int n = world_submit(w, class_of(w, needs), priority, 1000, promise * 1000, 0);
	struct world_callback *c = &w->callbacks[n];
	char who;
	int when, used;

	for (const char *at = tried; sscanf(at, "%c@%d%n", &who, &when, &used) == 2;
	     at += used + (at[used] == ',')) {
		c->tried[c->ntried].agent = who - 'a' + 1;
		c->tried[c->ntried++].at = when * 1000;
	}
	const char *likes = strchr(tried, ':');

	if (likes != NULL) {
		assert_int_equal(sscanf(likes, ":%c+%d", &who, &c->preferred_for_s), 2);
		c->preferred = who - 'a' + 1;
	}
	world_changed(w, n, "callback.changed");
	return n;
}

static void
each_word(struct world *w, const char *text, void (*fn)(struct world *, const char *))
{
	char *copy = xstrdup(text), *save = NULL;

	for (char *word = strtok_r(copy, " ", &save); word != NULL;
	     word = strtok_r(NULL, " ", &save))
		fn(w, word);
	free(copy);
}

static void
make_numbered(struct world *w, const char *text)
{
	make_callback(w, text);
}

static void
run_matches(struct projection *p, int before, struct buf *got)
{
	int64_t next_at = INT64_MAX;
	struct match m;

	while (match_next(p, NOW * 1000, &m, &next_at)) {
		buf_printf(
		    got, "%s%d>", got->len > 0 ? " " : "", world_number(m.callback->id) - before);
		live_propose(p, m.callback);
		for (int i = 0; i < m.n; i++) {
			buf_printf(got, "%s%c", i > 0 ? "+" : "", 'a' + m.agents[i]->id - 1);
			roster_propose(p, m.agents[i]);
		}
	}
	if (next_at != INT64_MAX && got->len == 0)
		buf_printf(got, "next=%d", (int)(next_at / 1000));
}

/* Loaded whole, or told event by event: the answer is the same. */
static void
run_case(size_t i, bool by_events)
{
	struct world *w = world_new(NOW * 1000);
	struct projection *p = by_events ? world_load(w, 100, 100) : NULL;
	struct buf got = { 0 };

	make_queue(w, cases[i].queue);
	each_word(w, cases[i].agents, make_agent);
	int before = w->ncallbacks;

	each_word(w, cases[i].callbacks, make_numbered);
	if (p == NULL)
		p = world_load(w, 100, 100);
	world_feed(w, p);
	buf_puts(&got, "");
	run_matches(p, before, &got);
	if (strcmp(got.data, cases[i].expect) != 0)
		fail_msg("%s (%s): expected \"%s\", got \"%s\"", cases[i].name,
		    by_events ? "events" : "load", cases[i].expect, got.data);
	buf_fini(&got);
	projection_free(p);
	world_free(w);
}

static void
a_case_a_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		run_case(i, false);
		run_case(i, true);
	}
}

/* More agents than are walked, and most of the able ones are the last: every place in the idle order is right. */
static void
many_idle_for_other_work(void **state)
{
	struct world *w = world_new(NOW * 1000);
	int64_t next_at = INT64_MAX;
	struct match m;

	(void)state;
	world_queue(w, 1, "", "ring_all", 50, 0);
	world_class(w, 1, 1, "");
	struct projection *p = world_load(w, 10, 10);
	json_t *skill = json_pack("{s:i}", "1", 5);

	for (int id = 1; id <= 400; id++) {
		json_t *body =
		    json_pack("{s:{s:i,s:i,s:s,s:s,s:o},s:{s:i,s:i,s:s,s:i,s:b,s:s}}", "agent",
			"id", id, "seq", (int)w->seq + id, "name", "n", "role", "agent", "skills",
			id > 200 || id == 10 || id == 20 ? json_deep_copy(skill) : json_object(),
			"status", "agent", id, "seq", (int)w->seq + id, "state", "ready",
			"idle_since_at", id > 200 ? 1000 + (id * 7919) % 200 : id, "connected", 1,
			"node", "00000000-0000-7001-8000-000000000001");
		const char *why;
		char name[16];

		snprintf(name, sizeof(name), "n%d", id);
		json_object_set_new(json_object_get(body, "agent"), "name", json_string(name));
		assert_int_equal(
		    projection_apply(p, projection_seq(p) + 1, "agent.changed", body, &why),
		    PROJECTION_APPLIED);
		json_decref(body);
	}
	json_decref(skill);
	json_t *body = json_pack("{s:{s:i,s:i,s:{s:i}},s:{s:s,s:i,s:s,s:i,s:i,s:i,s:i}}", "class",
	    "id", 2, "queue", 1, "skills", "1", 5, "callback", "id",
	    "00000000-0001-7000-8000-000000000001", "seq", 1000, "state", "scheduled", "class", 2,
	    "priority", 0, "due_at", 1, "promise_at", 1);
	const char *why;

	assert_int_equal(
	    projection_apply(p, projection_seq(p) + 1, "x", body, &why), PROJECTION_APPLIED);
	json_decref(body);
	assert_true(match_next(p, NOW * 1000, &m, &next_at));
	assert_int_equal(m.n, 50);
	assert_int_equal(m.agents[0]->id, 10);
	assert_int_equal(m.agents[1]->id, 20);
	for (int i = 2; i < m.n; i++) {
		assert_int_equal(m.agents[i]->idle_since, 1000 + i - 2);
		assert_true(m.agents[i]->id > 200);
	}
	projection_free(p);
	world_free(w);
}

/* Whose lot is drawn: everybody's as often; by every node the same; for another offer of the same, another. */
static void
lots_are_even_and_everywhere_the_same(void **state)
{
	struct world *w = world_new(NOW * 1000);
	int drawn[6] = { 0 }, before = 0, again = 0;

	(void)state;
	world_queue(w, 1, "", "random", 1, 0);
	world_class(w, 1, 1, "");
	struct projection *fed = world_load(w, 10, 10);

	for (int id = 5; id > 0; id--)
		world_agent(w, id, "", "ready", id);
	for (int i = 0; i < 2000; i++) {
		int n = world_submit(w, 1, 0, 1000, 1000, 0);
		int64_t next_at = INT64_MAX;
		struct match m, same;

		for (int offer = 0; offer < 2; offer++) {
			/* It has another version now. */
			if (offer == 1)
				world_changed(w, n, "callback.changed");
			world_feed(w, fed);
			struct projection *loaded = world_load(w, 10, 10);

			assert_true(match_next(fed, NOW * 1000, &m, &next_at));
			assert_true(match_next(loaded, NOW * 1000, &same, &next_at));
			assert_int_equal(m.n, 1);
			assert_int_equal(m.agents[0]->id, same.agents[0]->id);
			projection_free(loaded);
			if (offer == 0)
				before = m.agents[0]->id;
			drawn[m.agents[0]->id]++;
		}
		again += before == m.agents[0]->id;
		world_finish(w, n, "cancelled");
	}
	/* 4,000 draws among five, by the standard deviation: 800 +- 4 * 25; of 2,000 pairs, 400 +- 4 * 18. */
	for (int id = 1; id <= 5; id++)
		assert_in_range(drawn[id], 700, 900);
	assert_in_range(again, 328, 472);
	projection_free(fed);
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_case_a_line),
		cmocka_unit_test(many_idle_for_other_work),
		cmocka_unit_test(lots_are_even_and_everywhere_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
