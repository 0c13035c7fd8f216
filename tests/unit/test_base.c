/*
 * test_base: memory, the heap, token buckets, clocks and the loop's own lateness.
 */
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "base/bucket.h"
#include "base/clock.h"
#include "base/descriptors.h"
#include "base/heap.h"
#include "base/lag.h"
#include "base/mem.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* So that what malloc refuses reaches our own check under the sanitizer too. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static unsigned
draw(unsigned *seed, unsigned below)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 8) % below;
}

/* mem */

static void
a_buffer_grows_and_always_ends_in_a_nul(void **state)
{
	struct buf b = {0};

	(void)state;
	for (size_t i = 0; i < 10000; i++) {
		buf_add(&b, "x", 1);
		assert_int_equal(b.len, i + 1);
		assert_int_equal(b.data[b.len], '\0');
	}
	buf_add(&b, NULL, 0);
	assert_int_equal(strlen(b.data), 10000);
	buf_fini(&b);
	assert_null(b.data);
}

static void
a_buffer_prints_what_is_longer_than_its_room(void **state)
{
	struct buf b = {0};

	(void)state;
	buf_puts(&b, "n=");
	buf_printf(&b, "%d %0500d", 7, 8);
	assert_int_equal(b.len, 2 + 2 + 500);
	assert_memory_equal(b.data, "n=7 000", 7);
	assert_string_equal(b.data + b.len - 3, "008");
	/* Texts of every length up to and past the capacity. */
	for (int n = 0; n < 300; n++) {
		struct buf c = {0};

		buf_printf(&c, "%*s", n, "");
		assert_int_equal(c.len, n);
		assert_int_equal(strlen(c.data), n);
		buf_fini(&c);
	}
	buf_fini(&b);
}

static void
a_taken_buffer_starts_again_empty(void **state)
{
	struct buf b = {0};

	(void)state;
	char *nothing = buf_take(&b);
	assert_string_equal(nothing, "");
	buf_puts(&b, "old");
	buf_reset(&b);
	buf_puts(&b, "new");
	char *text = buf_take(&b);
	assert_string_equal(text, "new");
	assert_int_equal(b.len, 0);
	buf_puts(&b, "next");
	assert_string_equal(b.data, "next");
	assert_string_equal(text, "new");
	free(nothing);
	free(text);
	buf_fini(&b);
}

static void
texts_are_copied_and_printed(void **state)
{
	(void)state;
	char *a = xstrdup("callback"), *b = xstrndup("callback", 4), *c = xasprintf("%s-%d", "q", 7);

	assert_string_equal(a, "callback");
	assert_string_equal(b, "call");
	assert_string_equal(c, "q-7");
	free(a);
	free(b);
	free(c);
}

static void
an_allocation_of_nothing_is_still_something(void **state)
{
	(void)state;
	void *all[] = { xmalloc(0), xcalloc(0, 8), xrealloc(NULL, 0), xreallocarray(NULL, 0, 8) };

	for (size_t i = 0; i < COUNT(all); i++) {
		assert_non_null(all[i]);
		free(all[i]);
	}
}

static void
a_product_that_overflows_ends_the_process(void **state)
{
	volatile size_t many = SIZE_MAX / 2;
	int status;

	(void)state;
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* Its complaint is expected, and not for the test's log. */
		close(STDERR_FILENO);
		free(xreallocarray(NULL, many, 4));
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
}

/* heap */

struct thing {
	int key;
	int number;
	struct heap_node node;
};

static bool
thing_less(const struct heap_node *a, const struct heap_node *b)
{
	const struct thing *x = heap_entry(a, struct thing, node);
	const struct thing *y = heap_entry(b, struct thing, node);

	return x->key != y->key ? x->key < y->key : x->number < y->number;
}

static struct thing *
model_min(struct thing *things, size_t n)
{
	struct thing *min = NULL;

	for (size_t i = 0; i < n; i++) {
		if (heap_in(&things[i].node) && (min == NULL || thing_less(&things[i].node, &min->node)))
			min = &things[i];
	}
	return min;
}

