/*
 * db_fixture: what the tests of server/db share: one cluster with tiny
 * stand-ins of the SQL functions (the contract's shapes, and kinds of command
 * that misbehave on demand), an event loop with a deadline, and a conf.
 */
#ifndef UNIT_DB_FIXTURE_H
#define UNIT_DB_FIXTURE_H

#include <stdbool.h>

#include "base/conf.h"
#include "cluster.h"

struct event_base;

struct fixture {
	struct cluster *cluster;
	struct conf conf;
	struct event_base *base; /* new for every test */
};
extern struct fixture fixture;

/* cmocka group and test fixtures. */
int fixture_group_setup(void **);
int fixture_group_teardown(void **);
int fixture_setup(void **); /* empties the tables, default conf, new loop */
int fixture_teardown(void **);

/* One turn of the loop, at most 5 ms long. Fails the test 30 s after it began. */
void loop_turn(void);
#define UNTIL(condition) \
	do { \
		while (!(condition)) \
			loop_turn(); \
	} while (0)

#endif
