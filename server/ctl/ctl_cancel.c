/*
 * callbackctl cancel: ends one callback. Whether it can be is the server's to
 * say.
 */
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/json.h"

int
ctl_cancel(const struct ctl *ctl)
{
	const char *text = ctl->args[0];
	struct id id;

	if (!id_parse(text, &id)) {
		ctl_complain("%s is not the id of a callback", text);
		return CTL_USAGE;
	}
	json_t *body = json_object();
	if (ctl->reason != NULL)
		json_object_set_new(body, "reason", json_string(ctl->reason));
	char *path = xasprintf("/v1/callbacks/%s/cancel", text);
	json_t *answer = ctl_ask(ctl, "POST", path, NULL, body);
	free(path);
	json_decref(body);
	if (answer == NULL)
		return CTL_FAILED;
	if (ctl->json)
		json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
	else
		printf("cancelled %s", text);
	putchar('\n');
	json_decref(answer);
	return CTL_OK;
}
