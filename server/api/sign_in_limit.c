/*
 * sign_in_limit: buckets for who tries passwords. It must not know whether one
 * is right.
 *
 * Comparing takes a tenth of a second of a processor, on purpose, so that a
 * crowd with many addresses could fill the queue for it and keep everybody out.
 * Agents come from where they came yesterday: known networks go first.
 */
#include "api/sign_in_limit.h"

#include <stdlib.h>
#include <string.h>

#include "base/bucket.h"
#include "base/mem.h"
#include "net/address.h"

/* Tries that failed or are under way: of a network, 20 at once and 10 a minute after that ... */
#define NETWORK_BURST 20
#define NETWORK_PERIOD_MS 120000
/* ... and of strangers at one name, wherever they come from. */
#define NAME_BURST 10
#define NAME_PERIOD_MS 60000
/* So long a network is known. */
#define STANDING_MS 86400000

/* Of IPv6 the /64: every home has 2^64 addresses of its own. */
static char *
key_of(const char *what, const char *peer)
{
	char text[ADDRESS_TEXT_SIZE];
	struct address address;

	if (!address_parse(peer, strlen(peer), &address))
		return xasprintf("%s %s", what, peer);
	address = address_network(address);
	address_format(&address, text);
	return xasprintf("%s %s", what, text);
}

int64_t
sign_in_limit_take(struct sign_in_limit *l, struct bucket_table *t, const char *peer,
    const char *tenant, const char *name, int64_t now_ms)
{
	*l = (struct sign_in_limit){ .network = key_of("sign-in", peer),
		.name = xasprintf("sign-in %s/%s", tenant, name),
		.standing = key_of("signed-in", peer) };
	l->known = bucket_look(t, l->standing, 1, STANDING_MS, now_ms) > 0;
	int64_t wait_ms = bucket_take(t, l->network, NETWORK_BURST, NETWORK_PERIOD_MS, now_ms);
	if (wait_ms > 0) {
		sign_in_limit_fini(l);
		return wait_ms;
	}
	if (l->known) {
		free(l->name);
		l->name = NULL;
		return 0;
	}
	wait_ms = bucket_take(t, l->name, NAME_BURST, NAME_PERIOD_MS, now_ms);
	/* The network keeps its mark: whoever hammers at one name is not only told. */
	if (wait_ms > 0)
		sign_in_limit_fini(l);
	return wait_ms;
}

void
sign_in_limit_give(struct sign_in_limit *l, struct bucket_table *t)
{
	if (l->network != NULL)
		bucket_give(t, l->network);
	if (l->name != NULL)
		bucket_give(t, l->name);
	sign_in_limit_fini(l);
}

void
sign_in_limit_succeeded(struct sign_in_limit *l, struct bucket_table *t, int64_t now_ms)
{
	if (l->standing != NULL)
		(void)bucket_take(t, l->standing, 1, STANDING_MS, now_ms);
	sign_in_limit_give(l, t);
}

void
sign_in_limit_fini(struct sign_in_limit *l)
{
	free(l->network);
	free(l->name);
	free(l->standing);
	*l = (struct sign_in_limit){ .known = l->known };
}
