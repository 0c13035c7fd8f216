/*
 * http_answer: what the handler answered, with the fields that every answer
 * carries, on its way to libmicrohttpd or straight to the client. It must not
 * know why.
 */
#include "net/http.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/conf.h"
#include "base/json.h"
#include "base/log.h"
#include "net/http_impl.h"

#define HSTS "max-age=31536000"

static const char *
reason_of(int status)
{
	const char *reason = MHD_get_reason_phrase_for((unsigned)status);

	return reason != NULL ? reason : "Unknown";
}

/* RFC 9110, 5.5: only the tab is legal in a field. */
static bool
has_control(const char *text)
{
	for (; *text != '\0'; text++)
		if (((unsigned char)*text < 0x20 && *text != '\t') || *text == 0x7f)
			return true;
	return false;
}

void
http_answer_header(struct http_request *req, const char *name, const char *value)
{
	struct http_reply *r = &req->reply;

	/* A value may hold what a client sent; a line of its own it shall not get, nor make the answer malformed. */
	if (has_control(value) || strpbrk(name, "\r\n: ") != NULL) {
		log_warn("answer=field_refused name=%.40s", name);
		return;
	}
	r->fields = xreallocarray(r->fields, r->fields_count + 1, sizeof(*r->fields));
	r->fields[r->fields_count++] = (struct http_field){ xstrdup(name), xstrdup(value) };
}

/* Takes body. */
static void
answer(struct http_request *req, int status, const char *type, char *body, size_t len)
{
	struct http_reply *r = &req->reply;

	assert(r->status == 0 && !req->taken && status >= 200 && status <= 599);
	r->status = status;
	r->type = type != NULL ? xstrdup(type) : NULL;
	r->body = body;
	r->len = len;
}

void
http_answer(
    struct http_request *req, int status, const char *content_type, const void *data, size_t len)
{
	char *copy = xmalloc(len + 1);

	if (len > 0)
		memcpy(copy, data, len);
	answer(req, status, content_type, copy, len);
}

static void
answer_json(struct http_request *req, int status, const char *type, json_t *json)
{
	char *text = json_line(json);

	json_decref(json);
	answer(req, status, type, text, strlen(text));
}

void
http_answer_json(struct http_request *req, int status, json_t *json)
{
	answer_json(req, status, "application/json", json);
}

void
http_problem(struct http_request *req, int status, const char *type, const char *detail,
    json_t *more, int retry_after_s)
{
	json_t *problem = json_object();
	const char *base = req->http->conf->base_url;

	if (type != NULL)
		json_object_set_new(problem, "type",
		    json_sprintf("%s/problems/%s", base != NULL ? base : "", type));
	json_object_set_new(problem, "title", json_string(reason_of(status)));
	json_object_set_new(problem, "status", json_integer(status));
	if (detail != NULL)
		json_object_set_new(problem, "detail", json_string(detail));
	if (more != NULL) {
		json_object_update_missing(problem, more);
		json_decref(more);
	}
	if (retry_after_s > 0) {
		char seconds[16];
		snprintf(seconds, sizeof(seconds), "%d", retry_after_s);
		http_answer_header(req, "Retry-After", seconds);
	}
	answer_json(req, status, "application/problem+json", problem);
}

void
http_answer_count(struct http *h, int status)
{
	h->counts.status[status / 100]++;
}

void
http_answer_clear(struct http_request *req)
{
	struct http_reply *r = &req->reply;

	for (size_t i = 0; i < r->fields_count; i++) {
		free(r->fields[i].name);
		free(r->fields[i].value);
	}
	free(r->fields);
	free(r->type);
	free(r->body);
	*r = (struct http_reply){ 0 };
}

typedef void (*field_fn)(void *arg, const char *name, const char *value);

/* Every field but those of the body, in order. */
static void
each_field(const struct http_request *req, bool last, field_fn fn, void *arg)
{
	const struct http_reply *r = &req->reply;
	bool cache_said = false;

	for (size_t i = 0; i < r->fields_count; i++) {
		cache_said = cache_said || strcasecmp(r->fields[i].name, "Cache-Control") == 0;
		fn(arg, r->fields[i].name, r->fields[i].value);
	}
	if (!cache_said)
		fn(arg, "Cache-Control", "no-store");
	fn(arg, "X-Content-Type-Options", "nosniff");
	if (http_door(req) == FRONT_TLS)
		fn(arg, "Strict-Transport-Security", HSTS);
	if (last)
		fn(arg, "Connection", "close");
}

static void
add_to_response(void *arg, const char *name, const char *value)
{
	if (MHD_add_response_header(arg, name, value) != MHD_YES)
		log_warn("answer=field_refused name=%.40s", name);
}

static void
add_to_text(void *arg, const char *name, const char *value)
{
	buf_printf(arg, "%s: %s\r\n", name, value);
}

bool
http_answer_queue(struct http_request *req)
{
	struct http *h = req->http;
	struct http_reply *r = &req->reply;
	int status = r->status;

	assert(status != 0);
	struct MHD_Response *response =
	    MHD_create_response_from_buffer(r->len, r->body, MHD_RESPMEM_MUST_FREE);
	if (response == NULL)
		die(1, "out of memory");
	r->body = NULL;
	if (r->type != NULL)
		add_to_response(response, "Content-Type", r->type);
	each_field(req, req->last || h->stopping, add_to_response, response);
	bool queued = MHD_queue_response(req->mhd, (unsigned)status, response) == MHD_YES;
	MHD_destroy_response(response);
	if (queued)
		http_answer_count(h, status);
	return queued;
}

void
http_answer_lines(const struct http_request *req, struct buf *out)
{
	each_field(req, true, add_to_text, out);
}

void
http_answer_head(struct buf *out, int status, const char *type, int64_t len, const char *lines)
{
	char date[40];
	struct tm tm;
	time_t now = time(NULL);

	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
	buf_printf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, reason_of(status), date);
	if (type != NULL)
		buf_printf(out, "Content-Type: %s\r\n", type);
	if (len >= 0 && status != 204 && status != 304)
		buf_printf(out, "Content-Length: %lld\r\n", (long long)len);
	buf_printf(out, "%s\r\n", lines);
}

void
http_answer_raw(struct http_request *req)
{
	const struct http_reply *r = &req->reply;
	struct buf lines = { 0 }, out = { 0 };

	http_answer_lines(req, &lines);
	http_answer_head(&out, r->status, r->type, (int64_t)r->len, lines.data);
	if (!req->is_head)
		buf_add(&out, r->body, r->len);
	req->taken = true;
	bridge_take(req->bridge, NULL, NULL);
	bridge_write(req->bridge, out.data, out.len);
	bridge_finish(req->bridge, "answered early");
	http_answer_count(req->http, r->status);
	buf_fini(&lines);
	buf_fini(&out);
}
