/*
 * fuzz_command: one request to the whole server: whoever he is, with whatever
 * in the address, in the header and in the body; and the database's mood.
 *
 *	POST /v1/offers/$offer/accept ann refuses offer_not_pending
 *	Content-Type: application/json
 *
 *	{"x": 1}
 *
 * $offer, $callback, $attempt and $link are those of the recording. What comes
 * out is one well-formed answer, and what goes to the database is what somebody
 * of his rights may ask.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/id.h"
#include "base/json.h"
#include "base/mem.h"
#include "database.h"
#include "house.h"

int LLVMFuzzerInitialize(int *, char ***);
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct asked {
	char method[24], target[2048], who[16], mood[16];
	const char *head, *body; /* head: its lines up to the blank one */
	size_t head_len, body_len;
};

static const struct {
	const char *name, *role;
	enum front_door door;
} people[] = {
	{ "nobody", "contact", FRONT_PLAIN },
	{ "ann", "agent", FRONT_PLAIN },
	{ "bob", "agent", FRONT_PLAIN },
	{ "sue", "supervisor", FRONT_PLAIN },
	{ "adam", "administrator", FRONT_PLAIN },
	{ "operator", "operator", FRONT_UNIX },
};
#define PEOPLE (sizeof(people) / sizeof(people[0]))

static size_t who; /* of people: who asks now */

/* A desk that comes or goes is the node's own business, and who signs in is nobody yet. */
static bool
is_of_the_node(const char *kind)
{
	return strcmp(kind, "connect") == 0 || strcmp(kind, "disconnect") == 0 ||
	    strncmp(kind, "sign_in", 7) == 0;
}

static void
on_element(const json_t *element, bool submit)
{
	const char *kind = json_text(element, "kind"), *role = json_text(element, "role");
	struct id id;

	must(json_id(element, "id", &id), "what is sent has no id");
	if (submit) {
		must(json_int(element, "form", 0) == 1 && json_text(element, "phone") != NULL &&
			json_text(element, "phone")[0] == '+',
		    "a callback has no form or number");
		return;
	}
	must(kind != NULL, "a command has no kind");
	if (is_of_the_node(kind))
		return;
	must(role != NULL && strcmp(role, people[who].role) == 0, "a command has another's role");
	must(json_object_get(element, "by") == NULL || database_token(people[who].name) != NULL,
	    "somebody without a session acts as an agent");
	must(strcmp(kind, "company") != 0 || who >= 4,
	    "somebody else than an administrator changes the company");
	must(who != 0 || strcmp(kind, "cancel") == 0 || strcmp(kind, "reschedule") == 0,
	    "a stranger does more than to cancel or to move");
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	house_init();
	database.on_element = on_element;
	return 0;
}

/* The first line, and where the rest lies. */
static bool
asked_read(struct asked *a, char *text, size_t len)
{
	char *line = memchr(text, '\n', len);

	*a = (struct asked){ .who = "nobody" };
	database.mood = DATABASE_ACCEPTS;
	database.reason[0] = '\0';
	if (line == NULL)
		return false;
	*line = '\0';
	if (sscanf(text, "%23s %2047s %15s %15s %63s", a->method, a->target, a->who, a->mood,
		database.reason) < 2)
		return false;
	a->head = line + 1;
	const char *end = text + len, *blank = memmem(line, (size_t)(end - line), "\n\n", 2);
	/* An input without a head begins with the blank line, whose end was just cut. */
	if (a->head < end && *a->head == '\n')
		blank = line;
	a->body = blank == NULL ? end : blank == line ? a->head + 1 : blank + 2;
	a->head_len = blank == NULL ? (size_t)(end - a->head)
	    : blank == line	    ? 0
				    : (size_t)(blank + 1 - a->head);
	a->body_len = (size_t)(end - a->body);
	return true;
}

static void
set_mood(const char *mood)
{
	static const struct {
		const char *name;
		enum database_mood mood;
	} moods[] = {
		{ "refuses", DATABASE_REFUSES },
		{ "fails", DATABASE_FAILS },
		{ "silent", DATABASE_SILENT },
	};

	for (size_t i = 0; i < sizeof(moods) / sizeof(moods[0]); i++)
		if (strcmp(mood, moods[i].name) == 0)
			database.mood = moods[i].mood;
	if (database.mood == DATABASE_REFUSES &&
	    (database.reason[0] == '\0' || !utf8_ok(database.reason, strlen(database.reason))))
		strcpy(database.reason, "wrong_state");
	/* An error that somebody is guilty of; others are tried again for as long as he has patience. */
	if (database.mood == DATABASE_FAILS)
		strcpy(database.reason, "22P02");
}

