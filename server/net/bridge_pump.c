/*
 * bridge_pump: moves one connection's bytes between the client and
 * libmicrohttpd's end of a socketpair. When one side does not take them, the
 * other is not read. It must not look into them.
 */
#include "net/bridge_impl.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "base/log.h"

/* Chunks a turn from one connection, so that a fast one leaves room for others. */
#define ROUNDS 4
/* What a client may send after our goodbye, or behind a stream, before it is cut off. */
#define LINGER_BYTES (1 << 20)

static bool
pair_open(struct bridge *b)
{
	struct front *f = b->front;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
		log_warn("connection=refused peer=%s error=\"%s\"", b->peer, strerror(errno));
		return false;
	}
	b->pair_fd = pair[0];
	b->held = true;
	if (f->open(f->arg, b, pair[1], &b->address.any, b->address_len))
		return true;
	b->held = false;
	return false;
}

/* Only now does the connection cost libmicrohttpd anything. */
static void
to_server(struct bridge *b, const char *data, size_t len)
{
	if (b->pair_fd < 0 && !pair_open(b)) {
		bridge_drop(b, "cannot be served");
		return;
	}
	if (b->wait == BRIDGE_IDLE)
		b->wait = BRIDGE_HEADERS;
	ssize_t n = send(b->pair_fd, data, len, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return; /* it answered and closed early: the pair's end tells the rest */
	size_t sent = n > 0 ? (size_t)n : 0;
	if (sent < len)
		wire_queue_add(&b->up, data + sent, len - sent);
	b->front->kick(b->front->arg);
}

/* A client that only closed its sending side still gets its answer. */
static void
take_client_eof(struct bridge *b)
{
	b->client_eof = true;
	if (b->state == BRIDGE_TAKEN)
		bridge_drop(b, "client left");
	else if (b->state == BRIDGE_LIVE && b->wait == BRIDGE_IDLE)
		bridge_hang_up(b);
}

/* Behind the request for a stream: nothing of it is ever done. */
static void
ignore(struct bridge *b, size_t len)
{
	b->lingered += len;
	if (b->lingered > LINGER_BYTES)
		bridge_drop(b, "talks behind a stream");
}

static void
read_client(struct bridge *b)
{
	char *chunk = b->front->chunk;

	for (int round = 0; round < ROUNDS; round++) {
		if (b->state >= BRIDGE_LINGERING || b->client_eof || wire_queue_len(b->up) > 0)
			return;
		int n = wire_read(&b->wire, chunk, WIRE_CHUNK);
		if (n == WIRE_AGAIN)
			return;
		if (n == WIRE_ERROR)
			bridge_drop(b, "client left");
		else if (n == WIRE_EOF)
			take_client_eof(b);
		else if (b->state == BRIDGE_LIVE && !b->pair_shut)
			to_server(b, chunk, (size_t)n);
		else if (b->state == BRIDGE_TAKEN)
			ignore(b, (size_t)n);
		if (n < WIRE_CHUNK && !wire_pending(&b->wire))
			return;
	}
}

void
bridge_shake_hands(struct bridge *b)
{
	int n = wire_shake_hands(&b->wire);

	if (n == WIRE_AGAIN)
		return;
	if (n == WIRE_ERROR) {
		b->front->counts.handshake_failed++;
		bridge_drop(b, "handshake failed");
		return;
	}
	b->wait = BRIDGE_IDLE;
	read_client(b);
}

static void
linger(struct bridge *b)
{
	int n = wire_read(&b->wire, b->front->chunk, WIRE_CHUNK);

	if (n == WIRE_AGAIN)
		return;
	if (n > 0)
		b->lingered += (size_t)n;
	if (n <= 0 || b->lingered > LINGER_BYTES)
		bridge_drop(b, "done");
}

void
bridge_pump(struct bridge *b, short what)
{
	if (b->state == BRIDGE_LINGERING) {
		linger(b);
	} else if (b->wait == BRIDGE_HANDSHAKE) {
		front_turn_shake(b);
	} else {
		bool read_on = (what & EV_READ) != 0 || b->wire.read_wants_write;
		bool progress = false;
		if (!wire_flush(&b->wire, &progress))
			bridge_drop(b, "client left");
		else if (progress)
			bridge_rearm(b);
		if (b->state == BRIDGE_ENDING && wire_queued(&b->wire) == 0)
			bridge_say_goodbye(b);
		if (read_on)
			read_client(b);
	}
	bridge_update(b);
}

void
bridge_on_wire(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	if (!front_turn_skip(arg, what))
		bridge_pump(arg, what);
}

static void
read_pair(struct bridge *b)
{
	char *chunk = b->front->chunk;
	ssize_t n;

	for (int round = 0; round < ROUNDS && wire_queued(&b->wire) == 0; round++) {
		n = recv(b->pair_fd, chunk, WIRE_CHUNK, 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			bridge_pair_close(b);
			if (b->state == BRIDGE_LIVE)
				bridge_end(b);
			else
				bridge_set_due(b);
			return;
		}
		if (b->state != BRIDGE_DEAD && !wire_write(&b->wire, chunk, (size_t)n))
			bridge_drop(b, "client left");
		if (n < WIRE_CHUNK)
			return;
	}
}

void
bridge_on_pair(evutil_socket_t fd, short what, void *arg)
{
	struct bridge *b = arg;

	(void)fd;
	if (wire_queue_len(b->up) > 0 && (what & EV_WRITE) != 0) {
		int n = evbuffer_write(b->up, b->pair_fd);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			wire_queue_clear(&b->up);
		else
			b->front->kick(b->front->arg);
	}
	if ((what & EV_READ) != 0)
		read_pair(b);
	bridge_update(b);
}
