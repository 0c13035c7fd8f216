/*
 * callbackctl export: all callbacks that are meant, as a table.
 */
#include "ctl/ctl.h"

int
ctl_export(const struct ctl *ctl)
{
	const struct ctl_param params[] = { { "format", ctl->json ? "ndjson" : "csv" },
		{ "state", ctl->state }, { "queue", ctl->queue }, { "agent", ctl->agent },
		{ NULL, NULL } };

	return ctl_copy(ctl, "/v1/callbacks/export", params) ? CTL_OK : CTL_FAILED;
}