static void
a_heap_agrees_with_a_plain_search_after_every_operation(void **state)
{
	struct thing things[200];
	struct heap h;
	unsigned seed = 1;
	size_t inside = 0;

	(void)state;
	heap_init(&h, thing_less);
	assert_null(heap_min(&h));
	for (size_t i = 0; i < COUNT(things); i++)
		things[i] = (struct thing){ .number = (int)i };
	for (int step = 0; step < 20000; step++) {
		struct thing *t = &things[draw(&seed, COUNT(things))];

		if (!heap_in(&t->node)) {
			t->key = (int)draw(&seed, 50);
			heap_insert(&h, &t->node);
			inside++;
		} else if (draw(&seed, 2) == 0) {
			t->key = (int)draw(&seed, 50);
			heap_moved(&h, &t->node);
		} else {
			heap_remove(&h, &t->node);
			inside--;
		}
		struct thing *min = model_min(things, COUNT(things));
		assert_ptr_equal(heap_min(&h), min == NULL ? NULL : &min->node);
		assert_int_equal(h.count, inside);
	}
	heap_fini(&h);
}

static void
a_heap_gives_things_back_in_order(void **state)
{
	static struct thing things[1000];
	struct heap h;
	unsigned seed = 2;
	struct heap_node *n, *before = NULL;
	size_t count = 0;

	(void)state;
	heap_init(&h, thing_less);
	for (size_t i = 0; i < COUNT(things); i++) {
		things[i] = (struct thing){ .key = (int)draw(&seed, 100), .number = (int)i };
		heap_insert(&h, &things[i].node);
	}
	for (; (n = heap_min(&h)) != NULL; before = n, count++) {
		assert_true(before == NULL || thing_less(before, n));
		heap_remove(&h, n);
		assert_false(heap_in(n));
	}
	assert_int_equal(count, COUNT(things));
	heap_fini(&h);
}

/* bucket */

static void
a_bucket_gives_its_burst_and_then_says_when_to_come_back(void **state)
{
	struct bucket_table *t = bucket_table_new(10);

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(bucket_take(t, "a", 5, 1000, 7000), 0);
	assert_int_equal(bucket_take(t, "a", 5, 1000, 7000), 200);
	assert_int_equal(bucket_take(t, "a", 5, 1000, 7050), 150);
	assert_int_equal(bucket_take(t, "a", 5, 1000, 7199), 1);
	assert_int_equal(bucket_take(t, "a", 5, 1000, 7200), 0);
	assert_int_equal(bucket_take(t, "a", 5, 1000, 7200), 200);
	assert_int_equal(bucket_take(t, "b", 5, 1000, 7200), 0);
	bucket_table_free(t);
}

static void
who_waits_as_long_as_told_is_served_and_not_a_millisecond_before(void **state)
{
	unsigned seed = 3;

	(void)state;
	for (int i = 0; i < 2000; i++) {
		struct bucket_table *t = bucket_table_new(1);
		int burst = 1 + (int)draw(&seed, 20);
		int64_t period = 1 + draw(&seed, 100000), now = draw(&seed, 1000000);

		int taken = 0;
		int64_t wait;
		for (; (wait = bucket_take(t, "k", burst, period, now)) == 0; taken++)
			assert_true(taken < burst);
		assert_int_equal(taken, burst);
		assert_true(wait >= period / burst && wait <= period / burst + 1);
		if (wait > 1)
			assert_int_equal(bucket_take(t, "k", burst, period, now + wait - 1), 1);
		assert_int_equal(bucket_take(t, "k", burst, period, now + wait), 0);
		bucket_table_free(t);
	}
}

static void
a_bucket_never_gives_more_than_its_rate(void **state)
{
	struct bucket_table *t = bucket_table_new(1);
	unsigned seed = 4;
	int64_t now = 0, taken = 0;

	(void)state;
	for (int i = 0; i < 50000; i++) {
		now += draw(&seed, 40);
		if (bucket_take(t, "k", 7, 300, now) == 0)
			taken++;
		assert_true(taken <= 7 + now * 7 / 300 + 1);
	}
	/* Asked all the time, it gives all that it may. */
	assert_true(taken >= now * 7 / 300 - 7);
	bucket_table_free(t);
}

