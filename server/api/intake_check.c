/*
 * intake_check: what a visitor may ask for. It must not know how he is
 * answered, nor touch what it does not understand: that is case information.
 */
#include "api/intake_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/mem.h"

const char *const intake_fields[] = { "phone", "name", "email", "subject", "when", "time_zone",
	"language", "consent", "notes", "hold", INTAKE_HONEYPOT, NULL };

struct check {
	struct intake_check *out;
	const json_t *form;
	const struct form_body *body;
	int64_t now_ms;
};

static void
wrong(struct check *c, const char *field, const char *message)
{
	form_error_add(&c->out->errors, field, message);
}

static size_t
count_characters(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

/* Line ends and tabs are text in notes, and a trick anywhere else. */
static bool
has_control(const char *text, bool lines)
{
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		if ((*p < 0x20 && !(lines && strchr("\r\n\t", *p) != NULL)) || *p == 0x7f)
			return true;
	}
	return false;
}

/* Without blanks around it, and with \n for a browser's \r\n. */
static char *
tidy(const char *text)
{
	text += strspn(text, " \t\r\n");
	size_t len = strlen(text), out = 0;
	while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
		len--;
	char *copy = xstrndup(text, len);

	for (size_t i = 0; i < len; i++) {
		if (!(copy[i] == '\r' && copy[i + 1] == '\n'))
			copy[out++] = copy[i];
	}
	copy[out] = '\0';
	return copy;
}

/* The one field of that name; NULL when it was not sent, is null, or was sent twice (which is wrong). */
static const struct form_field *
take_field(struct check *c, const char *name)
{
	const struct form_field *f = form_body_next(c->body, name, NULL);

	if (f == NULL || json_is_null(f->json))
		return NULL;
	if (form_body_next(c->body, name, f) != NULL) {
		wrong(c, name, "was sent more than once");
		return NULL;
	}
	return f;
}

/* Its text, tidied and malloced; NULL when there is none, or it is wrong. */
static char *
take_text(struct check *c, const char *name, size_t max, bool lines)
{
	const struct form_field *f = take_field(c, name);
	char message[64];

	if (f == NULL)
		return NULL;
	if (f->json != NULL) {
		wrong(c, name, "must be a text");
		return NULL;
	}
	char *text = tidy(f->value);

	if (has_control(text, lines)) {
		wrong(c, name,
		    lines ? "has control characters"
			  : "must be one line, without control characters");
	} else if (count_characters(text) > max) {
		snprintf(message, sizeof(message), "is longer than %zu characters", max);
		wrong(c, name, message);
	} else if (*text != '\0') {
		return text;
	}
	free(text);
	return NULL;
}

static void
put_text(struct check *c, const char *name, size_t max, bool lines)
{
	char *text = take_text(c, name, max, lines);

	if (text != NULL)
		json_object_set_new(c->out->callback, name, json_string(text));
	free(text);
}

static bool
country_ok(const json_t *form, const char *region)
{
	const json_t *countries = json_object_get(form, "countries");
	const char *only = json_text(form, "default_region");

	for (size_t i = 0; i < json_array_size(countries); i++) {
		const char *country = json_string_value(json_array_get(countries, i));

		if (country != NULL && strcmp(country, region) == 0)
			return true;
	}
	return json_array_size(countries) == 0 && only != NULL && strcmp(only, region) == 0;
}

static bool
was_refused(const struct form_body *b, const char *field)
{
	size_t i;
	const json_t *error;

	json_array_foreach (b->errors, i, error) {
		if (strcmp(json_text(error, "field"), field) == 0)
			return true;
	}
	return false;
}

/* As rules know it. */
static const char *
type_name(enum phone_type type)
{
	switch (type) {
	case PHONE_FIXED_LINE:
		return "fixed_line";
	case PHONE_MOBILE:
		return "mobile";
	case PHONE_FIXED_OR_MOBILE:
		return "fixed_or_mobile";
	case PHONE_TOLL_FREE:
		return "toll_free";
	case PHONE_VOIP:
		break;
	}
	return "voip";
}

