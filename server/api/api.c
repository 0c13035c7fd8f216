/*
 * The life of a request at this floor: its route, who asks, its body, its
 * handler, its end; and what the handlers share. Must not know what any of
 * them does.
 */
#include "api/api.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/road.h"
#include "api/table.h"
#include "api/who.h"
#include "base/bucket.h"
#include "base/conf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/presence.h"
#include "node/tenant.h"

#define BUCKETS_MAX 200000
#define PAGE_MAX (1 << 20)
#define KEY_MAX 200	      /* bytes of an Idempotency-Key */
#define COMPANY_MAX (4 << 20) /* bytes of an administrator's document, or of a supervisor's list */
#define LIST_MAX (512 << 10)  /* ten thousand ids for api/bulk.c */

struct api {
	struct node *node;
	const struct conf *conf;
	struct work *work;
	struct lag *lag;
	struct http *http;
	struct bucket_table *buckets;
	struct thoughts *thoughts;
	json_t *pages; /* text by file name */
};

/* One line each. */
/* clang-format off */
struct node *api_node(struct api *a) { return a->node; }
struct http *api_http(struct api *a) { return a->http; }
const struct conf *api_conf(struct api *a) { return a->conf; }
struct work *api_work(struct api *a) { return a->work; }
struct lag *api_lag(struct api *a) { return a->lag; }
struct bucket_table *api_buckets(struct api *a) { return a->buckets; }
struct thoughts *api_thoughts(struct api *a) { return a->thoughts; }
/* clang-format on */

static bool
has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), s = strlen(suffix);

	return n > s && strcmp(name + n - s, suffix) == 0;
}

static void
page_read(json_t *pages, const char *dir, const char *name)
{
	char *path = xasprintf("%s/%s", dir, name), *text = xmalloc(PAGE_MAX + 1);
	FILE *f = fopen(path, "re");

	if (f != NULL) {
		size_t len = fread(text, 1, PAGE_MAX + 1, f);
		if (ferror(f) || len > PAGE_MAX || !utf8_ok(text, len))
			log_warn(
			    "page=%s why=\"unreadable, longer than 1 MB, or not UTF-8\"", path);
		else
			json_object_set_new(pages, name, json_stringn(text, len));
		fclose(f);
	}
	free(text);
	free(path);
}

static json_t *
pages_read(const char *dir)
{
	json_t *pages = json_object();
	DIR *d = opendir(dir);
	const struct dirent *e;

	if (d == NULL) {
		log_warn("pages=none dir=%s why=\"%s\"", dir, strerror(errno));
		return pages;
	}
	while ((e = readdir(d)) != NULL)
		if (has_suffix(e->d_name, ".html"))
			page_read(pages, dir, e->d_name);
	closedir(d);
	/* Installed it lies with the pages; in the source tree beside the code that it describes. */
	page_read(pages, dir, "openapi.json");
	if (json_object_get(pages, "openapi.json") == NULL) {
		char *beside = xasprintf("%s/../api", dir);
		page_read(pages, beside, "openapi.json");
		free(beside);
	}
	return pages;
}

const char *
api_page(struct api *a, const char *name)
{
	const char *text = json_text(a->pages, name);

	if (text != NULL)
		return text;
	char *file = xasprintf("%s.html", name);
	text = json_text(a->pages, file);
	free(file);
	return text;
}

struct api *
api_new(struct node *node, const struct conf *conf, struct work *work, struct lag *lag)
{
	struct api *a = xcalloc(1, sizeof(*a));

	a->node = node;
	a->conf = conf;
	a->work = work;
	a->lag = lag;
	a->buckets = bucket_table_new(BUCKETS_MAX);
	a->thoughts = thoughts_new();
	a->pages = pages_read(conf->www_dir);
	return a;
}

void
api_bind(struct api *a, struct http *http)
{
	a->http = http;
}

void
api_reload(struct api *a, const struct conf *conf)
{
	a->conf = conf;
	json_decref(a->pages);
	a->pages = pages_read(conf->www_dir);
}

void
api_free(struct api *a)
{
	if (a == NULL)
		return;
	thoughts_free(a->thoughts);
	bucket_table_free(a->buckets);
	json_decref(a->pages);
	free(a);
}

