/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Grants that another table's question asks for along with its own row, so that both make one journey. */
#ifndef KW_STORE_GRANT_INT_H
#define KW_STORE_GRANT_INT_H

#include "store/user.h"

/* The current grants of the person of an authorization; to be read by grants_read. */
int grants_ask(struct op *op, const char *authorization_id, struct db_rows **ret) MUST_CHECK;
/* Reads and ends rows (NULL is fine); rc is what came before, and is returned when it is a failure. */
int grants_read(struct op *op, struct db_rows *rows, int rc, struct grant **ret, size_t *ret_n) MUST_CHECK;

#endif
