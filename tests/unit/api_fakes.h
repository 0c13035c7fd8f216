/*
 * api_fakes: what is below server/api, as far as its tests need it: requests
 * without a network, a lane and a pool that a test answers by hand, a worker
 * that works when told to, and a node with tenants of a few fixed facts.
 */
#ifndef TEST_API_FAKES_H
#define TEST_API_FAKES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <libpq-fe.h>

#include "api/api.h"
#include "base/clock.h"
#include "base/conf.h"

struct event_base;

#define FAKE_NOW_MS 1795417200000	/* 2026-11-23T07:00:00Z */
#define FAKE_TOKEN_AGENT "1.agent"	/* ann, agent 7 of tenant demo */
#define FAKE_TOKEN_AGENT_SECOND "1.agent2"	/* ann's other session */
#define FAKE_TOKEN_SUPERVISOR "1.supervisor"	/* sue, 8 */
#define FAKE_TOKEN_ADMINISTRATOR "1.administrator"	/* ada, 9 */

struct http_request {
	const char *method, *path, *peer, *body;
	const char *headers[16], *query[16], *cookie;	/* name, value, ...; NULL */
	enum front_door door;
	void *user;
	/* what came of it */
	int status;			/* 0: not answered */
	char *type, *text;		/* the answer's */
	json_t *json;			/* parsed, or NULL */
	json_t *answer_headers;
	int64_t limit;			/* on_head's */
	const char *wait;		/* parked for */
	bool parked;
	int resumed;
	void (*on_gone)(void *);
	void *gone_arg;
	bool taken, taken_head;		/* as a stream or a poll; its head written */
	void (*on_close)(void *, const char *);
	void *close_arg;
};

struct fake {
	struct conf conf;
	struct clock clock;
	struct event_base *base;
	struct api *api;
	bool not_ready, is_test;
	int tenants;			/* demo, then other */
	bool live;
	json_t *state;			/* of the agent: projection_agent_state() */
	/* the lane */
	bool lane_full;
	json_t *command;		/* the last one, or NULL */
	bool lane_waits;		/* and it was not forgotten */
	/* the pool */
	bool pool_down;
	enum statement statement;
	char *params[4];
	bool pool_waits;
	/* the worker */
	bool work_full, work_last_full, work_waits;
	/* presence and feed */
	int touched;
	bool feed_waits, subscribed;
	char cursor[32];
	int feed_timeout_ms;
	int looked, clock_moved;	/* node_look(), node_clock_moved() */
	uint64_t ring_own;		/* the event of the ring that concerns agent 7; 0: none */
};
extern struct fake fake;

void fakes_start(void);
void fakes_stop(void);

/* A request over TLS from 192.0.2.1 without headers; fake_end() must follow. */
struct http_request *fake_request(const char *method, const char *path);
void fake_header(struct http_request *, const char *name, const char *value);
void fake_query(struct http_request *, const char *name, const char *value);
/* Body of application/json. */
void fake_json(struct http_request *, const char *body);
void fake_bearer(struct http_request *, const char *token);
/* All of it: a bearer's request, or with token NULL the operator's; body NULL: none. */
struct http_request *fake_asked(const char *method, const char *path, const char *token, const char *body);
/* Every member of the expected JSON text is in the value, deeply. */
void fake_assert_has(const json_t *, const char *expected);
/* Head and request as http does; what is parked stays so. */
void fake_ask(struct http_request *);
/* The end of it, and it is freed, with a check that nothing is left waiting. */
void fake_end(struct http_request *);
const char *fake_answer_header(const struct http_request *, const char *name);

/* The lane answers: accepted with a body (JSON text), refused, or not at all. */
void fake_accept(const char *body, uint64_t seq);
void fake_refuse(const char *refusal, const char *body);
void fake_lane_err(const char *err);
/* The pool answers: a result of rows of texts (NULL is NULL), or an error. */
void fake_rows(int columns, int rows, const char *const *values);
void fake_query_err(const char *err);
/* The worker does its job and says so. */
void fake_work(void);
/* The feed answers the poll. */
void fake_feed(const char *json);

#endif
