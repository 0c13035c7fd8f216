/*
 * callbackctl, the administrators' command: its table of commands and its
 * options. Must not know what a command does.
 */
#include "ctl/ctl.h"

#include <getopt.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

#define DEFAULT_SOCKET "/run/callbackd/callbackd.sock"

struct command {
	const char *name;
	ctl_command_fn run;
	int args_min, args_max;
	const char *options; /* the letters that it takes beside those of the connection */
	const char *synopsis;
	const char *help;
};

static const struct command commands[] = {
	{ "apply", ctl_apply, 0, 0, "fn", "-f FILE [-n]",
	    "Makes a company what the document says, and shows what changed" },
	{ "show", ctl_show, 1, 1, "jsqgl", NULL, "Shows what there is, as a table or as JSON" },
	{ "explain", ctl_explain, 1, 1, "j", "ID [-j]", "Says why a callback is where it is" },
	{ "cancel", ctl_cancel, 1, 1, "rj", "ID [-r TEXT] [-j]", "Cancels a callback" },
	{ "move", ctl_move, 2, 2, "zrj", "ID TIME [-z ZONE] [-r TEXT] [-j]",
	    "Promises a callback for another time" },
	{ "now", ctl_now, 1, 1, "rj", "ID [-r TEXT] [-j]", "Makes a callback due at once" },
	{ "recompute", ctl_recompute, 0, 0, "nqj", "[-n] [-q QUEUE] [-j]",
	    "Works openings and promises out anew, when a zone's rules have changed" },
	{ "export", ctl_export, 0, 0, "jsqg", "[-j] [-s STATE] [-q QUEUE] [-g AGENT]",
	    "Prints all callbacks with their contacts, as CSV or one JSON object a line" },
	{ "rotate", ctl_rotate, 0, 0, "", "", "Makes a new secret that signs links" },
	{ "retire", ctl_retire, 1, 1, "", "ID",
	    "Ends an old secret, and the links that it signed" },
	{ "erase", ctl_erase, 0, 1, "p", "ID | -p NUMBER",
	    "Erases a contact's data, of one callback or of all for a number" },
	{ "export-subject", ctl_export_subject, 0, 0, "p", "-p NUMBER",
	    "Prints all that is stored about a number, as JSON" },
	{ "suppress", ctl_suppress, 0, 0, "pru", "-p NUMBER -r TEXT [-u TIME]",
	    "Has a number, or all that begin like that, not called" },
	{ "unsuppress", ctl_unsuppress, 0, 0, "p", "-p NUMBER", "Lets it be called again" },
	{ "rules", ctl_rules, 1, 3, "rj",
	    "show [N] | versions | check FILE | try FILE|. REQUEST [-j] | publish FILE | rollback "
	    "N "
	    "[-r TEXT]",
	    "Routing rules: which there are, and other ones" },
	{ "upgrade", ctl_upgrade, 0, 0, "din", "[-d CONNINFO] [-i FOLDER] [-n]",
	    "Brings the database's schema to this version" },
	{ "tail", ctl_tail, 0, 0, "aj", "[-a ID] [-j]",
	    "Follows the events as they happen, one line each" },
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

struct flag {
	char letter;
	const char *name, *arg; /* arg NULL: takes none */
	const char *help;
};

/* Those of the connection are in capitals, and every command takes them. */
static const struct flag flags[] = {
	{ 'S', "socket", "PATH",
	    "the operator's unix socket (" DEFAULT_SOCKET ", or $CALLBACKD_SOCKET)" },
	{ 'U', "url", "URL", "the server's address instead, as https://callback.example.com" },
	{ 'T', "token", "TOKEN",
	    "an administrator's session token, with --url (better in $CALLBACKD_TOKEN)" },
	{ 'C', "cacert", "FILE", "the authority of the server's certificate, with --url" },
	{ 'N', "tenant", "NAME", "the company, where there are several" },
	{ 'f', "file", "FILE", "the company; - is the standard input" },
	{ 'd', "database", "CONNINFO", "the database to upgrade, as for psql" },
	{ 'i', "sql", "FOLDER", "where the schema's files are (" CTL_SQL_DIR ")" },
	{ 'n', "dry-run", NULL, "only show what would change" },
	{ 'j', "json", NULL, "as JSON" },
	{ 's', "state", "STATE", "only callbacks in this state" },
	{ 'q', "queue", "NAME", "only callbacks of this queue" },
	{ 'g', "agent", "NAME", "only callbacks that this agent holds" },
	{ 'l', "limit", "N", "at most so many callbacks, the newest" },
	{ 'r', "reason", "TEXT", "why, for the record" },
	{ 'z', "time-zone", "ZONE", "in which TIME is meant (that of the promise so far)" },
	{ 'p', "phone", "NUMBER", "a contact's, with + and the country's code; - reads it" },
	{ 'u', "until", "TIME", "it is forgotten then, as 2027-01-31T00:00:00Z" },
	{ 'a', "after", "ID", "begin behind this event" },
	{ 'h', "help", NULL, "this text" },
	{ 'V', "version", NULL, "the version" },
};
#define FLAGS (sizeof(flags) / sizeof(flags[0]))

void
ctl_complain(const char *format, ...)
{
	va_list ap;

	fputs("callbackctl: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
}

json_t *
ctl_read(const char *path)
{
	bool in = strcmp(path, "-") == 0;
	json_error_t error;
	json_t *document = in ? json_loadf(stdin, JSON_REJECT_DUPLICATES, &error)
			      : json_load_file(path, JSON_REJECT_DUPLICATES, &error);

	if (document == NULL && error.line < 0)
		ctl_complain("%s", error.text);
	else if (document == NULL)
		ctl_complain("%s:%d:%d: %s", in ? "standard input" : path, error.line, error.column,
		    error.text);
	return document;
}

static void
help(FILE *out)
{
	fputs("usage: callbackctl [options] command\n\n", out);
	for (const struct command *c = commands; c < commands + COMMANDS; c++) {
		if (c->synopsis != NULL)
			fprintf(out, "  %s %s\n", c->name, c->synopsis);
		else
			fprintf(out, "  %s %s [-j]\n", c->name, ctl_show_things());
		fprintf(out, "      %s\n", c->help);
	}
	fputc('\n', out);
	for (const struct flag *f = flags; f < flags + FLAGS; f++) {
		int n = fprintf(
		    out, "  -%c, --%s %s", f->letter, f->name, f->arg != NULL ? f->arg : "");
		fprintf(out, "%*s%s\n", n < 24 ? 24 - n : 1, "", f->help);
	}
}

static int
usage(void)
{
	fputs("Try: callbackctl --help\n", stderr);
	return CTL_USAGE;
}

/* Where an option's text goes; NULL: it has none. */
static const char **
text_of(struct ctl *ctl, int letter)
{
	const struct {
		int letter;
		const char **text;
	} rows[] = {
		{ 'S', &ctl->socket },
		{ 'U', &ctl->url },
		{ 'T', &ctl->token },
		{ 'C', &ctl->cacert },
		{ 'N', &ctl->tenant },
		{ 'f', &ctl->file },
		{ 's', &ctl->state },
		{ 'q', &ctl->queue },
		{ 'g', &ctl->agent },
		{ 'l', &ctl->limit },
		{ 'r', &ctl->reason },
		{ 'p', &ctl->phone },
		{ 'u', &ctl->until },
		{ 'z', &ctl->zone },
		{ 'd', &ctl->database },
		{ 'i', &ctl->sql },
		{ 'a', &ctl->after },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].letter == letter)
			return rows[i].text;
	return NULL;
}

/* Options may stand anywhere. given gets the letters; false: one is not understood, which getopt has said. */
static bool
read_options(struct ctl *ctl, int argc, char **argv, char given[FLAGS + 1])
{
	struct option longs[FLAGS + 1] = { 0 };
	char shorts[2 * FLAGS + 1], *end = given;
	size_t n = 0;
	int c;

	for (size_t i = 0; i < FLAGS; i++) {
		longs[i] = (struct option){ .name = flags[i].name,
			.val = flags[i].letter,
			.has_arg = flags[i].arg != NULL ? required_argument : no_argument };
		shorts[n++] = flags[i].letter;
		if (flags[i].arg != NULL)
			shorts[n++] = ':';
	}
	shorts[n] = '\0';
	*given = '\0';
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const char **text = text_of(ctl, c);

		if (c == '?')
			return false;
		if (text != NULL)
			*text = optarg;
		ctl->dry_run = ctl->dry_run || c == 'n';
		ctl->json = ctl->json || c == 'j';
		if (strchr(given, c) == NULL) {
			*end++ = (char)c;
			*end = '\0';
		}
	}
	return true;
}

