/*
 * front: the doors. Listens (HTTPS, plain HTTP on loopback, the operator's
 * unix socket), accepts, counts connections in total and per address,
 * terminates TLS, owns every network deadline, and hands the decrypted bytes to
 * libmicrohttpd over a socketpair (bridge.c). Knows bytes, not requests.
 */
#ifndef NET_FRONT_H
#define NET_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf;
struct event_base;
struct front;
struct bridge;
struct sockaddr;

enum front_door { FRONT_TLS, FRONT_PLAIN, FRONT_UNIX };

/* The bridge asks for somebody to read its decrypted side: takes the fd; false when refused (fd closed by the callee). */
typedef bool (*front_open_fn)(void *arg, struct bridge *, int fd, const struct sockaddr *, unsigned len);
/* Bytes were written towards libmicrohttpd: run it soon. */
typedef void (*front_kick_fn)(void *arg);

/* NULL with *why (malloced) when it cannot listen or read the certificate. */
struct front *front_new(struct event_base *, const struct conf *, front_open_fn, front_kick_fn, void *arg, char **why);
/* New certificate and limits, the same ticket keys, listeners untouched; false with *why, and the old stay in force. */
bool front_reload(struct front *, const struct conf *, char **why);
/* Stops accepting; connections live on. */
void front_close_doors(struct front *);
/* Closes idle connections now, and every other one that carries requests as soon as it is idle. */
void front_drain(struct front *);
/* Closes what is left (on_close is called here) and frees; libmicrohttpd must have ended before. */
void front_free(struct front *);
/* Ports really bound ("listen = 127.0.0.1:0" in tests); 0 when there is none. */
int front_port(const struct front *, enum front_door);

struct front_counts {
	uint64_t accepted, refused_total, refused_address, handshake_failed, timed_out;
	uint64_t open, streams;
	uint64_t lingering;	/* of the open ones: all is said, they only have not left yet */
};
struct front_counts front_counts(const struct front *);

#endif
