/*
 * house: a whole server over the recorded database, made for each input and
 * taken down after it, so that no input knows of another. And visitors: clients
 * in the same process, behind a socketpair instead of a network.
 */
#ifndef FUZZ_HOUSE_H
#define FUZZ_HOUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/http.h"

struct api;
struct event_base;
struct node;
struct work;

struct house {
	struct event_base *base;
	struct clock clock;
	struct work *work;
	struct node *node;
	struct api *api;
	struct http *http;
	unsigned moves; /* whatever a visitor said or heard */
};

/* Once for the process: configuration, recording, certificate. */
void house_init(void);
/* All rooms, and the company loaded. */
struct house *house_new(void);
/* net/ alone, with those handlers. */
struct house *house_new_net(const struct http_handlers *, void *arg);
void house_free(struct house *);
/* The loop goes round until nothing moves any more but by the passing of time. */
void house_settle(struct house *);

struct visitor {
	struct house *house;
	int fd;
	struct ssl_st *ssl; /* NULL: plain */
	struct buf said;    /* what the server sent */
	bool over;	    /* and it has closed */
};

void visitor_enter(struct visitor *, struct house *, enum front_door);
/* TLS is spoken from now on. False when there is no agreement. */
bool visitor_shake_hands(struct visitor *);
/* In pieces of that many bytes (0: all at once), each after the server has done with the one before. */
void visitor_say(struct visitor *, const void *, size_t len, size_t piece);
/* Only his sending side: what he asked for is still answered. */
void visitor_stop_talking(struct visitor *);
void visitor_leave(struct visitor *);

/* One response out of what the server sent. Texts are borrowed. */
struct response {
	int status;
	const char *head, *body; /* head: the field lines, each with its CRLF */
	size_t head_len, body_len;
	bool closes; /* Connection: close */
	bool sized;  /* Content-Length was said */
};
/*
 * Cuts the next one off; its end is what must hold: a well-formed head, and as much body as was said, or for an
 * unsized one all that follows. False when nothing is left.
 */
bool response_next(struct response *, const char **at, const char *end, bool to_head);
/* Malloced text of the first such field, or NULL. */
char *response_field(const struct response *, const char *name);

#endif
