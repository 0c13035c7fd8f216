/*
 * Deals queries to connections: one bounded queue in front, the least loaded
 * connection that is ready next, and one answer for each. Must not know how a
 * connection lives (conn) nor what a query is for.
 */
#include "db/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/conn.h"

/* Deep enough to hide the way to the server, shallow enough that a slow query holds up few. */
#define DEPTH_MAX 8
/* A primary that was replaced steps down in its ttl, which is 30 s with Patroni unless told. */
#define OLDER_MS 30000

struct pool {
	struct event_base *base;
	struct conn **conns;
	int size;
	int ready; /* connections */
	int epoch; /* of the log they lead to; 0: not known, or there is no tenant */
	int64_t older_ms, older_since; /* see pool_older(); 0: none was refused */
	const char *unfit;	       /* a connection said so since the last one that came up */
	struct query_list wait;
	unsigned waiting, waiting_max;
	struct event *pump;
	PGresult **answer; /* the one that is being told, for pool_keep() */
	bool stopping;
	struct pool_counts counts;
	void (*on_ready)(void *, bool);
	void *ready_arg;
};

const char pool_err_lost[] = "connection lost";
const char pool_err_stopping[] = "stopping";
const char pool_unfit_schema[] = "the database has not the schema that this server needs: load "
				 "sql/schema.sql, or run callbackctl upgrade if it is older, or "
				 "install a newer callbackd if it is newer";
const char pool_unfit_standby[] = "the database is a standby, or read-only";

static const struct {
	const char *name, *text;
	int params;
} statements[] = {
#define STATEMENT(name, nparams, text) { #name, text, nparams },
#include "db/statement.def"
#undef STATEMENT
};

static void on_pump(evutil_socket_t, short, void *);
static bool on_settled(void *, const struct conn *, int);
static void on_up(void *);
static void on_down(void *);
static void on_unfit(void *, const char *);
static void on_answer(void *, struct query *, PGresult *, const char *);

static const struct conn_handlers handlers = {
	.on_settled = on_settled,
	.on_up = on_up,
	.on_down = on_down,
	.on_unfit = on_unfit,
	.on_answer = on_answer,
};

const char *
statement_name(enum statement s)
{
	return statements[s].name;
}

const char *
statement_text(enum statement s)
{
	return statements[s].text;
}

int
statement_params(enum statement s)
{
	return statements[s].params;
}

struct pool *
pool_new(struct event_base *base, const struct conf *conf)
{
	struct pool *p = xcalloc(1, sizeof(*p));
	p->base = base;
	p->waiting_max = (unsigned)conf->queue_depth;
	p->older_ms = OLDER_MS;
	TAILQ_INIT(&p->wait);
	p->pump = event_new(base, -1, 0, on_pump, p);
	p->size = conf->pool_size;
	p->conns = xcalloc((size_t)p->size, sizeof(struct conn *));
	for (int i = 0; i < p->size; i++)
		p->conns[i] = conn_new(base, conf, i, &handlers, p);
	return p;
}

static void
query_answer(struct query *q, const PGresult *res, const char *err)
{
	q->place = QUERY_ANSWERED;
	if (q->done != NULL)
		q->done(q->arg, res, err);
	free(q);
}

void
pool_free(struct pool *p)
{
	struct query_list left = TAILQ_HEAD_INITIALIZER(left);
	struct query *q;
	if (p == NULL)
		return;
	p->stopping = true;
	for (int i = 0; i < p->size; i++)
		conn_free(p->conns[i], &left);
	/* As if in flight: a neighbour's answer that forgets one must not seek it in the queue. */
	TAILQ_FOREACH (q, &p->wait, link)
		q->place = QUERY_FLYING;
	TAILQ_CONCAT(&left, &p->wait, link);
	while ((q = TAILQ_FIRST(&left)) != NULL) {
		TAILQ_REMOVE(&left, q, link);
		PQclear(q->res);
		query_answer(q, NULL, pool_err_stopping);
	}
	event_free(p->pump);
	free(p->conns);
	free(p);
}

static struct query *
query_new(enum statement s, const char *const *params)
{
	size_t n = (size_t)statements[s].params, text = 0;
	for (size_t i = 0; i < n; i++)
		text += params[i] != NULL ? strlen(params[i]) + 1 : 0;
	struct query *q = xcalloc(1, sizeof(*q) + n * sizeof(char *) + text);
	char *at = (char *)(q->params + n);
	for (size_t i = 0; i < n; i++) {
		if (params[i] == NULL)
			continue;
		q->params[i] = at;
		at = stpcpy(at, params[i]) + 1;
	}
	q->statement = s;
	return q;
}

/*
 * A heartbeat that waits behind the work it permits would lose the leases just
 * when there is most to do.
 */
static bool
is_urgent(enum statement s)
{
	return s == STATEMENT_node_beat || s == STATEMENT_node_leave;
}

struct query *
pool_send(struct pool *p, enum statement s, const char *const *params, pool_done_fn done, void *arg)
{
	assert((unsigned)s < STATEMENT_COUNT);
	if (p->stopping || (p->waiting >= p->waiting_max && !is_urgent(s)))
		return NULL;
	struct query *q = query_new(s, params);
	q->pool = p;
	q->place = QUERY_WAITING;
	q->done = done;
	q->arg = arg;
	if (is_urgent(s))
		TAILQ_INSERT_HEAD(&p->wait, q, link);
	else
		TAILQ_INSERT_TAIL(&p->wait, q, link);
	p->waiting++;
	if (p->ready > 0)
		event_active(p->pump, EV_TIMEOUT, 0);
	return q;
}

