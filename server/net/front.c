/*
 * front: opens the doors, counts who comes in, and hands each connection to a
 * bridge. It must not know what the connections say.
 */
#include "net/front.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/listener.h>
#include <openssl/ssl.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/address.h"
#include "net/front_impl.h"
#include "net/tls.h"

#define BACKLOG 4096
/* A vanished client (no FIN) is noticed after about this long, streams too. */
#define DEAD_PEER_S 60
/* With more unsent in the kernel (by default megabytes fit) we see that the client is slow. */
#define UNSENT_BYTES 131072
#define REFUSAL_SAID_MS 1000

struct front_listener {
	TAILQ_ENTRY(front_listener) link;
	struct front *front;
	enum front_door door;
	struct evconnlistener *accepting;
	struct event *retry; /* after running out of descriptors */
	bool resting;	     /* until the next turn of the loop */
	int port;
	char *path; /* of the unix socket */
};

static int
visitor_compare(const struct front_visitor *a, const struct front_visitor *b)
{
	return memcmp(a->network.bytes, b->network.bytes, sizeof(a->network.bytes));
}

RB_GENERATE_INTERNAL(
    front_visitor_tree, front_visitor, node, visitor_compare, static __attribute__((unused)))

/* NULL when the address has all the connections it may. */
static struct front_visitor *
visitor_enter(struct front *f, struct address address)
{
	struct front_visitor key = { .network = address_network(address) };
	struct front_visitor *v = RB_FIND(front_visitor_tree, &f->visitors, &key);

	if (v == NULL) {
		v = xcalloc(1, sizeof(*v));
		v->network = key.network;
		RB_INSERT(front_visitor_tree, &f->visitors, v);
	}
	if (v->open >= f->conf->connections_per_address)
		return NULL;
	v->open++;
	return v;
}

void
front_leave(struct front *f, struct front_visitor *v)
{
	if (v != NULL && --v->open == 0) {
		RB_REMOVE(front_visitor_tree, &f->visitors, v);
		free(v);
	}
}

/* A line a second says that there are such; the metrics say how many. */
static void
refuse(struct front *f, int fd, const struct sockaddr *sa, uint64_t *count, const char *why)
{
	int64_t now_ms = clock_mono_ms();
	char peer[ADDRESS_TEXT_SIZE] = "unix";
	struct address address;

	++*count;
	close(fd);
	if (now_ms - f->refusal_said_ms < REFUSAL_SAID_MS)
		return;
	f->refusal_said_ms = now_ms;
	if (address_of(sa, &address))
		address_format(&address, peer);
	log_warn("connection=refused peer=%s why=\"%s\" so_far=%llu", peer, why,
	    (unsigned long long)*count);
}

static void
let_in(const struct front_listener *l, int fd, const struct sockaddr *sa, socklen_t len)
{
	struct front *f = l->front;
	struct front_visitor *v = NULL;
	struct address address;

	if (f->counts.open >= (uint64_t)f->conf->connections) {
		refuse(f, fd, sa, &f->counts.refused_total, "all connections are in use");
		return;
	}
	/* Plain doors are for our own proxy and operator; a proxy's address stands for many. */
	if (l->door == FRONT_TLS && address_of(sa, &address) &&
	    !address_set_has(f->trusted, &address)) {
		v = visitor_enter(f, address);
		if (v == NULL) {
			refuse(f, fd, sa, &f->counts.refused_address,
			    "the address has all that it may");
			return;
		}
	}
	f->counts.accepted++;
	bridge_new(f, fd, l->door, sa, len, v);
}

static void
on_accept(
    struct evconnlistener *accepting, evutil_socket_t fd, struct sockaddr *sa, int len, void *arg)
{
	struct front_listener *l = arg;

	let_in(l, fd, sa, (socklen_t)len);
	/* libevent would go on until the backlog is empty, and to refuse is work, too. */
	if (!front_turn_accept(l->front)) {
		l->resting = true;
		evconnlistener_disable(accepting);
	}
}

void
front_accept_again(struct front *f)
{
	struct front_listener *l;

	TAILQ_FOREACH (l, &f->listeners, link) {
		if (l->resting && !evtimer_pending(l->retry, NULL))
			evconnlistener_enable(l->accepting);
		l->resting = false;
	}
}

