/*
 * test_primary: which PostgreSQL the connections lead to: of several hosts the
 * one that answers, and of several histories of the log the latest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "db/hosts.h"
#include "db/pool.h"
#include "db_fixture.h"

/* hosts */

/* "host/hostaddr/port" of each, "-" for what libpq decides. */
static const char *
list(const char *conninfo)
{
	static char out[200];
	struct hosts *h = hosts_new(conninfo);
	size_t len = 0;
	for (size_t i = 0; i < hosts_count(h); i++) {
		struct host one = hosts_get(h, i);
		len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%s/%s/%s",
		    i > 0 ? " " : "", one.host != NULL ? one.host : "-",
		    one.hostaddr != NULL ? one.hostaddr : "-", one.port != NULL ? one.port : "-");
	}
	hosts_free(h);
	return out;
}

static void
test_hosts(void **state)
{
	(void)state;
	unsetenv("PGHOST");
	unsetenv("PGHOSTADDR");
	unsetenv("PGPORT");
	assert_string_equal(list("host=/a dbname=x"), "-/-/-");
	assert_string_equal(list("host=/a,/b dbname=x"), "/a/-/5432 /b/-/5432");
	assert_string_equal(list("host=/a,/b port=1,2"), "/a/-/1 /b/-/2");
	assert_string_equal(list("host=/a,/b port=,2"), "/a/-/- /b/-/2");
	assert_string_equal(list("hostaddr=::1,127.0.0.1 port=7"), "-/::1/7 -/127.0.0.1/7");
	assert_string_equal(
	    list("host=db1,db2 hostaddr=10.0.0.1,10.0.0.2"), "db1/10.0.0.1/5432 db2/10.0.0.2/5432");
	assert_string_equal(
	    list("postgresql://10.0.0.1:5432,10.0.0.2:5433/x"), "10.0.0.1/-/5432 10.0.0.2/-/5433");
	/* What libpq refuses, or understands better, is left to it. */
	assert_string_equal(list("host=/a,/b port=1,2,3"), "-/-/-");
	assert_string_equal(list("host=/a,/b hostaddr=10.0.0.1"), "-/-/-");
	assert_string_equal(list("host=/a,"), "-/-/-");
	assert_string_equal(list("host='"), "-/-/-");
	setenv("PGHOST", "/e,/f", 1);
	assert_string_equal(list("dbname=x"), "/e/-/5432 /f/-/5432");
	assert_string_equal(list("host=/a"), "-/-/-");
	unsetenv("PGHOST");
	struct hosts *h = hosts_new("host=/a,/b connect_timeout=3");
	assert_int_equal(hosts_patience_ms(h), 3000);
	hosts_free(h);
}

/* dial */

/* A port where connections are taken and nothing is ever said, as by a machine that was stopped. */
static int
silent_listen(int *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*port = ntohs(at.sin_port);
	return fd;
}

static void
kill_one(void)
{
	cluster_run(fixture.cluster,
	    "SELECT pg_terminate_backend(min(pid), 5000) FROM pg_stat_activity"
	    " WHERE application_name = 'callbackd'");
}

static void
on_answer(void *arg, const PGresult *res, const char *err)
{
	(void)res;
	assert_null(err);
	*(bool *)arg = true;
}

