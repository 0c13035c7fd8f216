/*
 * heap: keeps the smallest node first. It owns the array of pointers, never
 * the nodes, and knows nothing of what the order means.
 */
#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

#define HEAP_FIRST_CAP 16

void
heap_init(struct heap *h, heap_less_fn less)
{
	*h = (struct heap){ .less = less };
}

void
heap_fini(struct heap *h)
{
	free(h->nodes);
	h->nodes = NULL;
	h->count = h->cap = 0;
}

struct heap_node *
heap_min(const struct heap *h)
{
	return h->count > 0 ? h->nodes[1] : NULL;
}

static void
put(struct heap *h, size_t at, struct heap_node *n)
{
	h->nodes[at] = n;
	n->at = at;
}

static void
sift_up(struct heap *h, struct heap_node *n, size_t at)
{
	for (; at > 1 && h->less(n, h->nodes[at / 2]); at /= 2)
		put(h, at, h->nodes[at / 2]);
	put(h, at, n);
}

static void
sift_down(struct heap *h, struct heap_node *n, size_t at)
{
	for (;;) {
		size_t child = at * 2;

		if (child > h->count)
			break;
		if (child < h->count && h->less(h->nodes[child + 1], h->nodes[child]))
			child++;
		if (!h->less(h->nodes[child], n))
			break;
		put(h, at, h->nodes[child]);
		at = child;
	}
	put(h, at, n);
}

/* Finds the place of n, starting from a hole at `at`. */
static void
settle(struct heap *h, struct heap_node *n, size_t at)
{
	if (at > 1 && h->less(n, h->nodes[at / 2]))
		sift_up(h, n, at);
	else
		sift_down(h, n, at);
}

void
heap_insert(struct heap *h, struct heap_node *n)
{
	assert(n->at == 0);
	/* Place 0 stays unused: children of i are 2i and 2i + 1, and 0 says "in no heap". */
	if (h->count + 1 >= h->cap) {
		h->cap = h->cap > 0 ? h->cap * 2 : HEAP_FIRST_CAP;
		h->nodes = xreallocarray(h->nodes, h->cap, sizeof(struct heap_node *));
	}
	h->count++;
	sift_up(h, n, h->count);
}

void
heap_remove(struct heap *h, struct heap_node *n)
{
	assert(n->at > 0 && n->at <= h->count && h->nodes[n->at] == n);
	struct heap_node *last = h->nodes[h->count--];
	size_t hole = n->at;

	n->at = 0;
	if (last != n)
		settle(h, last, hole);
}

void
heap_moved(struct heap *h, struct heap_node *n)
{
	assert(n->at > 0 && n->at <= h->count && h->nodes[n->at] == n);
	settle(h, n, n->at);
}
