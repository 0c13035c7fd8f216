/*
 * GET /v1/callbacks/export: all that a filter lets through, as CSV or one JSON
 * object a line. Page by page from the database, piece by piece to the client,
 * as fast as he takes it: it may be a million. Must not know what a line says.
 *
 * The answer is chunked (RFC 9112, 7.1), and the last chunk comes when all of it
 * was read: whoever gets no such chunk has not got everything.
 */
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "api/api.h"
#include "api/fields.h"
#include "api/filter.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timer.h"
#include "net/stream.h"
#include "node/node.h"
#include "node/tenant.h"

#define PAGE 100
#define PIECE 32768
/* Nothing more while something is unsent: who reads slowly is waited for, but not for ever. */
#define WAIT_MS 20
#define WAITS_MAX (60000 / WAIT_MS)
/* Nor for a database that is gone: somebody waits for the rest. */
#define PAUSES_MAX (10000 / WAIT_MS)

struct export
{
	struct tenant *tenant;
	struct stream *stream;
	struct query *query;
	struct event *timer;
	json_t *filter;
	const char *format;
	struct buf page;
	size_t sent;  /* of the page */
	int waits;    /* since something could be sent */
	int pauses;   /* since the database could be asked */
	bool last;    /* there is no page behind this one */
	int agent_id; /* whose session it is; 0: the operator has none */
	uint8_t token_hash[32];
};

static void on_page(void *, const PGresult *, const char *);

static void
on_close(void *arg, const char *why)
{
	struct export *x = arg;

	(void)why;
	if (x->query != NULL)
		pool_forget(x->query);
	event_free(x->timer);
	json_decref(x->filter);
	buf_fini(&x->page);
	free(x);
}

/* He may have been signed out since it began, or be no supervisor any more. */
static bool
entitled(const struct export *x)
{
	const struct projection *p = tenant_projection(x->tenant);
	struct session_view v;

	return x->agent_id == 0 ||
	    (projection_session(p, x->token_hash, &v) &&
		v.expires_at > node_now_ms(tenant_node(x->tenant)) &&
		(strcmp(v.role, "supervisor") == 0 || strcmp(v.role, "administrator") == 0));
}

/* The database is to be asked, and cannot be. */
static void
pause_a_little(struct export *x)
{
	if (++x->pauses < PAUSES_MAX)
		timer_in(x->timer, WAIT_MS);
	else
		stream_finish(x->stream, "the database is gone");
}

static void
ask_page(struct export *x)
{
	struct node *node = tenant_node(x->tenant);

	if (tenant_projection(x->tenant) == NULL || !pool_ready(node_pool(node))) {
		pause_a_little(x);
		return;
	}
	if (!entitled(x)) {
		/* Without the last chunk, which says that it is whole. */
		stream_finish(x->stream, "signed out");
		return;
	}
	char *tenant = xasprintf("%d", tenant_id(x->tenant)), *filter = json_line(x->filter);
	char *now = xasprintf("%lld", (long long)node_now_ms(node));

	x->query = pool_send(node_pool(node), STATEMENT_load_export,
	    (const char *[]){ tenant, now, filter, x->format }, on_page, x);
	free(tenant);
	free(now);
	free(filter);
	if (x->query == NULL)
		pause_a_little(x);
	else
		timer_in(x->timer, WAIT_MS);
}

/* A pool without a connection keeps what it was asked until it has one. */
static void
watch_query(struct export *x)
{
	if (pool_ready(node_pool(tenant_node(x->tenant))))
		timer_in(x->timer, WAIT_MS);
	else
		pause_a_little(x);
}

