/*
 * test_conf: the settings file, and that the sample and the manual page say
 * the same as the table in conf.c. Both are found from $srcdir, the top of the
 * source tree.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/conf.h"
#include "base/mem.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Loads a file with that content; its name becomes "FILE" in *why. */
static struct conf *
load(const char *content, size_t len, char **why)
{
	char path[] = "/tmp/test_conf.XXXXXX";
	int fd = mkstemp(path);
	char *said = NULL;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, len), len);
	close(fd);
	struct conf *c = conf_load(path, &said);
	unlink(path);
	*why = NULL;
	if (c == NULL) {
		assert_memory_equal(said, path, strlen(path));
		*why = xasprintf("FILE%s", said + strlen(path));
		free(said);
	}
	return c;
}

static struct conf *
loaded(const char *content)
{
	char *why;
	struct conf *c = load(content, strlen(content), &why);

	if (c == NULL)
		fail_msg("%s: %s", content, why);
	return c;
}

static void
assert_refused(const char *content, const char *expected)
{
	char *why;
	struct conf *c = load(content, strlen(content), &why);

	if (c != NULL)
		fail_msg("took %s", content);
	assert_string_equal(why, expected);
	free(why);
}

static char *
defaults_text(void)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	conf_print_defaults(f);
	fclose(f);
	return text;
}

static char *
source_text(const char *name)
{
	const char *top = getenv("srcdir");
	char *path = xasprintf("%s/%s", top != NULL ? top : ".", name);
	FILE *f = fopen(path, "r");
	struct buf b = {0};
	char part[4096];

	if (f == NULL)
		fail_msg("cannot read %s", path);
	for (size_t n; (n = fread(part, 1, sizeof(part), f)) > 0;)
		buf_add(&b, part, n);
	fclose(f);
	free(path);
	return buf_take(&b);
}

/* Calls fn for each "name = value" of the defaults. */
static void
each_default(void (*fn)(const char *section, const char *name, const char *value, void *),
    void *arg)
{
	char *text = defaults_text(), *rest = NULL, section[32] = "";
	int count = 0;

	for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		if (sscanf(line, "[%31[a-z]]", section) == 1)
			continue;
		char *equals = strstr(line, " =");
		assert_non_null(equals);
		*equals = '\0';
		fn(section, line, equals[2] == ' ' ? equals + 3 : "", arg);
		count++;
	}
	assert_true(count > 30);
	free(text);
}

static void
an_empty_file_gives_the_defaults(void **state)
{
	struct conf *c = loaded("");
	char host[256] = "";

	(void)state;
	gethostname(host, sizeof(host) - 1);
	assert_string_equal(c->listen, "127.0.0.1:8443");
	assert_string_equal(c->listen_plain, "");
	assert_string_equal(c->socket, "/run/callbackd/callbackd.sock");
	assert_string_equal(c->log_level, "info");
	assert_string_equal(c->conninfo, "");
	assert_string_equal(c->test_clock, "");
	assert_int_equal(c->connections, 10000);
	assert_int_equal(c->idle_ms, 60000);
	assert_int_equal(c->lease_ms, 6000);
	assert_int_equal(c->ring_events, 20000);
	/* What the file leaves to the machine and the build is filled in. */
	assert_string_equal(c->node_name, host);
	assert_int_equal(c->www_dir[0], '/');
	conf_free(c);
}

static void
settings_are_read_from_their_sections(void **state)
{
	struct conf *c = loaded("# callbackd\n\n[server]\nlisten = 0.0.0.0:443 [::]:443 ; everybody\n"
	    "node_name=n1\nlisten_plain = [::1]:80\n\n[limits]\r\nbody_bytes = 1024\r\n; none\n"
	    "[database]\n  pool_size = 64\n\tqueue_depth: 7\nconninfo = host=/tmp dbname='a b'\n"
	    "[test]\ntest_clock = 2026-11-23T07:00:00Z");

	(void)state;
	assert_string_equal(c->listen, "0.0.0.0:443 [::]:443");
	assert_string_equal(c->listen_plain, "[::1]:80");
	assert_string_equal(c->node_name, "n1");
	assert_int_equal(c->body_bytes, 1024);
	assert_int_equal(c->pool_size, 64);
	assert_int_equal(c->queue_depth, 7);
	assert_string_equal(c->conninfo, "host=/tmp dbname='a b'");
	assert_string_equal(c->test_clock, "2026-11-23T07:00:00Z");
	conf_free(c);
}

