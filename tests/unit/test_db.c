/*
 * test_db: the pool, the tail and the lease against a real PostgreSQL.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/mem.h"
#include "db/lease.h"
#include "db/pool.h"
#include "db/tail.h"
#include "db_fixture.h"

/* One query and what became of it. */
struct ask {
	char word[24];
	const char *how;
	int answers;
	bool right;   /* the answer was the word */
	char err[32]; /* "" for none */
	struct query *query;
	struct query *forget; /* in the answer */
	struct pool *again;   /* asked in the answer */
	bool refused;	      /* and the pool took it not */
};
static bool sending;

static void
on_asked(void *arg, const PGresult *res, const char *err)
{
	struct ask *a = arg;
	assert_false(sending);
	a->answers++;
	snprintf(a->err, sizeof(a->err), "%s", err != NULL ? err : "");
	a->right =
	    err == NULL && PQntuples(res) == 1 && strcmp(PQgetvalue(res, 0, 0), a->word) == 0;
	if (a->forget != NULL)
		pool_forget(a->forget);
	if (a->again != NULL)
		a->refused = pool_send(a->again, STATEMENT_load_nodes, NULL, NULL, NULL) == NULL;
}

static bool
ask(struct pool *p, struct ask *a, int word, const char *how)
{
	const char *params[] = { a->word, how };
	snprintf(a->word, sizeof(a->word), "word-%d", word);
	a->how = how;
	sending = true;
	a->query = pool_send(p, STATEMENT_load_credential, params, on_asked, a);
	sending = false;
	return a->query != NULL;
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
test_pool_mixed(void **state)
{
	static struct ask asks[1000];
	struct pool *p = pool_new(fixture.base, &fixture.conf);
	(void)state;
	memset(asks, 0, sizeof(asks));
	for (int i = 0; i < 1000; i++)
		assert_true(ask(p, &asks[i], i,
		    i % 10 == 3	     ? "fail"
			: i % 7 == 0 ? "notice"
				     : NULL));
	UNTIL(answered(asks, 1000) == 1000);
	for (int i = 0; i < 1000; i++) {
		assert_string_equal(asks[i].err, i % 10 == 3 ? "22012" : "");
		assert_int_equal(asks[i].right, i % 10 != 3);
	}
	struct pool_counts n = pool_counts(p);
	assert_int_equal(n.sent, 1000);
	assert_int_equal(n.failed, 100);
	assert_int_equal(n.lost + n.reconnects + n.waiting + n.in_flight, 0);
	UNTIL(pool_counts(p).connections == 3);
	pool_free(p);
}

static void
test_pool_settings(void **state)
{
	struct pool *p;
	char conninfo[300];
	(void)state;
	snprintf(conninfo, sizeof(conninfo), "%s options='-c work_mem=1234kB -c jit=on'",
	    fixture.conf.conninfo);
	fixture.conf.conninfo = conninfo;
	fixture.conf.statement_timeout_ms = 400;
	cluster_run(fixture.cluster,
	    "CREATE OR REPLACE FUNCTION callbackd.company_show(text) RETURNS text LANGUAGE sql AS"
	    " 'SELECT current_setting($1)'");
	p = pool_new(fixture.base, &fixture.conf);
	static const char *const settings[][2] = {
		{ "work_mem", "1234kB" },
		{ "jit", "off" },
		{ "TimeZone", "UTC" },
		{ "statement_timeout", "400ms" },
		{ "search_path", "callbackd,public" },
		{ "application_name", "callbackd" },
		{ "client_encoding", "UTF8" },
	};
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		struct ask a = { .answers = 0 };
		snprintf(a.word, sizeof(a.word), "%s", settings[i][1]);
		assert_non_null(
		    pool_send(p, STATEMENT_company_show, &settings[i][0], on_asked, &a));
		UNTIL(a.answers == 1);
		if (!a.right)
			fail_msg("%s is not %s", settings[i][0], settings[i][1]);
	}
	/* The server's own limit comes before the watchdog: the connection stays. */
	struct ask slow = { .answers = 0 };
	cluster_run(fixture.cluster, "SELECT pg_advisory_lock(42)");
	assert_true(ask(p, &slow, 1, "wait"));
	UNTIL(slow.answers == 1);
	assert_string_equal(slow.err, "57014");
	assert_int_equal(pool_counts(p).reconnects, 0);
	pool_free(p);
}

