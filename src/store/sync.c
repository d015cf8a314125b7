/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Tables sync_runs and sync_plan. */
#include "store/sync.h"

#include <string.h>

#define COLUMNS \
	"id, number, directory_id, purpose, state, cause, catalog_mark, counts, plan_hash, failure, applied_seq, started_ms, changed_ms, " \
	"finished_ms, approved_by"

SQL_DEFINE(sync_run_add,
    "INSERT INTO sync_runs (" COLUMNS ") SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4, $5, $6, $7, '', NULL, 0,"
    " CAST($8 AS BIGINT), CAST($8 AS BIGINT), NULL, NULL FROM sync_runs RETURNING number");
SQL_DEFINE(sync_run_read, "SELECT " COLUMNS " FROM sync_runs WHERE id = $1");
SQL_DEFINE(sync_run_write,
    "UPDATE sync_runs SET state = $2, catalog_mark = $3, counts = $4, plan_hash = $5, failure = $6, applied_seq = $7, changed_ms = $8,"
    " finished_ms = $9, approved_by = $10 WHERE id = $1 AND state = $11");
SQL_DEFINE(sync_run_list,
    "SELECT " COLUMNS " FROM sync_runs WHERE (CAST($1 AS TEXT) IS NULL OR directory_id = $1)"
    " AND (CAST($2 AS TEXT) IS NULL OR id < $2) ORDER BY id DESC LIMIT $3");
SQL_DEFINE(sync_run_active,
    "SELECT " COLUMNS " FROM sync_runs WHERE finished_ms IS NULL AND state <> 'frozen'"
    " AND (CAST($1 AS TEXT) IS NULL OR directory_id = $1) ORDER BY id LIMIT 100");
SQL_DEFINE(sync_run_frozen, "SELECT " COLUMNS " FROM sync_runs WHERE directory_id = $1 AND state = 'frozen' ORDER BY id DESC LIMIT 100");
SQL_DEFINE(sync_last_time,
    "SELECT COALESCE((SELECT COALESCE(finished_ms, changed_ms) FROM sync_runs WHERE directory_id = $1 AND purpose = 'run'"
    " ORDER BY number DESC LIMIT 1), created_ms) FROM objects WHERE id = $1");
SQL_DEFINE(sync_last_done,
    "SELECT COALESCE(MAX(finished_ms), 0) FROM sync_runs WHERE directory_id = $1 AND purpose = 'run' AND state = 'done'");
SQL_DEFINE(sync_run_drop,
    "DELETE FROM sync_runs WHERE id IN (SELECT r.id FROM sync_runs r WHERE r.finished_ms < $1"
    " AND NOT EXISTS (SELECT 1 FROM sync_plan p WHERE p.run_id = r.id) ORDER BY r.id LIMIT 100)");
#define PLAN_COLUMNS "seq, action, user_id, external_id, login, display_name, why, body"
SQL_DEFINE(sync_plan_add,
    "INSERT INTO sync_plan (run_id, " PLAN_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
SQL_DEFINE(sync_plan_page, "SELECT " PLAN_COLUMNS " FROM sync_plan WHERE run_id = $1 AND seq > $2 ORDER BY seq LIMIT $3");
SQL_DEFINE(sync_plan_drop,
    "DELETE FROM sync_plan WHERE run_id = $1 AND seq < (SELECT MIN(seq) + 500 FROM sync_plan WHERE run_id = $1)");
SQL_DEFINE(sync_plan_oldest,
    "SELECT r.id FROM sync_runs r WHERE r.finished_ms < $1 AND EXISTS (SELECT 1 FROM sync_plan p WHERE p.run_id = r.id)"
    " ORDER BY r.id LIMIT 1");

static struct sync_run_row
run_from_row(struct op *op, struct db_rows *rows)
{
	return (struct sync_run_row){
		.id = db_text_dup(op, rows, 0),
		.number = db_int(rows, 1),
		.directory_id = db_text_dup(op, rows, 2),
		.purpose = db_text_dup(op, rows, 3),
		.state = db_text_dup(op, rows, 4),
		.cause = db_text_dup(op, rows, 5),
		.catalog_mark = db_text_dup(op, rows, 6),
		.counts = db_text_dup(op, rows, 7),
		.plan_hash = db_text_dup(op, rows, 8),
		.failure = db_text_dup(op, rows, 9),
		.applied_seq = db_int(rows, 10),
		.started_ms = db_int(rows, 11),
		.changed_ms = db_int(rows, 12),
		.finished_ms = db_is_null(rows, 13) ? 0 : db_int(rows, 13),
		.approved_by = db_text_dup(op, rows, 14),
	};
}

int
db_sync_run_add(struct op *op, struct sync_run_row *run)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, &sync_run_add,
	    ARGS(TEXT_(run->id), TEXT_(run->directory_id), TEXT_(run->purpose), TEXT_(run->state), TEXT_(run->cause),
	        TEXT_(run->catalog_mark), TEXT_(run->counts), INT_(run->started_ms)), &rows);

	if (!rc && (rc = db_next(rows)) > 0)
		run->number = db_int(rows, 0);
	return db_end(rows, rc);
}

static int
runs_read(struct op *op, const struct sql *sql, const struct db_value *args, size_t n, size_t limit,
    struct sync_run_row **ret, size_t *ret_n)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, sql, args, n, &rows);

	*ret = op_alloc(op, limit * sizeof(**ret));
	*ret_n = 0;
	while (!rc && *ret_n < limit && (rc = db_next(rows)) > 0) {
		(*ret)[(*ret_n)++] = run_from_row(op, rows);
		rc = 0;
	}
	return db_end(rows, rc);
}

