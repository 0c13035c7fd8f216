/*
 * test_lane: group commit, bisection and resending against a real PostgreSQL.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/mem.h"
#include "db/lane.h"
#include "db/pace.h"
#include "db/tail.h"
#include "db_fixture.h"

struct ask {
	int answers;
	const char *err;
	char refusal[24];
	uint64_t seq;
	int ord, order; /* place in its batch; and among all answers */
	unsigned in_flight;    /* when it was answered */
	struct ticket *ticket;
	struct ticket *forget; /* in the answer */
	struct lane **free;    /* in the answer */
};

static struct {
	struct pool *pool;
	struct lane *lane;
	struct clock clock;
	uint64_t top; /* of the events, which must have no gap */
	int told;     /* that something had been committed before */
	int answers;
	bool asking;
	struct lane **free; /* when events come */
} bench;

static void
on_events(void *arg, const struct lane_event *e, size_t n)
{
	assert_ptr_equal(arg, &bench);
	if (n == 0) {
		bench.told++;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(e[i].seq, ++bench.top);
		assert_int_equal(e[i].body_len, strlen(e[i].body));
		assert_int_equal(e[i].at_ms, bench.clock.fake_ms);
		assert_true(*e[i].kind != '\0');
	}
	if (bench.free != NULL) {
		lane_free(*bench.free);
		*bench.free = NULL;
	}
}

static void
on_answer(void *arg, const struct lane_answer *answer)
{
	struct ask *a = arg;
	assert_false(bench.asking);
	a->answers++;
	a->order = bench.answers++;
	a->in_flight = pool_counts(bench.pool).in_flight;
	a->err = answer->err;
	if (answer->err == NULL) {
		/* Its event came before. */
		assert_true(answer->seq <= bench.top);
		assert_true(json_is_object(answer->body));
		a->seq = answer->seq;
		a->ord = (int)json_integer_value(json_object_get(answer->body, "ord"));
		snprintf(a->refusal, sizeof(a->refusal), "%s",
		    answer->refusal != NULL ? answer->refusal : "");
	}
	if (a->forget != NULL)
		lane_forget(a->forget);
	if (a->free != NULL) {
		lane_free(*a->free);
		*a->free = NULL;
	}
}

static int
setup(void **state)
{
	int failed = fixture_setup(state);
	memset(&bench, 0, sizeof(bench));
	bench.clock.fake = true;
	bench.clock.fake_ms = 1700000000123;
	bench.pool = pool_new(fixture.base, &fixture.conf);
	bench.lane = lane_new(fixture.base, bench.pool, &bench.clock, 5, on_events, &bench);
	return failed;
}

static int
teardown(void **state)
{
	lane_free(bench.lane);
	pool_free(bench.pool);
	return fixture_teardown(state);
}

static json_t *
element(const char *kind)
{
	char id[ID_TEXT_SIZE];
	json_t *e = json_object();
	id_format(id_new(), id);
	json_object_set_new(e, "id", json_string(id));
	json_object_set_new(e, "callback", json_string(id));
	if (kind != NULL)
		json_object_set_new(e, "kind", json_string(kind));
	return e;
}

static void
execute(struct ask *a, const char *kind)
{
	bench.asking = true;
	*a = (struct ask){ .ticket = lane_execute(bench.lane, element(kind), on_answer, a) };
	bench.asking = false;
	assert_non_null(a->ticket);
}

static void
submit(struct ask *a)
{
	bench.asking = true;
	*a = (struct ask){ .ticket = lane_submit(bench.lane, element(NULL), on_answer, a) };
	bench.asking = false;
	assert_non_null(a->ticket);
}

static int
answered(const struct ask *a, int n)
{
	int sum = 0;
	for (int i = 0; i < n; i++) {
		assert_true(a[i].answers <= 1);
		sum += a[i].answers;
	}
	return sum;
}

static void
accepted(const struct ask *a)
{
	assert_int_equal(a->answers, 1);
	assert_null(a->err);
	assert_string_equal(a->refusal, "");
	assert_true(a->seq > 0);
}

