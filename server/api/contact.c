/*
 * contact: the contact's signed link, /c/{token}: what has become of his
 * request, and a way to withdraw it. Whoever holds the link may see no more
 * than that: never what the form sent, nor the whole number. How he moves it,
 * it must not know.
 */
#include "api/contact.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/intake_check.h"
#include "api/public.h"
#include "api/road.h"
#include "api/slot.h"
#include "api/slot_page.h"
#include "api/when.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/explain.h"
#include "core/wait.h"
#include "node/node.h"
#include "node/tenant.h"

/* So long after he asked, and while nothing else has happened, the page thanks him. */
#define THANKS_MS 120000

struct state_words {
	const char *state;
	bool cancellable; /* as sql/tables/transition.sql says; the database decides */
	const char *now;
	const char *too_late;
};
static const struct state_words words[] = {
	{ "scheduled", true, "We will call you at the time below.", NULL },
	{ "queued", true, "You are in the queue: somebody will call you as soon as possible.",
	    NULL },
	{ "offered", true, "You are in the queue: somebody will call you as soon as possible.",
	    NULL },
	{ "ready_to_call", true, "Somebody has your request and is about to call you.", NULL },
	{ "establishing", false, "We are calling you now.",
	    "It is too late to cancel: we are calling you now." },
	{ "connected", false, "We are speaking with you.",
	    "It is too late to cancel: we are speaking with you." },
	{ "on_hold", false, "We are speaking with you.",
	    "It is too late to cancel: we are speaking with you." },
	{ "completed", false, "Your request is done.",
	    "It is too late to cancel: your request is done." },
	{ "failed", false,
	    "We could not reach you. Please ask again if you still want to be called.",
	    "There is nothing left to cancel: we could not reach you." },
	{ "cancelled", false, "Your request is cancelled. We will not call you.", NULL },
	{ "expired", false,
	    "The time has passed, and nobody could call you. We are sorry; please ask again.",
	    "There is nothing left to cancel: the time has passed." },
	{ NULL, false, "We are working on your request.", "Your request cannot be cancelled now." },
};

static const struct state_words *
words_for(const char *state)
{
	const struct state_words *w = words;

	while (w->state != NULL && strcmp(w->state, state) != 0)
		w++;
	return w;
}

bool
contact_find(struct api_call *call, struct id *id)
{
	struct node *node = api_node(call->api);

	if (api_link_verify(node, call->args[0], &call->tenant, id))
		return true;
	/* Its tenant may not be loaded yet. */
	if (node_not_ready(node) != NULL)
		public_unavailable(call);
	else
		public_problem(call, 404, "not-found",
		    "This link is not known here. Is the address complete?", 0);
	return false;
}

char *
contact_mask(const char *phone)
{
	char *masked = xstrdup(phone);
	size_t len = strlen(masked);

	for (size_t i = 1; i + 3 < len; i++)
		masked[i] = '*';
	return masked;
}

static bool
is_waiting(const char *state)
{
	return strcmp(state, "scheduled") == 0 || strcmp(state, "queued") == 0;
}

/* A waiting one that is not due when it was promised (to be tried again) says when. */
static void
describe_due(json_t *doc, const json_t *all, const json_t *image)
{
	const char *local = json_text(all, "due_local"), *zone = json_text(image, "promise_zone");
	int64_t due_ms = json_int(image, "due_at", 0);
	char at[CLOCK_TEXT_SIZE];

	if (local == NULL || zone == NULL || strcmp(json_text(doc, "state"), "scheduled") != 0 ||
	    due_ms == json_int(image, "promise_at", 0))
		return;
	clock_format(due_ms, at);
	json_object_set_new(
	    doc, "due", json_pack("{s:s, s:s, s:s}", "local", local, "time_zone", zone, "at", at));
}