static void
on_page(void *arg, const PGresult *res, const char *err)
{
	struct export *x = arg;
	int n = err == NULL ? PQntuples(res) : 0, rows = 0;

	x->query = NULL;
	if (err != NULL) {
		log_error("export=ended why=%s", err);
		stream_finish(x->stream, "the database did not answer");
		return;
	}
	buf_reset(&x->page);
	x->sent = 0;
	x->pauses = 0;
	for (int i = 0; i < n; i++) {
		buf_add(&x->page, PQgetvalue(res, i, 1), (size_t)PQgetlength(res, i, 1));
		rows += !PQgetisnull(res, i, 0);
	}
	if (rows > 0)
		json_object_set_new(x->filter, "after", json_string(PQgetvalue(res, n - 1, 0)));
	x->last = rows < PAGE;
	timer_in(x->timer, 0);
}

static bool
write_chunk(struct export *x, const char *text, size_t len)
{
	struct buf chunk = { 0 };

	buf_printf(&chunk, "%zx\r\n", len);
	buf_add(&chunk, text, len);
	buf_puts(&chunk, "\r\n");
	bool good = stream_write(x->stream, chunk.data, chunk.len);
	buf_fini(&chunk);
	return good;
}

/* One piece, or the next page. */
static void
on_step(evutil_socket_t fd, short what, void *arg)
{
	struct export *x = arg;
	size_t left = x->page.len - x->sent, len = left < PIECE ? left : PIECE;

	(void)fd;
	(void)what;
	if (x->query != NULL) {
		watch_query(x);
		return;
	}
	if (stream_queued(x->stream) > 0) {
		if (++x->waits < WAITS_MAX)
			timer_in(x->timer, WAIT_MS);
		else
			stream_finish(x->stream, "slow reader");
		return;
	}
	x->waits = 0;
	if (len > 0) {
		const char *text = x->page.data + x->sent;

		x->sent += len;
		/* Refused: on_close will follow. */
		if (write_chunk(x, text, len))
			timer_in(x->timer, 0);
	} else if (x->last) {
		if (write_chunk(x, "", 0))
			stream_finish(x->stream, "all was sent");
	} else {
		ask_page(x);
	}
}

static enum http_verdict
export_begin(struct api_call *call, json_t *filter, bool csv)
{
	struct export *x = xcalloc(1, sizeof(*x));

	json_object_set_new(filter, "limit", json_integer(PAGE));
	x->tenant = call->tenant;
	x->filter = filter;
	x->agent_id = call->agent_id;
	memcpy(x->token_hash, call->token_hash, sizeof(x->token_hash));
	x->format = csv ? "csv" : "ndjson";
	x->timer = evtimer_new(node_base(api_node(call->api)), on_step, x);
	http_answer_header(call->req, "Cache-Control", "no-store");
	http_answer_header(call->req, "Transfer-Encoding", "chunked");
	http_answer_header(call->req, "Content-Disposition",
	    csv ? "attachment; filename=\"callbacks.csv\""
		: "attachment; filename=\"callbacks.ndjson\"");
	x->stream = http_take_stream(call->req, 200,
	    csv ? "text/csv; charset=utf-8; header=present" : "application/x-ndjson", on_close, x);
	timer_in(x->timer, 0);
	return HTTP_DONE;
}

static enum http_verdict
callbacks_export(struct api_call *call)
{
	const char *format = http_query(call->req, "format");

	if (!http_takes_chunks(call->req))
		return api_problem(call, 505, "http-version",
		    "An export is sent in chunks, by which it is seen to be whole: HTTP/1.1.");
	json_t *asked = filter_query(call);
	struct fields f = { 0 };

	json_t *filter = filter_read(call, &f, asked);
	json_decref(asked);
	if (format != NULL && strcmp(format, "csv") != 0 && strcmp(format, "ndjson") != 0)
		fields_error(&f, "format", "must be csv or ndjson");
	bool good = fields_ok(&f, call);
	if (good && pool_ready(node_pool(api_node(call->api))))
		return export_begin(call, filter, format == NULL || strcmp(format, "csv") == 0);
	json_decref(filter);
	return good ? api_problem(call, 503, "unavailable", "The database does not answer.")
		    : HTTP_DONE;
}

const struct api_route api_routes_export[] = {
	{ "GET", "/v1/callbacks/export", API_SUPERVISOR, API_BODY_NONE, callbacks_export },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
