/*
 * The company document: shown, planned and applied. Passwords are hashed here,
 * off the loop, before anything is planned; one that is the agent's already is
 * left out, so that applying the same document again changes nothing. Must not
 * know what else a document may hold: the database checks it.
 *
 * The way of a PUT: check -> (tenant) -> credential -> compare and hash -> ...
 * next agent ... -> plan -> commit. The check is a plan without the passwords:
 * a wrong document must neither make a company nor cost a hash for each agent.
 */
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "api/api.h"
#include "api/road.h"
#include "api/show.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/password.h"
#include "base/timer.h"
#include "node/node.h"
#include "node/tenant.h"

#define TENANT_LOOK_MS 20
#define PASSWORD_MAX_BYTES 1024

/* A PUT on its way; the call's data. */
struct apply {
	struct api_call *call;
	json_t *document;
	const char *name; /* of the tenant; in the document */
	bool dry_run;
	size_t agent;	     /* the next whose password is looked at */
	json_t *changes;     /* as planned */
	struct event *timer; /* looks whether a new tenant is loaded */
};

/* What the worker thread does for one agent. */
struct hashing {
	char *password, *stored; /* stored: NULL when he has none yet */
	char *hash;		 /* NULL: the stored one is that password's */
};

static void on_show(struct api_call *, const PGresult *, const char *);
static void on_checked(struct api_call *, const PGresult *, const char *);
static void on_created(struct api_call *, const PGresult *, const char *);
static void on_look(evutil_socket_t, short, void *);
static void on_credential(struct api_call *, const PGresult *, const char *);
static void on_hashed(struct api_call *, void *);
static void on_plan(struct api_call *, const PGresult *, const char *);
static void on_applied(struct api_call *, const struct lane_answer *);

static void
apply_free(void *arg)
{
	struct apply *a = arg;

	if (a->timer != NULL)
		event_free(a->timer);
	json_decref(a->document);
	json_decref(a->changes);
	free(a);
}

static void
hashing_free(void *arg)
{
	struct hashing *h = arg;

	explicit_bzero(h->password, strlen(h->password));
	free(h->password);
	free(h->stored);
	free(h->hash);
	free(h);
}

/* On the worker's thread. */
static void
hash(void *arg)
{
	struct hashing *h = arg;

	if (h->stored == NULL || !password_check(h->password, h->stored))
		h->hash = password_hash(h->password);
}

static enum http_verdict
company_get(struct api_call *call)
{
	if (call->tenant == NULL)
		return api_problem(call, 404, "no-tenant",
		    "There is no such tenant, or several: name one with ?tenant=.");
	return api_query(call, STATEMENT_company_show,
	    (const char *[]){ tenant_name(call->tenant) }, "company", on_show);
}

static void
on_show(struct api_call *call, const PGresult *res, const char *err)
{
	json_t *document = NULL;

	if (err != NULL) {
		road_failed(call, err);
		return;
	}
	if (PQntuples(res) == 1 && !PQgetisnull(res, 0, 0))
		document = json_loads(PQgetvalue(res, 0, 0), 0, NULL);
	if (document == NULL)
		api_problem(call, 404, "no-tenant", "There is no such tenant.");
	else
		api_answer(call, 200, document);
}

static enum http_verdict
invalid(struct api_call *call, const char *field, const char *message)
{
	return api_invalid(call, json_pack("[{s:s, s:s}]", "field", field, "message", message));
}

/* The table's own check (sql/tables/tenant.sql), said in words before it fails. */
static bool
name_fits(const char *name)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789",
			  others[] = "_-abcdefghijklmnopqrstuvwxyz0123456789";
	size_t len = strlen(name);

	return len >= 1 && len <= 63 && strchr(first, name[0]) != NULL &&
	    strspn(name, others) == len;
}

