/*
 * conn: one pipelined connection of the pool: up, statements prepared, queries
 * in flight in order, down. Private to pool.
 */
#ifndef DB_CONN_H
#define DB_CONN_H

#include <sys/queue.h>

#include "db/pool.h"

struct conn;

enum query_place { QUERY_WAITING, QUERY_FLYING, QUERY_ANSWERED };

/* Owned by the pool; params and their text follow the struct in one allocation. */
struct query {
	TAILQ_ENTRY(query) link;
	struct pool *pool;
	enum query_place place;
	enum statement statement;
	pool_done_fn done; /* NULL: nobody asks any more */
	void *arg;
	PGresult *res; /* conn's, while flying */
	const char *params[];
};
TAILQ_HEAD(query_list, query);

struct conn_handlers {
	/* Leads to a log of this epoch, see epoch_settle(). False: not up then, and tried again. */
	bool (*on_settled)(void *arg, const struct conn *, int epoch);
	void (*on_up)(void *arg);
	void (*on_down)(void *arg);
	/* The database answers, but it cannot be worked with, for that reason; it is tried again. */
	void (*on_unfit)(void *arg, const char *why);
	/* The query left the flight and is the callee's again, and so is res; both as in pool_done_fn. */
	void (*on_answer)(void *arg, struct query *, PGresult *res, const char *err);
};

struct conn *conn_new(
    struct event_base *, const struct conf *, int number, const struct conn_handlers *, void *arg);
/* Moves what is in flight to the list; calls nobody. */
void conn_free(struct conn *, struct query_list *);
bool conn_ready(const struct conn *);
unsigned conn_depth(const struct conn *); /* queries in flight */
/* Only when ready. Sends, or fails and answers it (and all before it) as lost. */
void conn_send(struct conn *, struct query *);
void conn_flush(struct conn *);
/* Only when ready. Ends it, and tries again; what is in flight is answered as lost. */
void conn_drop(struct conn *, const char *why);

#endif
