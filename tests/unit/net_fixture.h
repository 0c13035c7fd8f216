/*
 * net_fixture: for test_net: a real server in a thread of its own, clients that
 * block, and a wire of words by which the server's side tells what happened.
 */
#ifndef TEST_NET_FIXTURE_H
#define TEST_NET_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

#include "base/conf.h"
#include "net/front.h"
#include "net/http.h"
#include "net/stream.h"

struct event_base;

struct server {
	struct conf conf;
	struct event_base *base;
	struct http *http;
	char dir[64]; /* certificate, key, socket */
	int tls_port, plain_port;
	struct http_request *parked; /* the last one */
	struct stream *stream;	     /* the last one */
	int gone;		     /* calls of on_gone */
	int ends;		     /* calls of on_end */
	int closes;		     /* streams closed */
};

/* The server of the test that runs, and what server_count() saw last. */
extern struct server *server;
extern struct front_counts front_now;
extern struct http_counts http_now;

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
/* A test with a server of its own, not started yet. */
#define SERVER_TEST(fn) cmocka_unit_test_setup_teardown(fn, server_setup, server_teardown)
int server_setup(void **state);
int server_teardown(void **state);

/* The conf can be changed before server_start(); limits are generous at first. */
struct server *server_new(void);
void server_start(struct server *);
/* Runs fn on the server's loop and waits for it. */
void server_do(struct server *, void (*fn)(struct server *));
/* CPU time its thread has used so far. */
long server_cpu_ms(struct server *);
/* Frees the server unless it has stopped by itself, then everything else. */
void server_free(struct server *);
/* From the server's thread; the test waits for the same word, in order. */
void server_say(const char *word);
void server_expect(const char *word);
/* False when nothing was said until now. */
bool server_said_anything(void);
/* For server_do(): takes the counts. */
void server_count(struct server *);
/* For server_do(): keeps http_waits() in server_waits (to free), then answers s->parked. */
void server_resume_parked(struct server *);
extern char *server_waits;
/* Waits until the server knows of no open connection. */
void server_expect_all_gone(void);
/* A new key and certificate in the server's files. */
void server_make_certificate(struct server *, const char *name);

struct client {
	int fd;
	SSL_CTX *ctx;
	SSL *ssl;
	char in[1 << 16];
	size_t in_len;
};

/* Unless told otherwise these fail the test when something goes wrong. */
struct client *client_tcp(int port);
struct client *client_unix(const char *path);
/* Over TLS; session may be NULL. */
struct client *client_tls(int port, SSL_SESSION *);
void client_free(struct client *);
void client_send(struct client *, const char *);
void client_send_bytes(struct client *, const void *, size_t);
/* Bytes read; 0 at the end (TLS: close_notify), -1 on an error. */
long client_read(struct client *, void *, size_t);
/* The next answer's status; head and body are malloced texts when asked for. */
int client_answer(struct client *, char **head, char **body);
/* Like it, for an answer without a body though it says a length. */
int client_head(struct client *, char **head);
void client_post(struct client *, const char *path, const char *body);
/* The next answer has this status and body (NULL: any). */
void client_expect(struct client *, int status, const char *body);
/* Reads and throws away until the end; true when it was a clean one. */
bool client_ends(struct client *);
/* A malloced text of len such characters. */
char *repeated(char, size_t len);

#endif
