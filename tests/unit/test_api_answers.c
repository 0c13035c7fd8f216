/*
 * test_api_answers: what is shown to whom; the company document; events, the
 * fake clock and metrics.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

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

/* ---- what is shown ---- */

static void
the_state_brings_the_details_and_the_event_it_is_true_at(void **state)
{
	static const char detail[] = "{\"contact\":{\"phone\":\"+4930123456\"},\"case_information\":{\"seen_at\":1},"
	    "\"notes_by_agents\":[{\"written_at\":1795417200000,\"text\":\"x\"}]}";
	struct http_request *req;

	(void)state;
	fake.state = json_loads("{\"agent\":{\"id\":7},\"offers\":[{\"offer\":{\"id\":\"o\",\"deadline_at\":1795417219500},"
	    "\"callback\":{\"id\":\"" ID "\",\"state\":\"offered\",\"queue\":4}}],"
	    "\"callbacks\":[{\"callback\":{\"id\":\"" NEXT_ID "\",\"state\":\"ready_to_call\",\"agent\":7}}]}", 0, NULL);
	req = fake_asked("GET", "/v1/me/state", FAKE_TOKEN_AGENT, NULL);
	assert_int_equal(fake.statement, STATEMENT_load_details);
	assert_string_equal(fake.params[0], "1");
	assert_string_equal(fake.params[1], "[\"" ID "\",\"" NEXT_ID "\"]");
	fake_rows(2, 1, (const char *[]){ ID, detail });
	assert_int_equal(req->status, 200);
	assert_string_equal(fake_answer_header(req, "Cache-Control"), "no-store");
	assert_string_equal(json_text(req->json, "event"), "3.100");
	fake_assert_has(json_array_get(json_object_get(req->json, "offers"), 0), "{\"seconds_left\":19,\"callback\":{\"queue_name\":\"loans\"},"
	    "\"offer\":{\"deadline_at\":\"2026-11-23T07:00:19.500Z\"},"
	    "\"detail\":{\"contact\":{\"phone\":\"+4930123456\"},\"case_information\":{\"seen_at\":1},"
	    "\"notes_by_agents\":[{\"written_at\":\"2026-11-23T07:00:00.000Z\",\"text\":\"x\"}]}}");
	fake_assert_has(json_array_get(json_object_get(req->json, "callbacks"), 0),
	    "{\"detail\":null,\"callback\":{\"agent_name\":\"ann\"}}");
	fake_end(req);
	json_decref(fake.state);
	/* Nothing held: the database is not asked at all. */
	fake.state = json_loads("{\"agent\":{\"id\":7},\"offers\":[],\"callbacks\":[]}", 0, NULL);
	req = fake_asked("GET", "/v1/me/state", FAKE_TOKEN_AGENT, NULL);
	assert_int_equal(req->status, 200);
	assert_false(fake.pool_waits);
	assert_int_equal(fake.touched, 7);
	fake_end(req);
	req = fake_asked("GET", "/v1/me/state", NULL, NULL);
	assert_int_equal(req->status, 403);
	fake_end(req);
}

