/*
 * refusal: what the database's reasons for saying no mean to an HTTP client.
 */
#ifndef API_REFUSAL_H
#define API_REFUSAL_H

#include <stddef.h>

struct refusal {
	const char *name;	/* as in sql/functions: "stale_version" */
	int status;
	const char *sentence;
};
/* Every one that is known; a row with name NULL ends them. */
extern const struct refusal refusals[];
/* Never NULL: one that a newer schema knows and we do not is a plain conflict. */
const struct refusal *refusal_find(const char *name);

#endif
