/*
 * lease: this node's heartbeat. One query every lease_ms/3 says that the node
 * lives, renews or takes the tenants' leases (database clock), and brings the
 * list of tenants, how many nodes live, nodes that died, and the database's time.
 */
#ifndef DB_LEASE_H
#define DB_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/id.h"

struct conf;
struct event_base;
struct lease;
struct pool;

struct lease_handlers {
	/* Once per beat and tenant. held: this node runs its router until the next beat or lease_lost. */
	void (*on_tenant)(void *arg, int tenant_id, const char *name, bool held, int epoch);
	/* Once per beat, after the tenants. offset_ms: database clock minus machine clock. */
	void (*on_beat)(void *arg, int nodes_alive, int64_t offset_ms);
	/* No beat succeeded for a whole lease: nothing is held any more. */
	void (*on_lost)(void *arg);
};
struct lease *lease_new(struct event_base *, struct pool *, const struct conf *, struct id node, const struct lease_handlers *, void *arg);
/* Asks now (a tenant was created, the database came back). */
void lease_beat(struct lease *);
/* Gives everything back at once (clean stop); done is called from the loop. */
void lease_leave(struct lease *, void (*done)(void *), void *arg);
void lease_free(struct lease *);

#endif
