/*
 * deadline: one heap for every wait. It knows when, and not what for: the
 * router reads the kind.
 */
#include "core/deadline.h"

#include <assert.h>

static bool
sooner(const struct heap_node *na, const struct heap_node *nb)
{
	const struct deadline *a = heap_entry(na, struct deadline, node);
	const struct deadline *b = heap_entry(nb, struct deadline, node);

	return a->at != b->at ? a->at < b->at : a->serial < b->serial;
}

void
deadlines_init(struct deadlines *ds)
{
	*ds = (struct deadlines){ 0 };
	heap_init(&ds->heap, sooner);
}

void
deadlines_fini(struct deadlines *ds)
{
	heap_fini(&ds->heap);
}

struct deadline *
deadlines_first(const struct deadlines *ds)
{
	struct heap_node *n = heap_min(&ds->heap);

	return n != NULL ? heap_entry(n, struct deadline, node) : NULL;
}

void
deadline_init(struct deadlines *ds, struct deadline *d, enum deadline_kind kind)
{
	*d = (struct deadline){ .at = INT64_MAX, .serial = ++ds->serial, .kind = kind };
}

void
deadline_fini(struct deadlines *ds, struct deadline *d)
{
	if (heap_in(&d->node))
		heap_remove(&ds->heap, &d->node);
}

void
deadline_set(struct deadlines *ds, struct deadline *d, int64_t at)
{
	bool wanted = at != INT64_MAX && !d->in_flight;

	d->at = at;
	if (wanted && heap_in(&d->node))
		heap_moved(&ds->heap, &d->node);
	else if (wanted)
		heap_insert(&ds->heap, &d->node);
	else
		deadline_fini(ds, d);
}

void
deadline_clear(struct deadlines *ds, struct deadline *d)
{
	deadline_set(ds, d, INT64_MAX);
}

void
deadline_send(struct deadlines *ds, struct deadline *d)
{
	assert(!d->in_flight);
	d->in_flight = true;
	deadline_set(ds, d, d->at);
}

void
deadline_back(struct deadlines *ds, struct deadline *d, int64_t again_at)
{
	if (!d->in_flight)
		return;
	d->in_flight = false;
	deadline_set(ds, d, d->at < again_at ? again_at : d->at);
}
