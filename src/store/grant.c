/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Table grants: who holds which role where.  Rows are never overwritten: taking a role ends its row. */
#include "store/user.h"

#include <string.h>

#include "base/uuid.h"
#include "grant_int.h"
#include "many_int.h"

#define COLUMNS \
	"g.id, g.user_id, g.role_id, g.location_id, g.valid_from, g.valid_until, g.source_kind, g.source_id, g.source_version"

#define CURRENT "g.recorded_until IS NULL AND g.valid_from <= $2 AND (g.valid_until IS NULL OR g.valid_until > $2)"

SQL_DEFINE(grant_list, "SELECT " COLUMNS " FROM grants g WHERE g.user_id = $1 AND " CURRENT " ORDER BY g.id");
SQL_DEFINE(grant_list_authorization,
    "SELECT " COLUMNS " FROM grants g WHERE g.user_id = (SELECT a.user_id FROM authorizations a WHERE a.id = $1) AND " CURRENT
    " ORDER BY g.id");
SQL_DEFINE(grant_list_rules,
    "SELECT " COLUMNS " FROM grants g WHERE g.user_id IN (" MANY ") AND g.recorded_until IS NULL AND g.valid_until IS NULL"
    " AND g.source_kind = 'rule' ORDER BY g.user_id, g.id");
/* The cross join keeps the order of the accounts: each one's grants are looked up by the index. */
SQL_DEFINE(grant_range_rules,
    "SELECT g.id, u.external_id, g.role_id, g.location_id, g.valid_from, g.valid_until, g.source_kind, g.source_id, g.source_version"
    " FROM users u CROSS JOIN grants g WHERE u.directory_id = $1 AND u.external_id > $2 AND u.external_id <= $3"
    " AND g.user_id = u.id AND g.recorded_until IS NULL AND g.valid_until IS NULL"
    " AND g.source_kind = 'rule' ORDER BY u.external_id");
SQL_DEFINE(grant_add,
    "INSERT INTO grants (id, user_id, role_id, location_id, valid_from, valid_until, recorded_from, recorded_until, source_kind,"
    " source_id, source_version) VALUES ($1, $2, $3, $4, $5, $6, $7, NULL, $8, $9, $10)");
/* What was known until now stays readable; a copy says that it held until now. */
SQL_DEFINE(grant_close,
    "INSERT INTO grants (id, user_id, role_id, location_id, valid_from, valid_until, recorded_from, recorded_until, source_kind,"
    " source_id, source_version) SELECT $3, user_id, role_id, location_id, valid_from, CAST($2 AS BIGINT), CAST($2 AS BIGINT), NULL,"
    " source_kind, source_id, source_version FROM grants WHERE id = $1 AND recorded_until IS NULL");
SQL_DEFINE(grant_end, "UPDATE grants SET recorded_until = $2 WHERE id = $1 AND recorded_until IS NULL");

static void
grant_from_row(struct op *op, struct db_rows *rows, struct grant *grant)
{
	grant->id = db_text_dup(op, rows, 0);
	grant->user_id = db_text_dup(op, rows, 1);
	grant->role_id = db_text_dup(op, rows, 2);
	grant->location_id = db_text_dup(op, rows, 3);
	grant->valid_from = db_int(rows, 4);
	grant->valid_until = db_is_null(rows, 5) ? 0 : db_int(rows, 5);
	grant->source_kind = db_text_dup(op, rows, 6);
	grant->source_id = db_text_dup(op, rows, 7);
	grant->source_version = db_int(rows, 8);
}

/* A list that doubles. */
int
grants_read(struct op *op, struct db_rows *rows, int rc, struct grant **ret, size_t *ret_n)
{
	size_t room = 16;

	*ret = op_alloc(op, room * sizeof(**ret));
	*ret_n = 0;
	while (!rc && (rc = db_next(rows)) > 0) {
		if (*ret_n == room) {
			struct grant *more = op_alloc(op, (room *= 2) * sizeof(**ret));

			memcpy(more, *ret, *ret_n * sizeof(**ret));
			*ret = more;
		}
		grant_from_row(op, rows, &(*ret)[(*ret_n)++]);
		rc = 0;
	}
	return db_end(rows, rc);
}

int
db_grant_list(struct op *op, const char *user_id, int64_t now_ms, struct grant **ret, size_t *ret_n)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, &grant_list, ARGS(TEXT_(user_id), INT_(now_ms)), &rows);

	return grants_read(op, rows, rc, ret, ret_n);
}

int
grants_ask(struct op *op, const char *authorization_id, struct db_rows **ret)
{
	return db_query(op, &grant_list_authorization, ARGS(TEXT_(authorization_id), INT_(op->now_ms)), ret);
}

int
db_grant_list_rules(struct op *op, const char *const *user_ids, size_t n, struct grant **ret, size_t *ret_n)
{
	struct grant *part, *all = NULL;
	size_t n_part, n_all = 0;
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i += MANY_N) {
		struct db_value args[MANY_N];
		struct db_rows *rows = NULL;
		struct grant *joined;

		many_args(args, user_ids + i, n - i < MANY_N ? n - i : MANY_N);
		rc = db_query(op, &grant_list_rules, args, MANY_N, &rows);
		rc = grants_read(op, rows, rc, &part, &n_part);
		joined = op_alloc(op, (n_all + n_part) * sizeof(*joined));
		if (n_all)
			memcpy(joined, all, n_all * sizeof(*joined));
		if (n_part)
			memcpy(joined + n_all, part, n_part * sizeof(*joined));
		all = joined;
		n_all += n_part;
	}
	*ret = all;
	*ret_n = n_all;
	return rc;
}

int
db_grant_range_rules(struct op *op, const char *directory_id, const char *after, const char *last, struct grant **ret, size_t *ret_n)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, &grant_range_rules, ARGS(TEXT_(directory_id), TEXT_(after), TEXT_(last)), &rows);

	return grants_read(op, rows, rc, ret, ret_n);
}

struct grant_rows {
	struct op *op;
	const struct grant *v;
	char (*ids)[UUID_TEXT_BYTES];
};

static void
fill_add(void *arg, size_t row, struct db_value *v)
{
	struct grant_rows *rows = arg;
	const struct grant *grant = &rows->v[row];

	uuid_new(rows->ids[row], rows->op->now_ms);
	v[0] = TEXT_(rows->ids[row]);
	v[1] = TEXT_(grant->user_id);
	v[2] = TEXT_(grant->role_id);
	v[3] = TEXT_(grant->location_id);
	v[4] = INT_(grant->valid_from);
	v[5] = grant->valid_until ? INT_(grant->valid_until) : NULL_;
	v[6] = INT_(rows->op->now_ms);
	v[7] = TEXT_(grant->source_kind);
	v[8] = TEXT_(grant->source_id);
	v[9] = INT_(grant->source_version);
}

int
db_grant_add(struct op *op, const struct grant *v, size_t n)
{
	struct grant_rows rows = { op, v, op_alloc(op, n * UUID_TEXT_BYTES) };

	return n ? db_put_many(op, &grant_add, 10, n, fill_add, &rows) : 0;
}

int
db_grant_end(struct op *op, const struct grant *v, size_t n)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i++) {
		char id[UUID_TEXT_BYTES];

		uuid_new(id, op->now_ms);
		rc = db_exec(op, &grant_close, ARGS(TEXT_(v[i].id), INT_(op->now_ms), TEXT_(id)), NULL);
		if (!rc)
			rc = db_exec(op, &grant_end, ARGS(TEXT_(v[i].id), INT_(op->now_ms)), NULL);
	}
	return rc;
}
