/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Tables authorizations and revoked_tokens.  Every "only once" is one conditional UPDATE that must change its row (SQL_DEFINE_MUST):
 * between reading and writing nothing is assumed.
 */
#include "store/authorization.h"

#include <string.h>

#include "grant_int.h"

SQL_DEFINE(authorization_alive,
    "SELECT s.id FROM sessions s JOIN users u ON u.id = s.user_id "
    "WHERE s.id = $1 AND s.user_id = $2 AND s.ended_ms IS NULL AND s.until_ms > $3 AND u.state = 'active'");
SQL_DEFINE(authorization_create,
    "INSERT INTO authorizations (id, session_id, user_id, app_id, scope, redirect_uri, nonce, claims, code_challenge, code_hash, "
    "code_until_ms, refresh_seq, refresh_until_ms, until_ms, created_ms) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 0, $12, $13)");
SQL_DEFINE(authorization_read,
    "SELECT a.session_id, a.user_id, a.app_id, a.scope, a.redirect_uri, a.nonce, a.claims, a.code_challenge, a.code_hash, "
    "a.code_until_ms, a.code_used_ms, a.refresh_seq, a.refresh_until_ms, a.until_ms, a.created_ms, a.ended_ms, a.ended_why, "
    "s.auth_ms, s.amr, s.ended_ms, u.state "
    "FROM authorizations a JOIN sessions s ON s.id = a.session_id JOIN users u ON u.id = a.user_id WHERE a.id = $1");
/* RFC 6749 4.1.2: a code is used once, by its client, with its redirect URI, in time */
SQL_DEFINE_MUST(authorization_use_code,
    "UPDATE authorizations SET code_used_ms = $2, refresh_seq = $3, refresh_until_ms = $4 "
    "WHERE id = $1 AND app_id = $5 AND redirect_uri = $6 AND code_used_ms IS NULL AND code_until_ms > $2 "
    "AND ended_ms IS NULL AND until_ms > $2 "
    "AND EXISTS (SELECT 1 FROM users u WHERE u.id = authorizations.user_id AND u.state = 'active') "
    "AND EXISTS (SELECT 1 FROM sessions s WHERE s.id = authorizations.session_id AND s.ended_ms IS NULL AND s.until_ms > $2)");
/* RFC 9700 4.14.2: rotation.  A session that merely idles does not stop refreshes; one that somebody ended does. */
SQL_DEFINE_MUST(authorization_refresh,
    "UPDATE authorizations SET refresh_seq = refresh_seq + 1, refresh_until_ms = $4 "
    "WHERE id = $1 AND app_id = $2 AND refresh_seq = $3 AND ended_ms IS NULL AND refresh_until_ms > $5 AND until_ms > $5 "
    "AND EXISTS (SELECT 1 FROM users u WHERE u.id = authorizations.user_id AND u.state = 'active') "
    "AND EXISTS (SELECT 1 FROM sessions s WHERE s.id = authorizations.session_id AND s.ended_ms IS NULL)");
SQL_DEFINE(authorization_end,
    "UPDATE authorizations SET ended_ms = $2, ended_why = $3 WHERE id = $1 AND ended_ms IS NULL");
SQL_DEFINE(authorization_end_session,
    "UPDATE authorizations SET ended_ms = $2, ended_why = $3 WHERE session_id = $1 AND ended_ms IS NULL");
SQL_DEFINE(authorization_move,
    "UPDATE authorizations SET session_id = $2 WHERE session_id = $1 AND user_id = $3 AND ended_ms IS NULL");
SQL_DEFINE(authorization_purge,
    "DELETE FROM authorizations WHERE id IN (SELECT id FROM authorizations WHERE until_ms < $1 ORDER BY until_ms LIMIT $2)");
SQL_DEFINE(revoked_add,
    "INSERT INTO revoked_tokens (jti, until_ms) VALUES ($1, $2) ON CONFLICT (jti) DO NOTHING");
SQL_DEFINE(revoked_has,
    "SELECT until_ms FROM revoked_tokens WHERE jti = $1");
SQL_DEFINE(revoked_purge,
    "DELETE FROM revoked_tokens WHERE until_ms < $1");

/* One row or none. */
static int
has_row(struct op *op, const struct sql *sql, const struct db_value *args, size_t n, bool *ret_has)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, sql, args, n, &rows);

	*ret_has = false;
	if (!rc && (rc = db_next(rows)) > 0)
		*ret_has = true;
	return db_end(rows, rc < 0 ? rc : 0);
}

int
db_authorization_create(struct op *op, const struct authorization *row)
{
	bool is_alive;
	int rc = has_row(op, &authorization_alive, ARGS(TEXT_(row->session_id), TEXT_(row->user_id), INT_(row->created_ms)), &is_alive);

	if (rc)
		return rc;
	if (!is_alive)
		return op_fail(op, ERR_LOGIN_REQUIRED, "the session ended meanwhile");
	return db_exec(op, &authorization_create,
	    ARGS(TEXT_(row->id), TEXT_(row->session_id), TEXT_(row->user_id), TEXT_(row->app_id), TEXT_(row->scope),
		TEXT_(row->redirect_uri), TEXT_(row->nonce), TEXT_(row->claims), TEXT_(row->code_challenge),
		BLOB_(row->code_hash, sizeof(row->code_hash)), INT_(row->code_until_ms), INT_(row->until_ms), INT_(row->created_ms)),
	    NULL);
}

