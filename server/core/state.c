/*
 * state: the names of the states, both ways, and of the strategies. It knows no transition: those
 * are sql/tables/transition.sql's.
 */
#include "core/state.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

static const char *const callback_names[] = {
#define CALLBACK_STATE(e, n) [CALLBACK_##e] = n,
#include "core/state.def"
};
static const char *const offer_names[] = {
#define OFFER_STATE(e, n) [OFFER_##e] = n,
#include "core/state.def"
};
static const char *const agent_names[] = {
#define AGENT_STATE(e, n) [AGENT_##e] = n,
#include "core/state.def"
};

static const char *const strategy_names[] = {
#define STRATEGY(e, n) [STRATEGY_##e] = n,
#include "core/state.def"
};

/* The place of name in names, or n. */
static int
name_find(const char *const names[], int n, const char *name)
{
	int i = 0;

	while (i < n && (name == NULL || strcmp(names[i], name) != 0))
		i++;
	return i;
}

const char *
callback_state_name(enum callback_state state)
{
	assert(state < CALLBACK_STATES);
	return callback_names[state];
}

const char *
offer_state_name(enum offer_state state)
{
	assert(state < OFFER_STATES);
	return offer_names[state];
}

const char *
agent_state_name(enum agent_state state)
{
	assert(state < AGENT_STATES);
	return agent_names[state];
}

bool
callback_state_parse(const char *name, enum callback_state *state)
{
	*state = (enum callback_state)name_find(callback_names, CALLBACK_STATES, name);
	return *state < CALLBACK_STATES;
}

bool
offer_state_parse(const char *name, enum offer_state *state)
{
	*state = (enum offer_state)name_find(offer_names, OFFER_STATES, name);
	return *state < OFFER_STATES;
}

bool
agent_state_parse(const char *name, enum agent_state *state)
{
	*state = (enum agent_state)name_find(agent_names, AGENT_STATES, name);
	return *state < AGENT_STATES;
}

bool
strategy_parse(const char *name, enum strategy *strategy)
{
	*strategy = (enum strategy)name_find(strategy_names, STRATEGIES, name);
	return *strategy < STRATEGIES;
}
