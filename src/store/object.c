/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The statements over objects, object_versions and object_secrets, and the counts that a removal asks for.  Read the
 * statements first: each function below runs one or two of them.
 */
#include "store/object.h"

#include <string.h>

#include "base/uuid.h"

SQL_DEFINE(object_all,
    "SELECT o.id, o.kind, o.name, o.name_key, v.version, v.body, v.recorded_from"
    " FROM objects o JOIN object_versions v ON v.object_id = o.id AND v.recorded_until IS NULL"
    " WHERE o.ended_ms IS NULL ORDER BY o.kind, o.name_key");
SQL_DEFINE(object_secrets_all,
    "SELECT s.id, s.object_id, s.purpose, s.form, s.value"
    " FROM object_secrets s JOIN objects o ON o.id = s.object_id"
    " WHERE s.ended_ms IS NULL AND o.ended_ms IS NULL ORDER BY s.object_id, s.id");
SQL_DEFINE(object_create,
    "INSERT INTO objects (id, kind, name, name_key, created_ms) VALUES ($1, $2, $3, $4, $5)");
SQL_DEFINE(object_rename,
    "UPDATE objects SET name = $2, name_key = $3 WHERE id = $1 AND ended_ms IS NULL");
SQL_DEFINE(object_end,
    "UPDATE objects SET ended_ms = $2 WHERE id = $1 AND ended_ms IS NULL");
SQL_DEFINE(object_version_close,
    "UPDATE object_versions SET recorded_until = $2 WHERE object_id = $1 AND recorded_until IS NULL");
SQL_DEFINE(object_version_create,
    "INSERT INTO object_versions (id, object_id, version, body, valid_from, recorded_from, source_kind, source_id)"
    " VALUES ($1, $2, $3, $4, $5, $5, $6, $7)");
SQL_DEFINE(object_secret_end,
    "UPDATE object_secrets SET ended_ms = $3 WHERE object_id = $1 AND purpose = $2 AND ended_ms IS NULL");
SQL_DEFINE(object_secrets_end,
    "UPDATE object_secrets SET ended_ms = $2 WHERE object_id = $1 AND ended_ms IS NULL");
SQL_DEFINE(object_secret_create,
    "INSERT INTO object_secrets (id, object_id, purpose, form, value, created_ms) VALUES ($1, $2, $3, $4, $5, $6)");
SQL_DEFINE(object_secret_reseal,
    "UPDATE object_secrets SET value = $2 WHERE id = $1");
SQL_DEFINE(object_users_count,
    "SELECT CAST(COUNT(*) AS BIGINT) FROM users WHERE directory_id = $1");
SQL_DEFINE(object_grants_count,
    "SELECT CAST(COUNT(*) AS BIGINT) FROM grants WHERE recorded_until IS NULL AND (role_id = $1 OR location_id = $1)"
    " AND (valid_until IS NULL OR valid_until > $2)");
SQL_DEFINE(object_authorizations_end,
    "UPDATE authorizations SET ended_ms = $2, ended_why = $3 WHERE app_id = $1 AND ended_ms IS NULL RETURNING id");

/* Room for one more element in a list that doubles; the old one stays behind in the op. */
static void *
grow(struct op *op, void *list, size_t n, size_t size)
{
	void *larger;

	if (n && (n < 16 || (n & (n - 1))))
		return list;
	larger = op_alloc(op, (n < 16 ? 16 : n * 2) * size);
	if (n)
		memcpy(larger, list, n * size);
	return larger;
}

static struct object_row
object_row_read(struct op *op, struct db_rows *rows)
{
	return (struct object_row){
		.id = db_text_dup(op, rows, 0),
		.kind = db_text_dup(op, rows, 1),
		.name = db_text_dup(op, rows, 2),
		.name_key = db_text_dup(op, rows, 3),
		.version = db_int(rows, 4),
		.body = db_text_dup(op, rows, 5),
		.changed_ms = db_int(rows, 6),
	};
}

int
db_object_all(struct op *op, struct object_row **ret, size_t *ret_n)
{
	struct object_row *v = NULL;
	struct db_rows *rows = NULL;
	size_t n = 0;
	int rc = db_query(op, &object_all, NO_ARGS, &rows);

	while (!rc && (rc = db_next(rows)) > 0) {
		v = grow(op, v, n, sizeof(*v));
		v[n++] = object_row_read(op, rows);
		rc = 0;
	}
	*ret = v;
	*ret_n = n;
	return db_end(rows, rc);
}

