/*
 * id: UUIDs of version 7 (time-ordered), made by the node for callbacks,
 * offers, attempts and commands; and random and hashed bytes (OpenSSL).
 */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct id {
	uint64_t hi, lo;
};

#define ID_TEXT_SIZE 37
struct id id_new(void);
bool id_parse(const char *, struct id *);
void id_format(struct id, char out[ID_TEXT_SIZE]);
static inline bool id_equal(struct id a, struct id b) { return a.hi == b.hi && a.lo == b.lo; }
static inline bool id_is_zero(struct id a) { return a.hi == 0 && a.lo == 0; }
/* -1, 0, 1 in byte order, as PostgreSQL's uuid compares. */
int id_compare(struct id, struct id);
/* A UUID (version 8) made of a SHA-256: the same text gives the same id. */
struct id id_of_text(const char *text, size_t len);

void random_bytes(void *, size_t);
void sha256(const void *, size_t, uint8_t out[32]);
/* On the loop only, as id_new(). */
void hmac_sha256(const void *key, size_t key_len, const void *, size_t, uint8_t out[32]);
/* Lower-case hex, 2n+1 bytes; and base64url without padding. */
void hex_encode(const uint8_t *, size_t, char *out);
/* Returns a malloced text. */
char *base64url_encode(const uint8_t *, size_t);
/* Bytes written (at most max), or -1 when it is not base64url or is too long. */
int base64url_decode(const char *, uint8_t *out, size_t max);
/* True when equal; takes the same time whatever they hold. */
bool same_secret(const void *, const void *, size_t);

#endif
