/* state: enumerators and names from state.def, so that C, SQL and JSON cannot disagree. */
#ifndef CORE_STATE_H
#define CORE_STATE_H

#include <stdbool.h>

enum callback_state {
#define CALLBACK_STATE(e, n) CALLBACK_##e,
#include "core/state.def"
	CALLBACK_STATES
};
enum offer_state {
#define OFFER_STATE(e, n) OFFER_##e,
#include "core/state.def"
	OFFER_STATES
};
enum agent_state {
#define AGENT_STATE(e, n) AGENT_##e,
#include "core/state.def"
	AGENT_STATES
};
/* Whom of those who are free a queue's callbacks are offered to first. */
enum strategy {
#define STRATEGY(e, n) STRATEGY_##e,
#include "core/state.def"
	STRATEGIES
};

const char *callback_state_name(enum callback_state);
const char *offer_state_name(enum offer_state);
const char *agent_state_name(enum agent_state);
/* False when the name is none of ours (a newer node may know more). */
bool callback_state_parse(const char *, enum callback_state *);
bool offer_state_parse(const char *, enum offer_state *);
bool agent_state_parse(const char *, enum agent_state *);
bool strategy_parse(const char *, enum strategy *);
static inline bool callback_terminal(enum callback_state s) { return s >= CALLBACK_COMPLETED; }
static inline bool callback_is_held(enum callback_state s) { return s >= CALLBACK_READY_TO_CALL && s <= CALLBACK_ON_HOLD; }

#endif
