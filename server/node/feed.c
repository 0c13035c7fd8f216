/*
 * feed: who gets which events. Those who are LIVE share one page of new events,
 * made here; who comes with an older cursor is BEHIND (behind.c) until he has
 * caught up. Formatting is excerpt.c's, writing to a reader subscriber.c's.
 */
#include "node/feed_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/id.h"
#include "base/timer.h"
#include "node/node.h"
#include "node/presence.h"
#include "node/tenant.h"

#define LIVE_PAGE 1000

static void on_heartbeat(evutil_socket_t, short, void *);
static void on_live_page(void *);

struct feed *
feed_new(struct tenant *t)
{
	struct feed *f = xcalloc(1, sizeof *f);
	struct event_base *base = node_base(tenant_node(t));
	int ms = node_conf(tenant_node(t))->heartbeat_ms;

	f->tenant = t;
	TAILQ_INIT(&f->live);
	TAILQ_INIT(&f->behind);
	TAILQ_INIT(&f->all_polls);
	news_start(f);
	f->round = stream_round_new(base, on_subscriber_visit, f);
	f->heartbeat = event_new(base, -1, EV_PERSIST, on_heartbeat, f);
	timer_in(f->heartbeat, ms);
	return f;
}

void
feed_leave(struct subscriber *s)
{
	struct feed *f = s->feed;

	subscriber_unlist(s);
	if (s->stream != NULL) {
		f->streams--;
		presence_leave(tenant_presence(f->tenant), s->reader.agent_id);
	} else
		f->polls--;
	subscriber_free(s);
}

void
feed_free(struct feed *f)
{
	if (f == NULL)
		return;
	/* Streams were ended and polls answered before: http_stop() comes first. */
	while (!TAILQ_EMPTY(&f->live))
		feed_leave(TAILQ_FIRST(&f->live));
	while (!TAILQ_EMPTY(&f->behind))
		feed_leave(TAILQ_FIRST(&f->behind));
	excerpt_free(f->page);
	stream_round_free(f->round);
	news_stop(f);
	event_free(f->heartbeat);
	free(f->by_agent);
	free(f);
}

/* Of one agent, or of all (0). */
static void
end_unentitled(struct subscriber_list *list, int agent_id)
{
	struct subscriber *s, *next;

	for (s = TAILQ_FIRST(list); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if ((agent_id == 0 || s->reader.agent_id == agent_id) && !subscriber_entitled(s))
			subscriber_end(s);
	}
}

static bool
anybody(struct feed *f, int agent_id)
{
	if (!TAILQ_EMPTY(&f->all) || !TAILQ_EMPTY(&f->all_polls))
		return true;
	return agent_id != 0 && agent_id < f->by_agent_n && !TAILQ_EMPTY(&f->by_agent[agent_id]);
}

static void
live_write_all(struct feed *f)
{
	struct buf b = { 0 };
	size_t n = excerpt_count(f->page);
	struct subscriber *s, *next;

	for (size_t i = 0; i < n; i++)
		chunk_frame(&b, f->tenant, excerpt_get(f->page, i));
	struct chunk *c = chunk_new(&b);
	news_add(f, c);
	chunk_unref(c);
	buf_fini(&b);
	for (s = TAILQ_FIRST(&f->all_polls); s != NULL; s = next) {
		size_t i;

		next = TAILQ_NEXT(s, by_reader);
		for (i = 0; i < n && s->count < s->max; i++)
			subscriber_poll_add(s, excerpt_get(f->page, i));
		if (i == n)
			s->next = f->page_to + 1;
		subscriber_answer(s);
	}
}

static void
live_write_own(struct feed *f)
{
	struct buf b = { 0 };

	for (size_t i = 0; i < excerpt_count(f->page); i++) {
		const struct excerpt_event *e = excerpt_get(f->page, i);
		if (e->agent_id == 0 || e->agent_id >= f->by_agent_n)
			continue;
		struct subscriber *s, *next;
		buf_reset(&b);
		chunk_frame(&b, f->tenant, e);
		struct chunk *c = chunk_new(&b);
		for (s = TAILQ_FIRST(&f->by_agent[e->agent_id]); s != NULL; s = next) {
			next = TAILQ_NEXT(s, by_reader);
			if (s->stream != NULL)
				subscriber_queue(s, c);
			else {
				subscriber_poll_add(s, e);
				subscriber_answer(s);
			}
		}
		chunk_unref(c);
	}
	buf_fini(&b);
}

static void
live_deliver(struct feed *f)
{
	f->written += excerpt_count(f->page);
	if (excerpt_count(f->page) > 0 && (!TAILQ_EMPTY(&f->all) || !TAILQ_EMPTY(&f->all_polls)))
		live_write_all(f);
	live_write_own(f);
	f->sent = f->page_to;
	excerpt_free(f->page);
	f->page = NULL;
}

/*
 * Nobody joins while a live page is being made ready: it holds only what those
 * who were live then wanted. Who had caught up meanwhile joins here, or goes on
 * with what that page has put behind him.
 */
static void
promote(struct feed *f)
{
	struct subscriber *s, *next;

	for (s = TAILQ_FIRST(&f->behind); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->page != NULL || s->query != NULL ||
		    event_pending(s->timer, EV_TIMEOUT, NULL))
			continue;
		if (s->next == f->sent + 1)
			subscriber_to_live(s);
		else
			timer_in(s->timer, 0);
	}
}

static void
on_live_page(void *arg)
{
	struct feed *f = arg;

	live_deliver(f);
	promote(f);
	feed_events(f);
}

/* The log went on without us (a reload): who was live must look where he stands. */
static void
live_break(struct feed *f)
{
	struct subscriber *s, *next;

	for (s = TAILQ_FIRST(&f->live); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		subscriber_to_behind(s, f->sent + 1);
	}
	f->sent = projection_seq(tenant_projection(f->tenant));
}

