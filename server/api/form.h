/*
 * form: what all addresses below /f/{form} share: which form it is, and whose
 * scripts may read the answer.
 */
#ifndef API_FORM_H
#define API_FORM_H

#include <stdbool.h>

#include "api/api.h"

struct form_body;

/*
 * The form that the path names (its image, borrowed), and its tenant into
 * call->tenant. NULL when it was answered: 404, or 503 while not every tenant's
 * forms are known yet.
 */
const json_t *form_find(struct api_call *);
/* Scripts of the form's origins may read the answer; to others the browser shows nothing. True when it is one. */
bool form_allow_origin(struct api_call *, const json_t *form);
/* OPTIONS: what browsers ask before they send something from another site: may these methods ("POST") be used? */
enum http_verdict form_preflight(struct api_call *, const char *methods);
/* A script's post below the form's address: its fields, for then(), unless that was answered: 400, 404 or 415. */
enum http_verdict form_post(struct api_call *,
    enum http_verdict (*then)(struct api_call *, const json_t *form, const struct form_body *));
/*
 * What submit() needs of a request beside what it says: an id, which becomes the call's, the form, and when there is an
 * Idempotency-Key, that and what it stands for.
 */
void form_element(struct api_call *, const json_t *form, const struct form_body *, json_t *callback);

#endif
