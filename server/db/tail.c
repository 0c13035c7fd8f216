/*
 * Listens on one connection of its own, in order: connected, LISTEN answered,
 * on_ready, notices. Must not know what an event is: a notice is a number.
 */
#include "db/tail.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <libpq-fe.h>

#include "base/log.h"
#include "base/mem.h"
#include "db/dial.h"

struct tail {
	struct event_base *base;
	struct dial *dial;
	PGconn *pg;	/* NULL while dialling */
	bool listening; /* the server has confirmed it */
	struct event *read, *watchdog;
	int patience_ms;
	const struct tail_handlers *handlers;
	void *arg;
};

static void on_up(void *, PGconn *);
static void on_readable(evutil_socket_t, short, void *);
static void on_watchdog(evutil_socket_t, short, void *);

struct tail *
tail_new(struct event_base *base, const struct conf *conf, const struct tail_handlers *handlers,
    void *arg)
{
	struct tail *t = xcalloc(1, sizeof(*t));
	t->base = base;
	t->patience_ms = dial_patience_ms(conf);
	t->handlers = handlers;
	t->arg = arg;
	t->watchdog = evtimer_new(base, on_watchdog, t);
	t->dial = dial_new(base, conf, "tail", 0, on_up, t);
	return t;
}

static void
tail_close(struct tail *t)
{
	evtimer_del(t->watchdog);
	if (t->read != NULL)
		event_free(t->read);
	t->read = NULL;
	PQfinish(t->pg);
	t->pg = NULL;
	t->listening = false;
}

void
tail_free(struct tail *t)
{
	if (t == NULL)
		return;
	tail_close(t);
	dial_free(t->dial);
	event_free(t->watchdog);
	free(t);
}

static void
tail_fail(struct tail *t, const char *why)
{
	log_warn("tail from=%s to=waiting why=\"%s\"", t->listening ? "listening" : "asking", why);
	tail_close(t);
	dial_again(t->dial);
}

static void
tail_fail_libpq(struct tail *t)
{
	char why[DIAL_WHY_SIZE];
	tail_fail(t, dial_why(t->pg, why));
}

static void
on_up(void *arg, PGconn *pg)
{
	struct tail *t = arg;
	struct timeval tv = { t->patience_ms / 1000, t->patience_ms % 1000 * 1000 };
	t->pg = pg;
	t->read = event_new(t->base, PQsocket(pg), EV_READ | EV_PERSIST, on_readable, t);
	event_add(t->read, NULL);
	evtimer_add(t->watchdog, &tv);
	/* So short that it fits into any socket's buffer: nothing to flush later. */
	if (!PQsendQuery(pg, "LISTEN callbackd"))
		tail_fail_libpq(t);
}

/* "tenant:seq", or "0:version" after an upgrade; false when it is none of ours. */
static bool
notice_read(const char *text, int *tenant_id, uint64_t *seq)
{
	char *end;
	errno = 0;
	long tenant = strtol(text, &end, 10);
	if (end == text || *end != ':' || tenant < 0 || tenant > INT_MAX)
		return false;
	const char *second = end + 1;
	if (*second < '0' || *second > '9')
		return false;
	*seq = strtoull(second, &end, 10);
	*tenant_id = (int)tenant;
	return *end == '\0' && errno == 0;
}

/* The answer to LISTEN. False when the connection failed. */
static bool
tail_take(struct tail *t, PGresult *res)
{
	if (res == NULL) {
		t->listening = true;
		evtimer_del(t->watchdog);
		dial_worked(t->dial);
		log_info("tail from=asking to=listening");
		t->handlers->on_ready(t->arg);
		return true;
	}
	bool good = PQresultStatus(res) == PGRES_COMMAND_OK;
	PQclear(res);
	if (!good)
		tail_fail_libpq(t);
	return good;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct tail *t = arg;
	PGnotify *n;
	(void)fd;
	(void)what;
	if (!PQconsumeInput(t->pg)) {
		tail_fail_libpq(t);
		return;
	}
	while (!t->listening && !PQisBusy(t->pg))
		if (!tail_take(t, PQgetResult(t->pg)))
			return;
	while ((n = PQnotifies(t->pg)) != NULL) {
		int tenant_id;
		uint64_t seq;
		if (notice_read(n->extra, &tenant_id, &seq))
			t->handlers->on_notice(t->arg, tenant_id, seq);
		else
			log_warn("tail notice=unknown from_process=%d", n->be_pid);
		PQfreemem(n);
	}
}

static void
on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	tail_fail(arg, "the server is silent");
}
