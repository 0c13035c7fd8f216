/*
 * explain: why a callback is where it is: what placed it, to whom it was
 * offered, and why it waits, in a sentence. What the router thinks of it is
 * core/explain.c's to say; here it gets names.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/show.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "core/explain.h"
#include "core/state.h"
#include "node/node.h"
#include "node/tenant.h"

static void on_all(struct api_call *, const PGresult *, const char *);

/* The queue, the rule and the skills by name, beside their numbers in the image. */
static json_t *
placed(const struct api_call *call, const json_t *loaded, const json_t *now)
{
	const json_t *callback = json_object_get(loaded, "callback");
	const struct projection *p = tenant_projection(call->tenant);
	json_t *all = json_object();
	const json_t *queue = projection_queue(p, (int)json_int(callback, "queue", 0));
	json_t *skills = json_object(), *need;
	size_t i;

	json_array_foreach (json_object_get(now, "needs"), i, need) {
		const json_t *skill = projection_skill(p, (int)json_int(need, "skill", 0));
		const char *name = json_text(skill, "name");

		if (name != NULL && json_int(need, "level", 0) > json_int(skills, name, 0))
			json_object_set(skills, name, json_object_get(need, "level"));
	}
	json_object_set(all, "queue", json_object_get(queue, "name"));
	json_object_set(all, "strategy", json_object_get(queue, "strategy"));
	json_object_set(all, "priority", json_object_get(callback, "priority"));
	json_object_set(all, "rule", json_object_get(loaded, "rule"));
	json_object_set(all, "rule_version", json_object_get(callback, "rule_version"));
	if (json_array_size(json_object_get(now, "needs")) > 0)
		json_object_set(all, "skills", skills);
	json_decref(skills);
	return all;
}

/* Each offer with who it was and how long it stood. */
static void
name_offers(const struct api_call *call, json_t *offers, int64_t now_ms)
{
	struct session_view view;
	json_t *offer;
	size_t i;

	json_array_foreach (offers, i, offer) {
		int64_t begun = json_int(offer, "created_at", now_ms);
		int64_t ended = json_int(offer, "ended_at", now_ms);

		if (projection_agent(
			tenant_projection(call->tenant), (int)json_int(offer, "agent", 0), &view))
			json_object_set_new(offer, "agent_name", json_string(view.name));
		json_object_set_new(offer, "seconds", json_real((double)(ended - begun) / 1000.0));
	}
}

static void
put_name(const struct api_call *call, const json_t *id, struct buf *b)
{
	struct session_view view;

	if (projection_agent(tenant_projection(call->tenant), (int)json_integer_value(id), &view))
		buf_puts(b, view.name);
	else
		buf_puts(b, "an agent who was removed");
}

static void
put_names(const struct api_call *call, const json_t *agents, struct buf *b)
{
	const json_t *id;
	size_t i;

	json_array_foreach (agents, i, id) {
		if (i > 0)
			buf_puts(b, ", ");
		put_name(call, id, b);
	}
}

/* " until <time>", of the member of that name; nothing when there is none. */
static void
put_time(struct buf *b, const char *before, const json_t *now, const char *name)
{
	char text[CLOCK_TEXT_SIZE];
	int64_t at = json_int(now, name, 0);

	if (at == 0)
		return;
	clock_format(at, text);
	buf_printf(b, "%s%s", before, text);
}

static void
put_until(const json_t *now, struct buf *b)
{
	put_time(b, " until ", now, "until_at");
}

static void
put_widening(const json_t *now, struct buf *b)
{
	put_time(b, " From ", now, "widens_at");
	if (json_int(now, "widens_at", 0) != 0)
		buf_puts(b, " on, it is for more agents.");
}

/* The skill that nobody who is signed in has, if that is the reason; else what those who are able do. */
static void
say_nobody(const struct api_call *call, const json_t *now, struct buf *b)
{
	const struct projection *p = tenant_projection(call->tenant);
	const json_t *able = json_object_get(now, "able"), *need, *count;
	json_int_t all = 0;
	const char *what;
	bool first = true;
	size_t i;

	json_array_foreach (json_object_get(now, "needs"), i, need) {
		if (json_int(need, "signed_in", 0) > 0)
			continue;
		const char *name =
		    json_text(projection_skill(p, (int)json_int(need, "skill", 0)), "name");
		buf_printf(b, "Nobody who is signed in has the skill %s at level %d or more.",
		    name != NULL ? name : "that was removed", (int)json_int(need, "level", 0));
		return;
	}
	json_object_foreach ((json_t *)able, what, count)
		all += json_integer_value(count);
	if (all == 0) {
		buf_puts(b, "No agent has all the skills that it needs.");
		return;
	}
	buf_printf(b, "Nobody of the %d who are able is available: ", (int)all);
	json_object_foreach ((json_t *)able, what, count) {
		if (json_integer_value(count) == 0)
			continue;
		buf_printf(b, "%s%d %s", first ? "" : ", ", (int)json_integer_value(count), what);
		first = false;
	}
	buf_puts(b, ".");
}

/* It is for one alone, who is able, or not. */
static void
say_alone(const struct api_call *call, const json_t *now, struct buf *b)
{
	const json_t *count;
	const char *what;
	bool able = false;

	buf_puts(b, "It is for ");
	put_name(call, json_object_get(now, "for_agent"), b);
	buf_puts(b, " alone, who ");
	json_object_foreach (json_object_get(now, "able"), what, count) {
		if (json_integer_value(count) == 0)
			continue;
		buf_printf(b, "is %s.", what);
		able = true;
	}
	if (!able)
		buf_puts(b, "has not all the skills that it needs.");
}

