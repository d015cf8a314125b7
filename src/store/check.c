/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * keyward db check: the engine's own look first, then every table by statements that are made of the schema's columns.  Each table is a
 * transaction of its own, so that one that cannot be read does not hide the others.  Read db_check from the bottom up.
 */
#include "store/check.h"

#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "store/driver_int.h"

void
db_finding_add(struct op *op, struct db_findings *findings, enum db_verdict verdict, const char *subject, const char *format, ...)
{
	struct db_finding *more;
	va_list args;

	/* room for a power of two */
	if (!(findings->n & (findings->n - 1))) {
		more = op_alloc(op, (findings->n ? 2 * findings->n : 1) * sizeof(*more));
		if (findings->n)
			memcpy(more, findings->v, findings->n * sizeof(*more));
		findings->v = more;
	}
	va_start(args, format);
	findings->v[findings->n++] = (struct db_finding){ verdict, subject, arena_vprintf(op->mem, format, args) };
	va_end(args);
	if (verdict > findings->worst)
		findings->worst = verdict;
}

struct look {
	const char *table;
	struct sql sql;
	int64_t found;
};

static int
number_body(struct op *op, void *arg)
{
	struct look *look = arg;
	struct db_rows *rows;
	int rc = db_query(op, &look->sql, NO_ARGS, &rows);

	if (!rc && (rc = db_next(rows)) > 0)
		look->found = db_int(rows, 0);
	return db_end(rows, rc);
}

static bool
is_there(const struct schema_column *column, int version)
{
	return column->since <= version && (!column->until || column->until > version);
}

/* Every value is read: the count alone would not look into them. */
static char *
reading_all(struct op *op, const char *table, int version)
{
	struct buf text = buf_in(op->mem);

	buf_add(&text, "SELECT COUNT(*)");
	for (size_t i = 0; i < schema_column_count; i++) {
		const struct schema_column *c = &schema_columns[i];

		if (!strcmp(c->table, table) && is_there(c, version))
			buf_printf(&text, c->type == DB_INT ? ", MAX(%s)" : ", MAX(LENGTH(%s))", c->name);
	}
	buf_printf(&text, " FROM %s", table);
	return text.text;
}

static void
look_at_table(struct op *op, const char *table, int version, struct db_findings *ret)
{
	struct look look = { .table = table, .sql = { "db_check", reading_all(op, table, version) } };

	if (db_read(op, number_body, &look)) {
		db_finding_add(op, ret, DB_DAMAGED, table, "cannot be read: %s; restore a backup", op_failure(op));
		op_forgive(op);
		return;
	}
	ret->rows += look.found;
	db_finding_add(op, ret, DB_GOOD, table, "%lld rows", (long long)look.found);
}

static void
look_at_reference(struct op *op, const struct schema_column *c, struct db_findings *ret)
{
	struct look look = { .table = c->table, .sql = { "db_check", op_printf(op, "SELECT COUNT(*) FROM %s a WHERE a.%s IS NOT NULL"
	    " AND NOT EXISTS (SELECT 1 FROM %s b WHERE b.id = a.%s)", c->table, c->name, c->refers, c->name) } };

	if (db_read(op, number_body, &look)) {
		db_finding_add(op, ret, DB_DAMAGED, c->table, "column %s cannot be compared with %s: %s", c->name, c->refers,
		    op_failure(op));
		op_forgive(op);
	} else if (look.found) {
		db_finding_add(op, ret, DB_DAMAGED, c->table, "%lld rows name something in column %s that is not in %s; restore a backup",
		    (long long)look.found, c->name, c->refers);
	}
}

static void
look_at_schema(struct op *op, int version, int newest, struct db_findings *ret)
{
	if (!version)
		db_finding_add(op, ret, DB_DAMAGED, "schema", "there are no tables of Keyward's; is it the right database?");
	else if (version < newest)
		db_finding_add(op, ret, DB_WARNING, "schema", "%d; the next start of keywardd takes it to %d", version, newest);
	else if (version > newest)
		db_finding_add(op, ret, DB_WARNING, "schema", "%d, made by a newer release; this one knows %d", version, newest);
	else
		db_finding_add(op, ret, DB_GOOD, "schema", "%d, as this program wants it", version);
}

int
db_check(struct op *op, struct db_findings *ret)
{
	struct db *db = op->svc->db;
	const char *last = "";
	int version, newest, rc = db->engine->check ? db->engine->check(op, db, ret) : 0;

	if (rc)
		return rc;
	if (db_schema(op, db, &version, &newest)) {
		db_finding_add(op, ret, DB_DAMAGED, "schema", "cannot be read: %s; is it Keyward's database?", op_failure(op));
		op_forgive(op);
		return 0;
	}
	look_at_schema(op, version, newest, ret);
	for (size_t i = 0; i < schema_column_count && version; i++) {
		const struct schema_column *c = &schema_columns[i];

		if (!is_there(c, version))
			continue;
		if (strcmp(c->table, last))
			look_at_table(op, last = c->table, version, ret);
		if (c->refers)
			look_at_reference(op, c, ret);
	}
	return 0;
}
