/*
 * The life of one pipelined connection: handed over by dial, the statement
 * table prepared and the log's epoch settled, then a FIFO of queries whose head
 * is the state, until it fails. Must not know which query goes where, nor why it was asked.
 */
#include "db/conn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/dial.h"

struct conn {
	struct event_base *base;
	int number;
	struct dial *dial;
	PGconn *pg; /* NULL while dialling */
	struct event *read, *write, *watchdog;
	unsigned prepared; /* statements the server has; below STATEMENT_COUNT: not ready */
	int epoch;	   /* of the log it leads to, once that is settled */
	bool settled;
	bool ready;
	bool proved;	  /* answered a query since it came up */
	bool null_before; /* the last PQgetResult() returned NULL */
	struct query_list flight;
	unsigned depth;
	int64_t progress_at; /* monotonic ms; something arrived, or the flight began */
	int patience_ms;
	const struct conn_handlers *handlers;
	void *arg;
};

static void on_up(void *, PGconn *);
static void on_readable(evutil_socket_t, short, void *);
static void on_writable(evutil_socket_t, short, void *);
static void on_watchdog(evutil_socket_t, short, void *);

struct conn *
conn_new(struct event_base *base, const struct conf *conf, int number,
    const struct conn_handlers *handlers, void *arg)
{
	struct conn *c = xcalloc(1, sizeof(*c));
	c->base = base;
	c->number = number;
	c->patience_ms = dial_patience_ms(conf);
	c->handlers = handlers;
	c->arg = arg;
	TAILQ_INIT(&c->flight);
	c->watchdog = evtimer_new(base, on_watchdog, c);
	c->dial = dial_new(base, conf, "pool", number, on_up, c);
	return c;
}

static void
conn_unwatch(struct conn *c)
{
	if (c->read != NULL)
		event_free(c->read);
	if (c->write != NULL)
		event_free(c->write);
	c->read = c->write = NULL;
}

/* The events go before the socket they watch. */
static void
conn_close(struct conn *c)
{
	evtimer_del(c->watchdog);
	conn_unwatch(c);
	PQfinish(c->pg);
	c->pg = NULL;
	c->settled = c->ready = c->proved = c->null_before = false;
	c->prepared = 0;
	c->depth = 0;
}

void
conn_free(struct conn *c, struct query_list *left)
{
	conn_close(c);
	TAILQ_CONCAT(left, &c->flight, link);
	dial_free(c->dial);
	event_free(c->watchdog);
	free(c);
}

bool
conn_ready(const struct conn *c)
{
	return c->ready;
}

unsigned
conn_depth(const struct conn *c)
{
	return c->depth;
}

/* The one end of a connection. Answers last: what they start may use the pool. */
static void
conn_fail(struct conn *c, const char *why)
{
	struct query_list lost = TAILQ_HEAD_INITIALIZER(lost);
	struct query *q;
	bool was_ready = c->ready;
	log_warn("pool connection=%d from=%s to=waiting in_flight=%u why=\"%s\"", c->number,
	    was_ready ? "ready" : "preparing", c->depth, why);
	conn_close(c);
	TAILQ_CONCAT(&lost, &c->flight, link);
	dial_again(c->dial);
	if (was_ready)
		c->handlers->on_down(c->arg);
	while ((q = TAILQ_FIRST(&lost)) != NULL) {
		TAILQ_REMOVE(&lost, q, link);
		PQclear(q->res);
		q->res = NULL;
		c->handlers->on_answer(c->arg, q, NULL, pool_err_lost);
	}
}

static void
conn_fail_libpq(struct conn *c)
{
	char why[DIAL_WHY_SIZE];
	conn_fail(c, dial_why(c->pg, why));
}

void
conn_drop(struct conn *c, const char *why)
{
	assert(c->ready);
	conn_fail(c, why);
}

static void
watchdog_set(struct conn *c, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };
	evtimer_add(c->watchdog, &tv);
}

