/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Texts of addresses and networks, and which network has which address.  Read networks_read. */
#include "base/network.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define NETWORKS_MAX 64
#define MAPPED_BITS 96

static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

static bool
is_four(const struct address *address)
{
	return memcmp(address->bytes, mapped, sizeof(mapped)) == 0;
}

bool
address_read(const char *text, struct address *ret)
{
	/* "010.0.0.1" is octal to some readers and decimal to others: inet_pton refuses it */
	if (inet_pton(AF_INET, text, ret->bytes + sizeof(mapped)) == 1) {
		memcpy(ret->bytes, mapped, sizeof(mapped));
		return true;
	}
	return inet_pton(AF_INET6, text, ret->bytes) == 1;
}

const char *
address_text(const struct address *address, char ret[static ADDRESS_TEXT_BYTES])
{
	if (is_four(address))
		return inet_ntop(AF_INET, address->bytes + sizeof(mapped), ret, ADDRESS_TEXT_BYTES);
	return inet_ntop(AF_INET6, address->bytes, ret, ADDRESS_TEXT_BYTES);
}

/* The first bits are the same. */
static bool
has_prefix(const struct address *a, const struct address *b, int bits)
{
	int whole = bits / 8, rest = bits % 8;
	unsigned char mask = (unsigned char)(0xff00 >> rest);

	if (memcmp(a->bytes, b->bytes, (size_t)whole) != 0)
		return false;
	return rest == 0 || (a->bytes[whole] & mask) == (b->bytes[whole] & mask);
}

/* One word; NULL, or what is wrong with it. */
static const char *
network_read(struct arena *mem, char *word, struct network *ret)
{
	char *slash = strchr(word, '/');
	struct address zero = { { 0 } };
	int most, bits = 0;

	if (slash)
		*slash = '\0';
	if (!address_read(word, &ret->address))
		return arena_printf(mem, "%s is no address", word);
	most = is_four(&ret->address) && !strchr(word, ':') ? 32 : 128;
	if (slash && (!slash[1] || strspn(slash + 1, "0123456789") != strlen(slash + 1) || strlen(slash + 1) > 3))
		return arena_printf(mem, "%s must have a number of bits behind the /", word);
	for (const char *c = slash ? slash + 1 : ""; *c; c++)
		bits = bits * 10 + (*c - '0');
	if (!slash)
		bits = most;
	if (bits > most)
		return arena_printf(mem, "%s/%d has more than %d bits", word, bits, most);
	ret->bits = bits + 128 - most;
	for (int bit = ret->bits; bit < 128; bit++)
		if (ret->address.bytes[bit / 8] & (0x80 >> bit % 8))
			return arena_printf(mem, "%s/%d has bits behind its prefix: write the network's first address, or no /%d", word,
			    bits, bits);
	/* everybody: then everybody could say what his address is */
	if (bits == 0 || (most == 128 && has_prefix(&ret->address, &zero, ret->bits) && ret->bits < MAPPED_BITS))
		return arena_printf(mem, "%s/%d is everybody", word, bits);
	return NULL;
}

const char *
networks_read(struct arena *mem, const char *text, struct networks *ret)
{
	char *words = arena_strdup(mem, text);

	*ret = (struct networks){ .v = arena_alloc(mem, NETWORKS_MAX * sizeof(*ret->v)) };
	while (*words) {
		size_t n = strcspn(words, ", \t");
		bool is_last = words[n] == '\0';
		const char *fault;

		words[n] = '\0';
		if (n && ret->n == NETWORKS_MAX)
			return arena_printf(mem, "more than %d networks", NETWORKS_MAX);
		fault = n ? network_read(mem, words, &ret->v[ret->n++]) : NULL;
		if (fault)
			return fault;
		words += n + !is_last;
	}
	return NULL;
}

bool
networks_have(const struct networks *networks, const struct address *address)
{
	for (size_t i = 0; i < networks->n; i++)
		if (has_prefix(&networks->v[i].address, address, networks->v[i].bits))
			return true;
	return false;
}

bool
address_is_loopback(const struct address *address)
{
	static const struct address one = { { [15] = 1 } };

	return is_four(address) ? address->bytes[sizeof(mapped)] == 127 : has_prefix(address, &one, 128);
}

const char *
address_oddity(const struct address *address)
{
	const unsigned char *b = address->bytes, *four = b + sizeof(mapped);
	static const struct address unspecified = { { 0 } };

	if (is_four(address)) {
		if (four[0] == 0)
			return "unspecified";
		if (four[0] == 169 && four[1] == 254)
			return "link-local";
		if (four[0] >= 224 && four[0] < 240)
			return "multicast";
		return four[0] >= 240 ? "broadcast" : NULL;
	}
	if (has_prefix(address, &unspecified, 128))
		return "unspecified";
	if (b[0] == 0xfe && (b[1] & 0xc0) == 0x80)
		return "link-local";
	return b[0] == 0xff ? "multicast" : NULL;
}

bool
endpoint_split(const char *text, char host[static ENDPOINT_HOST_BYTES], char port[static ENDPOINT_PORT_BYTES])
{
	const char *colon = strrchr(text, ':');
	const char *start = text;
	size_t n;

	if (!colon)
		return false;
	n = (size_t)(colon - text);
	if (n >= 2 && text[0] == '[' && colon[-1] == ']') {
		start = text + 1;
		n -= 2;
	} else if (memchr(text, ':', n)) {
		return false;
	}
	if (n == 0 || n >= ENDPOINT_HOST_BYTES || !colon[1] || strlen(colon + 1) >= ENDPOINT_PORT_BYTES ||
	    strspn(colon + 1, "0123456789") != strlen(colon + 1))
		return false;
	memcpy(host, start, n);
	host[n] = '\0';
	memcpy(port, colon + 1, strlen(colon + 1) + 1);
	return strtol(port, NULL, 10) <= 65535;
}
