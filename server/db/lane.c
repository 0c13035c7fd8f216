/*
 * Takes turns on one tenant's road to the database: what waits becomes the next
 * batch when the last one is answered. Must not know what a command means, nor
 * which connection carries it. A batch whose connection was lost may have
 * committed: the database knows its ids and answers as it did the first time.
 * It is long because the turn is one machine, to be read in one piece.
 */
#include "db/lane.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "db/batch.h"
#include "db/pace.h"
#include "db/ticket.h"

#define WAITING_MAX 10000
#define PATIENCE_MS 30000
#define RETRY_MS 10

struct lane {
	struct pool *pool;
	const struct clock *clock;
	int tenant_id;
	int alive;
	int64_t patience_ms;
	lane_events_fn on_events;
	void *arg;
	struct ticket_queue waiting[TICKET_KINDS];
	SLIST_HEAD(, batch) halves; /* of a batch that failed, in order; before all that waits */
	/* Who has the turn: a batch, a read, or neither. */
	struct batch *flight;
	struct ticket *reading;
	struct query *query;   /* NULL in somebody's turn: to be sent when `retry` fires */
	enum ticket_kind last; /* of the last batch */
	struct pace pace[TICKET_KINDS];
	struct event *pump, *retry, *deadline;
	/* A batch that was answered, to be told as soon as the next one is on its way. */
	struct batch *settling;
	PGresult *settling_res;
	struct event *settle;
	struct ticket_list ending; /* being answered: out of the turn, not yet told */
	int calling;		   /* depth of callbacks under way */
	bool dead;		   /* freed inside one of them */
	struct lane_counts counts;
};

const char lane_err_full[] = "too much waits";
const char lane_err_down[] = "database unavailable";
const char lane_err_failed[] = "database error";

static void on_pump(evutil_socket_t, short, void *);
static void on_deadline(evutil_socket_t, short, void *);
static void on_settle(evutil_socket_t, short, void *);
static void on_batch(void *, const PGresult *, const char *);
static void on_read(void *, const PGresult *, const char *);

struct lane *
lane_new(struct event_base *base, struct pool *pool, const struct clock *clock, int tenant_id,
    lane_events_fn on_events, void *arg)
{
	struct lane *l = xcalloc(1, sizeof(*l));
	l->pool = pool;
	l->clock = clock;
	l->tenant_id = tenant_id;
	l->alive = 1;
	l->patience_ms = PATIENCE_MS;
	l->on_events = on_events;
	l->arg = arg;
	for (int kind = 0; kind < TICKET_KINDS; kind++) {
		TAILQ_INIT(&l->waiting[kind].list);
		pace_init(&l->pace[kind]);
	}
	l->last = TICKET_SUBMIT;
	l->counts.batch_limit = PACE_START;
	SLIST_INIT(&l->halves);
	TAILQ_INIT(&l->ending);
	l->pump = event_new(base, -1, 0, on_pump, l);
	l->retry = evtimer_new(base, on_pump, l);
	l->deadline = evtimer_new(base, on_deadline, l);
	l->settle = event_new(base, -1, 0, on_settle, l);
	return l;
}

static void
timer_set(struct event *timer, int64_t ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };
	evtimer_add(timer, &tv);
}

static unsigned
lane_waiting(const struct lane *l)
{
	unsigned n = 0;
	for (int kind = 0; kind < TICKET_KINDS; kind++)
		n += l->waiting[kind].n;
	return n;
}

static bool
turn_is_taken(const struct lane *l)
{
	return l->flight != NULL || l->reading != NULL;
}

/* An answer may free the lane, which then tells the rest of `ending` itself. */
static void
ending_give_up(struct lane *l, const char *err)
{
	struct ticket *t;
	while ((t = TAILQ_FIRST(&l->ending)) != NULL) {
		TAILQ_REMOVE(&l->ending, t, link);
		ticket_give_up(t, err, l->dead ? pool_err_stopping : pool_err_lost);
		ticket_free(t);
	}
}

/* The tickets are now the lane's `ending`. */
static void
batch_end(struct lane *l, struct batch *b)
{
	TAILQ_CONCAT(&l->ending, &b->tickets, link);
	batch_free(b);
}

/* Every entry from the loop is between these two. */
static void
lane_enter(struct lane *l)
{
	l->calling++;
}

