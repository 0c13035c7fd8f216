/*
 * bench_connect: posts a form over TLS, as visitors do:
 *
 *	bench_connect PORT PATH SECONDS CLIENTS FIRST full|resumed
 *	bench_connect PORT PATH SECONDS CLIENTS FIRST RATE
 *
 * full, resumed: each of CLIENTS threads connects, shakes hands (TLS 1.3), posts,
 * reads the answer to its end and closes, over and over, to see what a connection
 * costs the server; resumed: with the ticket of its connection before.
 * RATE: so many posts a second over connections that are kept; the time of each
 * counts from when it was to be sent, also when the one before it was late.
 * FIRST: eight digits; numbers count up from it. Ends with a line RESULT {...}.
 * Blocking sockets and threads: only the server is measured.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bench_wire.h"

static const char *path;
static int port;
static bool resume;
static double rate; /* 0: as many as it can, each over a new connection */
static int nclients;
static int64_t start_us, end_ms;
static int64_t *took_us; /* by post, when there is a rate */
static SSL_CTX *ctx;
static atomic_long next_number, answers, refused, errors, resumed;

static int
dial(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static size_t
request(char *out, size_t size, long n)
{
	char body[512], when[32];
	time_t day = time(NULL) + 2 * 86400 + n % 1000 * 600;
	struct tm tm;

	strftime(when, sizeof(when), "%Y-%m-%dT%H%%3A%M", localtime_r(&day, &tm));
	int len = snprintf(body, sizeof(body),
	    "phone=%%2B4930%08ld&email=v%08ld%%40example.com&when=%s&name=Erika+Mustermann&"
	    "language=de&consent=true&subject=Financing+of+a+new+kitchen&notes=I+have+two+offers+"
	    "already+and+would+like+to+compare+them.&customer=K-4711-0815&campaign=autumn-2026",
	    n, n, when);
	return (size_t)snprintf(out, size,
	    "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n%s"
	    "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
	    path, rate > 0 ? "" : "Connection: close\r\n", len, body);
}

static bool
whole(const char *answer, size_t got)
{
	const char *end = strstr(answer, "\r\n\r\n");
	const char *length = strcasestr(answer, "\r\nContent-Length:");

	return end != NULL && length != NULL && length < end &&
	    got >= (size_t)(end + 4 - answer) + strtoul(length + 17, NULL, 10);
}

/* One post; what the answer's first line says, or 0 when it did not come whole. */
static int
post(SSL *ssl)
{
	char out[1024], in[8192];
	size_t len = request(out, sizeof(out), atomic_fetch_add(&next_number, 1)), got = 0;
	int n, status = 0;

	if (SSL_write(ssl, out, (int)len) != (int)len)
		return 0;
	while ((n = SSL_read(ssl, in + got, (int)(sizeof(in) - 1 - got))) > 0) {
		got += (size_t)n;
		in[got] = '\0';
		if (rate > 0 && whole(in, got))
			break;
	}
	if (n <= 0 && SSL_get_error(ssl, n) != SSL_ERROR_ZERO_RETURN)
		return 0;
	return got > 0 && sscanf(in, "HTTP/1.1 %d", &status) == 1 ? status : 0;
}

static void
count(int status)
{
	atomic_fetch_add(status == 0 ? &errors : status == 201 ? &answers : &refused, 1);
}

static void
once(SSL_SESSION **ticket)
{
	int fd = dial();
	SSL *ssl = SSL_new(ctx);

	if (fd < 0 || SSL_set_fd(ssl, fd) != 1) {
		atomic_fetch_add(&errors, 1);
	} else {
		if (*ticket != NULL)
			SSL_set_session(ssl, *ticket);
		int status = SSL_connect(ssl) == 1 ? post(ssl) : 0;

		count(status);
		if (status != 0 && SSL_session_reused(ssl))
			atomic_fetch_add(&resumed, 1);
		SSL_SESSION_free(*ticket);
		*ticket = resume && status != 0 ? SSL_get1_session(ssl) : NULL;
		SSL_shutdown(ssl);
	}
	SSL_free(ssl);
	ERR_clear_error();
	if (fd >= 0)
		close(fd);
}

static void *
client(void *arg)
{
	SSL_SESSION *ticket = NULL;

	(void)arg;
	while (clock_mono_ms() < end_ms)
		once(&ticket);
	SSL_SESSION_free(ticket);
	return NULL;
}

static int64_t
mono_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
wait_until(int64_t us)
{
	struct timespec t = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

/* Every nclients-th post of the timetable, over one connection. */
static void *
keeper(void *arg)
{
	int fd = dial();
	SSL *ssl = SSL_new(ctx);

	if (fd < 0 || SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1) {
		atomic_fetch_add(&errors, 1);
	} else {
		for (long i = (long)(intptr_t)arg;; i += nclients) {
			int64_t due_us = start_us + (int64_t)((double)i * 1e6 / rate);

			if (due_us / 1000 >= end_ms)
				break;
			wait_until(due_us);
			count(post(ssl));
			took_us[i] = mono_us() - due_us;
		}
		SSL_shutdown(ssl);
	}
	SSL_free(ssl);
	if (fd >= 0)
		close(fd);
	return NULL;
}

int
main(int argc, char **argv)
{
	if (argc != 7) {
		fprintf(stderr,
		    "usage: bench_connect PORT PATH SECONDS CLIENTS FIRST full|resumed|RATE\n");
		return 2;
	}
	port = atoi(argv[1]);
	path = argv[2];
	nclients = atoi(argv[4]);
	atomic_store(&next_number, atol(argv[5]));
	resume = strcmp(argv[6], "resumed") == 0;
	rate = atof(argv[6]);
	ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	/* The connections that are kept are made first. */
	start_us = mono_us() + (rate > 0 ? 500000 : 0);
	end_ms = start_us / 1000 + (int64_t)(atof(argv[3]) * 1000);
	size_t planned = (size_t)(atof(argv[3]) * rate) + 1;
	took_us = xcalloc(planned + 1, sizeof(*took_us));

	pthread_t *threads = xcalloc((size_t)nclients, sizeof(*threads));
	for (int i = 0; i < nclients; i++)
		pthread_create(&threads[i], NULL, rate > 0 ? keeper : client, (void *)(intptr_t)i);
	for (int i = 0; i < nclients; i++)
		pthread_join(threads[i], NULL);
	size_t sent = rate > 0 ? (size_t)(atomic_load(&answers) + atomic_load(&refused)) : 0;
	printf("RESULT {\"answers\": %ld, \"refused\": %ld, \"errors\": %ld, \"resumed\": %ld, "
	       "\"seconds\": %.3f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f}\n",
	    atomic_load(&answers), atomic_load(&refused), atomic_load(&errors),
	    atomic_load(&resumed), (double)(mono_us() - start_us) / 1e6,
	    wire_percentile(took_us, sent, 0.5), wire_percentile(took_us, sent, 0.99),
	    wire_percentile(took_us, sent, 1));
	free(threads);
	free(took_us);
	SSL_CTX_free(ctx);
	return 0;
}
