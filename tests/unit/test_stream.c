/*
 * test_stream: connections that are taken over, by real clients on loopback
 * against a real server (net_fixture.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net_fixture.h"

static void
write_hello(struct server *s)
{
	assert_true(stream_write(s->stream, "data: hello\n\n", 13));
}

static void
finish_stream(struct server *s)
{
	stream_finish(s->stream, "finished");
}

static void
read_exactly(struct client *c, const char *text)
{
	char got[64] = "";
	size_t len = strlen(text), have = c->in_len;

	assert_true(len < sizeof(got) && have <= len);
	memcpy(got, c->in, have);
	c->in_len = 0;
	while (have < len) {
		long n = client_read(c, got + have, len - have);
		assert_true(n > 0);
		have += (size_t)n;
	}
	assert_string_equal(got, text);
}

static void
test_stream(void **state)
{
	(void)state;
	server_start(server);
	for (int tls = 0; tls < 2; tls++) {
		struct client *c =
		    tls ? client_tls(server->tls_port, NULL) : client_tcp(server->plain_port);
		char *head;
		/* An answer to a request before it on the same connection comes first. */
		client_send(c, GET("/facts") GET("/stream"));
		client_expect(c, 200, NULL);
		server_expect("stream");
		assert_int_equal(client_head(c, &head), 200);
		assert_non_null(strstr(head, "\r\nContent-Type: text/event-stream\r\n"));
		assert_non_null(strstr(head, "\r\nX-Own: yes\r\n"));
		assert_non_null(strstr(head, "\r\nCache-Control: no-store\r\n"));
		assert_non_null(strstr(head, "\r\nConnection: close\r\n"));
		assert_null(strstr(head, "Content-Length"));
		free(head);
		for (int i = 0; i < 3; i++) {
			server_do(server, write_hello);
			read_exactly(c, "data: hello\n\n");
		}
		server_do(server, server_count);
		assert_int_equal(front_now.streams, 1);
		/* The request ended when the stream began. */
		assert_int_equal(server->ends, tls * 2 + 2);
		server_do(server, finish_stream);
		assert_true(client_ends(c));
		server_expect("finished");
		client_free(c);
		server_expect_all_gone();
	}
	struct client *c = client_tcp(server->plain_port);
	client_send(c, "HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	server_expect("stream");
	assert_int_equal(client_head(c, NULL), 200);
	assert_true(client_ends(c));
	server_expect("only the head was asked for");
	client_free(c);
}

static void
test_stream_client_leaves(void **state)
{
	(void)state;
	server_start(server);
	for (int tls = 0; tls < 2; tls++) {
		struct client *c =
		    tls ? client_tls(server->tls_port, NULL) : client_tcp(server->plain_port);
		client_send(c, GET("/stream"));
		server_expect("stream");
		assert_int_equal(client_head(c, NULL), 200);
		client_free(c);
		/* Without anything being written. */
		server_expect("client left");
		server_expect_all_gone();
	}
	assert_int_equal(server->closes, 2);
}

static int written;

static void
write_until_refused(struct server *s)
{
	char *kilobyte = repeated('k', 1024);

	written = 0;
	while (stream_write(s->stream, kilobyte, 1024) && written < 100000)
		written++;
	/* Dropped: more is refused, and on_close did not come from within. */
	assert_false(stream_write(s->stream, kilobyte, 1024));
	assert_int_equal(s->closes, 0);
	free(kilobyte);
}

static void
test_slow_reader(void **state)
{
	(void)state;
	server_start(server);
	struct client *c = client_tls(server->tls_port, NULL);

	client_send(c, GET("/stream"));
	server_expect("stream");
	server_do(server, write_until_refused);
	assert_true(written > 64 && written < 20000);
	server_expect("slow reader");
	server_expect_all_gone();
	client_free(c);
	assert_int_equal(server->closes, 1);
}

static void
answer_poll(struct server *s)
{
	char *much = repeated('p', 300000);

	stream_answer(s->stream, 200, "application/json", much, 300000);
	free(much);
}

