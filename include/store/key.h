/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Rows of our own keys, and the settings of the installation, as they lie in the database (src/store/schema). */
#ifndef KW_STORE_KEY_H
#define KW_STORE_KEY_H

#include "store/driver.h"

struct key_row {
	const char *id;                 /* the kid of signing keys */
	const char *purpose;            /* sign, token_mac, commit */
	const char *alg;                /* ES256, RS256, HS256 */
	const char *public_jwk;         /* NULL for symmetric keys */
	const void *sealed;             /* seal purpose "key." purpose, row id: id; empty when retired */
	size_t sealed_size;
	int64_t created_ms, active_from;
	int64_t retired_ms;             /* 0: not retired */
};

/* Inside db_run or db_read; rows belong to the op. */

/* Keys that are not ended, in order of active_from and id. */
int db_key_all(struct op *op, struct key_row **ret, size_t *ret_n) MUST_CHECK;
/* NULL when there is none of that name. */
int db_setting_read(struct op *op, const char *name, const char **ret) MUST_CHECK;

/* Inside db_run. */

int db_key_create(struct op *op, const struct key_row *row) MUST_CHECK;
/* Retires the signing keys of alg but the one named: they sign no more and their private part is erased.  Their ids. */
int db_key_retire(struct op *op, const char *alg, const char *but_id, const char ***ret_ids, size_t *ret_n) MUST_CHECK;
/* Ends signing keys that were retired at before_ms or earlier; id and alg of each. */
int db_key_expire(struct op *op, int64_t before_ms, struct key_row **ret, size_t *ret_n) MUST_CHECK;
/* The same key sealed under another master key. */
int db_key_reseal(struct op *op, const char *id, const void *value, size_t size) MUST_CHECK;
int db_setting_write(struct op *op, const char *name, const char *value) MUST_CHECK;

#endif
