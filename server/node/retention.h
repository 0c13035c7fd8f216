/*
 * retention: while this node holds a tenant's lease, deletes what the company
 * does not keep any longer, in small steps (sql/functions/retain.sql). Knows
 * when, and how much at once; what is old is the database's to say.
 */
#ifndef NODE_RETENTION_H
#define NODE_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

struct retention;
struct tenant;

struct retention *retention_new(struct tenant *);
void retention_free(struct retention *);
/* Holding the lease or not any more. */
void retention_hold(struct retention *, bool);
/* The clock moved: a pass may have fallen due. */
void retention_wake(struct retention *);

struct retention_counts {
	uint64_t callbacks, events, steps; /* deleted here; steps done */
	int64_t held_us;		   /* the longest that a step held the tenant's lock */
};
struct retention_counts retention_counts(const struct retention *);

#endif
