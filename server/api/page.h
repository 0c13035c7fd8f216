/*
 * page: a small template language for the public pages (a part of Mustache).
 * PURE.
 *
 *	{{name}}		the value, as HTML text (numbers too); nothing when there is none
 *	{{{name}}}		the part of that name, a file of the pages, filled in with the same values
 *	{{#name}}…{{/name}}	when the value is there (not "", false, null or []); once for each
 *				object of an array, whose members are then seen before the outer ones
 *	{{^name}}…{{/name}}	when it is not
 */
#ifndef API_PAGE_H
#define API_PAGE_H

#include <jansson.h>

/* Another file of the pages; NULL: there is none. */
typedef const char *(*page_part_fn)(void *arg, const char *name);

/* Malloced text. A template that is wrong gives a wrong page, never more. */
char *page_render(const char *template, const json_t *values, page_part_fn, void *arg);

#endif
