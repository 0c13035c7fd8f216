/* timer: libevent's timers in milliseconds. */
#ifndef BASE_TIMER_H
#define BASE_TIMER_H

#include <stdint.h>
#include <sys/time.h>

#include <event2/event.h>

static inline void
timer_in(struct event *e, int64_t ms)
{
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

	event_add(e, &tv);
}

#endif
