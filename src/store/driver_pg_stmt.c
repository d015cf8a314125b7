/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Statements of the PostgreSQL driver: prepared once a connection, sent together with the BEGIN of their transaction, answers
 * read whole.  Everything travels as text but blobs, which are sent as they are.  Read run_statement first.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/text.h"
#include "base/time.h"
#include "driver_pg_int.h"

struct params {
	const char *values[PG_ARGS_MAX];
	int sizes[PG_ARGS_MAX], formats[PG_ARGS_MAX];
	char numbers[PG_ARGS_MAX][24];
};

static void
fill(struct params *p, const struct db_value *args, size_t n)
{
	assert(n <= PG_ARGS_MAX);
	for (size_t i = 0; i < n; i++) {
		p->values[i] = args[i].type == DB_NULL ? NULL : args[i].data;
		p->sizes[i] = (int)args[i].size;
		p->formats[i] = args[i].type == DB_BLOB;
		if (args[i].type == DB_INT) {
			snprintf(p->numbers[i], sizeof(p->numbers[i]), "%lld", (long long)args[i].number);
			p->values[i] = p->numbers[i];
		} else if (args[i].type == DB_BLOB && !args[i].data) {
			p->values[i] = "";
		}
	}
}

static bool
is_class(const char *code, const char *class)
{
	return code && !strncmp(code, class, strlen(class));
}

/* The server ends this session, or never took part in it. */
static bool
is_farewell(const char *code)
{
	return is_class(code, "57P0") || is_class(code, "08") || is_class(code, "25P03") || is_class(code, "25P02");
}

static int
fail_transaction(struct pg_txn *txn, int rc)
{
	txn->is_failed = true;
	txn->retry = rc;
	return rc;
}

/* Serialization, deadlock, a row lock not had in time: as if nothing had been; the body is run again while there is time. */
static bool
is_retried(const struct pg_txn *txn, const char *code)
{
	if (is_class(code, "40001") || is_class(code, "40P01"))
		return true;
	return is_class(code, "55P03") && txn->until_ms - time_monotonic_ms() > PG_LOCK_MS;
}

static int
fail_sentence(struct op *op, const char *code, const char *text, const char *what)
{
	if (is_class(code, "53100"))
		return op_fail(op, ERR_STORE, "%s: the disk of the database server is full", what);
	if (is_class(code, "53"))
		return op_fail(op, ERR_STORE, "%s: the database server has no resources left: %s", what, text);
	if (is_class(code, "23"))
		return op_fail(op, ERR_CONFLICT, "%s: %s", what, text);
	if (is_class(code, "55P03"))
		return op_fail(op, ERR_BUSY, "%s: another transaction holds the row for too long", what);
	if (is_class(code, "57014"))
		return op_fail(op, ERR_BUSY, "%s: the database took too long", what);
	if (is_class(code, "25006"))
		return op_fail(op, ERR_STORE, "%s: the database server is a standby, or only allows reading", what);
	return op_fail(op, ERR_STORE, "%s: %s (PostgreSQL code %s)", what, text, code);
}

void
pg_note_late(struct pg_db *db)
{
	atomic_store(&db->late_ms, time_monotonic_ms());
	atomic_fetch_add(&db->n_late, 1);
}

int
pg_fail(struct op *op, struct pg_txn *txn, const PGresult *result, const char *what)
{
	struct pg_connection *c = txn->connection;
	const char *code = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
	const char *text = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;

	struct pg_db *db = (struct pg_db *)txn->head.db;

	if (!result && !pg_is_lost(c)) {
		/* our own deadline: nothing is cancelled, the socket is closed */
		pg_note_late(db);
		pg_lose(c);
		return fail_transaction(txn, op_fail(op, ERR_STORE, "%s: the database did not answer in time", what));
	}
	/* before COMMIT was sent nothing has happened for certain */
	if (!result || !code || is_farewell(code)) {
		pg_lose(c);
		return fail_transaction(txn, ERR_RETRY_TRANSACTION);
	}
	if (is_retried(txn, code))
		return fail_transaction(txn, ERR_RETRY_TRANSACTION);
	if (is_class(code, "55P03") || is_class(code, "57014"))
		pg_note_late(db);
	return fail_transaction(txn, fail_sentence(op, code, text ? text : "no reason given", what));
}

static bool
send_begin(struct pg_txn *txn)
{
	return PQsendQueryParams(txn->connection->conn, txn->head.is_write ? "BEGIN" : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
	    0, NULL, NULL, NULL, NULL, 0);
}

/* BEGIN, preparation, execution: as many of them as are needed, in one journey. */
static bool
send_all(struct pg_txn *txn, const struct sql *sql, const struct params *p, size_t n, size_t *ret_sent)
{
	struct pg_connection *c = txn->connection;
	char name[24];

	*ret_sent = 0;
	if (!txn->is_begun && (!send_begin(txn) || !++*ret_sent))
		return false;
	if (!sql_is_listed(sql)) {
		++*ret_sent;
		return PQsendQueryParams(c->conn, sql->text, (int)n, NULL, p->values, p->sizes, p->formats, 0) && PQpipelineSync(c->conn);
	}
	snprintf(name, sizeof(name), "s%zu", sql_index(sql));
	if (!c->is_prepared[sql_index(sql)] && (!PQsendPrepare(c->conn, name, sql->text, 0, NULL) || !++*ret_sent))
		return false;
	++*ret_sent;
	return PQsendQueryPrepared(c->conn, name, (int)n, p->values, p->sizes, p->formats, 0) && PQpipelineSync(c->conn);
}

