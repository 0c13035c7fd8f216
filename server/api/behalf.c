/*
 * behalf: callbacks that are asked for in the contact's stead: by an agent, or a
 * switchboard whose queue he has left, POST /v1/callbacks; and one that has ended,
 * asked for once more, POST /v1/callbacks/{id}/again. They are taken as his own
 * request would be. Not limited: who may do so is known.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/fields.h"
#include "api/form.h"
#include "api/form_body.h"
#include "api/intake_check.h"
#include "api/public.h"
#include "api/refusal.h"
#include "api/road.h"
#include "api/show.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "core/state.h"
#include "node/node.h"
#include "node/tenant.h"

/* Longer ago nobody began to wait. */
#define SINCE_MAX_MS (24 * 3600 * INT64_C(1000))

static void
on_submitted(struct api_call *call, const struct lane_answer *a)
{
	json_t *errors = json_object_get(a->body, "errors"), *image;

	if (a->err != NULL) {
		api_refuse(call, a);
		return;
	}
	if (a->refusal != NULL && json_array_size(errors) > 0) {
		api_invalid(call, json_deep_copy(errors));
		return;
	}
	if (a->refusal != NULL) {
		api_refuse(call, a);
		return;
	}
	json_t *doc = json_deep_copy(a->body);
	struct id id;

	image = json_object_get(doc, "callback");
	char *token = json_id(image, "id", &id) ? api_link_token(call->tenant, id) : NULL;
	if (token != NULL) {
		char *link = public_link(call, token);

		json_object_set_new(doc, "link", json_string(link));
		free(link);
		free(token);
	}
	show_callback(call, image);
	json_object_set_new(doc, "event", show_event(call, a->seq));
	api_answer(call, 201, doc);
}

/* fields: as the form takes them; since_ms: he waits since then, 0 from now on. */
static enum http_verdict
submit(struct api_call *call, const json_t *form, const json_t *fields, int64_t since_ms)
{
	struct form_body body = { 0 };
	struct intake_check check = { 0 };
	char *text = json_line(fields);
	enum http_verdict verdict = HTTP_WAIT;

	/* It was an object a moment ago. */
	if (form_body_read(&body, "application/json", text, strlen(text)) != FORM_BODY_READ) {
		verdict = api_problem(call, 400, "malformed-body", body.why);
		goto out;
	}
	intake_check(&check, form, &body, node_now_ms(api_node(call->api)));
	const char *zone = json_text(check.callback, "time_zone");
	intake_check_zone(&check, zone == NULL || node_zone_known(api_node(call->api), zone));
	const char *when = json_text(check.callback, "when");

	if (since_ms > 0 && when != NULL && strcmp(when, "asap") != 0)
		form_error_add(
		    &check.errors, "since", "goes with no other time than as soon as possible");
	if (check.errors != NULL) {
		verdict = api_invalid(call, json_incref(check.errors));
		goto out;
	}
	form_element(call, form, &body, check.callback);
	if (since_ms > 0)
		json_object_set_new(check.callback, "since", json_integer(since_ms));
	if (!public_submit(call, json_incref(check.callback), on_submitted))
		verdict = road_busy(call);
out:
	json_decref(check.callback);
	json_decref(check.errors);
	form_body_fini(&body);
	free(text);
	return verdict;
}

/* "since" of the body, an instant; false: it is none, or too long ago, or to come. */
static bool
since_ok(struct api_call *call, const char *text, int64_t *since_ms)
{
	int64_t now_ms = node_now_ms(api_node(call->api));

	*since_ms = 0;
	return text == NULL ||
	    (clock_parse(text, since_ms) && *since_ms <= now_ms &&
		*since_ms >= now_ms - SINCE_MAX_MS);
}

