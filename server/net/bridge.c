/*
 * bridge: the life of one connection: what it waits for, until when, who takes
 * it over, how it ends. Its bytes are pumped in bridge_pump.c. It must not look
 * into them.
 *
 * The client's side and libmicrohttpd's side end at different times: the struct
 * lives until both did, and is freed from the loop (bridge_serve_due).
 */
#include "net/bridge.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/conf.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/bridge_impl.h"

#define NO_DEADLINE (-1)

static void on_deadline(evutil_socket_t, short, void *);

/* The one place that says which deadline applies. */
static int
deadline_of(const struct bridge *b)
{
	static const int of_wait[] = {
		[BRIDGE_HANDSHAKE] = FRONT_HANDSHAKE,
		[BRIDGE_HEADERS] = FRONT_HEADERS,
		[BRIDGE_BODY] = FRONT_BODY,
		[BRIDGE_SERVER] = NO_DEADLINE,
		[BRIDGE_IDLE] = FRONT_IDLE,
		[BRIDGE_STREAM] = NO_DEADLINE,
	};

	if (b->state == BRIDGE_DEAD)
		return b->pair_fd >= 0 ? FRONT_EOF_GRACE : NO_DEADLINE;
	if (b->state == BRIDGE_LINGERING)
		return FRONT_LINGER;
	if (b->state == BRIDGE_ENDING || wire_queued(&b->wire) > 0)
		return FRONT_STALL;
	if (b->wait != BRIDGE_SERVER &&
	    (b->pair_shut || (b->client_eof && wire_queue_len(b->up) == 0)))
		return FRONT_EOF_GRACE;
	return of_wait[b->wait];
}

static void
arm(struct bridge *b)
{
	int deadline = deadline_of(b);

	if (deadline == b->deadline)
		return;
	b->deadline = deadline;
	if (deadline == NO_DEADLINE)
		event_del(&b->timer);
	else
		event_add(&b->timer, b->front->timeouts[deadline]);
}

void
bridge_rearm(struct bridge *b)
{
	event_del(&b->timer);
	b->deadline = NO_DEADLINE;
	arm(b);
}

static void
set_mask(struct bridge *b, struct event *ev, short *mask, short want, int fd, event_callback_fn fn)
{
	if (*mask == want)
		return;
	if (*mask != 0)
		event_del(ev);
	*mask = want;
	if (want == 0)
		return;
	event_assign(ev, b->front->base, fd, want | EV_PERSIST, fn, b);
	event_add(ev, NULL);
}

void
bridge_update(struct bridge *b)
{
	short wire_want = 0, pair_want = 0;

	if (b->state != BRIDGE_DEAD) {
		if (!b->client_eof && wire_queue_len(b->up) == 0 && !b->in_line)
			wire_want |= EV_READ;
		if ((wire_queued(&b->wire) > 0 && !b->wire.write_wants_read) ||
		    (b->wire.read_wants_write && !b->in_line) || b->goodbye_waits)
			wire_want |= EV_WRITE;
		set_mask(b, &b->wire_event, &b->wire_mask, wire_want, b->wire.fd, bridge_on_wire);
	}
	if (b->pair_fd >= 0) {
		if (b->state == BRIDGE_DEAD || wire_queued(&b->wire) == 0)
			pair_want |= EV_READ;
		if (b->state != BRIDGE_DEAD && wire_queue_len(b->up) > 0)
			pair_want |= EV_WRITE;
		set_mask(b, &b->pair_event, &b->pair_mask, pair_want, b->pair_fd, bridge_on_pair);
	}
	arm(b);
}

void
bridge_pair_close(struct bridge *b)
{
	if (b->pair_fd < 0)
		return;
	set_mask(b, &b->pair_event, &b->pair_mask, 0, -1, NULL);
	close(b->pair_fd);
	b->pair_fd = -1;
}

/*
 * libmicrohttpd reads what is there, then the end. With close() instead it
 * would drop a whole request unread.
 */
static void
pair_shut(struct bridge *b)
{
	b->pair_shut = true;
	shutdown(b->pair_fd, SHUT_WR);
	b->front->kick(b->front->arg);
}

void
bridge_set_due(struct bridge *b)
{
	if (b->in_due)
		return;
	b->in_due = true;
	TAILQ_INSERT_TAIL(&b->front->due, b, due_link);
	event_active(b->front->serve_due, EV_TIMEOUT, 0);
}

/* The stream is over for its owner, once. */
static void
stream_over(struct bridge *b)
{
	if (b->wait != BRIDGE_STREAM)
		return;
	b->wait = BRIDGE_IDLE;
	b->front->counts.streams--;
	b->owes_close = true;
	bridge_set_due(b);
}