/* Goes on to the next agent with a password in the document, or to the plan. */
static enum http_verdict
apply_next(struct api_call *call)
{
	struct apply *a = call->data;
	const json_t *agents = json_object_get(a->document, "agents"), *agent;

	for (; (agent = json_array_get(agents, a->agent)) != NULL; a->agent++) {
		const char *name = json_text(agent, "name");
		if (name == NULL || json_text(agent, "password") == NULL)
			continue;
		return api_query(call, STATEMENT_load_credential, (const char *[]){ a->name, name },
		    "credential", on_credential);
	}
	char *text = json_line(a->document);
	enum http_verdict verdict =
	    api_query(call, STATEMENT_company_plan, (const char *[]){ text }, "plan", on_plan);
	free(text);
	return verdict;
}

/* None, or a text: SQL would say the same of any other, but after all the others were hashed. */
static bool
password_fits(const json_t *password)
{
	return password == NULL || json_is_null(password) ||
	    (json_string_length(password) > 0 &&
		json_string_length(password) <= PASSWORD_MAX_BYTES);
}

/* False when one cannot be used, which was answered. */
static bool
passwords_fit(struct api_call *call, const json_t *document)
{
	json_t *agent;
	size_t i;

	json_array_foreach (json_object_get(document, "agents"), i, agent) {
		const json_t *password = json_object_get(agent, "password");
		bool hashed = json_object_get(agent, "password_hash") != NULL;
		if (!hashed && password_fits(password))
			continue;
		/* The hash is made here: one from outside would be a password that nobody checked. */
		char *field = xasprintf("agents[%zu].%s", i, hashed ? "password_hash" : "password");
		invalid(call, field,
		    hashed ? "is not known here" : "must be a text of 1 to 1024 bytes");
		free(field);
		return false;
	}
	return true;
}

/* Whose document it is. False: it was answered. */
static bool
apply_tenant(struct api_call *call, struct apply *a)
{
	const char *asked = http_query(call->req, "tenant");

	a->name = json_text(json_object_get(a->document, "company"), "name");
	if (a->name == NULL || !name_fits(a->name)) {
		invalid(call, "company.name",
		    "must be 1 to 63 of a-z, 0-9, - and _, and begin with a letter or digit");
		return false;
	}
	if (call->role == API_OPERATOR) {
		call->tenant = node_tenant_by_name(api_node(call->api), a->name);
		if (asked == NULL || strcmp(asked, a->name) == 0)
			return true;
	} else if (strcmp(tenant_name(call->tenant), a->name) == 0) {
		return true;
	}
	invalid(call, "company.name", "is not the company that was asked for");
	return false;
}

/* The plan that a query answered; a new reference, or NULL, which was answered. */
static json_t *
plan_of(struct api_call *call, const PGresult *res, const char *err)
{
	json_t *plan =
	    err == NULL && PQntuples(res) == 1 ? json_loads(PQgetvalue(res, 0, 0), 0, NULL) : NULL;

	if (plan == NULL) {
		road_failed(call, err != NULL ? err : "none");
		return NULL;
	}
	json_t *errors = json_object_get(plan, "errors");
	if (json_array_size(errors) == 0)
		return plan;
	api_invalid(call, json_incref(errors));
	json_decref(plan);
	return NULL;
}

static enum http_verdict
apply_check(struct api_call *call)
{
	struct apply *a = call->data;
	json_t *plain = json_deep_copy(a->document), *agent;
	size_t i;

	json_array_foreach (json_object_get(plain, "agents"), i, agent)
		json_object_del(agent, "password");
	char *text = json_line(plain);
	json_decref(plain);
	enum http_verdict verdict =
	    api_query(call, STATEMENT_company_plan, (const char *[]){ text }, "check", on_checked);
	free(text);
	return verdict;
}

static void
on_checked(struct api_call *call, const PGresult *res, const char *err)
{
	struct apply *a = call->data;
	json_t *plan = plan_of(call, res, err);

	if (plan == NULL)
		return;
	json_decref(plan);
	if (call->tenant == NULL && !a->dry_run)
		api_query(call, STATEMENT_tenant_create, (const char *[]){ a->name }, "tenant",
		    on_created);
	else
		apply_next(call);
}

