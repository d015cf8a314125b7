/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The statements of a restore (store/restore.h).  A table that lets somebody in, or that knows of work under way, has its line
 * here.
 */
#include "store/restore.h"

SQL_DEFINE(restore_sessions, "UPDATE sessions SET ended_ms = $1, ended_why = 'restore' WHERE ended_ms IS NULL");
SQL_DEFINE(restore_authorizations, "UPDATE authorizations SET ended_ms = $1, ended_why = 'restore' WHERE ended_ms IS NULL");
SQL_DEFINE(restore_keys,
    "UPDATE keys SET ended_ms = $1, retired_ms = COALESCE(retired_ms, CAST($1 AS BIGINT)), sealed = $2"
    " WHERE purpose IN ('sign', 'token_mac') AND ended_ms IS NULL");
/* finished when it last moved: the directory is then due at once */
SQL_DEFINE(restore_runs,
    "UPDATE sync_runs SET state = 'abandoned', failure = 'the database was restored from a backup', finished_ms = changed_ms"
    " WHERE finished_ms IS NULL");
SQL_DEFINE(restore_waits,
    "INSERT INTO sync_waits (directory_id, since_ms) SELECT id, CAST($1 AS BIGINT) FROM objects"
    " WHERE kind = 'directory' AND ended_ms IS NULL ON CONFLICT (directory_id) DO UPDATE SET since_ms = excluded.since_ms");
SQL_DEFINE(setting_remove, "DELETE FROM settings WHERE name = $1");
SQL_DEFINE(sync_wait_read, "SELECT since_ms FROM sync_waits WHERE directory_id = $1");
SQL_DEFINE(sync_wait_end, "DELETE FROM sync_waits WHERE directory_id = $1");

int
db_restore_settle(struct op *op, struct restore_counts *ret)
{
	int rc = db_exec(op, &restore_sessions, ARGS(INT_(op->now_ms)), &ret->sessions);

	if (!rc)
		rc = db_exec(op, &restore_authorizations, ARGS(INT_(op->now_ms)), &ret->authorizations);
	if (!rc)
		rc = db_exec(op, &restore_keys, ARGS(INT_(op->now_ms), BLOB_("", 0)), &ret->keys);
	if (!rc)
		rc = db_exec(op, &restore_runs, NO_ARGS, &ret->runs);
	return rc ? rc : db_exec(op, &restore_waits, ARGS(INT_(op->now_ms)), &ret->directories);
}

int
db_setting_remove(struct op *op, const char *name)
{
	return db_exec(op, &setting_remove, ARGS(TEXT_(name)), NULL);
}

int
db_sync_wait_read(struct op *op, const char *directory_id, int64_t *ret_since_ms)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, &sync_wait_read, ARGS(TEXT_(directory_id)), &rows);

	*ret_since_ms = 0;
	if (!rc && (rc = db_next(rows)) > 0)
		*ret_since_ms = db_int(rows, 0);
	return db_end(rows, rc);
}

int
db_sync_wait_end(struct op *op, const char *directory_id)
{
	return db_exec(op, &sync_wait_end, ARGS(TEXT_(directory_id)), NULL);
}
