/*
 * multipart: takes a body of parts apart. It must not know what the fields are
 * for, nor believe any length or name it is told.
 */
#include "api/multipart.h"

#include <string.h>
#include <strings.h>

/* All headers of one part. */
#define HEADERS_MAX 4096

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && is_blank(*p))
		p++;
	return p;
}

/*
 * A quoted text from behind its first quote; returns where it ends. A
 * backslash hides a quote or another backslash only: old browsers send
 * C:\dir\file as it is.
 */
static const char *
read_quoted(const char *p, const char *end, char *out, size_t size, size_t *len)
{
	for (; p < end && *p != '"'; p++) {
		if (*p == '\\' && p + 1 < end && (p[1] == '"' || p[1] == '\\'))
			p++;
		if (*len < size)
			out[(*len)++] = *p;
	}
	return p < end ? p + 1 : p;
}

static const char *
read_token(const char *p, const char *end, char *out, size_t size, size_t *len)
{
	for (; p < end && *p != ';' && !is_blank(*p); p++) {
		if (*len < size)
			out[(*len)++] = *p;
	}
	return p;
}

int
header_parameter(const char *header, size_t header_len, const char *name, char *out, size_t size)
{
	const char *end = header + header_len;
	const char *p = memchr(header, ';', header_len);
	size_t name_len = strlen(name);

	while (p != NULL && p < end) {
		p = skip_blanks(p + 1, end);
		const char *key = p;
		while (p < end && *p != '=' && *p != ';')
			p++;
		size_t key_len = (size_t)(p - key);
		if (p == end || *p == ';')
			continue;
		while (key_len > 0 && is_blank(key[key_len - 1]))
			key_len--;
		size_t len = 0;
		p = skip_blanks(p + 1, end);
		if (p < end && *p == '"')
			p = read_quoted(p + 1, end, out, size, &len);
		else
			p = read_token(p, end, out, size, &len);
		if (key_len == name_len && strncasecmp(key, name, key_len) == 0)
			return (int)len;
		p = memchr(p, ';', (size_t)(end - p));
	}
	return -1;
}

/* Behind a delimiter: the line's end, or "--" and the end of it all. */
static enum multipart_step
end_delimiter(struct multipart *m)
{
	if (m->end - m->at >= 2 && memcmp(m->at, "--", 2) == 0)
		return MULTIPART_END;
	m->at = skip_blanks(m->at, m->end);
	if (m->end - m->at < 2 || memcmp(m->at, "\r\n", 2) != 0)
		return MULTIPART_MALFORMED;
	m->at += 2;
	return MULTIPART_PART;
}

bool
multipart_start(struct multipart *m, const char *content_type, const char *body, size_t len)
{
	int n = header_parameter(content_type, strlen(content_type), "boundary", m->delimiter + 4,
	    MULTIPART_BOUNDARY_MAX + 1);

	if (n < 1 || n > MULTIPART_BOUNDARY_MAX || body == NULL)
		return false;
	memcpy(m->delimiter, "\r\n--", 4);
	m->delimiter_len = (size_t)n + 4;
	m->end = body + len;
	/* The first delimiter needs no line's end before it; anything before it is a preamble. */
	if (len >= m->delimiter_len - 2 &&
	    memcmp(body, m->delimiter + 2, m->delimiter_len - 2) == 0) {
		m->at = body + m->delimiter_len - 2;
		return true;
	}
	const char *found = memmem(body, len, m->delimiter, m->delimiter_len);
	if (found == NULL)
		return false;
	m->at = found + m->delimiter_len;
	return true;
}

/* Browsers send a quote and line ends within a name as %22, %0D and %0A, and nothing else so. */
static size_t
unescape_name(char *name, size_t len)
{
	static const struct {
		char escape[4];
		char is;
	} rows[] = { { "%22", '"' }, { "%0D", '\r' }, { "%0A", '\n' } };
	size_t out = 0;

	for (size_t i = 0; i < len; i++) {
		char c = name[i];

		for (size_t k = 0; c == '%' && len - i >= 3 && k < sizeof(rows) / sizeof(rows[0]);
		     k++) {
			if (strncasecmp(name + i, rows[k].escape, 3) == 0) {
				c = rows[k].is;
				i += 2;
			}
		}
		name[out++] = c;
	}
	return out;
}

static bool
read_disposition(struct part *part, const char *value, size_t len)
{
	static const char form_data[] = "form-data";
	size_t want = sizeof(form_data) - 1;
	char nothing[1];

	if (len < want || strncasecmp(value, form_data, want) != 0)
		return false;
	int n = header_parameter(value, len, "name", part->name, sizeof(part->name));
	if (n < 0)
		return false;
	part->name_len = unescape_name(part->name, (size_t)n);
	part->file = header_parameter(value, len, "filename", nothing, 0) >= 0 ||
	    header_parameter(value, len, "filename*", nothing, 0) >= 0;
	return true;
}

static bool
is_plain_encoding(const char *value, size_t len)
{
	static const char *const plain[] = { "7bit", "8bit", "binary" };

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (strlen(plain[i]) == len && strncasecmp(value, plain[i], len) == 0)
			return true;
	}
	return false;
}

static bool
is_header(const char *line, size_t len, const char *name)
{
	return strlen(name) == len && strncasecmp(line, name, len) == 0;
}

/* The headers between at and blank, both exclusive of the empty line; true when they name a field. */
static bool
read_headers(struct part *part, const char *at, const char *blank)
{
	bool named = false;

	while (at < blank) {
		const char *line_end = memmem(at, (size_t)(blank - at), "\r\n", 2);
		if (line_end == NULL)
			line_end = blank;
		const char *colon = memchr(at, ':', (size_t)(line_end - at));
		if (colon == NULL)
			return false;
		const char *value = skip_blanks(colon + 1, line_end);
		const char *value_end = line_end;
		while (value_end > value && is_blank(value_end[-1]))
			value_end--;
		size_t value_len = (size_t)(value_end - value);
		size_t name_len = (size_t)(colon - at);

		if (is_header(at, name_len, "content-disposition")) {
			if (named || !read_disposition(part, value, value_len))
				return false;
			named = true;
		} else if (is_header(at, name_len, "content-transfer-encoding")) {
			part->encoded = !is_plain_encoding(value, value_len);
		}
		at = line_end < blank ? line_end + 2 : blank;
	}
	return named;
}

enum multipart_step
multipart_next(struct multipart *m, struct part *part)
{
	enum multipart_step step = end_delimiter(m);
	if (step != MULTIPART_PART)
		return step;

	size_t left = (size_t)(m->end - m->at);
	const char *blank = memmem(m->at, left < HEADERS_MAX ? left : HEADERS_MAX, "\r\n\r\n", 4);
	part->file = part->encoded = false;
	if (blank == NULL || !read_headers(part, m->at, blank))
		return MULTIPART_MALFORMED;

	/* The empty line's own end may already begin the delimiter: a part without content. */
	const char *found =
	    memmem(blank + 2, (size_t)(m->end - blank - 2), m->delimiter, m->delimiter_len);
	if (found == NULL)
		return MULTIPART_MALFORMED;
	part->value = found > blank + 4 ? blank + 4 : found;
	part->value_len = (size_t)(found - part->value);
	m->at = found + m->delimiter_len;
	return MULTIPART_PART;
}
