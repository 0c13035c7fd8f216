/*
 * feed: subscribers and how they are fed. Those who are LIVE share one page of
 * new events; who comes with an older cursor is BEHIND and reads pages of his
 * own until he has caught up. Formatting is excerpt.c's, writing net/stream.c's.
 * It is long because a reader goes from one to the other at any step: both have every
 * list and buffer in common.
 */
#include "node/feed.h"

#include <sys/queue.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timer.h"
#include "db/pool.h"
#include "net/stream.h"
#include "node/node.h"
#include "node/excerpt.h"
#include "node/presence.h"
#include "node/tenant.h"

#define LIVE_PAGE 1000
#define BEHIND_PAGE 200
/* Who catches up waits while so much is unsent: a slow reader is paced, not dropped. */
#define BEHIND_QUEUED (16 * 1024)
#define BEHIND_WAIT_MS 20
#define RETRY_MS 1000
/* So many ask the database at once: a restart's thousand must not stand before its commands. */
#define BEHIND_AT_ONCE 8

/* A text shared by the streams it goes to. */
struct chunk {
	int refs;
	size_t len;
	char data[];
};

struct pending {
	STAILQ_ENTRY(pending) link;
	struct chunk *chunk;
};

enum subscriber_state { BEHIND, LIVE };

struct subscriber {
	TAILQ_ENTRY(subscriber) link;	   /* in feed->behind or feed->live */
	TAILQ_ENTRY(subscriber) by_reader; /* when live: in feed->all or by agent */
	struct feed *feed;
	enum subscriber_state state;
	struct feed_reader reader;
	uint64_t next;	      /* the next event to look at */
	bool reset;	      /* begin with a reset */
	bool ahead;	      /* of this node; the log does have what he has seen */
	struct event *timer;  /* behind: next step; poll: timeout when live */
	struct excerpt *page; /* behind: being made ready */
	struct query *query;  /* behind: reading what the ring forgot */
	bool asking;	      /* for either, the database */
	/* a stream */
	struct stream *stream;
	STAILQ_HEAD(, pending) pending;
	/* or a long poll */
	feed_answer_fn answer;
	void *arg;
	int max;
	int64_t until_ms; /* monotonic */
	struct buf events;
	int count;
};

TAILQ_HEAD(subscriber_list, subscriber);

struct feed {
	struct tenant *tenant;
	struct subscriber_list live, behind;
	struct subscriber_list all;	  /* live readers of everything */
	struct subscriber_list *by_agent; /* live readers of their own */
	int by_agent_n;
	int epoch;	      /* of the log that sent counts in */
	uint64_t sent;	      /* live subscribers have seen up to this */
	struct excerpt *page; /* the live page being made ready */
	uint64_t page_to;
	struct stream_round *round;
	struct event *heartbeat;
	size_t streams, polls, asking;
	uint64_t written;
};

static void on_step(evutil_socket_t, short, void *);
static void on_heartbeat(evutil_socket_t, short, void *);
static void on_visit(struct stream *, void *);
static void on_live_page(void *);
static void on_own_page(void *);
static void on_history(void *, const PGresult *, const char *);
static void on_ahead(void *, const PGresult *, const char *);

struct feed *
feed_new(struct tenant *t)
{
	struct feed *f = xcalloc(1, sizeof *f);
	struct event_base *base = node_base(tenant_node(t));
	int ms = node_conf(tenant_node(t))->heartbeat_ms;

	f->tenant = t;
	TAILQ_INIT(&f->live);
	TAILQ_INIT(&f->behind);
	TAILQ_INIT(&f->all);
	f->round = stream_round_new(base, on_visit, f);
	f->heartbeat = event_new(base, -1, EV_PERSIST, on_heartbeat, f);
	timer_in(f->heartbeat, ms);
	return f;
}

static void
chunk_unref(struct chunk *c)
{
	if (--c->refs == 0)
		free(c);
}

