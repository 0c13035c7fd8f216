/*
 * tenant: the one road by which a tenant's state comes into this node. Whether
 * it starts, lost the database or doubts its projection, the cure is the same:
 * load_model(), then follow the log. Knows nothing of requests or streams.
 */
#include "node/tenant.h"

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
#include "core/kind.h"
#include "core/router.h"
#include "node/feed.h"
#include "node/node.h"
#include "node/presence.h"
#include "node/retention.h"
#include "node/routing.h"

#define LOOK_PAGE 2000 /* events read at once when following other nodes */
#define LOAD_RETRY_MS 200
/* What does not fit may not fit after a load either: the first two at once, then seldom, until it is calm. */
#define LOAD_RETRY_MAX_MS 12800
#define CALM_MS 60000
/* Unknown kinds that are told apart; a newer schema will not have made more. */
#define STRANGE_MAX 32

struct tenant {
	struct node *node;
	int id;
	char *name;
	struct lane *lane;
	struct projection *projection; /* what is asked; NULL before the first load */
	bool live;		       /* loaded, and the log followed since */
	struct ring *ring;
	struct feed *feed;
	struct presence *presence;
	struct routing *routing;
	struct retention *retention;
	struct ticket *load, *look; /* in the lane now */
	bool look_again;	    /* asked for while one was in the lane */
	struct ticket *secrets;	    /* likewise, of the secrets */
	bool secrets_again;
	struct event *retry;
	int misfits; /* in a row, the last at misfit_ms (monotonic) */
	int64_t misfit_ms;
	json_t *strange; /* kinds of events that are not known here, each said once */
};

static void on_events(void *, const struct lane_event *, size_t);
static void on_loaded(void *, const PGresult *, const char *);
static void on_shortened(void *, const PGresult *, const char *);
static void on_looked(void *, const PGresult *, const char *);
static void on_secrets(void *, const PGresult *, const char *);
static void on_retry(evutil_socket_t, short, void *);

static void
load(struct tenant *t)
{
	const struct conf *conf = node_conf(t->node);
	char id[16], now[24], due[16], future[16];

	if (t->load != NULL)
		return;
	snprintf(id, sizeof id, "%d", t->id);
	snprintf(now, sizeof now, "%lld", (long long)node_now_ms(t->node));
	snprintf(due, sizeof due, "%d", conf->due_window);
	snprintf(future, sizeof future, "%d", conf->future_window);
	t->load = lane_read(
	    t->lane, STATEMENT_load_model, (const char *[]){ id, now, due, future }, on_loaded, t);
	if (t->load == NULL)
		timer_in(t->retry, LOAD_RETRY_MS);
}

struct tenant *
tenant_new(struct node *n, int id, const char *name)
{
	struct tenant *t = xcalloc(1, sizeof *t);

	t->node = n;
	t->id = id;
	t->name = xstrdup(name);
	t->lane = lane_new(node_base(n), node_pool(n), node_clock(n), id, on_events, t);
	t->ring = ring_new((size_t)node_conf(n)->ring_events);
	t->retry = evtimer_new(node_base(n), on_retry, t);
	t->strange = json_object();
	t->feed = feed_new(t);
	t->presence = presence_new(t);
	t->routing = routing_new(t);
	t->retention = retention_new(t);
	load(t);
	return t;
}

void
tenant_free(struct tenant *t)
{
	if (t == NULL)
		return;
	/* Who asks the lane goes before it, but routing: it has more in the lane than it has flights. */
	t->live = false;
	feed_free(t->feed);
	presence_free(t->presence);
	retention_free(t->retention);
	if (t->load != NULL)
		lane_forget(t->load);
	if (t->look != NULL)
		lane_forget(t->look);
	if (t->secrets != NULL)
		lane_forget(t->secrets);
	routing_hold(t->routing, false);
	lane_free(t->lane);
	routing_free(t->routing);
	event_free(t->retry);
	json_decref(t->strange);
	projection_free(t->projection);
	ring_free(t->ring);
	free(t->name);
	free(t);
}