/* A barrier in the database: commands of kind "wait" hold the lane while the gate is shut. */
static void
gate_shut(void)
{
	cluster_run(fixture.cluster, "SELECT pg_advisory_lock(42)");
}

static void
gate_open(void)
{
	cluster_run(fixture.cluster, "SELECT pg_advisory_unlock(42)");
}

static void
test_batch(void **state)
{
	struct ask asks[40];
	(void)state;
	for (int i = 0; i < 40; i++)
		execute(&asks[i], i % 4 == 3 ? "refuse" : i < 20 ? "a" : "b");
	UNTIL(answered(asks, 40) == 40);
	for (int i = 0; i < 40; i++) {
		/* One batch, in order, each its own answer. */
		assert_null(asks[i].err);
		assert_int_equal(asks[i].ord, i);
		assert_int_equal(asks[i].order, i);
		assert_string_equal(asks[i].refusal, i % 4 == 3 ? "stale_version" : "");
		assert_int_equal(asks[i].seq, i % 4 == 3 ? 0 : i - i / 4 + 1);
	}
	struct lane_counts n = lane_counts(bench.lane);
	assert_int_equal(n.batches, 1);
	assert_int_equal(n.commands, 40);
	assert_int_equal(n.submits + n.resent + n.bisected + n.waiting, 0);
	assert_true(n.last_batch_us > 0);
	assert_int_equal(cluster_number(fixture.cluster, "SELECT now_ms FROM call"), 1700000000123);
	/* a a a refuse a a a refuse ... : the runs as the database got them. */
	char *runs = cluster_ask(fixture.cluster,
	    "SELECT string_agg(e->>'run', ' ' ORDER BY o) FROM call,"
	    " json_array_elements(elements) WITH ORDINALITY j(e, o) WHERE o <= 9");
	assert_string_equal(runs, "1 1 1 2 3 3 3 4 5");
	free(runs);
	/* A callback has none. */
	submit(&asks[0]);
	UNTIL(answered(asks, 1) == 1);
	accepted(&asks[0]);
	assert_int_equal(lane_counts(bench.lane).submits, 1);
	assert_int_equal(cluster_number(fixture.cluster,
			     "SELECT count(*) FROM call WHERE what = 'submit' AND elements::text "
			     "NOT LIKE '%run%'"),
	    1);
}

static void
on_read(void *arg, const PGresult *res, const char *err)
{
	struct ask *a = arg;
	a->answers++;
	a->err = err;
	if (err == NULL)
		a->seq = strtoull(PQgetvalue(res, 0, 0), NULL, 10);
}

/* Reads first, then commands, and a submit that waits every second turn. */
static void
test_turns(void **state)
{
	static struct ask first, commands[500], submits[300], read;
	const char *params[] = { "5", "77", "9" };
	(void)state;
	memset(&read, 0, sizeof(read));
	gate_shut();
	execute(&first, "wait");
	UNTIL(pool_counts(bench.pool).in_flight == 1);
	for (int i = 0; i < 300; i++)
		submit(&submits[i]);
	for (int i = 0; i < 500; i++)
		execute(&commands[i], "a");
	assert_non_null(lane_read(bench.lane, STATEMENT_load_events, params, on_read, &read));
	assert_int_equal(lane_counts(bench.lane).waiting, 801);
	gate_open();
	UNTIL(answered(&first, 1) + answered(commands, 500) + answered(submits, 300) +
		answered(&read, 1) ==
	    802);
	accepted(&first);
	assert_int_equal(read.seq, 77);
	for (int i = 1; i < 500; i++)
		assert_true(commands[i].order > commands[i - 1].order);
	for (int i = 1; i < 300; i++)
		assert_true(submits[i].order > submits[i - 1].order);
	char *turns = cluster_ask(
	    fixture.cluster, "SELECT string_agg(left(what, 1), '' ORDER BY n) FROM call");
	/* execute(wait), then the read; from then on they alternate while both wait. */
	assert_memory_equal(turns, "er", 2);
	size_t n = strlen(turns), last_submit = (size_t)(strrchr(turns, 's') - turns);
	assert_true(n > 6);
	for (size_t i = 3; i <= last_submit && strchr(turns + i, 'e') != NULL; i++)
		assert_true(turns[i] != turns[i - 1]);
	free(turns);
	/* No more at once than the pace allows. */
	assert_int_equal(cluster_number(fixture.cluster,
			     "SELECT json_array_length(elements) FROM call WHERE what = 'submit' "
			     "ORDER BY n LIMIT 1"),
	    PACE_START);
}

