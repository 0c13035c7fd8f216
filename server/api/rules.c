/*
 * Routing rules: shown, checked, tried, published and rolled back. Must not
 * know what a rule says: the database checks and applies it.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/fields.h"
#include "api/road.h"
#include "api/show.h"
#include "base/json.h"
#include "base/mem.h"
#include "node/tenant.h"

#define COMMENT_MAX_BYTES 2000
#define VERSION_MAX 999999999

static void on_show(struct api_call *, const PGresult *, const char *);
static void on_versions(struct api_call *, const PGresult *, const char *);
static void on_report(struct api_call *, const PGresult *, const char *);
static void on_tried(struct api_call *, const PGresult *, const char *);
static void on_published(struct api_call *, const struct lane_answer *);

/* A query with the tenant's number before the other parameter. */
static enum http_verdict
ask(struct api_call *call, enum statement statement, const char *param,
    void (*then)(struct api_call *, const PGresult *, const char *))
{
	char *tenant = xasprintf("%d", tenant_id(call->tenant));
	enum http_verdict verdict =
	    api_query(call, statement, (const char *[]){ tenant, param }, "rules", then);

	free(tenant);
	return verdict;
}

static enum http_verdict
ask_body(struct api_call *call, enum statement statement,
    void (*then)(struct api_call *, const PGresult *, const char *))
{
	if (call->body == NULL)
		return api_problem(call, 400, "bad-json", "The body must be a JSON object.");
	char *text = json_line(call->body);
	enum http_verdict verdict = ask(call, statement, text, then);
	free(text);
	return verdict;
}

/* A version is what If-Match names: "3". */
static void
answer_tag(struct api_call *call, int64_t version)
{
	char *tag = xasprintf("\"%lld\"", (long long)version);

	http_answer_header(call->req, "ETag", tag);
	free(tag);
}

static bool
version_of(const char *text, int64_t *version)
{
	size_t len = strlen(text);

	if (len == 0 || len > 9 || strspn(text, "0123456789") != len)
		return false;
	*version = strtoll(text, NULL, 10);
	return true;
}

static enum http_verdict
rules_get(struct api_call *call)
{
	return ask(call, STATEMENT_rules_show, NULL, on_show);
}

static enum http_verdict
rules_get_version(struct api_call *call)
{
	int64_t version;

	if (!version_of(call->args[0], &version))
		return api_problem(call, 404, "not-found", "There is no such version.");
	return ask(call, STATEMENT_rules_show, call->args[0], on_show);
}

static void
on_show(struct api_call *call, const PGresult *res, const char *err)
{
	bool answered;
	json_t *rules = show_read(call, res, err, &answered);

	if (answered)
		return;
	if (rules == NULL) {
		api_problem(call, 404, "not-found", "There is no such version.");
		return;
	}
	answer_tag(call, json_int(rules, "version", 0));
	api_answer(call, 200, rules);
}

static enum http_verdict
rules_versions(struct api_call *call)
{
	return ask(call, STATEMENT_rules_versions, NULL, on_versions);
}

static void
on_versions(struct api_call *call, const PGresult *res, const char *err)
{
	bool answered;
	json_t *list = show_read(call, res, err, &answered);

	if (!answered)
		api_answer(
		    call, 200, json_pack("{s:o}", "versions", list != NULL ? list : json_array()));
}

static enum http_verdict
rules_check(struct api_call *call)
{
	return ask_body(call, STATEMENT_rules_plan, on_report);
}

static void
on_report(struct api_call *call, const PGresult *res, const char *err)
{
	bool answered;
	json_t *report = show_read(call, res, err, &answered);

	if (!answered && report == NULL)
		road_failed(call, "what the database said cannot be read");
	else if (!answered)
		api_answer(call, 200, report);
}

static enum http_verdict
rules_try(struct api_call *call)
{
	static const char *const known[] = { "draft", "request", NULL };
	struct fields f = fields_of(call->body, known);

	if (!fields_ok(&f, call))
		return HTTP_DONE;
	return ask_body(call, STATEMENT_rules_try, on_tried);
}

