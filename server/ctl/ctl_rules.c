/*
 * callbackctl rules: routing rules, shown, checked, tried, published and rolled
 * back. The server judges; this must not know what a rule says.
 */
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

struct verb {
	const char *name;
	int args; /* words behind it at least; show takes one more */
	int (*run)(const struct ctl *, char **args);
};

/* "name" or "name: text" of an object's member, on a line. */
static void
add_member(struct buf *line, const char *before, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (value == NULL || json_is_null(value))
		return;
	buf_puts(line, before);
	ctl_text_add(line, value);
}

static void
print_line(struct buf *line)
{
	puts(line->data != NULL ? line->data : "");
	buf_reset(line);
}

/* What can be published again, or edited before: the version's rules and comment alone. */
static int
show(const struct ctl *ctl, char **args)
{
	char *path = args[0] != NULL ? xasprintf("/v1/rules/%s", args[0]) : xstrdup("/v1/rules");
	json_t *rules = ctl_ask(ctl, "GET", path, NULL, NULL), *document = json_object();

	free(path);
	if (rules == NULL) {
		json_decref(document);
		return CTL_FAILED;
	}
	if (json_text(rules, "comment") != NULL)
		json_object_set(document, "comment", json_object_get(rules, "comment"));
	json_object_set(document, "rules", json_object_get(rules, "rules"));
	json_dumpf(document, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(document);
	json_decref(rules);
	return CTL_OK;
}

static int
versions(const struct ctl *ctl, char **args)
{
	json_t *answer = ctl_ask(ctl, "GET", "/v1/rules/versions", NULL, NULL), *version;
	struct buf line = { 0 };
	size_t i;

	(void)args;
	if (answer == NULL)
		return CTL_FAILED;
	json_array_foreach (json_object_get(answer, "versions"), i, version) {
		add_member(&line, "", version, "version");
		add_member(&line, "  ", version, "published_at");
		add_member(&line, "  rules ", version, "count");
		add_member(&line, "  by ", version, "published_by");
		add_member(&line, "  as version ", version, "from_version");
		if (json_string_length(json_object_get(version, "comment")) > 0)
			add_member(&line, "  ", version, "comment");
		print_line(&line);
	}
	buf_fini(&line);
	json_decref(answer);
	return CTL_OK;
}

/* One line for each, behind the word that says what it is. */
static void
print_report(FILE *out, const char *what, const json_t *list)
{
	const json_t *item;
	struct buf line = { 0 };
	size_t i;

	json_array_foreach (list, i, item) {
		buf_reset(&line);
		add_member(&line, "", item, "field");
		add_member(&line, ": ", item, "message");
		fprintf(out, "%s: %s\n", what, line.data);
	}
	buf_fini(&line);
}

/* Prints what is wrong. False when it cannot be published, or was not checked. */
static bool
checked(const struct ctl *ctl, const json_t *document, FILE *out)
{
	json_t *report = ctl_ask(ctl, "POST", "/v1/rules/check", NULL, document);
	const json_t *errors = json_object_get(report, "errors");

	print_report(out, "error", errors);
	print_report(out, "warning", json_object_get(report, "warnings"));
	bool ok = report != NULL && json_array_size(errors) == 0;
	json_decref(report);
	return ok;
}

static int
check(const struct ctl *ctl, char **args)
{
	json_t *document = ctl_read(args[0]);

	if (document == NULL)
		return CTL_FAILED;
	bool ok = checked(ctl, document, stdout);
	if (ok)
		puts("can be published");
	json_decref(document);
	return ok ? CTL_OK : CTL_FAILED;
}

/* What may be replaced: as it is published now; malloced, or NULL. */
static char *
tag_now(const struct ctl *ctl)
{
	json_t *rules = ctl_ask(ctl, "GET", "/v1/rules", NULL, NULL);

	if (rules == NULL)
		return NULL;
	char *tag = xasprintf("\"%lld\"", (long long)json_int(rules, "version", 0));
	json_decref(rules);
	return tag;
}

/* Takes the body. */
static int
change(const struct ctl *ctl, const char *method, const char *path, json_t *body)
{
	char *tag = tag_now(ctl);
	struct ctl with = *ctl;

	with.if_match = tag;
	json_t *answer = tag != NULL ? ctl_ask(&with, method, path, NULL, body) : NULL;
	json_decref(body);
	free(tag);
	if (answer == NULL)
		return CTL_FAILED;
	const json_t *rules = json_object_get(answer, "rules");
	printf("published version %lld, rules %lld\n", (long long)json_int(rules, "version", 0),
	    (long long)json_int(rules, "count", 0));
	json_decref(answer);
	return CTL_OK;
}

static int
publish(const struct ctl *ctl, char **args)
{
	json_t *document = ctl_read(args[0]);

	if (document == NULL)
		return CTL_FAILED;
	if (!checked(ctl, document, stderr)) {
		json_decref(document);
		return CTL_FAILED;
	}
	return change(ctl, "PUT", "/v1/rules", document);
}

static int
rollback(const struct ctl *ctl, char **args)
{
	size_t len = strlen(args[0]);
	json_t *body = json_object();

	if (len == 0 || len > 9 || strspn(args[0], "0123456789") != len) {
		json_decref(body);
		ctl_complain("%s is not the number of a version", args[0]);
		return CTL_USAGE;
	}
	json_object_set_new(body, "to", json_integer(strtol(args[0], NULL, 10)));
	if (ctl->reason != NULL)
		json_object_set_new(body, "comment", json_string(ctl->reason));
	return change(ctl, "POST", "/v1/rules/rollback", body);
}

static void
print_tried(const json_t *tried)
{
	const json_t *passed, *value;
	const char *key;
	struct buf line = { 0 };
	size_t i;

	json_array_foreach (json_object_get(tried, "passed"), i, passed) {
		add_member(&line, "rule ", passed, "rule");
		add_member(&line, " ", passed, "name");
		add_member(&line, ": ", passed, "why");
		print_line(&line);
	}
	if (json_object_get(tried, "rule") != NULL) {
		add_member(&line, "rule ", tried, "rule");
		add_member(&line, " ", tried, "name");
		buf_puts(&line, " matches");
	} else {
		buf_puts(&line, "no rule matches: the form decides");
	}
	print_line(&line);
	json_object_foreach ((json_t *)json_object_get(tried, "place"), key, value) {
		buf_printf(&line, "%s: ", key);
		if (json_is_object(value)) {
			char *text = json_dumps(value, JSON_COMPACT);
			buf_puts(&line, text != NULL ? text : "");
			free(text);
		} else {
			ctl_text_add(&line, value);
		}
		print_line(&line);
	}
	buf_fini(&line);
}

/* A draft, or . for what is published; and a request. */
static int
try(const struct ctl *ctl, char **args)
{
	json_t *body = json_object();
	json_t *draft = strcmp(args[0], ".") != 0 ? ctl_read(args[0]) : json_null();
	json_t *request = draft != NULL ? ctl_read(args[1]) : NULL;

	if (draft != NULL && !json_is_null(draft))
		json_object_set(body, "draft", draft);
	if (request != NULL)
		json_object_set(body, "request", request);
	json_t *tried = request != NULL ? ctl_ask(ctl, "POST", "/v1/rules/try", NULL, body) : NULL;
	if (tried != NULL && ctl->json) {
		json_dumpf(tried, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (tried != NULL) {
		print_tried(tried);
	}
	int status = tried != NULL ? CTL_OK : CTL_FAILED;
	json_decref(tried);
	json_decref(request);
	json_decref(draft);
	json_decref(body);
	return status;
}

static const struct verb verbs[] = {
	{ "show", 0, show },
	{ "versions", 0, versions },
	{ "check", 1, check },
	{ "try", 2, try },
	{ "publish", 1, publish },
	{ "rollback", 1, rollback },
};

int
ctl_rules(const struct ctl *ctl)
{
	int n = 0;

	while (ctl->args[n] != NULL)
		n++;
	for (size_t i = 0; n > 0 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		const struct verb *v = &verbs[i];
		if (strcmp(v->name, ctl->args[0]) != 0)
			continue;
		if (n - 1 == v->args || (v->run == show && n == 2))
			return v->run(ctl, ctl->args + 1);
	}
	ctl_complain("rules show [N] | versions | check FILE | try FILE|. REQUEST | publish FILE | "
		     "rollback N");
	return CTL_USAGE;
}
