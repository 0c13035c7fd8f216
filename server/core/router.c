/*
 * router: what to do now. Deadlines that have passed first, then offers. It
 * decides nothing: each action becomes a command, which may lose a race.
 */
#include "core/router.h"

#include <assert.h>

#include "core/projection_impl.h"

struct run {
	struct projection *p;
	int64_t now_ms;
	int left;
	router_emit_fn emit;
	void *arg;
};

static void
send(struct run *r, const struct router_action *action)
{
	r->left--;
	r->emit(r->arg, action);
}

/* ---- deadlines ---- */

static void
fire_offer(struct run *r, struct offer *o)
{
	deadline_send(&r->p->deadlines, &o->end);
	send(r,
	    &(struct router_action){ .kind = ROUTER_OFFER_TIMEOUT,
		.offer = o->id,
		.callback = o->callback,
		.agent_id = o->agent->id,
		.version = o->seq });
}

static void
fire_callback(struct run *r, struct callback *cb)
{
	deadline_send(&r->p->deadlines, &cb->end);
	send(r,
	    &(struct router_action){ .kind = ROUTER_CALLBACK_DEADLINE,
		.callback = cb->id,
		.version = cb->seq,
		.agent_id = cb->agent->id });
}

static void
fire_agent(struct run *r, struct agent *a, struct deadline *d, enum router_kind kind)
{
	deadline_send(&r->p->deadlines, d);
	send(r,
	    &(struct router_action){
		.kind = kind, .agent_id = a->id, .version = a->status_seq, .node = a->node });
}

static void
fire_rest(struct run *r, struct agent *a)
{
	deadline_clear(&r->p->deadlines, &a->rest);
	roster_settle(r->p, a);
}

static void
fire_due(struct run *r, struct class *c)
{
	c->due.refilled = false;
	deadline_send(&r->p->deadlines, &c->due.load);
	send(r, &(struct router_action){ .kind = ROUTER_LOAD_DUE, .class_id = c->id });
}

static void
fire_future(struct run *r)
{
	struct window *w = &r->p->future;
	/* What lies behind the horizon may be due already, and where it belongs is not known. */
	bool behind = w->horizon.first <= r->now_ms;

	w->refilled = false;
	deadline_send(&r->p->deadlines, &w->load);
	send(r,
	    &(struct router_action){ .kind = behind ? ROUTER_RELOAD : ROUTER_LOAD_FUTURE,
		.after_at = w->horizon.first,
		.after_id = w->horizon.id });
}

static void
fire_elapse(struct run *r)
{
	deadline_send(&r->p->deadlines, &r->p->elapse);
	send(r, &(struct router_action){ .kind = ROUTER_LOOK_ELAPSED });
}

static void
fire_queue(struct run *r, struct queue *q)
{
	deadline_send(&r->p->deadlines, &q->extend);
	send(r,
	    &(struct router_action){
		.kind = ROUTER_OPENINGS, .queue_id = q->id, .version = q->seq });
}

static void
fire(struct run *r, struct deadline *d)
{
	switch (d->kind) {
	case DEADLINE_OFFER:
		fire_offer(r, map_entry(d, struct offer, end));
		break;
	case DEADLINE_CALLBACK:
		fire_callback(r, map_entry(d, struct callback, end));
		break;
	case DEADLINE_AGENT:
		fire_agent(r, map_entry(d, struct agent, end), d, ROUTER_AGENT_DEADLINE);
		break;
	case DEADLINE_AGENT_LOST:
		fire_agent(r, map_entry(d, struct agent, lost), d, ROUTER_AGENT_LOST);
		break;
	case DEADLINE_AGENT_ASTRAY:
		fire_agent(r, map_entry(d, struct agent, astray), d, ROUTER_DISCONNECT);
		break;
	case DEADLINE_AGENT_REST:
		fire_rest(r, map_entry(d, struct agent, rest));
		break;
	case DEADLINE_ELAPSE:
		fire_elapse(r);
		break;
	case DEADLINE_DUE:
		fire_due(r, map_entry(d, struct class, due.load));
		break;
	case DEADLINE_FUTURE:
		fire_future(r);
		break;
	case DEADLINE_QUEUE:
		fire_queue(r, map_entry(d, struct queue, extend));
		break;
	}
}

/* ---- offers ---- */

static void
offer(struct run *r, const struct match *m)
{
	struct router_action action = { .kind = ROUTER_OFFER,
		.callback = m->callback->id,
		.version = m->callback->seq,
		.class_id = m->callback->class->id,
		.n = m->n };

	live_propose(r->p, m->callback);
	for (int i = 0; i < m->n; i++) {
		action.agents[i] = m->agents[i]->id;
		roster_propose(r->p, m->agents[i]);
	}
	send(r, &action);
}

