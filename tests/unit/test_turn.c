/*
 * test_turn: how clients share the turns of the loop: a front without a server
 * behind it, whose loop is turned by hand, one turn at a time.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/conf.h"
#include "net/bridge.h"
#include "net/front.h"

#define CLIENTS 12
#define CROWD 200
#define MANY_TURNS 200

static char door[] = "127.0.0.1:0", nobody[] = "";
static struct conf conf;
static struct event_base *base;
static struct front *front;
/* The clients' ends; libmicrohttpd's, in the order in which they were opened. */
static int clients[CROWD], behind[CROWD], clients_n, behind_n;
static struct bridge *bridges[CROWD];
/* What taking a client's bytes costs: of so many, a turn is full. */
static int kick_us, kicks;

static bool
on_open(void *arg, struct bridge *b, int fd, const struct sockaddr *sa, unsigned len)
{
	(void)arg, (void)sa, (void)len;
	bridges[behind_n] = b;
	behind[behind_n++] = fd;
	return true;
}

static void
on_kick(void *arg)
{
	(void)arg;
	kicks++;
	for (int64_t end_us = clock_mono_us() + kick_us; clock_mono_us() < end_us;)
		;
}

static void
open_front(void)
{
	char *why = NULL;

	base = event_base_new();
	front = front_new(base, &conf, on_open, on_kick, NULL, &why);
	assert_non_null(front);
}

static int
setup(void **state)
{
	(void)state;
	clients_n = behind_n = 0;
	kick_us = 0;
	conf = (struct conf){
		.listen_plain = door,
		.trusted_proxies = nobody,
		.connections = 1000,
		.connections_per_address = 1000,
		.handshake_ms = 20000,
		.header_ms = 20000,
		.body_ms = 20000,
		.idle_ms = 20000,
		.wait_ms = 20000,
	};
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (int i = 0; i < behind_n; i++)
		close(behind[i]);
	front_free(front);
	event_base_free(base);
	for (int i = 0; i < clients_n; i++)
		close(clients[i]);
	return 0;
}

/* The kernel lets them in; the server has not looked yet. */
static void
come(int n)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)front_port(front, FRONT_PLAIN)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	while (n-- > 0) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_true(fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
		clients[clients_n++] = fd;
	}
}

static void
turn(void)
{
	assert_true(event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK) >= 0);
}

static void
who_is_refused_takes_of_the_turn_as_well(void **state)
{
	uint64_t before = 0, now = 0;

	(void)state;
	conf.connections = 1;
	open_front();
	come(CROWD);
	for (int turns = 0; now < CROWD - 1; before = now, turns++) {
		assert_true(turns < MANY_TURNS);
		turn();
		now = front_counts(front).refused_total;
		assert_in_range(now - before, 0, 32);
	}
	assert_int_equal(front_counts(front).open, 1);
}

/* In their order, as it is epoll's from then on. Who was sent away cannot any more. */
static void
everybody_says_something(void)
{
	for (int i = 0; i < clients_n; i++)
		(void)send(clients[i], "x", 1, MSG_NOSIGNAL);
}

static void
everybody_is_let_in(void)
{
	/* Not: open. On a slow machine the first have run out of time when the last come. */
	for (int turns = 0; front_counts(front).accepted < (uint64_t)clients_n; turns++) {
		assert_true(turns < MANY_TURNS);
		turn();
	}
}

/* Bytes that the i-th to be served has had taken. */
static long
taken(int i)
{
	char text[4096];
	ssize_t n = recv(behind[i], text, sizeof(text), MSG_DONTWAIT | MSG_PEEK);

	return n > 0 ? (long)n : 0;
}

/* Four fill a turn, and all are ready in all turns. */
static void
who_was_skipped_is_served_before_the_others_again(void **state)
{
	(void)state;
	open_front();
	come(CLIENTS);
	everybody_is_let_in();
	kick_us = 700;
	for (int turns = 0; turns < 40; turns++) {
		everybody_says_something();
		turn();
	}
	assert_int_equal(behind_n, CLIENTS);
	long calls = 0;
	for (int i = 0; i < CLIENTS; i++)
		calls += taken(i);
	for (int i = 0; i < CLIENTS; i++)
		assert_in_range(taken(i), calls / CLIENTS / 3, calls);
}

/* Seven fill one. Who had to wait is not served in it after all, because another begins to be counted. */
static void
a_full_turn_is_one(void **state)
{
	(void)state;
	open_front();
	come(CLIENTS);
	everybody_is_let_in();
	kick_us = 300;
	for (int turns = 0; turns < 20; turns++) {
		(void)send(clients[0], "x", 1, MSG_NOSIGNAL);
		turn();
		everybody_says_something();
		kicks = 0;
		turn();
		assert_in_range(kicks, 0, 8);
		while (kicks < CLIENTS)
			turn();
		turn();
		turn();
	}
}

/* One says nothing, and is sent away in time, though the others fill every turn. */
static void
a_deadline_is_kept_in_full_turns(void **state)
{
	(void)state;
	conf.idle_ms = 30;
	open_front();
	come(CLIENTS);
	everybody_is_let_in();
	come(1);
	everybody_is_let_in();
	int quiet = clients[--clients_n];
	everybody_says_something();
	kick_us = 700;
	for (int turns = 0; front_counts(front).lingering == 0; turns++) {
		assert_true(turns < MANY_TURNS);
		everybody_says_something();
		turn();
	}
	close(quiet);
}

/* They leave, or run out of time, while they wait for a turn; then the rest goes down with the front. */
static void
who_leaves_while_he_waits_is_no_trouble(void **state)
{
	(void)state;
	conf.header_ms = 5;
	open_front();
	come(3 * CLIENTS);
	everybody_is_let_in();
	kick_us = 700;
	for (int i = 0; i < 2 * CLIENTS; i++) {
		everybody_says_something();
		turn();
		close(clients[--clients_n]);
		if (i % 3 == 0 && i < behind_n)
			shutdown(behind[i], SHUT_WR);
	}
	assert_true(front_counts(front).timed_out > 0);
}

/* Its owner writes to a client that is gone: what is freed at once must not be served any more. */
static void
who_is_dropped_while_he_waits_is_forgotten(void **state)
{
	const struct linger at_once = { .l_onoff = 1 };

	(void)state;
	open_front();
	come(CLIENTS);
	everybody_is_let_in();
	everybody_says_something();
	turn();
	assert_int_equal(behind_n, CLIENTS);
	kick_us = 700;
	everybody_says_something();
	turn();
	for (int i = 0; i < CLIENTS; i++) {
		setsockopt(clients[i], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		close(clients[i]);
	}
	clients_n = 0;
	for (int i = 0; i < CLIENTS; i++) {
		bridge_take(bridges[i], NULL, NULL);
		bridge_release(bridges[i]);
		assert_false(bridge_write(bridges[i], "x", 1));
	}
	turn();
	turn();
	assert_int_equal(front_counts(front).open, 0);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(who_is_refused_takes_of_the_turn_as_well),
		CASE(who_was_skipped_is_served_before_the_others_again),
		CASE(a_full_turn_is_one),
		CASE(a_deadline_is_kept_in_full_turns),
		CASE(who_leaves_while_he_waits_is_no_trouble),
		CASE(who_is_dropped_while_he_waits_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