static void
lists_are_filtered_by_names_and_paged_by_id(void **state)
{
	struct http_request *req = fake_request("GET", "/v1/callbacks");
	static const char list[] = "[{\"id\":\"a\",\"state\":\"scheduled\",\"due_at\":1795417200000,\"queue\":4},"
	    "{\"id\":\"b\",\"state\":\"scheduled\",\"due_at\":1795417200001}]";

	(void)state;
	fake_bearer(req, FAKE_TOKEN_SUPERVISOR);
	fake_query(req, "state", "queued");
	fake_query(req, "queue", "loans");
	fake_query(req, "agent", "ann");
	fake_query(req, "after", ID);
	fake_query(req, "limit", "2");
	fake_ask(req);
	assert_int_equal(fake.statement, STATEMENT_load_callbacks);
	assert_string_equal(fake.params[1], "1795417200000");
	json_t *filter = json_loads(fake.params[2], 0, NULL);
	fake_assert_has(filter, "{\"state\":\"queued\",\"queue\":4,\"agent\":7,\"after\":\"" ID "\",\"limit\":2}");
	json_decref(filter);
	fake_rows(1, 1, (const char *[]){ list });
	assert_string_equal(json_text(req->json, "next"), "b");
	const json_t *first = json_array_get(json_object_get(req->json, "callbacks"), 0);
	fake_assert_has(first, "{\"state\":\"queued\",\"queue_name\":\"loans\"}");
	fake_assert_has(json_array_get(json_object_get(req->json, "callbacks"), 1), "{\"state\":\"scheduled\"}");
	fake_end(req);
	req = fake_request("GET", "/v1/callbacks");
	fake_bearer(req, FAKE_TOKEN_SUPERVISOR);
	fake_query(req, "state", "lost");
	fake_query(req, "queue", "none");
	fake_query(req, "agent", "none");
	fake_query(req, "after", "x");
	fake_query(req, "limit", "501");
	fake_ask(req);
	assert_int_equal(req->status, 422);
	assert_int_equal(json_array_size(json_object_get(req->json, "errors")), 5);
	fake_end(req);
}

