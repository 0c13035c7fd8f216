/*
 * open: GET /f/{form}/open: whether somebody who asks for as soon as possible is
 * called soon: is the form's queue open now, and for so long? From memory. It
 * must not know where rules would put his request.
 */
#include <stdlib.h>

#include "api/api.h"
#include "api/form.h"
#include "base/clock.h"
#include "base/json.h"
#include "core/wait.h"
#include "node/node.h"
#include "node/tenant.h"

#define FOR_MAX 31622400 /* a year */

/* "for", in seconds; -1 when it is something else. */
static int64_t
for_s(struct api_call *call)
{
	const char *text = http_query(call->req, "for");
	char *end;

	if (text == NULL)
		return 0;
	long n = strtol(text, &end, 10);
	return *text >= '0' && *text <= '9' && *end == '\0' && n <= FOR_MAX ? n : -1;
}

static enum http_verdict
form_open(struct api_call *call)
{
	const json_t *form = form_find(call);
	int64_t until, seconds;
	char text[CLOCK_TEXT_SIZE];

	if (form == NULL)
		return HTTP_DONE;
	form_allow_origin(call, form);
	if ((seconds = for_s(call)) < 0)
		return api_invalid(call,
		    json_pack("[{s:s, s:s}]", "field", "for", "message",
			"must be a whole number of seconds, up to 31622400"));
	int64_t now_ms = node_now_ms(api_node(call->api));
	bool open = projection_queue_open(
	    tenant_projection(call->tenant), (int)json_int(form, "queue", 0), now_ms, &until);
	bool stays = open && (until == INT64_MAX || until - now_ms >= seconds * 1000);
	int64_t wait_ms = wait_of_next_ms(
	    tenant_projection(call->tenant), (int)json_int(form, "queue", 0), now_ms);
	json_t *doc =
	    json_pack("{s:b, s:b, s:I}", "open", open, "open_for", stays, "for_s", seconds);

	json_object_set_new(doc, "expected_wait_s",
	    wait_ms >= 0 ? json_integer((wait_ms + 999) / 1000) : json_null());

	if (until != INT64_MAX) {
		clock_format(until, text);
		json_object_set_new(doc, open ? "closes" : "opens", json_string(text));
	}
	http_answer_header(call->req, "Cache-Control", "no-store");
	return api_answer(call, 200, doc);
}

static enum http_verdict
open_options(struct api_call *call)
{
	return form_preflight(call, "GET");
}

const struct api_route api_routes_open[] = {
	{ "GET", "/f/{form}/open", API_PUBLIC, API_BODY_NONE, form_open },
	{ "OPTIONS", "/f/{form}/open", API_PUBLIC, API_BODY_NONE, open_options },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