static struct chunk *
chunk_new(const struct buf *b)
{
	struct chunk *c = xmalloc(sizeof *c + b->len);

	c->refs = 1;
	c->len = b->len;
	memcpy(c->data, b->data, b->len);
	return c;
}

static void
set_asking(struct subscriber *s, bool asking)
{
	s->feed->asking += asking;
	s->feed->asking -= s->asking;
	s->asking = asking;
}

/* What he waits for is of no use any more. */
static void
ask_no_more(struct subscriber *s)
{
	excerpt_free(s->page);
	s->page = NULL;
	if (s->query != NULL)
		pool_forget(s->query);
	s->query = NULL;
	set_asking(s, false);
}

static void
subscriber_free(struct subscriber *s)
{
	struct pending *p;

	while ((p = STAILQ_FIRST(&s->pending)) != NULL) {
		STAILQ_REMOVE_HEAD(&s->pending, link);
		chunk_unref(p->chunk);
		free(p);
	}
	ask_no_more(s);
	event_free(s->timer);
	buf_fini(&s->events);
	free(s);
}

static struct subscriber_list *
readers_of(struct feed *f, int agent_id)
{
	if (agent_id >= f->by_agent_n) {
		int n = agent_id + 64;
		struct subscriber_list *lists = xreallocarray(NULL, (size_t)n, sizeof *lists);
		for (int i = 0; i < n; i++) {
			TAILQ_INIT(&lists[i]);
			if (i < f->by_agent_n)
				TAILQ_CONCAT(&lists[i], &f->by_agent[i], by_reader);
		}
		free(f->by_agent);
		f->by_agent = lists;
		f->by_agent_n = n;
	}
	return &f->by_agent[agent_id];
}

static void
to_live(struct subscriber *s)
{
	struct feed *f = s->feed;

	evtimer_del(s->timer);
	TAILQ_REMOVE(&f->behind, s, link);
	TAILQ_INSERT_TAIL(&f->live, s, link);
	s->state = LIVE;
	if (s->reader.all)
		TAILQ_INSERT_TAIL(&f->all, s, by_reader);
	else
		TAILQ_INSERT_TAIL(readers_of(f, s->reader.agent_id), s, by_reader);
	if (s->answer != NULL) {
		int64_t left = s->until_ms - clock_mono_ms();
		timer_in(s->timer, left > 0 ? left : 0);
	}
}

static void
unlist(struct subscriber *s)
{
	struct feed *f = s->feed;

	if (s->state == LIVE) {
		TAILQ_REMOVE(&f->live, s, link);
		if (s->reader.all)
			TAILQ_REMOVE(&f->all, s, by_reader);
		else
			TAILQ_REMOVE(readers_of(f, s->reader.agent_id), s, by_reader);
	} else
		TAILQ_REMOVE(&f->behind, s, link);
}

static void
to_behind(struct subscriber *s, uint64_t next)
{
	unlist(s);
	s->state = BEHIND;
	s->next = next;
	TAILQ_INSERT_TAIL(&s->feed->behind, s, link);
	timer_in(s->timer, 0);
}

void
feed_leave(struct subscriber *s)
{
	struct feed *f = s->feed;

	unlist(s);
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
	event_free(f->heartbeat);
	free(f->by_agent);
	free(f);
}

/* ---- writing ---- */

static void
queue_chunk(struct subscriber *s, struct chunk *c)
{
	struct pending *p = xmalloc(sizeof *p);

	p->chunk = c;
	c->refs++;
	STAILQ_INSERT_TAIL(&s->pending, p, link);
	stream_round_add(s->feed->round, s->stream);
}

static void
on_visit(struct stream *stream, void *arg)
{
	struct subscriber *s = *(struct subscriber **)stream_arg(stream);
	struct pending *p;
	bool taken = true;

	(void)arg;
	while (taken && (p = STAILQ_FIRST(&s->pending)) != NULL) {
		STAILQ_REMOVE_HEAD(&s->pending, link);
		taken = stream_write(stream, p->chunk->data, p->chunk->len);
		chunk_unref(p->chunk);
		free(p);
	}
}