/* One that was not sent yet never will be. */
void
pool_forget(struct query *q)
{
	q->done = NULL;
	if (q->place != QUERY_WAITING)
		return;
	TAILQ_REMOVE(&q->pool->wait, q, link);
	q->pool->waiting--;
	free(q);
}

PGresult *
pool_keep(struct pool *p)
{
	PGresult *res = *p->answer;
	*p->answer = NULL;
	return res;
}

bool
pool_ready(const struct pool *p)
{
	return p->ready > 0;
}

const char *
pool_unfit(const struct pool *p)
{
	return p->ready == 0 ? p->unfit : NULL;
}

void
pool_watch(struct pool *p, void (*on_ready)(void *, bool), void *arg)
{
	p->on_ready = on_ready;
	p->ready_arg = arg;
}

struct pool_counts
pool_counts(const struct pool *p)
{
	struct pool_counts n = p->counts;
	n.waiting = p->waiting;
	n.connections = (unsigned)p->ready;
	for (int i = 0; i < p->size; i++)
		n.in_flight += conn_depth(p->conns[i]);
	return n;
}

/*
 * A connection makes its plans when it is first asked: 100 ms for those of a
 * batch, in which offers are late. So batches look for one from the first on, and
 * find the one that knows theirs; everything else keeps to the other end.
 */
static struct conn *
least_loaded(const struct pool *p, enum statement s)
{
	bool batch = s == STATEMENT_execute || s == STATEMENT_submit;
	struct conn *best = NULL;
	for (int i = 0; i < p->size; i++) {
		struct conn *c = p->conns[batch ? i : p->size - 1 - i];
		if (conn_ready(c) && conn_depth(c) < DEPTH_MAX &&
		    (best == NULL || conn_depth(c) < conn_depth(best)))
			best = c;
	}
	return best;
}

static void
on_pump(evutil_socket_t fd, short what, void *arg)
{
	struct pool *p = arg;
	struct query *q;
	struct conn *c;
	(void)fd;
	(void)what;
	while ((q = TAILQ_FIRST(&p->wait)) != NULL && (c = least_loaded(p, q->statement)) != NULL) {
		TAILQ_REMOVE(&p->wait, q, link);
		p->waiting--;
		p->counts.sent++;
		conn_send(c, q);
	}
	for (int i = 0; i < p->size; i++)
		conn_flush(p->conns[i]);
}

void
pool_older(struct pool *p, int64_t ms)
{
	p->older_ms = ms;
}

/*
 * Epochs only grow, so an older one is that of a primary which was replaced and
 * does not know it yet. But when there is no other for so long, it was somebody's
 * decision: to stand still would not bring back what is lost.
 */
static bool
older_refused(struct pool *p, int epoch)
{
	if (epoch == 0 || epoch >= p->epoch) {
		p->older_since = 0;
		return false;
	}
	if (p->ready > 0)
		return true;
	if (p->older_since == 0)
		p->older_since = clock_mono_ms();
	if (clock_mono_ms() - p->older_since < p->older_ms)
		return true;
	log_error("pool epoch=%d after=%d why=\"there is no other primary\"", epoch, p->epoch);
	p->older_since = 0;
	return false;
}

/*
 * Those who lead to another log, perhaps to a machine that is silent for ever, go
 * before the new one comes.
 */
static bool
on_settled(void *arg, const struct conn *settled, int epoch)
{
	struct pool *p = arg;
	if (older_refused(p, epoch))
		return false;
	if (p->epoch != 0 && epoch != p->epoch)
		for (int i = 0; i < p->size; i++)
			if (p->conns[i] != settled && conn_ready(p->conns[i]))
				conn_drop(p->conns[i], "another connection leads to another log");
	p->epoch = epoch;
	return true;
}

static void
on_up(void *arg)
{
	struct pool *p = arg;
	p->ready++;
	p->unfit = NULL;
	if (!TAILQ_EMPTY(&p->wait))
		event_active(p->pump, EV_TIMEOUT, 0);
	if (p->ready == 1 && p->on_ready != NULL)
		p->on_ready(p->ready_arg, true);
}

static void
on_down(void *arg)
{
	struct pool *p = arg;
	p->ready--;
	p->counts.reconnects++;
	if (p->ready == 0 && p->on_ready != NULL)
		p->on_ready(p->ready_arg, false);
}

static void
on_unfit(void *arg, const char *why)
{
	struct pool *p = arg;
	p->unfit = why;
}

/* The text of an error may quote a parameter: only its SQLSTATE is logged. */
static void
on_answer(void *arg, struct query *q, PGresult *res, const char *err)
{
	struct pool *p = arg;
	if (err == pool_err_lost) {
		p->counts.lost++;
	} else if (err != NULL) {
		p->counts.failed++;
		log_debug("pool statement=%s sqlstate=%s", statement_name(q->statement), err);
	}
	if (!TAILQ_EMPTY(&p->wait) && p->ready > 0)
		event_active(p->pump, EV_TIMEOUT, 0);
	PGresult *answer = res;
	p->answer = &answer;
	/* The pool may be gone after it. */
	query_answer(q, res, err);
	PQclear(answer);
}
