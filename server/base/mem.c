/*
 * mem: the one place that meets malloc's NULL, and the growing byte buffer.
 * Out of memory ends the process here, so that nobody else has to think of it.
 */
#include "base/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define BUF_FIRST_CAP 64

/* malloc(0) may answer NULL, which is not a failure; ask for a byte instead. */
static size_t
at_least_one(size_t size)
{
	return size > 0 ? size : 1;
}

static void *
checked(void *p, size_t size)
{
	if (p == NULL)
		die(1, "out of memory bytes=%zu", size);
	return p;
}

void *
xmalloc(size_t size)
{
	return checked(malloc(at_least_one(size)), size);
}

void *
xcalloc(size_t n, size_t size)
{
	return checked(calloc(at_least_one(n), at_least_one(size)), size);
}

void *
xrealloc(void *p, size_t size)
{
	return checked(realloc(p, at_least_one(size)), size);
}

void *
xreallocarray(void *p, size_t n, size_t size)
{
	return checked(reallocarray(p, at_least_one(n), at_least_one(size)), size);
}

char *
xstrdup(const char *text)
{
	return checked(strdup(text), strlen(text) + 1);
}

char *
xstrndup(const char *text, size_t max)
{
	return checked(strndup(text, max), max);
}

char *
xasprintf(const char *format, ...)
{
	va_list ap;
	char *text = NULL;

	va_start(ap, format);
	int n = vasprintf(&text, format, ap);
	va_end(ap);
	return checked(n < 0 ? NULL : text, strlen(format));
}

/* Makes room for `more` bytes and the NUL after them. */
static void
make_room(struct buf *b, size_t more)
{
	if (more >= SIZE_MAX / 2 - b->len)
		die(1, "out of memory bytes=%zu", more);
	size_t need = b->len + more + 1;
	if (need <= b->cap)
		return;
	size_t cap = b->cap > 0 ? b->cap : BUF_FIRST_CAP;
	while (cap < need)
		cap *= 2;
	b->data = xrealloc(b->data, cap);
	b->cap = cap;
}

void
buf_add(struct buf *b, const void *bytes, size_t len)
{
	make_room(b, len);
	if (len > 0)
		memcpy(b->data + b->len, bytes, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void
buf_puts(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void
buf_printf(struct buf *b, const char *format, ...)
{
	va_list ap, again;

	va_start(ap, format);
	va_copy(again, ap);
	make_room(b, 0);
	int n = vsnprintf(b->data + b->len, b->cap - b->len, format, ap);
	assert(n >= 0);
	if ((size_t)n >= b->cap - b->len) {
		make_room(b, (size_t)n);
		vsnprintf(b->data + b->len, b->cap - b->len, format, again);
	}
	b->len += (size_t)n;
	va_end(again);
	va_end(ap);
}

void
buf_reset(struct buf *b)
{
	b->len = 0;
	if (b->data != NULL)
		b->data[0] = '\0';
}

char *
buf_take(struct buf *b)
{
	make_room(b, 0);
	char *data = b->data;

	data[b->len] = '\0';
	*b = (struct buf){ 0 };
	return data;
}

void
buf_fini(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ 0 };
}
