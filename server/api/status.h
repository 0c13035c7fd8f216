/*
 * status: what PUT {"state": "ready" | "not_ready", "reason"} means, said of
 * oneself or, by a supervisor, of somebody else.
 */
#ifndef API_STATUS_H
#define API_STATUS_H

#include "api/api.h"

enum http_verdict status_put(struct api_call *, int agent_id);

#endif
