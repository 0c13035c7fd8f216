/*
 * A contact's personal data, at the contact's request: told, and erased. Must
 * not know what is stored where: the database does.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/fields.h"
#include "api/phone.h"
#include "api/road.h"
#include "api/show.h"
#include "base/json.h"
#include "base/mem.h"
#include "node/tenant.h"

/* Erased by one request; who has more asks again. */
#define PAGE 100

static void on_callbacks(struct api_call *, const PGresult *, const char *);
static void on_export(struct api_call *, const PGresult *, const char *);
static void on_erased(struct api_call *, const struct lane_answer *);

/* Those of a number that are to be erased, one after the other, and what became of them. */
struct erasure {
	json_t *todo, *erased, *in_call;
	size_t next;
	bool all; /* there are no others */
};

/* The body's phone in E.164. False: it is none, which was answered. */
static bool
phone_of(struct api_call *call, char e164[PHONE_E164_SIZE])
{
	static const char *const known[] = { "phone", NULL };
	struct fields f = fields_of(call->body, known);

	fields_phone(&f, "phone", FIELDS_REQUIRED, e164);
	return fields_ok(&f, call);
}

static enum http_verdict
contact_export(struct api_call *call)
{
	char phone[PHONE_E164_SIZE];

	if (!phone_of(call, phone))
		return HTTP_DONE;
	char *tenant = xasprintf("%d", tenant_id(call->tenant));
	enum http_verdict verdict = api_query(call, STATEMENT_load_contact_export,
	    (const char *[]){ tenant, phone }, "contact", on_export);
	free(tenant);
	return verdict;
}

static void
on_export(struct api_call *call, const PGresult *res, const char *err)
{
	json_t *all = NULL;

	if (err == NULL && PQntuples(res) == 1)
		all = json_loadb(PQgetvalue(res, 0, 0), (size_t)PQgetlength(res, 0, 0), 0, NULL);
	if (all == NULL)
		road_failed(call, err != NULL ? err : "none");
	else
		api_answer(call, 200, all);
}

static void
erasure_free(void *arg)
{
	struct erasure *e = arg;

	json_decref(e->todo);
	json_decref(e->erased);
	json_decref(e->in_call);
	free(e);
}

static enum http_verdict
contact_erase(struct api_call *call)
{
	char phone[PHONE_E164_SIZE], limit[16];

	if (!phone_of(call, phone))
		return HTTP_DONE;
	char *tenant = xasprintf("%d", tenant_id(call->tenant));
	snprintf(limit, sizeof limit, "%d", PAGE + 1);
	enum http_verdict verdict = api_query(call, STATEMENT_load_contact_callbacks,
	    (const char *[]){ tenant, phone, limit }, "contact", on_callbacks);
	free(tenant);
	return verdict;
}

static json_t *
erase_command(struct api_call *call, const char *callback)
{
	json_t *command = api_command(call, "erase");

	json_object_set_new(command, "callback", json_string(callback));
	return command;
}

/* One command each, as anybody's: none holds the tenant's lock for long, however many there are. */
static void
erase_next(struct api_call *call)
{
	struct erasure *e = call->data;

	if (e->next < json_array_size(e->todo)) {
		const char *callback = json_string_value(json_array_get(e->todo, e->next));
		json_t *command = erase_command(call, callback);
		/* Of one key, one command for each callback. */
		json_set_id(command, "id", id_new());
		api_try(call, command, on_erased);
		return;
	}
	bool complete = e->all && json_array_size(e->in_call) == 0;
	api_answer(call, 200,
	    json_pack("{s:O,s:O,s:b}", "erased", e->erased, "in_call", e->in_call, "complete",
		(int)complete));
}

static void
on_callbacks(struct api_call *call, const PGresult *res, const char *err)
{
	if (err != NULL) {
		road_failed(call, err);
		return;
	}
	struct erasure *e = xcalloc(1, sizeof *e);
	e->todo = json_array();
	e->erased = json_array();
	e->in_call = json_array();
	e->all = PQntuples(res) <= PAGE;
	call->data = e;
	call->data_free = erasure_free;
	for (int i = 0; i < PQntuples(res) && i < PAGE; i++)
		json_array_append_new(PQgetvalue(res, i, 1)[0] == 't' ? e->in_call : e->todo,
		    json_string(PQgetvalue(res, i, 0)));
	erase_next(call);
}

/*
 * What happened between the list and the command is no mistake: one that is
 * called now is named, one that somebody else erased or deleted is gone.
 */
static void
on_erased(struct api_call *call, const struct lane_answer *answer)
{
	struct erasure *e = call->data;
	const char *refusal = answer->refusal;
	bool in_call = refusal != NULL && strcmp(refusal, "in_call") == 0;

	if (refusal != NULL && !in_call && strcmp(refusal, "already_erased") != 0 &&
	    strcmp(refusal, "not_found") != 0) {
		api_refuse(call, answer);
		return;
	}
	json_array_append(in_call ? e->in_call : e->erased, json_array_get(e->todo, e->next++));
	erase_next(call);
}

static enum http_verdict
callback_erase(struct api_call *call)
{
	static const char *const known[] = { NULL };
	char text[ID_TEXT_SIZE];
	struct id id;

	if (!api_arg_id(call, 0, &id))
		return HTTP_DONE;
	struct fields f = fields_of(call->body, known);
	if (!fields_ok(&f, call))
		return HTTP_DONE;
	id_format(id, text);
	return api_execute(call, erase_command(call, text), NULL);
}

const struct api_route api_routes_personal[] = {
	{ "POST", "/v1/contacts/export", API_ADMINISTRATOR, API_BODY_JSON, contact_export },
	{ "POST", "/v1/contacts/erase", API_ADMINISTRATOR, API_BODY_JSON, contact_erase },
	{ "POST", "/v1/callbacks/{id}/erase", API_ADMINISTRATOR, API_BODY_JSON, callback_erase },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