static enum http_verdict
callback_create(struct api_call *call)
{
	json_t *fields = json_copy(call->body);
	const char *key = json_text(call->body, "form"), *since = json_text(call->body, "since");
	const json_t *form =
	    key != NULL ? projection_form(tenant_projection(call->tenant), key) : NULL;
	struct fields f = { 0 };
	int64_t since_ms = 0;
	enum http_verdict verdict = HTTP_DONE;

	if (form == NULL)
		fields_error(&f, "form", key == NULL ? "is missing" : "is not a form's key");
	if ((since == NULL && json_object_get(call->body, "since") != NULL) ||
	    !since_ok(call, since, &since_ms))
		fields_error(&f, "since",
		    "must be a time with an offset, within the last 24 hours, at which he began to "
		    "wait");
	json_object_del(fields, "form");
	json_object_del(fields, "since");
	if (fields_ok(&f, call))
		verdict = submit(call, form, fields, since_ms);
	json_decref(fields);
	return verdict;
}

/* ---- once more ---- */

/* What he sent then, as he would send it now. A new reference. */
static json_t *
fields_of_ended(const json_t *callback, const json_t *detail, const json_t *asked)
{
	const json_t *contact = json_object_get(detail, "contact");
	json_t *fields = json_copy(json_object_get(detail, "case_information"));
	static const char *const of_contact[] = { "phone", "name", "email", "language", NULL };

	if (fields == NULL)
		fields = json_object();
	for (size_t i = 0; of_contact[i] != NULL; i++)
		if (json_object_get(contact, of_contact[i]) != NULL)
			json_object_set(
			    fields, of_contact[i], json_object_get(contact, of_contact[i]));
	if (json_text(detail, "subject") != NULL)
		json_object_set(fields, "subject", json_object_get(detail, "subject"));
	if (json_text(detail, "notes") != NULL)
		json_object_set(fields, "notes", json_object_get(detail, "notes"));
	if (json_bool(detail, "consent", false))
		json_object_set_new(fields, "consent", json_string("yes"));
	/* When he named no zone, his number's zones are all looked at again. */
	if (json_object_get(callback, "zones") == NULL)
		json_object_set(fields, "time_zone", json_object_get(callback, "promise_zone"));
	json_object_update((json_t *)fields, (json_t *)(uintptr_t)asked);
	return fields;
}

static void
on_ended(struct api_call *call, const PGresult *res, const char *err)
{
	bool answered;
	json_t *all = show_read(call, res, err, &answered);
	const json_t *callback = json_object_get(all, "callback"),
		     *detail = json_object_get(all, "detail");
	const json_t *form =
	    projection_form_of(tenant_projection(call->tenant), (int)json_int(callback, "form", 0));
	const char *name = json_text(callback, "state");
	enum callback_state state;

	if (answered)
		return;
	if (all == NULL) {
		api_problem(call, 404, "not-found", "There is no such callback.");
	} else if (name == NULL || !callback_state_parse(name, &state) ||
	    !callback_terminal(state)) {
		api_problem(call, 409, "wrong-state", refusal_find("wrong_state")->sentence);
	} else if (form == NULL) {
		api_problem(call, 409, "form-gone", "The form that it came by is there no more.");
	} else if (json_text(json_object_get(detail, "contact"), "phone") == NULL) {
		api_problem(call, 409, "erased", "Its contact was erased.");
	} else {
		json_t *fields = fields_of_ended(callback, detail, call->body);

		submit(call, form, fields, 0);
		json_decref(fields);
	}
	json_decref(all);
}

static enum http_verdict
callback_again(struct api_call *call)
{
	static const char *const known[] = { "when", "time_zone", NULL };
	struct fields f = fields_of(call->body, known);

	if (!fields_ok(&f, call))
		return HTTP_DONE;
	return show_ask(call, "again", on_ended);
}

const struct api_route api_routes_behalf[] = {
	{ "POST", "/v1/callbacks", API_AGENT, API_BODY_JSON, callback_create },
	{ "POST", "/v1/callbacks/{id}/again", API_SUPERVISOR, API_BODY_JSON, callback_again },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
