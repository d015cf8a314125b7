/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The statements over audit and audit_personal.  Rows are only ever added here. */
#include "store/audit.h"

#include <string.h>

#define PERSONAL_MAX 64         /* personal values of one row */

SQL_DEFINE(audit_create,
    "INSERT INTO audit (id, at_ms, event, actor, target, request_id, canonical, app) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
SQL_DEFINE(audit_personal_create,
    "INSERT INTO audit_personal (audit_id, field, salt, value) VALUES ($1, $2, $3, $4)");
SQL_DEFINE(audit_newest, "SELECT at_ms FROM audit ORDER BY id DESC LIMIT 1");
SQL_DEFINE(audit_personal_list,
    "SELECT field, salt, value FROM audit_personal WHERE audit_id = $1 ORDER BY field");

int
db_audit_create(struct op *op, const struct audit_row *row, const struct audit_personal_row *personal, size_t n)
{
	int rc = db_exec(op, &audit_create, ARGS(TEXT_(row->id), INT_(row->at_ms), TEXT_(row->event), TEXT_(row->actor),
	    TEXT_(row->target), TEXT_(row->request_id), TEXT_(row->canonical), TEXT_(row->app)), NULL);

	for (size_t i = 0; i < n && !rc; i++)
		rc = db_exec(op, &audit_personal_create, ARGS(TEXT_(row->id), TEXT_(personal[i].field),
		    BLOB_(personal[i].salt, AUDIT_SALT_BYTES), TEXT_(personal[i].value)), NULL);
	return rc;
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
