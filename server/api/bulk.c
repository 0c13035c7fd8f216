/*
 * One thing done to many callbacks: a page of them after the other, each by a
 * command of its own with its version, so that nobody waits behind the whole
 * and what changed meanwhile is left as it is. Must not know what each refusal
 * means: it passes them on.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/fields.h"
#include "api/filter.h"
#include "api/road.h"
#include "api/when.h"
#include "base/json.h"
#include "base/mem.h"
#include "node/node.h"
#include "node/tenant.h"

#define PAGE 500
#define MOST 10000 /* of one request; who has more asks again */
#define AT_ONCE 50 /* commands under way: a batch's worth, and others come between */
#define REASON_MAX 200
#define YEAR_S 31622400

struct one {
	struct bulk *bulk;
	struct ticket *ticket; /* NULL: free */
	json_t *image;
	bool again;
};

struct bulk {
	struct api_call *call;
	json_t *command;      /* of all; its id is the root of theirs */
	json_t *filter, *ids; /* ids NULL: by the filter */
	json_t *page, *refused;
	json_t *moved; /* recompute: what has, or would have, another time; else NULL */
	size_t ids_next, page_next, matched, done;
	int64_t by_s; /* move: so much later than promised; 0: not so */
	bool dry_run, more;
	const char *err; /* of the lane: no more is sent */
	int under_way;
	struct one ones[AT_ONCE];
};

static void on_page(struct api_call *, const PGresult *, const char *);
static void on_one(void *, const struct lane_answer *);
static void next_page(struct bulk *);

static void
bulk_free(void *arg)
{
	struct bulk *b = arg;

	for (int i = 0; i < AT_ONCE; i++)
		json_decref(b->ones[i].image);
	json_decref(b->command);
	json_decref(b->filter);
	json_decref(b->ids);
	json_decref(b->page);
	json_decref(b->refused);
	json_decref(b->moved);
	free(b);
}

/* The request ended: what was sent is done all the same. */
static void
bulk_forget(void *arg)
{
	struct bulk *b = arg;

	for (int i = 0; i < AT_ONCE; i++)
		if (b->ones[i].ticket != NULL)
			lane_forget(b->ones[i].ticket);
}

/* ---- what is asked ---- */

static void
read_ids(struct fields *f, struct bulk *b, const json_t *ids)
{
	json_t *text;
	struct id id;
	size_t i;

	if (ids == NULL)
		return;
	if (!json_is_array(ids) || json_array_size(ids) == 0 || json_array_size(ids) > MOST) {
		fields_error(f, "ids", "must be an array of 1 to 10000 callbacks' ids");
		return;
	}
	json_array_foreach (ids, i, text) {
		if (!json_is_string(text) || !id_parse(json_string_value(text), &id)) {
			fields_error(f, "ids", "must be callbacks' ids, each of them");
			return;
		}
	}
	b->ids = json_incref((json_t *)ids);
}

/* Those that are still open, unless a state was named: the others could only be refused. */
static void
read_filter(struct fields *f, struct bulk *b)
{
	json_t *asked = json_object_get(f->body, "filter");
	const json_t *ids = json_object_get(asked, "ids");

	if (!json_is_object(asked) || json_object_size(asked) == 0) {
		fields_error(f, "filter",
		    "must say which: state, queue, form, agent, due_from, due_to, promise, phone, "
		    "or ids");
		return;
	}
	if (ids != NULL && json_object_size(asked) > 1)
		fields_error(f, "ids", "go alone");
	read_ids(f, b, ids);
	b->filter = ids != NULL ? json_object() : filter_read(b->call, f, asked);
	/* {"queue": null} is what a script sends whose variable is empty, and not all there are. */
	if (ids == NULL && f->errors == NULL && json_object_size(b->filter) == 0)
		fields_error(f, "filter", "must say which: none of its members has a value");
	if (json_object_get(b->filter, "state") == NULL)
		json_object_set_new(b->filter, "open", json_true());
}

