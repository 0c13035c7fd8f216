/*
 * What watches the process: metrics, health, readiness, and the description of
 * the API itself. Must not know what the numbers mean.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/lag.h"
#include "base/mem.h"
#include "core/wait.h"
#include "db/pool.h"
#include "net/front.h"
#include "node/feed.h"
#include "node/node.h"
#include "node/retention.h"
#include "node/tenant.h"

static void
metric(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_printf(b, "# HELP callbackd_%s %s\n# TYPE callbackd_%s %s\n", name, help, name, type);
}

static void
single(struct buf *b, const char *name, const char *type, const char *help, uint64_t value)
{
	metric(b, name, type, help);
	buf_printf(b, "callbackd_%s %" PRIu64 "\n", name, value);
}

static void
seconds(struct buf *b, const char *name, const char *help, int64_t us)
{
	metric(b, name, "gauge", help);
	buf_printf(b, "callbackd_%s %.6f\n", name, (double)us / 1e6);
}

static void
labelled(struct buf *b, const char *name, const char *label, const char *value, uint64_t n)
{
	buf_printf(b, "callbackd_%s{%s=\"%s\"} %" PRIu64 "\n", name, label, value, n);
}

static void
lag_metrics(struct buf *b, const struct lag *lag)
{
	struct lag_histogram h = lag_histogram(lag);

	seconds(b, "loop_lag_worst_seconds",
	    "How late the event loop was at its worst since the start.", lag_worst_us(lag));
	seconds(
	    b, "loop_lag_recent_seconds", "The same, of the last ten seconds.", lag_recent_us(lag));
	seconds(b, "loop_lag_own_worst_seconds",
	    "The worst since the start, but for the time that it waited for a processor.",
	    lag_own_worst_us(lag));
	metric(b, "loop_lag_own_seconds", "histogram",
	    "How late the loop was at a tick, but for the time that it waited for a processor.");
	for (int i = 0; i < LAG_BOUNDS; i++)
		buf_printf(b, "callbackd_loop_lag_own_seconds_bucket{le=\"%g\"} %" PRIu64 "\n",
		    (double)h.us[i] / 1e6, h.count[i]);
	buf_printf(b,
	    "callbackd_loop_lag_own_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n"
	    "callbackd_loop_lag_own_seconds_sum %.6f\n"
	    "callbackd_loop_lag_own_seconds_count %" PRIu64 "\n",
	    h.count[LAG_BOUNDS], (double)h.sum_us / 1e6, h.count[LAG_BOUNDS]);
}

static void
process_metrics(struct buf *b, struct api *a)
{
	const struct node *node = api_node(a);

	single(b, "ready", "gauge", "1 when this node serves everything.",
	    node_not_ready(node) == NULL);
	single(b, "nodes_alive", "gauge", "Nodes on this database.", (uint64_t)node_alive(node));
	lag_metrics(b, api_lag(a));
}

static void
http_metrics(struct buf *b, const struct http *http)
{
	static const char *const classes[] = { "", "1xx", "2xx", "3xx", "4xx", "5xx" };
	struct http_counts n = http_counts(http);

	single(b, "http_requests_total", "counter", "Requests whose head was read.", n.requests);
	metric(b, "http_responses_total", "counter", "Answers by class of status.");
	for (int i = 1; i < 6; i++)
		labelled(b, "http_responses_total", "class", classes[i], n.status[i]);
	single(b, "http_waiting", "gauge", "Requests that wait for something now.", n.waiting);
	single(b, "http_wait_expired_total", "counter",
	    "Requests answered 503 because they waited too long.", n.parked_out);
}

static void
front_metrics(struct buf *b, struct http *http)
{
	struct front_counts n = front_counts(http_front(http));

	single(b, "connections_accepted_total", "counter", "Connections accepted.", n.accepted);
	metric(b, "connections_refused_total", "counter", "Connections closed at once, by limit.");
	labelled(b, "connections_refused_total", "limit", "total", n.refused_total);
	labelled(b, "connections_refused_total", "limit", "address", n.refused_address);
	single(b, "tls_handshakes_failed_total", "counter", "TLS handshakes that failed.",
	    n.handshake_failed);
	single(b, "connections_timed_out_total", "counter",
	    "Connections closed at a network deadline.", n.timed_out);
	single(b, "connections_open", "gauge", "Connections open now.", n.open);
	single(b, "streams_open", "gauge", "Of these, event streams and waiting polls.", n.streams);
}

static void
pool_metrics(struct buf *b, struct pool *pool)
{
	struct pool_counts n = pool_counts(pool);

	single(b, "database_queries_total", "counter", "Queries sent.", n.sent);
	single(b, "database_queries_failed_total", "counter", "Queries that the database refused.",
	    n.failed);
	single(b, "database_queries_lost_total", "counter", "Queries whose connection was lost.",
	    n.lost);
	single(b, "database_reconnects_total", "counter", "Connections made again.", n.reconnects);
	single(b, "database_waiting", "gauge", "Queries that wait for a connection.", n.waiting);
	single(b, "database_in_flight", "gauge", "Queries sent and not yet answered.", n.in_flight);
	single(b, "database_connections", "gauge", "Connections that work.", n.connections);
}

/* One metric of every tenant. A name is [a-z0-9_-], so it needs no escaping. */
struct tenant_metric {
	const char *name, *type, *help;
	uint64_t (*value)(struct tenant *);
};