static void
test_pool_full(void **state)
{
	struct ask asks[17] = { { .answers = 0 } };
	const char *beat[] = { "01890a5d-ac96-774b-bcce-b302099a8057", "n", "300" };
	(void)state;
	fixture.conf.queue_depth = 16;
	struct pool *p = pool_new(fixture.base, &fixture.conf);
	for (int i = 0; i < 16; i++)
		assert_true(ask(p, &asks[i], i, NULL));
	assert_false(ask(p, &asks[16], 16, NULL));
	assert_int_equal(pool_counts(p).waiting, 16);
	/* A heartbeat always finds room. */
	assert_non_null(pool_send(p, STATEMENT_node_beat, beat, NULL, NULL));
	UNTIL(answered(asks, 16) == 16);
	assert_int_equal(asks[16].answers, 0);
	assert_true(ask(p, &asks[16], 16, NULL));
	UNTIL(asks[16].right);
	pool_free(p);
}

static void
test_pool_forget(void **state)
{
	struct ask a = { .answers = 0 }, b = a, c = a, d = a;
	(void)state;
	fixture.conf.pool_size = 1;
	struct pool *p = pool_new(fixture.base, &fixture.conf);
	/* Waiting: never sent. */
	assert_true(ask(p, &a, 1, NULL));
	pool_forget(a.query);
	assert_int_equal(pool_counts(p).waiting, 0);
	/* In flight: runs out. And a neighbour, from the answer before it. */
	cluster_run(fixture.cluster, "SELECT pg_advisory_lock(42)");
	assert_true(ask(p, &b, 2, "wait"));
	assert_true(ask(p, &c, 3, NULL));
	assert_true(ask(p, &d, 4, NULL));
	UNTIL(pool_counts(p).in_flight == 3);
	pool_forget(b.query);
	c.forget = d.query;
	cluster_run(fixture.cluster, "SELECT pg_advisory_unlock(42)");
	UNTIL(pool_counts(p).in_flight == 0);
	assert_int_equal(a.answers + b.answers + d.answers, 0);
	assert_true(c.right);
	assert_int_equal(pool_counts(p).sent, 3);
	pool_free(p);
}

static void
test_pool_stopping(void **state)
{
	struct ask asks[30] = { { .answers = 0 } };
	(void)state;
	fixture.conf.pool_size = 1;
	struct pool *p = pool_new(fixture.base, &fixture.conf);
	cluster_run(fixture.cluster, "SELECT pg_advisory_lock(42)");
	for (int i = 0; i < 30; i++)
		assert_true(ask(p, &asks[i], i, "wait"));
	UNTIL(pool_counts(p).in_flight > 0);
	asks[0].forget = asks[1].query;	 /* in flight */
	asks[2].forget = asks[29].query; /* waiting */
	asks[3].again = p;
	pool_free(p);
	for (int i = 0; i < 30; i++) {
		assert_int_equal(asks[i].answers, i != 1 && i != 29);
		assert_string_equal(asks[i].err, i != 1 && i != 29 ? pool_err_stopping : "");
	}
	assert_true(asks[3].refused);
}

struct watch {
	int up, down;
};

static void
on_ready_change(void *arg, bool ready)
{
	struct watch *w = arg;
	if (ready)
		w->up++;
	else
		w->down++;
	assert_int_equal(w->up - w->down, ready);
}

