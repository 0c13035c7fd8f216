/*
 * api_fakes: requests, lane, pool and worker; see api_fakes.h. Everything is
 * refused with an assertion that the real one would not have allowed either.
 */
#include "api_fakes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/work.h"
#include "net/stream.h"

struct fake fake;

/* ---- requests ---- */

struct http_request *
fake_request(const char *method, const char *path)
{
	struct http_request *r = xmalloc(sizeof(*r));

	*r = (struct http_request){ .method = method, .path = path, .peer = "192.0.2.1", .door = FRONT_TLS, .body = "" };
	return r;
}

static void
pair_add(const char **list, const char *name, const char *value)
{
	while (*list != NULL)
		list += 2;
	list[0] = name;
	list[1] = value;
}

static const char *
pair_find(const char *const *list, const char *name)
{
	for (; *list != NULL; list += 2)
		if (strcasecmp(*list, name) == 0)
			return list[1];
	return NULL;
}

void fake_header(struct http_request *r, const char *name, const char *value) { pair_add(r->headers, name, value); }
void fake_query(struct http_request *r, const char *name, const char *value) { pair_add(r->query, name, value); }

void
fake_json(struct http_request *r, const char *body)
{
	r->body = body;
	fake_header(r, "Content-Type", "application/json");
	fake_header(r, "Content-Length", "1");
}

void
fake_bearer(struct http_request *r, const char *token)
{
	static char text[64];

	snprintf(text, sizeof(text), "Bearer %s", token);
	fake_header(r, "Authorization", text);
}

void
fake_ask(struct http_request *r)
{
	r->answer_headers = json_object();
	r->limit = api_handlers.on_head(r, fake.api);
	assert_true((r->limit < 0) == (r->status != 0));
	if (r->limit < 0)
		return;
	assert_true((int64_t)strlen(r->body) <= r->limit);
	enum http_verdict verdict = api_handlers.on_request(r, fake.api);
	assert_true(verdict == HTTP_WAIT ? r->parked : r->status != 0 || r->taken);
}

void
fake_end(struct http_request *r)
{
	if (r->parked && r->on_gone != NULL)
		r->on_gone(r->gone_arg);
	api_handlers.on_end(r, fake.api);
	assert_true(!fake.lane_waits && !fake.pool_waits);
	if (r->taken)
		r->on_close(r->close_arg, "gone");
	assert_true(!fake.feed_waits && !fake.subscribed);
	free(r->type);
	free(r->text);
	json_decref(r->json);
	json_decref(r->answer_headers);
	free(r);
	json_decref(fake.command);
	fake.command = NULL;
}

const char *
fake_answer_header(const struct http_request *r, const char *name)
{
	return json_text(r->answer_headers, name);
}

const char *http_method(const struct http_request *r) { return r->method; }
bool http_takes_chunks(const struct http_request *r) { (void)r; return true; }
const char *http_path(const struct http_request *r) { return r->path; }
const char *http_query(const struct http_request *r, const char *key) { return pair_find(r->query, key); }
const char *http_header(const struct http_request *r, const char *name) { return pair_find(r->headers, name); }
const char *http_peer(const struct http_request *r) { return r->peer; }
enum front_door http_door(const struct http_request *r) { return r->door; }
void **http_user(struct http_request *r) { return &r->user; }

const char *
http_cookie(const struct http_request *r, const char *name)
{
	return strcmp(name, "callbackd_session") == 0 ? r->cookie : NULL;
}

const void *
http_body(const struct http_request *r, size_t *len)
{
	*len = strlen(r->body);
	return r->body;
}

void
http_answer_header(struct http_request *r, const char *name, const char *value)
{
	json_object_set_new(r->answer_headers, name, json_string(value));
}

void
http_answer(struct http_request *r, int status, const char *type, const void *text, size_t len)
{
	assert_true(r->status == 0);
	r->status = status;
	r->type = xstrdup(type);
	r->text = xstrndup(text, len);
	r->json = json_loads(r->text, 0, NULL);
}

void
http_answer_json(struct http_request *r, int status, json_t *body)
{
	char *text = json_line(body);

	http_answer(r, status, "application/json", text, strlen(text));
	free(text);
	json_decref(body);
}

