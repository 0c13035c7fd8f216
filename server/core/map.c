/*
 * map: chains behind an array that doubles. It owns the array, never the
 * nodes, and is not meant for keys that strangers choose.
 */
#include "core/map.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

#define MAP_FIRST_BUCKETS 16

void
map_fini(struct map *m)
{
	free(m->buckets);
	*m = (struct map){ 0 };
}

static struct map_node **
bucket(const struct map *m, uint64_t hash)
{
	return &m->buckets[hash & (m->nbuckets - 1)];
}

static void
map_grow(struct map *m)
{
	struct map old = *m;

	m->nbuckets = old.nbuckets > 0 ? old.nbuckets * 2 : MAP_FIRST_BUCKETS;
	m->buckets = xcalloc(m->nbuckets, sizeof(struct map_node *));
	for (size_t i = 0; i < old.nbuckets; i++) {
		struct map_node *next;

		for (struct map_node *n = old.buckets[i]; n != NULL; n = next) {
			struct map_node **head = bucket(m, n->hash);

			next = n->next;
			n->next = *head;
			*head = n;
		}
	}
	free(old.buckets);
}

void
map_insert(struct map *m, struct map_node *n, uint64_t hash)
{
	if (m->count >= m->nbuckets)
		map_grow(m);
	struct map_node **head = bucket(m, hash);

	n->hash = hash;
	n->next = *head;
	*head = n;
	m->count++;
}

void
map_remove(struct map *m, struct map_node *n)
{
	assert(m->count > 0);
	struct map_node **at = bucket(m, n->hash);

	while (*at != n) {
		assert(*at != NULL);
		at = &(*at)->next;
	}
	*at = n->next;
	n->next = NULL;
	m->count--;
}

static struct map_node *
same_hash(struct map_node *n, uint64_t hash)
{
	while (n != NULL && n->hash != hash)
		n = n->next;
	return n;
}

struct map_node *
map_first(const struct map *m, uint64_t hash)
{
	return m->nbuckets > 0 ? same_hash(*bucket(m, hash), hash) : NULL;
}

struct map_node *
map_next(const struct map_node *n)
{
	return same_hash(n->next, n->hash);
}

struct map_node *
map_each(const struct map *m, const struct map_node *n)
{
	if (n != NULL && n->next != NULL)
		return n->next;
	size_t i = n != NULL ? (n->hash & (m->nbuckets - 1)) + 1 : 0;

	while (i < m->nbuckets && m->buckets[i] == NULL)
		i++;
	return i < m->nbuckets ? m->buckets[i] : NULL;
}

/* The last step of splitmix64: a bijection whose every output bit depends on every input bit. */
static uint64_t
mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

uint64_t
map_hash_int(int64_t key)
{
	return mix((uint64_t)key);
}

uint64_t
map_hash_id(struct id id)
{
	return mix(mix(id.hi) ^ id.lo);
}

/* FNV-1a, mixed once more because only the low bits choose the bucket. */
uint64_t
map_hash_bytes(const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
	return mix(hash);
}