static void
frame(struct buf *b, const struct tenant *t, const struct excerpt_event *e)
{
	struct tenant *tenant = (struct tenant *)t;

	buf_printf(b,
	    "id: %d.%" PRIu64 "\nevent: %s\ndata: ", projection_epoch(tenant_projection(tenant)),
	    e->seq, e->kind);
	buf_add(b, e->json, e->json_len);
	buf_puts(b, "\n\n");
}

static void
frame_cursor(struct buf *b, struct feed *f, uint64_t seq)
{
	buf_printf(
	    b, "id: %d.%" PRIu64 "\n\n", projection_epoch(tenant_projection(f->tenant)), seq);
}

static void
poll_add(struct subscriber *s, const struct excerpt_event *e)
{
	if (s->count++ > 0)
		buf_add(&s->events, ",", 1);
	buf_add(&s->events, e->json, e->json_len);
	s->next = e->seq + 1;
}

/* The answer goes out; the subscriber is gone after it. */
static void
poll_answer(struct subscriber *s)
{
	struct feed *f = s->feed;
	struct buf b = { 0 };
	feed_answer_fn answer = s->answer;
	void *arg = s->arg;

	buf_puts(&b, "{\"events\":[");
	if (s->events.len > 0)
		buf_add(&b, s->events.data, s->events.len);
	buf_printf(&b, "],\"next\":\"%d.%" PRIu64 "\"}",
	    projection_epoch(tenant_projection(f->tenant)), s->next - 1);
	unlist(s);
	f->polls--;
	subscriber_free(s);
	answer(arg, b.data, b.len);
	buf_fini(&b);
}

/* His session is open, and gives the right that it gave when he came. */
static bool
entitled(const struct subscriber *s)
{
	struct tenant *t = s->feed->tenant;
	struct session_view v;

	if (s->reader.agent_id == 0)
		return true; /* the operator has no session */
	if (!projection_session(tenant_projection(t), s->reader.token_hash, &v) ||
	    v.expires_at <= node_now_ms(tenant_node(t)))
		return false;
	return s->reader.all ==
	    (strcmp(v.role, "supervisor") == 0 || strcmp(v.role, "administrator") == 0);
}

/* He reads no further. A poll is gone after it, a stream leaves by its on_close. */
static void
end(struct subscriber *s)
{
	if (s->state == LIVE)
		s->next = s->feed->sent + 1;
	if (s->stream != NULL)
		stream_finish(s->stream, "signed out");
	else
		poll_answer(s);
}

/* Of one agent, or of all (0). */
static void
end_unentitled(struct subscriber_list *list, int agent_id)
{
	struct subscriber *s, *next;

	for (s = TAILQ_FIRST(list); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if ((agent_id == 0 || s->reader.agent_id == agent_id) && !entitled(s))
			end(s);
	}
}

static bool
concerns(const struct subscriber *s, int agent_id)
{
	return s->reader.all || (agent_id != 0 && agent_id == s->reader.agent_id);
}

/* ---- live: one page for all ---- */

