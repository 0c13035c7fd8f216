/*
 * test_http: requests, their limits, their waits and their answers, by real
 * clients on loopback against a real server (net_fixture.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "net_fixture.h"

static void
test_keep_alive(void **state)
{
	(void)state;
	server_start(server);
	struct client *c = client_tls(server->tls_port, NULL);
	char *head;

	for (int i = 0; i < 50; i++) {
		char *body = xasprintf("number=%d", i);
		client_post(c, "/echo", body);
		client_expect(c, 200, body);
		free(body);
	}
	client_post(c, "/echo", "x");
	assert_int_equal(client_answer(c, &head, NULL), 200);
	assert_non_null(strstr(head, "\r\nCache-Control: no-store\r\n"));
	assert_non_null(strstr(head, "\r\nX-Content-Type-Options: nosniff\r\n"));
	assert_non_null(strstr(head, "\r\nStrict-Transport-Security: max-age=31536000\r\n"));
	assert_null(strstr(head, "\r\nConnection: close"));
	free(head);
	const unsigned char *alpn;
	unsigned alpn_len;
	SSL_get0_alpn_selected(c->ssl, &alpn, &alpn_len);
	assert_string_equal(SSL_get_cipher(c->ssl), "TLS_AES_128_GCM_SHA256");
	client_free(c);
	server_expect_all_gone();
	assert_int_equal(server->ends, 51);
	assert_int_equal(http_now.requests, 51);
	assert_int_equal(http_now.status[2], 51);
}

static void
test_body_limits(void **state)
{
	(void)state;
	server_start(server);
	struct client *c = client_tls(server->tls_port, NULL);
	char *fits = repeated('a', 1000), *over = repeated('b', 1001), *chunk = repeated('c', 600);
	char *head, *body;

	client_post(c, "/echo", fits);
	client_expect(c, 200, fits);
	/* Small enough to skip: the connection goes on. */
	client_post(c, "/echo", over);
	assert_int_equal(client_answer(c, &head, &body), 413);
	assert_non_null(strstr(head, "application/problem+json"));
	assert_non_null(strstr(body, "https://test.example/problems/body-too-large"));
	free(head);
	free(body);
	char *chunked =
	    xasprintf("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
		      "3e8\r\n%s\r\n0\r\n\r\n",
		fits);
	client_send(c, chunked);
	client_expect(c, 200, fits);
	free(chunked);
	/* The length is not known before: refused in the middle. */
	chunked = xasprintf("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
			    "258\r\n%s\r\n258\r\n%s\r\n",
	    chunk, chunk);
	client_send(c, chunked);
	assert_int_equal(client_answer(c, &head, NULL), 413);
	assert_non_null(strstr(head, "\r\nConnection: close\r\n"));
	assert_true(client_ends(c));
	free(head);
	free(chunked);
	free(fits);
	free(over);
	free(chunk);
	client_free(c);
	server_expect_all_gone();
	assert_int_equal(server->ends, 4);
}

/* The client is busy sending when the answer comes; it must be able to read it. */
static void
test_early_answer(void **state)
{
	(void)state;
	server_start(server);
	char *much = repeated('m', 300000);

	for (int tls = 0; tls < 2; tls++) {
		struct client *c =
		    tls ? client_tls(server->tls_port, NULL) : client_tcp(server->plain_port);
		client_post(c, "/refused", much);
		client_expect(c, 401, NULL);
		assert_true(client_ends(c));
		client_free(c);
	}
	/* Without a body, or a small one, the connection goes on. */
	struct client *c = client_tls(server->tls_port, NULL);
	client_send(c, GET("/refused"));
	client_expect(c, 401, NULL);
	client_post(c, "/refused", "small");
	client_expect(c, 401, NULL);
	/* Who asks first is not told to send. */
	client_send(c,
	    "POST /refused HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: "
	    "5\r\n\r\n");
	client_expect(c, 401, NULL);
	assert_true(client_ends(c));
	client_free(c);
	free(much);
	server_expect_all_gone();
}