/* Of one that is in the queue, where, and for how long still; null: that is not known. */
static void
describe_position(const struct api_call *call, json_t *doc, const json_t *image)
{
	struct projection *p = tenant_projection(call->tenant);
	const char *state = json_text(doc, "state");
	struct id id = { 0 };

	if (strcmp(state, "queued") != 0 && strcmp(state, "offered") != 0)
		return;
	json_id(image, "id", &id);
	int position = projection_position(p, id);
	int64_t wait_ms = wait_expected_ms(p, id, node_now_ms(api_node(call->api)));

	json_object_set_new(doc, "position", position > 0 ? json_integer(position) : json_null());
	json_object_set_new(doc, "expected_wait_s",
	    wait_ms >= 0 ? json_integer((wait_ms + 999) / 1000) : json_null());
}

static json_t *
describe(const struct api_call *call, const json_t *all)
{
	const json_t *image = json_object_get(all, "callback");
	const char *phone =
	    json_text(json_object_get(json_object_get(all, "detail"), "contact"), "phone");
	json_t *doc = public_callback(image, node_now_ms(api_node(call->api)));
	const char *state = json_text(doc, "state");

	describe_due(doc, all, image);
	describe_position(call, doc, image);
	json_object_set_new(doc, "attempts", json_integer(json_int(image, "attempts", 0)));
	json_object_set_new(doc, "cancellable", json_boolean(words_for(state)->cancellable));
	json_object_set_new(doc, "reschedulable", json_boolean(is_waiting(state)));
	json_object_set_new(doc, "callable_now", json_boolean(strcmp(state, "scheduled") == 0));
	if (phone != NULL) {
		char *masked = contact_mask(phone);

		json_object_set_new(doc, "phone", json_string(masked));
		free(masked);
	}
	return doc;
}

/* He has just asked, and nothing has happened yet. */
static bool
is_fresh(const struct api_call *call, const json_t *image)
{
	const char *state = json_text(image, "state");

	return state != NULL && strcmp(state, "scheduled") == 0 &&
	    json_int(image, "offers", 0) == 0 && json_int(image, "attempts", 0) == 0 &&
	    node_now_ms(api_node(call->api)) - json_int(image, "created_at", 0) < THANKS_MS;
}

static void
set(json_t *doc, const char *key, const char *text)
{
	json_object_set_new(doc, key, json_string(text != NULL ? text : ""));
}

/* The form for another time: as it was typed, or else the promise as it stands. */
static void
set_typed(json_t *doc, const struct contact_view *view, const char *local, const char *zone)
{
	const char *typed = view != NULL ? view->when : NULL;
	char *when = typed != NULL ? xstrdup(typed) : xstrndup(local, 16);

	set(doc, "when_typed", when);
	/* A browser empties a datetime-local that it cannot read. */
	set(doc, "when_type", intake_local_ok(when) ? "datetime-local" : "text");
	set(doc, "zone_typed", view != NULL && view->time_zone != NULL ? view->time_zone : zone);
	free(when);
}

/* In words: it is no more than an expectation. */
static void
set_wait(json_t *doc)
{
	int64_t s = json_int(doc, "expected_wait_s", -1);
	char *text = s < 0 ? NULL
	    : s < 90	   ? xstrdup("a minute")
			   : xasprintf("%lld minutes", (long long)(s + 30) / 60);

	set(doc, "wait", text);
	free(text);
}

/* Its promise window has ended, and it waits all the same. */
static bool
is_late(const json_t *image)
{
	const char *state = json_text(image, "state"), *reason = json_text(image, "reason");

	return state != NULL && reason != NULL && strcmp(reason, "promise_window") == 0 &&
	    strcmp(state, "scheduled") == 0;
}