static const struct command *
command_find(const char *name)
{
	for (const struct command *c = commands; c < commands + COMMANDS; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

/* An option that a command would ignore is a misunderstanding. */
static bool
options_fit(const struct command *command, const char *given)
{
	for (const struct flag *f = flags; f < flags + FLAGS; f++)
		if (strchr(given, f->letter) != NULL && strchr("SUTCN", f->letter) == NULL &&
		    strchr(command->options, f->letter) == NULL) {
			ctl_complain("%s does not take --%s", command->name, f->name);
			return false;
		}
	return true;
}

static bool
connection_fits(struct ctl *ctl, const char *given)
{
	if (strchr(given, 'S') != NULL && ctl->url != NULL) {
		ctl_complain("either --socket or --url");
		return false;
	}
	if (ctl->url == NULL && (strchr(given, 'T') != NULL || ctl->cacert != NULL)) {
		ctl_complain("--token and --cacert go with --url");
		return false;
	}
	if (ctl->url != NULL && ctl->token == NULL) {
		ctl_complain("--url needs a session token in --token or $CALLBACKD_TOKEN");
		return false;
	}
	return true;
}

static int
run(struct ctl *ctl, const struct command *command, int args)
{
	if (args < command->args_min || args > command->args_max) {
		ctl_complain("%s %s", command->name,
		    command->synopsis != NULL ? command->synopsis : ctl_show_things());
		return usage();
	}
	curl_global_init(CURL_GLOBAL_DEFAULT);
	int status = command->run(ctl);
	curl_global_cleanup();
	if (fflush(stdout) != 0 || ferror(stdout)) {
		ctl_complain("the output could not be written");
		return CTL_FAILED;
	}
	return status;
}

int
main(int argc, char **argv)
{
	const char *env = getenv("CALLBACKD_SOCKET");
	struct ctl ctl = { .socket = env != NULL && *env != '\0' ? env : DEFAULT_SOCKET,
		.token = getenv("CALLBACKD_TOKEN") };
	char given[FLAGS + 1];

	setlocale(LC_CTYPE, "");
	if (!read_options(&ctl, argc, argv, given))
		return usage();
	if (strchr(given, 'h') != NULL) {
		help(stdout);
		return CTL_OK;
	}
	if (strchr(given, 'V') != NULL) {
		puts("callbackctl " PACKAGE_VERSION);
		return CTL_OK;
	}
	if (optind == argc) {
		help(stderr);
		return CTL_USAGE;
	}
	const struct command *command = command_find(argv[optind]);
	if (command == NULL) {
		ctl_complain("there is no command %s", argv[optind]);
		return usage();
	}
	ctl.args = argv + optind + 1;
	if (!options_fit(command, given) || !connection_fits(&ctl, given))
		return usage();
	return run(&ctl, command, argc - optind - 1);
}