static struct projection_counts
counts(struct tenant *t)
{
	struct projection *p = tenant_projection(t);

	return p != NULL ? projection_counts(p) : (struct projection_counts){ 0 };
}

static struct wait_counts
waits(struct tenant *t)
{
	struct projection *p = tenant_projection(t);

	return p != NULL ? wait_counts(p) : (struct wait_counts){ 0 };
}

/* One line each. */
/* clang-format off */
static uint64_t v_live(struct tenant *t) { return tenant_live(t); }
static uint64_t v_lease(struct tenant *t) { return tenant_holds_lease(t); }
static uint64_t v_seq(struct tenant *t) { return tenant_projection(t) != NULL ? projection_seq(tenant_projection(t)) : 0; }
static uint64_t v_batches(struct tenant *t) { return lane_counts(tenant_lane(t)).batches; }
static uint64_t v_commands(struct tenant *t) { return lane_counts(tenant_lane(t)).commands; }
static uint64_t v_submits(struct tenant *t) { return lane_counts(tenant_lane(t)).submits; }
static uint64_t v_resent(struct tenant *t) { return lane_counts(tenant_lane(t)).resent; }
static uint64_t v_bisected(struct tenant *t) { return lane_counts(tenant_lane(t)).bisected; }
static uint64_t v_waiting(struct tenant *t) { return lane_counts(tenant_lane(t)).waiting; }
static uint64_t v_batch_us(struct tenant *t) { return (uint64_t)lane_counts(tenant_lane(t)).last_batch_us; }
static uint64_t v_streams(struct tenant *t) { return feed_counts(tenant_feed(t)).streams; }
static uint64_t v_polls(struct tenant *t) { return feed_counts(tenant_feed(t)).polls; }
static uint64_t v_behind(struct tenant *t) { return feed_counts(tenant_feed(t)).catching_up; }
static uint64_t v_sent(struct tenant *t) { return feed_counts(tenant_feed(t)).sent; }
static uint64_t v_agents(struct tenant *t) { return counts(t).agents; }
static uint64_t v_available(struct tenant *t) { return counts(t).available; }
static uint64_t v_due(struct tenant *t) { return counts(t).waiting_due; }
static uint64_t v_future(struct tenant *t) { return counts(t).waiting_future; }
static uint64_t v_offered(struct tenant *t) { return counts(t).offered; }
static uint64_t v_held(struct tenant *t) { return counts(t).held; }
static uint64_t v_offers(struct tenant *t) { return counts(t).offers; }
static uint64_t v_sessions(struct tenant *t) { return counts(t).sessions; }
static uint64_t v_waits(struct tenant *t) { return waits(t).told; }
static uint64_t v_wait_error(struct tenant *t) { return waits(t).error_ms; }
static uint64_t v_wait_late(struct tenant *t) { return waits(t).late_ms; }
static uint64_t v_retained(struct tenant *t) { return retention_counts(tenant_retention(t)).callbacks; }
static uint64_t v_trimmed(struct tenant *t) { return retention_counts(tenant_retention(t)).events; }
static uint64_t v_retention_us(struct tenant *t) { return (uint64_t)retention_counts(tenant_retention(t)).held_us; }
/* clang-format on */