static void
lane_leave(struct lane *l)
{
	if (--l->calling > 0 || !l->dead)
		return;
	event_free(l->pump);
	event_free(l->retry);
	event_free(l->deadline);
	event_free(l->settle);
	free(l);
}

void
lane_free(struct lane *l)
{
	struct batch *b;
	struct ticket *t;
	if (l == NULL)
		return;
	assert(!l->dead);
	lane_enter(l);
	l->dead = true;
	if (l->query != NULL)
		pool_forget(l->query);
	event_del(l->pump);
	evtimer_del(l->retry);
	evtimer_del(l->deadline);
	event_del(l->settle);
	if (l->settling != NULL)
		batch_end(l, l->settling);
	PQclear(l->settling_res);
	if (l->reading != NULL)
		TAILQ_INSERT_TAIL(&l->ending, l->reading, link);
	if (l->flight != NULL)
		batch_end(l, l->flight);
	while ((b = SLIST_FIRST(&l->halves)) != NULL) {
		SLIST_REMOVE_HEAD(&l->halves, link);
		batch_end(l, b);
	}
	for (int kind = 0; kind < TICKET_KINDS; kind++)
		while ((t = ticket_pop(&l->waiting[kind])) != NULL)
			TAILQ_INSERT_TAIL(&l->ending, t, link);
	ending_give_up(l, lane_err_down);
	lane_leave(l);
}

static bool
lane_is_full(const struct lane *l)
{
	return l->dead || lane_waiting(l) >= WAITING_MAX;
}

static struct ticket *
lane_queue(struct lane *l, enum ticket_kind kind, struct ticket *t)
{
	ticket_push(&l->waiting[kind], t);
	/* Not now: what else this turn of the loop brings goes into the same batch. */
	if (!turn_is_taken(l))
		event_active(l->pump, EV_TIMEOUT, 0);
	return t;
}

static struct ticket *
lane_queue_element(
    struct lane *l, enum ticket_kind kind, json_t *element, lane_answer_fn answer, void *arg)
{
	if (!lane_is_full(l))
		return lane_queue(l, kind, ticket_new(element, answer, arg));
	json_decref(element);
	return NULL;
}

struct ticket *
lane_submit(struct lane *l, json_t *callback, lane_answer_fn answer, void *arg)
{
	return lane_queue_element(l, TICKET_SUBMIT, callback, answer, arg);
}

struct ticket *
lane_execute(struct lane *l, json_t *command, lane_answer_fn answer, void *arg)
{
	return lane_queue_element(l, TICKET_COMMAND, command, answer, arg);
}

struct ticket *
lane_read(struct lane *l, enum statement s, const char *const *params, pool_done_fn done, void *arg)
{
	return lane_is_full(l) ? NULL
			       : lane_queue(l, TICKET_READ, ticket_new_read(s, params, done, arg));
}

void
lane_peers(struct lane *l, int alive)
{
	l->alive = alive;
}

void
lane_patience(struct lane *l, int64_t ms)
{
	l->patience_ms = ms;
}

struct lane_counts
lane_counts(const struct lane *l)
{
	struct lane_counts n = l->counts;
	n.waiting = lane_waiting(l);
	return n;
}

/* Sends what has the turn; also again, after a loss or when the pool was full. */
static void
turn_send(struct lane *l)
{
	struct batch *b = l->flight;
	char tenant[16], now[24];
	if (l->reading != NULL) {
		l->query = pool_send(l->pool, l->reading->statement,
		    (const char *const *)l->reading->params, on_read, l);
	} else {
		const char *params[] = { tenant, now, b->text.data };
		snprintf(tenant, sizeof(tenant), "%d", l->tenant_id);
		b->now_ms = clock_now_ms(l->clock);
		snprintf(now, sizeof(now), "%lld", (long long)b->now_ms);
		b->sent_us = clock_mono_us();
		l->query = pool_send(l->pool,
		    b->kind == TICKET_COMMAND ? STATEMENT_execute : STATEMENT_submit, params,
		    on_batch, l);
	}
	if (l->query == NULL)
		timer_set(l->retry, RETRY_MS);
}

/* Of a batch or a read; since when it wants its answer (monotonic). */
static void
turn_begin(struct lane *l, struct batch *b, struct ticket *reading, int64_t since_ms)
{
	int64_t left = since_ms + l->patience_ms - clock_mono_ms();
	l->flight = b;
	l->reading = reading;
	timer_set(l->deadline, left > 1 ? left : 1);
	turn_send(l);
}

