/*
 * The table of refusals, and how each kind of answer is worded. Must not know
 * which request it answers.
 */
#include "api/refusal.h"

#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "node/node.h"

#define RETRY_AFTER_S 1

const struct refusal refusals[] = {
	{ "not_found", 404, "There is no such thing here, or it is not yours." },
	{ "unknown_form", 404, "There is no such form." },
	{ "no_slots", 404, "Any time can be asked for: there are no slots to book." },
	{ "stale_version", 409,
	    "It has changed since you last saw it; its present state is in this answer." },
	{ "wrong_state", 409,
	    "It is not in a state from which this can be done; its present state is in this "
	    "answer." },
	{ "offer_not_pending", 409,
	    "The offer is over: it was answered, ran out of time, or went to somebody else." },
	{ "attempt_over", 409, "That dial is over, or is not the present one." },
	{ "linked", 409,
	    "Another callback leads for the same telephone number; this one follows it." },
	{ "suppressed", 409,
	    "This number may not be called: it is on the list of those that are not." },
	{ "blocked_country", 409, "Numbers of this country are not called." },
	{ "blocked_number_type", 409, "Numbers of this kind are not called." },
	{ "quiet_hours", 409,
	    "The contact has quiet hours now: the law or the company does not let anybody call." },
	{ "in_call", 409, "It is in a call now; that can be done when the call is over." },
	{ "already_erased", 409, "The contact's data was erased before." },
	{ "agent_unavailable", 409,
	    "The agent is not ready, has no desk listening, or already has a callback." },
	{ "logged_out", 409, "The agent is signed out." },
	{ "already_due", 409,
	    "It is due already: somebody is asked to call as soon as one is free." },
	{ "not_due", 409, "It is too early for that." },
	{ "not_connected", 409, "The agent's desk is not connected to this server." },
	{ "disposition_required", 422, "This queue wants a disposition code." },
	{ "unknown_disposition", 422, "There is no such disposition code." },
	{ "bad_outcome", 422, "A call cannot have ended like that." },
	{ "bad_time", 422,
	    "That is not a time at which it can be tried again; errors says why, and possible_at "
	    "when." },
	{ "invalid", 422, "Some of what was sent is wrong; errors names each." },
	{ "key_reused", 422, "This Idempotency-Key was used before, with another request." },
	{ "locked", 423, "Too many failed sign-ins: the account is locked for a while." },
	{ "secret_in_use", 409, "It is the newest of its purpose: make another first." },
	{ "too_many_secrets", 409, "There are a hundred already: retire some." },
	{ "removed", 403, "This agent was removed." },
	{ "unknown_command", 500,
	    "The database does not know this command: it is older than this server." },
	/* What is asked for is how it is: no failure; api_refuse() answers it as a change of nothing. */
	{ "unchanged", 200, "Nothing was to be changed." },
	{ NULL, 409, "It cannot be done now." },
};

const struct refusal *
refusal_find(const char *name)
{
	const struct refusal *r = refusals;

	while (r->name != NULL && strcmp(r->name, name) != 0)
		r++;
	return r;
}

enum http_verdict
api_answer(struct api_call *call, int status, json_t *body)
{
	json_times_to_text(body, "case_information");
	http_answer_header(call->req, "Cache-Control", "no-store");
	http_answer_json(call->req, status, body);
	return HTTP_DONE;
}

enum http_verdict
api_problem(struct api_call *call, int status, const char *type, const char *detail)
{
	http_problem(call->req, status, type, detail, NULL,
	    status == 503 || status == 429 ? RETRY_AFTER_S : 0);
	return HTTP_DONE;
}

enum http_verdict
api_invalid(struct api_call *call, json_t *errors)
{
	json_t *more = json_object();

	json_object_set_new(more, "errors", errors);
	http_problem(call->req, 422, "invalid", refusal_find("invalid")->sentence, more, 0);
	return HTTP_DONE;
}

static void
refuse_err(struct api_call *call, const char *err)
{
	if (err == lane_err_failed)
		http_problem(call->req, 500, "failed",
		    "The server could not do it; its log says why.", NULL, 0);
	else if (err == lane_err_full)
		http_problem(call->req, 503, "busy", "Too much waits already; try again.", NULL,
		    RETRY_AFTER_S);
	else
		http_problem(call->req, 503, "unavailable",
		    "The database does not answer; nothing is known to be done. Repeat the "
		    "request, "
		    "with the same Idempotency-Key if it had one.",
		    NULL, RETRY_AFTER_S);
}

/* The present state, as far as the asker may see it: a contact only in what state his callback is. */
static json_t *
state_shown(const struct api_call *call, const struct lane_answer *a)
{
	if (a->body == NULL)
		return NULL;
	if (call->role != API_PUBLIC) {
		json_t *all = json_deep_copy(a->body);
		/* A problem has a status of its own. */
		if (json_object_get(all, "status") != NULL)
			json_object_set(all, "agent_status", json_object_get(all, "status"));
		json_object_del(all, "status");
		json_times_to_text(all, "case_information");
		return all;
	}
	json_t *some = json_object();
	const char *state = json_text(json_object_get(a->body, "callback"), "state");
	if (state != NULL)
		json_object_set_new(some, "state", json_string(state));
	if (json_is_array(json_object_get(a->body, "errors")))
		json_object_set(some, "errors", json_object_get(a->body, "errors"));
	return some;
}

void
api_refuse(struct api_call *call, const struct lane_answer *a)
{
	if (a->err != NULL) {
		refuse_err(call, a->err);
		return;
	}
	const struct refusal *r = refusal_find(a->refusal);
	if (r->status == 200) {
		api_answer(call, 200, json_pack("{s:[]}", "changes"));
		return;
	}
	char *type = xstrdup(r->name != NULL ? r->name : "conflict");
	for (char *p = type; *p != '\0'; p++)
		*p = *p == '_' ? '-' : *p;
	http_problem(call->req, r->status, type, r->sentence, state_shown(call, a), 0);
	free(type);
}

bool
api_arg_id(struct api_call *call, int n, struct id *id)
{
	if (call->args[n] != NULL && id_parse(call->args[n], id))
		return true;
	api_problem(call, 404, "not-found", "There is nothing of that id.");
	return false;
}
