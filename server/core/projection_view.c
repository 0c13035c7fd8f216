/*
 * projection_view: what the rest of the server may ask of the model. It
 * changes nothing; JSON that it gives away is a copy.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "core/projection_impl.h"

/* ---- look-ups ---- */

static void
view_agent(const struct agent *a, struct session_view *v)
{
	*v = (struct session_view){ .agent_id = a->id,
		.name = a->name,
		.role = a->role,
		.logged_out = a->state == AGENT_LOGGED_OUT,
		.connected = a->connected,
		.node = a->node };
}

bool
projection_session(const struct projection *p, const uint8_t token_hash[32], struct session_view *v)
{
	const struct session *s = roster_session_find(p, token_hash);

	if (s == NULL || s->agent->removed)
		return false;
	view_agent(s->agent, v);
	v->expires_at = s->expires_at;
	return true;
}

bool
projection_agent(const struct projection *p, int agent_id, struct session_view *v)
{
	const struct agent *a = roster_find(p, agent_id);

	if (a == NULL || a->removed)
		return false;
	view_agent(a, v);
	return true;
}

int
projection_agent_by_name(const struct projection *p, const char *name)
{
	const struct agent *a = roster_named(p, name);

	return a != NULL && !a->removed ? a->id : 0;
}

const json_t *
projection_form(const struct projection *p, const char *key)
{
	const struct form *f = settings_form_keyed(p, key);

	return f != NULL && !f->removed ? f->image : NULL;
}

const json_t *
projection_form_of(const struct projection *p, int form_id)
{
	struct map_node *n = map_first(&p->forms, map_hash_int(form_id));
	const struct form *f = n != NULL ? map_entry(n, struct form, by_id) : NULL;

	return f != NULL && !f->removed ? f->image : NULL;
}

void
projection_each_form(const struct projection *p,
    void (*fn)(void *arg, const char *key, const json_t *image), void *arg)
{
	const struct form *f;

	TAILQ_FOREACH (f, &p->form_list, link) {
		if (!f->removed)
			fn(arg, f->key, f->image);
	}
}

const json_t *
projection_queue(const struct projection *p, int queue_id)
{
	const struct queue *q = settings_queue_find(p, queue_id);

	return q != NULL ? q->image : NULL;
}

bool
projection_queue_open(const struct projection *p, int queue_id, int64_t at, int64_t *until)
{
	const struct queue *q = settings_queue_find(p, queue_id);

	*until = INT64_MAX;
	if (q == NULL || q->removed)
		return false;
	if (hours_open(&q->hours, at, until))
		return true;
	*until = hours_from(&q->hours, at);
	return false;
}

int
projection_class_agent(const struct projection *p, int class_id)
{
	const struct class *c = settings_class_find(p, class_id);

	return c != NULL ? c->agent : 0;
}

const json_t *
projection_skill(const struct projection *p, int skill_id)
{
	struct map_node *n = map_first(&p->skills, map_hash_int(skill_id));

	return n != NULL ? map_entry(n, struct setting, by_id)->image : NULL;
}

int
projection_queue_by_name(const struct projection *p, const char *name)
{
	const struct queue *q = settings_queue_named(p, name);

	return q != NULL && !q->removed ? q->id : 0;
}

const json_t *
projection_tenant(const struct projection *p)
{
	return p->tenant;
}

void
projection_each_secret(const struct projection *p, const char *purpose,
    bool (*fn)(void *arg, const uint8_t value[32]), void *arg)
{
	const struct secret *s;

	TAILQ_FOREACH (s, &p->secrets, link) {
		if (strcmp(s->purpose, purpose) == 0 && !fn(arg, s->value))
			return;
	}
}

/* What one node signs any other must know: its page of the log is at most this late. */
#define SECRET_SETTLE_MS 10000

bool
projection_signing_secret(
    const struct projection *p, const char *purpose, int64_t now_ms, uint8_t value[32])
{
	const struct secret *s, *chosen = NULL;

	TAILQ_FOREACH (s, &p->secrets, link) {
		if (strcmp(s->purpose, purpose) != 0)
			continue;
		chosen = s;
		if (s->created_at <= now_ms - SECRET_SETTLE_MS)
			break;
	}
	if (chosen == NULL)
		return false;
	memcpy(value, chosen->value, 32);
	return true;
}

void
projection_forget_secrets(struct projection *p)
{
	settings_secrets_free(p);
}

int
projection_holder(const struct projection *p, struct id callback)
{
	const struct callback *cb = live_find(p, callback);

	return cb != NULL && cb->place == PLACE_HELD ? cb->agent->id : 0;
}

bool
projection_offer(const struct projection *p, struct id offer, struct id *callback, int *agent_id)
{
	const struct offer *o = live_offer_find(p, offer);

	if (o == NULL)
		return false;
	*callback = o->callback;
	*agent_id = o->agent->id;
	return true;
}

bool
projection_attempt(
    const struct projection *p, struct id attempt, struct id *callback, int *agent_id)
{
	const struct attempt *a = live_attempt_find(p, attempt);

	if (a == NULL)
		return false;
	*callback = a->callback;
	*agent_id = a->agent_id;
	return true;
}

struct projection_counts
projection_counts(const struct projection *p)
{
	struct projection_counts n = {
		.available = p->navailable,
		.waiting_due = p->places[PLACE_DUE] + p->places[PLACE_PROPOSED],
		.waiting_future = p->places[PLACE_FUTURE],
		.offered = p->places[PLACE_OFFERED],
		.held = p->places[PLACE_HELD],
		.offers = p->offers.count,
		.sessions = p->sessions.count,
	};

	for (size_t i = 0; i < p->nagents; i++)
		n.agents += !p->agents[i]->removed;
	return n;
}

