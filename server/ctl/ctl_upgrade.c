/*
 * callbackctl upgrade: brings a database's schema to this version: what is
 * missing of sql/upgrade, and the functions, in one transaction. Writes a script
 * for psql, whose \i, \if and messages with file and line do the rest. Must not
 * know what an upgrade changes.
 */
#include "ctl/ctl.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CTL_SQL_DIR
#define CTL_SQL_DIR "sql"
#endif
/* As tenant_lock() has it, of tenant 0, whom there is none of. */
#define LOCK "8221, 0"
#define LOCK_TRIES 300	/* a tenth of a second each */
#define TABLES_TRIES 60 /* some 50 seconds */
/* An upgrade that begins with this line is not in the transaction: CREATE INDEX CONCURRENTLY. */
#define OUTSIDE "-- outside of a transaction"

/* What is wrong stops psql, with this said on the way. */
static void
script_fail(struct buf *b, const char *why)
{
	buf_printf(b, "DO $fail$ BEGIN RAISE EXCEPTION '%s'; END $fail$;\n", why);
}

/* The whole file, or NULL, which was complained about. */
static char *
file_read(const char *path)
{
	FILE *f = fopen(path, "r");
	struct buf b = { 0 };
	char part[4096];
	size_t n;

	if (f == NULL) {
		ctl_complain("%s: %s", path, strerror(errno));
		return NULL;
	}
	while ((n = fread(part, 1, sizeof part, f)) > 0)
		buf_add(&b, part, n);
	fclose(f);
	buf_puts(&b, "");
	return buf_take(&b);
}

/* 2 of "002.sql"; 0: it is something else. */
static int
number_of(const char *name)
{
	char *end;
	long n = strtol(name, &end, 10);

	return strspn(name, "0123456789") == 3 && strcmp(end, ".sql") == 0 ? (int)n : 0;
}

static int
is_upgrade(const struct dirent *e)
{
	return number_of(e->d_name) > 0;
}

/*
 * One upgrade at a time, from here to the end of the session. To wait for the
 * lock in one statement would be a transaction that another's CREATE INDEX
 * CONCURRENTLY waits for, which has the lock: so it is tried again and again.
 */
static void
script_lock(struct buf *b)
{
	buf_puts(b, "\\set mine false\n");
	for (int i = 0; i < LOCK_TRIES; i++)
		buf_puts(b,
		    "\\if :mine\n\\else\nSELECT pg_try_advisory_lock(" LOCK
		    ") AS mine \\gset\n\\endif\n"
		    "\\if :mine\n\\else\nDO $$ BEGIN PERFORM pg_sleep(0.1); END $$;\n\\endif\n");
	buf_puts(b, "\\if :mine\n\\else\n");
	script_fail(b, "another upgrade is under way: run this again when it is done");
	buf_puts(b, "\\endif\n");
}

static void
script_todo(struct buf *b, int number)
{
	buf_printf(b,
	    "SELECT NOT EXISTS (SELECT FROM upgrade WHERE number = %d) AS todo \\gset\n\\if "
	    ":todo\n",
	    number);
}

/* One upgrade, if it was not applied. False: its file cannot be read. */
static bool
script_upgrade(struct buf *b, const char *dir, int number, bool dry_run, bool outside)
{
	char *path = xasprintf("%s/upgrade/%03d.sql", dir, number), *text = file_read(path);
	bool readable = text != NULL;

	if (readable && (strncmp(text, OUTSIDE, strlen(OUTSIDE)) == 0) == outside) {
		script_todo(b, number);
		if (!dry_run)
			buf_printf(b,
			    "\\i '%s'\nINSERT INTO upgrade (number) VALUES (%d);\n"
			    "UPDATE meta SET schema_version = greatest(schema_version, %d);\n",
			    path, number, number);
		buf_printf(b, "\\echo %s %03d\n\\set any true\n\\endif\n",
		    dry_run ? "to be applied:" : "applied", number);
	}
	free(text);
	free(path);
	return readable;
}

