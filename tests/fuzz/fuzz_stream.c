/*
 * fuzz_stream: the bytes of one connection, through the bridge and libmicrohttpd
 * to handlers that look at every text they get, and back. The first line says
 * the door, in what pieces they come, and how it ends:
 *
 *	plain 0 waits        (or: unix; tls: encrypted on their way; raw: they are the TLS itself)
 *	GET / HTTP/1.1 ...
 *
 * What comes back is a row of well-formed answers, and every request that a
 * handler saw has ended when the connection has.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <event2/event.h>

#include "base/json.h"
#include "base/mem.h"
#include "database.h"
#include "house.h"
#include "net/http_impl.h"

#define BODY_MAX 4096
/* Of the door of those who come with raw TLS, the first bytes of it alone cost the most. */
#define PIECES_MAX 512

int LLVMFuzzerInitialize(int *, char ***);
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* What is going on behind the doors. */
static struct {
	struct house *house;
	int begun, ended;  /* requests */
	int taken, closed; /* streams */
	struct http_request *parked;
	struct event *resume;
} floor;

static void
check_text(const char *text)
{
	if (text != NULL)
		must(utf8_ok(text, strlen(text)), "a text of the request is not UTF-8");
}

static enum MHD_Result
check_field(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	(void)arg, (void)kind;
	check_text(name);
	check_text(value);
	for (const char *p = value; p != NULL && *p != '\0'; p++)
		must(*p != '\r' && *p != '\n', "a field of the request has a line's end");
	return MHD_YES;
}

/* What http.h promises of a head. */
static void
check_head(struct http_request *req)
{
	const char *length = http_header(req, "Content-Length"),
		   *encoding = http_header(req, "Transfer-Encoding");

	check_text(http_method(req));
	check_text(http_path(req));
	must(http_path(req)[0] == '/' || strcmp(http_path(req), "*") == 0, "a path is none");
	MHD_get_connection_values(req->mhd, MHD_HEADER_KIND, check_field, NULL);
	MHD_get_connection_values(req->mhd, MHD_COOKIE_KIND, check_field, NULL);
	must(length == NULL || encoding == NULL, "a body has two ends");
	check_text(http_query(req, "a"));
	check_text(http_cookie(req, "a"));
	must(strlen(http_peer(req)) > 0 && strlen(http_peer(req)) < ADDRESS_TEXT_SIZE,
	    "a peer has no address");
}

static int64_t
on_head(struct http_request *req, void *arg)
{
	(void)arg;
	floor.begun++;
	check_head(req);
	/* For check_answers(): what follows is only a head. */
	if (req->is_head)
		http_answer_header(req, "X-Head", "yes");
	if (strcmp(http_path(req), "/early") == 0) {
		http_problem(req, 404, "none", "There is nothing here.", NULL, 0);
		return -1;
	}
	return BODY_MAX;
}

static void
answer(struct http_request *req)
{
	size_t len;
	const void *body = http_body(req, &len);

	http_answer_header(req, "X-Path", http_path(req));
	http_answer(req, 200, "text/plain", body, len);
}

static void
on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct http_request *req = floor.parked;

	(void)fd, (void)what, (void)arg;
	if (req == NULL)
		return;
	floor.parked = NULL;
	answer(req);
	http_resume(req);
}

static void
on_gone(void *arg)
{
	must(floor.parked == arg, "somebody is told that he is gone, and does not wait");
	floor.parked = NULL;
}

static void
on_close(void *arg, const char *why)
{
	(void)arg;
	must(why != NULL && *why != '\0', "a stream ends without a reason");
	floor.closed++;
}

static enum http_verdict
on_request(struct http_request *req, void *arg)
{
	const char *path = http_path(req);
	size_t len;

	(void)arg;
	(void)http_body(req, &len);
	must(len <= BODY_MAX, "a body is longer than it may be");
	if (strcmp(path, "/wait") == 0 && floor.parked == NULL) {
		floor.parked = req;
		http_park(req, "test", 60000, on_gone, req);
		if (http_query(req, "long") == NULL)
			event_active(floor.resume, EV_TIMEOUT, 0);
		return HTTP_WAIT;
	}
	if (strcmp(path, "/stream") == 0) {
		floor.taken++;
		struct stream *s = http_take_stream(req, 200, "text/event-stream", on_close, NULL);
		if (stream_write(s, "id: 1\n\n", 7) && http_query(req, "end") != NULL)
			stream_finish(s, "done");
		return HTTP_DONE;
	}
	if (strcmp(path, "/later") == 0) {
		floor.taken++;
		stream_answer(http_take_answer(req, on_close, NULL), 200, "text/plain", "late", 4);
		return HTTP_DONE;
	}
	answer(req);
	return HTTP_DONE;
}

