/*
 * conf: the settings as a table, and the file that changes them. It checks
 * each value by itself, and knows nothing of who uses it.
 */
#include "base/conf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ini.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#ifndef CONF_WWW_DIR
#define CONF_WWW_DIR "/usr/local/share/callbackd/www"
#endif

/* Says what a text should be, or NULL when it is. */
typedef const char *(*conf_check_fn)(const char *);

enum conf_kind { CONF_TEXT, CONF_INT };

struct setting {
	const char *section;
	const char *name;
	enum conf_kind kind;
	size_t offset;
	bool reloadable;
	const char *text; /* default of a text */
	conf_check_fn check;
	int number, min, max; /* default and limits of an int */
};

static const char *check_addresses(const char *);
static const char *check_loopback(const char *);
static const char *check_proxies(const char *);
static const char *check_base_url(const char *);
static const char *check_log_level(const char *);
static const char *check_time(const char *);

/* clang-format off */
#define TEXT(sec, field, dflt, chk, reload) { .section = #sec, .name = #field, .kind = CONF_TEXT, \
	.offset = offsetof(struct conf, field), .text = dflt, .check = chk, .reloadable = reload }
#define INT(sec, field, dflt, lo, hi, reload) { .section = #sec, .name = #field, .kind = CONF_INT, \
	.offset = offsetof(struct conf, field), .number = dflt, .min = lo, .max = hi, \
	.reloadable = reload }
/* clang-format on */
#define RELOAD true
#define RESTART false
#define HOUR_MS 3600000

static const struct setting settings[] = {
	TEXT(server, listen, "127.0.0.1:8443", check_addresses, RESTART),
	TEXT(server, listen_plain, "", check_loopback, RESTART),
	TEXT(server, socket, "/run/callbackd/callbackd.sock", NULL, RESTART),
	TEXT(server, base_url, "https://127.0.0.1:8443", check_base_url, RELOAD),
	TEXT(server, certificate, "/etc/callbackd/certificate.pem", NULL, RELOAD),
	TEXT(server, private_key, "/etc/callbackd/private-key.pem", NULL, RELOAD),
	TEXT(server, trusted_proxies, "", check_proxies, RELOAD),
	TEXT(server, www_dir, "", NULL, RESTART),
	TEXT(server, node_name, "", NULL, RESTART),
	TEXT(server, log_level, "info", check_log_level, RELOAD),

	INT(limits, connections, 10000, 1, 1000000, RELOAD),
	INT(limits, connections_per_address, 1000, 1, 1000000, RELOAD),
	INT(limits, body_bytes, 65536, 1024, 16777216, RELOAD),
	INT(limits, handshake_ms, 10000, 100, HOUR_MS, RELOAD),
	INT(limits, header_ms, 10000, 100, HOUR_MS, RELOAD),
	INT(limits, body_ms, 30000, 100, HOUR_MS, RELOAD),
	INT(limits, idle_ms, 60000, 100, HOUR_MS, RELOAD),
	INT(limits, wait_ms, 10000, 100, HOUR_MS, RELOAD),
	INT(limits, stream_queue_bytes, 65536, 4096, 16777216, RELOAD),
	INT(limits, heartbeat_ms, 20000, 100, HOUR_MS, RELOAD),
	INT(limits, long_poll_ms, 25000, 100, HOUR_MS, RELOAD),
	INT(limits, presence_ms, 60000, 100, HOUR_MS, RELOAD),

	TEXT(database, conninfo, "", NULL, RESTART),
	INT(database, pool_size, 3, 1, 64, RESTART),
	INT(database, queue_depth, 4096, 1, 1000000, RESTART),
	INT(database, statement_timeout_ms, 10000, 100, HOUR_MS, RESTART),
	INT(database, lease_ms, 6000, 300, HOUR_MS, RESTART),
	INT(database, tail_ms, 1000, 10, HOUR_MS, RESTART),
	INT(database, due_window, 1000, 1, 1000000, RESTART),
	INT(database, future_window, 5000, 1, 1000000, RESTART),
	INT(database, ring_events, 20000, 1, 10000000, RESTART),

	TEXT(test, test_clock, "", check_time, RESTART),
};

