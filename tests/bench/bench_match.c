/*
 * bench_match: decisions of core/ per second of processor time, without a database:
 *
 *	bench_match [agents [classes [waiting]]]	(10000 500 100000)
 *
 * Every agent has 8 of 100 skills, every class needs 1 or 2 of them. First all
 * agents are available; then they become available again in lumps, as they do
 * in a centre that is full. A decision takes one callback and one agent out.
 */
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

static json_t *
some_skills(int n, int level)
{
	json_t *all = json_object();

	for (int i = 0; i < n; i++) {
		char key[16];

		snprintf(key, sizeof(key), "%d", 1 + draw(SKILLS));
		json_object_set_new(all, key, json_integer(level));
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
		"strategy", "longest_idle", "ring_max", 1, "reject_cooldown_s", 60, "skills"));
	for (int i = 1; i <= agents; i++) {
		snprintf(name, sizeof(name), "a%d", i);
		row(p, "agent",
		    json_pack("{s:i, s:i, s:s, s:s, s:o}", "id", i, "seq", 1, "name", name, "role",
			"agent", "skills", some_skills(8, 5)));
		row(p, "status",
		    json_pack("{s:i, s:i, s:s, s:i, s:b, s:s}", "agent", i, "seq", 1, "state",
			"ready", "idle_since_at", draw(1000000), "connected", 1, "node",
			"00000000-0000-7001-8000-000000000001"));
	}
	for (int i = 1; i <= classes; i++)
		row(p, "class",
		    json_pack("{s:i, s:i, s:o}", "id", i, "queue", 1, "skills",
			some_skills(1 + draw(2), 3)));
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
match_all(struct projection *p, struct agent **taken, size_t *ntaken)
{
	int64_t next_at = INT64_MAX;
	struct match m;
	long n = 0;

	for (; match_next(p, 1000000, &m, &next_at); n++) {
		live_propose(p, m.callback);
		roster_propose(p, m.agents[0]);
		taken[(*ntaken)++] = m.agents[0];
	}
	return n;
}

int
main(int argc, char **argv)
{
	int agents = argc > 1 ? atoi(argv[1]) : 10000;
	int classes = argc > 2 ? atoi(argv[2]) : 500;
	int waiting = argc > 3 ? atoi(argv[3]) : 100000;
	double start = seconds();
	struct projection *p = load(agents, classes, waiting);
	struct agent **taken = calloc((size_t)agents + 1, sizeof(*taken));
	size_t ntaken = 0;

	printf("load: %.2f s\n", seconds() - start);
	start = seconds();
	long n = match_all(p, taken, &ntaken);
	printf("all available: %ld decisions, %.0f/s\n", n, (double)n / (seconds() - start));

	start = seconds();
	long total = 0;
	for (n = 1; n > 0; total += n) {
		for (int i = 0; i < LUMP && ntaken > 0; i++) {
			size_t at = (size_t)draw((int)ntaken);

			roster_settled(p, taken[at], false);
			taken[at] = taken[--ntaken];
		}
		n = match_all(p, taken, &ntaken);
	}
	printf("%d at a time: %ld decisions, %.0f/s\n", LUMP, total,
	    (double)total / (seconds() - start));
	free(taken);
	projection_free(p);
	return 0;
}
