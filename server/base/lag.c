/* lag: a timer that notices how late it is. Knows nothing of what made it late. */
#include "base/lag.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timer.h"

#define TICK_MS 20
#define WINDOW_US 10000000
#define LOUD_US 100000
#define NOTED_US 10000 /* what the loop promises; with log_level debug it says why not */

struct lag {
	struct event_base *base;
	struct event *tick;
	int64_t turn_us; /* when this turn of the loop began */
	int sched_fd;	 /* -1: the kernel does not count */
	int64_t due_us, worst_us, own_worst_us;
	int64_t starved_us; /* without a processor, since the thread began */
	struct rusage used; /* by this thread, when it last ticked */
	int64_t window_us;  /* when the running window began */
	int64_t now_worst_us, last_worst_us;
	struct lag_histogram histogram;
};

/* "<on a processor> <ready, but without one> <times>", in ns. */
static int64_t
starved_us(const struct lag *l)
{
	char text[96];
	ssize_t n = l->sched_fd >= 0 ? pread(l->sched_fd, text, sizeof(text) - 1, 0) : -1;
	char *rest;

	if (n <= 0)
		return 0;
	text[n] = '\0';
	(void)strtoll(text, &rest, 10);
	return strtoll(rest, NULL, 10) / 1000;
}

static void
count(struct lag *l, int64_t own_us)
{
	struct lag_histogram *h = &l->histogram;

	if (own_us > l->own_worst_us)
		l->own_worst_us = own_us;
	h->sum_us += own_us;
	h->count[LAG_BOUNDS]++;
	for (int i = LAG_BOUNDS - 1; i >= 0 && own_us <= h->us[i]; i--)
		h->count[i]++;
}

static int64_t
cpu_us(const struct rusage *r)
{
	return (r->ru_utime.tv_sec + r->ru_stime.tv_sec) * INT64_C(1000000) + r->ru_utime.tv_usec +
	    r->ru_stime.tv_usec;
}

/* For how long the loop has been at work since it looked for events. */
static int64_t
awake_us(const struct lag *l)
{
	struct timeval woke, now;

	event_base_gettimeofday_cached(l->base, &woke);
	evutil_gettimeofday(&now, NULL);
	return (now.tv_sec - woke.tv_sec) * INT64_C(1000000) + now.tv_usec - woke.tv_usec;
}

/*
 * If the tick fell due while the loop slept, only what it did after that kept
 * the tick; else all did. Less the time without a processor.
 */
static int64_t
own_us(struct lag *l, int64_t late_us)
{
	int64_t starved = starved_us(l), own = late_us - (starved - l->starved_us);

	l->starved_us = starved;
	if (l->turn_us <= l->due_us && own > awake_us(l))
		own = awake_us(l);
	return own > 0 ? own : 0;
}

/* Who computed has used the processor; who waited for a disk has switches and faults. */
static void
note(const struct lag *l, int64_t late_us, int64_t own, const struct rusage *now)
{
	if (late_us > LOUD_US)
		log_warn("loop_late_ms=%lld own_ms=%lld", (long long)(late_us / 1000),
		    (long long)(own / 1000));
	if (own > NOTED_US)
		log_debug(
		    "loop_late_us=%lld own_us=%lld cpu_us=%lld faults=%ld,%ld switches=%ld,%ld",
		    (long long)late_us, (long long)own, (long long)(cpu_us(now) - cpu_us(&l->used)),
		    now->ru_minflt - l->used.ru_minflt, now->ru_majflt - l->used.ru_majflt,
		    now->ru_nvcsw - l->used.ru_nvcsw, now->ru_nivcsw - l->used.ru_nivcsw);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct lag *l = arg;
	struct rusage used;
	int64_t now = clock_mono_us();
	int64_t late = now > l->due_us ? now - l->due_us : 0;

	(void)fd;
	(void)what;
	getrusage(RUSAGE_THREAD, &used);
	int64_t own = own_us(l, late);
	note(l, late, own, &used);
	l->used = used;
	count(l, own);
	if (now - l->window_us > WINDOW_US) {
		l->last_worst_us = l->now_worst_us;
		l->now_worst_us = 0;
		l->window_us = now;
	}
	if (late > l->now_worst_us)
		l->now_worst_us = late;
	if (late > l->worst_us)
		l->worst_us = late;
	l->due_us = now + TICK_MS * 1000;
	timer_in(l->tick, TICK_MS);
}

struct lag *
lag_new(struct event_base *base)
{
	struct lag *l = xcalloc(1, sizeof *l);

	l->base = base;
	l->histogram.us[0] = 1000;
	l->histogram.us[1] = 2500;
	l->histogram.us[2] = 5000;
	l->histogram.us[3] = 10000;
	l->histogram.us[4] = 25000;
	l->histogram.us[5] = 50000;
	l->histogram.us[6] = 100000;
	l->sched_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	l->starved_us = starved_us(l);
	l->tick = evtimer_new(base, on_tick, l);
	l->window_us = clock_mono_us();
	l->due_us = l->window_us + TICK_MS * 1000;
	timer_in(l->tick, TICK_MS);
	return l;
}

void
lag_turn(struct lag *l)
{
	l->turn_us = clock_mono_us();
}

void
lag_free(struct lag *l)
{
	if (l == NULL)
		return;
	event_free(l->tick);
	if (l->sched_fd >= 0)
		close(l->sched_fd);
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

int64_t
lag_own_worst_us(const struct lag *l)
{
	return l->own_worst_us;
}

struct lag_histogram
lag_histogram(const struct lag *l)
{
	return l->histogram;
}
