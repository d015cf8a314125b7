/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Tables users and user_states.  Read user_from_row first: every statement that reads accounts names the same columns in the same
 * order.
 */
#include "store/user.h"

#include <string.h>

#include "base/uuid.h"
#include "many_int.h"

#define COLUMNS \
	"id, directory_id, external_id, login, login_key, display_name, name_key, mail, mail_key, attributes, digest, state, " \
	"directory_state, directory_reason, directory_until, local_state, was_active, created_ms, changed_ms"

SQL_DEFINE(user_read, "SELECT " COLUMNS " FROM users WHERE id = $1");
SQL_DEFINE(user_find_external, "SELECT " COLUMNS " FROM users WHERE directory_id = $1 AND external_id = $2");
SQL_DEFINE(user_find_login, "SELECT " COLUMNS " FROM users WHERE login_key = $1 ORDER BY id LIMIT 100");
SQL_DEFINE(user_find_mail, "SELECT " COLUMNS " FROM users WHERE mail_key = $1 ORDER BY id LIMIT 100");
SQL_DEFINE(user_find_many, "SELECT " COLUMNS " FROM users WHERE directory_id = $33 AND external_id IN (" MANY ")");
SQL_DEFINE(user_read_many, "SELECT " COLUMNS " FROM users WHERE id IN (" MANY ")");
SQL_DEFINE(user_list,
    "SELECT " COLUMNS " FROM users WHERE id > $1 AND (CAST($2 AS TEXT) IS NULL OR state = $2)"
    " AND (CAST($3 AS TEXT) IS NULL OR directory_id = $3)"
    " AND (CAST($4 AS TEXT) IS NULL OR SUBSTR(login_key, 1, LENGTH($4)) = $4 OR SUBSTR(name_key, 1, LENGTH($4)) = $4)"
    " ORDER BY id LIMIT $5");
SQL_DEFINE(user_list_over,
    "SELECT " COLUMNS " FROM users WHERE directory_until IS NOT NULL AND directory_state = 'active' AND directory_until <= $1"
    " ORDER BY directory_until LIMIT $2");
SQL_DEFINE(user_list_disabled_here, "SELECT " COLUMNS " FROM users WHERE local_state = 'disabled' ORDER BY login_key, id LIMIT $1");
SQL_DEFINE(user_marks,
    "SELECT id, external_id, digest, state, directory_state FROM users WHERE directory_id = $1 AND external_id > $2"
    " ORDER BY external_id LIMIT $3");
SQL_DEFINE(user_count,
    "SELECT COUNT(*), COALESCE(SUM(CASE WHEN state = 'active' THEN 1 ELSE 0 END), 0) FROM users WHERE directory_id = $1");
/*
 * Falls from active to disabled, not changes of the reason: the state before ended where this one begins.  What an approved run
 * did had its yes.
 */
SQL_DEFINE(user_count_disabled,
    "SELECT COUNT(DISTINCT s.user_id) FROM user_states s JOIN users u ON u.id = s.user_id"
    " WHERE s.side = 'directory' AND s.recorded_until IS NULL AND s.valid_from > $2 AND u.directory_id = $1"
    " AND (s.state = 'disabled' OR (s.valid_until <= $3 AND EXISTS (SELECT 1 FROM user_states a WHERE a.user_id = s.user_id"
    " AND a.side = 'directory' AND a.state = 'active' AND a.recorded_until IS NULL AND a.valid_until = s.valid_from)))"
    " AND NOT EXISTS (SELECT 1 FROM user_states p WHERE p.user_id = s.user_id AND p.side = 'directory' AND p.state = 'disabled'"
    " AND p.recorded_until IS NULL AND p.valid_until = s.valid_from)"
    " AND NOT EXISTS (SELECT 1 FROM sync_runs r WHERE r.id = s.source_id AND s.source_kind = 'sync' AND r.approved_by IS NOT NULL)");
SQL_DEFINE(user_add,
    "INSERT INTO users (" COLUMNS ")"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)");
SQL_DEFINE(user_update,
    "UPDATE users SET login = $2, login_key = $3, display_name = $4, name_key = $5, mail = $6, mail_key = $7, attributes = $8,"
    " digest = $9, state = $10, directory_state = $11, directory_reason = $12, directory_until = $13, local_state = $14,"
    " was_active = $15, changed_ms = $16 WHERE id = $1");
