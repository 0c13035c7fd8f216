/*
 * front_impl: what front.c, front_turn.c and bridge.c share: the doors' common
 * state and the way of a connection from one to the other. For these only.
 */
#ifndef NET_FRONT_IMPL_H
#define NET_FRONT_IMPL_H

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <bsd/sys/tree.h>
#include <openssl/types.h>

#include "net/address.h"
#include "net/bridge.h"
#include "net/front.h"
#include "net/wire.h"

struct event;
struct front_listener;

/* The fixed deadlines; front_timeout() gives their present length. */
enum front_deadline {
	FRONT_HANDSHAKE,
	FRONT_HEADERS,
	FRONT_BODY,
	FRONT_IDLE,
	FRONT_STALL,	 /* the client reads nothing of what is queued for it */
	FRONT_EOF_GRACE, /* so long libmicrohttpd has to read up to an end */
	FRONT_LINGER,	 /* after our goodbye the client may still be sending */
	FRONT_DEADLINES
};

/* Connections open from one customer's network. */
struct front_visitor {
	RB_ENTRY(front_visitor) node;
	struct address network;
	int open;
};

TAILQ_HEAD(bridge_list, bridge);
TAILQ_HEAD(front_listener_list, front_listener);
RB_HEAD(front_visitor_tree, front_visitor);

struct front {
	struct event_base *base;
	const struct conf *conf;
	SSL_CTX *tls; /* NULL when no door speaks it */
	struct address_set *trusted;
	front_open_fn open;
	front_kick_fn kick;
	void *arg;
	struct front_listener_list listeners;
	struct front_visitor_tree visitors;
	struct bridge_list bridges; /* all, the dead ones that libmicrohttpd still holds too */
	struct bridge_list due;	    /* owe a callback or their burial */
	struct event *serve_due;
	struct front_counts counts;
	/* front_turn.c's: what this turn of the loop has spent, and who waits for the next. */
	struct event *turn;
	struct bridge_list line;    /* for a handshake */
	struct bridge_list skipped; /* for whatever the loop said of them */
	int turn_accepts;
	int64_t turn_began_us, turn_shake_us;
	int64_t refusal_said_ms;
	bool draining; /* whoever becomes idle is closed */
	struct timeval lengths[FRONT_DEADLINES];
	const struct timeval *timeouts[FRONT_DEADLINES]; /* for event_add() */
	char chunk[WIRE_CHUNK]; /* what was just read; every reader passes it on at once */
};

/* Lets a visitor in: the bridge owns fd and the visitor's place (NULL: not counted). */
void bridge_new(struct front *, int fd, enum front_door, const struct sockaddr *, socklen_t,
    struct front_visitor *);
/* Doors that had let in enough in one turn are open again. */
void front_accept_again(struct front *);

/* front_turn.c: the handshake goes on, now or as soon as others had their turn. */
void front_turn_shake(struct bridge *);
void front_turn_forget(struct bridge *);
/* Clients had enough of this turn of the loop: bridge_go_on() follows in the next. */
bool front_turn_skip(struct bridge *, short what);
void front_turn_unskip(struct bridge *);
/* Counts one who came, let in or refused; false: no more in this turn, front_accept_again() follows. */
bool front_turn_accept(struct front *);
void front_turn_start(struct front *);
void front_turn_stop(struct front *);

/* Forgets one connection of a visitor (may be NULL). */
void front_leave(struct front *, struct front_visitor *);
/* For front_free(): closes at once, calls on_close, frees. */
void bridge_destroy(struct bridge *, const char *why);
/* For front_drain(): closes it if it is idle. */
void bridge_drain(struct bridge *);
struct bridge *bridge_next(struct bridge *);
/* From the loop: calls on_close of those in front->due and frees the dead. */
void bridge_serve_due(struct front *);

#endif
