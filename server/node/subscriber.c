/*
 * subscriber: one reader: the lists he stands in, what is written to him or
 * answers his poll, and whether his session still entitles him to it. Does not
 * know where the events come from.
 */
#include "node/feed_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/timer.h"
#include "node/node.h"
#include "node/tenant.h"

void
chunk_unref(struct chunk *c)
{
	if (--c->refs == 0)
		free(c);
}

struct chunk *
chunk_new(const struct buf *b)
{
	struct chunk *c = xmalloc(sizeof *c + b->len);

	c->refs = 1;
	c->len = b->len;
	memcpy(c->data, b->data, b->len);
	return c;
}

void
subscriber_set_asking(struct subscriber *s, bool asking)
{
	s->feed->asking += asking;
	s->feed->asking -= s->asking;
	s->asking = asking;
}

/* What he waits for is of no use any more. */
void
subscriber_ask_no_more(struct subscriber *s)
{
	excerpt_free(s->page);
	s->page = NULL;
	if (s->query != NULL)
		pool_forget(s->query);
	s->query = NULL;
	subscriber_set_asking(s, false);
}

void
subscriber_free(struct subscriber *s)
{
	struct pending *p;

	while ((p = STAILQ_FIRST(&s->pending)) != NULL) {
		STAILQ_REMOVE_HEAD(&s->pending, link);
		chunk_unref(p->chunk);
		free(p);
	}
	subscriber_ask_no_more(s);
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

void
subscriber_to_live(struct subscriber *s)
{
	struct feed *f = s->feed;

	evtimer_del(s->timer);
	TAILQ_REMOVE(&f->behind, s, link);
	TAILQ_INSERT_TAIL(&f->live, s, link);
	s->state = LIVE;
	if (s->reader.all && s->stream != NULL)
		news_join(s);
	else if (s->reader.all)
		TAILQ_INSERT_TAIL(&f->all_polls, s, by_reader);
	else
		TAILQ_INSERT_TAIL(readers_of(f, s->reader.agent_id), s, by_reader);
	if (s->answer != NULL) {
		int64_t left = s->until_ms - clock_mono_ms();
		timer_in(s->timer, left > 0 ? left : 0);
	}
}

void
subscriber_unlist(struct subscriber *s)
{
	struct feed *f = s->feed;

	if (s->state == LIVE) {
		TAILQ_REMOVE(&f->live, s, link);
		if (s->reader.all && s->stream != NULL)
			news_leave(s);
		else if (s->reader.all)
			TAILQ_REMOVE(&f->all_polls, s, by_reader);
		else
			TAILQ_REMOVE(readers_of(f, s->reader.agent_id), s, by_reader);
	} else
		TAILQ_REMOVE(&f->behind, s, link);
}

static void
put_down(struct subscriber *s, struct chunk *c)
{
	struct pending *p = xmalloc(sizeof *p);

	p->chunk = c;
	c->refs++;
	STAILQ_INSERT_TAIL(&s->pending, p, link);
	stream_round_add(s->feed->round, s->stream);
}

/* The news that he has not heard, before whatever comes next to him alone. */
static void
put_down_news(struct subscriber *s)
{
	struct chunk *c;

	while (s->state == LIVE && s->reader.all && s->stream != NULL && (c = news_next(s)) != NULL)
		put_down(s, c);
}

void
subscriber_to_behind(struct subscriber *s, uint64_t next)
{
	put_down_news(s);
	subscriber_unlist(s);
	s->state = BEHIND;
	s->next = next;
	TAILQ_INSERT_TAIL(&s->feed->behind, s, link);
	timer_in(s->timer, 0);
}

void
subscriber_queue(struct subscriber *s, struct chunk *c)
{
	put_down_news(s);
	put_down(s, c);
}

static bool
write_pending(struct subscriber *s)
{
	struct pending *p;
	bool taken = true;

	while (taken && (p = STAILQ_FIRST(&s->pending)) != NULL) {
		STAILQ_REMOVE_HEAD(&s->pending, link);
		taken = stream_write(s->stream, p->chunk->data, p->chunk->len);
		chunk_unref(p->chunk);
		free(p);
	}
	return taken;
}

void
subscriber_write(struct subscriber *s)
{
	struct chunk *c;
	bool taken = write_pending(s);

	while (taken && (c = news_next(s)) != NULL)
		taken = stream_write(s->stream, c->data, c->len);
}

void
on_subscriber_visit(struct stream *stream, void *arg)
{
	(void)arg;
	write_pending(*(struct subscriber **)stream_arg(stream));
}

void
chunk_frame(struct buf *b, const struct tenant *t, const struct excerpt_event *e)
{
	struct tenant *tenant = (struct tenant *)t;

	buf_printf(b,
	    "id: %d.%" PRIu64 "\nevent: %s\ndata: ", projection_epoch(tenant_projection(tenant)),
	    e->seq, e->kind);
	buf_add(b, e->json, e->json_len);
	buf_puts(b, "\n\n");
}

void
chunk_cursor(struct buf *b, struct feed *f, uint64_t seq)
{
	buf_printf(
	    b, "id: %d.%" PRIu64 "\n\n", projection_epoch(tenant_projection(f->tenant)), seq);
}

void
subscriber_poll_add(struct subscriber *s, const struct excerpt_event *e)
{
	if (s->count++ > 0)
		buf_add(&s->events, ",", 1);
	buf_add(&s->events, e->json, e->json_len);
	s->next = e->seq + 1;
}

/* The answer goes out; the subscriber is gone after it. */
void
subscriber_answer(struct subscriber *s)
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
	subscriber_unlist(s);
	f->polls--;
	subscriber_free(s);
	answer(arg, b.data, b.len);
	buf_fini(&b);
}

/* His session is open, and gives the right that it gave when he came. */
bool
subscriber_entitled(const struct subscriber *s)
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
void
subscriber_end(struct subscriber *s)
{
	if (s->state == LIVE)
		s->next = s->feed->sent + 1;
	if (s->stream != NULL)
		stream_finish(s->stream, "signed out");
	else
		subscriber_answer(s);
}

bool
subscriber_concerns(const struct subscriber *s, int agent_id)
{
	return s->reader.all || (agent_id != 0 && agent_id == s->reader.agent_id);
}
