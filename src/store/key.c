/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The statements over keys and settings. */
#include "store/key.h"

#include <string.h>

#define KEYS_MAX 256            /* keys that are not ended: two live ones an algorithm and what their rotations left */

SQL_DEFINE(key_all,
    "SELECT id, purpose, alg, public_jwk, sealed, created_ms, active_from, retired_ms FROM keys"
    " WHERE ended_ms IS NULL ORDER BY active_from, id");
SQL_DEFINE(key_create,
    "INSERT INTO keys (id, purpose, alg, public_jwk, sealed, created_ms, active_from) VALUES ($1, $2, $3, $4, $5, $6, $7)");
SQL_DEFINE(key_retire,
    "UPDATE keys SET retired_ms = $3, sealed = $4 WHERE purpose = 'sign' AND alg = $1 AND id <> $2"
    " AND retired_ms IS NULL AND ended_ms IS NULL RETURNING id");
SQL_DEFINE(key_expire,
    "UPDATE keys SET ended_ms = $2 WHERE purpose = 'sign' AND retired_ms <= $1 AND ended_ms IS NULL RETURNING id, alg");
SQL_DEFINE(key_reseal,
    "UPDATE keys SET sealed = $2 WHERE id = $1");
SQL_DEFINE(setting_read,
    "SELECT value FROM settings WHERE name = $1");
SQL_DEFINE(setting_write,
    "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value");

static void
read_row(struct op *op, struct db_rows *rows, struct key_row *ret)
{
	const void *sealed = db_blob(rows, 4, &ret->sealed_size);

	ret->id = db_text_dup(op, rows, 0);
	ret->purpose = db_text_dup(op, rows, 1);
	ret->alg = db_text_dup(op, rows, 2);
	ret->public_jwk = db_text_dup(op, rows, 3);
	ret->sealed = ret->sealed_size ? op_memdup(op, sealed, ret->sealed_size) : NULL;
	ret->created_ms = db_int(rows, 5);
	ret->active_from = db_int(rows, 6);
	ret->retired_ms = db_is_null(rows, 7) ? 0 : db_int(rows, 7);
}

int
db_key_all(struct op *op, struct key_row **ret, size_t *ret_n)
{
	struct key_row *v = op_alloc(op, KEYS_MAX * sizeof(*v));
	struct db_rows *rows = NULL;
	size_t n = 0;
	int rc = db_query(op, &key_all, NO_ARGS, &rows);

	while (!rc && (rc = db_next(rows)) > 0) {
		if (n == KEYS_MAX) {
			rc = op_fail(op, ERR_STORE, "more than %d keys are in use; wait for the overlap of retired ones to end", KEYS_MAX);
			break;
		}
		read_row(op, rows, &v[n++]);
		rc = 0;
	}
	*ret = v;
	*ret_n = n;
	return db_end(rows, rc);
}

int
db_key_create(struct op *op, const struct key_row *row)
{
	return db_exec(op, &key_create, ARGS(TEXT_(row->id), TEXT_(row->purpose), TEXT_(row->alg), TEXT_(row->public_jwk),
	    BLOB_(row->sealed, row->sealed_size), INT_(row->created_ms), INT_(row->active_from)), NULL);
}

int
db_key_retire(struct op *op, const char *alg, const char *but_id, const char ***ret_ids, size_t *ret_n)
{
	const char **v = op_alloc(op, KEYS_MAX * sizeof(*v));
	struct db_rows *rows = NULL;
	size_t n = 0;
	int rc = db_query(op, &key_retire, ARGS(TEXT_(alg), TEXT_(but_id), INT_(op->now_ms), BLOB_("", 0)), &rows);

	while (!rc && n < KEYS_MAX && (rc = db_next(rows)) > 0) {
		v[n++] = db_text_dup(op, rows, 0);
		rc = 0;
	}
	*ret_ids = v;
	*ret_n = n;
	return db_end(rows, rc);
}

int
db_key_expire(struct op *op, int64_t before_ms, struct key_row **ret, size_t *ret_n)
{
	struct key_row *v = op_alloc(op, KEYS_MAX * sizeof(*v));
	struct db_rows *rows = NULL;
	size_t n = 0;
	int rc = db_query(op, &key_expire, ARGS(INT_(before_ms), INT_(op->now_ms)), &rows);

	while (!rc && n < KEYS_MAX && (rc = db_next(rows)) > 0) {
		v[n++] = (struct key_row){ .id = db_text_dup(op, rows, 0), .purpose = "sign", .alg = db_text_dup(op, rows, 1) };
		rc = 0;
	}
	*ret = v;
	*ret_n = n;
	return db_end(rows, rc);
}

int
db_key_reseal(struct op *op, const char *id, const void *value, size_t size)
{
	return db_exec(op, &key_reseal, ARGS(TEXT_(id), BLOB_(value, size)), NULL);
}

int
db_setting_read(struct op *op, const char *name, const char **ret)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, &setting_read, ARGS(TEXT_(name)), &rows);

	*ret = NULL;
	if (!rc && (rc = db_next(rows)) > 0)
		*ret = db_text_dup(op, rows, 0);
	return db_end(rows, rc);
}

int
db_setting_write(struct op *op, const char *name, const char *value)
{
	return db_exec(op, &setting_write, ARGS(TEXT_(name), TEXT_(value)), NULL);
}
