/*
 * test_net: doors, TLS, deadlines, ends of connections and of the server, by
 * real clients on loopback against a real server (net_fixture.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net_fixture.h"

/* Milliseconds until the server ends the connection, while a byte is sent every 20. */
static int64_t
drip(struct client *c, const char *text)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	int64_t since = clock_mono_ms();
	char drop[256];

	for (;;) {
		int ready = poll(&p, 1, 20);
		if (ready == 1 && recv(c->fd, drop, sizeof(drop), 0) <= 0)
			return clock_mono_ms() - since;
		if (ready == 0 && *text != '\0')
			send(c->fd, text++, 1, MSG_NOSIGNAL);
		if (clock_mono_ms() - since > 8000)
			return -1;
	}
}

static void
test_deadlines(void **state)
{
	(void)state;
	server->conf.handshake_ms = 300;
	server->conf.header_ms = 400;
	server->conf.body_ms = 500;
	server->conf.idle_ms = 600;
	server_start(server);

	struct client *c = client_tcp(server->tls_port);
	client_send_bytes(c, "\x16", 1);
	long cpu_ms = server_cpu_ms(server);
	int64_t took = drip(c, "");
	assert_in_range(took, 250, 5000);
	assert_true(server_cpu_ms(server) - cpu_ms < 100);
	client_free(c);

	c = client_tcp(server->plain_port);
	assert_in_range(
	    drip(c,
		"GET /echo HTTP/1.1\r\nHost: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
	    350, 5000);
	client_free(c);

	c = client_tcp(server->plain_port);
	client_send(c, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n");
	assert_in_range(
	    drip(c, "0123456789012345678901234567890123456789012345678901234567890123456789"), 450,
	    5000);
	client_free(c);

	c = client_tcp(server->plain_port);
	client_send(c, GET("/facts"));
	client_expect(c, 200, NULL);
	assert_in_range(drip(c, ""), 550, 5000);
	client_free(c);
	server_expect_all_gone();
	assert_int_equal(front_now.timed_out, 3);

	/* A parked request has none of these. */
	c = client_tcp(server->plain_port);
	client_send(c, GET("/park"));
	server_expect("parked");
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	assert_int_equal(poll(&p, 1, 900), 0);
	server_do(server, server_resume_parked);
	free(server_waits);
	client_expect(c, 200, "woken");
	client_free(c);
}

/* Reads nothing of a large answer: dropped, while one that reads slowly gets all of it. */
static void
test_stalled_reader(void **state)
{
	(void)state;
	server->conf.body_ms = 400;
	server_start(server);
	struct client *stalled = client_tls(server->tls_port, NULL);
	int small = 4096;

	setsockopt(stalled->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	client_send(stalled, GET("/download"));
	struct client *c = client_tls(server->tls_port, NULL);
	client_send(c, GET("/download"));
	char *body;
	assert_int_equal(client_answer(c, NULL, &body), 200);
	assert_int_equal(strspn(body, "d"), 3 << 20);
	free(body);
	client_free(c);
	server_expect_all_gone();
	assert_int_equal(front_now.timed_out, 1);
	client_free(stalled);
}

static void
test_half_closed(void **state)
{
	(void)state;
	server_start(server);
	for (int way = 0; way < 3; way++) {
		struct client *c =
		    way ? client_tls(server->tls_port, NULL) : client_tcp(server->plain_port);
		client_post(c, "/stored", "kept");
		if (way == 2)
			SSL_shutdown(c->ssl);
		else
			shutdown(c->fd, SHUT_WR);
		server_expect("stored");
		client_expect(c, 201, "kept");
		assert_true(client_ends(c));
		client_free(c);
	}
	/* Also when the answer takes its time. */
	struct client *c = client_tls(server->tls_port, NULL);
	client_send(c, GET("/park"));
	shutdown(c->fd, SHUT_WR);
	server_expect("parked");
	server_do(server, server_resume_parked);
	free(server_waits);
	client_expect(c, 200, "woken");
	assert_true(client_ends(c));
	client_free(c);
	/* Half a request is none. */
	c = client_tls(server->tls_port, NULL);
	client_send(c, "POST /stored HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel");
	shutdown(c->fd, SHUT_WR);
	assert_true(client_ends(c));
	client_free(c);
	server_expect_all_gone();
	assert_false(server_said_anything());
}

static struct client *vanishing;

/* The loop stands still, and it is just what it reads at once: bytes and end in one turn. */
static void
send_and_vanish(struct server *s)
{
	static const char head[] =
	    "POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
	struct linger reset = { .l_onoff = 1 };
	char *body = repeated('v', 16384 - strlen(head));
	char *text = xasprintf("%s%s", head, body);

	(void)s;
	client_send(vanishing, text);
	setsockopt(vanishing->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	client_free(vanishing);
	free(body);
	free(text);
}

static void
test_end_with_the_last_bytes(void **state)
{
	(void)state;
	server_start(server);
	for (int i = 1; i <= 5; i++) {
		vanishing = client_tcp(server->plain_port);
		client_send(vanishing, GET("/facts"));
		client_expect(vanishing, 200, NULL);
		server_do(server, send_and_vanish);
		int64_t until = clock_mono_ms() + 5000;
		do
			server_do(server, server_count);
		while (server->ends < 2 * i && clock_mono_ms() < until);
		assert_int_equal(server->ends, 2 * i);
	}
	server_expect_all_gone();
}

static void
test_unix_door(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct stat st;
	char *body;

	(void)state;
	/* As a process that was killed leaves it. */
	strcpy(sa.sun_path, server->conf.socket);
	int stale = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(stale, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(stale);
	server_start(server);
	assert_int_equal(lstat(server->conf.socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	struct client *c = client_unix(server->conf.socket);
	client_send(c, "GET /facts HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n");
	assert_int_equal(client_answer(c, NULL, &body), 200);
	assert_non_null(strstr(body, "\"peer\":\"unix\",\"door\":2"));
	free(body);
	client_free(c);
}

static void
expect_refused(const struct conf *conf, const char *part)
{
	static const struct http_handlers handlers;
	struct event_base *base = event_base_new();
	char *why = NULL;

	assert_null(http_new(base, conf, &handlers, NULL, &why));
	if (strstr(why, part) == NULL)
		fail_msg("\"%s\" does not say %s", why, part);
	free(why);
	event_base_free(base);
}

static void
test_doors_that_do_not_open(void **state)
{
	(void)state;
	server_start(server);
	struct conf conf = server->conf;

	expect_refused(&conf, "in use by another process");
	conf.socket = conf.certificate;
	expect_refused(&conf, "is not a socket");
	conf = server->conf;
	char empty[] = "", public_address[] = "0.0.0.0:0", nonsense[] = "localhost",
	     missing[] = "/nowhere";
	conf.socket = empty;
	conf.listen_plain = public_address;
	expect_refused(&conf, "is not a loopback address");
	conf.listen_plain = nonsense;
	expect_refused(&conf, "is not a numeric address");
	conf.listen_plain = empty;
	conf.certificate = missing;
	expect_refused(&conf, "/nowhere: No such file");
	conf.certificate = server->conf.private_key;
	expect_refused(&conf, "k.pem: no start line");
}

static bool reloaded;

static void
reload(struct server *s)
{
	char *why = NULL;

	reloaded = http_reload(s->http, &s->conf, &why);
	assert_true(reloaded == (why == NULL));
	free(why);
}

static void
expect_certificate(struct client *c, const char *name)
{
	char got[64] = "";
	X509 *x = SSL_get1_peer_certificate(c->ssl);

	X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, got, sizeof(got));
	assert_string_equal(got, name);
	X509_free(x);
}

static SSL_SESSION *
visit_and_keep_session(SSL_SESSION *session, const char *name, bool resumes)
{
	struct client *c = client_tls(server->tls_port, session);

	assert_int_equal(SSL_session_reused(c->ssl), resumes);
	expect_certificate(c, name);
	client_send(c, "GET /facts HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	client_expect(c, 200, NULL);
	assert_true(client_ends(c));
	/* Else OpenSSL forgets the session. */
	SSL_shutdown(c->ssl);
	SSL_SESSION *fresh = SSL_get1_session(c->ssl);
	assert_true(SSL_SESSION_is_resumable(fresh));
	SSL_SESSION_free(session);
	client_free(c);
	return fresh;
}

static void
test_reload(void **state)
{
	(void)state;
	server_start(server);
	SSL_SESSION *session = visit_and_keep_session(NULL, "one", false);
	session = visit_and_keep_session(session, "one", true);
	struct client *before = client_tls(server->tls_port, NULL);

	server_make_certificate(server, "two");
	server->conf.body_bytes = 2000;
	server_do(server, reload);
	assert_true(reloaded);
	/* Resumed sessions show the certificate they began with. */
	session = visit_and_keep_session(session, "one", true);
	SSL_SESSION_free(session);
	SSL_SESSION_free(visit_and_keep_session(NULL, "two", false));
	/* A connection of before lives on. */
	client_send(before, GET("/facts"));
	client_expect(before, 200, NULL);
	client_free(before);
	/* What cannot be read changes nothing. */
	assert_int_equal(truncate(server->conf.private_key, 10), 0);
	server_do(server, reload);
	assert_false(reloaded);
	SSL_SESSION_free(visit_and_keep_session(NULL, "two", false));
}

static void
test_tls_policy(void **state)
{
	(void)state;
	server_start(server);
	struct client *c = client_tls(server->tls_port, NULL);

	client_free(c);
	for (int i = 0; i < 3; i++) {
		c = client_tcp(server->tls_port);
		c->ctx = SSL_CTX_new(TLS_client_method());
		SSL_CTX_set_security_level(c->ctx, 0);
		if (i == 0)
			SSL_CTX_set_max_proto_version(c->ctx, TLS1_2_VERSION);
		if (i == 1)
			SSL_CTX_set_max_proto_version(c->ctx, TLS1_1_VERSION);
		c->ssl = SSL_new(c->ctx);
		if (i == 2)
			SSL_set_alpn_protos(c->ssl, (const unsigned char *)"\x02h2", 3);
		SSL_set_fd(c->ssl, c->fd);
		assert_int_equal(SSL_connect(c->ssl), i == 0 ? 1 : -1);
		client_free(c);
	}
	c = client_tcp(server->tls_port);
	client_send(c, GET("/facts"));
	char drop[100];
	while (client_read(c, drop, sizeof(drop)) > 0)
		;
	client_free(c);
	server_expect_all_gone();
	assert_int_equal(front_now.handshake_failed, 3);
}

static void
test_limits(void **state)
{
	(void)state;
	server->conf.connections_per_address = 2;
	server->conf.connections = 4;
	server_start(server);
	struct client *a = client_tls(server->tls_port, NULL),
		      *b = client_tls(server->tls_port, NULL);
	struct client *c = client_tcp(server->tls_port);

	client_ends(c);
	client_free(c);
	server_do(server, server_count);
	assert_int_equal(front_now.refused_address, 1);
	assert_int_equal(front_now.open, 2);
	/* The plain doors are the proxy's and the operator's. */
	struct client *p = client_tcp(server->plain_port), *q = client_unix(server->conf.socket);
	client_send(p, GET("/facts"));
	client_expect(p, 200, NULL);
	client_send(q, GET("/facts"));
	client_expect(q, 200, NULL);
	c = client_tcp(server->plain_port);
	client_ends(c);
	client_free(c);
	server_do(server, server_count);
	assert_int_equal(front_now.refused_total, 1);
	client_free(a);
	client_free(b);
	client_free(p);
	client_free(q);
	server_expect_all_gone();
	a = client_tls(server->tls_port, NULL);
	client_free(a);
}

static void
on_stopped(void *arg)
{
	(void)arg;
	server_say("stopped");
}

static void
stop(struct server *s)
{
	http_stop(s->http, 5000, on_stopped, s);
}

static void
test_stop(void **state)
{
	(void)state;
	server_start(server);
	struct client *idle = client_tls(server->tls_port, NULL),
		      *fresh = client_tcp(server->plain_port);
	struct client *parked = client_tls(server->tls_port, NULL),
		      *stream = client_tls(server->tls_port, NULL);
	struct client *poll_client = client_tls(server->tls_port, NULL);
	char *head;

	client_send(idle, GET("/facts"));
	client_expect(idle, 200, NULL);
	client_send(stream, GET("/stream"));
	server_expect("stream");
	client_send(poll_client, GET("/poll"));
	server_expect("poll");
	client_send(parked, GET("/park"));
	server_expect("parked");

	server_do(server, stop);
	server_expect("gone");
	server_expect("server stopping");
	server_expect("server stopping");
	assert_int_equal(client_answer(parked, &head, NULL), 503);
	assert_non_null(strstr(head, "\r\nConnection: close\r\n"));
	free(head);
	assert_int_equal(client_head(stream, NULL), 200);
	client_expect(poll_client, 503, NULL);
	assert_true(client_ends(idle) && client_ends(fresh) && client_ends(parked) &&
	    client_ends(stream) && client_ends(poll_client));
	server_expect("stopped");
	assert_int_equal(server->gone, 1);
	assert_int_equal(access(server->conf.socket, F_OK), -1);
	client_free(idle);
	client_free(fresh);
	client_free(parked);
	client_free(stream);
	client_free(poll_client);
}

/* Not stopped, only freed, with everything still open. */
static void
test_free_at_once(void **state)
{
	(void)state;
	server_start(server);
	struct client *parked = client_tls(server->tls_port, NULL),
		      *stream = client_tcp(server->plain_port);
	struct client *silent = client_tcp(server->tls_port),
		      *half = client_tcp(server->plain_port);

	client_send(stream, GET("/stream"));
	server_expect("stream");
	client_send(half, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
	client_send(parked, GET("/park") GET("/park"));
	server_expect("parked");
	server_free(server);
	client_ends(parked);
	client_free(parked);
	client_free(stream);
	client_free(silent);
	client_free(half);
	server = server_new();
	server_start(server);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SERVER_TEST(test_deadlines),
		SERVER_TEST(test_stalled_reader),
		SERVER_TEST(test_half_closed),
		SERVER_TEST(test_end_with_the_last_bytes),
		SERVER_TEST(test_unix_door),
		SERVER_TEST(test_doors_that_do_not_open),
		SERVER_TEST(test_reload),
		SERVER_TEST(test_tls_policy),
		SERVER_TEST(test_limits),
		SERVER_TEST(test_stop),
		SERVER_TEST(test_free_at_once),
	};

	return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
