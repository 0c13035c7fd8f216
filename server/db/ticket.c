/*
 * Keeps what an asker gave and tells him once. Must not know whose turn it is.
 */
#include "db/ticket.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

struct ticket *
ticket_new(json_t *element, lane_answer_fn answer, void *arg)
{
	struct ticket *t = xcalloc(1, sizeof(*t));
	t->born_ms = clock_mono_ms();
	t->element = element;
	t->answer = answer;
	t->arg = arg;
	return t;
}

struct ticket *
ticket_new_read(enum statement s, const char *const *params, pool_done_fn done, void *arg)
{
	struct ticket *t = ticket_new(NULL, NULL, arg);
	int n = statement_params(s);
	t->statement = s;
	t->done = done;
	t->params = xcalloc((size_t)n, sizeof(*t->params));
	for (int i = 0; i < n; i++)
		t->params[i] = params[i] != NULL ? xstrdup(params[i]) : NULL;
	return t;
}

void
ticket_free(struct ticket *t)
{
	json_decref(t->element);
	if (t->params != NULL)
		for (int i = 0; i < statement_params(t->statement); i++)
			free(t->params[i]);
	free(t->params);
	free(t);
}

void
ticket_push(struct ticket_queue *q, struct ticket *t)
{
	t->queue = q;
	TAILQ_INSERT_TAIL(&q->list, t, link);
	q->n++;
}

struct ticket *
ticket_pop(struct ticket_queue *q)
{
	struct ticket *t = TAILQ_FIRST(&q->list);
	if (t == NULL)
		return NULL;
	TAILQ_REMOVE(&q->list, t, link);
	q->n--;
	t->queue = NULL;
	return t;
}

void
lane_forget(struct ticket *t)
{
	t->answer = NULL;
	t->done = NULL;
	if (t->queue == NULL)
		return;
	TAILQ_REMOVE(&t->queue->list, t, link);
	t->queue->n--;
	ticket_free(t);
}

void
ticket_answer(struct ticket *t, const struct lane_answer *a)
{
	lane_answer_fn answer = t->answer;
	t->answer = NULL;
	if (answer != NULL)
		answer(t->arg, a);
}

void
ticket_done(struct ticket *t, const PGresult *res, const char *err)
{
	pool_done_fn done = t->done;
	t->done = NULL;
	if (done != NULL)
		done(t->arg, res, err);
}

void
ticket_give_up(struct ticket *t, const char *err, const char *read_err)
{
	struct lane_answer a = { .err = err };
	ticket_answer(t, &a);
	ticket_done(t, NULL, read_err);
}