static void
test_take_answer(void **state)
{
	(void)state;
	server_start(server);
	struct client *c = client_tls(server->tls_port, NULL);
	char *head, *body;

	client_send(c, GET("/poll"));
	server_expect("poll");
	server_do(server, answer_poll);
	assert_int_equal(client_answer(c, &head, &body), 200);
	assert_int_equal(strspn(body, "p"), 300000);
	assert_non_null(strstr(head, "\r\nConnection: close\r\n"));
	assert_true(client_ends(c));
	server_expect("answered");
	free(head);
	free(body);
	client_free(c);
	server_expect_all_gone();
}

static void
test_pipelined_behind_a_stream(void **state)
{
	(void)state;
	server_start(server);
	struct client *c = client_tls(server->tls_port, NULL);

	client_send(
	    c, GET("/stream") "POST /stored HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx");
	server_expect("stream");
	assert_int_equal(client_head(c, NULL), 200);
	client_post(c, "/stored", "y");
	server_do(server, write_hello);
	read_exactly(c, "data: hello\n\n");
	server_do(server, finish_stream);
	assert_true(client_ends(c));
	server_expect("finished");
	client_free(c);
	server_expect_all_gone();
	assert_int_equal(http_now.requests, 1);
	assert_false(server_said_anything());
}

/* A visit takes a tenth of what a turn of the loop has for visits. */
#define VISIT_US 20

static int visited, visited_in_one_turn;
static struct stream_round *stream_rounds[1];
static struct stream *many[150];
static int many_count;

static void
on_next_turn(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	visited_in_one_turn = visited;
}

static void
visit(struct stream *s, void *arg)
{
	struct server *srv = arg;
	int64_t until_us = clock_mono_us() + VISIT_US;

	(void)s;
	while (clock_mono_us() < until_us)
		;
	if (visited++ == 0)
		event_base_once(
		    srv->base, -1, EV_TIMEOUT, on_next_turn, NULL, &(struct timeval){ 0 });
	if (visited == many_count)
		server_say("all visited");
}

static void
keep_stream(struct server *s)
{
	many[many_count++] = s->stream;
}

static void
broadcast(struct server *s)
{
	stream_rounds[0] = stream_round_new(s->base, visit, s);
	for (int i = 0; i < many_count; i++) {
		stream_round_add(stream_rounds[0], many[i]);
		stream_round_add(stream_rounds[0], many[i]);
	}
}

static void
broadcast_and_end(struct server *s)
{
	for (int i = 0; i < many_count; i++) {
		stream_round_add(stream_rounds[0], many[i]);
		stream_finish(many[i], "finished");
	}
	(void)s;
}

static void
free_round(struct server *s)
{
	(void)s;
	stream_round_free(stream_rounds[0]);
}

static void
test_round(void **state)
{
	struct client *c[150];

	(void)state;
	server_start(server);
	many_count = visited = 0;
	for (int i = 0; i < 150; i++) {
		c[i] = client_tcp(server->plain_port);
		client_send(c[i], GET("/stream"));
		server_expect("stream");
		server_do(server, keep_stream);
	}
	server_do(server, broadcast);
	server_expect("all visited");
	server_do(server, server_count);
	assert_int_equal(visited, 150);
	assert_in_range(visited_in_one_turn, 1, 10);
	/* Those that close leave the queue by themselves. */
	server_do(server, broadcast_and_end);
	for (int i = 0; i < 150; i++) {
		server_expect("finished");
		client_free(c[i]);
	}
	server_expect_all_gone();
	server_do(server, free_round);
	assert_int_equal(visited, 150);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SERVER_TEST(test_stream),
		SERVER_TEST(test_stream_client_leaves),
		SERVER_TEST(test_slow_reader),
		SERVER_TEST(test_take_answer),
		SERVER_TEST(test_pipelined_behind_a_stream),
		SERVER_TEST(test_round),
	};

	return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
