/*
 * slot: the times of a queue that can be booked, as they are asked of the
 * database and shown to people to choose from.
 */
#ifndef API_SLOT_H
#define API_SLOT_H

#include <stdbool.h>

#include <libpq-fe.h>

#include "api/api.h"
#include "base/id.h"

struct slot_ask {
	int queue_id;
	const char *time_zone;	/* of who asks; a known one */
	const char *from;	/* the first day there, "2026-11-24"; NULL: today */
	int days;
	int form_id;		/* whose notice and horizon, and the quiet hours, are heeded; 0: none */
	struct id callback;	/* the one that is to be moved; zero: none */
};

/* True when the queue has slots. */
bool slot_queue(const struct api_call *, int queue_id);
/* Strangers look so often and no more: 0, or the ms after which one may again. */
int64_t slot_look(struct api_call *, const json_t *form);
/* Reads them, for then(). */
enum http_verdict slot_load(struct api_call *, const struct slot_ask *,
    void (*then)(struct api_call *, const PGresult *, const char *err));
/* What load_slots() says; NULL with *why: an error; NULL without: the queue has no slots. New reference. */
json_t *slot_read(const PGresult *, const char *err, const char **why);

#endif
