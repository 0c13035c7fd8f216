/*
 * wait: what has been handed out, one after the other, says how long the next
 * ones wait. Only gaps in which somebody waited count: a queue that nobody is in
 * is slow for want of work.
 */
#include "core/wait.h"

#include "core/explain.h"
#include "core/projection_impl.h"

/* With fewer gaps nothing is said. */
#define GAPS_MIN 3

void
wait_handed(struct projection *p, struct callback *cb, int64_t at_ms)
{
	int64_t closes_at;

	if (cb == NULL)
		return;
	struct queue *q = cb->class->queue;
	struct handing *h = &q->handing;

	/* A night in which it was closed is no gap. */
	if (h->since != 0 && at_ms >= h->since && hours_open(&q->hours, h->since, &closes_at) &&
	    closes_at >= at_ms)
		h->gaps[h->n++ % HANDING_MAX] = at_ms - h->since;
	h->since = q->due + q->offered > 0 ? at_ms : 0;
	/* One that was moved to a later time since is another promise. */
	if (cb->expected_at == 0 || cb->expected_at < cb->due_at)
		return;
	int64_t late_ms = at_ms - cb->expected_at;

	cb->expected_at = 0;
	p->waits.told++;
	p->waits.error_ms += (uint64_t)(late_ms < 0 ? -late_ms : late_ms);
	p->waits.late_ms += late_ms > 0 ? (uint64_t)late_ms : 0;
}

void
wait_left(struct queue *q)
{
	if (q->due + q->offered == 0)
		q->handing.since = 0;
}

/* So many, one after the other; -1: it is not known how fast. */
static int64_t
time_for(const struct queue *q, int64_t places)
{
	const struct handing *h = &q->handing;
	unsigned n = h->n < HANDING_MAX ? h->n : HANDING_MAX;
	int64_t sum = 0;

	if (n < GAPS_MIN)
		return -1;
	for (unsigned i = 0; i < n; i++)
		sum += h->gaps[i];
	return places * sum / n;
}

static bool
somebody_on_duty(const struct projection *p, const struct class *c)
{
	for (size_t w = 0; w < c->eligible.nwords; w++) {
		if ((c->eligible.words[w] & bits_word(&p->on_duty, w)) != 0)
			return true;
	}
	return false;
}

/* What it takes from when the queue opens on. */
static int64_t
from_opening(const struct queue *q, int64_t now_ms, int64_t ms)
{
	int64_t open_at = hours_from(&q->hours, now_ms);

	if (ms < 0 || open_at == INT64_MAX)
		return -1;
	return open_at > now_ms ? open_at - now_ms + ms : ms;
}

int64_t
wait_expected_ms(struct projection *p, struct id callback, int64_t now_ms)
{
	struct callback *cb = live_find(p, callback);
	int place = projection_position(p, callback);

	if (cb == NULL || place == 0 || !somebody_on_duty(p, cb->class))
		return -1;
	bool at_once = cb->place != PLACE_DUE || (place == 1 && p->candidates[cb->class->slot] > 0);
	int64_t ms =
	    from_opening(cb->class->queue, now_ms, at_once ? 0 : time_for(cb->class->queue, place));

	if (ms >= 0 && cb->expected_at == 0)
		cb->expected_at = now_ms + ms;
	return ms;
}

int64_t
wait_of_next_ms(const struct projection *p, int queue_id, int64_t now_ms)
{
	const struct queue *q = settings_queue_find(p, queue_id);
	const struct class *c;
	bool on_duty = false, is_free = false;

	if (q == NULL || q->removed)
		return -1;
	LIST_FOREACH (c, &q->classes, of_queue) {
		on_duty |= somebody_on_duty(p, c);
		is_free |= p->candidates[c->slot] > 0;
	}
	if (!on_duty)
		return -1;
	return from_opening(q, now_ms,
	    q->due == 0 && is_free ? 0 : time_for(q, (int64_t)(q->due + q->offered) + 1));
}

struct wait_counts
wait_counts(const struct projection *p)
{
	return p->waits;
}
