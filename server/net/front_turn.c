/*
 * front_turn: how much of one turn of the loop clients may take. A handshake
 * costs us a third of a millisecond and its sender, who may say the same canned
 * hello again and again, nothing: 1,500 at once kept everybody else waiting for
 * 200 ms; and thousands who leave in one moment are work, too. What is too much
 * for this turn waits in line for the next; nobody is refused here. It must not
 * know what else the loop does.
 */
#include <event2/event.h>
#include <event2/listener.h>

#include "base/clock.h"
#include "net/bridge_impl.h"
#include "net/front_impl.h"

/* Of each turn: so many are let in or refused, and so long do handshakes take. */
#define TURN_ACCEPTS 8
#define TURN_SHAKE_US 1000
/* From the first client's event of a turn on; then the loop looks at everybody else. */
#define TURN_US 2000

/* A timer and not event_active(): that would run in this same turn. */
static void
arm(struct front *f)
{
	if (!evtimer_pending(f->turn, NULL))
		evtimer_add(f->turn, &(struct timeval){ 0 });
}

static bool
over(struct front *f)
{
	int64_t now_us = clock_mono_us();

	arm(f);
	if (f->turn_began_us == 0)
		f->turn_began_us = now_us;
	return now_us - f->turn_began_us > TURN_US;
}

/*
 * epoll would say it again, but always in the same order: who is ready all the
 * time would be served in every turn, and who stands behind him in none.
 */
bool
front_turn_skip(struct bridge *b, short what)
{
	struct front *f = b->front;

	if (b->skipped == 0) {
		if (TAILQ_EMPTY(&f->skipped) && !over(f))
			return false;
		TAILQ_INSERT_TAIL(&f->skipped, b, skipped_link);
	}
	b->skipped |= what;
	return true;
}

void
front_turn_unskip(struct bridge *b)
{
	if (b->skipped == 0)
		return;
	b->skipped = 0;
	TAILQ_REMOVE(&b->front->skipped, b, skipped_link);
}

/* Not after others were served: that may have been in this very turn of the loop. */
static void
serve_skipped(struct front *f)
{
	bool spent = f->turn_began_us != 0;
	struct bridge *b;

	f->turn_began_us = 0;
	if (spent && !TAILQ_EMPTY(&f->skipped)) {
		arm(f);
		return;
	}

	while ((b = TAILQ_FIRST(&f->skipped)) != NULL && !over(f)) {
		short what = b->skipped;
		front_turn_unskip(b);
		bridge_go_on(b, what);
	}
	/* As long as there is a line nobody else is served: the next turn is all theirs. */
	if (!TAILQ_EMPTY(&f->skipped))
		f->turn_began_us = 0;
}

static void
shake(struct bridge *b)
{
	struct front *f = b->front;
	int64_t began_us = clock_mono_us();

	bridge_shake_hands(b);
	f->turn_shake_us += clock_mono_us() - began_us;
}

void
front_turn_shake(struct bridge *b)
{
	struct front *f = b->front;

	if (b->in_line)
		return;
	arm(f);
	if (f->turn_shake_us < TURN_SHAKE_US && TAILQ_EMPTY(&f->line)) {
		shake(b);
		return;
	}
	b->in_line = true;
	TAILQ_INSERT_TAIL(&f->line, b, in_line_link);
}

void
front_turn_forget(struct bridge *b)
{
	if (!b->in_line)
		return;
	b->in_line = false;
	TAILQ_REMOVE(&b->front->line, b, in_line_link);
}

bool
front_turn_accept(struct front *f)
{
	arm(f);
	return ++f->turn_accepts < TURN_ACCEPTS;
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct front *f = arg;
	struct bridge *b;

	(void)fd;
	(void)what;
	if (f->turn_accepts >= TURN_ACCEPTS)
		front_accept_again(f);
	f->turn_accepts = 0;
	f->turn_shake_us = 0;
	serve_skipped(f);
	while (f->turn_shake_us < TURN_SHAKE_US && (b = TAILQ_FIRST(&f->line)) != NULL) {
		front_turn_forget(b);
		shake(b);
		bridge_update(b);
	}
	if (f->turn_shake_us > 0)
		arm(f);
}

void
front_turn_start(struct front *f)
{
	TAILQ_INIT(&f->line);
	TAILQ_INIT(&f->skipped);
	f->turn = evtimer_new(f->base, on_turn, f);
}

void
front_turn_stop(struct front *f)
{
	event_free(f->turn);
}