static void
a_token_given_back_can_be_taken_again_but_never_adds_to_the_burst(void **state)
{
	struct bucket_table *t = bucket_table_new(4);

	(void)state;
	bucket_give(t, "unknown");
	assert_int_equal(bucket_take(t, "k", 2, 1000, 0), 0);
	assert_int_equal(bucket_take(t, "k", 2, 1000, 0), 0);
	assert_int_equal(bucket_take(t, "k", 2, 1000, 0), 500);
	bucket_give(t, "k");
	assert_int_equal(bucket_take(t, "k", 2, 1000, 0), 0);
	for (int i = 0; i < 10; i++)
		bucket_give(t, "k");
	assert_int_equal(bucket_take(t, "k", 2, 1000, 0), 0);
	assert_int_equal(bucket_take(t, "k", 2, 1000, 0), 0);
	assert_int_equal(bucket_take(t, "k", 2, 1000, 0), 500);
	bucket_table_free(t);
}

static void
a_full_table_forgets_the_longest_unused_key(void **state)
{
	struct bucket_table *t = bucket_table_new(2);

	(void)state;
	assert_int_equal(bucket_take(t, "a", 1, 1000, 0), 0);
	assert_int_equal(bucket_take(t, "b", 1, 1000, 0), 0);
	assert_int_equal(bucket_take(t, "a", 1, 1000, 1), 999);
	assert_int_equal(bucket_take(t, "c", 1, 1000, 2), 0);
	/* b went, a stayed because it was asked for. */
	assert_int_equal(bucket_take(t, "a", 1, 1000, 3), 997);
	assert_int_equal(bucket_take(t, "b", 1, 1000, 4), 0);
	bucket_table_free(t);
}

static void
many_keys_are_kept_apart(void **state)
{
	struct bucket_table *t = bucket_table_new(5000);
	char key[32];

	(void)state;
	for (int64_t round = 0; round < 2; round++) {
		for (int i = 0; i < 5000; i++) {
			snprintf(key, sizeof(key), "198.51.100.%d", i);
			assert_int_equal(bucket_take(t, key, 1, 1000, 0), round * 1000);
		}
	}
	bucket_table_free(t);
}

static void
odd_limits_and_times_do_no_harm(void **state)
{
	struct bucket_table *t = bucket_table_new(4);

	(void)state;
	assert_int_equal(bucket_take(t, "none", 0, 1000, 0), 1000);
	assert_int_equal(bucket_take(t, "none", -5, 1000, 0), 1000);
	assert_int_equal(bucket_take(t, "zero", 1, 0, 10), 0);
	assert_int_equal(bucket_take(t, "huge", INT32_MAX, INT64_MAX, INT64_MAX), 0);
	/* The clock goes back, the limit is lowered: nobody waits longer than one token. */
	assert_int_equal(bucket_take(t, "k", 10, 1000000, 5000), 0);
	assert_int_equal(bucket_take(t, "k", 1, 1000, 100), 1000);
	bucket_table_free(t);
}

/* clock */

static const struct { const char *text; int64_t ms; } times[] = {
	{ "1970-01-01T00:00:00Z", 0 },
	{ "2026-11-23T07:00:00.123Z", 1795417200123 },
	{ "2026-11-23t07:00:00.123z", 1795417200123 },
	{ "2026-11-23T07:00:00.1239999999999Z", 1795417200123 },
	{ "2026-11-23T07:00:00.1Z", 1795417200100 },
	{ "2026-11-23T08:00:00.123+01:00", 1795417200123 },
	{ "2026-11-23T07:00:00.123-00:00", 1795417200123 },
	{ "2024-02-29T23:30:00-05:30", 1709269200000 },
	{ "2000-02-29T00:00:00Z", 951782400000 },
	{ "1969-12-31T23:59:59.999Z", -1 },
	{ "0001-01-01T00:00:00Z", -62135596800000 },
	{ "0000-01-01T00:00:00Z", -62167219200000 },
	{ "9999-12-31T23:59:59.999Z", 253402300799999 },
	{ "2016-12-31T23:59:60Z", 1483228800000 },
	{ "2017-01-01T00:59:60+01:00", 1483228800000 },
};

