/*
 * lag: how long the loop kept its timers waiting: the measure of whether
 * anything on it blocks. A tick every 20 ms; lateness in a histogram.
 *
 * Late is also whoever was ready and got no processor, which is the machine's
 * doing and not ours: Linux counts that time (/proc/thread-self/schedstat). So is
 * a sleep out of which the kernel wakes us late. "Own" is the lateness without both.
 */
#ifndef BASE_LAG_H
#define BASE_LAG_H

#include <stddef.h>
#include <stdint.h>

struct event_base;
struct lag;

struct lag *lag_new(struct event_base *);
/* Before each turn of the loop (EVLOOP_ONCE): it may sleep now. */
void lag_turn(struct lag *);
void lag_free(struct lag *);
/* Microseconds: the worst since start, the worst of the last ten seconds. */
int64_t lag_worst_us(const struct lag *);
int64_t lag_recent_us(const struct lag *);
int64_t lag_own_worst_us(const struct lag *);
/* Ticks by own lateness: one that was at most us[i] late is in count[i] and all after it, count[LAG_BOUNDS] has all. */
#define LAG_BOUNDS 7
struct lag_histogram {
	int64_t us[LAG_BOUNDS];
	uint64_t count[LAG_BOUNDS + 1];
	int64_t sum_us;
};
struct lag_histogram lag_histogram(const struct lag *);

#endif
