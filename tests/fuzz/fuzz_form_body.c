/*
 * fuzz_form_body: a stranger's Content-Type (up to the first line's end, or
 * one of ours by its first digit) and body. Whatever they are, what was read
 * keeps the promises of form_body.h.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/form_body.h"
#include "api/intake_check.h"
#include "base/json.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Kept when assert() is not. */
static void
must(bool so)
{
	if (!so)
		abort();
}

static void
check_fields(const struct form_body *b)
{
	must(b->count <= FORM_FIELDS_MAX && json_array_size(b->errors) <= FORM_FIELDS_MAX + 1);
	for (size_t i = 0; i < b->count; i++) {
		const struct form_field *f = &b->fields[i];
		size_t name = strlen(f->name), value = strlen(f->value);

		must(name > 0 && name <= FORM_NAME_MAX && value <= FORM_VALUE_MAX);
		must(utf8_ok(f->name, name) && utf8_ok(f->value, value));
		must(f->json == NULL || !json_is_string(f->json));
	}
}

static char *
canonical(const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT);

	must(text != NULL);
	return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = { "application/x-www-form-urlencoded",
		"multipart/form-data; boundary=X", "application/json" };
	const uint8_t *line = memchr(data, '\n', size);
	struct form_body b;
	char hex[65];

	if (line == NULL)
		return 0;
	char *type = xstrndup((const char *)data, (size_t)(line - data));
	const char *use = *type >= '0' && *type <= '2' ? types[*type - '0'] : type;
	size_t len = size - (size_t)(line + 1 - data);
	/* A copy, so that a byte read past its end is seen. */
	char *body = xmalloc(len > 0 ? len : 1);
	memcpy(body, line + 1, len);

	enum form_body_verdict verdict = form_body_read(&b, use, body, len);
	free(body);
	must(verdict != FORM_BODY_MALFORMED || b.why[0] != '\0');
	check_fields(&b);
	form_body_fingerprint(&b, hex);
	json_t *others = form_body_others(&b, intake_fields);
	free(canonical(others));
	json_decref(others);
	intake_is_robot(&b);
	for (const struct form_field *f = NULL; (f = form_body_next(&b, "when", f)) != NULL;)
		intake_local_ok(f->value);
	form_body_fini(&b);
	free(type);
	return 0;
}
