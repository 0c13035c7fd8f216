/*
 * http: a request's life over libmicrohttpd: its limits, its body, its wait and
 * its answer. Knows nothing of callbacks.
 *
 * A handler returns HTTP_DONE (it answered) or HTTP_WAIT (it called
 * http_park(), and one http_resume() or the deadline continues it). Whoever
 * parks is told by on_gone if the wait ends without him.
 */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "net/front.h"

struct http;
struct http_request;

enum http_verdict { HTTP_DONE, HTTP_WAIT };

struct http_handlers {
	/*
	 * The head is known, the body not read. Returns the most body bytes this
	 * request may have (over it: 413), or -1 when it has already answered
	 * (404, 405, 415, 401 ...).
	 */
	int64_t (*on_head)(struct http_request *, void *arg);
	/* The whole request is here. */
	enum http_verdict (*on_request)(struct http_request *, void *arg);
	/* The answer is out, or the client went away: req->user is the owner's to free. May be NULL. */
	void (*on_end)(struct http_request *, void *arg);
};

struct http *http_new(struct event_base *, const struct conf *, const struct http_handlers *, void *arg, char **why);
bool http_reload(struct http *, const struct conf *, char **why);
/*
 * Clean stop: closes the doors, lets answered requests flush, ends streams
 * ("server stopping"), calls done from the loop at the latest after grace_ms.
 */
void http_stop(struct http *, int grace_ms, void (*done)(void *), void *arg);
void http_free(struct http *);
struct front *http_front(struct http *);

/* The request; texts are borrowed and live until on_end. */
const char *http_method(const struct http_request *);
/* An answer whose length is not known beforehand may be sent in chunks: not to HTTP/1.0. */
bool http_takes_chunks(const struct http_request *);
const char *http_path(const struct http_request *);		/* percent-decoded, no query */
const char *http_query(const struct http_request *, const char *key);	/* NULL when absent */
const char *http_header(const struct http_request *, const char *name);
const char *http_cookie(const struct http_request *, const char *name);
const void *http_body(const struct http_request *, size_t *len);
/* The client's address, after X-Forwarded-For from a trusted proxy. "unix" on the operator's socket. */
const char *http_peer(const struct http_request *);
enum front_door http_door(const struct http_request *);
void **http_user(struct http_request *);	/* the owner's own pointer */

/* The answer: headers first, then exactly one of these. */
void http_answer_header(struct http_request *, const char *name, const char *value);
void http_answer(struct http_request *, int status, const char *content_type, const void *, size_t);
/* Takes the reference. */
void http_answer_json(struct http_request *, int status, json_t *);
/*
 * RFC 9457. type is the last part of the problem's URI ("offer-not-pending");
 * more (may be NULL, reference taken) is an object whose members are added
 * ("errors", "state" ...). 429 and 503 get Retry-After when retry_after_s > 0.
 */
void http_problem(struct http_request *, int status, const char *type, const char *detail, json_t *more, int retry_after_s);
/* Of the answer that was given; 0: none yet. Still known in on_end. */
int http_status(const struct http_request *);

/*
 * Waiting. wait is a static name shown by `show waits`. At the deadline, or when
 * the server stops, on_gone(arg) is called and the request is answered 503 by http.
 */
void http_park(struct http_request *, const char *wait, int deadline_ms, void (*on_gone)(void *arg), void *arg);
/* The handler answers right after (before or after calling this, in the same turn); the libmicrohttpd run is batched. */
void http_resume(struct http_request *);
/* [{"wait":"commit","for_ms":12,"path":"/v1/..."}] */
json_t *http_waits(struct http *);

/*
 * Take-over (from on_request; return HTTP_DONE after). The head of the answer
 * is written at once, with Connection: close; headers added by
 * http_answer_header() are included. The request ends; the stream lives on.
 */
struct stream;
struct stream *http_take_stream(struct http_request *, int status, const char *content_type,
    void (*on_close)(void *arg, const char *why), void *arg);
/* Like it, but writes nothing yet: stream_answer() will write one whole response (a long poll that has to wait). */
struct stream *http_take_answer(struct http_request *, void (*on_close)(void *arg, const char *why), void *arg);

struct http_counts {
	uint64_t requests, status[6];		/* by hundreds: status[2] = 2xx */
	uint64_t waiting, parked_out;		/* now; answered 503 by the deadline */
};
struct http_counts http_counts(const struct http *);

#endif
