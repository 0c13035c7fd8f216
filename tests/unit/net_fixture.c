/*
 * net_fixture: the server thread, its handlers, and the clients of test_net.
 */
#include "net_fixture.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define WAIT_S 10

struct server *server;
struct front_counts front_now;
struct http_counts http_now;
char *server_waits;

static pthread_t thread;
static int words[2], orders[2];
static sem_t order_done;
static struct event *order_event;

void
server_say(const char *word)
{
	if (send(words[1], word, strlen(word), MSG_DONTWAIT) < 0)
		abort();
}

void
server_expect(const char *word)
{
	char said[64] = "(nothing)";
	struct pollfd p = { .fd = words[0], .events = POLLIN };

	if (poll(&p, 1, WAIT_S * 1000) == 1) {
		ssize_t n = recv(words[0], said, sizeof(said) - 1, 0);
		assert_true(n >= 0);
		said[n] = '\0';
	}
	assert_string_equal(said, word);
}

bool
server_said_anything(void)
{
	struct pollfd p = { .fd = words[0], .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

void
server_make_certificate(struct server *s, const char *name)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_NAME *subject = X509_get_subject_name(x);

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_NAME_add_entry_by_txt(
	    subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(x, subject);
	X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	FILE *f = fopen(s->conf.certificate, "w");
	assert_true(f != NULL && PEM_write_X509(f, x) == 1 && fclose(f) == 0);
	f = fopen(s->conf.private_key, "w");
	assert_true(f != NULL && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1 &&
	    fclose(f) == 0);
	X509_free(x);
	EVP_PKEY_free(key);
}

struct server *
server_new(void)
{
	struct server *s = xcalloc(1, sizeof(*s));
	char *no_text = xstrdup("");

	strcpy(s->dir, "/tmp/test_net.XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	s->conf = (struct conf){
		.listen = xstrdup("127.0.0.1:0"),
		.listen_plain = xstrdup("127.0.0.1:0"),
		.socket = xasprintf("%s/s", s->dir),
		.base_url = xstrdup("https://test.example"),
		.certificate = xasprintf("%s/c.pem", s->dir),
		.private_key = xasprintf("%s/k.pem", s->dir),
		.trusted_proxies = no_text,
		.connections = 1000,
		.connections_per_address = 1000,
		.body_bytes = 1000,
		.handshake_ms = 20000,
		.header_ms = 20000,
		.body_ms = 20000,
		.idle_ms = 20000,
		.wait_ms = 20000,
		.stream_queue_bytes = 65536,
	};
	server_make_certificate(s, "one");
	return s;
}

static void
on_gone(void *arg)
{
	struct server *s = arg;

	s->gone++;
	server_say("gone");
}

static void
on_stream_close(void *arg, const char *why)
{
	struct server *s = arg;

	s->closes++;
	server_say(why);
}

/* Bodies up to 1000 bytes everywhere but at /big; /refused is refused before the body. */
static int64_t
on_head(struct http_request *req, void *arg)
{
	(void)arg;
	if (strcmp(http_path(req), "/refused") == 0) {
		http_problem(req, 401, "sign-in", "Sign in first.", NULL, 0);
		return -1;
	}
	return strcmp(http_path(req), "/big") == 0 ? 10 << 20 : 1000;
}

static void
answer_facts(struct http_request *req)
{
	const char *q = http_query(req, "q"), *x = http_header(req, "x-test"),
		   *c = http_cookie(req, "c");

	http_answer_json(req, 200,
	    json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i}", "method", http_method(req), "path",
		http_path(req), "q", q != NULL ? q : "(none)", "x", x != NULL ? x : "(none)",
		"cookie", c != NULL ? c : "(none)", "peer", http_peer(req), "door",
		(int)http_door(req)));
}

