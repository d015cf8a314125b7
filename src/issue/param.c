/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Parameters of OAuth requests: once each, and an empty one is an absent one. */
#include "oidc_int.h"

#include <string.h>

#define PARAMS_MAX 64

const char *
param(const struct http_pairs *pairs, const char *name)
{
	const char *value = http_pair(pairs, name, NULL);

	return value && *value ? value : NULL;
}

bool
param_is_repeated(const struct http_pairs *pairs, const char *name)
{
	size_t count = 0;

	http_pair(pairs, name, &count);
	return count > 1;
}

int
param_check(struct op *op, const struct http_pairs *pairs)
{
	if (pairs->n > PARAMS_MAX)
		return op_fail(op, ERR_INVALID, "more than 64 parameters");
	for (size_t i = 0; i < pairs->n; i++) {
		const char *name = pairs->v[i].name, *value = pairs->v[i].value;

		if (!text_is_utf8(name, strlen(name)) || !text_is_utf8(value, strlen(value)))
			return op_fail(op, ERR_INVALID, "a parameter is not UTF-8");
		/* RFC 6749 3.1: request parameters must not be included more than once */
		if (param_is_repeated(pairs, name))
			return op_fail(op, ERR_INVALID, "a parameter was given twice");
	}
	return 0;
}

void
param_add(struct buf *buf, char sep, const char *name, const char *value)
{
	buf_add_char(buf, sep);
	buf_add_percent(buf, name);
	buf_add_char(buf, '=');
	buf_add_percent(buf, value);
}

char *
param_decode(struct op *op, const char *text, size_t n)
{
	char *out = op_alloc(op, n + 1);
	size_t size;

	return percent_decode(text, n, true, out, &size) && !memchr(out, '\0', size) ? out : NULL;
}
