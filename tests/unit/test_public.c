/*
 * test_public: the form's address and the contact's link as a browser and a
 * script see them. Below them stand a node with one tenant and one form, and a
 * lane whose answers the test gives.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "api/api.h"
#include "api/calendar.h"
#include "api/public.h"
#include "api/slot.h"
#include "api/when.h"
#include "api/road.h"
#include "base/bucket.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/json.h"
#include "base/mem.h"
#include "core/explain.h"
#include "core/wait.h"
#include "node/node.h"
#include "node/tenant.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NOW INT64_C(1795420800000)	/* 2026-11-23T08:00:00Z */
#define URLENCODED "application/x-www-form-urlencoded"
#define CALLBACK "0190a5b0-7c1d-7000-8000-0000000000aa"

const char lane_err_full[] = "full", lane_err_down[] = "down", lane_err_failed[] = "failed";

/* The world as the test sets it. */
static struct {
	json_t *form, *company;
	const char *not_ready;
	bool down, full;
	int position;
	int64_t wait_ms;
	struct bucket_table *buckets;
	struct conf conf;
	json_t *sent;			/* the element or command of the lane */
	const char *row;		/* what load_callback gives */
	const char *note;		/* ?note= */
} w;

/* One request and its answer. */
static struct {
	const char *headers[8][2];
	const char *body;
	int status;
	char *type, *text;
	struct buf head;		/* "Name: value\n" */
	struct api_call call;
	bool waits;
	void (*forget)(void *);
} r;

/* Queues without slots: what there is to choose from otherwise, tests/story/test_slots.py sees. */
bool slot_queue(const struct api_call *call, int queue_id) { (void)call; (void)queue_id; return false; }
int64_t wait_expected_ms(struct projection *p, struct id id, int64_t now_ms) { (void)p; (void)id; (void)now_ms; return w.wait_ms; }
int projection_position(const struct projection *p, struct id id) { (void)p; (void)id; return w.position; }
int64_t slot_look(struct api_call *call, const json_t *form) { (void)call; (void)form; return 0; }
enum http_verdict
slot_load(struct api_call *call, const struct slot_ask *ask, void (*then)(struct api_call *, const PGresult *, const char *))
{
	(void)call; (void)ask; (void)then;
	fail_msg("slots were read of a queue that has none");
	return HTTP_DONE;
}
json_t *slot_read(const PGresult *res, const char *err, const char **why) { (void)res; (void)err; *why = NULL; return NULL; }

struct node *api_node(struct api *a) { (void)a; return (struct node *)&w; }
const struct conf *api_conf(struct api *a) { (void)a; return &w.conf; }
struct bucket_table *api_buckets(struct api *a) { (void)a; return w.buckets; }
const char *node_not_ready(const struct node *n) { (void)n; return w.not_ready; }
int64_t node_now_ms(const struct node *n) { (void)n; return NOW; }
bool node_zone_known(const struct node *n, const char *name) { (void)n; return strcmp(name, "Moon/Base") != 0; }
struct pool *node_pool(struct node *n) { (void)n; return NULL; }
bool pool_ready(const struct pool *p) { (void)p; return !w.down; }
struct tenant *node_tenant(struct node *n, int id) { (void)n; return id == 3 ? (struct tenant *)&w : NULL; }
int tenant_id(const struct tenant *t) { (void)t; return 3; }
struct projection *tenant_projection(struct tenant *t) { (void)t; return (struct projection *)&w; }
struct lane *tenant_lane(struct tenant *t) { (void)t; return NULL; }
const json_t *projection_tenant(const struct projection *p) { (void)p; return w.company; }
struct node *tenant_node(const struct tenant *t) { (void)t; return (struct node *)&w; }

struct tenant *
node_form(struct node *n, const char *key, const json_t **image)
{
	(void)n;
	*image = w.form;
	return strcmp(key, "demo") == 0 ? (struct tenant *)&w : NULL;
}

static const uint8_t link_secret[32] = "a secret";

void
projection_each_secret(const struct projection *p, const char *purpose, bool (*fn)(void *, const uint8_t *), void *arg)
{
	(void)p;
	(void)purpose;
	fn(arg, link_secret);
}

bool
projection_signing_secret(const struct projection *p, const char *purpose, int64_t now_ms, uint8_t out[32])
{
	(void)p;
	(void)purpose;
	(void)now_ms;
	memcpy(out, link_secret, 32);
	return true;
}

const char *
api_page(struct api *a, const char *name)
{
	static char texts[4][65536];
	static unsigned turn;
	/* A page and its parts are read at the same time. */
	char *text = texts[turn++ % COUNT(texts)];

	(void)a;
	if (strcmp(name, "style") == 0)
		return "<style></style>";
	char *path = xasprintf(SRCDIR "/server/www/%s%s", name, strchr(name, '.') != NULL ? "" : ".html");
	FILE *f = fopen(path, "r");
	free(path);
	if (f == NULL)
		return NULL;
	text[fread(text, 1, sizeof(texts[0]) - 1, f)] = '\0';
	fclose(f);
	return text;
}

const char *
http_header(const struct http_request *req, const char *name)
{
	(void)req;
	for (size_t i = 0; i < COUNT(r.headers) && r.headers[i][0] != NULL; i++) {
		if (strcasecmp(r.headers[i][0], name) == 0)
			return r.headers[i][1];
	}
	return NULL;
}

const char *http_peer(const struct http_request *req) { (void)req; return "192.0.2.1"; }
const char *
http_query(const struct http_request *req, const char *key)
{
	(void)req;
	return strcmp(key, "note") == 0 ? w.note : NULL;
}

