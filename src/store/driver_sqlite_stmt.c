/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Statements of the SQLite driver: prepared once a connection, bound by name, read column by column. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/fault.h"
#include "driver_sqlite_int.h"

struct sqlite_rows {
	struct db_rows head;
	struct sqlite_statement *statement;
	bool is_extra;                  /* not the kept one: the kept one was in use */
};

static int
prepare(struct op *op, struct sqlite_connection *connection, const struct sql *sql, struct sqlite_statement *ret)
{
	if (sqlite3_prepare_v3(connection->connection, sql->text, -1, SQLITE_PREPARE_PERSISTENT, &ret->stmt, NULL) != SQLITE_OK)
		return sqlite_fail(op, connection->connection, sql->name);
	for (int i = 0; i < SQLITE_ARGS_MAX; i++) {
		char name[16];

		/* $1 is a name to SQLite: its own numbering follows the order of appearance */
		snprintf(name, sizeof(name), "$%d", i + 1);
		ret->slots[i] = (short)sqlite3_bind_parameter_index(ret->stmt, name);
	}
	return 0;
}

/* Where the statement is kept. */
static struct sqlite_statement *
place_of(struct sqlite_connection *connection, const struct sql *sql)
{
	struct sqlite_statement *made = &connection->made;

	if (sql_is_listed(sql))
		return &connection->statements[sql_index(sql)];
	if (made->stmt && !made->is_taken && strcmp(sqlite3_sql(made->stmt), sql->text)) {
		sqlite3_finalize(made->stmt);
		made->stmt = NULL;
	}
	return made;
}

static int
take(struct op *op, struct sqlite_connection *connection, const struct sql *sql, struct sqlite_statement **ret, bool *ret_extra)
{
	struct sqlite_statement *kept = place_of(connection, sql);
	int rc = 0;

	*ret_extra = kept->is_taken;
	if (kept->is_taken)
		kept = op_alloc(op, sizeof(*kept));
	if (!kept->stmt)
		rc = prepare(op, connection, sql, kept);
	if (!rc)
		kept->is_taken = true;
	*ret = kept;
	return rc;
}

static void
give(struct sqlite_statement *statement, bool is_extra)
{
	sqlite3_reset(statement->stmt);
	sqlite3_clear_bindings(statement->stmt);
	statement->is_taken = false;
	if (is_extra)
		sqlite3_finalize(statement->stmt);
}

static void
bind(struct sqlite_statement *statement, const struct db_value *args, size_t n)
{
	assert(n <= SQLITE_ARGS_MAX && (int)n == sqlite3_bind_parameter_count(statement->stmt));
	for (size_t i = 0; i < n; i++) {
		int slot = statement->slots[i];

		assert(slot);
		if (args[i].type == DB_INT)
			sqlite3_bind_int64(statement->stmt, slot, args[i].number);
		else if (args[i].type == DB_TEXT)
			sqlite3_bind_text64(statement->stmt, slot, args[i].data, args[i].size, SQLITE_STATIC, SQLITE_UTF8);
		else if (args[i].type == DB_BLOB)
			sqlite3_bind_blob64(statement->stmt, slot, args[i].data ? args[i].data : "", args[i].size, SQLITE_STATIC);
		else
			sqlite3_bind_null(statement->stmt, slot);
	}
}

int
sqlite_exec(struct op *op, struct db_txn *head, const struct sql *sql, const struct db_value *args, size_t n, int64_t *ret_changed)
{
	struct sqlite_connection *connection = ((struct sqlite_txn *)head)->connection;
	struct sqlite_statement *statement;
	bool is_extra;
	int code, rc = take(op, connection, sql, &statement, &is_extra);

	if (rc)
		return rc;
	bind(statement, args, n);
	do {
		code = FAULT("db.exec") ? SQLITE_IOERR : sqlite3_step(statement->stmt);
	} while (code == SQLITE_ROW);
	if (code != SQLITE_DONE)
		rc = sqlite_fail(op, connection->connection, sql->name);
	else if (sql->must_change && !sqlite3_changes64(connection->connection))
		rc = op_fail(op, ERR_STALE, "%s: nothing to change", sql->name);
	else if (ret_changed)
		*ret_changed = sqlite3_changes64(connection->connection);
	give(statement, is_extra);
	return rc;
}

int
sqlite_query(struct op *op, struct db_txn *head, const struct sql *sql, const struct db_value *args, size_t n, struct db_rows **ret)
{
	struct sqlite_connection *connection = ((struct sqlite_txn *)head)->connection;
	struct sqlite_rows *rows = op_alloc(op, sizeof(*rows));
	int rc = take(op, connection, sql, &rows->statement, &rows->is_extra);

	if (rc)
		return rc;
	bind(rows->statement, args, n);
	*ret = &rows->head;
	return 0;
}

int
sqlite_next(struct db_rows *head)
{
	struct sqlite_rows *rows = (struct sqlite_rows *)head;
	int code = FAULT("db.next") ? SQLITE_IOERR : sqlite3_step(rows->statement->stmt);

	if (code == SQLITE_ROW)
		return 1;
	if (code == SQLITE_DONE)
		return 0;
	return sqlite_fail(head->op, sqlite3_db_handle(rows->statement->stmt), "cannot read");
}

void
sqlite_finish(struct db_rows *head)
{
	struct sqlite_rows *rows = (struct sqlite_rows *)head;

	give(rows->statement, rows->is_extra);
}

struct db_value
sqlite_value(struct db_rows *head, int column)
{
	sqlite3_stmt *stmt = ((struct sqlite_rows *)head)->statement->stmt;
	struct db_value value = { .type = DB_NULL };

	switch (sqlite3_column_type(stmt, column)) {
	case SQLITE_INTEGER:
		value.type = DB_INT;
		value.number = sqlite3_column_int64(stmt, column);
		value.data = NULL;
		break;
	case SQLITE_TEXT:
		value.type = DB_TEXT;
		value.data = sqlite3_column_text(stmt, column);
		value.size = (size_t)sqlite3_column_bytes(stmt, column);
		break;
	case SQLITE_BLOB:
		value.type = DB_BLOB;
		value.data = sqlite3_column_blob(stmt, column);
		value.size = (size_t)sqlite3_column_bytes(stmt, column);
		break;
	default:
		break;
	}
	return value;
}

int
sqlite_step(struct sqlite_connection *connection, enum sqlite_step step)
{
	static const char *const texts[STEP_COUNT] = { [STEP_BEGIN_READ] = "BEGIN", [STEP_BEGIN_WRITE] = "BEGIN IMMEDIATE",
		[STEP_COMMIT] = "COMMIT", [STEP_SAVEPOINT] = "SAVEPOINT op", [STEP_RELEASE] = "RELEASE op" };
	sqlite3_stmt **stmt = &connection->steps[step];
	int code = SQLITE_OK;

	if (!*stmt)
		code = sqlite3_prepare_v3(connection->connection, texts[step], -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL);
	if (code != SQLITE_OK)
		return code;
	sqlite3_step(*stmt);
	/* says how the step went, too */
	return sqlite3_reset(*stmt);
}

void
sqlite_reset_all(struct sqlite_connection *connection)
{
	sqlite3_stmt *stmt = NULL;

	while ((stmt = sqlite3_next_stmt(connection->connection, stmt)))
		if (sqlite3_stmt_busy(stmt))
			sqlite3_reset(stmt);
	for (size_t i = 0; i < sql_count(); i++)
		connection->statements[i].is_taken = false;
	connection->made.is_taken = false;
}
