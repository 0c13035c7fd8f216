/*
 * world: a tiny stand-in for the database, for the tests of core/: it decides
 * plainly, writes a log of events, and answers loads from its own tables. Times
 * are ms. Callbacks, offers and attempts are numbered; agents, queues, classes
 * and skills are known by their ids.
 */
#ifndef TESTS_WORLD_H
#define TESTS_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/id.h"
#include "core/projection.h"

#define WORLD_AGENTS 64
#define WORLD_CLASSES 32
#define WORLD_CALLBACKS 4000
#define WORLD_OFFERS 40000
#define WORLD_TRIED 64
#define WORLD_RING_STEP_S 2

struct world_agent {
	int id;		 /* 0: none */
	char skills[64]; /* "1:5,2:3": skill id : level */
	bool removed;
	uint64_t version, seq;
	const char *state;
	bool connected;
	int node;
	int64_t idle_since, deadline_at, lost_at;
	uint64_t offered_seq;
	int accepted, position;
	int64_t talk_ms;
};

/* What is known of a queue's hours ends here, in ms: later than any history. */
#define WORLD_OPEN_UNTIL INT64_C(100000000000)

struct world_queue {
	int id;
	char skills[64];
	char strategy[24];
	int ring_max;
	int cooldown_s;
	bool hours;
	int64_t openings[4][2]; /* ms */
	int nopenings;
	uint64_t version;
};

struct world_class {
	int id, queue, agent; /* 0: for anybody */
	char skills[64];
};

struct world_callback {
	bool made;
	uint64_t seq, attempt_seq;
	const char *state;
	int class, agent, attempt, linked_to;
	int priority, preferred, preferred_for_s, widen_after_s; /* 0: it is not widened */
	int64_t due_at, promise_at, expires_at, deadline_at;
	struct {
		int agent;
		int64_t at;
	} tried[WORLD_TRIED];
	int ntried;
};

struct world_offer {
	uint64_t seq;
	int callback, agent;
	const char *state;
	int64_t created_at, deadline_at;
};

struct world {
	int64_t now;
	uint64_t seq;
	struct world_agent agents[WORLD_AGENTS];
	struct world_queue queues[WORLD_CLASSES];
	struct world_class classes[WORLD_CLASSES];
	struct world_callback callbacks[WORLD_CALLBACKS];
	struct world_offer offers[WORLD_OFFERS];
	int ncallbacks, noffers, nattempts;
	struct {
		int number, agent;
		int64_t expires_at;
	} sessions[WORLD_AGENTS];
	json_t *events; /* bodies; the first is of sequence number 1 */
};

struct world *world_new(int64_t now);
void world_free(struct world *);
struct id world_callback_id(int n);
struct id world_offer_id(int n);
struct id world_attempt_id(int n);
struct id world_node_id(int n);
/* 0 when it is not one of world's. */
int world_number(struct id);

/* Post-images; new references. */
json_t *world_queue_image(const struct world_queue *);
json_t *world_class_image(const struct world_class *);
json_t *world_agent_image(const struct world_agent *);
json_t *world_status_image(const struct world_agent *);
json_t *world_callback_image(const struct world *, int n);
json_t *world_offer_image(const struct world *, int n);
json_t *world_attempt_image(const struct world *, int callback, int attempt, bool ended);
json_t *world_session_image(const struct world *, int place);

/* Set up or change, each an event (or two). */
void world_queue(
    struct world *, int id, const char *skills, const char *strategy, int ring_max, int cooldown_s);
/* As world_queue() made it, but open only then: "90-110,200-300" in seconds, or "" never. */
void world_hours(struct world *, int id, const char *spans);
bool world_open(const struct world *, int queue);
void world_class(struct world *, int id, int queue, const char *skills);
/* For that agent alone. */
void world_class_of(struct world *, int id, int queue, const char *skills, int agent);
void world_agent(struct world *, int id, const char *skills, const char *state, int64_t idle_since);
void world_agent_change(struct world *, int id, const char *skills, bool removed);
/* The status as it stands in agents[id], as an event. */
void world_status(struct world *, int id, const char *kind);
int world_submit(struct world *, int class, int priority, int64_t due_at, int64_t promise_at,
    int64_t expires_at);
/* The callback as it stands in callbacks[n], as an event. */
void world_changed(struct world *, int n, const char *kind);
void world_session(struct world *, int number, int agent, bool closed);

/* What the router or an agent does; each is an event or more. */
void world_offer(struct world *, int callback, const int *agents, int n, int timeout_ms);
void world_accept(struct world *, int offer);
void world_refuse(struct world *, int offer, const char *state); /* "rejected" | "timeout" */
void world_call(struct world *, int callback);
void world_ended(struct world *, int callback);
void world_give_back(struct world *, int callback);
void world_finish(struct world *, int callback, const char *state);
bool world_offered(const struct world *, int agent);
bool world_holds(const struct world *, int agent);
bool world_waits(const struct world *, int callback);
/* True when a goes before b among the due ones. */
bool world_before(const struct world *, int a, int b);

/* Those due of a class in order; those not yet due in order. Lists of WORLD_CALLBACKS. */
int world_due(const struct world *, int class, int *list);
int world_future(const struct world *, int *list);

/* A fresh projection, loaded; feeds it the events that it has not seen. */
struct projection *world_load(const struct world *, int due_limit, int future_limit);
void world_feed(const struct world *, struct projection *);
void world_refill_due(const struct world *, struct projection *, int class, int limit);
void world_refill_future(
    const struct world *, struct projection *, int64_t after_at, struct id after, int limit);
/* The smallest expires_at after now; INT64_MAX none. */
int64_t world_next_elapse(const struct world *, int64_t after);
/* When that one is widened; INT64_MAX: it is not. */
int64_t world_widen_at(const struct world *, int n);

#endif