static void
rfc_3339_times_are_understood(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(times); i++) {
		int64_t ms = 1;

		if (!clock_parse(times[i].text, &ms))
			fail_msg("refused %s", times[i].text);
		assert_int_equal(ms, times[i].ms);
	}
}

static void
everything_else_is_refused_and_changes_nothing(void **state)
{
	static const char *const wrong[] = {
		"", "2026", "2026-11-23", "2026-11-23T07:00Z", "2026-11-23T07:00:00",
		"2026-11-23 07:00:00Z", " 2026-11-23T07:00:00Z", "2026-11-23T07:00:00Z ",
		"2026-11-23T07:00:00ZZ", "2026-11-23T07:00:00.Z", "2026-11-23T07:00:00,1Z",
		"2026-00-23T07:00:00Z", "2026-13-23T07:00:00Z", "2026-11-00T07:00:00Z",
		"2026-11-31T07:00:00Z", "2026-02-29T07:00:00Z", "1900-02-29T07:00:00Z",
		"2026-11-23T24:00:00Z", "2026-11-23T07:60:00Z", "2026-11-23T07:00:61Z",
		"2026-11-23T07:00:60Z", "2026-11-23T07:00:00+24:00", "2026-11-23T07:00:00+01:60",
		"2026-11-23T07:00:00+0100", "2026-11-23T07:00:00+1:00", "2026-11-23T07:00:00+01",
		"-026-11-23T07:00:00Z", "+2026-11-23T07:00:00Z", "12026-11-23T07:00:00Z",
		"2026-1-23T07:00:00Z", "2026-11-23T7:00:00Z", "20261123T070000Z",
		"0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "2026-11-23T0x:00:00Z",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		int64_t ms = 42;

		if (clock_parse(wrong[i], &ms))
			fail_msg("took %s", wrong[i]);
		assert_int_equal(ms, 42);
	}
}

static void
what_is_written_is_read_back(void **state)
{
	char text[CLOCK_TEXT_SIZE];
	unsigned seed = 5;
	const int64_t first = -62167219200000, span = 315569520000000;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		uint64_t random = (uint64_t)draw(&seed, 1u << 24) << 24 | draw(&seed, 1u << 24);
		int64_t ms = first + (int64_t)(random % (uint64_t)span), back = 0;

		clock_format(ms, text);
		assert_int_equal(strlen(text), CLOCK_TEXT_SIZE - 1);
		assert_true(clock_parse(text, &back));
		assert_int_equal(back, ms);
	}
	clock_format(-1, text);
	assert_string_equal(text, "1969-12-31T23:59:59.999Z");
	clock_format(INT64_MIN, text);
	assert_string_equal(text, "0000-01-01T00:00:00.000Z");
	clock_format(INT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59.999Z");
}

static void
a_fake_clock_moves_only_when_told_and_a_real_one_never(void **state)
{
	struct clock fake = { .fake = true, .fake_ms = 1000, .offset_ms = 77 };
	struct clock real = { .offset_ms = 3600000 };

	(void)state;
	assert_int_equal(clock_now_ms(&fake), 1000);
	assert_true(clock_advance(&fake, 500));
	assert_false(clock_advance(&fake, -1));
	assert_false(clock_advance(&fake, INT64_MAX));
	assert_int_equal(clock_now_ms(&fake), 1500);
	/* A real one is the machine's, corrected to the database's. */
	int64_t before = clock_machine_ms(), now = clock_now_ms(&real), after = clock_machine_ms();
	assert_true(now >= before + 3600000 && now <= after + 3600000);
	assert_false(clock_advance(&real, 1));
	int64_t mono = clock_mono_us();
	assert_true(clock_mono_us() >= mono);
	assert_true(clock_mono_ms() >= mono / 1000);
}

/* lag */

static struct event_base *loop;

static void
turns(struct lag *lag, int64_t until_us)
{
	while (clock_mono_us() < until_us) {
		lag_turn(lag);
		event_base_loop(loop, EVLOOP_ONCE);
	}
}

static int64_t
computed_us(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * INT64_C(1000000) + r.ru_utime.tv_usec +
	    r.ru_stime.tv_usec;
}