void
http_problem(struct http_request *r, int status, const char *type, const char *detail, json_t *more, int retry_after_s)
{
	json_t *problem = json_pack("{s:s, s:i, s:s}", "type", type, "status", status, "detail", detail);
	char seconds[16];

	json_object_update_missing(problem, more);
	json_decref(more);
	snprintf(seconds, sizeof(seconds), "%d", retry_after_s);
	if (retry_after_s > 0)
		http_answer_header(r, "Retry-After", seconds);
	http_answer_json(r, status, problem);
}

void
http_park(struct http_request *r, const char *wait, int deadline_ms, void (*on_gone)(void *), void *arg)
{
	assert_true(r->status == 0 && r->resumed == 0 && deadline_ms > 0);
	r->parked = true;
	r->wait = wait;
	r->on_gone = on_gone;
	r->gone_arg = arg;
}

void
http_resume(struct http_request *r)
{
	assert_true(r->parked && r->status != 0);
	r->parked = false;
	r->resumed++;
}

int http_status(const struct http_request *r) { return r->status; }

/* The request ends at once; the real one does it a little later. */
struct stream *
http_take_answer(struct http_request *r, void (*on_close)(void *, const char *), void *arg)
{
	assert_true(!r->parked && r->status == 0);
	r->taken = true;
	r->on_close = on_close;
	r->close_arg = arg;
	return (struct stream *)r;
}

struct stream *
http_take_stream(struct http_request *r, int status, const char *type, void (*on_close)(void *, const char *), void *arg)
{
	assert_true(status == 200);
	r->type = xstrdup(type);
	r->taken_head = true;
	return http_take_answer(r, on_close, arg);
}

void
stream_answer(struct stream *s, int status, const char *type, const void *text, size_t len)
{
	http_answer((struct http_request *)s, status, type, text, len);
}

size_t stream_queued(const struct stream *s) { (void)s; return 0; }
bool stream_write(struct stream *s, const void *text, size_t len) { (void)s; (void)text; (void)len; return true; }
void stream_finish(struct stream *s, const char *why) { (void)s; (void)why; }
json_t *http_waits(struct http *h) { (void)h; return json_array(); }
struct http_counts http_counts(const struct http *h) { (void)h; return (struct http_counts){ .requests = 3, .status = { [2] = 2 } }; }
struct front *http_front(struct http *h) { (void)h; return NULL; }
struct front_counts front_counts(const struct front *f) { (void)f; return (struct front_counts){ .open = 4 }; }

/* ---- the lane ---- */

const char lane_err_full[] = "full", lane_err_down[] = "down", lane_err_failed[] = "failed";
static lane_answer_fn lane_answer;
static void *lane_arg;

struct ticket *
lane_execute(struct lane *l, json_t *command, lane_answer_fn answer, void *arg)
{
	(void)l;
	if (fake.lane_full) {
		json_decref(command);
		return NULL;
	}
	assert_true(!fake.lane_waits && json_text(command, "id") != NULL && json_text(command, "kind") != NULL);
	json_decref(fake.command);
	fake.command = command;
	fake.lane_waits = true;
	lane_answer = answer;
	lane_arg = arg;
	return (struct ticket *)&fake;
}

struct ticket *
lane_submit(struct lane *l, json_t *callback, lane_answer_fn answer, void *arg)
{
	return lane_execute(l, callback, answer, arg);
}

struct ticket *
lane_read(struct lane *l, enum statement st, const char *const *params, pool_done_fn done, void *arg)
{
	(void)l, (void)st, (void)params, (void)done, (void)arg;
	return NULL;
}

void
lane_forget(struct ticket *t)
{
	(void)t;
	assert_true(fake.lane_waits);
	fake.lane_waits = false;
}

static void
lane_says(struct lane_answer a)
{
	assert_true(fake.lane_waits);
	fake.lane_waits = false;
	lane_answer(lane_arg, &a);
	json_decref(a.body);
}

void
fake_accept(const char *body, uint64_t seq)
{
	lane_says((struct lane_answer){ .seq = seq, .body = json_loads(body, 0, NULL) });
}

void
fake_refuse(const char *refusal, const char *body)
{
	lane_says((struct lane_answer){ .refusal = refusal, .body = body != NULL ? json_loads(body, 0, NULL) : NULL });
}

