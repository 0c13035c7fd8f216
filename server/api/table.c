/*
 * One table out of what each file of handlers ends with. Must not know what a
 * route does, nor who may use it.
 */
#include "api/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/mem.h"

static const struct api_route *const tables[] = {
	api_routes_intake,
	api_routes_slot,
	api_routes_open,
	api_routes_dry_run,
	api_routes_behalf,
	api_routes_contact,
	api_routes_session,
	api_routes_agent,
	api_routes_call,
	api_routes_move,
	api_routes_bulk,
	api_routes_export,
	api_routes_admin,
	api_routes_explain,
	api_routes_personal,
	api_routes_suppression,
	api_routes_company,
	api_routes_rules,
	api_routes_secret,
	api_routes_operator,
	api_routes_events,
	api_routes_ops,
};
#define TABLES (sizeof(tables) / sizeof(tables[0]))

/* The row itself, or the first of the tables from i on. */
static const struct api_route *
row_from(const struct api_route *row, size_t i)
{
	while (row->method == NULL) {
		if (i == TABLES)
			return NULL;
		row = tables[i++];
	}
	return row;
}

const struct api_route *
table_next(const struct api_route *row)
{
	if (row == NULL)
		return row_from(tables[0], 1);
	for (size_t i = 0; i < TABLES; i++)
		for (const struct api_route *r = tables[i]; r->method != NULL; r++)
			if (r == row)
				return row_from(row + 1, i + 1);
	return NULL;
}

bool
table_match(const char *pattern, const char *path, struct table_args *args)
{
	const char *p = path;

	args->n = 0;
	for (; *pattern != '\0'; pattern++) {
		if (*pattern != '{') {
			if (*p++ != *pattern)
				return false;
			continue;
		}
		size_t len = strcspn(p, "/");
		if (len == 0)
			return false;
		assert(args->n < TABLE_ARGS);
		args->start[args->n] = (size_t)(p - path);
		args->len[args->n++] = len;
		p += len;
		pattern = strchr(pattern, '}');
		assert(pattern != NULL);
	}
	return *p == '\0';
}

static void
allow_add(struct buf *allow, const char *method)
{
	if (allow->len > 0)
		buf_puts(allow, ", ");
	buf_puts(allow, method);
	if (strcmp(method, "GET") == 0)
		buf_puts(allow, ", HEAD");
}

const struct api_route *
table_find(const char *method, const char *path, struct table_args *args, char **allow)
{
	struct buf methods = { 0 };

	*allow = NULL;
	for (size_t i = 0; i < TABLES; i++) {
		for (const struct api_route *r = tables[i]; r->method != NULL; r++) {
			if (!table_match(r->path, path, args))
				continue;
			if (strcmp(r->method, method) == 0) {
				buf_fini(&methods);
				return r;
			}
			allow_add(&methods, r->method);
		}
	}
	if (methods.len > 0)
		*allow = buf_take(&methods);
	return NULL;
}

void
table_cut(struct api_call *call, const char *path, const struct table_args *args)
{
	free(call->path);
	call->path = xstrdup(path);
	for (int i = 0; i < args->n; i++) {
		call->path[args->start[i] + args->len[i]] = '\0';
		call->args[i] = call->path + args->start[i];
	}
}
