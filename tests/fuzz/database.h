/*
 * database: what is below server/node, for the fuzz targets: a pool, a lease, a
 * tail and a worker that answer on the loop and at once what PostgreSQL answered
 * when database.json was recorded. Whatever is sent is looked at as PostgreSQL
 * would: a text that is not of its parameter's type ends the run.
 */
#ifndef FUZZ_DATABASE_H
#define FUZZ_DATABASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "db/pool.h"

/* How commands and submits are answered. */
enum database_mood { DATABASE_ACCEPTS, DATABASE_REFUSES, DATABASE_FAILS, DATABASE_LOSES, DATABASE_SILENT };

struct database {
	json_t *recorded; /* database.json */
	enum database_mood mood;
	char reason[64]; /* the refusal or the SQLSTATE */
	unsigned asked;	 /* how often */
	/* Each command or callback that is sent, once; NULL: nobody looks. */
	void (*on_element)(const json_t *, bool submit);
};
extern struct database database;

/* Reads database.json, once for the process. */
void database_init(void);
/* A text of the recording: "callback", "link" ... */
const char *database_text(const char *key);
/* Of one of the people: ann, bob, sue, adam; NULL when it is nobody. */
const char *database_token(const char *name);
/* The wall clock at the end of the recording. */
int64_t database_now_ms(void);

/* submit() and execute(). */
bool statement_decides(enum statement);
/* Looks at what is sent. */
void database_look(enum statement, const char *const *params);
PGresult *database_result(enum statement, char *const *params);

/* Ends the run, with a sentence: what must hold does not. Kept when assert() is not. */
void must(bool so, const char *sentence);

#endif
