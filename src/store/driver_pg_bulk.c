/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Many rows through one statement: COPY into a temporary table, then one INSERT ... SELECT or UPDATE ... FROM, made of the
 * statement that runs for a single row, so that there is still one text.  What cannot be turned so runs row by row.
 *
 *     INSERT INTO t (a, b) VALUES ($1, $2) ON CONFLICT (a) DO UPDATE SET b = excluded.b
 *     INSERT INTO t (a, b) SELECT DISTINCT ON (s.p1) s.p1, s.p2 FROM stage s ORDER BY s.p1, s.n DESC ON CONFLICT (a) ...
 *     UPDATE t SET b = $2 WHERE a = $1
 *     UPDATE t SET b = s.p2 FROM stage s WHERE a = s.p1
 *
 * Row by row the last of two equal ones wins; so it does here.  Read pg_put_many from the bottom up.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/time.h"
#include "driver_pg_int.h"

#define ROWS_LEAST 8                    /* fewer are sooner done one by one */
#define PIECE_BYTES 65536
#define LIST_MAX 64

struct pg_bulk {
	struct pg_bulk *next;
	const char *text;               /* of the statement; compared by what it says */
	char *copy, *run;               /* NULL: it cannot be turned */
};

/* ---- turning the statement ---- */

struct list {
	const char *at[LIST_MAX];
	size_t size[LIST_MAX], n;
};

/* Splits "(a, b, f(c, d))" that begins at open; gives where it ends, or NULL. */
static const char *
split(const char *open, struct list *ret)
{
	const char *at = open + 1, *begin = at;
	int depth = 1;

	for (ret->n = 0; *at && depth; at++) {
		depth += *at == '(' ? 1 : *at == ')' ? -1 : 0;
		if ((depth == 1 && *at == ',') || !depth) {
			while (*begin == ' ')
				begin++;
			if (ret->n == LIST_MAX)
				return NULL;
			ret->at[ret->n] = begin;
			ret->size[ret->n++] = (size_t)(at - begin);
			begin = at + 1;
		}
	}
	return depth ? NULL : at;
}

/* $7 becomes s.p7. */
static void
add_staged(struct buf *out, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (text[i] == '$' && i + 1 < n && isdigit((unsigned char)text[i + 1]))
			buf_add(out, "s.p");
		else
			buf_add_char(out, text[i]);
}

/* The expressions of the columns that a conflict is about; false when there is no conflict clause, or none that names columns. */
static bool
conflict_keys(struct buf *out, const char *rest, const struct list *columns, const struct list *values)
{
	const char *clause = strstr(rest, "ON CONFLICT (");
	struct list keys;

	if (!clause || !split(clause + strlen("ON CONFLICT "), &keys))
		return false;
	for (size_t k = 0; k < keys.n; k++) {
		size_t i = 0;

		while (i < columns->n && (columns->size[i] != keys.size[k] || memcmp(columns->at[i], keys.at[k], keys.size[k])))
			i++;
		if (i == columns->n)
			return false;
		buf_add(out, k ? ", " : "");
		add_staged(out, values->at[i], values->size[i]);
	}
	return true;
}

static bool
turn_insert(struct arena *mem, struct buf *out, const char *text, const char *stage)
{
	const char *open = strchr(text, '('), *values_at = strstr(text, " VALUES ("), *rest;
	struct buf keys = buf_in(mem);
	struct list columns, values;

	if (!open || !values_at || open > values_at || !split(open, &columns))
		return false;
	rest = split(values_at + strlen(" VALUES "), &values);
	if (!rest || values.n != columns.n || strchr(rest, '$'))
		return false;
	buf_add_bytes(out, text, (size_t)(values_at - text));
	if (conflict_keys(&keys, rest, &columns, &values))
		buf_printf(out, " SELECT DISTINCT ON (%s) ", keys.text);
	else if (strstr(rest, "ON CONFLICT"))
		return false;
	else
		buf_add(out, " SELECT ");
	add_staged(out, values.at[0], (size_t)(values.at[values.n - 1] + values.size[values.n - 1] - values.at[0]));
	buf_printf(out, " FROM %s s%s%s%s%s", stage, keys.length ? " ORDER BY " : "", keys.text, keys.length ? ", s.n DESC" : "", rest);
	return true;
}