static void
a_text_goes_on_in_indented_lines(void **state)
{
	struct conf *c = loaded("[database]\nconninfo = host=a,b ; two\n    dbname=c ; one\n"
	    "\n  # said\n\tuser=d\npool_size = 5\n[server]\nlisten =\n  127.0.0.1:1\n  [::1]:2\n");

	(void)state;
	assert_string_equal(c->conninfo, "host=a,b dbname=c user=d");
	assert_string_equal(c->listen, "127.0.0.1:1 [::1]:2");
	assert_int_equal(c->pool_size, 5);
	conf_free(c);
	assert_refused("[database]\npool_size = 5\n  6\n",
	    "FILE:3: setting pool_size cannot go on in an indented line");
}

static void
errors_name_the_file_and_the_line(void **state)
{
	static const struct { const char *content, *why; } wrong[] = {
		{ "[server]\n\nlisten_to = x\n", "FILE:3: unknown setting listen_to" },
		{ "[servers]\nlisten = 127.0.0.1:1\n", "FILE:2: unknown section servers" },
		{ "[limits]\nlisten = 127.0.0.1:1\n", "FILE:2: unknown setting listen" },
		{ "[server]\n   wrong = 1\n", "FILE:2: unknown setting wrong" },
		{ "listen = 127.0.0.1:1\n", "FILE:1: setting listen stands before the first [section]" },
		{ "[limits]\nidle_ms = 100\n\nidle_ms = 100\n", "FILE:4: setting idle_ms is given twice" },
		{ "[limits]\nidle_ms = 100\n\n  idle_ms = 100\n", "FILE:4: setting idle_ms is given twice" },
		{ "[server]\nlisten\n", "FILE:2: the line is neither [section] nor name = value" },
		{ "[server\n", "FILE:1: the line is neither [section] nor name = value" },
		{ "[server]\nlog_level = loud\n[nothing]\nx=1\n", "FILE:4: unknown section nothing" },
		{ "[server]\n\nlog_level = loud\n",
		    "FILE:3: setting log_level: must be debug, info, warn or error" },
		{ "[test]\ntest_clock = tomorrow\n",
		    "FILE:2: setting test_clock: must be a time as 2026-11-23T07:00:00Z" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++)
		assert_refused(wrong[i].content, wrong[i].why);
}

static void
a_missing_file_and_a_directory_are_errors(void **state)
{
	char *why = NULL;

	(void)state;
	assert_null(conf_load("/nonexistent/callbackd.conf", &why));
	assert_string_equal(why, "/nonexistent/callbackd.conf: No such file or directory");
	free(why);
	assert_null(conf_load("/tmp", &why));
	assert_string_equal(why, "/tmp: Is a directory");
	free(why);
}

static void
numbers_are_whole_and_within_their_limits(void **state)
{
	static const char *const wrong[] = {
		"", "0", "65", "-1", "+3", "3.0", "3x", "x", "0x3", "1e1", "3 4", "3 # three",
		"99999999999999999999", "4294967299",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		char *content = xasprintf("[database]\npool_size = %s\n", wrong[i]);

		assert_refused(content, "FILE:2: setting pool_size: must be a whole number from 1 to 64");
		free(content);
	}
	struct conf *c = loaded("[database]\npool_size = 1\n");
	assert_int_equal(c->pool_size, 1);
	conf_free(c);
}

static void
addresses_are_numeric_and_plain_http_stays_on_this_machine(void **state)
{
	static const char *const wrong[] = {
		"127.0.0.1", ":8443", "localhost:1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:x",
		"127.0.0.1:1x", "127.0.0.1:000001", "::1:1", "[::1]", "[::1:1", "::1]:1",
		"[127.0.0.1]:1", "[]:1", "]:1",
		"127.0.0.1:1,127.0.0.1:2", "127.0.0.1:1 x", "127.1:1", "256.0.0.1:1",
		"[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd]:1",
	};
	static const char *const open[] = { "0.0.0.0:80", "[::]:80", "127.0.0.1:80 192.0.2.1:80",
	    "192.0.2.1:80 127.0.0.1:80", "[fe80::1]:80" };

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		char *content = xasprintf("[server]\nlisten = %s\n", wrong[i]);
		assert_refused(content, "FILE:2: setting listen: must be numeric addresses with ports, "
		    "as 0.0.0.0:8443 or [::]:8443");
		free(content);
	}
	for (size_t i = 0; i < COUNT(open); i++) {
		char *content = xasprintf("[server]\nlisten = %s\n", open[i]);
		conf_free(loaded(content));
		free(content);
		content = xasprintf("[server]\nlisten_plain = %s\n", open[i]);
		assert_refused(content, "FILE:2: setting listen_plain: must be addresses of this machine "
		    "alone, as 127.0.0.1:8080 or [::1]:8080");
		free(content);
	}
	conf_free(loaded("[server]\nlisten = 127.0.0.1:0\ntrusted_proxies = 192.0.2.1 2001:db8::1\n"));
	assert_refused("[server]\ntrusted_proxies = 192.0.2.1:80\n",
	    "FILE:2: setting trusted_proxies: must be numeric addresses");
}

