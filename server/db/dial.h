/*
 * dial: brings up one libpq connection on the loop and hands it over; tries
 * again with back-off (100 ms doubling to 5 s, with jitter) until it is there.
 * Of several hosts it tries one after the other, 2 s each unless connect_timeout
 * says otherwise, before it waits (then no longer than 1 s).
 * Knows the settings every connection of ours has, not what is said on it.
 */
#ifndef DB_DIAL_H
#define DB_DIAL_H

#include <stddef.h>

#include <libpq-fe.h>

struct conf;
struct dial;
struct event_base;

/* The connection works and is the callee's, to PQfinish(). */
typedef void (*dial_up_fn)(void *arg, PGconn *);

/* The first attempt starts in the loop's next turn. name appears in the log ("pool", "tail"). */
struct dial *dial_new(
    struct event_base *, const struct conf *, const char *name, int number, dial_up_fn, void *arg);
void dial_free(struct dial *);
/*
 * The connection handed over is gone (already finished): tries again after the
 * back-off, or when it had not proved good, at once at the next host.
 */
void dial_again(struct dial *);
/* It proved good: the back-off begins at 100 ms again. */
void dial_worked(struct dial *);
/* A server that says nothing for so long is given up: statement_timeout_ms + 2 s. */
int dial_patience_ms(const struct conf *);
/* What libpq has to say about a connection, as one line for the log. Never holds parameters. */
#define DIAL_WHY_SIZE 200
const char *dial_why(const PGconn *, char out[DIAL_WHY_SIZE]);

#endif
