/*
 * clock: what time it is. The wall clock is either real (corrected to the
 * database's by an offset) or fake (a test moves it); it rules due times,
 * offers and after-call work. Network deadlines use clock_mono_ms(), which is
 * always real.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct clock {
	bool fake;
	int64_t fake_ms;	/* when fake: the time itself */
	int64_t offset_ms;	/* when real: database minus this machine */
};

/* Milliseconds since 1970 UTC. */
int64_t clock_now_ms(const struct clock *);
/* Fake clocks only; false when real or when it would go back. */
bool clock_advance(struct clock *, int64_t ms);
/* Milliseconds of CLOCK_MONOTONIC; microseconds for measuring. */
int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);
/* The machine's own wall clock, uncorrected. */
int64_t clock_machine_ms(void);
/* "2026-11-23T07:00:00.123Z", 25 bytes with the NUL. */
#define CLOCK_TEXT_SIZE 25
void clock_format(int64_t ms, char out[CLOCK_TEXT_SIZE]);
/* RFC 3339 with Z or a numeric offset, to ms; false when it is not. */
bool clock_parse(const char *, int64_t *ms);

#endif