static void
turn_end(struct lane *l)
{
	l->flight = NULL;
	l->reading = NULL;
	evtimer_del(l->deadline);
	evtimer_del(l->retry);
}

/* What waited too long is not sent any more: its asker would rather not have it happen now. */
static void
lane_shed(struct lane *l)
{
	int64_t born_ms = clock_mono_ms() - l->patience_ms;
	for (int kind = TICKET_COMMAND; kind < TICKET_KINDS; kind++) {
		struct ticket *t;
		while ((t = TAILQ_FIRST(&l->waiting[kind].list)) != NULL && t->born_ms < born_ms) {
			ticket_pop(&l->waiting[kind]);
			TAILQ_INSERT_TAIL(&l->ending, t, link);
		}
	}
	ending_give_up(l, lane_err_down);
}

/* Commands first, but a submit that waits gets every second turn. */
static void
turn_batch(struct lane *l)
{
	bool commands = l->waiting[TICKET_COMMAND].n > 0, submits = l->waiting[TICKET_SUBMIT].n > 0;
	if (!commands && !submits)
		return;
	l->last =
	    commands && !(submits && l->last == TICKET_COMMAND) ? TICKET_COMMAND : TICKET_SUBMIT;
	l->counts.batch_limit = l->pace[l->last].limit;
	struct batch *b = batch_new(&l->waiting[l->last], l->last, l->counts.batch_limit);
	turn_begin(l, b, NULL, b->born_ms);
}

/* Nobody has the turn: gives it to whoever is next. */
static void
turn_give(struct lane *l)
{
	struct batch *b = SLIST_FIRST(&l->halves);
	if (b != NULL) {
		SLIST_REMOVE_HEAD(&l->halves, link);
		turn_begin(l, b, NULL, b->born_ms);
		return;
	}
	lane_shed(l);
	if (l->dead)
		return;
	struct ticket *read = ticket_pop(&l->waiting[TICKET_READ]);
	if (read != NULL)
		turn_begin(l, NULL, read, clock_mono_ms());
	else
		turn_batch(l);
}

/* Something was queued, or the pool was full a moment ago. */
static void
on_pump(evutil_socket_t fd, short what, void *arg)
{
	struct lane *l = arg;
	(void)fd;
	(void)what;
	lane_enter(l);
	if (!turn_is_taken(l))
		turn_give(l);
	else if (l->query == NULL)
		turn_send(l);
	lane_leave(l);
}

static void
lane_notify(struct lane *l, uint64_t seq)
{
	char tenant[16], top[24];
	const char *params[] = { tenant, top };
	if (l->dead || l->alive <= 1 || seq == 0)
		return;
	snprintf(tenant, sizeof(tenant), "%d", l->tenant_id);
	snprintf(top, sizeof(top), "%llu", (unsigned long long)seq);
	/* Refused or lost is no harm: the others look by themselves, a little later. */
	pool_send(l->pool, STATEMENT_notify, params, NULL, NULL);
}

static void
batch_count(struct lane *l, const struct batch *b)
{
	l->counts.batches++;
	if (b->kind == TICKET_COMMAND)
		l->counts.commands += b->n;
	else
		l->counts.submits += b->n;
	l->counts.last_batch_us = clock_mono_us() - b->sent_us;
	pace_learn(&l->pace[b->kind], b->n, l->counts.last_batch_us);
}

static void
batch_commit(struct lane *l, struct batch *b, const PGresult *res)
{
	struct verdict v;
	struct ticket *t;
	const char *why;
	bool good = verdict_read(&v, res, b->n, &why);
	batch_end(l, b);
	if (!good) {
		log_error("lane tenant=%d result=\"%s\"", l->tenant_id, why);
		ending_give_up(l, lane_err_failed);
		return;
	}
	uint64_t repeated = verdict_repeated(&v);
	if (v.n_events > 0 && l->on_events != NULL)
		l->on_events(l->arg, v.events, v.n_events);
	if (repeated > 0 && !l->dead && l->on_events != NULL)
		l->on_events(l->arg, NULL, 0);
	for (size_t i = 0; (t = TAILQ_FIRST(&l->ending)) != NULL; i++) {
		TAILQ_REMOVE(&l->ending, t, link);
		ticket_answer(t, &v.answers[i]);
		ticket_free(t);
	}
	lane_notify(l, v.top_seq > 0 ? v.top_seq : repeated);
	verdict_fini(&v);
}

