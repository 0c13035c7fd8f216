/*
 * contact_calendar: the contact's call for his calendar. It says no more than
 * his page does.
 */
#include "api/contact.h"

#include <stdlib.h>
#include <string.h>

#include "api/calendar.h"
#include "api/public.h"
#include "base/conf.h"
#include "base/json.h"
#include "base/mem.h"
#include "node/node.h"
#include "node/tenant.h"

/* A promise window may be a day, which nobody wants to see taken in his calendar. */
#define DURATION_MIN_S 60
#define DURATION_MAX_S 3600
#define DURATION_UNKNOWN_S 1800

static int64_t
duration_s(const json_t *image)
{
	int64_t start_ms = json_int(image, "promise_at", 0);
	int64_t end_ms = json_int(image, "expires_at", INT64_MAX);

	if (end_ms == INT64_MAX)
		return DURATION_UNKNOWN_S;
	int64_t s = (end_ms - start_ms) / 1000;
	return s < DURATION_MIN_S ? DURATION_MIN_S : s > DURATION_MAX_S ? DURATION_MAX_S : s;
}

/* Nobody will call any more, and nobody has. */
static bool
is_off(const char *state)
{
	return strcmp(state, "cancelled") == 0 || strcmp(state, "expired") == 0 ||
	    strcmp(state, "failed") == 0;
}

/* "id@host", malloced: of base_url, so that every node says the same. */
static char *
uid_of(const struct api_call *call, const json_t *image)
{
	const char *url = api_conf(call->api)->base_url, *id = json_text(image, "id");
	const char *host = url != NULL ? strstr(url, "://") : NULL;

	host = host != NULL ? host + 3 : "callbackd";
	return xasprintf("%s@%.*s", id != NULL ? id : "", (int)strcspn(host, ":/?#"), host);
}

/* Malloced. */
static char *
description_of(const json_t *all, const char *link)
{
	const char *phone =
	    json_text(json_object_get(json_object_get(all, "detail"), "contact"), "phone");
	char *masked = phone != NULL ? contact_mask(phone) : NULL;
	struct buf text = { 0 };

	if (masked != NULL)
		buf_printf(&text, "Number: %s\n", masked);
	buf_printf(&text, "To see how it stands, to choose another time or to cancel: %s", link);
	free(masked);
	return buf_take(&text);
}

static void
answer_calendar(struct api_call *call, const json_t *all)
{
	const json_t *image = json_object_get(all, "callback");
	const char *company =
	    json_text(projection_tenant(tenant_projection(call->tenant)), "label");
	int64_t seq = json_int(image, "seq", 0), now_ms = node_now_ms(api_node(call->api));
	char *uid = uid_of(call, image), *link = public_link(call, call->args[0]);
	char *description = description_of(all, link);
	char *summary = company != NULL && *company != '\0'
	    ? xasprintf("%s calls you back", company)
	    : xstrdup("We call you back");
	struct calendar c = { .uid = uid,
		/* Whatever changes the promise makes the version larger. */
		.sequence = seq < INT32_MAX ? seq : INT32_MAX,
		.stamp_ms = now_ms,
		.start_ms = json_int(image, "promise_at", 0),
		.duration_s = duration_s(image),
		.cancelled = is_off(public_state(image, now_ms)),
		.summary = summary,
		.description = description,
		.url = strstr(link, "://") != NULL ? link : NULL };
	char *text = calendar_text(&c);

	http_answer_header(
	    call->req, "Content-Disposition", "attachment; filename=\"callback.ics\"");
	http_answer_header(call->req, "Cache-Control", "no-store");
	http_answer(call->req, 200,
	    c.cancelled ? "text/calendar; charset=utf-8; method=CANCEL"
			: "text/calendar; charset=utf-8; method=PUBLISH",
	    text, strlen(text));
	free(text);
	free(summary);
	free(description);
	free(link);
	free(uid);
}

static void
on_calendar(struct api_call *call, const PGresult *res, const char *err)
{
	json_t *all = contact_row(call, res, err);

	if (all == NULL)
		return;
	answer_calendar(call, all);
	json_decref(all);
}

enum http_verdict
contact_calendar(struct api_call *call)
{
	struct id id;

	return contact_find(call, &id) ? contact_load(call, id, on_calendar) : HTTP_DONE;
}
