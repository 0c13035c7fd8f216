/* excerpt: formats events once for all who read them; see excerpt.h. */
#include "node/excerpt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/pool.h"
#include "node/node.h"
#include "node/tenant.h"

struct draft {
	struct excerpt_event event;
	int64_t at_ms;
	json_t *body;
	/* Its id when the event brings the contact's data; borrowed from body. */
	const char *callback;
};

struct excerpt {
	struct tenant *tenant;
	struct draft *drafts;
	size_t n, cap;
	struct query *query;
	void (*done)(void *);
	void *arg;
};

/*
 * The events that bring the whole preview. Others name the callback, and whoever
 * joins late asks GET /v1/me/state: one query per event would be a query per call step.
 */
static bool
brings_detail(const char *kind)
{
	return strcmp(kind, "offer.created") == 0 || strcmp(kind, "callback.scheduled") == 0 ||
	    strcmp(kind, "callback.noted") == 0 || strcmp(kind, "callback.erased") == 0;
}

struct excerpt *
excerpt_new(struct tenant *t)
{
	struct excerpt *p = xcalloc(1, sizeof *p);

	p->tenant = t;
	return p;
}

void
excerpt_free(struct excerpt *p)
{
	if (p == NULL)
		return;
	if (p->query != NULL)
		pool_forget(p->query);
	for (size_t i = 0; i < p->n; i++) {
		free(p->drafts[i].event.kind);
		free(p->drafts[i].event.json);
		json_decref(p->drafts[i].body);
	}
	free(p->drafts);
	free(p);
}

static struct draft *
draft_new(struct excerpt *p, uint64_t seq, const char *kind)
{
	if (p->n == p->cap) {
		p->cap = p->cap == 0 ? 16 : p->cap * 2;
		p->drafts = xreallocarray(p->drafts, p->cap, sizeof *p->drafts);
	}
	struct draft *d = &p->drafts[p->n++];
	memset(d, 0, sizeof *d);
	d->event.seq = seq;
	d->event.kind = xstrdup(kind);
	return d;
}

void
excerpt_add(struct excerpt *p, uint64_t seq, int64_t at_ms, int agent_id, const char *kind,
    const char *body)
{
	struct draft *d = draft_new(p, seq, kind);

	d->at_ms = at_ms;
	d->event.agent_id = agent_id;
	d->body = json_loads(body, 0, NULL);
	if (d->body == NULL)
		d->body = json_object();
	json_object_del(d->body, "session"); /* token hashes never leave the server */
	if (brings_detail(kind)) {
		d->callback = json_text(json_object_get(d->body, "callback"), "id");
		if (d->callback == NULL)
			d->callback = json_text(json_object_get(d->body, "offer"), "callback");
	}
}

void
excerpt_add_reset(struct excerpt *p, uint64_t seq)
{
	struct draft *d = draft_new(p, seq, "reset");

	d->body = json_object();
	d->at_ms = node_now_ms(tenant_node(p->tenant));
}

static void
format(struct excerpt *p, struct draft *d)
{
	char id[EVENT_ID_SIZE], at[CLOCK_TEXT_SIZE];
	json_t *event = json_object();
	int64_t now = node_now_ms(tenant_node(p->tenant));
	json_t *offer = json_object_get(d->body, "offer");

	snprintf(id, sizeof id, "%d.%" PRIu64, projection_epoch(tenant_projection(p->tenant)),
	    d->event.seq);
	clock_format(d->at_ms, at);
	json_object_set_new(event, "id", json_string(id));
	json_object_set_new(event, "kind", json_string(d->event.kind));
	json_object_set_new(event, "at", json_string(at));
	if (strcmp(d->event.kind, "offer.created") == 0) {
		int64_t left = json_int(offer, "deadline_at", now) - now;
		json_object_set_new(
		    event, "seconds_left", json_integer(left > 0 ? left / 1000 : 0));
	}
	json_object_update(event, d->body);
	json_times_to_text(event, "case_information");
	d->event.json = json_line(event);
	d->event.json_len = strlen(d->event.json);
	json_decref(event);
}

static void
format_all(struct excerpt *p)
{
	for (size_t i = 0; i < p->n; i++)
		format(p, &p->drafts[i]);
}

/* By callback; those that could not be had are null. */
static void
add_details(struct excerpt *p, const json_t *details)
{
	for (size_t i = 0; i < p->n; i++) {
		struct draft *d = &p->drafts[i];
		if (d->callback == NULL)
			continue;
		json_t *detail = json_object_get(details, d->callback);
		json_object_set_new(
		    d->body, "detail", detail != NULL ? json_incref(detail) : json_null());
	}
}

static void
on_details(void *arg, const PGresult *res, const char *err)
{
	struct excerpt *p = arg;

	p->query = NULL;
	if (err != NULL)
		log_warn("tenant=%s details=failed why=%s", tenant_name(p->tenant), err);
	json_t *details = json_object();
	for (int row = 0; err == NULL && row < PQntuples(res); row++)
		json_object_set_new(
		    details, PQgetvalue(res, row, 0), json_loads(PQgetvalue(res, row, 1), 0, NULL));
	add_details(p, details);
	json_decref(details);
	format_all(p);
	p->done(p->arg);
}

bool
excerpt_run(struct excerpt *p, void (*done)(void *), void *arg)
{
	json_t *ids = json_array();
	char tenant[16];

	for (size_t i = 0; i < p->n; i++)
		if (p->drafts[i].callback != NULL)
			json_array_append_new(ids, json_string(p->drafts[i].callback));
	if (json_array_size(ids) > 0) {
		char *text = json_line(ids);
		snprintf(tenant, sizeof tenant, "%d", tenant_id(p->tenant));
		p->done = done;
		p->arg = arg;
		p->query = pool_send(node_pool(tenant_node(p->tenant)), STATEMENT_load_details,
		    (const char *[]){ tenant, text }, on_details, p);
		free(text);
	}
	json_decref(ids);
	if (p->query != NULL)
		return false;
	add_details(p, NULL);
	format_all(p);
	return true;
}

size_t
excerpt_count(const struct excerpt *p)
{
	return p->n;
}

const struct excerpt_event *
excerpt_get(const struct excerpt *p, size_t i)
{
	return &p->drafts[i].event;
}
