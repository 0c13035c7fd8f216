/*
 * driver: a way to telephone, behind one const struct of functions: by hand (the
 * agent dials on his own phone and says what happens), or by a telephone system
 * that is told what to do and reports. Turns what an agent asks of a call into
 * the command for it. Knows no HTTP.
 */
#ifndef CALL_DRIVER_H
#define CALL_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/id.h"

/* A call as an agent names it. */
struct driver_call {
	struct id callback;	/* zero: not known here; the attempt names it */
	struct id attempt;	/* zero for start */
	uint64_t version;	/* of the callback, for start */
	const char *outcome;	/* for ended; NULL: not said */
};

/*
 * Each adds what it names to a command that has its id, kind and asker. False
 * with a sentence in *why when with this driver it is not the agent's to say.
 */
typedef bool (*driver_fn)(const struct driver_call *, json_t *command, const char **why);

struct driver {
	const char *name;
	driver_fn start;	/* the agent begins: `call` */
	driver_fn connected;	/* the contact answered */
	driver_fn hold, retrieve;
	driver_fn ended;	/* or: hang up */
};

extern const struct driver driver_manual;

#endif
