/*
 * fuzz_company: a company document, as callbackctl sends it and the interface
 * takes it. The first letter says who sends it, and how: o the operator, a an
 * administrator, d the operator, for a dry run. Then the document.
 *
 * What goes to the database is strict JSON without a password in it, and is
 * about the company that the sender may change.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "database.h"
#include "house.h"

int LLVMFuzzerInitialize(int *, char ***);
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static int commands;
static char sender;

static void
on_element(const json_t *element, bool submit)
{
	const char *kind = json_text(element, "kind");
	json_t *document, *agent;
	size_t i;

	must(!submit && kind != NULL, "a document becomes something else than a command");
	if (strcmp(kind, "company") != 0)
		return; /* a desk that comes */
	commands++;
	must(sender != 'd', "a dry run changes something");
	document = json_object_get(json_object_get(element, "args"), "document");
	must(json_is_object(document), "the document is none");
	const char *name = json_text(json_object_get(document, "company"), "name");
	must(name != NULL && (sender == 'o' || strcmp(name, "demo") == 0),
	    "a document is about another company");
	/* One without a name is refused by company_check(), which is not in this house. */
	json_array_foreach (json_object_get(document, "agents"), i, agent)
		must(json_text(agent, "name") == NULL ||
			json_object_get(agent, "password") == NULL ||
			json_is_null(json_object_get(agent, "password")),
		    "a password goes to the database");
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	house_init();
	database.on_element = on_element;
	return 0;
}

static void
request_write(struct buf *out, const void *document, size_t len)
{
	buf_printf(out,
	    "PUT /v1/company%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: "
	    "application/json\r\n",
	    sender == 'd' ? "?dry_run=1" : "");
	if (sender == 'a')
		buf_printf(out, "Authorization: Bearer %s\r\n", database_token("adam"));
	buf_printf(out, "Content-Length: %zu\r\n\r\n", len);
	if (len > 0)
		buf_add(out, document, len);
}

/* One answer, or none while a company that is new is waited for. */
static void
check_answer(const struct visitor *v)
{
	const char *at = v->said.len > 0 ? v->said.data : "", *why;
	struct response r;

	if (v->said.len == 0)
		return;
	response_next(&r, &at, at + v->said.len, false);
	must(r.status == 200 || (r.status >= 400 && r.status < 500) || r.status == 503,
	    "the server says that it has a fault");
	json_t *body = json_parse(r.body, r.body_len, &why);
	must(body != NULL, "JSON is not");
	must(r.status != 200 || json_is_array(json_object_get(body, "changes")),
	    "nothing is said of what was changed");
	must(r.status != 200 || sender == 'd' || commands == 1,
	    "a document is not written, or twice");
	json_decref(body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf request = { 0 };
	struct visitor v;

	if (size < 2 || strchr("oad", data[0]) == NULL || data[0] == '\0')
		return 0;
	sender = (char)data[0];
	commands = 0;
	struct house *house = house_new();
	visitor_enter(&v, house, sender == 'a' ? FRONT_PLAIN : FRONT_UNIX);
	request_write(&request, data + 2, size - 2);
	visitor_say(&v, request.data, request.len, 0);
	check_answer(&v);
	visitor_leave(&v);
	house_free(house);
	buf_fini(&request);
	return 0;
}
