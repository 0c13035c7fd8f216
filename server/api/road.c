/*
 * The road from a request to whoever can answer it, and back. Must not know
 * what is asked.
 */
#include "api/road.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "api/show.h"
#include "base/conf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/work.h"
#include "node/node.h"
#include "node/tenant.h"

/* Something the worker thread does for a request. job and data are the thread's until it is done. */
struct thought {
	LIST_ENTRY(thought) link;
	struct api_call *call; /* NULL: the request has ended */
	void (*job)(void *);
	void (*then)(struct api_call *, void *);
	void *data;
	void (*data_free)(void *);
};
struct thoughts {
	LIST_HEAD(, thought) list;
};

static void on_gone(void *);
static void on_lane(void *, const struct lane_answer *);
static void on_row(void *, const PGresult *, const char *);
static void on_thought(void *);

enum http_verdict
road_wait(struct api_call *call, const char *wait, void (*forget)(void *), void *arg)
{
	call->forget = forget;
	call->forget_arg = arg;
	http_park(call->req, wait, api_conf(call->api)->wait_ms, on_gone, call);
	return HTTP_WAIT;
}

void
road_arrived(struct api_call *call)
{
	call->ticket = NULL;
	call->query = NULL;
	call->forget = NULL;
}

void
road_go_on(struct api_call *call)
{
	if (call->ticket == NULL && call->query == NULL && call->forget == NULL)
		http_resume(call->req);
}

void
road_forget(struct api_call *call)
{
	if (call->ticket != NULL)
		lane_forget(call->ticket);
	if (call->query != NULL)
		pool_forget(call->query);
	if (call->forget != NULL)
		call->forget(call->forget_arg);
	road_arrived(call);
}

static void
on_gone(void *arg)
{
	road_forget(arg);
}

const char *
role_name(enum api_role role)
{
	switch (role) {
	case API_AGENT:
		return "agent";
	case API_SUPERVISOR:
		return "supervisor";
	case API_ADMINISTRATOR:
		return "administrator";
	case API_OPERATOR:
		return "operator";
	case API_PUBLIC:
		break;
	}
	return "contact";
}

/* The same whatever the order of the members; "" without a body. */
static char *
body_text(const struct api_call *call)
{
	char *text = call->body != NULL ? json_dumps(call->body, JSON_COMPACT | JSON_SORT_KEYS)
					: xstrdup("");

	assert(text != NULL);
	return text;
}

/*
 * The same asker, key and request make the same command, which the log then
 * answers as it did the first time. Not the key alone: another request with it
 * would get that answer, too, and never be done. Strangers share no key: one
 * could otherwise read another's answer.
 */
static struct id
command_id(const struct api_call *call)
{
	const char *key = http_header(call->req, "Idempotency-Key");
	char who[65];

	if (key == NULL || call->role == API_PUBLIC)
		return id_new();
	if (call->agent_id == 0)
		strcpy(who, "operator");
	else
		hex_encode(call->token_hash, sizeof(call->token_hash), who);
	char *body = body_text(call);
	char *text = xasprintf("%d/%d/%s/%s\n%s %s\n%s", tenant_id(call->tenant), call->agent_id,
	    who, key, call->route->method, http_path(call->req), body);
	struct id id = id_of_text(text, strlen(text));
	free(text);
	free(body);
	return id;
}

json_t *
api_command(struct api_call *call, const char *kind)
{
	json_t *command = json_object();

	call->command_id = command_id(call);
	json_set_id(command, "id", call->command_id);
	json_object_set_new(command, "kind", json_string(kind));
	json_object_set_new(command, "role", json_string(role_name(call->role)));
	if (call->agent_id != 0)
		json_object_set_new(command, "by", json_integer(call->agent_id));
	return command;
}

/* 200 with the answer's body and the id of the event, from which to follow on. */
static void
answer_plain(struct api_call *call, const struct lane_answer *a)
{
	json_t *body = a->body != NULL ? json_deep_copy(a->body) : json_object();

	json_object_del(body, "session");
	json_object_set_new(body, "event", show_event(call, a->seq));
	api_answer(call, 200, body);
}

static void
on_lane(void *arg, const struct lane_answer *a)
{
	struct api_call *call = arg;

	road_arrived(call);
	if (a->err != NULL || (a->refusal != NULL && !call->refusals))
		api_refuse(call, a);
	else if (call->then != NULL)
		call->then(call, a);
	else
		answer_plain(call, a);
	road_go_on(call);
}