void
bridge_drop(struct bridge *b, const char *why)
{
	if (b->state == BRIDGE_DEAD)
		return;
	if (b->why == NULL)
		b->why = why;
	log_debug("connection=closed peer=%s why=\"%s\"", b->peer, b->why);
	front_turn_forget(b);
	set_mask(b, &b->wire_event, &b->wire_mask, 0, -1, NULL);
	wire_close(&b->wire);
	wire_queue_clear(&b->up);
	front_leave(b->front, b->visitor);
	b->visitor = NULL;
	b->front->counts.open--;
	b->front->counts.lingering -= b->state == BRIDGE_LINGERING;
	b->state = BRIDGE_DEAD;
	stream_over(b);
	if (b->pair_fd >= 0 && b->held)
		pair_shut(b);
	else
		bridge_pair_close(b);
	bridge_update(b);
	bridge_set_due(b);
}

/* Then the client goes first: if we closed, our RST could take away what it has not read. */
void
bridge_say_goodbye(struct bridge *b)
{
	b->goodbye_waits = !wire_goodbye(&b->wire);
	if (b->goodbye_waits)
		return;
	if (b->client_eof) {
		bridge_drop(b, "done");
		return;
	}
	wire_queue_clear(&b->up);
	b->state = BRIDGE_LINGERING;
	b->front->counts.lingering++;
	stream_over(b);
}

void
bridge_end(struct bridge *b)
{
	b->state = BRIDGE_ENDING;
	if (wire_queued(&b->wire) == 0)
		bridge_say_goodbye(b);
}

void
bridge_hang_up(struct bridge *b)
{
	if (b->pair_fd < 0)
		bridge_end(b);
	else if (!b->pair_shut)
		pair_shut(b);
}

/*
 * libmicrohttpd 0.9.75 misses an end that comes with the last bytes: it reads
 * short, and its edge-triggered epoll tells it nothing more. A closed pair is
 * an event of its own; by now it has read all there was.
 */
static void
end_grace(struct bridge *b)
{
	if (b->pair_fd >= 0 && !b->pair_shut) {
		pair_shut(b);
		return;
	}
	bridge_pair_close(b);
	if (b->state == BRIDGE_DEAD)
		bridge_set_due(b);
	else
		bridge_end(b);
}

static void
meet_deadline(struct bridge *b)
{
	int deadline = b->deadline;

	b->deadline = NO_DEADLINE;
	switch (deadline) {
	case FRONT_HANDSHAKE:
		b->front->counts.timed_out++;
		bridge_drop(b, "handshake deadline");
		break;
	case FRONT_STALL:
		b->front->counts.timed_out++;
		bridge_drop(b, "slow reader");
		break;
	case FRONT_LINGER:
		bridge_drop(b, "done");
		break;
	case FRONT_EOF_GRACE:
		end_grace(b);
		break;
	case FRONT_HEADERS:
	case FRONT_BODY:
		b->front->counts.timed_out++;
		b->client_eof = true;
		b->why = deadline == FRONT_HEADERS ? "header deadline" : "body deadline";
		bridge_hang_up(b);
		break;
	default:
		b->why = "idle";
		bridge_hang_up(b);
		break;
	}
	bridge_update(b);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	if (!front_turn_skip(arg, what))
		meet_deadline(arg);
}

void
bridge_go_on(struct bridge *b, short what)
{
	if (b->state != BRIDGE_DEAD && (what & (EV_READ | EV_WRITE)) != 0)
		bridge_pump(b, what);
	/* Armed again since then, it is another one. */
	if ((what & EV_TIMEOUT) != 0 && b->deadline != NO_DEADLINE &&
	    !evtimer_pending(&b->timer, NULL))
		meet_deadline(b);
}

void
bridge_new(struct front *f, int fd, enum front_door door, const struct sockaddr *sa, socklen_t len,
    struct front_visitor *visitor)
{
	struct bridge *b = xcalloc(1, sizeof(*b));
	struct address address;

	b->front = f;
	b->visitor = visitor;
	b->door = door;
	wire_init(&b->wire, fd, door == FRONT_TLS ? f->tls : NULL);
	b->pair_fd = -1;
	b->deadline = NO_DEADLINE;
	b->wait = door == FRONT_TLS ? BRIDGE_HANDSHAKE : BRIDGE_IDLE;
	b->address.any.sa_family = AF_UNIX;
	b->address_len = sizeof(sa->sa_family);
	strcpy(b->peer, "unix");
	if (address_of(sa, &address) && len <= sizeof(b->address)) {
		memcpy(&b->address, sa, len);
		b->address_len = len;
		address_format(&address, b->peer);
	}
	evtimer_assign(&b->timer, f->base, on_deadline, b);
	TAILQ_INSERT_TAIL(&f->bridges, b, link);
	f->counts.open++;
	bridge_update(b);
}

