/*
 * contact_move: the contact chooses another time for his call, or asks for it
 * now. It must not know which times can be had: the database judges.
 */
#include "api/contact.h"

#include <stdlib.h>
#include <string.h>

#include "api/form_body.h"
#include "api/public.h"
#include "api/road.h"
#include "api/when.h"
#include "base/bucket.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "node/node.h"

/* So many at once, and as many more in that time. */
#define MOVES_BURST 10
#define MOVES_PERIOD_MS 600000

/* Why a request in that state cannot be moved, by the state as it is shown. */
static const struct {
	const char *state, *sentence;
} too_late[] = {
	{ "offered",
	    "We are looking for somebody to call you at this very moment, so the time cannot be "
	    "changed just now. Please try again in a minute." },
	{ "ready_to_call", "It is too late to change the time: somebody is about to call you." },
	{ "establishing", "It is too late to change the time: we are calling you now." },
	{ "connected", "It is too late to change the time: we are speaking with you." },
	{ "on_hold", "It is too late to change the time: we are speaking with you." },
	{ "completed", "There is nothing left to change: your request is done." },
	{ "failed", "There is nothing left to change: we could not reach you." },
	{ "cancelled", "There is nothing left to change: your request is cancelled." },
	{ "expired", "There is nothing left to change: the time has passed." },
};

static const char *
too_late_for(const char *state)
{
	for (size_t i = 0; i < sizeof(too_late) / sizeof(too_late[0]); i++)
		if (strcmp(too_late[i].state, state) == 0)
			return too_late[i].sentence;
	return "The time cannot be changed now.";
}

/* "The time is in the past." of [{"field","message"}], malloced. */
static char *
sentence_of(const json_t *errors)
{
	struct buf text = { 0 };
	size_t i;
	const json_t *error;

	json_array_foreach (errors, i, error) {
		const char *field = json_text(error, "field"),
			   *message = json_text(error, "message");
		const char *label = field == NULL     ? "What you sent"
		    : strcmp(field, "when") == 0      ? "The time"
		    : strcmp(field, "time_zone") == 0 ? "The time zone"
						      : field;

		buf_printf(&text, "%s%s %s.", i > 0 ? " " : "", label,
		    message != NULL ? message : "is wrong");
	}
	buf_puts(&text, "");
	return buf_take(&text);
}

/* Takes errors. */
static enum http_verdict
refuse_fields(struct api_call *call, json_t *errors)
{
	if (public_wants_json(call))
		return api_invalid(call, errors);
	char *sentence = sentence_of(errors);
	enum http_verdict verdict = contact_show_again(call, 422, sentence);

	free(sentence);
	json_decref(errors);
	return verdict;
}

/* 409, with the present state: a page that shows it, or members of the problem. */
static enum http_verdict
refuse_state(struct api_call *call, const char *type, const char *sentence, const json_t *image)
{
	if (!public_wants_json(call))
		return contact_show_again(call, 409, sentence);
	json_t *now = public_callback(image, node_now_ms(api_node(call->api)));

	http_problem(call->req, 409, type, sentence,
	    json_pack("{s:O, s:O}", "state", json_object_get(now, "state"), "promise",
		json_object_get(now, "promise")),
	    0);
	json_decref(now);
	return HTTP_DONE;
}

static enum http_verdict
answer_moved(struct api_call *call, const json_t *image, const char *note)
{
	if (note == NULL)
		note = "as_asked";
	if (public_wants_json(call)) {
		json_t *doc = public_callback(image, node_now_ms(api_node(call->api)));

		json_object_set_new(doc, "when_note", json_string(note));
		return api_answer(call, 200, doc);
	}
	char *path = public_path(call, call->args[0]);
	char *location =
	    when_note_words(note) != NULL ? xasprintf("%s?note=%s", path, note) : xstrdup(path);
	enum http_verdict verdict = public_redirect(call, location);

	free(location);
	free(path);
	return verdict;
}