int
db_sync_run_read(struct op *op, const char *id, struct sync_run_row **ret)
{
	size_t n;
	int rc = runs_read(op, &sync_run_read, ARGS(TEXT_(id)), 1, ret, &n);

	if (!rc && !n)
		return op_fail(op, ERR_NOT_FOUND, "there is no synchronisation run %s", id);
	return rc;
}

int
db_sync_run_write(struct op *op, const struct sync_run_row *run, const char *from_state)
{
	int64_t changed;
	int rc = db_exec(op, &sync_run_write,
	    ARGS(TEXT_(run->id), TEXT_(run->state), TEXT_(run->catalog_mark), TEXT_(run->counts), TEXT_(run->plan_hash),
	        TEXT_(run->failure), INT_(run->applied_seq), INT_(op->now_ms), run->finished_ms ? INT_(run->finished_ms) : NULL_,
	        TEXT_(run->approved_by),
	        TEXT_(from_state)), &changed);

	if (!rc && !changed)
		return op_fail(op, ERR_CONFLICT, "run %s is not in state %s any more", run->id, from_state);
	return rc;
}

int
db_sync_run_list(struct op *op, const char *directory_id, const char *before, size_t limit, struct sync_run_row **ret, size_t *ret_n)
{
	return runs_read(op, &sync_run_list, ARGS(TEXT_(directory_id), TEXT_(before), INT_((int64_t)limit)), limit, ret, ret_n);
}

int
db_sync_run_active(struct op *op, const char *directory_id, struct sync_run_row **ret, size_t *ret_n)
{
	return runs_read(op, &sync_run_active, ARGS(TEXT_(directory_id)), 100, ret, ret_n);
}

int
db_sync_run_frozen(struct op *op, const char *directory_id, struct sync_run_row **ret, size_t *ret_n)
{
	return runs_read(op, &sync_run_frozen, ARGS(TEXT_(directory_id)), 100, ret, ret_n);
}

static int
time_read(struct op *op, const struct sql *sql, const char *directory_id, int64_t *ret_ms)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, sql, ARGS(TEXT_(directory_id)), &rows);

	*ret_ms = 0;
	if (!rc && (rc = db_next(rows)) > 0)
		*ret_ms = db_int(rows, 0);
	return db_end(rows, rc);
}

int
db_sync_last_time(struct op *op, const char *directory_id, int64_t *ret_ms)
{
	return time_read(op, &sync_last_time, directory_id, ret_ms);
}

int
db_sync_last_done(struct op *op, const char *directory_id, int64_t *ret_ms)
{
	return time_read(op, &sync_last_done, directory_id, ret_ms);
}

struct plan_rows {
	const char *run_id;
	const struct sync_plan_row *v;
};

static void
fill_plan(void *arg, size_t row, struct db_value *v)
{
	const struct plan_rows *rows = arg;
	const struct sync_plan_row *plan = &rows->v[row];

	v[0] = TEXT_(rows->run_id);
	v[1] = INT_(plan->seq);
	v[2] = TEXT_(plan->action);
	v[3] = TEXT_(plan->user_id);
	v[4] = TEXT_(plan->external_id);
	v[5] = TEXT_(plan->login);
	v[6] = TEXT_(plan->display_name);
	v[7] = TEXT_(plan->why);
	v[8] = TEXT_(plan->body);
}

int
db_sync_plan_add(struct op *op, const char *run_id, const struct sync_plan_row *v, size_t n)
{
	struct plan_rows rows = { run_id, v };

	return n ? db_put_many(op, &sync_plan_add, 9, n, fill_plan, &rows) : 0;
}

int
db_sync_plan_page(struct op *op, const char *run_id, int64_t after_seq, size_t limit, struct sync_plan_row **ret, size_t *ret_n)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, &sync_plan_page, ARGS(TEXT_(run_id), INT_(after_seq), INT_((int64_t)limit)), &rows);

	*ret = op_alloc(op, limit * sizeof(**ret));
	*ret_n = 0;
	while (!rc && *ret_n < limit && (rc = db_next(rows)) > 0) {
		(*ret)[(*ret_n)++] = (struct sync_plan_row){
			.seq = db_int(rows, 0),
			.action = db_text_dup(op, rows, 1),
			.user_id = db_text_dup(op, rows, 2),
			.external_id = db_text_dup(op, rows, 3),
			.login = db_text_dup(op, rows, 4),
			.display_name = db_text_dup(op, rows, 5),
			.why = db_text_dup(op, rows, 6),
			.body = db_text_dup(op, rows, 7),
		};
		rc = 0;
	}
	return db_end(rows, rc);
}

int
db_sync_plan_drop(struct op *op, const char *run_id, bool *ret_has_more)
{
	int64_t changed = 0;
	int rc = db_exec(op, &sync_plan_drop, ARGS(TEXT_(run_id)), &changed);

	*ret_has_more = changed > 0;
	return rc;
}

int
db_sync_plan_oldest(struct op *op, int64_t before_ms, const char **ret_run_id)
{
	struct db_rows *rows = NULL;
	int rc = db_query(op, &sync_plan_oldest, ARGS(INT_(before_ms)), &rows);

	*ret_run_id = NULL;
	if (!rc && (rc = db_next(rows)) > 0)
		*ret_run_id = db_text_dup(op, rows, 0);
	return db_end(rows, rc);
}

int
db_sync_run_drop(struct op *op, int64_t before_ms)
{
	return db_exec(op, &sync_run_drop, ARGS(INT_(before_ms)), NULL);
}
