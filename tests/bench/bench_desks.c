/*
 * bench_desks: agents' desks, many in one process: each has an event stream and,
 * with "both", a connection for what it commands.
 *
 *	bench_desks PORT TOKENS streams|both
 *
 * TOKENS is a file with a session's token a line. "OPEN n" is printed when all
 * are connected. Then it obeys lines on standard input, each answered by a line
 * RESULT {...}:
 *
 *	watch N MS		until N offers came: how late after due_at
 *	finish MS		accepts and finishes what is offered now
 *	work N MS		accepts and finishes at once, until N are finished
 *	hear N EVERY_MS MS	the first desk changes its status N times: when every stream showed it
 *
 * MS is the longest that it may take. Lateness ends when the bytes were read
 * from the desk's socket. The end of the input ends the program.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "bench_wire.h"

#define ID 36	    /* characters of an id */
#define TOGETHER 32 /* desks that finish at the same time */

enum phase { IDLE, WATCH, FINISH, WORK, HEAR };
enum step { NOTHING, ACCEPTING, FINISHING, TELLING };

struct desk {
	struct wire *stream, *command;
	char *token;
	char offer[ID + 1], callback[ID + 1]; /* offered and not yet answered for; "" */
	enum step step;
	bool streaming; /* the stream's head was read */
};

static struct desk *desks;
static int ndesks, open_now, open_wanted;

static struct {
	enum phase kind;
	long want;
	int64_t until_us, start_us;
	double cpu;
	long offers, finished, refused, twice, scheduled;
	int64_t first_due_us, last_offer_us, last_finished_us;
	int64_t *late_us;
	size_t nlate, late_size;
	/* hear */
	long told, heard;
	int64_t every_us, told_at_us, last_heard_us;
	int64_t *last_us;
} now;

/* ---- what a desk says ---- */

static void
ask(struct desk *d, enum step step, const char *method, const char *path, const char *body)
{
	char text[1024];
	int len = snprintf(text, sizeof(text),
	    "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n"
	    "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
	    method, path, d->token, strlen(body), body);

	d->step = step;
	wire_send(d->command, text, (size_t)len);
}

static void
accept_offer(struct desk *d)
{
	char path[128];

	snprintf(path, sizeof(path), "/v1/offers/%s/accept", d->offer);
	ask(d, ACCEPTING, "POST", path, "{}");
}

/* The version is the number of the callback's last event: the answer to the acceptance shows it. */
static void
finish_callback(struct desk *d, const char *answer)
{
	const char *callback = strstr(answer, "\"callback\":{");
	const char *seq = callback != NULL ? strstr(callback, "\"seq\":") : NULL;
	char path[128], body[96];

	if (seq == NULL) {
		now.refused++;
		return;
	}
	snprintf(path, sizeof(path), "/v1/callbacks/%s/done", d->callback);
	snprintf(body, sizeof(body), "{\"version\":%" PRId64 ",\"disposition\":\"sold\"}",
	    (int64_t)strtoll(seq + 6, NULL, 10));
	d->offer[0] = '\0';
	ask(d, FINISHING, "POST", path, body);
}

static void
tell(struct desk *d)
{
	bool odd = now.told++ % 2 == 1;

	now.told_at_us = now.start_us + now.told * now.every_us;
	now.heard = 0;
	ask(d, TELLING, "PUT", "/v1/me/status",
	    odd ? "{\"state\":\"ready\"}" : "{\"state\":\"not_ready\",\"reason\":\"break\"}");
}

/* ---- what a desk hears ---- */

static void
sample(int64_t us)
{
	if (now.nlate == now.late_size) {
		now.late_size = now.late_size == 0 ? 4096 : now.late_size * 2;
		now.late_us = xreallocarray(now.late_us, now.late_size, sizeof(*now.late_us));
	}
	now.late_us[now.nlate++] = us;
}

static bool
copy_id(char out[ID + 1], const char *message, const char *before)
{
	const char *at = strstr(message, before);

	if (at == NULL || strlen(at) < strlen(before) + ID)
		return false;
	memcpy(out, at + strlen(before), ID);
	out[ID] = '\0';
	return true;
}

