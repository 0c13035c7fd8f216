/*
 * http_impl: what http.c (the daemon), http_request.c (a request's course),
 * http_head.c (what its head says), http_answer.c and stream.c share.
 * For these files only.
 */
#ifndef NET_HTTP_IMPL_H
#define NET_HTTP_IMPL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <event2/event_struct.h>
#include <microhttpd.h>

#include "base/mem.h"
#include "net/address.h"
#include "net/bridge.h"
#include "net/http.h"
#include "net/stream.h"

struct event;

/* For a request's head and its answer's; libmicrohttpd clears all of it after each request. */
#define HTTP_POOL_BYTES 16384

enum http_state {
	HTTP_NEW,      /* the request line is known */
	HTTP_BODY,     /* on_head was asked, the body comes (or there is none) */
	HTTP_HANDLING, /* in on_request */
	HTTP_PARKED,   /* in http->parked, with a deadline */
	HTTP_RESUMED,  /* in http->resumed, until the next run */
	HTTP_RETURNED, /* libmicrohttpd will call for the answer */
	HTTP_ENDING    /* the answer is libmicrohttpd's, or a stream has the connection */
};

struct http_field {
	char *name, *value;
};

/* One of libmicrohttpd's connections. */
struct http_connection {
	struct bridge *bridge;
	struct http_request *request; /* has begun and not ended */
};

/* The answer as the handler gave it; status 0: none yet. */
struct http_reply {
	int status;
	char *type;
	char *body;
	size_t len;
	struct http_field *fields;
	size_t fields_count;
};

struct http_request {
	TAILQ_ENTRY(http_request) link; /* in parked or resumed */
	struct http *http;
	struct MHD_Connection *mhd;
	struct http_connection *connection;
	struct bridge *bridge;
	enum http_state state;
	const char *method, *path;
	const char *uri; /* as sent: where it lies, and its length */
	size_t uri_len;
	bool bad_uri; /* a NUL in it, or not UTF-8 */
	bool is_head;
	bool is_1_0; /* HTTP/1.0: knows no chunks */
	bool has_body, chunked, expects_100;
	uint64_t content_length;
	bool known; /* on_head was called, so on_end will be */
	bool taken; /* a stream has the connection */
	bool last;  /* the connection ends with this answer */
	int64_t limit;
	struct buf body;
	char *forwarded_peer; /* from X-Forwarded-For; NULL: the bridge's */
	void *user;
	struct http_reply reply;
	const char *wait;
	int64_t parked_ms;
	struct event *deadline;
	void (*on_gone)(void *);
	void *gone_arg;
};

TAILQ_HEAD(http_request_list, http_request);
TAILQ_HEAD(stream_list, stream);

struct http {
	struct event_base *base;
	const struct conf *conf;
	struct address_set *trusted;
	struct front *front;
	struct MHD_Daemon *daemon;
	struct http_handlers handlers;
	void *arg;
	struct event *epoll, *kick;   /* kick: active or a timer, both run libmicrohttpd */
	struct bridge *opening;	      /* while MHD_add_connection() runs */
	struct http_request *parsing; /* while a request line is taken apart */
	struct http_request_list parked, resumed;
	struct stream_list streams;
	struct http_counts counts;
	bool stopping;
	bool freeing; /* nothing new is handled any more */
	struct event *stop_check;
	int64_t stop_by_ms;
	void (*stop_done)(void *);
	void *stop_arg;
};

/* http.c: libmicrohttpd is run soon. */
void http_kick(struct http *);

/* http_request.c: libmicrohttpd's callbacks, and the end of waits when the server stops. */
void *http_on_uri(void *http, const char *uri, struct MHD_Connection *);
size_t http_on_unescape(void *http, struct MHD_Connection *, char *);
enum MHD_Result http_on_access(void *http, struct MHD_Connection *, const char *url,
    const char *method, const char *version, const char *data, size_t *len, void **request);
void http_on_completed(
    void *http, struct MHD_Connection *, void **request, enum MHD_RequestTerminationCode);
/* Tells the handler, and frees it. */
void http_request_end(struct http_request *);
void http_end_waits(struct http *);
void http_hand_over_resumed(struct http *);

/* http_head.c: fills what the head says; a sentence when it must be refused (static), else NULL. */
const char *http_head_read(
    struct http_request *, const char *url, const char *method, const char *version);

/* http_answer.c: gives the answer to libmicrohttpd; false when it does not take it. */
bool http_answer_queue(struct http_request *);
/* Writes the answer past libmicrohttpd and closes: it cannot answer in the middle of a body. */
void http_answer_raw(struct http_request *);
/* Our own header lines and the handler's, each with CRLF; Connection: close among them. */
void http_answer_lines(const struct http_request *, struct buf *);
/* A whole response's head; len < 0: until the end of the connection. */
void http_answer_head(struct buf *, int status, const char *type, int64_t len, const char *lines);
void http_answer_count(struct http *, int status);
void http_answer_clear(struct http_request *);

/* stream.c */
void stream_stop_all(struct http *);

#endif
