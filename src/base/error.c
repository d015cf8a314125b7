/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The error table, expanded. */
#include "base/error.h"
#include "base/log.h"

static const struct error_row rows[] = {
	[0] = { "NONE", 200, "", LOG_LEVEL_DEBUG, "" },
#define ERR(name, status, oauth, level, message) \
	[ERR_NUMBER_##name] = { #name, status, oauth, LOG_LEVEL_##level, #message },
#include "tables/errors.def"
#undef ERR
};

const struct error_row *
error_row(int code)
{
	if (code > 0 || -code >= ERR_NUMBER_COUNT)
		code = ERR_INTERNAL;
	return &rows[-code];
}
