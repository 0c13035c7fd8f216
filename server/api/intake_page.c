/*
 * intake_page: a form again as it was typed. What its own page asked beside
 * our fields goes along unseen, so that nothing is lost. It must not judge.
 */
#include "api/intake_page.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/form_body.h"
#include "api/intake_check.h"
#include "api/slot_page.h"
#include "base/json.h"
#include "base/mem.h"

/* Ours that can be seen, in the page's order. */
static const struct {
	const char *name, *label;
} visible[] = {
	{ "phone", "Telephone number" },
	{ "name", "Name" },
	{ "email", "E-mail address" },
	{ "subject", "Subject" },
	{ "when", "Time" },
	{ "time_zone", "Time zone" },
	{ "notes", "Notes" },
	{ "consent", "Consent" },
};
#define VISIBLE (sizeof(visible) / sizeof(visible[0]))

static const char *
label_of(const char *name)
{
	for (size_t i = 0; i < VISIBLE; i++) {
		if (strcmp(visible[i].name, name) == 0)
			return visible[i].label;
	}
	return NULL;
}

static void
set(json_t *values, const char *key, const char *suffix, const char *text)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%s", key, suffix);
	json_object_set_new(values, name, json_string(text));
}

static const char *
typed(const struct form_body *body, const char *name)
{
	const struct form_field *f = body != NULL ? form_body_next(body, name, NULL) : NULL;

	return f != NULL ? f->value : "";
}

/* A browser empties a datetime-local that it cannot read: such a text is shown in a plain field. */
static void
set_when(json_t *values, const struct form_body *body)
{
	const char *when = typed(body, "when");

	if (strcasecmp(when, "asap") == 0)
		when = "";
	set(values, "when", "", when);
	set(values, "when", "_type",
	    *when == '\0' || intake_local_ok(when) ? "datetime-local" : "text");
}

/* Case information, and what else has no place on the page, but for what is wrong: that could not be mended. */
static json_t *
hidden_fields(const struct form_body *body, const json_t *wrong)
{
	json_t *hidden = json_array();

	for (size_t i = 0; body != NULL && i < body->count; i++) {
		const struct form_field *f = &body->fields[i];

		if (label_of(f->name) != NULL || strcmp(f->name, INTAKE_HONEYPOT) == 0 ||
		    json_object_get(wrong, f->name) != NULL)
			continue;
		json_array_append_new(hidden,
		    json_pack("{s:s, s:s}", "field_name", f->name, "field_value", f->value));
	}
	return hidden;
}

/* [{"field_id","text"}] for the top of the page; *wrong: {field: message}. */
static json_t *
summary(const json_t *errors, json_t *wrong)
{
	json_t *list = json_array();
	size_t i;
	const json_t *error;

	json_array_foreach (errors, i, error) {
		const char *field = json_text(error, "field"),
			   *message = json_text(error, "message");
		if (field == NULL || message == NULL)
			continue;
		const char *label = label_of(field);
		char *text = xasprintf(
		    "%s%s%s", label != NULL ? label : field, *field != '\0' ? " " : "", message);

		json_array_append_new(list,
		    json_pack("{s:s, s:s}", "field_id", label != NULL ? field : "", "text", text));
		if (*field != '\0')
			json_object_set_new(wrong, field, json_string(message));
		free(text);
	}
	return list;
}

json_t *
intake_page_values(
    const json_t *form, const struct form_body *body, const json_t *errors, const char *notice)
{
	json_t *wrong = json_object(), *values = json_object();
	const char *zone = json_text(form, "time_zone"), *label = json_text(form, "label");
	const char *consent = json_text(form, "consent_text");
	bool needed = json_bool(form, "consent_required", false);

	json_object_set_new(values, "errors", summary(errors, wrong));
	json_object_set_new(values, "hidden", hidden_fields(body, wrong));
	for (size_t i = 0; i < VISIBLE; i++) {
		const char *message = json_text(wrong, visible[i].name);

		set(values, visible[i].name, "", typed(body, visible[i].name));
		if (message != NULL)
			set(values, visible[i].name, "_error", message);
	}
	set_when(values, body);
	if (*typed(body, "time_zone") == '\0')
		set(values, "time_zone", "", zone != NULL ? zone : "UTC");
	set(values, "label", "", label != NULL ? label : "Call me back");
	set(values, "notice", "", notice != NULL ? notice : "");
	json_object_set_new(
	    values, "trouble", json_boolean(notice != NULL || json_array_size(errors) > 0));
	if (needed || (consent != NULL && *consent != '\0'))
		set(values, "consent_text", "",
		    consent != NULL && *consent != '\0' ? consent : "You may call me back.");
	json_object_set_new(
	    values, "consent_checked", json_boolean(intake_is_yes(typed(body, "consent"))));
	json_object_set_new(values, "consent_required", json_boolean(needed));
	json_decref(wrong);
	return values;
}

void
intake_page_slots(
    json_t *values, const json_t *form, const json_t *slots, const struct form_body *body)
{
	const char *zone = json_text(form, "time_zone");

	json_object_set_new(values, "slotted", json_true());
	json_object_set_new(values, "days", slot_days(slots, typed(body, "when")));
	json_object_set_new(
	    values, "full", json_boolean(json_array_size(json_object_get(values, "days")) == 0));
	set(values, "slot_zone", "", zone != NULL ? zone : "UTC");
}
