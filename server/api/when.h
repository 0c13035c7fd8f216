/*
 * when: a time as people ask for it, into the arguments of a command; and as it is
 * told to them. PURE. SQL knows the zones, and has the last word
 * (sql/functions/promise_move.sql).
 */
#ifndef API_WHEN_H
#define API_WHEN_H

#include <stdbool.h>

#include <jansson.h>

#define WHEN_MAX 40	/* bytes */
#define WHEN_ZONE_MAX 64
#define WHEN_WRONG                                                                                                     \
	"must be \"asap\", a local time such as 2026-11-24T10:00, or one with an offset such as "                      \
	"2026-11-24T10:00:00+01:00"

/* "when" (asap, or a local time to the minute or second) or "at" (ms) into args; false when text is none of these. */
bool when_args(const char *text, json_t *args);
struct form_body;
/* The field `when` likewise, which is required; what was sent (borrowed), wrong or not, or NULL: nothing. */
const char *when_read(const struct form_body *, json_t *args, json_t **errors);
/* The field `time_zone` into args, when there is one; what was sent (borrowed), or NULL. */
const char *when_zone_read(const struct form_body *, json_t *args, json_t **errors);
/* True when a zone could have that name. */
bool when_zone_ok(const char *name);

/* "Tuesday, 24 November 2026, 10:00" of "2026-11-24T10:00:00"; the text itself when it is another. */
#define WHEN_WORDS_SIZE 64
void when_words(const char *local, char out[WHEN_WORDS_SIZE]);
/* What became of a local time that does not exist or exists twice, as a sentence; NULL when there is nothing to say. */
const char *when_note_words(const char *when_note);

#endif
