/*
 * contact: what the handlers of the contact's link share: whose it is, and the
 * page that shows how his request stands.
 */
#ifndef API_CONTACT_H
#define API_CONTACT_H

#include <stdbool.h>

#include "api/api.h"

/* Into call->tenant and *id; false when it was answered. */
bool contact_find(struct api_call *, struct id *);
/* Reads the callback; then gets what load_callback() gives, and contact_row() makes JSON of it. */
enum http_verdict contact_load(struct api_call *, struct id,
    void (*then)(struct api_call *, const PGresult *, const char *err));
/* A new reference, or NULL: it was answered. */
json_t *contact_row(struct api_call *, const PGresult *, const char *err);
/* "+*******820", malloced. */
char *contact_mask(const char *phone);

/* What the page says beside how the request stands; call->data of a handler that may have to show it again. */
struct contact_view {
	struct id id;
	int status;		/* the page's; 0: 200 */
	char *trouble;		/* the sentence at its top; NULL: none */
	json_t *all;		/* what load_callback() said, while the page's slots are read */
	char *when, *time_zone;	/* as typed; NULL: the present promise's */
};
void contact_view_free(void *);
/* The page with call->data's status, trouble and typed texts, after a read. */
enum http_verdict contact_show_again(struct api_call *, int status, const char *trouble);

/* contact_move.c, contact_calendar.c */
enum http_verdict contact_reschedule(struct api_call *);
enum http_verdict contact_now(struct api_call *);
enum http_verdict contact_calendar(struct api_call *);

#endif