static void
read_move(struct fields *f, struct bulk *b, json_t *args)
{
	const char *when = fields_text(f, "when", FIELDS_OPTIONAL, WHEN_MAX);
	const char *zone = fields_text(f, "time_zone", FIELDS_OPTIONAL, 64);
	bool by = fields_int(f, "by_s", FIELDS_OPTIONAL, -YEAR_S, YEAR_S, &b->by_s);

	if (f->errors == NULL && ((when != NULL) == by || (by && b->by_s == 0)))
		fields_error(f, "when", "either this or by_s must say how");
	if (by && http_header(b->call->req, "Idempotency-Key") == NULL)
		fields_error(
		    f, "by_s", "needs an Idempotency-Key: said again without one, it moves again");
	if (when != NULL && !when_args(when, args))
		fields_error(f, "when", WHEN_WRONG);
	if (zone != NULL && (by || !when_zone_ok(zone)))
		fields_error(
		    f, "time_zone", "goes with when, and is one such as \"Europe/Berlin\"");
	else if (zone != NULL)
		json_object_set_new(args, "time_zone", json_string(zone));
}

static void
read_after(struct fields *f, struct bulk *b)
{
	const char *after = fields_text(f, "after", FIELDS_OPTIONAL, ID_TEXT_SIZE);
	struct id id;

	if (after == NULL || b->filter == NULL)
		return;
	if (b->ids != NULL || !id_parse(after, &id))
		fields_error(f, "after", "is the next of the answer before, and goes with no ids");
	else
		json_set_id(b->filter, "after", id);
}

/* False: it was answered. */
static bool
bulk_read(struct bulk *b)
{
	static const char *const cancels[] = { "filter", "action", "reason", "dry_run", "after",
		NULL };
	static const char *const moves[] = { "filter", "action", "reason", "dry_run", "after",
		"by_s", "when", "time_zone", NULL };
	const char *action = json_text(b->call->body, "action");
	bool move = action != NULL && strcmp(action, "move") == 0;
	bool recompute = action != NULL && strcmp(action, "recompute") == 0;
	struct fields f = fields_of(b->call->body, move ? moves : cancels);
	json_t *args = json_object();

	if (!move && !recompute && (action == NULL || strcmp(action, "cancel") != 0))
		fields_error(&f, "action", "must be cancel, move or recompute");
	else if (recompute && b->call->role < API_ADMINISTRATOR)
		fields_error(&f, "action", "recompute is for administrators");
	const char *reason = fields_text(&f, "reason", FIELDS_OPTIONAL, REASON_MAX);
	if (reason != NULL)
		json_object_set_new(args, "reason", json_string(reason));
	b->dry_run = fields_bool(&f, "dry_run");
	if (move)
		read_move(&f, b, args);
	if (recompute) {
		b->moved = json_array();
		json_object_set_new(args, "recompute", json_true());
	}
	read_filter(&f, b);
	read_after(&f, b);
	b->command = api_command(b->call, move || recompute ? "reschedule" : "cancel");
	json_object_set_new(b->command, "args", args);
	return fields_ok(&f, b->call);
}

/* ---- one of them ---- */

/*
 * Of the request's own id and the callback's: with an Idempotency-Key, a
 * repetition finds what was done already.
 */
static void
set_id(struct bulk *b, json_t *command, const struct one *o)
{
	char *text = xasprintf(
	    "%s %s %d", json_text(b->command, "id"), json_text(o->image, "id"), (int)o->again);

	json_set_id(command, "id", id_of_text(text, strlen(text)));
	free(text);
}

/* False: the lane is full. */
static bool
send(struct bulk *b, struct one *o)
{
	json_t *command = json_copy(b->command);

	set_id(b, command, o);
	json_object_set(command, "callback", json_object_get(o->image, "id"));
	json_object_set(command, "version", json_object_get(o->image, "seq"));
	if (b->by_s != 0) {
		json_t *args = json_copy(json_object_get(b->command, "args"));
		int64_t at = json_int(o->image, "promise_at", 0) + b->by_s * 1000;

		json_object_set_new(args, "at", json_integer(at));
		json_object_set_new(command, "args", args);
	}
	o->bulk = b;
	o->ticket = lane_execute(tenant_lane(b->call->tenant), command, on_one, o);
	b->under_way += o->ticket != NULL;
	return o->ticket != NULL;
}

