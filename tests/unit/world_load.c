/*
 * world_load: what the database's load functions would answer, by searching
 * all of world's tables.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "world.h"

/* Gives one row and is done with its image. */
static void
row(struct projection *p, const char *kind, json_t *image)
{
	const char *why = NULL;

	if (!projection_load(p, kind, image, &why))
		fail_msg("%s: %s", kind, why);
	json_decref(image);
}

static void
row_head(const struct world *w, struct projection *p)
{
	json_t *image = json_pack("{s:i, s:I, s:I, s:I, s:[]}", "epoch", 1, "seq",
	    (json_int_t)w->seq, "floor", (json_int_t)0, "at", (json_int_t)w->now, "nodes");
	char text[ID_TEXT_SIZE];

	for (int n = 1; n <= 2; n++) {
		id_format(world_node_id(n), text);
		json_array_append_new(json_object_get(image, "nodes"), json_string(text));
	}
	row(p, "head", image);
}

static const struct world *sorting;

static int
by_due_order(const void *a, const void *b)
{
	return world_before(sorting, *(const int *)a, *(const int *)b) ? -1 : 1;
}

static int
by_due_at(const void *a, const void *b)
{
	const struct world_callback *x = &sorting->callbacks[*(const int *)a],
				    *y = &sorting->callbacks[*(const int *)b];

	if (x->due_at != y->due_at)
		return x->due_at < y->due_at ? -1 : 1;
	return *(const int *)a < *(const int *)b ? -1 : 1;
}

int
world_due(const struct world *w, int class, int *list)
{
	int n = 0;

	for (int i = 1; i <= w->ncallbacks; i++) {
		if (world_waits(w, i) && w->callbacks[i].class == class &&
		    w->callbacks[i].due_at <= w->now)
			list[n++] = i;
	}
	sorting = w;
	qsort(list, (size_t)n, sizeof(*list), by_due_order);
	return n;
}

int
world_future(const struct world *w, int *list)
{
	int n = 0;

	for (int i = 1; i <= w->ncallbacks; i++) {
		if (world_waits(w, i) && w->callbacks[i].due_at > w->now)
			list[n++] = i;
	}
	sorting = w;
	qsort(list, (size_t)n, sizeof(*list), by_due_at);
	return n;
}

static void
rows_due(const struct world *w, struct projection *p, int class, int limit)
{
	int list[WORLD_CALLBACKS];
	int n = world_due(w, class, list);

	for (int i = 0; i < n && i < limit; i++)
		row(p, "callback", world_callback_image(w, list[i]));
	row(p, "due_window", json_pack("{s:i, s:b}", "class", class, "complete", n <= limit));
}

/* Not those up to (after_at, after). */
static void
rows_future(const struct world *w, struct projection *p, int64_t after_at, int after, int limit)
{
	int list[WORLD_CALLBACKS];
	int n = 0, sent = 0, last = 0;

	/* After a key, whether due by now or not. */
	for (int i = 1; i <= w->ncallbacks; i++) {
		int64_t at = w->callbacks[i].due_at;

		if (world_waits(w, i) && (at > after_at || (at == after_at && i > after)))
			list[n++] = i;
	}
	sorting = w;
	qsort(list, (size_t)n, sizeof(*list), by_due_at);
	for (; sent < n && sent < limit; sent++) {
		last = list[sent];
		row(p, "callback", world_callback_image(w, last));
	}
	json_t *window = json_pack("{s:b}", "complete", sent == n);

	if (last != 0) {
		json_object_set_new(window, "last_at", json_integer(w->callbacks[last].due_at));
		json_set_id(window, "last_id", world_callback_id(last));
	}
	row(p, "future_window", window);
}

static void
rows_settings(const struct world *w, struct projection *p)
{
	row(p, "tenant",
	    json_pack("{s:i, s:i, s:i, s:s}", "id", 1, "seq", 0, "epoch", 1, "name", "test"));
	for (int i = 0; i < WORLD_CLASSES; i++) {
		if (w->queues[i].id != 0)
			row(p, "queue", world_queue_image(&w->queues[i]));
	}
	for (int i = 0; i < WORLD_AGENTS; i++) {
		if (w->agents[i].id != 0)
			row(p, "agent", world_agent_image(&w->agents[i]));
	}
	for (int i = 0; i < WORLD_AGENTS; i++) {
		if (w->agents[i].id != 0)
			row(p, "status", world_status_image(&w->agents[i]));
	}
	for (int i = 0; i < WORLD_AGENTS; i++) {
		if (w->sessions[i].number != 0)
			row(p, "session", world_session_image(w, i));
	}
	for (int i = 0; i < WORLD_CLASSES; i++) {
		if (w->classes[i].id != 0)
			row(p, "class", world_class_image(&w->classes[i]));
	}
}

static bool
is_live(const struct world_callback *c)
{
	return strcmp(c->state, "offered") == 0 || c->agent != 0;
}

static void
rows_live(const struct world *w, struct projection *p)
{
	for (int i = 1; i <= w->ncallbacks; i++) {
		if (is_live(&w->callbacks[i]))
			row(p, "callback", world_callback_image(w, i));
	}
	for (int i = 1; i <= w->noffers; i++) {
		if (strcmp(w->offers[i].state, "pending") == 0)
			row(p, "offer", world_offer_image(w, i));
	}
	for (int i = 1; i <= w->ncallbacks; i++) {
		if (w->callbacks[i].attempt != 0)
			row(p, "attempt",
			    world_attempt_image(w, i, w->callbacks[i].attempt, false));
	}
}

struct projection *
world_load(const struct world *w, int due_limit, int future_limit)
{
	struct projection *p =
	    projection_new(&(struct projection_limits){ due_limit, future_limit });
	int64_t elapse = world_next_elapse(w, 0);
	const char *why;

	row_head(w, p);
	rows_settings(w, p);
	rows_live(w, p);
	for (int i = 0; i < WORLD_CLASSES; i++) {
		if (w->classes[i].id != 0)
			rows_due(w, p, i, due_limit);
	}
	rows_future(w, p, w->now, WORLD_CALLBACKS, future_limit);
	row(p, "elapse",
	    elapse == INT64_MAX ? json_pack("{s:n}", "at")
				: json_pack("{s:I}", "at", (json_int_t)elapse));
	if (!projection_loaded(p, &why))
		fail_msg("loaded: %s", why);
	return p;
}

void
world_feed(const struct world *w, struct projection *p)
{
	for (uint64_t seq = projection_seq(p) + 1; seq <= w->seq; seq++) {
		const json_t *e = json_array_get(w->events, seq - 1);
		const char *why = NULL;

		if (projection_apply(p, seq, json_text(e, "kind"), json_object_get(e, "body"),
			&why) != PROJECTION_APPLIED)
			fail_msg("event %d %s: %s", (int)seq, json_text(e, "kind"), why);
	}
}

void
world_refill_due(const struct world *w, struct projection *p, int class, int limit)
{
	const char *why;

	projection_refill_begin(p);
	row_head(w, p);
	rows_due(w, p, class, limit);
	assert_true(projection_refill_end(p, &why));
}

void
world_refill_future(
    const struct world *w, struct projection *p, int64_t after_at, struct id after, int limit)
{
	const char *why;

	projection_refill_begin(p);
	row_head(w, p);
	rows_future(w, p, after_at, world_number(after), limit);
	assert_true(projection_refill_end(p, &why));
}
