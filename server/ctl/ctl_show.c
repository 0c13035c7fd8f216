/*
 * callbackctl show: what there is, as aligned tables. A table is a row of
 * data: where it is read from and its columns. Must not know how it came about.
 */
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#define COLUMNS_MAX 12
#define GAP "  "

struct column {
	const char *title;
	const char *path; /* "status.state" is that member of that member */
};

struct thing {
	const char
	    *name; /* as the user says it, and the member of the answer that holds the list */
	const char *path;    /* %s is the queue's name, which must be given */
	const char *options; /* its own letters beside -j */
	struct column columns[COLUMNS_MAX];
};

static const struct thing things[] = {
	{ "callbacks", "/v1/callbacks", "sqgl",
	    { { "ID", "id" }, { "STATE", "state" }, { "QUEUE", "queue_name" },
		{ "PRIORITY", "priority" }, { "PROMISE", "promise_at" }, { "AGENT", "agent_name" },
		{ "ATTEMPTS", "attempts" }, { "OFFERS", "offers" }, { "REASON", "reason" } } },
	{ "agents", "/v1/agents", "",
	    { { "NAME", "agent.name" }, { "LABEL", "agent.label" }, { "ROLE", "agent.role" },
		{ "STATE", "status.state" }, { "REASON", "status.reason" },
		{ "SINCE", "status.since_at" }, { "ACTIVITY", "activity" },
		{ "CONNECTED", "status.connected" } } },
	{ "queues", "/v1/queues", "",
	    { { "NAME", "queue.name" }, { "LABEL", "queue.label" },
		{ "STRATEGY", "queue.strategy" }, { "DUE", "due" }, { "OFFERED", "offered" },
		{ "HELD", "held" }, { "READY", "agents.ready" }, { "RESERVED", "agents.reserved" },
		{ "BUSY", "agents.busy" }, { "NOT_READY", "agents.not_ready" },
		{ "AFTER_CALL", "agents.after_call_work" } } },
	{ "slots", "/v1/queues/%s/slots", "q",
	    { { "STARTS", "local" }, { "PLACES", "places" }, { "BOOKED", "booked" },
		{ "HELD", "held" }, { "LEFT", "left" } } },
	{ "nodes", "/v1/nodes", "",
	    { { "NAME", "name" }, { "ID", "id" }, { "ALIVE", "alive" }, { "STARTED", "started_at" },
		{ "UNTIL", "until_at" }, { "LEASES", "leases" } } },
	{ "secrets", "/v1/secrets", "",
	    { { "ID", "id" }, { "PURPOSE", "purpose" }, { "CREATED", "created_at" },
		{ "NEWEST", "newest" } } },
	{ "suppressions", "/v1/suppressions", "",
	    { { "NUMBER", "number" }, { "REASON", "reason" }, { "UNTIL", "until_at" },
		{ "ADDED", "added_at" }, { "BY", "added_by" } } },
	{ "waits", "/v1/waits", "",
	    { { "WAIT", "wait" }, { "FOR_MS", "for_ms" }, { "PATH", "path" } } },
	{ "tenants", "/v1/tenants", "",
	    { { "NAME", "name" }, { "LIVE", "live" }, { "LEASE", "lease" },
		{ "EVENT", "event" } } },
	/* A document, not a list: always JSON. */
	{ "company", "/v1/company", "", { { NULL, NULL } } },
};
#define THINGS (sizeof(things) / sizeof(things[0]))

const char *
ctl_show_things(void)
{
	return "callbacks|agents|queues|slots|secrets|suppressions|nodes|waits|tenants|company";
}

static char *
cell(const json_t *item, const char *path)
{
	struct buf text = { 0 };

	for (const char *dot; (dot = strchr(path, '.')) != NULL; path = dot + 1) {
		char *key = xstrndup(path, (size_t)(dot - path));

		item = json_object_get(item, key);
		free(key);
	}
	ctl_text_add(&text, json_object_get(item, path));
	return buf_take(&text);
}

/* Numbers stand to the right. */
static bool
is_number(const char *text)
{
	return *text != '\0' && strspn(text, "0123456789.-") == strlen(text) &&
	    strchr(text, ':') == NULL;
}

