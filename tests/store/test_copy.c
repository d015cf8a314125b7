/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Copying tables: the columns that the build found in the steps of the schema are those that a database has, every value comes
 * through as it was, page by page, and bytes that are no rows are refused.
 */
#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "store/copy.h"
#include "store/driver_int.h"
#include "store/schema.h"

#define ROWS 1203               /* more than two pages */

SQL_DEFINE(test_copy_object, "INSERT INTO objects (id, kind, name, name_key, created_ms, ended_ms) VALUES ($1, 'app', $2, $2, $3, $4)");
SQL_DEFINE(test_copy_secret,
    "INSERT INTO object_secrets (id, object_id, purpose, form, value, created_ms) VALUES ($1, $2, 'x', 'sealed', $3, 0)");
SQL_DEFINE(test_copy_audit, "INSERT INTO audit (id, at_ms, event, request_id, canonical) VALUES ($1, 0, 'x', 'x', '{}')");
SQL_DEFINE(test_copy_personal, "INSERT INTO audit_personal (audit_id, field, salt, value) VALUES ($1, $2, $3, $4)");

static struct services from, to;
static struct op *op, *other;
static char folder[] = "/tmp/keyward-copy-XXXXXX";
static struct copy_table *tables;
static size_t n_tables;

static void
open_one(struct services *svc, struct op **ret, const char *name)
{
	*ret = op_begin(svc, NULL);
	(*ret)->deadline_ms += 600000;          /* hundreds of transactions, and perhaps a slow disk */
	cr_assert_eq(db_open(*ret, op_printf(*ret, "%s/%s", folder, name), &svc->db), 0, "%s", op_failure(*ret));
	cr_assert_eq(db_migrate(*ret, svc->db), 0, "%s", op_failure(*ret));
}

static void
setup(void)
{
	cr_assert(mkdtemp(folder));
	open_one(&from, &op, "from");
	open_one(&to, &other, "to");
	cr_assert_eq(copy_tables(op, db_schema_newest(), &tables, &n_tables), 0, "%s", op_failure(op));
}

static void
teardown(void)
{
	char command[100];

	op_end(op);
	op_end(other);
	db_close(from.db);
	db_close(to.db);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_expect_eq(system(command), 0);
}

TestSuite(copy, .init = setup, .fini = teardown);

/* ---- the list of columns ---- */

static int
take_line(void *arg, int n, char **values, char **names)
{
	(void)names;
	for (int i = 0; i < n; i++)
		buf_printf(arg, "%s%s", values[i], i + 1 < n ? " " : "\n");
	return 0;
}

static char *
ask(const char *text)
{
	struct buf out = buf_in(op->mem);
	sqlite3 *connection;

	cr_assert_eq(sqlite3_open(op_printf(op, "%s/from", folder), &connection), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(connection, text, take_line, &out, NULL), SQLITE_OK, "%s", sqlite3_errmsg(connection));
	sqlite3_close(connection);
	return out.text;
}

Test(copy, the_columns_of_the_build_are_those_of_the_database)
{
	static const char *const types[] = { [DB_INT] = "INTEGER", [DB_TEXT] = "TEXT", [DB_BLOB] = "BLOB" };
	struct buf known = buf_in(op->mem);
	size_t n_columns = 0;

	for (size_t t = 0; t < n_tables; t++)
		for (size_t i = 0; i < tables[t].n_columns; i++) {
			int key = 0;

			for (size_t k = 0; k < tables[t].n_keys; k++)
				key = tables[t].keys[k] == i ? (int)k + 1 : key;
			buf_printf(&known, "%s %zu %s %s %d\n", tables[t].name, i, tables[t].names[i], types[tables[t].types[i]], key);
		}
	for (size_t t = 0; t < n_tables; t++) {
		const char *found = ask(op_printf(op, "SELECT '%s', cid, name, type, pk FROM pragma_table_info('%s') ORDER BY cid", tables[t].name,
		    tables[t].name));

		cr_expect(*found && strstr(known.text, found), "the table %s is\n%s", tables[t].name, found);
	}
	cr_expect_eq(strtoul(ask("SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('schema_migrations', 'schema_marks')"),
	    NULL, 10), n_tables);
	for (size_t t = 0; t < n_tables; t++)
		n_columns += tables[t].n_columns;
	cr_expect_eq(strtoul(ask("SELECT COUNT(*) FROM sqlite_schema s, pragma_table_info(s.name) WHERE s.type = 'table'"
	    " AND s.name NOT IN ('schema_migrations', 'schema_marks')"), NULL, 10), n_columns);
}

Test(copy, who_refers_stands_behind)
{
	for (size_t t = 0; t < n_tables; t++)
		for (size_t k = t + 1; k < n_tables; k++)
			cr_expect_str_empty(ask(op_printf(op, "SELECT id FROM pragma_foreign_key_list('%s') WHERE \"table\" = '%s'", tables[t].name,
			    tables[k].name)), "%s refers to %s", tables[t].name, tables[k].name);
}

Test(copy, an_older_schema_has_fewer_columns)
{
	struct copy_table *old;
	size_t n;

	cr_assert_eq(copy_tables(op, 1, &old, &n), 0);
	cr_expect_lt(n, n_tables);
	for (size_t i = 0; i < n; i++)
		cr_expect_str_neq(old[i].name, "sync_waits");
}

/* ---- rows ---- */

static const struct copy_table *
table(const char *name)
{
	for (size_t i = 0; i < n_tables; i++)
		if (!strcmp(tables[i].name, name))
			return &tables[i];
	cr_assert_fail("no table %s", name);
	return NULL;
}

