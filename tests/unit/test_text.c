/*
 * test_text: what becomes text and what is read from it: the log, ids, JSON and
 * UTF-8.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* log: fd 2 becomes a packet pipe, where one read returns what one write wrote. */

static int log_fd, terminal_fd;

static int
catch_log(void **state)
{
	int ends[2];

	(void)state;
	if (pipe2(ends, O_DIRECT | O_NONBLOCK | O_CLOEXEC) != 0)
		return -1;
	log_fd = ends[0];
	terminal_fd = dup(STDERR_FILENO);
	int got = dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	return terminal_fd >= 0 && got >= 0 ? 0 : -1;
}

static int
release_log(void **state)
{
	(void)state;
	log_level_set(LOG_LEVEL_INFO);
	dup2(terminal_fd, STDERR_FILENO);
	close(terminal_fd);
	return close(log_fd);
}

/* What the next write wrote, behind its time; "" when nothing was. */
static const char *
logged(void)
{
	static char line[8192];
	ssize_t n = read(log_fd, line, sizeof(line) - 1);
	char when[CLOCK_TEXT_SIZE];
	int64_t ms;

	if (n <= 0)
		return "";
	line[n] = '\0';
	memcpy(when, line, sizeof(when) - 1);
	when[sizeof(when) - 1] = '\0';
	assert_true(clock_parse(when, &ms));
	assert_true(ms <= clock_machine_ms() && ms > clock_machine_ms() - 60000);
	return line + CLOCK_TEXT_SIZE - 1;
}

static void
a_fact_is_one_line_in_one_write(void **state)
{
	(void)state;
	log_info("agent=%d from=%s to=%s", 17, "ready", "offered");
	assert_string_equal(logged(), " info agent=17 from=ready to=offered\n");
	log_warn("w");
	assert_string_equal(logged(), " warn w\n");
	log_error("e");
	assert_string_equal(logged(), " error e\n");
	assert_string_equal(logged(), "");
}

static void
only_facts_of_the_level_or_above_are_written(void **state)
{
	enum log_level level;

	(void)state;
	log_debug("hidden");
	assert_string_equal(logged(), "");
	assert_true(log_level_parse("debug", &level));
	log_level_set(level);
	log_debug("seen");
	assert_string_equal(logged(), " debug seen\n");
	assert_true(log_level_parse("error", &level));
	log_level_set(level);
	assert_false(log_level_on(LOG_LEVEL_WARN));
	log_warn("hidden");
	assert_string_equal(logged(), "");
	assert_false(log_level_parse("loud", &level));
	assert_false(log_level_parse("", &level));
	assert_int_equal(level, LOG_LEVEL_ERROR);
}

static void
no_text_can_begin_a_line_or_command_a_terminal(void **state)
{
	(void)state;
	log_info("why=%s", "x\n2026-01-01T00:00:00.000Z info forged=1\r\t\x1b[2J\x7f");
	assert_string_equal(logged(),
	    " info why=x\\n2026-01-01T00:00:00.000Z info forged=1\\x0d\\t\\x1b[2J\\x7f\n");
	log_info("%s", "gr\xc3\xbcn \xc2\x9b" "2J \xc2\xa0.");
	assert_string_equal(logged(), " info gr\xc3\xbcn \\xc2\\x9b2J \xc2\xa0.\n");
}

static void
a_long_fact_is_cut_and_still_one_line(void **state)
{
	static char text[20000];

	(void)state;
	for (size_t len = 3950; len < sizeof(text); len += len < 4200 ? 1 : 3001) {
		memset(text, len % 2 == 0 ? 'a' : '\1', len);
		text[len] = '\0';
		log_info("%s", text);
		const char *line = logged();
		size_t n = strlen(line);
		assert_true(n > 3900 && n + CLOCK_TEXT_SIZE - 1 <= 4096);
		assert_ptr_equal(strchr(line, '\n'), line + n - 1);
		assert_true(len < 4060 || strcmp(line + n - 4, "...\n") == 0);
		assert_string_equal(logged(), "");
	}
}