static void
test_100_continue(void **state)
{
	(void)state;
	server_start(server);
	struct client *c = client_tls(server->tls_port, NULL);

	client_send(c,
	    "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
	assert_int_equal(client_head(c, NULL), 100);
	client_send(c, "hello");
	client_expect(c, 200, "hello");
	client_free(c);
}

#define BAD(text) \
	{ \
		text, sizeof(text) - 1 \
	}

static void
test_refused_heads(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} bad[] = {
		BAD("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: "
		    "chunked\r\n\r\n0\r\n\r\n"),
		BAD("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
		    "chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
		BAD("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: "
		    "6\r\n\r\nhello"),
		BAD("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: "
		    "5\r\n\r\nhello"),
		BAD("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\nhello"),
		BAD("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nhello"),
		BAD("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nhello"),
		BAD("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, "
		    "chunked\r\n\r\n0\r\n\r\n"),
		BAD("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
		    "chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
		BAD("POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
		BAD("GET /echo HTTP/1.1\r\n\r\n"),
		BAD("GET /echo HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
		BAD("GET /echo?a b HTTP/1.1\r\nHost: x\r\n\r\n"),
		BAD("GET echo HTTP/1.1\r\nHost: x\r\n\r\n"),
		BAD("GET /e%00cho HTTP/1.1\r\nHost: x\r\n\r\n"),
		BAD("GET /echo?q=%00 HTTP/1.1\r\nHost: x\r\n\r\n"),
		BAD("GET /echo?%00 HTTP/1.1\r\nHost: x\r\n\r\n"),
		BAD("GET\0X /echo HTTP/1.1\r\nHost: x\r\n\r\n"),
		BAD("G\xcfT /echo HTTP/1.1\r\nHost: x\r\n\r\n"),
		BAD("GET  /echo HTTP/1.1\r\nHost: x\r\n\r\n"),
		BAD("GET /e\0cho HTTP/1.1\r\nHost: x\r\n\r\n"),
		BAD("GET /echo?q=a\0b HTTP/1.1\r\nHost: x\r\n\r\n"),
		BAD("GET /e%ffcho HTTP/1.1\r\nHost: x\r\n\r\n"),
		BAD("GET /echo?q=%c3%28 HTTP/1.1\r\nHost: x\r\n\r\n"),
		BAD("GET /echo?%c3%28=1 HTTP/1.1\r\nHost: x\r\n\r\n"),
		BAD("GET /echo HTTP/1.1\r\nHost: x\r\nX-Test: \xff\r\n\r\n"),
		BAD("GET /echo HTTP/1.1\r\nHost: x\r\nX-Test: a\0b\r\n\r\n"),
		BAD("GET /echo HTTP/1.1\r\nHost: x\r\nX-Test: a\0b\r\nAccept: x\r\n\r\n"),
		BAD("GET /echo HTTP/1.1\r\nHost: x\0y\r\nX-Test: a\r\n\r\n"),
		BAD("GET /echo HTTP/1.1\r\nHost: x\r\nX-Test: a\x01"
		    "b\r\n\r\n"),
		BAD("GET /echo HTTP/1.1\r\nHost: x\r\nX-Test: a\r\n folded: b\r\n\r\n"),
		BAD("GET /echo HTTP/1.1\r\nHost: x\r\nX Test: a\r\n\r\n"),
		BAD("GET /echo HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n"),
	};

	(void)state;
	server_start(server);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct client *c = client_tcp(server->plain_port);
		client_send_bytes(c, bad[i].text, bad[i].len);
		int status = client_answer(c, NULL, NULL);
		if (status != 400)
			fail_msg("%zu: %d to %s", i, status, bad[i].text);
		assert_true(client_ends(c));
		client_free(c);
	}
	server_expect_all_gone();
	assert_int_equal(server->ends, 0);
}

/*
 * libmicrohttpd refuses them and then waits for their end as if it had not; the
 * deadline ends that. That the request has ended it forgets to say: the
 * sanitizer sees whether it has.
 */
static void
test_more_arguments_than_fit(void **state)
{
	(void)state;
	server->conf.header_ms = 400;
	server_start(server);
	char *arguments = repeated('&', 3000);
	char *head = xasprintf("GET /echo?%s HTTP/1.1\r\nHost: x\r\n\r\n", arguments);
	long cpu_ms = server_cpu_ms(server);

	for (int i = 0; i < 3; i++) {
		struct client *c = client_tcp(server->plain_port);
		client_send_bytes(c, head, strlen(head));
		assert_true(client_ends(c));
		client_free(c);
	}
	assert_true(server_cpu_ms(server) - cpu_ms < 300);
	free(head);
	free(arguments);
	server_expect_all_gone();
	assert_int_equal(server->ends, 0);
}

static void
test_facts(void **state)
{
	static const char *const requests[][2] = {
		{ "GET /facts?q=a%20b%C3%A4+c HTTP/1.1\r\nHost: x\r\nX-Test:  v\xc3\xa4\r\nCookie: "
		  "b=1; c=2\r\n\r\n",
		    "{\"method\":\"GET\",\"path\":\"/facts\",\"q\":\"a bä "
		    "c\",\"x\":\"vä\",\"cookie\":\"2\","
		    "\"peer\":\"127.0.0.1\",\"door\":1}" },
		{ "GET /facts?q HTTP/1.1\r\nHost: x\r\nX-Test:\r\n\r\n",
		    "{\"method\":\"GET\",\"path\":\"/"
		    "facts\",\"q\":\"\",\"x\":\"\",\"cookie\":\"(none)\","
		    "\"peer\":\"127.0.0.1\",\"door\":1}" },
		{ "GET http://x/facts?q=100%&r=%zz HTTP/1.1\r\nHost: x\r\n\r\n",
		    "{\"method\":\"GET\",\"path\":\"/"
		    "facts\",\"q\":\"100%\",\"x\":\"(none)\",\"cookie\":\"(none)\","
		    "\"peer\":\"127.0.0.1\",\"door\":1}" },
		{ "GET /facts HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1, 198.51.100.7\r\n"
		  "X-Forwarded-For: 192.0.2.9\r\n\r\n",
		    "{\"method\":\"GET\",\"path\":\"/"
		    "facts\",\"q\":\"(none)\",\"x\":\"(none)\",\"cookie\":\"(none)\","
		    "\"peer\":\"198.51.100.7\",\"door\":1}" },
	};

	(void)state;
	free(server->conf.trusted_proxies);
	server->conf.trusted_proxies = xstrdup("127.0.0.1 192.0.2.9");
	server_start(server);
	struct client *c = client_tcp(server->plain_port);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		client_send(c, requests[i][0]);
		client_expect(c, 200, requests[i][1]);
	}
	client_send(c, "HEAD /download HTTP/1.1\r\nHost: x\r\n\r\n" GET("/facts"));
	char *head;
	assert_int_equal(client_head(c, &head), 200);
	assert_non_null(strstr(head, "Content-Length: 3145728"));
	assert_null(strstr(head, "Strict-Transport"));
	free(head);
	client_expect(c, 200, NULL);
	client_free(c);
}

static void
test_forwarded_from_a_stranger(void **state)
{
	(void)state;
	server_start(server);
	struct client *c = client_tcp(server->plain_port);
	char *body;

	client_send(c, "GET /facts HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n");
	assert_int_equal(client_answer(c, NULL, &body), 200);
	assert_non_null(strstr(body, "\"peer\":\"127.0.0.1\""));
	free(body);
	client_free(c);
}

static void
test_large_post(void **state)
{
	(void)state;
	server_start(server);
	struct client *c = client_tls(server->tls_port, NULL);
	char *much = repeated('l', 5 << 20), *body;

	client_post(c, "/big", much);
	assert_int_equal(client_answer(c, NULL, &body), 200);
	assert_string_equal(body, much);
	free(body);
	free(much);
	client_free(c);
}

static void
test_park(void **state)
{
	(void)state;
	server_start(server);
	struct client *c = client_tls(server->tls_port, NULL);

	for (int i = 0; i < 3; i++) {
		client_send(c, GET("/park"));
		server_expect("parked");
		server_do(server, server_count);
		assert_int_equal(http_now.waiting, 1);
		server_do(server, server_resume_parked);
		assert_non_null(strstr(server_waits, "\"wait\":\"test\""));
		assert_non_null(strstr(server_waits, "\"path\":\"/park\""));
		free(server_waits);
		client_expect(c, 200, "woken");
	}
	client_send(c, GET("/at-once"));
	client_expect(c, 200, "at once");
	/* Two at once on one connection are answered in order. */
	client_send(c, GET("/park") GET("/facts"));
	server_expect("parked");
	server_do(server, server_resume_parked);
	free(server_waits);
	client_expect(c, 200, "woken");
	client_expect(c, 200, NULL);
	client_free(c);
	server_expect_all_gone();
	assert_int_equal(http_now.waiting, 0);
	assert_int_equal(server->gone, 0);
}

static void
test_park_deadline(void **state)
{
	(void)state;
	server_start(server);
	struct client *c = client_tls(server->tls_port, NULL);
	char *head;

	client_send(c, GET("/park-short"));
	server_expect("parked");
	server_expect("gone");
	assert_int_equal(client_answer(c, &head, NULL), 503);
	assert_non_null(strstr(head, "\r\nRetry-After: 1\r\n"));
	free(head);
	/* The connection goes on. */
	client_send(c, GET("/facts"));
	client_expect(c, 200, NULL);
	client_free(c);
	server_expect_all_gone();
	assert_int_equal(server->gone, 1);
	assert_int_equal(server->ends, 2);
	assert_int_equal(http_now.parked_out, 1);
	assert_int_equal(http_now.status[5], 1);
}

/* Who parked it is not disturbed, and answers into the void. */
static void
test_client_leaves_while_parked(void **state)
{
	struct linger reset = { .l_onoff = 1 };

	(void)state;
	server_start(server);
	for (int rst = 0; rst < 2; rst++) {
		struct client *c = client_tls(server->tls_port, NULL);
		client_send(c, GET("/park"));
		server_expect("parked");
		if (rst)
			setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		client_free(c);
		if (rst)
			server_expect_all_gone();
		server_do(server, server_resume_parked);
		free(server_waits);
		server_expect_all_gone();
	}
	assert_int_equal(server->ends, 2);
	assert_int_equal(server->gone, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SERVER_TEST(test_keep_alive),
		SERVER_TEST(test_body_limits),
		SERVER_TEST(test_early_answer),
		SERVER_TEST(test_100_continue),
		SERVER_TEST(test_refused_heads),
		SERVER_TEST(test_more_arguments_than_fit),
		SERVER_TEST(test_facts),
		SERVER_TEST(test_forwarded_from_a_stranger),
		SERVER_TEST(test_large_post),
		SERVER_TEST(test_park),
		SERVER_TEST(test_park_deadline),
		SERVER_TEST(test_client_leaves_while_parked),
	};

	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
