/*
 * Deals run numbers. A number too many costs a little time; one too few would
 * decide two commands on one row at once. So rows are compared by hash alone:
 * a collision only starts a run more. Must not know what a kind means.
 */
#include "db/runs.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void
runs_init(struct runs *r)
{
	*r = (struct runs){ .run = 0 };
}

void
runs_fini(struct runs *r)
{
	free(r->seen);
	free(r->keys);
}

/* FNV-1a, and a last mix for the low bits. A collision only makes a run more. */
static uint64_t
hash_bytes(const void *data, size_t len, uint64_t seed)
{
	const unsigned char *at = data;
	uint64_t h = 0xcbf29ce484222325u ^ seed;
	for (size_t i = 0; i < len; i++)
		h = (h ^ at[i]) * 0x100000001b3u;
	return h ^ h >> 32;
}

static void
keys_add(struct runs *r, const json_t *value)
{
	uint64_t key;
	if (json_is_string(value)) {
		key = hash_bytes(json_string_value(value), json_string_length(value), 0);
	} else if (json_is_integer(value)) {
		json_int_t n = json_integer_value(value);
		key = hash_bytes(&n, sizeof(n), 1);
	} else {
		return;
	}
	if (r->n_keys == r->keys_cap) {
		r->keys_cap = r->keys_cap != 0 ? r->keys_cap * 2 : 16;
		r->keys = xreallocarray(r->keys, r->keys_cap, sizeof(*r->keys));
	}
	r->keys[r->n_keys++] = key;
}

static void
keys_of(struct runs *r, const json_t *command)
{
	/* The id too: the same command twice in one batch must find the first one's event. */
	static const char *const names[] = { "id", "callback", "offer", "attempt", "agent", "by" };
	size_t i;
	json_t *to;
	r->n_keys = 0;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		keys_add(r, json_object_get(command, names[i]));
	json_array_foreach (json_object_get(command, "to"), i, to) {
		keys_add(r, json_object_get(to, "offer"));
		keys_add(r, json_object_get(to, "agent"));
	}
}

/* The run is part of the key, so that a new run needs no cleaning. */
static uint64_t
key_in_run(const struct runs *r, uint64_t key)
{
	key ^= (uint64_t)r->run * 0x9e3779b97f4a7c15u;
	return key != 0 ? key : 1;
}

static size_t
seen_slot(const struct runs *r, uint64_t key)
{
	size_t at = key & (r->cap - 1);
	while (r->seen[at] != 0 && r->seen[at] != key)
		at = (at + 1) & (r->cap - 1);
	return at;
}

static void
seen_grow(struct runs *r)
{
	uint64_t *old = r->seen;
	size_t old_cap = r->cap;
	r->cap = old_cap != 0 ? old_cap * 2 : 64;
	r->seen = xcalloc(r->cap, sizeof(*r->seen));
	for (size_t i = 0; i < old_cap; i++)
		if (old[i] != 0)
			r->seen[seen_slot(r, old[i])] = old[i];
	free(old);
}

static void
seen_add(struct runs *r, uint64_t key)
{
	if ((r->count + 1) * 2 > r->cap)
		seen_grow(r);
	size_t at = seen_slot(r, key);
	if (r->seen[at] == 0)
		r->count++;
	r->seen[at] = key;
}

static bool
seen_any(const struct runs *r)
{
	if (r->count == 0)
		return false;
	for (size_t i = 0; i < r->n_keys; i++)
		if (r->seen[seen_slot(r, key_in_run(r, r->keys[i]))] != 0)
			return true;
	return false;
}

/* They name an offer only: two offers of one callback would be one row unseen. */
static bool
needs_callback(const char *kind)
{
	return strcmp(kind, "accept") == 0 || strcmp(kind, "reject") == 0 ||
	    strcmp(kind, "offer_timeout") == 0;
}

int
runs_next(struct runs *r, const json_t *command)
{
	const char *kind = json_string_value(json_object_get(command, "kind"));
	if (kind == NULL)
		kind = "";
	bool solitary = strlen(kind) >= sizeof(r->kind) ||
	    (needs_callback(kind) && !json_is_string(json_object_get(command, "callback")));
	keys_of(r, command);
	if (r->run == 0 || solitary || r->solitary || strcmp(r->kind, kind) != 0 || seen_any(r)) {
		r->run++;
		strncpy(r->kind, kind, sizeof(r->kind) - 1);
	}
	r->solitary = solitary;
	for (size_t i = 0; i < r->n_keys; i++)
		seen_add(r, key_in_run(r, r->keys[i]));
	return r->run;
}
