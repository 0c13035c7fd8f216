/*
 * api_fakes_node: node, tenants, projection and feed with a few fixed facts, the
 * routes of the forms, and the api over it all; see api_fakes.h.
 */
#include "api_fakes.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/lag.h"
#include "base/mem.h"
#include "core/explain.h"
#include "core/wait.h"
#include "node/feed.h"
#include "node/node.h"
#include "node/presence.h"
#include "node/retention.h"
#include "node/ring.h"
#include "node/tenant.h"

struct tenant {
	int id;
	const char *name;
};
static struct tenant tenants[] = { { 1, "demo" }, { 2, "other" } };

/* ---- the node ---- */

struct id node_id(const struct node *n) { (void)n; return (struct id){ 1, 2 }; }
struct pool *node_pool(struct node *n) { (void)n; return NULL; }
const json_t *projection_form(const struct projection *p, const char *key) { (void)p; (void)key; return NULL; }
struct node *tenant_node(const struct tenant *t) { (void)t; return NULL; }
struct event_base *node_base(struct node *n) { (void)n; return fake.base; }
struct clock *node_clock(struct node *n) { (void)n; return &fake.clock; }
bool node_zone_known(const struct node *n, const char *name) { (void)n; (void)name; return true; }
int64_t node_now_ms(const struct node *n) { (void)n; return clock_now_ms(&fake.clock); }
bool node_is_test(const struct node *n) { (void)n; return fake.is_test; }
int node_alive(const struct node *n) { (void)n; return 1; }
const char *node_not_ready(const struct node *n) { (void)n; return fake.not_ready ? "a tenant is being loaded" : NULL; }
void node_look(struct node *n) { (void)n; fake.looked++; }
void node_clock_moved(struct node *n) { (void)n; fake.clock_moved++; }

struct tenant *
node_tenant_next(struct node *n, struct tenant *t)
{
	(void)n;
	int next = t == NULL ? 0 : (int)(t - tenants) + 1;
	return next < fake.tenants ? &tenants[next] : NULL;
}

struct tenant *
node_tenant_by_name(struct node *n, const char *name)
{
	struct tenant *t = NULL;

	while ((t = node_tenant_next(n, t)) != NULL)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}

struct tenant *
node_tenant(struct node *n, int id)
{
	struct tenant *t = NULL;

	while ((t = node_tenant_next(n, t)) != NULL)
		if (t->id == id)
			return t;
	return NULL;
}

static const struct session_view people[] = {
	{ .agent_id = 7, .name = "ann", .role = "agent", .expires_at = FAKE_NOW_MS + 60000 },
	{ .agent_id = 8, .name = "sue", .role = "supervisor", .expires_at = FAKE_NOW_MS + 60000 },
	{ .agent_id = 9, .name = "ada", .role = "administrator", .expires_at = FAKE_NOW_MS + 60000 },
};
#define PEOPLE (sizeof(people) / sizeof(people[0]))

bool
node_session(struct node *n, const char *token, struct tenant **t, struct session_view *view, uint8_t hash[32])
{
	if (!fake.live)
		return false;
	bool second = strcmp(token, FAKE_TOKEN_AGENT_SECOND) == 0;

	(void)n;
	if (second)
		token = FAKE_TOKEN_AGENT;
	for (size_t i = 0; i < PEOPLE; i++) {
		if (strncmp(token, "1.", 2) != 0 || strcmp(token + 2, people[i].role) != 0)
			continue;
		*t = &tenants[0];
		*view = people[i];
		memset(hash, second ? 77 : people[i].agent_id, 32);
		return true;
	}
	return false;
}

char *
node_token(const struct tenant *t, uint8_t hash[32])
{
	memset(hash, 0xab, 32);
	return xasprintf("%d.new", t->id);
}

int tenant_id(const struct tenant *t) { return t->id; }
const char *tenant_name(const struct tenant *t) { return t->name; }
bool tenant_live(const struct tenant *t) { (void)t; return fake.live; }
struct projection *tenant_projection(struct tenant *t) { return fake.live ? (struct projection *)t : NULL; }
struct lane *tenant_lane(struct tenant *t) { (void)t; return NULL; }
struct ring *tenant_ring(struct tenant *t) { (void)t; return NULL; }
struct feed *tenant_feed(struct tenant *t) { (void)t; return NULL; }
struct presence *tenant_presence(struct tenant *t) { (void)t; return NULL; }
struct retention *tenant_retention(struct tenant *t) { (void)t; return NULL; }
bool tenant_holds_lease(const struct tenant *t) { (void)t; return true; }
void tenant_look(struct tenant *t) { (void)t; }
void tenant_doubt(struct tenant *t, const char *why) { (void)t; (void)why; }
void tenant_event_id(const struct tenant *t, char out[EVENT_ID_SIZE]) { (void)t; strcpy(out, "3.100"); }

