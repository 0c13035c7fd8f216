/*
 * Members of a JSON object, one by one. Must not know what they are for.
 */
#include "api/fields.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/mem.h"

#define PHONE_DIGITS_MIN 5

void
fields_error(struct fields *f, const char *key, const char *message)
{
	if (f->errors == NULL)
		f->errors = json_array();
	json_array_append_new(f->errors, json_pack("{s:s, s:s}", "field", key, "message", message));
}

struct fields
fields_of(const json_t *body, const char *const *known)
{
	struct fields f = { .body = body };

	for (void *it = json_object_iter((json_t *)body); it != NULL;
	     it = json_object_iter_next((json_t *)body, it)) {
		const char *key = json_object_iter_key(it);
		size_t i = 0;
		while (known[i] != NULL && strcmp(known[i], key) != 0)
			i++;
		if (known[i] == NULL)
			fields_error(&f, key, "is not known here");
	}
	return f;
}

/* NULL when absent, which is an error when it is required. */
static const json_t *
field(struct fields *f, const char *key, enum fields_need need)
{
	const json_t *value = json_object_get(f->body, key);

	if (value != NULL && !json_is_null(value))
		return value;
	if (need == FIELDS_REQUIRED)
		fields_error(f, key, "is missing");
	return NULL;
}

const char *
fields_text(struct fields *f, const char *key, enum fields_need need, size_t max)
{
	const json_t *value = field(f, key, need);

	if (value == NULL)
		return NULL;
	if (!json_is_string(value)) {
		fields_error(f, key, "must be text");
	} else if (json_string_length(value) > max) {
		char *message = xasprintf("must not be longer than %zu bytes", max);
		fields_error(f, key, message);
		free(message);
	} else if (json_string_length(value) == 0 && need == FIELDS_REQUIRED) {
		fields_error(f, key, "must not be empty");
	} else {
		return json_string_value(value);
	}
	return NULL;
}

bool
fields_int(struct fields *f, const char *key, enum fields_need need, int64_t min, int64_t max,
    int64_t *out)
{
	const json_t *value = field(f, key, need);

	if (value == NULL)
		return false;
	if (json_is_integer(value) && json_integer_value(value) >= min &&
	    json_integer_value(value) <= max) {
		*out = (int64_t)json_integer_value(value);
		return true;
	}
	char *message =
	    xasprintf("must be a whole number from %lld to %lld", (long long)min, (long long)max);
	fields_error(f, key, message);
	free(message);
	return false;
}

bool
fields_bool(struct fields *f, const char *key)
{
	const json_t *value = field(f, key, FIELDS_OPTIONAL);

	if (value != NULL && !json_is_boolean(value))
		fields_error(f, key, "must be true or false");
	return json_is_true(value);
}

bool
fields_ok(struct fields *f, struct api_call *call)
{
	if (f->errors == NULL)
		return true;
	api_invalid(call, f->errors);
	f->errors = NULL;
	return false;
}

bool
fields_phone(struct fields *f, const char *key, enum fields_need need, char e164[PHONE_E164_SIZE])
{
	const char *text = fields_text(f, key, need, PHONE_TEXT_MAX), *why;
	char region[PHONE_REGION_SIZE];
	enum phone_type type;
	size_t n = 0;

	if (text == NULL)
		return false;
	if (*text != '+') {
		fields_error(f, key, "must begin with + and the country's code");
		return false;
	}
	if (phone_parse(text, "US", e164, region, &type, &why))
		return true;
	e164[n++] = '+';
	for (const char *p = text; *p != '\0' && n < PHONE_E164_SIZE - 1; p++)
		if (isdigit((unsigned char)*p))
			e164[n++] = *p;
	e164[n] = '\0';
	if (n <= PHONE_DIGITS_MIN)
		fields_error(f, key, "is not a telephone number");
	return n > PHONE_DIGITS_MIN;
}