/* "application/json; charset=utf-8" is "application/json". */
static bool
media_is(const char *value, const char *type)
{
	size_t len = strcspn(value, "; \t");

	return len == strlen(type) && strncasecmp(value, type, len) == 0;
}

static bool
has_body(const struct http_request *req)
{
	const char *length = http_header(req, "Content-Length");

	return http_header(req, "Transfer-Encoding") != NULL ||
	    (length != NULL && strcmp(length, "0") != 0);
}

static bool
body_fits(struct http_request *req, enum api_body body)
{
	const char *type = http_header(req, "Content-Type");

	if (body == API_BODY_NONE || !has_body(req))
		return true;
	if (type == NULL)
		return false;
	if (media_is(type, "application/json"))
		return true;
	return body == API_BODY_FORM &&
	    (media_is(type, "application/x-www-form-urlencoded") ||
		media_is(type, "multipart/form-data"));
}

static void
no_route(struct api_call *call, char *allow)
{
	if (allow == NULL) {
		api_problem(call, 404, "not-found", "There is nothing at this address.");
		return;
	}
	http_answer_header(call->req, "Allow", allow);
	api_problem(call, 405, "method-not-allowed",
	    "This address does not take that method; Allow names those it takes.");
	free(allow);
}

static int64_t
body_max(const struct api_call *call)
{
	int64_t max = call->route->body == API_BODY_NONE ? 0 : call->api->conf->body_bytes;

	int64_t least = call->route->role >= API_ADMINISTRATOR ? COMPANY_MAX
	    : call->route->role >= API_SUPERVISOR	       ? LIST_MAX
							       : 0;
	if (max > 0 && max < least)
		max = least;
	return max;
}

static int64_t
on_head(struct http_request *req, void *arg)
{
	struct api_call *call = xcalloc(1, sizeof(*call));
	struct table_args args;
	const char *key = http_header(req, "Idempotency-Key");
	char *allow;

	call->api = arg;
	call->req = req;
	*http_user(req) = call;
	call->route = table_find(http_method(req), http_path(req), &args, &allow);
	if (call->route == NULL) {
		no_route(call, allow);
		return -1;
	}
	table_cut(call, http_path(req), &args);
	if (!who_may(call))
		return -1;
	if (!body_fits(req, call->route->body)) {
		api_problem(call, 415, "unsupported-media-type",
		    call->route->body == API_BODY_JSON
			? "The body must be application/json."
			: "The body must be application/x-www-form-urlencoded, multipart/form-data "
			  "or application/json.");
		return -1;
	}
	if (key != NULL && (strlen(key) > KEY_MAX || *key == '\0' || !utf8_ok(key, strlen(key)))) {
		api_problem(call, 400, "bad-idempotency-key",
		    "An Idempotency-Key is UTF-8 text of 1 to 200 bytes.");
		return -1;
	}
	return body_max(call);
}

/* A JSON body into call->body. False: it was answered. */
static bool
body_read(struct api_call *call)
{
	const char *why = "The body must be a JSON object.";
	size_t len;
	const void *text = http_body(call->req, &len);

	if (call->route->body != API_BODY_JSON || len == 0)
		return true;
	call->body = json_parse(text, len, &why);
	if (json_is_object(call->body))
		return true;
	api_problem(call, 400, "bad-json", why);
	return false;
}

static enum http_verdict
serve(struct api_call *call)
{
	/* Whoever asks anything is at his desk; but not by signing out. */
	if (call->agent_id != 0 &&
	    !(call->route->body == API_BODY_NONE && strcmp(call->route->method, "DELETE") == 0))
		presence_touch(tenant_presence(call->tenant), call->agent_id);
	return call->route->handler(call);
}

static enum http_verdict
on_request(struct http_request *req, void *arg)
{
	struct api_call *call = *http_user(req);

	(void)arg;
	if (!body_read(call))
		return HTTP_DONE;
	return call->unsure ? who_look(call, serve) : serve(call);
}

static void
on_end(struct http_request *req, void *arg)
{
	struct api_call *call = *http_user(req);

	(void)arg;
	if (call == NULL)
		return;
	*http_user(req) = NULL;
	road_forget(call);
	if (call->data_free != NULL)
		call->data_free(call->data);
	json_decref(call->body);
	free(call->path);
	free(call);
}

const struct http_handlers api_handlers = {
	.on_head = on_head, .on_request = on_request, .on_end = on_end
};
