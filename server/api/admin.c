/*
 * What a supervisor sees of the whole tenant, and does for others. Must not
 * know how an agent does the same for himself.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/fields.h"
#include "api/filter.h"
#include "api/road.h"
#include "api/show.h"
#include "api/status.h"
#include "base/json.h"
#include "base/mem.h"
#include "node/node.h"
#include "node/tenant.h"

#define NAME_MAX_BYTES 200
#define LIMIT_DEFAULT 100
#define LIMIT_MAX 500

static void on_list(struct api_call *, const PGresult *, const char *);
static void on_one(struct api_call *, const PGresult *, const char *);

/* A query parameter that is a whole number; false when it is something else. */
static bool
query_int(struct api_call *call, const char *key, int64_t min, int64_t max, int64_t *value)
{
	const char *text = http_query(call->req, key);
	char *end;

	if (text == NULL)
		return true;
	long long n = strtoll(text, &end, 10);
	if (*text == '\0' || *end != '\0' || n < min || n > max)
		return false;
	*value = n;
	return true;
}

/* A new reference, with what is wrong noted in f. */
static json_t *
filter_of(struct api_call *call, struct fields *f)
{
	const char *after = http_query(call->req, "after");
	json_t *asked = filter_query(call), *filter = filter_read(call, f, asked);
	int64_t limit = LIMIT_DEFAULT;
	struct id id;

	json_decref(asked);
	if (after != NULL && !id_parse(after, &id))
		fields_error(f, "after", "is not a callback's id");
	else if (after != NULL)
		json_set_id(filter, "after", id);
	if (!query_int(call, "limit", 1, LIMIT_MAX, &limit))
		fields_error(f, "limit", "must be a whole number from 1 to 500");
	json_object_set_new(filter, "limit", json_integer(limit));
	return filter;
}

static void
filter_free(void *arg)
{
	json_decref(arg);
}

static enum http_verdict
callbacks_list(struct api_call *call)
{
	struct fields f = { 0 };

	call->data = filter_of(call, &f);
	call->data_free = filter_free;
	if (!fields_ok(&f, call))
		return HTTP_DONE;
	return api_ask(call, STATEMENT_load_callbacks, call->data, "callbacks", on_list);
}

static void
on_list(struct api_call *call, const PGresult *res, const char *err)
{
	bool answered;
	json_t *list = show_read(call, res, err, &answered), *answer = json_object(), *image;
	size_t i, n = json_array_size(list);

	if (answered) {
		json_decref(answer);
		return;
	}
	json_array_foreach (list, i, image)
		show_callback(call, image);
	/* There may be more: ask again after the last. */
	if (n > 0 && (int64_t)n == json_int(call->data, "limit", 0))
		json_object_set(answer, "next", json_object_get(json_array_get(list, n - 1), "id"));
	json_object_set_new(answer, "callbacks", list != NULL ? list : json_array());
	api_answer(call, 200, answer);
}

static enum http_verdict
callback_show(struct api_call *call)
{
	return show_ask(call, "callback", on_one);
}

/* An agent sees what he holds or is offered; the others everything. */
static bool
may_see(const struct api_call *call, const json_t *all)
{
	json_t *offer;
	size_t i;

	if (call->role > API_AGENT ||
	    json_int(json_object_get(all, "callback"), "agent", 0) == call->agent_id)
		return true;
	json_array_foreach (json_object_get(all, "offers"), i, offer) {
		const char *state = json_text(offer, "state");
		if (json_int(offer, "agent", 0) == call->agent_id && state != NULL &&
		    strcmp(state, "pending") == 0)
			return true;
	}
	return false;
}

static void
on_one(struct api_call *call, const PGresult *res, const char *err)
{
	bool answered;
	json_t *all = show_read(call, res, err, &answered);

	if (answered)
		return;
	if (all == NULL || !may_see(call, all)) {
		json_decref(all);
		api_problem(
		    call, 404, "not-found", "There is no such callback, or it is not yours.");
		return;
	}
	show_callback(call, json_object_get(all, "callback"));
	api_answer(call, 200, all);
}

/* Takes the reference. */
static enum http_verdict
answer_list(struct api_call *call, const char *name, json_t *list)
{
	json_t *answer = json_object();

	json_object_set_new(answer, name, list);
	json_object_set_new(answer, "event", show_event_now(call));
	return api_answer(call, 200, answer);
}