static void
dying_says_why_and_exits_with_the_code(void **state)
{
	int status;

	(void)state;
	log_level_set(LOG_LEVEL_ERROR);
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		die(78, "conf: %s:%d: no", "callbackd.conf", 3);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 78);
	assert_string_equal(logged(), " error conf: callbackd.conf:3: no\n");
}

/* id */

static void
new_ids_rise_and_carry_the_time(void **state)
{
	struct id last = {0};
	char text[ID_TEXT_SIZE];

	(void)state;
	for (int i = 0; i < 50000; i++) {
		int64_t before = clock_machine_ms();
		struct id id = id_new();

		assert_int_equal(id_compare(last, id), -1);
		/* At 2048 a millisecond it may run ahead, but not far. */
		assert_true((int64_t)(id.hi >> 16) >= before);
		assert_true((int64_t)(id.hi >> 16) < before + 1000);
		id_format(id, text);
		assert_int_equal(text[14], '7');
		assert_non_null(strchr("89ab", text[19]));
		last = id;
	}
}

static void
an_id_is_written_and_read_back(void **state)
{
	const struct id id = { UINT64_C(0x0123456789abcdef), UINT64_C(0xfedcba9876543210) };
	char text[ID_TEXT_SIZE];
	struct id back;

	(void)state;
	id_format(id, text);
	assert_string_equal(text, "01234567-89ab-cdef-fedc-ba9876543210");
	assert_true(id_parse(text, &back) && id_equal(id, back));
	assert_true(id_parse("01234567-89AB-CDEF-FEDC-BA9876543210", &back) && id_equal(id, back));
	assert_false(id_is_zero(back));
	assert_true(id_parse("00000000-0000-0000-0000-000000000000", &back) && id_is_zero(back));
}

static void
what_is_no_id_is_refused(void **state)
{
	static const char *const wrong[] = {
		"", "0", "01234567-89ab-cdef-fedc-ba987654321", "01234567-89ab-cdef-fedc-ba98765432100",
		"0123456789abcdeffedcba9876543210", "01234567-89ab-cdef-fedc_ba9876543210",
		"g1234567-89ab-cdef-fedc-ba9876543210", "{1234567-89ab-cdef-fedc-ba9876543210}",
		"01234567-89ab-cdef-fedc-ba98765 3210", "-1234567-89ab-cdef-fedc-ba9876543210",
	};
	struct id id = { 1, 2 };

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		if (id_parse(wrong[i], &id))
			fail_msg("took %s", wrong[i]);
	}
	assert_true(id.hi == 1 && id.lo == 2);
}

static void
ids_compare_as_their_texts_do(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		char x[ID_TEXT_SIZE], y[ID_TEXT_SIZE];
		struct id a, b;

		random_bytes(&a, sizeof(a));
		random_bytes(&b, sizeof(b));
		if (i % 2 == 0)
			b.hi = a.hi;
		id_format(a, x);
		id_format(b, y);
		int order = strcmp(x, y);
		assert_int_equal(id_compare(a, b), (order > 0) - (order < 0));
		assert_int_equal(id_compare(a, a), 0);
	}
}

static void
the_same_text_gives_the_same_id(void **state)
{
	char text[ID_TEXT_SIZE];

	(void)state;
	/* SHA-256("abc") begins ba7816bf 8f01cfea 414140de 5dae2223. */
	id_format(id_of_text("abcd", 3), text);
	assert_string_equal(text, "ba7816bf-8f01-8fea-8141-40de5dae2223");
}

/* JSON */

static json_t *
parsed(const char *text)
{
	const char *why = NULL;
	json_t *value = json_parse(text, strlen(text), &why);

	if (value == NULL)
		fail_msg("%s: %s", text, why);
	return value;
}

static void
assert_refused(const char *text, size_t len, const char *beginning)
{
	const char *why = NULL;

	assert_null(json_parse(text, len, &why));
	assert_non_null(why);
	if (strncmp(why, beginning, strlen(beginning)) != 0)
		fail_msg("%s: %s", text, why);
	assert_null(strstr(why, "secret"));
}

