/*
 * fuzz_events: where somebody's events shall go on: the Last-Event-ID, and the
 * query of /v1/events.
 *
 *	ann stream          (or: sue poll)
 *	1.12
 *	max=5&wait_s=0
 *
 * Whatever the cursor, what comes is in order, each event once, after the
 * cursor, and without a gap for whoever sees them all; or it begins with a reset.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "core/projection.h"
#include "database.h"
#include "house.h"
#include "node/node.h"
#include "node/tenant.h"

int LLVMFuzzerInitialize(int *, char ***);
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct asked {
	char who[8], how[8], cursor[64], query[256];
};

/* What must hold of the ids that come. */
struct following {
	uint64_t at, head; /* the last one seen, or the cursor; the newest there is */
	bool known;	   /* at is a place in this log */
	bool all;
};

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	house_init();
	return 0;
}

/* A line of at most size - 1 bytes, without what would end its field. */
static const char *
line_read(const char *at, const char *end, char *out, size_t size)
{
	size_t n = 0;

	for (; at < end && *at != '\n'; at++)
		if (n + 1 < size && *at != '\0' && *at != '\r')
			out[n++] = *at;
	out[n] = '\0';
	return at < end ? at + 1 : end;
}

/* As HTTP does with a field. */
static void
trim(char *text)
{
	size_t lead = strspn(text, " \t"), len = strlen(text);

	while (len > lead && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		len--;
	memmove(text, text + lead, len - lead);
	text[len - lead] = '\0';
}

static bool
asked_read(struct asked *a, const char *at, const char *end)
{
	char first[32];

	*a = (struct asked){ .how = "poll" };
	at = line_read(at, end, first, sizeof(first));
	at = line_read(at, end, a->cursor, sizeof(a->cursor));
	line_read(at, end, a->query, sizeof(a->query));
	trim(a->cursor);
	/* A blank would end the address. */
	return sscanf(first, "%7s %7s", a->who, a->how) >= 1 && database_token(a->who) != NULL &&
	    strchr(a->query, ' ') == NULL;
}

static void
check_event(struct following *f, const char *kind, uint64_t seq)
{
	if (strcmp(kind, "reset") == 0) {
		must(!f->known, "a reset though the place is known");
		f->known = true;
		f->at = seq;
		return;
	}
	must(f->known && seq > f->at, "an event comes twice, or out of order, or without a reset");
	must(!f->all || seq == f->at + 1, "an event is left out");
	must(seq <= f->head, "an event comes that was never written");
	f->at = seq;
}

/* "id: 1.12\nevent: KIND\ndata: JSON\n\n" ..., of which a part may be missing. */
static void
check_stream(struct following *f, const char *text)
{
	const char *at = text, *stop, *why;

	for (; (stop = strstr(at, "\n\n")) != NULL; at = stop + 2) {
		char *frame = xstrndup(at, (size_t)(stop - at) + 1),
		     *data = strstr(frame, "data: "), *id = strstr(frame, "id: ");
		uint64_t seq = 0;
		int epoch;
		char kind[64];
		if (data != NULL) {
			must(id != NULL && sscanf(id, "id: %d.%" SCNu64, &epoch, &seq) == 2 &&
				epoch == 1,
			    "an event has no id");
			must(sscanf(strstr(frame, "event: "), "event: %63s", kind) == 1,
			    "an event has no kind");
			json_t *event = json_parse(data + 6, strcspn(data + 6, "\n"), &why);
			must(json_is_object(event) && strcmp(json_text(event, "kind"), kind) == 0,
			    "an event is another");
			json_decref(event);
			check_event(f, kind, seq);
		}
		free(frame);
	}
	must(*at == '\0', "a frame has no end");
}

static void
check_poll(struct following *f, const struct response *r)
{
	const char *why;
	json_t *body = json_parse(r->body, r->body_len, &why), *event;
	uint64_t seq;
	int epoch;
	size_t i;

	must(json_is_array(json_object_get(body, "events")), "a poll is answered without events");
	json_array_foreach (json_object_get(body, "events"), i, event) {
		must(sscanf(json_text(event, "id"), "%d.%" SCNu64, &epoch, &seq) == 2 && epoch == 1,
		    "an event has no id");
		check_event(f, json_text(event, "kind"), seq);
	}
	must(event_id_parse(json_text(body, "next"), &epoch, &seq) && epoch == 1 &&
		seq <= f->head && seq >= f->at,
	    "a poll cannot be gone on with");
	json_decref(body);
}

static struct following
following_of(const struct asked *a, struct house *h)
{
	const struct projection *p = tenant_projection(node_tenant(h->node, 1));
	struct following f = { .head = projection_seq(p),
		.all = strcmp(a->who, "sue") == 0 || strcmp(a->who, "adam") == 0 };
	uint64_t seq;
	int epoch;

	f.known = a->cursor[0] == '\0' ? strstr(a->query, "after") == NULL
				       : event_id_parse(a->cursor, &epoch, &seq) &&
		epoch == projection_epoch(p) && seq <= f.head;
	f.at = a->cursor[0] == '\0' ? f.head : f.known ? seq : 0;
	return f;
}

static void
request_write(struct buf *out, const struct asked *a)
{
	buf_printf(out, "GET /v1/events?%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n",
	    a->query, database_token(a->who));
	if (a->cursor[0] != '\0')
		buf_printf(out, "Last-Event-ID: %s\r\n", a->cursor);
	buf_printf(
	    out, "%s\r\n", strcmp(a->how, "stream") == 0 ? "Accept: text/event-stream\r\n" : "");
}

static void
check_answer(const struct asked *a, struct house *h, const struct visitor *v)
{
	const char *at = v->said.len > 0 ? v->said.data : "";
	struct following f = following_of(a, h);
	struct response r;

	if (!response_next(&r, &at, at + v->said.len, false))
		return; /* a poll that waits */
	must(r.status == 200 || r.status == 400 || r.status == 422,
	    "the answer is another than there is");
	/* With the query's cursor it is not said here what is right, only that it is a log. */
	if (r.status != 200 || (a->cursor[0] == '\0' && strstr(a->query, "after") != NULL))
		return;
	if (strcmp(a->how, "stream") == 0)
		check_stream(&f, r.body);
	else
		check_poll(&f, &r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct buf request = { 0 };
	struct visitor v;
	struct asked a;

	if (!asked_read(&a, text, text + size))
		return 0;
	struct house *house = house_new();
	visitor_enter(&v, house, FRONT_PLAIN);
	request_write(&request, &a);
	visitor_say(&v, request.data, request.len, 0);
	check_answer(&a, house, &v);
	visitor_leave(&v);
	house_free(house);
	buf_fini(&request);
	return 0;
}
