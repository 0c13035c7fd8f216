/*
 * test_password: hashes, passwords, and the worker thread that takes scrypt
 * off the loop. Semaphores hold the worker where a test wants it.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

#include "base/id.h"
#include "base/password.h"
#include "base/work.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* By Python's hashlib.scrypt, salts 00 01 .. 0f and 16 times ff. */
#define BATTERY "$scrypt$ln=15,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$" \
	"eo40JB24mNWRdcaWU4xBdGepdf_laQaEJfFhiNMVnFg"
#define GREEN_HASH "$_____________________w$lUl6CTtPK1m069ta3NwauZ9Nf3i8BI6Bx8HDadTBcKI"
#define GREEN "$scrypt$ln=10,r=8,p=1" GREEN_HASH

static void
hashes_agree_with_the_published_ones(void **state)
{
	static const char what[] = "what do ya want for nothing?";
	uint8_t hash[32];
	char hex[65];

	(void)state;
	sha256("abc", 3, hash);
	hex_encode(hash, sizeof(hash), hex);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	hmac_sha256("Jefe", 4, what, strlen(what), hash);
	hex_encode(hash, sizeof(hash), hex);
	assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	hmac_sha256(NULL, 0, "", 0, hash);
	hex_encode(hash, sizeof(hash), hex);
	assert_string_equal(hex, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
	assert_true(same_secret("abcd", "abce", 3));
	assert_false(same_secret("abcd", "abce", 4));
}

static void
base64url_is_that_of_rfc_4648(void **state)
{
	static const struct { const char *plain, *text; } pairs[] = {
		{ "", "" }, { "f", "Zg" }, { "fo", "Zm8" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg" },
		{ "fooba", "Zm9vYmE" }, { "foobar", "Zm9vYmFy" }, { "\xfb\xff", "-_8" },
	};
	static const char *const wrong[] = {
		"Z", "A", "AAAAA", "Zh", "Zm9", "Zg==", "Z+8A", "Z/8A", "Zm9v ", "\nZg", "Zm9vYmFyZ",
	};
	uint8_t out[16];

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		int len = (int)strlen(pairs[i].plain);
		char *text = base64url_encode((const uint8_t *)pairs[i].plain, (size_t)len);

		assert_string_equal(text, pairs[i].text);
		assert_int_equal(base64url_decode(text, out, (size_t)len), len);
		assert_memory_equal(out, pairs[i].plain, (size_t)len);
		if (len > 0)
			assert_int_equal(base64url_decode(text, out, (size_t)len - 1), -1);
		free(text);
	}
	for (size_t i = 0; i < COUNT(wrong); i++) {
		if (base64url_decode(wrong[i], out, sizeof(out)) != -1)
			fail_msg("took %s", wrong[i]);
	}
}

static void
hashes_made_elsewhere_are_understood(void **state)
{
	(void)state;
	assert_true(password_check("correct horse battery staple", BATTERY));
	assert_false(password_check("correct horse battery stapl", BATTERY));
	assert_true(password_check("gr\xc3\xbcn", GREEN));
	assert_false(password_check("grun", GREEN));
}

static void
a_password_fits_its_own_hash_and_no_other(void **state)
{
	char *a = password_hash("secret"), *b = password_hash("secret"), *empty = password_hash("");

	(void)state;
	assert_memory_equal(a, "$scrypt$ln=15,r=8,p=1$", 22);
	assert_int_equal(strlen(a), strlen(BATTERY));
	assert_string_not_equal(a, b);
	assert_true(password_check("secret", a));
	assert_true(password_check("secret", b));
	assert_false(password_check("Secret", a));
	assert_false(password_check("", a));
	assert_true(password_check("", empty));
	assert_null(strstr(a, "secret"));
	free(a);
	free(b);
	free(empty);
}

static void
costs_from_10_to_17_are_accepted_and_no_others(void **state)
{
	/* Right hashes all, for the cost that each could be taken for. */
	static const char *const wrong[] = {
		"$scrypt$ln=9,r=8,p=1$_____________________w$420BWnnr7Oomef2VXaLPGftgczBUKQvZ9Ydlcfjv7I0",
		"$scrypt$ln=09,r=8,p=1$_____________________w$420BWnnr7Oomef2VXaLPGftgczBUKQvZ9Ydlcfjv7I0",
		"$scrypt$ln=18,r=8,p=1$_____________________w$sRUTRpkPjGs2dKyTewh4KbO8T0eClZfgjn7QKsByPE0",
		"$scrypt$ln=10,r=8,p=2$_____________________w$zx7JUlFK8SI2VZrj5J-Xj7Mz7MyizFfb_olxGuCyvDo",
		"$scrypt$ln=10,r=16,p=1$_____________________w$PXn50yKeK2u529p6-b3ZtDfRRJ1yb6nA7AsML3LYmAY",
		"$scrypt$ln=010,r=8,p=1" GREEN_HASH, "$scrypt$ln=+10,r=8,p=1" GREEN_HASH,
		"$scrypt$ln= 10,r=8,p=1" GREEN_HASH, "$scrypt$ln=10,r=8" GREEN_HASH,
		"$scrypt$r=8,ln=10,p=1" GREEN_HASH,
	};
	const char *high = "$scrypt$ln=17,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$"
	    "EImxgU-jaMqV8Tq2kfXZfSORbUlRhM95QCLHBHHe9Us";

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		if (password_check("gr\xc3\xbcn", wrong[i]))
			fail_msg("took %s", wrong[i]);
	}
	/* The highest cost needs 128 MiB, four times OpenSSL's own limit. */
	assert_true(password_check("secret", high));
}

