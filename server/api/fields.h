/*
 * fields: reads the members of a request's JSON object, each with its limits,
 * and gathers what is wrong with them for one answer.
 */
#ifndef API_FIELDS_H
#define API_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "api/phone.h"

struct api_call;

struct fields {
	const json_t *body;	/* borrowed; NULL: no body, which is an object without members */
	json_t *errors;		/* NULL: none yet */
};

enum fields_need { FIELDS_OPTIONAL, FIELDS_REQUIRED };

/* known ends with NULL: a member that is not in it is an error, so that a misspelt one is not silently ignored. */
struct fields fields_of(const json_t *body, const char *const *known);
/* NULL when absent (or null, or wrong: then an error is noted). At most max bytes; a required one not empty. */
const char *fields_text(struct fields *, const char *key, enum fields_need, size_t max);
/* False when absent or wrong. */
bool fields_int(struct fields *, const char *key, enum fields_need, int64_t min, int64_t max, int64_t *);
bool fields_bool(struct fields *, const char *key);
/*
 * A number that is written with + and the country's code, in E.164. One that would be refused today may have been
 * taken by yesterday's tables, so its digits will do. False: there is none.
 */
bool fields_phone(struct fields *, const char *key, enum fields_need, char e164[PHONE_E164_SIZE]);
void fields_error(struct fields *, const char *key, const char *message);
/* True when nothing was wrong; else answers 422 with all errors. */
bool fields_ok(struct fields *, struct api_call *);

#endif
