/*
 * schema: what schema_check() says of the database, put into a sentence.
 */
#ifndef NODE_SCHEMA_H
#define NODE_SCHEMA_H

#include <stdbool.h>

#include <libpq-fe.h>

/*
 * NULL: it can be worked with. Otherwise the sentence that says why not, malloced;
 * outdated: it is we who are too old, and waiting mends nothing. A newer schema
 * says itself how old a server it still serves: upgrades are applied while
 * servers of the version before run, and one of them may have to start again.
 */
char *schema_problem(const PGresult *, const char *err, bool *outdated);

#endif
