/*
 * pool: a few asynchronous, pipelined libpq connections on the loop. A query is
 * one call of one SQL function, from a fixed table of prepared statements; one
 * Sync per query, so that an error hurts only its own. Knows connections, not
 * callbacks.
 */
#ifndef DB_POOL_H
#define DB_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libpq-fe.h>

struct conf;
struct event_base;
struct pool;
struct query;

/* Every statement C sends: see statement.def (name, text, number of parameters). */
enum statement {
#define STATEMENT(name, nparams, text) STATEMENT_##name,
#include "db/statement.def"
#undef STATEMENT
	STATEMENT_COUNT
};
const char *statement_name(enum statement);
const char *statement_text(enum statement);
int statement_params(enum statement);

/* Compared by pointer, printed as text. */
extern const char pool_err_lost[];	/* connection lost or timed out: it may have committed */
extern const char pool_err_stopping[];
/* Any other error: the server's SQLSTATE text, e.g. "23505"; res is then the error result. */

/*
 * Called exactly once, from the loop, never from inside pool_send(). res is
 * borrowed (NULL when lost); err is NULL on success. An error that follows a
 * result wins: it is called at the Sync only.
 */
typedef void (*pool_done_fn)(void *arg, const PGresult *res, const char *err);

struct pool *pool_new(struct event_base *, const struct conf *);
void pool_free(struct pool *);		/* answers what is left with pool_err_stopping */
/* NULL when the bounded queue is full. params are text or NULL, copied; done NULL: nobody asks. */
struct query *pool_send(struct pool *, enum statement, const char *const *params, pool_done_fn, void *arg);
/* The asker is gone: done will not be called; the query runs out, or is dropped when it was not sent yet. */
void pool_forget(struct query *);
/*
 * From inside done: its result is the caller's from now on, to be cleared by him.
 * So he can ask the next thing first, which is sent when done has returned.
 */
PGresult *pool_keep(struct pool *);
bool pool_ready(const struct pool *);	/* at least one connection works */
/* The database answers, but cannot be worked with: the sentence that says why. NULL: nothing is known against it. */
const char *pool_unfit(const struct pool *);
extern const char pool_unfit_schema[];	/* it has not all functions of statement.def */
extern const char pool_unfit_standby[];
/*
 * on_ready(arg, true) when the first connection comes up, false when the last is
 * lost. All connections lead to one history of the log: the first one that leads
 * to a later one (a standby was promoted, a backup restored) ends the others, so
 * that is seen as lost and found; one that leads to an older one is refused.
 */
void pool_watch(struct pool *, void (*on_ready)(void *, bool), void *arg);
/* For how long an older one is refused while there is no other (30 s unless told). */
void pool_older(struct pool *, int64_t ms);

struct pool_counts { uint64_t sent, failed, lost, reconnects; unsigned waiting, in_flight, connections; };
struct pool_counts pool_counts(const struct pool *);

#endif
