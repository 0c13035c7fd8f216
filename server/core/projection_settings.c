/*
 * projection_settings: what administrators set up, as the model sees it. It
 * must not know where callbacks or agents stand.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "core/match.h"
#include "core/projection_impl.h"

/* ---- tenant, skill, disposition: kept to be shown ---- */

bool
settings_tenant(struct projection *p, const json_t *image, const char **why)
{
	if (json_int(image, "epoch", p->epoch) != p->epoch) {
		*why = "another epoch";
		return false;
	}
	if (p->tenant == NULL || json_int(p->tenant, "seq", 0) < json_int(image, "seq", 0))
		image_keep(&p->tenant, image);
	return true;
}

static bool
setting_put(struct map *m, const json_t *image, const char **why)
{
	int id;
	uint64_t seq;

	if (!image_head(image, &id, &seq, why))
		return false;
	struct map_node *n = map_first(m, map_hash_int(id));
	struct setting *s = n != NULL ? map_entry(n, struct setting, by_id) : NULL;

	if (s == NULL) {
		s = xcalloc(1, sizeof(*s));
		s->id = id;
		map_insert(m, &s->by_id, map_hash_int(id));
	} else if (s->seq >= seq) {
		return true;
	}
	s->seq = seq;
	image_keep(&s->image, image);
	return true;
}

bool
settings_skill(struct projection *p, const json_t *image, const char **why)
{
	return setting_put(&p->skills, image, why);
}

bool
settings_disposition(struct projection *p, const json_t *image, const char **why)
{
	return setting_put(&p->dispositions, image, why);
}

/* ---- queues ---- */

struct queue *
settings_queue_find(const struct projection *p, int id)
{
	struct map_node *n = map_first(&p->queues, map_hash_int(id));

	return n != NULL ? map_entry(n, struct queue, by_id) : NULL;
}

struct queue *
settings_queue_named(const struct projection *p, const char *name)
{
	struct map_node *n = map_first(&p->queues_by_name, map_hash_bytes(name, strlen(name)));

	for (; n != NULL; n = map_next(n)) {
		struct queue *q = map_entry(n, struct queue, by_name);

		if (strcmp(q->name, name) == 0)
			return q;
	}
	return NULL;
}

static struct queue *
queue_new(struct projection *p, int id)
{
	struct queue *q = xcalloc(1, sizeof(*q));
	struct queue *before = TAILQ_LAST(&p->queue_list, queue_list_head);

	q->id = id;
	LIST_INIT(&q->classes);
	deadline_init(&p->deadlines, &q->extend, DEADLINE_QUEUE);
	map_insert(&p->queues, &q->by_id, map_hash_int(id));
	while (before != NULL && before->id > id)
		before = TAILQ_PREV(before, queue_list_head, link);
	if (before != NULL)
		TAILQ_INSERT_AFTER(&p->queue_list, before, q, link);
	else
		TAILQ_INSERT_HEAD(&p->queue_list, q, link);
	return q;
}

/*
 * What is open when, and when to ask for more of it: the database works it out
 * for 400 days. The list is not kept twice.
 */
static bool
queue_hours(struct projection *p, struct queue *q, const char **why)
{
	int64_t until = json_int(q->image, "open_until", INT64_MAX);

	if (!hours_read(&q->hours, json_object_get(q->image, "openings"), why))
		return false;
	json_object_del(q->image, "openings");
	deadline_set(&p->deadlines, &q->extend,
	    q->removed || until == INT64_MAX ? INT64_MAX : until - OPENINGS_LEFT_MS);
	return true;
}

