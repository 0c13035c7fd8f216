/*
 * Another promise for a callback that waits, by somebody of the company. Must
 * not know which times can be had: the database judges.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/fields.h"
#include "api/when.h"
#include "base/json.h"

#define REASON_MAX 200
#define ZONE_MAX 64

/* Takes the reference to args. */
static enum http_verdict
move(struct api_call *call, struct id callback, int64_t version, json_t *args)
{
	json_t *command = api_command(call, "reschedule");

	json_set_id(command, "callback", callback);
	if (version != 0)
		json_object_set_new(command, "version", json_integer(version));
	json_object_set_new(command, "args", args);
	return api_execute(call, command, NULL);
}

static void
put_reason(struct fields *f, json_t *args)
{
	const char *reason = fields_text(f, "reason", FIELDS_OPTIONAL, REASON_MAX);

	if (reason != NULL)
		json_object_set_new(args, "reason", json_string(reason));
}

static enum http_verdict
callback_reschedule(struct api_call *call)
{
	static const char *const known[] = { "version", "when", "time_zone", "reason", NULL };
	int64_t version = 0;
	struct id id;

	if (!api_arg_id(call, 0, &id))
		return HTTP_DONE;
	struct fields f = fields_of(call->body, known);
	json_t *args = json_object();
	(void)fields_int(&f, "version", FIELDS_OPTIONAL, 1, INT64_MAX, &version);
	const char *when = fields_text(&f, "when", FIELDS_REQUIRED, WHEN_MAX);
	const char *zone = fields_text(&f, "time_zone", FIELDS_OPTIONAL, ZONE_MAX);
	put_reason(&f, args);
	if (when != NULL && !when_args(when, args))
		fields_error(&f, "when", WHEN_WRONG);
	if (zone != NULL && !when_zone_ok(zone))
		fields_error(&f, "time_zone", "is not a time zone such as \"Europe/Berlin\"");
	else if (zone != NULL)
		json_object_set_new(args, "time_zone", json_string(zone));
	if (fields_ok(&f, call))
		return move(call, id, version, args);
	json_decref(args);
	return HTTP_DONE;
}

static enum http_verdict
callback_now(struct api_call *call)
{
	static const char *const known[] = { "version", "reason", NULL };
	int64_t version = 0;
	struct id id;

	if (!api_arg_id(call, 0, &id))
		return HTTP_DONE;
	struct fields f = fields_of(call->body, known);
	json_t *args = json_pack("{s:s}", "when", "asap");
	(void)fields_int(&f, "version", FIELDS_OPTIONAL, 1, INT64_MAX, &version);
	put_reason(&f, args);
	if (fields_ok(&f, call))
		return move(call, id, version, args);
	json_decref(args);
	return HTTP_DONE;
}

const struct api_route api_routes_move[] = {
	{ "POST", "/v1/callbacks/{id}/reschedule", API_SUPERVISOR, API_BODY_JSON,
	    callback_reschedule },
	{ "POST", "/v1/callbacks/{id}/now", API_SUPERVISOR, API_BODY_JSON, callback_now },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
