/*
 * sign_in_limit: how often a password may be tried: per network and, for
 * strangers, per name. Only what failed counts; a network from which somebody
 * signed in lately is known, and is served before strangers.
 */
#ifndef API_SIGN_IN_LIMIT_H
#define API_SIGN_IN_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct bucket_table;

struct sign_in_limit {
	char *network, *name, *standing; /* keys of buckets; NULL: not taken */
	bool known;
};

/* 0, or the ms until it may be tried again. Then one of give, succeeded or fini follows. */
int64_t sign_in_limit_take(struct sign_in_limit *, struct bucket_table *, const char *peer, const char *tenant, const char *name,
    int64_t now_ms);
/* Nothing was tried after all. */
void sign_in_limit_give(struct sign_in_limit *, struct bucket_table *);
void sign_in_limit_succeeded(struct sign_in_limit *, struct bucket_table *, int64_t now_ms);
/* It failed: it counts. */
void sign_in_limit_fini(struct sign_in_limit *);

#endif
