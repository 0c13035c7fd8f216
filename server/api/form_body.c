/*
 * form_body: whatever strangers post, made one list of named texts (or JSON
 * values) within limits. It must not know which fields exist, and no input may
 * end more than its own request.
 */
#include "api/form_body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/multipart.h"
#include "base/id.h"
#include "base/json.h"
#include "base/mem.h"

void
form_error_add(json_t **errors, const char *field, const char *message)
{
	if (*errors == NULL)
		*errors = json_array();
	json_array_append_new(*errors, json_pack("{s:s, s:s}", "field", field, "message", message));
}

static void
refuse(struct form_body *b, const char *field, const char *message)
{
	form_error_add(&b->errors, field, message);
}

static bool
has_control(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		if (*p < 0x20 || *p == 0x7f)
			return true;
	}
	return false;
}

/* Whether a field may be added: false when this is one too many, said once. */
static bool
make_room(struct form_body *b)
{
	if (b->seen++ < FORM_FIELDS_MAX)
		return true;
	if (b->seen == FORM_FIELDS_MAX + 1)
		refuse(b, "", "there are more than 200 fields");
	return false;
}

/* A name that cannot be said back is refused without saying it. */
static bool
name_ok(struct form_body *b, const char *name, size_t len)
{
	const char *message = NULL;

	if (len == 0)
		message = "a field has no name";
	else if (len > FORM_NAME_MAX)
		message = "a field's name is longer than 100 bytes";
	else if (!utf8_ok(name, len))
		message = "a field's name is not well-formed UTF-8, or has a NUL";
	if (message != NULL)
		refuse(b, "", message);
	return message == NULL;
}

/* Takes all three. */
static void
append(struct form_body *b, char *name, char *value, json_t *json)
{
	if (b->count == b->cap) {
		b->cap = b->cap == 0 ? 16 : b->cap * 2;
		b->fields = xreallocarray(b->fields, b->cap, sizeof(*b->fields));
	}
	b->fields[b->count++] = (struct form_field){ .name = name, .value = value, .json = json };
}

/* False when there is no room for any more. */
static bool
add_text(
    struct form_body *b, const char *name, size_t name_len, const char *value, size_t value_len)
{
	if (!make_room(b))
		return false;
	if (!name_ok(b, name, name_len))
		return true;
	char *copy = xstrndup(name, name_len);

	if (has_control(copy))
		refuse(b, "", "a field's name has a control character");
	else if (value_len > FORM_VALUE_MAX)
		refuse(b, copy, "is longer than 16384 bytes");
	else if (!utf8_ok(value, value_len))
		refuse(b, copy, "is not well-formed UTF-8, or has a NUL");
	else {
		append(b, copy, xstrndup(value, value_len), NULL);
		return true;
	}
	free(copy);
	return true;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* As WHATWG's parser: a % that is not followed by two hex digits stands for itself. */
static size_t
url_decode(char *out, const char *in, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = in[i];

		if (c == '+') {
			c = ' ';
		} else if (c == '%' && len - i > 2) {
			int high = hex_digit(in[i + 1]), low = hex_digit(in[i + 2]);

			if (high >= 0 && low >= 0) {
				c = (char)(high << 4 | low);
				i += 2;
			}
		}
		out[n++] = c;
	}
	return n;
}

static enum form_body_verdict
read_urlencoded(struct form_body *b, const char *body, size_t len)
{
	const char *end = body + len;
	char *decoded = xmalloc(len + 1);
	bool room = true;

	for (const char *at = body; at < end && room;) {
		const char *amp = memchr(at, '&', (size_t)(end - at));
		const char *stop = amp != NULL ? amp : end;

		if (stop > at) {
			const char *equals = memchr(at, '=', (size_t)(stop - at));
			const char *name_end = equals != NULL ? equals : stop;
			const char *value = equals != NULL ? equals + 1 : stop;
			size_t name_len = url_decode(decoded, at, (size_t)(name_end - at));
			size_t value_len =
			    url_decode(decoded + name_len, value, (size_t)(stop - value));

			room = add_text(b, decoded, name_len, decoded + name_len, value_len);
		}
		at = stop + 1;
	}
	free(decoded);
	return FORM_BODY_READ;
}

