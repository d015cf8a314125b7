/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The statements over browser sessions, but for ending all of a person's (ending.c). */
#include "store/session.h"

#include <string.h>

#define SESSION_LIST_MAX 200

SQL_DEFINE(session_insert,
    "INSERT INTO sessions (id, secret_hash, user_id, auth_ms, amr, address, device, created_ms, seen_ms, until_ms) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)");
SQL_DEFINE(session_read,
    "SELECT id, secret_hash, user_id, auth_ms, amr, address, device, created_ms, seen_ms, until_ms, ended_ms FROM sessions "
    "WHERE id = $1");
SQL_DEFINE(session_touch,
    "UPDATE sessions SET seen_ms = $2 WHERE id = $1 AND seen_ms < $2 AND ended_ms IS NULL");
SQL_DEFINE(session_end_one,
    "UPDATE sessions SET ended_ms = $2, ended_why = $3 WHERE id = $1 AND ended_ms IS NULL");
SQL_DEFINE(session_of_user,
    "SELECT id, secret_hash, user_id, auth_ms, amr, address, device, created_ms, seen_ms, until_ms, ended_ms FROM sessions "
    "WHERE user_id = $1 AND ended_ms IS NULL AND until_ms > $2 AND seen_ms > $3 ORDER BY created_ms DESC, id LIMIT 200");

SQL_DEFINE(session_count, "SELECT COUNT(*) FROM sessions WHERE ended_ms IS NULL AND until_ms > $1 AND seen_ms > $2");
SQL_DEFINE(session_purge_over,
    "DELETE FROM sessions WHERE id IN (SELECT s.id FROM sessions s WHERE s.until_ms < $1 "
    "AND NOT EXISTS (SELECT 1 FROM authorizations a WHERE a.session_id = s.id) ORDER BY s.until_ms LIMIT CAST($2 AS BIGINT))");

static int
read_row(struct op *op, struct db_rows *rows, struct session_row *ret)
{
	size_t size;
	const void *hash = db_blob(rows, 1, &size);

	if (size != sizeof(ret->secret_hash))
		return op_fail(op, ERR_STORE, "the secret of a session has %zu bytes", size);
	memcpy(ret->secret_hash, hash, size);
	ret->id = db_text_dup(op, rows, 0);
	ret->user_id = db_text_dup(op, rows, 2);
	ret->auth_ms = db_int(rows, 3);
	ret->amr = db_text_dup(op, rows, 4);
	ret->address = db_text_dup(op, rows, 5);
	ret->device = db_text_dup(op, rows, 6);
	ret->created_ms = db_int(rows, 7);
	ret->seen_ms = db_int(rows, 8);
	ret->until_ms = db_int(rows, 9);
	ret->ended_ms = db_is_null(rows, 10) ? 0 : db_int(rows, 10);
	return 0;
}

int
db_session_insert(struct op *op, const struct session_row *row)
{
	return db_exec(op, &session_insert, ARGS(TEXT_(row->id), BLOB_(row->secret_hash, sizeof(row->secret_hash)),
	    TEXT_(row->user_id),
	    INT_(row->auth_ms), TEXT_(row->amr), TEXT_(row->address), TEXT_(row->device), INT_(row->created_ms), INT_(row->seen_ms),
	    INT_(row->until_ms)), NULL);
}

int
db_session_read(struct op *op, const char *id, struct session_row **ret)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, &session_read, ARGS(TEXT_(id)), &rows);

	if (!rc)
		rc = db_next(rows);
	if (rc == 0)
		rc = op_fail(op, ERR_NOT_FOUND, "there is no session %s", id);
	if (rc > 0) {
		*ret = op_alloc(op, sizeof(**ret));
		rc = read_row(op, rows, *ret);
	}
	return db_end(rows, rc);
}

int
db_session_touch(struct op *op, const char *id, int64_t seen_ms)
{
	return db_exec(op, &session_touch, ARGS(TEXT_(id), INT_(seen_ms)), NULL);
}

int
db_session_end(struct op *op, const char *id, int64_t now_ms, const char *why, bool *ret_ended)
{
	int64_t changed = 0;
	int rc = db_exec(op, &session_end_one, ARGS(TEXT_(id), INT_(now_ms), TEXT_(why)), &changed);

	*ret_ended = changed > 0;
	return rc;
}

int
db_session_list(struct op *op, const char *user_id, int64_t now_ms, int64_t seen_after_ms, struct session_row **ret, size_t *ret_n)
{
	struct session_row *v = op_alloc(op, SESSION_LIST_MAX * sizeof(*v));
	struct db_rows *rows = NULL;
	size_t n = 0;
	int rc = db_query(op, &session_of_user, ARGS(TEXT_(user_id), INT_(now_ms), INT_(seen_after_ms)), &rows);

	while (!rc && n < SESSION_LIST_MAX && (rc = db_next(rows)) > 0)
		rc = read_row(op, rows, &v[n++]);
	*ret = v;
	*ret_n = n;
	return db_end(rows, rc);
}

int
db_session_purge(struct op *op, int64_t before_ms, int64_t limit, int64_t *ret_count)
{
	return db_exec(op, &session_purge_over, ARGS(INT_(before_ms), INT_(limit)), ret_count);
}

int
db_session_count(struct op *op, int64_t now_ms, int64_t seen_after_ms, int64_t *ret)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, &session_count, ARGS(INT_(now_ms), INT_(seen_after_ms)), &rows);

	*ret = 0;
	if (!rc && (rc = db_next(rows)) > 0)
		*ret = db_int(rows, 0);
	return db_end(rows, rc);
}
