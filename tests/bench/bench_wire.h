/*
 * bench_wire: many TLS connections to 127.0.0.1 in one thread, for the load
 * programs; cheap, so that the server is what is measured. It must not know
 * what is said over them. Certificates are not checked. An error of this
 * machine's ends the program: a measurement has nothing to save.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ssl_st;
struct wire;

struct wire_events {
	void (*on_open)(struct wire *);
	/* New bytes at the end of in; at_us is when they were read. wire_eat() what was used. */
	void (*on_data)(struct wire *, int64_t at_us);
	void (*on_close)(struct wire *);
};

struct wire {
	TAILQ_ENTRY(wire) link;	/* of those that wait to be dialled */
	const struct wire_events *on;
	void *arg;
	struct ssl_st *ssl;
	int fd;
	bool open;
	char *in;		/* a NUL follows the bytes */
	size_t in_len, in_size;
};

/* Before all else. */
void wire_start(int port);
/* Dialled in the order of the calls, a few at once, so that no listen queue overflows. Lives as long as the program. */
struct wire *wire_new(const struct wire_events *, void *arg);
void wire_send(struct wire *, const char *, size_t);
void wire_eat(struct wire *, size_t);
/* The length of the HTTP answer that begins in, head included; 0 while it is not whole. */
size_t wire_answer(const struct wire *, int *status);
/* Also wake up when this descriptor can be read; on_ready is called then. */
void wire_listen(int fd, void (*on_ready)(void));
/* One turn of the loop. */
void wire_turn(int timeout_ms);

/* Microseconds since 1970. */
int64_t wire_now_us(void);
/* Seconds of processor time that this program has used. */
double wire_cpu(void);
/* Sorts them; p from 0 to 1. In milliseconds; 0 when there are none. */
double wire_percentile(int64_t *us, size_t n, double p);

#endif
