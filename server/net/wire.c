/*
 * wire: reads and writes one socket, through OpenSSL or not. It must not know
 * whose socket it is nor when to stop.
 */
#include "net/wire.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/log.h"

size_t
wire_queue_len(const struct evbuffer *q)
{
	return q != NULL ? evbuffer_get_length(q) : 0;
}

void
wire_queue_add(struct evbuffer **q, const void *data, size_t len)
{
	if (*q == NULL)
		*q = evbuffer_new();
	if (*q == NULL || evbuffer_add(*q, data, len) != 0)
		die(1, "out of memory");
}

void
wire_queue_clear(struct evbuffer **q)
{
	if (*q != NULL)
		evbuffer_free(*q);
	*q = NULL;
}

void
wire_init(struct wire *w, int fd, SSL_CTX *ctx)
{
	*w = (struct wire){ .fd = fd };
	if (ctx == NULL)
		return;
	w->ssl = SSL_new(ctx);
	if (w->ssl == NULL || SSL_set_fd(w->ssl, fd) != 1)
		die(1, "out of memory");
	SSL_set_accept_state(w->ssl);
}

void
wire_close(struct wire *w)
{
	SSL_free(w->ssl);
	w->ssl = NULL;
	wire_queue_clear(&w->queue);
	w->read_wants_write = w->write_wants_read = false;
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

/* `other` is the direction that this call does not have by itself. */
static int
tls_result(struct wire *w, int n, bool *wants_other, int other)
{
	int e = SSL_get_error(w->ssl, n);

	if (e == other) {
		*wants_other = true;
		return WIRE_AGAIN;
	}
	if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
		return WIRE_AGAIN;
	return e == SSL_ERROR_ZERO_RETURN ? WIRE_EOF : WIRE_ERROR;
}

static int
socket_result(ssize_t n)
{
	if (n >= 0)
		return (int)n;
	return errno == EAGAIN || errno == EINTR ? WIRE_AGAIN : WIRE_ERROR;
}

int
wire_shake_hands(struct wire *w)
{
	w->read_wants_write = false;
	/* A stale entry in the queue would be taken for this call's error. */
	ERR_clear_error();
	int n = SSL_do_handshake(w->ssl);
	if (n == 1)
		return 1;
	n = tls_result(w, n, &w->read_wants_write, SSL_ERROR_WANT_WRITE);
	return n == WIRE_EOF ? WIRE_ERROR : n;
}

int
wire_read(struct wire *w, char *data, size_t len)
{
	w->read_wants_write = false;
	if (w->ssl == NULL)
		return socket_result(recv(w->fd, data, len, 0));
	ERR_clear_error();
	int n = SSL_read(w->ssl, data, (int)len);
	return n > 0 ? n : tls_result(w, n, &w->read_wants_write, SSL_ERROR_WANT_WRITE);
}

bool
wire_pending(const struct wire *w)
{
	return w->ssl != NULL && SSL_pending(w->ssl) > 0;
}

static int
write_some(struct wire *w, const void *data, size_t len)
{
	w->write_wants_read = false;
	if (w->ssl == NULL)
		return socket_result(send(w->fd, data, len, MSG_NOSIGNAL));
	ERR_clear_error();
	int n = SSL_write(w->ssl, data, (int)len);
	if (n > 0)
		return n;
	n = tls_result(w, n, &w->write_wants_read, SSL_ERROR_WANT_READ);
	return n == WIRE_EOF ? WIRE_ERROR : n;
}

static size_t
chunk_of(size_t len)
{
	return len < WIRE_CHUNK ? len : WIRE_CHUNK;
}

bool
wire_write(struct wire *w, const void *bytes, size_t len)
{
	const char *data = bytes;

	while (len > 0 && wire_queued(w) == 0) {
		int n = write_some(w, data, chunk_of(len));
		if (n == WIRE_ERROR)
			return false;
		if (n == WIRE_AGAIN)
			break;
		data += n;
		len -= (size_t)n;
	}
	if (len > 0)
		wire_queue_add(&w->queue, data, len);
	return true;
}

/*
 * A TLS write that is tried again must begin with the same bytes and not be
 * shorter: the queue only grows.
 */
bool
wire_flush(struct wire *w, bool *progress)
{
	size_t have;

	while ((have = chunk_of(wire_queued(w))) > 0) {
		int n = write_some(w, evbuffer_pullup(w->queue, (ev_ssize_t)have), have);
		if (n == WIRE_ERROR)
			return false;
		if (n == WIRE_AGAIN)
			return true;
		evbuffer_drain(w->queue, (size_t)n);
		*progress = true;
	}
	wire_queue_clear(&w->queue);
	return true;
}

size_t
wire_queued(const struct wire *w)
{
	return wire_queue_len(w->queue);
}

bool
wire_goodbye(struct wire *w)
{
	/* Without close_notify OpenSSL clients throw the session away and never resume. */
	if (w->ssl != NULL && SSL_is_init_finished(w->ssl)) {
		ERR_clear_error();
		int n = SSL_shutdown(w->ssl);
		if (n < 0 && SSL_get_error(w->ssl, n) == SSL_ERROR_WANT_WRITE)
			return false;
	}
	SSL_free(w->ssl);
	w->ssl = NULL;
	w->read_wants_write = w->write_wants_read = false;
	shutdown(w->fd, SHUT_WR);
	return true;
}
