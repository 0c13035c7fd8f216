/*
 * excerpt: some events of the log made ready to be read: JSON with times as text,
 * the contact's data joined by one query for those events that bring it. Knows
 * events and the tenant, not who reads.
 */
#ifndef NODE_EXCERPT_H
#define NODE_EXCERPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct excerpt;
struct tenant;

struct excerpt_event {
	uint64_t seq;
	int agent_id;
	char *kind;
	char *json;		/* one line */
	size_t json_len;
};

struct excerpt *excerpt_new(struct tenant *);
void excerpt_free(struct excerpt *);
/* Texts are copied. Out of order or twice is the caller's bug. */
void excerpt_add(struct excerpt *, uint64_t seq, int64_t at_ms, int agent_id, const char *kind, const char *body);
/* {"kind":"reset"}: what came before cannot be told; load again. Read by everybody. */
void excerpt_add_reset(struct excerpt *, uint64_t seq);
/*
 * True: ready now. False: the details are being asked for, and done is called
 * once from the loop (also when the database could not answer: the events then
 * carry "detail":null). excerpt_free() before that cancels.
 */
bool excerpt_run(struct excerpt *, void (*done)(void *arg), void *arg) __attribute__((warn_unused_result));
size_t excerpt_count(const struct excerpt *);
const struct excerpt_event *excerpt_get(const struct excerpt *, size_t);

#endif
