/*
 * world: the database's part in the tests of core/: plain tables, searched
 * from end to end, so that nothing here can be wrong in the way a projection can.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "world.h"

struct world *
world_new(int64_t now)
{
	struct world *w = xcalloc(1, sizeof(*w));

	w->now = now;
	w->events = json_array();
	return w;
}

void
world_free(struct world *w)
{
	json_decref(w->events);
	free(w);
}

/* ---- the log ---- */

/* A new event; what it touches is then given its number. */
static json_t *
event(struct world *w, const char *kind)
{
	json_t *body = json_object();

	w->seq++;
	json_array_append_new(w->events, json_pack("{s:s, s:o}", "kind", kind, "body", body));
	return body;
}

static void
add_callback(struct world *w, json_t *body, int n)
{
	w->callbacks[n].seq = w->seq;
	json_object_set_new(body, "callback", world_callback_image(w, n));
}

static void
add_offer(struct world *w, json_t *body, int n)
{
	w->offers[n].seq = w->seq;
	json_object_set_new(body, "offer", world_offer_image(w, n));
}

static void
add_status(struct world *w, json_t *body, int id)
{
	w->agents[id].seq = w->seq;
	json_object_set_new(body, "status", world_status_image(&w->agents[id]));
}

/* ---- settings ---- */

void
world_queue(
    struct world *w, int id, const char *skills, const char *strategy, int ring_max, int cooldown_s)
{
	struct world_queue *q = &w->queues[id];
	json_t *body = event(w, "queue.changed");

	*q = (struct world_queue){
		.id = id, .ring_max = ring_max, .cooldown_s = cooldown_s, .version = w->seq
	};
	snprintf(q->skills, sizeof(q->skills), "%s", skills);
	snprintf(q->strategy, sizeof(q->strategy), "%s", strategy);
	json_object_set_new(body, "queue", world_queue_image(q));
}

void
world_hours(struct world *w, int id, const char *spans)
{
	struct world_queue *q = &w->queues[id];
	json_t *body = event(w, "queue.changed");
	long opens, closes;
	int used;

	q->hours = true;
	q->nopenings = 0;
	q->version = w->seq;
	for (const char *at = spans; sscanf(at, "%ld-%ld%n", &opens, &closes, &used) == 2;
	     at += used + (at[used] == ',')) {
		q->openings[q->nopenings][0] = opens * 1000;
		q->openings[q->nopenings++][1] = closes * 1000;
	}
	json_object_set_new(body, "queue", world_queue_image(q));
}

bool
world_open(const struct world *w, int queue)
{
	const struct world_queue *q = &w->queues[queue];

	for (int i = 0; i < q->nopenings; i++) {
		if (q->openings[i][0] <= w->now && w->now < q->openings[i][1])
			return true;
	}
	return !q->hours;
}

void
world_class(struct world *w, int id, int queue, const char *skills)
{
	world_class_of(w, id, queue, skills, 0);
}

void
world_class_of(struct world *w, int id, int queue, const char *skills, int agent)
{
	struct world_class *c = &w->classes[id];

	*c = (struct world_class){ .id = id, .queue = queue, .agent = agent };
	snprintf(c->skills, sizeof(c->skills), "%s", skills);
	json_object_set_new(event(w, "class.created"), "class", world_class_image(c));
}

void
world_agent(struct world *w, int id, const char *skills, const char *state, int64_t idle_since)
{
	struct world_agent *a = &w->agents[id];
	json_t *body = event(w, "agent.changed");

	*a = (struct world_agent){ .id = id,
		.state = state,
		.idle_since = idle_since,
		.version = w->seq,
		.connected = strcmp(state, "logged_out") != 0 };
	a->node = a->connected ? 1 : 0;
	snprintf(a->skills, sizeof(a->skills), "%s", skills);
	json_object_set_new(body, "agent", world_agent_image(a));
	add_status(w, body, id);
}