static void
on_offer(struct desk *d, const char *message, int64_t at_us)
{
	const char *due = strstr(message, "\"due_at\":\"");
	char text[CLOCK_TEXT_SIZE];
	int64_t due_ms;

	now.twice += d->offer[0] != '\0';
	if (due == NULL)
		die(1, "an offer without due_at: %s", message);
	snprintf(text, sizeof(text), "%s", due + 10);
	if (!clock_parse(text, &due_ms) || !copy_id(d->offer, message, "\"offer\":{\"id\":\"") ||
	    !copy_id(d->callback, message, "\"callback\":{\"id\":\""))
		die(1, "an offer that is not understood: %s", message);
	now.offers++;
	now.last_offer_us = at_us;
	if (now.first_due_us == 0 || due_ms * 1000 < now.first_due_us)
		now.first_due_us = due_ms * 1000;
	sample(at_us - due_ms * 1000);
	if (now.kind == WORK && d->step == NOTHING)
		accept_offer(d);
}

static void
on_status(int64_t at_us)
{
	if (now.kind != HEAR || now.told == 0)
		return;
	sample(at_us - now.told_at_us);
	now.last_heard_us = at_us;
	if (++now.heard == ndesks)
		now.last_us[now.told - 1] = at_us - now.told_at_us;
}

static void
on_message(struct desk *d, const char *message, int64_t at_us)
{
	const char *kind = strstr(message, "event: ");

	if (kind == NULL)
		return; /* a cursor */
	kind += 7;
	if (strncmp(kind, "offer.created\n", 14) == 0)
		on_offer(d, message, at_us);
	else if (strncmp(kind, "agent.ready\n", 12) == 0 ||
	    strncmp(kind, "agent.not_ready\n", 16) == 0)
		on_status(at_us);
	else if (strncmp(kind, "callback.scheduled\n", 19) == 0)
		now.scheduled++;
}

static void
on_stream_data(struct wire *w, int64_t at_us)
{
	struct desk *d = w->arg;
	char *from = w->in, *end;

	if (!d->streaming) {
		if ((end = strstr(from, "\r\n\r\n")) == NULL)
			return;
		if (strncmp(from, "HTTP/1.1 200", 12) != 0)
			die(1, "a stream was refused: %s", from);
		d->streaming = true;
		from = end + 4;
		open_now++;
	}
	while ((end = strstr(from, "\n\n")) != NULL) {
		*end = '\0';
		on_message(d, from, at_us);
		from = end + 2;
	}
	wire_eat(w, (size_t)(from - w->in));
}

static void
on_answer(struct desk *d, int status, const char *text, int64_t at_us)
{
	enum step step = d->step;

	d->step = NOTHING;
	if (status != 200) {
		now.refused++;
		fprintf(stderr, "refused: %.*s\n", 600, text);
	} else if (step == ACCEPTING) {
		finish_callback(d, text);
	} else if (step == FINISHING) {
		now.finished++;
		now.last_finished_us = at_us;
		/* The next offer may have come before this answer. */
		if (now.kind == WORK && d->offer[0] != '\0')
			accept_offer(d);
	}
}

static void
on_command_data(struct wire *w, int64_t at_us)
{
	int status;
	size_t len = wire_answer(w, &status);

	if (len == 0)
		return;
	char *text = xstrndup(w->in, len);

	wire_eat(w, len);
	on_answer(w->arg, status, text, at_us);
	free(text);
}

static void
on_stream_open(struct wire *w)
{
	const struct desk *d = w->arg;
	char text[512];
	int len = snprintf(text, sizeof(text),
	    "GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n"
	    "Authorization: Bearer %s\r\n\r\n",
	    d->token);

	wire_send(w, text, (size_t)len);
}

static void
on_command_open(struct wire *w)
{
	(void)w;
	open_now++;
}

static void
on_close(struct wire *w)
{
	die(1, "the server closed a desk's connection: %.*s", 400, w->in != NULL ? w->in : "");
}

static const struct wire_events stream_events = { on_stream_open, on_stream_data, on_close };
static const struct wire_events command_events = { on_command_open, on_command_data, on_close };

/* ---- what it is told to do ---- */

static void
report(void)
{
	int64_t took_us = wire_now_us() - now.start_us;
	size_t n = now.nlate;

	printf("RESULT {\"offers\": %ld, \"finished\": %ld, \"refused\": %ld, \"twice\": %ld, "
	       "\"scheduled\": %ld, \"told\": %ld, \"samples\": %zu, \"seconds\": %.6f, \"cpu\": "
	       "%.3f, "
	       "\"offers_seconds\": %.6f, \"finished_seconds\": %.6f, "
	       "\"least_ms\": %.3f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, "
	       "\"last_p50_ms\": %.3f}\n",
	    now.offers, now.finished, now.refused, now.twice, now.scheduled, now.told, n,
	    (double)took_us / 1e6, wire_cpu() - now.cpu,
	    (double)(now.last_offer_us - now.first_due_us) / 1e6,
	    (double)(now.last_finished_us - now.first_due_us) / 1e6,
	    wire_percentile(now.late_us, n, 0), wire_percentile(now.late_us, n, 0.5),
	    wire_percentile(now.late_us, n, 0.99), wire_percentile(now.late_us, n, 1),
	    now.last_us != NULL ? wire_percentile(now.last_us, (size_t)now.told, 0.5) : 0);
	fflush(stdout);
	free(now.late_us);
	free(now.last_us);
	memset(&now, 0, sizeof(now));
}

