/*
 * dry_run: what would become of a request, without making it: for a website that
 * wants to know before its visitor has sent the form, POST /f/{form}/check, and
 * for who runs the company, POST /v1/forms/{key}/check. The database takes the
 * request, and undoes it: there is no other judgement of it than the real one.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/form.h"
#include "api/form_body.h"
#include "api/intake_check.h"
#include "api/intake_limit.h"
#include "api/public.h"
#include "api/refusal.h"
#include "api/road.h"
#include "api/show.h"
#include "base/clock.h"
#include "base/json.h"
#include "node/node.h"
#include "node/tenant.h"

/* NULL when it was answered: refused, or not to be had. */
static json_t *
said_or_answer(struct api_call *call, const PGresult *res, const char *err)
{
	bool answered;
	json_t *said = show_read(call, res, err, &answered);
	const char *refusal = json_text(said, "refusal");
	json_t *errors = json_object_get(said, "errors");

	if (answered)
		return NULL;
	if (said == NULL) {
		road_failed(call, "what the database said cannot be read");
	} else if (refusal != NULL && json_array_size(errors) > 0) {
		api_invalid(call, json_deep_copy(errors));
	} else if (refusal != NULL) {
		const struct refusal *r = refusal_find(refusal);

		api_problem(call, r->status, "refused", r->sentence);
	} else {
		return said;
	}
	json_decref(said);
	return NULL;
}

static const char *
note_of(const json_t *said)
{
	const char *note = json_text(said, "when_note");

	return note != NULL ? note : "as_asked";
}

/* As its answer would be, but for what a request has: an id and a link. */
static void
on_stranger(struct api_call *call, const PGresult *res, const char *err)
{
	json_t *said = said_or_answer(call, res, err);

	if (said == NULL)
		return;
	const json_t *image = json_object_get(said, "callback");
	json_t *doc = public_callback(image, node_now_ms(api_node(call->api)));

	json_object_del(doc, "id");
	json_object_set_new(doc, "when_note", json_string(note_of(said)));
	json_object_set_new(doc, "booked", json_boolean(json_bool(image, "booked", false)));
	json_decref(said);
	api_answer(call, 200, doc);
}

static void
on_supervisor(struct api_call *call, const PGresult *res, const char *err)
{
	json_t *said = said_or_answer(call, res, err), *image;

	if (said == NULL)
		return;
	image = json_object_get(said, "callback");
	show_callback(call, image);
	json_object_del(image, "id");
	json_object_del(image, "seq");
	api_answer(call, 200, said);
}

/* Every wrong field at once; else what the database says. */
static enum http_verdict
ask(struct api_call *call, const json_t *form, const struct form_body *body,
    void (*then)(struct api_call *, const PGresult *, const char *))
{
	struct intake_check check;

	intake_check(&check, form, body, node_now_ms(api_node(call->api)));
	const char *zone = json_text(check.callback, "time_zone");
	intake_check_zone(&check, zone == NULL || node_zone_known(api_node(call->api), zone));
	if (check.errors != NULL) {
		json_decref(check.callback);
		return api_invalid(call, check.errors);
	}
	form_element(call, form, body, check.callback);
	enum http_verdict verdict =
	    api_ask(call, STATEMENT_submit_dry, check.callback, "dry run", then);

	json_decref(check.callback);
	return verdict;
}

static enum http_verdict
check_for_stranger(struct api_call *call, const json_t *form, const struct form_body *body)
{
	/* Whoever may ask for so many calls may ask so often what would be. */
	int64_t wait_ms = intake_limit_network(api_buckets(call->api), form, 'd',
	    http_peer(call->req), (int)json_int(form, "address_limit", 0),
	    json_int(form, "address_period_s", 1) * 1000, clock_mono_ms());

	if (wait_ms > 0)
		return public_too_often(call, wait_ms);
	return ask(call, form, body, on_stranger);
}

static enum http_verdict
form_check(struct api_call *call)
{
	return form_post(call, check_for_stranger);
}

static enum http_verdict
check_options(struct api_call *call)
{
	return form_preflight(call, "POST");
}

static enum http_verdict
company_form_check(struct api_call *call)
{
	const json_t *form = projection_form(tenant_projection(call->tenant), call->args[0]);
	struct form_body body = { 0 };
	enum http_verdict verdict = HTTP_DONE;

	if (form == NULL)
		return api_problem(call, 404, "not-found", "There is no such form.");
	if (public_form(call, &body))
		verdict = ask(call, form, &body, on_supervisor);
	form_body_fini(&body);
	return verdict;
}

const struct api_route api_routes_dry_run[] = {
	{ "POST", "/f/{form}/check", API_PUBLIC, API_BODY_FORM, form_check },
	{ "OPTIONS", "/f/{form}/check", API_PUBLIC, API_BODY_NONE, check_options },
	{ "POST", "/v1/forms/{key}/check", API_SUPERVISOR, API_BODY_JSON, company_form_check },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
