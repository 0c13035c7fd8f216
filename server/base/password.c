/*
 * password: the only place that knows how passwords are kept. It must not log,
 * nor know whose password it is.
 */
#include "base/password.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"

#define PREFIX "$scrypt$ln="
#define R_AND_P ",r=8,p=1$"
#define LN 15
#define LN_MIN 10
#define LN_MAX 17
#define R 8
#define P 1
#define SALT_BYTES 16
#define HASH_BYTES 32
#define SALT_TEXT 22 /* base64url letters of 16 bytes */
#define HASH_TEXT 43

struct stored {
	int ln;
	uint8_t salt[SALT_BYTES];
	uint8_t hash[HASH_BYTES];
};

static void
derive(const char *password, const uint8_t salt[SALT_BYTES], int ln, uint8_t hash[HASH_BYTES])
{
	uint64_t n = UINT64_C(1) << ln;
	/* OpenSSL counts two blocks more than the 128 N r of the paper; its own limit is 32 MiB. */
	uint64_t max_bytes = 128 * R * (n + P + 2) + 4096;

	if (EVP_PBE_scrypt(password, strlen(password), salt, SALT_BYTES, n, R, P, max_bytes, hash,
		HASH_BYTES) != 1)
		die(1, "out of memory in scrypt");
}

char *
password_hash(const char *password)
{
	struct stored s = { .ln = LN };

	random_bytes(s.salt, sizeof(s.salt));
	derive(password, s.salt, s.ln, s.hash);
	char *salt = base64url_encode(s.salt, sizeof(s.salt));
	char *hash = base64url_encode(s.hash, sizeof(s.hash));
	char *text = xasprintf(PREFIX "%d" R_AND_P "%s$%s", s.ln, salt, hash);

	free(salt);
	free(hash);
	OPENSSL_cleanse(&s, sizeof(s));
	return text;
}

static bool
parse(const char *text, struct stored *s)
{
	char salt[SALT_TEXT + 1];

	if (strncmp(text, PREFIX, strlen(PREFIX)) != 0)
		return false;
	text += strlen(PREFIX);
	if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9')
		return false;
	s->ln = (text[0] - '0') * 10 + (text[1] - '0');
	text += 2;
	if (s->ln < LN_MIN || s->ln > LN_MAX || strncmp(text, R_AND_P, strlen(R_AND_P)) != 0)
		return false;
	text += strlen(R_AND_P);
	if (strlen(text) != SALT_TEXT + 1 + HASH_TEXT || text[SALT_TEXT] != '$')
		return false;
	memcpy(salt, text, SALT_TEXT);
	salt[SALT_TEXT] = '\0';
	return base64url_decode(salt, s->salt, SALT_BYTES) == SALT_BYTES &&
	    base64url_decode(text + SALT_TEXT + 1, s->hash, HASH_BYTES) == HASH_BYTES;
}

bool
password_check(const char *password, const char *stored)
{
	struct stored s = { .ln = LN };
	uint8_t hash[HASH_BYTES];

	if (stored != NULL && !parse(stored, &s))
		return false;
	derive(password, s.salt, s.ln, hash);
	bool same = same_secret(hash, s.hash, sizeof(hash)) && stored != NULL;
	OPENSSL_cleanse(hash, sizeof(hash));
	return same;
}
