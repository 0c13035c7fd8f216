/*
 * bench_wire: see the header. Non-blocking OpenSSL on one epoll, edge-triggered.
 */
#include "bench_wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/log.h"
#include "base/mem.h"

#define DIALS 64 /* under way at once */
#define TURN 256
#define ROOM 4096 /* at least, for what comes next */

static TAILQ_HEAD(, wire) waiting = TAILQ_HEAD_INITIALIZER(waiting);
static struct sockaddr_in server;
static SSL_CTX *ctx;
static int epoll_fd, dialling;
static void (*on_other)(void);

void
wire_start(int port)
{
	struct rlimit limit;

	/* As many descriptors as the hard limit allows. */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	server = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ctx = SSL_CTX_new(TLS_client_method());
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (ctx == NULL || epoll_fd < 0)
		die(1, "no TLS context or no epoll");
	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
}

struct wire *
wire_new(const struct wire_events *on, void *arg)
{
	struct wire *w = xcalloc(1, sizeof(*w));

	w->on = on;
	w->arg = arg;
	w->fd = -1;
	TAILQ_INSERT_TAIL(&waiting, w, link);
	return w;
}

static void
dial(struct wire *w)
{
	int one = 1;
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = w };

	dialling++;
	w->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (w->fd < 0)
		die(1, "socket: %s", strerror(errno));
	setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(w->fd, (struct sockaddr *)&server, sizeof(server)) != 0 && errno != EINPROGRESS)
		die(1, "connect: %s", strerror(errno));
	w->ssl = SSL_new(ctx);
	if (w->ssl == NULL || SSL_set_fd(w->ssl, w->fd) != 1 ||
	    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, w->fd, &e) != 0)
		die(1, "no TLS connection: %s", strerror(errno));
	SSL_set_connect_state(w->ssl);
}

static void
hang_up(struct wire *w)
{
	if (!w->open)
		dialling--;
	w->open = false;
	SSL_free(w->ssl);
	w->ssl = NULL;
	close(w->fd);
	w->fd = -1;
	ERR_clear_error();
	w->on->on_close(w);
}

/* False: not open yet, or not any more. */
static bool
shake(struct wire *w)
{
	if (w->open)
		return true;
	int got = SSL_do_handshake(w->ssl), why = SSL_get_error(w->ssl, got);

	if (got != 1) {
		if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
			hang_up(w);
		return false;
	}
	w->open = true;
	dialling--;
	w->on->on_open(w);
	return w->ssl != NULL;
}

static void
on_wire(struct wire *w)
{
	if (!shake(w))
		return;
	for (;;) {
		if (w->in_size - w->in_len < ROOM) {
			w->in_size = w->in_size == 0 ? 2 * ROOM : w->in_size * 2;
			w->in = xreallocarray(w->in, w->in_size + 1, 1);
		}
		int got = SSL_read(w->ssl, w->in + w->in_len, (int)(w->in_size - w->in_len));

		if (got <= 0) {
			int why = SSL_get_error(w->ssl, got);

			if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
				hang_up(w);
			return;
		}
		w->in_len += (size_t)got;
		w->in[w->in_len] = '\0';
		w->on->on_data(w, wire_now_us());
		if (w->ssl == NULL)
			return;
	}
}

void
wire_send(struct wire *w, const char *text, size_t len)
{
	/* A request is small, and nobody sends the next before the answer: the socket takes it whole. */
	if (w->ssl == NULL || SSL_write(w->ssl, text, (int)len) != (int)len)
		die(1, "a request of %zu bytes could not be sent", len);
}

void
wire_eat(struct wire *w, size_t len)
{
	w->in_len -= len;
	memmove(w->in, w->in + len, w->in_len + 1);
}

size_t
wire_answer(const struct wire *w, int *status)
{
	if (w->in_len == 0)
		return 0;
	const char *end = strstr(w->in, "\r\n\r\n");
	const char *length = strcasestr(w->in, "\r\nContent-Length:");

	if (end == NULL || sscanf(w->in, "HTTP/1.1 %d", status) != 1)
		return 0;
	size_t head = (size_t)(end + 4 - w->in);
	size_t body = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;

	return w->in_len >= head + body ? head + body : 0;
}

void
wire_listen(int fd, void (*on_ready)(void))
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL };

	on_other = on_ready;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) != 0)
		die(1, "epoll: %s", strerror(errno));
}

void
wire_turn(int timeout_ms)
{
	struct epoll_event events[TURN];
	struct wire *w;

	while (dialling < DIALS && (w = TAILQ_FIRST(&waiting)) != NULL) {
		TAILQ_REMOVE(&waiting, w, link);
		dial(w);
	}
	int n = epoll_wait(epoll_fd, events, TURN, timeout_ms);

	for (int i = 0; i < n; i++) {
		w = events[i].data.ptr;
		if (w == NULL)
			on_other();
		else if (w->ssl != NULL)
			on_wire(w);
	}
}

int64_t
wire_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

double
wire_cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
compare(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

double
wire_percentile(int64_t *us, size_t n, double p)
{
	if (n == 0)
		return 0;
	qsort(us, n, sizeof(*us), compare);
	size_t at = (size_t)(p * (double)n);

	return (double)us[at < n ? at : n - 1] / 1000;
}