static void
check_phone(struct check *c)
{
	size_t before = json_array_size(c->out->errors);
	char *text = take_text(c, "phone", PHONE_TEXT_MAX, false);
	const char *region_hint = json_text(c->form, "default_region");
	char region[PHONE_REGION_SIZE];
	enum phone_type type;
	const char *why;
	json_t *out = c->out->callback;

	if (text == NULL) {
		if (json_array_size(c->out->errors) == before && !was_refused(c->body, "phone"))
			wrong(c, "phone", "is required");
		return;
	}
	if (!phone_parse(
		text, region_hint != NULL ? region_hint : "", c->out->phone, region, &type, &why))
		wrong(c, "phone", why);
	else if (!country_ok(c->form, region))
		wrong(c, "phone", "is a number in a country that is not called");
	else
		json_object_update_new(out,
		    json_pack("{s:s, s:s, s:s}", "phone", c->out->phone, "region", region,
			"number_type", type_name(type)));
	free(text);
}

/* No more than a mail server's first look: only a mail sent would tell. */
static bool
email_ok(const char *text)
{
	const char *at = strrchr(text, '@');

	return at != NULL && at > text && at - text <= 64 && at[1] != '\0' && at[1] != '.' &&
	    at[strlen(at) - 1] != '.' && strpbrk(text, " \t<>(),;:\\") == NULL &&
	    strchr(text, '@') == at;
}

static void
check_email(struct check *c)
{
	char *text = take_text(c, "email", 254, false);

	if (text != NULL && !email_ok(text))
		wrong(c, "email", "is not an e-mail address");
	else if (text != NULL)
		json_object_set_new(c->out->callback, "email", json_string(text));
	free(text);
}

/* "de", "pt-BR": 2-8 letters, then groups of 1-8 letters and digits (BCP 47's outer form). */
static bool
language_ok(const char *text)
{
	size_t run = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

	if (run < 2 || run > 8)
		return false;
	for (text += run; *text == '-'; text += run) {
		text++;
		run =
		    strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
		if (run < 1 || run > 8)
			return false;
	}
	return *text == '\0';
}

static void
check_language(struct check *c)
{
	char *text = take_text(c, "language", 35, false);
	const char *forms = json_text(c->form, "language");

	if (text != NULL && !language_ok(text))
		wrong(c, "language", "is not a language tag such as \"en\" or \"pt-BR\"");
	else if (text != NULL || forms != NULL)
		json_object_set_new(
		    c->out->callback, "language", json_string(text != NULL ? text : forms));
	free(text);
}

