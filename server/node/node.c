/*
 * node: pool, tail, lease and tenants of this process, and the few look-ups that
 * go over all tenants. What a tenant does is tenant.c's.
 */
#include "node/node.h"

#include <sys/queue.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timer.h"
#include "db/lease.h"
#include "db/pool.h"
#include "db/tail.h"
#include "node/presence.h"
#include "node/schema.h"
#include "node/tenant.h"

#define SCHEMA_RETRY_MS 1000
#define TOKEN_BYTES 32

struct entry {
	TAILQ_ENTRY(entry) link;
	struct tenant *tenant;
};

struct node {
	struct event_base *base;
	const struct conf *conf;
	struct clock *clock;
	struct id id;
	struct pool *pool;
	struct tail *tail;
	struct lease *lease;
	TAILQ_HEAD(, entry) tenants;
	struct event *slow; /* looks at other nodes' events anyway */
	struct event *schema_retry;
	bool connected, schema_known, beaten, is_test, stopping;
	int version;   /* of the schema, when it was looked at; another is an upgrade */
	json_t *zones; /* an object: their names are its keys; NULL: not asked yet */
	char *problem; /* with the schema */
	int alive;
	struct query *nodes_query;
	void (*stopped)(void *);
	void *stopped_arg;
	void (*outdated)(void *); /* NULL: nobody wants to know */
	void *outdated_arg;
};

static void on_pool(void *, bool);
static void on_schema(void *, const PGresult *, const char *);
static void on_schema_retry(evutil_socket_t, short, void *);
static void on_slow(evutil_socket_t, short, void *);
static void on_tail_ready(void *);
static void on_notice(void *, int, uint64_t);
static void on_tenant(void *, int, const char *, bool, int);
static void on_beat(void *, int, int64_t);
static void on_lease_lost(void *);

static const struct tail_handlers tail_handlers = { .on_ready = on_tail_ready,
	.on_notice = on_notice };
static const struct lease_handlers lease_handlers = {
	.on_tenant = on_tenant, .on_beat = on_beat, .on_lost = on_lease_lost
};

struct node *
node_new(struct event_base *base, const struct conf *conf, struct clock *clock)
{
	struct node *n = xcalloc(1, sizeof *n);

	n->base = base;
	n->conf = conf;
	n->clock = clock;
	n->id = id_new();
	TAILQ_INIT(&n->tenants);
	n->slow = event_new(base, -1, EV_PERSIST, on_slow, n);
	n->schema_retry = evtimer_new(base, on_schema_retry, n);
	n->pool = pool_new(base, conf);
	pool_watch(n->pool, on_pool, n);
	timer_in(n->slow, conf->tail_ms);
	return n;
}

void
node_free(struct node *n)
{
	struct entry *e;

	if (n == NULL)
		return;
	while ((e = TAILQ_FIRST(&n->tenants)) != NULL) {
		TAILQ_REMOVE(&n->tenants, e, link);
		tenant_free(e->tenant);
		free(e);
	}
	if (n->nodes_query != NULL)
		pool_forget(n->nodes_query);
	lease_free(n->lease);
	tail_free(n->tail);
	pool_free(n->pool);
	event_free(n->slow);
	event_free(n->schema_retry);
	json_decref(n->zones);
	free(n->problem);
	free(n);
}

void
node_stop(struct node *n, void (*done)(void *), void *arg)
{
	n->stopping = true;
	n->stopped = done;
	n->stopped_arg = arg;
	/* From here on it means that there is nothing to wait for. */
	event_del(n->schema_retry);
	for (struct entry *e = TAILQ_FIRST(&n->tenants); e != NULL; e = TAILQ_NEXT(e, link))
		tenant_lease(e->tenant, false, n->alive);
	if (n->lease == NULL)
		timer_in(n->schema_retry, 0); /* never from inside the call that asked */
	else
		lease_leave(n->lease, done, arg);
}

void
node_watch_schema(struct node *n, void (*outdated)(void *), void *arg)
{
	n->outdated = outdated;
	n->outdated_arg = arg;
}

/* The database answers (again): is it a schema that this node knows? */
static void
schema_check(struct node *n)
{
	if (!n->stopping && pool_send(n->pool, STATEMENT_schema_check, NULL, on_schema, n) == NULL)
		timer_in(n->schema_retry, SCHEMA_RETRY_MS);
}

static void
on_schema_retry(evutil_socket_t fd, short what, void *arg)
{
	struct node *n = arg;

	(void)fd;
	(void)what;
	if (n->stopping)
		n->stopped(n->stopped_arg);
	else
		schema_check(n);
}

static void
doubt_all(struct node *n, const char *why)
{
	for (struct entry *e = TAILQ_FIRST(&n->tenants); e != NULL; e = TAILQ_NEXT(e, link))
		tenant_doubt(e->tenant, why);
}

