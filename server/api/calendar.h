/*
 * calendar: one call as an iCalendar object (RFC 5545). PURE.
 */
#ifndef API_CALENDAR_H
#define API_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

struct calendar {
	const char *uid;		/* the same for ever */
	int64_t sequence;		/* grows with every change */
	int64_t stamp_ms, start_ms;
	int64_t duration_s;
	bool cancelled;
	const char *summary, *description, *url;	/* texts; description and url may be NULL */
};

/* METHOD:PUBLISH, or CANCEL; lines of at most 75 octets that end in CRLF. Malloced. */
char *calendar_text(const struct calendar *);

#endif
