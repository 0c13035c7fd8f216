/*
 * public: how the public side speaks, in HTML and in JSON. It must not know
 * how a callback is asked for or cancelled.
 */
#include "api/public.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/form_body.h"
#include "api/page.h"
#include "api/road.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/json.h"
#include "base/mem.h"
#include "node/node.h"
#include "node/tenant.h"

bool
public_wants_json(const struct api_call *call)
{
	const char *accept = http_header(call->req, "Accept");

	if (form_type_is(http_header(call->req, "Content-Type"), "application/json"))
		return true;
	return accept != NULL && strstr(accept, "text/html") == NULL &&
	    (strstr(accept, "application/json") != NULL ||
		strstr(accept, "application/problem+json") != NULL);
}

static const char *
page_part(void *arg, const char *name)
{
	return api_page(arg, name);
}

static void
security_headers(struct api_call *call, const char *targets, const char *frames)
{
	bool blank = targets != NULL && *targets != '\0',
	     framed = frames != NULL && *frames != '\0';
	char *policy =
	    xasprintf("default-src 'none'; style-src 'self' 'unsafe-inline'; base-uri 'none'; "
		      "form-action 'self'%s%s; frame-ancestors %s",
		blank ? " " : "", blank ? targets : "", framed ? frames : "'none'");

	http_answer_header(call->req, "Content-Security-Policy", policy);
	/* The address is a key; but "no-referrer" would also make browsers post with "Origin: null". */
	http_answer_header(call->req, "Referrer-Policy", "same-origin");
	http_answer_header(call->req, "Cache-Control", "no-store");
	free(policy);
}

enum http_verdict
public_page(struct api_call *call, int status, const char *page, json_t *values,
    const char *targets, const char *frames)
{
	const char *template = api_page(call->api, page);

	if (template == NULL) {
		json_decref(values);
		return api_problem(call, 500, "page-missing", "the page is missing on the server");
	}
	char *html = page_render(template, values, page_part, call->api);
	security_headers(call, targets, frames);
	http_answer(call->req, status, "text/html; charset=utf-8", html, strlen(html));
	free(html);
	json_decref(values);
	return HTTP_DONE;
}

static const char *
problem_title(int status)
{
	static const struct {
		int status;
		const char *title;
	} rows[] = {
		{ 404, "Not found" },
		{ 409, "Too late" },
		{ 429, "Too many requests" },
		{ 503, "Not available just now" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].status == status)
			return rows[i].title;
	}
	return "That did not work";
}

enum http_verdict
public_problem(
    struct api_call *call, int status, const char *type, const char *detail, int retry_after_s)
{
	if (public_wants_json(call)) {
		http_problem(call->req, status, type, detail, NULL, retry_after_s);
		return HTTP_DONE;
	}
	if (retry_after_s > 0) {
		char text[16];

		snprintf(text, sizeof(text), "%d", retry_after_s);
		http_answer_header(call->req, "Retry-After", text);
	}
	json_t *values = json_pack("{s:s, s:s}", "title", problem_title(status), "detail", detail);
	return public_page(call, status, "error.html", values, NULL, NULL);
}

enum http_verdict
public_unavailable(struct api_call *call)
{
	return public_problem(call, 503, "unavailable",
	    "This cannot be answered just now. Please try again in a moment.", PUBLIC_RETRY_S);
}

enum http_verdict
public_too_often(struct api_call *call, int64_t wait_ms)
{
	http_problem(call->req, 429, "too-many-requests",
	    "There were too many requests. Please try again later.", NULL,
	    (int)((wait_ms + 999) / 1000));
	return HTTP_DONE;
}

bool
public_form(struct api_call *call, struct form_body *body)
{
	size_t len;
	const void *text = http_body(call->req, &len);

	switch (form_body_read(body, http_header(call->req, "Content-Type"), text, len)) {
	case FORM_BODY_UNSUPPORTED:
		public_problem(call, 415, "unsupported-media-type",
		    "Send application/x-www-form-urlencoded, multipart/form-data or "
		    "application/json, in UTF-8.",
		    0);
		return false;
	case FORM_BODY_MALFORMED:
		public_problem(call, 400, "malformed-body", body->why, 0);
		return false;
	case FORM_BODY_READ:
		break;
	}
	return true;
}

