/*
 * form_body: what a web form sent (application/x-www-form-urlencoded,
 * multipart/form-data, or one JSON object) as one ordered list of fields. PURE:
 * knows neither HTTP nor what the fields mean.
 */
#ifndef API_FORM_BODY_H
#define API_FORM_BODY_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#define FORM_FIELDS_MAX 200
#define FORM_NAME_MAX 100	/* bytes */
#define FORM_VALUE_MAX 16384	/* bytes; of a JSON value that is no text, its JSON's */

struct form_field {
	char *name;
	char *value;		/* text; of a JSON value that is no text, its JSON */
	json_t *json;		/* such a value; NULL: it is text */
};

struct form_body {
	struct form_field *fields;	/* in the order sent */
	size_t count, cap;
	size_t seen;			/* count, and those that were refused */
	json_t *errors;			/* [{"field":…,"message":…}]; NULL none */
	char why[160];			/* malformed: the sentence */
};

enum form_body_verdict {
	FORM_BODY_READ,		/* errors may name fields that were refused, which are not in the list */
	FORM_BODY_UNSUPPORTED,	/* a media type or a charset that is none of ours */
	FORM_BODY_MALFORMED	/* why says how */
};

/* content_type: the header's text, or NULL. Whatever the verdict, form_body_fini() must follow. */
enum form_body_verdict form_body_read(struct form_body *, const char *content_type, const void *, size_t)
    __attribute__((warn_unused_result));
void form_body_fini(struct form_body *);

/* The field of that name after `after` (NULL: the first), or NULL. */
const struct form_field *form_body_next(const struct form_body *, const char *name, const struct form_field *after);
/*
 * The text of the one field of that name (borrowed); NULL: there is none, or it is
 * empty, or it is wrong, which is noted: no text, longer than max bytes, or twice.
 */
const char *form_body_text(const struct form_body *, const char *name, size_t max, json_t **errors);
/*
 * The fields whose name is none of known (ended by NULL), as an object. A name
 * that was sent more than once becomes an array. New reference.
 */
json_t *form_body_others(const struct form_body *, const char *const *known);
/* SHA-256, in hex, of the fields sorted by name; values of one name stay in their order. */
void form_body_fingerprint(const struct form_body *, char hex[65]);
/* Appends {"field":…,"message":…}, making the array when it is NULL. */
void form_error_add(json_t **errors, const char *field, const char *message);
/* True when the header names that media type ("application/json"), whatever its parameters. */
bool form_type_is(const char *content_type, const char *type);

#endif