static bool
queue_parse(struct projection *p, struct queue *q, const json_t *image, const char **why)
{
	const char *strategy = json_text(image, "strategy");
	int64_t ring_max = json_int(image, "ring_max", 0);

	if (q->name != NULL)
		map_remove(&p->queues_by_name, &q->by_name);
	image_keep(&q->image, image);
	q->name = json_text(q->image, "name");
	if (q->name == NULL || strategy == NULL || ring_max < 1) {
		q->name = NULL;
		*why = "a queue without name, strategy or ring_max";
		return false;
	}
	map_insert(&p->queues_by_name, &q->by_name, map_hash_bytes(q->name, strlen(q->name)));
	q->removed = json_bool(image, "removed", false);
	/* A strategy that only a newer node knows is served by the plain one here. */
	if (!strategy_parse(strategy, &q->strategy))
		q->strategy = STRATEGY_LONGEST_IDLE;
	q->ring_max = ring_max < MATCH_MAX ? (size_t)ring_max : MATCH_MAX;
	q->ring_step_ms = json_int(image, "ring_step_s", 10) * 1000;
	q->cooldown_ms = json_int(image, "reject_cooldown_s", 0) * 1000;
	q->max_offers = json_int(image, "max_offers", INT64_MAX);
	if (!queue_hours(p, q, why))
		return false;
	return skill_needs(p, json_object_get(image, "skills"), &q->needs, why);
}

bool
settings_queue(struct projection *p, const json_t *image, const char **why)
{
	int id;
	uint64_t seq;
	struct class *c;

	if (!image_head(image, &id, &seq, why))
		return false;
	struct queue *q = settings_queue_find(p, id);

	if (q == NULL)
		q = queue_new(p, id);
	else if (q->seq >= seq)
		return true;
	q->seq = seq;
	if (!queue_parse(p, q, image, why))
		return false;
	LIST_FOREACH (c, &q->classes, of_queue) {
		skill_fit_class(p, c);
		match_class_wake(p, c);
	}
	live_queue_changed(p, q);
	return true;
}

/* ---- forms ---- */

struct form *
settings_form_keyed(const struct projection *p, const char *key)
{
	struct map_node *n = map_first(&p->forms_by_key, map_hash_bytes(key, strlen(key)));

	for (; n != NULL; n = map_next(n)) {
		struct form *f = map_entry(n, struct form, by_key);

		if (strcmp(f->key, key) == 0)
			return f;
	}
	return NULL;
}

static struct form *
form_new(struct projection *p, int id)
{
	struct form *f = xcalloc(1, sizeof(*f));
	struct form *before = TAILQ_LAST(&p->form_list, form_list_head);

	f->id = id;
	map_insert(&p->forms, &f->by_id, map_hash_int(id));
	while (before != NULL && before->id > id)
		before = TAILQ_PREV(before, form_list_head, link);
	if (before != NULL)
		TAILQ_INSERT_AFTER(&p->form_list, before, f, link);
	else
		TAILQ_INSERT_HEAD(&p->form_list, f, link);
	return f;
}

bool
settings_form(struct projection *p, const json_t *image, const char **why)
{
	int id;
	uint64_t seq;

	if (!image_head(image, &id, &seq, why))
		return false;
	struct map_node *n = map_first(&p->forms, map_hash_int(id));
	struct form *f = n != NULL ? map_entry(n, struct form, by_id) : form_new(p, id);

	if (n != NULL && f->seq >= seq)
		return true;
	f->seq = seq;
	if (f->key != NULL)
		map_remove(&p->forms_by_key, &f->by_key);
	image_keep(&f->image, image);
	f->removed = json_bool(image, "removed", false);
	f->key = json_text(f->image, "key");
	if (f->key == NULL) {
		*why = "a form without a key";
		return false;
	}
	map_insert(&p->forms_by_key, &f->by_key, map_hash_bytes(f->key, strlen(f->key)));
	return true;
}

/* ---- requirement classes: made once, never changed ---- */

struct class *
settings_class_find(const struct projection *p, int id)
{
	struct map_node *n = map_first(&p->classes_by_id, map_hash_int(id));

	return n != NULL ? map_entry(n, struct class, by_id) : NULL;
}

static struct class *
class_new(struct projection *p, int id, struct queue *q)
{
	struct class *c = xcalloc(1, sizeof(*c));

	c->id = id;
	c->queue = q;
	c->wake_at = INT64_MAX;
	waiting_init(p, &c->due, DEADLINE_DUE);
	LIST_INSERT_HEAD(&q->classes, c, of_queue);
	map_insert(&p->classes_by_id, &c->by_id, map_hash_int(id));
	if (p->nclasses == p->classes_cap) {
		p->classes_cap = p->classes_cap > 0 ? p->classes_cap * 2 : 16;
		p->classes = xreallocarray(p->classes, p->classes_cap, sizeof(*p->classes));
		p->candidates =
		    xreallocarray(p->candidates, p->classes_cap, sizeof(*p->candidates));
	}
	c->slot = p->nclasses;
	p->candidates[c->slot] = 0;
	p->classes[p->nclasses++] = c;
	return c;
}