/* ---- agents ---- */

static json_t *
copy(const json_t *image)
{
	return image != NULL ? json_deep_copy(image) : json_null();
}

static int
by_id(const void *a, const void *b)
{
	const struct agent *const *x = a, *const *y = b;

	return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

static json_t *
view_offers(const struct projection *p, const struct agent *a)
{
	json_t *list = json_array();
	const struct offer *o;

	LIST_FOREACH (o, &a->offers, of_agent) {
		const struct callback *cb = live_find(p, o->callback);

		json_array_append_new(list,
		    json_pack("{s:o, s:o}", "offer", copy(o->image), "callback",
			copy(cb != NULL ? cb->image : NULL)));
	}
	return list;
}

static json_t *
view_held(const struct projection *p, const struct agent *a)
{
	json_t *list = json_array();
	const struct callback *cb;

	LIST_FOREACH (cb, &a->held, link) {
		const struct attempt *at = live_attempt_find(p, cb->attempt);
		json_t *one = json_pack("{s:o}", "callback", copy(cb->image));

		if (at != NULL)
			json_object_set_new(one, "attempt", copy(at->image));
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *
view_agent_state(const struct projection *p, const struct agent *a)
{
	return json_pack("{s:o, s:o, s:s, s:o, s:o}", "agent", copy(a->image), "status",
	    copy(a->status), "activity", roster_activity(a), "offers", view_offers(p, a),
	    "callbacks", view_held(p, a));
}

json_t *
projection_agent_state(const struct projection *p, int agent_id)
{
	const struct agent *a = roster_find(p, agent_id);

	return a != NULL && !a->removed ? view_agent_state(p, a) : NULL;
}

json_t *
projection_agents(const struct projection *p)
{
	json_t *list = json_array();
	struct agent **sorted = xcalloc(p->nagents, sizeof(*sorted));

	for (size_t i = 0; i < p->nagents; i++)
		sorted[i] = p->agents[i];
	qsort(sorted, p->nagents, sizeof(*sorted), by_id);
	for (size_t i = 0; i < p->nagents; i++) {
		if (!sorted[i]->removed)
			json_array_append_new(list, view_agent_state(p, sorted[i]));
	}
	free(sorted);
	return list;
}

/* ---- queues ---- */

/* Callbacks that fell due since the windows were moved. */
static json_int_t
due_since(const struct projection *p, const struct queue *q, int64_t now_ms)
{
	struct callback *cb = p->future.first;
	json_int_t n = 0;

	for (; cb != NULL && cb->due_at <= now_ms; cb = RB_NEXT(waiting_tree, NULL, cb))
		n += cb->class->queue == q;
	return n;
}

static json_t *
view_queue_agents(const struct projection *p, const struct queue *q)
{
	json_int_t ready = 0, reserved = 0, busy = 0, not_ready = 0, after_call_work = 0;

	for (size_t i = 0; i < p->nagents; i++) {
		const struct agent *a = p->agents[i];

		if (a->removed || !skill_meets(a, &q->needs))
			continue;
		if (!LIST_EMPTY(&a->held))
			busy++;
		else if (!LIST_EMPTY(&a->offers))
			reserved++;
		else if (a->state == AGENT_READY)
			ready++;
		else if (a->state == AGENT_NOT_READY)
			not_ready++;
		else if (a->state == AGENT_AFTER_CALL_WORK)
			after_call_work++;
	}
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "ready", ready, "reserved", reserved, "busy",
	    busy, "not_ready", not_ready, "after_call_work", after_call_work);
}

static bool
due_complete(const struct queue *q)
{
	const struct class *c;

	LIST_FOREACH (c, &q->classes, of_queue) {
		if (!c->due.complete)
			return false;
	}
	return true;
}

json_t *
projection_queues(const struct projection *p, int64_t now_ms)
{
	json_t *list = json_array();
	const struct queue *q;

	TAILQ_FOREACH (q, &p->queue_list, link) {
		json_int_t due = (json_int_t)q->due + due_since(p, q, now_ms);

		if (q->removed && due + (json_int_t)q->offered + (json_int_t)q->held == 0)
			continue;
		json_array_append_new(list,
		    json_pack("{s:o, s:I, s:b, s:I, s:I, s:o}", "queue", copy(q->image), "due", due,
			"due_complete", due_complete(q), "offered", (json_int_t)q->offered, "held",
			(json_int_t)q->held, "agents", view_queue_agents(p, q)));
	}
	return list;
}

static int
setting_by_id(const void *a, const void *b)
{
	const struct setting *const *x = a, *const *y = b;

	return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

json_t *
projection_dispositions(const struct projection *p)
{
	json_t *list = json_array();
	struct setting **sorted = xcalloc(p->dispositions.count, sizeof(*sorted));
	size_t n = 0;

	for (struct map_node *m = map_each(&p->dispositions, NULL); m != NULL;
	     m = map_each(&p->dispositions, m))
		sorted[n++] = map_entry(m, struct setting, by_id);
	qsort(sorted, n, sizeof(*sorted), setting_by_id);
	for (size_t i = 0; i < n; i++) {
		if (!json_bool(sorted[i]->image, "removed", false))
			json_array_append_new(list, copy(sorted[i]->image));
	}
	free(sorted);
	return list;
}