static enum form_body_verdict
malformed(struct form_body *b, const char *why)
{
	snprintf(b->why, sizeof(b->why), "%s", why);
	return FORM_BODY_MALFORMED;
}

static bool
add_part(struct form_body *b, const struct part *part)
{
	const char *message = NULL;

	/* What a browser sends for a file that nobody chose. */
	if (part->file && part->value_len == 0)
		return true;
	if (part->file)
		message = "is a file; files are not taken";
	else if (part->encoded)
		message = "has a transfer encoding; send it as it is";
	if (message == NULL)
		return add_text(b, part->name, part->name_len, part->value, part->value_len);
	if (!make_room(b))
		return false;
	if (name_ok(b, part->name, part->name_len)) {
		char *name = xstrndup(part->name, part->name_len);

		refuse(b, name, message);
		free(name);
	}
	return true;
}

static enum form_body_verdict
read_multipart(struct form_body *b, const char *content_type, const char *body, size_t len)
{
	struct multipart m;
	struct part part;

	if (!multipart_start(&m, content_type, body, len))
		return malformed(b, "the multipart body does not begin with its boundary");
	/* Empty files cost no field, but are counted here: no body has more parts than it may have fields. */
	for (int n = 0; n <= FORM_FIELDS_MAX; n++) {
		switch (multipart_next(&m, &part)) {
		case MULTIPART_END:
			return FORM_BODY_READ;
		case MULTIPART_MALFORMED:
			return malformed(b, "a part of the multipart body has no name, or no end");
		case MULTIPART_PART:
			if (!add_part(b, &part))
				return FORM_BODY_READ;
		}
	}
	return malformed(b, "the multipart body has too many parts");
}

static bool
add_json(struct form_body *b, const char *name, json_t *value)
{
	if (json_is_string(value))
		return add_text(
		    b, name, strlen(name), json_string_value(value), json_string_length(value));
	if (!make_room(b))
		return false;
	if (!name_ok(b, name, strlen(name)))
		return true;
	char *text = json_line(value);

	if (has_control(name))
		refuse(b, "", "a field's name has a control character");
	else if (strlen(text) > FORM_VALUE_MAX)
		refuse(b, name, "is longer than 16384 bytes");
	else {
		append(b, xstrdup(name), text, json_incref(value));
		return true;
	}
	free(text);
	return true;
}

static enum form_body_verdict
read_json(struct form_body *b, const char *body, size_t len)
{
	const char *why;
	json_t *root = json_parse(body, len, &why);
	const char *name;
	json_t *value;

	if (root == NULL)
		return malformed(b, why);
	if (!json_is_object(root)) {
		json_decref(root);
		return malformed(b, "the JSON is not an object");
	}
	json_object_foreach (root, name, value) {
		if (!add_json(b, name, value))
			break;
	}
	json_decref(root);
	return FORM_BODY_READ;
}

bool
form_type_is(const char *content_type, const char *type)
{
	size_t len = strlen(type);

	if (content_type == NULL)
		return false;
	content_type += strspn(content_type, " \t");
	return strncasecmp(content_type, type, len) == 0 &&
	    strchr("; \t", content_type[len]) != NULL; /* or the NUL at its end */
}

static bool
charset_ok(const char *content_type)
{
	char charset[16];
	int n = header_parameter(
	    content_type, strlen(content_type), "charset", charset, sizeof(charset));

	return n < 0 || (n == 5 && strncasecmp(charset, "utf-8", 5) == 0) ||
	    (n == 4 && strncasecmp(charset, "utf8", 4) == 0) ||
	    (n == 8 && strncasecmp(charset, "us-ascii", 8) == 0);
}

