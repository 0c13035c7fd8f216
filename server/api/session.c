/*
 * Signing in and out. The password is compared off the loop, and for an unknown
 * name as long as for a known one; the token is made here and only its hash is
 * kept. Must not know what a session is good for.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/fields.h"
#include "api/road.h"
#include "api/show.h"
#include "api/sign_in_limit.h"
#include "api/who.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/password.h"
#include "base/work.h"
#include "node/node.h"
#include "node/tenant.h"

#define NAME_MAX_BYTES 200
#define PASSWORD_MAX_BYTES 1024

/* A sign-in on its way; the call's data. */
struct sign_in {
	struct api_call *call;
	struct sign_in_limit limit;
	int agent_id; /* 0: no such agent */
	int tenant_id;
	char *role;
	char *token;
	int64_t expires_at;
	bool ready;
};

/* What the worker thread compares. */
struct comparison {
	char *password, *stored;
	bool equal;
};

static void on_credential(struct api_call *, const PGresult *, const char *);
static void on_compared(struct api_call *, void *);
static void on_failed(struct api_call *, const struct lane_answer *);
static void on_opened(struct api_call *, const struct lane_answer *);
static void on_closed(struct api_call *, const struct lane_answer *);

static void
sign_in_free(void *arg)
{
	struct sign_in *s = arg;

	/* Our own trouble, whatever it was, is not his guess: his whole office comes back after it. */
	if (http_status(s->call->req) >= 500)
		sign_in_limit_give(&s->limit, api_buckets(s->call->api));
	sign_in_limit_fini(&s->limit);
	free(s->role);
	free(s->token);
	free(s);
}

static void
comparison_free(void *arg)
{
	struct comparison *c = arg;

	explicit_bzero(c->password, strlen(c->password));
	free(c->password);
	free(c->stored);
	free(c);
}

/* On the worker's thread. */
static void
compare(void *arg)
{
	struct comparison *c = arg;

	c->equal = password_check(c->password, c->stored);
}

/* False: he is told to wait. */
static bool
sign_in_throttle(struct api_call *call, struct sign_in *s, const char *tenant, const char *name)
{
	if (http_door(call->req) == FRONT_UNIX)
		return true;
	int64_t ms = sign_in_limit_take(
	    &s->limit, api_buckets(call->api), http_peer(call->req), tenant, name, clock_mono_ms());
	if (ms > 0) {
		http_problem(call->req, 429, "too-many-sign-ins",
		    "Too many sign-ins from this address, or with this name.", NULL,
		    (int)((ms + 999) / 1000));
		return false;
	}
	call->stranger = !s->limit.known;
	/* Told before the database is asked: in a storm that would be most of the work. */
	if (!call->stranger || !work_last_full(api_work(call->api)))
		return true;
	(void)road_busy(call);
	return false;
}

/* The only tenant's name when none was said; "" is nobody's. */
static const char *
only_tenant(struct node *node)
{
	struct tenant *t = node_tenant_next(node, NULL);

	return t != NULL && node_tenant_next(node, t) == NULL ? tenant_name(t) : "";
}

static enum http_verdict
session_open(struct api_call *call)
{
	static const char *const known[] = { "tenant", "name", "password", "ready", NULL };
	struct node *node = api_node(call->api);
	struct fields f = fields_of(call->body, known);
	const char *tenant = fields_text(&f, "tenant", FIELDS_OPTIONAL, NAME_MAX_BYTES);
	const char *name = fields_text(&f, "name", FIELDS_REQUIRED, NAME_MAX_BYTES);
	bool ready = fields_bool(&f, "ready");
	(void)fields_text(&f, "password", FIELDS_REQUIRED, PASSWORD_MAX_BYTES);
	if (!fields_ok(&f, call))
		return HTTP_DONE;
	if (tenant == NULL && node_tenant_next(node, NULL) == NULL && node_not_ready(node) != NULL)
		return api_problem(
		    call, 503, "loading", "The server is still loading what it needs to know.");
	struct sign_in *s = xcalloc(1, sizeof(*s));
	s->call = call;
	s->ready = ready;
	call->data = s;
	call->data_free = sign_in_free;
	const char *params[] = { tenant != NULL ? tenant : only_tenant(node), name };
	if (!sign_in_throttle(call, s, params[0], name))
		return HTTP_DONE;
	return api_query(call, STATEMENT_load_credential, params, "credential", on_credential);
}

enum column { TENANT_ID, AGENT_ID, PASSWORD, LOCKED_UNTIL, ROLE, COLUMNS };