static bool
turn_update(struct buf *out, const char *text, const char *stage)
{
	const char *where = strstr(text, " WHERE ");

	if (!where || strstr(text, "(") || strstr(where + 1, " WHERE "))
		return false;
	add_staged(out, text, (size_t)(where - text));
	buf_printf(out, " FROM %s s", stage);
	add_staged(out, where, strlen(where));
	return true;
}

/* The types of the parameters, as the server sees them. */
static bool
add_types(struct buf *out, const PGresult *described, size_t columns)
{
	if (PQresultStatus(described) != PGRES_COMMAND_OK || PQnparams(described) != (int)columns)
		return false;
	for (size_t i = 0; i < columns; i++) {
		Oid type = PQparamtype(described, (int)i);

		if (type != PG_OID_TEXT && type != PG_OID_INT8 && type != PG_OID_BYTEA)
			return false;
		buf_printf(out, "p%zu %s, ", i + 1, type == PG_OID_TEXT ? "TEXT COLLATE \"C\"" : type == PG_OID_INT8 ? "BIGINT" : "BYTEA");
	}
	return true;
}

/* One stage for each statement; equal texts share it. */
static const char *
stage_name(struct arena *mem, const char *text)
{
	uint64_t hash = 14695981039346656037u;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211u;
	return arena_printf(mem, "kw_stage_%016llx", (unsigned long long)hash);
}

static void
turn(struct arena *mem, struct pg_bulk *bulk, const PGresult *described, size_t columns)
{
	const char *stage = stage_name(mem, bulk->text);
	struct buf types = buf_in(mem), run = buf_in(mem);
	bool is_update = text_starts_with(bulk->text, "UPDATE ");

	if (!add_types(&types, described, columns))
		return;
	if (is_update ? !turn_update(&run, bulk->text, stage) : !turn_insert(mem, &run, bulk->text, stage))
		return;
	/* a transaction that was taken back took its stage with it, another one before may have left rows */
	bulk->copy = mem_strdup(arena_printf(mem, "CREATE TEMP TABLE IF NOT EXISTS %s (%sn BIGINT) ON COMMIT DELETE ROWS;"
	    " DELETE FROM %s; COPY %s FROM STDIN", stage, types.text, stage, stage));
	bulk->run = mem_strdup(run.text);
}

void
pg_bulk_free(struct pg_bulk *bulk)
{
	while (bulk) {
		struct pg_bulk *next = bulk->next;

		mem_free((void *)(uintptr_t)bulk->text);
		mem_free(bulk->copy);
		mem_free(bulk->run);
		mem_free(bulk);
		bulk = next;
	}
}

static struct pg_bulk *
pg_bulk_new(struct pg_connection *c, const char *text)
{
	struct pg_bulk *bulk = mem_new(sizeof(*bulk));

	bulk->text = mem_strdup(text);
	bulk->next = c->bulks;
	c->bulks = bulk;
	return bulk;
}

/* Made once a connection. */
static int
find_bulk(struct op *op, struct pg_txn *txn, const struct sql *sql, size_t columns, struct pg_bulk **ret)
{
	struct pg_connection *c = txn->connection;
	PGresult *results[2];
	struct pg_bulk *bulk = c->bulks;
	int rc = 0;

	while (bulk && strcmp(bulk->text, sql->text))
		bulk = bulk->next;
	*ret = bulk;
	if (bulk)
		return 0;
	if (!PQsendPrepare(c->conn, "", sql->text, 0, NULL) || !PQsendDescribePrepared(c->conn, "") || !PQpipelineSync(c->conn) ||
	    !pg_collect(c, txn->until_ms, results, 2))
		return pg_fail(op, txn, NULL, sql->name);
	if (PQresultStatus(results[0]) != PGRES_COMMAND_OK) {
		rc = pg_fail(op, txn, results[0], sql->name);
	} else {
		*ret = pg_bulk_new(c, sql->text);
		turn(op->mem, *ret, results[1], columns);
	}
	pg_clear(results, 2);
	return rc;
}

/* ---- sending rows ---- */

/* A text, which is terminated. */
static void
add_escaped(struct buf *out, const char *text)
{
	while (*text) {
		size_t plain = strcspn(text, "\\\t\n\r");
		char special = text[plain];

		buf_add_bytes(out, text, plain);
		if (!special)
			return;
		buf_add_char(out, '\\');
		buf_add_char(out, special == '\t' ? 't' : special == '\n' ? 'n' : special == '\r' ? 'r' : '\\');
		text += plain + 1;
	}
}

