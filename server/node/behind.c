/*
 * behind: readers who come with an older cursor: each reads pages of his own,
 * out of the ring, or of the database where the ring forgot, until he has caught
 * up with those who are live. One step at a time, from his timer.
 */
#include "node/feed_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/timer.h"
#include "node/node.h"
#include "node/tenant.h"

#define PAGE 200
/* Who catches up waits while so much is unsent: a slow reader is paced, not dropped. */
#define QUEUED_MAX (16 * 1024)
#define WAIT_MS 20
#define RETRY_MS 1000
/* So many ask the database at once: a restart's thousand must not stand before its commands. */
#define AT_ONCE 8

static void on_own_page(void *);
static void on_history(void *, const PGresult *, const char *);
static void on_ahead(void *, const PGresult *, const char *);

static void
own_deliver(struct subscriber *s)
{
	struct feed *f = s->feed;
	struct buf b = { 0 };
	size_t n = excerpt_count(s->page), i;
	uint64_t end = s->next;

	for (i = 0; i < n && (s->stream != NULL || s->count < s->max); i++) {
		if (s->stream != NULL)
			chunk_frame(&b, f->tenant, excerpt_get(s->page, i));
		else
			subscriber_poll_add(s, excerpt_get(s->page, i));
	}
	if (i == n)
		s->next = end;
	f->written += i;
	excerpt_free(s->page);
	s->page = NULL;
	if (b.len > 0) {
		struct chunk *c = chunk_new(&b);
		subscriber_queue(s, c);
		chunk_unref(c);
	}
	buf_fini(&b);
	if (s->answer != NULL && s->count > 0)
		subscriber_answer(s);
	else
		timer_in(s->timer, 0);
}

static void
on_own_page(void *arg)
{
	struct subscriber *s = arg;

	subscriber_set_asking(s, false);
	if (subscriber_entitled(s))
		own_deliver(s);
	else
		subscriber_end(s);
}

static void
own_run(struct subscriber *s, uint64_t next)
{
	s->next = next;
	if (excerpt_run(s->page, on_own_page, s))
		own_deliver(s);
	else
		subscriber_set_asking(s, true);
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
		subscriber_answer(s);
	else
		timer_in(s->timer, RETRY_MS);
}

/* What the ring forgot, from the database. */
static void
on_history(void *arg, const PGresult *res, const char *err)
{
	struct subscriber *s = arg;

	s->query = NULL;
	subscriber_set_asking(s, false);
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
		if (subscriber_concerns(s, agent_id))
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
		subscriber_set_asking(s, true);
}

static void
on_ahead(void *arg, const PGresult *res, const char *err)
{
	struct subscriber *s = arg;

	s->query = NULL;
	subscriber_set_asking(s, false);
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
	timer_in(s->timer, WAIT_MS);
}

/* One step of somebody who is behind; also a waiting poll's timeout. */
void
on_behind_step(evutil_socket_t fd, short what, void *arg)
{
	struct subscriber *s = arg;
	struct feed *f = s->feed;
	struct ring *ring = tenant_ring(f->tenant);

	(void)fd;
	(void)what;
	if (s->state == LIVE || !subscriber_entitled(s)) {
		subscriber_end(s);
		return;
	}
	if (s->stream != NULL &&
	    (stream_queued(s->stream) > QUEUED_MAX || !STAILQ_EMPTY(&s->pending))) {
		timer_in(s->timer, WAIT_MS);
		return;
	}
	if (s->reset) {
		own_reset(s);
		return;
	}
	if (s->next == f->sent + 1) {
		if (s->ahead && s->answer != NULL)
			subscriber_answer(
			    s); /* it is a request that waits, and that not for long */
		else if (f->page == NULL)
			subscriber_to_live(s); /* else promote() will */
		return;
	}
	if (f->asking >= AT_ONCE) {
		timer_in(s->timer, WAIT_MS);
		return;
	}
	if (s->next > f->sent + 1) {
		wait_ahead(s);
		return;
	}
	if (ring_get(ring, s->next) == NULL) {
		read_log(s, s->next, PAGE, on_history);
		return;
	}
	uint64_t next = s->next;
	s->page = excerpt_new(f->tenant);
	for (const struct ring_event *e;
	     next <= f->sent && excerpt_count(s->page) < PAGE && (e = ring_get(ring, next)) != NULL;
	     next++)
		if (subscriber_concerns(s, e->agent_id))
			excerpt_add(s->page, e->seq, e->at_ms, e->agent_id, e->kind, e->body);
	own_run(s, next);
}