const void *
http_body(const struct http_request *req, size_t *len)
{
	(void)req;
	*len = strlen(r.body);
	return r.body;
}

void
http_answer_header(struct http_request *req, const char *name, const char *value)
{
	(void)req;
	assert_int_equal(r.status, 0);
	assert_null(strpbrk(value, "\r\n"));
	buf_printf(&r.head, "%s: %s\n", name, value);
}

void
http_answer(struct http_request *req, int status, const char *type, const void *text, size_t len)
{
	(void)req;
	assert_int_equal(r.status, 0);
	r.status = status;
	r.type = xstrdup(type != NULL ? type : "");
	r.text = xstrndup(len > 0 ? text : "", len);
}

void
http_problem(struct http_request *req, int status, const char *type, const char *detail, json_t *more, int retry_after_s)
{
	char number[16];
	json_t *doc = json_pack("{s:s, s:s}", "type", type, "detail", detail);

	json_object_update(doc, more);
	json_decref(more);
	snprintf(number, sizeof(number), "%d", retry_after_s);
	if (retry_after_s > 0)
		http_answer_header(req, "Retry-After", number);
	char *text = json_line(doc);
	http_answer(req, status, "application/problem+json", text, strlen(text));
	free(text);
	json_decref(doc);
}

enum http_verdict
api_problem(struct api_call *call, int status, const char *type, const char *detail)
{
	http_problem(call->req, status, type, detail, NULL, 0);
	return HTTP_DONE;
}

enum http_verdict
api_invalid(struct api_call *call, json_t *errors)
{
	http_problem(call->req, 422, "invalid", "errors", json_pack("{s:o}", "errors", errors), 0);
	return HTTP_DONE;
}

enum http_verdict
api_answer(struct api_call *call, int status, json_t *body)
{
	char *text = json_line(body);

	http_answer(call->req, status, "application/json", text, strlen(text));
	free(text);
	json_decref(body);
	return HTTP_DONE;
}

json_t *
api_command(struct api_call *call, const char *kind)
{
	(void)call;
	return json_pack("{s:s}", "kind", kind);
}

enum http_verdict
road_wait(struct api_call *call, const char *wait, void (*forget)(void *), void *arg)
{
	assert_string_equal(wait, "commit");
	assert_ptr_equal(arg, call);
	r.forget = forget;
	r.waits = true;
	return HTTP_WAIT;
}

void road_arrived(struct api_call *call) { (void)call; r.waits = false; }
void road_go_on(struct api_call *call) { (void)call; assert_int_not_equal(r.status, 0); }
void road_failed(struct api_call *call, const char *err) { api_problem(call, 500, "failed", err); }

static struct { lane_answer_fn fn; void *arg; } asked;

static struct ticket *
ask(json_t *element, lane_answer_fn fn, void *arg)
{
	json_decref(w.sent);
	w.sent = element;
	asked.fn = fn;
	asked.arg = arg;
	return w.full ? NULL : (struct ticket *)&asked;
}

struct ticket *
lane_submit(struct lane *l, json_t *callback, lane_answer_fn fn, void *arg)
{
	(void)l;
	return ask(callback, fn, arg);
}

struct ticket *
lane_execute(struct lane *l, json_t *command, lane_answer_fn fn, void *arg)
{
	(void)l;
	return ask(command, fn, arg);
}

enum http_verdict
api_query(struct api_call *call, enum statement statement, const char *const *params, const char *wait,
    void (*then_row)(struct api_call *, const PGresult *, const char *))
{
	PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	char name[] = "load_callback";
	PGresAttDesc column = { .name = name };
	/* libpq copies it, and writes nothing. */
	char *row = w.row != NULL ? xstrdup(w.row) : NULL;

	(void)wait;
	assert_int_equal(statement, STATEMENT_load_callback);
	assert_string_equal(params[0], "3");
	assert_string_equal(params[1], CALLBACK);
	assert_true(PQsetResultAttrs(res, 1, &column));
	assert_true(PQsetvalue(res, 0, 0, row, row != NULL ? (int)strlen(row) : -1));
	then_row(call, res, NULL);
	PQclear(res);
	free(row);
	return HTTP_WAIT;
}

/* The story's own words. */

static void
clear(void)
{
	if (r.call.data_free != NULL)
		r.call.data_free(r.call.data);
	free(r.type);
	free(r.text);
	buf_fini(&r.head);
	memset(&r, 0, sizeof(r));
}

static int
set_up(void **state)
{
	const char *why;
	static const char form[] = "{\"id\":7,\"key\":\"demo\",\"label\":\"Call me\",\"default_region\":\"DE\",\"countries\":[],"
	    "\"time_zone\":\"Europe/Berlin\",\"language\":\"de\",\"horizon_s\":2592000,\"thank_you_url\":\"\",\"thank_you_link\":false,"
	    "\"origins\":[\"https://shop.example\",\"bad; script-src *\"],\"address_limit\":2,\"address_period_s\":60}";
	static char none[] = "";

	(void)state;
	memset(&w, 0, sizeof(w));
	memset(&asked, 0, sizeof(asked));
	w.form = json_parse(form, strlen(form), &why);
	w.buckets = bucket_table_new(100);
	w.conf.base_url = none;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	clear();
	json_decref(w.form);
	json_decref(w.company);
	json_decref(w.sent);
	bucket_table_free(w.buckets);
	return 0;
}

