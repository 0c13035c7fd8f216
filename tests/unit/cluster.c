/*
 * Runs the server's binaries directly, as a child that the kernel stops with
 * us, so that no test leaves a database behind. Must not know what is tested.
 */
#include "cluster.h"

#include <errno.h>
#include <ftw.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <libpq-fe.h>

#define READY_MS 60000

struct cluster {
	char dir[64], data[80], log[80];
	char bin[256];
	char conninfo[160];
	const struct passwd *user; /* NULL: as we are */
	pid_t postmaster;
	PGconn *control;
};

static void fail(const char *, ...) __attribute__((format(printf, 1, 2), noreturn));

static void
fail(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	fputs("cluster: ", stderr);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static void
bin_find(struct cluster *c)
{
	const char *given = getenv("PG_BINDIR");
	if (given != NULL) {
		snprintf(c->bin, sizeof(c->bin), "%s", given);
		return;
	}
	FILE *f = popen("pg_config --bindir", "r");
	if (f == NULL || fgets(c->bin, sizeof(c->bin), f) == NULL)
		fail("no pg_config: set PG_BINDIR");
	pclose(f);
	c->bin[strcspn(c->bin, "\n")] = '\0';
}

/* Does not return: becomes the program, as the cluster's user, talking to the log. */
static void
child(const struct cluster *c, const char *argv[])
{
	char path[400];
	int log = open(c->log, O_WRONLY | O_CREAT | O_APPEND, 0666);
	if (log >= 0) {
		dup2(log, STDOUT_FILENO);
		dup2(log, STDERR_FILENO);
	}
	if (c->user != NULL &&
	    (setgroups(0, NULL) != 0 || setgid(c->user->pw_gid) != 0 ||
		setuid(c->user->pw_uid) != 0))
		_exit(126);
	/* After the change of user, which clears it. */
	prctl(PR_SET_PDEATHSIG, SIGQUIT);
	if (chdir(c->dir) != 0)
		_exit(126);
	snprintf(path, sizeof(path), "%s/%s", c->bin, argv[0]);
	/* They find their own folder by this, when it is not in PATH. */
	argv[0] = path;
	execv(path, (char *const *)argv);
	_exit(127);
}

static void
initdb(const struct cluster *c)
{
	const char *argv[] = { "initdb", "-D", c->data, "-A", "trust", "-U", "postgres", "-E",
		"UTF8", "--locale=C", "--no-sync", NULL };
	pid_t pid = fork();
	int status;
	if (pid == 0)
		child(c, argv);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		fail("initdb failed, see %s", c->log);
}

static void
configure(const struct cluster *c, const char *settings)
{
	char path[120];
	snprintf(path, sizeof(path), "%s/postgresql.conf", c->data);
	FILE *f = fopen(path, "a");
	if (f == NULL)
		fail("%s: %s", path, strerror(errno));
	fprintf(f,
	    "listen_addresses = ''\nunix_socket_directories = '%s'\nfsync = off\n"
	    "max_connections = 50\nshared_buffers = 32MB\nautovacuum = off\n%s\n",
	    c->dir, settings);
	fclose(f);
}

static void
postmaster_start(struct cluster *c)
{
	const char *argv[] = { "postgres", "-D", c->data, NULL };
	c->postmaster = fork();
	if (c->postmaster == 0)
		child(c, argv);
	if (c->postmaster < 0)
		fail("fork: %s", strerror(errno));
}

static void
nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000 * 1000 }, NULL);
}

static void
await_ready(const struct cluster *c)
{
	for (int ms = 0; PQping(c->conninfo) != PQPING_OK; ms += 10) {
		if (ms > READY_MS || waitpid(c->postmaster, NULL, WNOHANG) != 0)
			fail("the server does not start, see %s", c->log);
		nap();
	}
}

struct cluster *
cluster_start(const char *settings)
{
	struct cluster *c = calloc(1, sizeof(*c));
	if (c == NULL)
		fail("out of memory");
	snprintf(c->dir, sizeof(c->dir), "/tmp/callbackd-unit-XXXXXX");
	if (mkdtemp(c->dir) == NULL)
		fail("%s: %s", c->dir, strerror(errno));
	snprintf(c->data, sizeof(c->data), "%s/data", c->dir);
	snprintf(c->log, sizeof(c->log), "%s/log", c->dir);
	snprintf(c->conninfo, sizeof(c->conninfo), "host=%s user=postgres dbname=postgres", c->dir);
	bin_find(c);
	if (geteuid() == 0) {
		c->user = getpwnam("postgres");
		if (c->user == NULL)
			c->user = getpwnam("nobody");
		if (c->user == NULL || chown(c->dir, c->user->pw_uid, c->user->pw_gid) != 0)
			fail("no user postgres or nobody to run the server");
	}
	initdb(c);
	configure(c, settings);
	postmaster_start(c);
	await_ready(c);
	return c;
}

static int
on_path(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void
cluster_stop(struct cluster *c)
{
	cluster_crash(c);
	waitpid(c->postmaster, NULL, 0);
	nftw(c->dir, on_path, 16, FTW_DEPTH | FTW_PHYS);
	free(c);
}

const char *
cluster_conninfo(const struct cluster *c)
{
	return c->conninfo;
}

static PGresult *
control(struct cluster *c, const char *sql)
{
	char conninfo[300];
	if (c->control != NULL && PQstatus(c->control) != CONNECTION_OK) {
		PQfinish(c->control);
		c->control = NULL;
	}
	if (c->control == NULL) {
		await_ready(c);
		snprintf(conninfo, sizeof(conninfo),
		    "%s application_name=control options='-c search_path=callbackd,public"
		    " -c client_min_messages=warning'",
		    c->conninfo);
		c->control = PQconnectdb(conninfo);
	}
	PGresult *res = PQexec(c->control, sql);
	ExecStatusType status = PQresultStatus(res);
	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
		fail("%s: %s", sql, PQerrorMessage(c->control));
	return res;
}

void
cluster_run(struct cluster *c, const char *sql)
{
	PQclear(control(c, sql));
}

char *
cluster_ask(struct cluster *c, const char *sql)
{
	PGresult *res = control(c, sql);
	char *value = strdup(PQntuples(res) > 0 ? PQgetvalue(res, 0, 0) : "");
	PQclear(res);
	if (value == NULL)
		fail("out of memory");
	return value;
}

long long
cluster_number(struct cluster *c, const char *sql)
{
	char *value = cluster_ask(c, sql);
	long long n = strtoll(value, NULL, 10);
	free(value);
	return n;
}

void
cluster_crash(struct cluster *c)
{
	PQfinish(c->control);
	c->control = NULL;
	kill(c->postmaster, SIGQUIT);
}

bool
cluster_revive(struct cluster *c)
{
	if (waitpid(c->postmaster, NULL, WNOHANG) == 0)
		return false;
	postmaster_start(c);
	return true;
}
