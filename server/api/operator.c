/*
 * What the operator sees of the process and its peers, and what only tests may
 * do: move the fake clock, compare the projection with a load. Must not know what a tenant's callbacks are.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/fields.h"
#include "api/road.h"
#include "base/clock.h"
#include "base/json.h"
#include "node/node.h"
#include "node/tenant.h"

#define ADVANCE_MAX_MS (366 * 86400000LL)

static void on_nodes(struct api_call *, const PGresult *, const char *);

static enum http_verdict
nodes(struct api_call *call)
{
	return api_query(call, STATEMENT_load_nodes, NULL, "nodes", on_nodes);
}

static void
on_nodes(struct api_call *call, const PGresult *res, const char *err)
{
	json_t *answer = json_object(), *list = NULL;

	if (err != NULL) {
		json_decref(answer);
		road_failed(call, err);
		return;
	}
	if (PQntuples(res) == 1 && !PQgetisnull(res, 0, 0))
		list = json_loads(PQgetvalue(res, 0, 0), 0, NULL);
	json_set_id(answer, "self", node_id(api_node(call->api)));
	json_object_set_new(answer, "nodes", list != NULL ? list : json_array());
	api_answer(call, 200, answer);
}

static enum http_verdict
waits(struct api_call *call)
{
	return api_answer(call, 200, json_pack("{s:o}", "waits", http_waits(api_http(call->api))));
}

static json_t *
tenant_shown(struct tenant *t)
{
	char event[EVENT_ID_SIZE];
	json_t *shown = json_object();

	tenant_event_id(t, event);
	json_object_set_new(shown, "id", json_integer(tenant_id(t)));
	json_object_set_new(shown, "name", json_string(tenant_name(t)));
	json_object_set_new(shown, "live", json_boolean(tenant_live(t)));
	json_object_set_new(shown, "lease", json_boolean(tenant_holds_lease(t)));
	json_object_set_new(shown, "event", json_string(event));
	return shown;
}

static enum http_verdict
tenants(struct api_call *call)
{
	struct node *node = api_node(call->api);
	json_t *list = json_array();

	for (struct tenant *t = node_tenant_next(node, NULL); t != NULL;
	     t = node_tenant_next(node, t))
		json_array_append_new(list, tenant_shown(t));
	return api_answer(call, 200, json_pack("{s:o}", "tenants", list));
}

static enum http_verdict
test_clock(struct api_call *call)
{
	static const char *const known[] = { "advance_ms", "now", NULL };
	struct node *node = api_node(call->api);
	struct clock *clock = node_clock(node);
	int64_t advance_ms = 0, now_ms = 0;
	char text[CLOCK_TEXT_SIZE];

	if (!node_is_test(node) || !clock->fake)
		return api_problem(call, 404, "not-found", "This server's clock is a real one.");
	struct fields f = fields_of(call->body, known);
	bool has_advance =
	    fields_int(&f, "advance_ms", FIELDS_OPTIONAL, 0, ADVANCE_MAX_MS, &advance_ms);
	const char *now = fields_text(&f, "now", FIELDS_OPTIONAL, 64);
	if (now != NULL && !clock_parse(now, &now_ms))
		fields_error(&f, "now", "must be a time like 2026-11-23T07:00:00Z");
	else if (now != NULL && now_ms < clock_now_ms(clock))
		fields_error(&f, "now", "must not be earlier than the clock");
	if (f.errors == NULL && (now != NULL) == has_advance)
		fields_error(&f, "advance_ms", "either this or now must say how far");
	if (!fields_ok(&f, call))
		return HTTP_DONE;
	if (!clock_advance(clock, now != NULL ? now_ms - clock_now_ms(clock) : advance_ms))
		return api_problem(call, 409, "clock", "The clock cannot be moved so.");
	node_clock_moved(node);
	clock_format(clock_now_ms(clock), text);
	return api_answer(call, 200, json_pack("{s:s}", "now", text));
}

/* What the node believes, for the test that it is what a load would say. */
static enum http_verdict
test_projection(struct api_call *call)
{
	if (!node_is_test(api_node(call->api)))
		return api_problem(
		    call, 404, "not-found", "This server's database is not one of a test.");
	if (call->tenant == NULL)
		return api_problem(call, 422, "tenant", "Name the company: ?tenant=NAME.");
	if (tenant_projection(call->tenant) == NULL)
		return api_problem(call, 503, "loading", "The company is still being loaded.");
	return api_answer(call, 200, projection_dump(tenant_projection(call->tenant)));
}

static enum http_verdict
test_reload(struct api_call *call)
{
	if (!node_is_test(api_node(call->api)))
		return api_problem(
		    call, 404, "not-found", "This server's database is not one of a test.");
	if (call->tenant == NULL)
		return api_problem(call, 422, "tenant", "Name the company: ?tenant=NAME.");
	tenant_doubt(call->tenant, "asked for by a test");
	return api_answer(call, 202, json_object());
}

const struct api_route api_routes_operator[] = {
	{ "GET", "/v1/nodes", API_OPERATOR, API_BODY_NONE, nodes },
	{ "GET", "/v1/waits", API_OPERATOR, API_BODY_NONE, waits },
	{ "GET", "/v1/tenants", API_OPERATOR, API_BODY_NONE, tenants },
	{ "POST", "/v1/test/clock", API_OPERATOR, API_BODY_JSON, test_clock },
	{ "GET", "/v1/test/projection", API_OPERATOR, API_BODY_NONE, test_projection },
	{ "POST", "/v1/test/reload", API_OPERATOR, API_BODY_JSON, test_reload },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
