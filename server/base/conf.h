/*
 * conf: callbackd.conf (ini, by inih) into one struct, by one table of
 * settings: name, kind, default, limits, whether a reload may change it. The
 * manual page and the sample file are held against that table by a lint.
 * The struct is passed to whoever needs it; a reload makes a new one and swaps.
 */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include <stdbool.h>
#include <stdio.h>

struct conf {
	/* [server] */
	char *listen;		/* "host:port ...": HTTPS */
	char *listen_plain;	/* "127.0.0.1:port ...": behind a reverse proxy; loopback only */
	char *socket;		/* path of the operator's unix socket */
	char *base_url;		/* the public address, for the contact's links */
	char *certificate;	/* PEM chain */
	char *private_key;	/* PEM */
	char *trusted_proxies;	/* addresses whose X-Forwarded-For is believed */
	char *www_dir;		/* the pages */
	char *node_name;
	char *log_level;
	/* [limits] */
	int connections;
	int connections_per_address;
	int body_bytes;
	int handshake_ms, header_ms, body_ms, idle_ms;
	int wait_ms;		/* longest a request waits for the database */
	int stream_queue_bytes;
	int heartbeat_ms;
	int long_poll_ms;
	int presence_ms;	/* an agent who only polls is connected this long after a request */
	/* [database] */
	char *conninfo;
	int pool_size;
	int queue_depth;	/* queries that may wait */
	int statement_timeout_ms;
	int lease_ms;
	int tail_ms;		/* the slow timer that looks for other nodes' events */
	int due_window, future_window;	/* waiting callbacks in memory: per class, ahead of time */
	int ring_events;	/* recent events in memory, per tenant */
	/* [test] */
	char *test_clock;	/* RFC 3339 start of a fake clock; refused unless the database is marked as a test */
};

/* Reads the file; NULL with *why set (malloced; file and line) on the first error. */
struct conf *conf_load(const char *path, char **why) __attribute__((warn_unused_result));
void conf_free(struct conf *);
/* The first setting that differs and that only a restart can change, or NULL. */
const char *conf_needs_restart(const struct conf *, const struct conf *);
/* All settings with their defaults, for `callbackd -D` and the lint. */
void conf_print_defaults(FILE *);

#endif