/* One line each. */
/* clang-format off */
int tenant_id(const struct tenant *t) { return t->id; }
const char *tenant_name(const struct tenant *t) { return t->name; }
bool tenant_live(const struct tenant *t) { return t->live; }
struct node *tenant_node(const struct tenant *t) { return t->node; }
struct projection *tenant_projection(struct tenant *t) { return t->projection; }
struct lane *tenant_lane(struct tenant *t) { return t->lane; }
struct ring *tenant_ring(struct tenant *t) { return t->ring; }
struct feed *tenant_feed(struct tenant *t) { return t->feed; }
struct presence *tenant_presence(struct tenant *t) { return t->presence; }
struct retention *tenant_retention(struct tenant *t) { return t->retention; }
bool tenant_holds_lease(const struct tenant *t) { return routing_held(t->routing); }
/* clang-format on */

void
tenant_event_id(const struct tenant *t, char out[EVENT_ID_SIZE])
{
	if (t->projection == NULL)
		snprintf(out, EVENT_ID_SIZE, "0.0");
	else
		snprintf(out, EVENT_ID_SIZE, "%d.%llu", projection_epoch(t->projection),
		    (unsigned long long)projection_seq(t->projection));
}

bool
event_id_parse(const char *text, int *epoch, uint64_t *seq)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	long e = strtol(text, &end, 10);
	if (*end != '.' || e < 0 || e > INT32_MAX || end[1] < '0' || end[1] > '9' ||
	    strlen(end) > 20)
		return false;
	*epoch = (int)e;
	*seq = strtoull(end + 1, &end, 10);
	return *end == '\0';
}

static void
load_again(struct tenant *t, const char *why, int64_t wait_ms)
{
	log_warn("tenant=%s doubt=\"%s\" loading again", t->name, why);
	t->live = false;
	routing_forget(t->routing);
	/* The old projection still answers questions until the new one is in. */
	if (t->load == NULL && wait_ms > 0)
		timer_in(t->retry, wait_ms);
	else if (t->load == NULL)
		load(t);
}

void
tenant_doubt(struct tenant *t, const char *why)
{
	load_again(t, why, 0);
}

/* Something did not fit: how long to wait with the next load. */
static int64_t
misfit_wait(struct tenant *t)
{
	int64_t now = clock_mono_ms(), wait = 0;

	if (now - t->misfit_ms > CALM_MS)
		t->misfits = 0;
	t->misfit_ms = now;
	if (t->misfits >= 2)
		wait = (int64_t)LOAD_RETRY_MS << (t->misfits - 2);
	if (wait > LOAD_RETRY_MAX_MS)
		return LOAD_RETRY_MAX_MS;
	t->misfits++;
	return wait;
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	load(arg);
}

/* All rows into a new projection, or NULL with *why. */
static struct projection *
projection_of(struct tenant *t, const PGresult *res, const char **why)
{
	const struct conf *conf = node_conf(t->node);
	struct projection *p =
	    projection_new(&(struct projection_limits){ conf->due_window, conf->future_window });

	for (int i = 0; i < PQntuples(res); i++) {
		json_t *image = json_loadb(
		    PQgetvalue(res, i, 1), (size_t)PQgetlength(res, i, 1), JSON_DECODE_ANY, NULL);
		bool fits = image != NULL && projection_load(p, PQgetvalue(res, i, 0), image, why);
		json_decref(image);
		if (!fits) {
			projection_free(p);
			return NULL;
		}
	}
	if (!projection_loaded(p, why)) {
		projection_free(p);
		return NULL;
	}
	return p;
}

/* Less of the same log than was seen, or an older one. */
static bool
went_back(const struct projection *before, const struct projection *now)
{
	if (before == NULL || projection_epoch(now) > projection_epoch(before))
		return false;
	return projection_epoch(now) < projection_epoch(before) ||
	    projection_seq(now) < projection_seq(before);
}

