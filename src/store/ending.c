/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Ends a person's sessions and authorizations; the rows of both tables are otherwise session.c's and authorization.c's. */
#include "store/ending.h"

#include <string.h>

SQL_DEFINE(sessions_end_user,
    "UPDATE sessions SET ended_ms = $2, ended_why = $3 WHERE user_id = $1 AND ended_ms IS NULL RETURNING id");
SQL_DEFINE(authorizations_end_user,
    "UPDATE authorizations SET ended_ms = $2, ended_why = $3 WHERE user_id = $1 AND ended_ms IS NULL RETURNING id");

SQL_DEFINE(sessions_end_all, "UPDATE sessions SET ended_ms = $1, ended_why = $2 WHERE ended_ms IS NULL");
SQL_DEFINE(authorizations_end_all, "UPDATE authorizations SET ended_ms = $1, ended_why = $2 WHERE ended_ms IS NULL");

static int
end_all(struct op *op, const struct sql *sql, const char *user_id, const char *why, const char ***ret_ids, size_t *ret_n)
{
	struct db_rows *rows = NULL;
	size_t room = 16;
	int rc = db_query(op, sql, ARGS(TEXT_(user_id), INT_(op->now_ms), TEXT_(why)), &rows);

	*ret_ids = op_alloc(op, room * sizeof(**ret_ids));
	*ret_n = 0;
	while (!rc && (rc = db_next(rows)) > 0) {
		if (*ret_n == room) {
			const char **more = op_alloc(op, (room *= 2) * sizeof(*more));

			memcpy(more, *ret_ids, *ret_n * sizeof(*more));
			*ret_ids = more;
		}
		(*ret_ids)[(*ret_n)++] = db_text_dup(op, rows, 0);
		rc = 0;
	}
	return db_end(rows, rc);
}

int
db_sessions_end_user(struct op *op, const char *user_id, const char *why, const char ***ret_ids, size_t *ret_n)
{
	return end_all(op, &sessions_end_user, user_id, why, ret_ids, ret_n);
}

int
db_authorizations_end_user(struct op *op, const char *user_id, const char *why, const char ***ret_ids, size_t *ret_n)
{
	return end_all(op, &authorizations_end_user, user_id, why, ret_ids, ret_n);
}

int
db_everything_end(struct op *op, const char *why, int64_t *ret_sessions, int64_t *ret_authorizations)
{
	int rc = db_exec(op, &sessions_end_all, ARGS(INT_(op->now_ms), TEXT_(why)), ret_sessions);

	return rc ? rc : db_exec(op, &authorizations_end_all, ARGS(INT_(op->now_ms), TEXT_(why)), ret_authorizations);
}