static enum http_verdict
on_request(struct http_request *req, void *arg)
{
	struct server *s = arg;
	const char *path = http_path(req);
	size_t len;
	const void *body = http_body(req, &len);

	if (strcmp(path, "/park") == 0 || strcmp(path, "/park-short") == 0) {
		s->parked = req;
		http_park(req, "test", path[5] == '-' ? 50 : 10000, on_gone, s);
		server_say("parked");
		return HTTP_WAIT;
	}
	if (strcmp(path, "/at-once") == 0) {
		http_park(req, "test", 10000, on_gone, s);
		http_resume(req);
		http_answer(req, 200, "text/plain", "at once", 7);
		return HTTP_WAIT;
	}
	if (strcmp(path, "/stream") == 0) {
		http_answer_header(req, "X-Own", "yes");
		s->stream = http_take_stream(req, 200, "text/event-stream", on_stream_close, s);
		server_say("stream");
		return HTTP_DONE;
	}
	if (strcmp(path, "/poll") == 0) {
		s->stream = http_take_answer(req, on_stream_close, s);
		server_say("poll");
		return HTTP_DONE;
	}
	if (strcmp(path, "/facts") == 0) {
		answer_facts(req);
	} else if (strcmp(path, "/stored") == 0) {
		server_say("stored");
		http_answer(req, 201, "text/plain", body, len);
	} else if (strcmp(path, "/download") == 0) {
		char *much = xcalloc(1, 3 << 20);
		memset(much, 'd', 3 << 20);
		http_answer(req, 200, "text/plain", much, 3 << 20);
		free(much);
	} else {
		http_answer(req, 200, "text/plain", body, len);
	}
	return HTTP_DONE;
}

static void
on_end(struct http_request *req, void *arg)
{
	(void)req;
	((struct server *)arg)->ends++;
}

static void
on_order(evutil_socket_t fd, short what, void *arg)
{
	void (*fn)(struct server *);

	(void)what;
	if (recv(fd, &fn, sizeof(fn), 0) != sizeof(fn))
		abort();
	fn(arg);
	sem_post(&order_done);
}

static void *
serve(void *arg)
{
	event_base_dispatch(((struct server *)arg)->base);
	return NULL;
}

void
server_start(struct server *s)
{
	static const struct http_handlers handlers = {
		.on_head = on_head, .on_request = on_request, .on_end = on_end
	};
	char *why = NULL;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, words), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, orders), 0);
	sem_init(&order_done, 0, 0);
	s->base = event_base_new();
	s->http = http_new(s->base, &s->conf, &handlers, s, &why);
	if (s->http == NULL)
		fail_msg("%s", why);
	s->tls_port = front_port(http_front(s->http), FRONT_TLS);
	s->plain_port = front_port(http_front(s->http), FRONT_PLAIN);
	order_event = event_new(s->base, orders[1], EV_READ | EV_PERSIST, on_order, s);
	event_add(order_event, NULL);
	assert_int_equal(pthread_create(&thread, NULL, serve, s), 0);
}

void
server_do(struct server *s, void (*fn)(struct server *))
{
	(void)s;
	assert_int_equal(send(orders[0], &fn, sizeof(fn), 0), sizeof(fn));
	while (sem_wait(&order_done) != 0)
		;
}

long
server_cpu_ms(struct server *s)
{
	clockid_t id;
	struct timespec t;

	(void)s;
	pthread_getcpuclockid(thread, &id);
	clock_gettime(id, &t);
	return (long)(t.tv_sec * 1000 + t.tv_nsec / 1000000);
}

int
server_setup(void **state)
{
	(void)state;
	log_level_set(LOG_LEVEL_ERROR); /* their warnings are what the tests are about */
	server = server_new();
	return 0;
}

int
server_teardown(void **state)
{
	(void)state;
	server_free(server);
	return 0;
}

void
server_count(struct server *s)
{
	front_now = front_counts(http_front(s->http));
	http_now = http_counts(s->http);
}

void
server_resume_parked(struct server *s)
{
	json_t *list = http_waits(s->http);

	server_waits = json_dumps(list, JSON_COMPACT);
	json_decref(list);
	http_resume(s->parked);
	http_answer(s->parked, 200, "text/plain", "woken", 5);
}

void
server_expect_all_gone(void)
{
	int64_t until = clock_mono_ms() + WAIT_S * 1000;

	do
		server_do(server, server_count);
	while (front_now.open > 0 && clock_mono_ms() < until);
	assert_int_equal(front_now.open, 0);
	assert_int_equal(front_now.streams, 0);
}

static void
free_http(struct server *s)
{
	http_free(s->http);
	event_free(order_event);
	event_base_loopbreak(s->base);
}

