/*
 * form: an address below /f/{form}. It must not know what is asked of the form.
 */
#include "api/form.h"

#include <string.h>
#include <strings.h>

#include "api/form_body.h"
#include "api/public.h"
#include "base/json.h"
#include "node/node.h"

const json_t *
form_find(struct api_call *call)
{
	struct node *node = api_node(call->api);
	const json_t *form;

	call->tenant = node_form(node, call->args[0], &form);
	if (call->tenant != NULL)
		return form;
	if (node_not_ready(node) != NULL)
		public_unavailable(call);
	else
		public_problem(call, 404, "unknown-form", "There is no such form.", 0);
	return NULL;
}

bool
form_allow_origin(struct api_call *call, const json_t *form)
{
	const json_t *origins = json_object_get(form, "origins");
	const char *origin = http_header(call->req, "Origin");

	if (json_array_size(origins) > 0)
		http_answer_header(call->req, "Vary", "Origin");
	for (size_t i = 0; origin != NULL && i < json_array_size(origins); i++) {
		const char *allowed = json_string_value(json_array_get(origins, i));

		if (allowed != NULL && strcasecmp(allowed, origin) == 0) {
			http_answer_header(call->req, "Access-Control-Allow-Origin", origin);
			http_answer_header(call->req, "Access-Control-Expose-Headers",
			    "Location, Retry-After, Idempotent-Replayed");
			return true;
		}
	}
	return false;
}

enum http_verdict
form_preflight(struct api_call *call, const char *methods)
{
	const json_t *form = form_find(call);

	if (form == NULL)
		return HTTP_DONE;
	if (form_allow_origin(call, form)) {
		http_answer_header(call->req, "Access-Control-Allow-Methods", methods);
		http_answer_header(call->req, "Access-Control-Allow-Headers",
		    "Content-Type, Accept, Idempotency-Key");
		http_answer_header(call->req, "Access-Control-Max-Age", "600");
	}
	http_answer(call->req, 204, NULL, NULL, 0);
	return HTTP_DONE;
}

enum http_verdict
form_post(struct api_call *call,
    enum http_verdict (*then)(struct api_call *, const json_t *form, const struct form_body *))
{
	const json_t *form = form_find(call);
	struct form_body body = { 0 };
	enum http_verdict verdict = HTTP_DONE;

	if (form == NULL)
		return HTTP_DONE;
	form_allow_origin(call, form);
	if (public_form(call, &body))
		verdict = then(call, form, &body);
	form_body_fini(&body);
	return verdict;
}

void
form_element(
    struct api_call *call, const json_t *form, const struct form_body *body, json_t *callback)
{
	const char *key = http_header(call->req, "Idempotency-Key");
	char fingerprint[65];

	call->command_id = id_new();
	json_set_id(callback, "id", call->command_id);
	json_object_set(callback, "form", json_object_get(form, "id"));
	if (key == NULL)
		return;
	form_body_fingerprint(body, fingerprint);
	json_object_set_new(callback, "key", json_string(key));
	json_object_set_new(callback, "fingerprint", json_string(fingerprint));
}