static void
test_pool_restart(void **state)
{
	static struct ask asks[20000];
	struct watch w = { 0, 0 };
	int sent = 0, lost = 0;
	bool crashed = false, revived = false;
	(void)state;
	memset(asks, 0, sizeof(asks));
	fixture.conf.queue_depth = 64;
	struct pool *p = pool_new(fixture.base, &fixture.conf);
	pool_watch(p, on_ready_change, &w);
	while (answered(asks, sent) < 20000) {
		while (sent < 20000 && ask(p, &asks[sent], sent, sent % 11 == 0 ? "fail" : NULL))
			sent++;
		if (!crashed && pool_counts(p).sent > 5000) {
			cluster_crash(fixture.cluster);
			crashed = true;
		}
		if (crashed && !revived && pool_counts(p).connections == 0)
			revived = cluster_revive(fixture.cluster);
		loop_turn();
	}
	for (int i = 0; i < 20000; i++) {
		if (strcmp(asks[i].err, pool_err_lost) == 0)
			lost++;
		else
			assert_true(asks[i].right || strcmp(asks[i].err, "22012") == 0);
	}
	assert_true(revived);
	assert_int_equal(w.up, 2);
	assert_int_equal(w.down, 1);
	assert_int_equal(pool_counts(p).lost, lost);
	assert_true(lost <= 3 * 8);
	assert_true(pool_counts(p).reconnects >= 3);
	pool_free(p);
}

/* A server that hears and does not answer, nor minds its own limit. */
static void
test_pool_watchdog(void **state)
{
	struct ask a = { .answers = 0 }, b = a;
	(void)state;
	fixture.conf.pool_size = 1;
	fixture.conf.statement_timeout_ms = 300;
	struct pool *p = pool_new(fixture.base, &fixture.conf);
	UNTIL(pool_ready(p));
	pid_t backend = (pid_t)cluster_number(fixture.cluster,
	    "SELECT pid FROM pg_stat_activity WHERE application_name = 'callbackd'");
	assert_true(backend > 0);
	kill(backend, SIGSTOP);
	int64_t asked_at = clock_mono_ms();
	assert_true(ask(p, &a, 1, NULL));
	UNTIL(a.answers == 1);
	kill(backend, SIGCONT);
	assert_string_equal(a.err, pool_err_lost);
	assert_true(clock_mono_ms() - asked_at >= 2300);
	assert_true(ask(p, &b, 2, NULL));
	UNTIL(b.right);
	assert_int_equal(pool_counts(p).reconnects, 1);
	pool_free(p);
}

/* The server no longer knows our statements: only a new connection helps. */
static void
test_pool_stale(void **state)
{
	struct ask a = { .answers = 0 }, b = a;
	(void)state;
	fixture.conf.pool_size = 1;
	struct pool *p = pool_new(fixture.base, &fixture.conf);
	assert_true(ask(p, &a, 1, "stale"));
	assert_true(ask(p, &b, 2, NULL));
	UNTIL(a.answers == 1 && b.answers == 1);
	assert_string_equal(a.err, pool_err_lost);
	assert_string_equal(b.err, pool_err_lost);
	memset(&b, 0, sizeof(b));
	/* The type of a prepared statement's result changes under us. */
	cluster_run(fixture.cluster,
	    "DROP FUNCTION callbackd.load_nodes();"
	    "CREATE FUNCTION callbackd.load_nodes() RETURNS text LANGUAGE sql AS $$ SELECT "
	    "'word-9' $$");
	snprintf(b.word, sizeof(b.word), "word-9");
	for (int tries = 0; !b.right; tries++) {
		assert_true(tries < 2);
		b.answers = 0;
		assert_non_null(pool_send(p, STATEMENT_load_nodes, NULL, on_asked, &b));
		UNTIL(b.answers == 1);
	}
	pool_free(p);
}

/* A schema that lacks a function: never ready, and says which (in the log). */
static void
test_pool_unprepared(void **state)
{
	struct ask a = { .answers = 0 };
	(void)state;
	cluster_run(fixture.cluster,
	    "ALTER FUNCTION callbackd.load_callback(int, uuid) RENAME TO elsewhere");
	struct pool *p = pool_new(fixture.base, &fixture.conf);
	assert_true(ask(p, &a, 1, NULL));
	int64_t since = clock_mono_ms();
	UNTIL(clock_mono_ms() - since > 300);
	assert_false(pool_ready(p));
	assert_int_equal(a.answers, 0);
	cluster_run(fixture.cluster,
	    "ALTER FUNCTION callbackd.elsewhere(int, uuid) RENAME TO load_callback");
	UNTIL(a.right);
	pool_free(p);
}

