/*
 * By hand: the agent's own phone rings nobody here, so what he says is what
 * happened. Must not know how he is asked.
 */
#include "call/driver.h"

#include "base/json.h"

static bool
manual_start(const struct driver_call *c, json_t *command, const char **why)
{
	(void)why;
	json_set_id(command, "callback", c->callback);
	json_object_set_new(command, "version", json_integer((json_int_t)c->version));
	return true;
}

static bool
manual_step(const struct driver_call *c, json_t *command, const char **why)
{
	(void)why;
	json_set_id(command, "attempt", c->attempt);
	if (!id_is_zero(c->callback))
		json_set_id(command, "callback", c->callback);
	return true;
}

static bool
manual_ended(const struct driver_call *c, json_t *command, const char **why)
{
	if (c->outcome != NULL)
		json_object_set_new(command, "args", json_pack("{s:s}", "outcome", c->outcome));
	return manual_step(c, command, why);
}

const struct driver driver_manual = {
	.name = "manual",
	.start = manual_start,
	.connected = manual_step,
	.hold = manual_step,
	.retrieve = manual_step,
	.ended = manual_ended,
};