void
world_agent_change(struct world *w, int id, const char *skills, bool removed)
{
	struct world_agent *a = &w->agents[id];
	json_t *body = event(w, "agent.changed");

	a->version = w->seq;
	a->removed = removed;
	snprintf(a->skills, sizeof(a->skills), "%s", skills);
	json_object_set_new(body, "agent", world_agent_image(a));
}

void
world_status(struct world *w, int id, const char *kind)
{
	add_status(w, event(w, kind), id);
}

void
world_session(struct world *w, int number, int agent, bool closed)
{
	json_t *image;
	int i = 0;

	while (closed ? w->sessions[i].number != number : w->sessions[i].number != 0)
		i++;
	w->sessions[i].number = number;
	w->sessions[i].agent = agent;
	w->sessions[i].expires_at = w->now + 1000;
	image = world_session_image(w, i);
	if (closed) {
		w->sessions[i].number = 0;
		json_object_set_new(image, "closed", json_true());
	}
	json_object_set_new(
	    event(w, closed ? "session.closed" : "session.opened"), "session", image);
}

/* ---- callbacks ---- */

int
world_submit(struct world *w, int class, int priority, int64_t due_at, int64_t promise_at,
    int64_t expires_at)
{
	int n = ++w->ncallbacks;

	assert_true(n < WORLD_CALLBACKS);
	w->callbacks[n] = (struct world_callback){ .made = true,
		.state = "scheduled",
		.class = class,
		.priority = priority,
		.due_at = due_at,
		.promise_at = promise_at,
		.expires_at = expires_at };
	world_changed(w, n, "callback.scheduled");
	return n;
}

void
world_changed(struct world *w, int n, const char *kind)
{
	add_callback(w, event(w, kind), n);
}

void
world_offer(struct world *w, int callback, const int *agents, int n, int timeout_ms)
{
	w->callbacks[callback].state = "offered";
	for (int i = 0; i < n; i++) {
		json_t *body = event(w, "offer.created");
		int o = ++w->noffers;

		assert_true(o < WORLD_OFFERS);
		w->offers[o] = (struct world_offer){ .callback = callback,
			.agent = agents[i],
			.state = "pending",
			.created_at = w->now,
			.deadline_at = w->now + timeout_ms };
		add_callback(w, body, callback);
		add_offer(w, body, o);
	}
}

static int
other_pending(const struct world *w, int offer, int after)
{
	for (int o = after + 1; o <= w->noffers; o++) {
		if (o != offer && w->offers[o].callback == w->offers[offer].callback &&
		    strcmp(w->offers[o].state, "pending") == 0)
			return o;
	}
	return 0;
}

void
world_accept(struct world *w, int offer)
{
	struct world_callback *c = &w->callbacks[w->offers[offer].callback];
	json_t *body = event(w, "offer.accepted");

	w->offers[offer].state = "accepted";
	c->state = "ready_to_call";
	c->agent = w->offers[offer].agent;
	c->deadline_at = w->now + 600000;
	c->ntried = 0;
	w->agents[c->agent].offered_seq = w->offers[offer].seq;
	w->agents[c->agent].accepted++;
	add_callback(w, body, w->offers[offer].callback);
	add_offer(w, body, offer);
	add_status(w, body, c->agent);
	for (int o = 0; (o = other_pending(w, offer, o)) != 0;) {
		body = event(w, "offer.rescinded");
		w->offers[o].state = "rescinded";
		add_callback(w, body, w->offers[o].callback);
		add_offer(w, body, o);
	}
}

static void
note_tried(struct world *w, struct world_callback *c, int agent)
{
	int kept = 0;

	for (int i = 0; i < c->ntried; i++) {
		if (c->tried[i].agent != agent)
			c->tried[kept++] = c->tried[i];
	}
	c->tried[kept].agent = agent;
	c->tried[kept].at = w->now;
	c->ntried = kept + 1;
}

