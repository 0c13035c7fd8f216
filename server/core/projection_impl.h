/*
 * projection_impl: what the model is made of, for projection*.c, match.c and
 * router.c alone. The state of an object is the place it is in. Longer than a
 * header should be, because this is the model: one place to see all of it.
 *
 *	projection.c		loading, applying, the door
 *	projection_settings.c	what administrators set up
 *	projection_skill.c	which agent fits which class
 *	projection_roster.c	agents, sessions, nodes: who is available
 *	projection_live.c	callbacks, offers: what is where; projection_attempt.c: dials
 *	projection_waiting.c	the bounded windows of those that wait
 *	projection_view.c	what the server may ask; projection_dump.c: for tests
 */
#ifndef CORE_PROJECTION_IMPL_H
#define CORE_PROJECTION_IMPL_H

#include <sys/queue.h>

#include <bsd/sys/tree.h>

#include "core/bits.h"
#include "core/deadline.h"
#include "core/hours.h"
#include "core/map.h"
#include "core/projection.h"
#include "core/wait.h"

/* A proposal that was lost, or answered without an event that changed its object: again after. */
#define RETRY_MS 1000
/* With so little left of what is known of a queue's hours, more is asked for: decide_openings.sql. */
#define OPENINGS_LEFT_MS (375 * INT64_C(86400000))

/* A setting that is only kept to be shown: skill, disposition. */
struct setting {
	struct map_node by_id;
	int id;
	uint64_t seq;
	json_t *image;
};

/* Needed skills by dense slot; an agent fits who has every level. */
struct need {
	size_t slot;
	uint8_t level;
};
struct needs {
	struct need *list;
	size_t n;
};

LIST_HEAD(class_list, class);
LIST_HEAD(callback_list, callback);
LIST_HEAD(offer_list, offer);

/* wait.c: how fast a queue hands out while others wait: ms from one to the next, of the last of them. */
#define HANDING_MAX 16
struct handing {
	int64_t gaps[HANDING_MAX];
	unsigned n;			/* so many there have been */
	int64_t since;			/* the last of them; 0: nobody waited when it was */
};

struct queue {
	struct map_node by_id, by_name;
	TAILQ_ENTRY(queue) link;	/* by id */
	int id;
	uint64_t seq;
	bool removed;
	enum strategy strategy;
	size_t ring_max;
	int64_t ring_step_ms;
	int64_t cooldown_ms;
	int64_t max_offers;
	struct needs needs;
	struct hours hours;
	struct deadline extend;		/* the hours known begin to run out */
	struct class_list classes;
	size_t due, offered, held;	/* callbacks */
	struct handing handing;
	const char *name;		/* in the image */
	json_t *image;
};

struct form {
	struct map_node by_id, by_key;
	TAILQ_ENTRY(form) link;		/* by id */
	int id;
	uint64_t seq;
	bool removed;
	const char *key;		/* in the image */
	json_t *image;
};

struct secret {
	TAILQ_ENTRY(secret) link;	/* newest first */
	int id;
	bool newest;
	int64_t created_at;
	char *purpose;
	uint8_t value[32];
};

/* due: first = -priority, second = promise_at; future: first = due_at. */
struct waiting_key {
	int64_t first, second;
	struct id id;
};

RB_HEAD(waiting_tree, callback);
RB_HEAD(idle_tree, agent);

/*
 * The first of those that wait, in order. All that are not behind the horizon
 * are held; when it is not complete, there are more behind it in the database.
 */
struct window {
	struct waiting_tree tree;
	struct callback *first;		/* of the tree */
	size_t count;
	size_t proposed;		/* in flight: not in the tree, but still waiting */
	bool complete;
	bool refilled;			/* since the request for more was sent */
	struct waiting_key horizon;
	struct deadline load;
};