/*
 * A file of functions as it is, but that what exists is replaced, not made: the
 * function stays the same object, which running servers have prepared calls of.
 * A type that exists stays; if it has to change, the upgrade has dropped it.
 */
static bool
script_functions(struct buf *b, const char *dir, const char *name)
{
	char *path = xasprintf("%s/functions/%s", dir, name), *text = file_read(path), *rest = text;
	const char *line;
	bool in_type = false, good = text != NULL;

	while (good && (line = strsep(&rest, "\n")) != NULL) {
		char file[128], type[64];
		if (sscanf(line, "\\ir %127s", file) == 1) {
			good = script_functions(b, dir, file);
			continue;
		}
		if (sscanf(line, "CREATE TYPE %63s", type) == 1) {
			buf_printf(b,
			    "SELECT to_regtype('callbackd.%s') IS NULL AS missing \\gset\n\\if "
			    ":missing\n",
			    type);
			in_type = true;
		}
		if (strncmp(line, "CREATE FUNCTION ", 16) == 0)
			buf_printf(b, "CREATE OR REPLACE FUNCTION %s\n", line + 16);
		else
			buf_printf(b, "%s\n", line);
		if (in_type && strcmp(line, ");") == 0) {
			buf_puts(b, "\\endif\n");
			in_type = false;
		}
	}
	free(text);
	free(path);
	return good;
}

static void
script_begin(struct buf *b, int last, bool dry_run)
{
	buf_puts(b,
	    "\\set ON_ERROR_STOP on\n\\set QUIET on\n\\set any false\n"
	    "SET client_min_messages = warning;\nSET search_path = callbackd, public;\n"
	    "SELECT to_regclass('callbackd.upgrade') IS NULL AS none \\gset\n\\if :none\n");
	script_fail(b, "this database has no schema callbackd: load sql/schema.sql");
	buf_printf(b,
	    "\\endif\nSELECT schema_version > %d AS newer FROM meta \\gset\n\\if :newer\n", last);
	script_fail(b, "the schema is newer than this callbackctl: install a newer one");
	buf_puts(b, "\\endif\n");
	if (!dry_run)
		script_lock(b);
}

/*
 * Under every tenant's lock: no batch is half way, some of it decided by an old
 * function and the rest by a new one. And every table's, before there is
 * anything to lose: who reads takes no tenant's lock, and a reader who has one
 * table and wants another, which we have, would be a deadlock found after an
 * hour's rewriting. Most tries give up before a server's deadlock_timeout, which
 * would make the reader the victim; every fourth stays longer than that, because
 * only then PostgreSQL sends its own vacuum away.
 */
static void
script_tables(struct buf *b, int last)
{
	buf_printf(b,
	    "DO $$\n"
	    "DECLARE\n"
	    "	v_before text := current_setting('lock_timeout');\n"
	    "BEGIN\n"
	    "	IF NOT EXISTS (SELECT FROM generate_series(2, %d) n\n"
	    "		WHERE NOT EXISTS (SELECT FROM upgrade u WHERE u.number = n)) THEN\n"
	    "		RETURN;\n"
	    "	END IF;\n"
	    "	FOR try IN 1 .. %d LOOP\n"
	    "		BEGIN\n"
	    "			PERFORM set_config('lock_timeout', CASE WHEN try %% 4 = 0 THEN "
	    "'1500' ELSE '300' END, true);\n"
	    "			PERFORM tenant_lock(t.tenant_id) FROM (SELECT tenant_id FROM "
	    "tenant ORDER BY 1) t;\n"
	    "			EXECUTE (SELECT 'LOCK TABLE '\n"
	    "				|| string_agg(c.oid::regclass::text, ', '\n"
	    "					ORDER BY c.relname <> 'tenant', c.relname)\n"
	    "				|| ' IN ACCESS EXCLUSIVE MODE'\n"
	    "				FROM pg_class c WHERE c.relkind IN ('r', 'p')\n"
	    "				AND c.relnamespace = 'callbackd'::regnamespace);\n"
	    "			PERFORM set_config('lock_timeout', v_before, true);\n"
	    "			RETURN;\n"
	    "		EXCEPTION WHEN lock_not_available OR deadlock_detected THEN\n"
	    "			NULL; -- and all locks are gone with what is rolled back here\n"
	    "		END;\n"
	    "		PERFORM pg_sleep(0.2);\n"
	    "	END LOOP;\n"
	    "	RAISE EXCEPTION 'the tables are in use: run this again when no backup or long "
	    "report is under way';\n"
	    "END $$;\n",
	    last, TABLES_TRIES);
}

