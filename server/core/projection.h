/*
 * projection: one tenant in memory: settings, agents, live callbacks, pending
 * offers, sessions, and a bounded window of those that wait. PURE: no loop, no
 * database, no clock. It is fed with images (sql/functions/image.sql), from a
 * load or from events, and can be dropped and loaded again at any time.
 *
 * Bounded: of the waiting callbacks it holds, per requirement class, the first
 * due ones in order (priority, promise, id), and of the not yet due the first
 * by due time. A window that is not complete says so, and the router asks for
 * more before it runs dry.
 */
#ifndef CORE_PROJECTION_H
#define CORE_PROJECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/id.h"
#include "core/state.h"

struct projection;
struct agent;
struct callback;

struct projection_limits {
	int due_window;		/* waiting callbacks held per class */
	int future_window;	/* not yet due ones held */
};

struct projection *projection_new(const struct projection_limits *);
void projection_free(struct projection *);

/*
 * One row of load_model(): kind and image (borrowed). False with *why when it
 * does not fit: the caller drops the projection and loads again.
 */
bool projection_load(struct projection *, const char *kind, const json_t *image, const char **why);
/* All rows are in: checks that they fit together, orders what has an order. */
bool projection_loaded(struct projection *, const char **why);

enum projection_fit {
	PROJECTION_APPLIED,
	PROJECTION_OLD,		/* at or below the last applied: dropped */
	PROJECTION_GAP,		/* beyond the next: read the gap first */
	PROJECTION_DOUBT	/* does not fit: *why; load again */
};
enum projection_fit projection_apply(struct projection *, uint64_t seq, const char *kind,
    const json_t *body, const char **why);

uint64_t projection_seq(const struct projection *);
int projection_epoch(const struct projection *);
uint64_t projection_floor(const struct projection *);

/*
 * A refill: rows of load_due() / load_future(), in order, between begin and
 * end. It was read in the tenant's lane, so it is at least as new as what was
 * applied; an object that is known by a newer sequence number is left alone.
 * It answers an action that is in flight: router_settled() comes after.
 */
void projection_refill_begin(struct projection *);
bool projection_refill_end(struct projection *, const char **why);
/* When the next of those that wait expires or is widened, from load_elapsed(), before router_settled(); INT64_MAX none. */
void projection_set_elapse(struct projection *, int64_t at_ms);
/*
 * The nodes that are alive, at every look at them, changed or not: agents on any
 * other are to be disconnected (who was connected since the list before only
 * when that one had his node; otherwise the node may be younger than this list).
 * The list must be read after the load, whose head brings its own. Empty: ignored.
 */
void projection_set_nodes(struct projection *, const struct id *, size_t n);

/* ---- what the rest of the server may ask; pointers are borrowed until the next apply ---- */

struct session_view {
	int agent_id;
	const char *name;
	const char *role;	/* agent | supervisor | administrator */
	int64_t expires_at;
	bool logged_out;	/* his state */
	bool connected;		/* a desk of his is known to be listening */
	struct id node;		/* on this node */
};
/* False when there is no such open session (or the agent was removed). The caller checks expires_at. */
bool projection_session(const struct projection *, const uint8_t token_hash[32],
    struct session_view *);
bool projection_agent(const struct projection *, int agent_id, struct session_view *);
int projection_agent_by_name(const struct projection *, const char *name);	/* 0: none */
/* The form's image (borrowed) or NULL: unknown or removed. */
const json_t *projection_form(const struct projection *, const char *key);
const json_t *projection_form_of(const struct projection *, int form_id);	/* likewise */
/* Calls for each form that is not removed. */
void projection_each_form(const struct projection *,
    void (*)(void *arg, const char *key, const json_t *image), void *arg);
const json_t *projection_queue(const struct projection *, int queue_id);	/* image */
/*
 * Whether the queue is open then. *until: when it closes; of one that is closed, when it opens; INT64_MAX
 * never, or nothing is known. False, and INT64_MAX, of an unknown queue.
 */
bool projection_queue_open(const struct projection *, int queue_id, int64_t at, int64_t *until);
const json_t *projection_skill(const struct projection *, int skill_id);	/* image */
/* For whom alone that requirement class is; 0: for anybody. */
int projection_class_agent(const struct projection *, int class_id);
int projection_queue_by_name(const struct projection *, const char *name);	/* 0: none */
const json_t *projection_tenant(const struct projection *);			/* image */
/* Secrets of one purpose, newest first: calls until the function returns false. */
void projection_each_secret(const struct projection *, const char *purpose,
    bool (*)(void *arg, const uint8_t value[32]), void *arg);
/*
 * The one that signs: the newest that every node has had the time to hear of
 * (10 s), or else the oldest there is. False: there is none.
 */
bool projection_signing_secret(const struct projection *, const char *purpose, int64_t now_ms,
    uint8_t value[32]);
/* Before they are loaded again, as rows of projection_load(). */
void projection_forget_secrets(struct projection *);
/* The live callback's holder, 0 nobody or unknown here; its queue likewise. */
int projection_holder(const struct projection *, struct id callback);
/* The callback that a pending offer / a live attempt belongs to; false unknown. */
bool projection_offer(const struct projection *, struct id offer, struct id *callback,
    int *agent_id);
bool projection_attempt(const struct projection *, struct id attempt, struct id *callback,
    int *agent_id);

/* New references. */
/* {"agent":…,"status":…,"activity":"idle|reserved|busy","offers":[{"offer":…,"callback":…}],"callbacks":[{"callback":…,"attempt":…}]} or NULL */
json_t *projection_agent_state(const struct projection *, int agent_id);
json_t *projection_agents(const struct projection *);
/* [{"queue":…,"due":n,"due_complete":bool,"offered":n,"held":n,"agents":{"ready":n,"reserved":n,"busy":n,"not_ready":n,"after_call_work":n}}] */
json_t *projection_queues(const struct projection *, int64_t now_ms);
json_t *projection_dispositions(const struct projection *);
/*
 * The whole of it as one canonical JSON text (sorted, windows as sets), for the
 * test that a snapshot and the events after it equal a later load.
 */
json_t *projection_dump(const struct projection *);

struct projection_counts {
	size_t agents, available, waiting_due, waiting_future, offered, held, offers, sessions;
};
struct projection_counts projection_counts(const struct projection *);

#endif
