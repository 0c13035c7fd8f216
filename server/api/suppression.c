/*
 * The numbers that are not called. A number travels in bodies only: addresses
 * get into logs.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/fields.h"
#include "api/show.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "node/tenant.h"

#define NUMBER_MAX 16
#define REASON_MAX 800 /* 200 characters */
#define TIME_MAX 40
#define PAGE 500

static void on_list(struct api_call *, const PGresult *, const char *);

/* Pages go by place and not by the last number: an address is no place for one. */
static enum http_verdict
suppressions_list(struct api_call *call)
{
	const char *skip = http_query(call->req, "skip");

	if (skip == NULL)
		skip = "0";
	if (*skip == '\0' || strlen(skip) > 9 || strspn(skip, "0123456789") != strlen(skip))
		return api_problem(call, 400, "bad-page", "skip is a whole number.");
	char *tenant = xasprintf("%d", tenant_id(call->tenant)), *limit = xasprintf("%d", PAGE);
	enum http_verdict verdict = api_query(call, STATEMENT_load_suppressions,
	    (const char *[]){ tenant, skip, limit }, "suppressions", on_list);

	free(tenant);
	free(limit);
	return verdict;
}

static void
on_list(struct api_call *call, const PGresult *res, const char *err)
{
	bool answered;
	json_t *list = show_read(call, res, err, &answered), *answer = json_object();
	size_t n = json_array_size(list);

	if (answered) {
		json_decref(answer);
		return;
	}
	if (n == PAGE) {
		const char *skip = http_query(call->req, "skip");

		json_object_set_new(answer, "next",
		    json_integer((skip != NULL ? strtol(skip, NULL, 10) : 0) + PAGE));
	}
	json_object_set_new(answer, "suppressions", list != NULL ? list : json_array());
	api_answer(call, 200, answer);
}

/* SQL says what is wrong with the number and the reason; a time it would not understand. */
static enum http_verdict
change(struct api_call *call, const char *kind, const char *const *known)
{
	struct fields f = fields_of(call->body, known);
	json_t *args = json_object();
	int64_t until_ms;

	const char *number = fields_text(&f, "number", FIELDS_REQUIRED, NUMBER_MAX);
	const char *reason = NULL, *until = NULL;
	if (known[1] != NULL) {
		reason = fields_text(&f, "reason", FIELDS_REQUIRED, REASON_MAX);
		until = fields_text(&f, "until", FIELDS_OPTIONAL, TIME_MAX);
	}
	if (until != NULL && !clock_parse(until, &until_ms))
		fields_error(&f, "until", "must be a time like 2027-01-31T00:00:00Z");
	else if (until != NULL)
		json_object_set_new(args, "until", json_integer((json_int_t)until_ms));
	if (number != NULL)
		json_object_set_new(args, "number", json_string(number));
	if (reason != NULL)
		json_object_set_new(args, "reason", json_string(reason));
	if (!fields_ok(&f, call)) {
		json_decref(args);
		return HTTP_DONE;
	}
	json_t *command = api_command(call, kind);
	json_object_set_new(command, "args", args);
	return api_execute(call, command, NULL);
}

static enum http_verdict
suppression_add(struct api_call *call)
{
	static const char *const known[] = { "number", "reason", "until", NULL };

	return change(call, "suppress", known);
}

static enum http_verdict
suppression_remove(struct api_call *call)
{
	static const char *const known[] = { "number", NULL };

	return change(call, "unsuppress", known);
}

const struct api_route api_routes_suppression[] = {
	{ "GET", "/v1/suppressions", API_SUPERVISOR, API_BODY_NONE, suppressions_list },
	{ "POST", "/v1/suppressions", API_SUPERVISOR, API_BODY_JSON, suppression_add },
	{ "POST", "/v1/suppressions/remove", API_SUPERVISOR, API_BODY_JSON, suppression_remove },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
