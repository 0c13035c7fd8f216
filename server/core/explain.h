/*
 * explain: why a callback waits, as the router sees it now.
 */
#ifndef CORE_EXPLAIN_H
#define CORE_EXPLAIN_H

#include <stdint.h>

#include <jansson.h>

#include "base/id.h"

struct projection;

/*
 * {"why": closed | refused_just_now | promise_window_passed | nobody_available | waits_for_preferred |
 *  tried_recently | next |
 *   not_due | falls_due | being_offered | offered | in_hand | linked,
 *  "until_at": ms, when that is known; "agents": who would be asked, or has it
 *  and of one that is due:
 *  "needs": [{"skill": id, "level": n, "signed_in": how many have it}], "able": {"ready": n, "busy": n, ...},
 *  "tried": [{"agent", "at", "again_at"}], "ahead": due ones of its queue before it, at most 1000,
 *  "widens_at": ms, when it is for more agents, if it will be, "for_agent": for whom alone it is}
 * NULL: it has ended, is not known, or waits behind all that are held in memory.
 */
json_t *projection_explain(struct projection *, struct id callback, int64_t now_ms);
/*
 * The place in its queue of one that is due, from 1 on, in the order in which they are asked for; 1 of one that is
 * being offered. 0: it is not due, or behind so many that they are not counted.
 */
int projection_position(const struct projection *, struct id callback);

#endif
