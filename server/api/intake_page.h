/*
 * intake_page: the values of form.html: what was typed, and what was wrong
 * with it. PURE.
 */
#ifndef API_INTAKE_PAGE_H
#define API_INTAKE_PAGE_H

#include <jansson.h>

struct form_body;

/* form: its image; body NULL: nothing was typed yet; errors and notice (a sentence) may be NULL. New reference. */
json_t *intake_page_values(const json_t *form, const struct form_body *body, const json_t *errors, const char *notice);

/* Into these values: the slots of load_slots() to choose from, with that chosen which was typed. */
void intake_page_slots(json_t *values, const json_t *form, const json_t *slots, const struct form_body *body);

#endif