/* headers: "Name: value" pairs as name, value, ..., NULL. */
static void
request(const char *method, const char *path, const char *arg, const char *body, ...)
{
	const struct api_route *routes[] = { api_routes_intake, api_routes_contact };
	va_list ap;

	clear();
	va_start(ap, body);
	for (size_t i = 0; (r.headers[i][0] = va_arg(ap, const char *)) != NULL; i++)
		r.headers[i][1] = va_arg(ap, const char *);
	va_end(ap);
	r.body = body;
	r.call.args[0] = arg;
	for (size_t i = 0; i < COUNT(routes); i++) {
		for (const struct api_route *route = routes[i]; route->method != NULL; route++) {
			if (strcmp(route->method, method) == 0 && strcmp(route->path, path) == 0) {
				route->handler(&r.call);
				return;
			}
		}
	}
	fail_msg("no route %s %s", method, path);
}

#define POST_FORM(body, ...) request("POST", "/f/{form}", "demo", body, "Content-Type", URLENCODED, ##__VA_ARGS__, NULL)
#define POST_JSON(body, ...) request("POST", "/f/{form}", "demo", body, "Content-Type", "application/json", ##__VA_ARGS__, NULL)

static void
lane_says(const char *err, const char *refusal, const char *body)
{
	const char *why;
	json_t *doc = body != NULL ? json_parse(body, strlen(body), &why) : NULL;
	struct lane_answer a = { .err = err, .refusal = refusal, .seq = 9, .body = doc };

	assert_true(r.waits);
	asked.fn(asked.arg, &a);
	json_decref(doc);
}

#define IMAGE(state, due) "{\"callback\":{\"id\":\"" CALLBACK "\",\"seq\":9,\"state\":\"" state "\",\"created_at\":1795420800000,\"due_at\":" due \
    ",\"promise_at\":" due ",\"promise_local\":\"2026-11-24T10:00:00\",\"promise_zone\":\"Europe/Berlin\",\"attempts\":0,\"offers\":0}"
#define SUBMITTED IMAGE("scheduled", "1795510800000") ",\"when_note\":\"as_asked\"}"

static void
assert_answer(int status, const char *type, const char *in_head, const char *in_text)
{
	if (r.status != status || strncmp(r.type, type, strlen(type)) != 0 ||
	    strstr(r.head.data != NULL ? r.head.data : "", in_head) == NULL || strstr(r.text, in_text) == NULL)
		fail_msg("%d %s\n%s\n%s\nis not %d %s with '%s' and '%s'", r.status, r.type, r.head.data, r.text, status, type,
		    in_head, in_text);
}

/* The token that the answer's Location ends with; borrowed until the next. */
static const char *
token(void)
{
	static char text[49];
	const char *at = strstr(r.head.data, "/c/");

	assert_non_null(at);
	snprintf(text, sizeof(text), "%.48s", at + 3);
	return text;
}

static void
test_json(void **state)
{
	static char base[] = "https://call.example/x/";

	(void)state;
	w.conf.base_url = base;
	POST_JSON("{\"phone\":\"030 901820\",\"order\":5}");
	assert_string_equal(json_text(w.sent, "phone"), "+4930901820");
	assert_string_equal(json_text(w.sent, "address"), "192.0.2.1");
	assert_int_equal(json_int(w.sent, "form", 0), 7);
	assert_null(json_object_get(w.sent, "key"));
	lane_says(NULL, NULL, SUBMITTED);
	assert_answer(201, "application/json", "Location: https://call.example/x/c/", "{\"id\":\"" CALLBACK "\",\"state\":\"scheduled\","
	    "\"promise\":{\"local\":\"2026-11-24T10:00:00\",\"time_zone\":\"Europe/Berlin\",\"at\":\"2026-11-24T09:00:00.000Z\"},"
	    "\"when_note\":\"as_asked\",\"link\":\"https://call.example/x/c/");
	assert_null(strstr(r.head.data, "Idempotent-Replayed"));

	POST_JSON("{\"phone\":\"030 901820\"}", "Idempotency-Key", "k1");
	assert_string_equal(json_text(w.sent, "key"), "k1");
	assert_int_equal(strlen(json_text(w.sent, "fingerprint")), 64);
	lane_says(NULL, NULL, IMAGE("scheduled", "1795420800000") ",\"repeated\":true}");
	assert_answer(201, "application/json", "Idempotent-Replayed: true\n", "\"state\":\"queued\"");
}

static void
test_browser(void **state)
{
	static char base[] = "https://call.example/x/";
	static const struct { const char *url; bool link; const char *note, *location; } rows[] = {
		{ "", false, "as_asked", "Location: /x/c/%s\n" },
		{ "", true, "moved_forward", "Location: /x/c/%s?note=moved_forward\n" },
		{ "https://shop.example/thanks", false, "first_of_two", "Location: https://shop.example/thanks\n" },
		{ "https://shop.example/thanks", true, "as_asked", "Location: https://shop.example/thanks?link=%s\n" },
		{ "https://shop.example/?a=b#c", true, "first_of_two", "Location: https://shop.example/?a=b&link=%s&note=first_of_two#c\n" },
	};
	struct id id;

	(void)state;
	w.conf.base_url = base;
	json_object_set_new(w.form, "address_limit", json_integer(0));
	assert_true(id_parse(CALLBACK, &id));
	char *link = api_link_token((struct tenant *)&w, id);
	for (size_t i = 0; i < COUNT(rows); i++) {
		json_object_set_new(w.form, "thank_you_url", json_string(rows[i].url));
		json_object_set_new(w.form, "thank_you_link", json_boolean(rows[i].link));
		POST_FORM("phone=030+901820", "Accept", "text/html,*/*");
		char *body = xasprintf("%s,\"when_note\":\"%s\"}", IMAGE("scheduled", "1795510800000"), rows[i].note);
		lane_says(NULL, NULL, body);
		char location[256];
		const char *percent = strstr(rows[i].location, "%s");
		snprintf(location, sizeof(location), "%.*s%s%s", percent != NULL ? (int)(percent - rows[i].location) : 1000,
		    rows[i].location, percent != NULL ? link : "", percent != NULL ? percent + 2 : "");
		assert_answer(303, "text/plain", location, "");
		free(body);
	}
	free(link);
	POST_FORM("phone=030+901820", "Accept", "application/json");
	lane_says(NULL, NULL, SUBMITTED);
	assert_answer(201, "application/json", "Location: ", "");
}

