/* hours: see hours.h. */
#include "core/hours.h"

#include <stdlib.h>

#include "base/mem.h"

void
hours_fini(struct hours *h)
{
	free(h->list);
	*h = (struct hours){ 0 };
}

bool
hours_read(struct hours *h, const json_t *list, const char **why)
{
	struct hours fresh = { 0 };
	int64_t end = INT64_MIN;

	if (json_is_array(list)) {
		fresh.some = true;
		fresh.n = json_array_size(list);
		fresh.list = xreallocarray(NULL, fresh.n, sizeof(*fresh.list));
	}
	for (size_t i = 0; i < fresh.n; i++) {
		const json_t *one = json_array_get(list, i);
		struct opening *o = &fresh.list[i];

		o->opens_at = json_integer_value(json_array_get(one, 0));
		o->closes_at = json_integer_value(json_array_get(one, 1));
		if (o->opens_at <= end || o->closes_at <= o->opens_at) {
			free(fresh.list);
			*why = "openings that are not in order";
			return false;
		}
		end = o->closes_at;
	}
	hours_fini(h);
	*h = fresh;
	return true;
}

/* The first that closes after it; NULL: none that is known. */
static const struct opening *
opening_after(const struct hours *h, int64_t at)
{
	size_t low = 0, high = h->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (h->list[middle].closes_at > at)
			high = middle;
		else
			low = middle + 1;
	}
	return low < h->n ? &h->list[low] : NULL;
}

int64_t
hours_from(const struct hours *h, int64_t at)
{
	if (!h->some)
		return at;
	const struct opening *o = opening_after(h, at);

	if (o == NULL)
		return INT64_MAX;
	return o->opens_at > at ? o->opens_at : at;
}

bool
hours_open(const struct hours *h, int64_t at, int64_t *until)
{
	*until = INT64_MAX;
	if (!h->some)
		return true;
	const struct opening *o = opening_after(h, at);

	if (o == NULL || o->opens_at > at)
		return false;
	*until = o->closes_at;
	return true;
}
