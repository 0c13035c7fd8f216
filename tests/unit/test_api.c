/*
 * test_api: the table of routes, who may use them, what refusals become, and
 * the description of it all.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/refusal.h"
#include "api/table.h"
#include "api_fakes.h"
#include "base/json.h"
#include "base/mem.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int
setup(void **state)
{
	(void)state;
	fakes_start();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fakes_stop();
	return 0;
}

/* A pattern's path with something in each {…} part; malloced. */
static char *
path_of(const char *pattern)
{
	struct buf path = { 0 };

	for (const char *p = pattern; *p != '\0'; p++) {
		if (*p != '{') {
			buf_add(&path, p, 1);
			continue;
		}
		p = strchr(p, '}');
		buf_puts(&path, "ann");
	}
	return buf_take(&path);
}

static void
a_path_matches_its_pattern_and_no_other(void **state)
{
	static const struct { const char *pattern, *path; bool fits; const char *args[2]; } cases[] = {
		{ "/v1/me", "/v1/me", true, { NULL } },
		{ "/v1/me", "/v1/me/", false, { NULL } },
		{ "/v1/me", "/v1/m", false, { NULL } },
		{ "/v1/me", "/v1/me/state", false, { NULL } },
		{ "/v1/me", "", false, { NULL } },
		{ "/v1/offers/{id}/accept", "/v1/offers/x/accept", true, { "x" } },
		{ "/v1/offers/{id}/accept", "/v1/offers//accept", false, { NULL } },
		{ "/v1/offers/{id}/accept", "/v1/offers/x/y/accept", false, { NULL } },
		{ "/v1/offers/{id}/accept", "/v1/offers/x/acceptance", false, { NULL } },
		{ "/v1/offers/{id}/accept", "/v1/offers/x", false, { NULL } },
		{ "/f/{form}", "/f/demo-1_x", true, { "demo-1_x" } },
		{ "/f/{form}", "/f/", false, { NULL } },
		{ "/f/{form}", "/f", false, { NULL } },
		{ "/a/{x}/{y}", "/a/1/22", true, { "1", "22" } },
		{ "/a/{x}/{y}", "/a/1/", false, { NULL } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct table_args args;
		struct api_call call = { 0 };
		bool fits = table_match(cases[i].pattern, cases[i].path, &args);
		if (fits != cases[i].fits)
			fail_msg("%s and %s", cases[i].pattern, cases[i].path);
		if (!fits)
			continue;
		table_cut(&call, cases[i].path, &args);
		for (int k = 0; k < 2 && cases[i].args[k] != NULL; k++)
			assert_string_equal(call.args[k], cases[i].args[k]);
		free(call.path);
	}
}

static void
every_route_is_there_once_and_found_by_its_own_path(void **state)
{
	size_t n = 0;

	(void)state;
	for (const struct api_route *r = table_next(NULL); r != NULL; r = table_next(r), n++) {
		struct table_args args;
		char *allow, *path = path_of(r->path);
		assert_non_null(r->handler);
		assert_ptr_equal(table_find(r->method, path, &args, &allow), r);
		assert_null(allow);
		for (const struct api_route *o = table_next(r); o != NULL; o = table_next(o))
			assert_false(strcmp(o->method, r->method) == 0 && strcmp(o->path, r->path) == 0);
		/* What changes something takes a body, even if only to refuse what is in it. */
		if (strcmp(r->method, "POST") == 0 || strcmp(r->method, "PUT") == 0)
			assert_int_not_equal(r->body, API_BODY_NONE);
		else
			assert_int_equal(r->body, API_BODY_NONE);
		free(path);
	}
	assert_true(n > 35);
}

static void
only_these_are_for_everybody(void **state)
{
	static const char *const open[] = { "POST /v1/session", "GET /metrics", "GET /healthz", "GET /readyz",
		"GET /v1/openapi.json", "GET /f/{form}", "POST /f/{form}", "OPTIONS /f/{form}", "GET /c/{token}",
		"GET /f/{form}/open", "OPTIONS /f/{form}/open", "POST /f/{form}/check", "OPTIONS /f/{form}/check", "GET /f/{form}/slots", "OPTIONS /f/{form}/slots", "POST /f/{form}/holds", "OPTIONS /f/{form}/holds",
		"DELETE /f/{form}/holds/{id}", "OPTIONS /f/{form}/holds/{id}",
		"POST /c/{token}/cancel", "POST /c/{token}/reschedule", "POST /c/{token}/now", "GET /c/{token}/callback.ics" };
	size_t n = 0;

	(void)state;
	for (const struct api_route *r = table_next(NULL); r != NULL; r = table_next(r)) {
		char *name = xasprintf("%s %s", r->method, r->path);
		bool listed = false;
		for (size_t i = 0; i < COUNT(open); i++)
			listed = listed || strcmp(open[i], name) == 0;
		if (listed != (r->role == API_PUBLIC))
			fail_msg("%s", name);
		n += listed;
		free(name);
	}
	assert_int_equal(n, COUNT(open));
}

/* What each asker gets of each route: 401 without a session, 403 with too small a role, else neither. */
static void
a_role_does_nothing_above_it(void **state)
{
	static const char *const tokens[] = { NULL, FAKE_TOKEN_AGENT, FAKE_TOKEN_SUPERVISOR, FAKE_TOKEN_ADMINISTRATOR };

	(void)state;
	for (const struct api_route *r = table_next(NULL); r != NULL; r = table_next(r)) {
		for (int role = API_PUBLIC; role <= API_ADMINISTRATOR; role++) {
			char *path = path_of(r->path);
			struct http_request *req = fake_request(r->method, path);
			if (tokens[role] != NULL)
				fake_bearer(req, tokens[role]);
			fake.state = json_pack("{s:{}}", "agent");
			fake_ask(req);
			bool allowed = r->role == API_PUBLIC || (r->role <= (enum api_role)role && role != API_PUBLIC);
			bool refused = req->status == 401 || (req->status == 403 && strcmp(r->path, "/metrics") != 0);
			if (allowed == refused || (refused && req->status != (role == API_PUBLIC ? 401 : 403)))
				fail_msg("%s %s as %d: %d", r->method, r->path, role, req->status);
			fake_end(req);
			json_decref(fake.state);
			fake.state = NULL;
			free(path);
		}
	}
}

static int
status_of(struct http_request *req)
{
	fake_ask(req);
	int status = req->status;
	fake_end(req);
	return status;
}

static void
what_is_not_there_is_404_and_a_wrong_method_405(void **state)
{
	struct http_request *req = fake_request("GET", "/v1/nothing");

	(void)state;
	assert_int_equal(status_of(req), 404);
	req = fake_request("PUT", "/v1/session");
	fake_ask(req);
	assert_int_equal(req->status, 405);
	assert_string_equal(fake_answer_header(req, "Allow"), "POST, DELETE");
	assert_string_equal(json_text(req->json, "type"), "method-not-allowed");
	fake_end(req);
	req = fake_request("DELETE", "/v1/me");
	fake_ask(req);
	assert_string_equal(fake_answer_header(req, "Allow"), "GET, HEAD");
	fake_end(req);
	/* An id that is none names nothing. */
	req = fake_request("POST", "/v1/offers/7/accept");
	fake_bearer(req, FAKE_TOKEN_AGENT);
	assert_int_equal(status_of(req), 404);
}

static void
bodies_of_another_kind_are_415_and_broken_ones_400(void **state)
{
	static const struct { const char *type, *body; int status; } cases[] = {
		{ "text/plain", "{\"state\":\"ready\"}", 415 },
		{ "application/x-www-form-urlencoded", "state=ready", 415 },
		{ NULL, "{}", 415 },
		{ "Application/JSON; charset=utf-8", "[]", 400 },
		{ "application/json", "{", 400 },
		{ "application/json", "{\"state\":\"a\",\"state\":\"b\"}", 400 },
		{ "application/json", "{}", 422 },
		{ "application/json", "{\"state\":\"away\"}", 422 },
		{ "application/json", "{\"state\":7}", 422 },
		{ "application/json", "{\"state\":\"ready\",\"raeson\":\"x\"}", 422 },
		{ "application/json", "", 422 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct http_request *req = fake_request("PUT", "/v1/me/status");
		fake_bearer(req, FAKE_TOKEN_AGENT);
		if (cases[i].type != NULL)
			fake_header(req, "Content-Type", cases[i].type);
		fake_header(req, "Content-Length", "9");
		req->body = cases[i].body;
		fake_ask(req);
		if (req->status != cases[i].status)
			fail_msg("%s: %d", cases[i].body, req->status);
		if (req->status == 422)
			assert_true(json_array_size(json_object_get(req->json, "errors")) > 0);
		fake_end(req);
	}
	struct http_request *form = fake_request("POST", "/f/demo");
	fake_header(form, "Content-Type", "multipart/form-data; boundary=x");
	fake_header(form, "Transfer-Encoding", "chunked");
	assert_int_equal(status_of(form), 200);
	form = fake_request("POST", "/f/demo");
	fake_header(form, "Content-Type", "text/xml");
	fake_header(form, "Content-Length", "1");
	assert_int_equal(status_of(form), 415);
}

static void
a_cookie_changes_nothing_for_a_foreign_page(void **state)
{
	static const struct { const char *method, *origin, *host; enum front_door door; int status; } cases[] = {
		{ "GET", NULL, "calls.example", FRONT_TLS, 200 },
		{ "GET", "https://evil.example", "calls.example", FRONT_TLS, 403 },
		{ "GET", "https://calls.example", "calls.example", FRONT_TLS, 200 },
		{ "DELETE", NULL, "calls.example", FRONT_TLS, 403 },
		{ "DELETE", "null", "calls.example", FRONT_TLS, 403 },
		{ "DELETE", "https://evil.example", "calls.example", FRONT_TLS, 403 },
		{ "DELETE", "https://calls.example.evil.example", "calls.example", FRONT_TLS, 403 },
		{ "DELETE", "https://calls.exampl", "calls.example", FRONT_TLS, 403 },
		{ "DELETE", "https://", "", FRONT_TLS, 403 },
		{ "DELETE", "http://10.0.0.1:8443", "10.0.0.1:8443", FRONT_TLS, 403 },
		{ "DELETE", "https://10.0.0.1:8443", "10.0.0.1:8443", FRONT_TLS, 0 },
		{ "DELETE", "http://10.0.0.1", "10.0.0.1", FRONT_PLAIN, 0 },
		{ "DELETE", "https://Calls.Example", "inside:8080", FRONT_PLAIN, 0 },
	};

	(void)state;
	fake.state = json_pack("{s:{}}", "agent");
	for (size_t i = 0; i < COUNT(cases); i++) {
		bool reads = strcmp(cases[i].method, "GET") == 0;
		struct http_request *req = fake_request(cases[i].method, reads ? "/v1/me" : "/v1/session");
		req->cookie = FAKE_TOKEN_AGENT;
		req->door = cases[i].door;
		if (cases[i].origin != NULL)
			fake_header(req, "Origin", cases[i].origin);
		fake_header(req, "Host", cases[i].host);
		fake_ask(req);
		if (req->status != cases[i].status)
			fail_msg("case %zu: %d", i, req->status);
		assert_int_equal(fake.lane_waits, cases[i].status == 0);
		fake_end(req);
	}
	/* A token in a header is not sent by itself. */
	struct http_request *req = fake_request("DELETE", "/v1/session");
	fake_bearer(req, FAKE_TOKEN_AGENT);
	assert_int_equal(status_of(req), 0);
	/* And one that is wrong is not helped by a cookie. */
	req = fake_request("GET", "/v1/me");
	fake_bearer(req, "1.nobody");
	req->cookie = FAKE_TOKEN_AGENT;
	assert_int_equal(status_of(req), 401);
	req = fake_request("GET", "/v1/me");
	fake_header(req, "Authorization", "Basic YTpi");
	assert_int_equal(status_of(req), 401);
}

static void
while_the_server_loads_nobody_is_signed_out(void **state)
{
	struct http_request *req = fake_request("GET", "/v1/me");

	(void)state;
	fake.not_ready = true;
	fake_bearer(req, "1.nobody");
	fake_ask(req);
	assert_int_equal(req->status, 503);
	assert_string_equal(fake_answer_header(req, "Retry-After"), "1");
	fake_end(req);
	fake.live = false;
	req = fake_request("GET", "/v1/me");
	fake_bearer(req, FAKE_TOKEN_AGENT);
	assert_int_equal(status_of(req), 503);
	req = fake_request("GET", "/v1/agents");
	req->door = FRONT_UNIX;
	assert_int_equal(status_of(req), 503);
	req = fake_request("GET", "/healthz");
	assert_int_equal(status_of(req), 200);
	req = fake_request("GET", "/readyz");
	assert_int_equal(status_of(req), 503);
}

static void
the_operator_names_his_tenant_when_there_are_several(void **state)
{
	static const struct { int tenants; const char *name; int status; } cases[] = {
		{ 1, NULL, 200 }, { 1, "demo", 200 }, { 1, "other", 404 }, { 2, NULL, 400 }, { 2, "other", 200 },
		{ 2, "third", 404 }, { 0, NULL, 404 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct http_request *req = fake_request("GET", "/v1/agents");
		req->door = FRONT_UNIX;
		fake.tenants = cases[i].tenants;
		if (cases[i].name != NULL)
			fake_query(req, "tenant", cases[i].name);
		if (status_of(req) != cases[i].status)
			fail_msg("case %zu", i);
		/* What is not of a tenant needs none. */
		req = fake_request("GET", "/v1/tenants");
		req->door = FRONT_UNIX;
		assert_int_equal(status_of(req), 200);
	}
}

static const struct { const char *name; int status; } known[] = {
	{ "not_found", 404 }, { "unknown_form", 404 }, { "no_slots", 404 }, { "stale_version", 409 }, { "wrong_state", 409 },
	{ "offer_not_pending", 409 }, { "attempt_over", 409 }, { "linked", 409 }, { "suppressed", 409 }, { "in_call", 409 },
	{ "blocked_country", 409 }, { "blocked_number_type", 409 }, { "quiet_hours", 409 },
	{ "already_erased", 409 }, { "agent_unavailable", 409 },
	{ "logged_out", 409 }, { "already_due", 409 }, { "not_due", 409 }, { "not_connected", 409 }, { "disposition_required", 422 },
	{ "unknown_disposition", 422 }, { "bad_outcome", 422 }, { "bad_time", 422 }, { "invalid", 422 },
	{ "key_reused", 422 }, { "locked", 423 }, { "removed", 403 }, { "secret_in_use", 409 },
	{ "too_many_secrets", 409 }, { "unknown_command", 500 }, { "unchanged", 200 },
};

static void
every_refusal_has_its_status_and_a_sentence(void **state)
{
	size_t n = 0;

	(void)state;
	while (refusals[n].name != NULL)
		n++;
	assert_int_equal(n, COUNT(known));
	for (size_t i = 0; i < COUNT(known); i++) {
		const struct refusal *r = refusal_find(known[i].name);
		assert_non_null(r->name);
		assert_int_equal(r->status, known[i].status);
		assert_true(strlen(r->sentence) > 10 && r->sentence[strlen(r->sentence) - 1] == '.');
	}
	assert_int_equal(refusal_find("of_a_newer_schema")->status, 409);
}

/* The SQL says "THEN 'reason'" and "change_refuse(…, 'reason'" wherever it refuses. */
static void
every_refusal_in_the_sql_is_known(void **state)
{
	const char *dir = getenv("srcdir");
	char *command = xasprintf("cd '%s/sql/functions' && grep -hv '^ *--' decide_*.sql execute.sql submit.sql | "
	    "awk '/v_refusal := CASE/ { on = 1 } on { print } / END;/ { on = 0 } /change_refuse\\(m.ord/ { print }' | "
	    "grep -oE \"(THEN|ord,) '[a-z_]+'\" | grep -oE \"[a-z_]+'\" | tr -d \"'\" | sort -u", dir != NULL ? dir : ".");
	FILE *names = popen(command, "r");
	char name[128];
	size_t n = 0;

	(void)state;
	assert_non_null(names);
	for (; fgets(name, sizeof(name), names) != NULL; n++) {
		name[strcspn(name, "\n")] = '\0';
		if (refusal_find(name)->name == NULL)
			fail_msg("%s is not in refusal.c", name);
	}
	assert_int_equal(pclose(names), 0);
	assert_true(n >= 12);
	free(command);
}

/* As `done` on a callback would be refused. */
static struct http_request *
refused(const char *refusal, const char *body)
{
	struct http_request *req = fake_request("POST", "/v1/callbacks/019000aa-0000-7000-8000-000000000001/done");

	fake_bearer(req, FAKE_TOKEN_AGENT);
	fake_json(req, "{\"version\":5}");
	fake_ask(req);
	fake_refuse(refusal, body);
	return req;
}

static void
a_refusal_shows_the_present_state(void **state)
{
	struct http_request *req = refused("stale_version",
	    "{\"callback\":{\"id\":\"x\",\"due_at\":1795417200000},\"status\":{\"state\":\"ready\"}}");

	(void)state;
	assert_int_equal(req->status, 409);
	assert_int_equal(req->resumed, 1);
	assert_string_equal(json_text(req->json, "type"), "stale-version");
	assert_string_equal(json_text(json_object_get(req->json, "callback"), "due_at"), "2026-11-23T07:00:00.000Z");
	/* The problem's own status stays a number. */
	assert_int_equal(json_int(req->json, "status", 0), 409);
	assert_string_equal(json_text(json_object_get(req->json, "agent_status"), "state"), "ready");
	fake_end(req);
	for (size_t i = 0; i < COUNT(known); i++) {
		req = refused(known[i].name, NULL);
		assert_int_equal(req->status, known[i].status);
		assert_null(strchr(json_text(req->json, "type") != NULL ? json_text(req->json, "type") : "", '_'));
		fake_end(req);
	}
}

static void
openapi_describes_every_route_and_no_other(void **state)
{
	const char *dir = getenv("srcdir");
	char *path = xasprintf("%s/server/api/openapi.json", dir != NULL ? dir : ".");
	json_error_t error;
	json_t *doc = json_load_file(path, JSON_REJECT_DUPLICATES, &error), *paths = json_object_get(doc, "paths"), *item;
	static const char *const roles[] = { "public", "agent", "supervisor", "administrator", "operator" };
	const char *name;
	size_t routes = 0, described = 0;

	(void)state;
	if (doc == NULL)
		fail_msg("%s: %s line %d", path, error.text, error.line);
	for (const struct api_route *r = table_next(NULL); r != NULL; r = table_next(r), routes++) {
		char method[16] = { 0 };
		for (size_t i = 0; r->method[i] != '\0'; i++)
			method[i] = (char)(r->method[i] | 0x20);
		const json_t *op = json_object_get(json_object_get(paths, r->path), method);
		if (op == NULL)
			fail_msg("%s %s is not described", r->method, r->path);
		assert_string_equal(json_text(op, "x-role"), roles[r->role]);
		assert_non_null(json_object_get(op, "responses"));
		assert_int_equal(json_array_size(json_object_get(op, "security")) == 0, r->role == API_PUBLIC);
		if (r->body == API_BODY_NONE)
			assert_null(json_object_get(op, "requestBody"));
	}
	json_object_foreach(paths, name, item)
		described += json_object_size(item);
	assert_int_equal(described, routes);
	json_decref(doc);
	free(path);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_path_matches_its_pattern_and_no_other),
		CASE(every_route_is_there_once_and_found_by_its_own_path),
		CASE(only_these_are_for_everybody),
		CASE(a_role_does_nothing_above_it),
		CASE(what_is_not_there_is_404_and_a_wrong_method_405),
		CASE(bodies_of_another_kind_are_415_and_broken_ones_400),
		CASE(a_cookie_changes_nothing_for_a_foreign_page),
		CASE(while_the_server_loads_nobody_is_signed_out),
		CASE(the_operator_names_his_tenant_when_there_are_several),
		CASE(every_refusal_has_its_status_and_a_sentence),
		CASE(every_refusal_in_the_sql_is_known),
		CASE(a_refusal_shows_the_present_state),
		CASE(openapi_describes_every_route_and_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