struct class {
	struct map_node by_id;
	LIST_ENTRY(class) of_queue;
	int id;
	size_t slot;
	struct queue *queue;
	struct needs own;		/* beyond the queue's */
	int agent;			/* for him alone; 0: for anybody */
	struct bits eligible;		/* agents' slots */
	struct window due;
	/* match.c: those before the cursor were passed over, and stay so until the class is woken. */
	struct callback *cursor;	/* NULL: all were */
	bool starved;			/* no agent for any of them */
	int64_t wake_at;		/* a cool-down ends; INT64_MAX none */
	struct heap_node head;		/* in heads: has a cursor and is not starved */
	struct heap_node cool;		/* in cooling: has a wake_at */
	json_t *image;
};

/* What strategies go by beside the idle order. */
struct standing {
	int64_t offered_seq;		/* his last turn; 0: he had none */
	int64_t accepted, talk_ms;	/* since he signed in */
	int position, id;
};

struct agent {
	struct map_node by_id, by_name;
	RB_ENTRY(agent) idle;
	int id;
	size_t slot;
	uint64_t seq;
	bool removed;
	const char *name, *role;	/* in the image */
	json_t *image;
	uint8_t *levels;		/* by skill slot */
	size_t nlevels;
	struct bits classes;		/* that he is eligible for, by class slot */
	/* status */
	uint64_t status_seq;
	enum agent_state state;
	bool connected;
	struct id node;
	int64_t idle_since;
	json_t *status;			/* NULL: none yet */
	struct deadline end, lost, astray, rest;
	struct offer_list offers;	/* pending */
	struct callback_list held;
	/* what follows */
	bool available;			/* in the idle tree */
	bool on_duty;			/* connected, ready or in after-call work */
	bool proposed;			/* an offer to him is in flight */
	uint64_t changed_seq;		/* of the last event that touched him, or what he has */
	uint64_t proposed_seq;
	const char *shown;		/* what the log said last */
};

enum place {
	PLACE_NONE,
	PLACE_FUTURE,			/* scheduled, not yet due */
	PLACE_DUE,			/* scheduled, due */
	PLACE_PROPOSED,			/* the same, an offer in flight */
	PLACE_OFFERED,
	PLACE_HELD,
	PLACES
};

struct tried {
	int agent_id;
	int64_t at;
};

struct callback {
	struct map_node by_id;
	struct id id;
	uint64_t seq;
	enum callback_state state;
	enum place place;
	struct class *class;
	struct agent *agent;		/* holder */
	LIST_ENTRY(callback) link;	/* held: the holder's; proposed: the projection's */
	RB_ENTRY(callback) tree;
	struct waiting_key key;		/* in the tree it is in */
	int64_t priority, due_at, promise_at;
	int64_t expires_at;		/* INT64_MAX: never */
	int64_t widen_at;		/* the next step of widening; INT64_MAX: none */
	int64_t again_at;		/* an offer was refused: not before */
	int64_t expected_at;		/* when it was said that it would be in somebody's hands; 0: nobody asked */
	int preferred;			/* the agent who is asked first; 0: nobody */
	int64_t preferred_until;	/* who is waited for, if he is signed in */
	struct tried *tried;
	size_t ntried;
	bool in_flight;			/* an offer is */
	struct offer_list offers;	/* pending */
	int64_t ring_at;		/* offered: to one more; INT64_MAX: not, or in flight */
	struct heap_node ring;		/* in rings: has a ring_at */
	struct id attempt;		/* zero: none */
	struct deadline end;
	json_t *image;			/* of offered and held ones only */
};

struct offer {
	struct map_node by_id;
	struct id id, callback;
	uint64_t seq;
	struct agent *agent;
	struct callback *of;		/* NULL: out of memory */
	int64_t created_at;
	LIST_ENTRY(offer) of_agent, of_callback;
	struct deadline end;
	json_t *image;
};

struct attempt {
	struct map_node by_id;
	struct id id, callback;
	uint64_t seq;
	int agent_id;
	json_t *image;
};

struct session {
	struct map_node by_hash;
	uint8_t token_hash[32];
	struct agent *agent;
	int64_t expires_at;
};

enum refill { REFILL_NONE, REFILL_OPEN, REFILL_STALE };

struct projection {
	struct projection_limits limits;
	bool headed, future_known, loaded;	/* what load_model() has sent so far */
	enum refill refill;
	uint64_t seq, floor;
	int epoch;
	int64_t now_ms;			/* the latest time seen: what is due is due by it */

