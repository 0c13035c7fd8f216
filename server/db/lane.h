/*
 * lane: one tenant's road to the database, with group commit: one statement in
 * flight, everything that arrives meanwhile goes into the next, no timer.
 * Commands go before submits; reads that must not overlap a write (loads, gap
 * reads) take their turn in it. A batch whose connection was lost is sent again
 * with the same ids. Knows batches, not what the commands mean.
 */
#ifndef DB_LANE_H
#define DB_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "db/pool.h"

struct lane;
struct ticket;
struct clock;

/* One row of the log, as the database returned it. Borrowed. */
struct lane_event {
	uint64_t seq;
	int64_t at_ms;
	const char *kind;
	int agent_id;		/* whom it concerns, 0 nobody */
	const char *body;	/* JSON text */
	size_t body_len;
	json_t *doc;		/* the same, read once for all; NULL: unreadable */
};
/* A row of submit(), execute() or load_events(). Its doc is the caller's; the texts are the result's. */
void lane_event_read(struct lane_event *, const PGresult *, int row);

struct lane_answer {
	const char *err;	/* not NULL: the database could not be asked (lane_err_*); nothing is known to be done */
	const char *refusal;	/* not NULL: refused, the name of the reason ("stale_version") */
	uint64_t seq;		/* of the event it caused (0 when refused) */
	json_t *body;		/* borrowed; its event's JSON object, or details of the refusal */
};
extern const char lane_err_full[], lane_err_down[], lane_err_failed[];

/* Exactly once, from the loop, after on_events of the same batch. */
typedef void (*lane_answer_fn)(void *arg, const struct lane_answer *);
/*
 * Events of a batch in order, before its answers. NULL and 0: a command of it had
 * been committed before (its batch was sent again), and its events came from
 * nobody: they are in the log.
 */
typedef void (*lane_events_fn)(void *arg, const struct lane_event *, size_t n);

struct lane *lane_new(struct event_base *, struct pool *, const struct clock *, int tenant_id, lane_events_fn, void *arg);
void lane_free(struct lane *);		/* answers what is left with lane_err_down */
/* Both take the reference to the JSON object. NULL when the bounded queue is full (reference dropped). */
struct ticket *lane_submit(struct lane *, json_t *callback, lane_answer_fn, void *arg) __attribute__((warn_unused_result));
struct ticket *lane_execute(struct lane *, json_t *command, lane_answer_fn, void *arg) __attribute__((warn_unused_result));
/* A read in its turn; before everything else that waits. */
struct ticket *lane_read(struct lane *, enum statement, const char *const *params, pool_done_fn, void *arg) __attribute__((warn_unused_result));
/* The asker is gone; what was sent stays sent, what was not is dropped. */
void lane_forget(struct ticket *);
/* How many nodes are alive (from the lease): with more than one a NOTIFY follows each batch. */
void lane_peers(struct lane *, int alive);
/* How long an element may wait, and a batch or a read be without an answer, before it gets lane_err_down (30 s unless told). */
void lane_patience(struct lane *, int64_t ms);

struct lane_counts { uint64_t batches, commands, submits, resent, bisected; unsigned waiting; int64_t last_batch_us; unsigned batch_limit; };
struct lane_counts lane_counts(const struct lane *);

#endif
