/*
 * callbackctl erase, export-subject, suppress, unsuppress: a contact's own data, forgotten or told,
 * and the numbers that are not called. The
 * number goes into the request's body, never into an address or a log.
 */
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/json.h"

/* {"phone": …} of --phone, or of the first line of the standard input for "-". NULL: there is none, which was said. */
static json_t *
phone_body(const struct ctl *ctl)
{
	char line[256];
	const char *phone = ctl->phone;

	if (phone == NULL) {
		ctl_complain("--phone is missing");
		return NULL;
	}
	if (strcmp(phone, "-") == 0) {
		if (fgets(line, sizeof line, stdin) == NULL) {
			ctl_complain("there is no number on the standard input");
			return NULL;
		}
		line[strcspn(line, "\r\n")] = '\0';
		phone = line;
	}
	json_t *body = json_object();
	/* Bytes that are not UTF-8 make no string, and the server says what is missing. */
	json_object_set_new(body, "phone", json_string(phone));
	return body;
}

static int
erase_one(const struct ctl *ctl, const char *text)
{
	struct id id;

	if (!id_parse(text, &id)) {
		ctl_complain("%s is not the id of a callback", text);
		return CTL_USAGE;
	}
	char *path = xasprintf("/v1/callbacks/%s/erase", text);
	json_t *body = json_object();
	json_t *answer = ctl_ask(ctl, "POST", path, NULL, body);
	json_decref(body);
	free(path);
	if (answer == NULL)
		return CTL_FAILED;
	printf("erased %s\n", text);
	json_decref(answer);
	return CTL_OK;
}

/* As often as the server says that there are more. */
static int
erase_all(const struct ctl *ctl)
{
	json_t *body = phone_body(ctl), *answer, *id;
	size_t i, n = 0, in_call = 0, page;

	if (body == NULL)
		return CTL_USAGE;
	do {
		answer = ctl_ask(ctl, "POST", "/v1/contacts/erase", NULL, body);
		if (answer == NULL)
			break;
		page = json_array_size(json_object_get(answer, "erased"));
		in_call = json_array_size(json_object_get(answer, "in_call"));
		n += page;
		json_array_foreach (json_object_get(answer, "erased"), i, id)
			printf("erased %s\n", json_string_value(id));
		json_array_foreach (json_object_get(answer, "in_call"), i, id)
			ctl_complain("%s is in a call now: erase again when it is over",
			    json_string_value(id));
		bool more = page > 0 && !json_bool(answer, "complete", true) && in_call == 0;
		json_decref(answer);
		if (!more)
			break;
	} while (true);
	json_decref(body);
	if (answer == NULL)
		return CTL_FAILED;
	printf("%zu erased\n", n);
	return in_call == 0 ? CTL_OK : CTL_FAILED;
}

int
ctl_erase(const struct ctl *ctl)
{
	const char *id = ctl->args[0];

	if ((id != NULL) == (ctl->phone != NULL)) {
		ctl_complain("erase ID, or erase --phone NUMBER");
		return CTL_USAGE;
	}
	return id != NULL ? erase_one(ctl, id) : erase_all(ctl);
}

int
ctl_export_subject(const struct ctl *ctl)
{
	json_t *body = phone_body(ctl);

	if (body == NULL)
		return CTL_USAGE;
	json_t *answer = ctl_ask(ctl, "POST", "/v1/contacts/export", NULL, body);
	json_decref(body);
	if (answer == NULL)
		return CTL_FAILED;
	json_dumpf(answer, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(answer);
	return CTL_OK;
}

static int
change_suppression(const struct ctl *ctl, const char *path, json_t *body, const char *what)
{
	json_t *answer = ctl_ask(ctl, "POST", path, NULL, body);

	json_decref(body);
	if (answer == NULL)
		return CTL_FAILED;
	json_decref(answer);
	puts(what);
	return CTL_OK;
}

/* Of --phone, as erase: {"number": ...}. */
static json_t *
number_body(const struct ctl *ctl)
{
	json_t *phone = phone_body(ctl), *body;

	if (phone == NULL)
		return NULL;
	body = json_object();
	json_object_set(body, "number", json_object_get(phone, "phone"));
	json_decref(phone);
	return body;
}

int
ctl_suppress(const struct ctl *ctl)
{
	json_t *body = number_body(ctl);

	if (body == NULL)
		return CTL_USAGE;
	if (ctl->reason != NULL)
		json_object_set_new(body, "reason", json_string(ctl->reason));
	if (ctl->until != NULL)
		json_object_set_new(body, "until", json_string(ctl->until));
	return change_suppression(ctl, "/v1/suppressions", body, "suppressed");
}

int
ctl_unsuppress(const struct ctl *ctl)
{
	json_t *body = number_body(ctl);

	return body == NULL
	    ? CTL_USAGE
	    : change_suppression(ctl, "/v1/suppressions/remove", body, "no longer suppressed");
}