bool
event_id_parse(const char *text, int *epoch, uint64_t *seq)
{
	char rest;

	return sscanf(text, "%d.%lu%c", epoch, seq, &rest) == 2;
}

void presence_touch(struct presence *p, int agent_id) { (void)p; assert(agent_id > 0); fake.touched = agent_id; }

/* ---- the projection ---- */

bool
projection_agent(const struct projection *p, int id, struct session_view *view)
{
	(void)p;
	for (size_t i = 0; i < PEOPLE; i++)
		if (people[i].agent_id == id)
			*view = people[i];
	return id >= 7 && id <= 9;
}

bool
projection_session(const struct projection *p, const uint8_t hash[32], struct session_view *view)
{
	return projection_agent(p, hash[0], view);
}

int
projection_agent_by_name(const struct projection *p, const char *name)
{
	(void)p;
	for (size_t i = 0; i < PEOPLE; i++)
		if (strcmp(people[i].name, name) == 0)
			return people[i].agent_id;
	return 0;
}

const json_t *
projection_queue(const struct projection *p, int id)
{
	static json_t *queue;

	(void)p;
	if (queue == NULL)
		queue = json_pack("{s:i, s:s}", "id", 4, "name", "loans");
	return id == 4 ? queue : NULL;
}

const json_t *
projection_tenant(const struct projection *p)
{
	static json_t *tenant;

	(void)p;
	if (tenant == NULL)
		tenant = json_pack("{s:i}", "session_s", 60);
	return tenant;
}

bool
projection_offer(const struct projection *p, struct id offer, struct id *callback, int *agent_id)
{
	(void)p;
	*callback = (struct id){ offer.hi, offer.lo + 1 };
	*agent_id = 7;
	return true;
}

bool
projection_attempt(const struct projection *p, struct id attempt, struct id *callback, int *agent_id)
{
	return projection_offer(p, attempt, callback, agent_id);
}

struct wait_counts wait_counts(const struct projection *p) { (void)p; return (struct wait_counts){ 0 }; }
int projection_class_agent(const struct projection *p, int id) { (void)p; (void)id; return 0; }
const json_t *projection_skill(const struct projection *p, int id) { (void)p; (void)id; return NULL; }
json_t *projection_explain(struct projection *p, struct id id, int64_t now_ms) { (void)p; (void)id; (void)now_ms; return NULL; }
int projection_queue_by_name(const struct projection *p, const char *name) { (void)p; return strcmp(name, "loans") == 0 ? 4 : 0; }
int projection_epoch(const struct projection *p) { (void)p; return 3; }
uint64_t projection_seq(const struct projection *p) { (void)p; return 100; }
uint64_t projection_floor(const struct projection *p) { (void)p; return 10; }
json_t *projection_dump(const struct projection *p) { (void)p; return json_object(); }
json_t *projection_agent_state(const struct projection *p, int id) { (void)p; (void)id; return json_incref(fake.state); }
json_t *projection_agents(const struct projection *p) { (void)p; return json_array(); }
json_t *projection_queues(const struct projection *p, int64_t now) { (void)p; (void)now; return json_array(); }
json_t *projection_dispositions(const struct projection *p) { (void)p; return json_array(); }
struct projection_counts projection_counts(const struct projection *p) { (void)p; return (struct projection_counts){ .agents = 3 }; }

/* ---- feed and ring ---- */

static feed_answer_fn feed_answer;
static void *feed_arg;

const struct ring_event *
ring_get(const struct ring *r, uint64_t seq)
{
	static struct ring_event e;

	(void)r;
	e = (struct ring_event){ .seq = seq, .agent_id = seq == fake.ring_own ? 7 : 8 };
	return seq <= 100 ? &e : NULL;
}

struct subscriber *
feed_subscribe(struct feed *f, struct stream *s, const struct feed_reader *r, const char *cursor)
{
	(void)f;
	(void)r;
	assert(((struct http_request *)s)->taken_head);
	fake.subscribed = true;
	snprintf(fake.cursor, sizeof(fake.cursor), "%s", cursor != NULL ? cursor : "");
	return (struct subscriber *)&fake.subscribed;
}

struct subscriber *
feed_poll(struct feed *f, const struct feed_reader *r, const char *cursor, int max, int timeout_ms, feed_answer_fn answer,
    void *arg)
{
	(void)f;
	assert(max > 0 && r->all == (r->agent_id != 7));
	fake.feed_waits = true;
	fake.feed_timeout_ms = timeout_ms;
	snprintf(fake.cursor, sizeof(fake.cursor), "%s", cursor != NULL ? cursor : "");
	feed_answer = answer;
	feed_arg = arg;
	return (struct subscriber *)&fake.feed_waits;
}

void
feed_leave(struct subscriber *s)
{
	assert(*(bool *)s);
	*(bool *)s = false;
}