void
server_free(struct server *s)
{
	if (s->http != NULL) {
		server_do(s, free_http);
		pthread_join(thread, NULL);
	}
	event_base_free(s->base);
	for (int i = 0; i < 2; i++) {
		close(words[i]);
		close(orders[i]);
	}
	unlink(s->conf.certificate);
	unlink(s->conf.private_key);
	unlink(s->conf.socket);
	assert_int_equal(rmdir(s->dir), 0);
	free(s->conf.listen);
	free(s->conf.listen_plain);
	free(s->conf.socket);
	free(s->conf.base_url);
	free(s->conf.certificate);
	free(s->conf.private_key);
	free(s->conf.trusted_proxies);
	free(s);
}

static struct client *
client_new(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct client *c = xcalloc(1, sizeof(*c));
	struct timeval patience = { .tv_sec = WAIT_S };

	c->fd = fd;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, sa, len), 0);
	return c;
}

struct client *
client_tcp(int port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	return client_new(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&sa, sizeof(sa));
}

struct client *
client_unix(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	strcpy(sa.sun_path, path);
	return client_new(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&sa, sizeof(sa));
}

struct client *
client_tls(int port, SSL_SESSION *session)
{
	struct client *c = client_tcp(port);

	c->ctx = SSL_CTX_new(TLS_client_method());
	c->ssl = SSL_new(c->ctx);
	SSL_set_fd(c->ssl, c->fd);
	if (session != NULL)
		SSL_set_session(c->ssl, session);
	assert_int_equal(SSL_connect(c->ssl), 1);
	return c;
}

void
client_free(struct client *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

void
client_send_bytes(struct client *c, const void *data, size_t len)
{
	if (c->ssl != NULL)
		assert_int_equal(SSL_write(c->ssl, data, (int)len), len);
	else
		assert_int_equal(send(c->fd, data, len, MSG_NOSIGNAL), len);
}

void
client_send(struct client *c, const char *text)
{
	client_send_bytes(c, text, strlen(text));
}

long
client_read(struct client *c, void *data, size_t len)
{
	if (c->ssl == NULL)
		return recv(c->fd, data, len, 0);
	int n = SSL_read(c->ssl, data, (int)len);
	if (n > 0)
		return n;
	return SSL_get_error(c->ssl, n) == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static void
take_in(struct client *c, size_t n)
{
	memmove(c->in, c->in + n, c->in_len - n);
	c->in_len -= n;
	c->in[c->in_len] = '\0';
}

static void
read_more(struct client *c)
{
	long n = client_read(c, c->in + c->in_len, sizeof(c->in) - c->in_len - 1);

	if (n <= 0)
		fail_msg("the server ended (%ld) in an answer: \"%.200s\"", n, c->in);
	c->in_len += (size_t)n;
	c->in[c->in_len] = '\0';
}

int
client_head(struct client *c, char **head)
{
	char *end;

	while ((end = strstr(c->in, "\r\n\r\n")) == NULL)
		read_more(c);
	int status = atoi(c->in + strlen("HTTP/1.1 "));
	size_t len = (size_t)(end - c->in) + 4;
	if (head != NULL)
		*head = xstrndup(c->in, len);
	take_in(c, len);
	return status;
}

int
client_answer(struct client *c, char **head_out, char **body_out)
{
	char *head;
	int status = client_head(c, &head);
	char *at = strcasestr(head, "\r\nContent-Length:");
	size_t len = at != NULL ? strtoul(at + 17, NULL, 10) : 0, have = 0;
	char *body = xcalloc(1, len + 1);

	while (have < len) {
		if (c->in_len == 0)
			read_more(c);
		size_t n = c->in_len < len - have ? c->in_len : len - have;
		memcpy(body + have, c->in, n);
		have += n;
		take_in(c, n);
	}
	if (head_out != NULL)
		*head_out = head;
	else
		free(head);
	if (body_out != NULL)
		*body_out = body;
	else
		free(body);
	return status;
}

bool
client_ends(struct client *c)
{
	char drop[4096];
	long n;

	while ((n = client_read(c, drop, sizeof(drop))) > 0)
		;
	return n == 0;
}

char *
repeated(char c, size_t len)
{
	char *text = xmalloc(len + 1);

	memset(text, c, len);
	text[len] = '\0';
	return text;
}

void
client_post(struct client *c, const char *path, const char *body)
{
	char *text = xasprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", path,
	    strlen(body), body);

	client_send(c, text);
	free(text);
}

void
client_expect(struct client *c, int status, const char *body)
{
	char *got;

	assert_int_equal(client_answer(c, NULL, &got), status);
	if (body != NULL)
		assert_string_equal(got, body);
	free(got);
}