static void
test_wrong_fields(void **state)
{
	(void)state;
	POST_JSON("{\"phone\":\"1\",\"email\":\"x\"}");
	assert_answer(422, "application/problem+json", "", "\"errors\":[{\"field\":\"phone\",\"message\":\"");
	assert_answer(422, "application/problem+json", "", "{\"field\":\"email\",\"message\":\"is not an e-mail address\"}");
	json_object_set_new(w.form, "thank_you_url", json_string("https://shop.example/thanks?x"));
	POST_FORM("phone=1&email=%3Cx&name=Ann");
	assert_answer(422, "text/html", "form-action 'self' https://shop.example; frame-ancestors https://shop.example\n",
	    "name=\"email\" value=\"&lt;x\"");
	assert_answer(422, "text/html", "Cache-Control: no-store\n", "value=\"Ann\"");
	POST_JSON("{\"phone\":\"1\",\"time_zone\":\"Moon/Base\"}");
	assert_answer(422, "application/problem+json", "", "{\"field\":\"time_zone\",\"message\":\"is not a known IANA time zone\"}");
	/* What only the database knows looks the same. */
	POST_FORM("phone=030901820&name=Ann&time_zone=Mars/Base");
	lane_says(NULL, "invalid", "{\"errors\":[{\"field\":\"time_zone\",\"message\":\"is not known\"}]}");
	assert_answer(422, "text/html", "", "<span class=\"error\" id=\"time_zone-error\">is not known</span>");
	POST_JSON("{\"phone\":\"030901820\"}");
	lane_says(NULL, "invalid", "{\"errors\":[{\"field\":\"when\",\"message\":\"is in the past\"}]}");
	assert_answer(422, "application/problem+json", "", "\"errors\":[{\"field\":\"when\",\"message\":\"is in the past\"}]");
	POST_JSON("{\"phone\":\"030901820\"}", "Idempotency-Key", "k");
	lane_says(NULL, "key_reused", "{}");
	assert_answer(422, "application/problem+json", "", "\"key-reused\"");
	POST_JSON("{\"phone\":\"030901820\"}");
	lane_says(NULL, "unknown_form", NULL);
	assert_answer(404, "application/problem+json", "", "unknown-form");
	POST_JSON("{\"phone\":\"030901820\"}");
	lane_says(NULL, "from_a_newer_schema", NULL);
	assert_answer(422, "application/problem+json", "", "refused");
	/* None of them cost a token. */
	for (int i = 0; i < 2; i++) {
		POST_JSON("{\"phone\":\"030901820\"}");
		lane_says(NULL, NULL, SUBMITTED);
		assert_answer(201, "application/json", "", "");
	}
}

static void
test_bad_requests(void **state)
{
	(void)state;
	request("POST", "/f/{form}", "demo", "x", "Content-Type", "text/plain", "Accept", "application/json", NULL);
	assert_answer(415, "application/problem+json", "", "unsupported-media-type");
	POST_JSON("{");
	assert_answer(400, "application/problem+json", "", "malformed-body");
	request("POST", "/f/{form}", "nosuch", "", "Content-Type", URLENCODED, NULL);
	assert_answer(404, "text/html", "", "There is no such form.");
	request("GET", "/f/{form}", "nosuch", "", NULL);
	assert_answer(404, "text/html", "", "<h1>Not found</h1>");
	w.not_ready = "loading";
	request("GET", "/f/{form}", "nosuch", "", "Accept", "application/json", NULL);
	assert_answer(503, "application/problem+json", "Retry-After: 5\n", "unavailable");
	request("GET", "/f/{form}", "demo", "", NULL);
	assert_answer(200, "text/html", "default-src 'none'", "<h1>Call me</h1>");
}

static void
test_robot(void **state)
{
	(void)state;
	POST_FORM("phone=030901820&name=Ann&website=http://spam.example");
	assert_null(w.sent);
	assert_answer(422, "text/html", "", "name=\"name\" value=\"Ann\"");
	assert_null(strstr(r.text, "spam.example"));
	POST_JSON("{\"phone\":\"030901820\",\"website\":\"x\"}");
	assert_null(w.sent);
	assert_answer(422, "application/problem+json", "", "refused");
	assert_null(strstr(r.text, "website"));
}

static void
test_limit(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		POST_FORM("phone=030901820");
		lane_says(NULL, NULL, SUBMITTED);
		assert_int_equal(r.status, 303);
	}
	POST_FORM("phone=030901820&name=Ann");
	assert_answer(429, "text/html", "Retry-After: 30\n", "value=\"Ann\"");
	POST_JSON("{\"phone\":\"030901820\"}");
	assert_answer(429, "application/problem+json", "Retry-After: 30\n", "too-many-requests");
}

