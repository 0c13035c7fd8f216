/*
 * projection: the door to the model: rows of a load and events come in here
 * and go by their member's name to the file that knows it. What the members
 * mean is not known here.
 */
#include "core/projection.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "core/projection_impl.h"

typedef bool (*image_fn)(struct projection *, const json_t *, const char **why);

/* In this order they are looked for in an event, so that what is referred to comes first. */
static const struct {
	const char *kind;
	image_fn apply;
} images[] = {
	{ "tenant", settings_tenant },
	{ "skill", settings_skill },
	{ "queue", settings_queue },
	{ "disposition", settings_disposition },
	{ "form", settings_form },
	{ "class", settings_class },
	{ "agent", roster_agent },
	{ "callback", live_callback },
	{ "offer", live_offer },
	{ "attempt", live_attempt },
	{ "status", roster_status },
	{ "session", roster_session },
};
#define NIMAGES (sizeof(images) / sizeof(images[0]))

bool
image_int(const json_t *image, const char *key, int64_t *value)
{
	const json_t *member = json_object_get(image, key);

	if (!json_is_integer(member))
		return false;
	*value = (int64_t)json_integer_value(member);
	return true;
}

bool
image_seq(const json_t *image, uint64_t *seq)
{
	int64_t value;

	if (!image_int(image, "seq", &value) || value < 0)
		return false;
	*seq = (uint64_t)value;
	return true;
}

bool
image_head(const json_t *image, int *id, uint64_t *seq, const char **why)
{
	int64_t value;

	if (!image_int(image, "id", &value) || value <= 0 || value > INT32_MAX ||
	    !image_seq(image, seq)) {
		*why = "an image without id or seq";
		return false;
	}
	*id = (int)value;
	return true;
}

/* A copy, because whoever lent it may go on to change it (times to text). */
void
image_keep(json_t **place, const json_t *image)
{
	json_decref(*place);
	*place = image != NULL ? json_deep_copy(image) : NULL;
}

bool
hex_hash(const char *text, uint8_t out[32])
{
	static const char digits[] = "0123456789abcdef";

	if (text == NULL || strlen(text) != 64)
		return false;
	for (size_t i = 0; i < 64; i++) {
		const char *digit = strchr(digits, text[i]);

		if (digit == NULL)
			return false;
		out[i / 2] = (uint8_t)((i % 2 == 0 ? 0 : out[i / 2] << 4) | (digit - digits));
	}
	return true;
}

struct projection *
projection_new(const struct projection_limits *limits)
{
	struct projection *p = xcalloc(1, sizeof(*p));

	p->limits = *limits;
	p->now_ms = INT64_MIN;
	p->elapse_seen = INT64_MAX;
	TAILQ_INIT(&p->queue_list);
	TAILQ_INIT(&p->form_list);
	TAILQ_INIT(&p->secrets);
	RB_INIT(&p->idle);
	LIST_INIT(&p->proposed);
	deadlines_init(&p->deadlines);
	deadline_init(&p->deadlines, &p->elapse, DEADLINE_ELAPSE);
	waiting_init(p, &p->future, DEADLINE_FUTURE);
	match_init(p);
	return p;
}

void
projection_free(struct projection *p)
{
	if (p == NULL)
		return;
	live_free(p);
	roster_free(p);
	settings_free(p);
	match_fini(p);
	deadlines_fini(&p->deadlines);
	free(p);
}

/* ---- loading ---- */

static bool
load_nodes(struct projection *p, const json_t *image, const char **why)
{
	const json_t *nodes = json_object_get(image, "nodes");
	size_t n = json_array_size(nodes);
	struct id *ids = xcalloc(n, sizeof(*ids));
	bool ok = true;

	for (size_t i = 0; ok && i < n; i++) {
		const char *text = json_string_value(json_array_get(nodes, i));

		ok = text != NULL && id_parse(text, &ids[i]);
	}
	if (ok && nodes != NULL) {
		free(p->nodes);
		p->nodes = ids;
		p->nnodes = n;
		return true;
	}
	free(ids);
	*why = "a head whose nodes are not ids";
	return ok;
}

