/*
 * pace: how many elements a batch may have so that it takes about 5 ms, learnt
 * from how long batches took. Pure: knows numbers only.
 */
#ifndef DB_PACE_H
#define DB_PACE_H

#include <stdint.h>

#define PACE_MIN 16	/* what so few cost is the way there and back, whatever they are */
#define PACE_MAX 2000
#define PACE_START 64

struct pace {
	unsigned limit;
	/* Sums over the batches so far, older ones fading: a line through (elements, us). */
	double weight, n, us, nn, nus;
};

void pace_init(struct pace *);
/* A batch of n >= 1 elements took so long. */
void pace_learn(struct pace *, unsigned n, int64_t us);

#endif
