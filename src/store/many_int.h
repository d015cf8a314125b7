/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Looking up many keys at once in the house dialect, which has no arrays: a list of MANY_N parameters, the first of them repeated
 * where there are fewer keys.
 */
#ifndef KW_STORE_MANY_INT_H
#define KW_STORE_MANY_INT_H

#include "store/driver.h"

#define MANY_N 32
#define MANY \
	"$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, " \
	"$17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32"

/* n: 1 to MANY_N. */
static inline void
many_args(struct db_value *args, const char *const *keys, size_t n)
{
	for (size_t i = 0; i < MANY_N; i++)
		args[i] = TEXT_(keys[i < n ? i : 0]);
}

#endif
