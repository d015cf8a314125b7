/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Tables sync_entries and sync_groups: what a run has read, under its number, until it ends. */
#include <string.h>

#include "many_int.h"
#include "store/sync.h"

#define COLUMNS \
	"seq, external_id, dn_hash, digest, is_skipped, login, display_name, mail, attributes, is_active, reason, until_ms, facts"

SQL_DEFINE(sync_entry_put,
    "INSERT INTO sync_entries (run_no, " COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
    " ON CONFLICT (run_no, external_id) DO UPDATE SET dn_hash = excluded.dn_hash, digest = excluded.digest,"
    " is_skipped = excluded.is_skipped, login = excluded.login, display_name = excluded.display_name, mail = excluded.mail,"
    " attributes = excluded.attributes, is_active = excluded.is_active, reason = excluded.reason, until_ms = excluded.until_ms,"
    " facts = excluded.facts");
SQL_DEFINE(sync_entry_find, "SELECT " COLUMNS " FROM sync_entries WHERE run_no = $33 AND external_id IN (" MANY ")");
SQL_DEFINE(sync_entry_page, "SELECT " COLUMNS " FROM sync_entries WHERE run_no = $1 AND external_id > $2 ORDER BY external_id LIMIT $3");
SQL_DEFINE(sync_entry_seqs, "SELECT seq FROM sync_entries WHERE run_no = $1 AND seq > $2 ORDER BY seq LIMIT $3");
SQL_DEFINE(sync_entry_remove, "DELETE FROM sync_entries WHERE run_no = $1 AND seq = $2");
SQL_DEFINE(sync_entry_count,
    "SELECT COUNT(*), COALESCE(MAX(seq), 0), COALESCE(SUM(CASE WHEN is_skipped = 0 THEN 1 ELSE 0 END), 0)"
    " FROM sync_entries WHERE run_no = $1");
SQL_DEFINE(sync_group_add,
    "INSERT INTO sync_groups (run_no, seq, external_id, dn, dn_key, name, digest, members) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
SQL_DEFINE(sync_group_remove, "DELETE FROM sync_groups WHERE run_no = $1 AND seq = $2");
SQL_DEFINE(sync_group_list,
    "SELECT seq, external_id, dn, dn_key, name, digest, LENGTH(members) FROM sync_groups WHERE run_no = $1 ORDER BY external_id");
SQL_DEFINE(sync_group_members, "SELECT seq, members FROM sync_groups WHERE run_no = $1 ORDER BY seq");
SQL_DEFINE(sync_entry_drop,
    "DELETE FROM sync_entries WHERE run_no = $1 AND seq < (SELECT MIN(seq) + 500 FROM sync_entries WHERE run_no = $1)");
SQL_DEFINE(sync_group_drop,
    "DELETE FROM sync_groups WHERE run_no = $1 AND seq < (SELECT MIN(seq) + 50 FROM sync_groups WHERE run_no = $1)");

static void
bytes_read(struct db_rows *rows, int column, unsigned char *ret, size_t n)
{
	size_t size;
	const void *bytes = db_blob(rows, column, &size);

	memset(ret, 0, n);
	if (bytes && size == n)
		memcpy(ret, bytes, n);
}

static void
entry_from_row(struct op *op, struct db_rows *rows, struct sync_entry *entry)
{
	entry->seq = db_int(rows, 0);
	entry->external_id = db_text_dup(op, rows, 1);
	bytes_read(rows, 2, entry->dn_hash, sizeof(entry->dn_hash));
	bytes_read(rows, 3, entry->digest, sizeof(entry->digest));
	entry->is_skipped = db_int(rows, 4) != 0;
	entry->login = db_text_dup(op, rows, 5);
	entry->display_name = db_text_dup(op, rows, 6);
	entry->mail = db_text_dup(op, rows, 7);
	entry->attributes = db_text_dup(op, rows, 8);
	entry->is_active = db_int(rows, 9) != 0;
	entry->reason = db_text_dup(op, rows, 10);
	entry->until_ms = db_is_null(rows, 11) ? 0 : db_int(rows, 11);
	entry->facts = db_text_dup(op, rows, 12);
}

struct entry_rows {
	int64_t number;
	const struct sync_entry *v;
};

static void
fill_entry(void *arg, size_t row, struct db_value *v)
{
	const struct entry_rows *rows = arg;
	const struct sync_entry *entry = &rows->v[row];

	v[0] = INT_(rows->number);
	v[1] = INT_(entry->seq);
	v[2] = TEXT_(entry->external_id);
	v[3] = BLOB_(entry->dn_hash, sizeof(entry->dn_hash));
	v[4] = BLOB_(entry->digest, sizeof(entry->digest));
	v[5] = INT_(entry->is_skipped);
	v[6] = TEXT_(entry->login);
	v[7] = TEXT_(entry->display_name);
	v[8] = TEXT_(entry->mail);
	v[9] = TEXT_(entry->attributes);
	v[10] = INT_(entry->is_active);
	v[11] = TEXT_(entry->reason);
	v[12] = entry->until_ms ? INT_(entry->until_ms) : NULL_;
	v[13] = TEXT_(entry->facts);
}

int
db_sync_entry_put(struct op *op, int64_t number, const struct sync_entry *v, size_t n)
{
	struct entry_rows rows = { number, v };

	return n ? db_put_many(op, &sync_entry_put, 14, n, fill_entry, &rows) : 0;
}

static int
find_batch(struct op *op, int64_t number, const char *const *keys, size_t n, struct sync_entry **ret)
{
	struct db_value args[MANY_N + 1];
	struct db_rows *rows = NULL;
	int rc;

	many_args(args, keys, n);
	args[MANY_N] = INT_(number);
	rc = db_query(op, &sync_entry_find, args, MANY_N + 1, &rows);
	while (!rc && (rc = db_next(rows)) > 0) {
		struct sync_entry *entry = op_alloc(op, sizeof(*entry));

		entry_from_row(op, rows, entry);
		for (size_t i = 0; i < n; i++)
			if (!strcmp(keys[i], entry->external_id))
				ret[i] = entry;
		rc = 0;
	}
	return db_end(rows, rc);
}

int
db_sync_entry_find(struct op *op, int64_t number, const char *const *external_ids, size_t n, struct sync_entry ***ret)
{
	int rc = 0;

	*ret = op_alloc(op, n * sizeof(**ret));
	for (size_t i = 0; !rc && i < n; i += MANY_N)
		rc = find_batch(op, number, external_ids + i, n - i < MANY_N ? n - i : MANY_N, *ret + i);
	return rc;
}

int
db_sync_entry_page(struct op *op, int64_t number, const char *after, size_t limit, struct sync_entry **ret, size_t *ret_n)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, &sync_entry_page, ARGS(INT_(number), TEXT_(after), INT_((int64_t)limit)), &rows);

	*ret = op_alloc(op, limit * sizeof(**ret));
	*ret_n = 0;
	while (!rc && *ret_n < limit && (rc = db_next(rows)) > 0) {
		entry_from_row(op, rows, &(*ret)[(*ret_n)++]);
		rc = 0;
	}
	return db_end(rows, rc);
}

