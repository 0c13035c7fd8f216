/*
 * test_projection: what is applied, what is not, and what can be asked.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "core/projection.h"
#include "core/router.h"
#include "world.h"

#define NOW 1000000

/* Two agents, a queue, a class for everybody. */
static struct world *
small(void)
{
	struct world *w = world_new(NOW);

	world_queue(w, 1, "", "longest_idle", 10, 120);
	world_class(w, 1, 1, "");
	world_agent(w, 1, "1:5", "ready", 10);
	world_agent(w, 2, "", "not_ready", 20);
	return w;
}

static enum projection_fit
apply(struct projection *p, uint64_t seq, const char *text, const char **why)
{
	json_t *body = json_loads(text, 0, NULL);

	assert_non_null(body);
	enum projection_fit fit = projection_apply(p, seq, "test", body, why);

	json_decref(body);
	return fit;
}

static void
events_in_order_once(void **state)
{
	struct world *w = small();
	struct projection *p = world_load(w, 10, 10);
	uint64_t seq = projection_seq(p);
	const char *why;

	(void)state;
	assert_int_equal(seq, w->seq);
	assert_int_equal(projection_epoch(p), 1);
	assert_int_equal(apply(p, seq, "{}", &why), PROJECTION_OLD);
	assert_int_equal(apply(p, seq + 2, "{}", &why), PROJECTION_GAP);
	assert_int_equal(projection_seq(p), seq);
	assert_int_equal(
	    apply(p, seq + 1, "{\"something\": {\"new\": 1}}", &why), PROJECTION_APPLIED);
	assert_int_equal(projection_seq(p), seq + 1);
	projection_free(p);
	world_free(w);
}

#define CB "\"id\":\"00000000-0001-7000-8000-000000000009\""
#define DUE "\"priority\":0,\"due_at\":1,\"promise_at\":1"
#define OF \
	"\"id\":\"00000000-0002-7000-8000-000000000009\",\"callback\":\"00000000-0001-7000-8000-" \
	"000000000009\""
#define QU "\"id\":1,\"seq\":900,\"name\":\"q\""

static void
what_does_not_fit(void **state)
{
	static const char *const bodies[] = {
		"{\"callback\": 5}",
		"{\"callback\": {" CB "}}",
		"{\"callback\": {" CB ",\"seq\":900,\"state\":\"parked\",\"class\":1," DUE "}}",
		"{\"callback\": {" CB ",\"seq\":900,\"state\":\"scheduled\",\"class\":99," DUE "}}",
		"{\"callback\": {" CB ",\"seq\":900,\"state\":\"scheduled\",\"class\":1}}",
		"{\"callback\": {" CB ",\"seq\":900,\"state\":\"scheduled\",\"class\":1," DUE
		",\"tried\":[[1]]}}",
		"{\"callback\": {" CB ",\"seq\":900,\"state\":\"scheduled\",\"class\":1," DUE
		",\"tried\":3}}",
		"{\"callback\": {" CB ",\"seq\":900,\"state\":\"connected\",\"class\":1," DUE
		",\"agent\":77,\"deadline_at\":5}}",
		"{\"callback\": {" CB ",\"seq\":900,\"state\":\"connected\",\"class\":1," DUE
		",\"agent\":1}}",
		"{\"callback\": {\"id\":\"no\",\"seq\":900,\"state\":\"scheduled\",\"class\":1," DUE
		"}}",
		"{\"offer\": {" OF ",\"seq\":900,\"state\":\"pending\",\"agent\":99}}",
		"{\"offer\": {" OF ",\"seq\":900,\"state\":\"maybe\",\"agent\":1}}",
		"{\"attempt\": {\"seq\":900}}",
		"{\"status\": {\"agent\":99,\"seq\":900,\"state\":\"ready\",\"idle_since_at\":1}}",
		"{\"status\": {\"agent\":1,\"seq\":900,\"state\":\"asleep\",\"idle_since_at\":1}}",
		"{\"status\": "
		"{\"agent\":1,\"seq\":900,\"state\":\"ready\",\"idle_since_at\":1,\"connected\":"
		"true}}",
		"{\"agent\": {\"id\":1,\"seq\":900,\"name\":\"a\"}}",
		"{\"agent\": "
		"{\"id\":1,\"seq\":900,\"name\":\"a\",\"role\":\"agent\",\"skills\":{\"x\":1}}}",
		"{\"agent\": "
		"{\"id\":1,\"seq\":900,\"name\":\"a\",\"role\":\"agent\",\"skills\":{\"1\":11}}}",
		"{\"queue\": {" QU "}}",
		"{\"queue\": {" QU ",\"strategy\":\"longest_idle\",\"ring_max\":0}}",
		"{\"class\": {\"id\":9,\"queue\":99,\"skills\":{}}}",
		"{\"form\": {\"id\":9,\"seq\":900}}",
		"{\"skill\": {\"seq\":900}}",
		"{\"session\": {\"token_hash\":\"zz\",\"agent\":1,\"expires_at\":1}}",
		"{\"tenant\": {\"id\":1,\"seq\":900,\"epoch\":2}}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct world *w = small();
		const char *why = NULL;

		/* Also of one that was known, and in a window. */
		world_submit(w, 1, 0, NOW, NOW, 0);
		struct projection *p = world_load(w, 10, 10);

		if (apply(p, projection_seq(p) + 1, bodies[i], &why) != PROJECTION_DOUBT)
			fail_msg("it fits: %s", bodies[i]);
		assert_non_null(why);
		projection_free(p);
		world_free(w);
	}
}

