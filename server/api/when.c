/*
 * when: reads a time that was asked for. It must not know what it is for, nor
 * whether it can be promised.
 */
#include "api/when.h"

#include <string.h>
#include <strings.h>

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
	return *name != '\0' && strlen(name) <= 64 &&
	    name[strspn(name,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/")] == '\0';
}
