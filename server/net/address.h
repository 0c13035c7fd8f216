/*
 * address: network addresses as comparable bytes: keys for counting, a set to
 * trust, and text. Numeric only: nothing is looked up.
 */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr;
struct sockaddr_storage;

/* IPv6; an IPv4 address is the mapped one (::ffff:192.0.2.1). */
struct address {
	uint8_t bytes[16];
};

#define ADDRESS_TEXT_SIZE 46

/* False when the family is neither IPv4 nor IPv6. */
bool address_of(const struct sockaddr *, struct address *);
/* "192.0.2.1", "2001:db8::1" or "[2001:db8::1]"; a ":port" behind it is skipped. */
bool address_parse(const char *, size_t len, struct address *);
/* "192.0.2.1:443" or "[2001:db8::1]:443" to bind to: its length, 0 when it is neither. */
size_t address_socket(const char *, struct sockaddr_storage *);
/* A mapped IPv4 address is written as IPv4. */
void address_format(const struct address *, char out[ADDRESS_TEXT_SIZE]);
/* One customer: the address, or an IPv6 address's /64, which one machine uses at will. */
struct address address_network(struct address);

/* Addresses separated by blanks; words that are none are left out (conf refuses them). */
struct address_set;
struct address_set *address_set_new(const char *);
void address_set_free(struct address_set *);
bool address_set_has(const struct address_set *, const struct address *);

#endif