static void
older_than_the_object_is_left(void **state)
{
	struct world *w = small();

	(void)state;
	world_submit(w, 1, 0, NOW, NOW, 0);
	struct projection *p = world_load(w, 10, 10);
	const char *why;
	uint64_t seq = projection_seq(p);

	assert_int_equal(
	    apply(p, seq + 1,
		"{\"status\": {\"agent\":1,\"seq\":1,\"state\":\"not_ready\",\"idle_since_at\":1},"
		"\"callback\": "
		"{\"id\":\"00000000-0001-7000-8000-000000000001\",\"seq\":1,\"state\":"
		"\"cancelled\"}}",
		&why),
	    PROJECTION_APPLIED);
	assert_int_equal(projection_counts(p).available, 1);
	assert_int_equal(projection_counts(p).waiting_due, 1);
	projection_free(p);
	world_free(w);
}

static void
a_load_that_does_not_fit(void **state)
{
	struct projection *p = projection_new(&(struct projection_limits){ 10, 10 });
	json_t *head =
	    json_loads("{\"epoch\":1,\"seq\":5,\"floor\":2,\"at\":7,\"nodes\":[]}", 0, NULL);
	json_t *empty = json_object();
	json_t *status = json_pack(
	    "{s:i, s:i, s:s, s:i}", "agent", 3, "seq", 1, "state", "ready", "idle_since_at", 1);
	const char *why;

	(void)state;
	assert_int_equal(projection_apply(p, 1, "x", empty, &why), PROJECTION_DOUBT);
	assert_false(projection_load(p, "tenant", empty, &why));
	assert_false(projection_load(p, "head", empty, &why));
	assert_true(projection_load(p, "head", head, &why));
	assert_int_equal(projection_floor(p), 2);
	assert_false(projection_load(p, "status", status, &why));
	assert_false(projection_load(p, "due_window", empty, &why));
	assert_true(projection_load(p, "what only a newer schema has", empty, &why));
	assert_false(projection_loaded(p, &why));
	assert_true(projection_load(p, "tenant", empty, &why));
	assert_false(projection_loaded(p, &why));
	assert_true(projection_load(p, "future_window", empty, &why));
	assert_true(projection_loaded(p, &why));
	json_decref(head);
	json_decref(empty);
	json_decref(status);
	projection_free(p);
}

