/*
 * intake: a form's own address, /f/{form}: the page, what is posted to it, and
 * what browsers ask before they post from another site. It must not know how
 * a callback is stored, and never says one is before it is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/api.h"
#include "api/form.h"
#include "api/form_body.h"
#include "api/intake_check.h"
#include "api/intake_limit.h"
#include "api/intake_page.h"
#include "api/public.h"
#include "api/slot.h"
#include "api/slot_page.h"
#include "api/when.h"
#include "base/bucket.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/node.h"
#include "node/tenant.h"

/* One post. Everything in it is its own: the projection may change while it waits. */
struct intake {
	json_t *form;
	struct form_body body;
	struct intake_limit limit;
	/* The page, while its slots are read. */
	int status;
	json_t *values;
};

static void
intake_free(void *data)
{
	struct intake *in = data;

	json_decref(in->form);
	json_decref(in->values);
	form_body_fini(&in->body);
	intake_limit_fini(&in->limit);
	free(in);
}

/* Takes values. */
static enum http_verdict
answer_page(struct api_call *call, int status, const json_t *form, json_t *values)
{
	const char *thank_you = json_text(form, "thank_you_url");
	char *target = thank_you != NULL ? public_origin(thank_you) : NULL;
	char *frames = public_origins(json_object_get(form, "origins"));
	enum http_verdict verdict = public_page(call, status, "form.html", values, target, frames);

	free(target);
	free(frames);
	return verdict;
}

static void
on_slots(struct api_call *call, const PGresult *res, const char *err)
{
	struct intake *in = call->data;
	const char *why;
	json_t *slots = slot_read(res, err, &why), *values = in->values;

	in->values = NULL;
	if (slots != NULL)
		intake_page_slots(values, in->form, slots, &in->body);
	/* Without them the page takes any time, which is judged when it is sent. */
	else if (why != NULL)
		log_warn("slots=unread form=%s why=\"%s\"", json_text(in->form, "key"), why);
	json_decref(slots);
	answer_page(call, in->status, in->form, values);
}

/* Takes values. */
static enum http_verdict
show_page(struct api_call *call, int status, json_t *values)
{
	struct intake *in = call->data;
	int queue_id = (int)json_int(in->form, "queue", 0);
	const char *zone = json_text(in->form, "time_zone");

	/* Who looks too often sees the page that takes any time. */
	if (!slot_queue(call, queue_id) || !public_database_up(call) ||
	    slot_look(call, in->form) > 0)
		return answer_page(call, status, in->form, values);
	json_decref(in->values);
	in->values = values;
	in->status = status;
	return slot_load(call,
	    &(struct slot_ask){ .queue_id = queue_id,
		.time_zone = zone != NULL ? zone : "UTC",
		.days = SLOT_PAGE_DAYS,
		.form_id = (int)json_int(in->form, "id", 0) },
	    on_slots);
}

/* What was typed is not lost: the form again, with what is wrong beside it. Takes errors, which may be NULL. */
static enum http_verdict
show_again(struct api_call *call, int status, json_t *errors, const char *notice)
{
	struct intake *in = call->data;
	json_t *values = intake_page_values(in->form, &in->body, errors, notice);

	json_decref(errors);
	return show_page(call, status, values);
}

static enum http_verdict
refuse_fields(struct api_call *call, json_t *errors)
{
	if (public_wants_json(call))
		return api_invalid(call, errors);
	return show_again(call, 422, errors, NULL);
}

static enum http_verdict
refuse(struct api_call *call, int status, const char *type, const char *detail, int retry_after_s)
{
	char text[16];

	if (public_wants_json(call))
		return public_problem(call, status, type, detail, retry_after_s);
	if (retry_after_s > 0) {
		snprintf(text, sizeof(text), "%d", retry_after_s);
		http_answer_header(call->req, "Retry-After", text);
	}
	return show_again(call, status, NULL, detail);
}

static enum http_verdict
refuse_unavailable(struct api_call *call)
{
	return refuse(call, 503, "unavailable",
	    "Your request could not be taken just now. Please send it again in a moment.",
	    PUBLIC_RETRY_S);
}

/* Refused, or lost: said as everything else that is wrong. */
static enum http_verdict
refuse_answer(struct api_call *call, const struct lane_answer *a)
{
	struct intake *in = call->data;
	json_t *errors = json_object_get(a->body, "errors");

	intake_limit_give(&in->limit, api_buckets(call->api));
	if (a->err == lane_err_failed) {
		return refuse(call, 500, "failed",
		    "Your request could not be taken: the server has a fault.", 0);
	} else if (a->err != NULL) {
		return refuse_unavailable(call);
	} else if (strcmp(a->refusal, "invalid") == 0 && json_array_size(errors) > 0) {
		return refuse_fields(call, json_deep_copy(errors));
	} else if (strcmp(a->refusal, "key_reused") == 0) {
		return refuse(call, 422, "key-reused",
		    "This Idempotency-Key was used before, with another request.", 0);
	} else if (strcmp(a->refusal, "unknown_form") == 0) {
		return public_problem(call, 404, "unknown-form", "There is no such form.", 0);
	}
	return refuse(call, 422, "refused", "This request cannot be taken.", 0);
}

/* A query behind those that the address may already have, and before its fragment. */
static char *
with_query(const char *url, const char *query)
{
	size_t len = strcspn(url, "#");
	bool has = memchr(url, '?', len) != NULL;

	return xasprintf("%.*s%s%s%s", (int)len, url, has ? "&" : "?", query, url + len);
}

