/*
 * callbackctl recompute: the rules of a time zone have changed: openings and
 * promises are worked out anew from their wall times. Which are, and to what, is
 * the server's to say.
 */
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"

static bool
recompute_openings(const struct ctl *ctl)
{
	json_t *answer = ctl_ask(ctl, "GET", "/v1/queues", NULL, NULL), *none = json_object();
	const json_t *one;
	bool good = answer != NULL;
	size_t i;

	json_array_foreach (json_object_get(answer, "queues"), i, one) {
		const json_t *queue = json_object_get(one, "queue");
		const char *name = json_text(queue, "name");

		if (name == NULL || !json_is_object(json_object_get(queue, "hours")))
			continue;
		char *path = xasprintf("/v1/queues/%s/openings", name);
		json_t *done = ctl_ask(ctl, "POST", path, NULL, none);

		free(path);
		good = good && done != NULL;
		json_decref(done);
	}
	json_decref(none);
	json_decref(answer);
	return good;
}

/* "ID  2026-03-29T10:00:00 Europe/Berlin  from 2026-03-29T08:00:00Z to 2026-03-29T09:00:00Z" */
static void
print_moved(const json_t *moved)
{
	static const char *const names[] = { "id", "promise_local", "promise_zone", "before_at",
		"promise_at" };
	static const char *const before[] = { "", "  ", " ", "  from ", " to " };
	const json_t *one;
	size_t i;

	json_array_foreach (moved, i, one) {
		struct buf line = { 0 };

		for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
			buf_puts(&line, before[n]);
			ctl_text_add(&line, json_object_get(one, names[n]));
		}
		puts(line.data);
		buf_fini(&line);
	}
}

/* One request's worth; NULL when it failed, which was complained about. */
static json_t *
recompute_some(const struct ctl *ctl, const json_t *after)
{
	json_t *body =
	    json_pack("{s:{s:s, s:s*}, s:s, s:b, s:O*}", "filter", "promise", "astray", "queue",
		ctl->queue, "action", "recompute", "dry_run", (int)ctl->dry_run, "after", after);
	json_t *answer = ctl_ask(ctl, "POST", "/v1/callbacks/bulk", NULL, body);

	json_decref(body);
	return answer;
}

int
ctl_recompute(const struct ctl *ctl)
{
	json_t *all = json_array(), *answer = NULL;
	size_t refused = 0;
	bool more = true;

	if (!ctl->dry_run && !recompute_openings(ctl)) {
		json_decref(all);
		return CTL_FAILED;
	}
	while (more) {
		json_t *next = recompute_some(ctl, json_object_get(answer, "next"));

		json_decref(answer);
		answer = next;
		json_array_extend(all, json_object_get(answer, "moved"));
		refused += json_array_size(json_object_get(answer, "refused"));
		more = json_object_get(answer, "next") != NULL;
	}
	/* What was moved before one failed is moved all the same. */
	if (ctl->json) {
		json_dumpf(all, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_moved(all);
	}
	if (answer != NULL && !ctl->json)
		printf("%zu promises%s moved; %zu had changed meanwhile\n", json_array_size(all),
		    ctl->dry_run ? " would be" : "", refused);
	int status = answer != NULL ? CTL_OK : CTL_FAILED;
	json_decref(all);
	json_decref(answer);
	return status;
}