static void
sessions_come_and_go(void **state)
{
	struct world *w = small();
	uint8_t hash[32] = { [31] = 0x2a };
	struct session_view v;

	(void)state;
	world_session(w, 0x2a, 1, false);
	struct projection *p = world_load(w, 10, 10);

	assert_true(projection_session(p, hash, &v));
	assert_int_equal(v.agent_id, 1);
	assert_string_equal(v.name, "agent1");
	assert_string_equal(v.role, "agent");
	assert_int_equal(v.expires_at, NOW + 1000);
	assert_true(v.connected && !v.logged_out && id_equal(v.node, world_node_id(1)));
	hash[0] = 1;
	assert_false(projection_session(p, hash, &v));
	world_session(w, 0x2b, 2, false);
	world_feed(w, p);
	hash[0] = 0;
	hash[31] = 0x2b;
	assert_true(projection_session(p, hash, &v));
	assert_int_equal(v.agent_id, 2);
	world_session(w, 0x2b, 2, true);
	world_feed(w, p);
	assert_false(projection_session(p, hash, &v));
	/* Who was removed has none, whatever is open. */
	world_agent_change(w, 1, "", true);
	world_feed(w, p);
	hash[31] = 0x2a;
	assert_false(projection_session(p, hash, &v));
	assert_false(projection_agent(p, 1, &v));
	assert_int_equal(projection_agent_by_name(p, "agent1"), 0);
	assert_int_equal(projection_agent_by_name(p, "agent2"), 2);
	projection_free(p);
	world_free(w);
}

static const char *
activity(const struct projection *p, int agent, json_t **view)
{
	json_decref(*view);
	*view = projection_agent_state(p, agent);
	assert_non_null(*view);
	return json_text(*view, "activity");
}

static void
what_an_agent_has(void **state)
{
	struct world *w = small();
	struct projection *p = world_load(w, 10, 10);
	json_t *view = NULL;
	struct id callback;
	int one = 1, agent;

	(void)state;
	assert_string_equal(activity(p, 1, &view), "idle");
	world_submit(w, 1, 0, NOW, NOW, 0);
	world_offer(w, 1, &one, 1, 20000);
	world_feed(w, p);
	assert_string_equal(activity(p, 1, &view), "reserved");
	json_t *offer = json_array_get(json_object_get(view, "offers"), 0);

	assert_string_equal(json_text(json_object_get(offer, "callback"), "state"), "offered");
	assert_int_equal(json_int(json_object_get(offer, "offer"), "deadline_at", 0), NOW + 20000);
	assert_true(projection_offer(p, world_offer_id(1), &callback, &agent));
	assert_true(id_equal(callback, world_callback_id(1)) && agent == 1);
	world_accept(w, 1);
	world_call(w, 1);
	world_feed(w, p);
	assert_string_equal(activity(p, 1, &view), "busy");
	json_t *held = json_array_get(json_object_get(view, "callbacks"), 0);

	assert_string_equal(json_text(json_object_get(held, "callback"), "state"), "establishing");
	assert_string_equal(json_text(json_object_get(held, "attempt"), "state"), "dialing");
	assert_true(projection_attempt(p, world_attempt_id(1), &callback, &agent));
	assert_false(projection_offer(p, world_offer_id(1), &callback, &agent));
	/* What is given away is a copy. */
	json_object_set_new(json_object_get(held, "callback"), "state", json_string("spoilt"));
	world_ended(w, 1);
	world_feed(w, p);
	assert_false(projection_attempt(p, world_attempt_id(1), &callback, &agent));
	assert_string_equal(activity(p, 1, &view), "busy");
	assert_int_equal(projection_holder(p, world_callback_id(1)), 1);
	world_finish(w, 1, "completed");
	world_feed(w, p);
	assert_string_equal(activity(p, 1, &view), "idle");
	assert_int_equal(projection_holder(p, world_callback_id(1)), 0);
	assert_int_equal(projection_counts(p).available, 1);
	assert_null(projection_agent_state(p, 99));
	json_decref(view);
	view = projection_agents(p);
	assert_int_equal(json_array_size(view), 2);
	json_decref(view);
	projection_free(p);
	world_free(w);
}

