/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Statements of the PostgreSQL driver: prepared once a connection, sent together with the BEGIN of their transaction, answers
 * read whole.  Everything travels as text but blobs, which are sent as they are.  Read pg_exec and pg_flush first.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/text.h"
#include "base/time.h"
#include "driver_pg_int.h"

#define PG_MUST_BYTES 2048

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
	if (pg_refusal(code))
		return op_fail(op, ERR_STORE, "%s: %s", what, pg_refusal(code));
	if (is_class(code, "53"))
		return op_fail(op, ERR_STORE, "%s: the database server has no resources left: %s", what, text);
	if (is_class(code, "23"))
		return op_fail(op, ERR_CONFLICT, "%s: %s", what, text);
	if (is_class(code, "55P03"))
		return op_fail(op, ERR_BUSY, "%s: another transaction holds the row for too long", what);
	if (is_class(code, "42501"))
		return op_fail(op, ERR_STORE, "%s: %s; let the database and its schema public belong to the user of Keyward: "
		    "ALTER DATABASE ... OWNER TO ..., ALTER SCHEMA public OWNER TO ...", what, text);
	if (is_class(code, "57014"))
		return op_fail(op, ERR_BUSY, "%s: the database took too long", what);
	/* nothing of ours divides but the question whether a statement changed a row */
	if (is_class(code, "22012"))
		return op_fail(op, ERR_STALE, "%s: nothing to change", what);
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
	pg_note_refusal(db, code);
	return fail_transaction(txn, fail_sentence(op, code, text ? text : "no reason given", what));
}

static enum pg_step
beginning(const struct pg_txn *txn)
{
	if (!txn->head.is_write)
		return PG_BEGIN_READ;
	return txn->head.is_conditional ? PG_BEGIN_CONDITIONAL : PG_BEGIN_WRITE;
}

static bool
note(struct pg_txn *txn, const struct sql *sql, bool is_preparation, int sent)
{
	if (sent)
		txn->sent[txn->n_sent++] = (struct pg_sent){ .sql = sql, .is_preparation = is_preparation };
	return sent;
}

/* No row changed: a division by zero, and with it the end of the transaction (SQL_DEFINE_MUST). */
static int
send_preparation(PGconn *conn, const char *name, const struct sql *sql)
{
	char text[PG_MUST_BYTES];

	if (!sql->must_change)
		return PQsendPrepare(conn, name, sql->text, 0, NULL);
	assert(strlen(sql->text) + 80 < sizeof(text));
	snprintf(text, sizeof(text), "WITH changed AS (%s RETURNING 1) SELECT 1 / COUNT(*) FROM changed", sql->text);
	return PQsendPrepare(conn, name, text, 0, NULL);
}

static bool
must_prepare(const struct pg_txn *txn, const struct sql *sql)
{
	if (txn->connection->is_prepared[sql_index(sql)])
		return false;
	for (size_t i = 0; i < txn->n_sent; i++)
		if (txn->sent[i].is_preparation && txn->sent[i].sql == sql)
			return false;
	return true;
}

/* BEGIN, preparation, execution: as many of them as are needed. */
static bool
send_statement(struct pg_txn *txn, const struct sql *sql, const struct params *p, size_t n)
{
	PGconn *conn = txn->connection->conn;
	char name[24];

	if (!txn->is_begun && !note(txn, sql, false, pg_send_step(txn->connection, beginning(txn))))
		return false;
	txn->is_begun = true;
	assert(sql_is_listed(sql) || !sql->must_change);
	if (!sql_is_listed(sql))
		return note(txn, sql, false, PQsendQueryParams(conn, sql->text, (int)n, NULL, p->values, p->sizes, p->formats, 0));
	snprintf(name, sizeof(name), "s%zu", sql_index(sql));
	if (must_prepare(txn, sql) && !note(txn, sql, true, send_preparation(conn, name, sql)))
		return false;
	return note(txn, sql, false, PQsendQueryPrepared(conn, name, (int)n, p->values, p->sizes, p->formats, 0));
}

