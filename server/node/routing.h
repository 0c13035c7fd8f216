/*
 * routing: runs core/router.c for a tenant while this node holds its lease:
 * gives it the projection and the time, turns its actions into commands and
 * loads, and settles them when they are answered.
 */
#ifndef NODE_ROUTING_H
#define NODE_ROUTING_H

#include <stdbool.h>

struct routing;
struct tenant;

struct routing *routing_new(struct tenant *);
void routing_free(struct routing *);
/* Holding the lease or not any more. */
void routing_hold(struct routing *, bool);
bool routing_held(const struct routing *);
/* Something changed: events were applied, the clock moved, a load came in. Runs once, soon. */
void routing_wake(struct routing *);
/* The projection is gone: whatever is in flight settles nothing. */
void routing_forget(struct routing *);

#endif
