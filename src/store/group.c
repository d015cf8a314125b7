/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Tables groups and memberships.  A group's row follows the directory; who was in it when is kept. */
#include "store/group.h"

#include <string.h>

#include "base/uuid.h"
#include "many_int.h"

SQL_DEFINE(group_list,
    "SELECT id, directory_id, external_id, dn, dn_key, name, ended_ms FROM groups WHERE directory_id = $1 ORDER BY external_id");
SQL_DEFINE(group_put,
    "INSERT INTO groups (id, directory_id, external_id, dn, dn_key, name, created_ms, changed_ms, ended_ms)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $7, NULL)"
    " ON CONFLICT (directory_id, external_id) DO UPDATE SET dn = excluded.dn, dn_key = excluded.dn_key, name = excluded.name,"
    " changed_ms = excluded.changed_ms, ended_ms = NULL");
SQL_DEFINE(group_end, "UPDATE groups SET ended_ms = $2, changed_ms = $2 WHERE id = $1 AND ended_ms IS NULL");
#define COLUMNS "m.id, m.group_id, m.member_kind, m.member_id"
#define IS_OPEN " AND m.recorded_until IS NULL AND m.valid_until IS NULL"
SQL_DEFINE(membership_list_groups,
    "SELECT " COLUMNS " FROM groups g CROSS JOIN memberships m WHERE g.directory_id = $1 AND m.group_id = g.id"
    " AND m.member_kind = 'group'" IS_OPEN " ORDER BY m.group_id");
SQL_DEFINE(membership_range,
    "SELECT m.id, m.group_id, m.member_kind, u.external_id FROM users u CROSS JOIN memberships m WHERE u.directory_id = $1"
    " AND u.external_id > $2 AND u.external_id <= $3 AND m.member_id = u.id AND m.member_kind = 'user'" IS_OPEN
    " ORDER BY u.external_id");
SQL_DEFINE(membership_list_users,
    "SELECT " COLUMNS " FROM memberships m WHERE m.member_id IN (" MANY ") AND m.member_kind = 'user'" IS_OPEN " ORDER BY m.member_id");
SQL_DEFINE(membership_add,
    "INSERT INTO memberships (id, group_id, member_kind, member_id, valid_from, valid_until, recorded_from, recorded_until, source_kind,"
    " source_id) VALUES ($1, $2, $3, $4, $5, NULL, $5, NULL, $6, $7)");
/* What was known until now stays readable; a copy says that it held until now. */
SQL_DEFINE(membership_close,
    "INSERT INTO memberships (id, group_id, member_kind, member_id, valid_from, valid_until, recorded_from, recorded_until, source_kind,"
    " source_id) SELECT $3, group_id, member_kind, member_id, valid_from, CAST($2 AS BIGINT), CAST($2 AS BIGINT), NULL, source_kind,"
    " source_id FROM memberships WHERE id = $1 AND recorded_until IS NULL");
SQL_DEFINE(membership_end, "UPDATE memberships SET recorded_until = $2 WHERE id = $1 AND recorded_until IS NULL");

/* A list of fixed-size items that doubles. */
static void *
grow(struct op *op, void *list, size_t n, size_t *room, size_t item)
{
	void *more;

	if (n < *room)
		return list;
	*room = *room ? *room * 2 : 16;
	more = op_alloc(op, *room * item);
	if (n)
		memcpy(more, list, n * item);
	return more;
}

int
db_group_list(struct op *op, const char *directory_id, struct group **ret, size_t *ret_n)
{
	struct db_rows *rows = NULL;
	size_t room = 0;
	int rc = db_query(op, &group_list, ARGS(TEXT_(directory_id)), &rows);

	*ret = NULL;
	*ret_n = 0;
	while (!rc && (rc = db_next(rows)) > 0) {
		*ret = grow(op, *ret, *ret_n, &room, sizeof(**ret));
		(*ret)[(*ret_n)++] = (struct group){
			.id = db_text_dup(op, rows, 0), .directory_id = db_text_dup(op, rows, 1),
			.external_id = db_text_dup(op, rows, 2), .dn = db_text_dup(op, rows, 3),
			.dn_key = db_text_dup(op, rows, 4), .name = db_text_dup(op, rows, 5),
			.is_ended = !db_is_null(rows, 6),
		};
		rc = 0;
	}
	return db_end(rows, rc);
}

struct group_rows {
	struct op *op;
	const struct group *v;
};