void
world_refuse(struct world *w, int offer, const char *state)
{
	struct world_offer *o = &w->offers[offer];
	struct world_callback *c = &w->callbacks[o->callback];
	json_t *body = event(w, "offer.refused");

	o->state = state;
	note_tried(w, c, o->agent);
	if (other_pending(w, offer, 0) == 0)
		c->state = "scheduled";
	w->agents[o->agent].idle_since = w->now;
	w->agents[o->agent].offered_seq = o->seq;
	add_callback(w, body, o->callback);
	add_offer(w, body, offer);
	add_status(w, body, o->agent);
}

void
world_call(struct world *w, int callback)
{
	struct world_callback *c = &w->callbacks[callback];
	json_t *body = event(w, "call.establishing");

	c->state = "establishing";
	c->attempt = ++w->nattempts;
	c->attempt_seq = w->seq;
	c->deadline_at = w->now + 120000;
	add_callback(w, body, callback);
	json_object_set_new(body, "attempt", world_attempt_image(w, callback, c->attempt, false));
}

void
world_ended(struct world *w, int callback)
{
	struct world_callback *c = &w->callbacks[callback];
	json_t *body = event(w, "call.ended");
	int attempt = c->attempt;

	c->state = "ready_to_call";
	c->attempt = 0;
	c->attempt_seq = w->seq;
	c->deadline_at = w->now + 600000;
	add_callback(w, body, callback);
	json_object_set_new(body, "attempt", world_attempt_image(w, callback, attempt, true));
}

void
world_give_back(struct world *w, int callback)
{
	struct world_callback *c = &w->callbacks[callback];

	note_tried(w, c, c->agent);
	c->state = "scheduled";
	c->agent = 0;
	c->deadline_at = 0;
	world_changed(w, callback, "callback.given_back");
}

void
world_finish(struct world *w, int callback, const char *state)
{
	struct world_callback *c = &w->callbacks[callback];
	int agent = c->agent;

	c->state = state;
	c->agent = 0;
	c->deadline_at = 0;
	world_changed(w, callback, "callback.finished");
	for (int o = 1; o <= w->noffers; o++) {
		if (w->offers[o].callback == callback &&
		    strcmp(w->offers[o].state, "pending") == 0) {
			w->offers[o].state = "cancelled";
			add_offer(w, event(w, "offer.cancelled"), o);
		}
	}
	if (agent != 0) {
		w->agents[agent].idle_since = w->now;
		world_status(w, agent, "agent.after_call_work");
	}
}

bool
world_offered(const struct world *w, int agent)
{
	for (int o = 1; o <= w->noffers; o++) {
		if (w->offers[o].agent == agent && strcmp(w->offers[o].state, "pending") == 0)
			return true;
	}
	return false;
}

bool
world_holds(const struct world *w, int agent)
{
	for (int n = 1; n <= w->ncallbacks; n++) {
		if (w->callbacks[n].agent == agent)
			return true;
	}
	return false;
}

bool
world_waits(const struct world *w, int callback)
{
	const struct world_callback *c = &w->callbacks[callback];

	return c->made && strcmp(c->state, "scheduled") == 0 && c->linked_to == 0;
}

bool
world_before(const struct world *w, int a, int b)
{
	const struct world_callback *x = &w->callbacks[a], *y = &w->callbacks[b];

	if (x->priority != y->priority)
		return x->priority > y->priority;
	if (x->promise_at != y->promise_at)
		return x->promise_at < y->promise_at;
	return a < b;
}

int64_t
world_widen_at(const struct world *w, int n)
{
	const struct world_callback *c = &w->callbacks[n];

	return c->widen_after_s != 0 ? c->due_at + c->widen_after_s * INT64_C(1000) : INT64_MAX;
}

int64_t
world_next_elapse(const struct world *w, int64_t after)
{
	int64_t at = INT64_MAX;

	for (int n = 1; n <= w->ncallbacks; n++) {
		const struct world_callback *c = &w->callbacks[n];
		int64_t widen_at = world_widen_at(w, n);

		if (world_waits(w, n) && c->expires_at > after && c->expires_at < at)
			at = c->expires_at;
		if (world_waits(w, n) && widen_at > after && widen_at < at)
			at = widen_at;
	}
	return at;
}