/* A few at a time, as people do; true when nothing is left. */
static bool
finish_step(void)
{
	int busy = 0;

	for (int i = 0; i < ndesks; i++)
		busy += desks[i].step != NOTHING;
	for (int i = 0; i < ndesks && busy < TOGETHER; i++)
		if (desks[i].offer[0] != '\0' && desks[i].step == NOTHING) {
			accept_offer(&desks[i]);
			busy++;
		}
	return busy == 0;
}

/* Told once that all have heard, and it is time. */
static bool
hear_step(int64_t at_us)
{
	bool all = now.told == 0 || (now.heard >= ndesks && desks[0].step == NOTHING);

	if (all && now.told == now.want)
		return true;
	if (all && at_us >= now.start_us + (now.told + 1) * now.every_us)
		tell(&desks[0]);
	return false;
}

static void
phase_look(void)
{
	int64_t at_us = wire_now_us();
	bool over = false;

	switch (now.kind) {
	case IDLE:
		return;
	case WATCH:
		over = now.offers >= now.want;
		break;
	case FINISH:
		over = finish_step();
		break;
	case WORK:
		over = now.finished >= now.want;
		break;
	case HEAR:
		over = hear_step(at_us);
		break;
	}
	if (over || at_us >= now.until_us)
		report();
}

static void
obey(const char *line)
{
	long first = 0, second = 0, third = 0;
	char word[16];
	int n = sscanf(line, "%15s %ld %ld %ld", word, &first, &second, &third);

	now.start_us = wire_now_us();
	now.cpu = wire_cpu();
	now.want = first;
	if (n == 3 && strcmp(word, "watch") == 0) {
		now.kind = WATCH;
		now.until_us = now.start_us + second * 1000;
	} else if (n == 2 && strcmp(word, "finish") == 0) {
		now.kind = FINISH;
		now.until_us = now.start_us + first * 1000;
	} else if (n == 3 && strcmp(word, "work") == 0) {
		now.kind = WORK;
		now.until_us = now.start_us + second * 1000;
	} else if (n == 4 && strcmp(word, "hear") == 0) {
		now.kind = HEAR;
		now.every_us = second * 1000;
		now.until_us = now.start_us + third * 1000;
		now.last_us = xcalloc((size_t)first, sizeof(*now.last_us));
	} else {
		die(1, "not understood: %s", line);
	}
}

static void
on_input(void)
{
	static char text[256];
	static size_t len;
	ssize_t got = read(STDIN_FILENO, text + len, sizeof(text) - 1 - len);
	char *end;

	if (got <= 0)
		exit(0);
	len += (size_t)got;
	text[len] = '\0';
	while ((end = strchr(text, '\n')) != NULL) {
		*end = '\0';
		obey(text);
		len -= (size_t)(end + 1 - text);
		memmove(text, end + 1, len + 1);
	}
}

static void
desks_open(const char *path, bool both)
{
	FILE *file = fopen(path, "r");
	char line[256];

	if (file == NULL)
		die(1, "%s cannot be read", path);
	while (fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		desks = xreallocarray(desks, (size_t)ndesks + 1, sizeof(*desks));
		desks[ndesks++] = (struct desk){ .token = xstrdup(line) };
	}
	fclose(file);
	for (int i = 0; i < ndesks; i++) {
		desks[i].stream = wire_new(&stream_events, &desks[i]);
		if (both || i == 0)
			desks[i].command = wire_new(&command_events, &desks[i]);
	}
	open_wanted = both ? 2 * ndesks : ndesks + 1;
}

int
main(int argc, char **argv)
{
	if (argc != 4)
		die(2, "usage: bench_desks PORT TOKENS streams|both");
	wire_start(atoi(argv[1]));
	desks_open(argv[2], strcmp(argv[3], "both") == 0);
	wire_listen(STDIN_FILENO, on_input);
	while (open_now < open_wanted)
		wire_turn(1000);
	printf("OPEN %d\n", ndesks);
	fflush(stdout);
	for (;;) {
		wire_turn(now.kind == HEAR ? 1 : 50);
		phase_look();
	}
}
