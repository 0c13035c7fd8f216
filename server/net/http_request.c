/*
 * http_request: the course of one request: head, body, handler, wait, answer,
 * end, as libmicrohttpd calls for it. It must not know what the head says
 * (http_head.c) nor how an answer is written (http_answer.c).
 */
#include "net/http.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/log.h"
#include "net/http_impl.h"

/* An early answer waits for a body up to this size, and the connection can go on. */
#define SKIP_BODY_BYTES 65536

void *
http_on_uri(void *arg, const char *uri, struct MHD_Connection *c)
{
	struct http *h = arg;
	struct http_request *req = xcalloc(1, sizeof(*req));

	req->http = h;
	req->mhd = c;
	req->connection =
	    MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
	req->connection->request = req;
	req->bridge = req->connection->bridge;
	req->uri = uri != NULL ? uri : "";
	req->uri_len = strlen(req->uri);
	req->bad_uri = strchr(req->uri, ' ') != NULL;
	h->parsing = req;
	return req;
}

static int
hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0'
	    : c >= 'a' && c <= 'f'  ? c - 'a' + 10
	    : c >= 'A' && c <= 'F'  ? c - 'A' + 10
				    : -1;
}

/* In place. A '%' that begins no escape stays, as browsers send it; an escaped NUL is noted. */
size_t
http_on_unescape(void *arg, struct MHD_Connection *c, char *text)
{
	struct http *h = arg;
	char *out = text;

	(void)c;
	for (const char *in = text; *in != '\0'; in++) {
		int high = *in == '%' ? hex_value(in[1]) : -1;
		int low = high >= 0 ? hex_value(in[2]) : -1;
		if (low < 0) {
			*out++ = *in;
			continue;
		}
		*out = (char)(high * 16 + low);
		if (*out++ == '\0')
			h->parsing->bad_uri = true;
		in += 2;
	}
	*out = '\0';
	return (size_t)(out - text);
}

/* Gives the answer to libmicrohttpd, which closes the connection when the body was not read. */
static enum MHD_Result
finish(struct http_request *req)
{
	req->state = HTTP_ENDING;
	if (req->taken)
		return MHD_NO;
	return http_answer_queue(req) ? MHD_YES : MHD_NO;
}

static void
ask_handler(struct http_request *req)
{
	struct http *h = req->http;

	req->known = true;
	req->limit = h->handlers.on_head(req, h->arg);
	assert(req->limit >= 0 || req->reply.status != 0);
	if (req->reply.status == 0 && req->content_length > (uint64_t)req->limit)
		http_problem(req, 413, "body-too-large",
		    "The request's body is larger than allowed here.", NULL, 0);
}

static enum MHD_Result
begin(struct http_request *req, const char *url, const char *method, const char *version)
{
	struct http *h = req->http;

	h->counts.requests++;
	const char *bad = http_head_read(req, url, method, version);
	if (bad != NULL) {
		req->last = true;
		http_problem(req, 400, "bad-request", bad, NULL, 0);
		return finish(req);
	}
	req->state = HTTP_BODY;
	ask_handler(req);
	/* Early, it ends the connection; else it waits until the request is read. */
	if (req->reply.status != 0 && req->has_body &&
	    (req->chunked || req->expects_100 || req->content_length > SKIP_BODY_BYTES)) {
		req->last = true;
		return finish(req);
	}
	bridge_expect(req->bridge, req->has_body ? BRIDGE_BODY : BRIDGE_SERVER);
	return MHD_YES;
}

static enum MHD_Result
take_body(struct http_request *req, const char *data, size_t len)
{
	if (req->reply.status != 0)
		return MHD_YES;
	if (req->body.len + len <= (size_t)req->limit) {
		buf_add(&req->body, data, len);
		return MHD_YES;
	}
	/* Only a chunked one gets here: the other's length was known. */
	http_problem(
	    req, 413, "body-too-large", "The request's body is larger than allowed here.", NULL, 0);
	req->last = true;
	http_answer_raw(req);
	return finish(req);
}

static enum MHD_Result
handle(struct http_request *req)
{
	struct http *h = req->http;

	bridge_expect(req->bridge, BRIDGE_SERVER);
	if (req->reply.status != 0)
		return finish(req);
	req->state = HTTP_HANDLING;
	enum http_verdict verdict = h->handlers.on_request(req, h->arg);
	if (verdict == HTTP_DONE) {
		assert(req->state == HTTP_HANDLING && (req->reply.status != 0 || req->taken));
		return finish(req);
	}
	assert(req->state == HTTP_PARKED || req->state == HTTP_RESUMED);
	MHD_suspend_connection(req->mhd);
	return MHD_YES;
}

enum MHD_Result
http_on_access(void *arg, struct MHD_Connection *c, const char *url, const char *method,
    const char *version, const char *data, size_t *len, void **context)
{
	struct http *h = arg;
	struct http_request *req = *context;

	(void)c;
	if (h->freeing && req->state <= HTTP_BODY)
		return MHD_NO;
	switch (req->state) {
	case HTTP_NEW:
		return begin(req, url, method, version);
	case HTTP_BODY:
		if (*len == 0)
			return handle(req);
		size_t had = *len;
		*len = 0;
		return take_body(req, data, had);
	case HTTP_RETURNED:
		return finish(req);
	default:
		*len = 0;
		return MHD_YES;
	}
}

