/*
 * feed: who gets which events. A subscriber follows a tenant's log from a
 * cursor: out of the ring, out of the database when the ring forgot, then live;
 * each event once, in order, formatted once, personal data joined by one query a
 * page. An agent sees what concerns him, a supervisor the tenant. Writes to
 * streams; knows no requests.
 */
#ifndef NODE_FEED_H
#define NODE_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct feed;
struct stream;
struct subscriber;
struct tenant;

struct feed *feed_new(struct tenant *);
void feed_free(struct feed *);
/* New events are in the ring (or the projection was loaded anew at head). */
void feed_events(struct feed *);

struct feed_reader {
	int agent_id;
	bool all;			/* supervisor and above: the whole tenant */
	uint8_t token_hash[32];		/* the session that reads: with it, or with this right, the stream ends */
};

/*
 * A stream of Server-Sent Events from after `cursor` ("epoch.seq", NULL: from
 * now on; one that cannot be served begins with a `reset` event). The stream was
 * taken over with the head written; its arg points to a struct subscriber *, which
 * the caller sets to the result; its on_close must call feed_leave().
 */
struct subscriber *feed_subscribe(struct feed *, struct stream *, const struct feed_reader *, const char *cursor);
void feed_leave(struct subscriber *);

/*
 * A long poll. answer is called exactly once, from the loop, with one JSON text
 * {"events":[…],"next":"epoch.seq"} (at most max events; empty at the timeout;
 * events may begin with {"kind":"reset"}). feed_leave() before that cancels.
 */
typedef void (*feed_answer_fn)(void *arg, const char *json, size_t len);
struct subscriber *feed_poll(struct feed *, const struct feed_reader *, const char *cursor, int max, int timeout_ms,
    feed_answer_fn, void *arg);

struct feed_counts { size_t streams, polls, catching_up; uint64_t sent; };
struct feed_counts feed_counts(const struct feed *);

#endif