static bool
anybody(struct feed *f, int agent_id)
{
	if (!TAILQ_EMPTY(&f->all))
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
		frame(&b, f->tenant, excerpt_get(f->page, i));
	struct chunk *c = chunk_new(&b);
	for (s = TAILQ_FIRST(&f->all); s != NULL; s = next) {
		next = TAILQ_NEXT(s, by_reader);
		if (s->stream != NULL) {
			queue_chunk(s, c);
			continue;
		}
		size_t i;
		for (i = 0; i < n && s->count < s->max; i++)
			poll_add(s, excerpt_get(f->page, i));
		if (i == n)
			s->next = f->page_to + 1;
		poll_answer(s);
	}
	chunk_unref(c);
	buf_fini(&b);
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
		frame(&b, f->tenant, e);
		struct chunk *c = chunk_new(&b);
		for (s = TAILQ_FIRST(&f->by_agent[e->agent_id]); s != NULL; s = next) {
			next = TAILQ_NEXT(s, by_reader);
			if (s->stream != NULL)
				queue_chunk(s, c);
			else {
				poll_add(s, e);
				poll_answer(s);
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
	if (excerpt_count(f->page) > 0 && !TAILQ_EMPTY(&f->all))
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
			to_live(s);
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
		to_behind(s, f->sent + 1);
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
		to_behind(s, f->sent + 1);
	TAILQ_FOREACH (s, &f->behind, link) {
		ask_no_more(s);
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

/* ---- behind: pages of one's own ---- */

static void
own_deliver(struct subscriber *s)
{
	struct feed *f = s->feed;
	struct buf b = { 0 };
	size_t n = excerpt_count(s->page), i;
	uint64_t end = s->next;

	for (i = 0; i < n && (s->stream != NULL || s->count < s->max); i++) {
		if (s->stream != NULL)
			frame(&b, f->tenant, excerpt_get(s->page, i));
		else
			poll_add(s, excerpt_get(s->page, i));
	}
	if (i == n)
		s->next = end;
	f->written += i;
	excerpt_free(s->page);
	s->page = NULL;
	if (b.len > 0) {
		struct chunk *c = chunk_new(&b);
		queue_chunk(s, c);
		chunk_unref(c);
	}
	buf_fini(&b);
	if (s->answer != NULL && s->count > 0)
		poll_answer(s);
	else
		timer_in(s->timer, 0);
}

static void
on_own_page(void *arg)
{
	struct subscriber *s = arg;

	set_asking(s, false);
	if (entitled(s))
		own_deliver(s);
	else
		end(s);
}

static void
own_run(struct subscriber *s, uint64_t next)
{
	s->next = next;
	if (excerpt_run(s->page, on_own_page, s))
		own_deliver(s);
	else
		set_asking(s, true);
}

static void
own_reset(struct subscriber *s)
{
	uint64_t head = s->feed->sent;

	s->reset = false;
	s->page = excerpt_new(s->feed->tenant);
	excerpt_add_reset(s->page, head);
	own_run(s, head + 1);
}

/* The database does not answer: a poll waits for it no longer than for an event. */
static void
retry(struct subscriber *s)
{
	if (s->answer != NULL && clock_mono_ms() >= s->until_ms)
		poll_answer(s);
	else
		timer_in(s->timer, RETRY_MS);
}

/* What the ring forgot, from the database. */
static void
on_history(void *arg, const PGresult *res, const char *err)
{
	struct subscriber *s = arg;

	s->query = NULL;
	set_asking(s, false);
	if (err != NULL) {
		retry(s);
		return;
	}
	uint64_t next = s->next;
	if (PQntuples(res) == 0 || strcmp(PQgetvalue(res, 0, 0), "event") != 0) {
		own_reset(s);
		return;
	}
	s->page = excerpt_new(s->feed->tenant);
	for (int i = 0; i < PQntuples(res) && next <= s->feed->sent; i++) {
		int agent_id = PQgetisnull(res, i, 5) ? 0 : atoi(PQgetvalue(res, i, 5));
		next = strtoull(PQgetvalue(res, i, 2), NULL, 10) + 1;
		if (concerns(s, agent_id))
			excerpt_add(s->page, next - 1, strtoll(PQgetvalue(res, i, 3), NULL, 10),
			    agent_id, PQgetvalue(res, i, 4), PQgetvalue(res, i, 6));
	}
	own_run(s, next);
}

static void
read_log(struct subscriber *s, uint64_t from, int max, pool_done_fn done)
{
	struct tenant *t = s->feed->tenant;
	char id[16], after[24], limit[16];

	snprintf(id, sizeof id, "%d", tenant_id(t));
	snprintf(after, sizeof after, "%" PRIu64, from - 1);
	snprintf(limit, sizeof limit, "%d", max);
	s->query = pool_send(node_pool(tenant_node(t)), STATEMENT_load_events,
	    (const char *[]){ id, after, limit }, done, s);
	if (s->query == NULL)
		retry(s);
	else
		set_asking(s, true);
}

static void
on_ahead(void *arg, const PGresult *res, const char *err)
{
	struct subscriber *s = arg;

	s->query = NULL;
	set_asking(s, false);
	if (err != NULL) {
		retry(s);
		return;
	}
	s->ahead = PQntuples(res) > 0 && strcmp(PQgetvalue(res, 0, 0), "event") == 0;
	s->reset = !s->ahead;
	timer_in(s->timer, 0);
}

/*
 * He has seen more than is fed here yet: by a node that was faster, or in the
 * answer to a request while a page was under way. Until the feed is as far he
 * waits; was it never in the log, he begins anew.
 */
static void
wait_ahead(struct subscriber *s)
{
	struct tenant *t = s->feed->tenant;
	bool known_here = s->next <= projection_seq(tenant_projection(t)) + 1;

	if (!known_here && !s->ahead) {
		read_log(s, s->next - 1, 1, on_ahead);
		return;
	}
	if (!known_here)
		tenant_look(t);
	timer_in(s->timer, BEHIND_WAIT_MS);
}

/* One step of somebody who is behind; also a waiting poll's timeout. */
static void
on_step(evutil_socket_t fd, short what, void *arg)
{
	struct subscriber *s = arg;
	struct feed *f = s->feed;
	struct ring *ring = tenant_ring(f->tenant);

	(void)fd;
	(void)what;
	if (s->state == LIVE || !entitled(s)) {
		end(s);
		return;
	}
	if (s->stream != NULL &&
	    (stream_queued(s->stream) > BEHIND_QUEUED || !STAILQ_EMPTY(&s->pending))) {
		timer_in(s->timer, BEHIND_WAIT_MS);
		return;
	}
	if (s->reset) {
		own_reset(s);
		return;
	}
	if (s->next == f->sent + 1) {
		if (s->ahead && s->answer != NULL)
			poll_answer(s); /* it is a request that waits, and that not for long */
		else if (f->page == NULL)
			to_live(s); /* else promote() will */
		return;
	}
	if (f->asking >= BEHIND_AT_ONCE) {
		timer_in(s->timer, BEHIND_WAIT_MS);
		return;
	}
	if (s->next > f->sent + 1) {
		wait_ahead(s);
		return;
	}
	if (ring_get(ring, s->next) == NULL) {
		read_log(s, s->next, BEHIND_PAGE, on_history);
		return;
	}
	uint64_t next = s->next;
	s->page = excerpt_new(f->tenant);
	for (const struct ring_event *e; next <= f->sent && excerpt_count(s->page) < BEHIND_PAGE &&
	     (e = ring_get(ring, next)) != NULL;
	     next++)
		if (concerns(s, e->agent_id))
			excerpt_add(s->page, e->seq, e->at_ms, e->agent_id, e->kind, e->body);
	own_run(s, next);
}

/* ---- coming and going ---- */

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
	s->timer = evtimer_new(node_base(tenant_node(f->tenant)), on_step, s);
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
		frame_cursor(&b, f, s->next - 1);
	else
		buf_puts(&b, "\n");
	struct chunk *c = chunk_new(&b);
	queue_chunk(s, c);
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
	frame_cursor(&b, f, f->sent);
	struct chunk *c = chunk_new(&b);
	TAILQ_FOREACH (s, &f->live, link)
		if (s->stream != NULL)
			queue_chunk(s, c);
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