static int64_t
least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t
router_run(struct projection *p, int64_t now_ms, int max, router_emit_fn emit, void *arg)
{
	if (now_ms > p->now_ms)
		p->now_ms = now_ms;
	struct run r = { .p = p, .now_ms = p->now_ms, .left = max, .emit = emit, .arg = arg };
	int64_t next_at = waiting_move(p) ? r.now_ms : INT64_MAX;
	struct deadline *d;
	struct match m;

	while (r.left > 0 && (d = deadlines_first(&p->deadlines)) != NULL && d->at <= r.now_ms)
		fire(&r, d);
	while (r.left > 0 && match_next(p, r.now_ms, &m, &next_at))
		offer(&r, &m);
	if (r.left <= 0)
		return r.now_ms;
	/* Offers take callbacks out of windows, which may want more by now. */
	d = deadlines_first(&p->deadlines);
	const struct callback *first = p->future.first;

	if (d != NULL)
		next_at = least(next_at, d->at);
	return first != NULL ? least(next_at, first->due_at) : next_at;
}

/* ---- answers ---- */

/* Not at once again, unless an event changed it since: then something else is proposed. */
static int64_t
again_at(const struct projection *p, bool unchanged)
{
	return unchanged ? p->now_ms + RETRY_MS : 0;
}

static void
settled_offer(struct projection *p, const struct router_action *action)
{
	struct callback *cb = live_find(p, action->callback);
	bool refused = cb != NULL && cb->seq == action->version;
	/* Of several agents, some may have been left out. */
	bool rested = refused || (cb != NULL && cb->place == PLACE_OFFERED && action->n > 1);

	for (int i = 0; i < action->n; i++) {
		struct agent *a = roster_find(p, action->agents[i]);

		if (a != NULL)
			roster_settled(p, a, rested);
	}
	if (cb != NULL)
		live_settled(p, cb, again_at(p, refused));
}

static void
settled_agent(struct projection *p, const struct router_action *action)
{
	struct agent *a = roster_find(p, action->agent_id);
	struct deadline *d;

	if (a == NULL)
		return;
	d = action->kind == ROUTER_AGENT_DEADLINE ? &a->end
	    : action->kind == ROUTER_AGENT_LOST	  ? &a->lost
						  : &a->astray;
	deadline_back(&p->deadlines, d, again_at(p, a->status_seq == action->version));
}

void
router_settled(struct projection *p, const struct router_action *action)
{
	struct offer *o;
	struct callback *cb;
	struct class *c;
	struct queue *q;

	switch (action->kind) {
	case ROUTER_OFFER:
		settled_offer(p, action);
		break;
	case ROUTER_OFFER_TIMEOUT:
		if ((o = live_offer_find(p, action->offer)) != NULL)
			deadline_back(&p->deadlines, &o->end, again_at(p, true));
		break;
	case ROUTER_CALLBACK_DEADLINE:
		if ((cb = live_find(p, action->callback)) != NULL)
			deadline_back(
			    &p->deadlines, &cb->end, again_at(p, cb->seq == action->version));
		break;
	case ROUTER_AGENT_DEADLINE:
	case ROUTER_AGENT_LOST:
	case ROUTER_DISCONNECT:
		settled_agent(p, action);
		break;
	case ROUTER_LOOK_ELAPSED:
		waiting_elapse_settled(p);
		break;
	case ROUTER_LOAD_DUE:
		if ((c = settings_class_find(p, action->class_id)) != NULL)
			waiting_settled(p, &c->due);
		break;
	case ROUTER_LOAD_FUTURE:
	case ROUTER_RELOAD:
		waiting_settled(p, &p->future);
		break;
	case ROUTER_OPENINGS:
		if ((q = settings_queue_find(p, action->queue_id)) != NULL)
			deadline_back(
			    &p->deadlines, &q->extend, again_at(p, q->seq == action->version));
		break;
	}
}

/* ---- the lease is gone ---- */

static void
reset_agents(struct projection *p)
{
	for (size_t i = 0; i < p->nagents; i++) {
		struct agent *a = p->agents[i];

		a->proposed = false;
		deadline_clear(&p->deadlines, &a->rest);
		deadline_back(&p->deadlines, &a->end, 0);
		deadline_back(&p->deadlines, &a->lost, 0);
		deadline_back(&p->deadlines, &a->astray, 0);
		roster_settle(p, a);
	}
}

void
router_reset(struct projection *p)
{
	struct callback *cb;
	struct queue *q;

	reset_agents(p);
	TAILQ_FOREACH (q, &p->queue_list, link)
		deadline_back(&p->deadlines, &q->extend, 0);
	for (struct map_node *n = map_each(&p->offers, NULL); n != NULL;
	     n = map_each(&p->offers, n))
		deadline_back(&p->deadlines, &map_entry(n, struct offer, by_id)->end, 0);
	for (struct map_node *n = map_each(&p->callbacks, NULL); n != NULL;
	     n = map_each(&p->callbacks, n)) {
		cb = map_entry(n, struct callback, by_id);
		if (cb->place == PLACE_OFFERED)
			live_settled(p, cb, 0);
		cb->in_flight = false;
		deadline_back(&p->deadlines, &cb->end, 0);
	}
	/* Back in its window, one may push another out. */
	while ((cb = LIST_FIRST(&p->proposed)) != NULL)
		live_settled(p, cb, 0);
	for (size_t i = 0; i < p->nclasses; i++)
		waiting_settled(p, &p->classes[i]->due);
	waiting_settled(p, &p->future);
	waiting_elapse_settled(p);
}
