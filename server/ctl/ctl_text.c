/*
 * How a value of the API looks on a terminal. Much of it was typed by
 * strangers into a form: nothing of it may steer the terminal.
 */
#include "ctl/ctl.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/* C0, DEL and C1 (two bytes, 0xc2 0x80 to 0xc2 0x9f) become "?". */
static void
add_printable(struct buf *out, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		bool c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f;

		if (*p < 0x20 || *p == 0x7f || c1)
			buf_puts(out, "?");
		else
			buf_add(out, p, 1);
		p += c1;
	}
}

static void
add_list(struct buf *out, const json_t *list)
{
	size_t i;
	const json_t *item;

	if (json_array_size(list) == 0)
		buf_puts(out, "-");
	json_array_foreach (list, i, item) {
		if (i > 0)
			buf_puts(out, ",");
		ctl_text_add(out, item);
	}
}

static void
add_object(struct buf *out, const json_t *object)
{
	const char *key, *comma = "";
	json_t *item;

	if (json_object_size(object) == 0)
		buf_puts(out, "-");
	json_object_foreach ((json_t *)(uintptr_t)object, key, item) {
		buf_puts(out, comma);
		add_printable(out, key);
		buf_puts(out, ":");
		ctl_text_add(out, item);
		comma = ",";
	}
}

void
ctl_text_add(struct buf *out, const json_t *value)
{
	switch (value != NULL ? json_typeof(value) : JSON_NULL) {
	case JSON_OBJECT:
		add_object(out, value);
		break;
	case JSON_ARRAY:
		add_list(out, value);
		break;
	case JSON_STRING:
		add_printable(out, json_string_length(value) > 0 ? json_string_value(value) : "-");
		break;
	case JSON_INTEGER:
		buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		break;
	case JSON_REAL:
		buf_printf(out, "%g", json_real_value(value));
		break;
	case JSON_TRUE:
		buf_puts(out, "yes");
		break;
	case JSON_FALSE:
		buf_puts(out, "no");
		break;
	case JSON_NULL:
		buf_puts(out, "-");
		break;
	}
}

size_t
ctl_text_width(const char *text)
{
	size_t len = strlen(text);
	wchar_t *wide = xreallocarray(NULL, len + 1, sizeof(*wide));
	size_t n = mbstowcs(wide, text, len + 1);
	int width = n == (size_t)-1 ? -1 : wcswidth(wide, n);

	free(wide);
	return width < 0 ? len : (size_t)width;
}
