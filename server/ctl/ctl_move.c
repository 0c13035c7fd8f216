/*
 * callbackctl move, now: another promise for one callback. Whether it can be is
 * the server's to say.
 */
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/json.h"

/* "moved ID to 2026-11-24T15:00:00 Europe/Berlin"; what the server understood, if not what was said. */
static void
print_moved(const struct ctl *ctl, const json_t *answer)
{
	const json_t *callback = json_object_get(answer, "callback");
	const char *local = json_text(callback, "promise_local"),
		   *zone = json_text(callback, "promise_zone");
	const char *note = json_text(answer, "when_note");

	if (ctl->json) {
		json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
		putchar('\n');
		return;
	}
	if (local == NULL || zone == NULL) {
		puts("nothing to change");
		return;
	}
	printf("moved %s to %s %s", ctl->args[0], local, zone);
	if (note != NULL && strcmp(note, "as_asked") != 0)
		printf(" (%s)", note);
	putchar('\n');
}

/* Takes body. */
static int
change(const struct ctl *ctl, const char *action, json_t *body)
{
	const char *text = ctl->args[0];
	json_t *answer = NULL;
	struct id id;

	if (!id_parse(text, &id)) {
		ctl_complain("%s is not the id of a callback", text);
		json_decref(body);
		return CTL_USAGE;
	}
	if (ctl->reason != NULL)
		json_object_set_new(body, "reason", json_string(ctl->reason));
	char *path = xasprintf("/v1/callbacks/%s/%s", text, action);
	answer = ctl_ask(ctl, "POST", path, NULL, body);
	free(path);
	json_decref(body);
	if (answer == NULL)
		return CTL_FAILED;
	print_moved(ctl, answer);
	json_decref(answer);
	return CTL_OK;
}

int
ctl_move(const struct ctl *ctl)
{
	json_t *body = json_object();

	/* Bytes that are not UTF-8 make no string, and the server says what is missing. */
	json_object_set_new(body, "when", json_string(ctl->args[1]));
	if (ctl->zone != NULL)
		json_object_set_new(body, "time_zone", json_string(ctl->zone));
	return change(ctl, "reschedule", body);
}

int
ctl_now(const struct ctl *ctl)
{
	return change(ctl, "now", json_object());
}
