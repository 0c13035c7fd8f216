/*
 * callbackctl apply: sends a company, and prints what changed (or would) as a
 * diff. The server compares; this must not know what a company consists of.
 */
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

/* "offer_timeout_s: 20 -> 30" */
static void
print_field(const char *field, const json_t *pair)
{
	struct buf line = { 0 };

	buf_printf(&line, "%s: ", field);
	if (json_array_size(pair) == 2) {
		ctl_text_add(&line, json_array_get(pair, 0));
		buf_puts(&line, " -> ");
		ctl_text_add(&line, json_array_get(pair, 1));
	} else {
		ctl_text_add(&line, pair);
	}
	puts(line.data);
	buf_fini(&line);
}

/* One line per field that changed, so that a line can be understood by itself. */
static void
print_changed(const char *what, const json_t *change)
{
	json_t *fields = json_object_get(change, "fields"), *pair;
	const char *field;

	if (json_object_size(fields) == 0)
		printf("~ %s\n", what);
	json_object_foreach (fields, field, pair) {
		printf("~ %s ", what);
		print_field(field, pair);
	}
}

struct count {
	size_t created, changed, removed;
};

static void
print_change(const json_t *change, struct count *count)
{
	const char *action = json_text(change, "action");
	struct buf what = { 0 };

	ctl_text_add(&what, json_object_get(change, "object"));
	buf_puts(&what, " ");
	ctl_text_add(&what, json_object_get(change, "name"));
	if (action != NULL && strcmp(action, "create") == 0) {
		printf("+ %s\n", what.data);
		count->created++;
	} else if (action != NULL && strcmp(action, "remove") == 0) {
		printf("- %s\n", what.data);
		count->removed++;
	} else {
		print_changed(what.data, change);
		count->changed++;
	}
	buf_fini(&what);
}

static void
print_changes(const json_t *changes, bool dry_run)
{
	struct count count = { 0 };
	const json_t *change;
	size_t i;

	json_array_foreach (changes, i, change)
		print_change(change, &count);
	if (json_array_size(changes) == 0)
		puts("nothing to change");
	else
		printf("%zu created, %zu changed, %zu removed%s\n", count.created, count.changed,
		    count.removed, dry_run ? " (dry run: nothing was changed)" : "");
}

int
ctl_apply(const struct ctl *ctl)
{
	const struct ctl_param params[] = { { "dry_run", ctl->dry_run ? "1" : NULL },
		{ NULL, NULL } };

	if (ctl->file == NULL) {
		ctl_complain("apply needs --file company.json");
		return CTL_USAGE;
	}
	json_t *document = ctl_read(ctl->file);
	if (document == NULL)
		return CTL_FAILED;
	json_t *answer = ctl_ask(ctl, "PUT", "/v1/company", params, document);
	json_decref(document);
	if (answer == NULL)
		return CTL_FAILED;
	const json_t *changes = json_object_get(answer, "changes");
	int status = json_is_array(changes) ? CTL_OK : CTL_FAILED;
	if (status == CTL_OK)
		print_changes(changes, ctl->dry_run);
	else
		ctl_complain("the answer holds no changes");
	json_decref(answer);
	return status;
}