static void
bridge_free(struct bridge *b)
{
	assert(b->state == BRIDGE_DEAD && !b->held && b->pair_fd < 0 && !b->in_due);
	TAILQ_REMOVE(&b->front->bridges, b, link);
	front_turn_unskip(b);
	event_del(&b->timer);
	free(b);
}

static void
serve_one(struct bridge *b)
{
	TAILQ_REMOVE(&b->front->due, b, due_link);
	b->in_due = false;
	if (b->owes_close) {
		bridge_close_fn fn = b->on_close;
		b->owes_close = false;
		b->on_close = NULL;
		if (fn != NULL)
			fn(b->arg, b->why != NULL ? b->why : "done");
	}
	if (b->state == BRIDGE_DEAD && !b->held && b->pair_fd < 0 && !b->in_due)
		bridge_free(b);
}

void
bridge_serve_due(struct front *f)
{
	while (!TAILQ_EMPTY(&f->due))
		serve_one(TAILQ_FIRST(&f->due));
}

void
bridge_destroy(struct bridge *b, const char *why)
{
	b->held = false;
	bridge_drop(b, why);
	bridge_pair_close(b);
	bridge_set_due(b);
	serve_one(b);
}

struct bridge *
bridge_next(struct bridge *b)
{
	return TAILQ_NEXT(b, link);
}

void
bridge_drain(struct bridge *b)
{
	if (b->state == BRIDGE_LIVE && b->wait == BRIDGE_HANDSHAKE)
		bridge_drop(b, "server stopping");
	else if (b->state == BRIDGE_LIVE && b->wait == BRIDGE_IDLE)
		bridge_hang_up(b);
	bridge_update(b);
}

void
bridge_release(struct bridge *b)
{
	b->held = false;
	if (b->state == BRIDGE_DEAD) {
		bridge_pair_close(b);
		bridge_set_due(b);
	}
}

void
bridge_expect(struct bridge *b, enum bridge_wait wait)
{
	if (b->state != BRIDGE_LIVE || b->wait == wait)
		return;
	b->wait = wait;
	if (wait == BRIDGE_IDLE && (b->client_eof || b->front->draining))
		bridge_hang_up(b);
	bridge_update(b);
}

enum front_door
bridge_door(const struct bridge *b)
{
	return b->door;
}

const char *
bridge_peer(const struct bridge *b)
{
	return b->peer;
}

void
bridge_take(struct bridge *b, bridge_close_fn on_close, void *arg)
{
	assert(b->on_close == NULL && (b->state == BRIDGE_LIVE || b->state == BRIDGE_DEAD));
	b->on_close = on_close;
	b->arg = arg;
	b->wait = BRIDGE_STREAM;
	b->front->counts.streams++;
	if (b->state == BRIDGE_DEAD) {
		stream_over(b);
		return;
	}
	/* Answers to earlier requests on this connection are complete in the pair by now. */
	wire_queue_clear(&b->up);
	ssize_t n;
	bool there = true;
	while (there && (n = recv(b->pair_fd, b->front->chunk, WIRE_CHUNK, 0)) > 0)
		there = wire_write(&b->wire, b->front->chunk, (size_t)n);
	bridge_pair_close(b);
	b->state = BRIDGE_TAKEN;
	if (!there || b->client_eof)
		bridge_drop(b, "client left");
	bridge_update(b);
}

size_t
bridge_queued(const struct bridge *b)
{
	return wire_queued(&b->wire);
}

bool
bridge_write(struct bridge *b, const void *data, size_t len)
{
	if (b->state != BRIDGE_TAKEN)
		return false;
	size_t before = wire_queued(&b->wire);
	if (!wire_write(&b->wire, data, len))
		bridge_drop(b, "client left");
	else if (before > 0 && before + len > (size_t)b->front->conf->stream_queue_bytes)
		bridge_drop(b, "slow reader");
	bridge_update(b);
	return b->state == BRIDGE_TAKEN;
}

void
bridge_finish(struct bridge *b, const char *why)
{
	if (b->state != BRIDGE_TAKEN)
		return;
	b->why = why;
	bridge_end(b);
	bridge_update(b);
}
