/*
 * stream: a taken-over connection that is written to for as long as both sides
 * wish; and the fair broadcast over many of them (64 a loop turn).
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>

struct stream;
struct http;

/* False: the client is too slow and the stream is being dropped; on_close will follow. */
bool stream_write(struct stream *, const void *, size_t);
/* One whole response on a connection taken by http_take_answer(), then close. */
void stream_answer(struct stream *, int status, const char *content_type, const void *, size_t);
/* Flush, close; on_close follows from the loop. */
void stream_finish(struct stream *, const char *why);
void *stream_arg(const struct stream *);
/* Bytes that the client has not taken yet: whoever has a backlog to send waits while this is high. */
size_t stream_queued(const struct stream *);

/*
 * A queue of streams that have something to be written: each is visited once,
 * 64 a loop turn, so that a form post never waits behind a broadcast. A stream
 * that closes leaves the queue by itself.
 */
struct stream_round;
typedef void (*stream_visit_fn)(struct stream *, void *arg);
struct event_base;
struct stream_round *stream_round_new(struct event_base *, stream_visit_fn, void *arg);
void stream_round_free(struct stream_round *);
/* Does nothing when the stream is already in it. */
void stream_round_add(struct stream_round *, struct stream *);

#endif