static void
the_public_address_is_one_that_links_can_begin_with(void **state)
{
	static const char *const wrong[] = { "", "example.com", "https://", "https:///x", "ftp://x",
	    "https://x/", "https://x/y/", "https://x?y", "https://x y" };

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		char *content = xasprintf("[server]\nbase_url = %s\n", wrong[i]);
		assert_refused(content, "FILE:2: setting base_url: must begin with https:// or http:// "
		    "and a host, and not end in a slash");
		free(content);
	}
	conf_free(loaded("[server]\nbase_url = https://example.com:8443/callback\n"));
	conf_free(loaded("[server]\nbase_url = http://localhost\n"));
}

static void
a_line_that_would_be_cut_is_refused(void **state)
{
	struct buf b = {0};
	char *why;

	(void)state;
	for (int len = 190; len < 420; len++) {
		buf_reset(&b);
		buf_puts(&b, "[database]\nconninfo = ");
		for (int i = 11; i < len; i++)
			buf_puts(&b, "x");
		buf_puts(&b, "\n");
		if (len > 198) {
			assert_refused(b.data,
			    "FILE:2: the line is longer than 198 bytes: go on in an indented one");
			continue;
		}
		struct conf *c = loaded(b.data);
		assert_int_equal(strlen(c->conninfo), len - 11);
		conf_free(c);
	}
	buf_fini(&b);
	assert_null(load("[server]\nlisten\0 = 1\n", 21, &why));
	assert_string_equal(why, "FILE:2: the line holds a NUL");
	free(why);
}

static void
a_reload_may_change_limits_but_not_doors(void **state)
{
	struct conf *a = loaded("[limits]\nidle_ms = 5000\n[server]\nlisten = 127.0.0.1:1\n");
	struct conf *b = loaded("[limits]\nidle_ms = 6000\n[server]\nlisten = 127.0.0.1:1\n");
	struct conf *c = loaded("[database]\npool_size = 5\n[server]\nlisten = 127.0.0.1:2\n");
	struct conf *d = loaded("[database]\npool_size = 5\n[server]\nlisten = 127.0.0.1:1\n");

	(void)state;
	assert_null(conf_needs_restart(a, a));
	assert_null(conf_needs_restart(a, b));
	assert_string_equal(conf_needs_restart(a, c), "listen");
	assert_string_equal(conf_needs_restart(a, d), "pool_size");
	conf_free(a);
	conf_free(b);
	conf_free(c);
	conf_free(d);
	conf_free(NULL);
}

static void
the_printed_defaults_are_a_file_that_changes_nothing(void **state)
{
	char *text = defaults_text();
	struct conf *a = loaded(text), *b = loaded("");

	(void)state;
	assert_null(conf_needs_restart(a, b));
	assert_string_equal(a->base_url, b->base_url);
	assert_int_equal(a->heartbeat_ms, b->heartbeat_ms);
	free(text);
	conf_free(a);
	conf_free(b);
}

static void
expect_in_sample(const char *section, const char *name, const char *value, void *arg)
{
	const char *sample = arg;
	char *head = xasprintf("\n[%s]\n", section);
	char *line = xasprintf("\n#%s =%s%s\n", name, *value != '\0' ? " " : "", value);
	const char *begin = strstr(sample, head);

	assert_non_null(begin);
	const char *end = strstr(begin + 1, "\n["), *found = strstr(begin, line);
	if (found == NULL || (end != NULL && found > end))
		fail_msg("the sample lacks, in [%s]:%s", section, line);
	free(head);
	free(line);
}

