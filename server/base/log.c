/*
 * log: puts a fact on one line and writes it with one write(2). It must not
 * allocate (it reports running out of memory) nor know what the facts mean.
 */
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

/* PIPE_BUF (4096): a write up to that size is never mixed with another's. */
#define LINE_MAX_BYTES PIPE_BUF
/* The longest escape of one byte, "...", and the newline. */
#define LINE_TAIL_BYTES 8

static const char *const level_names[] = {
	[LOG_LEVEL_DEBUG] = "debug",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_ERROR] = "error",
};

/* Atomic because the worker thread may log while a reload sets it. */
static atomic_int threshold = LOG_LEVEL_INFO;

void
log_level_set(enum log_level level)
{
	atomic_store(&threshold, (int)level);
}

bool
log_level_parse(const char *name, enum log_level *level)
{
	for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

bool
log_level_on(enum log_level level)
{
	return (int)level >= atomic_load(&threshold);
}

/* C2 80 to C2 9F are the C1 controls in UTF-8. */
static bool
is_c1(const char *pair)
{
	return (unsigned char)pair[0] == 0xc2 && (unsigned char)pair[1] >= 0x80 &&
	    (unsigned char)pair[1] <= 0x9f;
}

static bool
is_control(const char *text, size_t at)
{
	unsigned char c = (unsigned char)text[at];

	/* text ends in a NUL, so there is a byte after this one. */
	return c < 0x20 || c == 0x7f || is_c1(text + at) || (at > 0 && is_c1(text + at - 1));
}

/*
 * Control characters become \n, \t or \xNN, so that no text in a fact can
 * begin a line of its own or command a terminal.
 */
static size_t
escape(char *out, size_t room, const char *text, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	size_t at = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (at + LINE_TAIL_BYTES > room) {
			memcpy(out + at, "...", 3);
			return at + 3;
		}
		if (!is_control(text, i)) {
			out[at++] = (char)c;
			continue;
		}
		out[at++] = '\\';
		if (c == '\n' || c == '\t') {
			out[at++] = c == '\n' ? 'n' : 't';
			continue;
		}
		out[at++] = 'x';
		out[at++] = hex[c >> 4];
		out[at++] = hex[c & 15];
	}
	return at;
}

static void
write_line(enum log_level level, const char *format, va_list ap)
{
	int saved_errno = errno;
	char text[LINE_MAX_BYTES];
	char line[LINE_MAX_BYTES];
	char when[CLOCK_TEXT_SIZE];

	int n = vsnprintf(text, sizeof(text), format, ap);
	size_t len = n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;

	clock_format(clock_machine_ms(), when);
	size_t at = (size_t)snprintf(line, sizeof(line), "%s %s ", when, level_names[level]);
	at += escape(line + at, sizeof(line) - at, text, len);
	line[at++] = '\n';

	/* A log that cannot be written must not stop the server. */
	while (write(STDERR_FILENO, line, at) < 0 && errno == EINTR)
		continue;
	errno = saved_errno;
}

#define LOG_AT(level, format) \
	do { \
		va_list ap; \
		if (!log_level_on(level)) \
			return; \
		va_start(ap, format); \
		write_line(level, format, ap); \
		va_end(ap); \
	} while (0)

void
log_debug(const char *format, ...)
{
	LOG_AT(LOG_LEVEL_DEBUG, format);
}

void
log_info(const char *format, ...)
{
	LOG_AT(LOG_LEVEL_INFO, format);
}

void
log_warn(const char *format, ...)
{
	LOG_AT(LOG_LEVEL_WARN, format);
}

void
log_error(const char *format, ...)
{
	LOG_AT(LOG_LEVEL_ERROR, format);
}

void
die(int code, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	write_line(LOG_LEVEL_ERROR, format, ap);
	va_end(ap);
	exit(code);
}