static void
test_down(void **state)
{
	static const char *const errs[] = { lane_err_down, lane_err_full };

	(void)state;
	w.down = true;
	POST_FORM("phone=030901820&name=Ann");
	assert_answer(503, "text/html", "Retry-After: 5\n", "value=\"Ann\"");
	POST_JSON("{\"phone\":\"030901820\"}");
	assert_answer(503, "application/problem+json", "Retry-After: 5\n", "unavailable");
	w.down = false;
	w.full = true;
	POST_FORM("phone=030901820");
	assert_answer(503, "text/html", "Retry-After: 5\n", "role=\"alert\"");
	w.full = false;
	for (size_t i = 0; i < COUNT(errs); i++) {
		POST_FORM("phone=030901820&name=Ann");
		lane_says(errs[i], NULL, NULL);
		assert_answer(503, "text/html", "Retry-After: 5\n", "value=\"Ann\"");
	}
	POST_JSON("{\"phone\":\"030901820\"}");
	lane_says(lane_err_failed, NULL, NULL);
	assert_answer(500, "application/problem+json", "", "failed");
	/* The wait's end is told in the same words, and no token is lost by any of it. */
	POST_FORM("phone=030901820&name=Ann");
	r.forget(&r.call);
	assert_answer(503, "text/html", "Retry-After: 5\n", "value=\"Ann\"");
	POST_JSON("{\"phone\":\"030901820\"}");
	lane_says(NULL, NULL, SUBMITTED);
	assert_int_equal(r.status, 201);
}

static void
test_origin(void **state)
{
	(void)state;
	request("OPTIONS", "/f/{form}", "demo", "", "Origin", "https://shop.example", NULL);
	assert_answer(204, "", "Access-Control-Allow-Origin: https://shop.example\n", "");
	assert_answer(204, "", "Access-Control-Allow-Headers: Content-Type, Accept, Idempotency-Key\n", "");
	assert_answer(204, "", "Vary: Origin\n", "");
	request("OPTIONS", "/f/{form}", "demo", "", "Origin", "https://shop.example.evil", NULL);
	assert_answer(204, "", "Vary: Origin\n", "");
	assert_null(strstr(r.head.data, "Access-Control"));
	POST_JSON("{}", "Origin", "https://shop.example");
	assert_answer(422, "application/problem+json", "Access-Control-Allow-Origin: https://shop.example\n", "");
	POST_JSON("{}", "Origin", "null");
	assert_answer(422, "application/problem+json", "Vary: Origin\n", "");
	assert_null(strstr(r.head.data, "Access-Control"));
}

#define ROW(state, due, more) IMAGE(state, due) ",\"detail\":{\"contact\":{\"name\":\"Ann Lee\",\"phone\":\"+4930901820\"}," \
    "\"case_information\":{\"order\":\"secret\"}}" more "}"

/* Tried again on another day than it was promised. */
#define RETRIED(state, due, local) "{\"callback\":{\"id\":\"" CALLBACK "\",\"seq\":9,\"state\":\"" state "\",\"created_at\":1795420800000," \
    "\"due_at\":" due ",\"promise_at\":1795420860000,\"promise_local\":\"2026-11-23T09:01:00\",\"promise_zone\":\"Europe/Berlin\"," \
    "\"attempts\":1,\"offers\":1}" local "}"
#define LOCAL ",\"due_local\":\"2026-11-24T10:00:00\""

static void
test_due(void **state)
{
	static char link[64];

	(void)state;
	POST_FORM("phone=030901820");
	lane_says(NULL, NULL, SUBMITTED);
	snprintf(link, sizeof(link), "%s", token());

	w.row = RETRIED("scheduled", "1795510800000", LOCAL);
	request("GET", "/c/{token}", link, "", "Accept", "application/json", NULL);
	assert_answer(200, "application/json", "", "\"promise\":{\"local\":\"2026-11-23T09:01:00\",\"time_zone\":\"Europe/Berlin\","
	    "\"at\":\"2026-11-23T08:01:00.000Z\"},\"due\":{\"local\":\"2026-11-24T10:00:00\",\"time_zone\":\"Europe/Berlin\","
	    "\"at\":\"2026-11-24T09:00:00.000Z\"},\"attempts\":1");
	request("GET", "/c/{token}", link, "", NULL);
	assert_answer(200, "text/html", "", "When: Tuesday, 24 November 2026, 10:00 (Europe/Berlin)");
	assert_answer(200, "text/html", "", "You asked for: Monday, 23 November 2026, 09:01<");

	/* As promised; its time has come; it is over; a schema that does not say it. */
	static const char *const rows[] = {
		RETRIED("scheduled", "1795420860000", LOCAL), RETRIED("scheduled", "1795420800000", LOCAL),
		RETRIED("failed", "1795510800000", LOCAL), RETRIED("scheduled", "1795510800000", ""),
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		w.row = rows[i];
		request("GET", "/c/{token}", link, "", "Accept", "application/json", NULL);
		assert_answer(200, "application/json", "", "\"attempts\":1");
		assert_null(strstr(r.text, "\"due\""));
		request("GET", "/c/{token}", link, "", NULL);
		assert_answer(200, "text/html", "", "Monday, 23 November 2026, 09:01 (Europe/Berlin)");
		assert_null(strstr(r.text, "You asked for"));
	}
}

