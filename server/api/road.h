/*
 * road: how a request waits: for the lane, the pool, the worker thread or
 * anything else, one after the other, each under the deadline wait_ms.
 */
#ifndef API_ROAD_H
#define API_ROAD_H

#include "api/api.h"

struct thoughts;

/*
 * Parks the request (again). forget(arg) is called when the wait ends otherwise
 * than by road_arrived(); NULL when it is call->ticket or call->query.
 */
enum http_verdict road_wait(struct api_call *, const char *wait, void (*forget)(void *), void *arg);
/* What was waited for is here: before it is handled ... */
void road_arrived(struct api_call *);
/* ... and after: the request goes on, unless the handling began another wait. */
void road_go_on(struct api_call *);
/* The request ended: nothing that was asked for it may come back. */
void road_forget(struct api_call *);

/*
 * Runs job(data) on the worker thread, then then(call, data) on the loop.
 * data_free(data) follows in any case, also when the request has ended before.
 */
enum http_verdict road_think(struct api_call *, const char *wait, void (*job)(void *data),
    void (*then)(struct api_call *, void *data), void *data, void (*data_free)(void *data));
/* Those under way, for api.c to keep and to free what never came back. */
struct thoughts *thoughts_new(void);
void thoughts_free(struct thoughts *);
struct thoughts *api_thoughts(struct api *);

/* 503 + Retry-After: too much waits already. */
enum http_verdict road_busy(struct api_call *);
/* 500: the database refused a read that it should have answered; logged. */
void road_failed(struct api_call *, const char *err);

/* The role's name in a command: contact, agent, supervisor, administrator, operator. */
const char *role_name(enum api_role);

#endif
