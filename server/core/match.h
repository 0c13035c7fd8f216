/*
 * match: who gets what. Due callbacks + available agents + the queue's strategy
 * -> the next best pair. PURE. Callbacks go by priority (high first), then
 * promise, then id, over all classes; agents by longest idle, except that who
 * rejected or missed this callback comes after all others until the queue's
 * cool-down has passed or everybody eligible was tried.
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
/*
 * The next match at now, or false when no due callback has an available agent.
 * The caller must take both out of the running (router.c's overlay) before it
 * asks again. *next_at is lowered to when a cool-down ends that kept one back.
 */
bool match_next(struct projection *, int64_t now_ms, struct match *, int64_t *next_at);

#endif