/* True while the server has something to say. */
static bool
conn_waits(const struct conn *c)
{
	return c->pg != NULL && (!c->ready || c->depth > 0);
}

/* Something is awaited from now on. */
static void
watchdog_begin(struct conn *c)
{
	c->progress_at = clock_mono_ms();
	if (!evtimer_pending(c->watchdog, NULL))
		watchdog_set(c, c->patience_ms);
}

/*
 * Then the first question, before this connection may be used: a standby that
 * was promoted, or a restored database, begins a new epoch of the log.
 */
static bool
prepare_all(PGconn *pg)
{
	for (int i = 0; i < STATEMENT_COUNT; i++)
		if (!PQsendPrepare(
			pg, statement_name(i), statement_text(i), statement_params(i), NULL))
			return false;
	return PQsendQueryPrepared(
		   pg, statement_name(STATEMENT_epoch_settle), 0, NULL, NULL, NULL, 0) &&
	    PQpipelineSync(pg);
}

static void
on_up(void *arg, PGconn *pg)
{
	struct conn *c = arg;
	c->pg = pg;
	c->read = event_new(c->base, PQsocket(pg), EV_READ | EV_PERSIST, on_readable, c);
	c->write = event_new(c->base, PQsocket(pg), EV_WRITE, on_writable, c);
	event_add(c->read, NULL);
	if (PQsetnonblocking(pg, 1) != 0 || !PQenterPipelineMode(pg) || !prepare_all(pg)) {
		conn_fail_libpq(c);
		return;
	}
	watchdog_begin(c);
	conn_flush(c);
}

void
conn_send(struct conn *c, struct query *q)
{
	assert(c->ready);
	q->place = QUERY_FLYING;
	TAILQ_INSERT_TAIL(&c->flight, q, link);
	if (c->depth++ == 0)
		watchdog_begin(c);
	if (!PQsendQueryPrepared(c->pg, statement_name(q->statement),
		statement_params(q->statement), q->params, NULL, NULL, 0) ||
	    !PQpipelineSync(c->pg))
		conn_fail_libpq(c);
}

void
conn_flush(struct conn *c)
{
	if (c->pg == NULL)
		return;
	int left = PQflush(c->pg);
	if (left < 0)
		conn_fail_libpq(c);
	else if (left > 0)
		event_add(c->write, NULL);
}

/*
 * Errors that speak of the connection: the server became a standby, forgot our
 * statements, or their result type changed under us (an upgrade). All three
 * roll back, and a new connection cures them.
 */
static bool
connection_is_stale(const PGresult *res, const char *state)
{
	const char *where = PQresultErrorField(res, PG_DIAG_SOURCE_FUNCTION);
	return strcmp(state, "25006") == 0 || strcmp(state, "26000") == 0 ||
	    (strcmp(state, "0A000") == 0 && where != NULL &&
		strcmp(where, "RevalidateCachedQuery") == 0);
}

/* The head of the flight is complete. False when the connection failed. */
static bool
flight_answer(struct conn *c)
{
	struct query *q = TAILQ_FIRST(&c->flight);
	PGresult *res = q->res;
	ExecStatusType status = PQresultStatus(res);
	const char *err = NULL;
	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
		err = PQresultErrorField(res, PG_DIAG_SQLSTATE);
		if (err == NULL || connection_is_stale(res, err)) {
			conn_fail(c, err == NULL ? "no answer to a query" : err);
			return false;
		}
	}
	TAILQ_REMOVE(&c->flight, q, link);
	c->depth--;
	q->res = NULL;
	if (!c->proved)
		dial_worked(c->dial);
	c->proved = true;
	c->handlers->on_answer(c->arg, q, res, err);
	return true;
}

/* An error that follows a result wins. */
static void
flight_keep(struct query *q, PGresult *res)
{
	ExecStatusType status = PQresultStatus(res);
	if (q->res == NULL || (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)) {
		PQclear(q->res);
		q->res = res;
	} else {
		PQclear(res);
	}
}

