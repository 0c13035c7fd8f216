/*
 * calendar: writes an iCalendar object. It must not know what is in it.
 */
#include "api/calendar.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

#define LINE_MAX_OCTETS 75

/* "a,b" -> "a\,b": TEXT of RFC 5545, 3.3.11. */
static void
add_escaped(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			buf_puts(out, "\\n");
		else if (strchr("\\;,", *text) != NULL)
			buf_printf(out, "\\%c", *text);
		else if ((unsigned char)*text >= 0x20 && *text != 0x7f)
			buf_add(out, text, 1);
	}
}

/* A content line, folded (3.1): never within a character. */
static void
add_line(struct buf *out, const char *line)
{
	size_t left = strlen(line), most = LINE_MAX_OCTETS;

	while (left > most) {
		size_t n = most;

		while (n > 1 && ((unsigned char)line[n] & 0xc0) == 0x80)
			n--;
		buf_add(out, line, n);
		buf_puts(out, "\r\n ");
		line += n;
		left -= n;
		/* The blank counts. */
		most = LINE_MAX_OCTETS - 1;
	}
	buf_puts(out, line);
	buf_puts(out, "\r\n");
}

static void
add_text(struct buf *out, const char *name, const char *text)
{
	struct buf line = { 0 };

	buf_printf(&line, "%s:", name);
	add_escaped(&line, text);
	add_line(out, line.data);
	buf_fini(&line);
}

static void
add_time(struct buf *out, const char *name, int64_t ms)
{
	time_t at = (time_t)(ms / 1000);
	struct tm tm;
	char text[32];

	gmtime_r(&at, &tm);
	strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", &tm);
	buf_printf(out, "%s:%s\r\n", name, text);
}

char *
calendar_text(const struct calendar *c)
{
	struct buf out = { 0 };

	buf_printf(&out,
	    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//callbackd//callbackd//EN\r\n"
	    "METHOD:%s\r\nBEGIN:VEVENT\r\n",
	    c->cancelled ? "CANCEL" : "PUBLISH");
	add_text(&out, "UID", c->uid);
	buf_printf(&out, "SEQUENCE:%lld\r\n", (long long)c->sequence);
	add_time(&out, "DTSTAMP", c->stamp_ms);
	add_time(&out, "DTSTART", c->start_ms);
	if (c->duration_s % 60 == 0)
		buf_printf(&out, "DURATION:PT%lldM\r\n", (long long)(c->duration_s / 60));
	else
		buf_printf(&out, "DURATION:PT%lldS\r\n", (long long)c->duration_s);
	buf_printf(
	    &out, "STATUS:%s\r\nTRANSP:TRANSPARENT\r\n", c->cancelled ? "CANCELLED" : "CONFIRMED");
	add_text(&out, "SUMMARY", c->summary);
	if (c->description != NULL)
		add_text(&out, "DESCRIPTION", c->description);
	if (c->url != NULL) {
		/* A URI is no TEXT: nothing in it is escaped. */
		char *line = xasprintf("URL:%s", c->url);

		add_line(&out, line);
		free(line);
	}
	buf_puts(&out, "END:VEVENT\r\nEND:VCALENDAR\r\n");
	return buf_take(&out);
}
