/*
 * tenant: one tenant's life on this node: load, follow the log, apply it to the
 * projection and the ring, tell feed and routing; on any doubt drop and load
 * again, which is also how it starts.
 */
#ifndef NODE_TENANT_H
#define NODE_TENANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/projection.h"
#include "db/lane.h"
#include "node/ring.h"

struct feed;
struct node;
struct presence;
struct retention;
struct routing;
struct tenant;

struct tenant *tenant_new(struct node *, int tenant_id, const char *name);
void tenant_free(struct tenant *);

int tenant_id(const struct tenant *);
const char *tenant_name(const struct tenant *);
bool tenant_live(const struct tenant *);		/* loaded and following */
struct node *tenant_node(const struct tenant *);
/* The last loaded one while it loads again; NULL before the first load. */
struct projection *tenant_projection(struct tenant *);
struct lane *tenant_lane(struct tenant *);
struct ring *tenant_ring(struct tenant *);
struct feed *tenant_feed(struct tenant *);
struct presence *tenant_presence(struct tenant *);
struct retention *tenant_retention(struct tenant *);

/* "epoch.seq" of the newest event applied here. */
#define EVENT_ID_SIZE 32
void tenant_event_id(const struct tenant *, char out[EVENT_ID_SIZE]);
/* Parses "epoch.seq". */
bool event_id_parse(const char *, int *epoch, uint64_t *seq);

/* There may be events of other nodes: look, in the lane's turn. */
void tenant_look(struct tenant *);
/* Drop the projection and load it again; why is logged. */
void tenant_doubt(struct tenant *, const char *why);
/* From the heartbeat. */
void tenant_lease(struct tenant *, bool held, int nodes_alive);
bool tenant_holds_lease(const struct tenant *);
void tenant_set_nodes(struct tenant *, const struct id *, size_t n);
void tenant_clock_moved(struct tenant *);

#endif