static void
on_tried(struct api_call *call, const PGresult *res, const char *err)
{
	bool answered;
	json_t *tried = show_read(call, res, err, &answered);

	if (answered)
		return;
	if (tried == NULL) {
		road_failed(call, "what the database said cannot be read");
		return;
	}
	if (json_array_size(json_object_get(tried, "errors")) == 0) {
		/* Not by api_answer(): a case's number called sent_at is no time. */
		http_answer_header(call->req, "Cache-Control", "no-store");
		http_answer_json(call->req, 200, tried);
		return;
	}
	api_invalid(call, json_incref(json_object_get(tried, "errors")));
	json_decref(tried);
}

/*
 * The command's version out of If-Match; * stands for whatever is published. False
 * without one, which was answered: who does not say what he saw would undo what
 * somebody else has just published.
 */
static bool
match(struct api_call *call, json_t *command)
{
	const char *text = http_header(call->req, "If-Match");
	size_t len = text != NULL ? strlen(text) : 0;
	int64_t version;

	if (text == NULL) {
		api_problem(call, 428, "version-required",
		    "Say in If-Match which version you saw: the ETag of GET /v1/rules.");
		return false;
	}
	if (strcmp(text, "*") == 0)
		return true;
	char *inner = len >= 2 && text[0] == '"' && text[len - 1] == '"'
	    ? xstrndup(text + 1, len - 2)
	    : xstrdup("");
	bool ok = version_of(inner, &version);
	free(inner);
	if (ok)
		json_object_set_new(command, "version", json_integer(version));
	else
		api_problem(call, 412, "stale-version", "If-Match names no version of the rules.");
	return ok;
}

/* Takes args. */
static enum http_verdict
publish(struct api_call *call, const char *kind, json_t *args)
{
	json_t *command = api_command(call, kind);

	json_object_set_new(command, "args", args);
	if (!match(call, command)) {
		json_decref(command);
		return HTTP_DONE;
	}
	return api_try(call, command, on_published);
}

static enum http_verdict
rules_put(struct api_call *call)
{
	if (call->body == NULL)
		return api_problem(
		    call, 400, "bad-json", "The body must be the rules, a JSON object.");
	return publish(call, "rules_publish", json_pack("{s:O}", "document", call->body));
}

static enum http_verdict
rules_rollback(struct api_call *call)
{
	static const char *const known[] = { "to", "comment", NULL };
	struct fields f = fields_of(call->body, known);
	int64_t to = 0;
	bool has_to = fields_int(&f, "to", FIELDS_REQUIRED, 0, VERSION_MAX, &to);
	const char *comment = fields_text(&f, "comment", FIELDS_OPTIONAL, COMMENT_MAX_BYTES);

	if (!fields_ok(&f, call) || !has_to)
		return HTTP_DONE;
	return publish(call, "rules_rollback",
	    json_pack(
		"{s:I, s:s}", "to", (json_int_t)to, "comment", comment != NULL ? comment : ""));
}

static void
on_published(struct api_call *call, const struct lane_answer *a)
{
	const json_t *rules = json_object_get(a->body, "rules");

	if (a->refusal != NULL && strcmp(a->refusal, "stale_version") == 0) {
		answer_tag(call, json_int(rules, "version", 0));
		api_problem(call, 412, "stale-version",
		    "Other rules were published since you looked; the ETag says which.");
	} else if (a->refusal != NULL) {
		api_refuse(call, a);
	} else {
		json_t *body = json_pack("{s:O}", "rules", (json_t *)rules);
		json_object_set_new(body, "event", show_event(call, a->seq));
		answer_tag(call, json_int(rules, "version", 0));
		api_answer(call, 200, body);
	}
}

const struct api_route api_routes_rules[] = {
	{ "GET", "/v1/rules", API_ADMINISTRATOR, API_BODY_NONE, rules_get },
	{ "PUT", "/v1/rules", API_ADMINISTRATOR, API_BODY_JSON, rules_put },
	{ "GET", "/v1/rules/versions", API_ADMINISTRATOR, API_BODY_NONE, rules_versions },
	{ "POST", "/v1/rules/check", API_ADMINISTRATOR, API_BODY_JSON, rules_check },
	{ "POST", "/v1/rules/try", API_ADMINISTRATOR, API_BODY_JSON, rules_try },
	{ "POST", "/v1/rules/rollback", API_ADMINISTRATOR, API_BODY_JSON, rules_rollback },
	{ "GET", "/v1/rules/{version}", API_ADMINISTRATOR, API_BODY_NONE, rules_get_version },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
