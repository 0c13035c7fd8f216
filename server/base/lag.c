/* lag: a timer that notices how late it is. Knows nothing of what made it late. */
#include "base/lag.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timer.h"

#define TICK_MS 20
#define WINDOW_US 10000000
#define LOUD_US 100000

struct lag {
	struct event *tick;
	int64_t due_us, worst_us;
	int64_t window_us; /* when the running window began */
	int64_t now_worst_us, last_worst_us;
};

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct lag *l = arg;
	int64_t now = clock_mono_us();
	int64_t late = now > l->due_us ? now - l->due_us : 0;

	(void)fd;
	(void)what;
	if (now - l->window_us > WINDOW_US) {
		l->last_worst_us = l->now_worst_us;
		l->now_worst_us = 0;
		l->window_us = now;
	}
	if (late > l->now_worst_us)
		l->now_worst_us = late;
	if (late > l->worst_us)
		l->worst_us = late;
	if (late > LOUD_US)
		log_warn("loop_late_ms=%lld", (long long)(late / 1000));
	l->due_us = now + TICK_MS * 1000;
	timer_in(l->tick, TICK_MS);
}

struct lag *
lag_new(struct event_base *base)
{
	struct lag *l = xcalloc(1, sizeof *l);

	l->tick = evtimer_new(base, on_tick, l);
	l->window_us = clock_mono_us();
	l->due_us = l->window_us + TICK_MS * 1000;
	timer_in(l->tick, TICK_MS);
	return l;
}

void
lag_free(struct lag *l)
{
	if (l == NULL)
		return;
	event_free(l->tick);
	free(l);
}

int64_t
lag_worst_us(const struct lag *l)
{
	return l->worst_us;
}

int64_t
lag_recent_us(const struct lag *l)
{
	return l->now_worst_us > l->last_worst_us ? l->now_worst_us : l->last_worst_us;
}
