/*
 * table: every route there is, found by method and path.
 */
#ifndef API_TABLE_H
#define API_TABLE_H

#include <stdbool.h>
#include <stddef.h>

struct api_call;
struct api_route;

/* Every route once: NULL starts; NULL ends. */
const struct api_route *table_next(const struct api_route *);

#define TABLE_ARGS 4

/* Where the {…} parts of a pattern lie in a path. */
struct table_args {
	size_t start[TABLE_ARGS], len[TABLE_ARGS];
	int n;
};
/* "/v1/offers/{id}/accept": a {…} part is one whole segment and never empty. */
bool table_match(const char *pattern, const char *path, struct table_args *);

/*
 * NULL when there is none: then *allow is NULL (no such path), or names the
 * path's methods ("GET, HEAD"; malloced). A HEAD is a GET by now.
 */
const struct api_route *table_find(const char *method, const char *path, struct table_args *, char **allow);
/* Cuts the path's parts into call->args. */
void table_cut(struct api_call *, const char *path, const struct table_args *);

#endif
