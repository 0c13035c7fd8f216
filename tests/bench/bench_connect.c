/*
 * bench_connect: posts a form over a new TLS connection each time, to see what a
 * connection costs the server:
 *
 *	bench_connect PORT PATH SECONDS CLIENTS FIRST full|resumed
 *
 * Each of CLIENTS threads connects, shakes hands (TLS 1.3), posts, reads the
 * answer to its end and closes. resumed: with the ticket of its connection
 * before. FIRST: eight digits; numbers count up from it. Ends with a line
 * RESULT {...}. Blocking sockets and threads: only the server is measured.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

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

static const char *path;
static int port;
static bool resume;
static int64_t end_ms;
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
	    "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\nConnection: close\r\n"
	    "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
	    path, len, body);
}

/* One post; what the answer's first line says, or 0 when it did not come whole. */
static int
post(SSL *ssl)
{
	char out[1024], in[8192];
	size_t len = request(out, sizeof(out), atomic_fetch_add(&next_number, 1)), got = 0;
	int n, status = 0;

	if (SSL_connect(ssl) != 1 || SSL_write(ssl, out, (int)len) != (int)len)
		return 0;
	while ((n = SSL_read(ssl, in + got, (int)(sizeof(in) - 1 - got))) > 0)
		got += (size_t)n;
	in[got] = '\0';
	if (SSL_get_error(ssl, n) != SSL_ERROR_ZERO_RETURN || sscanf(in, "HTTP/1.1 %d", &status) != 1)
		return 0;
	return status;
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
		int status = post(ssl);

		atomic_fetch_add(status == 0 ? &errors : status == 201 ? &answers : &refused, 1);
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

int
main(int argc, char **argv)
{
	if (argc != 7) {
		fprintf(stderr, "usage: bench_connect PORT PATH SECONDS CLIENTS FIRST full|resumed\n");
		return 2;
	}
	port = atoi(argv[1]);
	path = argv[2];
	int nclients = atoi(argv[4]);
	atomic_store(&next_number, atol(argv[5]));
	resume = strcmp(argv[6], "resumed") == 0;
	ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	int64_t start_ms = clock_mono_ms();
	end_ms = start_ms + (int64_t)(atof(argv[3]) * 1000);

	pthread_t *threads = calloc((size_t)nclients, sizeof(*threads));
	for (int i = 0; i < nclients; i++)
		pthread_create(&threads[i], NULL, client, NULL);
	for (int i = 0; i < nclients; i++)
		pthread_join(threads[i], NULL);
	printf("RESULT {\"answers\": %ld, \"refused\": %ld, \"errors\": %ld, \"resumed\": %ld, "
	       "\"seconds\": %.3f}\n",
	    atomic_load(&answers), atomic_load(&refused), atomic_load(&errors), atomic_load(&resumed),
	    (double)(clock_mono_ms() - start_ms) / 1000);
	free(threads);
	SSL_CTX_free(ctx);
	return 0;
}
