/*
 * Takes the lists host, hostaddr and port apart as libpq does. A list that libpq
 * would refuse is left whole, for libpq to say what is wrong with it.
 */
#include "db/hosts.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "base/mem.h"

struct list {
	char *text; /* the commas are NULs; NULL: not given */
	size_t n;
};

struct hosts {
	struct list host, hostaddr, port;
	size_t n;
	int patience_ms;
};

static const char *
option_value(const PQconninfoOption *options, const char *keyword)
{
	for (const PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++)
		if (strcmp(o->keyword, keyword) == 0 && o->val != NULL && o->val[0] != '\0')
			return o->val;
	return NULL;
}

static void
list_take(
    struct list *l, const PQconninfoOption *given, const PQconninfoOption *env, const char *keyword)
{
	const char *value = option_value(given, keyword);
	if (value == NULL)
		value = option_value(env, keyword);
	if (value == NULL)
		return;
	l->text = xstrdup(value);
	l->n = 1;
	for (char *at = l->text; (at = strchr(at, ',')) != NULL; *at++ = '\0')
		l->n++;
}

/* NULL: not given, or an empty place in the list. */
static const char *
list_get(const struct list *l, size_t i)
{
	const char *at = l->text;
	if (at == NULL)
		return NULL;
	for (i = l->n == 1 ? 0 : i; i > 0; i--)
		at += strlen(at) + 1;
	return at[0] != '\0' ? at : NULL;
}

static bool
lists_fit(const struct hosts *h)
{
	if (h->n < 2 || (h->port.n > 1 && h->port.n != h->n) ||
	    (h->host.n > 0 && h->hostaddr.n > 0 && h->host.n != h->hostaddr.n))
		return false;
	/* An empty place means a default that only libpq knows. */
	for (size_t i = 0; i < h->n; i++)
		if (list_get(&h->host, i) == NULL && list_get(&h->hostaddr, i) == NULL)
			return false;
	return true;
}

struct hosts *
hosts_new(const char *conninfo)
{
	struct hosts *h = xcalloc(1, sizeof(*h));
	PQconninfoOption *given = PQconninfoParse(conninfo, NULL), *env = PQconndefaults();
	const char *timeout = option_value(given, "connect_timeout");
	list_take(&h->hostaddr, given, env, "hostaddr");
	list_take(&h->host, given, env, "host");
	list_take(&h->port, given, env, "port");
	h->n = h->hostaddr.n > 0 ? h->hostaddr.n : h->host.n;
	if (!lists_fit(h))
		h->n = 1;
	if (timeout == NULL)
		timeout = option_value(env, "connect_timeout");
	long s = timeout != NULL ? strtol(timeout, NULL, 10) : 0;
	h->patience_ms = s > 0 && s < 3600 ? (int)s * 1000 : 0;
	PQconninfoFree(given);
	PQconninfoFree(env);
	return h;
}

void
hosts_free(struct hosts *h)
{
	if (h == NULL)
		return;
	free(h->host.text);
	free(h->hostaddr.text);
	free(h->port.text);
	free(h);
}

size_t
hosts_count(const struct hosts *h)
{
	return h->n;
}

struct host
hosts_get(const struct hosts *h, size_t i)
{
	if (h->n == 1)
		return (struct host){ NULL, NULL, NULL };
	return (
	    struct host){ list_get(&h->host, i), list_get(&h->hostaddr, i), list_get(&h->port, i) };
}

int
hosts_patience_ms(const struct hosts *h)
{
	return h->patience_ms;
}