static void
test_contact(void **state)
{
	static char link[64];

	(void)state;
	POST_FORM("phone=030901820");
	lane_says(NULL, NULL, SUBMITTED);
	snprintf(link, sizeof(link), "%s", token());

	w.row = ROW("scheduled", "1795510800000", ",\"linked\":[]");
	request("GET", "/c/{token}", link, "", "Accept", "application/json", NULL);
	assert_answer(200, "application/json", "", "{\"id\":\"" CALLBACK "\",\"state\":\"scheduled\",\"promise\":{\"local\":\"2026-11-24T10:00:00\","
	    "\"time_zone\":\"Europe/Berlin\",\"at\":\"2026-11-24T09:00:00.000Z\"},\"attempts\":0,\"cancellable\":true,\"reschedulable\":true,\"callable_now\":true,\"phone\":\"+*******820\"}");
	request("GET", "/c/{token}", link, "", NULL);
	assert_answer(200, "text/html", "Referrer-Policy: same-origin\n", "<h1>Thank you</h1>");
	assert_answer(200, "text/html", "frame-ancestors 'none'\n", "Tuesday, 24 November 2026, 10:00 (Europe/Berlin)");
	assert_null(strstr(r.text, "Ann"));
	assert_null(strstr(r.text, "secret"));
	assert_null(strstr(r.text, "30901"));
	assert_null(strstr(r.text, "{{"));

	w.note = "moved_forward";
	request("GET", "/c/{token}", link, "", NULL);
	assert_answer(200, "text/html", "", "because the clocks go forward");
	w.note = "<script>";
	request("GET", "/c/{token}", link, "", NULL);
	assert_null(strstr(r.text, "script>"));

	w.row = ROW("connected", "1795420800000", "");
	request("GET", "/c/{token}", link, "", NULL);
	assert_answer(200, "text/html", "", "We are speaking with you.");
	assert_null(strstr(r.text, "<form"));
	w.row = ROW("scheduled", "1795420800000", "");
	request("GET", "/c/{token}", link, "", "Accept", "application/json", NULL);
	assert_answer(200, "application/json", "", "\"state\":\"queued\"");
	/* Erased: there is no number, and so there is none here. */
	w.row = IMAGE("completed", "1795420800000") ",\"detail\":{\"contact\":{\"phone\":null},\"erased\":true}}";
	request("GET", "/c/{token}", link, "", NULL);
	assert_answer(200, "text/html", "", "Your request is done.");
	assert_null(strstr(r.text, "Number:"));
	w.row = NULL;
	request("GET", "/c/{token}", link, "", NULL);
	assert_answer(404, "text/html", "", "no longer known");
	w.down = true;
	request("GET", "/c/{token}", link, "", NULL);
	assert_answer(503, "text/html", "Retry-After: 5\n", "");
	request("GET", "/c/{token}", "AAAA<script>", "", NULL);
	assert_answer(404, "text/html", "", "This link is not known");
	w.not_ready = "loading";
	request("GET", "/c/{token}", "AAAA", "", NULL);
	assert_answer(503, "text/html", "Retry-After: 5\n", "");
}

static void
test_cancel(void **state)
{
	static char link[64], location[80];

	(void)state;
	POST_FORM("phone=030901820");
	lane_says(NULL, NULL, SUBMITTED);
	snprintf(link, sizeof(link), "%s", token());
	snprintf(location, sizeof(location), "Location: /c/%s\n", link);

	request("POST", "/c/{token}/cancel", link, "", NULL);
	assert_string_equal(json_text(w.sent, "kind"), "cancel");
	assert_string_equal(json_text(w.sent, "role"), "contact");
	assert_string_equal(json_text(w.sent, "callback"), CALLBACK);
	lane_says(NULL, NULL, IMAGE("cancelled", "1795420800000") "}");
	assert_answer(303, "text/plain", location, "");
	request("POST", "/c/{token}/cancel", link, "", "Accept", "application/json", NULL);
	lane_says(NULL, "wrong_state", IMAGE("cancelled", "1795420800000") "}");
	assert_answer(200, "application/json", "", "\"state\":\"cancelled\"");
	request("POST", "/c/{token}/cancel", link, "", NULL);
	lane_says(NULL, "wrong_state", IMAGE("connected", "1795420800000") "}");
	assert_answer(409, "text/html", "", "It is too late to cancel: we are speaking with you.");
	request("POST", "/c/{token}/cancel", link, "", "Accept", "application/json", NULL);
	lane_says(NULL, "wrong_state", IMAGE("completed", "1795420800000") "}");
	assert_answer(409, "application/problem+json", "", "\"state\":\"completed\"");
	request("POST", "/c/{token}/cancel", link, "", NULL);
	lane_says(NULL, "not_found", NULL);
	assert_answer(404, "text/html", "", "no longer known");
	request("POST", "/c/{token}/cancel", link, "", NULL);
	lane_says(lane_err_down, NULL, NULL);
	assert_answer(503, "text/html", "Retry-After: 5\n", "");
	request("POST", "/c/{token}/cancel", link, "", NULL);
	r.forget(&r.call);
	assert_answer(503, "text/html", "Retry-After: 5\n", "");
	json_decref(w.sent);
	w.sent = NULL;
	request("POST", "/c/{token}/cancel", "AAAA", "", NULL);
	assert_answer(404, "text/html", "", "");
	assert_null(w.sent);
}

#define MOVE(body, ...) request("POST", "/c/{token}/reschedule", link, body, "Content-Type", URLENCODED, ##__VA_ARGS__, NULL)
#define MOVE_JSON(body) request("POST", "/c/{token}/reschedule", link, body, "Content-Type", "application/json", NULL)

