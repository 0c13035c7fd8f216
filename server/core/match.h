/*
 * match: who gets what. Due callbacks + available agents + the queue's strategy
 * -> the next best pair. PURE. Callbacks go by priority (high first), then
 * promise, then id, over all classes; agents as the queue's strategy says, by
 * longest idle for most, except that who rejected or missed this callback comes
 * after all others until the queue's cool-down has passed or everybody eligible
 * was tried, who was tried longest ago first. A callback's preferred agent is
 * asked before them, and by himself; while he is signed in and busy, it waits for
 * him for its time. ring_progressively comes again for
 * callbacks that are offered already: when nothing that waits can be matched, and
 * the time has come, each goes to one agent more.
 */
#ifndef CORE_MATCH_H
#define CORE_MATCH_H

#include <stdbool.h>
#include <stdint.h>

struct projection;
struct callback;
struct agent;

#define MATCH_MAX 50		/* agents of one ring_all offer: the queue's ring_max is at most this */

struct match {
	struct callback *callback;
	struct agent *agents[MATCH_MAX];
	int n;
};
/* What becomes of one callback that is due; in this order it is looked at. */
enum match_verdict {
	MATCH_CLOSED,	/* its queue is, until again_at (INT64_MAX: no opening is known) */
	MATCH_NOT_YET,	/* it was proposed and refused a moment ago: again at again_at */
	MATCH_EXPIRING, /* its promise window has passed */
	MATCH_NOBODY,	/* nobody who is available is able */
	MATCH_PREFERRED, /* its preferred agent is able, and not free: waited for until again_at */
	MATCH_COOLING,	/* those who are were tried, and others are still to be: the first again at again_at */
	MATCH_FOUND	/* m says who */
};
/* Of that callback alone, whoever is before it. */
enum match_verdict match_judge(
    struct projection *, struct callback *, int64_t now_ms, struct match *, int64_t *again_at);
/*
 * The next match at now, or false when no callback has an available agent.
 * The caller must take both out of the running (router.c's overlay) before it
 * asks again. *next_at is lowered to when a cool-down ends, or a queue opens, that kept one back.
 */
bool match_next(struct projection *, int64_t now_ms, struct match *, int64_t *next_at);

#endif
