/*
 * runs: consecutive commands of one kind on distinct rows share a run number
 * (1, 2, ...), so that the database can take them as a set. Private to lane.
 */
#ifndef DB_RUNS_H
#define DB_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

struct runs {
	int run;
	char kind[64];
	bool solitary;	/* the last command can have no companion of its kind */
	uint64_t *seen; /* hashes of (run, row), open addressing, 0: free */
	size_t count, cap;
	uint64_t *keys; /* of the command in hand */
	size_t n_keys, keys_cap;
};

void runs_init(struct runs *);
void runs_fini(struct runs *);
/* The run of the next command of the batch. */
int runs_next(struct runs *, const json_t *command);

#endif