bool
settings_class(struct projection *p, const json_t *image, const char **why)
{
	int64_t id = json_int(image, "id", 0);
	int64_t queue = json_int(image, "queue", 0);
	struct queue *q =
	    queue > 0 && queue <= INT32_MAX ? settings_queue_find(p, (int)queue) : NULL;

	if (id <= 0 || id > INT32_MAX || q == NULL) {
		*why = "a class without an id, or of an unknown queue";
		return false;
	}
	if (settings_class_find(p, (int)id) != NULL)
		return true;
	struct class *c = class_new(p, (int)id, q);

	image_keep(&c->image, image);
	c->agent = (int)json_int(image, "agent", 0);
	if (!skill_needs(p, json_object_get(image, "skills"), &c->own, why))
		return false;
	skill_fit_class(p, c);
	return true;
}

/* ---- secrets: from a load only, for no event tells them ---- */

bool
settings_secret(struct projection *p, const json_t *image, const char **why)
{
	int64_t id = json_int(image, "id", 0);
	const char *purpose = json_text(image, "purpose");
	uint8_t value[32];
	struct secret *before;

	if (purpose == NULL || !hex_hash(json_text(image, "value"), value)) {
		*why = "a secret without purpose or value";
		return false;
	}
	struct secret *s = xcalloc(1, sizeof(*s));

	s->id = (int)id;
	s->newest = json_bool(image, "newest", false);
	s->created_at = json_int(image, "created_at", 0);
	s->purpose = xstrdup(purpose);
	memcpy(s->value, value, sizeof(s->value));
	TAILQ_FOREACH (before, &p->secrets, link) {
		if (s->newest != before->newest ? s->newest : s->id > before->id)
			break;
	}
	if (before != NULL)
		TAILQ_INSERT_BEFORE(before, s, link);
	else
		TAILQ_INSERT_TAIL(&p->secrets, s, link);
	return true;
}

void
settings_secrets_free(struct projection *p)
{
	struct secret *s;

	while ((s = TAILQ_FIRST(&p->secrets)) != NULL) {
		TAILQ_REMOVE(&p->secrets, s, link);
		explicit_bzero(s->value, sizeof(s->value));
		free(s->purpose);
		free(s);
	}
}

/* ---- the end ---- */

static void
setting_map_free(struct map *m)
{
	struct map_node *next;

	for (struct map_node *n = map_each(m, NULL); n != NULL; n = next) {
		struct setting *s = map_entry(n, struct setting, by_id);

		next = map_each(m, n);
		json_decref(s->image);
		free(s);
	}
	map_fini(m);
}

static void
classes_free(struct projection *p)
{
	for (size_t i = 0; i < p->nclasses; i++) {
		struct class *c = p->classes[i];

		deadline_fini(&p->deadlines, &c->due.load);
		bits_fini(&c->eligible);
		free(c->own.list);
		json_decref(c->image);
		free(c);
	}
	free(p->classes);
	free(p->candidates);
	map_fini(&p->classes_by_id);
}

static void
queues_free(struct projection *p)
{
	struct queue *q;

	while ((q = TAILQ_FIRST(&p->queue_list)) != NULL) {
		TAILQ_REMOVE(&p->queue_list, q, link);
		free(q->needs.list);
		hours_fini(&q->hours);
		deadline_fini(&p->deadlines, &q->extend);
		json_decref(q->image);
		free(q);
	}
	map_fini(&p->queues);
	map_fini(&p->queues_by_name);
}

void
settings_free(struct projection *p)
{
	struct form *f;

	setting_map_free(&p->skills);
	setting_map_free(&p->dispositions);
	skill_free(p);
	classes_free(p);
	queues_free(p);
	while ((f = TAILQ_FIRST(&p->form_list)) != NULL) {
		TAILQ_REMOVE(&p->form_list, f, link);
		json_decref(f->image);
		free(f);
	}
	map_fini(&p->forms);
	map_fini(&p->forms_by_key);
	settings_secrets_free(p);
	json_decref(p->tenant);
}
