/*
 * filter: from names to what the database looks for. Must not know what is done
 * with those that are found.
 */
#include "api/filter.h"

#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "core/state.h"
#include "node/tenant.h"

#define TEXT_MAX 200

static const char *const known[] = { "state", "queue", "form", "agent", "due_from", "due_to",
	"promise", "phone", NULL };
/* All but the number are looked at as they are written. */
#define TEXTS (sizeof(known) / sizeof(known[0]) - 2)

json_t *
filter_query(struct api_call *call)
{
	json_t *asked = json_object();

	for (size_t i = 0; known[i] != NULL; i++) {
		const char *text = http_query(call->req, known[i]);

		if (text != NULL)
			json_object_set_new(asked, known[i], json_string(text));
	}
	return asked;
}

static bool
state_known(const char *name)
{
	enum callback_state state;

	return strcmp(name, "queued") == 0 || callback_state_parse(name, &state);
}

/* id 0: there is none of that name. */
static void
put_id(struct fields *f, json_t *filter, const char *key, int id, const char *message)
{
	if (id == 0)
		fields_error(f, key, message);
	else
		json_object_set_new(filter, key, json_integer(id));
}

static void
put_time(struct fields *f, json_t *filter, const char *key, const char *text)
{
	int64_t ms;

	if (text == NULL)
		return;
	if (clock_parse(text, &ms))
		json_object_set_new(filter, key, json_integer(ms));
	else
		fields_error(
		    f, key, "must be a time with an offset, like 2026-11-24T10:00:00+01:00");
}

json_t *
filter_read(struct api_call *call, struct fields *f, const json_t *asked)
{
	const struct projection *p = tenant_projection(call->tenant);
	struct fields of = fields_of(asked, known);
	const char *text[TEXTS] = { 0 };
	char phone[PHONE_E164_SIZE];
	json_t *filter = json_object();

	if (fields_phone(&of, "phone", FIELDS_OPTIONAL, phone))
		json_object_set_new(filter, "phone", json_string(phone));
	for (size_t i = 0; i < TEXTS; i++)
		text[i] = fields_text(&of, known[i], FIELDS_OPTIONAL, TEXT_MAX);
	if (text[0] != NULL && !state_known(text[0]))
		fields_error(&of, "state", "is not a callback's state");
	else if (text[0] != NULL)
		json_object_set_new(filter, "state", json_string(text[0]));
	if (text[1] != NULL)
		put_id(&of, filter, "queue", projection_queue_by_name(p, text[1]),
		    "is not a queue's name");
	if (text[2] != NULL)
		put_id(&of, filter, "form", (int)json_int(projection_form(p, text[2]), "id", 0),
		    "is not a form's key");
	if (text[3] != NULL)
		put_id(&of, filter, "agent", projection_agent_by_name(p, text[3]),
		    "is not an agent's name");
	put_time(&of, filter, "due_from", text[4]);
	put_time(&of, filter, "due_to", text[5]);
	if (text[6] != NULL && strcmp(text[6], "astray") != 0)
		fields_error(&of, "promise", "must be astray");
	else if (text[6] != NULL)
		json_object_set_new(filter, "promise", json_string(text[6]));
	if (of.errors != NULL) {
		if (f->errors == NULL)
			f->errors = json_array();
		json_array_extend(f->errors, of.errors);
		json_decref(of.errors);
	}
	return filter;
}
