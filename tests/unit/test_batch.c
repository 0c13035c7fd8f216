/*
 * test_batch: run numbers, and the pace of batches.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "db/pace.h"
#include "db/runs.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* run numbers */

static const struct {
	const char *name, *commands, *runs;
} run_cases[] = {
	{ "distinct rows", "[{'kind':'a','callback':'1'},{'kind':'a','callback':'2'}]", "1 1 " },
	{ "another kind",
	    "[{'kind':'a','callback':'1'},{'kind':'b','callback':'2'},{'kind':'a','callback':'3'}]",
	    "1 2 3 " },
	{ "callback again",
	    "[{'kind':'a','callback':'1'},{'kind':'a','callback':'2'},{'kind':'a','callback':'1'},"
	    "{'kind':'a','callback':'2'}]",
	    "1 1 2 2 " },
	{ "attempt again", "[{'kind':'a','attempt':'1'},{'kind':'a','attempt':'1'}]", "1 2 " },
	{ "agent again", "[{'kind':'a','agent':1},{'kind':'a','agent':2},{'kind':'a','agent':1}]",
	    "1 1 2 " },
	{ "by is an agent", "[{'kind':'a','agent':1},{'kind':'a','by':1}]", "1 2 " },
	{ "by himself", "[{'kind':'a','agent':1,'by':1},{'kind':'a','agent':2,'by':2}]", "1 1 " },
	{ "a number is no text", "[{'kind':'a','agent':1},{'kind':'a','callback':'1'}]", "1 1 " },
	{ "no keys", "[{'kind':'a'},{'kind':'a'},{'agent':null},{}]", "1 1 2 2 " },
	{ "to",
	    "[{'kind':'offer','callback':'1','to':[{'offer':'a','agent':1},{'offer':'b','agent':2}]"
	    "},"
	    "{'kind':'offer','callback':'2','to':[{'offer':'c','agent':3}]},"
	    "{'kind':'offer','callback':'3','to':[{'offer':'d','agent':4},{'offer':'e','agent':2}]}"
	    "]",
	    "1 1 2 " },
	{ "offer in to", "[{'kind':'x','offer':'a'},{'kind':'x','to':[{'offer':'a'}]}]", "1 2 " },
	{ "accept with callback",
	    "[{'kind':'accept','callback':'1','offer':'a','by':1},"
	    "{'kind':'accept','callback':'2','offer':'b','by':2},{'kind':'accept','callback':'1','"
	    "offer':'c','by':3}]",
	    "1 1 2 " },
	{ "accept without",
	    "[{'kind':'accept','offer':'a','by':1},{'kind':'accept','offer':'b','by':2}]", "1 2 " },
	{ "reject without, then with",
	    "[{'kind':'reject','offer':'a','by':1},"
	    "{'kind':'reject','callback':'2','offer':'b','by':2},{'kind':'reject','callback':'3','"
	    "offer':'c','by':3}]",
	    "1 2 2 " },
	{ "offer_timeout with, then without",
	    "[{'kind':'offer_timeout','callback':'1','offer':'a'},"
	    "{'kind':'offer_timeout','offer':'b'}]",
	    "1 2 " },
	{ "the same command twice", "[{'kind':'a','id':'1'},{'kind':'a','id':'1'}]", "1 2 " },
	{ "odd types", "[{'kind':7,'callback':[],'agent':'x','to':7},{'kind':null,'to':[7,{}]}]",
	    "1 1 " },
};

static void
test_runs(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(run_cases); i++) {
		char text[1000], runs_text[64] = "";
		struct runs runs;
		json_t *commands, *command;
		size_t at;
		snprintf(text, sizeof(text), "%s", run_cases[i].commands);
		for (char *c = text; *c != '\0'; c++)
			*c = *c == '\'' ? '"' : *c;
		commands = json_loads(text, 0, NULL);
		assert_non_null(commands);
		runs_init(&runs);
		json_array_foreach (commands, at, command)
			snprintf(runs_text + strlen(runs_text),
			    sizeof(runs_text) - strlen(runs_text), "%d ",
			    runs_next(&runs, command));
		runs_fini(&runs);
		json_decref(commands);
		if (strcmp(runs_text, run_cases[i].runs) != 0)
			fail_msg("%s: %s", run_cases[i].name, runs_text);
	}
}

