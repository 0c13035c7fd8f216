/*
 * intake_check: from a form's fields to what submit() takes, or to every wrong
 * field at once. PURE: no request, no database; what needs a time zone's tables
 * is checked in SQL.
 */
#ifndef API_INTAKE_CHECK_H
#define API_INTAKE_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "api/form_body.h"
#include "api/phone.h"

/* Filled by nobody who can see; see intake.c. */
#define INTAKE_HONEYPOT "website"

struct intake_check {
	json_t *callback;		/* submit()'s element but for id, form, address, key; the caller's to free */
	json_t *errors;			/* [{"field","message"}], likewise; NULL: none */
	char phone[PHONE_E164_SIZE];
};

/* form: its image. Errors that the body already has are among them, and come first. */
void intake_check(struct intake_check *, const json_t *form, const struct form_body *, int64_t now_ms);
/* Its zone is not one: SQL has the last word; here so that it is named beside the other wrong fields. */
void intake_check_zone(struct intake_check *, bool known);
bool intake_is_robot(const struct form_body *);
/* True for "2026-11-24T10:00" and ":SS" and ".mmm" behind it, of a day and time that a calendar has. */
bool intake_local_ok(const char *);
/* "1", "true", "on", "yes", "y" in any case: a ticked box, whatever its form calls it. */
bool intake_is_yes(const char *);
/* The fields that are not case information, ended by NULL. */
extern const char *const intake_fields[];

#endif