static bool
load_head(struct projection *p, const json_t *image, const char **why)
{
	int64_t epoch, seq, at;

	if (!image_int(image, "epoch", &epoch) || !image_int(image, "seq", &seq) ||
	    !image_int(image, "at", &at) || seq < 0 || epoch <= 0 || epoch > INT32_MAX) {
		*why = "a head without epoch, seq or at";
		return false;
	}
	if (at > p->now_ms)
		p->now_ms = at;
	if (p->refill != REFILL_NONE) {
		/* Another node's event came in between: what this shows is older. */
		if ((uint64_t)seq < p->seq || epoch != p->epoch)
			p->refill = REFILL_STALE;
		return true;
	}
	p->headed = true;
	p->seq = (uint64_t)seq;
	p->epoch = (int)epoch;
	p->floor = (uint64_t)json_int(image, "floor", 0);
	return load_nodes(p, image, why);
}

/*
 * In a refill, what is newer than what was applied here is left to its events,
 * which are still to come: they may name a class or an agent that is not known yet.
 */
static bool
load_callback(struct projection *p, const json_t *image, const char **why)
{
	uint64_t seq;

	waiting_row(p, image);
	if (p->refill == REFILL_OPEN && image_seq(image, &seq) && seq > p->seq)
		return true;
	return live_callback(p, image, why);
}

static bool
load_elapse(struct projection *p, const json_t *image, const char **why)
{
	int64_t at;

	(void)why;
	if (image_int(image, "at", &at))
		waiting_elapse(p, at);
	return true;
}

static bool
load_future_window(struct projection *p, const json_t *image, const char **why)
{
	p->future_known = true;
	return waiting_future_window(p, image, why);
}

static const struct {
	const char *kind;
	image_fn apply;
} loads[] = {
	{ "head", load_head },
	{ "callback", load_callback },
	{ "due_window", waiting_due_window },
	{ "future_window", load_future_window },
	{ "elapse", load_elapse },
	{ "secret", settings_secret },
};

static image_fn
load_find(const char *kind)
{
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
		if (strcmp(loads[i].kind, kind) == 0)
			return loads[i].apply;
	}
	for (size_t i = 0; i < NIMAGES; i++) {
		if (strcmp(images[i].kind, kind) == 0)
			return images[i].apply;
	}
	return NULL;
}

bool
projection_load(struct projection *p, const char *kind, const json_t *image, const char **why)
{
	image_fn apply = load_find(kind);

	*why = NULL;
	if (!p->headed && strcmp(kind, "head") != 0) {
		*why = "a row before the head";
		return false;
	}
	if (p->refill == REFILL_STALE)
		return true;
	/* A newer schema may know more kinds than this node. */
	if (apply == NULL)
		return true;
	if (!json_is_object(image)) {
		*why = "a row without an image";
		return false;
	}
	return apply(p, image, why);
}

bool
projection_loaded(struct projection *p, const char **why)
{
	*why = !p->headed	? "no head"
	    : p->tenant == NULL ? "no tenant"
	    : !p->future_known	? "no future_window"
				: NULL;
	for (size_t i = 0; *why == NULL && i < p->nagents; i++) {
		if (p->agents[i]->status == NULL && !p->agents[i]->removed)
			*why = "an agent without a status";
	}
	if (*why != NULL)
		return false;
	p->loaded = true;
	waiting_loaded(p);
	p->nodes_seq = p->seq;
	if (p->nodes != NULL)
		projection_set_nodes(p, p->nodes, p->nnodes);
	return true;
}

void
projection_refill_begin(struct projection *p)
{
	p->refill = REFILL_OPEN;
	p->row_seen = false;
}

bool
projection_refill_end(struct projection *p, const char **why)
{
	*why = NULL;
	p->refill = REFILL_NONE;
	return true;
}

/* ---- events ---- */

enum projection_fit
projection_apply(
    struct projection *p, uint64_t seq, const char *kind, const json_t *body, const char **why)
{
	/* The members tell all; a kind that is not known here may come from a newer node. */
	(void)kind;
	*why = NULL;
	if (!p->loaded) {
		*why = "an event before the load";
		return PROJECTION_DOUBT;
	}
	if (seq <= p->seq)
		return PROJECTION_OLD;
	if (seq != p->seq + 1)
		return PROJECTION_GAP;
	p->seq = seq;
	for (size_t i = 0; i < NIMAGES; i++) {
		const json_t *image = json_object_get(body, images[i].kind);

		if (image == NULL)
			continue;
		if (!json_is_object(image)) {
			*why = "an image that is not an object";
			return PROJECTION_DOUBT;
		}
		if (!images[i].apply(p, image, why))
			return PROJECTION_DOUBT;
	}
	return PROJECTION_APPLIED;
}

uint64_t
projection_seq(const struct projection *p)
{
	return p->seq;
}

int
projection_epoch(const struct projection *p)
{
	return p->epoch;
}

uint64_t
projection_floor(const struct projection *p)
{
	return p->floor;
}
