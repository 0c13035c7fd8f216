/*
 * hosts: the PostgreSQL servers that a conninfo lists, one at a time. libpq tries
 * a list by itself, but without blocking it has no timeout: a machine that is
 * silent would stand before all others for ever. Knows text, connects to nobody.
 */
#ifndef DB_HOSTS_H
#define DB_HOSTS_H

#include <stddef.h>

struct hosts;

/* NULL in all three: as conninfo, the environment and libpq's defaults say. */
struct host {
	const char *host, *hostaddr, *port;
};

/* From conninfo, and what it leaves out from the environment. Never NULL, and never empty. */
struct hosts *hosts_new(const char *conninfo);
void hosts_free(struct hosts *);
size_t hosts_count(const struct hosts *);
struct host hosts_get(const struct hosts *, size_t i);	/* borrowed */
/* The operator's connect_timeout for each, in ms; 0: none was given. */
int hosts_patience_ms(const struct hosts *);

#endif