static void
cancelled_while_it_is_offered(void **state)
{
	struct world *w = small();
	struct projection *p = world_load(w, 10, 10);
	int one = 1;

	(void)state;
	world_submit(w, 1, 0, NOW, NOW, 0);
	world_offer(w, 1, &one, 1, 20000);
	world_finish(w, 1, "cancelled");
	world_feed(w, p);
	assert_int_equal(projection_counts(p).offers, 0);
	assert_int_equal(projection_counts(p).offered, 0);
	assert_int_equal(projection_counts(p).available, 1);
	projection_free(p);
	world_free(w);
}

/* An end of the attempt that no event tells does not keep it for ever. */
static void
an_attempt_goes_with_its_callback(void **state)
{
	struct world *w = small();
	struct projection *p = world_load(w, 10, 10);
	struct id callback;
	int one = 1, agent;

	(void)state;
	world_submit(w, 1, 0, NOW, NOW, 0);
	world_offer(w, 1, &one, 1, 20000);
	world_accept(w, 1);
	world_call(w, 1);
	world_feed(w, p);
	assert_true(projection_attempt(p, world_attempt_id(1), &callback, &agent));
	w->callbacks[1].attempt = 0;
	world_give_back(w, 1);
	world_feed(w, p);
	assert_false(projection_attempt(p, world_attempt_id(1), &callback, &agent));
	projection_free(p);
	world_free(w);
}

static void
linked_ones_do_not_wait(void **state)
{
	struct world *w = small();
	struct projection *p = world_load(w, 10, 10);

	(void)state;
	world_submit(w, 1, 0, NOW, NOW, 0);
	world_submit(w, 1, 0, NOW, NOW, 0);
	world_feed(w, p);
	assert_int_equal(projection_counts(p).waiting_due, 2);
	w->callbacks[1].linked_to = 2;
	world_changed(w, 1, "callback.linked");
	world_feed(w, p);
	assert_int_equal(projection_counts(p).waiting_due, 1);
	w->callbacks[1].linked_to = 0;
	world_changed(w, 1, "callback.linked");
	world_feed(w, p);
	assert_int_equal(projection_counts(p).waiting_due, 2);
	projection_free(p);
	world_free(w);
}

static json_int_t
queue_number(const struct projection *p, int64_t now, const char *key)
{
	json_t *queues = projection_queues(p, now);
	const json_t *queue = json_array_get(queues, 0);
	const json_t *value = json_object_get(queue, key);

	if (value == NULL)
		value = json_object_get(json_object_get(queue, "agents"), key);
	assert_non_null(value);
	json_int_t n = json_is_boolean(value) ? json_is_true(value) : json_integer_value(value);

	json_decref(queues);
	return n;
}

static void
how_the_queues_stand(void **state)
{
	struct world *w = small();
	int one = 1;

	(void)state;
	for (int i = 0; i < 5; i++)
		world_submit(w, 1, 0, NOW, NOW + i, 0);
	world_submit(w, 1, 0, NOW + 100, NOW + 100, 0);
	struct projection *p = world_load(w, 3, 10);

	assert_int_equal(queue_number(p, NOW, "due"), 3);
	assert_int_equal(queue_number(p, NOW, "due_complete"), 0);
	assert_int_equal(queue_number(p, NOW + 100, "due"), 4);
	assert_int_equal(queue_number(p, NOW, "ready"), 1);
	assert_int_equal(queue_number(p, NOW, "not_ready"), 1);
	world_offer(w, 1, &one, 1, 20000);
	world_feed(w, p);
	assert_int_equal(queue_number(p, NOW, "offered"), 1);
	assert_int_equal(queue_number(p, NOW, "reserved"), 1);
	assert_int_equal(queue_number(p, NOW, "ready"), 0);
	world_accept(w, 1);
	world_feed(w, p);
	assert_int_equal(queue_number(p, NOW, "held"), 1);
	assert_int_equal(queue_number(p, NOW, "busy"), 1);
	projection_free(p);
	world_free(w);
}

