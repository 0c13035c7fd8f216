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
/* What taking a client's bytes costs: of so many, a turn is full. */
static int kick_us;

static bool
on_open(void *arg, struct bridge *b, int fd, const struct sockaddr *sa, unsigned len)
{
	(void)arg, (void)b, (void)sa, (void)len;
	behind[behind_n++] = fd;
	return true;
}

static void
on_kick(void *arg)
{
	(void)arg;
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

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(who_is_refused_takes_of_the_turn_as_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
