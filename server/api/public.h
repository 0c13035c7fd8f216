/*
 * public: what strangers' browsers and scripts are answered with: a page or
 * JSON, the contact's link, and the little of a callback that he may see.
 */
#ifndef API_PUBLIC_H
#define API_PUBLIC_H

#include <stdbool.h>
#include <stdint.h>

#include "api/api.h"

/* True when Accept names JSON and no HTML, or the request's own body is JSON. */
bool public_wants_json(const struct api_call *);
/*
 * The page of www_dir ("form.html") with these values (reference taken), its
 * security headers, and no-store. targets: origins, separated by blanks, that
 * its forms may lead to beside this server (Chromium holds redirects after a
 * post against it too); frames: origins that may show it in a frame.
 */
enum http_verdict public_page(struct api_call *, int status, const char *page, json_t *values, const char *targets,
    const char *frames);
/* error.html to whom wants a page, problem+json to others. retry_after_s 0: no such header. */
enum http_verdict public_problem(struct api_call *, int status, const char *type, const char *detail, int retry_after_s);
/* 429 in JSON, whatever is accepted: of what only scripts ask for. */
enum http_verdict public_too_often(struct api_call *, int64_t wait_ms);
struct form_body;
/*
 * The request's body in any of the three encodings. False when it was answered: 415
 * or 400. form_body_fini() must follow in any case.
 */
bool public_form(struct api_call *, struct form_body *);
/* The database cannot be asked now: 503. */
enum http_verdict public_unavailable(struct api_call *);
#define PUBLIC_RETRY_S 5
/* True when the database answers. */
bool public_database_up(const struct api_call *);

/* 303: a browser goes there by GET. */
enum http_verdict public_redirect(struct api_call *, const char *location);

/*
 * A submit, and as api_execute(), but then is called with every answer, also
 * refusals, errors and the end of the wait (lane_err_down), and must answer
 * each: in words for a browser. False, and nothing else, when the lane is full.
 */
typedef void (*public_then_fn)(struct api_call *, const struct lane_answer *);
bool public_submit(struct api_call *, json_t *callback, public_then_fn) __attribute__((warn_unused_result));
bool public_execute(struct api_call *, json_t *command, public_then_fn) __attribute__((warn_unused_result));

/* Malloced: the link as it is given away (absolute when there is a base_url), and as a redirect's target. */
char *public_link(const struct api_call *, const char *token);
char *public_path(const struct api_call *, const char *token);
/* "https://shop.example/x?y" -> "https://shop.example", malloced; NULL when it is no such URL. */
char *public_origin(const char *url);
/* Blank-separated, malloced: those of an array of origins that can stand in a header. */
char *public_origins(const json_t *origins);

/* The state's name as clients see it at that time: "queued" is a scheduled one that is due. */
const char *public_state(const json_t *image, int64_t at_ms);
/* {"id","state","promise":{"local","time_zone","at"}} of a callback's image; new reference. */
json_t *public_callback(const json_t *image, int64_t at_ms);

#endif