static void
the_sample_shows_every_setting_with_its_default_and_no_other(void **state)
{
	char *sample = source_text("etc/callbackd.conf"), *to = sample;

	(void)state;
	each_default(expect_in_sample, sample);
	conf_free(loaded(sample));
	/* With the # taken away from settings, and from nothing else, it is a whole file. */
	for (char *from = sample; *from != '\0'; *to++ = *from++) {
		if (*from == '#' && (from == sample || from[-1] == '\n') && from[1] >= 'a' && from[1] <= 'z')
			from++;
	}
	*to = '\0';
	struct conf *a = loaded(sample), *b = loaded("");
	assert_null(conf_needs_restart(a, b));
	conf_free(a);
	conf_free(b);
	free(sample);
}

/* The limits, as the refusal of a value names them: "from 1 to 64", or "". */
static char *
limits_of(const char *section, const char *name)
{
	char *content = xasprintf("[%s]\n%s = -1\n", section, name), *why = NULL;
	struct conf *c = load(content, strlen(content), &why);
	const char *from = why != NULL ? strstr(why, "from ") : NULL;
	char *limits = xstrdup(from != NULL ? from : "");

	conf_free(c);
	free(why);
	free(content);
	return limits;
}

/* Whether another value, of whatever kind suits it, can be had by a reload. */
static bool
reloadable(const char *section, const char *name, const char *value, const char *limits)
{
	static const char *const others[] = { "127.0.0.2:1", "127.0.0.2", "http://x", "debug",
	    "2026-11-23T07:00:00Z" };
	const char *max = strstr(limits, "to ");
	struct conf *before = loaded(""), *after = NULL;

	for (size_t i = 0; after == NULL && i < COUNT(others); i++) {
		char *content = xasprintf("[%s]\n%s = %s\n", section, name, max != NULL ? max + 3 : others[i]);
		char *why;

		assert_string_not_equal(value, others[i]);
		after = load(content, strlen(content), &why);
		free(why);
		free(content);
	}
	assert_non_null(after);
	const char *needs = conf_needs_restart(before, after);
	bool yes = needs == NULL;
	if (!yes)
		assert_string_equal(needs, name);
	conf_free(before);
	conf_free(after);
	return yes;
}

static void
expect_in_manual(const char *section, const char *name, const char *value, void *arg)
{
	char *limits = limits_of(section, name), *item = xasprintf("\n.It Ic %s No =", name);
	char *said = *value == '\0' ? xasprintf("\nDefault: empty.\n") :
	    *limits == '\0' ? xasprintf("\nDefault:\n.Ql %s .\n", value) :
	    xasprintf("\nDefault:\n.Ql %s ,\n%s.\n", value, limits);
	const char *begin = strstr(arg, item);

	if (begin == NULL)
		fail_msg("the manual lacks %s", name);
	begin += strlen(item);
	const char *end = strstr(begin, "\n.It "), *list_end = strstr(begin, "\n.El");
	assert_non_null(list_end);
	if (end == NULL || end > list_end)
		end = list_end;
	char *entry = xstrndup(begin, (size_t)(end - begin) + 1);
	if (strstr(entry, said) == NULL)
		fail_msg("the manual's %s lacks %s", name, said);
	const char *when = reloadable(section, name, value, limits) ?
	    "\nA reload changes it.\n" : "\nNeeds a restart.\n";
	if (strstr(entry, when) == NULL)
		fail_msg("the manual's %s lacks %s", name, when);
	free(entry);
	free(said);
	free(item);
	free(limits);
}

static void
the_manual_tells_default_limits_and_reload_of_every_setting(void **state)
{
	char *manual = source_text("server/callbackd.conf.5");

	(void)state;
	each_default(expect_in_manual, manual);
	free(manual);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_file_gives_the_defaults),
		cmocka_unit_test(settings_are_read_from_their_sections),
		cmocka_unit_test(a_text_goes_on_in_indented_lines),
		cmocka_unit_test(errors_name_the_file_and_the_line),
		cmocka_unit_test(a_missing_file_and_a_directory_are_errors),
		cmocka_unit_test(numbers_are_whole_and_within_their_limits),
		cmocka_unit_test(addresses_are_numeric_and_plain_http_stays_on_this_machine),
		cmocka_unit_test(the_public_address_is_one_that_links_can_begin_with),
		cmocka_unit_test(a_line_that_would_be_cut_is_refused),
		cmocka_unit_test(a_reload_may_change_limits_but_not_doors),
		cmocka_unit_test(the_printed_defaults_are_a_file_that_changes_nothing),
		cmocka_unit_test(the_sample_shows_every_setting_with_its_default_and_no_other),
		cmocka_unit_test(the_manual_tells_default_limits_and_reload_of_every_setting),
	};

	return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