static void
on_accept_error(struct evconnlistener *accepting, void *arg)
{
	struct front_listener *l = arg;
	int e = EVUTIL_SOCKET_ERROR();

	if (e != EMFILE && e != ENFILE && e != ENOBUFS && e != ENOMEM) {
		log_warn("front=accept error=\"%s\"", strerror(e));
		return;
	}
	/* The connection stays in the backlog, so an enabled listener would spin. */
	log_warn("front=accept error=\"%s\" pause_ms=1000", strerror(e));
	evconnlistener_disable(accepting);
	evtimer_add(l->retry, &(struct timeval){ .tv_sec = 1 });
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	evconnlistener_enable(((struct front_listener *)arg)->accepting);
}

static void
listener_free(struct front_listener *l)
{
	TAILQ_REMOVE(&l->front->listeners, l, link);
	evconnlistener_free(l->accepting);
	event_free(l->retry);
	if (l->path != NULL)
		unlink(l->path);
	free(l->path);
	free(l);
}

/* Takes the bound fd; false when it cannot listen. */
static bool
listener_new(struct front *f, enum front_door door, int fd, const char *path)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);
	struct front_listener *l = xcalloc(1, sizeof(*l));

	l->front = f;
	l->door = door;
	l->accepting = evconnlistener_new(
	    f->base, on_accept, l, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG, fd);
	if (l->accepting == NULL) {
		free(l);
		return false;
	}
	evconnlistener_set_error_cb(l->accepting, on_accept_error);
	l->retry = evtimer_new(f->base, on_retry, l);
	l->path = path != NULL ? xstrdup(path) : NULL;
	getsockname(fd, (struct sockaddr *)&sa, &len);
	if (sa.ss_family == AF_INET)
		l->port = ntohs(((struct sockaddr_in *)(void *)&sa)->sin_port);
	else if (sa.ss_family == AF_INET6)
		l->port = ntohs(((struct sockaddr_in6 *)(void *)&sa)->sin6_port);
	TAILQ_INSERT_TAIL(&f->listeners, l, link);
	return true;
}

static void
set_int(int fd, int level, int option, int value)
{
	setsockopt(fd, level, option, &value, sizeof(value));
}

/* Accepted sockets inherit these; REUSEPORT lets several processes share a door. */
static void
set_tcp_options(int fd)
{
	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES);
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, DEAD_PEER_S);
	set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, DEAD_PEER_S / 4);
	set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, DEAD_PEER_S * 1000);
}

static bool
is_loopback(const struct sockaddr_storage *sa)
{
	static const struct address v6_loopback = { .bytes = { [15] = 1 } };
	struct address a;

	if (!address_of((const struct sockaddr *)sa, &a))
		return false;
	return sa->ss_family == AF_INET ? a.bytes[12] == 127
					: memcmp(a.bytes, v6_loopback.bytes, sizeof(a.bytes)) == 0;
}

static bool
open_tcp_door(struct front *f, enum front_door door, const char *name, char **why)
{
	struct sockaddr_storage sa;
	size_t len = address_socket(name, &sa);

	if (len == 0) {
		*why = xasprintf("%s is not a numeric address with a port", name);
		return false;
	}
	if (door == FRONT_PLAIN && !is_loopback(&sa)) {
		*why = xasprintf(
		    "%s is not a loopback address; plain HTTP is for this machine only", name);
		return false;
	}
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		set_tcp_options(fd);
		if (bind(fd, (struct sockaddr *)&sa, (socklen_t)len) == 0 &&
		    listener_new(f, door, fd, NULL))
			return true;
	}
	*why = xasprintf("cannot listen on %s: %s", name, strerror(errno));
	if (fd >= 0)
		close(fd);
	return false;
}

static bool
open_tcp_doors(struct front *f, enum front_door door, const char *names, char **why)
{
	char *copy = xstrdup(names != NULL ? names : "");
	char *rest = copy, *name;
	bool opened = true;

	while (opened && (name = strtok_r(rest, " \t", &rest)) != NULL)
		opened = open_tcp_door(f, door, name, why);
	free(copy);
	return opened;
}

/* A socket nobody answers at is left by a process that was killed: removes it. */
static bool
clear_stale_socket(const struct sockaddr_un *sa, char **why)
{
	struct stat st;

	if (lstat(sa->sun_path, &st) != 0)
		return true;
	if (!S_ISSOCK(st.st_mode)) {
		*why = xasprintf("%s exists and is not a socket", sa->sun_path);
		return false;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool stale = fd >= 0 && connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) != 0 &&
	    errno == ECONNREFUSED;
	if (fd >= 0)
		close(fd);
	if (stale && unlink(sa->sun_path) == 0)
		return true;
	*why = xasprintf("%s is in use by another process", sa->sun_path);
	return false;
}

