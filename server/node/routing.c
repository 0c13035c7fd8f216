/*
 * routing: the router's hands. Knows which command says what the router means;
 * the deciding is core/router.c's, the disposing the database's.
 */
#include "node/routing.h"

#include <sys/queue.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <jansson.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timer.h"
#include "core/projection.h"
#include "core/router.h"
#include "db/lane.h"
#include "node/node.h"
#include "node/tenant.h"

/* Actions at once: about two batches, so that the lane is never idle and never a hoard. */
#define FLIGHT_MAX 4000
#define RUN_MAX 1000
/* Refused this often in a row without one acceptance: the projection must be wrong. */
#define REFUSED_MAX 100
#define ELAPSED_MAX 500
#define ELAPSED_RETRY_MS 1000
#define FULL_WAIT_MS 50

struct flight {
	TAILQ_ENTRY(flight) link;
	struct routing *routing;
	struct ticket *ticket; /* NULL while the commands of what elapsed run */
	struct router_action action;
	bool stale;  /* the projection it was made for is gone: settles nothing */
	int open;    /* commands of what elapsed not yet answered */
	bool failed; /* one of them could not be asked: to be looked for again */
};

struct routing {
	struct tenant *tenant;
	struct event *timer;
	bool held;
	TAILQ_HEAD(flight_list, flight) flights, fresh; /* sent; emitted and not yet sent */
	unsigned count;
	unsigned refused;
};

static void on_timer(evutil_socket_t, short, void *);

struct routing *
routing_new(struct tenant *t)
{
	struct routing *r = xcalloc(1, sizeof *r);

	r->tenant = t;
	r->timer = evtimer_new(node_base(tenant_node(t)), on_timer, r);
	TAILQ_INIT(&r->flights);
	TAILQ_INIT(&r->fresh);
	return r;
}

static void
flight_free(struct flight *f)
{
	TAILQ_REMOVE(&f->routing->flights, f, link);
	f->routing->count--;
	free(f);
}

void
routing_free(struct routing *r)
{
	if (r == NULL)
		return;
	event_free(r->timer);
	struct flight *f;
	while ((f = TAILQ_FIRST(&r->flights)) != NULL) {
		if (f->ticket != NULL)
			lane_forget(f->ticket);
		flight_free(f);
	}
	free(r);
}

bool
routing_held(const struct routing *r)
{
	return r->held;
}

void
routing_wake(struct routing *r)
{
	if (r->held)
		event_active(r->timer, EV_TIMEOUT, 0);
}

void
routing_hold(struct routing *r, bool held)
{
	if (r->held == held)
		return;
	r->held = held;
	log_info("tenant=%s lease=%s", tenant_name(r->tenant), held ? "held" : "lost");
	if (held) {
		routing_wake(r);
		return;
	}
	event_del(r->timer);
	routing_forget(r);
	struct projection *p = tenant_projection(r->tenant);
	if (p != NULL)
		router_reset(p);
}

void
routing_forget(struct routing *r)
{
	struct flight *f;

	TAILQ_FOREACH (f, &r->flights, link)
		f->stale = true;
}

static void
land(struct flight *f)
{
	struct projection *p = tenant_projection(f->routing->tenant);

	if (!f->stale && p != NULL)
		router_settled(p, &f->action);
	flight_free(f);
}

static void
settle(struct flight *f)
{
	struct routing *r = f->routing;

	land(f);
	routing_wake(r);
}

/* The lane's bounded queue is full: look again when it had time to drain, not at once. */
static void
put_off(struct flight *f)
{
	struct routing *r = f->routing;

	land(f);
	timer_in(r->timer, FULL_WAIT_MS);
}

/*
 * A refusal means that the database knows more than the projection: another
 * node's events are on their way. They are looked for before the overlay is
 * lifted, else the same would be proposed at once.
 */
static void
on_looked(void *arg, const PGresult *res, const char *err)
{
	(void)res;
	(void)err;
	settle(arg);
}

static void
on_answer(void *arg, const struct lane_answer *a)
{
	struct flight *f = arg;
	struct routing *r = f->routing;

	f->ticket = NULL;
	if (a->err != NULL || f->stale) {
		settle(f);
		return;
	}
	if (a->refusal == NULL) {
		r->refused = 0;
		settle(f);
		return;
	}
	log_debug("tenant=%s routing=refused kind=%d reason=%s", tenant_name(r->tenant),
	    f->action.kind, a->refusal);
	if (++r->refused > REFUSED_MAX) {
		r->refused = 0;
		settle(f);
		tenant_doubt(r->tenant, "the router's proposals are refused again and again");
		return;
	}
	char tenant[16], after[24];
	snprintf(tenant, sizeof tenant, "%d", tenant_id(r->tenant));
	snprintf(after, sizeof after, "%llu",
	    (unsigned long long)projection_seq(tenant_projection(r->tenant)));
	/* Any read in the lane's turn will do as the barrier: tenant_look() queues its own gap read before it. */
	tenant_look(r->tenant);
	f->ticket = lane_read(tenant_lane(r->tenant), STATEMENT_load_events,
	    (const char *[]){ tenant, after, "1" }, on_looked, f);
	if (f->ticket == NULL)
		settle(f);
}

