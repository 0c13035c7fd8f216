/*
 * bucket: who may do something again, and when. A hash table over a list in
 * order of last use. It knows keys as bytes only, and keeps no key: each is a
 * keyed hash of fixed size, so that neither long keys nor keys chosen to
 * collide cost anything.
 *
 * A bucket is one number (the "generic cell rate algorithm"): the time at
 * which it will be full again. A token moves that time by period / burst.
 */
#include "base/bucket.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/id.h"
#include "base/mem.h"

#define NS_PER_MS 1000000
/* Longest period and latest time whose nanoseconds are far from overflow: 100 years. */
#define MS_MAX INT64_C(3155760000000)

struct bucket {
	LIST_ENTRY(bucket) chain;
	TAILQ_ENTRY(bucket) use; /* head: the longest unused */
	uint64_t hash[4];
	int64_t full_ns;
	int64_t token_ns; /* what the last token taken cost */
};

LIST_HEAD(bucket_chain, bucket);

struct bucket_table {
	TAILQ_HEAD(, bucket) uses;
	struct bucket_chain *chains;
	size_t mask; /* number of chains (a power of two) less one */
	size_t count, max;
	uint8_t seed[32];
};

struct bucket_table *
bucket_table_new(size_t max_keys)
{
	assert(max_keys > 0);
	struct bucket_table *t = xcalloc(1, sizeof(*t));
	size_t chains = 1;

	while (chains < max_keys)
		chains *= 2;
	TAILQ_INIT(&t->uses);
	t->chains = xcalloc(chains, sizeof(*t->chains));
	t->mask = chains - 1;
	t->max = max_keys;
	random_bytes(t->seed, sizeof(t->seed));
	return t;
}

void
bucket_table_free(struct bucket_table *t)
{
	if (t == NULL)
		return;
	for (struct bucket *b; (b = TAILQ_FIRST(&t->uses)) != NULL;) {
		TAILQ_REMOVE(&t->uses, b, use);
		free(b);
	}
	free(t->chains);
	free(t);
}

static struct bucket *
find(struct bucket_table *t, const char *key, uint64_t hash[4])
{
	uint8_t bytes[32];
	struct bucket *b;

	hmac_sha256(t->seed, sizeof(t->seed), key, strlen(key), bytes);
	memcpy(hash, bytes, sizeof(bytes));
	LIST_FOREACH (b, &t->chains[hash[0] & t->mask], chain) {
		if (memcmp(b->hash, hash, sizeof(b->hash)) == 0)
			return b;
	}
	return NULL;
}

/* A new bucket, full; when the table is, in the memory of the longest unused. */
static struct bucket *
make(struct bucket_table *t, const uint64_t hash[4])
{
	struct bucket *b;

	if (t->count < t->max) {
		b = xmalloc(sizeof(*b));
		t->count++;
	} else {
		b = TAILQ_FIRST(&t->uses);
		TAILQ_REMOVE(&t->uses, b, use);
		LIST_REMOVE(b, chain);
	}
	memset(b, 0, sizeof(*b));
	memcpy(b->hash, hash, sizeof(b->hash));
	b->full_ns = INT64_MIN;
	LIST_INSERT_HEAD(&t->chains[hash[0] & t->mask], b, chain);
	TAILQ_INSERT_TAIL(&t->uses, b, use);
	return b;
}

static int64_t
clamp_ms(int64_t ms, int64_t min)
{
	return ms < min ? min : ms > MS_MAX ? MS_MAX : ms;
}

struct measure {
	int64_t now_ns, token_ns, whole_ns;
};

static struct measure
measure_of(int burst, int64_t period_ms, int64_t now_ms)
{
	int64_t token_ns = period_ms * NS_PER_MS / burst;

	if (token_ns == 0)
		token_ns = 1;
	return (struct measure){ clamp_ms(now_ms, 0) * NS_PER_MS, token_ns, token_ns * burst };
}

/* Full, or emptier than empty because the limit was lowered since; ms until a token is there. */
static int64_t
settle(struct bucket *b, const struct measure *m)
{
	if (b->full_ns < m->now_ns)
		b->full_ns = m->now_ns;
	if (b->full_ns > m->now_ns + m->whole_ns)
		b->full_ns = m->now_ns + m->whole_ns;
	int64_t wait_ns = b->full_ns + m->token_ns - (m->now_ns + m->whole_ns);
	return wait_ns > 0 ? (wait_ns + NS_PER_MS - 1) / NS_PER_MS : 0;
}

int64_t
bucket_look(struct bucket_table *t, const char *key, int burst, int64_t period_ms, int64_t now_ms)
{
	uint64_t hash[4];

	period_ms = clamp_ms(period_ms, 1);
	if (burst < 1)
		return period_ms;
	struct measure m = measure_of(burst, period_ms, now_ms);
	struct bucket *b = find(t, key, hash);
	return b != NULL ? settle(b, &m) : 0;
}

int64_t
bucket_take(struct bucket_table *t, const char *key, int burst, int64_t period_ms, int64_t now_ms)
{
	uint64_t hash[4];

	period_ms = clamp_ms(period_ms, 1);
	if (burst < 1)
		return period_ms;
	struct measure m = measure_of(burst, period_ms, now_ms);
	struct bucket *b = find(t, key, hash);

	if (b == NULL) {
		b = make(t, hash);
	} else {
		TAILQ_REMOVE(&t->uses, b, use);
		TAILQ_INSERT_TAIL(&t->uses, b, use);
	}
	int64_t wait_ms = settle(b, &m);
	if (wait_ms > 0)
		return wait_ms;
	b->full_ns += m.token_ns;
	b->token_ns = m.token_ns;
	return 0;
}

void
bucket_give(struct bucket_table *t, const char *key)
{
	uint64_t hash[4];
	struct bucket *b = find(t, key, hash);

	/* Never more than burst: a time in the past means full. */
	if (b != NULL && b->full_ns > INT64_MIN + b->token_ns)
		b->full_ns -= b->token_ns;
}
