/*
 * The keys that sign links: which there are, a new one, the end of an old one.
 * Their values never leave the server. Must not know what is signed.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/fields.h"
#include "api/road.h"
#include "api/show.h"
#include "base/json.h"
#include "base/mem.h"
#include "node/tenant.h"

#define PURPOSE_MAX 20

static void on_list(struct api_call *, const PGresult *, const char *);
static void on_created(struct api_call *, const struct lane_answer *);

static enum http_verdict
secrets_list(struct api_call *call)
{
	char *tenant = xasprintf("%d", tenant_id(call->tenant));
	enum http_verdict verdict =
	    api_query(call, STATEMENT_load_secrets, (const char *[]){ tenant }, "secrets", on_list);

	free(tenant);
	return verdict;
}

static void
on_list(struct api_call *call, const PGresult *res, const char *err)
{
	json_t *list = json_array();

	if (err != NULL) {
		json_decref(list);
		road_failed(call, err);
		return;
	}
	for (int i = 0; i < PQntuples(res); i++) {
		json_t *image = json_loads(PQgetvalue(res, i, 1), 0, NULL), *shown = json_object();
		/* Member by member: the value is among them. */
		json_object_set(shown, "id", json_object_get(image, "id"));
		json_object_set(shown, "purpose", json_object_get(image, "purpose"));
		json_object_set(shown, "created_at", json_object_get(image, "created_at"));
		json_object_set(shown, "newest", json_object_get(image, "newest"));
		json_array_append_new(list, shown);
		json_decref(image);
	}
	api_answer(call, 200, json_pack("{s:o}", "secrets", list));
}

static enum http_verdict
secret_create(struct api_call *call)
{
	static const char *const known[] = { "purpose", NULL };
	struct fields f = fields_of(call->body, known);
	const char *purpose = fields_text(&f, "purpose", FIELDS_REQUIRED, PURPOSE_MAX);

	if (purpose != NULL && strcmp(purpose, "link") != 0)
		fields_error(&f, "purpose", "must be link");
	if (!fields_ok(&f, call))
		return HTTP_DONE;
	json_t *command = api_command(call, "secret_create");
	json_object_set_new(command, "args", json_pack("{s:s}", "purpose", purpose));
	return api_execute(call, command, on_created);
}

static void
on_created(struct api_call *call, const struct lane_answer *a)
{
	json_t *answer = json_object(), *secret = json_object_get(a->body, "secret");

	json_object_set_new(answer, "secret", json_deep_copy(secret));
	json_object_set_new(answer, "event", show_event(call, a->seq));
	api_answer(call, 201, answer);
}

static enum http_verdict
secret_retire(struct api_call *call)
{
	const char *text = call->args[0];
	size_t len = strlen(text);

	if (len == 0 || len > 9 || strspn(text, "0123456789") != len)
		return api_problem(call, 404, "not-found", "There is no secret of that number.");
	json_t *command = api_command(call, "secret_retire");
	json_object_set_new(
	    command, "args", json_pack("{s:I}", "secret", (json_int_t)strtol(text, NULL, 10)));
	return api_execute(call, command, NULL);
}

const struct api_route api_routes_secret[] = {
	{ "GET", "/v1/secrets", API_ADMINISTRATOR, API_BODY_NONE, secrets_list },
	{ "POST", "/v1/secrets", API_ADMINISTRATOR, API_BODY_JSON, secret_create },
	{ "DELETE", "/v1/secrets/{id}", API_ADMINISTRATOR, API_BODY_NONE, secret_retire },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
