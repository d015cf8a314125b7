/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Rows of every table as bytes: out of one database into another, whichever engines they are, or into a backup.  The tables
 * come from the steps of the schema (schema.awk); what is copied is all but the two tables of the schema itself.
 *
 *     struct copy_table *tables;  size_t n;
 *     copy_tables(op, version, &tables, &n);
 *     copy_read(op, &tables[0], take, arg);            // in db_read: one snapshot
 *     copy_write(other, &tables[0], batch);            // in db_run of the other database
 *
 * A row is canonical: the same values give the same bytes on every engine.  Per column one byte says what follows: n (nothing:
 * NULL), i (8 bytes, big endian), t and b (4 bytes of length, the bytes).
 */
#ifndef KW_STORE_COPY_H
#define KW_STORE_COPY_H

#include "store/driver.h"

#define COPY_COLUMNS_MAX 40
#define COPY_KEYS_MAX 4
#define COPY_BATCH_BYTES (256 * 1024)   /* a batch ends behind the row that reaches this */

struct copy_table {
	const char *name;
	const char *columns;            /* "id, kind, name" */
	size_t n_columns, n_keys;
	size_t keys[COPY_KEYS_MAX];     /* which columns are the primary key */
	enum db_type types[COPY_COLUMNS_MAX];
	const char *names[COPY_COLUMNS_MAX];
};

/* Some rows of a table, in the order of its key; each is 4 bytes of length and the row. */
struct copy_batch {
	const unsigned char *bytes;
	size_t size, rows;
};

/* The tables of a schema: one that refers to another stands behind it. */
int copy_tables(struct op *op, int version, struct copy_table **ret, size_t *ret_n) MUST_CHECK;
/* Inside db_read: all rows of a table, batch by batch. */
int copy_read(struct op *op, const struct copy_table *table, int (*take)(void *arg, const struct copy_batch *batch), void *arg) MUST_CHECK;
/* Inside db_run.  ERR_MALFORMED when the bytes are no rows of this table. */
int copy_write(struct op *op, const struct copy_table *table, const struct copy_batch *batch) MUST_CHECK;
/* Inside db_run: takes all rows of all tables away. */
int copy_clear(struct op *op, const struct copy_table *tables, size_t n) MUST_CHECK;
/*
 * The next row behind *at (begin with 0); false at the end, and when the bytes are no rows (*at is then not the batch's size).
 */
bool copy_next(const struct copy_batch *batch, size_t *at, const unsigned char **ret_row, size_t *ret_size);
/* "users, id 0190..." : to tell a row to an administrator; values that are no key are not shown. */
const char *copy_row_name(struct op *op, const struct copy_table *table, const unsigned char *row, size_t size);

#endif
