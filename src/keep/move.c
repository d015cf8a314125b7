/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A clinic moves to another database: every row of one snapshot goes over, is read back and compared.  The new database calls
 * itself unfinished until then, so that nobody works with half a clinic.  Read keep_move, then copy_body.
 */
#include <string.h>

#include "base/config.h"
#include "config.h"
#include "keep_int.h"

#define WHAT "keyward db copy"

struct work {
	struct seat from, to;
	struct db_schema schema;
	struct copy_table *tables;
	size_t n_tables, table;
	struct tally *sent, *found;
	int64_t rows;
	const struct keep_progress *progress;
};

static int
put_batch(void *arg, const struct copy_batch *batch)
{
	struct work *w = arg;
	const struct copy_table *table = &w->tables[w->table];
	int rc = target_put(&w->to, table, batch);

	tally_add(&w->sent[w->table], batch);
	w->rows += (int64_t)batch->rows;
	progress_tell(w->from.op, w->progress, "copying", table->name, w->rows);
	return rc ? op_fail(w->from.op, rc, "%s", op_failure(w->to.op)) : 0;
}

/* ---- the first row that differs ---- */

/* Digests of a table's rows, eight bytes each, in their order. */
struct digests {
	struct op *op;
	const struct copy_table *table;
	struct buf bytes;               /* of the source */
	size_t row;                     /* of the target: the next to compare */
	const char *differing;
};

static int
collect(void *arg, const struct copy_batch *batch)
{
	struct digests *d = arg;
	unsigned char digest[SHA256_BYTES];
	const unsigned char *row;
	size_t at = 0, size;

	while (copy_next(batch, &at, &row, &size)) {
		sha256(row, size, digest);
		buf_add_bytes(&d->bytes, digest, 8);
	}
	return 0;
}

static int
compare(void *arg, const struct copy_batch *batch)
{
	struct digests *d = arg;
	unsigned char digest[SHA256_BYTES];
	const unsigned char *row;
	size_t at = 0, size;

	while (!d->differing && copy_next(batch, &at, &row, &size)) {
		sha256(row, size, digest);
		if ((d->row + 1) * 8 > d->bytes.length || memcmp(d->bytes.text + d->row * 8, digest, 8))
			d->differing = copy_row_name(d->op, d->table, row, size);
		d->row++;
	}
	return 0;
}

static int
compare_body(struct op *op, void *arg)
{
	struct digests *d = arg;

	d->row = 0;
	return copy_read(op, d->table, compare, d);
}

/* Inside db_read of the source. */
static int
name_difference(struct op *op, struct work *w, const struct copy_table *table)
{
	struct digests d = { .op = op, .table = table, .bytes = buf_in(op->mem) };
	int rc = copy_read(op, table, collect, &d);

	if (!rc && db_read(w->to.op, compare_body, &d) < 0)
		rc = op_fail(op, ERR_STORE, "%s", op_failure(w->to.op));
	if (rc)
		return rc;
	if (!d.differing)
		d.differing = op_printf(op, "%s: rows behind number %zu are missing", table->name, d.row);
	return op_fail(op, ERR_STORE, "the copy is not what was copied; the first difference is %s", d.differing);
}

/* ---- copying ---- */

static int
tally_body(struct op *op, void *arg)
{
	struct work *w = arg;

	return tally_all(op, w->tables, w->n_tables, w->progress, "comparing", w->found);
}

/* Everything that has to be seen in one snapshot of the source. */
static int
copy_body(struct op *op, void *arg)
{
	struct work *w = arg;
	int rc = 0;

	w->rows = 0;
	memset(w->sent, 0, w->n_tables * sizeof(*w->sent));
	for (w->table = 0; w->table < w->n_tables && !rc; w->table++)
		rc = copy_read(op, &w->tables[w->table], put_batch, w);
	if (!rc && db_read(w->to.op, tally_body, w) < 0)
		rc = op_fail(op, ERR_STORE, "%s", op_failure(w->to.op));
	for (size_t i = 0; i < w->n_tables && !rc; i++)
		if (!tally_is_equal(&w->sent[i], &w->found[i]))
			rc = name_difference(op, w, &w->tables[i]);
	return rc;
}

static int
finish_body(struct op *op, void *arg)
{
	(void)arg;
	return db_schema_mark_unfinished(op, NULL);
}

static int
fill(struct op *op, struct work *w, const char *dsn)
{
	int rc = copy_tables(op, w->schema.version, &w->tables, &w->n_tables);

	if (rc)
		return rc;
	w->sent = op_alloc(op, w->n_tables * sizeof(*w->sent));
	w->found = op_alloc(op, w->n_tables * sizeof(*w->found));
	seat_take(&w->to, op);
	rc = target_open(op, &w->to, dsn, w->schema.version, WHAT);
	if (!rc && (rc = db_read(w->from.op, copy_body, w)) < 0)
		return seat_leave(op, &w->to, op_fail(w->to.op, rc, "%s", op_failure(w->from.op)));
	if (!rc)
		rc = db_run(w->to.op, finish_body, NULL);
	return seat_leave(op, &w->to, rc);
}

int
keep_move(struct op *op, const char *dsn, const struct keep_progress *progress, struct backup *ret)
{
	struct work w = { .progress = progress };
	int rc;

	if (!strcmp(dsn, op->config->database))
		return op_fail(op, ERR_INVALID, "%s is the database that the configuration names already", dsn);
	seat_take(&w.from, op);
	rc = source_open(op, &w.from, &w.schema);
	if (!rc)
		rc = db_claim(w.from.op, w.from.svc.db);
	rc = rc ? seat_leave(op, &w.from, rc) : 0;
	if (rc)
		return rc;
	rc = fill(op, &w, dsn);
	*ret = (struct backup){ .organisation = op->config->organisation, .issuer = op->config->issuer, .program = PACKAGE_VERSION,
		.schema = w.schema.version, .rows = w.rows };
	return seat_leave(op, &w.from, rc);
}