static void
send_command(struct flight *f, const char *kind, json_t *cmd)
{
	struct lane *lane = tenant_lane(f->routing->tenant);

	json_set_id(cmd, "id", id_new());
	json_object_set_new(cmd, "kind", json_string(kind));
	json_object_set_new(cmd, "role", json_string("router"));
	f->ticket = lane_execute(lane, cmd, on_answer, f);
	if (f->ticket == NULL)
		put_off(f);
}

static json_t *
name_callback(const struct router_action *a, bool version)
{
	json_t *cmd = json_object();

	json_set_id(cmd, "callback", a->callback);
	if (version)
		json_object_set_new(cmd, "version", json_integer((json_int_t)a->version));
	return cmd;
}

static json_t *
name_agent(const struct router_action *a)
{
	json_t *cmd = json_object();

	json_object_set_new(cmd, "agent", json_integer(a->agent_id));
	return cmd;
}

static void
send_offer(struct flight *f)
{
	const struct router_action *a = &f->action;
	json_t *cmd = name_callback(a, true);
	json_t *to = json_array();

	for (int i = 0; i < a->n; i++) {
		json_t *one = json_object();
		json_set_id(one, "offer", id_new());
		json_object_set_new(one, "agent", json_integer(a->agents[i]));
		json_array_append_new(to, one);
	}
	json_object_set_new(cmd, "to", to);
	send_command(f, "offer", cmd);
}

/* Rows of a refill go into the projection like those of a load. */
static void
on_refill(void *arg, const PGresult *res, const char *err)
{
	struct flight *f = arg;
	struct tenant *t = f->routing->tenant;
	struct projection *p = tenant_projection(t);
	const char *why = NULL;

	f->ticket = NULL;
	if (err == NULL && !f->stale && p != NULL) {
		bool fits = true;
		projection_refill_begin(p);
		for (int i = 0; fits && i < PQntuples(res); i++) {
			json_t *image = json_loads(PQgetvalue(res, i, 1), JSON_DECODE_ANY, NULL);
			fits = projection_load(p, PQgetvalue(res, i, 0), image, &why);
			json_decref(image);
		}
		fits = projection_refill_end(p, &why) && fits;
		if (!fits) {
			settle(f);
			tenant_doubt(t, why != NULL ? why : "a refill does not fit");
			return;
		}
	}
	settle(f);
}

/* What was refused has changed, and its event says when it elapses; what failed has not. */
static void
elapsed_answered(struct flight *f)
{
	struct routing *r = f->routing;
	struct projection *p = tenant_projection(r->tenant);

	if (--f->open > 0)
		return;
	if (f->failed && !f->stale && p != NULL)
		projection_set_elapse(p, node_now_ms(tenant_node(r->tenant)) + ELAPSED_RETRY_MS);
	settle(f);
}

static void
on_elapsed_answer(void *arg, const struct lane_answer *a)
{
	struct flight *f = arg;

	f->failed |= a->err != NULL;
	elapsed_answered(f);
}

/* load_elapsed(): each row becomes the command that it names; the last says when to look again. */
static void
on_elapsed(void *arg, const PGresult *res, const char *err)
{
	struct flight *f = arg;
	struct routing *r = f->routing;
	struct projection *p = tenant_projection(r->tenant);
	int64_t next = INT64_MAX;

	f->ticket = NULL;
	if (err != NULL || f->stale || p == NULL) {
		settle(f);
		return;
	}
	f->open = 1; /* held until all are sent: an answer may not free it under us */
	for (int i = 0; i < PQntuples(res); i++) {
		if (PQgetisnull(res, i, 0)) {
			if (!PQgetisnull(res, i, 2))
				next = strtoll(PQgetvalue(res, i, 2), NULL, 10);
			continue;
		}
		json_t *cmd = json_object();
		json_set_id(cmd, "id", id_new());
		json_object_set_new(cmd, "kind", json_string(PQgetvalue(res, i, 3)));
		json_object_set_new(cmd, "role", json_string("router"));
		json_object_set_new(cmd, "callback", json_string(PQgetvalue(res, i, 0)));
		json_object_set_new(
		    cmd, "version", json_integer(strtoll(PQgetvalue(res, i, 1), NULL, 10)));
		if (lane_execute(tenant_lane(r->tenant), cmd, on_elapsed_answer, f) != NULL)
			f->open++;
		else
			f->failed = true;
	}
	if (PQntuples(res) > ELAPSED_MAX)
		next = node_now_ms(
		    tenant_node(r->tenant)); /* a full page: there may be more at once */
	projection_set_elapse(p, next);
	elapsed_answered(f);
}

