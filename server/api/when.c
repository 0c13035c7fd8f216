/*
 * when: reads a time that was asked for, and tells one. It must not know what it is
 * for, nor whether it can be promised.
 */
#include "api/when.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

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

void
when_words(const char *local, char out[WHEN_WORDS_SIZE])
{
	struct tm tm = { 0 };
	const char *rest = strptime(local, "%Y-%m-%dT%H:%M", &tm);

	/* The process never leaves the "C" locale, so the names are English. */
	if (rest == NULL || strftime(out, WHEN_WORDS_SIZE, "%A, %-d %B %Y, %H:%M", &tm) == 0)
		snprintf(out, WHEN_WORDS_SIZE, "%s", local);
}

const char *
when_note_words(const char *when_note)
{
	if (when_note != NULL && strcmp(when_note, "moved_forward") == 0)
		return "The time you chose does not exist on that day, because the clocks go "
		       "forward: "
		       "it was moved to the time shown here.";
	if (when_note != NULL && strcmp(when_note, "first_of_two") == 0)
		return "The time you chose comes twice on that day, because the clocks go back: "
		       "the first of the two was taken.";
	if (when_note != NULL && strcmp(when_note, "next_opening") == 0)
		return "We are closed at the time you chose: you will be called when we open next.";
	if (when_note != NULL && strcmp(when_note, "next_slot") == 0)
		return "Before the time shown here, nobody is free any more: that is when you "
		       "will be called.";
	if (when_note != NULL && strcmp(when_note, "quiet_hours") == 0)
		return "The time you chose is one at which we may not call you: you will be called "
		       "at the time shown here.";
	return NULL;
}