void
http_request_end(struct http_request *req)
{
	struct http *h = req->http;

	assert(req->state != HTTP_PARKED && req->state != HTTP_RESUMED);
	if (h->parsing == req)
		h->parsing = NULL;
	if (req->known && h->handlers.on_end != NULL)
		h->handlers.on_end(req, h->arg);
	req->connection->request = NULL;
	bridge_expect(req->bridge, BRIDGE_IDLE);
	buf_fini(&req->body);
	http_answer_clear(req);
	free(req->forwarded_peer);
	if (req->deadline != NULL)
		event_free(req->deadline);
	free(req);
}

void
http_on_completed(
    void *arg, struct MHD_Connection *c, void **context, enum MHD_RequestTerminationCode code)
{
	struct http_request *req = *context;

	(void)arg;
	(void)c;
	(void)code;
	*context = NULL;
	if (req != NULL)
		http_request_end(req);
}

/* The wait ends without the one who parked it. */
static void
give_up(struct http_request *req, const char *type, const char *detail)
{
	void (*on_gone)(void *) = req->on_gone;

	req->on_gone = NULL;
	if (on_gone != NULL)
		on_gone(req->gone_arg);
	if (req->state != HTTP_PARKED)
		return;
	if (req->reply.status == 0 && !req->taken)
		http_problem(req, 503, type, detail, NULL, 1);
	http_resume(req);
}

static void
on_wait_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct http_request *req = arg;

	(void)fd;
	(void)what;
	log_warn("request=parked_out wait=%s for_ms=%lld", req->wait,
	    (long long)(clock_mono_ms() - req->parked_ms));
	req->http->counts.parked_out++;
	give_up(req, "overloaded", "The server did not get an answer in time.");
}

void
http_park(
    struct http_request *req, const char *wait, int deadline_ms, void (*on_gone)(void *), void *arg)
{
	struct http *h = req->http;

	assert(
	    req->state == HTTP_HANDLING || req->state == HTTP_PARKED || req->state == HTTP_RESUMED);
	if (req->state == HTTP_RESUMED)
		TAILQ_REMOVE(&h->resumed, req, link);
	if (req->state != HTTP_PARKED) {
		TAILQ_INSERT_TAIL(&h->parked, req, link);
		h->counts.waiting++;
	}
	req->state = HTTP_PARKED;
	req->wait = wait;
	req->parked_ms = clock_mono_ms();
	req->on_gone = on_gone;
	req->gone_arg = arg;
	if (req->deadline == NULL)
		req->deadline = evtimer_new(h->base, on_wait_deadline, req);
	struct timeval length = { .tv_sec = deadline_ms / 1000,
		.tv_usec = deadline_ms % 1000 * 1000 };
	/* Nearly all wait equally long: those share a list instead of a heap. */
	const struct timeval *common = deadline_ms == h->conf->wait_ms
	    ? event_base_init_common_timeout(h->base, &length)
	    : NULL;
	evtimer_add(req->deadline, common != NULL ? common : &length);
}

void
http_resume(struct http_request *req)
{
	struct http *h = req->http;

	assert(req->state == HTTP_PARKED);
	evtimer_del(req->deadline);
	TAILQ_REMOVE(&h->parked, req, link);
	h->counts.waiting--;
	TAILQ_INSERT_TAIL(&h->resumed, req, link);
	req->state = HTTP_RESUMED;
	req->on_gone = NULL;
	http_kick(h);
}

/* Before libmicrohttpd runs: it calls the access handler again for each of these. */
void
http_hand_over_resumed(struct http *h)
{
	struct http_request *req;

	while ((req = TAILQ_FIRST(&h->resumed)) != NULL) {
		TAILQ_REMOVE(&h->resumed, req, link);
		if (req->reply.status == 0 && !req->taken) {
			log_error("request=unanswered wait=%s", req->wait);
			http_problem(req, 500, "internal", "The server has a fault.", NULL, 0);
		}
		req->state = HTTP_RETURNED;
		MHD_resume_connection(req->mhd);
	}
}

void
http_end_waits(struct http *h)
{
	while (!TAILQ_EMPTY(&h->parked)) {
		struct http_request *req = TAILQ_FIRST(&h->parked);
		give_up(req, "stopping", "The server is stopping.");
		/* on_gone must not have parked it again, or this would not end. */
		assert(req->state == HTTP_RESUMED);
	}
}

json_t *
http_waits(struct http *h)
{
	json_t *list = json_array();
	int64_t now_ms = clock_mono_ms();
	const struct http_request *req;

	TAILQ_FOREACH (req, &h->parked, link)
		json_array_append_new(list,
		    json_pack("{s:s, s:I, s:s}", "wait", req->wait, "for_ms",
			(json_int_t)(now_ms - req->parked_ms), "path", req->path));
	return list;
}

const void *
http_body(const struct http_request *req, size_t *len)
{
	*len = req->body.len;
	return req->body.data != NULL ? req->body.data : "";
}

void **
http_user(struct http_request *req)
{
	return &req->user;
}

int
http_status(const struct http_request *req)
{
	return req->reply.status;
}