static void
test_move(void **state)
{
	static char link[64], location[80];

	(void)state;
	POST_FORM("phone=030901820");
	lane_says(NULL, NULL, SUBMITTED);
	snprintf(link, sizeof(link), "%s", token());
	snprintf(location, sizeof(location), "Location: /c/%s\n", link);
	w.row = ROW("scheduled", "1795510800000", ",\"linked\":[]");

	request("GET", "/c/{token}", link, "", NULL);
	char *action = xasprintf("action=\"/c/%s/reschedule\"", link);
	assert_answer(200, "text/html", "", action);
	free(action);
	assert_answer(200, "text/html", "", "name=\"when\" value=\"2026-11-24T10:00\"");
	assert_answer(200, "text/html", "", "name=\"seen\" value=\"2026-11-24T09:00:00.000Z\"");

	MOVE("when=2026-11-25T11%3A30&time_zone=Europe%2FLondon&seen=2026-11-24T09%3A00%3A00.000Z");
	char *sent = json_line(w.sent);
	assert_string_equal(sent, "{\"kind\":\"reschedule\",\"role\":\"contact\",\"callback\":\"" CALLBACK "\",\"args\":{"
	    "\"when\":\"2026-11-25T11:30\",\"time_zone\":\"Europe/London\",\"seen\":1795510800000}}");
	free(sent);
	lane_says(NULL, NULL, SUBMITTED);
	assert_answer(303, "text/plain", location, "");
	MOVE_JSON("{\"when\":\"2026-11-25T11:30:00+01:00\"}");
	assert_int_equal(json_int(json_object_get(w.sent, "args"), "at", 0), 1795602600000);
	lane_says(NULL, NULL, IMAGE("scheduled", "1795510800000") ",\"when_note\":\"moved_forward\"}");
	assert_answer(200, "application/json", "", "\"when_note\":\"moved_forward\"");
	/* Pressed twice. */
	MOVE("when=asap");
	lane_says(NULL, "unchanged", IMAGE("scheduled", "1795510800000") "}");
	assert_answer(303, "text/plain", location, "");

	/* What is wrong is said above what was typed. */
	json_decref(w.sent);
	w.sent = NULL;
	MOVE("when=%3Cb%3Esoon&time_zone=Moon+Base");
	assert_answer(422, "text/html", "", "The time must be &quot;asap&quot;");
	assert_answer(422, "text/html", "", "The time zone is not a time zone");
	assert_answer(422, "text/html", "", "type=\"text\" id=\"when\" name=\"when\" value=\"&lt;b&gt;soon\"");
	MOVE("time_zone=Europe%2FLondon");
	assert_answer(422, "text/html", "", "The time is missing.");
	MOVE("when=asap&when=asap");
	assert_answer(422, "text/html", "", "The time was sent more than once.");
	MOVE_JSON("{\"when\":5,\"seen\":\"x\"}");
	assert_answer(422, "application/problem+json", "", "{\"field\":\"when\",\"message\":\"must be a text\"},{\"field\":\"seen\"");
	MOVE_JSON("[");
	assert_int_equal(r.status, 400);
	assert_null(w.sent);

	/* Refused: as it stands now. */
	MOVE("when=2026-11-25T11%3A30");
	lane_says(NULL, "stale_version", IMAGE("scheduled", "1795510800000") "}");
	assert_answer(409, "text/html", "", "was changed since you opened this page");
	assert_answer(409, "text/html", "", "Tuesday, 24 November 2026, 10:00 (Europe/Berlin)");
	MOVE_JSON("{\"when\":\"asap\"}");
	lane_says(NULL, "stale_version", IMAGE("scheduled", "1795510800000") "}");
	assert_answer(409, "application/problem+json", "", "\"state\":\"scheduled\",\"promise\":{\"local\"");
	MOVE("when=2026-11-25T11%3A30");
	w.row = ROW("offered", "1795420800000", "");
	lane_says(NULL, "wrong_state", IMAGE("offered", "1795420800000") "}");
	assert_answer(409, "text/html", "", "try again in a minute");
	assert_null(strstr(r.text, "/reschedule"));
	MOVE("when=2030-11-25T11%3A30");
	lane_says(NULL, "invalid", IMAGE("scheduled", "1795510800000") ",\"errors\":[{\"field\":\"when\",\"message\":\"is too far ahead\"}]}");
	assert_answer(422, "text/html", "", "The time is too far ahead.");
	MOVE("when=asap");
	lane_says(NULL, "not_found", NULL);
	assert_answer(404, "text/html", "", "no longer known");
	MOVE("when=asap");
	r.forget(&r.call);
	assert_answer(503, "text/html", "Retry-After: 5\n", "");
	request("POST", "/c/{token}/reschedule", "AAAA", "when=asap", "Content-Type", URLENCODED, NULL);
	assert_answer(404, "text/html", "", "");

	request("POST", "/c/{token}/now", link, "", "Accept", "application/json", NULL);
	assert_string_equal(json_text(json_object_get(w.sent, "args"), "when"), "asap");
	lane_says(NULL, "already_due", IMAGE("scheduled", "1795420800000") "}");
	assert_answer(409, "application/problem+json", "", "\"state\":\"queued\"");
	w.down = true;
	request("POST", "/c/{token}/now", link, "", NULL);
	assert_answer(503, "text/html", "Retry-After: 5\n", "");
}

