/*
 * clock: reads the machine's clocks and turns times into RFC 3339 text and
 * back. It knows nothing of time zones beyond a numeric offset.
 */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

/* RFC 3339 has years of four digits: 0000-01-01T00:00:00Z to the end of 9999. */
#define CLOCK_TEXT_MIN_MS INT64_C(-62167219200000)
#define CLOCK_TEXT_MAX_MS INT64_C(253402300799999)

static int64_t
clock_read_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
clock_now_ms(const struct clock *c)
{
	return c->fake ? c->fake_ms : clock_machine_ms() + c->offset_ms;
}

bool
clock_advance(struct clock *c, int64_t ms)
{
	int64_t later;

	if (!c->fake || ms < 0 || __builtin_add_overflow(c->fake_ms, ms, &later))
		return false;
	c->fake_ms = later;
	return true;
}

int64_t
clock_mono_ms(void)
{
	return clock_mono_us() / 1000;
}

int64_t
clock_mono_us(void)
{
	return clock_read_us(CLOCK_MONOTONIC);
}

int64_t
clock_machine_ms(void)
{
	return clock_read_us(CLOCK_REALTIME) / 1000;
}

void
clock_format(int64_t ms, char out[CLOCK_TEXT_SIZE])
{
	struct tm tm;

	if (ms < CLOCK_TEXT_MIN_MS)
		ms = CLOCK_TEXT_MIN_MS;
	if (ms > CLOCK_TEXT_MAX_MS)
		ms = CLOCK_TEXT_MAX_MS;
	/* Division rounds towards zero; before 1970 it must round down. */
	int64_t fraction = (ms % 1000 + 1000) % 1000;
	time_t seconds = (time_t)((ms - fraction) / 1000);

	gmtime_r(&seconds, &tm);
	/* The masks change nothing; they let the compiler see that it fits. */
	snprintf(out, CLOCK_TEXT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
	    (unsigned)(tm.tm_year + 1900) % 10000u, (unsigned)(tm.tm_mon + 1) % 100u,
	    (unsigned)tm.tm_mday % 100u, (unsigned)tm.tm_hour % 100u, (unsigned)tm.tm_min % 100u,
	    (unsigned)tm.tm_sec % 100u, (unsigned)fraction % 1000u);
}

/* Exactly n digits within [min, max]; moves past them. */
static bool
take_number(const char **p, int n, int min, int max, int *value)
{
	int v = 0;

	for (int i = 0; i < n; i++, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		v = v * 10 + (**p - '0');
	}
	*value = v;
	return v >= min && v <= max;
}

static bool
take_char(const char **p, char upper)
{
	if (**p != upper && !(upper >= 'A' && **p == upper + ('a' - 'A')))
		return false;
	(*p)++;
	return true;
}

/* ".5", ".123456789": any number of digits, of which three count. */
static bool
take_fraction(const char **p, int *ms)
{
	int scale = 100;

	*ms = 0;
	if (!take_char(p, '.'))
		return true;
	if (**p < '0' || **p > '9')
		return false;
	for (; **p >= '0' && **p <= '9'; (*p)++, scale /= 10)
		*ms += (**p - '0') * scale;
	return true;
}

/* "Z" or "+hh:mm": seconds east of UTC. */
static bool
take_offset(const char **p, int *east_s)
{
	int hours, minutes;

	*east_s = 0;
	if (take_char(p, 'Z'))
		return true;
	bool west = **p == '-';
	if (!west && **p != '+')
		return false;
	(*p)++;
	if (!take_number(p, 2, 0, 23, &hours) || !take_char(p, ':') ||
	    !take_number(p, 2, 0, 59, &minutes))
		return false;
	*east_s = (hours * 60 + minutes) * 60 * (west ? -1 : 1);
	return true;
}

static int
days_in_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

bool
clock_parse(const char *p, int64_t *ms)
{
	int year, month, day, hour, minute, second, fraction, east_s;

	if (!take_number(&p, 4, 0, 9999, &year) || !take_char(&p, '-') ||
	    !take_number(&p, 2, 1, 12, &month) || !take_char(&p, '-') ||
	    !take_number(&p, 2, 1, days_in_month(year, month), &day) || !take_char(&p, 'T') ||
	    !take_number(&p, 2, 0, 23, &hour) || !take_char(&p, ':') ||
	    !take_number(&p, 2, 0, 59, &minute) || !take_char(&p, ':') ||
	    !take_number(&p, 2, 0, 60, &second) || !take_fraction(&p, &fraction) ||
	    !take_offset(&p, &east_s) || *p != '\0')
		return false;

	struct tm tm = {
		.tm_year = year - 1900,
		.tm_mon = month - 1,
		.tm_mday = day,
		.tm_hour = hour,
		.tm_min = minute,
		.tm_sec = second,
	};
	int64_t utc_s = (int64_t)timegm(&tm) - east_s;
	/* A leap second ends a UTC day; there it is taken as the next day's first. */
	if (second == 60 && utc_s % 86400 != 0)
		return false;
	int64_t utc_ms = utc_s * 1000 + fraction;
	/* An offset can lead out of the years that can be written again. */
	if (utc_ms < CLOCK_TEXT_MIN_MS || utc_ms > CLOCK_TEXT_MAX_MS)
		return false;
	*ms = utc_ms;
	return true;
}
