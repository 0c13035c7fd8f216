/*
 * log: one key=value line per fact, to standard error (journald's or the
 * terminal's). Knows nothing of callbacks. Never give it names, telephone
 * numbers, passwords or tokens.
 *
 *	log_info("agent=%d from=%s to=%s", id, a, b);
 * prints
 *	2026-11-23T07:00:00.123Z info agent=17 from=ready to=offered
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

void log_level_set(enum log_level);
/* "debug" | "info" | "warn" | "error"; false when the name is none of them. */
bool log_level_parse(const char *, enum log_level *);
bool log_level_on(enum log_level);

void log_debug(const char *, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *, ...) __attribute__((format(printf, 1, 2)));

/* Cannot start (or out of memory): says why and exits with that code. */
void die(int, const char *, ...) __attribute__((format(printf, 2, 3), noreturn));

#endif
