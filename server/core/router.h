/*
 * router: what to do now, and when to look again: offers, timeouts, redirects,
 * deadlines, expiries, lost desks, refills. A pure function over the projection
 * and the time; it writes nothing but the in-flight overlay, which keeps it from
 * proposing the same again until router_settled().
 */
#ifndef CORE_ROUTER_H
#define CORE_ROUTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/id.h"
#include "core/match.h"

struct projection;

enum router_kind {
	ROUTER_OFFER,			/* callback, version, agents[n] */
	ROUTER_OFFER_TIMEOUT,		/* offer, callback */
	ROUTER_CALLBACK_DEADLINE,	/* callback, version */
	ROUTER_AGENT_DEADLINE,		/* agent */
	ROUTER_AGENT_LOST,		/* agent */
	ROUTER_DISCONNECT,		/* agent, node: his node is dead */
	ROUTER_LOOK_ELAPSED,		/* load_elapsed(), then `expire` and `widen` commands */
	ROUTER_LOAD_DUE,		/* load_due(class_id) */
	ROUTER_LOAD_FUTURE,		/* load_future(after_at, after_id) */
	ROUTER_RELOAD,			/* too far behind for refills: load everything */
	ROUTER_OPENINGS			/* queue, version: its hours run out */
};

struct router_action {
	enum router_kind kind;
	struct id callback, offer, node, after_id;
	uint64_t version;
	int agent_id, class_id, queue_id;
	int64_t after_at;
	int agents[MATCH_MAX];
	int n;
};

typedef void (*router_emit_fn)(void *arg, const struct router_action *);
/*
 * Emits at most max actions, in order of importance. Returns when to look again
 * (ms; now or less: at once, there is more; INT64_MAX: only after an event).
 * Everything emitted is in flight until settled.
 */
int64_t router_run(struct projection *, int64_t now_ms, int max, router_emit_fn, void *arg);
/* The action was answered (whatever the answer; its events were applied before) or lost. */
void router_settled(struct projection *, const struct router_action *);
/* Not the lease holder any more: forgets everything in flight. */
void router_reset(struct projection *);

#endif