/* The log lost its end, and PostgreSQL knows nothing of it: that is another epoch, too. */
static void
log_shortened(struct tenant *t, const struct projection *now)
{
	char id[16], epoch[16];

	log_error("tenant=%s head=%d.%llu applied=%d.%llu the log has lost its end", t->name,
	    projection_epoch(now), (unsigned long long)projection_seq(now),
	    projection_epoch(t->projection), (unsigned long long)projection_seq(t->projection));
	snprintf(id, sizeof id, "%d", t->id);
	snprintf(epoch, sizeof epoch, "%d", projection_epoch(now));
	t->load = lane_read(
	    t->lane, STATEMENT_epoch_shortened, (const char *[]){ id, epoch }, on_shortened, t);
	if (t->load == NULL)
		timer_in(t->retry, LOAD_RETRY_MS);
}

static void
on_shortened(void *arg, const PGresult *res, const char *err)
{
	struct tenant *t = arg;

	(void)res;
	t->load = NULL;
	if (err == NULL)
		load(t);
	else
		timer_in(t->retry, LOAD_RETRY_MS);
}

static void
on_loaded(void *arg, const PGresult *res, const char *err)
{
	struct tenant *t = arg;
	int64_t began = clock_mono_us();
	const char *why = "unreadable image";
	struct projection *p = NULL;

	t->load = NULL;
	if (err == NULL)
		p = projection_of(t, res, &why);
	if (p == NULL) {
		log_warn("tenant=%s load=failed why=\"%s\"", t->name, err != NULL ? err : why);
		/* A database that was away is asked soon; rows that do not fit will not fit soon. */
		int64_t wait = err != NULL ? 0 : misfit_wait(t);
		timer_in(t->retry, wait > LOAD_RETRY_MS ? wait : LOAD_RETRY_MS);
		return;
	}
	bool same_log =
	    t->projection != NULL && projection_epoch(t->projection) == projection_epoch(p);
	if (went_back(t->projection, p)) {
		log_shortened(t, p);
		projection_free(p);
		return;
	}
	projection_free(t->projection);
	t->projection = p;
	routing_forget(t->routing);
	/* A ring that does not reach the head has a hole behind it. */
	if (!same_log || ring_last(t->ring) != projection_seq(p))
		ring_clear(t->ring);
	t->live = true;
	struct projection_counts n = projection_counts(p);
	log_info("tenant=%s load=done head=%d.%llu rows=%d due=%zu future=%zu us=%lld", t->name,
	    projection_epoch(p), (unsigned long long)projection_seq(p), PQntuples(res),
	    n.waiting_due, n.waiting_future, (long long)(clock_mono_us() - began));
	feed_events(t->feed);
	presence_check(t->presence);
	routing_wake(t->routing);
	tenant_look(t);
}

/* The log says that they changed, and not what they are. */
static void
read_secrets(struct tenant *t)
{
	char id[16];

	t->secrets_again = t->secrets != NULL;
	if (t->secrets_again)
		return;
	snprintf(id, sizeof id, "%d", t->id);
	t->secrets =
	    lane_read(t->lane, STATEMENT_load_secrets, (const char *[]){ id }, on_secrets, t);
	if (t->secrets == NULL)
		tenant_doubt(t, "its secrets could not be asked for");
}

static void
on_secrets(void *arg, const PGresult *res, const char *err)
{
	struct tenant *t = arg;
	const char *why = err;

	t->secrets = NULL;
	if (t->projection == NULL)
		return;
	if (err == NULL)
		projection_forget_secrets(t->projection);
	for (int i = 0; why == NULL && i < PQntuples(res); i++) {
		json_t *image = json_loads(PQgetvalue(res, i, 1), 0, NULL);
		projection_load(t->projection, PQgetvalue(res, i, 0), image, &why);
		json_decref(image);
	}
	if (why != NULL)
		tenant_doubt(t, why);
	else if (t->secrets_again)
		read_secrets(t);
}

