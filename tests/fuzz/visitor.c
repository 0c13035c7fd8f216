/*
 * visitor: who comes in past the listening sockets, what he says, and what he is
 * answered. It must not know what he wants.
 */
#include "house.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "database.h"
#include "net/front_impl.h"

void
visitor_enter(struct visitor *v, struct house *h, enum front_door door)
{
	static const struct sockaddr_in from = { .sin_family = AF_INET,
		.sin_addr = { 0x090200c0 /* 192.0.2.9, a trusted proxy */ } };
	static const struct sockaddr_un none = { .sun_family = AF_UNIX };
	int pair[2];

	*v = (struct visitor){ .house = h };
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0,
	    "no socket pair");
	v->fd = pair[0];
	if (door == FRONT_UNIX)
		bridge_new(http_front(h->http), pair[1], door, (const struct sockaddr *)&none,
		    sizeof(none.sun_family), NULL);
	else
		bridge_new(http_front(h->http), pair[1], door, (const struct sockaddr *)&from,
		    sizeof(from), NULL);
	house_settle(h);
}

static ssize_t
receive(struct visitor *v, char *data, size_t size)
{
	if (v->ssl == NULL)
		return recv(v->fd, data, size, 0);
	int n = SSL_read(v->ssl, data, (int)size);
	if (n > 0)
		return n;
	errno = EAGAIN;
	return SSL_get_error(v->ssl, n) == SSL_ERROR_WANT_READ ? -1 : 0;
}

/* For whoever wonders what an input is good for. */
static void
show(const char *data, size_t len)
{
	if (getenv("FUZZ_SHOW") != NULL && fwrite(data, 1, len, stdout) == len)
		fflush(stdout);
}

/* Reads what is there, and lets the server go on, until both rest. */
static void
listen_to(struct visitor *v)
{
	char data[16384];
	ssize_t n;
	bool more = true;

	while (more) {
		more = false;
		house_settle(v->house);
		while (!v->over && (n = receive(v, data, sizeof(data))) != 0) {
			if (n < 0 && (errno == EAGAIN || errno == EINTR))
				break;
			if (n < 0) {
				v->over = true;
				break;
			}
			buf_add(&v->said, data, (size_t)n);
			show(data, (size_t)n);
			v->house->moves++;
			more = true;
		}
		if (!v->over && n == 0)
			v->over = true;
	}
}

bool
visitor_shake_hands(struct visitor *v)
{
	int n = 0;
	static SSL_CTX *tls;

	if (tls == NULL)
		tls = SSL_CTX_new(TLS_client_method());
	v->ssl = SSL_new(tls);
	SSL_set_fd(v->ssl, v->fd);
	SSL_set_connect_state(v->ssl);
	for (int i = 0; i < 10 && (n = SSL_do_handshake(v->ssl)) != 1; i++) {
		v->house->moves++;
		house_settle(v->house);
	}
	return n == 1;
}

void
visitor_say(struct visitor *v, const void *data, size_t len, size_t piece)
{
	const char *at = data, *end = at + len;

	while (at < end && !v->over) {
		size_t some = (size_t)(end - at);
		if (piece > 0 && some > piece)
			some = piece;
		ssize_t n = v->ssl != NULL ? SSL_write(v->ssl, at, (int)some)
					   : send(v->fd, at, some, MSG_NOSIGNAL);
		v->house->moves++;
		if (n > 0)
			at += n;
		else if (v->ssl != NULL || errno != EAGAIN)
			at = end; /* nobody listens any more */
		listen_to(v);
	}
	listen_to(v);
}

void
visitor_stop_talking(struct visitor *v)
{
	if (v->ssl != NULL)
		SSL_shutdown(v->ssl);
	shutdown(v->fd, SHUT_WR);
	v->house->moves++;
	listen_to(v);
}

void
visitor_leave(struct visitor *v)
{
	SSL_free(v->ssl);
	close(v->fd);
	buf_fini(&v->said);
	v->house->moves++;
	house_settle(v->house);
}

static const char *
line_end(const char *at, const char *end)
{
	const char *cr = memmem(at, (size_t)(end - at), "\r\n", 2);

	must(cr != NULL, "a line of an answer has no end");
	return cr;
}

static void
field_read(struct response *r, const char *at, const char *end)
{
	const char *colon = memchr(at, ':', (size_t)(end - at));

	must(colon != NULL && colon > at, "a field of an answer has no name");
	for (const char *p = at; p < end; p++)
		must(((unsigned char)*p >= 0x20 || *p == 0x09) && *p != 0x7f,
		    "a field of an answer has a control character");
	if (strncasecmp(at, "Content-Length:", 15) == 0) {
		must(!r->sized, "an answer has two lengths");
		r->sized = true;
		r->body_len = (size_t)strtoull(colon + 1, NULL, 10);
	} else if (strncasecmp(at, "Connection:", 11) == 0) {
		r->closes = memmem(at, (size_t)(end - at), "lose", 4) != NULL;
	}
}

bool
response_next(struct response *r, const char **at, const char *end, bool to_head)
{
	const char *p = *at, *stop;

	*r = (struct response){ 0 };
	if (p == end)
		return false;
	stop = line_end(p, end);
	must(stop - p >= 13 && (memcmp(p, "HTTP/1.1 ", 9) == 0 || memcmp(p, "HTTP/1.0 ", 9) == 0),
	    "an answer has no status");
	r->status = atoi(p + 9);
	must(r->status >= 100 && r->status <= 599, "a status is none");
	r->head = stop + 2;
	while (p = stop + 2, (stop = line_end(p, end)) != p)
		field_read(r, p, stop);
	r->head_len = (size_t)(p - r->head);
	r->body = p + 2;
	size_t left = (size_t)(end - r->body);
	bool bodiless = to_head || r->status < 200 || r->status == 204 || r->status == 304;
	must(bodiless || r->sized || r->closes, "an answer's end cannot be known");
	if (bodiless)
		r->body_len = 0;
	else if (!r->sized)
		r->body_len = left;
	must(r->body_len <= left, "an answer is shorter than it says");
	*at = r->body + r->body_len;
	return true;
}

char *
response_field(const struct response *r, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = r->head, *end = at + r->head_len; at < end;) {
		const char *stop = line_end(at, end);
		if (strncasecmp(at, name, len) == 0 && at[len] == ':')
			return xstrndup(at + len + 1 + strspn(at + len + 1, " "),
			    (size_t)(stop - at - (ssize_t)len) - 1 - strspn(at + len + 1, " "));
		at = stop + 2;
	}
	return NULL;
}
