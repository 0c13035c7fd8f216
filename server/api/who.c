/*
 * Who asks: the operator by his unix socket, an agent by a bearer token or by
 * the cookie of his session. Must not know what is asked for. A cookie is sent
 * by the browser whoever made it ask, so with one everything but reading needs
 * an Origin that is ours, and reading none that is not: to follow the events is
 * to be at one's desk.
 */
#include "api/who.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/road.h"
#include "base/bucket.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/mem.h"
#include "node/node.h"
#include "node/tenant.h"

/* Looks into the log for unknown tokens, from one address. */
#define LOOKS_BURST 20
#define LOOKS_PERIOD_MS 1000
/* A look that was under way already may be too old: the second is not. */
#define LOOKS_MAX 2

static bool
refuse(struct api_call *call, int status, const char *type, const char *detail)
{
	if (status == 401)
		http_answer_header(call->req, "WWW-Authenticate", "Bearer");
	api_problem(call, status, type, detail);
	return false;
}

/* Not yet for this server to say. */
static bool
refuse_loading(struct api_call *call)
{
	return refuse(call, 503, "loading", "The server is still loading what it needs to know.");
}

/* The route that makes a tenant cannot ask for one. */
static bool
needs_tenant(const struct api_route *route)
{
	return route->role < API_OPERATOR && strcmp(route->path, "/v1/company") != 0;
}

/* The tenant that ?tenant= names, or the only one. */
static bool
operator_tenant(struct api_call *call)
{
	struct node *node = api_node(call->api);
	const char *name = http_query(call->req, "tenant");
	struct tenant *first = node_tenant_next(node, NULL);

	if (name != NULL)
		call->tenant = node_tenant_by_name(node, name);
	else if (first != NULL && node_tenant_next(node, first) == NULL)
		call->tenant = first;
	if (!needs_tenant(call->route))
		return true;
	if (call->tenant != NULL)
		return tenant_projection(call->tenant) != NULL || refuse_loading(call);
	if (node_not_ready(node) != NULL)
		return refuse_loading(call);
	if (name != NULL || first == NULL)
		return refuse(call, 404, "no-tenant", "There is no such tenant.");
	return refuse(
	    call, 400, "which-tenant", "There are several tenants: name one with ?tenant=.");
}

static enum api_role
role_of(const char *name)
{
	for (enum api_role role = API_ADMINISTRATOR; role > API_AGENT; role--)
		if (strcmp(name, role_name(role)) == 0)
			return role;
	return API_AGENT;
}

/*
 * With several nodes, who signed in at one may ask another before that has read
 * of it; 401 would sign his desk out. Worth a look into the log, but not for
 * every token that somebody makes up.
 */
static bool
may_be_fresh(struct api_call *call, const char *token)
{
	struct node *node = api_node(call->api);
	char key[96];

	if (call->looks == LOOKS_MAX || node_alive(node) < 2)
		return false;
	/* Whatever he sent: beyond an int it is nobody's. */
	long id = strtol(token, NULL, 10);
	call->tenant = id > 0 && id <= INT32_MAX ? node_tenant(node, (int)id) : NULL;
	if (call->tenant == NULL || !tenant_live(call->tenant))
		return false;
	snprintf(key, sizeof(key), "u:%s", http_peer(call->req));
	call->unsure = bucket_take(api_buckets(call->api), key, LOOKS_BURST, LOOKS_PERIOD_MS,
			   clock_mono_ms()) == 0;
	return call->unsure;
}

static bool
session(struct api_call *call, const char *token)
{
	struct node *node = api_node(call->api);
	struct session_view view;

	if (!node_session(node, token, &call->tenant, &view, call->token_hash)) {
		if (may_be_fresh(call, token))
			return true;
		call->tenant = NULL;
		/* 401 would make every desk sign out when the server has only just started. */
		if (node_not_ready(node) != NULL)
			return refuse_loading(call);
		return refuse(call, 401, "unauthorized",
		    "The token is not known, or its session has ended: sign in.");
	}
	call->agent_id = view.agent_id;
	call->role = role_of(view.role);
	return true;
}