static void
windows_stay_bounded(void **state)
{
	struct world *w = small();
	struct projection *p = world_load(w, 10, 20);

	(void)state;
	world_agent_change(w, 1, "", true);
	for (int i = 0; i < 100; i++) {
		world_submit(w, 1, 0, NOW, NOW + 1000 - i, 0);
		world_submit(w, 1, 0, NOW + 10 + i, NOW, 0);
	}
	world_feed(w, p);
	assert_int_equal(projection_counts(p).waiting_due, 20);
	assert_int_equal(projection_counts(p).waiting_future, 40);
	assert_int_equal(queue_number(p, NOW, "due_complete"), 0);
	/* What is kept is the first of them. */
	assert_int_equal(w->callbacks[199].promise_at, NOW + 901);
	world_finish(w, 199, "cancelled");
	world_finish(w, 1, "cancelled");
	world_feed(w, p);
	assert_int_equal(projection_counts(p).waiting_due, 19);
	projection_free(p);
	world_free(w);
}

static void
on_action(void *arg, const struct router_action *action)
{
	*(struct router_action *)arg = *action;
}

/* The router asks for more; what it asked for. */
static struct router_action
hungry(struct projection *p)
{
	struct router_action action = { .kind = ROUTER_OFFER };

	router_run(p, NOW, 10, on_action, &action);
	return action;
}

static void
a_refill_knows_more_or_less(void **state)
{
	struct world *w = small();
	struct world *old = xmalloc(sizeof(*old));

	(void)state;
	world_agent_change(w, 1, "", true);
	for (int i = 1; i <= 20; i++)
		world_submit(w, 1, 0, NOW, NOW + i, 0);
	struct projection *p = world_load(w, 4, 10);

	for (int i = 1; i <= 3; i++)
		world_finish(w, i, "cancelled");
	world_feed(w, p);
	struct router_action action = hungry(p);

	assert_int_equal(action.kind, ROUTER_LOAD_DUE);
	/* What is newer than what was applied is left to its events. */
	world_finish(w, 4, "cancelled");
	w->callbacks[5].priority = -7;
	world_changed(w, 5, "callback.changed");
	world_refill_due(w, p, 1, 4);
	router_settled(p, &action);
	assert_int_equal(projection_counts(p).waiting_due, 5);
	world_feed(w, p);
	assert_int_equal(projection_counts(p).waiting_due, 4);
	/* One that nobody waits for changes nothing. */
	world_refill_due(w, p, 1, 10);
	assert_int_equal(projection_counts(p).waiting_due, 4);
	for (int i = 6; i <= 8; i++)
		world_finish(w, i, "cancelled");
	world_feed(w, p);
	action = hungry(p);
	assert_int_equal(action.kind, ROUTER_LOAD_DUE);
	/* Older than what was applied: no use. */
	*old = *w;
	world_finish(w, 10, "cancelled");
	world_feed(w, p);
	world_refill_due(old, p, 1, 10);
	router_settled(p, &action);
	assert_int_equal(projection_counts(p).waiting_due, 1);
	free(old);
	projection_free(p);
	world_free(w);
}

static void
a_refill_names_what_is_not_known_yet(void **state)
{
	struct world *w = small();

	(void)state;
	world_agent_change(w, 1, "", true);
	for (int i = 1; i <= 10; i++)
		world_submit(w, 1, 0, NOW + i, NOW, 0);
	struct projection *p = world_load(w, 10, 4);

	for (int i = 1; i <= 3; i++)
		world_finish(w, i, "cancelled");
	world_feed(w, p);
	struct router_action action = hungry(p);

	assert_int_equal(action.kind, ROUTER_LOAD_FUTURE);
	world_class(w, 2, 1, "");
	world_submit(w, 2, 0, NOW + 5, NOW, 0);
	world_refill_future(w, p, action.after_at, action.after_id, 4);
	router_settled(p, &action);
	assert_int_equal(projection_counts(p).waiting_future, 4);
	world_feed(w, p);
	assert_int_equal(projection_counts(p).waiting_future, 5);
	projection_free(p);
	world_free(w);
}

