/*
 * world_image: world's objects as the database shows them (sql/functions/image.sql).
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "world.h"

static struct id
number_id(int kind, int n)
{
	return (
	    struct id){ UINT64_C(0x7000) | (uint64_t)kind << 16, UINT64_C(2) << 62 | (uint64_t)n };
}

struct id
world_callback_id(int n)
{
	return number_id(1, n);
}
struct id
world_offer_id(int n)
{
	return number_id(2, n);
}
struct id
world_attempt_id(int n)
{
	return number_id(3, n);
}
struct id
world_node_id(int n)
{
	return number_id(4, n);
}

int
world_number(struct id id)
{
	return (int)(id.lo & 0xffffff);
}

static void
set_time(json_t *image, const char *key, int64_t at)
{
	if (at != 0 && at != INT64_MAX)
		json_object_set_new(image, key, json_integer(at));
}

static json_t *
skills_image(const char *skills)
{
	json_t *all = json_object();
	int id, level, used;

	for (const char *at = skills; sscanf(at, "%d:%d%n", &id, &level, &used) == 2;
	     at += used + (at[used] == ',')) {
		char key[16];

		snprintf(key, sizeof(key), "%d", id);
		json_object_set_new(all, key, json_integer(level));
	}
	return all;
}

json_t *
world_queue_image(const struct world_queue *q)
{
	char name[16];

	snprintf(name, sizeof(name), "queue%d", q->id);
	json_t *image = json_pack("{s:i, s:I, s:s, s:b, s:o, s:s, s:i, s:i, s:i}", "id", q->id, "seq",
	    (json_int_t)q->version, "name", name, "removed", 0, "skills", skills_image(q->skills),
	    "strategy", q->strategy, "ring_max", q->ring_max,
	    "reject_cooldown_s", q->cooldown_s, "ring_step_s", WORLD_RING_STEP_S);
	if (q->hours) {
		json_t *openings = json_array();

		for (int i = 0; i < q->nopenings; i++)
			json_array_append_new(openings,
			    json_pack("[I, I]", (json_int_t)q->openings[i][0],
				(json_int_t)q->openings[i][1]));
		json_object_set_new(image, "openings", openings);
		json_object_set_new(image, "open_until", json_integer(WORLD_OPEN_UNTIL));
	}
	return image;
}

json_t *
world_class_image(const struct world_class *c)
{
	json_t *image = json_pack(
	    "{s:i, s:i, s:o}", "id", c->id, "queue", c->queue, "skills", skills_image(c->skills));

	if (c->agent != 0)
		json_object_set_new(image, "agent", json_integer(c->agent));
	return image;
}

json_t *
world_agent_image(const struct world_agent *a)
{
	char name[16];

	snprintf(name, sizeof(name), "agent%d", a->id);
	return json_pack("{s:i, s:I, s:s, s:s, s:s, s:o, s:i, s:b}", "id", a->id, "seq",
	    (json_int_t)a->version, "name", name, "label", name, "role", "agent", "skills",
	    skills_image(a->skills), "position", a->position, "removed", a->removed);
}

json_t *
world_status_image(const struct world_agent *a)
{
	json_t *image = json_pack("{s:i, s:I, s:s, s:I, s:b, s:i, s:I}", "agent", a->id, "seq",
	    (json_int_t)a->seq, "state", a->state, "idle_since_at", (json_int_t)a->idle_since,
	    "connected", a->connected, "accepted", a->accepted, "talk_ms",
	    (json_int_t)a->talk_ms);

	if (a->node != 0)
		json_set_id(image, "node", world_node_id(a->node));
	set_time(image, "deadline_at", a->deadline_at);
	set_time(image, "lost_at", a->lost_at);
	if (a->offered_seq != 0)
		json_object_set_new(image, "offered_seq", json_integer((json_int_t)a->offered_seq));
	return image;
}

json_t *
world_callback_image(const struct world *w, int n)
{
	const struct world_callback *c = &w->callbacks[n];
	json_t *image = json_pack("{s:I, s:s, s:i, s:i, s:i, s:I, s:I}", "seq", (json_int_t)c->seq,
	    "state", c->state, "queue", w->classes[c->class].queue, "class", c->class, "priority",
	    c->priority, "due_at", (json_int_t)c->due_at, "promise_at", (json_int_t)c->promise_at);

	json_set_id(image, "id", world_callback_id(n));
	set_time(image, "expires_at", c->expires_at);
	set_time(image, "deadline_at", c->deadline_at);
	if (c->agent != 0)
		json_object_set_new(image, "agent", json_integer(c->agent));
	if (c->attempt != 0)
		json_set_id(image, "attempt", world_attempt_id(c->attempt));
	if (c->widen_after_s != 0)
		json_object_set_new(image, "widen_after_s", json_integer(c->widen_after_s));
	if (c->preferred != 0)
		json_object_update_new(image,
		    json_pack("{s:i, s:i}", "preferred_agent", c->preferred, "preferred_for_s", c->preferred_for_s));
	if (c->linked_to != 0)
		json_set_id(image, "linked_to", world_callback_id(c->linked_to));
	if (c->ntried > 0) {
		json_t *tried = json_array();

		for (int i = 0; i < c->ntried; i++)
			json_array_append_new(tried,
			    json_pack("[i, I]", c->tried[i].agent, (json_int_t)c->tried[i].at));
		json_object_set_new(image, "tried", tried);
	}
	return image;
}

json_t *
world_offer_image(const struct world *w, int n)
{
	const struct world_offer *o = &w->offers[n];
	json_t *image =
	    json_pack("{s:I, s:i, s:s, s:I, s:I}", "seq", (json_int_t)o->seq, "agent", o->agent,
		"state", o->state, "created_at", (json_int_t)o->created_at, "deadline_at",
		(json_int_t)o->deadline_at);

	json_set_id(image, "id", world_offer_id(n));
	json_set_id(image, "callback", world_callback_id(o->callback));
	if (strcmp(o->state, "pending") != 0)
		json_object_set_new(image, "ended_at", json_integer(w->now));
	return image;
}

json_t *
world_attempt_image(const struct world *w, int callback, int attempt, bool ended)
{
	json_t *image =
	    json_pack("{s:I, s:i, s:s}", "seq", (json_int_t)w->callbacks[callback].attempt_seq,
		"agent", w->callbacks[callback].agent, "state", ended ? "busy" : "dialing");

	json_set_id(image, "id", world_attempt_id(attempt));
	json_set_id(image, "callback", world_callback_id(callback));
	if (ended)
		json_object_set_new(image, "ended_at", json_integer(w->now));
	return image;
}

json_t *
world_session_image(const struct world *w, int i)
{
	char hash[65];

	snprintf(hash, sizeof(hash), "%064x", (unsigned)w->sessions[i].number);
	return json_pack("{s:s, s:i, s:I}", "token_hash", hash, "agent", w->sessions[i].agent,
	    "expires_at", (json_int_t)w->sessions[i].expires_at);
}
