/*
 * presence: desks of agents on this node, counted. A desk is here while a
 * stream of it is open, and presence_ms after its last request. What the log
 * says is compared with what is here, and what differs is said by a command; so
 * a lost answer or a reload needs no special case. An agent with desks on several
 * nodes is connected by the one that came last; the others say so only when that
 * one has said that he left, else they would contradict each other for ever.
 */
#include "node/presence.h"

#include <sys/queue.h>

#include <stdlib.h>

#include <event2/event.h>
#include <jansson.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timer.h"
#include "db/lane.h"
#include "node/node.h"
#include "node/tenant.h"

#define SWEEP_MS 1000

struct desk {
	TAILQ_ENTRY(desk) link;
	struct presence *presence;
	int agent_id;
	int open;	       /* streams */
	int64_t touched_ms;    /* last request, monotonic */
	bool came;	       /* just now: not yet said, whatever another node says */
	struct ticket *ticket; /* a command that says so is under way */
};

struct presence {
	struct tenant *tenant;
	TAILQ_HEAD(, desk) desks;
	struct desk **by_agent; /* agents' ids are small */
	int by_agent_n;
	struct event *sweep;
};

static void on_sweep(evutil_socket_t, short, void *);

struct presence *
presence_new(struct tenant *t)
{
	struct presence *p = xcalloc(1, sizeof *p);

	p->tenant = t;
	TAILQ_INIT(&p->desks);
	p->sweep = event_new(node_base(tenant_node(t)), -1, EV_PERSIST, on_sweep, p);
	timer_in(p->sweep, SWEEP_MS);
	return p;
}

static void
desk_free(struct desk *d)
{
	if (d->ticket != NULL)
		lane_forget(d->ticket);
	TAILQ_REMOVE(&d->presence->desks, d, link);
	d->presence->by_agent[d->agent_id] = NULL;
	free(d);
}

void
presence_free(struct presence *p)
{
	if (p == NULL)
		return;
	while (!TAILQ_EMPTY(&p->desks))
		desk_free(TAILQ_FIRST(&p->desks));
	event_free(p->sweep);
	free(p->by_agent);
	free(p);
}

static void
desk_untouch(struct desk *d)
{
	d->touched_ms = clock_mono_ms() - node_conf(tenant_node(d->presence->tenant))->presence_ms;
}

static struct desk *
desk_of(struct presence *p, int agent_id)
{
	if (agent_id >= p->by_agent_n) {
		p->by_agent =
		    xreallocarray(p->by_agent, (size_t)agent_id + 64, sizeof *p->by_agent);
		for (; p->by_agent_n < agent_id + 64; p->by_agent_n++)
			p->by_agent[p->by_agent_n] = NULL;
	}
	if (p->by_agent[agent_id] != NULL)
		return p->by_agent[agent_id];
	struct desk *d = xcalloc(1, sizeof *d);
	d->presence = p;
	d->agent_id = agent_id;
	desk_untouch(d);
	p->by_agent[agent_id] = d;
	TAILQ_INSERT_TAIL(&p->desks, d, link);
	return d;
}

static bool
desk_here(const struct desk *d)
{
	const struct conf *conf = node_conf(tenant_node(d->presence->tenant));

	return d->open > 0 || clock_mono_ms() - d->touched_ms < conf->presence_ms;
}

static void
on_said(void *arg, const struct lane_answer *a)
{
	struct desk *d = arg;

	(void)a; /* refused or lost: the next look sees what still differs */
	d->ticket = NULL;
}

static void
say(struct desk *d, const char *kind)
{
	struct tenant *t = d->presence->tenant;
	json_t *cmd = json_object(), *args = json_object();

	json_set_id(args, "node", node_id(tenant_node(t)));
	json_set_id(cmd, "id", id_new());
	json_object_set_new(cmd, "kind", json_string(kind));
	json_object_set_new(cmd, "role", json_string("router"));
	json_object_set_new(cmd, "agent", json_integer(d->agent_id));
	json_object_set_new(cmd, "args", args);
	d->ticket = lane_execute(tenant_lane(t), cmd, on_said, d);
}

/* Compares one desk with the log. True when it is neither here nor said to be: may be forgotten. */
static bool
compare(struct desk *d)
{
	struct tenant *t = d->presence->tenant;
	struct projection *p = tenant_projection(t);
	struct session_view v;
	bool here = desk_here(d);

	if (!tenant_live(t) || p == NULL)
		return false;
	bool known = projection_agent(p, d->agent_id, &v);
	bool said = known && v.connected && id_equal(v.node, node_id(tenant_node(t)));
	if (said)
		d->came = false;
	if (d->ticket != NULL)
		return false;
	if (!known)
		return !here;
	if (here && !v.logged_out && (!v.connected || (d->came && !said))) {
		say(d, "connect");
		if (d->ticket != NULL)
			d->came = false;
		return false;
	}
	if (!here && said) {
		say(d, "disconnect");
		return false;
	}
	return !here;
}

static void
compare_all(struct presence *p)
{
	struct desk *d, *next;

	for (d = TAILQ_FIRST(&p->desks); d != NULL; d = next) {
		next = TAILQ_NEXT(d, link);
		if (compare(d))
			desk_free(d);
	}
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	compare_all(arg);
}

void
presence_check(struct presence *p)
{
	compare_all(p);
}

void
presence_enter(struct presence *p, int agent_id)
{
	struct desk *d = desk_of(p, agent_id);

	d->came |= d->open == 0;
	d->open++;
	(void)compare(d);
}

void
presence_leave(struct presence *p, int agent_id)
{
	struct desk *d = desk_of(p, agent_id);

	if (d->open > 0)
		d->open--;
	/*
	 * A stream that ended says more than a request before it: the laptop's lid
	 * was closed. Whoever polls touches again within presence_ms.
	 */
	if (d->open == 0)
		desk_untouch(d);
	(void)compare(d);
}

void
presence_touch(struct presence *p, int agent_id)
{
	struct desk *d = desk_of(p, agent_id);

	d->came |= !desk_here(d);
	d->touched_ms = clock_mono_ms();
	(void)compare(d);
}

void
presence_told(struct presence *p, int agent_id)
{
	struct desk *d = desk_of(p, agent_id);

	if (compare(d))
		desk_free(d);
}