#define IS_OPEN "user_id = $1 AND side = $2 AND recorded_until IS NULL AND (valid_until IS NULL OR valid_until > $3)"
/* What was known until now stays readable; a copy says that it held until now. */
SQL_DEFINE(user_state_close,
    "INSERT INTO user_states (id, user_id, side, state, reason, valid_from, valid_until, recorded_from, recorded_until, source_kind,"
    " source_id) SELECT $4, user_id, side, state, reason, valid_from, CAST($3 AS BIGINT), CAST($3 AS BIGINT), NULL, source_kind,"
    " source_id FROM user_states WHERE " IS_OPEN " AND valid_from <= $3");
SQL_DEFINE(user_state_end, "UPDATE user_states SET recorded_until = $3 WHERE " IS_OPEN);
SQL_DEFINE(user_state_add,
    "INSERT INTO user_states (id, user_id, side, state, reason, valid_from, valid_until, recorded_from, recorded_until, source_kind,"
    " source_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL, $9, $10)");
SQL_DEFINE(user_state_reason, "SELECT reason FROM user_states WHERE " IS_OPEN " ORDER BY valid_from DESC LIMIT 1");

static const char *
state_text(bool is_active)
{
	return is_active ? "active" : "disabled";
}

static bool
is_active_text(const char *state)
{
	return state && !strcmp(state, "active");
}

static void
digest_read(struct db_rows *rows, int column, unsigned char ret[static 32])
{
	size_t size;
	const void *digest = db_blob(rows, column, &size);

	memset(ret, 0, 32);
	if (digest && size == 32)
		memcpy(ret, digest, 32);
}

static struct user *
user_from_row(struct op *op, struct db_rows *rows)
{
	struct user *user = op_alloc(op, sizeof(*user));

	user->id = db_text_dup(op, rows, 0);
	user->directory_id = db_text_dup(op, rows, 1);
	user->external_id = db_text_dup(op, rows, 2);
	user->login = db_text_dup(op, rows, 3);
	user->login_key = db_text_dup(op, rows, 4);
	user->display_name = db_text_dup(op, rows, 5);
	user->name_key = db_text_dup(op, rows, 6);
	user->mail = db_text_dup(op, rows, 7);
	user->mail_key = db_text_dup(op, rows, 8);
	user->attributes = db_text_dup(op, rows, 9);
	digest_read(rows, 10, user->digest);
	user->is_active = is_active_text(db_text(rows, 11));
	user->directory_active = is_active_text(db_text(rows, 12));
	user->directory_reason = db_text_dup(op, rows, 13);
	user->directory_until = db_is_null(rows, 14) ? 0 : db_int(rows, 14);
	user->local_active = is_active_text(db_text(rows, 15));
	user->was_active = db_int(rows, 16) != 0;
	user->created_ms = db_int(rows, 17);
	user->changed_ms = db_int(rows, 18);
	return user;
}

static int
find_one(struct op *op, const struct sql *sql, const struct db_value *args, size_t n, struct user **ret)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, sql, args, n, &rows);

	*ret = NULL;
	if (!rc && (rc = db_next(rows)) > 0)
		*ret = user_from_row(op, rows);
	rc = db_end(rows, rc);
	if (!rc && !*ret)
		return op_fail(op, ERR_NOT_FOUND, "no such account");
	return rc;
}

int
db_user_read(struct op *op, const char *id, struct user **ret)
{
	return find_one(op, &user_read, ARGS(TEXT_(id)), ret);
}

int
db_user_find_external(struct op *op, const char *directory_id, const char *external_id, struct user **ret)
{
	return find_one(op, &user_find_external, ARGS(TEXT_(directory_id), TEXT_(external_id)), ret);
}

/* All rows of an answer that has at most limit of them. */
static int
find_all(struct op *op, const struct sql *sql, const struct db_value *args, size_t n, size_t limit, struct user ***ret, size_t *ret_n)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, sql, args, n, &rows);

	*ret = op_alloc(op, limit * sizeof(**ret));
	*ret_n = 0;
	while (!rc && *ret_n < limit && (rc = db_next(rows)) > 0) {
		(*ret)[(*ret_n)++] = user_from_row(op, rows);
		rc = 0;
	}
	return db_end(rows, rc);
}

int
db_user_find_login(struct op *op, const char *login_key, struct user ***ret, size_t *ret_n)
{
	return find_all(op, &user_find_login, ARGS(TEXT_(login_key)), 100, ret, ret_n);
}

int
db_user_find_mail(struct op *op, const char *mail_key, struct user ***ret, size_t *ret_n)
{
	return find_all(op, &user_find_mail, ARGS(TEXT_(mail_key)), 100, ret, ret_n);
}