enum http_verdict
api_execute(struct api_call *call, json_t *command,
    void (*then)(struct api_call *, const struct lane_answer *))
{
	assert(call->ticket == NULL && call->tenant != NULL);
	call->ticket = lane_execute(tenant_lane(call->tenant), command, on_lane, call);
	if (call->ticket == NULL)
		return road_busy(call);
	call->then = then;
	call->refusals = false;
	return road_wait(call, "commit", NULL, NULL);
}

enum http_verdict
api_try(struct api_call *call, json_t *command,
    void (*then)(struct api_call *, const struct lane_answer *))
{
	enum http_verdict verdict = api_execute(call, command, then);

	call->refusals = true;
	return verdict;
}

static void
on_row(void *arg, const PGresult *res, const char *err)
{
	static const struct lane_answer down = { .err = lane_err_down };
	struct api_call *call = arg;

	road_arrived(call);
	if (err == pool_err_lost || err == pool_err_stopping)
		api_refuse(call, &down);
	else
		call->then_row(call, res, err);
	road_go_on(call);
}

enum http_verdict
api_query(struct api_call *call, enum statement statement, const char *const *params,
    const char *wait, void (*then_row)(struct api_call *, const PGresult *, const char *))
{
	assert(call->query == NULL);
	/* Told at once, not after the deadline. */
	if (!pool_ready(node_pool(api_node(call->api)))) {
		api_refuse(call, &(struct lane_answer){ .err = lane_err_down });
		return HTTP_DONE;
	}
	struct query *query =
	    pool_send(node_pool(api_node(call->api)), statement, params, on_row, call);
	if (query == NULL)
		return road_busy(call);
	call->query = query;
	call->then_row = then_row;
	return road_wait(call, wait, NULL, NULL);
}

enum http_verdict
api_ask(struct api_call *call, enum statement statement, const json_t *ask, const char *wait,
    void (*then_row)(struct api_call *, const PGresult *, const char *))
{
	char *tenant = xasprintf("%d", tenant_id(call->tenant)), *text = json_line(ask);
	char *now = xasprintf("%lld", (long long)node_now_ms(api_node(call->api)));
	enum http_verdict verdict =
	    api_query(call, statement, (const char *[]){ tenant, now, text }, wait, then_row);

	free(tenant);
	free(now);
	free(text);
	return verdict;
}

enum http_verdict
road_busy(struct api_call *call)
{
	api_refuse(call, &(struct lane_answer){ .err = lane_err_full });
	return HTTP_DONE;
}

void
road_failed(struct api_call *call, const char *err)
{
	log_error("request=failed method=%s route=%s sqlstate=%s", call->route->method,
	    call->route->path, err);
	api_refuse(call, &(struct lane_answer){ .err = lane_err_failed });
}

struct thoughts *
thoughts_new(void)
{
	struct thoughts *t = xmalloc(sizeof(*t));

	LIST_INIT(&t->list);
	return t;
}

static void
thought_free(struct thought *t)
{
	LIST_REMOVE(t, link);
	t->data_free(t->data);
	free(t);
}

void
thoughts_free(struct thoughts *all)
{
	while (!LIST_EMPTY(&all->list))
		thought_free(LIST_FIRST(&all->list));
	free(all);
}

static void
thought_run(void *arg)
{
	struct thought *t = arg;

	t->job(t->data);
}

static void
thought_orphan(void *arg)
{
	struct thought *t = arg;

	t->call = NULL;
}

static void
on_thought(void *arg)
{
	struct thought *t = arg;
	struct api_call *call = t->call;

	if (call != NULL) {
		road_arrived(call);
		t->then(call, t->data);
		road_go_on(call);
	}
	thought_free(t);
}

enum http_verdict
road_think(struct api_call *call, const char *wait, void (*job)(void *),
    void (*then)(struct api_call *, void *), void *data, void (*data_free)(void *))
{
	struct thought *t = xmalloc(sizeof(*t));

	*t = (struct thought){
		.call = call, .job = job, .then = then, .data = data, .data_free = data_free
	};
	LIST_INSERT_HEAD(&api_thoughts(call->api)->list, t, link);
	bool room = call->stranger ? work_run_last(api_work(call->api), thought_run, on_thought, t)
				   : work_run(api_work(call->api), thought_run, on_thought, t);
	if (!room) {
		thought_free(t);
		return road_busy(call);
	}
	return road_wait(call, wait, thought_orphan, t);
}
