/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the API's handlers share. */
#include "api_int.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int
api_query(struct op *op, const struct request *request, const char *name, const char **ret)
{
	size_t count;
	const char *value = http_pair(&request->query, name, &count);

	*ret = value && *value ? value : NULL;
	return count > 1 ? op_fail(op, ERR_INVALID, "%s is given twice", name) : 0;
}

int
api_limit(struct op *op, const struct request *request, size_t *ret)
{
	const char *text;
	int rc = api_query(op, request, "limit", &text);

	*ret = PAGE_DEFAULT;
	if (rc || !text)
		return rc;
	if (strspn(text, "0123456789") != strlen(text) || strlen(text) > 4 || atoi(text) < 1 || atoi(text) > PAGE_MAX)
		return op_fail(op, ERR_INVALID, "limit must be a number from 1 to %d", PAGE_MAX);
	*ret = (size_t)atoi(text);
	return 0;
}

void
api_done(struct op *op, struct reply *reply, const char *format, ...)
{
	struct shape_done_view view;
	va_list args;

	va_start(args, format);
	view.done = arena_vprintf(op->mem, format, args);
	va_end(args);
	reply_shape(op, reply, 200, shape_done_view(), &view);
}
