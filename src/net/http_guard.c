/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The guard: a head that two programs could read differently is refused with 400 and the connection is closed (RFC 9112 6.3, 11.2).
 * libmicrohttpd accepts most of these; src/net/README says what it hides from us.  Each check is a function of its own.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "http_int.h"

/* RFC 9110 5.6.2; a table, because strspn builds one at every call */
static bool
is_token(const char *text)
{
	static const bool chars[256] = {
		['!'] = true, ['#' ... '\''] = true, ['*'] = true, ['+'] = true, ['-'] = true, ['.'] = true, ['0' ... '9'] = true,
		['A' ... 'Z'] = true, ['^' ... '`'] = true, ['a' ... 'z'] = true, ['|'] = true, ['~'] = true,
	};
	const char *at = text;

	while (chars[(unsigned char)*at])
		at++;
	return at != text && *at == '\0';
}

/* RFC 9110 5.5: visible characters, blanks, tabs and obs-text; a lone CR is none of them. */
static bool
is_field_value(const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static const char *
guard_line(const char *method, const char *version, const char *target)
{
	if (!is_token(method) || strlen(method) > 16)
		return "strange method";
	/* RFC 9112 2.3 */
	if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
		return "strange HTTP version";
	if (strlen(target) > HTTP_MAX_TARGET_BYTES)
		return "target too long";
	/* RFC 9112 3.2.2: the absolute form is for proxies; we are none */
	if (target[0] != '/')
		return "target is no path";
	for (const char *t = target; *t; t++) {
		/* RFC 3986 2: everything else must be percent-encoded; a fragment never reaches a server */
		if ((unsigned char)*t <= 0x20 || (unsigned char)*t >= 0x7f || strchr("#\"<>", *t))
			return "target with a forbidden character";
	}
	return NULL;
}

static const char *
guard_fields(const struct request *request)
{
	if (request->headers.n >= HTTP_MAX_HEADERS)
		return "too many header fields";
	for (size_t i = 0; i < request->headers.n; i++) {
		/* RFC 9112 5.1: no blank between name and colon */
		if (!is_token(request->headers.v[i].name))
			return "strange header name";
		if (!is_field_value(request->headers.v[i].value))
			return "control character in a header";
	}
	return NULL;
}

static const char *
guard_framing(const struct request *request, const char *version)
{
	size_t lengths, encodings;
	const char *length = http_header(request, "Content-Length", &lengths);
	const char *encoding = http_header(request, "Transfer-Encoding", &encodings);

	/* RFC 9112 6.3: either means a message that somebody before us may have read otherwise */
	if (lengths && encodings)
		return "Content-Length and Transfer-Encoding";
	if (lengths > 1)
		return "several Content-Length";
	/* RFC 9110 8.6: digits only */
	if (lengths && (length[0] == '\0' || strlen(length) > 18 || length[strspn(length, "0123456789")] != '\0'))
		return "strange Content-Length";
	if (encodings > 1 || (encodings && !text_equal_ascii_case(encoding, "chunked")))
		return "Transfer-Encoding other than chunked";
	/* RFC 9112 6.1 */
	if (encodings && strcmp(version, "HTTP/1.0") == 0)
		return "Transfer-Encoding in HTTP/1.0";
	return NULL;
}

static const char *
guard_host(const struct request *request, const char *version)
{
	static const char chars[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-._~:[]%";
	size_t hosts, cookies;
	const char *host = http_header(request, "Host", &hosts);

	/* RFC 9112 3.2 */
	if (hosts > 1 || (hosts == 0 && strcmp(version, "HTTP/1.1") == 0))
		return "not exactly one Host";
	if (hosts && (strlen(host) > 255 || host[strspn(host, chars)] != '\0'))
		return "strange Host";
	http_header(request, "Cookie", &cookies);
	/* RFC 6265 5.4 */
	return cookies > 1 ? "several Cookie headers" : NULL;
}

#if MHD_VERSION < 0x00097600
/*
 * libmicrohttpd up to 0.9.75 hides three things: a value is cut at a NUL, a folded line (RFC 9112 5.2) is glued to the name of the field,
 * and a bare LF ends a line.  All show in where the texts lie: the library cuts the lines apart in its buffer, so that between name and
 * value stand only the zeroed colon and blanks, and behind a value only the zeroed CR and LF.  Later versions refuse these by themselves.
 */
static const char *
guard_layout(const struct request *request, const char *version)
{
	const struct http_pair *pairs = request->headers.v;
	uintptr_t start = (uintptr_t)version + strlen(version) + 2;
	const char *last;

	for (size_t i = 0; i < request->headers.n; i++) {
		const char *behind = pairs[i].name + strlen(pairs[i].name) + 1;
		uintptr_t gap = (uintptr_t)pairs[i].value - (uintptr_t)behind;

		if ((uintptr_t)pairs[i].name != start)
			return "NUL, folded line or bare LF in the head";
		if (gap > HTTP_MAX_TARGET_BYTES || strspn(behind, " \t") < gap)
			return "folded header line";
		start = (uintptr_t)pairs[i].value + strlen(pairs[i].value) + 2;
	}
	if (request->headers.n == 0)
		return NULL;
	/* the end of the last line, and the empty line */
	last = pairs[request->headers.n - 1].value;
	return memcmp(last + strlen(last), "\0\0\0", 4) == 0 ? NULL : "NUL or bare LF at the end of the head";
}
#endif

const char *
http_guard(const struct request *request, const char *method, const char *version, const char *target)
{
	const char *why = guard_line(method, version, target);

	if (!why)
		why = guard_fields(request);
#if MHD_VERSION < 0x00097600
	if (!why)
		why = guard_layout(request, version);
#endif
	if (!why)
		why = guard_framing(request, version);
	return why ? why : guard_host(request, version);
}

bool
http_guard_is_foreign_body(const struct request *request)
{
	const char *encoding = http_header(request, "Content-Encoding", NULL);
	const char *type = http_header(request, "Content-Type", NULL);

	/* a compressed body may grow a thousandfold: nobody needs one here */
	if (encoding && !text_equal_ascii_case(encoding, "identity"))
		return true;
	return type && strncasecmp(type, "multipart/", strlen("multipart/")) == 0;
}
