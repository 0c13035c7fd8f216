/*
 * The two ends of a statement that carries a batch: its parameter and its
 * result. Must not know whose turn it is.
 */
#include "db/batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "db/runs.h"

#define BATCH_BYTES (1 << 20) /* no more elements once the text is so long */

static int
on_dump(const char *data, size_t len, void *arg)
{
	buf_add(arg, data, len);
	return 0;
}

static void
element_write(struct batch *b, struct runs *runs, json_t *element)
{
	buf_puts(&b->text, b->text.len == 0 ? "[" : ",");
	if (b->kind == TICKET_COMMAND)
		json_object_set_new(element, "run", json_integer(runs_next(runs, element)));
	/* Fails only for an object that contains itself. */
	int failed = json_dump_callback(element, on_dump, &b->text, JSON_COMPACT);
	assert(failed == 0);
}

struct batch *
batch_new(struct ticket_queue *q, enum ticket_kind kind, unsigned limit)
{
	struct batch *b = xcalloc(1, sizeof(*b));
	struct runs runs;
	struct ticket *t;
	b->kind = kind;
	b->born_ms = clock_mono_ms();
	TAILQ_INIT(&b->tickets);
	runs_init(&runs);
	while (b->n < limit && b->text.len < BATCH_BYTES && (t = ticket_pop(q)) != NULL) {
		TAILQ_INSERT_TAIL(&b->tickets, t, link);
		b->n++;
		element_write(b, &runs, t->element);
	}
	buf_puts(&b->text, "]");
	runs_fini(&runs);
	assert(b->n > 0);
	return b;
}

void
batch_free(struct batch *b)
{
	assert(TAILQ_EMPTY(&b->tickets));
	buf_fini(&b->text);
	free(b);
}

static void
batch_rewrite(struct batch *b)
{
	struct runs runs;
	struct ticket *t;
	buf_reset(&b->text);
	runs_init(&runs);
	TAILQ_FOREACH (t, &b->tickets, link)
		element_write(b, &runs, t->element);
	buf_puts(&b->text, "]");
	runs_fini(&runs);
}

struct batch *
batch_split(struct batch *b)
{
	struct batch *second = xcalloc(1, sizeof(*second));
	assert(b->n > 1);
	second->kind = b->kind;
	second->born_ms = b->born_ms;
	TAILQ_INIT(&second->tickets);
	while (second->n < b->n) {
		struct ticket *t = TAILQ_LAST(&b->tickets, ticket_list);
		TAILQ_REMOVE(&b->tickets, t, link);
		b->n--;
		TAILQ_INSERT_HEAD(&second->tickets, t, link);
		second->n++;
	}
	batch_rewrite(b);
	batch_rewrite(second);
	return second;
}

enum column { WHAT, ORD, SEQ, AT, KIND, AGENT_ID, BODY, COLUMNS };

static int64_t
column_int(const PGresult *res, int row, enum column c)
{
	return strtoll(PQgetvalue(res, row, c), NULL, 10);
}

void
lane_event_read(struct lane_event *e, const PGresult *res, int row)
{
	e->seq = strtoull(PQgetvalue(res, row, SEQ), NULL, 10);
	e->at_ms = column_int(res, row, AT);
	e->kind = PQgetvalue(res, row, KIND);
	e->agent_id = (int)column_int(res, row, AGENT_ID);
	e->body = PQgetvalue(res, row, BODY);
	e->body_len = (size_t)PQgetlength(res, row, BODY);
	e->doc = json_loadb(e->body, e->body_len, JSON_ALLOW_NUL, NULL);
}

/* The place that the row answers; NULL when there is none, or it was answered already. */
static struct lane_answer *
answer_at(struct verdict *v, const PGresult *res, int row)
{
	int64_t ord = column_int(res, row, ORD);

	/* Answers are told apart from gaps by their body, which is never NULL. */
	if (ord < 0 || (uint64_t)ord >= v->n_answers || v->answers[ord].body != NULL)
		return NULL;
	return &v->answers[ord];
}

