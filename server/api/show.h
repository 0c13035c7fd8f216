/*
 * show: images as a client is shown them: the derived state `queued`, and the
 * names of what is only numbered inside.
 */
#ifndef API_SHOW_H
#define API_SHOW_H

#include <jansson.h>
#include <libpq-fe.h>

#include "api/api.h"

/* "epoch.seq" of an event of the asker's tenant. */
json_t *show_event(const struct api_call *, uint64_t seq);
/* Of the newest event applied here: where to follow on from. */
json_t *show_event_now(const struct api_call *);
/* Reads the callback that the path names, for then(); wait as api_query()'s. */
enum http_verdict show_ask(struct api_call *, const char *wait,
    void (*then)(struct api_call *, const PGresult *, const char *err));
/* A read of a JSON text; NULL when there is none, or what came was answered. */
json_t *show_read(struct api_call *, const PGresult *, const char *err, bool *answered);
/* Adds to a callback's image. */
void show_callback(const struct api_call *, json_t *image);

#endif