static void
malformed_texts_are_refused(void **state)
{
	static const char *const wrong[] = {
		"", "$", "secret", "gr\xc3\xbcn", "$scrypt$", "$scrypt$ln=", "$scrypt$ln=1",
		"$scrypt$ln=10", "$scrypt$ln=10,r=8,p=1$", "$scrypt$ln=10,r=8,p=1$$",
		"$argon2$ln=10,r=8,p=1" GREEN_HASH, " " GREEN, GREEN " ", GREEN "A", GREEN "=",
		/* A salt letter short, a hash letter short, the $ moved, a foreign letter, loose bits. */
		"$scrypt$ln=10,r=8,p=1$____________________w$lUl6CTtPK1m069ta3NwauZ9Nf3i8BI6Bx8HDadTBcKI",
		"$scrypt$ln=10,r=8,p=1$_____________________w$lUl6CTtPK1m069ta3NwauZ9Nf3i8BI6Bx8HDadTBcK",
		"$scrypt$ln=10,r=8,p=1$_____________________$wlUl6CTtPK1m069ta3NwauZ9Nf3i8BI6Bx8HDadTBcKI",
		"$scrypt$ln=10,r=8,p=1$_____________________w$lUl6CTtPK1m069ta3NwauZ9Nf3i8BI6Bx8HDadTBc+I",
		"$scrypt$ln=10,r=8,p=1$_____________________x$lUl6CTtPK1m069ta3NwauZ9Nf3i8BI6Bx8HDadTBcKI",
		"$scrypt$ln=10,r=8,p=1$_____________________w$lUl6CTtPK1m069ta3NwauZ9Nf3i8BI6Bx8HDadTBcKJ",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		if (password_check("gr\xc3\xbcn", wrong[i]))
			fail_msg("took %s", wrong[i]);
	}
}

static void
no_account_is_no_password(void **state)
{
	(void)state;
	assert_false(password_check("secret", NULL));
	assert_false(password_check("", NULL));
}

/* work */

struct task {
	struct event_base *base;
	struct task **order;	/* where done writes itself */
	int *count;
	int last;		/* leave the loop when this many are done */
	sem_t *begun, *go;	/* when set, the job says that it runs and waits */
	pthread_t job_thread;
	bool signals_blocked;
	const char *password;
	bool ok;
};