static void
add_value(struct buf *out, const struct db_value *value)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *bytes = value->data;

	switch (value->type) {
	case DB_NULL:
		buf_add(out, "\\N");
		break;
	case DB_INT:
		buf_printf(out, "%lld", (long long)value->number);
		break;
	case DB_TEXT:
		add_escaped(out, value->data);
		break;
	case DB_BLOB:
		buf_add(out, "\\\\x");
		for (size_t i = 0; i < value->size; i++) {
			buf_add_char(out, digits[bytes[i] >> 4]);
			buf_add_char(out, digits[bytes[i] & 15]);
		}
		break;
	}
}

/* Until libpq took it; it answers 0 while the socket takes no more. */
static bool
send_piece(struct pg_txn *txn, const char *data, size_t n)
{
	struct pg_connection *c = txn->connection;
	int rc;

	while ((rc = PQputCopyData(c->conn, data, (int)n)) == 0)
		if (!pg_wait_sent(c, txn->until_ms))
			return false;
	return rc == 1;
}

static bool
send_rows(struct op *op, struct pg_txn *txn, const struct db_rows_in *in)
{
	struct db_value *values = op_alloc(op, in->columns * sizeof(*values));
	struct arena *mem = arena_new();
	struct buf out = buf_in(mem);
	bool is_good = true;

	for (size_t row = 0; row < in->rows && is_good; row++) {
		in->fill(in->arg, row, values);
		for (size_t i = 0; i < in->columns; i++) {
			add_value(&out, &values[i]);
			buf_add_char(&out, '\t');
		}
		buf_printf(&out, "%zu\n", row);
		if (out.length >= PIECE_BYTES || row + 1 == in->rows) {
			is_good = send_piece(txn, out.text, out.length);
			out.length = 0;
		}
	}
	arena_free(mem);
	return is_good && PQputCopyEnd(txn->connection->conn, NULL) >= 0;
}

/* Commands of the simple protocol; stops where rows are wanted, if they are.  0, or the failure. */
static int
simple(struct op *op, struct pg_txn *txn, const char *what, bool wants_rows)
{
	struct pg_connection *c = txn->connection;
	int rc = 0;

	while (pg_wait(c, txn->until_ms)) {
		PGresult *result = PQgetResult(c->conn);
		ExecStatusType status = PQresultStatus(result);

		if (!result || (status == PGRES_COPY_IN && wants_rows)) {
			PQclear(result);
			return rc ? rc : result || !wants_rows ? 0 : pg_fail(op, txn, NULL, what);
		}
		if (status != PGRES_COMMAND_OK && !rc)
			rc = pg_fail(op, txn, result, what);
		PQclear(result);
		if (pg_is_lost(c))
			return rc;
	}
	return rc ? rc : pg_fail(op, txn, NULL, what);
}

static int
run_bulk(struct op *op, struct pg_txn *txn, const struct pg_bulk *bulk, const char *what, const struct db_rows_in *in)
{
	PGconn *conn = txn->connection->conn;
	int rc;

	if (!PQsendQuery(conn, op_printf(op, "%s%s", txn->is_begun ? "" : pg_begin_write, bulk->copy)))
		return pg_fail(op, txn, NULL, what);
	txn->is_begun = true;
	rc = simple(op, txn, what, true);
	if (rc)
		return rc;
	if (!send_rows(op, txn, in))
		return pg_fail(op, txn, NULL, what);
	rc = simple(op, txn, what, false);
	if (!rc && !PQsendQuery(conn, bulk->run))
		return pg_fail(op, txn, NULL, what);
	return rc ? rc : simple(op, txn, what, false);
}

int
pg_put_many(struct op *op, struct db_txn *head, const struct sql *sql, const struct db_rows_in *in)
{
	struct pg_txn *txn = (struct pg_txn *)head;
	struct pg_bulk *bulk;
	int rc;

	if (in->rows < ROWS_LEAST)
		return db_put_each(op, sql, in);
	if (txn->is_failed || pg_flush(op, txn, NULL))
		return txn->retry;
	rc = find_bulk(op, txn, sql, in->columns, &bulk);
	if (rc)
		return rc;
	if (!bulk->copy)
		return db_put_each(op, sql, in);
	if (!pg_leave_pipeline(txn->connection))
		return pg_fail(op, txn, NULL, sql->name);
	rc = run_bulk(op, txn, bulk, sql->name, in);
	if (!pg_is_lost(txn->connection) && !PQenterPipelineMode(txn->connection->conn))
		pg_lose(txn->connection);
	return rc;
}