/* The last event may be later than the time a load was asked for: what lies between is due. */
static void
a_load_that_is_ahead_of_its_time(void **state)
{
	static const struct {
		const char *kind, *image;
	} rows[] = {
		{ "head", "{\"epoch\":1,\"seq\":50,\"at\":1100,\"nodes\":[]}" },
		{ "tenant", "{\"id\":1}" },
		{ "queue", "{" QU ",\"strategy\":\"longest_idle\",\"ring_max\":1,\"skills\":{}}" },
		{ "class", "{\"id\":1,\"queue\":1,\"skills\":{}}" },
		{ "callback",
		    "{\"id\":\"00000000-0001-7000-8000-000000000001\",\"seq\":1,\"state\":"
		    "\"scheduled\","
		    "\"class\":1,\"priority\":0,\"due_at\":900,\"promise_at\":900}" },
		{ "due_window", "{\"class\":1,\"complete\":false}" },
		{ "callback",
		    "{\"id\":\"00000000-0001-7000-8000-000000000002\",\"seq\":1,\"state\":"
		    "\"scheduled\","
		    "\"class\":1,\"priority\":5,\"due_at\":1050,\"promise_at\":1050}" },
		{ "callback",
		    "{\"id\":\"00000000-0001-7000-8000-000000000003\",\"seq\":1,\"state\":"
		    "\"scheduled\","
		    "\"class\":1,\"priority\":0,\"due_at\":1050,\"promise_at\":1050}" },
		{ "future_window", "{\"complete\":true}" },
	};
	struct projection *p = projection_new(&(struct projection_limits){ 1, 10 });
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *image = json_loads(rows[i].image, 0, NULL);

		assert_true(projection_load(p, rows[i].kind, image, &why));
		json_decref(image);
	}
	assert_true(projection_loaded(p, &why));
	/* The third lies behind the end of the class's window, where others may be that were not loaded. */
	assert_int_equal(projection_counts(p).waiting_due, 2);
	assert_int_equal(projection_counts(p).waiting_future, 0);
	projection_free(p);
}

static bool
keep_first(void *arg, const uint8_t value[32])
{
	*(int *)arg = value[0];
	return false;
}

static void
count_form(void *arg, const char *key, const json_t *image)
{
	assert_string_equal(json_text(image, "key"), key);
	++*(int *)arg;
}

