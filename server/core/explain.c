/*
 * explain: why a callback waits, or for whom it would go. It decides nothing: it
 * asks match_judge(), which is what the router asks, and says what that looked
 * at. It may not change what the router does next.
 */
#include "core/explain.h"

#include <stdlib.h>

#include "base/json.h"
#include "core/match.h"
#include "core/projection_impl.h"

/* Counted so far, then "at least". */
#define AHEAD_MAX 1000

static const char *
verdict_name(enum match_verdict verdict)
{
	switch (verdict) {
	case MATCH_CLOSED:
		return "closed";
	case MATCH_NOT_YET:
		return "refused_just_now";
	case MATCH_EXPIRING:
		return "promise_window_passed";
	case MATCH_NOBODY:
		return "nobody_available";
	case MATCH_PREFERRED:
		return "waits_for_preferred";
	case MATCH_COOLING:
		return "tried_recently";
	case MATCH_FOUND:
		return "next";
	}
	return "";
}

static void
put_at(json_t *o, const char *name, int64_t at)
{
	if (at != INT64_MAX)
		json_object_set_new(o, name, json_integer((json_int_t)at));
}

/* Signed in with that level of that skill. */
static json_int_t
signed_in_with(const struct projection *p, const struct need *need)
{
	json_int_t n = 0;

	for (size_t i = 0; i < p->nagents; i++) {
		const struct agent *a = p->agents[i];

		n += !a->removed && a->state != AGENT_LOGGED_OUT && need->slot < a->nlevels &&
		    a->levels[need->slot] >= need->level;
	}
	return n;
}

static void
put_needs(const struct projection *p, const struct needs *needs, json_t *list)
{
	for (size_t i = 0; i < needs->n; i++)
		json_array_append_new(list,
		    json_pack("{s:i, s:i, s:I}", "skill", skill_id(p, needs->list[i].slot), "level",
			needs->list[i].level, "signed_in", signed_in_with(p, &needs->list[i])));
}

/* Of those who are able: what they do. */
static json_t *
able(const struct projection *p, const struct class *c)
{
	json_int_t ready = 0, reserved = 0, busy = 0, not_ready = 0, wrap_up = 0, gone = 0, out = 0;

	for (size_t i = 0; i < p->nagents; i++) {
		const struct agent *a = p->agents[i];

		if (a->removed || !bits_has(&c->eligible, a->slot))
			continue;
		if (a->state == AGENT_LOGGED_OUT)
			out++;
		else if (!LIST_EMPTY(&a->held))
			busy++;
		else if (!LIST_EMPTY(&a->offers))
			reserved++;
		else if (!a->connected)
			gone++;
		else if (a->state == AGENT_NOT_READY)
			not_ready++;
		else if (a->state == AGENT_AFTER_CALL_WORK)
			wrap_up++;
		else
			ready++;
	}
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "ready", ready, "reserved",
	    reserved, "busy", busy, "not_ready", not_ready, "after_call_work", wrap_up,
	    "disconnected", gone, "logged_out", out);
}

/* Due callbacks of its queue that come before it. */
static json_int_t
ahead(const struct callback *cb)
{
	const struct class *c;
	json_int_t n = 0;

	LIST_FOREACH (c, &cb->class->queue->classes, of_queue) {
		struct callback *other = c->due.first;

		for (; other != NULL && n < AHEAD_MAX &&
		     waiting_key_compare(&other->key, &cb->key) < 0;
		     other = RB_NEXT(waiting_tree, NULL, other))
			n++;
	}
	return n;
}

static json_t *
tried(const struct callback *cb)
{
	json_t *list = json_array();

	for (size_t i = 0; i < cb->ntried; i++) {
		json_int_t at = cb->tried[i].at;

		json_array_append_new(list,
		    json_pack("{s:i, s:I, s:I}", "agent", cb->tried[i].agent_id, "at", at,
			"again_at", at + cb->class->queue->cooldown_ms));
	}
	return list;
}

static void
judge(struct projection *p, struct callback *cb, int64_t now_ms, json_t *said)
{
	struct match m;
	int64_t again_at;
	enum match_verdict verdict = match_judge(p, cb, now_ms, &m, &again_at);
	json_t *agents = json_array(), *needs = json_array();

	json_object_set_new(said, "why", json_string(verdict_name(verdict)));
	put_at(said, "until_at", again_at > now_ms ? again_at : INT64_MAX);
	for (int i = 0; i < m.n; i++)
		json_array_append_new(agents, json_integer(m.agents[i]->id));
	if (verdict == MATCH_PREFERRED)
		json_array_append_new(agents, json_integer(cb->preferred));
	json_object_set_new(said, "agents", agents);
	put_needs(p, &cb->class->queue->needs, needs);
	put_needs(p, &cb->class->own, needs);
	json_object_set_new(said, "needs", needs);
	json_object_set_new(said, "able", able(p, cb->class));
	json_object_set_new(said, "tried", tried(cb));
	json_object_set_new(said, "ahead", json_integer(ahead(cb)));
	put_at(said, "widens_at", cb->widen_at);
	if (cb->class->agent != 0)
		json_object_set_new(said, "for_agent", json_integer(cb->class->agent));
}

json_t *
projection_explain(struct projection *p, struct id callback, int64_t now_ms)
{
	struct callback *cb = live_find(p, callback);

	if (cb == NULL)
		return NULL;
	json_t *said = json_object();

	switch (cb->place) {
	case PLACE_FUTURE:
		json_object_set_new(
		    said, "why", json_string(cb->due_at > now_ms ? "not_due" : "falls_due"));
		put_at(said, "until_at", cb->due_at);
		break;
	case PLACE_DUE:
		judge(p, cb, now_ms, said);
		break;
	case PLACE_PROPOSED:
		json_object_set_new(said, "why", json_string("being_offered"));
		break;
	case PLACE_OFFERED:
		json_object_set_new(said, "why", json_string("offered"));
		break;
	case PLACE_HELD:
		json_object_set_new(said, "why", json_string("in_hand"));
		json_object_set_new(said, "agents", json_pack("[i]", cb->agent->id));
		break;
	case PLACE_NONE:
	case PLACES:
		json_object_set_new(said, "why", json_string("linked"));
		break;
	}
	return said;
}

int
projection_position(const struct projection *p, struct id callback)
{
	const struct callback *cb = live_find(p, callback);

	if (cb == NULL)
		return 0;
	if (cb->place == PLACE_PROPOSED || cb->place == PLACE_OFFERED)
		return 1;
	json_int_t before = cb->place == PLACE_DUE ? ahead(cb) : AHEAD_MAX;

	return before < AHEAD_MAX ? (int)before + 1 : 0;
}