#define SETTINGS_COUNT (sizeof(settings) / sizeof(settings[0]))

/* inih cuts longer lines in two without a word; a longer text goes on in an indented line. */
#define LINE_BYTES_MAX 198

struct reading {
	FILE *file;
	const char *path;
	int line;
	bool indented;		   /* the line goes on with the setting before it */
	int given[SETTINGS_COUNT]; /* line of each setting, 0 when not given */
	struct conf *conf;
	char *why; /* the first error */
};

static char **
text_of(const struct conf *c, const struct setting *s)
{
	return (char **)(void *)((char *)(uintptr_t)c + s->offset);
}

static int *
int_of(const struct conf *c, const struct setting *s)
{
	return (int *)(void *)((char *)(uintptr_t)c + s->offset);
}

/* Cuts "host:port" or "[host]:port" behind the host and returns that, or NULL. */
static char *
split_port(char *text)
{
	char *colon = strrchr(text, ':');

	if (colon == NULL || colon == text)
		return NULL;
	size_t digits = strspn(colon + 1, "0123456789");
	if (digits == 0 || digits > 5 || colon[1 + digits] != '\0' || atoi(colon + 1) > 65535)
		return NULL;
	*colon = '\0';
	if (text[0] != '[')
		return strchr(text, ':') == NULL ? text : NULL;
	if (colon[-1] != ']')
		return NULL;
	colon[-1] = '\0';
	return text + 1;
}

