/*
 * A batch costs a fixed part (the commit, the way there and back) and a part
 * per element. Only the second says how large a batch may be: to divide the
 * whole time by the elements would, on a slow disk, make batches ever smaller
 * and everything slower. So both are told apart by a fitted line.
 */
#include "db/pace.h"

#include <assert.h>

#define TARGET_US 5000.0
#define FADE 0.95

void
pace_init(struct pace *p)
{
	*p = (struct pace){ .limit = PACE_START };
}

/* The cost of one element more. */
static double
slope(const struct pace *p)
{
	double mean_n = p->n / p->weight, mean_us = p->us / p->weight;
	double spread = p->nn / p->weight - mean_n * mean_n;
	double whole = mean_us / mean_n;
	/*
	 * All of one size: nothing tells the parts apart. As if one more cost next
	 * to nothing, so that the next batch is larger and tells: after a while of
	 * stalls they would stay at the smallest for ever, with everything waiting.
	 */
	if (spread < 1.0 + mean_n * mean_n * 1e-4)
		return whole / 100;
	double per = (p->nus / p->weight - mean_n * mean_us) / spread;
	if (per > whole)
		return whole;
	return per < whole / 100 ? whole / 100 : per;
}

void
pace_learn(struct pace *p, unsigned n, int64_t us)
{
	assert(n >= 1);
	double x = n, y = us > 1 ? (double)us : 1.0;
	p->weight = p->weight * FADE + 1;
	p->n = p->n * FADE + x;
	p->us = p->us * FADE + y;
	p->nn = p->nn * FADE + x * x;
	p->nus = p->nus * FADE + x * y;
	/* Small batches say nothing about large ones but where the line begins. */
	if (n < p->limit)
		return;
	double per = slope(p), fixed = (p->us - per * p->n) / p->weight;
	double room = TARGET_US - fixed > TARGET_US / 2 ? TARGET_US - fixed : TARGET_US / 2;
	double want = room / per, limit = p->limit;
	if (want > limit * 2)
		want = limit * 2;
	if (want < limit / 2)
		want = limit / 2;
	p->limit = want < PACE_MIN ? PACE_MIN : want > PACE_MAX ? PACE_MAX : (unsigned)want;
}
