/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Where answers may go: the comparison that keeps codes away from strangers, and the address with the answer in it. */
#include "oidc_int.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

/*
 * The length of the loopback origin without its port, 0 when it is none.  Never "localhost": a name can lead anywhere (RFC
 * 8252 8.3).
 */
static size_t
loopback_length(const char *uri)
{
	static const char *const origins[] = { "http://127.0.0.1", "http://[::1]" };

	for (size_t i = 0; i < countof(origins); i++) {
		size_t n = strlen(origins[i]);

		if (!strncmp(uri, origins[i], n) && (uri[n] == ':' || uri[n] == '/'))
			return n;
	}
	return 0;
}

/* What follows an optional port of 1 to 65535; NULL when the port is none. */
static const char *
behind_port(const char *at)
{
	long port = 0;
	size_t digits = 0;

	if (*at != ':')
		return at;
	for (at++; isdigit((unsigned char)*at) && digits < 6; at++, digits++)
		port = port * 10 + (*at - '0');
	return digits && digits < 6 && port > 0 && port < 65536 && *at == '/' ? at : NULL;
}

static bool
is_same_loopback(const char *registered, const char *uri)
{
	size_t n = loopback_length(registered);
	const char *a, *b;

	if (!n || n != loopback_length(uri) || strncmp(registered, uri, n) != 0)
		return false;
	a = behind_port(registered + n);
	b = behind_port(uri + n);
	return a && b && !strcmp(a, b);
}

bool
redirect_is_registered(const struct strings *registered, const char *uri)
{
	for (size_t i = 0; i < registered->n; i++)
		/* RFC 9700 2.1: exact redirect match; RFC 8252 7.3: the port of a loopback address may vary */
		if (!strcmp(registered->v[i], uri) || is_same_loopback(registered->v[i], uri))
			return true;
	return false;
}

char *
redirect_build(struct op *op, const char *uri, ...)
{
	struct buf buf = buf_in(op->mem);
	char sep = strchr(uri, '?') ? '&' : '?';
	const char *name;
	va_list args;

	buf_add(&buf, uri);
	va_start(args, uri);
	while ((name = va_arg(args, const char *))) {
		const char *value = va_arg(args, const char *);

		if (!value)
			continue;
		param_add(&buf, sep, name, value);
		sep = '&';
	}
	va_end(args);
	return buf.text;
}
