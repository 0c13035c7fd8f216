/*
 * node: this process among its peers: the database pool, the heartbeat, the
 * tenants, and who finds what in which tenant. Knows no HTTP.
 */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/id.h"
#include "core/projection.h"

struct clock;
struct conf;
struct event_base;
struct node;
struct pool;
struct tenant;

/* Starts connecting; nothing is ready yet. conf and clock are borrowed for the node's life. */
struct node *node_new(struct event_base *, const struct conf *, struct clock *);
/* Gives the leases back, then calls done from the loop (at the latest after a second). */
void node_stop(struct node *, void (*done)(void *), void *arg);
void node_free(struct node *);

/* Called when the schema has become, or is, too new for this program: it must stop. Logged by then. */
void node_watch_schema(struct node *, void (*outdated)(void *arg), void *arg);

/*
 * NULL when ready: the database answers, the schema is known, every tenant is
 * loaded. Otherwise the sentence for /readyz.
 */
const char *node_not_ready(const struct node *);
struct id node_id(const struct node *);
struct pool *node_pool(struct node *);
struct event_base *node_base(struct node *);
const struct conf *node_conf(const struct node *);
struct clock *node_clock(struct node *);
int64_t node_now_ms(const struct node *);
bool node_is_test(const struct node *);		/* the database is marked as a test */
int node_alive(const struct node *);
/* Whether PostgreSQL knows the time zone; true for all until it was asked. */
bool node_zone_known(const struct node *, const char *);

struct tenant *node_tenant(struct node *, int tenant_id);		/* NULL unknown */
struct tenant *node_tenant_by_name(struct node *, const char *);
struct tenant *node_tenant_next(struct node *, struct tenant *);	/* NULL starts; NULL ends */
/* Whose form is it: NULL unknown. *image is borrowed. */
struct tenant *node_form(struct node *, const char *key, const json_t **image);
/*
 * Who holds this bearer token ("<tenant_id>.<43 base64url characters>")? False:
 * malformed, unknown, expired.
 */
bool node_session(struct node *, const char *token, struct tenant **, struct session_view *, uint8_t token_hash[32]);
/* A new token for that tenant, malloced, and its hash. */
char *node_token(const struct tenant *, uint8_t token_hash[32]);

/* A tenant was created: look for it now. */
void node_look(struct node *);
/* The fake clock moved (or was set): everything that waits for the time looks again. */
void node_clock_moved(struct node *);
#endif
