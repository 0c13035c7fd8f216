/*
 * lag: how long the loop kept its timers waiting: the measure of whether
 * anything on it blocks. A tick every 20 ms; lateness in a histogram.
 */
#ifndef BASE_LAG_H
#define BASE_LAG_H

#include <stdint.h>

struct event_base;
struct lag;

struct lag *lag_new(struct event_base *);
void lag_free(struct lag *);
/* Microseconds: the worst since start, the worst of the last ten seconds. */
int64_t lag_worst_us(const struct lag *);
int64_t lag_recent_us(const struct lag *);

#endif