static enum http_verdict
agents_list(struct api_call *call)
{
	return answer_list(call, "agents", projection_agents(tenant_projection(call->tenant)));
}

static enum http_verdict
queues_list(struct api_call *call)
{
	int64_t now_ms = node_now_ms(api_node(call->api));

	return answer_list(
	    call, "queues", projection_queues(tenant_projection(call->tenant), now_ms));
}

static enum http_verdict
dispositions_list(struct api_call *call)
{
	return answer_list(
	    call, "dispositions", projection_dispositions(tenant_projection(call->tenant)));
}

static enum http_verdict
callback_assign(struct api_call *call)
{
	static const char *const known[] = { "agent", "version", NULL };
	struct id callback, offer = id_new();
	int64_t version = 0;
	int agent_id = 0;

	if (!api_arg_id(call, 0, &callback))
		return HTTP_DONE;
	struct fields f = fields_of(call->body, known);
	const char *agent = fields_text(&f, "agent", FIELDS_REQUIRED, NAME_MAX_BYTES);
	(void)fields_int(&f, "version", FIELDS_REQUIRED, 1, INT64_MAX, &version);
	if (agent != NULL &&
	    (agent_id = projection_agent_by_name(tenant_projection(call->tenant), agent)) == 0)
		fields_error(&f, "agent", "is not an agent's name");
	if (!fields_ok(&f, call))
		return HTTP_DONE;
	json_t *command = api_command(call, "offer"), *to = json_object();
	json_set_id(to, "offer", offer);
	json_object_set_new(to, "agent", json_integer(agent_id));
	json_set_id(command, "callback", callback);
	json_object_set_new(command, "version", json_integer(version));
	json_object_set_new(command, "to", json_pack("[o]", to));
	return api_execute(call, command, NULL);
}

/* Of the path's {name}; 0: there is none, and that was answered. */
static int
arg_agent(struct api_call *call)
{
	int agent_id = projection_agent_by_name(tenant_projection(call->tenant), call->args[0]);

	if (agent_id == 0)
		api_problem(call, 404, "not-found", "There is no agent of that name.");
	return agent_id;
}

static enum http_verdict
agent_status(struct api_call *call)
{
	int agent_id = arg_agent(call);

	return agent_id != 0 ? status_put(call, agent_id) : HTTP_DONE;
}

static enum http_verdict
agent_sign_out(struct api_call *call)
{
	int agent_id = arg_agent(call);

	if (agent_id == 0)
		return HTTP_DONE;
	json_t *command = api_command(call, "sign_out");
	json_object_set_new(command, "agent", json_integer(agent_id));
	return api_execute(call, command, NULL);
}

/* A zone's rules have changed: the queue's openings are worked out anew from its hours. */
static enum http_verdict
queue_openings(struct api_call *call)
{
	const struct projection *p = tenant_projection(call->tenant);
	int id = projection_queue_by_name(p, call->args[0]);
	const json_t *queue = id != 0 ? projection_queue(p, id) : NULL;

	if (queue == NULL)
		return api_problem(call, 404, "not-found", "There is no such queue.");
	json_t *command = api_command(call, "openings");
	json_object_set(command, "version", json_object_get(queue, "seq"));
	json_object_set_new(command, "args", json_pack("{s:i}", "queue", id));
	return api_execute(call, command, NULL);
}

const struct api_route api_routes_admin[] = {
	{ "GET", "/v1/callbacks", API_SUPERVISOR, API_BODY_NONE, callbacks_list },
	{ "GET", "/v1/callbacks/{id}", API_AGENT, API_BODY_NONE, callback_show },
	{ "POST", "/v1/callbacks/{id}/assign", API_SUPERVISOR, API_BODY_JSON, callback_assign },
	{ "GET", "/v1/agents", API_SUPERVISOR, API_BODY_NONE, agents_list },
	{ "GET", "/v1/queues", API_SUPERVISOR, API_BODY_NONE, queues_list },
	{ "GET", "/v1/dispositions", API_AGENT, API_BODY_NONE, dispositions_list },
	{ "POST", "/v1/queues/{name}/openings", API_ADMINISTRATOR, API_BODY_JSON, queue_openings },
	{ "PUT", "/v1/agents/{name}/status", API_SUPERVISOR, API_BODY_JSON, agent_status },
	{ "DELETE", "/v1/agents/{name}/sessions", API_SUPERVISOR, API_BODY_NONE, agent_sign_out },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
