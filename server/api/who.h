/*
 * who: who asks, and whether he may use this route.
 */
#ifndef API_WHO_H
#define API_WHO_H

#include <stdbool.h>

#include "api/api.h"

#define WHO_COOKIE "callbackd_session"

/* Fills tenant, role, agent_id and token_hash of a call whose route is known. False: it was answered (401, 403, 503 ...). */
bool who_may(struct api_call *);
/*
 * who_may() was true, but call->unsure: the log is read first, then it is asked
 * again, and serve() goes on with the request if it is still true.
 */
enum http_verdict who_look(struct api_call *, enum http_verdict (*serve)(struct api_call *));

#endif