/* Another log, or the same one restored from before: nobody's place means anything any more. */
static void
start_over(struct feed *f, const struct projection *p)
{
	struct subscriber *s;

	excerpt_free(f->page);
	f->page = NULL;
	f->epoch = projection_epoch(p);
	f->sent = projection_seq(p);
	while ((s = TAILQ_FIRST(&f->live)) != NULL)
		subscriber_to_behind(s, f->sent + 1);
	TAILQ_FOREACH (s, &f->behind, link) {
		subscriber_ask_no_more(s);
		s->next = f->sent + 1;
		s->reset = true;
		s->ahead = false;
		timer_in(s->timer, 0);
	}
}

/* Whose session ended, or whose role changed, reads no further than this. */
static void
end_sessions(struct feed *f, const struct ring_event *e)
{
	if (e->agent_id == 0 ||
	    (strcmp(e->kind, "session.closed") != 0 && strcmp(e->kind, "agent.changed") != 0))
		return;
	end_unentitled(&f->live, e->agent_id);
	end_unentitled(&f->behind, e->agent_id);
}

void
feed_events(struct feed *f)
{
	struct ring *ring = tenant_ring(f->tenant);
	struct projection *p = tenant_projection(f->tenant);

	if (p == NULL)
		return;
	if (projection_epoch(p) != f->epoch || projection_seq(p) < f->sent)
		start_over(f, p);
	while (f->page == NULL && f->sent < projection_seq(p)) {
		if (TAILQ_EMPTY(&f->live)) {
			f->sent = projection_seq(p);
			return;
		}
		if (ring_get(ring, f->sent + 1) == NULL) {
			live_break(f);
			return;
		}
		f->page = excerpt_new(f->tenant);
		f->page_to = f->sent;
		for (const struct ring_event *e; f->page_to - f->sent < LIVE_PAGE &&
		     (e = ring_get(ring, f->page_to + 1)) != NULL;
		     f->page_to++) {
			if (anybody(f, e->agent_id))
				excerpt_add(
				    f->page, e->seq, e->at_ms, e->agent_id, e->kind, e->body);
			end_sessions(f, e);
		}
		if (excerpt_run(f->page, on_live_page, f))
			live_deliver(f);
	}
}

static struct subscriber *
subscriber_new(struct feed *f, const struct feed_reader *r, const char *cursor)
{
	struct subscriber *s = xcalloc(1, sizeof *s);
	struct projection *p = tenant_projection(f->tenant);
	int epoch;
	uint64_t seq;

	s->feed = f;
	s->reader = *r;
	STAILQ_INIT(&s->pending);
	s->timer = evtimer_new(node_base(tenant_node(f->tenant)), on_behind_step, s);
	if (TAILQ_EMPTY(&f->live) && f->page == NULL)
		f->sent = projection_seq(p);
	s->next = f->sent + 1;
	if (cursor != NULL) {
		if (event_id_parse(cursor, &epoch, &seq) && epoch == projection_epoch(p) &&
		    seq >= projection_floor(p) && seq < INT64_MAX)
			s->next = seq + 1;
		else
			s->reset = true;
	}
	TAILQ_INSERT_TAIL(&f->behind, s, link);
	timer_in(s->timer, 0);
	return s;
}

struct subscriber *
feed_subscribe(
    struct feed *f, struct stream *stream, const struct feed_reader *r, const char *cursor)
{
	struct subscriber *s = subscriber_new(f, r, cursor);
	struct buf b = { 0 };
	uint16_t jitter;

	s->stream = stream;
	f->streams++;
	presence_enter(tenant_presence(f->tenant), r->agent_id);
	/* A restart's thousand subscribers must not all come back in the same instant. */
	random_bytes(&jitter, sizeof jitter);
	buf_printf(&b, "retry: %d\n", 1000 + jitter % 2000);
	if (!s->reset)
		chunk_cursor(&b, f, s->next - 1);
	else
		buf_puts(&b, "\n");
	struct chunk *c = chunk_new(&b);
	subscriber_queue(s, c);
	chunk_unref(c);
	buf_fini(&b);
	return s;
}

struct subscriber *
feed_poll(struct feed *f, const struct feed_reader *r, const char *cursor, int max, int timeout_ms,
    feed_answer_fn answer, void *arg)
{
	struct subscriber *s = subscriber_new(f, r, cursor);

	s->answer = answer;
	s->arg = arg;
	s->max = max;
	s->until_ms = clock_mono_ms() + timeout_ms;
	f->polls++;
	presence_touch(tenant_presence(f->tenant), r->agent_id);
	return s;
}

static void
on_heartbeat(evutil_socket_t fd, short what, void *arg)
{
	struct feed *f = arg;
	struct buf b = { 0 };
	struct subscriber *s;

	(void)fd;
	(void)what;
	if (tenant_projection(f->tenant) == NULL)
		return;
	/* A session that runs out makes no event. */
	end_unentitled(&f->live, 0);
	end_unentitled(&f->behind, 0);
	chunk_cursor(&b, f, f->sent);
	struct chunk *c = chunk_new(&b);
	news_add(f, c);
	TAILQ_FOREACH (s, &f->live, link)
		if (s->stream != NULL && !s->reader.all)
			subscriber_queue(s, c);
	chunk_unref(c);
	buf_fini(&b);
}

struct feed_counts
feed_counts(const struct feed *f)
{
	struct feed_counts c = { .streams = f->streams, .polls = f->polls, .sent = f->written };
	const struct subscriber *s;

	TAILQ_FOREACH (s, &f->behind, link)
		c.catching_up++;
	return c;
}