static void
on_end(struct http_request *req, void *arg)
{
	(void)req, (void)arg;
	floor.ended++;
	must(floor.ended <= floor.begun && req != floor.parked,
	    "a request ends that has not begun, or that waits");
}

static const struct http_handlers handlers = {
	.on_head = on_head, .on_request = on_request, .on_end = on_end
};

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	house_init();
	return 0;
}

static bool
head_has(const char *head, const char *blank, const char *field)
{
	return memmem(head, (size_t)(blank - head), field, strlen(field)) != NULL;
}

/*
 * What libmicrohttpd refuses by itself it answers by itself, and closes. 0.9.75 says that head twice when the length
 * is too large a number: nobody is asked again on this connection, so it does no harm.
 */
static bool
is_libmicrohttpds(const char *head, const char *blank, bool last)
{
	return last && !head_has(head, blank, "\r\nX-Content-Type-Options: nosniff");
}

static void
check_answers(const struct visitor *v, enum front_door door)
{
	const char *at = v->said.len > 0 ? v->said.data : "", *end = at + v->said.len;
	struct response r;

	while (at < end) {
		const char *blank = memmem(at, (size_t)(end - at), "\r\n\r\n", 4);
		must(blank != NULL, "an answer's head has no end");
		bool last = head_has(at, blank, "\r\nConnection: close");
		if (is_libmicrohttpds(at, blank, last))
			return;
		/* One that was refused before a handler saw it ends the connection: with or without its body. */
		bool headless = last && blank + 4 == end;
		response_next(&r, &at, end, headless || head_has(at, blank, "\r\nX-Head: yes"));
		must(!last || at == end, "something follows the last answer");
		if (r.status >= 200 && door == FRONT_TLS)
			must(head_has(r.head, blank, "Strict-Transport-Security:"),
			    "an answer over TLS does not insist on it");
	}
}

/* Its bytes behind the first line; false when there is none. */
static bool
input_read(
    const uint8_t *data, size_t size, char door[8], unsigned *piece, char ending[8], size_t *start)
{
	const uint8_t *line = memchr(data, '\n', size);
	char text[64];

	if (line == NULL || line - data >= (ptrdiff_t)sizeof(text))
		return false;
	memcpy(text, data, (size_t)(line - data));
	text[line - data] = '\0';
	*start = (size_t)(line - data) + 1;
	*piece = 0;
	strcpy(ending, "waits");
	return sscanf(text, "%7s %u %7s", door, piece, ending) >= 1;
}

static void
connection(struct house *h, const char *name, const uint8_t *data, size_t len, size_t piece,
    const char *ending)
{
	enum front_door door = strcmp(name, "unix") == 0	   ? FRONT_UNIX
	    : strcmp(name, "tls") == 0 || strcmp(name, "raw") == 0 ? FRONT_TLS
								   : FRONT_PLAIN;
	struct visitor v;

	if (piece > 0 && len / piece > PIECES_MAX)
		piece = len / PIECES_MAX + 1;
	visitor_enter(&v, h, door);
	if (strcmp(name, "tls") == 0)
		must(visitor_shake_hands(&v), "two who speak TLS do not agree");
	visitor_say(&v, data, len, piece);
	if (strcmp(ending, "stops") == 0)
		visitor_stop_talking(&v);
	if (strcmp(name, "raw") != 0)
		check_answers(&v, door);
	visitor_leave(&v);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char door[8], ending[8];
	unsigned piece;
	size_t start;

	if (!input_read(data, size, door, &piece, ending, &start))
		return 0;
	memset(&floor, 0, sizeof(floor));
	floor.house = house_new_net(&handlers, NULL);
	floor.resume = event_new(floor.house->base, -1, 0, on_resume, NULL);
	connection(floor.house, door, data + start, size - start, piece, ending);
	event_free(floor.resume);
	house_free(floor.house);
	must(floor.begun == floor.ended && floor.taken == floor.closed && floor.parked == NULL,
	    "a request or a stream has not ended");
	return 0;
}