int
db_user_list(struct op *op, const char *after, const char *state, const char *directory_id, const char *query, size_t limit,
    struct user **ret, size_t *ret_n)
{
	struct user **found;
	int rc = find_all(op, &user_list,
	    ARGS(TEXT_(after ? after : ""), TEXT_(state), TEXT_(directory_id), TEXT_(query), INT_((int64_t)limit)), limit, &found, ret_n);

	*ret = op_alloc(op, (rc ? 0 : *ret_n) * sizeof(**ret));
	for (size_t i = 0; !rc && i < *ret_n; i++)
		(*ret)[i] = *found[i];
	return rc;
}

int
db_user_list_over(struct op *op, int64_t now_ms, size_t limit, struct user ***ret, size_t *ret_n)
{
	return find_all(op, &user_list_over, ARGS(INT_(now_ms), INT_((int64_t)limit)), limit, ret, ret_n);
}

int
db_user_list_disabled_here(struct op *op, size_t limit, struct user ***ret, size_t *ret_n)
{
	return find_all(op, &user_list_disabled_here, ARGS(INT_((int64_t)limit)), limit, ret, ret_n);
}

/* One statement for up to MANY_N keys; a row goes to every place whose key it has. */
static int
find_batch(struct op *op, const char *directory_id, const char *const *keys, size_t n, struct user **ret)
{
	struct db_value args[MANY_N + 1];
	struct db_rows *rows = NULL;
	int rc;

	many_args(args, keys, n);
	args[MANY_N] = TEXT_(directory_id);
	rc = directory_id ? db_query(op, &user_find_many, args, MANY_N + 1, &rows) : db_query(op, &user_read_many, args, MANY_N, &rows);
	while (!rc && (rc = db_next(rows)) > 0) {
		struct user *user = user_from_row(op, rows);
		const char *key = directory_id ? user->external_id : user->id;

		for (size_t i = 0; i < n; i++)
			if (!strcmp(keys[i], key))
				ret[i] = user;
		rc = 0;
	}
	return db_end(rows, rc);
}

static int
find_many(struct op *op, const char *directory_id, const char *const *keys, size_t n, struct user ***ret)
{
	int rc = 0;

	*ret = op_alloc(op, n * sizeof(**ret));
	for (size_t i = 0; !rc && i < n; i += MANY_N)
		rc = find_batch(op, directory_id, keys + i, n - i < MANY_N ? n - i : MANY_N, *ret + i);
	return rc;
}

int
db_user_find_many(struct op *op, const char *directory_id, const char *const *external_ids, size_t n, struct user ***ret)
{
	return find_many(op, directory_id, external_ids, n, ret);
}

int
db_user_read_many(struct op *op, const char *const *ids, size_t n, struct user ***ret)
{
	return find_many(op, NULL, ids, n, ret);
}

int
db_user_marks(struct op *op, const char *directory_id, const char *after, size_t limit, struct user_mark **ret, size_t *ret_n)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, &user_marks, ARGS(TEXT_(directory_id), TEXT_(after), INT_((int64_t)limit)), &rows);

	*ret = op_alloc(op, limit * sizeof(**ret));
	*ret_n = 0;
	while (!rc && *ret_n < limit && (rc = db_next(rows)) > 0) {
		struct user_mark *mark = &(*ret)[(*ret_n)++];

		mark->id = db_text_dup(op, rows, 0);
		mark->external_id = db_text_dup(op, rows, 1);
		digest_read(rows, 2, mark->digest);
		mark->is_active = is_active_text(db_text(rows, 3));
		mark->directory_active = is_active_text(db_text(rows, 4));
		rc = 0;
	}
	return db_end(rows, rc);
}

int
db_user_count(struct op *op, const char *directory_id, int64_t *ret_all, int64_t *ret_active)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, &user_count, ARGS(TEXT_(directory_id)), &rows);

	*ret_all = *ret_active = 0;
	if (!rc && (rc = db_next(rows)) > 0) {
		*ret_all = db_int(rows, 0);
		*ret_active = db_int(rows, 1);
	}
	return db_end(rows, rc);
}

int
db_user_count_disabled(struct op *op, const char *directory_id, int64_t since_ms, int64_t soon_ms, int64_t *ret)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, &user_count_disabled, ARGS(TEXT_(directory_id), INT_(since_ms), INT_(soon_ms)), &rows);

	*ret = 0;
	if (!rc && (rc = db_next(rows)) > 0)
		*ret = db_int(rows, 0);
	return db_end(rows, rc);
}

