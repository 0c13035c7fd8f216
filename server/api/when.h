/*
 * when: a time as people ask for it, into the arguments of a command. PURE. SQL
 * knows the zones, and has the last word (sql/functions/promise_move.sql).
 */
#ifndef API_WHEN_H
#define API_WHEN_H

#include <stdbool.h>

#include <jansson.h>

#define WHEN_MAX 40	/* bytes */
#define WHEN_WRONG                                                                                                     \
	"must be \"asap\", a local time such as 2026-11-24T10:00, or one with an offset such as "                      \
	"2026-11-24T10:00:00+01:00"

/* "when" (asap, or a local time to the minute or second) or "at" (ms) into args; false when text is none of these. */
bool when_args(const char *text, json_t *args);
/* True when a zone could have that name. */
bool when_zone_ok(const char *name);

#endif