/* What is missing is not there, or not of the kind we want: not that the server stops, or has no room. */
static bool
speaks_of_schema(const char *state)
{
	return strncmp(state, "42", 2) == 0 || strncmp(state, "3F", 2) == 0 ||
	    strncmp(state, "0A", 2) == 0;
}

/* False when the connection failed. */
static bool
prepare_fail(struct conn *c, const PGresult *res)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	bool settling = c->prepared == STATEMENT_COUNT;
	char *why = xasprintf("cannot %s %s, sqlstate %s", settling ? "ask" : "prepare",
	    statement_name(settling ? STATEMENT_epoch_settle : (enum statement)c->prepared),
	    state != NULL ? state : "unknown");
	if (!settling && state != NULL && speaks_of_schema(state))
		c->handlers->on_unfit(c->arg, pool_unfit_schema);
	else if (settling && state != NULL && strcmp(state, "25006") == 0)
		c->handlers->on_unfit(c->arg, pool_unfit_standby);
	conn_fail(c, why);
	free(why);
	return false;
}

/* False when the connection failed. */
static bool
prepare_keep(struct conn *c, PGresult *res)
{
	ExecStatusType status = PQresultStatus(res);
	bool good = true;
	if (status == PGRES_COMMAND_OK && c->prepared < STATEMENT_COUNT)
		c->prepared++;
	else if (status == PGRES_TUPLES_OK && PQntuples(res) == 1 && PQnfields(res) == 1) {
		c->epoch = atoi(PQgetvalue(res, 0, 0));
		c->settled = true;
	} else
		good = prepare_fail(c, res);
	PQclear(res);
	return good;
}

/* Everything is prepared and the epoch known, and both committed. False when the connection failed. */
static bool
prepare_end(struct conn *c)
{
	if (!c->settled) {
		conn_fail(c, "no epoch");
		return false;
	}
	if (!c->handlers->on_settled(c->arg, c, c->epoch)) {
		conn_fail(c, "it leads to the log of an older epoch");
		return false;
	}
	c->ready = true;
	log_info("pool connection=%d from=preparing to=ready epoch=%d", c->number, c->epoch);
	c->handlers->on_up(c->arg);
	return true;
}

/* One step of the pipeline. False when the connection failed. */
static bool
conn_take(struct conn *c, PGresult *res)
{
	bool null_before = c->null_before;
	c->null_before = res == NULL;
	if (res == NULL) {
		/* One ends a statement's results; a second says that no more will ever come. */
		if (null_before)
			conn_fail_libpq(c);
		return !null_before;
	}
	if (PQresultStatus(res) == PGRES_PIPELINE_SYNC) {
		PQclear(res);
		return c->ready ? flight_answer(c) : prepare_end(c);
	}
	if (!c->ready)
		return prepare_keep(c, res);
	flight_keep(TAILQ_FIRST(&c->flight), res);
	return true;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	(void)fd;
	(void)what;
	bool open = PQconsumeInput(c->pg);
	c->progress_at = clock_mono_ms();
	/* libpq has closed the socket: what an answer opens may get its number. */
	if (!open)
		conn_unwatch(c);
	/* Whole answers that arrived before the end of the connection still count. */
	while (conn_waits(c) && !PQisBusy(c->pg))
		if (!conn_take(c, PQgetResult(c->pg)))
			return;
	for (PGnotify *n; (n = PQnotifies(c->pg)) != NULL;)
		PQfreemem(n);
	if (open)
		conn_flush(c);
	else
		conn_fail_libpq(c);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	conn_flush(arg);
}

static void
on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	(void)fd;
	(void)what;
	if (!conn_waits(c))
		return;
	int64_t left = c->progress_at + c->patience_ms - clock_mono_ms();
	if (left > 0)
		watchdog_set(c, left);
	else
		conn_fail(c, "the server is silent");
}
