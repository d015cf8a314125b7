/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the API's handlers share: paging and the query. */
#ifndef KW_ADMIN_API_INT_H
#define KW_ADMIN_API_INT_H

#include "net/route.h"

#define PAGE_DEFAULT 100
#define PAGE_MAX 1000

/* limit= (1 to 1000, 100 when not given); ERR_INVALID. */
int api_limit(struct op *op, const struct request *request, size_t *ret) MUST_CHECK;
/* A parameter of the query, NULL when not given or empty; given twice is ERR_INVALID. */
int api_query(struct op *op, const struct request *request, const char *name, const char **ret) MUST_CHECK;
/* Inside db_read or db_run: by id, or by login name: the one who has it, or the only active one of several.  ERR_NOT_FOUND, ERR_CONFLICT. */
struct user;
int api_user_find(struct op *op, const char *name, struct user **ret) MUST_CHECK;
/* Answers 200 with a sentence about what was done. */
void api_done(struct op *op, struct reply *reply, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