static void
loose_json_is_refused_without_repeating_it(void **state)
{
	static const struct { const char *text, *why; } wrong[] = {
		{ "", "the JSON ends too early (line 1, column 0)" },
		{ "{\"secret\":", "the JSON ends too early" },
		{ "{\n\"secret\":1,\"secret\":2}", "the JSON has a key twice in one object (line 2, " },
		{ "{\"a\":{\"secret\":1,\"secret\":1}}", "the JSON has a key twice" },
		{ "{} secret", "something follows" },
		{ "{\"secret\":\"\\u0000\"}", "the JSON has a NUL" },
		{ "{\"sec\\u0000ret\":1}", "the JSON has a NUL" },
		{ "[123456789012345678901234567890]", "the JSON has a number that is too large" },
		{ "[1e999]", "the JSON has a number that is too large" },
		{ "[1e19]", "the JSON has a number that is too large" },
		{ "{\"a\":{\"b\":[-1e300]}}", "the JSON has a number that is too large" },
		{ "\"secret\"", "this is not a JSON" },
		{ "17", "this is not a JSON" },
		{ "{'secret':1}", "this is not a JSON" },
		{ "[1,]", "this is not a JSON" },
		{ "[NaN]", "this is not a JSON" },
		{ "[\"\\ud800\"]", "this is not a JSON" },
		{ "[\"secret\xff\"]", "the JSON is not well-formed UTF-8" },
		{ "]]]]", "this is not a JSON" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++)
		assert_refused(wrong[i].text, strlen(wrong[i].text), wrong[i].why);
	assert_refused("[\"\0\"]", 5, "the JSON is not well-formed UTF-8, or has a NUL");
}

static void
nesting_is_allowed_to_32_and_counted_outside_texts(void **state)
{
	char text[1000];

	(void)state;
	for (size_t depth = 31; depth <= 34; depth++) {
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		text[2 * depth] = '\0';
		if (depth <= 32)
			json_decref(parsed(text));
		else
			assert_refused(text, 2 * depth, "the JSON is nested deeper than 32");
	}
	memset(text, '[', 500);
	assert_refused(text, 500, "the JSON is nested deeper than 32");
	char *end = stpcpy(text, "[\"\\\\\\\"");
	memset(end, '{', 100);
	strcpy(end + 100, "\"]");
	json_t *value = parsed(text);
	assert_int_equal(json_string_length(json_array_get(value, 0)), 102);
	json_decref(value);
}

static void
getters_do_not_mind_what_is_missing_or_of_another_type(void **state)
{
	struct id id = { 1, 2 };
	const char *text = "{\"t\":\"x\",\"n\":-7,\"b\":true,\"r\":1.5,\"z\":null,"
	    "\"id\":\"01234567-89ab-7def-8edc-ba9876543210\"}";
	json_t *o = parsed(text);

	(void)state;
	assert_string_equal(json_text(o, "t"), "x");
	assert_null(json_text(o, "n"));
	assert_null(json_text(o, "none"));
	assert_null(json_text(NULL, "t"));
	assert_int_equal(json_int(o, "n", 3), -7);
	assert_int_equal(json_int(o, "r", 3), 3);
	assert_int_equal(json_int(o, "z", 3), 3);
	assert_true(json_bool(o, "b", false));
	assert_true(json_bool(o, "n", true));
	assert_false(json_id(o, "t", &id));
	assert_int_equal(id.hi, 1);
	assert_true(json_id(o, "id", &id));
	json_set_id(o, "copy", id);
	assert_string_equal(json_text(o, "copy"), json_text(o, "id"));
	json_decref(o);
}

static void
times_become_text_at_any_depth(void **state)
{
	json_t *o = parsed("{\"due_at\":0,\"n\":5,\"at\":6,\"_at\":1000,\"gone_at\":null,"
	    "\"told_at\":\"then\","
	    "\"list\":[7,{\"ended_at\":1795417200123,\"x\":{\"y_at\":-1}}],\"list_at\":[8],"
	    "\"sent\":{\"due_at\":5}}");

	(void)state;
	json_times_to_text(o, "sent");
	char *line = json_line(o);
	assert_string_equal(line, "{\"due_at\":\"1970-01-01T00:00:00.000Z\",\"n\":5,\"at\":6,"
	    "\"_at\":\"1970-01-01T00:00:01.000Z\",\"gone_at\":null,\"told_at\":\"then\","
	    "\"list\":[7,{\"ended_at\":\"2026-11-23T07:00:00.123Z\",\"x\":{\"y_at\":"
	    "\"1969-12-31T23:59:59.999Z\"}}],\"list_at\":[8],\"sent\":{\"due_at\":5}}");
	free(line);
	json_decref(o);
}

/* UTF-8 */

static size_t
encode(uint32_t c, char out[4])
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	size_t size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (size_t i = size - 1; i > 0; i--, c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)((0xf00 >> size & 0xff) | c);
	return size;
}

