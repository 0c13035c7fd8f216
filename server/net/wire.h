/*
 * wire: the client's side of a connection: a non-blocking socket, TLS or plain,
 * with a queue for what the client does not take at once. Knows bytes alone.
 */
#ifndef NET_WIRE_H
#define NET_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/types.h>

struct evbuffer;

struct wire {
	int fd;					 /* -1: closed */
	SSL *ssl;				 /* NULL: plain */
	struct evbuffer *queue;			 /* NULL: empty */
	bool read_wants_write, write_wants_read; /* TLS: what the call waits for */
};

/* Results that are no count of bytes. */
enum { WIRE_EOF = 0, WIRE_AGAIN = -1, WIRE_ERROR = -2 };

/* The most that is read at once; a TLS record is never larger, so none is left half read. */
#define WIRE_CHUNK 16384

/* Takes fd; ctx is NULL for a plain one. */
void wire_init(struct wire *, int fd, SSL_CTX *);
/* Closes without a word; what is queued is lost. */
void wire_close(struct wire *);
/* 1 done, WIRE_AGAIN, WIRE_ERROR. */
int wire_shake_hands(struct wire *);
/* Bytes read (at most len), WIRE_EOF (also after close_notify), WIRE_AGAIN, WIRE_ERROR. */
int wire_read(struct wire *, char *, size_t len);
/* More can be read at once without the socket becoming readable. */
bool wire_pending(const struct wire *);
/* Sends, and queues what is not taken now; false when the client is gone. */
bool wire_write(struct wire *, const void *, size_t);
/* Sends from the queue; false when the client is gone. Sets *progress when bytes went out. */
bool wire_flush(struct wire *, bool *progress);
size_t wire_queued(const struct wire *);
/* close_notify and FIN; false: try again when writable. Reading is raw from then on. */
bool wire_goodbye(struct wire *);

/* An evbuffer's length, 0 for NULL; adding to one that may be NULL; freeing it. */
size_t wire_queue_len(const struct evbuffer *);
void wire_queue_add(struct evbuffer **, const void *, size_t);
void wire_queue_clear(struct evbuffer **);

#endif
