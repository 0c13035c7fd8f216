/*
 * ticket: one asker on a lane: what he asks, whom to tell, and the queue he
 * waits in. Private to lane.
 */
#ifndef DB_TICKET_H
#define DB_TICKET_H

#include <sys/queue.h>

#include "db/lane.h"

enum ticket_kind { TICKET_READ, TICKET_COMMAND, TICKET_SUBMIT, TICKET_KINDS };

struct ticket_queue;

struct ticket {
	TAILQ_ENTRY(ticket) link;
	struct ticket_queue *queue; /* it waits in; NULL once it has its turn */
	int64_t born_ms;	    /* monotonic */
	void *arg;
	/* a command or a callback */
	json_t *element;
	lane_answer_fn answer; /* NULL: nobody asks any more, or told */
	/* a read */
	enum statement statement;
	char **params;	   /* statement_params() of them, or NULL */
	pool_done_fn done; /* as answer */
};
TAILQ_HEAD(ticket_list, ticket);

struct ticket_queue {
	struct ticket_list list;
	unsigned n;
};

/* Takes the reference to the element. */
struct ticket *ticket_new(json_t *element, lane_answer_fn, void *arg);
struct ticket *ticket_new_read(enum statement, const char *const *params, pool_done_fn, void *arg);
void ticket_free(struct ticket *);
void ticket_push(struct ticket_queue *, struct ticket *);
struct ticket *ticket_pop(struct ticket_queue *); /* the oldest, or NULL */
/* Tells the asker, unless he has gone or was told; the ticket lives on until it is freed. */
void ticket_answer(struct ticket *, const struct lane_answer *);
void ticket_done(struct ticket *, const PGresult *, const char *err);
/* Nothing more was or will be done for it: either way of asking. */
void ticket_give_up(struct ticket *, const char *err, const char *read_err);

#endif