static bool
is_good(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* The answer of the last of n, or the failure of the first that failed. */
static int
take_last(struct op *op, struct pg_txn *txn, const struct sql *sql, PGresult **results, size_t n, PGresult **ret)
{
	size_t bad = 0;
	int rc = 0;

	while (bad < n && is_good(results[bad]))
		bad++;
	/* a preparation stays, even when the execution behind it or the whole transaction fails */
	if (sql_is_listed(sql) && bad >= n - 1)
		txn->connection->is_prepared[sql_index(sql)] = true;
	if (bad < n)
		rc = pg_fail(op, txn, results[bad], sql->name);
	for (size_t i = 0; i + 1 < n; i++)
		PQclear(results[i]);
	if (rc)
		PQclear(results[n - 1]);
	else
		*ret = results[n - 1];
	return rc;
}

static int
run_statement(struct op *op, struct pg_txn *txn, const struct sql *sql, const struct db_value *args, size_t n, PGresult **ret)
{
	struct pg_connection *c = txn->connection;
	PGresult *results[PG_BATCH_MAX];
	struct params p;
	size_t sent;

	/* the server would refuse it as well, but say less */
	if (txn->is_failed)
		return txn->retry;
	fill(&p, args, n);
	if (FAULT("db.exec"))
		return fail_transaction(txn, op_fail(op, ERR_STORE, "%s: a fault for a test", sql->name));
	if (!send_all(txn, sql, &p, n, &sent) || !pg_collect(c, txn->until_ms, results, sent))
		return pg_fail(op, txn, NULL, sql->name);
	txn->is_begun = true;
	return take_last(op, txn, sql, results, sent, ret);
}

int
pg_exec(struct op *op, struct db_txn *head, const struct sql *sql, const struct db_value *args, size_t n, int64_t *ret_changed)
{
	PGresult *result;
	int rc = run_statement(op, (struct pg_txn *)head, sql, args, n, &result);

	if (rc)
		return rc;
	if (ret_changed)
		*ret_changed = atoll(PQcmdTuples(result));
	PQclear(result);
	return 0;
}

int
pg_query(struct op *op, struct db_txn *head, const struct sql *sql, const struct db_value *args, size_t n, struct db_rows **ret)
{
	struct pg_txn *txn = (struct pg_txn *)head;
	struct pg_rows *rows = op_alloc(op, sizeof(*rows));
	int rc = run_statement(op, txn, sql, args, n, &rows->result);

	if (rc)
		return rc;
	rows->row = -1;
	rows->next = txn->rows;
	txn->rows = rows;
	*ret = &rows->head;
	return 0;
}

int
pg_next(struct db_rows *head)
{
	struct pg_rows *rows = (struct pg_rows *)head;

	if (FAULT("db.next"))
		return op_fail(head->op, ERR_STORE, "cannot read: a fault for a test");
	return ++rows->row < PQntuples(rows->result);
}

void
pg_finish(struct db_rows *head)
{
	struct pg_rows *rows = (struct pg_rows *)head;
	struct pg_rows **at = &((struct pg_txn *)head->txn)->rows;

	while (*at && *at != rows)
		at = &(*at)->next;
	if (*at)
		*at = rows->next;
	PQclear(rows->result);
	rows->result = NULL;
}

/* bytea_output=hex: \x and two digits a byte. */
static struct db_value
blob_value(struct op *op, const char *text)
{
	struct db_value value = { .type = DB_BLOB };
	unsigned char *data;

	if (strncmp(text, "\\x", 2) || !hex_decode(op->mem, text + 2, &data, &value.size))
		return (struct db_value){ .type = DB_NULL };
	value.data = data;
	return value;
}

struct db_value
pg_value(struct db_rows *head, int column)
{
	const PGresult *result = ((struct pg_rows *)head)->result;
	int row = ((struct pg_rows *)head)->row;
	const char *text = PQgetvalue(result, row, column);

	if (PQgetisnull(result, row, column))
		return (struct db_value){ .type = DB_NULL };
	switch (PQftype(result, column)) {
	case PG_OID_INT8:
	case PG_OID_INT4:
	case PG_OID_INT2:
	case PG_OID_NUMERIC:
		return (struct db_value){ .type = DB_INT, .number = atoll(text) };
	case PG_OID_BOOL:
		return (struct db_value){ .type = DB_INT, .number = *text == 't' };
	case PG_OID_BYTEA:
		return blob_value(head->op, text);
	default:
		return (struct db_value){ .type = DB_TEXT, .data = text, .size = (size_t)PQgetlength(result, row, column) };
	}
}

/* Several statements at once are refused in a pipeline. */
int
pg_script(struct op *op, struct db_txn *head, const char *text)
{
	struct pg_txn *txn = (struct pg_txn *)head;
	struct pg_connection *c = txn->connection;
	PGresult *result, *last = NULL;
	int rc = 0;

	if (txn->is_failed)
		return txn->retry;
	if (!pg_leave_pipeline(c) || !PQsendQuery(c->conn, op_printf(op, "%s%s", txn->is_begun ? "" : "BEGIN;", text)))
		return pg_fail(op, txn, NULL, "a step of the schema");
	txn->is_begun = true;
	while (pg_wait(c, txn->until_ms) && (result = PQgetResult(c->conn))) {
		if (!last || is_good(last)) {
			PQclear(last);
			last = result;
		} else {
			PQclear(result);
		}
	}
	if (!last || !is_good(last) || PQtransactionStatus(c->conn) != PQTRANS_INTRANS)
		rc = pg_fail(op, txn, last && !is_good(last) ? last : NULL, "a step of the schema failed");
	PQclear(last);
	if (!rc && !PQenterPipelineMode(c->conn))
		rc = pg_fail(op, txn, NULL, "a step of the schema");
	return rc;
}