static const struct tenant_metric tenant_metrics[] = {
	{ "tenant_live", "gauge", "1 when the tenant is loaded and followed.", v_live },
	{ "tenant_lease", "gauge", "1 on the node that routes for the tenant.", v_lease },
	{ "event_seq", "gauge", "Number of the newest event applied.", v_seq },
	{ "batches_total", "counter", "Transactions of the tenant's lane.", v_batches },
	{ "commands_total", "counter", "Commands decided.", v_commands },
	{ "submits_total", "counter", "Callbacks taken in.", v_submits },
	{ "batches_resent_total", "counter", "Batches sent again after a lost connection.",
	    v_resent },
	{ "batches_bisected_total", "counter", "Batches halved after an error.", v_bisected },
	{ "lane_waiting", "gauge", "Commands and submits that wait for the next batch.",
	    v_waiting },
	{ "last_batch_microseconds", "gauge", "How long the last batch took.", v_batch_us },
	{ "event_streams", "gauge", "Streams of events.", v_streams },
	{ "event_polls", "gauge", "Polls that wait for events.", v_polls },
	{ "event_catching_up", "gauge", "Of both, those that read what is past.", v_behind },
	{ "events_sent_total", "counter", "Events formatted for readers.", v_sent },
	{ "agents", "gauge", "Agents known.", v_agents },
	{ "agents_available", "gauge", "Agents who could be offered a callback now.", v_available },
	{ "callbacks_due", "gauge", "Due callbacks held in memory.", v_due },
	{ "callbacks_future", "gauge", "Callbacks not yet due held in memory.", v_future },
	{ "callbacks_offered", "gauge", "Callbacks offered now.", v_offered },
	{ "callbacks_held", "gauge", "Callbacks that an agent holds now.", v_held },
	{ "offers_pending", "gauge", "Offers not yet answered.", v_offers },
	{ "sessions", "gauge", "Open sessions.", v_sessions },
	{ "expected_waits_total", "counter",
	    "Callbacks whose expected wait was told, and that were handed out.", v_waits },
	{ "expected_wait_error_milliseconds_total", "counter",
	    "By how much these waits were longer or shorter than told.", v_wait_error },
	{ "expected_wait_late_milliseconds_total", "counter", "Of that, longer.", v_wait_late },
	{ "retention_callbacks_total", "counter", "Finished callbacks deleted.", v_retained },
	{ "retention_events_total", "counter", "Events deleted.", v_trimmed },
	{ "retention_lock_microseconds_max", "gauge",
	    "The longest that a step of retention held the tenant's lock.", v_retention_us },
};

static void
each_tenant(struct buf *b, struct node *node)
{
	for (size_t i = 0; i < sizeof(tenant_metrics) / sizeof(tenant_metrics[0]); i++) {
		const struct tenant_metric *m = &tenant_metrics[i];
		metric(b, m->name, m->type, m->help);
		for (struct tenant *t = node_tenant_next(node, NULL); t != NULL;
		     t = node_tenant_next(node, t))
			labelled(b, m->name, "tenant", tenant_name(t), m->value(t));
	}
}

/* Tenants' names and numbers are for whoever runs the machine, not for the world. */
static bool
from_this_machine(const struct api_call *call)
{
	const char *peer = http_peer(call->req);

	return strcmp(peer, "unix") == 0 || strncmp(peer, "127.", 4) == 0 ||
	    strcmp(peer, "::1") == 0 || strncmp(peer, "::ffff:127.", 11) == 0;
}

static enum http_verdict
metrics(struct api_call *call)
{
	static const char type[] = "text/plain; version=0.0.4; charset=utf-8";
	struct buf b = { 0 };

	if (!from_this_machine(call))
		return api_problem(
		    call, 403, "forbidden", "Metrics are told to this machine only.");
	process_metrics(&b, call->api);
	http_metrics(&b, api_http(call->api));
	front_metrics(&b, api_http(call->api));
	pool_metrics(&b, node_pool(api_node(call->api)));
	each_tenant(&b, api_node(call->api));
	http_answer(call->req, 200, type, b.data, b.len);
	buf_fini(&b);
	return HTTP_DONE;
}

static enum http_verdict
healthz(struct api_call *call)
{
	return api_answer(call, 200, json_pack("{s:b}", "alive", 1));
}

static enum http_verdict
readyz(struct api_call *call)
{
	const char *why = node_not_ready(api_node(call->api));

	if (why != NULL)
		return api_problem(call, 503, "not-ready", why);
	return api_answer(call, 200, json_pack("{s:b}", "ready", 1));
}

static enum http_verdict
openapi(struct api_call *call)
{
	const char *text = api_page(call->api, "openapi.json");

	if (text == NULL)
		return api_problem(call, 404, "not-found",
		    "The description of the API is not installed (www_dir).");
	http_answer(call->req, 200, "application/json", text, strlen(text));
	return HTTP_DONE;
}

const struct api_route api_routes_ops[] = {
	{ "GET", "/metrics", API_PUBLIC, API_BODY_NONE, metrics },
	{ "GET", "/healthz", API_PUBLIC, API_BODY_NONE, healthz },
	{ "GET", "/readyz", API_PUBLIC, API_BODY_NONE, readyz },
	{ "GET", "/v1/openapi.json", API_PUBLIC, API_BODY_NONE, openapi },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
