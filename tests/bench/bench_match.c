/*
 * bench_match: decisions of core/ per second of processor time, without a database:
 *
 *	bench_match [agents [classes [waiting [decisions [strategy]]]]]	(10000 500 100000 100000 longest_idle)
 *
 * Every agent has 3 to 8 of 100 skills at levels 1 to 10, every class needs 1 or
 * 2 of them at levels 1 to 7. A decision takes one callback and one agent out.
 * idle: all agents are available. full: all are taken, and become available again
 * in lumps of 64, as in a centre that is full. Both are repeated on a new model
 * until there were so many decisions. Ends with a line RESULT {...}.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "core/match.h"
#include "core/projection_impl.h"

#define SKILLS 100
#define LUMP 64

static unsigned seed = 1;
static const char *strategy = "longest_idle";

static int
draw(int below)
{
	seed = seed * 1664525u + 1013904223u;
	return (int)((seed >> 8) % (unsigned)below);
}

static void
row(struct projection *p, const char *kind, json_t *image)
{
	const char *why;

	if (!projection_load(p, kind, image, &why)) {
		fprintf(stderr, "%s: %s\n", kind, why);
		exit(1);
	}
	json_decref(image);
}

/* n at most: the same may be drawn again. */
static json_t *
some_skills(int n, int levels)
{
	json_t *all = json_object();

	for (int i = 0; i < n; i++) {
		char key[16];

		snprintf(key, sizeof(key), "%d", 1 + draw(SKILLS));
		json_object_set_new(all, key, json_integer(1 + draw(levels)));
	}
	return all;
}

static struct projection *
load(int agents, int classes, int waiting)
{
	struct projection *p = projection_new(&(struct projection_limits){ waiting, waiting });
	const char *why;
	char name[32];

	row(p, "head",
	    json_pack("{s:i, s:i, s:i, s:i}", "epoch", 1, "seq", 1, "floor", 0, "at", 1000000));
	row(p, "tenant", json_pack("{s:i, s:i}", "id", 1, "seq", 1));
	row(p, "queue",
	    json_pack("{s:i, s:i, s:s, s:s, s:i, s:i, s:{}}", "id", 1, "seq", 1, "name", "q",
		"strategy", strategy, "ring_max", 1, "reject_cooldown_s", 60, "skills"));
	for (int i = 1; i <= agents; i++) {
		snprintf(name, sizeof(name), "a%d", i);
		row(p, "agent",
		    json_pack("{s:i, s:i, s:s, s:s, s:o}", "id", i, "seq", 1, "name", name, "role",
			"agent", "skills", some_skills(3 + draw(6), 10)));
		row(p, "status",
		    json_pack("{s:i, s:i, s:s, s:i, s:b, s:s, s:i}", "agent", i, "seq", 1, "state",
			"ready", "idle_since_at", draw(1000000), "connected", 1, "node",
			"00000000-0000-7001-8000-000000000001", "accepted", i % 97));
	}
	for (int i = 1; i <= classes; i++)
		row(p, "class",
		    json_pack("{s:i, s:i, s:o}", "id", i, "queue", 1, "skills",
			some_skills(1 + draw(2), 7)));
	for (int i = 1; i <= waiting; i++) {
		snprintf(name, sizeof(name), "callback %d", i);
		json_t *image = json_pack("{s:i, s:s, s:i, s:i, s:i, s:i}", "seq", 1, "state",
		    "scheduled", "class", 1 + draw(classes), "priority", draw(3), "due_at", 1,
		    "promise_at", draw(1000000));

		json_set_id(image, "id", id_of_text(name, strlen(name)));
		row(p, "callback", image);
	}
	row(p, "future_window", json_pack("{s:b}", "complete", 1));
	if (!projection_loaded(p, &why)) {
		fprintf(stderr, "%s\n", why);
		exit(1);
	}
	return p;
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long
match_all(struct projection *p)
{
	int64_t next_at = INT64_MAX;
	struct match m;
	long n = 0;

	for (; match_next(p, 1000000, &m, &next_at); n++) {
		live_propose(p, m.callback);
		roster_propose(p, m.agents[0]);
	}
	return n;
}

/* Nobody is available; then 64 by chance are, again and again, until a lump finds nothing. */
static long
match_lumps(struct projection *p, double *took)
{
	long total = 0;

	for (size_t i = 0; i < p->nagents; i++)
		roster_propose(p, p->agents[i]);
	double start = seconds();
	for (long n = 1; n > 0; total += n) {
		for (int i = 0; i < LUMP; i++) {
			struct agent *a = p->agents[draw((int)p->nagents)];

			if (a->proposed)
				roster_settled(p, a, false);
		}
		n = match_all(p);
	}
	*took += seconds() - start;
	return total;
}

/* Decisions per second over as many models as it takes. */
static double
rate(bool full, const int size[3], long wanted)
{
	double took = 0;
	long n = 0;

	while (n < wanted) {
		struct projection *p = load(size[0], size[1], size[2]);
		double start = seconds();
		long more;

		if (full) {
			more = match_lumps(p, &took);
		} else {
			more = match_all(p);
			took += seconds() - start;
		}
		if (more == 0) {
			fprintf(stderr, "no decision at all\n");
			exit(1);
		}
		n += more;
		projection_free(p);
	}
	return (double)n / took;
}

int
main(int argc, char **argv)
{
	int size[3] = { 10000, 500, 100000 };
	long wanted = argc > 4 ? atol(argv[4]) : 100000;

	for (int i = 0; i < 3 && i + 1 < argc; i++)
		size[i] = atoi(argv[i + 1]);
	if (argc > 5)
		strategy = argv[5];
	double idle = rate(false, size, wanted), full = rate(true, size, wanted);
	printf("RESULT {\"agents\": %d, \"classes\": %d, \"waiting\": %d, \"idle\": %.0f, "
	       "\"full\": %.0f}\n",
	    size[0], size[1], size[2], idle, full);
	return 0;
}
