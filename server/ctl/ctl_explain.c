/*
 * callbackctl explain: why a callback is where it is, for people. The sentences
 * are the server's.
 */
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/id.h"
#include "base/json.h"

static void
print_value(const json_t *value)
{
	struct buf b = { 0 };

	ctl_text_add(&b, value);
	fputs(b.data, stdout);
	buf_fini(&b);
}

static void
print_row(const json_t *item, const char *const *names)
{
	for (; *names != NULL; names++) {
		fputs("  ", stdout);
		print_value(json_object_get(item, *names));
	}
	putchar('\n');
}

static void
print_list(const char *title, const json_t *list, const char *const *names)
{
	const json_t *item;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	printf("%s\n", title);
	json_array_foreach (list, i, item)
		print_row(item, names);
}

static void
print_all(const json_t *answer)
{
	static const char *const offers[] = { "created_at", "agent_name", "state", "seconds",
		"reason", NULL };
	static const char *const widened[] = { "widened_at", "step", "after_s", "levels", "without",
		"queue", "priority", NULL };
	static const char *const attempts[] = { "started_at", "number", "state", NULL };
	const json_t *callback = json_object_get(answer, "callback");
	const json_t *placed = json_object_get(answer, "placed");
	const char *key;
	json_t *value;

	printf("callback  ");
	print_value(json_object_get(callback, "id"));
	printf("\nstate     ");
	print_value(json_object_get(callback, "state"));
	putchar('\n');
	json_object_foreach ((json_t *)(uintptr_t)placed, key, value) {
		printf("%-9s ", key);
		print_value(value);
		putchar('\n');
	}
	print_list("offers (when, agent, what became of it, seconds, reason)",
	    json_object_get(answer, "offers"), offers);
	print_list(
	    "widened (when, step, seconds after it fell due, levels, without, queue, priority)",
	    json_object_get(callback, "widened"), widened);
	print_list(
	    "attempts (when, number, outcome)", json_object_get(answer, "attempts"), attempts);
	printf("now       ");
	print_value(json_object_get(json_object_get(answer, "now"), "sentence"));
	putchar('\n');
}

int
ctl_explain(const struct ctl *ctl)
{
	const char *text = ctl->args[0];
	struct id id;

	if (!id_parse(text, &id)) {
		ctl_complain("%s is not the id of a callback", text);
		return CTL_USAGE;
	}
	char *path = xasprintf("/v1/callbacks/%s/explain", text);
	json_t *answer = ctl_ask(ctl, "GET", path, NULL, NULL);
	free(path);
	if (answer == NULL)
		return CTL_FAILED;
	if (ctl->json) {
		json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
		putchar('\n');
	} else
		print_all(answer);
	json_decref(answer);
	return CTL_OK;
}