/* Against the plain way: every earlier command of the run, compared one by one. */
static void
test_runs_random(void **state)
{
	struct runs runs;
	json_t *past = json_array();
	unsigned seed = 1;
	int run = 0;
	(void)state;
	runs_init(&runs);
	for (int i = 0; i < 3000; i++) {
		char callback[16];
		seed = seed * 1664525u + 1013904223u;
		snprintf(callback, sizeof(callback), "c%u", (seed >> 8) % 400);
		int agent = (int)((seed >> 18) % 500);
		json_t *command = json_pack("{s:s,s:s,s:i}", "kind",
		    (seed >> 8) % 97 == 0 ? "a" : "b", "callback", callback, "agent", agent);
		bool fresh = json_array_size(past) == 0;
		for (size_t j = 0; j < json_array_size(past) && !fresh; j++) {
			json_t *other = json_array_get(past, j);
			fresh = !json_equal(json_object_get(other, "kind"),
				    json_object_get(command, "kind")) ||
			    json_equal(json_object_get(other, "callback"),
				json_object_get(command, "callback")) ||
			    json_equal(
				json_object_get(other, "agent"), json_object_get(command, "agent"));
		}
		if (fresh) {
			json_array_clear(past);
			run++;
		}
		json_array_append_new(past, command);
		assert_int_equal(runs_next(&runs, command), run);
	}
	runs_fini(&runs);
	json_decref(past);
}

/* pace */

static unsigned
pace_settle(double fixed_us, double per_us)
{
	struct pace p;
	unsigned seed = 7;
	pace_init(&p);
	for (int i = 0; i < 300; i++) {
		/* Up to 10 % of noise; every fifth batch is not full. */
		seed = seed * 1664525u + 1013904223u;
		unsigned n = i % 5 == 4 && p.limit > 3 ? p.limit / 3 : p.limit;
		pace_learn(
		    &p, n, (int64_t)((fixed_us + per_us * n) * (1 + (seed >> 8) % 100 / 1000.0)));
		assert_in_range(p.limit, PACE_MIN, PACE_MAX);
	}
	return p.limit;
}

static void
test_pace(void **state)
{
	(void)state;
	assert_in_range(pace_settle(300, 50), 60, 130);
	assert_in_range(pace_settle(500, 13), 230, 500);
	assert_int_equal(pace_settle(200, 1), PACE_MAX);
	assert_int_equal(pace_settle(1000, 20000), PACE_MIN);
	/* A slow disk is no reason for small batches. */
	assert_in_range(pace_settle(10000, 13), 100, 400);
}

/*
 * A disk that needs 3 to 23 ms whatever it is given, and everything full all the
 * time: batches of one, which were once the end of it, would take 12 ms each.
 */
static void
test_pace_noise(void **state)
{
	(void)state;
	struct pace p;
	unsigned seed = 7, sum = 0;

	pace_init(&p);
	for (int i = 0; i < 5000; i++) {
		seed = seed * 1664525u + 1013904223u;
		pace_learn(&p, p.limit, 3000 + 300 * (int64_t)p.limit + (seed >> 8) % 20000);
		assert_in_range(p.limit, PACE_MIN, PACE_MAX);
		sum += i >= 4000 ? p.limit : 0;
	}
	assert_in_range(sum / 1000, PACE_MIN, 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runs),
		cmocka_unit_test(test_runs_random),
		cmocka_unit_test(test_pace),
		cmocka_unit_test(test_pace_noise),
	};
	return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