/* Takes doc, the JSON answer, and makes it the page's values; slots: to choose another time from, NULL any. */
static enum http_verdict
show_page(struct api_call *call, const json_t *image, json_t *doc, const json_t *slots)
{
	const struct contact_view *view = call->data;
	const json_t *promise = json_object_get(doc, "promise"), *due = json_object_get(doc, "due");
	const char *local = json_text(promise, "local"), *zone = json_text(promise, "time_zone");
	const char *shown = json_text(due != NULL ? due : promise, "local");
	bool again = view != NULL && view->status != 0;
	char when[WHEN_WORDS_SIZE], asked[WHEN_WORDS_SIZE] = "";
	char *link = public_link(call, call->args[0]), *path = public_path(call, call->args[0]);

	when_words(shown != NULL ? shown : "", when);
	bool again_then = due != NULL && json_int(doc, "attempts", 0) > 0;

	set(doc, "now",
	    again_then		 ? "We will call you again at the time below."
		: is_late(image) ? "We are late, and sorry for it: you come before others now."
				 : words_for(json_text(doc, "state"))->now);
	set(doc, "when", when);
	if (due != NULL)
		when_words(local != NULL ? local : "", asked);
	set(doc, "asked", asked);
	set(doc, "time_zone", zone);
	set(doc, "note", when_note_words(http_query(call->req, "note")));
	set(doc, "trouble", again ? view->trouble : NULL);
	set(doc, "seen", json_text(promise, "at"));
	set_typed(doc, view, local != NULL ? local : "", zone != NULL ? zone : "");
	if (slots != NULL) {
		json_object_set_new(doc, "slotted", json_true());
		json_object_set_new(doc, "days", slot_days(slots, json_text(doc, "when_typed")));
	}
	set(doc, "link", link);
	set(doc, "path", path);
	free(link);
	free(path);
	set_wait(doc);
	if (json_int(doc, "attempts", 0) == 0)
		json_object_del(doc, "attempts");
	return public_page(call, again ? view->status : 200,
	    !again && is_fresh(call, image) ? "thanks.html" : "status.html", doc, NULL, NULL);
}

json_t *
contact_row(struct api_call *call, const PGresult *res, const char *err)
{
	const char *why;

	if (err != NULL) {
		road_failed(call, err);
		return NULL;
	}
	/* Retention may have taken it. */
	if (PQntuples(res) != 1 || PQgetisnull(res, 0, 0)) {
		public_problem(call, 404, "not-found", "This request is no longer known here.", 0);
		return NULL;
	}
	json_t *all = json_parse(PQgetvalue(res, 0, 0), (size_t)PQgetlength(res, 0, 0), &why);
	if (all == NULL)
		road_failed(call, why);
	return all;
}

static void
on_slots(struct api_call *call, const PGresult *res, const char *err)
{
	struct contact_view *view = call->data;
	const char *why;
	json_t *slots = slot_read(res, err, &why);

	/* Without them any time may be asked for: it is judged when it is sent. */
	if (slots == NULL && why != NULL)
		log_warn("slots=unread callback=%s why=\"%s\"",
		    json_text(json_object_get(view->all, "callback"), "id"), why);
	show_page(call, json_object_get(view->all, "callback"), describe(call, view->all), slots);
	json_decref(slots);
}

/* The times that the page lets choose from are another read. Takes all. */
static void
load_slots(struct api_call *call, json_t *all)
{
	struct contact_view *view = call->data;
	const json_t *image = json_object_get(all, "callback");
	const char *zone = json_text(image, "promise_zone");
	struct id id = { 0 };

	json_id(image, "id", &id);
	if (view == NULL) {
		view = xcalloc(1, sizeof(*view));
		call->data = view;
		call->data_free = contact_view_free;
	}
	json_decref(view->all);
	view->all = all;
	slot_load(call,
	    &(struct slot_ask){ .queue_id = (int)json_int(image, "queue", 0),
		.time_zone = zone != NULL ? zone : "UTC",
		.days = SLOT_PAGE_DAYS,
		.form_id = (int)json_int(image, "form", 0),
		.callback = id },
	    on_slots);
}

static void
on_loaded(struct api_call *call, const PGresult *res, const char *err)
{
	json_t *all = contact_row(call, res, err);

	if (all == NULL)
		return;
	const json_t *image = json_object_get(all, "callback");
	json_t *doc = describe(call, all);

	if (public_wants_json(call)) {
		api_answer(call, 200, doc);
	} else if (json_bool(doc, "reschedulable", false) &&
	    slot_queue(call, (int)json_int(image, "queue", 0))) {
		json_decref(doc);
		load_slots(call, json_incref(all));
	} else {
		show_page(call, image, doc, NULL);
	}
	json_decref(all);
}

