/*
 * test_intake: the pure parts of the intake: bodies of all three types, numbers,
 * the checks, the contact's link (against a projection made here), limits, and
 * the pages.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/api.h"
#include "api/form_body.h"
#include "api/intake_check.h"
#include "api/intake_limit.h"
#include "api/intake_page.h"
#include "api/page.h"
#include "api/phone.h"
#include "base/bucket.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/mem.h"
#include "node/node.h"
#include "node/tenant.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define URLENCODED "application/x-www-form-urlencoded"
#define MULTIPART "multipart/form-data; boundary=X"

/* "name=value;name=value" of the fields, then " !field: message" of the errors. */
static const char *
show(const struct form_body *b)
{
	static char text[4096];
	size_t n = 0, i;
	const json_t *error;

	text[0] = '\0';
	for (i = 0; i < b->count; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s%s%s", i > 0 ? ";" : "", b->fields[i].name,
		    b->fields[i].json != NULL ? ":" : "=", b->fields[i].value);
	json_array_foreach(b->errors, i, error)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " !%s: %s", json_text(error, "field"),
		    json_text(error, "message"));
	return text;
}

static void
assert_body(const char *type, const char *body, size_t len, enum form_body_verdict verdict, const char *shown)
{
	struct form_body b;
	/* Exactly as long as it says, so that one byte too far is seen. */
	char *copy = xmalloc(len > 0 ? len : 1);

	memcpy(copy, body, len);
	enum form_body_verdict got = form_body_read(&b, type, copy, len);
	if (got != verdict || strcmp(show(&b), shown) != 0)
		fail_msg("%s %.80s: got %d '%s' (%s), not %d '%s'", type, body, got, show(&b), b.why, verdict, shown);
	form_body_fini(&b);
	free(copy);
}