static void
test_bisect(void **state)
{
	static struct ask asks[64];
	(void)state;
	for (int i = 0; i < 64; i++)
		execute(&asks[i], i == 11 || i == 50 ? "poison" : "a");
	UNTIL(answered(asks, 64) == 64);
	for (int i = 0; i < 64; i++) {
		assert_int_equal(asks[i].order, i);
		if (i == 11 || i == 50)
			assert_ptr_equal(asks[i].err, lane_err_failed);
		else
			accepted(&asks[i]);
	}
	assert_int_equal(lane_counts(bench.lane).bisected, 11);
	assert_int_equal(bench.top, 62);
	assert_int_equal(cluster_number(fixture.cluster, "SELECT count(*) FROM event"), 62);
	/* Halves get runs of their own, from 1. */
	assert_int_equal(cluster_number(fixture.cluster,
			     "SELECT count(*) FROM call"
			     " WHERE elements->0->>'run' <> '1'"),
	    0);
}

static void
test_clock_skew(void **state)
{
	struct ask asks[8];
	(void)state;
	for (int i = 0; i < 8; i++)
		execute(&asks[i], i == 5 ? "skew" : "a");
	UNTIL(answered(asks, 8) == 8);
	for (int i = 0; i < 8; i++)
		assert_ptr_equal(asks[i].err, lane_err_down);
	assert_int_equal(lane_counts(bench.lane).bisected, 0);
	assert_int_equal(bench.top, 0);
}

/* What waited for a connection longer than its time was good for is said again, with the present time. */
static void
test_stale_time(void **state)
{
	struct ask asks[3];
	(void)state;
	cluster_crash(fixture.cluster);
	UNTIL(!pool_ready(bench.pool));
	for (int i = 0; i < 3; i++)
		execute(&asks[i], i == 1 ? "late" : "a");
	UNTIL(lane_counts(bench.lane).waiting == 0);
	bench.clock.fake_ms += 5000;
	UNTIL(cluster_revive(fixture.cluster));
	UNTIL(answered(asks, 3) == 3);
	for (int i = 0; i < 3; i++)
		accepted(&asks[i]);
	assert_int_equal(cluster_number(fixture.cluster, "SELECT count(*) FROM event"), 3);
}

static void
test_deadlock(void **state)
{
	struct ask asks[3];
	(void)state;
	for (int i = 0; i < 3; i++)
		execute(&asks[i], i == 1 ? "deadlock" : "a");
	UNTIL(answered(asks, 3) == 3);
	for (int i = 0; i < 3; i++)
		accepted(&asks[i]);
	assert_int_equal(lane_counts(bench.lane).bisected, 0);
}

