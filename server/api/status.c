/*
 * Ready or not ready. Must not know who may say it of whom.
 */
#include "api/status.h"

#include <string.h>

#include "api/fields.h"

#define REASON_MAX 200

enum http_verdict
status_put(struct api_call *call, int agent_id)
{
	static const char *const known[] = { "state", "reason", NULL };
	struct fields f = fields_of(call->body, known);
	const char *state = fields_text(&f, "state", FIELDS_REQUIRED, REASON_MAX);
	const char *reason = fields_text(&f, "reason", FIELDS_OPTIONAL, REASON_MAX);

	if (state != NULL && strcmp(state, "ready") != 0 && strcmp(state, "not_ready") != 0)
		fields_error(&f, "state", "must be ready or not_ready");
	if (!fields_ok(&f, call))
		return HTTP_DONE;
	json_t *command = api_command(call, state), *args = json_object();
	if (reason != NULL)
		json_object_set_new(args, "reason", json_string(reason));
	json_object_set_new(command, "agent", json_integer(agent_id));
	json_object_set_new(command, "args", args);
	return api_execute(call, command, NULL);
}
