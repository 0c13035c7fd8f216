/*
 * hours: when a queue is open, in UTC as the database has worked it out. It
 * knows neither zones nor weeks.
 */
#ifndef CORE_HOURS_H
#define CORE_HOURS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

struct opening {
	int64_t opens_at, closes_at; /* ms */
};

/* All zeroes: always open. */
struct hours {
	bool some;
	struct opening *list; /* in order; they do not touch */
	size_t n;
};

void hours_fini(struct hours *);
/* [[opens, closes], ...], or NULL: always. False, with a sentence, when it is something else; then it is as it was. */
bool hours_read(struct hours *, const json_t *list, const char **why);
/* The first moment at or after at when it is open; INT64_MAX: none that is known. */
int64_t hours_from(const struct hours *, int64_t at);
/* False: it is closed then. True: it is open, and closes at *until; INT64_MAX: never. */
bool hours_open(const struct hours *, int64_t at, int64_t *until);

#endif
