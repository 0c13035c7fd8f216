/*
 * house: starts and ends the rooms as server/main.c does, and lets visitors in
 * past the listening sockets. It must not know what they want.
 */
#include "house.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "api/api.h"
#include "base/conf.h"
#include "base/log.h"
#include "base/work.h"
#include "database.h"
#include "net/front_impl.h"
#include "net/tls.h"
#include "node/node.h"
#include "node/tenant.h"

/* Rounds without a byte or a query, after which nothing comes any more: the longest way has fewer steps. */
#define QUIET_ROUNDS 8
#define ROUNDS_MAX 100000
#define PAGES "fuzz-www"

static struct conf *conf;
static SSL_CTX *server_tls;

/*
 * The pages, without the long description of the interface beside them: it would be read for every input. In the
 * folder of the build, so that whoever is stopped leaves nothing behind.
 */
static void
pages_init(void)
{
	static const char *const names[] = { "error", "form", "status", "style", "thanks" };
	char from[PATH_MAX], to[64];

	must(mkdir(PAGES, 0777) == 0 || errno == EEXIST, "no folder for the pages");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(from, sizeof(from), SRCDIR "/server/www/%s.html", names[i]);
		snprintf(to, sizeof(to), PAGES "/%s.html", names[i]);
		must(symlink(from, to) == 0 || errno == EEXIST, "a page cannot be linked");
	}
}

static void
conf_init(void)
{
	static const char text[] = "[server]\nlisten =\nlisten_plain =\nsocket =\nbase_url = "
				   "https://calls.example\nwww_dir = " PAGES "\n"
				   "trusted_proxies = 192.0.2.9\n[database]\nring_events = 64\n";
	char path[64];
	char *why = NULL;
	int fd = memfd_create("conf", MFD_CLOEXEC);

	must(fd >= 0 && write(fd, text, sizeof(text) - 1) == (ssize_t)sizeof(text) - 1,
	    "no file in memory");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	conf = conf_load(path, &why);
	must(conf != NULL, "the configuration is refused");
	close(fd);
}

static EVP_PKEY *
key_new(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	must(key != NULL, "no key");
	return key;
}

static void
tls_init(void)
{
	EVP_PKEY *key = key_new();
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);
	char path[64], *why = NULL;
	int fd = memfd_create("pem", MFD_CLOEXEC);
	FILE *f = fdopen(fd, "w+");

	X509_NAME_add_entry_by_txt(
	    name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
	X509_set_issuer_name(cert, name);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	X509_set_pubkey(cert, key);
	X509_sign(cert, key, EVP_sha256());
	must(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1 &&
		PEM_write_X509(f, cert) == 1 && fflush(f) == 0,
	    "no certificate");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	server_tls = tls_context_new(path, path, NULL, &why);
	must(server_tls != NULL, "the certificate is refused");
	fclose(f);
	X509_free(cert);
	EVP_PKEY_free(key);
}

void
house_init(void)
{
	signal(SIGPIPE, SIG_IGN);
	log_level_set(LOG_LEVEL_DEBUG);
	database_init();
	pages_init();
	conf_init();
	tls_init();
}

static void
open_doors(struct house *h, const struct http_handlers *handlers, void *arg)
{
	char *why = NULL;

	h->http = http_new(h->base, conf, handlers, arg, &why);
	must(h->http != NULL, "the front cannot be built");
	SSL_CTX_up_ref(server_tls);
	http_front(h->http)->tls = server_tls;
}

static struct house *
base_new(void)
{
	struct house *h = xcalloc(1, sizeof(*h));

	h->base = event_base_new();
	h->clock = (struct clock){ .fake = true, .fake_ms = database_now_ms() };
	return h;
}

struct house *
house_new_net(const struct http_handlers *handlers, void *arg)
{
	struct house *h = base_new();

	open_doors(h, handlers, arg);
	return h;
}

struct house *
house_new(void)
{
	struct house *h = base_new();

	h->work = work_new(h->base);
	h->node = node_new(h->base, conf, &h->clock);
	h->api = api_new(h->node, conf, h->work, NULL);
	open_doors(h, &api_handlers, h->api);
	api_bind(h->api, h->http);
	house_settle(h);
	must(node_not_ready(h->node) == NULL && tenant_live(node_tenant(h->node, 1)),
	    "the recorded company cannot be loaded: run tests/fuzz/record");
	return h;
}

/* In the order of server/main.c. */
void
house_free(struct house *h)
{
	if (h->work != NULL)
		work_free(h->work);
	http_free(h->http);
	node_free(h->node);
	api_free(h->api);
	event_base_free(h->base);
	free(h);
}

void
house_settle(struct house *h)
{
	unsigned seen = h->moves + database.asked, quiet = 0;

	for (int i = 0; i < ROUNDS_MAX && quiet < QUIET_ROUNDS; i++) {
		event_base_loop(h->base, EVLOOP_NONBLOCK);
		unsigned now = h->moves + database.asked;
		quiet = seen == now ? quiet + 1 : 0;
		seen = now;
	}
	must(quiet == QUIET_ROUNDS, "the loop never comes to rest");
}