void fake_lane_err(const char *err) { lane_says((struct lane_answer){ .err = err }); }
struct lane_counts lane_counts(const struct lane *l) { (void)l; return (struct lane_counts){ .batches = 5 }; }

/* ---- the pool ---- */

const char pool_err_lost[] = "lost", pool_err_stopping[] = "stopping";
static pool_done_fn pool_done;
static void *pool_arg;

static void
params_free(void)
{
	for (int i = 0; i < 4; i++) {
		free(fake.params[i]);
		fake.params[i] = NULL;
	}
}

struct query *
pool_send(struct pool *p, enum statement statement, const char *const *params, pool_done_fn done, void *arg)
{
	static const int counts[] = {
#define STATEMENT(name, nparams, text) [STATEMENT_##name] = nparams,
#include "db/statement.def"
#undef STATEMENT
	};

	(void)p;
	assert_true(!fake.pool_waits);
	params_free();
	fake.statement = statement;
	for (int i = 0; i < counts[statement]; i++)
		fake.params[i] = params[i] != NULL ? xstrdup(params[i]) : NULL;
	fake.pool_waits = true;
	pool_done = done;
	pool_arg = arg;
	return (struct query *)&fake;
}

void
pool_forget(struct query *q)
{
	(void)q;
	assert_true(fake.pool_waits);
	fake.pool_waits = false;
}

void
fake_rows(int columns, int rows, const char *const *values)
{
	PGresAttDesc descs[16] = { { .name = NULL } };
	PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	char name[] = "column";

	assert_true(fake.pool_waits);
	for (int i = 0; i < columns; i++)
		descs[i].name = name;
	PQsetResultAttrs(res, columns, descs);
	for (int i = 0; i < rows * columns; i++) {
		char *value = values[i] != NULL ? xstrdup(values[i]) : NULL;
		PQsetvalue(res, i / columns, i % columns, value, value != NULL ? (int)strlen(value) : -1);
		free(value);
	}
	fake.pool_waits = false;
	pool_done(pool_arg, res, NULL);
	PQclear(res);
}

void
fake_query_err(const char *err)
{
	assert_true(fake.pool_waits);
	fake.pool_waits = false;
	pool_done(pool_arg, NULL, err);
}

bool pool_ready(const struct pool *p) { (void)p; return !fake.pool_down; }
struct pool_counts pool_counts(const struct pool *p) { (void)p; return (struct pool_counts){ .sent = 6 }; }

/* ---- the worker ---- */

static void (*work_job)(void *), (*work_done)(void *);
static void *work_arg;

bool
work_run(struct work *w, void (*job)(void *), void (*done)(void *), void *arg)
{
	(void)w;
	if (fake.work_full)
		return false;
	assert_true(!fake.work_waits);
	fake.work_waits = true;
	work_job = job;
	work_done = done;
	work_arg = arg;
	return true;
}

bool
work_run_last(struct work *w, void (*job)(void *), void (*done)(void *), void *arg)
{
	return work_run(w, job, done, arg);
}

bool work_last_full(struct work *w) { (void)w; return fake.work_last_full; }

void
fake_work(void)
{
	assert_true(fake.work_waits);
	fake.work_waits = false;
	work_job(work_arg);
	work_done(work_arg);
}

/* ---- for short ---- */

struct http_request *
fake_asked(const char *method, const char *path, const char *token, const char *body)
{
	struct http_request *req = fake_request(method, path);

	if (token != NULL)
		fake_bearer(req, token);
	else
		req->door = FRONT_UNIX;
	if (body != NULL)
		fake_json(req, body);
	fake_ask(req);
	return req;
}

static bool
has(const json_t *value, const json_t *expected)
{
	void *it = json_object_iter((json_t *)expected);

	if (!json_is_object(expected))
		return json_equal(value, expected);
	for (; it != NULL; it = json_object_iter_next((json_t *)expected, it))
		if (!has(json_object_get(value, json_object_iter_key(it)), json_object_iter_value(it)))
			return false;
	return true;
}

void
fake_assert_has(const json_t *value, const char *expected)
{
	json_t *e = json_loads(expected, 0, NULL);

	assert_non_null(e);
	if (!has(value, e))
		fail_msg("%s lacks %s", json_line(value), expected);
	json_decref(e);
}
