/*
 * link: the contact's signed link, a capability for one callback: tenant and
 * callback in the clear, and a signature that only a secret of the tenant's
 * makes. Nothing is stored for it. It must not know what the link is good for.
 */
#include "api/api.h"

#include <string.h>

#include "base/id.h"
#include "node/node.h"
#include "node/tenant.h"

#define NAMES_SIZE 20 /* tenant 4, callback 16, big endian */
#define MAC_SIZE 16
#define TOKEN_SIZE (NAMES_SIZE + MAC_SIZE)

static void
put_number(uint8_t *out, uint64_t value, int bytes)
{
	for (int i = bytes - 1; i >= 0; i--, value >>= 8)
		out[i] = (uint8_t)value;
}

static uint64_t
get_number(const uint8_t *in, int bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < bytes; i++)
		value = value << 8 | in[i];
	return value;
}

char *
api_link_token(struct tenant *tenant, struct id callback)
{
	uint8_t token[TOKEN_SIZE], secret[32], mac[32];
	const struct projection *p = tenant_projection(tenant);

	if (p == NULL ||
	    !projection_signing_secret(p, "link", node_now_ms(tenant_node(tenant)), secret))
		return NULL;
	put_number(token, (uint64_t)tenant_id(tenant), 4);
	put_number(token + 4, callback.hi, 8);
	put_number(token + 12, callback.lo, 8);
	hmac_sha256(secret, sizeof(secret), token, NAMES_SIZE, mac);
	explicit_bzero(secret, sizeof(secret));
	memcpy(token + NAMES_SIZE, mac, MAC_SIZE);
	return base64url_encode(token, sizeof(token));
}

struct check {
	const uint8_t *token;
	bool good;
};

static bool
check_secret(void *arg, const uint8_t secret[32])
{
	struct check *check = arg;
	uint8_t mac[32];

	hmac_sha256(secret, 32, check->token, NAMES_SIZE, mac);
	check->good = same_secret(mac, check->token + NAMES_SIZE, MAC_SIZE);
	return !check->good;
}

bool
api_link_verify(struct node *node, const char *text, struct tenant **tenant, struct id *callback)
{
	uint8_t token[TOKEN_SIZE];
	struct check check = { .token = token };

	if (base64url_decode(text, token, sizeof(token)) != TOKEN_SIZE)
		return false;
	uint64_t number = get_number(token, 4);
	if (number == 0 || number > INT32_MAX)
		return false;
	*tenant = node_tenant(node, (int)number);
	if (*tenant == NULL || tenant_projection(*tenant) == NULL)
		return false;
	projection_each_secret(tenant_projection(*tenant), "link", check_secret, &check);
	callback->hi = get_number(token + 4, 8);
	callback->lo = get_number(token + 12, 8);
	return check.good;
}