static void
on_job(void *arg)
{
	struct task *t = arg;
	sigset_t mask;

	t->job_thread = pthread_self();
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	t->signals_blocked = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGHUP);
	if (t->begun != NULL)
		sem_post(t->begun);
	if (t->go != NULL)
		sem_wait(t->go);
	if (t->password != NULL)
		t->ok = password_check(t->password, GREEN);
}

static void
on_done(void *arg)
{
	struct task *t = arg;

	t->order[(*t->count)++] = t;
	if (*t->count == t->last)
		event_base_loopbreak(t->base);
}

static void
a_password_is_checked_off_the_loop_and_answered_on_it(void **state)
{
	struct event_base *base = event_base_new();
	struct work *w = work_new(base);
	struct task *order[2];
	int count = 0;
	struct task right = { .base = base, .order = order, .count = &count, .last = 2,
	    .password = "gr\xc3\xbcn" };
	struct task wrong = right;

	(void)state;
	wrong.password = "blau";
	assert_true(work_run(w, on_job, on_done, &right));
	assert_true(work_run(w, on_job, on_done, &wrong));
	assert_int_equal(count, 0);
	event_base_dispatch(base);
	assert_int_equal(count, 2);
	assert_ptr_equal(order[0], &right);
	assert_ptr_equal(order[1], &wrong);
	assert_true(right.ok);
	assert_false(wrong.ok);
	assert_false(pthread_equal(right.job_thread, pthread_self()));
	assert_true(right.signals_blocked);
	work_free(w);
	event_base_free(base);
}

static void
the_sixty_fifth_that_would_wait_is_refused(void **state)
{
	struct event_base *base = event_base_new();
	struct work *w = work_new(base);
	struct task tasks[66], *order[66];
	sem_t begun, go;
	int count = 0;

	(void)state;
	sem_init(&begun, 0, 0);
	sem_init(&go, 0, 0);
	for (size_t i = 0; i < COUNT(tasks); i++)
		tasks[i] = (struct task){ .base = base, .order = order, .count = &count, .last = 65 };
	tasks[0].begun = &begun;
	tasks[0].go = &go;
	assert_true(work_run(w, on_job, on_done, &tasks[0]));
	sem_wait(&begun);
	for (size_t i = 1; i <= 64; i++)
		assert_true(work_run(w, on_job, on_done, &tasks[i]));
	assert_false(work_run(w, on_job, on_done, &tasks[65]));
	sem_post(&go);
	event_base_dispatch(base);
	for (size_t i = 0; i < 65; i++)
		assert_ptr_equal(order[i], &tasks[i]);
	/* Now there is room again. */
	tasks[65].last = 66;
	assert_true(work_run(w, on_job, on_done, &tasks[65]));
	event_base_dispatch(base);
	assert_int_equal(count, 66);
	work_free(w);
	event_base_free(base);
	sem_destroy(&begun);
	sem_destroy(&go);
}

static void
who_asks_to_be_last_is(void **state)
{
	struct event_base *base = event_base_new();
	struct work *w = work_new(base);
	struct task tasks[36], *order[36];
	sem_t begun, go;
	int count = 0;

	(void)state;
	sem_init(&begun, 0, 0);
	sem_init(&go, 0, 0);
	for (size_t i = 0; i < COUNT(tasks); i++)
		tasks[i] = (struct task){ .base = base, .order = order, .count = &count, .last = 35 };
	tasks[0].begun = &begun;
	tasks[0].go = &go;
	assert_true(work_run(w, on_job, on_done, &tasks[0]));
	sem_wait(&begun);
	for (size_t i = 1; i <= 32; i++) {
		assert_false(work_last_full(w));
		assert_true(work_run_last(w, on_job, on_done, &tasks[i]));
	}
	assert_true(work_last_full(w));
	assert_false(work_run_last(w, on_job, on_done, &tasks[35]));
	/* They are many, and the others have room and go first. */
	assert_true(work_run(w, on_job, on_done, &tasks[33]));
	assert_true(work_run(w, on_job, on_done, &tasks[34]));
	sem_post(&go);
	event_base_dispatch(base);
	assert_int_equal(count, 35);
	assert_ptr_equal(order[0], &tasks[0]);
	assert_ptr_equal(order[1], &tasks[33]);
	assert_ptr_equal(order[2], &tasks[34]);
	for (size_t i = 1; i <= 32; i++)
		assert_ptr_equal(order[i + 2], &tasks[i]);
	work_free(w);
	event_base_free(base);
	sem_destroy(&begun);
	sem_destroy(&go);
}