static void
on_pool(void *arg, bool ready)
{
	struct node *n = arg;

	n->connected = ready;
	log_info("database=%s", ready ? "connected" : "lost");
	if (ready) {
		schema_check(n);
		return;
	}
	/*
	 * What comes back may be the log of another epoch, and answers are lost: load
	 * again. From now on, so that no event of that one is taken for one of this.
	 */
	doubt_all(n, "the database connection was lost");
}

static void
set_problem(struct node *n, const char *why)
{
	if (n->problem == NULL || strcmp(n->problem, why) != 0)
		log_error("schema=unusable why=\"%s\"", why);
	free(n->problem);
	n->problem = xstrdup(why);
}

static void
zones_take(struct node *n, char *names)
{
	char *rest = names, *name;

	json_decref(n->zones);
	n->zones = json_object();
	while ((name = strsep(&rest, " ")) != NULL)
		json_object_set_new(n->zones, name, json_true());
	free(names);
}

static void
on_schema(void *arg, const PGresult *res, const char *err)
{
	struct node *n = arg;
	bool outdated;

	if (n->stopping)
		return;
	char *why = schema_problem(res, err, &outdated);
	if (why != NULL) {
		set_problem(n, why);
		free(why);
		/* An old schema can be brought forward while we wait; a new one does not come back. */
		if (!outdated)
			timer_in(n->schema_retry, SCHEMA_RETRY_MS);
		else if (n->outdated != NULL)
			n->outdated(n->outdated_arg);
		return;
	}
	n->is_test = PQgetvalue(res, 0, 1)[0] == 't';
	zones_take(n, xstrdup(PQgetvalue(res, 0, 3)));
	if (n->clock->fake && !n->is_test) {
		set_problem(n, "test_clock is set but the database is not marked as a test");
		return;
	}
	free(n->problem);
	n->problem = NULL;
	int before = n->version;
	n->version = atoi(PQgetvalue(res, 0, 0));
	n->schema_known = true;
	if (n->lease == NULL) {
		n->tail = tail_new(n->base, n->conf, &tail_handlers, n);
		n->lease = lease_new(n->base, n->pool, n->conf, n->id, &lease_handlers, n);
		return;
	}
	if (n->version != before) {
		log_info("schema=upgraded to=%d", n->version);
		doubt_all(n, "the schema was upgraded");
	}
	lease_beat(n->lease);
}

static struct entry *
entry_find(const struct node *n, int tenant)
{
	struct entry *e;

	TAILQ_FOREACH (e, &n->tenants, link)
		if (tenant_id(e->tenant) == tenant)
			return e;
	return NULL;
}

static void
on_tenant(void *arg, int id, const char *name, bool held, int epoch)
{
	struct node *n = arg;
	struct entry *e = entry_find(n, id);

	if (n->stopping)
		return;
	if (e == NULL) {
		e = xcalloc(1, sizeof *e);
		e->tenant = tenant_new(n, id, name);
		TAILQ_INSERT_TAIL(&n->tenants, e, link);
	}
	tenant_lease(e->tenant, held, n->alive);
	/* Begun by a peer while this node's connections stayed. */
	if (tenant_live(e->tenant) && projection_epoch(tenant_projection(e->tenant)) != epoch)
		tenant_doubt(e->tenant, "another epoch");
}

static void
on_nodes(void *arg, const PGresult *res, const char *err)
{
	struct node *n = arg;
	struct id ids[1024];
	size_t count = 0, i;
	json_t *list, *one;

	n->nodes_query = NULL;
	if (err != NULL || PQntuples(res) != 1)
		return;
	list = json_loads(PQgetvalue(res, 0, 0), 0, NULL);
	json_array_foreach (list, i, one)
		if (json_bool(one, "alive", false) && count < sizeof ids / sizeof *ids &&
		    json_id(one, "id", &ids[count]))
			count++;
	json_decref(list);
	for (struct entry *e = TAILQ_FIRST(&n->tenants); e != NULL; e = TAILQ_NEXT(e, link))
		tenant_set_nodes(e->tenant, ids, count);
}

static void
on_beat(void *arg, int alive, int64_t offset_ms)
{
	struct node *n = arg;

	if (alive != n->alive)
		log_info("nodes=%d", alive);
	n->alive = alive;
	n->beaten = true;
	n->clock->offset_ms = offset_ms;
	/* A peer may have died and another come between two beats: the count alone does not tell. */
	if (n->nodes_query == NULL)
		n->nodes_query = pool_send(n->pool, STATEMENT_load_nodes, NULL, on_nodes, n);
	for (struct entry *e = TAILQ_FIRST(&n->tenants); e != NULL; e = TAILQ_NEXT(e, link))
		lane_peers(tenant_lane(e->tenant), alive);
}

static void
on_lease_lost(void *arg)
{
	struct node *n = arg;

	for (struct entry *e = TAILQ_FIRST(&n->tenants); e != NULL; e = TAILQ_NEXT(e, link))
		tenant_lease(e->tenant, false, n->alive);
}