/* The backend dies after the commit and before the answer: the same ids again, one event each. */
static void
test_commit_then_lost(void **state)
{
	struct ask asks[5];
	(void)state;
	for (int i = 0; i < 5; i++)
		execute(&asks[i], i == 2 ? "hang" : "a");
	UNTIL(cluster_number(fixture.cluster,
		  "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == 1);
	assert_int_equal(answered(asks, 5), 0);
	assert_int_equal(cluster_number(fixture.cluster,
			     "SELECT pg_terminate_backend(pid)::int FROM pg_stat_activity WHERE "
			     "wait_event = 'SyncRep'"),
	    1);
	/* The second sending writes nothing, so the events are not ours to hear. */
	bench.top = 5;
	UNTIL(answered(asks, 5) == 5);
	for (int i = 0; i < 5; i++) {
		accepted(&asks[i]);
		assert_int_equal(asks[i].seq, i + 1);
	}
	assert_int_equal(bench.told, 1);
	assert_int_equal(lane_counts(bench.lane).resent, 1);
	assert_int_equal(cluster_number(fixture.cluster, "SELECT count(*) FROM event"), 5);
	assert_int_equal(cluster_number(fixture.cluster, "SELECT count(*) FROM call"), 2);
	assert_int_equal(cluster_number(fixture.cluster,
			     "SELECT count(DISTINCT (SELECT string_agg(e->>'id', ' ')"
			     " FROM json_array_elements(elements) e)) FROM call"),
	    1);
}

/* Under load across a crash: every command accepted once, one event each, none lost. */
static void
test_restart(void **state)
{
	static struct ask asks[6000];
	int sent = 0;
	bool crashed = false, revived = false;
	(void)state;
	while (sent < 6000 || answered(asks, sent) < 6000) {
		for (int i = 0; i < 40 && sent < 6000; i++, sent++)
			if (sent % 3 == 0)
				submit(&asks[sent]);
			else
				execute(&asks[sent], "a");
		if (!crashed && bench.answers > 2000) {
			cluster_crash(fixture.cluster);
			crashed = true;
		}
		if (crashed && !revived && !pool_ready(bench.pool)) {
			revived = cluster_revive(fixture.cluster);
			/* Events of a batch that committed unheard would be a gap. */
			if (revived)
				bench.top = (uint64_t)cluster_number(
				    fixture.cluster, "SELECT max(seq) FROM event");
		}
		loop_turn();
	}
	assert_true(revived);
	for (int i = 0; i < 6000; i++)
		accepted(&asks[i]);
	assert_int_equal(cluster_number(fixture.cluster, "SELECT count(*) FROM event"), 6000);
}

static void
test_patience(void **state)
{
	struct ask first, waiting[3], read = { .answers = 0 };
	const char *params[] = { "5", "77", "9" };
	(void)state;
	/* Long enough for a busy machine to queue the others well before the first is given up. */
	lane_patience(bench.lane, 2000);
	gate_shut();
	/* In flight too long; and what waited behind it too long is not sent at all. */
	execute(&first, "wait");
	UNTIL(pool_counts(bench.pool).in_flight == 1);
	for (int i = 0; i < 3; i++)
		submit(&waiting[i]);
	lane_patience(bench.lane, 100);
	UNTIL(answered(&first, 1) + answered(waiting, 3) == 4);
	assert_ptr_equal(first.err, lane_err_down);
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(waiting[i].err, lane_err_down);
	assert_int_equal(pool_counts(bench.pool).sent, 1);
	gate_open();
	/* Without a database at all. */
	UNTIL(pool_counts(bench.pool).in_flight == 0);
	cluster_crash(fixture.cluster);
	UNTIL(!pool_ready(bench.pool));
	execute(&first, "a");
	UNTIL(answered(&first, 1) == 1);
	assert_ptr_equal(first.err, lane_err_down);
	assert_non_null(lane_read(bench.lane, STATEMENT_load_events, params, on_read, &read));
	UNTIL(read.answers == 1);
	assert_ptr_equal(read.err, pool_err_lost);
	/* And it goes on when it is back; what was given up was never sent. */
	lane_patience(bench.lane, 30000);
	UNTIL(cluster_revive(fixture.cluster));
	bench.top =
	    (uint64_t)cluster_number(fixture.cluster, "SELECT coalesce(max(seq), 0) FROM event");
	execute(&first, "b");
	UNTIL(answered(&first, 1) == 1);
	accepted(&first);
	assert_int_equal(
	    cluster_number(fixture.cluster, "SELECT count(*) FROM event WHERE kind = 'a'"), 0);
	assert_int_equal(
	    cluster_number(fixture.cluster, "SELECT count(*) FROM call WHERE what = 'read'"), 0);
}

static void
test_full(void **state)
{
	static struct ask asks[10000];
	struct ask late;
	bool learnt = false;
	const char *params[] = { "5", "77", "9" };
	(void)state;
	for (int i = 0; i < 10000; i++)
		submit(&asks[i]);
	assert_null(lane_submit(bench.lane, element(NULL), on_answer, &late));
	assert_null(lane_execute(bench.lane, element("a"), on_answer, &late));
	assert_null(lane_read(bench.lane, STATEMENT_load_events, params, on_read, &late));
	lane_forget(asks[3].ticket);
	execute(&late, "a");
	/* Which way it learns is the machine's to say (test_batch knows what is right), but it does. */
	while (answered(asks, 10000) + answered(&late, 1) < 10000) {
		loop_turn();
		learnt |= lane_counts(bench.lane).batch_limit != PACE_START;
	}
	assert_true(learnt);
	assert_int_equal(asks[3].answers, 0);
	assert_int_equal(bench.top, 10000);
	assert_true(lane_counts(bench.lane).batches < 10000 / PACE_MIN);
}

/* The pool takes nothing for a while: the lane asks again. */
static void
test_pool_full(void **state)
{
	struct ask a, b = { .answers = 0 };
	const char *params[] = { "x", NULL };
	(void)state;
	teardown(state);
	setup(state);
	lane_free(bench.lane);
	pool_free(bench.pool);
	fixture.conf.queue_depth = 1;
	bench.pool = pool_new(fixture.base, &fixture.conf);
	bench.lane = lane_new(fixture.base, bench.pool, &bench.clock, 5, on_events, &bench);
	struct query *q = pool_send(bench.pool, STATEMENT_load_credential, params, on_read, &b);
	assert_non_null(q);
	execute(&a, "a");
	UNTIL(answered(&a, 1) == 1 && b.answers > 0);
	accepted(&a);
	assert_int_equal(b.answers, 1);
}

static void
test_forget(void **state)
{
	struct ask first, flying, asks[10], read = { .answers = 0 };
	const char *params[] = { "5", "77", "9" };
	(void)state;
	gate_shut();
	execute(&first, "wait");
	execute(&flying, "a");
	UNTIL(pool_counts(bench.pool).in_flight == 1);
	for (int i = 0; i < 10; i++)
		execute(&asks[i], "a");
	struct ticket *t = lane_read(bench.lane, STATEMENT_load_events, params, on_read, &read);
	lane_forget(t);
	lane_forget(flying.ticket);	 /* sent: happens, unheard */
	lane_forget(asks[4].ticket);	 /* never sent */
	asks[5].forget = asks[6].ticket; /* of the same batch */
	asks[7].forget = asks[7].ticket; /* itself, in its own answer */
	gate_open();
	UNTIL(answered(asks, 10) == 8);
	UNTIL(lane_counts(bench.lane).batches == 2);
	assert_int_equal(asks[4].answers + asks[6].answers + flying.answers + read.answers, 0);
	assert_int_equal(cluster_number(fixture.cluster, "SELECT count(*) FROM event"), 2 + 9);
	assert_int_equal(
	    cluster_number(fixture.cluster, "SELECT count(*) FROM call WHERE what = 'read'"), 0);
	/* Nobody asks from the beginning. */
	assert_non_null(lane_execute(bench.lane, element("a"), NULL, NULL));
	UNTIL(lane_counts(bench.lane).batches == 3);
	assert_int_equal(bench.top, 12);
}

/* Answers to what was never asked, or none: failed, not crashed, and the next batch is fine. */
static void
test_malformed(void **state)
{
	struct ask asks[3];
	(void)state;
	execute(&asks[0], "mute");
	execute(&asks[1], "a");
	UNTIL(answered(asks, 2) == 2);
	assert_ptr_equal(asks[0].err, lane_err_failed);
	assert_ptr_equal(asks[1].err, lane_err_failed);
	bench.top = 1;
	execute(&asks[2], "a");
	UNTIL(answered(&asks[2], 1) == 1);
	accepted(&asks[2]);
}

static void
test_lane_free(void **state)
{
	struct ask first, asks[6], read = { .answers = 0 };
	const char *params[] = { "5", "77", "9" };
	(void)state;
	gate_shut();
	execute(&first, "wait");
	UNTIL(pool_counts(bench.pool).in_flight == 1);
	for (int i = 0; i < 3; i++)
		execute(&asks[i], "a");
	for (int i = 3; i < 6; i++)
		submit(&asks[i]);
	assert_non_null(lane_read(bench.lane, STATEMENT_load_events, params, on_read, &read));
	asks[0].forget = asks[1].ticket;
	lane_free(bench.lane);
	gate_open();
	assert_ptr_equal(first.err, lane_err_down);
	assert_ptr_equal(read.err, pool_err_stopping);
	assert_int_equal(answered(asks, 6), 5);
	UNTIL(pool_counts(bench.pool).in_flight == 0);
	bench.lane = NULL;
}

/*
 * Freed by an answer, or when its events come: the rest is told so at once, and
 * nothing is touched after.
 */
static void
test_free_inside(void **state)
{
	struct ask asks[5];
	(void)state;
	for (int i = 0; i < 3; i++)
		execute(&asks[i], "a");
	UNTIL(pool_counts(bench.pool).in_flight == 1);
	asks[1].free = &bench.lane;
	for (int i = 3; i < 5; i++)
		submit(&asks[i]);
	UNTIL(answered(asks, 5) == 5);
	assert_null(bench.lane);
	accepted(&asks[0]);
	accepted(&asks[1]);
	for (int i = 2; i < 5; i++)
		assert_ptr_equal(asks[i].err, lane_err_down);
	bench.lane = lane_new(fixture.base, bench.pool, &bench.clock, 6, on_events, &bench);
	bench.top = 0;
	bench.free = &bench.lane;
	execute(&asks[0], "a");
	UNTIL(answered(asks, 1) == 1);
	assert_ptr_equal(asks[0].err, lane_err_down);
	assert_null(bench.lane);
	/* What the lane had sent may still be running, and would write into the next test. */
	UNTIL(pool_counts(bench.pool).in_flight == 0);
}

/* PostgreSQL has the next batch by the time that the last one is told. */
static void
test_next_goes_first(void **state)
{
	struct ask first, next;
	(void)state;
	gate_shut();
	execute(&first, "wait");
	UNTIL(pool_counts(bench.pool).in_flight == 1);
	execute(&next, "a");
	gate_open();
	UNTIL(answered(&first, 1) + answered(&next, 1) == 2);
	accepted(&first);
	accepted(&next);
	assert_int_equal(first.in_flight, 1);
	assert_int_equal(next.in_flight, 0);
	assert_true(first.order < next.order);
}

static int notices;

static void
on_tail_ready(void *arg)
{
	*(bool *)arg = true;
}

static void
on_tail_notice(void *arg, int tenant_id, uint64_t seq)
{
	(void)arg;
	assert_int_equal(tenant_id, 5);
	assert_int_equal(seq, bench.top);
	notices++;
}

/* Nobody is woken while one node is alive, nor by a batch that wrote nothing. */
static void
test_notify(void **state)
{
	static const struct tail_handlers handlers = { .on_ready = on_tail_ready,
		.on_notice = on_tail_notice };
	struct ask asks[3];
	bool ready = false;
	(void)state;
	notices = 0;
	struct tail *tail = tail_new(fixture.base, &fixture.conf, &handlers, &ready);
	UNTIL(ready);
	uint64_t sent = pool_counts(bench.pool).sent;
	execute(&asks[0], "a");
	UNTIL(answered(asks, 1) == 1);
	lane_peers(bench.lane, 2);
	execute(&asks[1], "refuse");
	UNTIL(answered(asks, 2) == 2);
	execute(&asks[2], "a");
	UNTIL(notices > 0);
	assert_int_equal(notices, 1);
	assert_int_equal(pool_counts(bench.pool).sent, sent + 4);
	tail_free(tail);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_batch),
		TEST(test_turns),
		TEST(test_bisect),
		TEST(test_clock_skew),
		TEST(test_stale_time),
		TEST(test_deadlock),
		TEST(test_commit_then_lost),
		TEST(test_restart),
		TEST(test_patience),
		TEST(test_full),
		TEST(test_pool_full),
		TEST(test_forget),
		TEST(test_malformed),
		TEST(test_lane_free),
		TEST(test_free_inside),
		TEST(test_next_goes_first),
		TEST(test_notify),
	};
	return cmocka_run_group_tests_name(
	    "lane", tests, fixture_group_setup, fixture_group_teardown);
}
