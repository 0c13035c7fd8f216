/*
 * clock_skew: preloaded into a node whose wall clock is to be wrong, by
 * CLOCK_SKEW_MS. What measures time, the monotonic clocks, stays right, as on a
 * machine that is badly set. Not libfaketime: that asks for memory before it is
 * ready, and jemalloc asks for the time before it gives any.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long
skew_ms(void)
{
	const char *text = getenv("CLOCK_SKEW_MS");
	return text != NULL ? strtol(text, NULL, 10) : 0;
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	static long skew, known;
	long failed = syscall(SYS_clock_gettime, id, ts);

	if (failed != 0 || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE))
		return (int)failed;
	if (!known) {
		skew = skew_ms();
		known = 1;
	}
	long long ns = ts->tv_sec * 1000000000LL + ts->tv_nsec + skew * 1000000LL;
	ts->tv_sec = (time_t)(ns / 1000000000);
	ts->tv_nsec = (long)(ns % 1000000000);
	return 0;
}

int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec ts;

	(void)zone;
	int failed = clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return failed;
}

time_t
time(time_t *out)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (out != NULL)
		*out = ts.tv_sec;
	return ts.tv_sec;
}
