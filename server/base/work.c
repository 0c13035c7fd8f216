/*
 * work: hands jobs to one thread and their ends back to the loop, by lists
 * under one lock and an eventfd. It must not look at the jobs' args.
 */
#include "base/work.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include <event2/event.h>

#include "base/log.h"
#include "base/mem.h"

#define WORK_WAITING_MAX 64
#define WORK_LAST_MAX 32

struct work_item {
	STAILQ_ENTRY(work_item) link;
	void (*job)(void *);
	void (*done)(void *);
	void *arg;
};

STAILQ_HEAD(work_list, work_item);

struct work {
	pthread_t thread;
	struct event *wake;
	int wake_fd;
	bool in_done;
	pthread_mutex_t lock; /* over what follows */
	pthread_cond_t asked;
	struct work_list waiting, last; /* first these, then those */
	struct work_list finished;
	int waiting_count, last_count;
	bool stop;
};

static void on_wake(evutil_socket_t, short, void *);
static void *on_thread(void *);

/* The loop owns all signals: a new thread inherits the mask of this moment. */
static int
start_thread(struct work *w)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&w->thread, NULL, on_thread, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

struct work *
work_new(struct event_base *base)
{
	struct work *w = xcalloc(1, sizeof(*w));

	STAILQ_INIT(&w->waiting);
	STAILQ_INIT(&w->last);
	STAILQ_INIT(&w->finished);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->asked, NULL);
	w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (w->wake_fd < 0)
		die(1, "work: eventfd: %s", strerror(errno));
	w->wake = event_new(base, w->wake_fd, EV_READ | EV_PERSIST, on_wake, w);
	if (w->wake == NULL || event_add(w->wake, NULL) != 0)
		die(1, "work: no event");
	int error = start_thread(w);
	if (error != 0)
		die(1, "work: pthread_create: %s", strerror(error));
	return w;
}

static bool
ask(struct work *w, struct work_list *list, int *count, int max, struct work_item what)
{
	struct work_item *item = xmalloc(sizeof(*item));

	*item = what;
	pthread_mutex_lock(&w->lock);
	bool room = *count < max;
	if (room) {
		STAILQ_INSERT_TAIL(list, item, link);
		++*count;
		pthread_cond_signal(&w->asked);
	}
	pthread_mutex_unlock(&w->lock);
	if (!room)
		free(item);
	return room;
}

bool
work_run(struct work *w, void (*job)(void *), void (*done)(void *), void *arg)
{
	return ask(w, &w->waiting, &w->waiting_count, WORK_WAITING_MAX,
	    (struct work_item){ .job = job, .done = done, .arg = arg });
}

bool
work_run_last(struct work *w, void (*job)(void *), void (*done)(void *), void *arg)
{
	return ask(w, &w->last, &w->last_count, WORK_LAST_MAX,
	    (struct work_item){ .job = job, .done = done, .arg = arg });
}

bool
work_last_full(struct work *w)
{
	pthread_mutex_lock(&w->lock);
	bool full = w->last_count >= WORK_LAST_MAX;
	pthread_mutex_unlock(&w->lock);
	return full;
}

static struct work_item *
pop(struct work_list *list, int *count)
{
	struct work_item *item = STAILQ_FIRST(list);

	if (item != NULL) {
		STAILQ_REMOVE_HEAD(list, link);
		--*count;
	}
	return item;
}

/* The next job, or NULL when it is time to stop. */
static struct work_item *
next_item(struct work *w)
{
	struct work_item *item = NULL;

	pthread_mutex_lock(&w->lock);
	while (!w->stop && STAILQ_EMPTY(&w->waiting) && STAILQ_EMPTY(&w->last))
		pthread_cond_wait(&w->asked, &w->lock);
	if (!w->stop)
		item = pop(&w->waiting, &w->waiting_count);
	if (!w->stop && item == NULL)
		item = pop(&w->last, &w->last_count);
	pthread_mutex_unlock(&w->lock);
	return item;
}

static void *
on_thread(void *arg)
{
	struct work *w = arg;
	const uint64_t one = 1;

	/* Not at a lower priority: holding the lock of the address space (scrypt maps 32 MB), it would stop the loop. */
	for (struct work_item *item; (item = next_item(w)) != NULL;) {
		item->job(item->arg);
		pthread_mutex_lock(&w->lock);
		STAILQ_INSERT_TAIL(&w->finished, item, link);
		pthread_mutex_unlock(&w->lock);
		/* Fails only when the counter is near 2^64, and then it is readable anyway. */
		if (write(w->wake_fd, &one, sizeof(one)) < 0)
			continue;
	}
	return NULL;
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct work *w = arg;
	struct work_list finished = STAILQ_HEAD_INITIALIZER(finished);
	uint64_t times;

	(void)what;
	/* Read before looking: what finishes after this wakes the loop again. */
	if (read(fd, &times, sizeof(times)) < 0)
		return;
	pthread_mutex_lock(&w->lock);
	STAILQ_CONCAT(&finished, &w->finished);
	pthread_mutex_unlock(&w->lock);

	w->in_done = true;
	for (struct work_item *item; (item = STAILQ_FIRST(&finished)) != NULL;) {
		STAILQ_REMOVE_HEAD(&finished, link);
		item->done(item->arg);
		free(item);
	}
	w->in_done = false;
}

static void
drop_all(struct work_list *list)
{
	for (struct work_item *item; (item = STAILQ_FIRST(list)) != NULL;) {
		STAILQ_REMOVE_HEAD(list, link);
		free(item);
	}
}

void
work_free(struct work *w)
{
	if (w == NULL)
		return;
	assert(!w->in_done);
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->asked);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);

	drop_all(&w->waiting);
	drop_all(&w->last);
	drop_all(&w->finished);
	event_free(w->wake);
	close(w->wake_fd);
	pthread_cond_destroy(&w->asked);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
