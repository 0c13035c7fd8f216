/*
 * One attempt at a connection after the other, never blocking the loop (but
 * for the look-up of a host's name, which libpq does at once: conninfo should
 * name a socket folder or a hostaddr). Of several hosts each has its own short
 * attempt, in turn, until one is a primary. Must not know statements or queries.
 */
#include "db/dial.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/conf.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/hosts.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 5000
/* With several hosts one of them is about to become the primary. */
#define BACKOFF_HOSTS_MAX_MS 1000
#define HOST_PATIENCE_MS 2000

struct dial {
	struct event_base *base;
	const char *name;
	int number;
	char *conninfo, *options;
	struct hosts *hosts;
	size_t at, tried; /* the host of this attempt, and how many before it since the back-off */
	bool worked;	  /* the connection handed over last did: its host is the first again */
	int patience_ms;  /* with one attempt */
	int backoff_ms;
	PGconn *pg;	     /* while connecting; else NULL */
	struct event *ready; /* one shot, while connecting */
	struct event *timer; /* connecting: the attempt's deadline; else the back-off */
	dial_up_fn up;
	void *arg;
};

static void on_timer(evutil_socket_t, short, void *);
static void on_socket(evutil_socket_t, short, void *);
static void on_notice(void *, const PGresult *);

/* The settings that all our statements rely on, after those the operator gave. */
static char *
options_merge(const struct conf *conf)
{
	const char *theirs = NULL;
	PQconninfoOption *parsed = PQconninfoParse(conf->conninfo, NULL);
	for (PQconninfoOption *o = parsed; o != NULL && o->keyword != NULL; o++)
		if (strcmp(o->keyword, "options") == 0)
			theirs = o->val;
	char *merged = xasprintf("%s%s-c statement_timeout=%d -c search_path=callbackd,public"
				 " -c TimeZone=UTC -c jit=off",
	    theirs != NULL ? theirs : "", theirs != NULL ? " " : "", conf->statement_timeout_ms);
	PQconninfoFree(parsed);
	return merged;
}

static void
timer_set(struct dial *d, int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };
	evtimer_add(d->timer, &tv);
}

struct dial *
dial_new(struct event_base *base, const struct conf *conf, const char *name, int number,
    dial_up_fn up, void *arg)
{
	struct dial *d = xcalloc(1, sizeof(*d));
	d->base = base;
	d->name = name;
	d->number = number;
	d->conninfo = xstrdup(conf->conninfo);
	d->options = options_merge(conf);
	d->hosts = hosts_new(conf->conninfo);
	d->patience_ms = hosts_patience_ms(d->hosts);
	if (d->patience_ms == 0)
		d->patience_ms =
		    hosts_count(d->hosts) > 1 ? HOST_PATIENCE_MS : dial_patience_ms(conf);
	d->backoff_ms = BACKOFF_FIRST_MS;
	d->timer = evtimer_new(base, on_timer, d);
	d->up = up;
	d->arg = arg;
	timer_set(d, 0);
	return d;
}

static void
attempt_end(struct dial *d)
{
	evtimer_del(d->timer);
	if (d->ready != NULL)
		event_free(d->ready);
	d->ready = NULL;
	d->pg = NULL;
}

void
dial_free(struct dial *d)
{
	if (d == NULL)
		return;
	PGconn *pg = d->pg;
	attempt_end(d);
	PQfinish(pg);
	event_free(d->timer);
	hosts_free(d->hosts);
	free(d->conninfo);
	free(d->options);
	free(d);
}

/* Half of the wait is chance, so that many nodes do not come back together. */
static void
back_off(struct dial *d)
{
	int max = hosts_count(d->hosts) > 1 ? BACKOFF_HOSTS_MAX_MS : BACKOFF_MAX_MS;
	uint32_t half = (uint32_t)d->backoff_ms / 2;
	timer_set(d, (int)(half + arc4random_uniform(half + 1)));
	d->backoff_ms = d->backoff_ms < max / 2 ? d->backoff_ms * 2 : max;
}

/* The next host at once, until all were tried. One that worked is tried again first: it may have crashed only. */
void
dial_again(struct dial *d)
{
	if (d->worked) {
		d->tried = 0;
		d->worked = false;
		back_off(d);
		return;
	}
	d->at = (d->at + 1) % hosts_count(d->hosts);
	if (++d->tried < hosts_count(d->hosts)) {
		timer_set(d, 0);
		return;
	}
	d->tried = 0;
	back_off(d);
}