int
db_object_secrets(struct op *op, struct object_secret_row **ret, size_t *ret_n)
{
	struct object_secret_row *v = NULL;
	struct db_rows *rows = NULL;
	size_t n = 0;
	int rc = db_query(op, &object_secrets_all, NO_ARGS, &rows);

	while (!rc && (rc = db_next(rows)) > 0) {
		const void *value;

		v = grow(op, v, n, sizeof(*v));
		v[n].id = db_text_dup(op, rows, 0);
		v[n].object_id = db_text_dup(op, rows, 1);
		v[n].purpose = db_text_dup(op, rows, 2);
		v[n].form = db_text_dup(op, rows, 3);
		value = db_blob(rows, 4, &v[n].size);
		v[n].value = op_memdup(op, value, v[n].size);
		n++;
		rc = 0;
	}
	*ret = v;
	*ret_n = n;
	return db_end(rows, rc);
}

int
db_object_create(struct op *op, const char *id, const char *kind, const char *name, const char *name_key)
{
	return db_exec(op, &object_create, ARGS(TEXT_(id), TEXT_(kind), TEXT_(name), TEXT_(name_key), INT_(op->now_ms)), NULL);
}

int
db_object_rename(struct op *op, const char *id, const char *name, const char *name_key)
{
	return db_exec(op, &object_rename, ARGS(TEXT_(id), TEXT_(name), TEXT_(name_key)), NULL);
}

int
db_object_end(struct op *op, const char *id)
{
	int rc = db_exec(op, &object_version_close, ARGS(TEXT_(id), INT_(op->now_ms)), NULL);

	if (!rc)
		rc = db_exec(op, &object_secrets_end, ARGS(TEXT_(id), INT_(op->now_ms)), NULL);
	if (!rc)
		rc = db_exec(op, &object_end, ARGS(TEXT_(id), INT_(op->now_ms)), NULL);
	return rc;
}

int
db_object_put_version(struct op *op, const char *object_id, int64_t version, const char *body, const char *source_kind,
    const char *source_id)
{
	char id[UUID_TEXT_BYTES];
	int rc = db_exec(op, &object_version_close, ARGS(TEXT_(object_id), INT_(op->now_ms)), NULL);

	if (rc)
		return rc;
	uuid_new(id, op->now_ms);
	return db_exec(op, &object_version_create, ARGS(TEXT_(id), TEXT_(object_id), INT_(version), TEXT_(body), INT_(op->now_ms),
	    TEXT_(source_kind), TEXT_(source_id)), NULL);
}

int
db_object_end_secret(struct op *op, const char *object_id, const char *purpose, int64_t *ret_n)
{
	return db_exec(op, &object_secret_end, ARGS(TEXT_(object_id), TEXT_(purpose), INT_(op->now_ms)), ret_n);
}

int
db_object_put_secret(struct op *op, const struct object_secret_row *secret)
{
	int rc = db_exec(op, &object_secret_end, ARGS(TEXT_(secret->object_id), TEXT_(secret->purpose), INT_(op->now_ms)), NULL);

	if (rc)
		return rc;
	return db_exec(op, &object_secret_create, ARGS(TEXT_(secret->id), TEXT_(secret->object_id), TEXT_(secret->purpose),
	    TEXT_(secret->form), BLOB_(secret->value, secret->size), INT_(op->now_ms)), NULL);
}

int
db_object_reseal(struct op *op, const char *secret_id, const void *value, size_t size)
{
	return db_exec(op, &object_secret_reseal, ARGS(TEXT_(secret_id), BLOB_(value, size)), NULL);
}

static int
count(struct op *op, const struct sql *sql, const struct db_value *args, size_t n, int64_t *ret)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, sql, args, n, &rows);

	*ret = 0;
	if (!rc && (rc = db_next(rows)) > 0)
		*ret = db_int(rows, 0);
	return db_end(rows, rc);
}

int
db_object_count_users(struct op *op, const char *directory_id, int64_t *ret)
{
	return count(op, &object_users_count, ARGS(TEXT_(directory_id)), ret);
}

int
db_object_count_grants(struct op *op, const char *role_or_location_id, int64_t *ret)
{
	return count(op, &object_grants_count, ARGS(TEXT_(role_or_location_id), INT_(op->now_ms)), ret);
}

int
db_object_end_authorizations(struct op *op, const char *app_id, const char *why, const char ***ret, size_t *ret_n)
{
	const char **v = NULL;
	struct db_rows *rows = NULL;
	size_t n = 0;
	int rc = db_query(op, &object_authorizations_end, ARGS(TEXT_(app_id), INT_(op->now_ms), TEXT_(why)), &rows);

	while (!rc && (rc = db_next(rows)) > 0) {
		v = grow(op, v, n, sizeof(*v));
		v[n++] = db_text_dup(op, rows, 0);
		rc = 0;
	}
	*ret = v;
	*ret_n = n;
	return db_end(rows, rc);
}