/* The kind is ours, the rest of the element is not for the log. */
static void
batch_fail(struct lane *l, struct batch *b, const char *state)
{
	const char *kind =
	    json_string_value(json_object_get(TAILQ_FIRST(&b->tickets)->element, "kind"));
	log_error("lane tenant=%d sqlstate=%s kind=%.40s", l->tenant_id, state,
	    b->kind == TICKET_COMMAND && kind != NULL ? kind : "submit");
	batch_end(l, b);
	ending_give_up(l, lane_err_failed);
}

static void
batch_bisect(struct lane *l, struct batch *b)
{
	struct batch *second = batch_split(b);
	SLIST_INSERT_HEAD(&l->halves, second, link);
	SLIST_INSERT_HEAD(&l->halves, b, link);
	l->counts.bisected++;
}

/* What was kept is told; before anything of a later batch is. */
static void
settle(struct lane *l)
{
	struct batch *b = l->settling;
	PGresult *res = l->settling_res;
	if (b == NULL)
		return;
	l->settling = NULL;
	l->settling_res = NULL;
	batch_commit(l, b, res);
	PQclear(res);
}

static void
on_settle(evutil_socket_t fd, short what, void *arg)
{
	struct lane *l = arg;
	(void)fd;
	(void)what;
	lane_enter(l);
	settle(l);
	lane_leave(l);
}

static void
on_read(void *arg, const PGresult *res, const char *err)
{
	struct lane *l = arg;
	lane_enter(l);
	l->query = NULL;
	settle(l);
	struct ticket *t = l->reading;
	if (!l->dead) {
		turn_end(l);
		ticket_done(t, res, err);
		ticket_free(t);
	}
	if (!l->dead && err != pool_err_stopping)
		turn_give(l);
	lane_leave(l);
}

/*
 * It is in the database. The next batch goes first: while PostgreSQL works on
 * that, the loop tells what came of this one, which takes as long again. The
 * pool's pump was activated before `settle` is, and so comes before it.
 */
static void
batch_keep(struct lane *l, struct batch *b)
{
	batch_count(l, b);
	l->settling = b;
	l->settling_res = pool_keep(l->pool);
	turn_give(l);
	if (!l->dead)
		event_active(l->settle, EV_TIMEOUT, 0);
}

static void
batch_refused(struct lane *l, struct batch *b, const char *err)
{
	if (err == pool_err_stopping || verdict_blames_none(err)) {
		log_warn("lane tenant=%d elements=%u why=\"%s\"", l->tenant_id, b->n, err);
		batch_end(l, b);
		ending_give_up(l, lane_err_down);
	} else if (b->n > 1) {
		batch_bisect(l, b);
	} else {
		batch_fail(l, b, err);
	}
	if (!l->dead && err != pool_err_stopping)
		turn_give(l);
}

static void
on_batch(void *arg, const PGresult *res, const char *err)
{
	struct lane *l = arg;
	(void)res;
	lane_enter(l);
	l->query = NULL;
	settle(l);
	if (l->dead) {
		lane_leave(l);
		return;
	}
	if (err == pool_err_lost || batch_time_is_old(l->flight, err, clock_now_ms(l->clock))) {
		/* Waits in the pool for a connection; the deadline says when to give up. */
		l->counts.resent++;
		turn_send(l);
	} else if (err != NULL && strncmp(err, "40", 2) == 0) {
		/* Deadlock or serialization: nobody's fault, but not again at once. */
		timer_set(l->retry, RETRY_MS);
	} else {
		struct batch *b = l->flight;
		turn_end(l);
		if (err == NULL)
			batch_keep(l, b);
		else
			batch_refused(l, b, err);
	}
	lane_leave(l);
}

/* No answer for so long: it may commit yet, so its ids stay good, but nobody waits any more. */
static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct lane *l = arg;
	struct batch *b = l->flight;
	(void)fd;
	(void)what;
	lane_enter(l);
	if (l->query != NULL)
		pool_forget(l->query);
	l->query = NULL;
	log_warn("lane tenant=%d elements=%u why=\"no answer in %lld ms\"", l->tenant_id,
	    b != NULL ? b->n : 0, (long long)l->patience_ms);
	if (b == NULL)
		TAILQ_INSERT_TAIL(&l->ending, l->reading, link);
	else
		batch_end(l, b);
	turn_end(l);
	ending_give_up(l, lane_err_down);
	if (!l->dead)
		turn_give(l);
	lane_leave(l);
}
