/*
 * page: fills in a page. It must not know what is on it; what makes it safe
 * is that the only values it can write are escaped.
 */
#include "api/page.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define NAME_MAX_BYTES 63
#define DEPTH_MAX 16

struct rendering {
	struct buf out;
	page_part_fn part;
	void *arg;
};

/* The values seen from within a section: its own, then those around it. */
struct scope {
	const json_t *values;
	const struct scope *outer;
	int depth;
};

enum tag_kind { TAG_VALUE, TAG_PART, TAG_SECTION, TAG_INVERTED, TAG_END };

struct tag {
	enum tag_kind kind;
	char name[NAME_MAX_BYTES + 1];
	const char *start, *behind;
};

/* The next tag at or behind p; false when there is none (or one that is not closed). */
static bool
tag_find(const char *p, const char *end, struct tag *tag)
{
	const char *open = memmem(p, (size_t)(end - p), "{{", 2);

	if (open == NULL)
		return false;
	tag->start = open;
	p = open + 2;
	const char *close = p < end && *p == '{' ? "}}}" : "}}";
	tag->kind = TAG_VALUE;
	if (p < end && strchr("{#^/", *p) != NULL) {
		tag->kind = *p == '{' ? TAG_PART
		    : *p == '#'	      ? TAG_SECTION
		    : *p == '^'	      ? TAG_INVERTED
				      : TAG_END;
		p++;
	}
	const char *stop = memmem(p, (size_t)(end - p), close, strlen(close));
	if (stop == NULL || stop - p > NAME_MAX_BYTES)
		return false;
	memcpy(tag->name, p, (size_t)(stop - p));
	tag->name[stop - p] = '\0';
	tag->behind = stop + strlen(close);
	return true;
}

static const json_t *
scope_get(const struct scope *s, const char *name)
{
	for (; s != NULL; s = s->outer) {
		const json_t *value = json_object_get(s->values, name);

		if (value != NULL)
			return value;
	}
	return NULL;
}

static bool
is_there(const json_t *value)
{
	if (json_is_string(value))
		return json_string_length(value) > 0;
	if (json_is_array(value))
		return json_array_size(value) > 0;
	return value != NULL && !json_is_false(value) && !json_is_null(value);
}

static void
write_escaped(struct buf *out, const char *text)
{
	for (;;) {
		size_t plain = strcspn(text, "&<>\"'");

		buf_add(out, text, plain);
		text += plain;
		switch (*text++) {
		case '&':
			buf_puts(out, "&amp;");
			break;
		case '<':
			buf_puts(out, "&lt;");
			break;
		case '>':
			buf_puts(out, "&gt;");
			break;
		case '"':
			buf_puts(out, "&quot;");
			break;
		case '\'':
			buf_puts(out, "&#39;");
			break;
		default:
			return;
		}
	}
}

static void
write_value(struct rendering *r, const json_t *value)
{
	if (json_is_string(value))
		write_escaped(&r->out, json_string_value(value));
	else if (json_is_integer(value))
		buf_printf(&r->out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
}

/* Where the section's end tag begins, *behind it; the template's end when it has none. */
static const char *
section_end(const struct tag *section, const char *end, const char **behind)
{
	struct tag tag;
	int depth = 1;

	for (const char *p = section->behind; tag_find(p, end, &tag); p = tag.behind) {
		if (strcmp(tag.name, section->name) != 0)
			continue;
		if (tag.kind == TAG_SECTION || tag.kind == TAG_INVERTED)
			depth++;
		else if (tag.kind == TAG_END && --depth == 0) {
			*behind = tag.behind;
			return tag.start;
		}
	}
	*behind = end;
	return end;
}

static void render(struct rendering *, const char *, const char *, const struct scope *);

static void
render_section(
    struct rendering *r, const struct tag *tag, const char *end, const struct scope *scope)
{
	const json_t *value = scope_get(scope, tag->name);

	if (scope->depth == DEPTH_MAX)
		return;
	if (tag->kind == TAG_INVERTED || !json_is_array(value)) {
		struct scope inner = { NULL, scope, scope->depth + 1 };

		if (is_there(value) == (tag->kind == TAG_SECTION))
			render(r, tag->behind, end, &inner);
		return;
	}
	for (size_t i = 0; i < json_array_size(value); i++) {
		struct scope inner = { json_array_get(value, i), scope, scope->depth + 1 };

		render(r, tag->behind, end, &inner);
	}
}

/* One that holds itself ends, too. */
static void
render_part(struct rendering *r, const char *part, const struct scope *scope)
{
	struct scope inner = { NULL, scope, scope->depth + 1 };

	if (scope->depth < DEPTH_MAX)
		render(r, part, part + strlen(part), &inner);
}

static void
render(struct rendering *r, const char *p, const char *end, const struct scope *scope)
{
	struct tag tag;

	while (tag_find(p, end, &tag)) {
		buf_add(&r->out, p, (size_t)(tag.start - p));
		p = tag.behind;
		if (tag.kind == TAG_VALUE) {
			write_value(r, scope_get(scope, tag.name));
		} else if (tag.kind == TAG_PART) {
			const char *part = r->part != NULL ? r->part(r->arg, tag.name) : NULL;

			if (part != NULL)
				render_part(r, part, scope);
		} else if (tag.kind != TAG_END) {
			const char *section = section_end(&tag, end, &p);

			render_section(r, &tag, section, scope);
		}
	}
	buf_add(&r->out, p, (size_t)(end - p));
}

char *
page_render(const char *template, const json_t *values, page_part_fn part, void *arg)
{
	struct rendering r = { .part = part, .arg = arg };
	struct scope scope = { .values = values };

	render(&r, template, template + strlen(template), &scope);
	buf_puts(&r.out, "");
	return buf_take(&r.out);
}