static void
refuse(struct api_call *call, const char *refusal, const struct lane_answer *a)
{
	const json_t *image = json_object_get(a->body, "callback");
	json_t *errors = json_object_get(a->body, "errors");

	if (image == NULL)
		public_problem(call, 404, "not-found", "This request is no longer known here.", 0);
	else if (strcmp(refusal, "invalid") == 0 && json_array_size(errors) > 0)
		refuse_fields(call, json_deep_copy(errors));
	else if (strcmp(refusal, "stale_version") == 0)
		refuse_state(call, "stale-version",
		    "The time of your call was changed since you opened this page. How it stands "
		    "now is shown here.",
		    image);
	else if (strcmp(refusal, "already_due") == 0)
		refuse_state(call, "already-due",
		    "You are in the queue already: somebody will call you as soon as possible.",
		    image);
	else
		refuse_state(call, "wrong-state",
		    too_late_for(public_state(image, node_now_ms(api_node(call->api)))), image);
}

static void
on_moved(struct api_call *call, const struct lane_answer *a)
{
	if (a->err == lane_err_failed)
		public_problem(
		    call, 500, "failed", "That did not work: the server has a fault.", 0);
	else if (a->err != NULL)
		public_unavailable(call);
	/* Pressed twice: it is as he wants it. */
	else if (a->refusal == NULL || strcmp(a->refusal, "unchanged") == 0)
		answer_moved(
		    call, json_object_get(a->body, "callback"), json_text(a->body, "when_note"));
	else
		refuse(call, a->refusal, a);
}

/* Takes args. */
static enum http_verdict
move(struct api_call *call, json_t *args)
{
	const struct contact_view *view = call->data;

	if (!public_database_up(call)) {
		json_decref(args);
		return public_unavailable(call);
	}
	/* Each is an event for every desk, and two times in turn could be sent for ever. */
	char key[ID_TEXT_SIZE + 2] = "m:";
	id_format(view->id, key + 2);
	int64_t wait_ms =
	    bucket_take(api_buckets(call->api), key, MOVES_BURST, MOVES_PERIOD_MS, clock_mono_ms());
	if (wait_ms > 0) {
		json_decref(args);
		return public_problem(call, 429, "too-often",
		    "The time was changed too often: try again later.", (int)(wait_ms / 1000) + 1);
	}
	json_t *command = api_command(call, "reschedule");
	json_object_set_new(command, "role", json_string("contact"));
	json_set_id(command, "callback", view->id);
	json_object_set_new(command, "args", args);
	if (public_execute(call, command, on_moved))
		return HTTP_WAIT;
	return public_unavailable(call);
}

/* His callback into call->data; false when it was answered. */
static bool
view_new(struct api_call *call)
{
	struct id id;

	if (!contact_find(call, &id))
		return false;
	struct contact_view *view = xcalloc(1, sizeof(*view));
	view->id = id;
	call->data = view;
	call->data_free = contact_view_free;
	return true;
}

static char *
typed(const char *text)
{
	return text != NULL ? xstrdup(text) : NULL;
}

/* Into args, and what was typed into the view. */
static void
fields_read(struct contact_view *view, const struct form_body *body, json_t *args, json_t **errors)
{
	const char *seen;
	int64_t seen_ms;

	view->when = typed(when_read(body, args, errors));
	view->time_zone = typed(when_zone_read(body, args, errors));
	seen = form_body_text(body, "seen", WHEN_MAX, errors);
	if (seen != NULL && !clock_parse(seen, &seen_ms))
		form_error_add(errors, "seen", "must be the promise's \"at\" as it was shown");
	else if (seen != NULL)
		json_object_set_new(args, "seen", json_integer(seen_ms));
}

enum http_verdict
contact_reschedule(struct api_call *call)
{
	struct form_body body = { 0 };
	enum http_verdict verdict = HTTP_DONE;

	if (!view_new(call))
		return HTTP_DONE;
	if (public_form(call, &body)) {
		json_t *args = json_object();
		json_t *errors = body.errors != NULL ? json_copy(body.errors) : NULL;

		fields_read(call->data, &body, args, &errors);
		if (errors == NULL) {
			verdict = move(call, args);
		} else {
			json_decref(args);
			verdict = refuse_fields(call, errors);
		}
	}
	form_body_fini(&body);
	return verdict;
}

enum http_verdict
contact_now(struct api_call *call)
{
	if (!view_new(call))
		return HTTP_DONE;
	return move(call, json_pack("{s:s}", "when", "asap"));
}