enum form_body_verdict
form_body_read(struct form_body *b, const char *content_type, const void *body, size_t len)
{
	memset(b, 0, sizeof(*b));
	if (content_type == NULL || !charset_ok(content_type))
		return FORM_BODY_UNSUPPORTED;
	if (body == NULL)
		body = "";
	if (form_type_is(content_type, "application/x-www-form-urlencoded"))
		return read_urlencoded(b, body, len);
	if (form_type_is(content_type, "multipart/form-data"))
		return read_multipart(b, content_type, body, len);
	if (form_type_is(content_type, "application/json"))
		return read_json(b, body, len);
	return FORM_BODY_UNSUPPORTED;
}

void
form_body_fini(struct form_body *b)
{
	for (size_t i = 0; i < b->count; i++) {
		free(b->fields[i].name);
		free(b->fields[i].value);
		json_decref(b->fields[i].json);
	}
	free(b->fields);
	json_decref(b->errors);
	memset(b, 0, sizeof(*b));
}

const struct form_field *
form_body_next(const struct form_body *b, const char *name, const struct form_field *after)
{
	for (size_t i = after != NULL ? (size_t)(after - b->fields) + 1 : 0; i < b->count; i++) {
		if (strcmp(b->fields[i].name, name) == 0)
			return &b->fields[i];
	}
	return NULL;
}

static bool
is_one_of(const char *name, const char *const *names)
{
	for (; *names != NULL; names++) {
		if (strcmp(name, *names) == 0)
			return true;
	}
	return false;
}

static json_t *
field_json(const struct form_field *f)
{
	return f->json != NULL ? json_incref(f->json) : json_string(f->value);
}

const char *
form_body_text(const struct form_body *body, const char *name, size_t max, json_t **errors)
{
	const struct form_field *f = form_body_next(body, name, NULL);

	if (f == NULL || *f->value == '\0' || json_is_null(f->json))
		return NULL;
	if (form_body_next(body, name, f) != NULL)
		form_error_add(errors, name, "was sent more than once");
	else if (f->json != NULL)
		form_error_add(errors, name, "must be a text");
	else if (strlen(f->value) > max)
		form_error_add(errors, name, "is too long");
	else
		return f->value;
	return NULL;
}

json_t *
form_body_others(const struct form_body *b, const char *const *known)
{
	json_t *others = json_object();

	for (size_t i = 0; i < b->count; i++) {
		const struct form_field *f = &b->fields[i];
		json_t *before = json_object_get(others, f->name);

		if (is_one_of(f->name, known))
			continue;
		/* No JSON object has a name twice: an array here was made here. */
		if (before == NULL)
			json_object_set_new(others, f->name, field_json(f));
		else if (json_is_array(before))
			json_array_append_new(before, field_json(f));
		else
			json_object_set_new(
			    others, f->name, json_pack("[O, o]", before, field_json(f)));
	}
	return others;
}

static int
compare_fields(const void *a, const void *b)
{
	const struct form_field *x = *(const struct form_field *const *)a,
				*y = *(const struct form_field *const *)b;
	int order = strcmp(x->name, y->name);

	if (order != 0)
		return order;
	return x < y ? -1 : x > y;
}

void
form_body_fingerprint(const struct form_body *b, char hex[65])
{
	const struct form_field **sorted = xcalloc(b->count + 1, sizeof(const struct form_field *));
	json_t *list = json_array();
	uint8_t hash[32];

	for (size_t i = 0; i < b->count; i++)
		sorted[i] = &b->fields[i];
	qsort(sorted, b->count, sizeof(const struct form_field *), compare_fields);
	for (size_t i = 0; i < b->count; i++)
		json_array_append_new(
		    list, json_pack("[s, o]", sorted[i]->name, field_json(sorted[i])));
	char *text = json_dumps(list, JSON_COMPACT | JSON_SORT_KEYS);
	sha256(text, strlen(text), hash);
	hex_encode(hash, sizeof(hash), hex);
	free(text);
	json_decref(list);
	free(sorted);
}