static void
settings_can_be_asked(void **state)
{
	struct world *w = small();
	struct projection *p = world_load(w, 10, 10);
	uint64_t seq = projection_seq(p);
	const char *why;
	int n = 0;

	(void)state;
	assert_int_equal(
	    apply(p, ++seq, "{\"form\":{\"id\":2,\"seq\":20,\"key\":\"two\",\"removed\":false}}",
		&why),
	    PROJECTION_APPLIED);
	assert_int_equal(
	    apply(p, ++seq, "{\"form\":{\"id\":1,\"seq\":20,\"key\":\"one\",\"removed\":false}}",
		&why),
	    PROJECTION_APPLIED);
	assert_non_null(projection_form(p, "one"));
	assert_null(projection_form(p, "three"));
	projection_each_form(p, count_form, &n);
	assert_int_equal(n, 2);
	assert_int_equal(
	    apply(p, ++seq, "{\"form\":{\"id\":1,\"seq\":21,\"key\":\"one\",\"removed\":true}}",
		&why),
	    PROJECTION_APPLIED);
	assert_null(projection_form(p, "one"));
	assert_int_equal(projection_queue_by_name(p, "queue1"), 1);
	assert_int_equal(projection_queue_by_name(p, "queue9"), 0);
	assert_string_equal(json_text(projection_queue(p, 1), "name"), "queue1");
	assert_string_equal(json_text(projection_tenant(p), "name"), "test");
	assert_int_equal(
	    apply(p, ++seq,
		"{\"disposition\":{\"id\":2,\"seq\":20,\"name\":\"b\",\"removed\":false}}", &why),
	    PROJECTION_APPLIED);
	assert_int_equal(
	    apply(p, ++seq,
		"{\"disposition\":{\"id\":1,\"seq\":20,\"name\":\"a\",\"removed\":false}}", &why),
	    PROJECTION_APPLIED);
	assert_int_equal(
	    apply(p, ++seq,
		"{\"disposition\":{\"id\":3,\"seq\":20,\"name\":\"c\",\"removed\":true}}", &why),
	    PROJECTION_APPLIED);
	json_t *codes = projection_dispositions(p);

	assert_int_equal(json_array_size(codes), 2);
	assert_string_equal(json_text(json_array_get(codes, 0), "name"), "a");
	json_decref(codes);
	for (int i = 1; i <= 3; i++) {
		char value[65];

		memset(value, '0', 64);
		value[64] = '\0';
		value[1] = (char)('0' + i);
		json_t *secret = json_pack("{s:i, s:s, s:s, s:I, s:b}", "id", i, "purpose", "link",
		    "value", value, "created_at", (json_int_t)(1000 * i), "newest", i == 2);

		assert_true(projection_load(p, "secret", secret, &why));
		json_decref(secret);
	}
	projection_each_secret(p, "link", keep_first, &n);
	assert_int_equal(n, 2);
	projection_each_secret(p, "other", keep_first, &n);
	assert_int_equal(n, 2);

	/* The newest that is ten seconds old signs; before any is, the oldest. */
	static const struct { int64_t now_ms; int id; } signs[] = {
		{ 5000, 1 }, { 11000, 1 }, { 11999, 1 }, { 12000, 2 }, { 99000, 2 },
	};
	uint8_t key[32];
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		assert_true(projection_signing_secret(p, "link", signs[i].now_ms, key));
		assert_int_equal(key[0], signs[i].id);
	}
	assert_false(projection_signing_secret(p, "other", 99000, key));
	projection_forget_secrets(p);
	assert_false(projection_signing_secret(p, "link", 99000, key));
	projection_free(p);
	world_free(w);
}

static void
every_name_of_a_state(void **state)
{
	enum callback_state c;
	enum offer_state o;
	enum agent_state a;

	(void)state;
	for (int i = 0; i < CALLBACK_STATES; i++)
		assert_true(callback_state_parse(callback_state_name((enum callback_state)i), &c) &&
		    (int)c == i);
	for (int i = 0; i < OFFER_STATES; i++)
		assert_true(
		    offer_state_parse(offer_state_name((enum offer_state)i), &o) && (int)o == i);
	for (int i = 0; i < AGENT_STATES; i++)
		assert_true(
		    agent_state_parse(agent_state_name((enum agent_state)i), &a) && (int)a == i);
	assert_false(callback_state_parse("queued", &c) || offer_state_parse("", &o) ||
	    agent_state_parse(NULL, &a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_in_order_once),
		cmocka_unit_test(what_does_not_fit),
		cmocka_unit_test(older_than_the_object_is_left),
		cmocka_unit_test(a_load_that_does_not_fit),
		cmocka_unit_test(a_load_that_is_ahead_of_its_time),
		cmocka_unit_test(sessions_come_and_go),
		cmocka_unit_test(what_an_agent_has),
		cmocka_unit_test(cancelled_while_it_is_offered),
		cmocka_unit_test(an_attempt_goes_with_its_callback),
		cmocka_unit_test(linked_ones_do_not_wait),
		cmocka_unit_test(how_the_queues_stand),
		cmocka_unit_test(windows_stay_bounded),
		cmocka_unit_test(a_refill_knows_more_or_less),
		cmocka_unit_test(a_refill_names_what_is_not_known_yet),
		cmocka_unit_test(settings_can_be_asked),
		cmocka_unit_test(every_name_of_a_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
