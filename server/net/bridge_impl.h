/*
 * bridge_impl: one connection, as bridge.c (its life) and bridge_pump.c (its
 * bytes) see it. For these two files only.
 */
#ifndef NET_BRIDGE_IMPL_H
#define NET_BRIDGE_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <netinet/in.h>
#include <sys/queue.h>

#include <event2/event_struct.h>

#include "net/front_impl.h"
#include "net/wire.h"

enum bridge_state {
	BRIDGE_LIVE,	  /* requests go through libmicrohttpd */
	BRIDGE_TAKEN,	  /* a stream */
	BRIDGE_ENDING,	  /* nothing more comes: flush, say goodbye */
	BRIDGE_LINGERING, /* said it; waits for the client to read and leave */
	BRIDGE_DEAD	  /* the client's side is closed */
};

struct bridge {
	TAILQ_ENTRY(bridge) link;
	TAILQ_ENTRY(bridge) due_link;
	TAILQ_ENTRY(bridge) in_line_link;
	TAILQ_ENTRY(bridge) skipped_link;
	struct front *front;
	struct front_visitor *visitor;
	enum front_door door;
	enum bridge_state state;
	enum bridge_wait wait;
	int deadline;	     /* the armed enum front_deadline */
	struct wire wire;    /* the client's side */
	int pair_fd;	     /* -1: not opened yet, or closed */
	struct evbuffer *up; /* what libmicrohttpd did not take at once; NULL: nothing */
	struct event wire_event, pair_event, timer;
	short wire_mask, pair_mask;
	bool goodbye_waits; /* close_notify did not fit */
	bool client_eof;
	bool pair_shut;	 /* libmicrohttpd was told that the client left */
	bool held;	 /* libmicrohttpd knows this bridge */
	bool owes_close; /* on_close may be called now */
	bool in_due;
	bool in_line;  /* its handshake waits for the next turn of the loop */
	short skipped; /* so does what the loop said: EV_READ, EV_WRITE, EV_TIMEOUT */
	size_t lingered;
	const char *why;
	bridge_close_fn on_close;
	void *arg;
	socklen_t address_len;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address;
	char peer[ADDRESS_TEXT_SIZE];
};

/* Brings events and deadline in line with the state; every entry point ends with it. */
void bridge_update(struct bridge *);
/* The present deadline starts anew: there was progress. */
void bridge_rearm(struct bridge *);
/* Closes the client's side now. */
void bridge_drop(struct bridge *, const char *why);
/* Ends an idle or late connection: libmicrohttpd closes its end first, if it has one. */
void bridge_hang_up(struct bridge *);
/* Nothing more will be written: flush, then say goodbye. */
void bridge_end(struct bridge *);
void bridge_say_goodbye(struct bridge *);
void bridge_pair_close(struct bridge *);
/* The loop shall look whether on_close is owed or the struct can be freed. */
void bridge_set_due(struct bridge *);

/* One step of the handshake; bridge_update() follows. */
void bridge_shake_hands(struct bridge *);

/* The client's side is ready for what (EV_READ, EV_WRITE), or was some time ago. */
void bridge_pump(struct bridge *, short what);
/* From the next turn of the loop: what was skipped in the last. */
void bridge_go_on(struct bridge *, short what);

/* From the loop. */
void bridge_on_wire(evutil_socket_t, short what, void *);
void bridge_on_pair(evutil_socket_t, short what, void *);

#endif
