/*
 * intake_limit: how often one address, one number and one form may ask. A
 * public form makes strangers' telephones ring.
 */
#ifndef API_INTAKE_LIMIT_H
#define API_INTAKE_LIMIT_H

#include <stdint.h>

#include <jansson.h>

struct bucket_table;

struct intake_limit {
	char *taken[3];		/* keys of the tokens held, NULL none */
};

/*
 * Takes one token of each limit in the form's image. 0 when all were had; else
 * none is held, and it is the ms after which one may ask again.
 */
int64_t intake_limit_take(struct intake_limit *, struct bucket_table *, const json_t *form, const char *address,
    const char *phone, int64_t now_ms) __attribute__((warn_unused_result));
/*
 * Of one thing that is limited for each network alone: kind 's' a look at slots,
 * 'h' a place held. A burst of 0: no limit.
 */
int64_t intake_limit_network(struct bucket_table *, const json_t *form, char kind, const char *address, int burst,
    int64_t period_ms, int64_t now_ms) __attribute__((warn_unused_result));
/* Nothing came of it: the tokens go back. */
void intake_limit_give(struct intake_limit *, struct bucket_table *);
void intake_limit_fini(struct intake_limit *);

#endif