enum http_verdict
contact_load(struct api_call *call, struct id id,
    void (*then)(struct api_call *, const PGresult *, const char *))
{
	char tenant[16], callback[ID_TEXT_SIZE];
	const char *params[] = { tenant, callback };

	if (!public_database_up(call))
		return public_unavailable(call);
	snprintf(tenant, sizeof(tenant), "%d", tenant_id(call->tenant));
	id_format(id, callback);
	return api_query(call, STATEMENT_load_callback, params, "contact", then);
}

static enum http_verdict
contact_get(struct api_call *call)
{
	struct id id;

	return contact_find(call, &id) ? contact_load(call, id, on_loaded) : HTTP_DONE;
}

void
contact_view_free(void *arg)
{
	struct contact_view *view = arg;

	json_decref(view->all);
	free(view->trouble);
	free(view->when);
	free(view->time_zone);
	free(view);
}

enum http_verdict
contact_show_again(struct api_call *call, int status, const char *trouble)
{
	struct contact_view *view = call->data;

	view->status = status;
	free(view->trouble);
	view->trouble = xstrdup(trouble);
	return contact_load(call, view->id, on_loaded);
}

static enum http_verdict
answer_cancelled(struct api_call *call, const json_t *image)
{
	if (public_wants_json(call))
		return api_answer(
		    call, 200, public_callback(image, node_now_ms(api_node(call->api))));
	char *path = public_path(call, call->args[0]);
	enum http_verdict verdict = public_redirect(call, path);

	free(path);
	return verdict;
}

static enum http_verdict
answer_too_late(struct api_call *call, const json_t *image)
{
	const char *state = public_state(image, node_now_ms(api_node(call->api)));
	const char *sentence = words_for(state)->too_late;

	if (sentence == NULL)
		sentence = words[sizeof(words) / sizeof(words[0]) - 1].too_late;
	if (!public_wants_json(call))
		return public_problem(call, 409, "wrong-state", sentence, 0);
	http_problem(
	    call->req, 409, "wrong-state", sentence, json_pack("{s:s}", "state", state), 0);
	return HTTP_DONE;
}

static void
on_cancelled(struct api_call *call, const struct lane_answer *a)
{
	const json_t *image = json_object_get(a->body, "callback");
	const char *state = json_text(image, "state");

	if (a->err == lane_err_failed)
		public_problem(
		    call, 500, "failed", "That did not work: the server has a fault.", 0);
	else if (a->err != NULL)
		public_unavailable(call);
	/* Pressed twice: it is as he wants it. */
	else if (a->refusal == NULL || (state != NULL && strcmp(state, "cancelled") == 0))
		answer_cancelled(call, image);
	else if (image != NULL)
		answer_too_late(call, image);
	else
		public_problem(call, 404, "not-found", "This request is no longer known here.", 0);
}

static enum http_verdict
contact_cancel(struct api_call *call)
{
	struct id id;

	if (!contact_find(call, &id))
		return HTTP_DONE;
	if (!public_database_up(call))
		return public_unavailable(call);
	json_t *command = api_command(call, "cancel");
	json_object_set_new(command, "role", json_string("contact"));
	json_set_id(command, "callback", id);
	if (public_execute(call, command, on_cancelled))
		return HTTP_WAIT;
	return public_unavailable(call);
}

const struct api_route api_routes_contact[] = {
	{ "GET", "/c/{token}", API_PUBLIC, API_BODY_NONE, contact_get },
	/* Nothing is read of it, but scripts like to send an empty object. */
	{ "POST", "/c/{token}/cancel", API_PUBLIC, API_BODY_FORM, contact_cancel },
	{ "POST", "/c/{token}/reschedule", API_PUBLIC, API_BODY_FORM, contact_reschedule },
	{ "POST", "/c/{token}/now", API_PUBLIC, API_BODY_FORM, contact_now },
	{ "GET", "/c/{token}/callback.ics", API_PUBLIC, API_BODY_NONE, contact_calendar },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
