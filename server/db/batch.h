/*
 * batch: the tickets that go into one call of submit() or execute(), their JSON
 * array, and what comes out of it (events, one answer per element). Knows the
 * shape of both, not turns or connections. Private to lane.
 */
#ifndef DB_BATCH_H
#define DB_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/mem.h"
#include "db/lane.h"
#include "db/ticket.h"

struct batch {
	SLIST_ENTRY(batch) link;
	enum ticket_kind kind;
	struct ticket_list tickets;
	unsigned n;
	struct buf text; /* the JSON array */
	int64_t born_ms; /* monotonic; of the first sending */
	int64_t sent_us;
	int64_t now_ms; /* the time that was sent with it */
};

/* Takes up to `limit` tickets (at least one) out of the queue and writes the text. */
struct batch *batch_new(struct ticket_queue *, enum ticket_kind, unsigned limit);
void batch_free(struct batch *); /* without tickets */
/* Takes the second half away; both texts are written anew. Of n > 1 only. */
struct batch *batch_split(struct batch *);

struct verdict {
	struct lane_event *events; /* texts borrowed from the result, docs owned */
	size_t n_events;
	struct lane_answer *answers; /* by ord; bodies owned */
	size_t n_answers;
	uint64_t top_seq; /* of the last event, 0: none */
};
/*
 * False with a constant sentence in *why when the result is not what n elements
 * must get; nothing to free then.
 */
bool verdict_read(struct verdict *, const PGresult *, size_t n, const char **why)
    __attribute__((warn_unused_result));
/* The highest event that was there before this batch and that an answer names; 0 none. */
uint64_t verdict_repeated(const struct verdict *);
void verdict_fini(struct verdict *);
/*
 * The SQLSTATE is of an error that no element is guilty of: the clock is too
 * far off (CB001), or the server cannot work now (stopping or starting, disk
 * full, too many connections, system error).
 */
bool verdict_blames_none(const char *sqlstate);
/*
 * The batch was refused because of its time, and that is an old one: it waited
 * for a connection meanwhile. Nothing is wrong with the clock.
 */
bool batch_time_is_old(const struct batch *, const char *err, int64_t now_ms);

#endif
