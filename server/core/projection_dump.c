/*
 * projection_dump: the whole model as one JSON value, for the test that a
 * snapshot and the events after it equal a later load. What depends on the way
 * it came to be (windows' ends, what is in flight) or on the clock is left out,
 * and so are secrets.
 */
#include <stdio.h>

#include "base/json.h"
#include "core/projection_impl.h"

static void
put_int(json_t *object, int id, json_t *value)
{
	char key[16];

	snprintf(key, sizeof(key), "%d", id);
	json_object_set_new(object, key, value);
}

static void
put_id(json_t *object, struct id id, json_t *value)
{
	char key[ID_TEXT_SIZE];

	id_format(id, key);
	json_object_set_new(object, key, value);
}

static json_t *
dump_settings(const struct map *m)
{
	json_t *all = json_object();

	for (struct map_node *n = map_each(m, NULL); n != NULL; n = map_each(m, n)) {
		const struct setting *s = map_entry(n, struct setting, by_id);

		put_int(all, s->id, json_deep_copy(s->image));
	}
	return all;
}

static json_t *
dump_queues(const struct projection *p)
{
	json_t *all = json_object();
	const struct queue *q;

	TAILQ_FOREACH (q, &p->queue_list, link) {
		json_t *image = json_deep_copy(q->image), *openings = json_array();

		for (size_t i = 0; i < q->hours.n; i++)
			json_array_append_new(openings,
			    json_pack("[I, I]", (json_int_t)q->hours.list[i].opens_at,
				(json_int_t)q->hours.list[i].closes_at));
		json_object_set_new(image, "openings", openings);
		put_int(all, q->id, image);
	}
	return all;
}

static json_t *
dump_forms(const struct projection *p)
{
	json_t *all = json_object();
	const struct form *f;

	TAILQ_FOREACH (f, &p->form_list, link)
		put_int(all, f->id, json_deep_copy(f->image));
	return all;
}

static json_t *
dump_classes(const struct projection *p)
{
	json_t *all = json_object();

	for (size_t i = 0; i < p->nclasses; i++)
		put_int(all, p->classes[i]->id, json_deep_copy(p->classes[i]->image));
	return all;
}

static json_t *
dump_agents(const struct projection *p)
{
	json_t *all = json_object();

	for (size_t i = 0; i < p->nagents; i++) {
		const struct agent *a = p->agents[i];
		json_t *status = a->status != NULL ? json_deep_copy(a->status) : json_null();

		put_int(all, a->id,
		    json_pack("{s:o, s:o, s:s}", "agent", json_deep_copy(a->image), "status",
			status, "activity", roster_activity(a)));
	}
	return all;
}

static json_t *
dump_sessions(const struct projection *p)
{
	json_t *all = json_object();

	for (struct map_node *n = map_each(&p->sessions, NULL); n != NULL;
	     n = map_each(&p->sessions, n)) {
		const struct session *s = map_entry(n, struct session, by_hash);
		char key[65];

		hex_encode(s->token_hash, sizeof(s->token_hash), key);
		json_object_set_new(all, key,
		    json_pack("{s:i, s:I}", "agent", s->agent->id, "expires_at",
			(json_int_t)s->expires_at));
	}
	return all;
}

static json_t *
dump_tried(const struct callback *cb)
{
	json_t *list = json_array();

	for (size_t i = 0; i < cb->ntried; i++)
		json_array_append_new(
		    list, json_pack("[i, I]", cb->tried[i].agent_id, (json_int_t)cb->tried[i].at));
	return list;
}

/* Of those that wait no image is kept. Whether it is due is the clock's matter. */
static json_t *
dump_waiting(const struct callback *cb)
{
	json_t *one = json_pack("{s:I, s:s, s:i, s:I, s:I, s:I, s:o}", "seq", (json_int_t)cb->seq,
	    "state", callback_state_name(cb->state), "class", cb->class->id, "priority",
	    (json_int_t)cb->priority, "due_at", (json_int_t)cb->due_at, "promise_at",
	    (json_int_t)cb->promise_at, "tried", dump_tried(cb));

	if (cb->expires_at != INT64_MAX)
		json_object_set_new(one, "expires_at", json_integer(cb->expires_at));
	if (cb->widen_at != INT64_MAX)
		json_object_set_new(one, "widen_at", json_integer(cb->widen_at));
	if (cb->preferred != 0)
		json_object_set_new(one, "preferred",
		    json_pack("[i, I]", cb->preferred, (json_int_t)cb->preferred_until));
	return one;
}

static json_t *
dump_callbacks(const struct projection *p)
{
	json_t *all = json_object();

	for (struct map_node *n = map_each(&p->callbacks, NULL); n != NULL;
	     n = map_each(&p->callbacks, n)) {
		const struct callback *cb = map_entry(n, struct callback, by_id);

		put_id(
		    all, cb->id, cb->image != NULL ? json_deep_copy(cb->image) : dump_waiting(cb));
	}
	return all;
}

static json_t *
dump_offers(const struct projection *p)
{
	json_t *all = json_object();

	for (struct map_node *n = map_each(&p->offers, NULL); n != NULL;
	     n = map_each(&p->offers, n)) {
		const struct offer *o = map_entry(n, struct offer, by_id);

		put_id(all, o->id, json_deep_copy(o->image));
	}
	return all;
}

static json_t *
dump_attempts(const struct projection *p)
{
	json_t *all = json_object();

	for (struct map_node *n = map_each(&p->attempts, NULL); n != NULL;
	     n = map_each(&p->attempts, n)) {
		const struct attempt *a = map_entry(n, struct attempt, by_id);

		put_id(all, a->id, json_deep_copy(a->image));
	}
	return all;
}

json_t *
projection_dump(const struct projection *p)
{
	json_t *all = json_pack("{s:i, s:I}", "epoch", p->epoch, "seq", (json_int_t)p->seq);

	json_object_set_new(all, "tenant", json_deep_copy(p->tenant));
	json_object_set_new(all, "skills", dump_settings(&p->skills));
	json_object_set_new(all, "dispositions", dump_settings(&p->dispositions));
	json_object_set_new(all, "queues", dump_queues(p));
	json_object_set_new(all, "forms", dump_forms(p));
	json_object_set_new(all, "classes", dump_classes(p));
	json_object_set_new(all, "agents", dump_agents(p));
	json_object_set_new(all, "sessions", dump_sessions(p));
	json_object_set_new(all, "callbacks", dump_callbacks(p));
	json_object_set_new(all, "offers", dump_offers(p));
	json_object_set_new(all, "attempts", dump_attempts(p));
	return all;
}
