/*
 * when: reads a time that was asked for. It must not know what it is for, nor
 * whether it can be promised.
 */
#include "api/when.h"

#include <string.h>
#include <strings.h>

#include "api/form_body.h"
#include "api/intake_check.h"
#include "base/clock.h"

bool
when_args(const char *text, json_t *args)
{
	int64_t ms;

	if (strcasecmp(text, "asap") == 0) {
		json_object_set_new(args, "when", json_string("asap"));
	} else if (intake_local_ok(text)) {
		/* To the second, and to the minute when it is a whole one. */
		size_t len = strlen(text) > 16 && strncmp(text + 16, ":00", 3) != 0 ? 19 : 16;
		json_object_set_new(args, "when", json_stringn(text, len));
	} else if (clock_parse(text, &ms)) {
		json_object_set_new(args, "at", json_integer(ms));
	} else {
		return false;
	}
	return true;
}

bool
when_zone_ok(const char *name)
{
	return *name != '\0' && strlen(name) <= WHEN_ZONE_MAX &&
	    name[strspn(name,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/")] == '\0';
}

const char *
when_read(const struct form_body *body, json_t *args, json_t **errors)
{
	size_t before = json_array_size(*errors);
	const char *when = form_body_text(body, "when", WHEN_MAX, errors);

	if (when == NULL && json_array_size(*errors) == before)
		form_error_add(errors, "when", "is missing");
	else if (when != NULL && !when_args(when, args))
		form_error_add(errors, "when", WHEN_WRONG);
	return when;
}

const char *
when_zone_read(const struct form_body *body, json_t *args, json_t **errors)
{
	const char *zone = form_body_text(body, "time_zone", WHEN_ZONE_MAX, errors);

	if (zone != NULL && !when_zone_ok(zone))
		form_error_add(errors, "time_zone", "is not a time zone such as \"Europe/Berlin\"");
	else if (zone != NULL)
		json_object_set_new(args, "time_zone", json_string(zone));
	return zone;
}
