/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Error codes: 0 is success, ERR_x (negative) a failure of include/tables/errors.def.
 * A caller's mistake is an assertion; the world's mistake is a code.
 */
#ifndef KW_BASE_ERROR_H
#define KW_BASE_ERROR_H

enum {
	ERR_NUMBER_ZERO,
#define ERR(name, status, oauth, level, message) ERR_NUMBER_##name,
#include "tables/errors.def"
#undef ERR
	ERR_NUMBER_COUNT
};

enum {
#define ERR(name, status, oauth, level, message) ERR_##name = -ERR_NUMBER_##name,
#include "tables/errors.def"
#undef ERR
	ERR_NONE = 0
};

struct error_row {
	const char *name;               /* "CONFLICT" */
	int status;                     /* HTTP */
	const char *oauth;              /* RFC 6749 5.2 error code */
	int level;                      /* LOG_LEVEL_x of base/log.h */
	const char *message;            /* message key, "msg_conflict" */
};

/* The row of a code; an unknown code gives the row of INTERNAL.  Never NULL. */
const struct error_row *error_row(int code);

#endif
