/*
 * filter: which callbacks are meant, by the names that people use.
 */
#ifndef API_FILTER_H
#define API_FILTER_H

#include <jansson.h>

#include "api/api.h"
#include "api/fields.h"

/* {"state", "queue", "form", "agent", "due_from", "due_to"}: what the query says of these; new reference. */
json_t *filter_query(struct api_call *);
/* The same as load_callbacks() takes it; what is wrong is noted in the fields. New reference. */
json_t *filter_read(struct api_call *, struct fields *, const json_t *asked);

#endif
