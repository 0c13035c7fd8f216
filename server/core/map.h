/*
 * map: an intrusive hash table. It knows hashes, not keys: whoever asks walks
 * the nodes of one hash and compares. The nodes live in the owner's structs.
 */
#ifndef CORE_MAP_H
#define CORE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/id.h"

struct map_node {
	struct map_node *next;
	uint64_t hash;
};

/* All zeroes is an empty map. */
struct map {
	struct map_node **buckets;
	size_t nbuckets;
	size_t count;
};

void map_fini(struct map *);
void map_insert(struct map *, struct map_node *, uint64_t hash);
void map_remove(struct map *, struct map_node *);
/* The first node of that hash, and the next of the same hash; NULL: no more. */
struct map_node *map_first(const struct map *, uint64_t hash);
struct map_node *map_next(const struct map_node *);
/* All nodes in no order: NULL asks for the first. Ask for the next before removing the present one. */
struct map_node *map_each(const struct map *, const struct map_node *);

/* Different integers have different hashes, so a node found by one needs no comparing. */
uint64_t map_hash_int(int64_t);
uint64_t map_hash_id(struct id);
uint64_t map_hash_bytes(const void *, size_t);

#define map_entry(n, type, field) ((type *)(void *)((char *)(n) - offsetof(type, field)))

#endif
