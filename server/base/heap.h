/*
 * heap: an intrusive binary heap, smallest first. The node lives in the
 * owner's struct and knows its place, so removal needs no search.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

struct heap_node {
	size_t at;		/* 1-based place; 0: in no heap */
};

/* True when the first goes before the second; must be a strict total order. */
typedef bool (*heap_less_fn)(const struct heap_node *, const struct heap_node *);

struct heap {
	struct heap_node **nodes;
	size_t count;
	size_t cap;
	heap_less_fn less;
};

void heap_init(struct heap *, heap_less_fn);
void heap_fini(struct heap *);
struct heap_node *heap_min(const struct heap *);	/* NULL when empty */
void heap_insert(struct heap *, struct heap_node *);
void heap_remove(struct heap *, struct heap_node *);
/* The owner changed the node's key. */
void heap_moved(struct heap *, struct heap_node *);
static inline bool heap_in(const struct heap_node *n) { return n->at != 0; }

#define heap_entry(n, type, field) ((type *)(void *)((char *)(n) - offsetof(type, field)))

#endif
