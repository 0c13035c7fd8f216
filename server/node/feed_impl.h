/* feed_impl: a feed and its readers, for feed.c, news.c, subscriber.c and behind.c alone. */
#ifndef NODE_FEED_IMPL_H
#define NODE_FEED_IMPL_H

#include <sys/queue.h>

#include <event2/event.h>

#include "base/mem.h"
#include "db/pool.h"
#include "net/stream.h"
#include "node/excerpt.h"
#include "node/feed.h"

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
	TAILQ_ENTRY(subscriber) by_reader; /* when live: in feed->all, all_polls or by agent */
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
	uint64_t heard; /* of feed->news, when in feed->all */
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
	struct subscriber_list all;	  /* live streams of everything */
	struct subscriber_list all_polls; /* live polls of everything */
	struct subscriber_list *by_agent; /* live readers of their own */
	int by_agent_n;
	int epoch;	      /* of the log that sent counts in */
	uint64_t sent;	      /* live subscribers have seen up to this */
	struct excerpt *page; /* the live page being made ready */
	uint64_t page_to;
	struct stream_round *round;
	STAILQ_HEAD(, pending) news; /* what some of all are still to be told */
	uint64_t oldest, newest;     /* numbers of the first and the last of it */
	struct subscriber *told;     /* whose turn it is; NULL: everybody was told up to told_to */
	uint64_t told_to;
	struct event *tell;
	struct event *heartbeat;
	size_t streams, polls, asking;
	uint64_t written;
};

/* A new one has one reference, the maker's. */
struct chunk *chunk_new(const struct buf *);
void chunk_unref(struct chunk *);
/* An event, or only a cursor that moves, as Server-Sent Events. */
void chunk_frame(struct buf *, const struct tenant *, const struct excerpt_event *);
void chunk_cursor(struct buf *, struct feed *, uint64_t seq);

/* What all streams of everything are told; with none of them, nobody. */
void news_start(struct feed *);
void news_stop(struct feed *);
void news_add(struct feed *, struct chunk *);
void news_join(struct subscriber *);
void news_leave(struct subscriber *);
/* What he is to be told next, which he has heard by that; NULL: nothing. It is the feed's. */
struct chunk *news_next(struct subscriber *);

void subscriber_free(struct subscriber *); /* off every list already */
void subscriber_to_live(struct subscriber *);
void subscriber_to_behind(struct subscriber *, uint64_t next);
void subscriber_unlist(struct subscriber *);
/* He waits for the database, or not any more. */
void subscriber_set_asking(struct subscriber *, bool);
void subscriber_ask_no_more(struct subscriber *);
/* Streams: written when the round comes to him. */
void subscriber_queue(struct subscriber *, struct chunk *);
void on_subscriber_visit(struct stream *, void *);
/* All that is there for a stream, now. */
void subscriber_write(struct subscriber *);
/* Polls: one more event; the answer, after which he is gone. */
void subscriber_poll_add(struct subscriber *, const struct excerpt_event *);
void subscriber_answer(struct subscriber *);
bool subscriber_concerns(const struct subscriber *, int agent_id);
bool subscriber_entitled(const struct subscriber *);
void subscriber_end(struct subscriber *);

/* One step of somebody who is behind; also a waiting poll's timeout. */
void on_behind_step(evutil_socket_t, short, void *);

#endif