struct chain {
	struct work *work;
	struct event_base *base;
	int jobs, dones;
};

static void
on_chain_job(void *arg)
{
	struct chain *c = arg;

	c->jobs++;
}

static void
on_chain_done(void *arg)
{
	struct chain *c = arg;

	assert_int_equal(++c->dones, c->jobs);
	if (c->dones < 1000)
		assert_true(work_run(c->work, on_chain_job, on_chain_done, c));
	else
		event_base_loopbreak(c->base);
}

static void
a_done_may_ask_for_more_work(void **state)
{
	struct chain c = { .base = event_base_new() };

	(void)state;
	c.work = work_new(c.base);
	assert_true(work_run(c.work, on_chain_job, on_chain_done, &c));
	event_base_dispatch(c.base);
	assert_int_equal(c.jobs, 1000);
	assert_int_equal(c.dones, 1000);
	work_free(c.work);
	event_base_free(c.base);
}

static void *
on_other_thread(void *go)
{
	sem_post(go);
	return NULL;
}

static void
stopping_waits_for_the_running_job_and_calls_nothing_more(void **state)
{
	struct event_base *base = event_base_new();
	struct work *w = work_new(base);
	struct task *order[3];
	sem_t begun, go;
	int count = 0;
	struct task tasks[3];
	pthread_t other;

	(void)state;
	sem_init(&begun, 0, 0);
	sem_init(&go, 0, 0);
	for (size_t i = 0; i < COUNT(tasks); i++)
		tasks[i] = (struct task){ .base = base, .order = order, .count = &count, .last = 3,
		    .password = "gr\xc3\xbcn" };
	tasks[0].begun = &begun;
	tasks[0].go = &go;
	for (size_t i = 0; i < COUNT(tasks); i++)
		assert_true(work_run(w, on_job, on_done, &tasks[i]));
	sem_wait(&begun);
	assert_int_equal(pthread_create(&other, NULL, on_other_thread, &go), 0);
	work_free(w);
	assert_true(tasks[0].ok);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(count, 0);
	pthread_join(other, NULL);
	event_base_free(base);
	sem_destroy(&begun);
	sem_destroy(&go);
}

static void
stopping_an_idle_worker_returns(void **state)
{
	struct event_base *base = event_base_new();

	(void)state;
	work_free(work_new(base));
	work_free(NULL);
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_agree_with_the_published_ones),
		cmocka_unit_test(base64url_is_that_of_rfc_4648),
		cmocka_unit_test(hashes_made_elsewhere_are_understood),
		cmocka_unit_test(a_password_fits_its_own_hash_and_no_other),
		cmocka_unit_test(costs_from_10_to_17_are_accepted_and_no_others),
		cmocka_unit_test(malformed_texts_are_refused),
		cmocka_unit_test(no_account_is_no_password),
		cmocka_unit_test(a_password_is_checked_off_the_loop_and_answered_on_it),
		cmocka_unit_test(the_sixty_fifth_that_would_wait_is_refused),
		cmocka_unit_test(who_asks_to_be_last_is),
		cmocka_unit_test(a_done_may_ask_for_more_work),
		cmocka_unit_test(stopping_waits_for_the_running_job_and_calls_nothing_more),
		cmocka_unit_test(stopping_an_idle_worker_returns),
	};

	return cmocka_run_group_tests_name("password", tests, NULL, NULL);
}