static void
look_all(struct node *n)
{
	for (struct entry *e = TAILQ_FIRST(&n->tenants); e != NULL; e = TAILQ_NEXT(e, link))
		tenant_look(e->tenant);
}

static void
on_slow(evutil_socket_t fd, short what, void *arg)
{
	struct node *n = arg;

	(void)fd;
	(void)what;
	if (pool_ready(n->pool))
		look_all(n);
}

/* What was notified before is gone: events, and an upgrade; that is on_pool()'s if it has to wait. */
static void
on_tail_ready(void *arg)
{
	struct node *n = arg;

	look_all(n);
	if (n->connected)
		schema_check(n);
}

static void
on_notice(void *arg, int tenant, uint64_t seq)
{
	struct node *n = arg;
	struct entry *e = entry_find(n, tenant);

	if (tenant == 0) {
		schema_check(n);
		return;
	}
	if (e != NULL && tenant_live(e->tenant) &&
	    seq > projection_seq(tenant_projection(e->tenant)))
		tenant_look(e->tenant);
}

const char *
node_not_ready(const struct node *n)
{
	struct entry *e;

	if (n->problem != NULL)
		return n->problem;
	if (pool_unfit(n->pool) != NULL)
		return pool_unfit(n->pool);
	if (!n->connected || !n->schema_known)
		return "the database does not answer";
	if (!n->beaten)
		return "the node has not joined yet";
	TAILQ_FOREACH (e, &n->tenants, link)
		if (!tenant_live(e->tenant))
			return "a tenant is being loaded";
	return NULL;
}

/* One line each. */
/* clang-format off */
struct id node_id(const struct node *n) { return n->id; }
struct pool *node_pool(struct node *n) { return n->pool; }
struct event_base *node_base(struct node *n) { return n->base; }
const struct conf *node_conf(const struct node *n) { return n->conf; }
struct clock *node_clock(struct node *n) { return n->clock; }
/* clang-format on */
int64_t
node_now_ms(const struct node *n)
{
	return clock_now_ms(n->clock);
}
/* One line each. */
/* clang-format off */
bool node_is_test(const struct node *n) { return n->is_test; }
int node_alive(const struct node *n) { return n->alive; }
/* clang-format on */

bool
node_zone_known(const struct node *n, const char *name)
{
	return n->zones == NULL || json_object_get(n->zones, name) != NULL;
}

struct tenant *
node_tenant(struct node *n, int id)
{
	struct entry *e = entry_find(n, id);

	return e != NULL ? e->tenant : NULL;
}

struct tenant *
node_tenant_by_name(struct node *n, const char *name)
{
	struct entry *e;

	TAILQ_FOREACH (e, &n->tenants, link)
		if (strcmp(tenant_name(e->tenant), name) == 0)
			return e->tenant;
	return NULL;
}

struct tenant *
node_tenant_next(struct node *n, struct tenant *t)
{
	struct entry *e =
	    t == NULL ? TAILQ_FIRST(&n->tenants) : TAILQ_NEXT(entry_find(n, tenant_id(t)), link);

	return e != NULL ? e->tenant : NULL;
}

struct tenant *
node_form(struct node *n, const char *key, const json_t **image)
{
	struct entry *e;

	TAILQ_FOREACH (e, &n->tenants, link) {
		struct projection *p = tenant_projection(e->tenant);
		if (p != NULL && (*image = projection_form(p, key)) != NULL)
			return e->tenant;
	}
	return NULL;
}

bool
node_session(struct node *n, const char *token, struct tenant **t, struct session_view *view,
    uint8_t hash[32])
{
	char *end;
	size_t len = strlen(token);

	if (len > 64 || token[0] < '1' || token[0] > '9')
		return false;
	long id = strtol(token, &end, 10);
	if (*end != '.' || id > INT32_MAX)
		return false;
	*t = node_tenant(n, (int)id);
	if (*t == NULL || tenant_projection(*t) == NULL)
		return false;
	sha256(token, len, hash);
	return projection_session(tenant_projection(*t), hash, view) &&
	    view->expires_at > node_now_ms(n);
}

char *
node_token(const struct tenant *t, uint8_t hash[32])
{
	uint8_t secret[TOKEN_BYTES];

	random_bytes(secret, sizeof secret);
	char *text = base64url_encode(secret, sizeof secret);
	char *token = xasprintf("%d.%s", tenant_id(t), text);
	free(text);
	sha256(token, strlen(token), hash);
	return token;
}

void
node_look(struct node *n)
{
	if (n->lease != NULL)
		lease_beat(n->lease);
}

void
node_clock_moved(struct node *n)
{
	for (struct entry *e = TAILQ_FIRST(&n->tenants); e != NULL; e = TAILQ_NEXT(e, link))
		tenant_clock_moved(e->tenant);
}