static int
make_rows(struct op *o, void *arg)
{
	char *large = op_alloc(o, 1 << 20);
	int rc;

	(void)arg;
	memset(large, 0xfe, 1 << 20);
	rc = db_exec(o, &test_copy_object, ARGS(TEXT_("a"), TEXT_(""), INT_(INT64_MIN), NULL_), NULL);
	if (!rc)
		rc = db_exec(o, &test_copy_object, ARGS(TEXT_("b'\"; --"), TEXT_("Żółć \xf0\x9f\x8f\xa5"), INT_(INT64_MAX), INT_(-1)), NULL);
	if (!rc)
		rc = db_exec(o, &test_copy_secret, ARGS(TEXT_("s1"), TEXT_("a"), BLOB_("", 0)), NULL);
	if (!rc)
		rc = db_exec(o, &test_copy_secret, ARGS(TEXT_("s2"), TEXT_("a"), BLOB_(large, 1 << 20)), NULL);
	if (!rc)
		rc = db_exec(o, &test_copy_audit, ARGS(TEXT_("e")), NULL);
	/* the second part of the key decides where a page begins */
	for (int i = 0; i < ROWS && !rc; i++)
		rc = db_exec(o, &test_copy_personal, ARGS(TEXT_("e"), TEXT_(op_printf(o, "f%05d", i)), BLOB_("\0\1", 2), TEXT_("v")), NULL);
	return rc;
}

static int
put(struct op *o, void *arg)
{
	const void *const *both = arg;

	return copy_write(o, both[0], both[1]);
}

static size_t taken;

static int
carry(void *arg, const struct copy_batch *batch)
{
	const void *both[] = { arg, batch };

	taken += batch->rows;
	return db_run(other, put, both);
}

static int
copy_all(struct op *o, void *arg)
{
	int rc = 0;

	(void)arg;
	for (size_t i = 0; i < n_tables && !rc; i++)
		rc = copy_read(o, &tables[i], carry, (void *)(uintptr_t)&tables[i]);
	return rc;
}

static int
collect(void *arg, const struct copy_batch *batch)
{
	buf_add_bytes(arg, batch->bytes, batch->size);
	return 0;
}

static int
read_all(struct op *o, void *arg)
{
	int rc = 0;

	for (size_t i = 0; i < n_tables && !rc; i++)
		rc = copy_read(o, &tables[i], collect, arg);
	return rc;
}

Test(copy, every_value_comes_through)
{
	struct buf before = buf_in(op->mem), after = buf_in(op->mem);

	cr_assert_eq(db_run(op, make_rows, NULL), 0, "%s", op_failure(op));
	cr_assert_eq(db_read(op, copy_all, NULL), 0, "%s%s", op_failure(op), op_failure(other));
	cr_expect_eq(taken, ROWS + 5);
	cr_assert_eq(db_read(op, read_all, &before), 0);
	cr_assert_eq(db_read(other, read_all, &after), 0);
	cr_expect_gt(before.length, 1u << 20);
	cr_expect(before.length == after.length && !memcmp(before.text, after.text, before.length));
}

static int
clear_all(struct op *o, void *arg)
{
	(void)arg;
	return copy_clear(o, tables, n_tables);
}

Test(copy, clearing_takes_all_away)
{
	struct buf after = buf_in(op->mem);

	cr_assert_eq(db_run(op, make_rows, NULL), 0);
	cr_assert_eq(db_run(op, clear_all, NULL), 0, "%s", op_failure(op));
	cr_assert_eq(db_read(op, read_all, &after), 0);
	cr_expect_eq(after.length, 0);
}

static int
read_objects(struct op *o, void *arg)
{
	return copy_read(o, table("objects"), collect, arg);
}

Test(copy, bytes_that_are_no_rows_are_refused)
{
	struct buf rows = buf_in(op->mem);
	struct copy_batch batch;
	const void *both[] = { table("objects"), &batch };

	cr_assert_eq(db_run(op, make_rows, NULL), 0);
	cr_assert_eq(db_read(op, read_objects, &rows), 0);
	for (size_t n = 0; n < rows.length; n++) {
		/* in memory of just that size, so that a sanitizer sees what is read behind it */
		batch = (struct copy_batch){ op_memdup(other, rows.text, n), n, 2 };
		cr_assert_eq(db_run(other, put, both), ERR_MALFORMED, "cut after %zu", n);
		op_forgive(other);
	}
	for (size_t i = 0; i < rows.length; i++) {
		unsigned char *changed = op_memdup(other, rows.text, rows.length);
		int rc;

		changed[i] ^= 0x81;
		batch = (struct copy_batch){ changed, rows.length, 2 };
		rc = db_run(other, put, both);
		/* a letter of a name may change; what carries the form may not */
		cr_assert(rc == 0 || rc == ERR_MALFORMED || rc == ERR_CONFLICT, "byte %zu: %d %s", i, rc, op_failure(other));
		op_forgive(other);
		cr_assert_eq(db_run(other, clear_all, NULL), 0);
	}
	both[0] = table("audit");
	batch = (struct copy_batch){ (unsigned char *)rows.text, rows.length, 2 };
	cr_expect_eq(db_run(other, put, both), ERR_MALFORMED, "rows of another table");
}

Test(copy, a_row_is_named_by_its_key)
{
	struct buf rows = buf_in(op->mem);
	struct copy_batch batch;
	const unsigned char *row;
	size_t at = 0, size;

	cr_assert_eq(db_run(op, make_rows, NULL), 0);
	cr_assert_eq(db_read(op, read_objects, &rows), 0);
	batch = (struct copy_batch){ (unsigned char *)rows.text, rows.length, 2 };
	cr_assert(copy_next(&batch, &at, &row, &size));
	cr_expect_str_eq(copy_row_name(op, table("objects"), row, size), "objects, id a");
}