/* "https://host:port" of an address; the length of it. */
static size_t
origin_len(const char *url)
{
	const char *host = strstr(url, "://");

	return host == NULL ? 0 : (size_t)(host + 3 - url) + strcspn(host + 3, "/?#");
}

static bool
same_origin(const char *origin, const char *scheme, const char *host)
{
	size_t len = strlen(scheme);

	return strncasecmp(origin, scheme, len) == 0 && strcasecmp(origin + len, host) == 0;
}

static bool
origin_ours(struct api_call *call)
{
	const char *origin = http_header(call->req, "Origin"),
		   *host = http_header(call->req, "Host");
	const char *base_url = api_conf(call->api)->base_url;

	if (origin == NULL)
		return false;
	size_t len = base_url != NULL ? origin_len(base_url) : 0;
	if (len > 0 && strlen(origin) == len && strncasecmp(origin, base_url, len) == 0)
		return true;
	if (host == NULL || *host == '\0')
		return false;
	/* Behind a reverse proxy the page may have come over either. */
	return same_origin(origin, "https://", host) ||
	    (http_door(call->req) != FRONT_TLS && same_origin(origin, "http://", host));
}

static bool
only_reads(const char *method)
{
	return strcmp(method, "GET") == 0 || strcmp(method, "OPTIONS") == 0;
}

/*
 * A picture or a link on another page of the same site makes the browser send
 * the cookie (SameSite counts sites, not origins) and no Origin; browsers since
 * 2023 say in Sec-Fetch-Site whose page it was.
 */
static bool
cookie_believed(struct api_call *call)
{
	const char *site = http_header(call->req, "Sec-Fetch-Site");

	if (site != NULL && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
		return false;
	if (http_header(call->req, "Origin") == NULL)
		return only_reads(http_method(call->req));
	return origin_ours(call);
}

static bool
identify(struct api_call *call)
{
	const char *authorization = http_header(call->req, "Authorization");
	const char *cookie = http_cookie(call->req, WHO_COOKIE);

	if (authorization != NULL) {
		if (strncasecmp(authorization, "Bearer ", 7) != 0)
			return refuse(call, 401, "unauthorized", "Only bearer tokens are taken.");
		return session(call, authorization + 7 + strspn(authorization + 7, " "));
	}
	if (http_door(call->req) == FRONT_UNIX) {
		call->role = API_OPERATOR;
		return operator_tenant(call);
	}
	if (cookie == NULL)
		return refuse(call, 401, "unauthorized", "Sign in first: POST /v1/session.");
	if (!cookie_believed(call))
		return refuse(
		    call, 403, "foreign-origin", "The Origin of this request is not this server.");
	return session(call, cookie);
}

bool
who_may(struct api_call *call)
{
	if (call->route->role == API_PUBLIC)
		return true;
	if (!identify(call))
		return false;
	if (call->unsure)
		return true;
	if (call->role >= call->route->role)
		return true;
	char *detail = xasprintf("This needs the role %s; yours is %s.",
	    role_name(call->route->role), role_name(call->role));
	refuse(call, 403, "forbidden", detail);
	free(detail);
	return false;
}

static void
on_looked(void *arg, const PGresult *res, const char *err)
{
	struct api_call *call = arg;

	(void)res;
	(void)err; /* whatever it brought: what is known now counts */
	call->ticket = NULL;
	road_arrived(call);
	if (who_may(call))
		(void)(call->unsure ? who_look(call, call->serve) : call->serve(call));
	road_go_on(call);
}

enum http_verdict
who_look(struct api_call *call, enum http_verdict (*serve)(struct api_call *))
{
	char tenant[16];

	call->unsure = false;
	call->looks++;
	call->serve = serve;
	snprintf(tenant, sizeof(tenant), "%d", tenant_id(call->tenant));
	tenant_look(call->tenant);
	/* Any read in the lane's turn: when it is answered, the look before it is. */
	call->ticket = lane_read(tenant_lane(call->tenant), STATEMENT_load_events,
	    (const char *[]){ tenant, "0", "0" }, on_looked, call);
	if (call->ticket == NULL)
		return road_busy(call);
	return road_wait(call, "session", NULL, NULL);
}
