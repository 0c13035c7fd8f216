/*
 * slot: which times can be booked: to choose from, to hold for a while, to give
 * back. Whether a place is left, the database decides. It must not know what is
 * asked for at that time.
 */
#include "api/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/fields.h"
#include "api/form.h"
#include "api/form_body.h"
#include "api/intake_check.h"
#include "api/intake_limit.h"
#include "api/public.h"
#include "api/refusal.h"
#include "api/road.h"
#include "api/slot_page.h"
#include "api/when.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "node/node.h"
#include "node/tenant.h"

#define DAYS_DEFAULT 7
#define DAYS_MAX 31
/* Looks at the slots of one form from one network: so many at once, and as many more in a minute. */
#define LOOKS_BURST 120
#define LOOKS_PERIOD_MS 60000

bool
slot_queue(const struct api_call *call, int queue_id)
{
	const json_t *queue = projection_queue(tenant_projection(call->tenant), queue_id);

	return json_is_object(json_object_get(queue, "slots"));
}

int64_t
slot_look(struct api_call *call, const json_t *form)
{
	return intake_limit_network(api_buckets(call->api), form, 's', http_peer(call->req),
	    LOOKS_BURST, LOOKS_PERIOD_MS, clock_mono_ms());
}

enum http_verdict
slot_load(struct api_call *call, const struct slot_ask *ask,
    void (*then)(struct api_call *, const PGresult *, const char *))
{
	json_t *doc = json_pack("{s:i, s:s, s:s*, s:i}", "queue", ask->queue_id, "time_zone",
	    ask->time_zone, "from", ask->from, "days", ask->days);

	if (ask->form_id != 0)
		json_object_set_new(doc, "form", json_integer(ask->form_id));
	if (!id_is_zero(ask->callback))
		json_set_id(doc, "callback", ask->callback);
	enum http_verdict verdict = api_ask(call, STATEMENT_load_slots, doc, "slots", then);

	json_decref(doc);
	return verdict;
}

json_t *
slot_read(const PGresult *res, const char *err, const char **why)
{
	*why = err;
	if (err != NULL || PQntuples(res) != 1 || PQgetisnull(res, 0, 0))
		return NULL;
	return json_parse(PQgetvalue(res, 0, 0), (size_t)PQgetlength(res, 0, 0), why);
}

/* ---- GET /f/{form}/slots, GET /v1/queues/{name}/slots ---- */

/* "2026-11-24", a day that there is. */
static bool
day_ok(const char *text)
{
	char local[32];

	if (strlen(text) != 10)
		return false;
	snprintf(local, sizeof(local), "%sT00:00", text);
	return intake_local_ok(local);
}

/* What the query says, beside what ask has already; false when it was answered. */
static bool
ask_read(struct api_call *call, struct slot_ask *ask)
{
	const char *days = http_query(call->req, "days"),
		   *zone = http_query(call->req, "time_zone");
	struct fields f = { 0 };
	char *end;

	ask->from = http_query(call->req, "from");
	if (ask->from != NULL && !day_ok(ask->from))
		fields_error(&f, "from", "must be a day like 2026-11-24");
	ask->days = DAYS_DEFAULT;
	if (days != NULL) {
		long n = strtol(days, &end, 10);
		ask->days = *days != '\0' && *end == '\0' && n >= 1 && n <= DAYS_MAX ? (int)n : 0;
	}
	if (ask->days == 0)
		fields_error(&f, "days", "must be a whole number from 1 to 31");
	if (zone != NULL)
		ask->time_zone = zone;
	if (!node_zone_known(api_node(call->api), ask->time_zone))
		fields_error(&f, "time_zone", "is not a known IANA time zone");
	return fields_ok(&f, call);
}

static enum http_verdict
no_slots(struct api_call *call)
{
	/* Only scripts come here, whatever they accept. */
	return api_problem(call, 404, "no-slots", refusal_find("no_slots")->sentence);
}

/* What load_slots() says; NULL when it was answered. */
static json_t *
slots_or_answer(struct api_call *call, const PGresult *res, const char *err)
{
	const char *why;
	json_t *slots = slot_read(res, err, &why);

	if (slots == NULL && why != NULL)
		road_failed(call, why);
	else if (slots == NULL)
		no_slots(call);
	return slots;
}