static void
on_credential(struct api_call *call, const PGresult *res, const char *err)
{
	struct sign_in *s = call->data;
	struct comparison *c;

	if (err != NULL) {
		road_failed(call, err);
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->password = xstrdup(json_text(call->body, "password"));
	if (PQntuples(res) == 1 && PQnfields(res) == COLUMNS) {
		s->tenant_id = atoi(PQgetvalue(res, 0, TENANT_ID));
		s->agent_id = atoi(PQgetvalue(res, 0, AGENT_ID));
		s->role = xstrdup(PQgetvalue(res, 0, ROLE));
		if (!PQgetisnull(res, 0, PASSWORD))
			c->stored = xstrdup(PQgetvalue(res, 0, PASSWORD));
		int64_t left_ms = PQgetisnull(res, 0, LOCKED_UNTIL)
		    ? 0
		    : strtoll(PQgetvalue(res, 0, LOCKED_UNTIL), NULL, 10) -
			node_now_ms(api_node(call->api));
		if (left_ms > 0) {
			comparison_free(c);
			char *seconds = xasprintf("%lld", (long long)(left_ms + 999) / 1000);
			http_answer_header(call->req, "Retry-After", seconds);
			free(seconds);
			api_problem(call, 423, "locked",
			    "Too many failed sign-ins: the account is locked for a while.");
			return;
		}
	}
	(void)road_think(call, "password", compare, on_compared, c, comparison_free);
}

static void
answer_wrong(struct api_call *call)
{
	http_answer_header(call->req, "WWW-Authenticate", "Bearer");
	api_problem(call, 401, "wrong-password", "The name or the password is wrong.");
}

/* He acts himself, though he has no session yet. */
static json_t *
sign_in_command(struct api_call *call, const char *kind, json_t *args)
{
	const struct sign_in *s = call->data;
	json_t *command = api_command(call, kind);

	json_object_set_new(command, "role", json_string(s->role));
	json_object_set_new(command, "by", json_integer(s->agent_id));
	json_object_set_new(command, "agent", json_integer(s->agent_id));
	json_object_set_new(command, "args", args);
	return command;
}

static void
sign_in_go(struct api_call *call)
{
	struct sign_in *s = call->data;
	uint8_t hash[32];
	char hex[65];
	int64_t seconds =
	    json_int(projection_tenant(tenant_projection(call->tenant)), "session_s", 3600);
	json_t *args = json_object();

	s->token = node_token(call->tenant, hash);
	s->expires_at = node_now_ms(api_node(call->api)) + seconds * 1000;
	hex_encode(hash, sizeof(hash), hex);
	json_object_set_new(args, "token_hash", json_string(hex));
	json_object_set_new(args, "expires_at", json_integer(s->expires_at));
	json_object_set_new(args, "ready", json_boolean(s->ready));
	api_execute(call, sign_in_command(call, "sign_in", args), on_opened);
}

static void
on_compared(struct api_call *call, void *arg)
{
	const struct comparison *c = arg;
	const struct sign_in *s = call->data;

	if (s->agent_id == 0) {
		answer_wrong(call);
		return;
	}
	call->tenant = node_tenant(api_node(call->api), s->tenant_id);
	if (call->tenant == NULL || !tenant_live(call->tenant))
		api_problem(
		    call, 503, "loading", "The server is still loading what it needs to know.");
	else if (c->equal)
		sign_in_go(call);
	else
		api_execute(
		    call, sign_in_command(call, "sign_in_failed", json_object()), on_failed);
}

static void
on_failed(struct api_call *call, const struct lane_answer *a)
{
	(void)a;
	answer_wrong(call);
}

static void
cookie_set(struct api_call *call, const char *token, long long seconds)
{
	const char *base_url = api_conf(call->api)->base_url;
	bool secure = http_door(call->req) == FRONT_TLS ||
	    (base_url != NULL && strncmp(base_url, "https:", 6) == 0);
	char *cookie =
	    xasprintf(WHO_COOKIE "=%s; Path=/; Max-Age=%lld; HttpOnly; SameSite=Strict%s", token,
		seconds, secure ? "; Secure" : "");

	http_answer_header(call->req, "Set-Cookie", cookie);
	free(cookie);
}

static void
on_opened(struct api_call *call, const struct lane_answer *a)
{
	struct sign_in *s = call->data;
	json_t *answer = json_object(), *agent = json_object();

	sign_in_limit_succeeded(&s->limit, api_buckets(call->api), clock_mono_ms());
	json_object_set_new(agent, "id", json_integer(s->agent_id));
	json_object_set(agent, "name", json_object_get(call->body, "name"));
	json_object_set_new(agent, "role", json_string(s->role));
	json_object_set_new(answer, "token", json_string(s->token));
	json_object_set_new(answer, "tenant", json_string(tenant_name(call->tenant)));
	json_object_set_new(answer, "agent", agent);
	json_object_set_new(answer, "expires_at", json_integer(s->expires_at));
	json_object_set_new(answer, "event", show_event(call, a->seq));
	cookie_set(
	    call, s->token, (long long)(s->expires_at - node_now_ms(api_node(call->api))) / 1000);
	api_answer(call, 201, answer);
}

static enum http_verdict
session_close(struct api_call *call)
{
	char hex[65];

	if (call->agent_id == 0)
		return api_problem(
		    call, 403, "no-session", "The operator's socket has no session to end.");
	json_t *command = api_command(call, "sign_out"), *args = json_object();
	hex_encode(call->token_hash, sizeof(call->token_hash), hex);
	json_object_set_new(args, "token_hash", json_string(hex));
	json_object_set_new(command, "agent", json_integer(call->agent_id));
	json_object_set_new(command, "args", args);
	return api_execute(call, command, on_closed);
}

static void
on_closed(struct api_call *call, const struct lane_answer *a)
{
	json_t *answer = json_object();

	json_object_set_new(answer, "event", show_event(call, a->seq));
	cookie_set(call, "", 0);
	api_answer(call, 200, answer);
}

const struct api_route api_routes_session[] = {
	{ "POST", "/v1/session", API_PUBLIC, API_BODY_JSON, session_open },
	{ "DELETE", "/v1/session", API_AGENT, API_BODY_NONE, session_close },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
