/*
 * mem: allocation that never returns NULL (out of memory ends the process),
 * and a growing byte buffer. Knows nothing of callbacks.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *xmalloc(size_t);
void *xcalloc(size_t, size_t);
void *xrealloc(void *, size_t);
/* n * size with the product checked for overflow. */
void *xreallocarray(void *, size_t, size_t);
char *xstrdup(const char *);
char *xstrndup(const char *, size_t);
char *xasprintf(const char *, ...) __attribute__((format(printf, 1, 2)));

/* data is always followed by a NUL that len does not count (once anything was added). */
struct buf {
	char *data;
	size_t len;
	size_t cap;
};

void buf_add(struct buf *, const void *, size_t);
void buf_puts(struct buf *, const char *);
void buf_printf(struct buf *, const char *, ...) __attribute__((format(printf, 2, 3)));
/* Forgets the content, keeps the memory. */
void buf_reset(struct buf *);
/* The content becomes the caller's, to free(); the buffer is empty after. */
char *buf_take(struct buf *);
void buf_fini(struct buf *);

#endif
