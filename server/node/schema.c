/*
 * schema: whether a database's schema and this program fit together. Must not
 * know what is done when they do not.
 */
#include "node/schema.h"

#include <stdlib.h>

#include "base/mem.h"
#include "core/schema.h"

char *
schema_problem(const PGresult *res, const char *err, bool *outdated)
{
	*outdated = false;
	if (err != NULL || PQntuples(res) != 1)
		return xasprintf("the schema cannot be read (%s)", err != NULL ? err : "no row");
	int version = atoi(PQgetvalue(res, 0, 0));
	if (version > SCHEMA_VERSION && atoi(PQgetvalue(res, 0, 4)) > SCHEMA_VERSION) {
		*outdated = true;
		return xasprintf("the schema is of version %d, too new for this server, which was "
				 "made for version %d: install a newer callbackd",
		    version, SCHEMA_VERSION);
	}
	if (version < SCHEMA_VERSION)
		return xasprintf("the schema is of version %d, too old for this server, which was "
				 "made for version %d: run callbackctl upgrade",
		    version, SCHEMA_VERSION);
	if (!PQgetisnull(res, 0, 2))
		return xstrdup(PQgetvalue(res, 0, 2));
	return NULL;
}