/* Copies with the recording's names put in. */
static void
add_named(struct buf *out, const char *text, size_t len)
{
	static const char *const names[] = { "callback", "offer", "attempt", "link" };

	for (const char *end = text + len; text < end;) {
		size_t i = 0, n = 0;
		for (; *text == '$' && i < sizeof(names) / sizeof(names[0]); i++) {
			n = strlen(names[i]);
			if ((size_t)(end - text) > n && memcmp(text + 1, names[i], n) == 0)
				break;
			n = 0;
		}
		if (n > 0)
			buf_puts(out, database_text(names[i]));
		else
			buf_add(out, text, 1);
		text += n + 1;
	}
}

/* What the framing is made of is ours. */
static bool
is_framing(const char *line, size_t len)
{
	static const char *const fields[] = { "content-length", "transfer-encoding", "host",
		"expect", "connection", "authorization" };

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (len >= strlen(fields[i]) &&
		    strncasecmp(line, fields[i], strlen(fields[i])) == 0)
			return true;
	return false;
}

static void
request_write(struct buf *out, const struct asked *a)
{
	const char *token = database_token(people[who].name);

	buf_printf(out, "%s ", a->method);
	add_named(out, a->target, strlen(a->target));
	buf_printf(out, " HTTP/1.1\r\nHost: calls.example\r\nConnection: close\r\n");
	if (token != NULL)
		buf_printf(out, "Authorization: Bearer %s\r\n", token);
	for (const char *at = a->head, *end = at + a->head_len; at < end;) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t len = stop != NULL ? (size_t)(stop - at) : (size_t)(end - at);
		if (len > 0 && !is_framing(at, len)) {
			add_named(out, at, len);
			buf_puts(out, "\r\n");
		}
		at += len + 1;
	}
	struct buf body = { 0 };
	add_named(&body, a->body, a->body_len);
	if (body.len > 0)
		buf_printf(out, "Content-Length: %zu\r\n", body.len);
	buf_puts(out, "\r\n");
	if (body.len > 0)
		buf_add(out, body.data, body.len);
	buf_fini(&body);
}

static void
check_json(const struct response *r, const char *type)
{
	const char *why;
	json_t *body = json_parse(r->body, r->body_len, &why);

	must(body != NULL, "JSON is not");
	if (strncmp(type, "application/problem+json", 24) == 0)
		must(json_int(body, "status", 0) == r->status && json_text(body, "title") != NULL,
		    "a problem is another");
	json_decref(body);
}

static void
check_answer(const struct response *r)
{
	char *type = response_field(r, "Content-Type");
	bool faulty = database.mood == DATABASE_FAILS || database.mood == DATABASE_REFUSES;

	must(r->status != 500 || faulty, "the server says that it has a fault");
	/* x-ndjson is one text a line, in chunks. */
	if (r->status >= 200 && r->body_len > 0 && type != NULL && strstr(type, "json") != NULL &&
	    strstr(type, "ndjson") == NULL)
		check_json(r, type);
	if (r->body_len > 0 && type != NULL && strstr(type, "text/html") != NULL)
		must(utf8_ok(r->body, r->body_len), "a page is not UTF-8");
	free(type);
}

static void
check_answers(const struct asked *a, const struct visitor *v)
{
	const char *at = v->said.len > 0 ? v->said.data : "", *end = at + v->said.len;
	struct response r;
	int n = 0;

	while (response_next(&r, &at, end, strcmp(a->method, "HEAD") == 0)) {
		must(n == 0, "a request has two answers");
		n += r.status >= 200;
		check_answer(&r);
	}
	must(n == 1 || !v->over || database.mood == DATABASE_SILENT, "a request has no answer");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xmalloc(size + 1);
	struct buf request = { 0 };
	struct asked a;

	memcpy(text, data, size);
	text[size] = '\0';
	if (asked_read(&a, text, size)) {
		set_mood(a.mood);
		for (who = PEOPLE - 1; who > 0 && strcmp(people[who].name, a.who) != 0; who--)
			continue;
		struct house *house = house_new();
		struct visitor v;
		visitor_enter(&v, house, people[who].door);
		request_write(&request, &a);
		visitor_say(&v, request.data, request.len, 0);
		check_answers(&a, &v);
		visitor_leave(&v);
		house_free(house);
		buf_fini(&request);
	}
	free(text);
	return 0;
}