/* As many as may be under way. */
static void
fill(struct bulk *b)
{
	for (int i = 0; i < AT_ONCE && b->err == NULL; i++) {
		struct one *o = &b->ones[i];

		if (o->ticket != NULL)
			continue;
		if (b->page_next == json_array_size(b->page))
			return;
		json_decref(o->image);
		o->image = json_incref(json_array_get(b->page, b->page_next));
		o->again = false;
		if (!send(b, o)) {
			/* Whoever is answered makes room. */
			if (b->under_way == 0)
				b->err = lane_err_full;
			return;
		}
		b->page_next++;
	}
}

/* What else than who is called in its stead is different, somebody has changed. */
static bool
only_relinked(const json_t *was, const json_t *is)
{
	json_t *a = json_copy((json_t *)was), *b = json_copy((json_t *)is);
	bool same = false;

	if (a != NULL && b != NULL) {
		json_object_del(a, "seq");
		json_object_del(b, "seq");
		json_object_del(a, "linked_to");
		json_object_del(b, "linked_to");
		same = json_equal(a, b);
	}
	json_decref(a);
	json_decref(b);
	return same;
}

static void
refused(struct bulk *b, const char *id, const char *why, const json_t *image)
{
	json_t *r = json_pack("{s:s, s:s}", "id", id, "why", why);

	if (json_object_get(image, "state") != NULL)
		json_object_set(r, "state", json_object_get(image, "state"));
	json_array_append_new(b->refused, r);
}

/* Another of this run was linked to it, and left it another version. True: it was sent again. */
static bool
send_again(struct bulk *b, struct one *o, const json_t *is)
{
	if (o->again || b->err != NULL || !only_relinked(o->image, is))
		return false;
	json_decref(o->image);
	o->image = json_deep_copy(is);
	o->again = true;
	return send(b, o);
}

/* Of recompute: which time it was, and is from now on. */
static void
list_moved(struct bulk *b, const json_t *image, int64_t before, int64_t after)
{
	if (b->moved != NULL && before != after)
		json_array_append_new(b->moved,
		    json_pack("{s:O?, s:O?, s:O?, s:I, s:I}", "id", json_object_get(image, "id"),
			"promise_local", json_object_get(image, "promise_local"), "promise_zone",
			json_object_get(image, "promise_zone"), "before_at", (json_int_t)before,
			"promise_at", (json_int_t)after));
}

static void
on_one(void *arg, const struct lane_answer *a)
{
	struct one *o = arg;
	struct bulk *b = o->bulk;
	struct api_call *call = b->call;
	const json_t *image = json_object_get(a->body, "callback");

	o->ticket = NULL;
	b->under_way--;
	if (a->err != NULL)
		b->err = a->err;
	else if (a->refusal == NULL || strcmp(a->refusal, "unchanged") == 0) {
		int64_t at = json_int(image, "promise_at", 0);

		b->done++;
		list_moved(b, image, json_int(a->body, "before_at", at), at);
	} else if (strcmp(a->refusal, "stale_version") != 0 || !send_again(b, o, image))
		refused(b, json_text(o->image, "id"), a->refusal, image);
	fill(b);
	if (b->under_way > 0)
		return;
	road_arrived(call);
	next_page(b);
	road_go_on(call);
}

/* ---- page by page ---- */

static void
answer(struct bulk *b)
{
	json_t *doc = json_pack("{s:I, s:I, s:O, s:b}", "matched", (json_int_t)b->matched, "done",
	    (json_int_t)b->done, "refused", b->refused, "dry_run", (int)b->dry_run);

	if (b->moved != NULL)
		json_object_set(doc, "moved", b->moved);
	if (b->more && b->ids == NULL)
		json_object_set(doc, "next", json_object_get(b->filter, "after"));
	if (b->err == NULL) {
		api_answer(b->call, 200, doc);
		return;
	}
	/* What was done is done: he has to know. */
	http_problem(b->call->req, 503, b->err == lane_err_full ? "busy" : "unavailable",
	    "Not all of it is known to be done; what is, is in this answer. Repeat the request, "
	    "with the same Idempotency-Key if it had one.",
	    doc, 1);
}