/* Ready and without a processor, so far. */
static int64_t
starved_us(void)
{
	FILE *f = fopen("/proc/thread-self/schedstat", "r");
	long long ns = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*d %lld", &ns), 1);
	fclose(f);
	return ns / 1000;
}

static void
on_work(evutil_socket_t fd, short what, void *arg)
{
	int64_t until = computed_us() + *(int *)arg * 1000;

	(void)fd, (void)what;
	while (computed_us() < until)
		;
}

static void
what_a_callback_computes_is_the_loops_own_lateness(void **state)
{
	int64_t starved = starved_us();
	int ms = 60;

	(void)state;
	loop = event_base_new();
	struct lag *lag = lag_new(loop);
	event_base_once(loop, -1, EV_TIMEOUT, on_work, &ms, &(struct timeval){ .tv_usec = 5000 });
	turns(lag, clock_mono_us() + 100000);
	/* The tick was due 20 ms after the start, the work took until 65. */
	assert_true(lag_own_worst_us(lag) + starved_us() - starved >= 35000);
	assert_true(lag_worst_us(lag) >= lag_own_worst_us(lag));
	lag_free(lag);
	event_base_free(loop);
}

static void
a_loop_that_is_woken_too_late_has_not_kept_anybody_itself(void **state)
{
	(void)state;
	loop = event_base_new();
	struct lag *lag = lag_new(loop);
	turns(lag, clock_mono_us() + 50000);
	pid_t parent = getpid(), child = fork();
	if (child == 0) {
		kill(parent, SIGSTOP);
		usleep(100000);
		kill(parent, SIGCONT);
		_exit(0);
	}
	while (lag_worst_us(lag) < 60000)
		turns(lag, clock_mono_us() + 20000);
	assert_true(lag_own_worst_us(lag) < 30000);
	waitpid(child, NULL, 0);
	lag_free(lag);
	event_base_free(loop);
}

/* descriptors */

static int
table_size(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	int size = 0;

	assert_non_null(f);
	while (size == 0 && fgets(line, sizeof(line), f) != NULL)
		sscanf(line, "FDSize: %d", &size);
	fclose(f);
	return size;
}

/* In a child: a limit once lowered stays so. */
static void
descriptors_get_as_much_room_as_they_may_have(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		bool ok = setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 64, 3000 }) == 0 &&
		    descriptors_room(600) == 600 && table_size() >= 600 &&
		    descriptors_room(500) == 500 && descriptors_room(9000) == 3000 &&
		    table_size() >= 3000;
		_exit(ok ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_buffer_grows_and_always_ends_in_a_nul),
		cmocka_unit_test(a_buffer_prints_what_is_longer_than_its_room),
		cmocka_unit_test(a_taken_buffer_starts_again_empty),
		cmocka_unit_test(texts_are_copied_and_printed),
		cmocka_unit_test(an_allocation_of_nothing_is_still_something),
		cmocka_unit_test(a_product_that_overflows_ends_the_process),
		cmocka_unit_test(a_heap_agrees_with_a_plain_search_after_every_operation),
		cmocka_unit_test(a_heap_gives_things_back_in_order),
		cmocka_unit_test(a_bucket_gives_its_burst_and_then_says_when_to_come_back),
		cmocka_unit_test(who_waits_as_long_as_told_is_served_and_not_a_millisecond_before),
		cmocka_unit_test(a_bucket_never_gives_more_than_its_rate),
		cmocka_unit_test(a_token_given_back_can_be_taken_again_but_never_adds_to_the_burst),
		cmocka_unit_test(a_full_table_forgets_the_longest_unused_key),
		cmocka_unit_test(many_keys_are_kept_apart),
		cmocka_unit_test(odd_limits_and_times_do_no_harm),
		cmocka_unit_test(rfc_3339_times_are_understood),
		cmocka_unit_test(everything_else_is_refused_and_changes_nothing),
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(a_fake_clock_moves_only_when_told_and_a_real_one_never),
		cmocka_unit_test(descriptors_get_as_much_room_as_they_may_have),
		cmocka_unit_test(what_a_callback_computes_is_the_loops_own_lateness),
		cmocka_unit_test(a_loop_that_is_woken_too_late_has_not_kept_anybody_itself),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
