/*
 * GET /v1/events: the tenant's log as a stream (Server-Sent Events) or a long
 * poll, both from the same feed. Must not know what an event is.
 *
 * A poll that may wait takes its connection over, as a stream does: a suspended
 * connection stays in libmicrohttpd's list, which it walks whenever any request
 * goes on, so a thousand idle pollers would slow down everybody. One that is
 * answered at once keeps its connection.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/fields.h"
#include "api/road.h"
#include "base/conf.h"
#include "base/mem.h"
#include "net/stream.h"
#include "node/feed.h"
#include "node/tenant.h"

#define POLL_MAX_DEFAULT 100
#define POLL_MAX 1000
/* Events looked at for one that the reader may have; further on it is cheaper to let him wait. */
#define LOOK_AHEAD 256

/* What was asked, in a copy: the request ends when its connection is taken over. */
struct asked {
	struct tenant *tenant;
	struct feed_reader reader;
	char cursor[EVENT_ID_SIZE]; /* "": from now on */
	int max, wait_ms;
};

/* A poll that waits on a connection of its own, or in a request (then data of the call). */
struct poll {
	struct subscriber *subscriber; /* NULL: answered */
	struct stream *stream;
	struct api_call *call;
};

static const char *
cursor_of(const struct asked *q)
{
	return q->cursor[0] != '\0' ? q->cursor : NULL;
}

static bool
wants_stream(const struct api_call *call)
{
	const char *accept = http_header(call->req, "Accept");

	return accept != NULL && strstr(accept, "text/event-stream") != NULL;
}

/* False: it was answered. */
static bool
cursor_read(struct api_call *call, struct asked *q)
{
	const char *text = http_header(call->req, "Last-Event-ID");
	uint64_t seq;
	int epoch;

	if (text == NULL || *text == '\0')
		text = http_query(call->req, "after");
	q->cursor[0] = '\0';
	if (text == NULL || *text == '\0')
		return true;
	if (strlen(text) < sizeof(q->cursor) && event_id_parse(text, &epoch, &seq)) {
		strcpy(q->cursor, text);
		return true;
	}
	api_problem(call, 400, "bad-cursor", "An event's id is epoch.seq, like 1.42.");
	return false;
}

/* Of the query, min to max; false when it is no number of these. */
static bool
number_of(const char *text, int min, int max, int *value)
{
	char *end;

	if (text == NULL)
		return true;
	long n = strtol(text, &end, 10);
	if (*text == '\0' || *end != '\0' || n < min || n > max)
		return false;
	*value = (int)n;
	return true;
}

static bool
asked_read(struct api_call *call, struct asked *q)
{
	int wait_s = api_conf(call->api)->long_poll_ms / 1000, most_s = wait_s;
	struct fields f = { 0 };

	*q = (struct asked){ .tenant = call->tenant, .max = POLL_MAX_DEFAULT };
	q->reader.agent_id = call->agent_id;
	q->reader.all = call->role >= API_SUPERVISOR;
	memcpy(q->reader.token_hash, call->token_hash, sizeof(q->reader.token_hash));
	if (!cursor_read(call, q))
		return false;
	if (!number_of(http_query(call->req, "max"), 1, POLL_MAX, &q->max))
		fields_error(&f, "max", "must be a whole number from 1 to 1000");
	if (!number_of(http_query(call->req, "wait_s"), 0, 86400, &wait_s))
		fields_error(&f, "wait_s", "must be a whole number of seconds");
	q->wait_ms = wait_s >= most_s ? api_conf(call->api)->long_poll_ms : wait_s * 1000;
	if (http_query(call->req, "wait_s") != NULL && wait_s == 0)
		q->wait_ms = 0;
	return fields_ok(&f, call);
}

static void
on_stream_close(void *arg, const char *why)
{
	struct subscriber **subscriber = arg;

	(void)why;
	if (*subscriber != NULL)
		feed_leave(*subscriber);
	free(subscriber);
}

static void
stream_begin(struct api_call *call, const struct asked *q)
{
	/* A proxy that gathers the answer would keep every event back. */
	http_answer_header(call->req, "Cache-Control", "no-store");
	http_answer_header(call->req, "X-Accel-Buffering", "no");
	struct subscriber **subscriber = xcalloc(1, sizeof(struct subscriber *));
	struct stream *stream =
	    http_take_stream(call->req, 200, "text/event-stream", on_stream_close, subscriber);
	*subscriber = feed_subscribe(tenant_feed(q->tenant), stream, &q->reader, cursor_of(q));
}

/* Whether there is something for the reader now: he is told at once and need not wait. */
static bool
answered_at_once(const struct asked *q)
{
	const struct projection *p = tenant_projection(q->tenant);
	const struct ring_event *e;
	uint64_t seq;
	int epoch;

	if (q->wait_ms == 0)
		return true;
	if (!event_id_parse(q->cursor, &epoch, &seq))
		return false;
	if (epoch != projection_epoch(p) || seq < projection_floor(p) || seq > projection_seq(p))
		return true; /* with a reset */
	for (int i = 1;
	     i <= LOOK_AHEAD && (e = ring_get(tenant_ring(q->tenant), seq + (uint64_t)i)) != NULL;
	     i++)
		if (q->reader.all || e->agent_id == q->reader.agent_id)
			return true;
	return false;
}

static void
poll_forget(void *arg)
{
	struct poll *p = arg;

	if (p->subscriber != NULL)
		feed_leave(p->subscriber);
	p->subscriber = NULL;
}

static void
on_answer(void *arg, const char *text, size_t len)
{
	struct poll *p = arg;
	struct api_call *call = p->call;

	p->subscriber = NULL;
	road_arrived(call);
	http_answer_header(call->req, "Cache-Control", "no-store");
	http_answer(call->req, 200, "application/json", text, len);
	road_go_on(call);
}

static enum http_verdict
poll_in_request(struct api_call *call, const struct asked *q)
{
	struct poll *p = xcalloc(1, sizeof(*p));

	p->call = call;
	call->data = p;
	call->data_free = free;
	p->subscriber = feed_poll(
	    tenant_feed(q->tenant), &q->reader, cursor_of(q), q->max, q->wait_ms, on_answer, p);
	return road_wait(call, "events", poll_forget, p);
}

static void
on_late_answer(void *arg, const char *text, size_t len)
{
	struct poll *p = arg;

	p->subscriber = NULL;
	stream_answer(p->stream, 200, "application/json", text, len);
}

static void
on_poll_close(void *arg, const char *why)
{
	(void)why;
	poll_forget(arg);
	free(arg);
}

static void
poll_begin(struct api_call *call, const struct asked *q)
{
	struct poll *p = xcalloc(1, sizeof(*p));

	http_answer_header(call->req, "Cache-Control", "no-store");
	p->stream = http_take_answer(call->req, on_poll_close, p);
	p->subscriber = feed_poll(tenant_feed(q->tenant), &q->reader, cursor_of(q), q->max,
	    q->wait_ms, on_late_answer, p);
}

static enum http_verdict
events(struct api_call *call)
{
	struct asked q;

	if (!asked_read(call, &q))
		return HTTP_DONE;
	if (wants_stream(call))
		stream_begin(call, &q);
	else if (answered_at_once(&q))
		return poll_in_request(call, &q);
	else
		poll_begin(call, &q);
	return HTTP_DONE;
}

const struct api_route api_routes_events[] = {
	{ "GET", "/v1/events", API_AGENT, API_BODY_NONE, events },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
