/*
 * fuzz_conf: a configuration file. What is refused is refused with the file's
 * name, a line and a sentence; what is taken prints as nothing but texts
 * without control characters and numbers within their limits, and takes itself
 * for what needs no restart.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(bool so)
{
	if (!so)
		abort();
}

/* "PATH:LINE: sentence", in one line. */
static void
check_why(const char *why, const char *path)
{
	size_t len = strlen(path);

	must(strncmp(why, path, len) == 0 && why[len] == ':');
	must(strlen(why) > len + 2);
	must(strstr(why, ": ") != NULL);
}

static void
check_conf(const struct conf *c)
{
	const char *const texts[] = { c->listen, c->listen_plain, c->socket, c->base_url,
		c->certificate, c->private_key, c->trusted_proxies, c->www_dir, c->node_name,
		c->log_level, c->conninfo, c->test_clock };
	const int numbers[] = { c->connections, c->connections_per_address, c->body_bytes,
		c->handshake_ms, c->header_ms, c->body_ms, c->idle_ms, c->wait_ms,
		c->stream_queue_bytes, c->heartbeat_ms, c->long_poll_ms, c->presence_ms,
		c->pool_size, c->queue_depth, c->statement_timeout_ms, c->lease_ms, c->tail_ms,
		c->due_window, c->future_window, c->ring_events };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		must(texts[i] != NULL && strpbrk(texts[i], "\n") == NULL);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		must(numbers[i] > 0);
	must(conf_needs_restart(c, c) == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("conf", MFD_CLOEXEC);
	char path[64];
	char *why = NULL;

	must(fd >= 0 && (size == 0 || write(fd, data, size) == (ssize_t)size));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	struct conf *conf = conf_load(path, &why);
	if (conf == NULL)
		check_why(why, path);
	else
		check_conf(conf);
	free(why);
	conf_free(conf);
	close(fd);
	return 0;
}
