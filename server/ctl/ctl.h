/*
 * ctl: what the files of callbackctl share: the options, the way to the server,
 * and how a value is shown. It sees the HTTP API only.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/mem.h"

/* Exit statuses. */
#define CTL_OK 0
#define CTL_FAILED 1
#define CTL_USAGE 2

/* As given, or from the environment; borrowed. NULL: not given. */
struct ctl {
	const char *socket;	/* where the operator is believed; used when url is NULL */
	const char *url;	/* "https://host:port" */
	const char *token, *cacert;
	const char *tenant;
	const char *file, *state, *queue, *agent, *limit, *reason, *after, *phone, *until, *zone;
	const char *database, *sql; /* upgrade: the one command that sees PostgreSQL, by psql */
	bool dry_run, json;
	const char *if_match;	/* the version that a request may change; set by the command that asks */
	char **args;		/* the words behind the command, NULL at the end */
};

/* A command's whole work; returns the exit status. */
typedef int (*ctl_command_fn)(const struct ctl *);
int ctl_apply(const struct ctl *);
int ctl_show(const struct ctl *);
int ctl_cancel(const struct ctl *);
int ctl_explain(const struct ctl *);
int ctl_move(const struct ctl *);
int ctl_now(const struct ctl *);
int ctl_recompute(const struct ctl *);
int ctl_export(const struct ctl *);
int ctl_tail(const struct ctl *);
int ctl_rotate(const struct ctl *);
int ctl_retire(const struct ctl *);
int ctl_erase(const struct ctl *);
int ctl_rules(const struct ctl *);
int ctl_export_subject(const struct ctl *);
int ctl_suppress(const struct ctl *);
int ctl_unsuppress(const struct ctl *);
int ctl_upgrade(const struct ctl *);

/* The things that `show` knows, separated by "|". */
const char *ctl_show_things(void);

/* To stderr, with the program's name before it and a newline after. */
void ctl_complain(const char *, ...) __attribute__((format(printf, 1, 2)));

/* The JSON of a file, or of the standard input for "-", the caller's to free; NULL when it was complained about. */
json_t *ctl_read(const char *path) __attribute__((warn_unused_result));

/* ---- ctl_http.c ---- */

/* One name=value of a query, skipped when value is NULL; a name of NULL ends the array. */
struct ctl_param {
	const char *name, *value;
};

/*
 * Asks and waits for the answer. NULL when there is none, or when it is a
 * refusal: that was complained about. Otherwise the parsed body (null when
 * empty), the caller's to free. params may be NULL; the tenant is added.
 * body may be NULL.
 */
json_t *ctl_ask(const struct ctl *, const char *method, const char *path, const struct ctl_param *params,
    const json_t *body) __attribute__((warn_unused_result));

/* The body of an answer as it is, to the standard output as it comes. False: it is not all there, which was complained about. */
bool ctl_copy(const struct ctl *, const char *path, const struct ctl_param *params) __attribute__((warn_unused_result));

/* One event of a stream; texts are borrowed, id and kind may be "". */
typedef void (*ctl_event_fn)(void *arg, const char *id, const char *kind, const char *data);
enum ctl_follow { CTL_FOLLOW_ENDED, CTL_FOLLOW_UNREACHABLE, CTL_FOLLOW_REFUSED /* complained about */ };
/* Reads one stream until it ends. *last_id (malloced or NULL) and *retry_ms are used and brought up to date. */
enum ctl_follow ctl_follow(const struct ctl *, const char *path, char **last_id, long *retry_ms, ctl_event_fn, void *arg);

/* ---- ctl_text.c ---- */

/*
 * A value on one line, added to the buffer: texts without quotes and without
 * what could steer a terminal, lists joined by commas, null as "-".
 */
void ctl_text_add(struct buf *, const json_t *);
/* The columns that it takes on a terminal. */
size_t ctl_text_width(const char *);

#endif