static struct authorization *
take_row(struct op *op, struct db_rows *rows, const char *id)
{
	struct authorization *a = op_alloc(op, sizeof(*a));
	const void *hash;
	size_t size;

	a->id = op_strdup(op, id);
	a->session_id = db_text_dup(op, rows, 0);
	a->user_id = db_text_dup(op, rows, 1);
	a->app_id = db_text_dup(op, rows, 2);
	a->scope = db_text_dup(op, rows, 3);
	a->redirect_uri = db_text_dup(op, rows, 4);
	a->nonce = db_text_dup(op, rows, 5);
	a->claims = db_text_dup(op, rows, 6);
	a->code_challenge = db_text_dup(op, rows, 7);
	hash = db_blob(rows, 8, &size);
	if (hash && size == sizeof(a->code_hash))
		memcpy(a->code_hash, hash, size);
	a->code_until_ms = db_int(rows, 9);
	a->code_used_ms = db_int(rows, 10);
	a->refresh_seq = db_int(rows, 11);
	a->refresh_until_ms = db_int(rows, 12);
	a->until_ms = db_int(rows, 13);
	a->created_ms = db_int(rows, 14);
	a->ended_ms = db_int(rows, 15);
	a->ended_why = db_text_dup(op, rows, 16);
	a->auth_ms = db_int(rows, 17);
	a->amr = db_text_dup(op, rows, 18);
	a->is_session_open = db_is_null(rows, 19);
	a->is_active = !strcmp(db_text(rows, 20), "active");
	return a;
}

static int
read_one(struct op *op, struct db_rows *rows, int rc, const char *id, struct authorization **ret)
{
	*ret = NULL;
	if (!rc && (rc = db_next(rows)) > 0)
		*ret = take_row(op, rows, id);
	rc = db_end(rows, rc < 0 ? rc : 0);
	if (!rc && !*ret)
		return op_fail(op, ERR_NOT_FOUND, "no authorization %s", id);
	return rc;
}

int
db_authorization_read(struct op *op, const char *id, struct authorization **ret)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, &authorization_read, ARGS(TEXT_(id)), &rows);

	return read_one(op, rows, rc, id, ret);
}

int
db_authorization_read_grants(struct op *op, const char *id, struct authorization **ret, struct grant **ret_grants, size_t *ret_n)
{
	struct db_rows *rows = NULL, *grants = NULL;
	int rc = db_query(op, &authorization_read, ARGS(TEXT_(id)), &rows);

	if (!rc)
		rc = grants_ask(op, id, &grants);
	rc = read_one(op, rows, rc, id, ret);
	return grants_read(op, grants, rc, ret_grants, ret_n);
}

int
db_authorization_use_code(struct op *op, const char *id, const char *app_id, const char *redirect_uri, int64_t refresh_seq,
    int64_t refresh_until_ms)
{
	return db_exec(op, &authorization_use_code,
	    ARGS(TEXT_(id), INT_(op->now_ms), INT_(refresh_seq), INT_(refresh_until_ms), TEXT_(app_id), TEXT_(redirect_uri)), NULL);
}

int
db_authorization_refresh(struct op *op, const char *id, const char *app_id, int64_t seq, int64_t refresh_until_ms)
{
	return db_exec(op, &authorization_refresh,
	    ARGS(TEXT_(id), TEXT_(app_id), INT_(seq), INT_(refresh_until_ms), INT_(op->now_ms)), NULL);
}

static int
end_where(struct op *op, const struct sql *sql, const char *id, const char *why, int64_t *ret_count)
{
	int64_t changed = 0;
	int rc = db_exec(op, sql, ARGS(TEXT_(id), INT_(op->now_ms), TEXT_(why)), &changed);

	if (ret_count)
		*ret_count = changed;
	return rc;
}

int
db_authorization_end(struct op *op, const char *id, const char *why, int64_t *ret_count)
{
	return end_where(op, &authorization_end, id, why, ret_count);
}

int
db_authorization_end_session(struct op *op, const char *session_id, const char *why, int64_t *ret_count)
{
	return end_where(op, &authorization_end_session, session_id, why, ret_count);
}

int
db_authorization_move(struct op *op, const char *from_session, const char *to_session, const char *user_id)
{
	return db_exec(op, &authorization_move, ARGS(TEXT_(from_session), TEXT_(to_session), TEXT_(user_id)), NULL);
}

int
db_authorization_purge(struct op *op, int64_t before_ms, int64_t limit, int64_t *ret_count)
{
	return db_exec(op, &authorization_purge, ARGS(INT_(before_ms), INT_(limit)), ret_count);
}

int
db_revoked_add(struct op *op, const char *jti, int64_t until_ms)
{
	return db_exec(op, &revoked_add, ARGS(TEXT_(jti), INT_(until_ms)), NULL);
}

int
db_revoked_has(struct op *op, const char *jti, bool *ret_has)
{
	return has_row(op, &revoked_has, ARGS(TEXT_(jti)), ret_has);
}

int
db_revoked_purge(struct op *op, int64_t before_ms)
{
	return db_exec(op, &revoked_purge, ARGS(INT_(before_ms)), NULL);
}