static void
check_time_zone(struct check *c)
{
	char *text = take_text(c, "time_zone", 64, false);

	/* Whether there is such a zone, PostgreSQL knows. */
	if (text != NULL &&
	    text[strspn(text,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/")] != '\0')
		wrong(c, "time_zone", "is not a time zone such as \"Europe/Berlin\"");
	else if (text != NULL)
		json_object_set_new(c->out->callback, "time_zone", json_string(text));
	free(text);
}

/* Reads it as if it were UTC; false when it is no local time. */
static bool
local_parse(const char *text, int64_t *as_utc_ms)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd.";
	size_t i;
	struct tm tm = { 0 };

	for (i = 0; shape[i] != '\0' && text[i] != '\0'; i++) {
		if (shape[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != shape[i])
			return false;
	}
	/* Ends behind the minutes, the seconds, or up to three digits of a fraction. */
	if (i != 16 && i != 19 &&
	    (i != 20 || text[i + strspn(text + i, "0123456789")] != '\0' || strlen(text + i) > 3 ||
		text[i] == '\0'))
		return false;
	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		&tm.tm_hour, &tm.tm_min, &tm.tm_sec) < 5)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	struct tm asked = tm;
	*as_utc_ms = (int64_t)timegm(&tm) * 1000;
	/* timegm() makes the 1st of March of a 29th of February that was not. */
	return tm.tm_year == asked.tm_year && tm.tm_mon == asked.tm_mon &&
	    tm.tm_mday == asked.tm_mday && tm.tm_hour == asked.tm_hour &&
	    tm.tm_min == asked.tm_min && tm.tm_sec == asked.tm_sec;
}

bool
intake_local_ok(const char *text)
{
	int64_t ms;

	return local_parse(text, &ms);
}

/* A place that was held: submit() knows whether it is. */
static void
check_hold(struct check *c)
{
	char *text = take_text(c, "hold", ID_TEXT_SIZE, false);
	struct id id;

	if (text != NULL && !id_parse(text, &id))
		wrong(c, "hold", "is not a hold's id");
	else if (text != NULL)
		json_set_id(c->out->callback, "hold", id);
	free(text);
}

/*
 * The same limits as submit()'s, which alone decides: only what is wrong in
 * every time zone (from -12 to +14 hours) is said here, beside the other wrong
 * fields.
 */
static void
check_range(struct check *c, int64_t earliest_ms, int64_t latest_ms)
{
	int64_t horizon_s = json_int(c->form, "horizon_s", 0);

	if (latest_ms < c->now_ms - 60000)
		wrong(c, "when", "is in the past");
	else if (horizon_s > 0 && earliest_ms > c->now_ms + horizon_s * 1000)
		wrong(c, "when", "is too far ahead");
}

static void
check_when(struct check *c)
{
	static const int64_t hour_ms = 3600000;
	char *text = take_text(c, "when", 40, false);
	int64_t ms;

	if (text == NULL || strcasecmp(text, "asap") == 0) {
		json_object_set_new(c->out->callback, "when", json_string("asap"));
	} else if (local_parse(text, &ms)) {
		check_range(c, ms - 14 * hour_ms, ms + 12 * hour_ms);
		/* To the second, and to the minute when it is a whole one. */
		size_t len = strlen(text) > 16 && strncmp(text + 16, ":00", 3) != 0 ? 19 : 16;
		json_object_set_new(c->out->callback, "when", json_stringn(text, len));
	} else if (clock_parse(text, &ms)) {
		check_range(c, ms, ms);
		json_object_set_new(c->out->callback, "at", json_integer(ms));
	} else {
		wrong(c, "when",
		    "must be \"asap\", a local time such as 2026-11-24T10:00, or one with an "
		    "offset "
		    "such as 2026-11-24T10:00:00+01:00");
	}
	free(text);
}

static bool
is_one_of(const char *text, const char *const *list)
{
	for (; *list != NULL; list++) {
		if (strcasecmp(text, *list) == 0)
			return true;
	}
	return false;
}

bool
intake_is_yes(const char *text)
{
	static const char *const yes[] = { "1", "true", "on", "yes", "y", NULL };

	return is_one_of(text, yes);
}

static void
check_consent(struct check *c)
{
	static const char *const no[] = { "", "0", "false", "off", "no", "n", NULL };
	const struct form_field *f = take_field(c, "consent");
	bool given = false;

	if (f != NULL && f->json != NULL && !json_is_boolean(f->json)) {
		wrong(c, "consent", "must be true or false");
		return;
	}
	/* A JSON boolean's text is one of these words too. */
	if (f != NULL) {
		given = intake_is_yes(f->value);
		if (!given && !is_one_of(f->value, no)) {
			wrong(c, "consent", "must be yes or no");
			return;
		}
		json_object_set_new(c->out->callback, "consent", json_boolean(given));
	}
	if (!given && json_bool(c->form, "consent_required", false))
		wrong(c, "consent", "is required");
}

void
intake_check(
    struct intake_check *out, const json_t *form, const struct form_body *body, int64_t now_ms)
{
	struct check c = { .out = out, .form = form, .body = body, .now_ms = now_ms };

	memset(out, 0, sizeof(*out));
	out->callback = json_object();
	if (body->errors != NULL)
		out->errors = json_copy(body->errors);
	check_phone(&c);
	put_text(&c, "name", 200, false);
	check_email(&c);
	put_text(&c, "subject", 300, false);
	check_when(&c);
	check_hold(&c);
	check_time_zone(&c);
	check_language(&c);
	check_consent(&c);
	put_text(&c, "notes", 4000, true);
	json_object_set_new(out->callback, "case", form_body_others(body, intake_fields));
}

bool
intake_is_robot(const struct form_body *body)
{
	for (const struct form_field *f = NULL;
	     (f = form_body_next(body, INTAKE_HONEYPOT, f)) != NULL;) {
		if (f->value[strspn(f->value, " \t\r\n")] != '\0' && !json_is_null(f->json))
			return true;
	}
	return false;
}

void
intake_check_zone(struct intake_check *check, bool known)
{
	if (known)
		return;
	if (check->errors == NULL)
		check->errors = json_array();
	json_array_append_new(check->errors,
	    json_pack(
		"{s:s, s:s}", "field", "time_zone", "message", "is not a known IANA time zone"));
}