static bool
one_address(const char *text, size_t len, bool with_port, bool *loopback)
{
	char copy[INET6_ADDRSTRLEN + 16];
	struct in_addr v4;
	struct in6_addr v6;

	if (len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	const char *host = with_port ? split_port(copy) : copy;
	if (host == NULL)
		return false;
	bool bracketed = host != copy;
	if (!bracketed && inet_pton(AF_INET, host, &v4) == 1) {
		*loopback = ntohl(v4.s_addr) >> 24 == 127;
		return true;
	}
	if (bracketed != with_port || inet_pton(AF_INET6, host, &v6) != 1)
		return false;
	*loopback = IN6_IS_ADDR_LOOPBACK(&v6);
	return true;
}

/* Every word is an address, numeric: nothing is looked up. *loopback: all are the machine's own. */
static bool
all_addresses(const char *text, bool with_port, bool *loopback)
{
	bool one;

	*loopback = true;
	for (text += strspn(text, " \t"); *text != '\0'; text += strspn(text, " \t")) {
		size_t len = strcspn(text, " \t");
		if (!one_address(text, len, with_port, &one))
			return false;
		*loopback = *loopback && one;
		text += len;
	}
	return true;
}

static const char *
check_addresses(const char *text)
{
	bool loopback;

	return all_addresses(text, true, &loopback)
	    ? NULL
	    : "must be numeric addresses with ports, as 0.0.0.0:8443 or [::]:8443";
}

static const char *
check_loopback(const char *text)
{
	bool loopback;

	return all_addresses(text, true, &loopback) && loopback
	    ? NULL
	    : "must be addresses of this machine alone, as 127.0.0.1:8080 or [::1]:8080";
}

static const char *
check_proxies(const char *text)
{
	bool loopback;

	return all_addresses(text, false, &loopback) ? NULL : "must be numeric addresses";
}

static const char *
check_base_url(const char *text)
{
	const char *host = strncmp(text, "https://", 8) == 0 ? text + 8
	    : strncmp(text, "http://", 7) == 0		     ? text + 7
							     : "";

	return *host != '\0' && *host != '/' && host[strlen(host) - 1] != '/' &&
		strpbrk(host, " \t?#") == NULL
	    ? NULL
	    : "must begin with https:// or http:// and a host, and not end in a slash";
}

static const char *
check_log_level(const char *text)
{
	enum log_level level;

	return log_level_parse(text, &level) ? NULL : "must be debug, info, warn or error";
}

static const char *
check_time(const char *text)
{
	int64_t ms;

	return *text == '\0' || clock_parse(text, &ms) ? NULL
						       : "must be a time as 2026-11-23T07:00:00Z";
}

/* Keeps the first complaint; 0 is what inih's handler answers when it refuses. */
static int __attribute__((format(printf, 3, 4)))
refuse(struct reading *r, int line, const char *format, ...)
{
	char text[256];
	va_list ap;

	if (r->why != NULL)
		return 0;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	r->why = xasprintf("%s:%d: %s", r->path, line, text);
	return 0;
}

static const struct setting *
find(struct reading *r, const char *section, const char *name)
{
	bool section_known = false;

	for (const struct setting *s = settings; s < settings + SETTINGS_COUNT; s++) {
		if (strcmp(s->section, section) != 0)
			continue;
		section_known = true;
		if (strcmp(s->name, name) == 0)
			return s;
	}
	if (*section == '\0')
		refuse(r, r->line, "setting %s stands before the first [section]", name);
	else if (!section_known)
		refuse(r, r->line, "unknown section %s", section);
	else
		refuse(r, r->line, "unknown setting %s", name);
	return NULL;
}

static int
set_int(struct reading *r, const struct setting *s, const char *value)
{
	bool digits = *value != '\0' && strspn(value, "0123456789") == strlen(value);

	errno = 0;
	long v = strtol(value, NULL, 10);
	if (!digits || errno != 0 || v < s->min || v > s->max)
		return refuse(r, r->line, "setting %s: must be a whole number from %d to %d",
		    s->name, s->min, s->max);
	*int_of(r->conf, s) = (int)v;
	return 1;
}

static int
set_text(struct reading *r, const struct setting *s, const char *value, bool append)
{
	char **text = text_of(r->conf, s);
	/* inih strips a comment from a first line only. */
	const char *comment = append ? strstr(value, " ;") : NULL;
	int len = (int)(comment != NULL ? (size_t)(comment - value) : strlen(value));
	char *whole = xasprintf(
	    "%s%s%.*s", append ? *text : "", append && **text != '\0' ? " " : "", len, value);

	free(*text);
	*text = whole;
	return 1;
}

static int
on_setting(void *arg, const char *section, const char *name, const char *value)
{
	struct reading *r = arg;
	const struct setting *s = r->why == NULL ? find(r, section, name) : NULL;

	if (s == NULL)
		return 0;
	if (r->indented && s->kind == CONF_INT)
		return refuse(r, r->line, "setting %s cannot go on in an indented line", name);
	if (!r->indented) {
		if (r->given[s - settings] != 0)
			return refuse(r, r->line, "setting %s is given twice", name);
		r->given[s - settings] = r->line;
	}
	return s->kind == CONF_INT ? set_int(r, s, value) : set_text(r, s, value, r->indented);
}

/* "  listen = ...": somebody indents settings; to inih it would be more of the one before. */
static bool
begins_setting(const char *text)
{
	for (size_t i = 0; i < SETTINGS_COUNT; i++) {
		size_t len = strlen(settings[i].name);

		if (strncmp(text, settings[i].name, len) == 0 &&
		    strspn(text + len + strspn(text + len, " \t"), "=:") > 0)
			return true;
	}
	return false;
}

/* A line for inih, as fgets, but counted, and refused when it would be cut. */
static char *
on_line(char *out, int size, void *arg)
{
	struct reading *r = arg;
	int len = 0, c = 0;
	int max = size - 1 < LINE_BYTES_MAX + 1 ? size - 1 : LINE_BYTES_MAX + 1;

	if (r->why != NULL)
		return NULL;
	r->line++;
	while (len < max && c != '\n' && (c = getc(r->file)) != EOF) {
		if (c == '\0') {
			refuse(r, r->line, "the line holds a NUL");
			return NULL;
		}
		out[len++] = (char)c;
	}
	if (len == max && c != '\n') {
		refuse(r, r->line, "the line is longer than %d bytes: go on in an indented one",
		    LINE_BYTES_MAX);
		return NULL;
	}
	out[len] = '\0';
	size_t blank = strspn(out, " \t");
	r->indented = blank > 0 && !begins_setting(out + blank);
	if (blank > 0 && !r->indented)
		memmove(out, out + blank, strlen(out + blank) + 1);
	return len > 0 ? out : NULL;
}

static struct conf *
conf_defaults(void)
{
	struct conf *c = xcalloc(1, sizeof(*c));

	for (size_t i = 0; i < SETTINGS_COUNT; i++) {
		if (settings[i].kind == CONF_INT)
			*int_of(c, &settings[i]) = settings[i].number;
		else
			*text_of(c, &settings[i]) = xstrdup(settings[i].text);
	}
	return c;
}

/* Whole texts only: one may have come in several lines. */
static void
check_texts(struct reading *r)
{
	for (size_t i = 0; i < SETTINGS_COUNT; i++) {
		const struct setting *s = &settings[i];
		const char *why = s->check != NULL ? s->check(*text_of(r->conf, s)) : NULL;

		if (why != NULL)
			refuse(r, r->given[i], "setting %s: %s", s->name, why);
	}
}

/* Empty means what only this machine and this build know. */
static void
fill_in(struct conf *c)
{
	char host[HOST_NAME_MAX + 1] = "";

	if (*c->node_name == '\0' && gethostname(host, sizeof(host) - 1) == 0) {
		free(c->node_name);
		c->node_name = xstrdup(host);
	}
	if (*c->www_dir == '\0') {
		free(c->www_dir);
		c->www_dir = xstrdup(CONF_WWW_DIR);
	}
}

struct conf *
conf_load(const char *path, char **why)
{
	struct reading r = { .path = path, .conf = conf_defaults() };

	r.file = fopen(path, "re");
	if (r.file == NULL) {
		r.why = xasprintf("%s: %s", path, strerror(errno));
	} else {
		errno = 0;
		int bad_line = ini_parse_stream(on_line, &r, on_setting, &r);
		if (r.why == NULL && ferror(r.file))
			r.why = xasprintf("%s: %s", path, strerror(errno));
		if (bad_line < 0)
			die(1, "out of memory in ini_parse_stream");
		if (bad_line > 0)
			refuse(&r, bad_line, "the line is neither [section] nor name = value");
		fclose(r.file);
	}
	if (r.why == NULL)
		check_texts(&r);
	if (r.why != NULL) {
		conf_free(r.conf);
		*why = r.why;
		return NULL;
	}
	fill_in(r.conf);
	return r.conf;
}

void
conf_free(struct conf *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < SETTINGS_COUNT; i++) {
		if (settings[i].kind == CONF_TEXT)
			free(*text_of(c, &settings[i]));
	}
	free(c);
}

const char *
conf_needs_restart(const struct conf *a, const struct conf *b)
{
	for (size_t i = 0; i < SETTINGS_COUNT; i++) {
		const struct setting *s = &settings[i];
		bool same = s->kind == CONF_INT ? *int_of(a, s) == *int_of(b, s)
						: strcmp(*text_of(a, s), *text_of(b, s)) == 0;

		if (!same && !s->reloadable)
			return s->name;
	}
	return NULL;
}

void
conf_print_defaults(FILE *out)
{
	const char *section = "";

	for (size_t i = 0; i < SETTINGS_COUNT; i++) {
		const struct setting *s = &settings[i];

		if (strcmp(section, s->section) != 0)
			fprintf(out, "%s[%s]\n", i > 0 ? "\n" : "", s->section);
		section = s->section;
		if (s->kind == CONF_INT)
			fprintf(out, "%s = %d\n", s->name, s->number);
		else
			fprintf(out, "%s =%s%s\n", s->name, *s->text != '\0' ? " " : "", s->text);
	}
}
