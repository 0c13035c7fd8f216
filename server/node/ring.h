/*
 * ring: a tenant's recent events in memory, as the database wrote them, so that
 * a restart's thousand resuming subscribers do not read SQL. Knows only text.
 */
#ifndef NODE_RING_H
#define NODE_RING_H

#include <stddef.h>
#include <stdint.h>

struct ring;

struct ring_event {
	uint64_t seq;
	int64_t at_ms;
	int agent_id;		/* whom it concerns, 0 nobody */
	char *kind;
	char *body;		/* JSON text */
};

struct ring *ring_new(size_t max);
void ring_free(struct ring *);
/* seq must be the last + 1, or the ring is emptied first. Texts are copied. */
void ring_add(struct ring *, uint64_t seq, int64_t at_ms, int agent_id, const char *kind, const char *body, size_t body_len);
void ring_clear(struct ring *);
/* NULL when it is not (or no longer) here. Borrowed until the next ring_add. */
const struct ring_event *ring_get(const struct ring *, uint64_t seq);
uint64_t ring_last(const struct ring *);	/* 0: empty */

#endif