static void
print_row(char *const *row, const size_t *widths, size_t columns)
{
	for (size_t c = 0; c < columns; c++) {
		size_t pad = widths[c] - ctl_text_width(row[c]);
		bool last = c + 1 == columns;

		if (is_number(row[c]) && strcmp(row[c], "-") != 0)
			printf("%*s%s%s", (int)pad, "", row[c], last ? "" : GAP);
		else
			printf("%s%*s%s", row[c], last ? 0 : (int)pad, "", last ? "" : GAP);
	}
	putchar('\n');
}

static void
print_table(const struct thing *thing, const json_t *list)
{
	size_t columns = 0, rows = json_array_size(list) + 1, widths[COLUMNS_MAX] = { 0 };

	while (columns < COLUMNS_MAX && thing->columns[columns].title != NULL)
		columns++;
	char **cells = xcalloc(rows * columns, sizeof(*cells));
	for (size_t r = 0; r < rows; r++)
		for (size_t c = 0; c < columns; c++) {
			const struct column *column = &thing->columns[c];
			char *text = r == 0 ? xstrdup(column->title)
					    : cell(json_array_get(list, r - 1), column->path);
			size_t width = ctl_text_width(text);

			cells[r * columns + c] = text;
			widths[c] = width > widths[c] ? width : widths[c];
		}
	for (size_t r = 0; r < rows; r++)
		print_row(cells + r * columns, widths, columns);
	for (size_t i = 0; i < rows * columns; i++)
		free(cells[i]);
	free(cells);
}

static int
print_json(const json_t *value)
{
	bool ok = json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY) == 0;

	putchar('\n');
	return ok ? CTL_OK : CTL_FAILED;
}

static const struct thing *
thing_find(const char *name)
{
	for (const struct thing *t = things; t < things + THINGS; t++)
		if (strcmp(t->name, name) == 0)
			return t;
	ctl_complain("show %s", ctl_show_things());
	return NULL;
}

static bool
options_fit(const struct ctl *ctl, const struct thing *thing)
{
	bool queue = ctl->queue != NULL;
	bool other = ctl->state != NULL || ctl->agent != NULL || ctl->limit != NULL;
	bool named = strstr(thing->path, "%s") != NULL;

	if (named && (!queue || other))
		ctl_complain("show %s needs --queue, and nothing else", thing->name);
	else if (!named && (queue || other) && *thing->options == '\0')
		ctl_complain("--state, --queue, --agent and --limit go with show callbacks");
	else
		return true;
	return false;
}

/* Malloced; NULL: no queue can be called that. */
static char *
path_of(const struct ctl *ctl, const struct thing *thing)
{
	const char *mark = strstr(thing->path, "%s");

	if (mark == NULL)
		return xstrdup(thing->path);
	if (*ctl->queue == '\0' ||
	    ctl->queue[strspn(ctl->queue,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@-")] != '\0')
		return NULL;
	return xasprintf(
	    "%.*s%s%s", (int)(mark - thing->path), thing->path, ctl->queue, mark + strlen("%s"));
}

int
ctl_show(const struct ctl *ctl)
{
	const struct thing *thing = thing_find(ctl->args[0]);
	bool named = thing != NULL && strstr(thing->path, "%s") != NULL;
	const struct ctl_param params[] = {
		{ "state", ctl->state },
		{ "queue", named ? NULL : ctl->queue },
		{ "agent", ctl->agent },
		{ "limit", ctl->limit },
		{ NULL, NULL },
	};

	if (thing == NULL || !options_fit(ctl, thing))
		return CTL_USAGE;
	char *path = path_of(ctl, thing);
	if (path == NULL) {
		ctl_complain("there is no queue %s", ctl->queue);
		return CTL_FAILED;
	}
	json_t *answer = ctl_ask(ctl, "GET", path, params, NULL);
	free(path);
	if (answer == NULL)
		return CTL_FAILED;
	int status = CTL_OK;
	const json_t *list = json_is_array(answer) ? answer : json_object_get(answer, thing->name);
	if (thing->columns[0].title == NULL) {
		status = print_json(answer);
	} else if (!json_is_array(list)) {
		ctl_complain("the answer holds no %s", thing->name);
		status = CTL_FAILED;
	} else if (ctl->json) {
		status = print_json(list);
	} else {
		print_table(thing, list);
	}
	json_decref(answer);
	return status;
}
