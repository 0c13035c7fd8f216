/*
 * retention: a pass every ten minutes, of as many steps as there is something
 * old, with a pause after each: whatever there is to delete, the tenant's lock is
 * taken for it some 1 ms in fifty. Beside the lane, not in it: what is read
 * before the lock makes no command wait.
 */
#include "node/retention.h"

#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timer.h"
#include "db/pool.h"
#include "node/node.h"
#include "node/tenant.h"

/* Between passes, by the clock that callbacks live by; the first waits until a start is over. */
#define PASS_MS 600000
#define FIRST_MS 60000
/* Between the steps of a pass, and after an error, by the machine's. */
#define STEP_MS 50
#define RETRY_MS 60000
/* Deleted between two looks at the time; fewer where they are slow. */
#define ROWS_MAX 5
#define HELD_MAX_US 5000

struct retention {
	struct tenant *tenant;
	struct event *timer;
	struct query *query;
	bool held;
	int64_t next_at; /* when the next pass begins */
	bool passing;
	int64_t after; /* where the last step of this pass ended */
	int rows;
	uint64_t callbacks, events; /* of this pass */
	struct retention_counts counts;
};

static void on_timer(evutil_socket_t, short, void *);
static void on_step(void *, const PGresult *, const char *);

struct retention *
retention_new(struct tenant *t)
{
	struct retention *r = xcalloc(1, sizeof *r);

	r->tenant = t;
	r->rows = ROWS_MAX;
	r->timer = evtimer_new(node_base(tenant_node(t)), on_timer, r);
	return r;
}

void
retention_free(struct retention *r)
{
	if (r == NULL)
		return;
	if (r->query != NULL)
		pool_forget(r->query);
	event_free(r->timer);
	free(r);
}

struct retention_counts
retention_counts(const struct retention *r)
{
	return r->counts;
}

void
retention_hold(struct retention *r, bool held)
{
	if (held == r->held)
		return;
	r->held = held;
	r->passing = false;
	if (!held) {
		evtimer_del(r->timer);
		return;
	}
	r->next_at = node_now_ms(tenant_node(r->tenant)) + FIRST_MS;
	timer_in(r->timer, FIRST_MS);
}

void
retention_wake(struct retention *r)
{
	if (r->held && !r->passing && r->query == NULL &&
	    node_now_ms(tenant_node(r->tenant)) >= r->next_at)
		timer_in(r->timer, 0);
}

static void
step(struct retention *r)
{
	char tenant[16], now[24], after[24], rows[16];

	snprintf(tenant, sizeof tenant, "%d", tenant_id(r->tenant));
	snprintf(now, sizeof now, "%lld", (long long)node_now_ms(tenant_node(r->tenant)));
	snprintf(after, sizeof after, "%lld", (long long)r->after);
	snprintf(rows, sizeof rows, "%d", r->rows);
	r->query = pool_send(node_pool(tenant_node(r->tenant)), STATEMENT_retain,
	    (const char *[]){ tenant, now, after, rows }, on_step, r);
	if (r->query == NULL)
		timer_in(r->timer, RETRY_MS);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct retention *r = arg;
	int64_t now = node_now_ms(tenant_node(r->tenant));

	(void)fd;
	(void)what;
	if (!r->held)
		return;
	if (r->query != NULL) {
		/* Of the lease before this one: it says nothing of this pass. */
		timer_in(r->timer, RETRY_MS);
		return;
	}
	if (!r->passing) {
		if (now < r->next_at) {
			/* A fake clock does not run, and a real one may be set: look again. */
			timer_in(r->timer, FIRST_MS);
			return;
		}
		r->passing = true;
		r->after = 0;
		r->callbacks = r->events = 0;
	}
	step(r);
}

static void
pass_end(struct retention *r)
{
	r->passing = false;
	r->next_at = node_now_ms(tenant_node(r->tenant)) + PASS_MS;
	if (r->callbacks + r->events > 0)
		log_info("tenant=%s retention=done callbacks=%llu events=%llu held_us_max=%lld",
		    tenant_name(r->tenant), (unsigned long long)r->callbacks,
		    (unsigned long long)r->events, (long long)r->counts.held_us);
	timer_in(r->timer, FIRST_MS);
}

/* One step is done: callbacks, events, log_floor, more, next_after, held_us. */
static void
on_step(void *arg, const PGresult *res, const char *err)
{
	struct retention *r = arg;

	r->query = NULL;
	if (err != NULL || PQntuples(res) != 1) {
		log_warn("tenant=%s retention=failed why=%s", tenant_name(r->tenant),
		    err != NULL ? err : "no row");
		if (r->held)
			timer_in(r->timer, RETRY_MS);
		return;
	}
	uint64_t callbacks = strtoull(PQgetvalue(res, 0, 0), NULL, 10);
	uint64_t events = strtoull(PQgetvalue(res, 0, 1), NULL, 10);
	int64_t held_us = strtoll(PQgetvalue(res, 0, 5), NULL, 10);
	r->counts.steps++;
	r->counts.callbacks += callbacks;
	r->counts.events += events;
	r->callbacks += callbacks;
	r->events += events;
	if (held_us > r->counts.held_us)
		r->counts.held_us = held_us;
	if (held_us > HELD_MAX_US && r->rows > 1)
		r->rows /= 2;
	else if (held_us < HELD_MAX_US / 2 && r->rows < ROWS_MAX)
		r->rows++;
	if (!r->held || !r->passing)
		return;
	r->after = strtoll(PQgetvalue(res, 0, 4), NULL, 10);
	if (PQgetvalue(res, 0, 3)[0] == 't')
		timer_in(r->timer, STEP_MS);
	else
		pass_end(r);
}
