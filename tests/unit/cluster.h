/*
 * cluster: a private PostgreSQL for one test program: initdb in a temporary
 * folder, unix socket only, gone with the program (also when that crashes). A
 * root user's runs as postgres or nobody, since PostgreSQL refuses root.
 * Whatever goes wrong here ends the program with a sentence.
 */
#ifndef UNIT_CLUSTER_H
#define UNIT_CLUSTER_H

#include <stdbool.h>

struct cluster;

/* settings: lines for postgresql.conf, or "". Ready when it returns. */
struct cluster *cluster_start(const char *settings);
void cluster_stop(struct cluster *); /* and removes the folder */
/* For libpq; user postgres, database postgres. Lives as long as the cluster. */
const char *cluster_conninfo(const struct cluster *);

/* On the cluster's own control connection (search_path callbackd, public). Blocks. */
void cluster_run(struct cluster *, const char *sql);
/* The first value, malloced; "" for none. */
char *cluster_ask(struct cluster *, const char *sql);
long long cluster_number(struct cluster *, const char *sql);

/* As pg_ctl stop -m immediate; does not wait. */
void cluster_crash(struct cluster *);
/* Starts it again once it is gone; false: not yet gone. Does not wait until it is ready. */
bool cluster_revive(struct cluster *);

#endif
