/*
 * Beats, and knows when it has not beaten for too long. A lease runs in the
 * database from the moment the beat is decided there, which is after it was
 * asked: so from the asking on is the safe side. Must not know what a tenant's
 * holder does.
 */
#include "db/lease.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/pool.h"

/* A clean stop waits no longer for the database to take the leases back. */
#define LEAVE_MS 2000
/* A beat that took longer says too little about the clocks, when a better one is known. */
#define OFFSET_TRIP_MS 200

struct lease {
	struct pool *pool;
	char node[ID_TEXT_SIZE];
	char *name;
	int lease_ms;
	struct query *query; /* the beat or the leave under way */
	int64_t asked_at;    /* monotonic; of that beat */
	bool again;	     /* asked to beat while one was under way */
	bool held;	     /* a beat succeeded less than a lease ago */
	bool offset_known;
	int64_t offset_ms;
	struct event *beat, *expiry, *left;
	const struct lease_handlers *handlers;
	void *arg;
	bool leaving;
	void (*on_left)(void *);
	void *left_arg;
};

static void on_beat(evutil_socket_t, short, void *);
static void on_expiry(evutil_socket_t, short, void *);
static void on_left(evutil_socket_t, short, void *);
static void on_beat_answer(void *, const PGresult *, const char *);
static void on_leave_answer(void *, const PGresult *, const char *);

static void
timer_set(struct event *timer, int64_t ms)
{
	if (ms < 0)
		ms = 0;
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };
	evtimer_add(timer, &tv);
}

struct lease *
lease_new(struct event_base *base, struct pool *pool, const struct conf *conf, struct id node,
    const struct lease_handlers *handlers, void *arg)
{
	struct lease *l = xcalloc(1, sizeof(*l));
	l->pool = pool;
	id_format(node, l->node);
	l->name = xstrdup(conf->node_name);
	l->lease_ms = conf->lease_ms;
	l->handlers = handlers;
	l->arg = arg;
	l->beat = evtimer_new(base, on_beat, l);
	l->expiry = evtimer_new(base, on_expiry, l);
	l->left = evtimer_new(base, on_left, l);
	timer_set(l->beat, 0);
	return l;
}

void
lease_free(struct lease *l)
{
	if (l == NULL)
		return;
	if (l->query != NULL)
		pool_forget(l->query);
	event_free(l->beat);
	event_free(l->expiry);
	event_free(l->left);
	free(l->name);
	free(l);
}

static void
beat_send(struct lease *l)
{
	char lease_ms[16];
	const char *params[] = { l->node, l->name, lease_ms };
	snprintf(lease_ms, sizeof(lease_ms), "%d", l->lease_ms);
	l->again = false;
	l->asked_at = clock_mono_ms();
	l->query = pool_send(l->pool, STATEMENT_node_beat, params, on_beat_answer, l);
}

void
lease_beat(struct lease *l)
{
	if (l->query != NULL)
		l->again = true;
	else if (!l->leaving)
		timer_set(l->beat, 0);
}

/*
 * The timer stays ahead of the answers: a beat stuck on a dying connection is
 * given up after two thirds of a lease and asked again on another.
 */
static void
on_beat(evutil_socket_t fd, short what, void *arg)
{
	struct lease *l = arg;
	(void)fd;
	(void)what;
	timer_set(l->beat, l->lease_ms / 3);
	if (l->query != NULL && clock_mono_ms() - l->asked_at >= l->lease_ms * 2 / 3) {
		pool_forget(l->query);
		l->query = NULL;
	}
	if (l->query == NULL)
		beat_send(l);
}

static void
leave_send(struct lease *l)
{
	const char *params[] = { l->node };
	l->query = pool_send(l->pool, STATEMENT_node_leave, params, on_leave_answer, l);
	if (l->query == NULL)
		timer_set(l->left, 0);
}

/* The machine's clock is read at the answer; half of the way there and back lies before. */
static void
offset_learn(struct lease *l, int64_t db_now)
{
	int64_t trip_ms = clock_mono_ms() - l->asked_at;
	if (l->offset_known && trip_ms > OFFSET_TRIP_MS)
		return;
	l->offset_ms = db_now - (clock_machine_ms() - trip_ms / 2);
	l->offset_known = true;
}

enum column { TENANT_ID, NAME, HELD, EPOCH, ALIVE, DB_NOW, COLUMNS };

static void
beat_take(struct lease *l, const PGresult *res)
{
	int alive = atoi(PQgetvalue(res, 0, ALIVE));
	offset_learn(l, strtoll(PQgetvalue(res, 0, DB_NOW), NULL, 10));
	l->held = true;
	timer_set(l->expiry, l->asked_at + l->lease_ms - clock_mono_ms());
	for (int row = 0; row < PQntuples(res); row++)
		if (!PQgetisnull(res, row, TENANT_ID))
			l->handlers->on_tenant(l->arg, atoi(PQgetvalue(res, row, TENANT_ID)),
			    PQgetvalue(res, row, NAME), *PQgetvalue(res, row, HELD) == 't',
			    atoi(PQgetvalue(res, row, EPOCH)));
	l->handlers->on_beat(l->arg, alive, l->offset_ms);
}

static void
on_beat_answer(void *arg, const PGresult *res, const char *err)
{
	struct lease *l = arg;
	l->query = NULL;
	if (l->leaving) {
		if (err != pool_err_stopping)
			leave_send(l);
		return;
	}
	if (err == NULL && (PQnfields(res) != COLUMNS || PQntuples(res) == 0))
		err = "wrong result";
	if (err == NULL) {
		/* One that took a whole lease has already run out. */
		if (clock_mono_ms() - l->asked_at < l->lease_ms)
			beat_take(l, res);
	} else {
		log_warn("lease node=%s why=\"%s\"", l->node, err);
		/* Waits in the pool for a connection; any other error waits for the timer. */
		l->again |= err == pool_err_lost;
	}
	if (l->again && !l->leaving && l->query == NULL)
		beat_send(l);
}

static void
on_expiry(evutil_socket_t fd, short what, void *arg)
{
	struct lease *l = arg;
	(void)fd;
	(void)what;
	if (!l->held)
		return;
	l->held = false;
	log_warn("lease node=%s from=held to=lost why=\"no beat for %d ms\"", l->node, l->lease_ms);
	l->handlers->on_lost(l->arg);
}

/* A beat under way could take the leases again after the leave: it is awaited first. */
void
lease_leave(struct lease *l, void (*done)(void *), void *arg)
{
	assert(!l->leaving);
	l->leaving = true;
	l->held = false;
	l->on_left = done;
	l->left_arg = arg;
	evtimer_del(l->beat);
	evtimer_del(l->expiry);
	timer_set(l->left, LEAVE_MS);
	if (l->query == NULL)
		leave_send(l);
}

static void
on_leave_answer(void *arg, const PGresult *res, const char *err)
{
	struct lease *l = arg;
	(void)res;
	l->query = NULL;
	if (err != NULL)
		log_warn("lease node=%s from=leaving to=left why=\"%s\"", l->node, err);
	if (err != pool_err_stopping)
		timer_set(l->left, 0);
}

/* Answered, or not in time: the leases then run out by themselves. done may free the lease. */
static void
on_left(evutil_socket_t fd, short what, void *arg)
{
	struct lease *l = arg;
	(void)fd;
	(void)what;
	if (l->query != NULL)
		pool_forget(l->query);
	l->query = NULL;
	l->on_left(l->left_arg);
}
