/*
 * What an agent sees of himself, and how he answers offers. Must not know why
 * something was offered to him.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/fields.h"
#include "api/road.h"
#include "api/show.h"
#include "api/status.h"
#include "base/json.h"
#include "base/mem.h"
#include "node/node.h"
#include "node/tenant.h"

#define REASON_MAX 200

static void on_details(struct api_call *, const PGresult *, const char *);

/* The operator is nobody's desk. */
static bool
is_agent(struct api_call *call)
{
	if (call->agent_id != 0)
		return true;
	api_problem(
	    call, 403, "not-an-agent", "This is for somebody who signed in, not for the operator.");
	return false;
}

static enum http_verdict
me(struct api_call *call)
{
	const struct projection *p = tenant_projection(call->tenant);
	json_t *answer = json_object();
	struct session_view view;

	json_object_set_new(answer, "role", json_string(role_name(call->role)));
	json_object_set_new(answer, "tenant", json_string(tenant_name(call->tenant)));
	json_object_set_new(answer, "now_at", json_integer(node_now_ms(api_node(call->api))));
	json_object_set_new(answer, "event", show_event_now(call));
	if (call->agent_id != 0 && projection_session(p, call->token_hash, &view)) {
		json_t *state = projection_agent_state(p, call->agent_id);
		json_object_set(answer, "agent", json_object_get(state, "agent"));
		json_object_set_new(answer, "expires_at", json_integer(view.expires_at));
		json_decref(state);
	}
	return api_answer(call, 200, answer);
}

/* Every callback in the state: those offered, then those held. */
static void
each_callback(json_t *state, void (*visit)(void *, json_t *entry, json_t *callback), void *arg)
{
	static const char *const lists[] = { "offers", "callbacks" };
	json_t *entry;
	size_t k;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		json_array_foreach (json_object_get(state, lists[i]), k, entry)
			visit(arg, entry, json_object_get(entry, "callback"));
}

static void
add_id(void *arg, json_t *entry, json_t *callback)
{
	const char *id = json_text(callback, "id");

	(void)entry;
	if (id != NULL)
		json_array_append_new(arg, json_string(id));
}

static void
add_detail(void *arg, json_t *entry, json_t *callback)
{
	const char *id = json_text(callback, "id");
	json_t *detail = id != NULL ? json_object_get(arg, id) : NULL;

	json_object_set_new(entry, "detail", detail != NULL ? json_incref(detail) : json_null());
}

static void
add_shown(void *arg, json_t *entry, json_t *callback)
{
	const struct api_call *call = arg;
	const json_t *offer = json_object_get(entry, "offer");

	show_callback(call, callback);
	if (offer != NULL) {
		int64_t left_ms =
		    json_int(offer, "deadline_at", 0) - node_now_ms(api_node(call->api));
		json_object_set_new(
		    entry, "seconds_left", json_integer(left_ms > 0 ? left_ms / 1000 : 0));
	}
}

static void
state_free(void *arg)
{
	json_decref(arg);
}

/* The event id is that of the moment at which the state was taken, not of the answer. */
static enum http_verdict
me_state(struct api_call *call)
{
	if (!is_agent(call))
		return HTTP_DONE;
	json_t *state = projection_agent_state(tenant_projection(call->tenant), call->agent_id);
	if (state == NULL)
		return api_problem(call, 404, "not-found", "This agent was removed.");
	json_object_set_new(state, "event", show_event_now(call));
	json_object_set_new(state, "now_at", json_integer(node_now_ms(api_node(call->api))));
	each_callback(state, add_shown, call);
	json_t *ids = json_array();
	each_callback(state, add_id, ids);
	if (json_array_size(ids) == 0) {
		json_decref(ids);
		return api_answer(call, 200, state);
	}
	call->data = state;
	call->data_free = state_free;
	char *tenant = xasprintf("%d", tenant_id(call->tenant)), *text = json_line(ids);
	enum http_verdict verdict = api_query(
	    call, STATEMENT_load_details, (const char *[]){ tenant, text }, "details", on_details);
	free(tenant);
	free(text);
	json_decref(ids);
	return verdict;
}

static void
on_details(struct api_call *call, const PGresult *res, const char *err)
{
	if (err != NULL) {
		road_failed(call, err);
		return;
	}
	json_t *details = json_object();
	for (int row = 0; row < PQntuples(res); row++) {
		json_t *detail = json_loads(PQgetvalue(res, row, 1), JSON_DECODE_ANY, NULL);
		if (detail != NULL)
			json_object_set_new(details, PQgetvalue(res, row, 0), detail);
	}
	each_callback(call->data, add_detail, details);
	json_decref(details);
	api_answer(call, 200, json_incref(call->data));
}

static enum http_verdict
me_status(struct api_call *call)
{
	return is_agent(call) ? status_put(call, call->agent_id) : HTTP_DONE;
}

static enum http_verdict
offer_answer(struct api_call *call, const char *kind, const char *const *known)
{
	struct fields f = fields_of(call->body, known);
	const char *reason = fields_text(&f, "reason", FIELDS_OPTIONAL, REASON_MAX);
	struct id offer, callback;
	int taker;

	if (!is_agent(call) || !api_arg_id(call, 0, &offer) || !fields_ok(&f, call)) {
		json_decref(f.errors);
		return HTTP_DONE;
	}
	json_t *command = api_command(call, kind), *args = json_object();
	json_set_id(command, "offer", offer);
	/* A hint, so that it goes into no batch with another command on that callback. */
	if (projection_offer(tenant_projection(call->tenant), offer, &callback, &taker))
		json_set_id(command, "callback", callback);
	if (reason != NULL)
		json_object_set_new(args, "reason", json_string(reason));
	json_object_set_new(command, "args", args);
	return api_execute(call, command, NULL);
}

static enum http_verdict
offer_accept(struct api_call *call)
{
	return offer_answer(call, "accept", (const char *const[]){ NULL });
}

static enum http_verdict
offer_reject(struct api_call *call)
{
	return offer_answer(call, "reject", (const char *const[]){ "reason", NULL });
}

const struct api_route api_routes_agent[] = {
	{ "GET", "/v1/me", API_AGENT, API_BODY_NONE, me },
	{ "GET", "/v1/me/state", API_AGENT, API_BODY_NONE, me_state },
	{ "PUT", "/v1/me/status", API_AGENT, API_BODY_JSON, me_status },
	{ "POST", "/v1/offers/{id}/accept", API_AGENT, API_BODY_JSON, offer_accept },
	{ "POST", "/v1/offers/{id}/reject", API_AGENT, API_BODY_JSON, offer_reject },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