static bool
open_unix_door(struct front *f, const char *path, char **why)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (path == NULL || *path == '\0')
		return true;
	if (strlen(path) >= sizeof(sa.sun_path)) {
		*why = xasprintf(
		    "%s: a socket's path may have %zu bytes", path, sizeof(sa.sun_path) - 1);
		return false;
	}
	strcpy(sa.sun_path, path);
	if (!clear_stale_socket(&sa, why))
		return false;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* The mask, not a later chmod(): nobody may slip in between. */
	mode_t mask = umask(0177);
	int bound = fd >= 0 ? bind(fd, (struct sockaddr *)&sa, sizeof(sa)) : -1;
	umask(mask);
	if (bound == 0 && listener_new(f, FRONT_UNIX, fd, path))
		return true;
	*why = xasprintf("cannot listen on %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return false;
}

static void
set_length(struct front *f, enum front_deadline d, int ms)
{
	f->lengths[d] = (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	/* Equal deadlines share a list instead of a heap; libevent has 256 such lists at most. */
	f->timeouts[d] = event_base_init_common_timeout(f->base, &f->lengths[d]);
	if (f->timeouts[d] == NULL)
		f->timeouts[d] = &f->lengths[d];
}

static void
take_conf(struct front *f, const struct conf *conf)
{
	f->conf = conf;
	address_set_free(f->trusted);
	f->trusted = address_set_new(conf->trusted_proxies);
	set_length(f, FRONT_HANDSHAKE, conf->handshake_ms);
	set_length(f, FRONT_HEADERS, conf->header_ms);
	set_length(f, FRONT_BODY, conf->body_ms);
	set_length(f, FRONT_IDLE, conf->idle_ms);
	set_length(f, FRONT_STALL, conf->body_ms);
	set_length(f, FRONT_EOF_GRACE, 100);
	set_length(f, FRONT_LINGER, 2000);
}

static void
on_due(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	bridge_serve_due(arg);
}

struct front *
front_new(struct event_base *base, const struct conf *conf, front_open_fn open_fn,
    front_kick_fn kick, void *arg, char **why)
{
	struct front *f = xcalloc(1, sizeof(*f));

	/* Writing to a client that left must be an error, not our end; OpenSSL uses write(2). */
	signal(SIGPIPE, SIG_IGN);
	f->base = base;
	f->open = open_fn;
	f->kick = kick;
	f->arg = arg;
	TAILQ_INIT(&f->listeners);
	TAILQ_INIT(&f->bridges);
	TAILQ_INIT(&f->due);
	RB_INIT(&f->visitors);
	f->serve_due = event_new(base, -1, 0, on_due, f);
	front_turn_start(f);
	take_conf(f, conf);
	if (conf->listen != NULL && *conf->listen != '\0') {
		f->tls = tls_context_new(conf->certificate, conf->private_key, NULL, why);
		if (f->tls == NULL)
			goto fail;
	}
	if (open_tcp_doors(f, FRONT_TLS, conf->listen, why) &&
	    open_tcp_doors(f, FRONT_PLAIN, conf->listen_plain, why) &&
	    open_unix_door(f, conf->socket, why))
		return f;
fail:
	front_free(f);
	return NULL;
}

bool
front_reload(struct front *f, const struct conf *conf, char **why)
{
	if (f->tls != NULL) {
		SSL_CTX *fresh = tls_context_new(conf->certificate, conf->private_key, f->tls, why);
		if (fresh == NULL)
			return false;
		/* Connections hold a reference to the old one. */
		SSL_CTX_free(f->tls);
		f->tls = fresh;
	}
	take_conf(f, conf);
	return true;
}

void
front_close_doors(struct front *f)
{
	while (!TAILQ_EMPTY(&f->listeners))
		listener_free(TAILQ_FIRST(&f->listeners));
}

void
front_drain(struct front *f)
{
	struct bridge *b, *next;

	f->draining = true;
	for (b = TAILQ_FIRST(&f->bridges); b != NULL; b = next) {
		next = bridge_next(b);
		bridge_drain(b);
	}
}

void
front_free(struct front *f)
{
	front_close_doors(f);
	while (!TAILQ_EMPTY(&f->bridges))
		bridge_destroy(TAILQ_FIRST(&f->bridges), "server stopping");
	assert(f->counts.open == 0 && RB_EMPTY(&f->visitors));
	event_free(f->serve_due);
	front_turn_stop(f);
	address_set_free(f->trusted);
	SSL_CTX_free(f->tls);
	free(f);
}

int
front_port(const struct front *f, enum front_door door)
{
	const struct front_listener *l;

	TAILQ_FOREACH (l, &f->listeners, link)
		if (l->door == door)
			return l->port;
	return 0;
}

struct front_counts
front_counts(const struct front *f)
{
	return f->counts;
}