/* An event, which may be somebody's answer too. */
static bool
event_row(struct verdict *v, const PGresult *res, int row)
{
	struct lane_event *e = &v->events[v->n_events++];

	lane_event_read(e, res, row);
	v->top_seq = e->seq;
	if (PQgetisnull(res, row, ORD))
		return true;
	struct lane_answer *a = answer_at(v, res, row);
	if (a == NULL)
		return false;
	a->seq = e->seq;
	a->body = e->doc != NULL ? json_incref(e->doc) : json_object();
	return true;
}

static bool
answer_row(struct verdict *v, const PGresult *res, int row)
{
	struct lane_answer *a = answer_at(v, res, row);

	if (a == NULL)
		return false;
	if (*PQgetvalue(res, row, KIND) != '\0')
		a->refusal = PQgetvalue(res, row, KIND);
	a->seq = strtoull(PQgetvalue(res, row, SEQ), NULL, 10);
	a->body = json_loadb(
	    PQgetvalue(res, row, BODY), (size_t)PQgetlength(res, row, BODY), JSON_ALLOW_NUL, NULL);
	if (a->body == NULL)
		a->body = json_object();
	return true;
}

static const char *
rows_read(struct verdict *v, const PGresult *res, int rows)
{
	bool answers = false;

	for (int row = 0; row < rows; row++) {
		if (strcmp(PQgetvalue(res, row, WHAT), "event") != 0) {
			answers = true;
			if (!answer_row(v, res, row))
				return "an answer to nothing";
		} else if (answers || !event_row(v, res, row)) {
			return "an event in the wrong place";
		}
	}
	for (size_t i = 0; i < v->n_answers; i++)
		if (v->answers[i].body == NULL)
			return "an answer is missing";
	return NULL;
}

bool
verdict_read(struct verdict *v, const PGresult *res, size_t n, const char **why)
{
	int rows = PQntuples(res);
	*v = (struct verdict){ .n_answers = n };
	if (PQnfields(res) != COLUMNS || (size_t)rows < n) {
		*why = PQnfields(res) != COLUMNS ? "wrong columns" : "too few rows";
		return false;
	}
	v->events = xcalloc((size_t)rows + 1, sizeof(*v->events));
	v->answers = xcalloc(n + 1, sizeof(*v->answers));
	*why = rows_read(v, res, rows);
	if (*why != NULL)
		verdict_fini(v);
	return *why == NULL;
}

uint64_t
verdict_repeated(const struct verdict *v)
{
	uint64_t first = v->n_events > 0 ? v->events[0].seq : UINT64_MAX, top = 0;

	for (size_t i = 0; i < v->n_answers; i++)
		if (v->answers[i].refusal == NULL && v->answers[i].seq < first &&
		    v->answers[i].seq > top)
			top = v->answers[i].seq;
	return top;
}

void
verdict_fini(struct verdict *v)
{
	for (size_t i = 0; i < v->n_answers; i++)
		json_decref(v->answers[i].body);
	for (size_t i = 0; i < v->n_events; i++)
		json_decref(v->events[i].doc);
	free(v->events);
	free(v->answers);
}

bool
verdict_blames_none(const char *state)
{
	return strcmp(state, "CB001") == 0 || strncmp(state, "57P", 3) == 0 ||
	    strcmp(state, "53100") == 0 || strcmp(state, "53300") == 0 ||
	    strncmp(state, "58", 2) == 0;
}

/* The database lets a time be 2 s off; one that is sent at once is hardly a second old when it is read. */
#define TIME_OLD_MS 1000

bool
batch_time_is_old(const struct batch *b, const char *err, int64_t now_ms)
{
	return err != NULL && strcmp(err, "CB001") == 0 && now_ms - b->now_ms > TIME_OLD_MS;
}
