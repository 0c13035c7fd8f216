/*
 * work: one worker thread for the few functions that think for long (scrypt),
 * so that the loop does not wait for them. Knows nothing of what they do.
 * Every function here is called on the loop's thread; only `job` runs on the
 * worker's, and must touch nothing but its arg.
 */
#ifndef BASE_WORK_H
#define BASE_WORK_H

#include <stdbool.h>

struct event_base;
struct work;

/* Starts the thread; dies when it cannot (start-up only). */
struct work *work_new(struct event_base *);
/*
 * Queues job(arg) for the thread; done(arg) follows on the loop exactly once,
 * in the order asked, never from inside this call. The arg is the worker's
 * from here until done begins, which is where it is freed. False when 64 jobs
 * already wait: nothing is called and the arg stays the caller's. A requester
 * that goes away must leave the arg alone, with a mark in a part that the job
 * does not touch, for done to see.
 */
bool work_run(struct work *, void (*job)(void *), void (*done)(void *), void *arg)
    __attribute__((warn_unused_result));
/*
 * The same for who is not to keep others waiting: done only when work_run() has
 * asked nothing, and in the order asked among themselves. False when 32 wait.
 */
bool work_run_last(struct work *, void (*job)(void *), void (*done)(void *), void *arg)
    __attribute__((warn_unused_result));
bool work_last_full(struct work *);
/*
 * Waits for the job that runs; the rest never run, and no done is called any
 * more. The args whose done was not called belong to their callers again, who
 * must have kept them in a list to free them. Never call it from a done.
 */
void work_free(struct work *);

#endif
