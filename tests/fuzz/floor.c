/*
 * floor: what server/node stands on, for the fuzz targets: db/pool.h, db/lease.h,
 * db/tail.h, base/work.h and base/password.h, on the loop and at once. It must
 * not know what the answers are (database.c).
 */
#include "database.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/event.h>

#include "base/id.h"
#include "base/mem.h"
#include "base/password.h"
#include "base/work.h"
#include "db/lease.h"
#include "db/tail.h"

#define PARAMS_MAX 5

/* ---- the pool ---- */

struct query {
	TAILQ_ENTRY(query) link;
	struct pool *pool;
	enum statement statement;
	char *params[PARAMS_MAX];
	pool_done_fn done;
	void *arg;
};
TAILQ_HEAD(query_list, query);

struct pool {
	struct query_list waiting;
	struct event *serve;
	PGresult **answer;
	bool ready;
	void (*on_ready)(void *, bool);
	void *arg;
};

const char pool_err_lost[] = "lost", pool_err_stopping[] = "stopping";

static void
query_free(struct query *q)
{
	TAILQ_REMOVE(&q->pool->waiting, q, link);
	for (int i = 0; i < PARAMS_MAX; i++)
		free(q->params[i]);
	free(q);
}

static void
query_answer(struct query *q, const PGresult *res, const char *err)
{
	pool_done_fn done = q->done;
	void *arg = q->arg;

	database.asked++;
	query_free(q);
	if (done != NULL)
		done(arg, res, err);
}

static void
query_serve(struct query *q)
{
	bool decides = statement_decides(q->statement);
	PGresult *res = NULL;

	q->pool->answer = &res;
	if (decides && database.mood == DATABASE_LOSES) {
		query_answer(q, NULL, pool_err_lost);
		return;
	}
	if (decides && database.mood == DATABASE_FAILS) {
		res = PQmakeEmptyPGresult(NULL, PGRES_FATAL_ERROR);
		query_answer(q, res, database.reason);
	} else {
		res = database_result(q->statement, q->params);
		query_answer(q, res, NULL);
	}
	PQclear(res);
}

/* Those that wait now, or the first that is not left in silence. */
static void
on_serve(evutil_socket_t fd, short what, void *arg)
{
	struct pool *p = arg;
	struct query *q, *next;
	bool silent = database.mood == DATABASE_SILENT;

	(void)fd;
	(void)what;
	if (!p->ready) {
		p->ready = true;
		database.asked++;
		p->on_ready(p->arg, true);
		return;
	}
	for (q = TAILQ_FIRST(&p->waiting); q != NULL; q = next) {
		next = TAILQ_NEXT(q, link);
		if (silent && statement_decides(q->statement))
			continue;
		query_serve(q);
		/* Whoever was told may have forgotten others. */
		if (!TAILQ_EMPTY(&p->waiting))
			event_active(p->serve, EV_TIMEOUT, 0);
		return;
	}
}

struct pool *
pool_new(struct event_base *base, const struct conf *conf)
{
	struct pool *p = xcalloc(1, sizeof(*p));

	(void)conf;
	TAILQ_INIT(&p->waiting);
	p->serve = event_new(base, -1, 0, on_serve, p);
	event_active(p->serve, EV_TIMEOUT, 0);
	return p;
}

void
pool_free(struct pool *p)
{
	while (!TAILQ_EMPTY(&p->waiting))
		query_answer(TAILQ_FIRST(&p->waiting), NULL, pool_err_stopping);
	event_free(p->serve);
	free(p);
}

struct query *
pool_send(struct pool *p, enum statement s, const char *const *params, pool_done_fn done, void *arg)
{
	struct query *q = xcalloc(1, sizeof(*q));

	*q = (struct query){ .pool = p, .statement = s, .done = done, .arg = arg };
	database.asked++;
	database_look(s, params);
	for (int i = 0; i < statement_params(s); i++)
		q->params[i] = params[i] != NULL ? xstrdup(params[i]) : NULL;
	TAILQ_INSERT_TAIL(&p->waiting, q, link);
	event_active(p->serve, EV_TIMEOUT, 0);
	return q;
}

void
pool_forget(struct query *q)
{
	query_free(q);
}

void
pool_watch(struct pool *p, void (*on_ready)(void *, bool), void *arg)
{
	p->on_ready = on_ready;
	p->arg = arg;
}

