/*
 * bridge: one accepted connection: TLS (or plain) on one side, libmicrohttpd's
 * end of a socketpair on the other; or, after a take-over, a stream that is
 * written straight to the client. http.c tells it which part of a request is
 * awaited, so that it can own the deadlines.
 */
#ifndef NET_BRIDGE_H
#define NET_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/front.h"

/* What the connection is waiting for; each has its own deadline (conf: handshake_ms, header_ms, body_ms, idle_ms; none while the server works). */
enum bridge_wait { BRIDGE_HANDSHAKE, BRIDGE_HEADERS, BRIDGE_BODY, BRIDGE_SERVER, BRIDGE_IDLE, BRIDGE_STREAM };

void bridge_expect(struct bridge *, enum bridge_wait);
enum front_door bridge_door(const struct bridge *);
/* libmicrohttpd has closed its end (or never took it): nobody on that side knows the bridge any more. */
void bridge_release(struct bridge *);
/* "192.0.2.1" or "2001:db8::1" or "unix"; lives as long as the bridge. */
const char *bridge_peer(const struct bridge *);

/*
 * Take-over: from the next loop turn on what libmicrohttpd still wrote is
 * flushed, its end is closed (the access handler returns MHD_NO), and
 * bridge_write() goes straight to the client. on_close is called exactly once,
 * from the loop, with the reason; the bridge is gone after it.
 */
typedef void (*bridge_close_fn)(void *arg, const char *why);
void bridge_take(struct bridge *, bridge_close_fn, void *arg);
/* Queues when the client is slow; past conf.stream_queue_bytes the stream is dropped ("slow reader") and false is returned. */
bool bridge_write(struct bridge *, const void *, size_t);
/* Bytes queued because the client is slow. */
size_t bridge_queued(const struct bridge *);
/* Writes out what is queued, then closes (close_notify); on_close follows. */
void bridge_finish(struct bridge *, const char *why);

#endif
