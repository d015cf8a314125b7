/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * PostgreSQL: a connection of a small pool for each transaction, SERIALIZABLE, run again when the server asks for it.
 *
 * Why SERIALIZABLE: the bodies read, decide and write, and were written for one writer at a time.  Here they run side by side, and the
 * server refuses (40001) whatever could not have happened one after another; the body is then run again, as it was promised that it may be.
 * Reading alone has a snapshot (REPEATABLE READ), which is what a SQLite reader has.  Statements of the driver itself are alone, and READ
 * COMMITTED.  A commit is one journey, with the row that says afterwards whether it happened.  Read pg_begin and pg_end, then
 * driver_pg_outcome.c.
 */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/time.h"
#include "driver_pg_int.h"

#define CLOSE_MS 2000

static bool
is_stuck(struct pg_db *db)
{
	return atomic_load(&db->n_late) >= PG_LATE_MAX && time_monotonic_ms() - atomic_load(&db->late_ms) < PG_LATE_COUNTS_MS;
}

static int
pg_begin(struct op *op, struct db *head, bool is_write, struct db_txn **ret)
{
	struct pg_db *db = (struct pg_db *)head;
	struct pg_txn *txn = op_alloc(op, sizeof(*txn));
	int64_t left_ms = op_left_ms(op);
	int rc;

	if (!left_ms)
		return op_fail(op, ERR_BUSY, "there is no time left for the database");
	if (!pg_is_held(db))
		return op_fail(op, ERR_STORE, "the claim on the database could not be renewed in time; it is tried again");
	txn->head.db = head;
	txn->head.is_write = is_write;
	txn->until_ms = op->deadline_ms;
	if (is_write && is_stuck(db) && left_ms <= PG_SHORT_MS && left_ms > PG_MOMENT_MS)
		txn->until_ms -= left_ms - PG_MOMENT_MS;
	rc = pg_take(op, db, txn->until_ms, &txn->connection);
	*ret = &txn->head;
	return rc;
}

/* The answer is read by whoever takes the connection next. */
static void
roll_back(struct pg_txn *txn)
{
	struct pg_connection *c = txn->connection;

	/* what nobody waited for may have failed: the server would not read on */
	if (!pg_is_lost(c) && txn->n_sent) {
		struct op *apart = op_begin(NULL, NULL);

		pg_flush(apart, txn, NULL);
		op_end(apart);
	}
	if (!pg_is_lost(c) && txn->is_begun && !pg_send_rollback(c))
		pg_lose(c);
}

static int
pg_end(struct op *op, struct db_txn *head, int rc)
{
	struct pg_txn *txn = (struct pg_txn *)head;

	while (txn->rows)
		pg_finish(&txn->rows->head);
	/* whatever the body made of it: the server has taken everything back */
	if (txn->retry && (!rc || txn->retry == ERR_RETRY_TRANSACTION))
		rc = txn->retry;
	if (!rc && head->is_write && txn->is_begun)
		rc = pg_commit(op, txn);
	else
		roll_back(txn);
	pg_give((struct pg_db *)head->db, txn->connection);
	return rc;
}

static int
pg_check_address(struct op *op, const char *text)
{
	return pg_dsn_read(op, text, NULL);
}

static int
pg_open(struct op *op, const char *text, struct db **ret)
{
	struct pg_dsn dsn = { .n = 0 };
	struct pg_connection *c;
	struct pg_db *db;
	int rc = pg_dsn_read(op, text, &dsn);

	if (rc)
		return rc;
	db = pg_db_new(&dsn);
	/* a first connection, so that a wrong address is told now */
	rc = pg_take(op, db, op->deadline_ms, &c);
	if (rc) {
		db_close(&db->head);
		return rc;
	}
	pg_give(db, c);
	*ret = &db->head;
	return 0;
}

static void
pg_close(struct db *head)
{
	struct pg_db *db = (struct pg_db *)head;
	struct op *op = op_begin(NULL, NULL);
	struct pg_connection *c;
	int64_t until_ms = time_monotonic_ms() + CLOSE_MS;

	op->deadline_ms = until_ms;
	pg_release(op, db);
	op_end(op);
	pthread_mutex_lock(&db->lock);
	db->is_closing = true;
	c = db->idle;
	db->idle = NULL;
	pthread_cond_broadcast(&db->tick);
	pthread_mutex_unlock(&db->lock);
	while (c) {
		struct pg_connection *next = c->next;

		pg_connection_close(c);
		c = next;
	}
	pg_db_wait_alone(db, until_ms);
	pg_db_unref(db);
}

/*
 * The server's own collector comes round once a minute and its plans are kept by each connection: after a table has grown from nothing, a
 * lookup of thirty people would go on reading everybody.  Afterwards every connection plans anew.
 */
static int
pg_analyze(struct op *op, struct db *head)
{
	PGresult *result;
	int rc = pg_ask_alone(op, (struct pg_db *)head, "ANALYZE", NULL, 0, &result);

	if (!rc)
		PQclear(result);
	return rc;
}

static bool
pg_is_broken(struct db *head)
{
	return atomic_load(&((struct pg_db *)head)->is_broken);
}

static bool
pg_may_answer(struct db *head)
{
	struct pg_db *db = (struct pg_db *)head;

	return pg_is_held(db) && !atomic_load(&db->n_doubts);
}

const struct db_engine db_engine_pg = {
	.name = "postgresql",
	.check_address = pg_check_address,
	.open = pg_open,
	.close = pg_close,
	.claim = pg_claim,
	.examine = pg_examine,
	.is_broken = pg_is_broken,
	.may_answer = pg_may_answer,
	.is_refusing = pg_is_refusing,
	.try_write = pg_try_write,
	.analyze = pg_analyze,
	.begin = pg_begin,
	.end = pg_end,
	.exec = pg_exec,
	.put_many = pg_put_many,
	.query = pg_query,
	.next = pg_next,
	.finish = pg_finish,
	.value = pg_value,
	.script = pg_script,
	.check = pg_check,
	.own_schema = pg_own_schema,
	.short_ms = PG_SHORT_MS,
	.long_ms = PG_LONG_MS,
	.writers = PG_POOL_MAX,
	/* keys are compared byte by byte, as the program compares them */
	.type_int = "BIGINT",
	.type_text = "TEXT COLLATE \"C\"",
	.type_blob = "BYTEA",
	.type_strict = "",
	.type_keyed = "",
};