/* One line each. */
/* clang-format off */
PGresult *
pool_keep(struct pool *p)
{
	PGresult *res = *p->answer;

	*p->answer = NULL;
	return res;
}

bool pool_ready(const struct pool *p) { return p->ready; }
const char *pool_unfit(const struct pool *p) { (void)p; return NULL; }
void pool_older(struct pool *p, int64_t ms) { (void)p, (void)ms; }
struct pool_counts pool_counts(const struct pool *p) { (void)p; return (struct pool_counts){ .sent = 1 }; }
/* clang-format on */

/* ---- lease and tail: alone, and without routers, which would only add to what is looked at ---- */

struct lease {
	struct event *beat;
	struct lease_handlers handlers;
	void *arg;
};

static void
on_lease(evutil_socket_t fd, short what, void *arg)
{
	struct lease *l = arg;

	(void)fd;
	(void)what;
	l->handlers.on_tenant(l->arg, 1, "demo", false, 1);
	l->handlers.on_beat(l->arg, 1, 0);
}

struct lease *
lease_new(struct event_base *base, struct pool *p, const struct conf *conf, struct id node,
    const struct lease_handlers *handlers, void *arg)
{
	struct lease *l = xcalloc(1, sizeof(*l));

	(void)p, (void)conf, (void)node;
	l->handlers = *handlers;
	l->arg = arg;
	l->beat = event_new(base, -1, 0, on_lease, l);
	lease_beat(l);
	return l;
}

void
lease_beat(struct lease *l)
{
	event_active(l->beat, EV_TIMEOUT, 0);
}

void
lease_free(struct lease *l)
{
	if (l != NULL)
		event_free(l->beat);
	free(l);
}

void
lease_leave(struct lease *l, void (*done)(void *), void *arg)
{
	(void)l, (void)done, (void)arg;
	must(false, "nobody stops a node here");
}

struct tail *
tail_new(struct event_base *base, const struct conf *conf, const struct tail_handlers *handlers,
    void *arg)
{
	(void)base, (void)conf, (void)handlers, (void)arg;
	return NULL;
}

void
tail_free(struct tail *t)
{
	(void)t;
}

/* ---- the worker, in the loop: jobs one after the other ---- */

struct job {
	STAILQ_ENTRY(job) link;
	void (*run)(void *), (*done)(void *);
	void *arg;
};

struct work {
	STAILQ_HEAD(, job) jobs;
	struct event *serve;
};

static void
on_work(evutil_socket_t fd, short what, void *arg)
{
	struct work *w = arg;
	struct job *j;

	(void)fd;
	(void)what;
	while ((j = STAILQ_FIRST(&w->jobs)) != NULL) {
		STAILQ_REMOVE_HEAD(&w->jobs, link);
		j->run(j->arg);
		j->done(j->arg);
		free(j);
	}
}

struct work *
work_new(struct event_base *base)
{
	struct work *w = xcalloc(1, sizeof(*w));

	STAILQ_INIT(&w->jobs);
	w->serve = event_new(base, -1, 0, on_work, w);
	return w;
}

bool
work_run(struct work *w, void (*run)(void *), void (*done)(void *), void *arg)
{
	struct job *j = xmalloc(sizeof(*j));

	*j = (struct job){ .run = run, .done = done, .arg = arg };
	STAILQ_INSERT_TAIL(&w->jobs, j, link);
	event_active(w->serve, EV_TIMEOUT, 0);
	return true;
}

/* Who is not to keep others waiting keeps nobody here. */
bool
work_run_last(struct work *w, void (*run)(void *), void (*done)(void *), void *arg)
{
	return work_run(w, run, done, arg);
}

bool
work_last_full(struct work *w)
{
	(void)w;
	return false;
}

void
work_free(struct work *w)
{
	struct job *j;

	while ((j = STAILQ_FIRST(&w->jobs)) != NULL) {
		STAILQ_REMOVE_HEAD(&w->jobs, link);
		free(j);
	}
	event_free(w->serve);
	free(w);
}

/* scrypt takes a tenth of a second, and nothing a fuzzer could find. */
char *
password_hash(const char *password)
{
	(void)password;
	return xstrdup("$scrypt$ln=15,r=8,p=1$c2FsdA$aGFzaA");
}

bool
password_check(const char *password, const char *stored)
{
	return stored != NULL && strcmp(password, "demo-ann") == 0;
}
