/*
 * What an image lacks for somebody outside. Must not know which route shows it.
 */
#include "api/show.h"

#include <stdlib.h>
#include <string.h>

#include "api/road.h"
#include "base/json.h"
#include "base/mem.h"
#include "node/node.h"
#include "node/tenant.h"

json_t *
show_event(const struct api_call *call, uint64_t seq)
{
	char *id = xasprintf(
	    "%d.%llu", projection_epoch(tenant_projection(call->tenant)), (unsigned long long)seq);
	json_t *text = json_string(id);

	free(id);
	return text;
}

json_t *
show_event_now(const struct api_call *call)
{
	char id[EVENT_ID_SIZE];

	tenant_event_id(call->tenant, id);
	return json_string(id);
}

enum http_verdict
show_ask(struct api_call *call, const char *wait,
    void (*then)(struct api_call *, const PGresult *, const char *err))
{
	char text[ID_TEXT_SIZE];
	struct id id;

	if (!api_arg_id(call, 0, &id))
		return HTTP_DONE;
	id_format(id, text);
	char *tenant = xasprintf("%d", tenant_id(call->tenant));
	enum http_verdict verdict =
	    api_query(call, STATEMENT_load_callback, (const char *[]){ tenant, text }, wait, then);
	free(tenant);
	return verdict;
}

json_t *
show_read(struct api_call *call, const PGresult *res, const char *err, bool *answered)
{
	*answered = err != NULL;
	if (err != NULL) {
		road_failed(call, err);
		return NULL;
	}
	if (PQntuples(res) != 1 || PQgetisnull(res, 0, 0))
		return NULL;
	return json_loadb(PQgetvalue(res, 0, 0), (size_t)PQgetlength(res, 0, 0), 0, NULL);
}

void
show_callback(const struct api_call *call, json_t *image)
{
	const struct projection *p = tenant_projection(call->tenant);
	const char *state = json_text(image, "state");
	const json_t *queue = projection_queue(p, (int)json_int(image, "queue", 0));
	int agent = (int)json_int(image, "agent", 0);
	struct session_view view;

	if (!json_is_object(image))
		return;
	if (state != NULL && strcmp(state, "scheduled") == 0 &&
	    json_int(image, "due_at", INT64_MAX) <= node_now_ms(api_node(call->api)))
		json_object_set_new(image, "state", json_string("queued"));
	if (json_text(queue, "name") != NULL)
		json_object_set(image, "queue_name", json_object_get(queue, "name"));
	if (agent != 0 && projection_agent(p, agent, &view))
		json_object_set_new(image, "agent_name", json_string(view.name));
	agent = (int)json_int(image, "preferred_agent", 0);
	if (agent != 0 && projection_agent(p, agent, &view))
		json_object_set_new(image, "preferred_agent_name", json_string(view.name));
	agent = projection_class_agent(p, (int)json_int(image, "class", 0));
	if (agent != 0 && projection_agent(p, agent, &view))
		json_object_set_new(image, "for_agent_name", json_string(view.name));
}
