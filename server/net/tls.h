/*
 * tls: how this server speaks TLS: versions, ciphers, ALPN, tickets. Knows
 * nothing of connections.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <openssl/types.h>

/*
 * A context with this PEM chain and key; NULL with *why (malloced). It takes the
 * ticket keys of `before` (may be NULL), so that its clients' sessions resume.
 */
SSL_CTX *tls_context_new(
    const char *certificate, const char *private_key, SSL_CTX *before, char **why);
/* What OpenSSL's error queue says first; empties the queue. The text is thread-local. */
const char *tls_error(void);

#endif
