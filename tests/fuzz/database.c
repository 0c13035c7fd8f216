/*
 * database: what each statement is answered, out of the recording, and whether
 * what it is asked with is well-formed. It must not know who asks.
 */
#include "database.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/json.h"
#include "base/mem.h"

#define COLUMNS_MAX 8

struct database database;

void
must(bool so, const char *sentence)
{
	if (so)
		return;
	fprintf(stderr, "must: %s\n", sentence);
	abort();
}

void
database_init(void)
{
	json_error_t error;

	database.recorded = json_load_file(SRCDIR "/tests/fuzz/database.json", 0, &error);
	must(database.recorded != NULL, "database.json is missing or unreadable");
}

const char *
database_text(const char *key)
{
	return json_text(database.recorded, key);
}

const char *
database_token(const char *name)
{
	return json_text(json_object_get(database.recorded, "tokens"), name);
}

int64_t
database_now_ms(void)
{
	return json_int(database.recorded, "now", 0);
}

/* ---- the statements ---- */

static const struct {
	const char *name, *text;
	int params;
} statements[] = {
#define STATEMENT(name, nparams, text) [STATEMENT_##name] = { #name, text, nparams },
#include "db/statement.def"
#undef STATEMENT
};

/* One line each. */
/* clang-format off */
const char *statement_name(enum statement s) { return statements[s].name; }
const char *statement_text(enum statement s) { return statements[s].text; }
int statement_params(enum statement s) { return statements[s].params; }
bool statement_decides(enum statement s) { return s == STATEMENT_submit || s == STATEMENT_execute; }
/* clang-format on */

static bool
is_integer(const char *text, int64_t min, int64_t max)
{
	char *end;

	errno = 0;
	long long n = strtoll(text, &end, 10);
	return errno == 0 && *text != '\0' && *end == '\0' && n >= min && n <= max;
}

/* As PostgreSQL reads a text that is cast to `type`, which goes on behind the name. */
static void
check_param(const char *type, const char *text)
{
	struct id id;
	const char *why;

	must(utf8_ok(text, strlen(text)), "a parameter is not UTF-8");
	if (strncmp(type, "int", 3) == 0)
		must(is_integer(text, INT32_MIN, INT32_MAX), "a parameter is no int");
	else if (strncmp(type, "bigint", 6) == 0)
		must(is_integer(text, INT64_MIN, INT64_MAX), "a parameter is no bigint");
	else if (strncmp(type, "uuid", 4) == 0)
		must(id_parse(text, &id), "a parameter is no UUID");
	else if (strncmp(type, "json", 4) == 0) {
		json_t *value = json_parse(text, strlen(text), &why);
		must(value != NULL, "a parameter is not strict JSON");
		json_decref(value);
	} else
		must(strncmp(type, "text", 4) == 0, "a parameter's type is not known here");
}

/* ---- results ---- */

static PGresult *
result_new(int columns)
{
	static char name[] = "column";
	PGresAttDesc descs[COLUMNS_MAX] = { { .name = NULL } };
	PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);

	must(columns <= COLUMNS_MAX, "a recorded row is too long");
	for (int i = 0; i < columns; i++)
		descs[i].name = name;
	PQsetResultAttrs(res, columns, descs);
	return res;
}

static void
result_row(PGresult *res, const json_t *row)
{
	int n = PQntuples(res);

	for (size_t i = 0; i < json_array_size(row); i++) {
		const char *text = json_string_value(json_array_get(row, i));
		char *value = text != NULL ? xstrdup(text) : NULL;
		PQsetvalue(res, n, (int)i, value, value != NULL ? (int)strlen(value) : -1);
		free(value);
	}
}

/* The events after params[1], at most params[2]; everything else as it was recorded. */
static PGresult *
recorded_result(enum statement s, char *const *params)
{
	json_t *rows = json_object_get(database.recorded, statement_name(s)), *row;
	PGresult *res = result_new((int)json_array_size(json_array_get(rows, 0)));
	bool log = s == STATEMENT_load_events;
	int limit = log ? atoi(params[2]) : INT32_MAX;
	size_t i;

	json_array_foreach (rows, i, row) {
		if (log && atoll(json_string_value(json_array_get(row, 2))) <= atoll(params[1]))
			continue;
		if (limit-- == 0)
			break;
		result_row(res, row);
	}
	return res;
}

/* What a command of that kind was answered in the recording, or something else that was. */
static const json_t *
event_like(const char *kind)
{
	static const char *const events[][2] = {
		{ "accept", "offer.accepted" },
		{ "reject", "offer.created" },
		{ "call", "call.establishing" },
		{ "connected", "call.connected" },
		{ "hold", "call.connected" },
		{ "retrieve", "call.connected" },
		{ "sign_in", "agent.signed_in" },
		{ "ready", "agent.signed_in" },
		{ "not_ready", "agent.signed_in" },
		{ "note", "callback.noted" },
		{ "company", "agent.changed" },
	};
	const char *like = "callback.scheduled";
	json_t *log = json_object_get(database.recorded, "load_events"), *row;
	size_t i;

	for (i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (kind != NULL && strcmp(kind, events[i][0]) == 0)
			like = events[i][1];
	json_array_foreach (log, i, row)
		if (strcmp(json_string_value(json_array_get(row, 4)), like) == 0)
			return row;
	must(false, "an event that answers are made of was not recorded");
	return NULL;
}

static void
answer_row(PGresult *res, size_t ord, const json_t *element, bool submit)
{
	const json_t *event = event_like(submit ? NULL : json_text(element, "kind"));
	json_t *seq = json_array_get(event, 2), *body = json_array_get(event, 6);
	json_t *row = database.mood == DATABASE_REFUSES
	    ? json_pack("[s, o, n, n, s, n, O]", "answer", json_sprintf("%zu", ord),
		  database.reason, body)
	    : json_pack("[s, o, O, n, n, n, O]", "answer", json_sprintf("%zu", ord), seq, body);

	must(row != NULL, "an answer cannot be made");
	result_row(res, row);
	json_decref(row);
}

/* For submit and execute: an answer for each, as if all had been committed before, so that the log is read anew. */
static PGresult *
decided_result(const char *text, bool submit)
{
	PGresult *res = result_new(7);
	const char *why;
	json_t *elements = json_parse(text, strlen(text), &why), *element;
	size_t i;

	must(json_is_array(elements), "a batch is no array");
	json_array_foreach (elements, i, element)
		answer_row(res, i, element, submit);
	json_decref(elements);
	return res;
}

static void
show_elements(const char *text, bool submit)
{
	const char *why;
	json_t *elements = json_parse(text, strlen(text), &why), *element;
	size_t i;

	json_array_foreach (elements, i, element)
		if (database.on_element != NULL)
			database.on_element(element, submit);
	json_decref(elements);
}

void
database_look(enum statement s, const char *const *params)
{
	const char *at = statement_text(s);

	while ((at = strchr(at, '$')) != NULL) {
		int n = at[1] - '0';
		const char *type = strstr(at, "::");
		must(n >= 1 && n <= statement_params(s) && type != NULL, "a statement is odd");
		if (params[n - 1] != NULL)
			check_param(type + 2, params[n - 1]);
		at++;
	}
	if (statement_decides(s))
		show_elements(params[2], s == STATEMENT_submit);
}

PGresult *
database_result(enum statement s, char *const *params)
{
	return statement_decides(s) ? decided_result(params[2], s == STATEMENT_submit)
				    : recorded_result(s, params);
}
