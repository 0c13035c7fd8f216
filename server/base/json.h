/*
 * json: jansson with this house's habits: strict, size- and depth-limited
 * parsing, and getters that do not mind a missing key. Knows nothing of
 * callbacks.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

struct id;

/* NULL with a sentence in *why (static or thread-local text) when it is not strict UTF-8 JSON, has a NUL, or is deeper than 32. */
json_t *json_parse(const char *, size_t, const char **why);
/* NULL / fallback when the key is missing or of another type. */
const char *json_text(const json_t *, const char *key);
int64_t json_int(const json_t *, const char *key, int64_t fallback);
bool json_bool(const json_t *, const char *key, bool fallback);
bool json_id(const json_t *, const char *key, struct id *);
void json_set_id(json_t *, const char *key, struct id);
/* Compact text, malloced. */
char *json_line(const json_t *);
/*
 * Turns every integer under a key ending in "_at" (ms since 1970) into RFC 3339
 * text, at any depth but below the key `except`: what a visitor sent is his own,
 * whatever its keys.
 */
void json_times_to_text(json_t *, const char *except);
/* True when the bytes are well-formed UTF-8 without NUL. */
bool utf8_ok(const char *, size_t);

#endif
