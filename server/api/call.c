/*
 * What an agent does with a callback that he holds: calls, and finishes it one
 * way or another. Must not know how a call is made (call/driver.h), nor which
 * step is allowed when: the database decides.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/fields.h"
#include "base/clock.h"
#include "base/json.h"
#include "call/driver.h"
#include "node/node.h"
#include "node/tenant.h"

#define REASON_MAX 200
#define NOTE_MAX 16000 /* bytes: 4000 characters */
#define NAME_MAX_BYTES 200
#define YEAR_S 31622400

/* A request about the callback in the path, as far as it was read. */
struct ask {
	struct id callback;
	int64_t version;
	bool has_version;
	struct fields fields;
};

/* False: there is no such path, and that was answered. */
static bool
ask_read(struct api_call *call, struct ask *ask, const char *const *known, enum fields_need version)
{
	if (!api_arg_id(call, 0, &ask->callback))
		return false;
	ask->fields = fields_of(call->body, known);
	ask->has_version =
	    fields_int(&ask->fields, "version", version, 1, INT64_MAX, &ask->version);
	return true;
}

/* Takes the reference to args. */
static enum http_verdict
ask_send(struct api_call *call, const struct ask *ask, const char *kind, json_t *args)
{
	json_t *command = api_command(call, kind);

	json_set_id(command, "callback", ask->callback);
	if (ask->has_version)
		json_object_set_new(command, "version", json_integer(ask->version));
	json_object_set_new(command, "args", args);
	return api_execute(call, command, NULL);
}

static json_t *
args_text(json_t *args, const char *key, const char *text)
{
	if (text != NULL)
		json_object_set_new(args, key, json_string(text));
	return args;
}

static enum http_verdict
callback_done(struct api_call *call)
{
	static const char *const known[] = { "version", "disposition", "note", NULL };
	struct ask ask;

	if (!ask_read(call, &ask, known, FIELDS_REQUIRED))
		return HTTP_DONE;
	const char *disposition =
	    fields_text(&ask.fields, "disposition", FIELDS_OPTIONAL, NAME_MAX_BYTES);
	const char *note = fields_text(&ask.fields, "note", FIELDS_OPTIONAL, NOTE_MAX);
	if (!fields_ok(&ask.fields, call))
		return HTTP_DONE;
	json_t *args = args_text(json_object(), "disposition", disposition);
	return ask_send(call, &ask, "done", args_text(args, "note", note));
}

static enum http_verdict
callback_give_back(struct api_call *call)
{
	static const char *const known[] = { "version", "reason", NULL };
	struct ask ask;

	if (!ask_read(call, &ask, known, FIELDS_REQUIRED))
		return HTTP_DONE;
	const char *reason = fields_text(&ask.fields, "reason", FIELDS_OPTIONAL, REASON_MAX);
	if (!fields_ok(&ask.fields, call))
		return HTTP_DONE;
	return ask_send(call, &ask, "give_back", args_text(json_object(), "reason", reason));
}

static enum http_verdict
callback_retry(struct api_call *call)
{
	static const char *const known[] = { "version", "at", "in_s", "reason", "personal", NULL };
	struct ask ask;
	int64_t at_ms = 0, in_s = 0;

	if (!ask_read(call, &ask, known, FIELDS_REQUIRED))
		return HTTP_DONE;
	const char *at = fields_text(&ask.fields, "at", FIELDS_OPTIONAL, 64);
	bool has_in = fields_int(&ask.fields, "in_s", FIELDS_OPTIONAL, 0, YEAR_S, &in_s);
	const char *reason = fields_text(&ask.fields, "reason", FIELDS_OPTIONAL, REASON_MAX);
	bool personal = fields_bool(&ask.fields, "personal");
	if (at != NULL && !clock_parse(at, &at_ms))
		fields_error(&ask.fields, "at",
		    "must be a time with an offset, like 2026-11-24T10:00:00+01:00");
	if (ask.fields.errors == NULL && (at != NULL) == has_in)
		fields_error(&ask.fields, "at", "either this or in_s must say when");
	if (!fields_ok(&ask.fields, call))
		return HTTP_DONE;
	json_t *args = args_text(json_object(), "reason", reason);
	if (has_in)
		json_object_set_new(args, "in_s", json_integer(in_s));
	else
		json_object_set_new(args, "at", json_integer(at_ms));
	if (json_object_get(call->body, "personal") != NULL)
		json_object_set_new(args, "personal", json_boolean(personal));
	return ask_send(call, &ask, "retry", args);
}

