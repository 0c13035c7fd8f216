/*
 * projection_roster: agents, where they stand, their sessions and nodes; who
 * is available follows here and nowhere else. It must not know which callback
 * is for whom.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/projection_impl.h"

/* Who waited longest first; the same moment: by id, so that every node says the same. */
static int
idle_compare(struct agent *a, struct agent *b)
{
	if (a->idle_since != b->idle_since)
		return a->idle_since < b->idle_since ? -1 : 1;
	return (a->id > b->id) - (a->id < b->id);
}

RB_GENERATE(idle_tree, agent, idle, idle_compare)

struct agent *
roster_find(const struct projection *p, int id)
{
	struct map_node *n = map_first(&p->agents_by_id, map_hash_int(id));

	return n != NULL ? map_entry(n, struct agent, by_id) : NULL;
}

struct agent *
roster_named(const struct projection *p, const char *name)
{
	struct map_node *n = map_first(&p->agents_by_name, map_hash_bytes(name, strlen(name)));

	for (; n != NULL; n = map_next(n)) {
		struct agent *a = map_entry(n, struct agent, by_name);

		if (strcmp(a->name, name) == 0)
			return a;
	}
	return NULL;
}

struct agent *
roster_member(const struct projection *p, const json_t *image, const char *key)
{
	int64_t id = json_int(image, key, 0);

	return id > 0 && id <= INT32_MAX ? roster_find(p, (int)id) : NULL;
}

/* ---- who is available ---- */

const char *
roster_activity(const struct agent *a)
{
	return !LIST_EMPTY(&a->held) ? "busy" : !LIST_EMPTY(&a->offers) ? "reserved" : "idle";
}

static void
log_shown(struct agent *a)
{
	const struct callback *held = LIST_FIRST(&a->held);
	const struct offer *offer = LIST_FIRST(&a->offers);
	const char *shown = held != NULL ? callback_state_name(held->state)
	    : offer != NULL		 ? "offered"
					 : agent_state_name(a->state);

	if (shown == a->shown)
		return;
	if (log_level_on(LOG_LEVEL_DEBUG) && (held != NULL || offer != NULL)) {
		char callback[ID_TEXT_SIZE];

		id_format(held != NULL ? held->id : offer->callback, callback);
		log_debug("agent=%d from=%s to=%s callback=%s", a->id, a->shown, shown, callback);
	} else {
		log_debug("agent=%d from=%s to=%s", a->id, a->shown, shown);
	}
	a->shown = shown;
}

static void
set_on_duty(struct projection *p, struct agent *a, bool on)
{
	if (on == a->on_duty)
		return;
	a->on_duty = on;
	if (on) {
		bits_add(&p->on_duty, a->slot);
	} else {
		bits_drop(&p->on_duty, a->slot);
		/* Without him, everybody eligible may have been tried. */
		match_agent_wake(p, a);
	}
}

static void
set_available(struct projection *p, struct agent *a, bool on)
{
	size_t word = a->slot / BITS_WORD;

	if (on == a->available)
		return;
	a->available = on;
	for (size_t w = 0; w < a->classes.nwords; w++) {
		uint64_t some = a->classes.words[w];

		while (some != 0) {
			uint32_t *n = &p->candidates[w * BITS_WORD + bits_pop(&some)];
			*n = on ? *n + 1 : *n - 1;
		}
	}
	if (on) {
		p->navailable++;
		p->idle_since[a->slot] = a->idle_since;
		bits_add(&p->available, a->slot);
		bits_add(&p->available_words, word);
		RB_INSERT(idle_tree, &p->idle, a);
		match_agent_wake(p, a);
	} else {
		p->navailable--;
		RB_REMOVE(idle_tree, &p->idle, a);
		bits_drop(&p->available, a->slot);
		if (bits_word(&p->available, word) == 0)
			bits_drop(&p->available_words, word);
	}
}

void
roster_settle(struct projection *p, struct agent *a)
{
	bool here = !a->removed && a->connected;
	bool free_now = LIST_EMPTY(&a->offers) && LIST_EMPTY(&a->held) && !a->proposed;
	bool kept_back = deadline_is_set(&a->rest) || deadline_is_set(&a->astray);

	set_on_duty(p, a, here && (a->state == AGENT_READY || a->state == AGENT_AFTER_CALL_WORK));
	set_available(p, a, here && a->state == AGENT_READY && free_now && !kept_back);
	log_shown(a);
}

void
roster_touch(struct projection *p, struct agent *a)
{
	a->changed_seq = p->seq;
	deadline_clear(&p->deadlines, &a->rest);
	roster_settle(p, a);
}

void
roster_propose(struct projection *p, struct agent *a)
{
	a->proposed = true;
	a->proposed_seq = p->seq;
	roster_settle(p, a);
}