static void
fill_group(void *arg, size_t row, struct db_value *v)
{
	const struct group_rows *rows = arg;
	const struct group *group = &rows->v[row];

	v[0] = TEXT_(group->id);
	v[1] = TEXT_(group->directory_id);
	v[2] = TEXT_(group->external_id);
	v[3] = TEXT_(group->dn);
	v[4] = TEXT_(group->dn_key);
	v[5] = TEXT_(group->name);
	v[6] = INT_(rows->op->now_ms);
}

int
db_group_put(struct op *op, const struct group *v, size_t n)
{
	struct group_rows rows = { op, v };

	return n ? db_put_many(op, &group_put, 7, n, fill_group, &rows) : 0;
}

int
db_group_end(struct op *op, const char *const *ids, size_t n)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i++)
		rc = db_exec(op, &group_end, ARGS(TEXT_(ids[i]), INT_(op->now_ms)), NULL);
	return rc;
}

static int
memberships_read(struct op *op, struct db_rows *rows, int rc, struct membership **list, size_t *n, size_t *room)
{
	while (!rc && (rc = db_next(rows)) > 0) {
		*list = grow(op, *list, *n, room, sizeof(**list));
		(*list)[(*n)++] = (struct membership){
			.id = db_text_dup(op, rows, 0), .group_id = db_text_dup(op, rows, 1),
			.member_kind = db_text_dup(op, rows, 2), .member_id = db_text_dup(op, rows, 3),
		};
		rc = 0;
	}
	return db_end(rows, rc);
}

int
db_membership_list_groups(struct op *op, const char *directory_id, struct membership **ret, size_t *ret_n)
{
	struct db_rows *rows = NULL;
	size_t room = 0;
	int rc = db_query(op, &membership_list_groups, ARGS(TEXT_(directory_id)), &rows);

	*ret = NULL;
	*ret_n = 0;
	return memberships_read(op, rows, rc, ret, ret_n, &room);
}

int
db_membership_range(struct op *op, const char *directory_id, const char *after, const char *last, struct membership **ret, size_t *ret_n)
{
	struct db_rows *rows = NULL;
	size_t room = 0;
	int rc = db_query(op, &membership_range, ARGS(TEXT_(directory_id), TEXT_(after), TEXT_(last)), &rows);

	*ret = NULL;
	*ret_n = 0;
	return memberships_read(op, rows, rc, ret, ret_n, &room);
}

int
db_membership_list_users(struct op *op, const char *const *user_ids, size_t n, struct membership **ret, size_t *ret_n)
{
	size_t room = 0;
	int rc = 0;

	*ret = NULL;
	*ret_n = 0;
	for (size_t i = 0; !rc && i < n; i += MANY_N) {
		struct db_value args[MANY_N];
		struct db_rows *rows = NULL;

		many_args(args, user_ids + i, n - i < MANY_N ? n - i : MANY_N);
		rc = db_query(op, &membership_list_users, args, MANY_N, &rows);
		rc = memberships_read(op, rows, rc, ret, ret_n, &room);
	}
	return rc;
}

struct membership_rows {
	struct op *op;
	const struct membership *v;
	char (*ids)[UUID_TEXT_BYTES];
};

static void
fill_membership(void *arg, size_t row, struct db_value *v)
{
	struct membership_rows *rows = arg;
	const struct membership *edge = &rows->v[row];

	uuid_new(rows->ids[row], rows->op->now_ms);
	v[0] = TEXT_(rows->ids[row]);
	v[1] = TEXT_(edge->group_id);
	v[2] = TEXT_(edge->member_kind);
	v[3] = TEXT_(edge->member_id);
	v[4] = INT_(rows->op->now_ms);
	v[5] = TEXT_(edge->source_kind);
	v[6] = TEXT_(edge->source_id);
}

int
db_membership_add(struct op *op, const struct membership *v, size_t n)
{
	struct membership_rows rows = { op, v, op_alloc(op, n * UUID_TEXT_BYTES) };

	return n ? db_put_many(op, &membership_add, 7, n, fill_membership, &rows) : 0;
}

int
db_membership_end(struct op *op, const char *const *ids, size_t n)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i++) {
		char id[UUID_TEXT_BYTES];

		uuid_new(id, op->now_ms);
		rc = db_exec(op, &membership_close, ARGS(TEXT_(ids[i]), INT_(op->now_ms), TEXT_(id)), NULL);
		if (!rc)
			rc = db_exec(op, &membership_end, ARGS(TEXT_(ids[i]), INT_(op->now_ms)), NULL);
	}
	return rc;
}
