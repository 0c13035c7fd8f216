/*
 * bucket: token buckets by key (an address, a number's hash, a form's key), in
 * bounded memory: when full, the longest unused key is forgotten. Time is a
 * parameter (monotonic ms).
 */
#ifndef BASE_BUCKET_H
#define BASE_BUCKET_H

#include <stddef.h>
#include <stdint.h>

struct bucket_table;

struct bucket_table *bucket_table_new(size_t max_keys);
void bucket_table_free(struct bucket_table *);
/*
 * Takes one token of the bucket `key`, which holds at most `burst` and gains
 * `burst` per `period_ms`. Returns 0 when taken, else the ms until one is there.
 */
int64_t bucket_take(struct bucket_table *, const char *key, int burst,
    int64_t period_ms, int64_t now_ms);
/* The same answer, but takes nothing. */
int64_t bucket_look(struct bucket_table *, const char *key, int burst, int64_t period_ms, int64_t now_ms);
/* Puts a token back: what it was taken for did not happen. */
void bucket_give(struct bucket_table *, const char *key);

#endif