static bool
script_transaction(struct buf *b, const char *dir, int last, bool dry_run)
{
	bool good = true;

	buf_puts(b, "BEGIN;\n");
	if (!dry_run)
		script_tables(b, last);
	for (int n = 2; good && n <= last; n++)
		good = script_upgrade(b, dir, n, dry_run, false);
	if (!dry_run) {
		buf_puts(b, "\\if :any\n");
		good = good && script_functions(b, dir, "all.sql");
		buf_printf(b,
		    "DO $$ BEGIN PERFORM pg_notify('callbackd', '0:%d'); END $$;\n\\endif\n", last);
	}
	buf_puts(b, "COMMIT;\n");
	return good;
}

/* What is not for a transaction. */
static bool
script_outside(struct buf *b, const char *dir, int last, bool dry_run)
{
	bool good = true;

	for (int n = 2; good && n <= last; n++)
		good = script_upgrade(b, dir, n, dry_run, true);
	buf_puts(b, "\\if :any\n\\else\n\\echo nothing to do\n\\endif\n");
	return good;
}

/* psql with the script on its standard input; its exit status, -1: it could not be run. */
static int
psql_run(const char *database, const struct buf *script)
{
	const char *argv[] = { "psql", "-X", "-q", "-A", "-t", "-f", "-", "-d", database, NULL };
	int fd[2], status = 0;
	size_t at = 0;
	ssize_t n;

	if (database == NULL)
		argv[7] = NULL;
	if (pipe(fd) != 0)
		return -1;
	pid_t child = fork();
	if (child == 0) {
		dup2(fd[0], STDIN_FILENO);
		close(fd[0]);
		close(fd[1]);
		execvp("psql", (char *const *)argv);
		ctl_complain("psql: %s", strerror(errno));
		_exit(127);
	}
	close(fd[0]);
	/* psql that stops at an error reads no further: that is not ours to die of. */
	signal(SIGPIPE, SIG_IGN);
	while (child > 0 && at < script->len &&
	    (n = write(fd[1], script->data + at, script->len - at)) > 0)
		at += (size_t)n;
	close(fd[1]);
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The number of the last upgrade, which is the version that it leads to. 0: there is none, which was complained about. */
static int
last_of(const char *dir)
{
	char *path = xasprintf("%s/upgrade", dir);
	struct dirent **list;
	int n = scandir(path, &list, is_upgrade, alphasort), last = 0;

	if (n > 0)
		last = number_of(list[n - 1]->d_name);
	else
		ctl_complain("%s: %s", path, n < 0 ? strerror(errno) : "there is no upgrade");
	for (int i = 0; i < n; i++)
		free(list[i]);
	if (n >= 0)
		free(list);
	free(path);
	return last;
}

int
ctl_upgrade(const struct ctl *ctl)
{
	const char *dir = ctl->sql != NULL ? ctl->sql : CTL_SQL_DIR;
	struct buf script = { 0 };
	int status = -1, last = last_of(dir);

	if (last == 0)
		return CTL_FAILED;
	script_begin(&script, last, ctl->dry_run);
	if (script_transaction(&script, dir, last, ctl->dry_run) &&
	    script_outside(&script, dir, last, ctl->dry_run)) {
		fflush(stdout);
		status = psql_run(ctl->database, &script);
	}
	buf_fini(&script);
	return status == 0 ? CTL_OK : CTL_FAILED;
}
