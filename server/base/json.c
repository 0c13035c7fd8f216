/*
 * json: the door to jansson for whatever strangers send and for what is sent
 * to them. It must not repeat a stranger's bytes in its complaints.
 */
#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/mem.h"

#define JSON_DEPTH_MAX 32

/* jansson answers NULL when out of memory, in more places than anybody checks. */
static __attribute__((constructor)) void
use_checked_memory(void)
{
	json_set_alloc_funcs(xmalloc, free);
}

/*
 * jansson has a limit of its own, 2048, fixed when it was built; whoever walks
 * the value recursively should not need that much stack.
 */
static bool
too_deep(const char *text, size_t len)
{
	int depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > JSON_DEPTH_MAX)
				return true;
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	return false;
}

/* jansson's own text quotes the input, cut within a character at times. */
static const char *
complaint(const json_error_t *error)
{
	switch (json_error_code(error)) {
	case json_error_premature_end_of_input:
		return "the JSON ends too early";
	case json_error_end_of_input_expected:
		return "something follows the end of the JSON";
	case json_error_duplicate_key:
		return "the JSON has a key twice in one object";
	case json_error_numeric_overflow:
		return "the JSON has a number that is too large";
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return "the JSON has a NUL character";
	default:
		return "this is not a JSON object or array";
	}
}

/*
 * PostgreSQL keeps 1e300 exactly, and writes it out as an integer of 301 digits,
 * which jansson cannot read: whatever holds one could never be shown again.
 */
static bool
fits_back(const json_t *value)
{
	const char *key;
	json_t *item;
	size_t i;

	if (json_is_real(value))
		return fabs(json_real_value(value)) < 9223372036854775808.0;
	json_array_foreach (value, i, item)
		if (!fits_back(item))
			return false;
	json_object_foreach ((json_t *)(uintptr_t)value, key, item)
		if (!fits_back(item))
			return false;
	return true;
}

json_t *
json_parse(const char *text, size_t len, const char **why)
{
	static _Thread_local char sentence[128];
	json_error_t error;

	if (!utf8_ok(text, len)) {
		*why = "the JSON is not well-formed UTF-8, or has a NUL";
		return NULL;
	}
	if (too_deep(text, len)) {
		*why = "the JSON is nested deeper than 32";
		return NULL;
	}
	json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (value == NULL) {
		snprintf(sentence, sizeof(sentence), "%s (line %d, column %d)", complaint(&error),
		    error.line, error.column);
		*why = sentence;
	} else if (!fits_back(value)) {
		*why = "the JSON has a number that is too large";
		json_decref(value);
		return NULL;
	}
	return value;
}

const char *
json_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

int64_t
json_int(const json_t *object, const char *key, int64_t fallback)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) ? (int64_t)json_integer_value(value) : fallback;
}

bool
json_bool(const json_t *object, const char *key, bool fallback)
{
	const json_t *value = json_object_get(object, key);

	return json_is_boolean(value) ? json_is_true(value) : fallback;
}

bool
json_id(const json_t *object, const char *key, struct id *id)
{
	const char *text = json_text(object, key);

	return text != NULL && id_parse(text, id);
}

void
json_set_id(json_t *object, const char *key, struct id id)
{
	char text[ID_TEXT_SIZE];

	id_format(id, text);
	json_object_set_new(object, key, json_string(text));
}

char *
json_line(const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	/* Not for lack of memory: a NULL value, or a circle. */
	assert(text != NULL);
	return text;
}

static bool
ends_in_at(const char *key)
{
	size_t len = strlen(key);

	return len >= 3 && strcmp(key + len - 3, "_at") == 0;
}

void
json_times_to_text(json_t *value, const char *except)
{
	size_t i;
	json_t *item;

	json_array_foreach (value, i, item)
		json_times_to_text(item, except);
	for (void *it = json_object_iter(value); it != NULL;
	     it = json_object_iter_next(value, it)) {
		item = json_object_iter_value(it);
		if (strcmp(json_object_iter_key(it), except) == 0)
			continue;
		if (json_is_integer(item) && ends_in_at(json_object_iter_key(it))) {
			char text[CLOCK_TEXT_SIZE];

			clock_format((int64_t)json_integer_value(item), text);
			json_object_iter_set_new(value, it, json_string(text));
		} else {
			json_times_to_text(item, except);
		}
	}
}

/*
 * Length of the character at p, 0 when it is none. The table is Unicode's
 * "well-formed UTF-8 byte sequences": the second byte's range depends on the
 * first, which shuts out overlong forms, surrogates and what is above U+10FFFF.
 */
static size_t
utf8_length(const unsigned char *p, size_t len)
{
	static const struct {
		unsigned char first, last, second_min, second_max, size;
	} rows[] = {
		{ 0x01, 0x7f, 0x00, 0x00, 1 },
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (p[0] < rows[i].first || p[0] > rows[i].last)
			continue;
		size_t size = rows[i].size;
		if (size > len ||
		    (size > 1 && (p[1] < rows[i].second_min || p[1] > rows[i].second_max)))
			return 0;
		for (size_t k = 2; k < size; k++) {
			if (p[k] < 0x80 || p[k] > 0xbf)
				return 0;
		}
		return size;
	}
	return 0;
}

bool
utf8_ok(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;

	for (size_t size; len > 0; p += size, len -= size) {
		size = utf8_length(p, len);
		if (size == 0)
			return false;
	}
	return true;
}