void
dial_worked(struct dial *d)
{
	d->worked = true;
	d->backoff_ms = BACKOFF_FIRST_MS;
}

int
dial_patience_ms(const struct conf *conf)
{
	return conf->statement_timeout_ms < INT_MAX - 2000 ? conf->statement_timeout_ms + 2000
							   : INT_MAX;
}

const char *
dial_why(const PGconn *pg, char out[DIAL_WHY_SIZE])
{
	const char *in = pg != NULL ? PQerrorMessage(pg) : "out of memory";
	size_t len = 0;
	for (; *in != '\0' && len < DIAL_WHY_SIZE - 1; in++)
		out[len++] = (unsigned char)*in < ' ' ? ' ' : *in == '"' ? '\'' : *in;
	while (len > 0 && out[len - 1] == ' ')
		len--;
	out[len] = '\0';
	return out;
}

static void
attempt_fail(struct dial *d, const char *why)
{
	PGconn *pg = d->pg;
	attempt_end(d);
	PQfinish(pg);
	log_warn("%s connection=%d from=connecting to=waiting why=\"%s\"", d->name, d->number, why);
	dial_again(d);
}

static void
attempt_poll(struct dial *d)
{
	char why[DIAL_WHY_SIZE];
	/* libpq may close the socket and open another under the same number. */
	if (d->ready != NULL)
		event_free(d->ready);
	d->ready = NULL;
	PostgresPollingStatusType status = PQconnectPoll(d->pg);
	if (status == PGRES_POLLING_READING || status == PGRES_POLLING_WRITING) {
		short what = status == PGRES_POLLING_READING ? EV_READ : EV_WRITE;
		d->ready = event_new(d->base, PQsocket(d->pg), what, on_socket, d);
		event_add(d->ready, NULL);
	} else if (status == PGRES_POLLING_OK) {
		PGconn *pg = d->pg;
		attempt_end(d);
		d->up(d->arg, pg);
	} else {
		attempt_fail(d, dial_why(d->pg, why));
	}
}

static void
attempt_start(struct dial *d)
{
	/*
	 * The operator's conninfo overrides what stands before it; what follows overrides
	 * it, unless it is NULL. A machine that lost its power says nothing: keepalives
	 * find that out for who only listens, tcp_user_timeout for who has asked.
	 */
	static const char *const keys[] = { "application_name", "keepalives_idle",
		"keepalives_interval", "keepalives_count", "tcp_user_timeout", "dbname",
		"client_encoding", "options", "host", "hostaddr", "port", NULL };
	struct host h = hosts_get(d->hosts, d->at);
	const char *const values[] = { "callbackd", "10", "5", "3", "5000", d->conninfo, "UTF8",
		d->options, h.host, h.hostaddr, h.port, NULL };
	char why[DIAL_WHY_SIZE];
	d->pg = PQconnectStartParams(keys, values, 1);
	if (d->pg == NULL || PQstatus(d->pg) == CONNECTION_BAD) {
		attempt_fail(d, dial_why(d->pg, why));
		return;
	}
	PQsetNoticeReceiver(d->pg, on_notice, d);
	timer_set(d, d->patience_ms);
	d->ready = event_new(d->base, PQsocket(d->pg), EV_WRITE, on_socket, d);
	event_add(d->ready, NULL);
}

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	attempt_poll(arg);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct dial *d = arg;
	(void)fd;
	(void)what;
	if (d->pg == NULL)
		attempt_start(d);
	else
		attempt_fail(d, "timed out");
}

/*
 * Only the primary message: DETAIL and CONTEXT may quote a parameter, and those
 * hold telephone numbers.
 */
static void
on_notice(void *arg, const PGresult *res)
{
	const struct dial *d = arg;
	const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	log_info("%s connection=%d notice=%s sqlstate=%s text=\"%.*s\"", d->name, d->number,
	    severity != NULL ? severity : "", state != NULL ? state : "",
	    text != NULL ? (int)strcspn(text, "\r\n") : 0, text != NULL ? text : "");
}
