/*
 * address: addresses as bytes. It must not know what they are compared for.
 */
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"

static const uint8_t mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

struct address_set {
	size_t count;
	struct address members[];
};

static bool
is_mapped(const struct address *a)
{
	return memcmp(a->bytes, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

static void
map_v4(struct address *a, const void *four_bytes)
{
	memcpy(a->bytes, mapped_prefix, sizeof(mapped_prefix));
	memcpy(a->bytes + sizeof(mapped_prefix), four_bytes, 4);
}

bool
address_of(const struct sockaddr *sa, struct address *out)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	switch (sa->sa_family) {
	case AF_INET:
		memcpy(&v4, sa, sizeof(v4));
		map_v4(out, &v4.sin_addr);
		return true;
	case AF_INET6:
		memcpy(&v6, sa, sizeof(v6));
		memcpy(out->bytes, &v6.sin6_addr, sizeof(out->bytes));
		return true;
	default:
		return false;
	}
}

bool
address_parse(const char *text, size_t len, struct address *out)
{
	char copy[ADDRESS_TEXT_SIZE + 10]; /* and "[]:65535" */
	char *host = copy;
	struct in_addr v4;

	if (len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	char *colon = strchr(copy, ':');
	if (copy[0] == '[') {
		char *end = strchr(copy, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return false;
		*end = '\0';
		host++;
	} else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
		*colon = '\0';
	}
	if (inet_pton(AF_INET, host, &v4) == 1) {
		map_v4(out, &v4);
		return true;
	}
	return inet_pton(AF_INET6, host, out->bytes) == 1;
}

size_t
address_socket(const char *text, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)out;
	struct address a;
	char *end;
	const char *colon = strrchr(text, ':');

	if (colon == NULL || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
	    !address_parse(text, strlen(text), &a))
		return 0;
	unsigned long port = strtoul(colon + 1, &end, 10);
	if (end == colon + 1 || port > 65535)
		return 0;
	memset(out, 0, sizeof(*out));
	if (text[0] == '[') {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		memcpy(&v6->sin6_addr, a.bytes, sizeof(a.bytes));
		return sizeof(*v6);
	}
	if (!is_mapped(&a))
		return 0; /* "::1", where the last part is no port */
	v4->sin_family = AF_INET;
	v4->sin_port = htons((uint16_t)port);
	memcpy(&v4->sin_addr, a.bytes + sizeof(mapped_prefix), 4);
	return sizeof(*v4);
}

void
address_format(const struct address *a, char out[ADDRESS_TEXT_SIZE])
{
	if (is_mapped(a))
		inet_ntop(AF_INET, a->bytes + sizeof(mapped_prefix), out, ADDRESS_TEXT_SIZE);
	else
		inet_ntop(AF_INET6, a->bytes, out, ADDRESS_TEXT_SIZE);
}

struct address
address_network(struct address a)
{
	if (!is_mapped(&a))
		memset(a.bytes + 8, 0, 8);
	return a;
}

struct address_set *
address_set_new(const char *text)
{
	/* A word and its blank are at least three bytes ("::"), so this is room enough. */
	size_t room = text != NULL ? strlen(text) / 3 + 1 : 0;
	struct address_set *set = xcalloc(1, sizeof(*set) + room * sizeof(set->members[0]));

	if (text == NULL)
		return set;
	for (text += strspn(text, " \t,"); *text != '\0'; text += strspn(text, " \t,")) {
		size_t len = strcspn(text, " \t,");
		if (address_parse(text, len, &set->members[set->count]))
			set->count++;
		text += len;
	}
	return set;
}

void
address_set_free(struct address_set *set)
{
	free(set);
}

bool
address_set_has(const struct address_set *set, const struct address *a)
{
	for (size_t i = 0; i < set->count; i++)
		if (memcmp(set->members[i].bytes, a->bytes, sizeof(a->bytes)) == 0)
			return true;
	return false;
}