/* To be tried again: not at the time that was promised, which is over. */
static void
test_tried_again(void **state)
{
	static char link[64];

	(void)state;
	POST_FORM("phone=030901820");
	lane_says(NULL, NULL, SUBMITTED);
	snprintf(link, sizeof(link), "%s", token());
	w.row = "{\"callback\":{\"id\":\"" CALLBACK "\",\"seq\":9,\"state\":\"scheduled\",\"due_at\":1795510800000,\"promise_at\":1795420000000,"
	    "\"promise_local\":\"2026-11-23T08:46:40\",\"promise_zone\":\"Europe/Berlin\",\"attempts\":1,\"offers\":1},"
	    "\"due_local\":\"2026-11-24T10:00:00\"}";
	request("GET", "/c/{token}", link, "", NULL);
	assert_answer(200, "text/html", "", "We will call you again at the time below.");
	assert_answer(200, "text/html", "", "When: Tuesday, 24 November 2026, 10:00 (Europe/Berlin)");
	request("GET", "/c/{token}", link, "", "Accept", "application/json", NULL);
	assert_answer(200, "application/json", "", "\"due\":{\"local\":\"2026-11-24T10:00:00\",\"time_zone\":\"Europe/Berlin\","
	    "\"at\":\"2026-11-24T09:00:00.000Z\"}");
}

static void
test_calendar(void **state)
{
	static char base[] = "https://call.example:8443/x/", link[64];

	(void)state;
	w.conf.base_url = base;
	w.company = json_pack("{s:s}", "label", "Lee, Smith; Sons");
	POST_FORM("phone=030901820");
	lane_says(NULL, NULL, SUBMITTED);
	snprintf(link, sizeof(link), "%s", token());
	w.row = ROW("scheduled", "1795510800000", ",\"linked\":[]");
	request("GET", "/c/{token}/callback.ics", link, "", NULL);
	assert_answer(200, "text/calendar; charset=utf-8; method=PUBLISH", "Cache-Control: no-store\n",
	    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//callbackd//callbackd//EN\r\nMETHOD:PUBLISH\r\nBEGIN:VEVENT\r\n"
	    "UID:" CALLBACK "@call.example\r\nSEQUENCE:9\r\nDTSTAMP:20261123T080000Z\r\nDTSTART:20261124T090000Z\r\n"
	    "DURATION:PT30M\r\nSTATUS:CONFIRMED\r\nTRANSP:TRANSPARENT\r\nSUMMARY:Lee\\, Smith\\; Sons calls you back\r\n"
	    "DESCRIPTION:Number: +*******820\\n");
	assert_null(strstr(r.text, "Ann"));
	assert_null(strstr(r.text, "30901"));
	w.row = ROW("cancelled", "1795510800000", "");
	request("GET", "/c/{token}/callback.ics", link, "", NULL);
	assert_answer(200, "text/calendar; charset=utf-8; method=CANCEL", "", "METHOD:CANCEL\r\n");
	assert_answer(200, "text/calendar", "", "STATUS:CANCELLED\r\n");
	w.row = NULL;
	request("GET", "/c/{token}/callback.ics", link, "", NULL);
	assert_int_equal(r.status, 404);
	request("GET", "/c/{token}/callback.ics", "AAAA", "", NULL);
	assert_int_equal(r.status, 404);
}

/* Lines of at most 75 octets, never cut within a character; unfolded, what was put in. */
static void
test_folding(void **state)
{
	char text[512];

	(void)state;
	for (size_t n = 0; n < 200; n++) {
		struct buf in = { 0 }, back = { 0 };
		for (size_t i = 0; i < n; i++)
			buf_puts(&in, i % 7 == 0 ? "\xe2\x82\xac" : i % 3 == 0 ? "\xc3\xa4" : "x");
		buf_puts(&in, "");
		char *out = calendar_text(&(struct calendar){ .uid = "u", .summary = in.data, .duration_s = 90 });
		assert_non_null(strstr(out, "DURATION:PT90S\r\n"));
		for (const char *line = out, *end; *line != '\0'; line = end + 2) {
			end = strstr(line, "\r\n");
			assert_non_null(end);
			assert_true(end - line <= 75);
			snprintf(text, sizeof(text), "%.*s", (int)(end - line), line);
			assert_true(utf8_ok(text, strlen(text)));
			buf_puts(&back, *text == ' ' ? text + 1 : text);
			if (end[2] != ' ')
				buf_puts(&back, "\n");
		}
		char *line = xasprintf("\nSUMMARY:%s\nEND:VEVENT\n", in.data);
		assert_non_null(strstr(back.data, line));
		free(line);
		free(out);
		buf_fini(&in);
		buf_fini(&back);
	}
}

static void
test_notes(void **state)
{
	char when[WHEN_WORDS_SIZE];

	(void)state;
	when_words("2026-03-01T09:05:00", when);
	assert_string_equal(when, "Sunday, 1 March 2026, 09:05");
	when_words("no time", when);
	assert_string_equal(when, "no time");
	assert_non_null(when_note_words("moved_forward"));
	assert_non_null(when_note_words("first_of_two"));
	assert_null(when_note_words("as_asked"));
	assert_null(when_note_words("<script>"));
	assert_null(when_note_words(NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_json), TEST(test_browser), TEST(test_wrong_fields), TEST(test_bad_requests), TEST(test_robot),
		TEST(test_limit), TEST(test_down), TEST(test_origin), TEST(test_contact), TEST(test_cancel), TEST(test_move),
		TEST(test_due), TEST(test_tried_again), TEST(test_calendar), TEST(test_folding), TEST(test_notes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
