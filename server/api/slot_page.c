/*
 * slot_page: which times a page offers. It must not know where they come from.
 */
#include "api/slot_page.h"

#include <stdio.h>
#include <string.h>

#include "api/when.h"
#include "base/clock.h"
#include "base/json.h"

int64_t
slot_left(const json_t *slot)
{
	return json_int(slot, "places", 0) - json_int(slot, "booked", 0) -
	    json_int(slot, "held", 0);
}

/* Without its time of day. */
static void
day_of(const char *local, char out[WHEN_WORDS_SIZE])
{
	when_words(local, out);
	char *comma = strrchr(out, ',');

	if (comma != NULL)
		*comma = '\0';
}

json_t *
slot_days(const json_t *slots, const char *chosen)
{
	json_t *days = json_array(), *times = NULL;
	char last[WHEN_WORDS_SIZE] = "", day[WHEN_WORDS_SIZE], value[CLOCK_TEXT_SIZE];
	int64_t chosen_ms = 0;
	size_t i;
	const json_t *slot;

	if (chosen != NULL && !clock_parse(chosen, &chosen_ms))
		chosen_ms = 0;
	json_array_foreach (json_object_get(slots, "slots"), i, slot) {
		const char *local = json_text(slot, "local");
		int64_t at_ms = json_int(slot, "starts_at", 0);

		if (local == NULL || strlen(local) < 16 || slot_left(slot) <= 0)
			continue;
		day_of(local, day);
		if (times == NULL || strcmp(day, last) != 0) {
			times = json_array();
			json_array_append_new(
			    days, json_pack("{s:s, s:o}", "day", day, "times", times));
			snprintf(last, sizeof(last), "%s", day);
		}
		clock_format(at_ms, value);
		json_array_append_new(times,
		    json_pack("{s:s%, s:s, s:b}", "time", local + 11, (size_t)5, "value", value,
			"chosen", chosen_ms != 0 && at_ms == chosen_ms));
	}
	return days;
}