static void
send_load(struct flight *f)
{
	const struct router_action *a = &f->action;
	struct tenant *t = f->routing->tenant;
	const struct conf *conf = node_conf(tenant_node(t));
	char tenant[16], now[24], class[16], limit[16], after[24], id[ID_TEXT_SIZE];

	snprintf(tenant, sizeof tenant, "%d", tenant_id(t));
	snprintf(now, sizeof now, "%lld", (long long)node_now_ms(tenant_node(t)));
	if (a->kind == ROUTER_LOAD_DUE) {
		snprintf(class, sizeof class, "%d", a->class_id);
		snprintf(limit, sizeof limit, "%d", conf->due_window);
		f->ticket = lane_read(tenant_lane(t), STATEMENT_load_due,
		    (const char *[]){ tenant, now, class, limit }, on_refill, f);
	} else if (a->kind == ROUTER_LOAD_FUTURE) {
		snprintf(after, sizeof after, "%lld", (long long)a->after_at);
		id_format(a->after_id, id);
		snprintf(limit, sizeof limit, "%d", conf->future_window);
		f->ticket = lane_read(tenant_lane(t), STATEMENT_load_future,
		    (const char *[]){ tenant, now, after, id, limit }, on_refill, f);
	} else {
		snprintf(limit, sizeof limit, "%d", ELAPSED_MAX);
		f->ticket = lane_read(tenant_lane(t), STATEMENT_load_elapsed,
		    (const char *[]){ tenant, now, limit }, on_elapsed, f);
	}
	if (f->ticket == NULL)
		put_off(f);
}

static void
on_emit(void *arg, const struct router_action *a)
{
	struct routing *r = arg;
	struct flight *f = xcalloc(1, sizeof *f);

	f->routing = r;
	f->action = *a;
	TAILQ_INSERT_TAIL(&r->fresh, f, link);
	r->count++;
}

static void
send_action(struct flight *f)
{
	const struct router_action *a = &f->action;
	struct tenant *t = f->routing->tenant;
	json_t *cmd;

	switch (a->kind) {
	case ROUTER_OFFER:
		send_offer(f);
		break;
	case ROUTER_OFFER_TIMEOUT:
		cmd = name_callback(a, false);
		json_set_id(cmd, "offer", a->offer);
		send_command(f, "offer_timeout", cmd);
		break;
	case ROUTER_CALLBACK_DEADLINE:
		send_command(f, "callback_deadline", name_callback(a, true));
		break;
	case ROUTER_AGENT_DEADLINE:
		send_command(f, "agent_deadline", name_agent(a));
		break;
	case ROUTER_AGENT_LOST:
		send_command(f, "agent_lost", name_agent(a));
		break;
	case ROUTER_DISCONNECT: {
		json_t *args = json_object();
		cmd = name_agent(a);
		json_set_id(args, "node", a->node);
		json_object_set_new(cmd, "args", args);
		send_command(f, "disconnect", cmd);
		break;
	}
	case ROUTER_OPENINGS:
		cmd = json_pack("{s:I, s:{s:i}}", "version", (json_int_t)a->version, "args",
		    "queue", a->queue_id);
		send_command(f, "openings", cmd);
		break;
	case ROUTER_LOOK_ELAPSED:
	case ROUTER_LOAD_DUE:
	case ROUTER_LOAD_FUTURE:
		send_load(f);
		break;
	case ROUTER_RELOAD:
		land(f);
		tenant_doubt(t, "fell behind its windows");
		break;
	}
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct routing *r = arg;
	struct projection *p = tenant_projection(r->tenant);

	(void)fd;
	(void)what;
	if (!r->held || !tenant_live(r->tenant) || p == NULL || r->count >= FLIGHT_MAX)
		return; /* whatever changes that wakes us */

	int64_t now = node_now_ms(tenant_node(r->tenant));
	int64_t next = router_run(p, now, RUN_MAX, on_emit, r);
	struct flight *f;
	while ((f = TAILQ_FIRST(&r->fresh)) != NULL) {
		TAILQ_REMOVE(&r->fresh, f, link);
		TAILQ_INSERT_TAIL(&r->flights, f, link);
		send_action(f); /* may free it */
	}

	if (next == INT64_MAX)
		return;
	/* A fake clock does not run: routing_wake() comes when it is moved. */
	if (next > now && node_clock(tenant_node(r->tenant))->fake)
		return;
	int64_t wait = next > now ? next - now : 0;
	if (wait > 60000)
		wait = 60000; /* the wall clock may be set: never sleep on it for long */
	timer_in(r->timer, wait);
}
