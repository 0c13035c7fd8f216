/*
 * main: arguments and signals; starts each room in order, runs the loop, stops
 * in reverse. Decides nothing.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <systemd/sd-daemon.h>

#include "api/api.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/descriptors.h"
#include "base/lag.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timer.h"
#include "base/work.h"
#include "net/http.h"
#include "node/node.h"

#define EXIT_CONFIG 78
#define STOP_GRACE_MS 3000
#define READY_LOOK_MS 100
#define SPARE_DESCRIPTORS 256 /* for the database, the log and whoever wants a file */

struct server {
	const char *conf_path;
	struct conf *conf;     /* what the rooms were started with; borrowed by them */
	struct conf *reloaded; /* the newest one, when it was read again */
	struct clock clock;
	struct event_base *base;
	struct lag *lag;
	struct work *work;
	struct node *node;
	struct api *api;
	struct http *http;
	struct event *on_term, *on_int, *on_hup, *ready;
	bool stopping;
	int status; /* to exit with */
};

static void
usage(int status)
{
	fprintf(status == 0 ? stdout : stderr,
	    "usage: callbackd [-DtV] [-f callbackd.conf]\n"
	    "  -f FILE  configuration (default " SYSCONFDIR "/callbackd.conf)\n"
	    "  -t       check the configuration and exit\n"
	    "  -D       print all settings with their defaults and exit\n"
	    "  -V       print the version and exit\n");
	exit(status);
}

static struct conf *
conf_read(const char *path)
{
	char *why;
	struct conf *conf = conf_load(path, &why);

	if (conf == NULL)
		die(EXIT_CONFIG, "conf: %s", why);
	return conf;
}

static void
log_level_apply(const struct conf *conf)
{
	enum log_level level;

	if (log_level_parse(conf->log_level, &level))
		log_level_set(level);
}

static void
on_node_stopped(void *arg)
{
	struct server *s = arg;

	event_base_loopbreak(s->base);
}

static void
on_http_stopped(void *arg)
{
	struct server *s = arg;

	node_stop(s->node, on_node_stopped, s);
}

static void
stop(struct server *s, const char *why)
{
	if (s->stopping)
		return;
	s->stopping = true;
	log_info("stopping=\"%s\"", why);
	sd_notify(0, "STOPPING=1");
	http_stop(s->http, STOP_GRACE_MS, on_http_stopped, s);
}

static void
on_stop(evutil_socket_t sig, short what, void *arg)
{
	(void)what;
	stop(arg, strsignal((int)sig));
}

/* What it would write from now on, others might misread. */
static void
on_outdated(void *arg)
{
	struct server *s = arg;

	s->status = EXIT_CONFIG;
	stop(s, "the schema is too new");
}

static void
on_reload(evutil_socket_t sig, short what, void *arg)
{
	struct server *s = arg;
	const char *fixed;
	char *why;

	(void)sig;
	(void)what;
	struct conf *conf = conf_load(s->conf_path, &why);
	if (conf == NULL || !http_reload(s->http, conf, &why)) {
		log_error("reload=refused why=\"%s\" the old configuration stays", why);
		free(why);
		conf_free(conf);
		return;
	}
	if ((fixed = conf_needs_restart(s->conf, conf)) != NULL)
		log_warn("reload=partial setting=%s only a restart changes it", fixed);
	log_level_apply(conf);
	api_reload(s->api, conf);
	conf_free(s->reloaded);
	s->reloaded = conf;
	log_info("reload=done");
}

/* systemd waits for READY: said once the first tenant can be served. */
static void
on_ready_look(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;

	(void)fd;
	(void)what;
	if (node_not_ready(s->node) != NULL) {
		timer_in(s->ready, READY_LOOK_MS);
		return;
	}
	log_info("ready=yes node=%s https=%d", s->conf->node_name,
	    front_port(http_front(s->http), FRONT_TLS));
	sd_notify(0, "READY=1\nSTATUS=serving");
}

static void
clock_start(struct server *s)
{
	int64_t ms;

	if (s->conf->test_clock[0] == '\0')
		return;
	if (!clock_parse(s->conf->test_clock, &ms))
		die(EXIT_CONFIG, "conf: test_clock is not a time: %s", s->conf->test_clock);
	s->clock.fake = true;
	s->clock.fake_ms = ms;
	log_warn("clock=fake now=%s", s->conf->test_clock);
}

/* Each connection may take three: its own and the pair that leads to libmicrohttpd. */
static void
descriptors_start(const struct server *s)
{
	int wanted = 3 * s->conf->connections + SPARE_DESCRIPTORS, room = descriptors_room(wanted);

	if (room < wanted)
		log_warn("descriptors=%d wanted=%d for connections=%d: raise the process's limit",
		    room, wanted, s->conf->connections);
}

static void
rooms_start(struct server *s)
{
	char *why;

	s->base = event_base_new();
	if (s->base == NULL)
		die(1, "main: no event base");
	s->lag = lag_new(s->base);
	s->work = work_new(s->base);
	s->node = node_new(s->base, s->conf, &s->clock);
	s->api = api_new(s->node, s->conf, s->work, s->lag);
	s->http = http_new(s->base, s->conf, &api_handlers, s->api, &why);
	if (s->http == NULL)
		die(1, "main: %s", why);
	api_bind(s->api, s->http);
	node_watch_schema(s->node, on_outdated, s);
	s->on_term = evsignal_new(s->base, SIGTERM, on_stop, s);
	s->on_int = evsignal_new(s->base, SIGINT, on_stop, s);
	s->on_hup = evsignal_new(s->base, SIGHUP, on_reload, s);
	s->ready = evtimer_new(s->base, on_ready_look, s);
	event_add(s->on_term, NULL);
	event_add(s->on_int, NULL);
	event_add(s->on_hup, NULL);
	timer_in(s->ready, READY_LOOK_MS);
}

static void
rooms_stop(struct server *s)
{
	event_free(s->ready);
	event_free(s->on_hup);
	event_free(s->on_int);
	event_free(s->on_term);
	work_free(s->work); /* first: a password that is still being hashed belongs to a request */
	http_free(s->http);
	node_free(s->node);
	api_free(s->api);
	lag_free(s->lag);
	event_base_free(s->base);
	conf_free(s->reloaded);
	conf_free(s->conf);
	libevent_global_shutdown();
}

int
main(int argc, char **argv)
{
	struct server s = { .conf_path = SYSCONFDIR "/callbackd.conf" };
	bool check = false;
	int c;

	while ((c = getopt(argc, argv, "DVf:th")) != -1)
		switch (c) {
		case 'D':
			conf_print_defaults(stdout);
			return 0;
		case 'V':
			puts("callbackd " PACKAGE_VERSION);
			return 0;
		case 'f':
			s.conf_path = optarg;
			break;
		case 't':
			check = true;
			break;
		default:
			usage(c == 'h' ? 0 : 2);
		}
	if (optind != argc)
		usage(2);

	signal(SIGPIPE, SIG_IGN);
	s.conf = conf_read(s.conf_path);
	log_level_apply(s.conf);
	if (check) {
		puts("configuration ok");
		conf_free(s.conf);
		return 0;
	}
	log_info("start=callbackd version=%s pid=%d conf=%s", PACKAGE_VERSION, (int)getpid(),
	    s.conf_path);
	clock_start(&s);
	descriptors_start(&s);
	rooms_start(&s);
	do
		lag_turn(s.lag);
	while (event_base_loop(s.base, EVLOOP_ONCE) == 0 && !event_base_got_break(s.base));
	rooms_stop(&s);
	log_info("stopped=callbackd");
	return s.status;
}
