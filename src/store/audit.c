/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The statements over audit and audit_personal.  Rows are only ever added here. */
#include "store/audit.h"

#include <string.h>

#define PERSONAL_MAX 64         /* personal values of one row */
#define PIECE_ROWS 1024         /* no more are kept in memory */

SQL_DEFINE(audit_create,
    "INSERT INTO audit (id, at_ms, event, actor, target, request_id, canonical, app) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
SQL_DEFINE(audit_personal_create,
    "INSERT INTO audit_personal (audit_id, field, salt, value) VALUES ($1, $2, $3, $4)");
SQL_DEFINE(audit_newest, "SELECT at_ms FROM audit ORDER BY id DESC LIMIT 1");
SQL_DEFINE(audit_personal_list,
    "SELECT field, salt, value FROM audit_personal WHERE audit_id = $1 ORDER BY field");

/* The rows of one body. */
struct gathered {
	struct audit_row *rows;
	struct personal {
		const char *audit_id;
		struct audit_personal_row row;
	} *personal;
	size_t n_rows, n_personal, room_rows, room_personal;
};

static void
fill_row(void *arg, size_t i, struct db_value *v)
{
	const struct audit_row *row = &((struct gathered *)arg)->rows[i];

	v[0] = TEXT_(row->id);
	v[1] = INT_(row->at_ms);
	v[2] = TEXT_(row->event);
	v[3] = TEXT_(row->actor);
	v[4] = TEXT_(row->target);
	v[5] = TEXT_(row->request_id);
	v[6] = TEXT_(row->canonical);
	v[7] = TEXT_(row->app);
}

static void
fill_personal(void *arg, size_t i, struct db_value *v)
{
	const struct personal *personal = &((struct gathered *)arg)->personal[i];

	v[0] = TEXT_(personal->audit_id);
	v[1] = TEXT_(personal->row.field);
	v[2] = BLOB_(personal->row.salt, AUDIT_SALT_BYTES);
	v[3] = TEXT_(personal->row.value);
}

static int
write_gathered(struct op *op, void *memory)
{
	struct gathered *g = memory;
	int rc = db_put_many(op, &audit_create, 8, g->n_rows, fill_row, g);

	if (!rc)
		rc = db_put_many(op, &audit_personal_create, 4, g->n_personal, fill_personal, g);
	g->n_rows = g->n_personal = 0;
	return rc;
}

/* Room for n more elements of that size behind the first `have` ones. */
static void *
grown(struct op *op, void *v, size_t have, size_t n, size_t *room, size_t size)
{
	void *more;

	if (have + n <= *room)
		return v;
	*room = 2 * (have + n);
	more = op_alloc(op, *room * size);
	if (have)
		memcpy(more, v, have * size);
	return more;
}

int
db_audit_create(struct op *op, const struct audit_row *row, const struct audit_personal_row *personal, size_t n)
{
	struct gathered *g = db_gather(op, write_gathered, sizeof(*g));
	struct audit_row *own;

	g->rows = grown(op, g->rows, g->n_rows, 1, &g->room_rows, sizeof(*g->rows));
	g->personal = grown(op, g->personal, g->n_personal, n, &g->room_personal, sizeof(*g->personal));
	own = &g->rows[g->n_rows++];
	*own = (struct audit_row){ op_strdup(op, row->id), row->at_ms, row->event, op_strdup(op, row->actor), op_strdup(op, row->target),
		row->request_id, row->canonical, op_strdup(op, row->app) };
	for (size_t i = 0; i < n; i++) {
		g->personal[g->n_personal] = (struct personal){ own->id, personal[i] };
		g->personal[g->n_personal++].row.value = op_strdup(op, personal[i].value);
	}
	return g->n_rows < PIECE_ROWS ? 0 : write_gathered(op, g);
}

int
db_audit_newest(struct op *op, int64_t *ret_ms)
{
	struct db_rows *rows;
	int rc = db_query(op, &audit_newest, NO_ARGS, &rows);

	*ret_ms = 0;
	if (!rc && (rc = db_next(rows)) > 0)
		*ret_ms = db_int(rows, 0);
	return db_end(rows, rc);
}

int
db_audit_personal(struct op *op, const char *audit_id, struct audit_personal_row **ret, size_t *ret_n)
{
	struct audit_personal_row *v = op_alloc(op, PERSONAL_MAX * sizeof(*v));
	struct db_rows *rows = NULL;
	size_t n = 0, size;
	int rc = db_query(op, &audit_personal_list, ARGS(TEXT_(audit_id)), &rows);

	while (!rc && n < PERSONAL_MAX && (rc = db_next(rows)) > 0) {
		const void *salt = db_blob(rows, 1, &size);

		v[n].field = db_text_dup(op, rows, 0);
		v[n].value = db_text_dup(op, rows, 2);
		if (size == AUDIT_SALT_BYTES)
			memcpy(v[n].salt, salt, size);
		n++;
		rc = 0;
	}
	*ret = v;
	*ret_n = n;
	return db_end(rows, rc);
}
