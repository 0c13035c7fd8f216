/*
 * callbackctl tail: the events as they happen, one line each, across
 * reconnections. Must not know what an event means.
 */
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"

#define RETRY_MS 1000
#define RETRY_MS_MAX 30000

struct tail {
	bool json;
	json_t *agents, *queues; /* {"7": "ann"}: events name them by number */
	bool heard;		 /* an event came over the present connection */
};

/* What a line names of an event, in this order. */
static const struct {
	const char *title, *object, *key;
} facts[] = {
	{ "callback", "callback", "id" },
	{ "state", "callback", "state" },
	{ "reason", "callback", "reason" },
	{ "offer", "offer", "id" },
	{ "offer_state", "offer", "state" },
	{ "attempt", "attempt", "number" },
	{ "attempt_state", "attempt", "state" },
	{ "agent_state", "status", "state" },
	{ "agent_reason", "status", "reason" },
	{ "tenant", "tenant", "name" },
	{ "queue", "queue", "name" },
	{ "skill", "skill", "name" },
	{ "disposition", "disposition", "name" },
	{ "form", "form", "key" },
	{ "name", "agent", "name" },
};

static void
names_put(json_t *names, const json_t *image)
{
	char key[24];

	if (json_text(image, "name") == NULL)
		return;
	snprintf(key, sizeof(key), "%lld", (long long)json_int(image, "id", 0));
	json_object_set(names, key, json_object_get(image, "name"));
}

/* {"agents":[{"agent":{"id":7,"name":"ann",…},…}]}, and queues alike. False: it was complained about. */
static bool
names_read(
    const struct ctl *ctl, const char *path, const char *list, const char *member, json_t *names)
{
	json_t *answer = ctl_ask(ctl, "GET", path, NULL, NULL);
	bool ok = answer != NULL;
	const json_t *item;
	size_t i;

	json_array_foreach (json_object_get(answer, list), i, item)
		names_put(names, json_object_get(item, member));
	json_decref(answer);
	return ok;
}

/* The name of what is numbered, or the number where the name is not known. */
static const json_t *
name_of(const json_t *names, const json_t *number)
{
	char key[24];

	snprintf(key, sizeof(key), "%" JSON_INTEGER_FORMAT, json_integer_value(number));
	const json_t *name = json_object_get(names, key);
	return name != NULL ? name : number;
}

/* Of the objects that an event may hold, the first that names an agent. */
static const json_t *
agent_of(const json_t *event)
{
	static const char *const holders[] = { "offer", "status", "attempt", "callback" };
	const json_t *agent = NULL;

	for (size_t i = 0; agent == NULL && i < sizeof(holders) / sizeof(holders[0]); i++)
		agent = json_object_get(json_object_get(event, holders[i]), "agent");
	return agent;
}

static void
add_fact(struct buf *line, const char *title, const json_t *value)
{
	if (value == NULL)
		return;
	buf_printf(line, " %s=", title);
	ctl_text_add(line, value);
}

static void
line_of(struct tail *tail, struct buf *line, const char *id, const char *kind, const json_t *event)
{
	ctl_text_add(line, json_object_get(event, "at"));
	buf_printf(line, " %s %s", *id != '\0' ? id : "-", *kind != '\0' ? kind : "-");
	names_put(tail->agents, json_object_get(event, "agent"));
	names_put(tail->queues, json_object_get(event, "queue"));
	add_fact(line, "agent", name_of(tail->agents, agent_of(event)));
	add_fact(line, "queue",
	    name_of(tail->queues, json_object_get(json_object_get(event, "callback"), "queue")));
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		add_fact(line, facts[i].title,
		    json_object_get(json_object_get(event, facts[i].object), facts[i].key));
}

static void
on_event(void *arg, const char *id, const char *kind, const char *data)
{
	struct tail *tail = arg;
	struct buf line = { 0 };
	const char *why;
	json_t *event = json_parse(data, strlen(data), &why);

	tail->heard = true;
	if (tail->json || event == NULL)
		buf_puts(&line, data);
	else
		line_of(tail, &line, id, kind, event);
	puts(line.data);
	fflush(stdout);
	buf_fini(&line);
	json_decref(event);
}

static void
pause_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

/* The first connection has to succeed; later ones are tried until they do. */
static int
tail_run(const struct ctl *ctl, struct tail *tail, char **last_id)
{
	long server_ms = RETRY_MS, wait_ms = 0;
	bool reached = false;

	while (!ferror(stdout)) {
		tail->heard = false;
		enum ctl_follow end =
		    ctl_follow(ctl, "/v1/events", last_id, &server_ms, on_event, tail);

		reached = reached || end == CTL_FOLLOW_ENDED;
		if (end == CTL_FOLLOW_REFUSED || !reached)
			break;
		if (server_ms < 1 || server_ms > RETRY_MS_MAX)
			server_ms = RETRY_MS;
		wait_ms = tail->heard || wait_ms == 0 ? server_ms : wait_ms * 2;
		wait_ms = wait_ms > RETRY_MS_MAX ? RETRY_MS_MAX : wait_ms;
		pause_ms(wait_ms);
	}
	return CTL_FAILED;
}

int
ctl_tail(const struct ctl *ctl)
{
	struct tail tail = { .json = ctl->json, .agents = json_object(), .queues = json_object() };
	char *last_id = ctl->after != NULL ? xstrdup(ctl->after) : NULL;
	int status = CTL_FAILED;

	if (ctl->json ||
	    (names_read(ctl, "/v1/agents", "agents", "agent", tail.agents) &&
		names_read(ctl, "/v1/queues", "queues", "queue", tail.queues)))
		status = tail_run(ctl, &tail, &last_id);
	free(last_id);
	json_decref(tail.agents);
	json_decref(tail.queues);
	return status;
}
