/*
 * api: what HTTP means here: one table {method, path, role, handler}, who is
 * asking, and the road of a command from a request to the lane and back.
 */
#ifndef API_API_H
#define API_API_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/id.h"
#include "core/projection.h"
#include "db/lane.h"
#include "net/http.h"

struct api;
struct bucket_table;
struct conf;
struct lag;
struct node;
struct tenant;
struct work;

/* What a route needs at least; each includes those before it (but PUBLIC and CONTACT stand apart). */
enum api_role { API_PUBLIC, API_AGENT, API_SUPERVISOR, API_ADMINISTRATOR, API_OPERATOR };

/* One request as the handlers see it; lives until the request ends. */
struct api_call {
	struct api *api;
	struct http_request *req;
	struct tenant *tenant;		/* of the session, or named by ?tenant= on the operator's socket; NULL: public */
	enum api_role role;		/* of who asks */
	int agent_id;			/* 0: operator, or public */
	uint8_t token_hash[32];
	const char *args[4];		/* the {…} parts of the path, in order; borrowed */
	json_t *body;			/* a JSON body, parsed; NULL when there was none */
	struct ticket *ticket;		/* what is asked of the lane, to forget when the wait ends */
	struct query *query;		/* what is asked of the pool */
	void (*then)(struct api_call *, const struct lane_answer *);
	bool refusals;			/* then is told of them, too */
	void (*then_row)(struct api_call *, const PGresult *, const char *err);
	void *data;			/* the handler's own; freed by data_free at the end */
	void (*data_free)(void *);
	struct id command_id;
	bool unsure;			/* the token may be one that another node has just given: who.c looks */
	int looks;
	bool stranger;			/* what he makes the worker thread think comes after all others */
	enum http_verdict (*serve)(struct api_call *);
	/* The road's and the table's own (road.h). */
	const struct api_route *route;
	char *path;			/* what args point into */
	void (*forget)(void *);		/* stops what is waited for, when it is neither ticket nor query */
	void *forget_arg;
};

typedef enum http_verdict (*api_handler_fn)(struct api_call *);

enum api_body { API_BODY_NONE, API_BODY_JSON, API_BODY_FORM /* urlencoded, multipart or JSON: the handler parses */ };

struct api_route {
	const char *method;
	const char *path;		/* "/v1/offers/{id}/accept" */
	enum api_role role;
	enum api_body body;
	api_handler_fn handler;
};
/* Each file of handlers ends with its routes; a row with method NULL ends them. */
extern const struct api_route api_routes_intake[], api_routes_slot[], api_routes_open[], api_routes_dry_run[], api_routes_behalf[],
    api_routes_contact[], api_routes_session[], api_routes_agent[],
    api_routes_call[], api_routes_move[], api_routes_bulk[], api_routes_export[], api_routes_admin[], api_routes_explain[],
    api_routes_personal[], api_routes_suppression[], api_routes_company[], api_routes_rules[], api_routes_operator[],
    api_routes_events[], api_routes_secret[], api_routes_ops[];

struct api *api_new(struct node *, const struct conf *, struct work *, struct lag *);
void api_bind(struct api *, struct http *);
extern const struct http_handlers api_handlers;	/* arg: the api */
void api_reload(struct api *, const struct conf *);
/* After http_free() and work_free(): no request and no job is left that knows it. */
void api_free(struct api *);
struct node *api_node(struct api *);
struct http *api_http(struct api *);
const struct conf *api_conf(struct api *);
struct work *api_work(struct api *);
struct lag *api_lag(struct api *);		/* how late the loop is: base/lag.h */
struct bucket_table *api_buckets(struct api *);
/* A page template of www_dir, read at start; NULL when there is none of that name. */
const char *api_page(struct api *, const char *name);

/*
 * A command of this call's asker: {"kind":kind,"by":…,"role":…,"id":…} with an id of its own, or one made of the asker
 * and his Idempotency-Key header. The handler adds what it names, then api_execute().
 */
json_t *api_command(struct api_call *, const char *kind);
/*
 * Sends it and parks the request ("commit"); then is called with the answer when it was
 * accepted, and must answer; NULL: 200 with the answer's body, times as text, the event's id.
 * Refusals and a database that is down are answered here (api_refuse).
 */
enum http_verdict api_execute(struct api_call *, json_t *command, void (*then)(struct api_call *, const struct lane_answer *));
/* The same, but then is called with refusals, too: this command is one of several, and does not speak for all. */
enum http_verdict api_try(struct api_call *, json_t *command, void (*then)(struct api_call *, const struct lane_answer *));
/* A read outside the lane; then_row is called with one result or err (never NULL both), unless the database is down (503 answered here). */
enum http_verdict api_query(struct api_call *, enum statement, const char *const *params, const char *wait,
    void (*then_row)(struct api_call *, const PGresult *, const char *err));
/* The same of one that takes the tenant, the time in ms, and what is asked as JSON. */
enum http_verdict api_ask(struct api_call *, enum statement, const json_t *ask, const char *wait,
    void (*then_row)(struct api_call *, const PGresult *, const char *err));

/* 409/404/422/423/403 problem+json for a lane refusal, with the current state; 503 + Retry-After when the database is down. */
void api_refuse(struct api_call *, const struct lane_answer *);
enum http_verdict api_problem(struct api_call *, int status, const char *type, const char *detail);
/* {"errors":[{"field":…,"message":…}]} with 422; takes the array. */
enum http_verdict api_invalid(struct api_call *, json_t *errors);
/* 200 (or status) with times turned to text; takes the reference. */
enum http_verdict api_answer(struct api_call *, int status, json_t *);
/* {id} of the path as a UUID; answers 404 and returns false when it is not one. */
bool api_arg_id(struct api_call *, int n, struct id *);

/* The contact's signed link: "<43+ base64url>"; verify gives tenant and callback. */
char *api_link_token(struct tenant *, struct id callback);
bool api_link_verify(struct node *, const char *token, struct tenant **, struct id *callback);

#endif
