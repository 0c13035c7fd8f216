/*
 * test_api_routes: what requests ask of the database, how they wait for it, and
 * signing in.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include "api_fakes.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/password.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define ID "019000aa-0000-7000-8000-000000000001"
#define NEXT_ID "019000aa-0000-7000-8000-000000000002"	/* the fake projection's callback of offer ID */

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

static void
requests_become_commands(void **state)
{
	static const struct { const char *method, *path, *token, *body, *command; } cases[] = {
		{ "POST", "/v1/offers/" ID "/accept", FAKE_TOKEN_AGENT, NULL,
		  "{\"kind\":\"accept\",\"by\":7,\"role\":\"agent\",\"offer\":\"" ID "\",\"callback\":\"" NEXT_ID "\"}" },
		{ "POST", "/v1/offers/" ID "/reject", FAKE_TOKEN_SUPERVISOR, "{\"reason\":\"lunch\"}",
		  "{\"kind\":\"reject\",\"by\":8,\"role\":\"supervisor\",\"offer\":\"" ID "\",\"args\":{\"reason\":\"lunch\"}}" },
		{ "PUT", "/v1/me/status", FAKE_TOKEN_AGENT, "{\"state\":\"not_ready\",\"reason\":\"lunch\"}",
		  "{\"kind\":\"not_ready\",\"by\":7,\"agent\":7,\"args\":{\"reason\":\"lunch\"}}" },
		{ "PUT", "/v1/agents/ann/status", FAKE_TOKEN_SUPERVISOR, "{\"state\":\"ready\"}",
		  "{\"kind\":\"ready\",\"by\":8,\"agent\":7}" },
		{ "DELETE", "/v1/agents/ann/sessions", FAKE_TOKEN_SUPERVISOR, NULL, "{\"kind\":\"sign_out\",\"by\":8,\"agent\":7}" },
		{ "DELETE", "/v1/session", FAKE_TOKEN_AGENT, NULL, "{\"kind\":\"sign_out\",\"by\":7,\"agent\":7,\"args\":{\"token_hash\":"
		  "\"0707070707070707070707070707070707070707070707070707070707070707\"}}" },
		{ "POST", "/v1/callbacks/" ID "/call", FAKE_TOKEN_AGENT, "{\"version\":9}",
		  "{\"kind\":\"call\",\"callback\":\"" ID "\",\"version\":9}" },
		{ "POST", "/v1/attempts/" ID "/connected", FAKE_TOKEN_AGENT, NULL,
		  "{\"kind\":\"connected\",\"attempt\":\"" ID "\",\"callback\":\"" NEXT_ID "\"}" },
		{ "POST", "/v1/attempts/" ID "/hold", FAKE_TOKEN_AGENT, "{}", "{\"kind\":\"hold\",\"attempt\":\"" ID "\"}" },
		{ "POST", "/v1/attempts/" ID "/retrieve", FAKE_TOKEN_AGENT, "{}", "{\"kind\":\"retrieve\",\"attempt\":\"" ID "\"}" },
		{ "POST", "/v1/attempts/" ID "/ended", FAKE_TOKEN_AGENT, "{\"outcome\":\"busy\"}",
		  "{\"kind\":\"ended\",\"attempt\":\"" ID "\",\"args\":{\"outcome\":\"busy\"}}" },
		{ "POST", "/v1/callbacks/" ID "/done", FAKE_TOKEN_AGENT, "{\"version\":9,\"disposition\":\"sold\",\"note\":\"ok\"}",
		  "{\"kind\":\"done\",\"callback\":\"" ID "\",\"version\":9,\"args\":{\"disposition\":\"sold\",\"note\":\"ok\"}}" },
		{ "POST", "/v1/callbacks/" ID "/give_back", FAKE_TOKEN_AGENT, "{\"version\":9}",
		  "{\"kind\":\"give_back\",\"callback\":\"" ID "\",\"version\":9,\"args\":{}}" },
		{ "POST", "/v1/callbacks/" ID "/retry", FAKE_TOKEN_AGENT, "{\"version\":9,\"at\":\"2026-11-24T08:00:00+01:00\"}",
		  "{\"kind\":\"retry\",\"version\":9,\"args\":{\"at\":1795503600000}}" },
		{ "POST", "/v1/callbacks/" ID "/retry", FAKE_TOKEN_AGENT, "{\"version\":9,\"in_s\":60}",
		  "{\"kind\":\"retry\",\"version\":9,\"args\":{\"in_s\":60}}" },
		{ "POST", "/v1/callbacks/" ID "/cancel", NULL, NULL,
		  "{\"kind\":\"cancel\",\"role\":\"operator\",\"callback\":\"" ID "\",\"args\":{}}" },
		{ "POST", "/v1/callbacks/" ID "/reschedule", FAKE_TOKEN_SUPERVISOR,
		  "{\"version\":9,\"when\":\"2026-11-24T10:00:00\",\"time_zone\":\"Europe/Berlin\",\"reason\":\"asked\"}",
		  "{\"kind\":\"reschedule\",\"role\":\"supervisor\",\"callback\":\"" ID "\",\"version\":9,"
		  "\"args\":{\"when\":\"2026-11-24T10:00\",\"time_zone\":\"Europe/Berlin\",\"reason\":\"asked\"}}" },
		{ "POST", "/v1/callbacks/" ID "/reschedule", NULL, "{\"when\":\"2026-11-24T08:00:00+01:00\"}",
		  "{\"kind\":\"reschedule\",\"role\":\"operator\",\"callback\":\"" ID "\",\"args\":{\"at\":1795503600000}}" },
		{ "POST", "/v1/callbacks/" ID "/now", FAKE_TOKEN_SUPERVISOR, "{}",
		  "{\"kind\":\"reschedule\",\"role\":\"supervisor\",\"callback\":\"" ID "\",\"args\":{\"when\":\"asap\"}}" },
		{ "POST", "/v1/callbacks/" ID "/notes", FAKE_TOKEN_AGENT, "{\"text\":\"rang\"}",
		  "{\"kind\":\"note\",\"callback\":\"" ID "\",\"args\":{\"text\":\"rang\"}}" },
		{ "POST", "/v1/callbacks/" ID "/assign", FAKE_TOKEN_ADMINISTRATOR, "{\"version\":9,\"agent\":\"ann\"}",
		  "{\"kind\":\"offer\",\"role\":\"administrator\",\"callback\":\"" ID "\",\"version\":9}" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct http_request *req = fake_asked(cases[i].method, cases[i].path, cases[i].token, cases[i].body);
		if (!fake.lane_waits)
			fail_msg("%s %s: %d %s", cases[i].method, cases[i].path, req->status, req->text);
		assert_string_equal(req->wait, "commit");
		fake_assert_has(fake.command, cases[i].command);
		fake_accept("{\"callback\":{\"due_at\":1795417200000}}", 101);
		assert_int_equal(req->status, 200);
		assert_int_equal(req->resumed, 1);
		assert_string_equal(json_text(req->json, "event"), "3.101");
		fake_end(req);
	}
}

static void
an_assigned_callback_is_offered_to_that_agent_alone(void **state)
{
	struct http_request *req = fake_asked("POST", "/v1/callbacks/" ID "/assign", FAKE_TOKEN_SUPERVISOR,
	    "{\"version\":9,\"agent\":\"ann\"}");
	const json_t *to = json_object_get(fake.command, "to");

	(void)state;
	assert_int_equal(json_array_size(to), 1);
	assert_int_equal(json_int(json_array_get(to, 0), "agent", 0), 7);
	struct id offer;
	assert_true(json_id(json_array_get(to, 0), "offer", &offer));
	fake_end(req);
}

static void
what_is_wrong_with_a_command_is_named(void **state)
{
	static const struct { const char *path, *body, *field; } cases[] = {
		{ "/v1/callbacks/" ID "/done", "{}", "version" },
		{ "/v1/callbacks/" ID "/done", "{\"version\":0}", "version" },
		{ "/v1/callbacks/" ID "/done", "{\"version\":\"9\"}", "version" },
		{ "/v1/callbacks/" ID "/done", "{\"version\":9,\"note\":7}", "note" },
		{ "/v1/callbacks/" ID "/retry", "{\"version\":9}", "at" },
		{ "/v1/callbacks/" ID "/retry", "{\"version\":9,\"in_s\":1,\"at\":\"2026-11-24T08:00:00Z\"}", "at" },
		{ "/v1/callbacks/" ID "/retry", "{\"version\":9,\"at\":\"2026-11-24T08:00:00\"}", "at" },
		{ "/v1/callbacks/" ID "/retry", "{\"version\":9,\"in_s\":-1}", "in_s" },
		{ "/v1/callbacks/" ID "/reschedule", "{}", "when" },
		{ "/v1/callbacks/" ID "/reschedule", "{\"when\":\"soon\"}", "when" },
		{ "/v1/callbacks/" ID "/reschedule", "{\"when\":\"2026-02-30T10:00\"}", "when" },
		{ "/v1/callbacks/" ID "/reschedule", "{\"when\":\"asap\",\"time_zone\":\"a b\"}", "time_zone" },
		{ "/v1/callbacks/" ID "/reschedule", "{\"when\":\"asap\",\"at\":1}", "at" },
		{ "/v1/callbacks/" ID "/now", "{\"when\":\"asap\"}", "when" },
		{ "/v1/callbacks/" ID "/notes", "{\"text\":\"\"}", "text" },
		{ "/v1/callbacks/" ID "/notes", NULL, "text" },
		{ "/v1/callbacks/" ID "/assign", "{\"version\":9,\"agent\":\"nobody\"}", "agent" },
		{ "/v1/attempts/" ID "/hold", "{\"now\":true}", "now" },
		{ "/v1/offers/" ID "/accept", "{\"reason\":\"x\"}", "reason" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct http_request *req = fake_asked("POST", cases[i].path, FAKE_TOKEN_ADMINISTRATOR, cases[i].body);
		const json_t *first = json_array_get(json_object_get(req->json, "errors"), 0);
		if (req->status != 422 || strcmp(json_text(first, "field"), cases[i].field) != 0)
			fail_msg("%s %s: %d %s", cases[i].path, cases[i].body, req->status, req->text);
		assert_false(fake.lane_waits);
		fake_end(req);
	}
}

static char *
id_with_key(const char *token, const char *path, const char *key)
{
	struct http_request *req = fake_request("POST", path);

	if (token != NULL)
		fake_bearer(req, token);
	else
		req->door = FRONT_UNIX;
	if (key != NULL)
		fake_header(req, "Idempotency-Key", key);
	fake_ask(req);
	char *id = xstrdup(json_text(fake.command, "id"));
	fake_end(req);
	return id;
}

static void
an_idempotency_key_makes_the_command_the_same(void **state)
{
	static const char path[] = "/v1/callbacks/" ID "/cancel";
	static const char other[] = "/v1/offers/" ID "/accept";
	char *ids[] = {
		id_with_key(FAKE_TOKEN_AGENT, path, "k1"), id_with_key(FAKE_TOKEN_AGENT, path, "k1"),
		id_with_key(FAKE_TOKEN_AGENT, path, "k2"), id_with_key(FAKE_TOKEN_SUPERVISOR, path, "k1"),
		id_with_key(NULL, path, "k1"), id_with_key(FAKE_TOKEN_AGENT, path, NULL), id_with_key(FAKE_TOKEN_AGENT, path, NULL),
		id_with_key(FAKE_TOKEN_AGENT_SECOND, path, "k1"), id_with_key(FAKE_TOKEN_AGENT, other, "k1"),
	};
	char longest[202];

	(void)state;
	assert_string_equal(ids[0], ids[1]);
	for (size_t i = 1; i < COUNT(ids); i++)
		for (size_t k = i + 1; k < COUNT(ids); k++)
			assert_string_not_equal(ids[i], ids[k]);
	for (size_t i = 0; i < COUNT(ids); i++)
		free(ids[i]);
	memset(longest, 'k', sizeof(longest));
	longest[201] = '\0';
	struct http_request *req = fake_request("POST", path);
	fake_bearer(req, FAKE_TOKEN_AGENT);
	fake_header(req, "Idempotency-Key", longest);
	fake_ask(req);
	assert_int_equal(req->status, 400);
	fake_end(req);
}

/* The request ends while it waits; fake_end() sees that nothing asks for it any more. */
static void
who_goes_away_is_forgotten(void **state)
{
	struct http_request *req = fake_asked("POST", "/v1/callbacks/" ID "/cancel", FAKE_TOKEN_AGENT, NULL);

	(void)state;
	assert_true(fake.lane_waits);
	fake_end(req);
	req = fake_asked("GET", "/v1/callbacks/" ID, FAKE_TOKEN_AGENT, NULL);
	assert_true(fake.pool_waits);
	fake_end(req);
	/* A job cannot be stopped; its end finds nobody. */
	req = fake_asked("POST", "/v1/session", NULL, "{\"name\":\"ann\",\"password\":\"x\"}");
	fake_rows(5, 0, NULL);
	assert_true(fake.work_waits);
	fake_end(req);
	fake_work();
	/* And one that never came back is freed by api_free(), which the leak checker sees. */
	req = fake_asked("POST", "/v1/session", NULL, "{\"name\":\"ann\",\"password\":\"x\"}");
	fake_rows(5, 0, NULL);
	assert_int_equal(req->resumed, 0);
	fake_end(req);
}

static void
a_database_that_cannot_be_asked_is_503(void **state)
{
	struct http_request *req = fake_asked("POST", "/v1/callbacks/" ID "/cancel", FAKE_TOKEN_AGENT, NULL);

	(void)state;
	fake_lane_err(lane_err_down);
	assert_int_equal(req->status, 503);
	assert_non_null(fake_answer_header(req, "Retry-After"));
	fake_end(req);
	req = fake_asked("POST", "/v1/callbacks/" ID "/cancel", FAKE_TOKEN_AGENT, NULL);
	fake_lane_err(lane_err_failed);
	assert_int_equal(req->status, 500);
	fake_end(req);
	req = fake_asked("GET", "/v1/callbacks/" ID, FAKE_TOKEN_AGENT, NULL);
	fake_query_err(pool_err_lost);
	assert_int_equal(req->status, 503);
	fake_end(req);
	req = fake_asked("GET", "/v1/callbacks/" ID, FAKE_TOKEN_AGENT, NULL);
	fake_query_err("42883");
	assert_int_equal(req->status, 500);
	fake_end(req);
	fake.lane_full = true;
	req = fake_asked("POST", "/v1/callbacks/" ID "/cancel", FAKE_TOKEN_AGENT, NULL);
	assert_int_equal(req->status, 503);
	fake_end(req);
	fake.pool_down = true;
	req = fake_asked("GET", "/v1/callbacks/" ID, FAKE_TOKEN_AGENT, NULL);
	assert_int_equal(req->status, 503);
	fake_end(req);
}

/* ---- signing in ---- */

static struct http_request *
sign_in(const char *body, const char *stored, const char *locked_until)
{
	struct http_request *req = fake_request("POST", "/v1/session");
	const char *row[] = { "1", "7", stored, locked_until, "agent" };

	fake_json(req, body);
	fake_ask(req);
	assert_true(fake.pool_waits);
	assert_int_equal(fake.statement, STATEMENT_load_credential);
	assert_string_equal(fake.params[0], "demo");
	assert_string_equal(fake.params[1], "ann");
	fake_rows(5, stored != NULL ? 1 : 0, row);
	return req;
}

static void
the_right_password_opens_a_session(void **state)
{
	char *stored = password_hash("secret");
	struct http_request *req = sign_in("{\"name\":\"ann\",\"password\":\"secret\",\"ready\":true}", stored, NULL);

	(void)state;
	fake_work();
	fake_assert_has(fake.command, "{\"kind\":\"sign_in\",\"role\":\"agent\",\"by\":7,\"agent\":7,\"args\":{\"ready\":true,"
	    "\"expires_at\":1795417260000,\"token_hash\":\"abababababababababababababababababababababababababababababababab\"}}");
	assert_int_equal(req->status, 0);
	fake_accept("{\"session\":{}}", 12);
	assert_int_equal(req->status, 201);
	assert_int_equal(req->resumed, 1);
	fake_assert_has(req->json, "{\"token\":\"1.new\",\"tenant\":\"demo\",\"agent\":{\"id\":7,\"name\":\"ann\",\"role\":\"agent\"},"
	    "\"expires_at\":\"2026-11-23T07:01:00.000Z\",\"event\":\"3.12\"}");
	assert_string_equal(fake_answer_header(req, "Set-Cookie"),
	    "callbackd_session=1.new; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure");
	fake_end(req);
	/* Locked meanwhile: the database has the last word. */
	req = sign_in("{\"name\":\"ann\",\"password\":\"secret\"}", stored, NULL);
	fake_work();
	fake_refuse("locked", NULL);
	assert_int_equal(req->status, 423);
	assert_null(fake_answer_header(req, "Set-Cookie"));
	fake_end(req);
	free(stored);
}

static void
a_wrong_password_is_counted_and_an_unknown_name_costs_as_much(void **state)
{
	char *stored = password_hash("secret");
	struct http_request *req = sign_in("{\"name\":\"ann\",\"password\":\"guess\"}", stored, "1795417199999");

	(void)state;
	fake_work();
	fake_assert_has(fake.command, "{\"kind\":\"sign_in_failed\",\"agent\":7}");
	fake_accept("{}", 13);
	assert_int_equal(req->status, 401);
	char *known = xstrdup(req->text);
	fake_end(req);
	/* No row: the worker still compares, and the answer is the same to the letter. */
	req = sign_in("{\"name\":\"ann\",\"password\":\"guess\",\"tenant\":\"demo\"}", NULL, NULL);
	assert_true(fake.work_waits);
	fake_work();
	assert_null(fake.command);
	assert_int_equal(req->status, 401);
	assert_string_equal(req->text, known);
	fake_end(req);
	free(known);
	free(stored);
}

static void
a_locked_account_is_told_when(void **state)
{
	struct http_request *req = sign_in("{\"name\":\"ann\",\"password\":\"x\"}", "$scrypt$", "1795417201001");

	(void)state;
	assert_int_equal(req->status, 423);
	assert_string_equal(fake_answer_header(req, "Retry-After"), "2");
	assert_false(fake.work_waits);
	fake_end(req);
}

static int
tried(const char *peer, int number, const char *stored)
{
	const char *row[] = { "1", "7", stored, NULL, "agent" };
	struct http_request *req = fake_request("POST", "/v1/session");
	char *body = xasprintf("{\"name\":\"ann%d\",\"password\":\"x\"}", number);

	req->peer = peer;
	fake_json(req, body);
	fake_ask(req);
	int status = req->status;
	if (status == 0) {
		fake_rows(5, stored != NULL ? 1 : 0, row);
		if (fake.work_waits)
			fake_work();
		if (stored != NULL && req->status == 0)
			fake_accept("{\"session\":{}}", 12);
		status = req->status;
	} else if (status == 429) {
		assert_non_null(fake_answer_header(req, "Retry-After"));
	}
	fake_end(req);
	free(body);
	return status;
}

/*
 * How many are compared until one is told to wait: each from its own address (or all from prefix), at its own name (or
 * all at one). Each takes a while, and a slow machine gets some more by then.
 */
static int
tries_until_told(const char *prefix, bool own_address, int name, bool own_name)
{
	int n = 0, status;

	do {
		char *peer = own_address ? xasprintf("%s%d", prefix, n + 1) : xstrdup(prefix);
		status = tried(peer, name + (own_name ? n : 0), NULL);
		free(peer);
		n += status == 401;
	} while (status == 401 && n < 60);
	assert_int_equal(status, 429);
	return n;
}

static void
sign_ins_that_fail_are_limited_by_network_and_by_name(void **state)
{
	(void)state;
	assert_in_range(tries_until_told("192.0.2.7", false, 0, true), 20, 40);
	assert_in_range(tries_until_told("2001:db8::", true, 100, true), 20, 40);
	assert_int_equal(tried("2001:db8:0:1::1", 200, NULL), 401);
	/* A crowd at one name. */
	assert_in_range(tries_until_told("198.51.100.", true, 300, false), 10, 30);
	assert_int_equal(tried("198.51.100.99", 301, NULL), 401);
}

/* A whole office signs in at nine, from one address; and a crowd of strangers does not keep it out. */
static void
who_signs_in_is_not_counted_and_known_from_then_on(void **state)
{
	char *stored = password_hash("x");

	(void)state;
	for (int i = 0; i < 50; i++)
		assert_int_equal(tried("192.0.2.8", i, stored), 201);
	(void)tries_until_told("203.0.113.", true, 7, false);
	fake.work_last_full = true;
	assert_int_equal(tried("203.0.113.77", 7, stored), 429);
	assert_int_equal(tried("203.0.113.77", 8, stored), 503);
	assert_int_equal(tried("192.0.2.8", 7, stored), 201);
	fake.work_full = true;
	assert_int_equal(tried("192.0.2.8", 7, stored), 503);
	free(stored);
}

/* What a server in trouble answers, at each step of the way. */
enum trouble { POOL_DOWN, QUERY_LOST, QUERY_FAILED, WORK_FULL, LOADING, LANE_FULL, LANE_DOWN, FAILURE_DOWN, TROUBLES };

static void
meet(enum trouble trouble, const char *name, const char *stored)
{
	struct http_request *req = fake_request("POST", "/v1/session");
	const char *row[] = { "1", "7", stored, NULL, "agent" };
	char *body = xasprintf("{\"name\":\"%s\",\"password\":\"%s\"}", name, trouble == FAILURE_DOWN ? "guess" : "x");

	fake.pool_down = trouble == POOL_DOWN;
	fake.work_full = trouble == WORK_FULL;
	fake.live = trouble != LOADING;
	fake.lane_full = trouble == LANE_FULL;
	req->peer = "192.0.2.9";
	fake_json(req, body);
	fake_ask(req);
	if (trouble == QUERY_LOST || trouble == QUERY_FAILED)
		fake_query_err(trouble == QUERY_LOST ? pool_err_lost : "57014");
	else if (fake.pool_waits)
		fake_rows(5, 1, row);
	if (fake.work_waits)
		fake_work();
	if (fake.lane_waits)
		fake_lane_err(lane_err_down);
	if (req->status < 500)
		fail_msg("trouble %d: %d", trouble, req->status);
	fake_end(req);
	free(body);
}

/* All together they are more than a network may fail at once; each is a good part of what a name may. */
static void
who_met_a_server_in_trouble_is_not_counted(void **state)
{
	char *stored = password_hash("x");

	(void)state;
	for (int trouble = 0; trouble < TROUBLES; trouble++)
		for (int i = 0; i < 4; i++)
			meet(trouble, "ann7", stored);
	free(stored);
	fake.live = true;
	assert_in_range(tries_until_told("192.0.2.9", false, 7, false), 10, 20);
}

/* Whoever is told that he is locked out has tried. */
static void
who_is_locked_out_is_counted(void **state)
{
	const char *row[] = { "1", "7", "$scrypt$", "1795417201001", "agent" };
	int status, n = 0;

	(void)state;
	do {
		struct http_request *req = fake_request("POST", "/v1/session");
		fake_json(req, "{\"name\":\"ann\",\"password\":\"x\"}");
		fake_ask(req);
		if (fake.pool_waits)
			fake_rows(5, 1, row);
		status = req->status;
		fake_end(req);
	} while (status == 423 && n++ < 30);
	assert_int_equal(status, 429);
	assert_in_range(n, 10, 20);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(requests_become_commands),
		CASE(an_assigned_callback_is_offered_to_that_agent_alone),
		CASE(what_is_wrong_with_a_command_is_named),
		CASE(an_idempotency_key_makes_the_command_the_same),
		CASE(who_goes_away_is_forgotten),
		CASE(a_database_that_cannot_be_asked_is_503),
		CASE(the_right_password_opens_a_session),
		CASE(a_wrong_password_is_counted_and_an_unknown_name_costs_as_much),
		CASE(a_locked_account_is_told_when),
		CASE(sign_ins_that_fail_are_limited_by_network_and_by_name),
		CASE(who_signs_in_is_not_counted_and_known_from_then_on),
		CASE(who_met_a_server_in_trouble_is_not_counted),
		CASE(who_is_locked_out_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