/* To strangers, only what can be booked. */
static void
on_form_slots(struct api_call *call, const PGresult *res, const char *err)
{
	json_t *slots = slots_or_answer(call, res, err), *list = json_array();
	char at[CLOCK_TEXT_SIZE];
	size_t i;
	const json_t *slot;

	json_array_foreach (json_object_get(slots, "slots"), i, slot) {
		if (slot_left(slot) <= 0)
			continue;
		clock_format(json_int(slot, "starts_at", 0), at);
		json_array_append_new(list,
		    json_pack("{s:s, s:s*, s:I}", "at", at, "local", json_text(slot, "local"),
			"left", (json_int_t)slot_left(slot)));
	}
	if (slots != NULL)
		api_answer(call, 200,
		    json_pack("{s:s, s:O}", "time_zone", (const char *)call->data, "slots", list));
	json_decref(list);
	json_decref(slots);
}

static enum http_verdict
form_slots(struct api_call *call)
{
	const json_t *form = form_find(call);

	if (form == NULL)
		return HTTP_DONE;
	form_allow_origin(call, form);
	const char *zone = json_text(form, "time_zone");
	struct slot_ask ask = { .queue_id = (int)json_int(form, "queue", 0),
		.time_zone = zone != NULL ? zone : "UTC",
		.form_id = (int)json_int(form, "id", 0) };

	if (!ask_read(call, &ask))
		return HTTP_DONE;
	if (!slot_queue(call, ask.queue_id))
		return no_slots(call);
	int64_t wait_ms = slot_look(call, form);

	if (wait_ms > 0)
		return public_too_often(call, wait_ms);
	call->data = xstrdup(ask.time_zone);
	call->data_free = free;
	return slot_load(call, &ask, on_form_slots);
}

static void
on_queue_slots(struct api_call *call, const PGresult *res, const char *err)
{
	json_t *slots = slots_or_answer(call, res, err), *slot;
	size_t i;

	if (slots == NULL)
		return;
	json_array_foreach (json_object_get(slots, "slots"), i, slot)
		json_object_set_new(
		    slot, "left", json_integer(slot_left(slot) > 0 ? slot_left(slot) : 0));
	json_object_del(slots, "queue");
	api_answer(call, 200, slots);
}

/* All of them, full ones too, by the company's clock if no other is named. */
static enum http_verdict
queue_slots(struct api_call *call)
{
	const struct projection *p = tenant_projection(call->tenant);
	const char *zone = json_text(projection_tenant(p), "time_zone");
	struct slot_ask ask = { .queue_id = projection_queue_by_name(p, call->args[0]),
		.time_zone = zone != NULL ? zone : "UTC" };

	if (ask.queue_id == 0)
		return api_problem(call, 404, "not-found", "There is no such queue.");
	if (!ask_read(call, &ask))
		return HTTP_DONE;
	return slot_load(call, &ask, on_queue_slots);
}

/* ---- POST /f/{form}/holds, DELETE /f/{form}/holds/{id} ---- */

static enum http_verdict
refuse_hold(struct api_call *call, const struct lane_answer *a)
{
	json_t *errors = json_object_get(a->body, "errors");

	if (a->err == lane_err_failed)
		return public_problem(
		    call, 500, "failed", "That did not work: the server has a fault.", 0);
	if (a->err != NULL)
		return public_unavailable(call);
	if (strcmp(a->refusal, "invalid") == 0 && json_array_size(errors) > 0)
		return api_invalid(call, json_deep_copy(errors));
	if (strcmp(a->refusal, "no_slots") == 0)
		return no_slots(call);
	const struct refusal *r = refusal_find(a->refusal);

	/* A hold that is not found has run out, or was used. */
	return api_problem(
	    call, r->status, r->status == 404 ? "not-found" : "refused", r->sentence);
}