bool
public_database_up(const struct api_call *call)
{
	return pool_ready(node_pool(api_node(call->api)));
}

enum http_verdict
public_redirect(struct api_call *call, const char *location)
{
	static const char text[] = "See the address in Location.\n";

	http_answer_header(call->req, "Location", location);
	http_answer_header(call->req, "Cache-Control", "no-store");
	http_answer(call->req, 303, "text/plain; charset=utf-8", text, sizeof(text) - 1);
	return HTTP_DONE;
}

static void
on_lane(void *arg, const struct lane_answer *a)
{
	struct api_call *call = arg;

	road_arrived(call);
	call->then(call, a);
	road_go_on(call);
}

/* The wait is over without an answer: said in its words too, instead of http's. */
static void
on_given_up(void *arg)
{
	struct api_call *call = arg;

	call->then(call, &(struct lane_answer){ .err = lane_err_down });
}

static bool
wait_for(struct api_call *call, struct ticket *ticket, public_then_fn then)
{
	if (ticket == NULL)
		return false;
	call->ticket = ticket;
	call->then = then;
	road_wait(call, "commit", on_given_up, call);
	return true;
}

bool
public_submit(struct api_call *call, json_t *callback, public_then_fn then)
{
	return wait_for(
	    call, lane_submit(tenant_lane(call->tenant), callback, on_lane, call), then);
}

bool
public_execute(struct api_call *call, json_t *command, public_then_fn then)
{
	return wait_for(
	    call, lane_execute(tenant_lane(call->tenant), command, on_lane, call), then);
}

/* base_url without the slashes at its end; "" when there is none. */
static char *
base_url(const struct api_call *call)
{
	const char *url = api_conf(call->api)->base_url;
	size_t len = url != NULL ? strlen(url) : 0;

	while (len > 0 && url[len - 1] == '/')
		len--;
	return xstrndup(url != NULL ? url : "", len);
}

char *
public_link(const struct api_call *call, const char *token)
{
	char *base = base_url(call);
	char *link = xasprintf("%s/c/%s", base, token);

	free(base);
	return link;
}

/* Where the scheme and the host end and the path begins. */
static const char *
url_path(const char *url)
{
	const char *host = strstr(url, "://");

	return host == NULL ? url : host + 3 + strcspn(host + 3, "/?#");
}

/* Without the host: a browser stays with the one it came to. */
char *
public_path(const struct api_call *call, const char *token)
{
	char *base = base_url(call);
	char *path = xasprintf("%s/c/%s", url_path(base), token);

	free(base);
	return path;
}

/* Nothing that ends a source, a directive or a header. */
static bool
is_origin(const char *text, size_t len)
{
	if (strncmp(text, "https://", 8) != 0 && strncmp(text, "http://", 7) != 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c <= 0x20 || c >= 0x7f || strchr(";,'\"<>", c) != NULL)
			return false;
	}
	return true;
}

char *
public_origin(const char *url)
{
	size_t len = (size_t)(url_path(url) - url);

	return is_origin(url, len) ? xstrndup(url, len) : NULL;
}

char *
public_origins(const json_t *origins)
{
	struct buf list = { 0 };

	for (size_t i = 0; i < json_array_size(origins); i++) {
		const char *origin = json_string_value(json_array_get(origins, i));

		if (origin != NULL && is_origin(origin, strlen(origin)))
			buf_printf(&list, "%s%s", list.len > 0 ? " " : "", origin);
	}
	buf_puts(&list, "");
	return buf_take(&list);
}

const char *
public_state(const json_t *image, int64_t at_ms)
{
	const char *state = json_text(image, "state");

	if (state == NULL)
		return "unknown";
	if (strcmp(state, "scheduled") == 0 && json_int(image, "due_at", INT64_MAX) <= at_ms)
		return "queued";
	return state;
}

json_t *
public_callback(const json_t *image, int64_t at_ms)
{
	char at[CLOCK_TEXT_SIZE];

	clock_format(json_int(image, "promise_at", 0), at);
	return json_pack("{s:s*, s:s, s:{s:s*, s:s*, s:s}}", "id", json_text(image, "id"), "state",
	    public_state(image, at_ms), "promise", "local", json_text(image, "promise_local"),
	    "time_zone", json_text(image, "promise_zone"), "at", at);
}