static void
test_urlencoded(void **state)
{
	static const struct { const char *body, *shown; } rows[] = {
		{ "", "" },
		{ "a=1&b=2", "a=1;b=2" },
		{ "a=1&&b=2&", "a=1;b=2" },
		{ "a", "a=" },
		{ "a=b=c", "a=b=c" },
		{ "a+b=c+d%2Be", "a b=c d+e" },
		{ "x=%E2%82%AC&x=%c3%a4", "x=\xe2\x82\xac;x=\xc3\xa4" },
		{ "x=%&y=%4&z=%zz", "x=%;y=%4;z=%zz" },
		{ "=1", " !: a field has no name" },
		{ "a=%00", " !a: is not well-formed UTF-8, or has a NUL" },
		{ "a=%ff&b=1&c=%c0%80", "b=1 !a: is not well-formed UTF-8, or has a NUL !c: is not well-formed UTF-8, or has a NUL" },
		{ "%ff=1", " !: a field's name is not well-formed UTF-8, or has a NUL" },
		{ "a%0a=1", " !: a field's name has a control character" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_body(URLENCODED, rows[i].body, strlen(rows[i].body), FORM_BODY_READ, rows[i].shown);
	assert_body(URLENCODED, "a=x\0y", 5, FORM_BODY_READ, " !a: is not well-formed UTF-8, or has a NUL");
}

static void
test_multipart(void **state)
{
#define PART(name, value) "--X\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define FILE_PART(name, rest, value) \
	"--X\r\nContent-Disposition: form-data; name=\"" name "\"; filename" rest "\r\n\r\n" value "\r\n"
	static const struct { const char *type, *body; enum form_body_verdict verdict; const char *shown; } rows[] = {
		{ MULTIPART, "--X--", FORM_BODY_READ, "" },
		{ MULTIPART, PART("a", "1") PART("b", "2") "--X--\r\n", FORM_BODY_READ, "a=1;b=2" },
		{ MULTIPART, "preamble\r\n" PART("a", "") "--X--epilogue", FORM_BODY_READ, "a=" },
		{ "Multipart/Form-Data ;Boundary=\"X\"", PART("a", "1") "--X--", FORM_BODY_READ, "a=1" },
		{ MULTIPART, PART("a", "1\r\n--\r\n--Y\r\n\r\n") "--X--", FORM_BODY_READ, "a=1\r\n--\r\n--Y\r\n\r\n" },
		{ MULTIPART, PART("a%22b\\\"c%0dd", "1") "--X--", FORM_BODY_READ, " !: a field's name has a control character" },
		{ MULTIPART, PART("a%22b\\\"c%41", "1") "--X--", FORM_BODY_READ, "a\"b\"c%41=1" },
		{ MULTIPART, "--X\r\ncontent-disposition:form-data;name=a\r\nContent-Type: text/plain\r\n\r\n1\r\n--X--", FORM_BODY_READ, "a=1" },
		{ MULTIPART, "--X \t\r\nContent-Disposition: form-data; name=a\r\n\r\n--X--", FORM_BODY_READ, "a=" },
		{ MULTIPART, "--X\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--X--", FORM_BODY_READ, "a=" },
		{ MULTIPART, "--X\r\nContent-Disposition: form-data; name=a\r\n\r\n--X\r\n\r\n--X--", FORM_BODY_MALFORMED, "a=" },
		{ MULTIPART, FILE_PART("f", "=\"\"", "") PART("a", "1") "--X--", FORM_BODY_READ, "a=1" },
		{ MULTIPART, FILE_PART("f", "=\"x.png\"", "png") PART("a", "1") "--X--", FORM_BODY_READ, "a=1 !f: is a file; files are not taken" },
		{ MULTIPART, FILE_PART("f", "*=UTF-8''x", "png") "--X--", FORM_BODY_READ, " !f: is a file; files are not taken" },
		{ MULTIPART, "--X\r\nContent-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\nMQ==\r\n--X--", FORM_BODY_READ, " !a: has a transfer encoding; send it as it is" },
		{ MULTIPART, PART("a", "\xff") "--X--", FORM_BODY_READ, " !a: is not well-formed UTF-8, or has a NUL" },
		{ MULTIPART, PART("a", "1"), FORM_BODY_MALFORMED, "" },
		{ MULTIPART, PART("a", "1") "--X", FORM_BODY_MALFORMED, "a=1" },
		{ MULTIPART, PART("a", "1") "--X-", FORM_BODY_MALFORMED, "a=1" },
		{ MULTIPART, "--X\r\n", FORM_BODY_MALFORMED, "" },
		{ MULTIPART, "--X\r\n\r\n1\r\n--X--", FORM_BODY_MALFORMED, "" },
		{ MULTIPART, "--X\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n--X--", FORM_BODY_MALFORMED, "" },
		{ MULTIPART, "--X\r\nContent-Disposition: form-data\r\n\r\n1\r\n--X--", FORM_BODY_MALFORMED, "" },
		{ MULTIPART, "--X\r\nContent-Disposition: form-data; name=\"a\r\n\r\n1\r\n--X--", FORM_BODY_READ, "a=1" },
		{ MULTIPART, "--X\r\nno colon\r\n\r\n1\r\n--X--", FORM_BODY_MALFORMED, "" },
		{ MULTIPART, "", FORM_BODY_MALFORMED, "" },
		{ MULTIPART, "--Y--", FORM_BODY_MALFORMED, "" },
		{ "multipart/form-data", "--X--", FORM_BODY_MALFORMED, "" },
		{ "multipart/form-data; boundary=", "----", FORM_BODY_MALFORMED, "" },
		{ "multipart/form-data; boundary=\"\"", "----", FORM_BODY_MALFORMED, "" },
		{ "multipart/form-data; boundary=1234567890123456789012345678901234567890123456789012345678901234567890x", "", FORM_BODY_MALFORMED, "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_body(rows[i].type, rows[i].body, strlen(rows[i].body), rows[i].verdict, rows[i].shown);
}

static void
test_json(void **state)
{
	static const struct { const char *body; enum form_body_verdict verdict; const char *shown; } rows[] = {
		{ "{}", FORM_BODY_READ, "" },
		{ "{\"b\":\"1\",\"a\":\"2\"}", FORM_BODY_READ, "b=1;a=2" },
		{ "{\"n\":1,\"t\":true,\"z\":null,\"l\":[1,\"x\"],\"o\":{\"k\":\"v\"}}", FORM_BODY_READ, "n:1;t:true;z:null;l:[1,\"x\"];o:{\"k\":\"v\"}" },
		{ "{\"\":1}", FORM_BODY_READ, " !: a field has no name" },
		{ "{\"a\\nb\":1}", FORM_BODY_READ, " !: a field's name has a control character" },
		{ "{\"a\":\"1\",\"a\":\"2\"}", FORM_BODY_MALFORMED, "" },
		{ "{\"a\":\"\\u0000\"}", FORM_BODY_MALFORMED, "" },
		{ "{\"a\":\"\xff\"}", FORM_BODY_MALFORMED, "" },
		{ "{\"a\":\"\\ud800\"}", FORM_BODY_MALFORMED, "" },
		{ "{\"a\":1e999}", FORM_BODY_MALFORMED, "" },
		{ "[1]", FORM_BODY_MALFORMED, "" },
		{ "\"a\"", FORM_BODY_MALFORMED, "" },
		{ "", FORM_BODY_MALFORMED, "" },
		{ "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", FORM_BODY_MALFORMED, "" },
		{ "{} x", FORM_BODY_MALFORMED, "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_body("application/json; charset=UTF-8", rows[i].body, strlen(rows[i].body), rows[i].verdict, rows[i].shown);
	assert_body("application/json", "{\"a\":\"\0\"}", 9, FORM_BODY_MALFORMED, "");
}

static void
test_type(void **state)
{
	static const char *const rows[] = { NULL, "", "text/plain", "application/jsonx", "application/x-www-form-urlencode",
		"multipart/mixed; boundary=X", URLENCODED "; charset=ISO-8859-1", "application/json;charset=utf-16" };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_body(rows[i], "a=1", 3, FORM_BODY_UNSUPPORTED, "");
	assert_body(URLENCODED ";charset=\"UTF-8\"", "a=1", 3, FORM_BODY_READ, "a=1");
}

/* So many fields of that length of name and value: how many are there, and are refused? */
static void
assert_limits(size_t fields, size_t name_len, size_t value_len, size_t count, size_t errors)
{
	struct form_body b;
	struct buf text = { 0 }, json = { 0 }, parts = { 0 };
	const struct { const char *type; struct buf *body; } rows[] = {
		{ URLENCODED, &text }, { "application/json", &json }, { MULTIPART, &parts }
	};
	char *value = xmalloc(value_len + 1);

	memset(value, 'v', value_len);
	value[value_len] = '\0';
	for (size_t i = 0; i < fields; i++) {
		buf_printf(&text, "%s%0*zu=%s", i > 0 ? "&" : "", (int)name_len, i, value);
		buf_printf(&json, "%s\"%0*zu\":\"%s\"", i > 0 ? "," : "{", (int)name_len, i, value);
		buf_printf(&parts, "--X\r\nContent-Disposition: form-data; name=\"%0*zu\"\r\n\r\n%s\r\n", (int)name_len, i, value);
	}
	buf_puts(&json, "}");
	buf_puts(&parts, "--X--");
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(form_body_read(&b, rows[i].type, rows[i].body->data, rows[i].body->len), FORM_BODY_READ);
		assert_int_equal(b.count, count);
		assert_int_equal(json_array_size(b.errors), errors);
		form_body_fini(&b);
		buf_fini(rows[i].body);
	}
	free(value);
}

static void
test_limits(void **state)
{
	(void)state;
	assert_limits(200, 3, 1, 200, 0);
	assert_limits(201, 3, 1, 200, 1);
	assert_limits(500, 3, 1, 200, 1);
	assert_limits(1, 100, 1, 1, 0);
	assert_limits(1, 101, 1, 0, 1);
	assert_limits(2, 101, 1, 0, 2);
	assert_limits(1, 3, 16384, 1, 0);
	assert_limits(1, 3, 16385, 0, 1);
	assert_limits(1, 700, 1, 0, 1);
}

static void
read_text(struct form_body *b, const char *text)
{
	assert_int_equal(form_body_read(b, *text == '{' ? "application/json" : URLENCODED, text, strlen(text)),
	    FORM_BODY_READ);
}

static void
test_others(void **state)
{
	static const char *const known[] = { "phone", NULL };
	struct form_body b;

	(void)state;
	read_text(&b, "c=1&phone=2&a=x&c=2&c=3");
	json_t *others = form_body_others(&b, known);
	char *line = json_line(others);
	assert_string_equal(line, "{\"c\":[\"1\",\"2\",\"3\"],\"a\":\"x\"}");
	free(line);
	json_decref(others);
	form_body_fini(&b);
	read_text(&b, "{\"l\":[1,{\"b\":null}],\"phone\":\"1\",\"n\":1.5}");
	others = form_body_others(&b, known);
	line = json_line(others);
	assert_string_equal(line, "{\"l\":[1,{\"b\":null}],\"n\":1.5}");
	free(line);
	json_decref(others);
	form_body_fini(&b);
}

static void
test_fingerprint(void **state)
{
	static const struct { const char *a, *b; bool same; } rows[] = {
		{ "a=1&b=2", "b=2&a=1", true },
		{ "a=1&b=2", "{\"b\":\"2\",\"a\":\"1\"}", true },
		{ "{\"o\":{\"x\":1,\"y\":2}}", "{\"o\":{\"y\":2,\"x\":1}}", true },
		{ "a=1&a=2", "a=2&a=1", false },
		{ "a=1&b=2", "a=1&b=3", false },
		{ "a=1", "{\"a\":1}", false },
		{ "a=1%22%2C%22b%22%2C%222", "a=1&b=2", false },
		{ "", "a=", false },
	};
	struct form_body a, b;
	char x[65], y[65];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		read_text(&a, rows[i].a);
		read_text(&b, rows[i].b);
		form_body_fingerprint(&a, x);
		form_body_fingerprint(&b, y);
		assert_int_equal(strlen(x), 64);
		if ((strcmp(x, y) == 0) != rows[i].same)
			fail_msg("%s and %s", rows[i].a, rows[i].b);
		form_body_fini(&a);
		form_body_fini(&b);
	}
}

static void
test_phone(void **state)
{
	/* e164 NULL: refused, and region is a part of why */
	static const struct { const char *text, *home, *e164, *region; enum phone_type type; } rows[] = {
		{ "030 901820", "DE", "+4930901820", "DE", PHONE_FIXED_LINE },
		{ "+49 (0)30 / 90 18-20", "US", "+4930901820", "DE", PHONE_FIXED_LINE },
		{ "0049 30 901820", "FR", "+4930901820", "DE", PHONE_FIXED_LINE },
		{ "tel:+49-30-901820", "US", "+4930901820", "DE", PHONE_FIXED_LINE },
		{ "\xef\xbc\x8b\xef\xbc\x94\xef\xbc\x99 30 901820", "US", "+4930901820", "DE", PHONE_FIXED_LINE },
		{ "0171 1234567", "DE", "+491711234567", "DE", PHONE_MOBILE },
		{ "212-736-5000", "US", "+12127365000", "US", PHONE_FIXED_OR_MOBILE },
		{ "613 563 7242", "US", "+16135637242", "CA", PHONE_FIXED_OR_MOBILE },
		{ "1-800-FLOWERS", "US", "+18003569377", "US", PHONE_TOLL_FREE },
		{ "07624 500000", "GB", "+447624500000", "IM", PHONE_MOBILE },
		{ "+881 6 12345678", "DE", "+881612345678", "001", PHONE_MOBILE },
		{ "0900 1234567", "DE", NULL, "premium-rate", 0 },
		{ "1-900-234-5678", "US", NULL, "premium-rate", 0 },
		{ "09012345678", "GB", NULL, "premium-rate", 0 },
		{ "+33 8 99 12 34 56", "FR", NULL, "premium-rate", 0 },
		{ "+979 1 2345 6789", "DE", NULL, "premium-rate", 0 },
		{ "0180 5 123456", "DE", NULL, "special rate", 0 },
		{ "+33 8 20 12 34 56", "FR", NULL, "special rate", 0 },
		{ "0345 123 4567", "GB", NULL, "special rate", 0 },
		{ "070 1123 4567", "GB", NULL, "special rate", 0 },
		{ "+44 76 40 123456", "GB", NULL, "a person answers", 0 },
		{ "+31 66 1234567", "NL", NULL, "a person answers", 0 },
		{ "030 901820 ext. 12", "DE", NULL, "extension", 0 },
		{ "112", "DE", NULL, "area code", 0 },
		{ "+49301", "DE", NULL, "area code", 0 },
		{ "+49 30 1234567890123456", "DE", NULL, "too long", 0 },
		{ "+4930000000000000000000000000000000000000000000000000000000000000", "DE", NULL, "too long", 0 },
		{ "0199 123456", "DE", NULL, "not a valid", 0 },
		{ "+999 123456789", "DE", NULL, "country code", 0 },
		{ "030 901820", "ZZ", NULL, "country code", 0 },
		{ "030 901820", "", NULL, "country code", 0 },
		{ "", "DE", NULL, "not a telephone number", 0 },
		{ "call me", "DE", NULL, "not a telephone number", 0 },
		{ "+", "DE", NULL, "not a telephone number", 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char e164[PHONE_E164_SIZE] = "", region[PHONE_REGION_SIZE] = "";
		enum phone_type type = PHONE_FIXED_LINE;
		const char *why = NULL;
		bool taken = phone_parse(rows[i].text, rows[i].home, e164, region, &type, &why);

		if (rows[i].e164 == NULL ? taken || strstr(why, rows[i].region) == NULL :
		    !taken || strcmp(e164, rows[i].e164) != 0 || strcmp(region, rows[i].region) != 0 || type != rows[i].type)
			fail_msg("%s in %s: %d %s %s %d %s", rows[i].text, rows[i].home, taken, e164, region, (int)type, why);
	}
	assert_true(phone_region_ok("DE"));
	assert_false(phone_region_ok("ZZ"));
	assert_false(phone_region_ok("001"));
	assert_false(phone_region_ok(""));
}

#define NOW INT64_C(1795420800000)	/* 2026-11-23T08:00:00Z */
static const char form_text[] = "{\"id\":7,\"key\":\"demo\",\"label\":\"Call <me>\",\"default_region\":\"DE\",\"countries\":[],"
    "\"time_zone\":\"Europe/Berlin\",\"language\":\"de\",\"horizon_s\":2592000,\"consent_required\":false,"
    "\"address_limit\":2,\"address_period_s\":60,\"number_limit\":1,\"number_period_s\":60,\"form_limit\":3,\"form_period_s\":60}";

/* The element without its case when that is empty, or the errors as "field: message; ". */
static void
assert_check(const char *form_more, const char *body, const char *expect)
{
	const char *why;
	json_t *form = json_parse(form_text, strlen(form_text), &why), *more = json_parse(form_more, strlen(form_more), &why);
	struct form_body b;
	struct intake_check check;
	struct buf got = { 0 };
	size_t i;
	const json_t *error;

	json_object_update(form, more);
	read_text(&b, body);
	intake_check(&check, form, &b, NOW);
	json_array_foreach(check.errors, i, error)
		buf_printf(&got, "%s: %s; ", json_text(error, "field"), json_text(error, "message"));
	if (check.errors == NULL) {
		if (json_object_size(json_object_get(check.callback, "case")) == 0)
			json_object_del(check.callback, "case");
		char *line = json_dumps(check.callback, JSON_COMPACT | JSON_SORT_KEYS);
		buf_puts(&got, line);
		free(line);
	}
	if (strcmp(got.data, expect) != 0)
		fail_msg("%s with %s: got\n%s, not\n%s", body, form_more, got.data, expect);
	buf_fini(&got);
	json_decref(check.callback);
	json_decref(check.errors);
	json_decref(form);
	json_decref(more);
	form_body_fini(&b);
}

#define PHONE "\"number_type\":\"fixed_line\",\"phone\":\"+4930901820\",\"region\":\"DE\""
#define GOOD(more) "{\"language\":\"de\"," PHONE more "}"
#define ASAP ",\"when\":\"asap\""
#define WHEN_SHAPE "when: must be \"asap\", a local time such as 2026-11-24T10:00, or one with an offset such as 2026-11-24T10:00:00+01:00; "

static void
test_check(void **state)
{
	static const struct { const char *form, *body, *expect; } rows[] = {
		{ "{}", "phone=030+901820", GOOD(ASAP) },
		{ "{}", "phone=+030+901820+&when=ASAP&name=&email=++&website=", GOOD(ASAP) },
		{ "{}", "", "phone: is required; " },
		{ "{}", "phone=", "phone: is required; " },
		{ "{}", "{\"phone\":null}", "phone: is required; " },
		{ "{}", "{\"phone\":30901820}", "phone: must be a text; " },
		{ "{}", "phone=1&phone=2", "phone: was sent more than once; " },
		{ "{}", "phone=%ff", "phone: is not well-formed UTF-8, or has a NUL; " },
		{ "{}", "phone=0900+1234567", "phone: is a premium-rate number, which is not called; " },
		{ "{}", "phone=%2B33142685300", "phone: is a number in a country that is not called; " },
		{ "{\"countries\":[\"FR\",\"DE\"]}", "phone=030901820", GOOD(ASAP) },
		{ "{\"countries\":[\"FR\"]}", "phone=030901820", "phone: is a number in a country that is not called; " },
		{ "{}", "phone=030901820&name=Ann%0ALee", "name: must be one line, without control characters; " },
		{ "{}", "phone=030901820&notes=a%0D%0Ab%09c%0D%0A", "{\"language\":\"de\",\"notes\":\"a\\nb\\tc\"," PHONE ASAP "}" },
		{ "{}", "phone=030901820&notes=%01", "notes: has control characters; " },
		{ "{}", "phone=030901820&email=ann%40example.org", "{\"email\":\"ann@example.org\",\"language\":\"de\"," PHONE ASAP "}" },
		{ "{}", "phone=030901820&email=ann", "email: is not an e-mail address; " },
		{ "{}", "phone=030901820&email=a%40b%40c", "email: is not an e-mail address; " },
		{ "{}", "phone=030901820&email=%40c", "email: is not an e-mail address; " },
		{ "{}", "phone=030901820&email=a%40c.", "email: is not an e-mail address; " },
		{ "{}", "phone=030901820&email=a%40b,c%40d", "email: is not an e-mail address; " },
		{ "{}", "phone=030901820&language=pt-BR", "{\"language\":\"pt-BR\"," PHONE ASAP "}" },
		{ "{}", "phone=030901820&language=x", "language: is not a language tag such as \"en\" or \"pt-BR\"; " },
		{ "{}", "phone=030901820&time_zone=Europe/Paris", "{\"language\":\"de\"," PHONE ",\"time_zone\":\"Europe/Paris\",\"when\":\"asap\"}" },
		{ "{}", "phone=030901820&time_zone=';--", "time_zone: is not a time zone such as \"Europe/Berlin\"; " },
		{ "{}", "phone=030901820&when=2026-11-24T10:00", GOOD(",\"when\":\"2026-11-24T10:00\"") },
		{ "{}", "phone=030901820&when=2026-11-24T10:00:00", GOOD(",\"when\":\"2026-11-24T10:00\"") },
		{ "{}", "phone=030901820&when=2026-11-24T10:00:30.500", GOOD(",\"when\":\"2026-11-24T10:00:30\"") },
		{ "{}", "phone=030901820&when=2026-11-24T10:00:00%2B01:00", "{\"at\":1795510800000,\"language\":\"de\"," PHONE "}" },
		{ "{}", "phone=030901820&when=2026-11-24T10:00:00Z", "{\"at\":1795514400000,\"language\":\"de\"," PHONE "}" },
		{ "{}", "phone=030901820&when=tomorrow", WHEN_SHAPE },
		{ "{}", "phone=030901820&when=2026-11-31T10:00", WHEN_SHAPE },
		{ "{}", "phone=030901820&when=2026-02-29T10:00", WHEN_SHAPE },
		{ "{}", "phone=030901820&when=2026-11-24T24:00", WHEN_SHAPE },
		{ "{}", "phone=030901820&when=2026-11-24T10:60", WHEN_SHAPE },
		{ "{}", "phone=030901820&when=2026-11-24T10:00:00.", WHEN_SHAPE },
		{ "{}", "phone=030901820&when=2026-11-24T10:00:00.1234", WHEN_SHAPE },
		{ "{}", "phone=030901820&when=2026-11-24", WHEN_SHAPE },
		{ "{}", "phone=030901820&when=2026-11-24T10:0", WHEN_SHAPE },
		/* Wrong in every zone is said here; what is wrong in some is SQL's to say. */
		{ "{}", "phone=030901820&when=2026-11-22T19:58", "when: is in the past; " },
		{ "{}", "phone=030901820&when=2026-11-22T20:00", GOOD(",\"when\":\"2026-11-22T20:00\"") },
		{ "{}", "phone=030901820&when=2026-12-23T22:01", "when: is too far ahead; " },
		{ "{}", "phone=030901820&when=2026-12-23T22:00", GOOD(",\"when\":\"2026-12-23T22:00\"") },
		{ "{}", "phone=030901820&when=2026-11-23T07:58:59Z", "when: is in the past; " },
		{ "{}", "phone=030901820&when=2026-12-23T08:00:01Z", "when: is too far ahead; " },
		{ "{}", "phone=030901820&consent=on", "{\"consent\":true,\"language\":\"de\"," PHONE ASAP "}" },
		{ "{}", "phone=030901820&consent=No", "{\"consent\":false,\"language\":\"de\"," PHONE ASAP "}" },
		{ "{}", "{\"phone\":\"030901820\",\"consent\":true}", "{\"consent\":true,\"language\":\"de\"," PHONE ASAP "}" },
		{ "{}", "{\"phone\":\"030901820\",\"consent\":2}", "consent: must be true or false; " },
		{ "{}", "phone=030901820&consent=perhaps", "consent: must be yes or no; " },
		{ "{\"consent_required\":true}", "phone=030901820", "consent: is required; " },
		{ "{\"consent_required\":true}", "phone=030901820&consent=false", "consent: is required; " },
		{ "{\"consent_required\":true}", "{\"phone\":\"030901820\",\"consent\":null}", "consent: is required; " },
		{ "{}", "phone=030901820&order=5&tag=a&tag=b", "{\"case\":{\"order\":\"5\",\"tag\":[\"a\",\"b\"]},\"language\":\"de\"," PHONE ASAP "}" },
		{ "{\"consent_required\":true}", "phone=abc&email=x&when=never&language=1&time_zone=!&x=%ff",
		  "x: is not well-formed UTF-8, or has a NUL; phone: is not a telephone number; email: is not an e-mail address; "
		  WHEN_SHAPE "time_zone: is not a time zone such as \"Europe/Berlin\"; "
		  "language: is not a language tag such as \"en\" or \"pt-BR\"; consent: is required; " },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_check(rows[i].form, rows[i].body, rows[i].expect);
}

static void
test_robot(void **state)
{
	static const struct { const char *body; bool robot; } rows[] = {
		{ "phone=1", false },
		{ "website=", false },
		{ "website=+%0a", false },
		{ "website=http://x", true },
		{ "website=&website=x", true },
		{ "{\"website\":null}", false },
		{ "{\"website\":1}", true },
	};
	struct form_body b;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		read_text(&b, rows[i].body);
		if (intake_is_robot(&b) != rows[i].robot)
			fail_msg("%s", rows[i].body);
		form_body_fini(&b);
	}
}

static void
test_limit(void **state)
{
	const char *why;
	json_t *form = json_parse(form_text, strlen(form_text), &why);
	struct bucket_table *t = bucket_table_new(100);
	struct intake_limit l, m;

	(void)state;
	/* One for each number; what is refused holds none of the others. */
	assert_int_equal(intake_limit_take(&l, t, form, "192.0.2.1", "+491", 1000), 0);
	assert_true(intake_limit_take(&m, t, form, "192.0.2.2", "+491", 1000) > 0);
	assert_null(m.taken[0]);
	intake_limit_fini(&l);
	assert_int_equal(intake_limit_take(&l, t, form, "192.0.2.2", "+492", 1000), 0);
	intake_limit_fini(&l);
	/* Two of one address; given back, it is there again; an address written as IPv6 is the same one. */
	assert_int_equal(intake_limit_take(&l, t, form, "192.0.2.2", "+493", 1000), 0);
	assert_true(intake_limit_take(&m, t, form, "192.0.2.2", "+494", 1000) > 0);
	intake_limit_give(&l, t);
	assert_int_equal(intake_limit_take(&l, t, form, "::ffff:192.0.2.2", "+494", 1000), 0);
	assert_int_equal(intake_limit_take(&m, t, form, "192.0.2.2", "+495", 1000), 30000);
	intake_limit_fini(&l);
	/* Three of the form. */
	assert_true(intake_limit_take(&m, t, form, "192.0.2.9", "+496", 1000) > 0);
	/* 0: no limit. A /64 of IPv6 is one address. */
	json_object_set_new(form, "form_limit", json_integer(0));
	json_object_set_new(form, "number_limit", json_integer(0));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(intake_limit_take(&l, t, form, i == 0 ? "2001:db8::1" : "2001:db8::2:1", "+491", 1000), 0);
		intake_limit_fini(&l);
	}
	assert_true(intake_limit_take(&m, t, form, "2001:db8::3", "+491", 1000) > 0);
	assert_int_equal(intake_limit_take(&l, t, form, "2001:db8:0:1::3", "+491", 1000), 0);
	intake_limit_fini(&l);
	bucket_table_free(t);
	json_decref(form);
}

/* link: a tenant of our own making, with the secrets that a test gives it. */

static struct { int id, secrets; uint8_t secret[2][32]; bool loaded; } own;

struct tenant *node_tenant(struct node *node, int id) { (void)node; return id == own.id ? (struct tenant *)&own : NULL; }
int tenant_id(const struct tenant *t) { assert_ptr_equal(t, &own); return own.id; }
struct projection *
tenant_projection(struct tenant *t)
{
	assert_ptr_equal(t, &own);
	return own.loaded ? (struct projection *)&own : NULL;
}
void
projection_each_secret(const struct projection *p, const char *purpose, bool (*fn)(void *, const uint8_t *), void *arg)
{
	(void)p;
	assert_string_equal(purpose, "link");
	for (int i = 0; i < own.secrets && fn(arg, own.secret[i]); i++)
		continue;
}

bool
projection_signing_secret(const struct projection *p, const char *purpose, int64_t now_ms, uint8_t value[32])
{
	(void)p;
	assert_string_equal(purpose, "link");
	assert_int_equal(now_ms, 1000);
	memcpy(value, own.secret[0], 32);
	return own.secrets > 0;
}
struct node *tenant_node(const struct tenant *t) { (void)t; return NULL; }
int64_t node_now_ms(const struct node *node) { (void)node; return 1000; }

static bool
verify(const char *token, struct id *id)
{
	struct tenant *t = NULL;
	bool good = api_link_verify(NULL, token, &t, id);

	if (good)
		assert_ptr_equal(t, &own);
	return good;
}

static void
test_link(void **state)
{
	struct id id = id_new(), got;

	(void)state;
	own.id = 77;
	own.secrets = 1;
	own.loaded = true;
	memset(own.secret[0], 1, 32);
	char *token = api_link_token((struct tenant *)&own, id);
	assert_int_equal(strlen(token), 48);
	assert_true(verify(token, &got));
	assert_true(id_equal(id, got));

	/* Every letter counts, and so does the length. */
	for (size_t i = 0; i < 48; i++) {
		char was = token[i];
		token[i] = was == 'A' ? 'B' : 'A';
		assert_false(verify(token, &got));
		token[i] = was;
	}
	char *longer = xasprintf("%sA", token);
	assert_false(verify(longer, &got));
	free(longer);
	token[47] = '\0';
	assert_false(verify(token, &got));
	free(token);
	assert_false(verify("", &got));
	assert_false(verify("../../../etc/passwd", &got));
	assert_false(verify("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &got));
	assert_false(verify("________________________________________________", &got));
}

static void
test_link_secrets(void **state)
{
	struct id id = id_new(), got;

	(void)state;
	own.id = INT32_MAX;
	own.secrets = 1;
	own.loaded = true;
	memset(own.secret[0], 1, 32);
	char *old = api_link_token((struct tenant *)&own, id);
	/* A new secret comes first: it signs, and the old one still verifies, until it is gone. */
	own.secrets = 2;
	memset(own.secret[0], 2, 32);
	memset(own.secret[1], 1, 32);
	char *new = api_link_token((struct tenant *)&own, id);
	assert_string_not_equal(old, new);
	assert_true(verify(old, &got));
	assert_true(verify(new, &got));
	own.secrets = 1;
	assert_false(verify(old, &got));
	assert_true(verify(new, &got));
	own.id = 5;
	assert_false(verify(new, &got));
	own.id = INT32_MAX;
	own.secrets = 0;
	assert_false(verify(new, &got));
	assert_null(api_link_token((struct tenant *)&own, id));
	own.secrets = 1;
	own.loaded = false;
	assert_false(verify(new, &got));
	assert_null(api_link_token((struct tenant *)&own, id));
	free(old);
	free(new);
}

static const char *
part(void *arg, const char *name)
{
	assert_ptr_equal(arg, form_text);
	return strcmp(name, "style") == 0	? "<b>{{n}}{{x}}</b>"
	    : strcmp(name, "itself") == 0	? "{{n}} {{{itself}}}"
	    : strcmp(name, "section") == 0	? "{{#yes}}open"
						: NULL;
}

static void
test_page(void **state)
{
	static const char values[] = "{\"text\":\"<a href=\\\"x\\\" b='&'>\",\"n\":42,\"yes\":true,\"no\":false,\"null\":null,\"none\":\"\","
	    "\"list\":[{\"x\":\"1\",\"n\":\"i\"},{\"x\":\"2\"}],\"empty\":[]}";
	static const struct { const char *template, *out; } rows[] = {
		{ "", "" },
		{ "plain }} text", "plain }} text" },
		{ "{{text}}", "&lt;a href=&quot;x&quot; b=&#39;&amp;&#39;&gt;" },
		{ "[{{n}}|{{missing}}|{{null}}|{{list}}]", "[42|||]" },
		{ "{{{style}}}{{{text}}}{{{missing}}}", "<b>42</b>" },
		{ "{{#list}}{{{style}}}{{/list}}", "<b>i1</b><b>422</b>" },
		{ "{{{section}}}-{{/yes}}", "open-" },
		{ "{{{itself}}}.", "42 42 42 42 42 42 42 42 42 42 42 42 42 42 42 42 ." },
		{ "{{#text}}a{{/text}}{{#n}}b{{/n}}{{#yes}}c{{/yes}}{{#no}}d{{/no}}{{#null}}e{{/null}}{{#none}}f{{/none}}{{#missing}}g{{/missing}}", "abc" },
		{ "{{^text}}a{{/text}}{{^no}}d{{/no}}{{^none}}f{{/none}}{{^missing}}g{{/missing}}{{^empty}}h{{/empty}}{{^list}}i{{/list}}", "dfgh" },
		{ "{{#list}}{{x}}{{n}},{{/list}}{{#empty}}x{{/empty}}{{n}}", "1i,242,42" },
		{ "{{#list}}{{#x}}({{x}}){{/x}}{{/list}}", "(1)(2)" },
		{ "{{#list}}{{#list}}{{x}}{{/list}}-{{/list}}", "12-12-" },
		{ "{{open", "{{open" },
		{ "{{", "{{" },
		{ "{{{", "{{{" },
		{ "a{{#yes}}b", "ab" },
		{ "a{{/yes}}b", "ab" },
		{ "{{#0123456789012345678901234567890123456789012345678901234567890123456789}}x", "{{#0123456789012345678901234567890123456789012345678901234567890123456789}}x" },
	};
	const char *why;
	json_t *object = json_parse(values, strlen(values), &why);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *out = page_render(rows[i].template, object, part, (void *)(uintptr_t)form_text);
		assert_string_equal(out, rows[i].out);
		free(out);
	}
	json_decref(object);
}

/* A file of server/www. */
static char *
www(const char *name)
{
	char *path = xasprintf(SRCDIR "/server/www/%s", name);
	FILE *f = fopen(path, "r");
	char *text = xcalloc(1, 65536);

	if (f == NULL)
		fail_msg("%s", path);
	assert_true(fread(text, 1, 65535, f) > 0);
	fclose(f);
	free(path);
	return text;
}

static void
assert_has(const char *html, const char *what)
{
	if (strstr(html, what) == NULL)
		fail_msg("'%s' is not in:\n%s", what, html);
}

static void
test_form_page(void **state)
{
	static const char evil[] = "phone=abc&name=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&notes=%3C/textarea%3E&when=soon&"
	    "order=%27x%27%3E&website=spam&language=1&time_zone=Europe/Rome&consent=on";
	const char *why;
	json_t *form = json_parse(form_text, strlen(form_text), &why);
	struct form_body b;
	struct intake_check check;
	char *template = www("form.html");

	(void)state;
	json_object_set_new(form, "consent_text", json_string("Yes & yes"));
	json_t *values = intake_page_values(form, NULL, NULL, NULL);
	char *html = page_render(template, values, NULL, NULL);
	assert_has(html, "<h1>Call &lt;me&gt;</h1>");
	assert_has(html, "type=\"datetime-local\" id=\"when\" name=\"when\" value=\"\"");
	assert_has(html, "id=\"time_zone\" name=\"time_zone\" value=\"Europe/Berlin\"");
	assert_has(html, "Yes &amp; yes");
	assert_null(strstr(html, "role=\"alert\""));
	assert_null(strstr(html, "aria-invalid"));
	assert_null(strstr(html, " checked"));
	assert_null(strstr(html, "{{"));
	free(html);
	json_decref(values);

	read_text(&b, evil);
	intake_check(&check, form, &b, NOW);
	values = intake_page_values(form, &b, check.errors, NULL);
	html = page_render(template, values, NULL, NULL);
	assert_has(html, "role=\"alert\"");
	assert_has(html, "<a href=\"#phone\">Telephone number is not a telephone number</a>");
	assert_has(html, "<span class=\"error\" id=\"phone-error\">is not a telephone number</span>");
	assert_has(html, "name=\"phone\" value=\"abc\"");
	assert_has(html, "value=\"&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;\"");
	assert_has(html, "&lt;/textarea&gt;</textarea>");
	assert_has(html, "type=\"text\" id=\"when\" name=\"when\" value=\"soon\"");
	assert_has(html, "<input type=\"hidden\" name=\"order\" value=\"&#39;x&#39;&gt;\">");
	assert_has(html, "value=\"Europe/Rome\"");
	assert_has(html, " checked");
	assert_has(html, "name=\"website\" value=\"\"");
	/* A wrong field without a place on the page would stay wrong for ever. */
	assert_null(strstr(html, "name=\"language\""));
	assert_null(strstr(html, "<script"));
	assert_null(strstr(html, "{{"));
	free(html);
	json_decref(values);

	values = intake_page_values(form, &b, NULL, "Later, <please>.");
	html = page_render(template, values, NULL, NULL);
	assert_has(html, "<p>Later, &lt;please&gt;.</p>");
	assert_null(strstr(html, "aria-invalid"));
	free(html);
	json_decref(values);
	json_decref(check.callback);
	json_decref(check.errors);
	form_body_fini(&b);
	json_decref(form);
	free(template);
}

/* The pages ask nothing of any other server, and every section is closed. */
static void
test_pages(void **state)
{
	static const char *const names[] = { "form.html", "thanks.html", "status.html", "error.html", "style.html", "actions.html",
		"slot_times.html" };
	static const char *const never[] = { "http:", "https:", "src=", "<script", "<link", "@import", "url(" };

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		char *text = www(names[i]);
		int open = 0;

		for (size_t k = 0; k < COUNT(never); k++) {
			if (strstr(text, never[k]) != NULL)
				fail_msg("%s has %s", names[i], never[k]);
		}
		for (const char *p = text; (p = strstr(p, "{{")) != NULL; p += 2)
			open += p[2] == '#' || p[2] == '^' ? 1 : p[2] == '/' ? -1 : 0;
		assert_int_equal(open, 0);
		free(text);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urlencoded),
		cmocka_unit_test(test_multipart),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_type),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_fingerprint),
		cmocka_unit_test(test_phone),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_robot),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_link),
		cmocka_unit_test(test_link_secrets),
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_form_page),
		cmocka_unit_test(test_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