void
fake_feed(const char *json)
{
	assert(fake.feed_waits);
	fake.feed_waits = false;
	feed_answer(feed_arg, json, strlen(json));
}

struct feed_counts feed_counts(const struct feed *f) { (void)f; return (struct feed_counts){ .streams = 7 }; }
struct retention_counts retention_counts(const struct retention *r) { (void)r; return (struct retention_counts){ .steps = 1 }; }

int64_t lag_worst_us(const struct lag *l) { (void)l; return 1500; }
int64_t lag_recent_us(const struct lag *l) { (void)l; return 500; }
int64_t lag_own_worst_us(const struct lag *l) { (void)l; return 400; }
struct lag_histogram lag_histogram(const struct lag *l) { (void)l; return (struct lag_histogram){ .us = { 1000, 2500, 5000, 10000, 25000, 50000, 100000 }, .count = { 7, 7, 7, 8, 8, 8, 8, 9 }, .sum_us = 1200 }; }

/* ---- the forms' routes, whose handlers are tested elsewhere ---- */

static enum http_verdict
elsewhere(struct api_call *call)
{
	return api_answer(call, 200, json_object());
}

const struct api_route api_routes_intake[] = {
	{ "GET", "/f/{form}", API_PUBLIC, API_BODY_NONE, elsewhere },
	{ "POST", "/f/{form}", API_PUBLIC, API_BODY_FORM, elsewhere },
	{ "OPTIONS", "/f/{form}", API_PUBLIC, API_BODY_NONE, elsewhere },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
const struct api_route api_routes_slot[] = {
	{ "GET", "/f/{form}/slots", API_PUBLIC, API_BODY_NONE, elsewhere },
	{ "OPTIONS", "/f/{form}/slots", API_PUBLIC, API_BODY_NONE, elsewhere },
	{ "POST", "/f/{form}/holds", API_PUBLIC, API_BODY_FORM, elsewhere },
	{ "OPTIONS", "/f/{form}/holds", API_PUBLIC, API_BODY_NONE, elsewhere },
	{ "DELETE", "/f/{form}/holds/{id}", API_PUBLIC, API_BODY_NONE, elsewhere },
	{ "OPTIONS", "/f/{form}/holds/{id}", API_PUBLIC, API_BODY_NONE, elsewhere },
	{ "GET", "/v1/queues/{name}/slots", API_SUPERVISOR, API_BODY_NONE, elsewhere },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};

const struct api_route api_routes_open[] = {
	{ "GET", "/f/{form}/open", API_PUBLIC, API_BODY_NONE, elsewhere },
	{ "OPTIONS", "/f/{form}/open", API_PUBLIC, API_BODY_NONE, elsewhere },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
const struct api_route api_routes_behalf[] = {
	{ "POST", "/v1/callbacks", API_AGENT, API_BODY_JSON, elsewhere },
	{ "POST", "/v1/callbacks/{id}/again", API_SUPERVISOR, API_BODY_JSON, elsewhere },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
const struct api_route api_routes_dry_run[] = {
	{ "POST", "/f/{form}/check", API_PUBLIC, API_BODY_FORM, elsewhere },
	{ "OPTIONS", "/f/{form}/check", API_PUBLIC, API_BODY_NONE, elsewhere },
	{ "POST", "/v1/forms/{key}/check", API_SUPERVISOR, API_BODY_JSON, elsewhere },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
const struct api_route api_routes_contact[] = {
	{ "GET", "/c/{token}", API_PUBLIC, API_BODY_NONE, elsewhere },
	{ "POST", "/c/{token}/cancel", API_PUBLIC, API_BODY_FORM, elsewhere },
	{ "POST", "/c/{token}/reschedule", API_PUBLIC, API_BODY_FORM, elsewhere },
	{ "POST", "/c/{token}/now", API_PUBLIC, API_BODY_FORM, elsewhere },
	{ "GET", "/c/{token}/callback.ics", API_PUBLIC, API_BODY_NONE, elsewhere },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};

void
fakes_start(void)
{
	static char www[] = "/nonexistent", base_url[] = "https://calls.example";

	fake = (struct fake){ .tenants = 1, .live = true };
	fake.conf.www_dir = www;
	fake.conf.base_url = base_url;
	fake.conf.body_bytes = 65536;
	fake.conf.wait_ms = 10000;
	fake.conf.long_poll_ms = 25000;
	fake.base = event_base_new();
	fake.clock = (struct clock){ .fake = true, .fake_ms = FAKE_NOW_MS };
	fake.api = api_new(NULL, &fake.conf, NULL, NULL);
}

void
fakes_stop(void)
{
	api_free(fake.api);
	for (int i = 0; i < 4; i++)
		free(fake.params[i]);
	json_decref(fake.state);
	event_base_free(fake.base);
}