/* tail */

struct listener {
	int ready, notices, tenant_id;
	uint64_t seq;
};

static void
on_tail_ready(void *arg)
{
	((struct listener *)arg)->ready++;
}

static void
on_tail_notice(void *arg, int tenant_id, uint64_t seq)
{
	struct listener *t = arg;
	t->notices++;
	t->tenant_id = tenant_id;
	t->seq = seq;
}

static const struct tail_handlers tail_handlers = { .on_ready = on_tail_ready,
	.on_notice = on_tail_notice };

static void
test_tail(void **state)
{
	struct listener heard = { .ready = 0 };
	const char *notify[] = { "7", "18446744073709551615" };
	(void)state;
	struct tail *t = tail_new(fixture.base, &fixture.conf, &tail_handlers, &heard);
	struct pool *p = pool_new(fixture.base, &fixture.conf);
	UNTIL(heard.ready == 1);
	/* What is none of ours is passed over. */
	cluster_run(fixture.cluster,
	    "NOTIFY callbackd; NOTIFY callbackd, 'x:1'; NOTIFY callbackd, '1:';"
	    " NOTIFY callbackd, '99999999999:1'; NOTIFY callbackd, '1:2x'; NOTIFY other, '1:1'");
	assert_non_null(pool_send(p, STATEMENT_notify, notify, NULL, NULL));
	UNTIL(heard.notices > 0);
	assert_int_equal(heard.notices, 1);
	assert_int_equal(heard.tenant_id, 7);
	assert_true(heard.seq == UINT64_MAX);
	/* Lost, and back: it says so, for the notices in between are gone. */
	cluster_run(fixture.cluster,
	    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
	    " WHERE application_name = 'callbackd' AND query LIKE 'LISTEN%'");
	UNTIL(heard.ready == 2);
	cluster_run(fixture.cluster, "NOTIFY callbackd, '8:2'");
	UNTIL(heard.notices == 2);
	assert_int_equal(heard.tenant_id, 8);
	tail_free(t);
	pool_free(p);
}

/* lease */

struct holder {
	int beats, alive, lost, left;
	int tenants; /* in the last beat, and those before it */
	bool held[3];
	int64_t offset_ms;
};

static void
on_tenant(void *arg, int tenant_id, const char *name, bool held, int epoch)
{
	struct holder *h = arg;
	char want[16];
	snprintf(want, sizeof(want), "company-%d", tenant_id);
	assert_string_equal(name, want);
	assert_int_equal(epoch, 1);
	h->tenants++;
	h->held[tenant_id] = held;
}

static void
on_beat(void *arg, int alive, int64_t offset_ms)
{
	struct holder *h = arg;
	h->beats++;
	h->alive = alive;
	h->offset_ms = offset_ms;
}

static void
on_lost(void *arg)
{
	struct holder *h = arg;
	h->lost++;
	h->held[1] = h->held[2] = false;
}

static void
on_left(void *arg)
{
	((struct holder *)arg)->left++;
}

static const struct lease_handlers lease_handlers = {
	.on_tenant = on_tenant,
	.on_beat = on_beat,
	.on_lost = on_lost,
};

static void
tenants_make(void)
{
	cluster_run(fixture.cluster,
	    "INSERT INTO callbackd.tenant VALUES (1, 'company-1'), (2, 'company-2')");
}

