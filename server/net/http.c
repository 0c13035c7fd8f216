/*
 * http: runs libmicrohttpd on the loop, behind the front's bridges, and stops
 * it cleanly. A request's course is in http_request.c. It must not know what is
 * asked.
 */
#include "net/http.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/log.h"
#include "net/http_impl.h"

/* Runs in a row before others get their turn. */
#define RUNS 8
/* The front counts; libmicrohttpd's own limit (1020 by default) must not be in the way. */
#define MHD_CONNECTIONS 4000000u
#define STOP_CHECK_MS 10

void
http_kick(struct http *h)
{
	event_active(h->kick, EV_TIMEOUT, 0);
}

static void
on_front_kick(void *arg)
{
	http_kick(arg);
}

static bool
on_front_open(void *arg, struct bridge *b, int fd, const struct sockaddr *sa, unsigned len)
{
	struct http *h = arg;

	h->opening = b;
	bool added = MHD_add_connection(h->daemon, fd, sa, len) == MHD_YES;
	h->opening = NULL;
	return added;
}

/*
 * STARTED comes from within MHD_add_connection(). CLOSED comes always, but
 * 0.9.75 does not say that the request has ended when an address has more
 * arguments than fit.
 */
static void
on_mhd_connection(
    void *arg, struct MHD_Connection *c, void **context, enum MHD_ConnectionNotificationCode code)
{
	struct http *h = arg;
	struct http_connection *connection = *context;

	(void)c;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = connection = xcalloc(1, sizeof(*connection));
		connection->bridge = h->opening;
		return;
	}
	if (connection->request != NULL)
		http_request_end(connection->request);
	bridge_release(connection->bridge);
	free(connection);
	*context = NULL;
}

static void
run(struct http *h)
{
	MHD_UNSIGNED_LONG_LONG ms = 0;

	http_hand_over_resumed(h);
	for (int i = 0; i < RUNS; i++) {
		MHD_run(h->daemon);
		if (MHD_get_timeout(h->daemon, &ms) != MHD_YES)
			return;
		if (ms > 0)
			break;
	}
	/* A timer, for event_active() would run in this same pass, before other connections. */
	struct timeval soon = { .tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000 * 1000) };
	evtimer_add(h->kick, &soon);
}

static void
on_run(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	run(arg);
}

/*
 * libmicrohttpd sets TCP options on our unix socket pair and complains three
 * times an answer; what else it says is about clients' mistakes.
 */
static void
on_mhd_log(void *arg, const char *format, va_list ap)
{
	char text[256];

	(void)arg;
	static const char *const noise[] = { "Setting %s option", "Failed to push the data",
		"Application reported internal error" };

	if (!log_level_on(LOG_LEVEL_DEBUG))
		return;
	for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++)
		if (strncmp(format, noise[i], strlen(noise[i])) == 0)
			return;
	vsnprintf(text, sizeof(text), format, ap);
	text[strcspn(text, "\n")] = '\0';
	log_debug("libmicrohttpd=\"%s\"", text);
}

static void
on_mhd_panic(void *arg, const char *file, unsigned line, const char *reason)
{
	(void)arg;
	log_error("libmicrohttpd=panic file=%s line=%u reason=\"%s\"", file, line,
	    reason != NULL ? reason : "");
	abort();
}

static struct MHD_Daemon *
start_daemon(struct http *h)
{
	MHD_set_panic_func(on_mhd_panic, NULL);
	return MHD_start_daemon(
	    MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
	    0, NULL, NULL, http_on_access, h, MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, h,
	    MHD_OPTION_CONNECTION_LIMIT, MHD_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
	    0u, /* the bridge owns the deadlines */
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_POOL_BYTES,
	    MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_URI_LOG_CALLBACK, http_on_uri, h,
	    MHD_OPTION_UNESCAPE_CALLBACK, http_on_unescape, h, MHD_OPTION_NOTIFY_COMPLETED,
	    http_on_completed, h, MHD_OPTION_NOTIFY_CONNECTION, on_mhd_connection, h,
	    MHD_OPTION_END);
}

struct http *
http_new(struct event_base *base, const struct conf *conf, const struct http_handlers *handlers,
    void *arg, char **why)
{
	struct http *h = xcalloc(1, sizeof(*h));

	h->base = base;
	h->conf = conf;
	h->handlers = *handlers;
	h->arg = arg;
	TAILQ_INIT(&h->parked);
	TAILQ_INIT(&h->resumed);
	TAILQ_INIT(&h->streams);
	h->trusted = address_set_new(conf->trusted_proxies);
	h->kick = evtimer_new(base, on_run, h);
	h->daemon = start_daemon(h);
	if (h->daemon == NULL) {
		*why = xstrdup("cannot start libmicrohttpd");
		goto fail;
	}
	int fd = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	h->epoll = event_new(base, fd, EV_READ | EV_PERSIST, on_run, h);
	event_add(h->epoll, NULL);
	h->front = front_new(base, conf, on_front_open, on_front_kick, h, why);
	if (h->front != NULL)
		return h;
fail:
	http_free(h);
	return NULL;
}

bool
http_reload(struct http *h, const struct conf *conf, char **why)
{
	if (!front_reload(h->front, conf, why))
		return false;
	h->conf = conf;
	address_set_free(h->trusted);
	h->trusted = address_set_new(conf->trusted_proxies);
	return true;
}

static void
on_stop_check(evutil_socket_t fd, short what, void *arg)
{
	struct http *h = arg;
	struct front_counts c = front_counts(h->front);

	(void)fd;
	(void)what;
	if (c.open > c.lingering && clock_mono_ms() < h->stop_by_ms)
		return;
	event_del(h->stop_check);
	h->stop_done(h->stop_arg);
}

void
http_stop(struct http *h, int grace_ms, void (*done)(void *), void *arg)
{
	assert(!h->stopping);
	h->stopping = true;
	h->stop_by_ms = clock_mono_ms() + grace_ms;
	h->stop_done = done;
	h->stop_arg = arg;
	front_close_doors(h->front);
	http_end_waits(h);
	stream_stop_all(h);
	front_drain(h->front);
	h->stop_check = event_new(h->base, -1, EV_PERSIST, on_stop_check, h);
	event_add(h->stop_check, &(struct timeval){ .tv_usec = STOP_CHECK_MS * 1000 });
}

/* A suspended connection would make MHD_stop_daemon() abort. */
static void
stop_daemon(struct http *h)
{
	h->freeing = true;
	http_end_waits(h);
	http_hand_over_resumed(h);
	MHD_run(h->daemon);
	MHD_stop_daemon(h->daemon);
	assert(TAILQ_EMPTY(&h->parked) && TAILQ_EMPTY(&h->resumed));
}

void
http_free(struct http *h)
{
	/* Before the daemon closes its epoll descriptor. */
	if (h->epoll != NULL)
		event_free(h->epoll);
	if (h->daemon != NULL)
		stop_daemon(h);
	if (h->front != NULL)
		front_free(h->front);
	assert(TAILQ_EMPTY(&h->streams));
	if (h->stop_check != NULL)
		event_free(h->stop_check);
	event_free(h->kick);
	address_set_free(h->trusted);
	free(h);
}

struct front *
http_front(struct http *h)
{
	return h->front;
}

struct http_counts
http_counts(const struct http *h)
{
	return h->counts;
}
