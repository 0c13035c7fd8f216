/*
 * deadline: when something is to be proposed, and whether that is in flight.
 * All of them are in one heap, whose first tells the router when to look again.
 */
#ifndef CORE_DEADLINE_H
#define CORE_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"

/* Named after the struct it is a field of and what it is there. */
enum deadline_kind {
	DEADLINE_OFFER,			/* offer: end */
	DEADLINE_CALLBACK,		/* callback: end */
	DEADLINE_AGENT,			/* agent: end (after-call work, rest after missed offers) */
	DEADLINE_AGENT_LOST,		/* agent: lost */
	DEADLINE_AGENT_ASTRAY,		/* agent: astray */
	DEADLINE_AGENT_REST,		/* agent: rest */
	DEADLINE_ELAPSE,		/* projection: elapse */
	DEADLINE_DUE,			/* class: due.load */
	DEADLINE_FUTURE,		/* projection: future.load */
	DEADLINE_QUEUE			/* queue: extend */
};

struct deadline {
	struct heap_node node;
	int64_t at;			/* ms; INT64_MAX: none */
	uint64_t serial;
	enum deadline_kind kind;
	bool in_flight;			/* then it is in no heap, and at is only noted */
};

struct deadlines {
	struct heap heap;
	uint64_t serial;
};

void deadlines_init(struct deadlines *);
void deadlines_fini(struct deadlines *);
/* The first that is set and not in flight, or NULL. */
struct deadline *deadlines_first(const struct deadlines *);

void deadline_init(struct deadlines *, struct deadline *, enum deadline_kind);
void deadline_fini(struct deadlines *, struct deadline *);
void deadline_set(struct deadlines *, struct deadline *, int64_t at);
void deadline_clear(struct deadlines *, struct deadline *);
/* It was proposed: silent until it is back. */
void deadline_send(struct deadlines *, struct deadline *);
/* The proposal was answered or lost; if it is still set, then not before again_at. */
void deadline_back(struct deadlines *, struct deadline *, int64_t again_at);
static inline bool deadline_is_set(const struct deadline *d) { return d->at != INT64_MAX; }

#endif
