/*
 * id: makes, reads and writes UUIDs, and is the door to OpenSSL's random and
 * hashed bytes. It knows nothing of what the ids name.
 */
#include "base/id.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static struct id
id_stamp(uint64_t hi, uint64_t lo, uint64_t version)
{
	return (struct id){
		.hi = (hi & ~UINT64_C(0xf000)) | version << 12,
		.lo = (lo & (UINT64_MAX >> 2)) | UINT64_C(2) << 62,
	};
}

struct noise {
	uint64_t lo;
	uint16_t start;
};

/* Many at once: OpenSSL's generator takes as long for one as for fifty. */
static struct noise
noise_take(void)
{
	static struct noise store[64];
	static size_t left;

	if (left == 0) {
		random_bytes(store, sizeof(store));
		left = sizeof(store) / sizeof(store[0]);
	}
	return store[--left];
}

/*
 * RFC 9562, method 1 of 6.2: within a millisecond (or while the clock goes
 * back) the 12 bits after the time are a counter. It starts in the lower half,
 * so at least 2048 ids fit into a millisecond; then the next one is borrowed.
 * The state is not locked: ids are made on the loop only.
 */
struct id
id_new(void)
{
	static uint64_t last_ms;
	static unsigned counter;
	uint64_t now_ms = (uint64_t)clock_machine_ms();
	struct noise noise = noise_take();

	if (now_ms > last_ms) {
		last_ms = now_ms;
		counter = noise.start & 0x7ff;
	} else if (++counter > 0xfff) {
		last_ms++;
		counter = noise.start & 0x7ff;
	}
	return id_stamp(last_ms << 16 | counter, noise.lo, 7);
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool
id_parse(const char *text, struct id *out)
{
	uint64_t half[2] = { 0, 0 };
	int digits = 0;

	for (int i = 0; i < ID_TEXT_SIZE - 1; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i] != '-')
				return false;
			continue;
		}
		int v = hex_value(text[i]);
		if (v < 0)
			return false;
		half[digits / 16] = half[digits / 16] << 4 | (uint64_t)v;
		digits++;
	}
	if (text[ID_TEXT_SIZE - 1] != '\0')
		return false;
	*out = (struct id){ .hi = half[0], .lo = half[1] };
	return true;
}

void
id_format(struct id id, char out[ID_TEXT_SIZE])
{
	static const char hex[] = "0123456789abcdef";
	int digits = 0;

	for (int i = 0; i < ID_TEXT_SIZE - 1; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			out[i] = '-';
			continue;
		}
		uint64_t half = digits < 16 ? id.hi : id.lo;
		out[i] = hex[half >> (60 - digits % 16 * 4) & 15];
		digits++;
	}
	out[ID_TEXT_SIZE - 1] = '\0';
}

int
id_compare(struct id a, struct id b)
{
	if (a.hi != b.hi)
		return a.hi < b.hi ? -1 : 1;
	if (a.lo != b.lo)
		return a.lo < b.lo ? -1 : 1;
	return 0;
}

struct id
id_of_text(const char *text, size_t len)
{
	uint8_t hash[32];
	uint64_t half[2] = { 0, 0 };

	sha256(text, len, hash);
	for (int i = 0; i < 16; i++)
		half[i / 8] = half[i / 8] << 8 | hash[i];
	return id_stamp(half[0], half[1], 8);
}

/* Without random bytes nothing that this process promises would be true. */
void
random_bytes(void *out, size_t len)
{
	assert(len <= INT_MAX);
	if (RAND_bytes(out, (int)len) != 1)
		die(1, "openssl gives no random bytes");
}

/* Fetched once: what EVP_sha256() names is searched for at each use, which takes longer than a short hash itself. */
static const EVP_MD *
sha256_fetched(void)
{
	static EVP_MD *md;

	if (md == NULL && (md = EVP_MD_fetch(NULL, "SHA256", NULL)) == NULL)
		die(1, "openssl has no SHA-256");
	return md;
}

void
sha256(const void *bytes, size_t len, uint8_t out[32])
{
	if (EVP_Digest(bytes, len, out, NULL, sha256_fetched(), NULL) != 1)
		die(1, "out of memory in sha256");
}

/* One for all, as the loop asks for one after the other; HMAC() makes and frees three contexts each time. */
static EVP_MAC_CTX *
hmac_context(void)
{
	static EVP_MAC_CTX *context;
	OSSL_PARAM digest[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){ "SHA256" }, 0),
		OSSL_PARAM_construct_end(),
	};

	if (context != NULL)
		return context;
	EVP_MAC *mac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
	context = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;
	EVP_MAC_free(mac);
	if (context == NULL || EVP_MAC_CTX_set_params(context, digest) != 1)
		die(1, "openssl has no HMAC");
	return context;
}

void
hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len, uint8_t out[32])
{
	EVP_MAC_CTX *context = hmac_context();

	/* A NULL key means "the one before" to OpenSSL. */
	if (EVP_MAC_init(context, key_len > 0 ? key : (const void *)"", key_len, NULL) != 1 ||
	    EVP_MAC_update(context, bytes, len) != 1 || EVP_MAC_final(context, out, NULL, 32) != 1)
		die(1, "out of memory in hmac");
}

void
hex_encode(const uint8_t *bytes, size_t len, char *out)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		*out++ = hex[bytes[i] >> 4];
		*out++ = hex[bytes[i] & 15];
	}
	*out = '\0';
}

char *
base64url_encode(const uint8_t *bytes, size_t len)
{
	char *text = xmalloc(len / 3 * 4 + 5);
	size_t at = 0;
	uint32_t bits = 0;
	int have = 0;

	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | bytes[i];
		for (have += 8; have >= 6; have -= 6)
			text[at++] = base64url[bits >> (have - 6) & 63];
	}
	if (have > 0)
		text[at++] = base64url[bits << (6 - have) & 63];
	text[at] = '\0';
	return text;
}

int
base64url_decode(const char *text, uint8_t *out, size_t max)
{
	size_t at = 0;
	uint32_t bits = 0;
	int have = 0;

	for (; *text != '\0'; text++) {
		const char *letter = strchr(base64url, *text);

		if (letter == NULL)
			return -1;
		bits = bits << 6 | (uint32_t)(letter - base64url);
		have += 6;
		if (have < 8)
			continue;
		if (at == max || at == INT_MAX)
			return -1;
		have -= 8;
		out[at++] = (uint8_t)(bits >> have);
	}
	/* One text for one value: no lone letter, and the bits left over are 0. */
	if (have == 6 || (bits & ((1u << have) - 1)) != 0)
		return -1;
	return (int)at;
}

bool
same_secret(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}