static void
every_character_is_utf8_but_nul_surrogates_and_what_is_above_10ffff(void **state)
{
	char out[4];

	(void)state;
	for (uint32_t c = 0; c < 0x200000; c++) {
		bool good = c > 0 && c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
		size_t size = encode(c, out);

		if (utf8_ok(out, size) != good)
			fail_msg("U+%04X", c);
		if (size > 1 && utf8_ok(out, size - 1))
			fail_msg("U+%04X cut short", c);
	}
	assert_true(utf8_ok("", 0));
}

/* How many sequences of n bytes, the first from `low` to `high`, are well-formed. */
static int
count_good(int n, int low, int high, const unsigned char *rest, int rest_count)
{
	unsigned char s[4];
	int good = 0;

	for (int a = low; a <= high; a++) {
		for (int b = 0; b < 256; b++) {
			for (int i = 0; i < rest_count; i++) {
				for (int j = 0; j < (n == 4 ? rest_count : 1); j++) {
					s[0] = (unsigned char)a;
					s[1] = (unsigned char)b;
					s[2] = rest[i];
					s[3] = rest[j];
					good += utf8_ok((const char *)s, (size_t)n);
				}
			}
		}
	}
	return good;
}

static void
nothing_else_is_utf8(void **state)
{
	static const unsigned char one[] = { 0x80 };
	static const unsigned char edges[] = { 0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff };

	(void)state;
	/* Two ASCII characters, or one of U+0080 to U+07FF. */
	assert_int_equal(count_good(2, 0, 255, one, 1), 127 * 127 + (0x800 - 0x80));
	/* Second bytes after e0, ed, and the 14 others; 80 and bf are good as third. */
	assert_int_equal(count_good(3, 0xe0, 0xef, edges, 6), (32 + 32 + 14 * 64) * 2);
	/* After f0, f1 to f3, f4; nothing begins with f5 or above. */
	assert_int_equal(count_good(4, 0xf0, 0xff, edges, 6), (48 + 3 * 64 + 16) * 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_fact_is_one_line_in_one_write, catch_log, release_log),
		cmocka_unit_test_setup_teardown(only_facts_of_the_level_or_above_are_written,
		    catch_log, release_log),
		cmocka_unit_test_setup_teardown(no_text_can_begin_a_line_or_command_a_terminal,
		    catch_log, release_log),
		cmocka_unit_test_setup_teardown(a_long_fact_is_cut_and_still_one_line,
		    catch_log, release_log),
		cmocka_unit_test_setup_teardown(dying_says_why_and_exits_with_the_code,
		    catch_log, release_log),
		cmocka_unit_test(new_ids_rise_and_carry_the_time),
		cmocka_unit_test(an_id_is_written_and_read_back),
		cmocka_unit_test(what_is_no_id_is_refused),
		cmocka_unit_test(ids_compare_as_their_texts_do),
		cmocka_unit_test(the_same_text_gives_the_same_id),
		cmocka_unit_test(loose_json_is_refused_without_repeating_it),
		cmocka_unit_test(nesting_is_allowed_to_32_and_counted_outside_texts),
		cmocka_unit_test(getters_do_not_mind_what_is_missing_or_of_another_type),
		cmocka_unit_test(times_become_text_at_any_depth),
		cmocka_unit_test(every_character_is_utf8_but_nul_surrogates_and_what_is_above_10ffff),
		cmocka_unit_test(nothing_else_is_utf8),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