static enum http_verdict
company_put(struct api_call *call)
{
	const char *dry_run = http_query(call->req, "dry_run");

	if (call->body == NULL)
		return api_problem(
		    call, 400, "bad-json", "The body must be the company document, a JSON object.");
	struct apply *a = xcalloc(1, sizeof(*a));
	a->call = call;
	a->document = json_incref(call->body);
	a->dry_run = dry_run != NULL && strcmp(dry_run, "0") != 0;
	call->data = a;
	call->data_free = apply_free;
	if (!passwords_fit(call, a->document) || !apply_tenant(call, a))
		return HTTP_DONE;
	if (call->tenant != NULL && !tenant_live(call->tenant))
		return api_problem(call, 503, "loading", "The tenant is being loaded.");
	return apply_check(call);
}

static void
timer_stop(void *arg)
{
	struct apply *a = arg;

	event_del(a->timer);
}

/* The node finds it with its next heartbeat, and loads it. */
static void
on_created(struct api_call *call, const PGresult *res, const char *err)
{
	struct apply *a = call->data;

	(void)res;
	if (err != NULL) {
		road_failed(call, err);
		return;
	}
	node_look(api_node(call->api));
	a->timer = evtimer_new(node_base(api_node(call->api)), on_look, a);
	timer_in(a->timer, TENANT_LOOK_MS);
	road_wait(call, "tenant", timer_stop, a);
}

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	struct apply *a = arg;
	struct api_call *call = a->call;
	struct tenant *t = node_tenant_by_name(api_node(call->api), a->name);

	(void)fd;
	(void)what;
	if (t == NULL || !tenant_live(t)) {
		timer_in(a->timer, TENANT_LOOK_MS);
		return;
	}
	call->tenant = t;
	road_arrived(call);
	apply_next(call);
	road_go_on(call);
}

static void
on_credential(struct api_call *call, const PGresult *res, const char *err)
{
	struct apply *a = call->data;

	if (err != NULL) {
		road_failed(call, err);
		return;
	}
	struct hashing *h = xcalloc(1, sizeof(*h));
	h->password = xstrdup(json_text(
	    json_array_get(json_object_get(a->document, "agents"), a->agent), "password"));
	if (PQntuples(res) == 1 && PQnfields(res) > 2 && !PQgetisnull(res, 0, 2))
		h->stored = xstrdup(PQgetvalue(res, 0, 2));
	road_think(call, "password", hash, on_hashed, h, hashing_free);
}

static void
on_hashed(struct api_call *call, void *arg)
{
	const struct hashing *h = arg;
	struct apply *a = call->data;
	json_t *agent = json_array_get(json_object_get(a->document, "agents"), a->agent++);

	json_object_del(agent, "password");
	if (h->hash != NULL)
		json_object_set_new(agent, "password_hash", json_string(h->hash));
	apply_next(call);
}

static void
on_plan(struct api_call *call, const PGresult *res, const char *err)
{
	struct apply *a = call->data;
	json_t *plan = plan_of(call, res, err);

	if (plan == NULL)
		return;
	a->changes = json_incref(json_object_get(plan, "changes"));
	if (a->changes == NULL)
		a->changes = json_array();
	if (a->dry_run || json_array_size(a->changes) == 0) {
		api_answer(call, 200, json_pack("{s:O}", "changes", a->changes));
	} else {
		json_t *command = api_command(call, "company");
		json_object_set_new(command, "args", json_pack("{s:O}", "document", a->document));
		api_execute(call, command, on_applied);
	}
	json_decref(plan);
}

static void
on_applied(struct api_call *call, const struct lane_answer *answer)
{
	const struct apply *a = call->data;
	json_t *body = json_pack("{s:O}", "changes", a->changes);

	json_object_set_new(body, "event", show_event(call, answer->seq));
	api_answer(call, 200, body);
}

const struct api_route api_routes_company[] = {
	{ "GET", "/v1/company", API_ADMINISTRATOR, API_BODY_NONE, company_get },
	{ "PUT", "/v1/company", API_ADMINISTRATOR, API_BODY_JSON, company_put },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