static void
an_agent_sees_a_callback_only_while_it_is_his(void **state)
{
	static const struct { const char *token, *row; int status; } cases[] = {
		{ FAKE_TOKEN_AGENT, "{\"callback\":{\"agent\":7}}", 200 },
		{ FAKE_TOKEN_AGENT, "{\"callback\":{\"agent\":8}}", 404 },
		{ FAKE_TOKEN_AGENT, "{\"callback\":{},\"offers\":[{\"agent\":7,\"state\":\"timeout\"}]}", 404 },
		{ FAKE_TOKEN_AGENT, "{\"callback\":{},\"offers\":[{\"agent\":8,\"state\":\"pending\"}]}", 404 },
		{ FAKE_TOKEN_AGENT, "{\"callback\":{},\"offers\":[{\"agent\":7,\"state\":\"pending\"}]}", 200 },
		{ FAKE_TOKEN_SUPERVISOR, "{\"callback\":{\"agent\":7}}", 200 },
		{ FAKE_TOKEN_SUPERVISOR, NULL, 404 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct http_request *req = fake_asked("GET", "/v1/callbacks/" ID, cases[i].token, NULL);
		assert_string_equal(fake.params[1], ID);
		fake_rows(1, 1, (const char *[]){ cases[i].row });
		assert_int_equal(req->status, cases[i].status);
		fake_end(req);
	}
}

/* ---- the company ---- */

/* The plan before anything is done: nothing is wrong. */
static void
fake_checked(void)
{
	assert_int_equal(fake.statement, STATEMENT_company_plan);
	assert_null(strstr(fake.params[0], "password"));
	fake_rows(1, 1, (const char *[]){ "{\"changes\":[],\"errors\":[]}" });
}

static void
passwords_are_hashed_before_the_database_sees_them(void **state)
{
	char *stored = password_hash("old");
	struct http_request *req = fake_asked("PUT", "/v1/company", FAKE_TOKEN_ADMINISTRATOR, "{\"company\":{\"name\":\"demo\"},\"agents\":["
	    "{\"name\":\"sue\"},{\"name\":\"ann\",\"password\":\"old\"},{\"name\":\"bob\",\"password\":\"new\"}]}");

	(void)state;
	fake_checked();
	assert_string_equal(fake.params[1], "ann");
	fake_rows(5, 1, (const char *[]){ "1", "7", stored, NULL, "agent" });
	fake_work();
	assert_string_equal(fake.params[1], "bob");
	fake_rows(5, 0, NULL);
	fake_work();
	assert_int_equal(fake.statement, STATEMENT_company_plan);
	json_t *plan = json_loads(fake.params[0], 0, NULL);
	const json_t *agents = json_object_get(plan, "agents");
	/* His already: left as it is, so that the same document changes nothing. */
	assert_null(json_object_get(json_array_get(agents, 1), "password"));
	assert_null(json_object_get(json_array_get(agents, 1), "password_hash"));
	assert_true(password_check("new", json_text(json_array_get(agents, 2), "password_hash")));
	assert_null(json_object_get(json_array_get(agents, 2), "password"));
	fake_rows(1, 1, (const char *[]){ "{\"changes\":[{\"object\":\"agent\",\"name\":\"bob\",\"action\":\"create\"}],\"errors\":[]}" });
	assert_string_equal(json_text(fake.command, "kind"), "company");
	assert_true(json_equal(json_object_get(json_object_get(fake.command, "args"), "document"), plan));
	fake_accept("{}", 20);
	assert_int_equal(req->status, 200);
	fake_assert_has(req->json, "{\"changes\":[{\"object\":\"agent\",\"name\":\"bob\",\"action\":\"create\"}],\"event\":\"3.20\"}");
	fake_end(req);
	json_decref(plan);
	free(stored);
}

static void
a_dry_run_and_a_wrong_document_write_nothing(void **state)
{
	struct http_request *req = fake_request("PUT", "/v1/company");

	(void)state;
	fake_bearer(req, FAKE_TOKEN_ADMINISTRATOR);
	fake_query(req, "dry_run", "1");
	fake_json(req, "{\"company\":{\"name\":\"demo\"}}");
	fake_ask(req);
	fake_checked();
	fake_rows(1, 1, (const char *[]){ "{\"changes\":[{\"object\":\"queue\"}],\"errors\":[]}" });
	assert_int_equal(req->status, 200);
	assert_null(fake.command);
	fake_end(req);
	/* Wrong: found before a password is hashed. */
	req = fake_asked("PUT", "/v1/company", FAKE_TOKEN_ADMINISTRATOR,
	    "{\"company\":{\"name\":\"demo\"},\"agents\":[{\"name\":\"ann\",\"password\":\"x\"}]}");
	fake_rows(1, 1, (const char *[]){ "{\"changes\":[],\"errors\":[{\"field\":\"queues[0].name\",\"message\":\"m\"}]}" });
	assert_int_equal(req->status, 422);
	assert_null(fake.command);
	fake_end(req);
	req = fake_asked("PUT", "/v1/company", FAKE_TOKEN_ADMINISTRATOR, "{\"company\":{\"name\":\"demo\"}}");
	fake_checked();
	fake_rows(1, 1, (const char *[]){ "{\"changes\":[],\"errors\":[]}" });
	assert_string_equal(req->text, "{\"changes\":[]}");
	fake_end(req);
	/* A hash is made here and nowhere else. */
	req = fake_asked("PUT", "/v1/company", FAKE_TOKEN_ADMINISTRATOR,
	    "{\"company\":{\"name\":\"demo\"},\"agents\":[{\"name\":\"ann\",\"password_hash\":\"x\"}]}");
	assert_int_equal(req->status, 422);
	fake_end(req);
	/* Another's company, and a name that is none. */
	static const char *const names[] = { "other", "Demo", "", "-x" };
	for (size_t i = 0; i < COUNT(names); i++) {
		char *body = xasprintf("{\"company\":{\"name\":\"%s\"}}", names[i]);
		req = fake_asked("PUT", "/v1/company", FAKE_TOKEN_ADMINISTRATOR, body);
		assert_int_equal(req->status, 422);
		fake_end(req);
		free(body);
	}
}

static void
the_operator_makes_a_tenant_and_waits_until_it_is_there(void **state)
{
	struct http_request *req;

	(void)state;
	fake.tenants = 0;
	req = fake_asked("PUT", "/v1/company", NULL, "{\"company\":{\"name\":\"demo\"}}");
	fake_checked();
	assert_int_equal(fake.statement, STATEMENT_tenant_create);
	fake_rows(1, 1, (const char *[]){ "1" });
	assert_int_equal(fake.looked, 1);
	assert_string_equal(req->wait, "tenant");
	event_base_loop(fake.base, EVLOOP_ONCE);
	assert_false(fake.pool_waits);
	fake.tenants = 1;
	fake.live = false;
	event_base_loop(fake.base, EVLOOP_ONCE);
	assert_false(fake.pool_waits);
	fake.live = true;
	event_base_loop(fake.base, EVLOOP_ONCE);
	assert_true(fake.pool_waits);
	assert_int_equal(fake.statement, STATEMENT_company_plan);
	fake_rows(1, 1, (const char *[]){ "{\"changes\":[{\"object\":\"tenant\"}]}" });
	fake_assert_has(fake.command, "{\"kind\":\"company\",\"role\":\"operator\"}");
	fake_end(req);
	/* Given up meanwhile: the timer finds nobody. */
	fake.tenants = 0;
	req = fake_asked("PUT", "/v1/company", NULL, "{\"company\":{\"name\":\"demo\"}}");
	fake_checked();
	fake_rows(1, 1, (const char *[]){ "1" });
	fake_end(req);
	assert_int_equal(event_base_loop(fake.base, EVLOOP_NONBLOCK), 1);
}

/* ---- events, clock, watching ---- */

static struct http_request *
events(const char *after, const char *wait_s, const char *accept)
{
	struct http_request *req = fake_request("GET", "/v1/events");

	fake_bearer(req, FAKE_TOKEN_AGENT);
	if (after != NULL)
		fake_query(req, "after", after);
	if (wait_s != NULL)
		fake_query(req, "wait_s", wait_s);
	if (accept != NULL)
		fake_header(req, "Accept", accept);
	fake_ask(req);
	return req;
}

static void
a_poll_that_waits_takes_its_connection_and_another_keeps_it(void **state)
{
	static const struct { const char *after, *wait_s; uint64_t own; bool taken; int timeout_ms; } cases[] = {
		{ NULL, NULL, 0, true, 25000 },
		{ "3.100", NULL, 0, true, 25000 },
		{ "3.100", "5", 0, true, 5000 },
		{ "3.100", "60", 0, true, 25000 },
		{ "3.100", "0", 0, false, 0 },
		{ "3.90", NULL, 0, true, 25000 },	/* nothing of these is his */
		{ "3.90", NULL, 95, false, 25000 },
		{ "2.90", NULL, 0, false, 25000 },	/* foreign epoch, before the floor, beyond the head: a reset */
		{ "3.9", NULL, 0, false, 25000 },
		{ "3.101", NULL, 0, false, 25000 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		fake.ring_own = cases[i].own;
		struct http_request *req = events(cases[i].after, cases[i].wait_s, NULL);
		if (req->taken != cases[i].taken || fake.feed_timeout_ms != cases[i].timeout_ms)
			fail_msg("case %zu: taken %d, %d ms", i, req->taken, fake.feed_timeout_ms);
		assert_string_equal(fake.cursor, cases[i].after != NULL ? cases[i].after : "");
		assert_false(req->taken_head);
		fake_feed("{\"events\":[],\"next\":\"3.100\"}");
		assert_int_equal(req->status, 200);
		assert_string_equal(json_text(req->json, "next"), "3.100");
		fake_end(req);
		/* Or he goes away first. */
		req = events(cases[i].after, cases[i].wait_s, NULL);
		fake_end(req);
	}
}

static void
a_stream_goes_on_from_the_last_event(void **state)
{
	struct http_request *req = fake_request("GET", "/v1/events");

	(void)state;
	fake_bearer(req, FAKE_TOKEN_AGENT);
	fake_header(req, "Accept", "text/event-stream");
	fake_header(req, "Last-Event-ID", "3.97");
	fake_query(req, "after", "3.1");
	fake_ask(req);
	assert_true(fake.subscribed);
	assert_string_equal(fake.cursor, "3.97");
	assert_string_equal(req->type, "text/event-stream");
	fake_end(req);
	static const char *const bad[] = { "x", "3", "3.", "3.1x", "1234567890.123456789012345678901234567890" };
	for (size_t i = 0; i < COUNT(bad); i++) {
		req = events(bad[i], NULL, i % 2 == 0 ? "text/event-stream" : NULL);
		assert_int_equal(req->status, 400);
		fake_end(req);
	}
	req = events(NULL, "soon", NULL);
	assert_int_equal(req->status, 422);
	fake_end(req);
}

static void
only_a_fake_clock_can_be_moved_and_only_forward(void **state)
{
	static const struct { const char *body; int status; const char *now; } cases[] = {
		{ "{\"advance_ms\":1500}", 200, "2026-11-23T07:00:01.500Z" },
		{ "{\"now\":\"2026-11-23T08:01:00+01:00\"}", 200, "2026-11-23T07:01:00.000Z" },
		{ "{\"now\":\"2026-11-23T07:00:59Z\"}", 422, NULL },
		{ "{\"advance_ms\":-1}", 422, NULL },
		{ "{\"advance_ms\":1,\"now\":\"2026-11-23T08:00:00Z\"}", 422, NULL },
		{ "{}", 422, NULL },
	};
	struct http_request *req = fake_asked("POST", "/v1/test/clock", NULL, cases[0].body);

	(void)state;
	assert_int_equal(req->status, 404);
	fake_end(req);
	fake.is_test = true;
	for (size_t i = 0; i < COUNT(cases); i++) {
		int moved = fake.clock_moved;
		req = fake_asked("POST", "/v1/test/clock", NULL, cases[i].body);
		assert_int_equal(req->status, cases[i].status);
		assert_int_equal(fake.clock_moved - moved, cases[i].status == 200);
		if (cases[i].now != NULL)
			assert_string_equal(json_text(req->json, "now"), cases[i].now);
		fake_end(req);
	}
	fake.clock.fake = false;
	req = fake_asked("POST", "/v1/test/clock", NULL, cases[0].body);
	assert_int_equal(req->status, 404);
	fake_end(req);
}

static void
metrics_are_for_this_machine(void **state)
{
	static const char *const lines[] = { "callbackd_ready 1\n", "callbackd_loop_lag_worst_seconds 0.001500\n",
		"callbackd_http_responses_total{class=\"2xx\"} 2\n", "callbackd_connections_open 4\n",
		"callbackd_database_queries_total 6\n", "callbackd_batches_total{tenant=\"demo\"} 5\n",
		"callbackd_batches_total{tenant=\"other\"} 5\n", "callbackd_event_streams{tenant=\"demo\"} 7\n",
		"callbackd_agents{tenant=\"demo\"} 3\n" };
	struct http_request *req = fake_request("GET", "/metrics");

	(void)state;
	fake_ask(req);
	assert_int_equal(req->status, 403);
	fake_end(req);
	fake.tenants = 2;
	req = fake_request("GET", "/metrics");
	req->peer = "127.0.0.1";
	fake_ask(req);
	for (size_t i = 0; i < COUNT(lines); i++)
		assert_non_null(strstr(req->text, lines[i]));
	fake_end(req);
}

static void
the_description_is_served_from_the_source_tree(void **state)
{
	const char *dir = getenv("srcdir");
	struct http_request *req = fake_request("GET", "/v1/openapi.json");

	(void)state;
	fake_ask(req);
	assert_int_equal(req->status, 404);
	fake_end(req);
	fake.conf.www_dir = xasprintf("%s/server/www", dir != NULL ? dir : ".");
	api_reload(fake.api, &fake.conf);
	req = fake_request("GET", "/v1/openapi.json");
	fake_ask(req);
	assert_int_equal(req->status, 200);
	assert_string_equal(json_text(req->json, "openapi"), "3.1.0");
	assert_null(api_page(fake.api, "no such page"));
	fake_end(req);
	free(fake.conf.www_dir);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(the_state_brings_the_details_and_the_event_it_is_true_at),
		CASE(lists_are_filtered_by_names_and_paged_by_id),
		CASE(an_agent_sees_a_callback_only_while_it_is_his),
		CASE(passwords_are_hashed_before_the_database_sees_them),
		CASE(a_dry_run_and_a_wrong_document_write_nothing),
		CASE(the_operator_makes_a_tenant_and_waits_until_it_is_there),
		CASE(a_poll_that_waits_takes_its_connection_and_another_keeps_it),
		CASE(a_stream_goes_on_from_the_last_event),
		CASE(only_a_fake_clock_can_be_moved_and_only_forward),
		CASE(metrics_are_for_this_machine),
		CASE(the_description_is_served_from_the_source_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