static void
test_silent_host(void **state)
{
	char conninfo[300];
	int port, fd = silent_listen(&port);
	const char *socket_dir = strchr(cluster_conninfo(fixture.cluster), '/');
	(void)state;
	/* The first is silent, at the second nobody listens, the third is it. */
	snprintf(conninfo, sizeof(conninfo),
	    "host=127.0.0.1,/nowhere,%.*s port=%d,5432,5432 user=postgres dbname=postgres",
	    (int)strcspn(socket_dir, " "), socket_dir, port);
	fixture.conf.conninfo = conninfo;
	fixture.conf.pool_size = 1;
	struct pool *p = pool_new(fixture.base, &fixture.conf);
	int64_t since = clock_mono_ms();
	UNTIL(pool_ready(p));
	int64_t ms = clock_mono_ms() - since;
	assert_true(ms >= 2000 && ms < 6000);
	/* It worked: when it is lost, the silent one is not asked before it. */
	bool answered = false;
	assert_non_null(pool_send(p, STATEMENT_load_nodes, NULL, on_answer, &answered));
	UNTIL(answered);
	since = clock_mono_ms();
	kill_one();
	UNTIL(!pool_ready(p));
	UNTIL(pool_ready(p));
	assert_true(clock_mono_ms() - since < 2000);
	pool_free(p);
	close(fd);
}

/* epoch */

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
test_later_log(void **state)
{
	struct watch w = { 0, 0 };
	(void)state;
	cluster_run(fixture.cluster, "UPDATE callbackd.log SET epoch = 1");
	struct pool *p = pool_new(fixture.base, &fixture.conf);
	pool_watch(p, on_ready_change, &w);
	UNTIL(pool_counts(p).connections == 3);
	/* Of the same log: one comes back, and nobody else notices. */
	kill_one();
	UNTIL(pool_counts(p).reconnects == 1);
	UNTIL(pool_counts(p).connections == 3);
	assert_int_equal(w.down, 0);
	/* One finds a later log: all leave the older one, which is lost and found. */
	cluster_run(fixture.cluster, "UPDATE callbackd.log SET epoch = 217000000");
	kill_one();
	UNTIL(w.up == 2 && pool_counts(p).connections == 3);
	assert_int_equal(w.down, 1);
	assert_int_equal(pool_counts(p).reconnects, 4);
	/* The primary that was replaced answers once more: it is not gone back to. */
	cluster_run(fixture.cluster, "UPDATE callbackd.log SET epoch = 1");
	kill_one();
	UNTIL(pool_counts(p).reconnects == 5);
	int64_t since = clock_mono_ms();
	UNTIL(clock_mono_ms() - since > 500);
	assert_int_equal(pool_counts(p).connections, 2);
	assert_int_equal(w.down, 1);
	cluster_run(fixture.cluster, "UPDATE callbackd.log SET epoch = 217000000");
	UNTIL(pool_counts(p).connections == 3);
	assert_int_equal(w.down, 1);
	/* And when it remains the only one, somebody decided so: then it is, after a while. */
	pool_older(p, 1000);
	cluster_run(fixture.cluster, "UPDATE callbackd.log SET epoch = 1");
	kill_one();
	kill_one();
	kill_one();
	UNTIL(w.down == 2);
	since = clock_mono_ms();
	UNTIL(w.up == 3 && pool_counts(p).connections == 3);
	assert_true(clock_mono_ms() - since >= 1000);
	pool_free(p);
}

static void
test_standby(void **state)
{
	(void)state;
	cluster_run(fixture.cluster,
	    "ALTER FUNCTION callbackd.epoch_settle() RENAME TO settled;"
	    "CREATE FUNCTION callbackd.epoch_settle() RETURNS int LANGUAGE plpgsql AS"
	    " 'BEGIN RAISE EXCEPTION ''a standby'' USING ERRCODE = ''25006''; END'");
	struct pool *p = pool_new(fixture.base, &fixture.conf);
	UNTIL(pool_unfit(p) == pool_unfit_standby);
	assert_false(pool_ready(p));
	cluster_run(fixture.cluster,
	    "DROP FUNCTION callbackd.epoch_settle();"
	    "ALTER FUNCTION callbackd.settled() RENAME TO epoch_settle");
	UNTIL(pool_ready(p));
	assert_null(pool_unfit(p));
	pool_free(p);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),
		TEST(test_silent_host),
		TEST(test_later_log),
		TEST(test_standby),
	};
	return cmocka_run_group_tests_name(
	    "primary", tests, fixture_group_setup, fixture_group_teardown);
}