void
roster_settled(struct projection *p, struct agent *a, bool rested)
{
	a->proposed = false;
	if (rested && a->changed_seq <= a->proposed_seq)
		deadline_set(&p->deadlines, &a->rest, p->now_ms + RETRY_MS);
	roster_settle(p, a);
}

/* ---- nodes ---- */

static bool
is_alive(const struct id *nodes, size_t n, struct id node)
{
	for (size_t i = 0; i < n; i++) {
		if (id_equal(nodes[i], node))
			return true;
	}
	return false;
}

void
projection_set_nodes(struct projection *p, const struct id *nodes, size_t n)
{
	/* Whoever asks is alive himself: an empty list is one that was not read yet. */
	if (n == 0)
		return;
	struct id *copy = xcalloc(n, sizeof(*copy));

	for (size_t i = 0; i < n; i++)
		copy[i] = nodes[i];
	for (size_t i = 0; i < p->nagents; i++) {
		struct agent *a = p->agents[i];

		if (!a->connected || is_alive(copy, n, a->node)) {
			deadline_clear(&p->deadlines, &a->astray);
		} else if (a->status_seq <= p->nodes_seq ||
		    is_alive(p->nodes, p->nnodes, a->node)) {
			/*
			 * Otherwise the node may be younger than the list, which was read
			 * before he was connected: the next list will tell.
			 */
			if (!deadline_is_set(&a->astray))
				deadline_set(&p->deadlines, &a->astray, p->now_ms);
		}
		roster_settle(p, a);
	}
	free(p->nodes);
	p->nodes = copy;
	p->nnodes = n;
	p->nodes_seq = p->seq;
}

/* ---- images ---- */

static struct agent *
agent_new(struct projection *p, int id)
{
	struct agent *a = xcalloc(1, sizeof(*a));

	if (p->nagents == p->agents_cap) {
		p->agents_cap = p->agents_cap > 0 ? p->agents_cap * 2 : 16;
		p->agents = xreallocarray(p->agents, p->agents_cap, sizeof(*p->agents));
		p->idle_since = xreallocarray(p->idle_since, p->agents_cap, sizeof(*p->idle_since));
		p->standings = xreallocarray(p->standings, p->agents_cap, sizeof(*p->standings));
	}
	a->id = id;
	a->slot = p->nagents;
	p->idle_since[a->slot] = 0;
	p->standings[a->slot] = (struct standing){ .id = id };
	p->agents[p->nagents++] = a;
	a->state = AGENT_LOGGED_OUT;
	a->shown = agent_state_name(a->state);
	LIST_INIT(&a->offers);
	LIST_INIT(&a->held);
	deadline_init(&p->deadlines, &a->end, DEADLINE_AGENT);
	deadline_init(&p->deadlines, &a->lost, DEADLINE_AGENT_LOST);
	deadline_init(&p->deadlines, &a->astray, DEADLINE_AGENT_ASTRAY);
	deadline_init(&p->deadlines, &a->rest, DEADLINE_AGENT_REST);
	map_insert(&p->agents_by_id, &a->by_id, map_hash_int(id));
	return a;
}

static bool
agent_parse(struct projection *p, struct agent *a, const json_t *image, const char **why)
{
	if (a->name != NULL)
		map_remove(&p->agents_by_name, &a->by_name);
	image_keep(&a->image, image);
	a->removed = json_bool(image, "removed", false);
	p->standings[a->slot].position = (int)json_int(image, "position", 0);
	a->role = json_text(a->image, "role");
	a->name = json_text(a->image, "name");
	if (a->name == NULL || a->role == NULL) {
		a->name = NULL;
		*why = "an agent without name or role";
		return false;
	}
	map_insert(&p->agents_by_name, &a->by_name, map_hash_bytes(a->name, strlen(a->name)));
	return skill_levels(p, json_object_get(image, "skills"), &a->levels, &a->nlevels, why);
}

bool
roster_agent(struct projection *p, const json_t *image, const char **why)
{
	int id;
	uint64_t seq;

	if (!image_head(image, &id, &seq, why))
		return false;
	struct agent *a = roster_find(p, id);

	if (a == NULL)
		a = agent_new(p, id);
	else if (a->seq >= seq)
		return true;
	a->seq = seq;
	/* Classes that he leaves must look again too: there, everybody may have been tried. */
	set_available(p, a, false);
	match_agent_wake(p, a);
	if (!agent_parse(p, a, image, why))
		return false;
	skill_fit_agent(p, a);
	roster_touch(p, a);
	return true;
}

