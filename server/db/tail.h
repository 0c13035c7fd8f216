/*
 * tail: LISTEN on a connection of its own (no pipeline). A notice is only a
 * hint to look; on_ready says that notices flow from now on and that everything
 * before must be looked for. Reconnects with back-off.
 */
#ifndef DB_TAIL_H
#define DB_TAIL_H

#include <stdint.h>

struct conf;
struct event_base;
struct tail;

struct tail_handlers {
	void (*on_ready)(void *arg);
	void (*on_notice)(void *arg, int tenant_id, uint64_t seq);
};
struct tail *tail_new(struct event_base *, const struct conf *, const struct tail_handlers *, void *arg);
void tail_free(struct tail *);

#endif