static void
fill_add(void *arg, size_t row, struct db_value *v)
{
	const struct user *user = ((const struct user *const *)arg)[row];

	v[0] = TEXT_(user->id);
	v[1] = TEXT_(user->directory_id);
	v[2] = TEXT_(user->external_id);
	v[3] = TEXT_(user->login);
	v[4] = TEXT_(user->login_key);
	v[5] = TEXT_(user->display_name);
	v[6] = TEXT_(user->name_key);
	v[7] = TEXT_(user->mail);
	v[8] = TEXT_(user->mail_key);
	v[9] = TEXT_(user->attributes);
	v[10] = BLOB_(user->digest, 32);
	v[11] = TEXT_(state_text(user->is_active));
	v[12] = TEXT_(state_text(user->directory_active));
	v[13] = TEXT_(user->directory_reason);
	v[14] = user->directory_until ? INT_(user->directory_until) : NULL_;
	v[15] = TEXT_(state_text(user->local_active));
	v[16] = INT_(user->was_active);
	v[17] = INT_(user->created_ms);
	v[18] = INT_(user->changed_ms);
}

int
db_user_add(struct op *op, const struct user *const *v, size_t n)
{
	return n ? db_put_many(op, &user_add, 19, n, fill_add, (void *)(uintptr_t)v) : 0;
}

static void
fill_update(void *arg, size_t row, struct db_value *v)
{
	const struct user *user = ((const struct user *const *)arg)[row];

	v[0] = TEXT_(user->id);
	v[1] = TEXT_(user->login);
	v[2] = TEXT_(user->login_key);
	v[3] = TEXT_(user->display_name);
	v[4] = TEXT_(user->name_key);
	v[5] = TEXT_(user->mail);
	v[6] = TEXT_(user->mail_key);
	v[7] = TEXT_(user->attributes);
	v[8] = BLOB_(user->digest, 32);
	v[9] = TEXT_(state_text(user->is_active));
	v[10] = TEXT_(state_text(user->directory_active));
	v[11] = TEXT_(user->directory_reason);
	v[12] = user->directory_until ? INT_(user->directory_until) : NULL_;
	v[13] = TEXT_(state_text(user->local_active));
	v[14] = INT_(user->was_active);
	v[15] = INT_(user->changed_ms);
}

int
db_user_update(struct op *op, const struct user *const *v, size_t n)
{
	return n ? db_put_many(op, &user_update, 16, n, fill_update, (void *)(uintptr_t)v) : 0;
}

int
db_user_state_end(struct op *op, const char *user_id, const char *side)
{
	char id[UUID_TEXT_BYTES];
	int rc;

	uuid_new(id, op->now_ms);
	rc = db_exec(op, &user_state_close, ARGS(TEXT_(user_id), TEXT_(side), INT_(op->now_ms), TEXT_(id)), NULL);
	return rc ? rc : db_exec(op, &user_state_end, ARGS(TEXT_(user_id), TEXT_(side), INT_(op->now_ms)), NULL);
}

struct state_rows {
	struct op *op;
	const struct user_state *v;
	char (*ids)[UUID_TEXT_BYTES];
};

static void
fill_state(void *arg, size_t row, struct db_value *v)
{
	struct state_rows *rows = arg;
	const struct user_state *state = &rows->v[row];

	uuid_new(rows->ids[row], rows->op->now_ms);
	v[0] = TEXT_(rows->ids[row]);
	v[1] = TEXT_(state->user_id);
	v[2] = TEXT_(state->side);
	v[3] = TEXT_(state_text(state->is_active));
	v[4] = TEXT_(state->reason);
	v[5] = INT_(state->valid_from);
	v[6] = state->valid_until ? INT_(state->valid_until) : NULL_;
	v[7] = INT_(rows->op->now_ms);
	v[8] = TEXT_(state->source_kind);
	v[9] = TEXT_(state->source_id);
}

int
db_user_state_add(struct op *op, const struct user_state *v, size_t n)
{
	struct state_rows rows = { op, v, op_alloc(op, n * UUID_TEXT_BYTES) };

	return n ? db_put_many(op, &user_state_add, 10, n, fill_state, &rows) : 0;
}

int
db_user_state_reason(struct op *op, const char *user_id, const char *side, const char **ret)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, &user_state_reason, ARGS(TEXT_(user_id), TEXT_(side), INT_(op->now_ms)), &rows);

	*ret = NULL;
	if (!rc && (rc = db_next(rows)) > 0)
		*ret = db_text_dup(op, rows, 0);
	return db_end(rows, rc);
}
