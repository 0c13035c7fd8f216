/*
 * fuzz_token: what somebody shows to prove who he is. The first letter of a line
 * says what it is:
 *
 *	b TEXT   a bearer token
 *	l TEXT   the contact's link
 *	f HEX    a good link whose byte HEX[0] is changed by HEX[1]: never good
 *	c TEXT   a Cookie field, in a request of its own
 *
 * One house serves all inputs: nothing here changes it, but who asks with a
 * cookie gets a new one. $ann and $link stand for good ones.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/id.h"
#include "base/mem.h"
#include "database.h"
#include "house.h"
#include "node/node.h"
#include "node/tenant.h"

int LLVMFuzzerInitialize(int *, char ***);
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct house *house;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	house_init();
	house = house_new();
	return 0;
}

static bool
is_issued(const char *token)
{
	static const char *const names[] = { "ann", "bob", "sue", "adam" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(token, database_token(names[i])) == 0)
			return true;
	return false;
}

static void
try_bearer(const char *token)
{
	struct tenant *tenant = NULL;
	struct session_view view;
	uint8_t hash[32];

	if (strcmp(token, "$ann") == 0)
		token = database_token("ann");
	bool good = node_session(house->node, token, &tenant, &view, hash);
	must(
	    good == is_issued(token), "a token is good that was not given, or the other way round");
	must(!good || (tenant_id(tenant) == 1 && view.agent_id >= 1 && view.agent_id <= 4),
	    "a token is somebody else's");
}

/* There is one way only to write a good one. */
static void
try_link(const char *text)
{
	struct tenant *tenant = NULL;
	struct id callback;

	if (strcmp(text, "$link") == 0)
		text = database_text("link");
	if (!api_link_verify(house->node, text, &tenant, &callback))
		return;
	char *again = api_link_token(tenant, callback);
	must(again != NULL && strcmp(text, again) == 0,
	    "a link is good that is not the one that was given");
	free(again);
}

static void
try_forged(const char *hex)
{
	struct tenant *tenant = node_tenant(house->node, 1);
	struct id callback = { 0 };
	unsigned place, change;
	uint8_t bytes[64];

	if (sscanf(hex, "%2x%2x", &place, &change) != 2 || change == 0)
		return;
	callback.lo = change;
	char *link = api_link_token(tenant, callback);
	int n = base64url_decode(link, bytes, sizeof(bytes));
	must(n > 0 && api_link_verify(house->node, link, &tenant, &callback),
	    "a link that was just made is not good");
	bytes[place % (unsigned)n] ^= (uint8_t)change;
	free(link);
	link = base64url_encode(bytes, (size_t)n);
	must(!api_link_verify(house->node, link, &tenant, &callback), "a forged link is good");
	free(link);
}

/* Whatever else is in the field, he is let in with a token that was given and not otherwise. */
static void
try_cookie(const char *field)
{
	struct house *own = house_new();
	struct buf request = { 0 };
	struct response r;
	struct visitor v;
	const char *ann = strstr(field, "$ann"), *at;

	buf_puts(&request, "GET /v1/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: ");
	if (ann != NULL)
		buf_printf(&request, "%.*s%s%s", (int)(ann - field), field, database_token("ann"),
		    ann + 4);
	else
		buf_puts(&request, field);
	buf_puts(&request, "\r\n\r\n");
	visitor_enter(&v, own, FRONT_PLAIN);
	visitor_say(&v, request.data, request.len, 0);
	at = v.said.data;
	must(v.said.len > 0 && response_next(&r, &at, at + v.said.len, false),
	    "a request has no answer");
	/* 431 is libmicrohttpd's word for a cookie whose quote has no end. */
	must(r.status == 401 || r.status == 400 || r.status == 431 ||
		(r.status == 200 && ann != NULL),
	    "somebody is let in without a token");
	visitor_leave(&v);
	house_free(own);
	buf_fini(&request);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	char *text = xstrndup((const char *)data + 2, size - 2);

	switch (data[0]) {
	case 'b':
		try_bearer(text);
		break;
	case 'l':
		try_link(text);
		break;
	case 'f':
		try_forged(text);
		break;
	case 'c':
		try_cookie(text);
		break;
	}
	free(text);
	return 0;
}