/* note: only what is worth saying, else NULL. */
static enum http_verdict
go_on_browser(struct api_call *call, const char *token, const char *note)
{
	struct intake *in = call->data;
	const char *thank_you = json_text(in->form, "thank_you_url");
	bool own = thank_you == NULL || *thank_you == '\0';
	char *url = own ? public_path(call, token) : xstrdup(thank_you);
	struct buf query = { 0 };

	if (!own && json_bool(in->form, "thank_you_link", false))
		buf_printf(&query, "link=%s", token);
	if (note != NULL && (own || query.len > 0))
		buf_printf(&query, "%snote=%s", query.len > 0 ? "&" : "", note);
	char *location = query.len > 0 ? with_query(url, query.data) : xstrdup(url);
	enum http_verdict verdict = public_redirect(call, location);

	free(location);
	buf_fini(&query);
	free(url);
	return verdict;
}

static enum http_verdict
answer_json(struct api_call *call, const json_t *image, const char *token, const char *when_note)
{
	/* As it was at that moment, so that a repeated request gets the same answer. */
	json_t *doc = public_callback(image, json_int(image, "created_at", 0));
	char *link = public_link(call, token);

	json_object_set_new(doc, "when_note", json_string(when_note));
	json_object_set_new(doc, "link", json_string(link));
	http_answer_header(call->req, "Location", link);
	free(link);
	return api_answer(call, 201, doc);
}

static void
on_submitted(struct api_call *call, const struct lane_answer *a)
{
	const json_t *image = json_object_get(a->body, "callback");
	const char *when_note = json_text(a->body, "when_note");
	struct id id;

	if (a->err != NULL || a->refusal != NULL) {
		refuse_answer(call, a);
		return;
	}
	char *token = json_id(image, "id", &id) ? api_link_token(call->tenant, id) : NULL;
	if (token == NULL) {
		/* Stored, but the tenant is being loaded: the same request again gets the link. */
		refuse_unavailable(call);
		return;
	}
	if (json_bool(a->body, "repeated", false)) {
		struct intake *in = call->data;

		intake_limit_give(&in->limit, api_buckets(call->api));
		http_answer_header(call->req, "Idempotent-Replayed", "true");
	}
	if (when_note == NULL)
		when_note = "as_asked";
	if (public_wants_json(call))
		answer_json(call, image, token, when_note);
	else
		go_on_browser(call, token, when_note_words(when_note) != NULL ? when_note : NULL);
	free(token);
}

static enum http_verdict
submit(struct api_call *call, json_t *callback)
{
	struct intake *in = call->data;

	form_element(call, in->form, &in->body, callback);
	json_object_set_new(callback, "address", json_string(http_peer(call->req)));
	if (public_submit(call, callback, on_submitted))
		return HTTP_WAIT;
	return refuse_answer(call, &(struct lane_answer){ .err = lane_err_full });
}

/* Every wrong field at once; then what costs a token. */
static enum http_verdict
check_and_submit(struct api_call *call)
{
	struct intake *in = call->data;
	struct intake_check check;

	intake_check(&check, in->form, &in->body, node_now_ms(api_node(call->api)));
	const char *zone = json_text(check.callback, "time_zone");
	intake_check_zone(&check, zone == NULL || node_zone_known(api_node(call->api), zone));
	if (check.errors != NULL) {
		json_decref(check.callback);
		return refuse_fields(call, check.errors);
	}
	if (!public_database_up(call)) {
		json_decref(check.callback);
		return refuse_unavailable(call);
	}
	int64_t wait_ms = intake_limit_take(&in->limit, api_buckets(call->api), in->form,
	    http_peer(call->req), check.phone, clock_mono_ms());
	if (wait_ms > 0) {
		json_decref(check.callback);
		/* Not which of them: that a number was asked for before is nobody else's business. */
		return refuse(call, 429, "too-many-requests",
		    "There were too many requests. Please try again later.",
		    (int)((wait_ms + 999) / 1000));
	}
	return submit(call, check.callback);
}

/* What a request needs while it lasts; NULL when it was answered: there is no such form. */
static struct intake *
intake_new(struct api_call *call)
{
	const json_t *form = form_find(call);

	if (form == NULL)
		return NULL;
	struct intake *in = xcalloc(1, sizeof(*in));
	/* The image itself: a changed form gets another one. */
	in->form = json_incref((json_t *)form);
	call->data = in;
	call->data_free = intake_free;
	return in;
}

static enum http_verdict
form_submit(struct api_call *call)
{
	struct intake *in = intake_new(call);

	if (in == NULL)
		return HTTP_DONE;
	form_allow_origin(call, in->form);
	if (!public_form(call, &in->body))
		return HTTP_DONE;
	/*
	 * The honeypot: a field that people do not see and robots fill. Nothing is
	 * claimed that is not stored, so it is refused; but without a field's name,
	 * which would teach the robot. Somebody whose browser filled it in gets the
	 * page again, with the field empty and all else as typed, and sends it.
	 */
	if (intake_is_robot(&in->body))
		return refuse(call, 422, "refused",
		    "This request was not taken. Please check it and send it again.", 0);
	return check_and_submit(call);
}

static enum http_verdict
form_show(struct api_call *call)
{
	struct intake *in = intake_new(call);

	if (in == NULL)
		return HTTP_DONE;
	return show_page(call, 200, intake_page_values(in->form, NULL, NULL, NULL));
}

static enum http_verdict
form_options(struct api_call *call)
{
	return form_preflight(call, "POST");
}

const struct api_route api_routes_intake[] = {
	{ "GET", "/f/{form}", API_PUBLIC, API_BODY_NONE, form_show },
	{ "POST", "/f/{form}", API_PUBLIC, API_BODY_FORM, form_submit },
	{ "OPTIONS", "/f/{form}", API_PUBLIC, API_BODY_NONE, form_options },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
