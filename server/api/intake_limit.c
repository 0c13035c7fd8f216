/*
 * intake_limit: one token bucket for each of three names. It must not know
 * numbers but as hashes: what is in memory may be dumped.
 */
#include "api/intake_limit.h"

#include <arpa/inet.h>

#include <stdlib.h>
#include <string.h>

#include "base/bucket.h"
#include "base/id.h"
#include "base/json.h"
#include "base/mem.h"

/* Of IPv6 the network (/64): every home has 2^64 addresses of its own. */
static char *
address_key(char kind, const char *form, const char *address)
{
	struct in6_addr ip;
	char text[INET6_ADDRSTRLEN];

	if (inet_pton(AF_INET6, address, &ip) == 1) {
		if (!IN6_IS_ADDR_V4MAPPED(&ip)) {
			memset(ip.s6_addr + 8, 0, 8);
			inet_ntop(AF_INET6, &ip, text, sizeof(text));
			return xasprintf("%c:%s:%s/64", kind, form, text);
		}
		inet_ntop(AF_INET, ip.s6_addr + 12, text, sizeof(text));
		address = text;
	}
	return xasprintf("%c:%s:%s", kind, form, address);
}

static char *
number_key(const char *form, const char *phone)
{
	uint8_t hash[32];
	char hex[65];

	sha256(phone, strlen(phone), hash);
	hex_encode(hash, sizeof(hash), hex);
	return xasprintf("n:%s:%s", form, hex);
}

int64_t
intake_limit_take(struct intake_limit *l, struct bucket_table *buckets, const json_t *form,
    const char *address, const char *phone, int64_t now_ms)
{
	const char *key = json_text(form, "key");
	const struct {
		const char *limit, *period;
		char *key;
	} rows[] = {
		{ "address_limit", "address_period_s",
		    address_key('a', key != NULL ? key : "", address) },
		{ "number_limit", "number_period_s", number_key(key != NULL ? key : "", phone) },
		{ "form_limit", "form_period_s", xasprintf("f:%s", key != NULL ? key : "") },
	};
	int64_t wait_ms = 0;

	memset(l, 0, sizeof(*l));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t burst = json_int(form, rows[i].limit, 0);

		if (burst > 0 && wait_ms == 0) {
			wait_ms = bucket_take(buckets, rows[i].key,
			    burst > 1000000000 ? 1000000000 : (int)burst,
			    json_int(form, rows[i].period, 1) * 1000, now_ms);
			if (wait_ms == 0) {
				l->taken[i] = rows[i].key;
				continue;
			}
		}
		free(rows[i].key);
	}
	if (wait_ms > 0)
		intake_limit_give(l, buckets);
	return wait_ms;
}

int64_t
intake_limit_network(struct bucket_table *buckets, const json_t *form, char kind,
    const char *address, int burst, int64_t period_ms, int64_t now_ms)
{
	const char *name = json_text(form, "key");

	if (burst <= 0)
		return 0;
	char *key = address_key(kind, name != NULL ? name : "", address);
	int64_t wait_ms = bucket_take(buckets, key, burst, period_ms, now_ms);

	free(key);
	return wait_ms;
}

void
intake_limit_give(struct intake_limit *l, struct bucket_table *buckets)
{
	for (size_t i = 0; i < sizeof(l->taken) / sizeof(l->taken[0]); i++) {
		if (l->taken[i] != NULL)
			bucket_give(buckets, l->taken[i]);
	}
	intake_limit_fini(l);
}

void
intake_limit_fini(struct intake_limit *l)
{
	for (size_t i = 0; i < sizeof(l->taken) / sizeof(l->taken[0]); i++)
		free(l->taken[i]);
	memset(l, 0, sizeof(*l));
}