static bool
status_parse(struct projection *p, struct agent *a, const json_t *image, const char **why)
{
	const char *state = json_text(image, "state");
	struct id node = { 0 };

	*why = "a status without state, idle_since_at or node";
	if (state == NULL || !image_int(image, "idle_since_at", &a->idle_since))
		return false;
	if (!agent_state_parse(state, &a->state)) {
		*why = "an unknown state of an agent";
		return false;
	}
	/* Left out by an older node, they are what they are at the start. */
	p->standings[a->slot].offered_seq = json_int(image, "offered_seq", 0);
	p->standings[a->slot].accepted = json_int(image, "accepted", 0);
	p->standings[a->slot].talk_ms = json_int(image, "talk_ms", 0);
	a->connected = json_bool(image, "connected", false);
	if (a->connected && !json_id(image, "node", &node))
		return false;
	if (!a->connected || !id_equal(node, a->node))
		deadline_clear(&p->deadlines, &a->astray);
	a->node = node;
	deadline_set(&p->deadlines, &a->end, json_int(image, "deadline_at", INT64_MAX));
	deadline_set(&p->deadlines, &a->lost,
	    a->connected ? INT64_MAX : json_int(image, "lost_at", INT64_MAX));
	return true;
}

bool
roster_status(struct projection *p, const json_t *image, const char **why)
{
	struct agent *a = roster_member(p, image, "agent");
	uint64_t seq;

	if (a == NULL || !image_seq(image, &seq)) {
		*why = "a status without seq, or of an unknown agent";
		return false;
	}
	if (a->status != NULL && a->status_seq >= seq)
		return true;
	/* The idle tree is ordered by what is about to change. */
	if (json_int(image, "idle_since_at", INT64_MIN) != a->idle_since)
		set_available(p, a, false);
	bool was_in = a->state != AGENT_LOGGED_OUT;

	if (!status_parse(p, a, image, why))
		return false;
	a->status_seq = seq;
	image_keep(&a->status, image);
	/* Nobody waits for him any more, whether or not he was on duty. */
	if (was_in && a->state == AGENT_LOGGED_OUT)
		match_agent_wake(p, a);
	roster_touch(p, a);
	return true;
}

/* ---- sessions ---- */

static uint64_t
session_hash(const uint8_t token_hash[32])
{
	uint64_t first;

	/* It is a SHA-256: any part of it is a hash. */
	memcpy(&first, token_hash, sizeof(first));
	return first;
}

struct session *
roster_session_find(const struct projection *p, const uint8_t token_hash[32])
{
	struct map_node *n = map_first(&p->sessions, session_hash(token_hash));

	for (; n != NULL; n = map_next(n)) {
		struct session *s = map_entry(n, struct session, by_hash);

		if (same_secret(s->token_hash, token_hash, 32))
			return s;
	}
	return NULL;
}

bool
roster_session(struct projection *p, const json_t *image, const char **why)
{
	uint8_t token_hash[32];
	struct agent *a = roster_member(p, image, "agent");
	bool closed = json_bool(image, "closed", false);
	int64_t expires_at = 0;

	if (!hex_hash(json_text(image, "token_hash"), token_hash) ||
	    (!closed && (a == NULL || !image_int(image, "expires_at", &expires_at)))) {
		*why = "a session without token_hash or expires_at, or of an unknown agent";
		return false;
	}
	struct session *s = roster_session_find(p, token_hash);

	if (closed && s != NULL) {
		map_remove(&p->sessions, &s->by_hash);
		free(s);
	}
	if (closed)
		return true;
	if (s == NULL) {
		s = xcalloc(1, sizeof(*s));
		memcpy(s->token_hash, token_hash, sizeof(s->token_hash));
		map_insert(&p->sessions, &s->by_hash, session_hash(token_hash));
	}
	s->agent = a;
	s->expires_at = expires_at;
	return true;
}

/* ---- the end ---- */

void
roster_free(struct projection *p)
{
	struct map_node *next;

	for (struct map_node *n = map_each(&p->sessions, NULL); n != NULL; n = next) {
		next = map_each(&p->sessions, n);
		free(map_entry(n, struct session, by_hash));
	}
	map_fini(&p->sessions);
	for (size_t i = 0; i < p->nagents; i++) {
		struct agent *a = p->agents[i];

		assert(LIST_EMPTY(&a->offers) && LIST_EMPTY(&a->held));
		deadline_fini(&p->deadlines, &a->end);
		deadline_fini(&p->deadlines, &a->lost);
		deadline_fini(&p->deadlines, &a->astray);
		deadline_fini(&p->deadlines, &a->rest);
		json_decref(a->image);
		json_decref(a->status);
		free(a->levels);
		bits_fini(&a->classes);
		free(a);
	}
	free(p->agents);
	free(p->idle_since);
	free(p->standings);
	free(p->nodes);
	map_fini(&p->agents_by_id);
	map_fini(&p->agents_by_name);
	bits_fini(&p->available);
	bits_fini(&p->available_words);
	bits_fini(&p->on_duty);
}