static void
test_lease_takeover(void **state)
{
	struct holder a = { .beats = 0 }, b = a;
	(void)state;
	fixture.conf.lease_ms = 1000;
	struct pool *p = pool_new(fixture.base, &fixture.conf);
	struct lease *first =
	    lease_new(fixture.base, p, &fixture.conf, id_new(), &lease_handlers, &a);
	/* No tenant yet: one beat all the same. */
	UNTIL(a.beats == 1);
	assert_int_equal(a.tenants, 0);
	assert_int_equal(a.alive, 1);
	/* The stand-in's clock is 5 s ahead. */
	assert_true(a.offset_ms > 4900 && a.offset_ms < 5100);
	tenants_make();
	lease_beat(first);
	UNTIL(a.held[1] && a.held[2]);
	struct lease *second =
	    lease_new(fixture.base, p, &fixture.conf, id_new(), &lease_handlers, &b);
	UNTIL(b.beats >= 4);
	assert_int_equal(b.alive, 2);
	assert_false(b.held[1] || b.held[2]);
	assert_true(a.held[1] && a.held[2]);
	/* Dies without a word. */
	lease_free(first);
	UNTIL(b.held[1] && b.held[2]);
	UNTIL(b.alive == 1);
	assert_int_equal(a.lost + b.lost, 0);
	lease_free(second);
	pool_free(p);
}

static void
test_lease_leave(void **state)
{
	struct holder a = { .beats = 0 }, b = a;
	(void)state;
	tenants_make();
	fixture.conf.lease_ms = 60000;
	struct pool *p = pool_new(fixture.base, &fixture.conf);
	struct lease *first =
	    lease_new(fixture.base, p, &fixture.conf, id_new(), &lease_handlers, &a);
	UNTIL(a.held[1] && a.held[2]);
	struct lease *second =
	    lease_new(fixture.base, p, &fixture.conf, id_new(), &lease_handlers, &b);
	UNTIL(b.beats == 1);
	assert_false(b.held[1]);
	/* With a beat under way, which must not take them again. */
	cluster_run(fixture.cluster, "SELECT pg_advisory_lock(8)");
	lease_beat(first);
	UNTIL(pool_counts(p).in_flight == 1);
	lease_leave(first, on_left, &a);
	assert_int_equal(a.left, 0);
	cluster_run(fixture.cluster, "SELECT pg_advisory_unlock(8)");
	UNTIL(a.left == 1);
	assert_int_equal(a.beats, 1);
	assert_int_equal(
	    cluster_number(fixture.cluster, "SELECT count(*) FROM tenant WHERE node IS NOT NULL"),
	    0);
	lease_beat(second);
	UNTIL(b.held[1] && b.held[2]);
	/* And with none. */
	lease_leave(second, on_left, &b);
	UNTIL(b.left == 1);
	assert_int_equal(cluster_number(fixture.cluster, "SELECT count(*) FROM node"), 0);
	lease_free(first);
	lease_free(second);
	pool_free(p);
}

static void
test_lease_lost(void **state)
{
	struct holder a = { .beats = 0 };
	(void)state;
	tenants_make();
	fixture.conf.lease_ms = 600;
	struct pool *p = pool_new(fixture.base, &fixture.conf);
	struct lease *l = lease_new(fixture.base, p, &fixture.conf, id_new(), &lease_handlers, &a);
	UNTIL(a.held[1]);
	cluster_crash(fixture.cluster);
	UNTIL(a.lost == 1);
	assert_false(a.held[1]);
	UNTIL(cluster_revive(fixture.cluster));
	UNTIL(a.held[1]);
	assert_int_equal(a.lost, 1);
	/* A stop that the database cannot hear ends all the same. */
	cluster_crash(fixture.cluster);
	UNTIL(!pool_ready(p));
	lease_leave(l, on_left, &a);
	UNTIL(a.left == 1);
	UNTIL(cluster_revive(fixture.cluster));
	lease_free(l);
	pool_free(p);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_pool_mixed),
		TEST(test_pool_settings),
		TEST(test_pool_full),
		TEST(test_pool_forget),
		TEST(test_pool_stopping),
		TEST(test_pool_restart),
		TEST(test_pool_watchdog),
		TEST(test_pool_stale),
		TEST(test_pool_unprepared),
		TEST(test_tail),
		TEST(test_lease_takeover),
		TEST(test_lease_leave),
		TEST(test_lease_lost),
	};
	return cmocka_run_group_tests_name(
	    "db", tests, fixture_group_setup, fixture_group_teardown);
}