/* The filter of the next page: ids are taken from their list. */
static json_t *
page_filter(struct bulk *b)
{
	json_t *filter = json_copy(b->filter), *ids;

	json_object_set_new(filter, "limit", json_integer(PAGE));
	if (b->ids == NULL)
		return filter;
	ids = json_array();
	for (size_t n = 0; n < PAGE && b->ids_next < json_array_size(b->ids); n++)
		json_array_append(ids, json_array_get(b->ids, b->ids_next++));
	json_object_set_new(filter, "ids", ids);
	return filter;
}

static enum http_verdict
ask_page(struct bulk *b)
{
	json_t *filter = page_filter(b);
	enum http_verdict verdict =
	    api_ask(b->call, STATEMENT_load_callbacks, filter, "callbacks", on_page);

	json_decref(filter);
	return verdict;
}

static void
next_page(struct bulk *b)
{
	if (b->err == NULL && b->more && b->matched < MOST)
		ask_page(b);
	else
		answer(b);
}

/* Of the ids of this page, those that there are none of. */
static void
miss_ids(struct bulk *b, size_t first)
{
	json_t *found = json_object(), *image;
	size_t i;

	json_array_foreach (b->page, i, image)
		json_object_set_new(found, json_text(image, "id"), json_true());
	for (i = first; i < b->ids_next; i++) {
		const char *id = json_string_value(json_array_get(b->ids, i));

		if (json_object_get(found, id) == NULL)
			refused(b, id, "not_found", NULL);
	}
	json_decref(found);
}

/* What would be moved. */
static void
list_page(struct bulk *b)
{
	const json_t *image;
	size_t i;

	json_array_foreach (b->page, i, image) {
		int64_t before = json_int(image, "promise_at", 0);

		list_moved(b, image, before, json_int(image, "recomputed_at", before));
	}
}

static void
on_page(struct api_call *call, const PGresult *res, const char *err)
{
	struct bulk *b = call->data;
	size_t first = b->ids_next >= PAGE ? (b->ids_next - 1) / PAGE * PAGE : 0;

	json_decref(b->page);
	b->page = err == NULL && PQntuples(res) == 1
	    ? json_loadb(PQgetvalue(res, 0, 0), (size_t)PQgetlength(res, 0, 0), 0, NULL)
	    : NULL;
	b->page_next = 0;
	if (b->page == NULL) {
		road_failed(call, err != NULL ? err : "none");
		return;
	}
	size_t n = json_array_size(b->page);
	b->matched += n;
	if (b->ids != NULL)
		miss_ids(b, first);
	else if (n > 0)
		json_object_set(
		    b->filter, "after", json_object_get(json_array_get(b->page, n - 1), "id"));
	b->more = b->ids != NULL ? b->ids_next < json_array_size(b->ids) : n == PAGE;
	if (!b->dry_run)
		fill(b);
	else
		list_page(b);
	if (b->under_way > 0)
		road_wait(call, "commit", bulk_forget, b);
	else
		next_page(b);
}

static enum http_verdict
callbacks_bulk(struct api_call *call)
{
	struct bulk *b = xcalloc(1, sizeof(*b));

	b->call = call;
	b->refused = json_array();
	call->data = b;
	call->data_free = bulk_free;
	return bulk_read(b) ? ask_page(b) : HTTP_DONE;
}

const struct api_route api_routes_bulk[] = {
	{ "POST", "/v1/callbacks/bulk", API_SUPERVISOR, API_BODY_JSON, callbacks_bulk },
	{ NULL, NULL, API_PUBLIC, API_BODY_NONE, NULL },
};