/*
 * A kind that only a newer schema writes. What this projection keeps, the event's
 * images have told it; whether there was more, a load tells. Once for each kind:
 * the next of it can bring nothing that this load did not.
 */
static void
look_strange(struct tenant *t, const char *kind)
{
	if (kind_known(kind) || json_object_get(t->strange, kind) != NULL ||
	    json_object_size(t->strange) >= STRANGE_MAX)
		return;
	json_object_set_new(t->strange, kind, json_true());
	log_warn("tenant=%s kind=%s is not known here: the schema is newer", t->name, kind);
	tenant_doubt(t, "an unknown kind of event");
}

/* False: the projection is in doubt and nothing after this event may be applied. */
static bool
apply(struct tenant *t, const struct lane_event *e)
{
	const char *why = "unreadable body";
	enum projection_fit fit = PROJECTION_DOUBT;

	if (e->doc != NULL)
		fit = projection_apply(t->projection, e->seq, e->kind, e->doc, &why);
	switch (fit) {
	case PROJECTION_APPLIED:
		ring_add(t->ring, e->seq, e->at_ms, e->agent_id, e->kind, e->body, e->body_len);
		if (strcmp(e->kind, "agent.connected") == 0 ||
		    strcmp(e->kind, "agent.disconnected") == 0)
			presence_told(t->presence, e->agent_id);
		else if (strncmp(e->kind, "secret.", 7) == 0)
			read_secrets(t);
		look_strange(t, e->kind);
		return true;
	case PROJECTION_OLD:
		return true;
	case PROJECTION_GAP:
		tenant_look(t);
		return false;
	case PROJECTION_DOUBT:
		break;
	}
	load_again(t, why, misfit_wait(t));
	return false;
}

static void
on_events(void *arg, const struct lane_event *events, size_t n)
{
	struct tenant *t = arg;

	if (!t->live)
		return; /* the load that is under way will be newer */
	if (n == 0) {
		tenant_look(t);
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (!apply(t, &events[i]))
			break;
	feed_events(t->feed);
	routing_wake(t->routing);
}

void
tenant_look(struct tenant *t)
{
	char id[16], after[24], limit[16];

	if (!t->live)
		return;
	if (t->look != NULL) {
		t->look_again = true;
		return;
	}
	t->look_again = false;
	snprintf(id, sizeof id, "%d", t->id);
	snprintf(after, sizeof after, "%llu", (unsigned long long)projection_seq(t->projection));
	snprintf(limit, sizeof limit, "%d", LOOK_PAGE);
	t->look = lane_read(
	    t->lane, STATEMENT_load_events, (const char *[]){ id, after, limit }, on_looked, t);
}

static void
on_looked(void *arg, const PGresult *res, const char *err)
{
	struct tenant *t = arg;
	bool again = t->look_again;

	t->look = NULL;
	if (err != NULL || !t->live)
		return; /* the slow timer looks again */
	int rows = PQntuples(res);
	for (int i = 0; i < rows; i++) {
		if (strcmp(PQgetvalue(res, i, 0), "event") != 0) {
			tenant_doubt(t, "the log was cut above what was applied");
			return;
		}
		struct lane_event e;

		lane_event_read(&e, res, i);
		bool applied = apply(t, &e);

		json_decref(e.doc);
		if (!applied)
			break;
	}
	if (rows > 0) {
		feed_events(t->feed);
		routing_wake(t->routing);
	}
	if (again || rows == LOOK_PAGE)
		tenant_look(t);
}

void
tenant_lease(struct tenant *t, bool held, int nodes_alive)
{
	lane_peers(t->lane, nodes_alive);
	routing_hold(t->routing, held);
	retention_hold(t->retention, held);
}

void
tenant_set_nodes(struct tenant *t, const struct id *nodes, size_t n)
{
	if (t->projection != NULL) {
		projection_set_nodes(t->projection, nodes, n);
		routing_wake(t->routing);
	}
}

void
tenant_clock_moved(struct tenant *t)
{
	routing_wake(t->routing);
	retention_wake(t->retention);
}
