/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Texts of a request into parts: path, query and form fields, cookies.  The one place that decodes; what is not exactly
 * right is refused, never repaired, so that everybody behind sees the same bytes.
 */
#include <string.h>

#include "base/text.h"
#include "http_int.h"

enum http_method
http_parse_method(const char *name)
{
	static const char *const names[] = {
		[HTTP_GET] = "GET", [HTTP_HEAD] = "HEAD", [HTTP_POST] = "POST", [HTTP_PUT] = "PUT",
		[HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS",
	};

	for (size_t i = 0; i < countof(names); i++) {
		if (strcmp(name, names[i]) == 0)
			return i;
	}
	return HTTP_OTHER;
}

/*
 * One canonical form, used by routing and authorisation alike: what could mean two things is refused (dot segments, empty
 * segments, encoded slashes, path parameters, backslashes, control characters).
 */
const char *
http_parse_path(struct arena *mem, const char *target, size_t n)
{
	char *path = arena_alloc(mem, n + 1);
	size_t length;

	for (size_t i = 0; i < n; i++) {
		/* %2f would become a separator only after decoding: refused before */
		if (target[i] == '%' && n - i > 2 && target[i + 1] == '2' && (target[i + 2] == 'f' || target[i + 2] == 'F'))
			return NULL;
	}
	if (n == 0 || target[0] != '/' || !percent_decode(target, n, false, path, &length))
		return NULL;
	if (!text_is_utf8(path, length) || text_has_control(path) || strpbrk(path, "\\;"))
		return NULL;
	for (const char *segment = path; segment; segment = strchr(segment + 1, '/')) {
		size_t size = strcspn(segment + 1, "/");

		if (size == 0 && segment[1] == '/')
			return NULL;
		if ((size == 1 && segment[1] == '.') || (size == 2 && segment[1] == '.' && segment[2] == '.'))
			return NULL;
	}
	return path;
}

static void
pair_add(struct http_pairs *pairs, const char *name, const char *value)
{
	pairs->v[pairs->n++] = (struct http_pair){ name, value };
}

/* A decoded part of a field: UTF-8 without NUL. */
static const char *
decode_part(struct arena *mem, const char *text, size_t n)
{
	char *out = arena_alloc(mem, n + 1);
	size_t length;

	if (!percent_decode(text, n, true, out, &length) || length > HTTP_MAX_VALUE_BYTES)
		return NULL;
	return text_is_utf8(out, length) && !memchr(out, '\0', length) ? out : NULL;
}

bool
http_parse_pairs(struct arena *mem, const char *text, size_t n, struct http_pairs *ret)
{
	const char *end = text + n;

	*ret = (struct http_pairs){ arena_alloc(mem, HTTP_MAX_PAIRS * sizeof(struct http_pair)), 0 };
	while (text < end) {
		const char *stop = memchr(text, '&', (size_t)(end - text));
		const char *equals;
		const char *name, *value;

		if (!stop)
			stop = end;
		if (stop == text) {
			text++;
			continue;
		}
		if (ret->n == HTTP_MAX_PAIRS)
			return false;
		equals = memchr(text, '=', (size_t)(stop - text));
		name = decode_part(mem, text, (size_t)((equals ? equals : stop) - text));
		value = equals ? decode_part(mem, equals + 1, (size_t)(stop - equals - 1)) : "";
		if (!name || !value)
			return false;
		pair_add(ret, name, value);
		text = stop + 1;
	}
	return true;
}

/* RFC 6265 4.2.1: name=value pairs parted by "; ".  Blanks around are tolerated, a pair without a name is not. */
bool
http_parse_cookies(struct arena *mem, const char *text, struct http_pairs *ret)
{
	*ret = (struct http_pairs){ arena_alloc(mem, HTTP_MAX_COOKIES * sizeof(struct http_pair)), 0 };
	while (true) {
		size_t n, name_n;

		text += strspn(text, " \t");
		n = strcspn(text, ";");
		name_n = strcspn(text, "=; \t\"");
		if (name_n == 0 || text[name_n] != '=' || ret->n == HTTP_MAX_COOKIES)
			return false;
		pair_add(ret, arena_strndup(mem, text, name_n), arena_strndup(mem, text + name_n + 1, n - name_n - 1));
		if (text[n] == '\0')
			return true;
		text += n + 1;
	}
}