static void
say_next(const struct api_call *call, const json_t *now, struct buf *b)
{
	int ahead = (int)json_int(now, "ahead", 0);

	if (ahead > 0)
		buf_printf(b, "%d of its queue come before it; of those available now, ", ahead);
	buf_puts(b, ahead > 0 ? "it would go to " : "It is about to be offered to ");
	put_names(call, json_object_get(now, "agents"), b);
	buf_puts(b, ".");
}

/* Not due, because its contact has quiet hours: until when, by his clock. */
static bool
say_quiet(const json_t *loaded, json_t *now, struct buf *b)
{
	const json_t *callback = json_object_get(loaded, "callback");
	const char *reason = json_text(callback, "reason"), *due = json_text(loaded, "due_local");
	const char *why = json_text(now, "why"), *zone = json_text(callback, "promise_zone");

	if (reason == NULL || strcmp(reason, "quiet_hours") != 0 || strcmp(why, "not_due") != 0 ||
	    due == NULL || zone == NULL)
		return false;
	json_object_set_new(now, "why", json_string("quiet_hours"));
	buf_printf(b, "Quiet hours until %.16s %s.", due, zone);
	return true;
}

static void
say(const struct api_call *call, const json_t *now, struct buf *b)
{
	static const struct {
		const char *why, *text;
		bool until;
	} plain[] = {
		{ "closed", "Its queue is closed", true },
		{ "not_due", "It is not due", true },
		{ "falls_due", "It falls due in this moment", false },
		{ "linked", "Another request of the same number is called in its stead", false },
		{ "refused_just_now", "An offer of it was refused a moment ago; it rests", true },
		{ "promise_window_passed", "Its promise window has passed: it is about to expire",
		    false },
		{ "tried_recently",
		    "Who is available rejected or missed it, and others are still to be asked: it "
		    "waits for them",
		    true },
		{ "being_offered", "It is being offered in this moment", false },
		{ "offered", "An offer of it is pending", false },
		{ "behind", "More callbacks of its kind come before it than are held in memory",
		    false },
	};
	const char *why = json_text(now, "why");

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (strcmp(why, plain[i].why) != 0)
			continue;
		buf_puts(b, plain[i].text);
		if (plain[i].until)
			put_until(now, b);
		buf_puts(b, ".");
		return;
	}
	if (strcmp(why, "nobody_available") == 0 && json_object_get(now, "for_agent") != NULL)
		say_alone(call, now, b);
	else if (strcmp(why, "nobody_available") == 0)
		say_nobody(call, now, b);
	else if (strcmp(why, "next") == 0)
		say_next(call, now, b);
	else if (strcmp(why, "waits_for_preferred") == 0) {
		buf_puts(b, "It waits for ");
		put_names(call, json_object_get(now, "agents"), b);
		buf_puts(b, ", who is preferred and not free,");
		put_until(now, b);
		buf_puts(b, "; then it goes to anybody.");
	} else if (strcmp(why, "in_hand") == 0) {
		put_names(call, json_object_get(now, "agents"), b);
		buf_puts(b, " has it.");
	}
}

/* Of what the projection does not hold, the row says why. A new reference. */
static json_t *
now_of(struct api_call *call, const json_t *loaded)
{
	const json_t *callback = json_object_get(loaded, "callback");
	const char *state = json_text(callback, "state"), *reason = json_text(callback, "reason");
	enum callback_state known;
	struct id id;
	json_t *now = NULL;
	struct buf b = { 0 };

	buf_puts(&b, "");
	if (id_parse(json_text(callback, "id"), &id))
		now = projection_explain(
		    tenant_projection(call->tenant), id, node_now_ms(api_node(call->api)));
	if (now == NULL && state != NULL && callback_state_parse(state, &known) &&
	    callback_terminal(known)) {
		now = json_pack("{s:s}", "why", "ended");
		buf_printf(&b, "It has ended: %s%s%s.", state, reason != NULL ? ", " : "",
		    reason != NULL ? reason : "");
	} else if (now == NULL) {
		now = json_pack(
		    "{s:s}", "why", json_text(callback, "linked_to") != NULL ? "linked" : "behind");
	}
	if (!say_quiet(loaded, now, &b))
		say(call, now, &b);
	put_widening(now, &b);
	json_object_set_new(now, "sentence", json_string(b.data));
	buf_fini(&b);
	return now;
}

static enum http_verdict
callback_explain(struct api_call *call)
{
	return show_ask(call, "explain", on_all);
}

static void
on_all(struct api_call *call, const PGresult *res, const char *err)
{
	bool answered;
	json_t *all = show_read(call, res, err, &answered), *callback;

	if (answered)
		return;
	if (all == NULL) {
		api_problem(call, 404, "not-found", "There is no such callback.");
		return;
	}
	callback = json_object_get(all, "callback");
	json_t *answer = json_object(), *now = now_of(call, all);

	name_offers(call, json_object_get(all, "offers"), node_now_ms(api_node(call->api)));
	json_object_set_new(answer, "placed", placed(call, all, now));
	show_callback(call, callback);
	json_object_set(answer, "callback", callback);
	json_object_set(answer, "offers", json_object_get(all, "offers"));
	json_object_set(answer, "attempts", json_object_get(all, "attempts"));
	json_object_set_new(answer, "now", now);
	json_decref(all);
	api_answer(call, 200, answer);
}

const struct api_route api_routes_explain[] = {
	{ "GET", "/v1/callbacks/{id}/explain", API_SUPERVISOR, API_BODY_NONE, callback_explain },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
