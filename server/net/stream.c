/*
 * stream: connections that left libmicrohttpd for good, and rounds over many of
 * them. It must not know what is written.
 */
#include "net/stream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/clock.h"
#include "net/http_impl.h"

/* Of a turn of the loop; a visit takes some 10. Who posts a form meanwhile waits for half a dozen turns. */
#define SLICE_US 200

/* A stream's place in a round. */
struct stream_turn {
	TAILQ_ENTRY(stream_turn) in_round;
	LIST_ENTRY(stream_turn) of_stream;
	struct stream_round *round;
	struct stream *stream;
};

struct stream {
	TAILQ_ENTRY(stream) link;
	LIST_HEAD(, stream_turn) turns;
	struct http *http;
	struct bridge *bridge;
	char *lines; /* the answer's own fields, until they are written */
	bool is_head;
	void (*on_close)(void *, const char *);
	void *arg;
};

struct stream_round {
	TAILQ_HEAD(, stream_turn) queue;
	struct event *next;
	stream_visit_fn visit;
	void *arg;
};

static void
turn_free(struct stream_turn *t)
{
	TAILQ_REMOVE(&t->round->queue, t, in_round);
	LIST_REMOVE(t, of_stream);
	free(t);
}

static void
on_bridge_close(void *arg, const char *why)
{
	struct stream *s = arg;

	while (!LIST_EMPTY(&s->turns))
		turn_free(LIST_FIRST(&s->turns));
	TAILQ_REMOVE(&s->http->streams, s, link);
	if (s->on_close != NULL)
		s->on_close(s->arg, why);
	free(s->lines);
	free(s);
}

struct stream *
http_take_answer(struct http_request *req, void (*on_close)(void *, const char *), void *arg)
{
	struct http *h = req->http;
	struct stream *s = xcalloc(1, sizeof(*s));
	struct buf lines = { 0 };

	assert(!req->taken && req->reply.status == 0 &&
	    (req->state == HTTP_HANDLING || req->state == HTTP_PARKED ||
		req->state == HTTP_RESUMED));
	http_answer_lines(req, &lines);
	s->lines = buf_take(&lines);
	s->is_head = req->is_head;
	s->http = h;
	s->bridge = req->bridge;
	s->on_close = on_close;
	s->arg = arg;
	LIST_INIT(&s->turns);
	TAILQ_INSERT_TAIL(&h->streams, s, link);
	req->taken = true;
	bridge_take(req->bridge, on_bridge_close, s);
	if (h->stopping)
		bridge_finish(s->bridge, "server stopping");
	return s;
}

struct stream *
http_take_stream(struct http_request *req, int status, const char *content_type,
    void (*on_close)(void *, const char *), void *arg)
{
	struct stream *s = http_take_answer(req, on_close, arg);
	struct buf head = { 0 };

	http_answer_head(&head, status, content_type, -1, s->lines);
	free(s->lines);
	s->lines = NULL;
	http_answer_count(s->http, status);
	bridge_write(s->bridge, head.data, head.len);
	buf_fini(&head);
	if (s->is_head)
		bridge_finish(s->bridge, "only the head was asked for");
	return s;
}

size_t
stream_queued(const struct stream *s)
{
	return bridge_queued(s->bridge);
}

bool
stream_write(struct stream *s, const void *data, size_t len)
{
	assert(s->lines == NULL);
	return bridge_write(s->bridge, data, len);
}

static void
answer(struct stream *s, int status, const char *content_type, const void *data, size_t len,
    const char *why)
{
	struct buf out = { 0 };

	assert(s->lines != NULL);
	http_answer_head(&out, status, content_type, (int64_t)len, s->lines);
	free(s->lines);
	s->lines = NULL;
	if (!s->is_head)
		buf_add(&out, data, len);
	http_answer_count(s->http, status);
	/* In one piece: the queue's limit is for what comes on top of something queued. */
	bridge_write(s->bridge, out.data, out.len);
	bridge_finish(s->bridge, why);
	buf_fini(&out);
}

void
stream_answer(struct stream *s, int status, const char *content_type, const void *data, size_t len)
{
	/* Stopping has answered it already, and whoever it waited for could not know. */
	if (s->lines != NULL)
		answer(s, status, content_type, data, len, "answered");
}

void
stream_finish(struct stream *s, const char *why)
{
	bridge_finish(s->bridge, why);
}

void *
stream_arg(const struct stream *s)
{
	return s->arg;
}

void
stream_stop_all(struct http *h)
{
	static const char problem[] = "{\"title\":\"Service Unavailable\",\"status\":503,"
				      "\"detail\":\"The server is stopping.\"}";
	struct stream *s;

	/* on_close comes later, from the loop: the list stays whole. */
	TAILQ_FOREACH (s, &h->streams, link) {
		if (s->lines != NULL)
			answer(s, 503, "application/problem+json", problem, sizeof(problem) - 1,
			    "server stopping");
		else
			bridge_finish(s->bridge, "server stopping");
	}
}

static void
on_slice(evutil_socket_t fd, short what, void *arg)
{
	struct stream_round *r = arg;
	struct stream_turn *t;

	(void)fd;
	(void)what;
	int64_t until_us = clock_mono_us() + SLICE_US;
	while ((t = TAILQ_FIRST(&r->queue)) != NULL && clock_mono_us() < until_us) {
		struct stream *s = t->stream;
		turn_free(t);
		r->visit(s, r->arg);
	}
	if (!TAILQ_EMPTY(&r->queue))
		evtimer_add(r->next, &(struct timeval){ 0 });
}

struct stream_round *
stream_round_new(struct event_base *base, stream_visit_fn visit, void *arg)
{
	struct stream_round *r = xcalloc(1, sizeof(*r));

	TAILQ_INIT(&r->queue);
	r->next = evtimer_new(base, on_slice, r);
	r->visit = visit;
	r->arg = arg;
	return r;
}

void
stream_round_free(struct stream_round *r)
{
	while (!TAILQ_EMPTY(&r->queue))
		turn_free(TAILQ_FIRST(&r->queue));
	event_free(r->next);
	free(r);
}

void
stream_round_add(struct stream_round *r, struct stream *s)
{
	struct stream_turn *t;

	LIST_FOREACH (t, &s->turns, of_stream)
		if (t->round == r)
			return;
	t = xcalloc(1, sizeof(*t));
	t->round = r;
	t->stream = s;
	LIST_INSERT_HEAD(&s->turns, t, of_stream);
	TAILQ_INSERT_TAIL(&r->queue, t, in_round);
	/* A timer and not event_active(): that would run before this turn's other connections. */
	if (!evtimer_pending(r->next, NULL))
		evtimer_add(r->next, &(struct timeval){ 0 });
}