static void
on_held(struct api_call *call, const struct lane_answer *a)
{
	const json_t *hold = json_object_get(a->body, "hold");
	char at[CLOCK_TEXT_SIZE], until[CLOCK_TEXT_SIZE];

	if (a->err != NULL || a->refusal != NULL) {
		refuse_hold(call, a);
		return;
	}
	clock_format(json_int(hold, "starts_at", 0), at);
	clock_format(json_int(hold, "until_at", 0), until);
	api_answer(call, 201,
	    json_pack("{s:s*, s:s, s:s*, s:s*, s:s}", "hold", json_text(hold, "id"), "at", at,
		"local", json_text(hold, "local"), "time_zone", json_text(hold, "time_zone"),
		"until", until));
}

/* Takes args. */
static enum http_verdict
command(struct api_call *call, const json_t *form, const char *kind, json_t *args,
    void (*then)(struct api_call *, const struct lane_answer *))
{
	if (!public_database_up(call)) {
		json_decref(args);
		return public_unavailable(call);
	}
	json_t *command = api_command(call, kind);

	json_object_set(args, "form", json_object_get(form, "id"));
	json_object_set_new(command, "role", json_string("public"));
	json_object_set_new(command, "args", args);
	return public_execute(call, command, then) ? HTTP_WAIT : public_unavailable(call);
}

static enum http_verdict
read_and_hold(struct api_call *call, const json_t *form, const struct form_body *body)
{
	json_t *args = json_object(),
	       *errors = body->errors != NULL ? json_copy(body->errors) : NULL;
	const char *when = when_read(body, args, &errors);

	when_zone_read(body, args, &errors);
	if (when != NULL && json_text(args, "when") != NULL &&
	    strcmp(json_text(args, "when"), "asap") == 0)
		form_error_add(&errors, "when", "must be a time: nothing is held for at once");
	if (errors != NULL) {
		json_decref(args);
		return api_invalid(call, errors);
	}
	/* Whoever may ask for so many calls may hold as many places. */
	int64_t wait_ms = intake_limit_network(api_buckets(call->api), form, 'h',
	    http_peer(call->req), (int)json_int(form, "address_limit", 0),
	    json_int(form, "address_period_s", 1) * 1000, clock_mono_ms());
	if (wait_ms > 0) {
		json_decref(args);
		return public_too_often(call, wait_ms);
	}
	return command(call, form, "slot_hold", args, on_held);
}

static enum http_verdict
hold_create(struct api_call *call)
{
	return form_post(call, read_and_hold);
}

static void
on_released(struct api_call *call, const struct lane_answer *a)
{
	if (a->err != NULL || a->refusal != NULL)
		refuse_hold(call, a);
	else
		http_answer(call->req, 204, NULL, NULL, 0);
}

static enum http_verdict
hold_release(struct api_call *call)
{
	const json_t *form = form_find(call);
	struct id id;

	if (form == NULL)
		return HTTP_DONE;
	form_allow_origin(call, form);
	if (!api_arg_id(call, 1, &id))
		return HTTP_DONE;
	return command(
	    call, form, "slot_release", json_pack("{s:s}", "hold", call->args[1]), on_released);
}

static enum http_verdict
slots_options(struct api_call *call)
{
	return form_preflight(call, "GET");
}

static enum http_verdict
holds_options(struct api_call *call)
{
	return form_preflight(call, "POST");
}

static enum http_verdict
hold_options(struct api_call *call)
{
	return form_preflight(call, "DELETE");
}

const struct api_route api_routes_slot[] = {
	{ "GET", "/f/{form}/slots", API_PUBLIC, API_BODY_NONE, form_slots },
	{ "OPTIONS", "/f/{form}/slots", API_PUBLIC, API_BODY_NONE, slots_options },
	{ "POST", "/f/{form}/holds", API_PUBLIC, API_BODY_FORM, hold_create },
	{ "OPTIONS", "/f/{form}/holds", API_PUBLIC, API_BODY_NONE, holds_options },
	{ "DELETE", "/f/{form}/holds/{id}", API_PUBLIC, API_BODY_NONE, hold_release },
	{ "OPTIONS", "/f/{form}/holds/{id}", API_PUBLIC, API_BODY_NONE, hold_options },
	{ "GET", "/v1/queues/{name}/slots", API_SUPERVISOR, API_BODY_NONE, queue_slots },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
