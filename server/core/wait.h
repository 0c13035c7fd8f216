/*
 * wait: how long until one that waits is in somebody's hands, by how fast its
 * queue hands out; and how wrong that was. PURE.
 */
#ifndef CORE_WAIT_H
#define CORE_WAIT_H

#include <stdint.h>

#include "base/id.h"

struct projection;

/* Of those whose wait was told, and who have been handed out since. */
struct wait_counts {
	uint64_t told;
	uint64_t error_ms;	/* by which it was longer or shorter, in all */
	uint64_t late_ms;	/* of that, longer */
};

/*
 * ms from now on, 0 when somebody is free for it; -1 when that is not known: it is not due, nobody who is able is on
 * duty, or too few were handed out since the start. What is told first is what is compared.
 */
int64_t wait_expected_ms(struct projection *, struct id callback, int64_t now_ms);
/* The same of one who would join the queue now. */
int64_t wait_of_next_ms(const struct projection *, int queue_id, int64_t now_ms);
struct wait_counts wait_counts(const struct projection *);

#endif