	json_t *tenant;
	struct map skills, dispositions;	/* struct setting */
	struct map skill_slots;
	size_t nslots;
	struct map queues, queues_by_name, forms, forms_by_key, classes_by_id;
	TAILQ_HEAD(queue_list_head, queue) queue_list;
	TAILQ_HEAD(form_list_head, form) form_list;
	TAILQ_HEAD(, secret) secrets;
	struct class **classes;		/* by slot */
	uint32_t *candidates;		/* by slot: how many of the available agents are eligible */
	size_t nclasses, classes_cap;

	struct map agents_by_id, agents_by_name, sessions;
	struct agent **agents;		/* by slot */
	int64_t *idle_since;		/* by slot; match.c reads many of them in a row */
	struct standing *standings;	/* likewise */
	size_t nagents, agents_cap;
	struct idle_tree idle;
	struct bits available;
	struct bits available_words;	/* which words of it are not empty */
	struct bits on_duty;
	size_t navailable;
	struct id *nodes;
	size_t nnodes;
	uint64_t nodes_seq;		/* at the list before */

	struct map callbacks, offers, attempts;
	struct callback_list proposed;
	size_t places[PLACES];
	struct window future;
	struct waiting_key row_due, row_future;	/* the last waiting row of a load or refill */
	bool row_seen;

	struct wait_counts waits;
	struct heap heads, cooling, rings;
	struct bits asleep;		/* classes with something passed over, by slot */
	struct bits scratch;		/* strategy.c's; empty between calls */

	struct deadlines deadlines;
	struct deadline elapse;
	int64_t elapse_seen;		/* while a look is in flight */
	bool elapse_told;
};

/* projection.c */
bool image_int(const json_t *, const char *key, int64_t *);
/* Its id and seq: false with *why when they are missing. */
bool image_head(const json_t *, int *id, uint64_t *seq, const char **why);
bool image_seq(const json_t *, uint64_t *seq);
void image_keep(json_t **place, const json_t *image);
bool hex_hash(const char *, uint8_t out[32]);

/* projection_settings.c: an image each; false: *why it does not fit. */
bool settings_tenant(struct projection *, const json_t *, const char **why);
bool settings_skill(struct projection *, const json_t *, const char **why);
bool settings_disposition(struct projection *, const json_t *, const char **why);
bool settings_queue(struct projection *, const json_t *, const char **why);
bool settings_form(struct projection *, const json_t *, const char **why);
bool settings_class(struct projection *, const json_t *, const char **why);
bool settings_secret(struct projection *, const json_t *, const char **why);
void settings_secrets_free(struct projection *);
struct queue *settings_queue_find(const struct projection *, int id);
struct queue *settings_queue_named(const struct projection *, const char *);
struct class *settings_class_find(const struct projection *, int id);
struct form *settings_form_keyed(const struct projection *, const char *);
void settings_free(struct projection *);

/* projection_skill.c: {"skill id": level} by slot, in place of what was; false: *why it does not fit. */
bool skill_levels(struct projection *, const json_t *, uint8_t **levels, size_t *n,
    const char **why);
bool skill_needs(struct projection *, const json_t *, struct needs *, const char **why);
/* Whose slot it is; 0 nobody's. */
int skill_id(const struct projection *, size_t slot);
bool skill_meets(const struct agent *, const struct needs *);
/* Skills changed, or somebody or a class is new: who is eligible for what. */
void skill_fit_agent(struct projection *, struct agent *);
void skill_fit_class(struct projection *, struct class *);
void skill_free(struct projection *);

