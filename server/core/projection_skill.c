/*
 * projection_skill: skills as dense slots, and which agent has the levels for
 * which class. It must not know where callbacks or agents stand.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/projection_impl.h"

#define LEVEL_MAX 10

struct slot {
	struct map_node by_id;
	int id;
	size_t slot;
};

/* Dense, in order of appearance; given to any id that is named, known as a skill or not. */
static size_t
skill_slot(struct projection *p, int64_t id)
{
	uint64_t hash = map_hash_int(id);
	struct map_node *n = map_first(&p->skill_slots, hash);

	if (n != NULL)
		return map_entry(n, struct slot, by_id)->slot;
	struct slot *s = xcalloc(1, sizeof(*s));

	s->id = (int)id;
	s->slot = p->nslots++;
	map_insert(&p->skill_slots, &s->by_id, hash);
	return s->slot;
}

int
skill_id(const struct projection *p, size_t slot)
{
	for (struct map_node *n = map_each(&p->skill_slots, NULL); n != NULL;
	     n = map_each(&p->skill_slots, n)) {
		const struct slot *s = map_entry(n, struct slot, by_id);

		if (s->slot == slot)
			return s->id;
	}
	return 0;
}

static bool
parse_level(const char *key, const json_t *value, int64_t *id, uint8_t *level)
{
	char *end;

	*id = strtoll(key, &end, 10);
	if (end == key || *end != '\0' || *id <= 0 || *id > INT32_MAX || !json_is_integer(value) ||
	    json_integer_value(value) < 1 || json_integer_value(value) > LEVEL_MAX)
		return false;
	*level = (uint8_t)json_integer_value(value);
	return true;
}

bool
skill_levels(
    struct projection *p, const json_t *skills, uint8_t **levels, size_t *n, const char **why)
{
	const char *key;
	json_t *value;

	free(*levels);
	*levels = NULL;
	*n = 0;
	json_object_foreach ((json_t *)(uintptr_t)skills, key, value) {
		int64_t id;
		uint8_t level;

		if (!parse_level(key, value, &id, &level)) {
			*why = "a skill that is not id and level";
			return false;
		}
		size_t slot = skill_slot(p, id);
		if (slot >= *n) {
			*levels = xrealloc(*levels, slot + 1);
			memset(*levels + *n, 0, slot + 1 - *n);
			*n = slot + 1;
		}
		(*levels)[slot] = level;
	}
	return true;
}

bool
skill_needs(struct projection *p, const json_t *skills, struct needs *needs, const char **why)
{
	uint8_t *levels = NULL;
	size_t n;
	bool ok = skill_levels(p, skills, &levels, &n, why);

	free(needs->list);
	*needs = (struct needs){ .list = xcalloc(n, sizeof(struct need)) };
	for (size_t slot = 0; slot < n; slot++) {
		if (levels[slot] > 0)
			needs->list[needs->n++] = (struct need){ slot, levels[slot] };
	}
	free(levels);
	return ok;
}

bool
skill_meets(const struct agent *a, const struct needs *needs)
{
	for (size_t i = 0; i < needs->n; i++) {
		const struct need *need = &needs->list[i];

		if (need->slot >= a->nlevels || a->levels[need->slot] < need->level)
			return false;
	}
	return true;
}

static void
fit(struct projection *p, struct class *c, struct agent *a)
{
	bool fits = (c->agent == 0 || c->agent == a->id) && skill_meets(a, &c->own) &&
	    skill_meets(a, &c->queue->needs);

	if (fits == bits_has(&c->eligible, a->slot))
		return;
	if (fits) {
		bits_add(&c->eligible, a->slot);
		bits_add(&a->classes, c->slot);
		p->candidates[c->slot] += a->available;
	} else {
		bits_drop(&c->eligible, a->slot);
		bits_drop(&a->classes, c->slot);
		p->candidates[c->slot] -= a->available;
	}
}

void
skill_fit_agent(struct projection *p, struct agent *a)
{
	for (size_t i = 0; i < p->nclasses; i++)
		fit(p, p->classes[i], a);
}

void
skill_fit_class(struct projection *p, struct class *c)
{
	for (size_t i = 0; i < p->nagents; i++)
		fit(p, c, p->agents[i]);
}

void
skill_free(struct projection *p)
{
	struct map_node *next;

	for (struct map_node *n = map_each(&p->skill_slots, NULL); n != NULL; n = next) {
		next = map_each(&p->skill_slots, n);
		free(map_entry(n, struct slot, by_id));
	}
	map_fini(&p->skill_slots);
}
