/*
 * projection_attempt: the dials that are under way. It must not know what becomes
 * of their callbacks.
 */
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "core/projection_impl.h"

struct attempt *
live_attempt_find(const struct projection *p, struct id id)
{
	struct map_node *n = map_first(&p->attempts, map_hash_id(id));

	for (; n != NULL; n = map_next(n)) {
		struct attempt *a = map_entry(n, struct attempt, by_id);

		if (id_equal(a->id, id))
			return a;
	}
	return NULL;
}

void
live_attempt_drop(struct projection *p, struct attempt *a)
{
	map_remove(&p->attempts, &a->by_id);
	json_decref(a->image);
	free(a);
}

bool
live_attempt(struct projection *p, const json_t *image, const char **why)
{
	struct id id, callback;
	uint64_t seq;

	if (!json_id(image, "id", &id) || !json_id(image, "callback", &callback) ||
	    !image_seq(image, &seq)) {
		*why = "an attempt without id, callback or seq";
		return false;
	}
	struct attempt *a = live_attempt_find(p, id);

	if (a != NULL && a->seq >= seq)
		return true;
	if (json_object_get(image, "ended_at") != NULL) {
		if (a != NULL)
			live_attempt_drop(p, a);
		return true;
	}
	if (a == NULL) {
		a = xcalloc(1, sizeof(*a));
		a->id = id;
		map_insert(&p->attempts, &a->by_id, map_hash_id(id));
	}
	a->callback = callback;
	a->seq = seq;
	a->agent_id = (int)json_int(image, "agent", 0);
	image_keep(&a->image, image);
	return true;
}