static bool
is_good(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

size_t
pg_note_answers(struct pg_txn *txn, PGresult *const *results, size_t n)
{
	size_t good = 0;

	/* a preparation stays, even when an execution behind it or the whole transaction fails */
	for (; good < n && is_good(results[good]); good++)
		if (good < txn->n_sent && txn->sent[good].is_preparation)
			txn->connection->is_prepared[sql_index(txn->sent[good].sql)] = true;
	return good;
}

int
pg_flush(struct op *op, struct pg_txn *txn, PGresult **ret_last)
{
	PGresult *results[PG_BATCH_MAX];
	size_t n = txn->n_sent, good;
	int rc = 0;

	if (!n)
		return 0;
	if (!PQpipelineSync(txn->connection->conn) || !pg_collect(txn->connection, txn->until_ms, results, n))
		return pg_fail(op, txn, NULL, txn->sent[n - 1].sql->name);
	good = pg_note_answers(txn, results, n);
	if (good < n)
		rc = pg_fail(op, txn, results[good], txn->sent[good].sql->name);
	for (size_t i = 0; !rc && i < n; i++) {
		struct pg_rows *rows = txn->sent[i].rows;

		if (rows) {
			rows->result = results[i];
			results[i] = NULL;
		}
	}
	txn->n_sent = 0;
	if (!rc && ret_last) {
		*ret_last = results[n - 1];
		results[n - 1] = NULL;
	}
	pg_clear(results, n);
	return rc;
}

/* Sends it; the answer of what was sent before is read later, together with its own. */
static int
send(struct op *op, struct pg_txn *txn, const struct sql *sql, const struct db_value *args, size_t n)
{
	struct params p;
	int rc = 0;

	/* the server would refuse it as well, but say less */
	if (txn->is_failed)
		return txn->retry;
	fill(&p, args, n);
	if (FAULT("db.exec"))
		return fail_transaction(txn, op_fail(op, ERR_STORE, "%s: a fault for a test", sql->name));
	/* room for BEGIN, a preparation, this one, and for the commit's own three */
	if (txn->n_sent + 6 > PG_BATCH_MAX)
		rc = pg_flush(op, txn, NULL);
	if (!rc && !send_statement(txn, sql, &p, n))
		rc = pg_fail(op, txn, NULL, sql->name);
	return rc;
}

/*
 * Where nobody asks how many rows were touched, nobody waits: a failure is then told by the next statement that is waited for, or
 * by the commit, and the server does nothing more until it has been read.
 */
int
pg_exec(struct op *op, struct db_txn *head, const struct sql *sql, const struct db_value *args, size_t n, int64_t *ret_changed)
{
	struct pg_txn *txn = (struct pg_txn *)head;
	PGresult *result;
	int rc = send(op, txn, sql, args, n);

	if (rc || !ret_changed)
		return rc;
	rc = pg_flush(op, txn, &result);
	if (rc)
		return rc;
	*ret_changed = atoll(PQcmdTuples(result));
	PQclear(result);
	return 0;
}

int
pg_query(struct op *op, struct db_txn *head, const struct sql *sql, const struct db_value *args, size_t n, struct db_rows **ret)
{
	struct pg_txn *txn = (struct pg_txn *)head;
	struct pg_rows *rows = op_alloc(op, sizeof(*rows));
	int rc = send(op, txn, sql, args, n);

	if (rc)
		return rc;
	txn->sent[txn->n_sent - 1].rows = rows;
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
	struct pg_txn *txn = (struct pg_txn *)head->txn;
	int rc;

	/* an earlier statement's failure may have been read meanwhile */
	if (!rows->result && (rc = txn->is_failed ? txn->retry : pg_flush(head->op, txn, NULL)))
		return rc;
	if (FAULT("db.next"))
		return op_fail(head->op, ERR_STORE, "cannot read: a fault for a test");
	return ++rows->row < PQntuples(rows->result);
}

void
pg_finish(struct db_rows *head)
{
	struct pg_rows *rows = (struct pg_rows *)head;
	struct pg_txn *txn = (struct pg_txn *)head->txn;
	struct pg_rows **at = &txn->rows;

	while (*at && *at != rows)
		at = &(*at)->next;
	if (*at)
		*at = rows->next;
	/* never read: the answer, when it comes, is nobody's */
	for (size_t i = 0; i < txn->n_sent; i++)
		if (txn->sent[i].rows == rows)
			txn->sent[i].rows = NULL;
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

	if (txn->is_failed || pg_flush(op, txn, NULL))
		return txn->retry;
	if (!pg_leave_pipeline(c) || !PQsendQuery(c->conn, op_printf(op, "%s%s", txn->is_begun ? "" : pg_begin_write, text)))
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
