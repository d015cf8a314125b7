/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Addresses and networks as values: nothing here opens a socket or asks a resolver.  An IPv4 address is its IPv4-mapped IPv6 address,
 * so that both spellings are one.
 */
#ifndef KW_BASE_NETWORK_H
#define KW_BASE_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include "base/mem.h"

#define ADDRESS_TEXT_BYTES 46
#define ENDPOINT_HOST_BYTES 64
#define ENDPOINT_PORT_BYTES 6

struct address {
	unsigned char bytes[16];
};

struct network {
	struct address address;         /* bits behind the prefix are 0 */
	int bits;                       /* of 128 */
};

struct networks {
	struct network *v;
	size_t n;
};

/* Dotted quad with four decimal numbers (RFC 6943 3.1.1: nothing looser), or IPv6 without zone.  False for everything else. */
bool address_read(const char *text, struct address *ret);
/* IPv4 as dotted quad, IPv6 as RFC 5952. */
const char *address_text(const struct address *address, char ret[static ADDRESS_TEXT_BYTES]);
/*
 * "10.1.0.0/16, 192.0.2.7, 2001:db8::/32": separated by commas or blanks; an address alone is a network of one.  NULL, or what is wrong, in
 * the arena.
 */
const char *networks_read(struct arena *mem, const char *text, struct networks *ret);
/* Parts of "127.0.0.1:7443" and "[::1]:7443"; the port is a number up to 65535, the host is not looked at. */
bool endpoint_split(const char *text, char host[static ENDPOINT_HOST_BYTES], char port[static ENDPOINT_PORT_BYTES]);
/* 127.0.0.0/8 and ::1. */
bool address_is_loopback(const struct address *address);
bool networks_have(const struct networks *networks, const struct address *address);
/*
 * Why no service is reached at such an address, or only one that nobody means: "unspecified", "link-local" (with the metadata services of
 * clouds), "multicast", "broadcast"; NULL for all others.
 */
const char *address_oddity(const struct address *address);

#endif