/* projection_roster.c */
RB_PROTOTYPE(idle_tree, agent, idle, )
bool roster_agent(struct projection *, const json_t *, const char **why);
bool roster_status(struct projection *, const json_t *, const char **why);
bool roster_session(struct projection *, const json_t *, const char **why);
struct agent *roster_find(const struct projection *, int id);
/* Whom the image's member of that name tells; NULL unknown or missing. */
struct agent *roster_member(const struct projection *, const json_t *, const char *key);
struct agent *roster_named(const struct projection *, const char *);
struct session *roster_session_find(const struct projection *, const uint8_t token_hash[32]);
/* Something about him changed: whether he is available follows. */
void roster_settle(struct projection *, struct agent *);
/* An event touched him: settle, and what was proposed before may be proposed again. */
void roster_touch(struct projection *, struct agent *);
void roster_propose(struct projection *, struct agent *);
/* rested: the proposal came to nothing, and not for a reason that an event told. */
void roster_settled(struct projection *, struct agent *, bool rested);
const char *roster_activity(const struct agent *);
void roster_free(struct projection *);

/* projection_live.c */
bool live_callback(struct projection *, const json_t *, const char **why);
bool live_offer(struct projection *, const json_t *, const char **why);
bool live_attempt(struct projection *, const json_t *, const char **why);
struct callback *live_find(const struct projection *, struct id);
struct offer *live_offer_find(const struct projection *, struct id);
/* projection_attempt.c */
struct attempt *live_attempt_find(const struct projection *, struct id);
void live_attempt_drop(struct projection *, struct attempt *);
/* projection_live.c again */
/* Out of memory, not out of the world. */
void live_drop(struct projection *, struct callback *);
/* Out of its place; and into one from none. A tree is entered first, by projection_waiting.c. */
void live_leave(struct projection *, struct callback *);
void live_enter(struct projection *, struct callback *, enum place);
void live_propose(struct projection *, struct callback *);
/* May drop it: its place in the window was taken meanwhile. */
void live_settled(struct projection *, struct callback *, int64_t again_at);
/* How the queue's callbacks are offered has changed. */
void live_queue_changed(struct projection *, const struct queue *);
void live_free(struct projection *);

/* projection_waiting.c */
RB_PROTOTYPE(waiting_tree, callback, tree, )
int waiting_key_compare(const struct waiting_key *, const struct waiting_key *);
void waiting_init(struct projection *, struct window *, enum deadline_kind);
/* Into the window it belongs to; drops it when that does not hold it. */
void waiting_add(struct projection *, struct callback *);
/* Out of the tree it is in. */
void waiting_remove(struct projection *, struct callback *);
/* The number of those in flight changed. */
void waiting_check(struct projection *, struct window *);
/* What fell due goes to the due windows; true: there is more. */
bool waiting_move(struct projection *);
/* A row of a load or refill: the last one before a window's own row tells where the window ends. */
void waiting_row(struct projection *, const json_t *);
bool waiting_due_window(struct projection *, const json_t *, const char **why);
bool waiting_future_window(struct projection *, const json_t *, const char **why);
void waiting_loaded(struct projection *);
void waiting_settled(struct projection *, struct window *);
/* Something becomes of a waiting callback at that time. */
void waiting_elapse(struct projection *, int64_t at);
void waiting_elapse_settled(struct projection *);

/* wait.c: one that was offered is in somebody's hands since then; NULL: which one is not known. */
void wait_handed(struct projection *, struct callback *, int64_t at_ms);
/* Somebody has left that queue without being handed out. */
void wait_left(struct queue *);

/* strategy.c: what match.c asks it */
struct match;
/*
 * At most want of those who may be asked now, in order; when nobody may but
 * everybody was tried, who was tried longest ago. False: nobody.
 */
bool strategy_choose(struct projection *, const struct callback *, int64_t now_ms, size_t want,
    struct match *);
/* When the first of those who are free, and were tried, may be asked again; INT64_MAX: none. */
int64_t strategy_cooled_at(const struct projection *, const struct callback *);

/* match.c: what the model tells it */
void match_init(struct projection *);
void match_fini(struct projection *);
void match_class_wake(struct projection *, struct class *);
/* He became available, went off duty, or is eligible for others: his classes are looked at again. */
void match_agent_wake(struct projection *, const struct agent *);
void match_due_added(struct projection *, struct callback *);
/* Called while it still is in the tree. */
void match_due_removing(struct projection *, struct callback *);
/* One that is offered is to be offered to one more at that time; INT64_MAX: not. */
void match_ring(struct projection *, struct callback *, int64_t at);

#endif