int
db_sync_entry_seqs(struct op *op, int64_t number, int64_t after, size_t limit, int64_t *ret, size_t *ret_n)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, &sync_entry_seqs, ARGS(INT_(number), INT_(after), INT_((int64_t)limit)), &rows);

	*ret_n = 0;
	while (!rc && *ret_n < limit && (rc = db_next(rows)) > 0) {
		ret[(*ret_n)++] = db_int(rows, 0);
		rc = 0;
	}
	return db_end(rows, rc);
}

int
db_sync_entry_remove(struct op *op, int64_t number, const int64_t *seqs, size_t n)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i++)
		rc = db_exec(op, &sync_entry_remove, ARGS(INT_(number), INT_(seqs[i])), NULL);
	return rc;
}

int
db_sync_entry_count(struct op *op, int64_t number, int64_t *ret_all, int64_t *ret_last, int64_t *ret_people)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, &sync_entry_count, ARGS(INT_(number)), &rows);

	*ret_all = *ret_last = *ret_people = 0;
	if (!rc && (rc = db_next(rows)) > 0) {
		*ret_all = db_int(rows, 0);
		*ret_last = db_int(rows, 1);
		*ret_people = db_int(rows, 2);
	}
	return db_end(rows, rc);
}

int
db_sync_group_add(struct op *op, int64_t number, const struct sync_group *v, size_t n)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i++)
		rc = db_exec(op, &sync_group_add,
		    ARGS(INT_(number), INT_(v[i].seq), TEXT_(v[i].external_id), TEXT_(v[i].dn), TEXT_(v[i].dn_key), TEXT_(v[i].name),
		        BLOB_(v[i].digest, sizeof(v[i].digest)),
		        BLOB_(v[i].members ? (const void *)v[i].members : "", (size_t)v[i].n_members * SYNC_HASH_BYTES)), NULL);
	return rc;
}

int
db_sync_group_remove(struct op *op, int64_t number, int64_t seq)
{
	return db_exec(op, &sync_group_remove, ARGS(INT_(number), INT_(seq)), NULL);
}

int
db_sync_group_list(struct op *op, int64_t number, struct sync_group **ret, size_t *ret_n)
{
	struct db_rows *rows = NULL;
	size_t room = 64;
	int rc = db_query(op, &sync_group_list, ARGS(INT_(number)), &rows);

	*ret = op_alloc(op, room * sizeof(**ret));
	*ret_n = 0;
	while (!rc && (rc = db_next(rows)) > 0) {
		struct sync_group *group;

		if (*ret_n == room) {
			*ret = memcpy(op_alloc(op, room * 2 * sizeof(**ret)), *ret, room * sizeof(**ret));
			room *= 2;
		}
		group = &(*ret)[(*ret_n)++];
		group->seq = db_int(rows, 0);
		group->external_id = db_text_dup(op, rows, 1);
		group->dn = db_text_dup(op, rows, 2);
		group->dn_key = db_text_dup(op, rows, 3);
		group->name = db_text_dup(op, rows, 4);
		bytes_read(rows, 5, group->digest, sizeof(group->digest));
		group->n_members = db_int(rows, 6) / SYNC_HASH_BYTES;
		rc = 0;
	}
	return db_end(rows, rc);
}

int
db_sync_group_members(struct op *op, int64_t number,
    void (*visit)(void *arg, int64_t seq, const unsigned char *members, size_t n), void *arg)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, &sync_group_members, ARGS(INT_(number)), &rows);

	while (!rc && (rc = db_next(rows)) > 0) {
		size_t size;
		const unsigned char *members = db_blob(rows, 1, &size);

		visit(arg, db_int(rows, 0), members, size / SYNC_HASH_BYTES);
		rc = 0;
	}
	return db_end(rows, rc);
}

int
db_sync_stage_drop(struct op *op, int64_t number, bool *ret_has_more)
{
	int64_t changed = 0;
	int rc = db_exec(op, &sync_entry_drop, ARGS(INT_(number)), &changed);

	if (!rc && !changed)
		rc = db_exec(op, &sync_group_drop, ARGS(INT_(number)), &changed);
	*ret_has_more = changed > 0;
	return rc;
}