static enum http_verdict
callback_cancel(struct api_call *call)
{
	static const char *const known[] = { "version", "reason", NULL };
	struct ask ask;

	if (!ask_read(call, &ask, known, FIELDS_OPTIONAL))
		return HTTP_DONE;
	const char *reason = fields_text(&ask.fields, "reason", FIELDS_OPTIONAL, REASON_MAX);
	if (!fields_ok(&ask.fields, call))
		return HTTP_DONE;
	return ask_send(call, &ask, "cancel", args_text(json_object(), "reason", reason));
}

static enum http_verdict
callback_note(struct api_call *call)
{
	static const char *const known[] = { "text", NULL };
	struct ask ask;

	if (!ask_read(call, &ask, known, FIELDS_OPTIONAL))
		return HTTP_DONE;
	const char *text = fields_text(&ask.fields, "text", FIELDS_REQUIRED, NOTE_MAX);
	if (!fields_ok(&ask.fields, call))
		return HTTP_DONE;
	return ask_send(call, &ask, "note", args_text(json_object(), "text", text));
}

/* By which driver the calls of this request go. */
static const struct driver *
driver_of(const struct api_call *call)
{
	(void)call;
	return &driver_manual;
}

static enum http_verdict
drive(struct api_call *call, const char *kind, driver_fn fn, const struct driver_call *c)
{
	json_t *command = api_command(call, kind);
	const char *why = NULL;

	if (fn(c, command, &why))
		return api_execute(call, command, NULL);
	json_decref(command);
	return api_problem(call, 409, "not-by-hand", why);
}

static enum http_verdict
callback_call(struct api_call *call)
{
	static const char *const known[] = { "version", NULL };
	struct ask ask;

	if (!ask_read(call, &ask, known, FIELDS_REQUIRED) || !fields_ok(&ask.fields, call))
		return HTTP_DONE;
	struct driver_call c = { .callback = ask.callback, .version = (uint64_t)ask.version };
	return drive(call, "call", driver_of(call)->start, &c);
}

/* False: answered. The callback is a hint, so that no batch has two commands on it in one run. */
static bool
attempt_read(struct api_call *call, struct driver_call *c)
{
	int holder;

	*c = (struct driver_call){ 0 };
	if (!api_arg_id(call, 0, &c->attempt))
		return false;
	if (!projection_attempt(tenant_projection(call->tenant), c->attempt, &c->callback, &holder))
		c->callback = (struct id){ 0 };
	return true;
}

static enum http_verdict
attempt_step(struct api_call *call, const char *kind, driver_fn fn)
{
	static const char *const known[] = { NULL };
	struct driver_call c;

	if (!attempt_read(call, &c))
		return HTTP_DONE;
	struct fields f = fields_of(call->body, known);
	return fields_ok(&f, call) ? drive(call, kind, fn, &c) : HTTP_DONE;
}

static enum http_verdict
attempt_connected(struct api_call *call)
{
	return attempt_step(call, "connected", driver_of(call)->connected);
}

static enum http_verdict
attempt_hold(struct api_call *call)
{
	return attempt_step(call, "hold", driver_of(call)->hold);
}

static enum http_verdict
attempt_retrieve(struct api_call *call)
{
	return attempt_step(call, "retrieve", driver_of(call)->retrieve);
}

static enum http_verdict
attempt_ended(struct api_call *call)
{
	static const char *const known[] = { "outcome", NULL };
	struct driver_call c;

	if (!attempt_read(call, &c))
		return HTTP_DONE;
	struct fields f = fields_of(call->body, known);
	c.outcome = fields_text(&f, "outcome", FIELDS_OPTIONAL, NAME_MAX_BYTES);
	return fields_ok(&f, call) ? drive(call, "ended", driver_of(call)->ended, &c) : HTTP_DONE;
}

const struct api_route api_routes_call[] = {
	{ "POST", "/v1/callbacks/{id}/call", API_AGENT, API_BODY_JSON, callback_call },
	{ "POST", "/v1/attempts/{id}/connected", API_AGENT, API_BODY_JSON, attempt_connected },
	{ "POST", "/v1/attempts/{id}/hold", API_AGENT, API_BODY_JSON, attempt_hold },
	{ "POST", "/v1/attempts/{id}/retrieve", API_AGENT, API_BODY_JSON, attempt_retrieve },
	{ "POST", "/v1/attempts/{id}/ended", API_AGENT, API_BODY_JSON, attempt_ended },
	{ "POST", "/v1/callbacks/{id}/done", API_AGENT, API_BODY_JSON, callback_done },
	{ "POST", "/v1/callbacks/{id}/give_back", API_AGENT, API_BODY_JSON, callback_give_back },
	{ "POST", "/v1/callbacks/{id}/retry", API_AGENT, API_BODY_JSON, callback_retry },
	{ "POST", "/v1/callbacks/{id}/cancel", API_AGENT, API_BODY_JSON, callback_cancel },
	{ "POST", "/v1/callbacks/{id}/notes", API_AGENT, API_BODY_JSON, callback_note },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
