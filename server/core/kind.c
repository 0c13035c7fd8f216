/*
 * kind: the names of the events that sql/functions write. Not what they mean: a
 * projection goes by the images that an event carries. A name that is not here
 * comes from a newer schema.
 */
#include "core/kind.h"

#include <stdlib.h>
#include <string.h>

/* Sorted. */
static const char *const kinds[] = {
	"agent.after_call_work",
	"agent.changed",
	"agent.connected",
	"agent.disconnected",
	"agent.lost",
	"agent.not_ready",
	"agent.ready",
	"agent.sign_in_failed",
	"agent.signed_in",
	"agent.signed_out",
	"call.connected",
	"call.ended",
	"call.establishing",
	"call.on_hold",
	"call.retrieved",
	"callback.cancelled",
	"callback.completed",
	"callback.erased",
	"callback.escalated",
	"callback.expired",
	"callback.failed",
	"callback.given_back",
	"callback.kept",
	"callback.linked",
	"callback.noted",
	"callback.put_off",
	"callback.rescheduled",
	"callback.retry",
	"callback.scheduled",
	"callback.widened",
	"class.created",
	"disposition.changed",
	"form.changed",
	"offer.accepted",
	"offer.cancelled",
	"offer.created",
	"offer.rejected",
	"offer.rescinded",
	"offer.timeout",
	"queue.changed",
	"rules.published",
	"secret.created",
	"secret.retired",
	"session.closed",
	"session.opened",
	"skill.changed",
	"slot.held",
	"slot.released",
	"suppression.added",
	"suppression.removed",
	"tenant.changed",
};

static int
compare(const void *name, const void *kind)
{
	return strcmp(name, *(const char *const *)kind);
}

bool
kind_known(const char *name)
{
	return bsearch(name, kinds, sizeof kinds / sizeof kinds[0], sizeof kinds[0], compare) !=
	    NULL;
}
