/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The end of a transaction that wrote, and what to do when its answer is lost.
 *
 * Every such transaction leaves a row in engine_outcomes, sent together with its COMMIT.  When the answer does not come, another
 * connection writes the same row for itself, as void: it waits for the other transaction, if that is still under way; finding its
 * row means that it was committed, and having written our own means that it never can be.  So a lost answer is decided, nothing
 * is ever repeated blindly, and nothing is acknowledged that is not there.  Read pg_commit first.
 */
#include <string.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/time.h"
#include "driver_pg_int.h"

/*
 * $2 is the epoch of our claim, 0 without one: an epoch that is over gives NULL, which the column refuses, and the COMMIT behind
 * it is skipped.
 */
static const char outcome_put[] = "INSERT INTO engine_outcomes (id, is_void, epoch) VALUES ($1, false,"
    " CASE WHEN CAST($2 AS BIGINT) = 0 THEN 0 ELSE (SELECT epoch FROM engine_lease"
    " WHERE name = 'daemon' AND epoch = CAST($2 AS BIGINT)) END)";
static const char outcome_void[] = "INSERT INTO engine_outcomes AS o (id, is_void, epoch) VALUES ($1, true, 0)"
    " ON CONFLICT (id) DO UPDATE SET is_void = o.is_void RETURNING is_void";

static const char outcomes_old[] = "DELETE FROM engine_outcomes WHERE id < $1";

#define KEEP_MS 600000
#define TIDY_MS 2000

enum outcome { OUTCOME_COMMITTED, OUTCOME_NEVER, OUTCOME_UNKNOWN };

static enum outcome
ask_outcome(struct pg_connection *c, const char *id, int64_t until_ms)
{
	char why[PG_WHY_BYTES];
	PGresult *result = pg_ask(c, until_ms, outcome_void, &id, 1, why);
	enum outcome outcome = OUTCOME_UNKNOWN;

	if (result && PQntuples(result) == 1 && !c->has_lost_standby)
		outcome = PQgetvalue(result, 0, 0)[0] == 't' ? OUTCOME_NEVER : OUTCOME_COMMITTED;
	else
		pg_lose(c);
	PQclear(result);
	return outcome;
}

/* One try on a connection of the pool. */
static enum outcome
look_up(struct op *op, struct pg_db *db, const char *id, int64_t until_ms)
{
	struct pg_connection *c;
	enum outcome outcome;

	if (pg_take(op, db, until_ms, &c))
		return OUTCOME_UNKNOWN;
	outcome = ask_outcome(c, id, until_ms);
	pg_give(db, c);
	return outcome;
}

static enum outcome
find_out(struct op *op, struct pg_db *db, const char *id, int64_t until_ms)
{
	enum outcome outcome;

	/* a refusal by the server is asked again: it may be starting */
	do {
		outcome = look_up(op, db, id, until_ms);
		op_forgive(op);
	} while (outcome == OUTCOME_UNKNOWN && time_monotonic_ms() < until_ms);
	return outcome;
}

static int
settle_lost(struct op *op, struct pg_txn *txn, const char *id)
{
	static const char *const words[] = { "committed", "not committed", "unknown" };
	struct pg_db *db = (struct pg_db *)txn->head.db;
	bool is_late = time_monotonic_ms() >= txn->until_ms;
	enum outcome outcome = find_out(op, db, id, txn->until_ms + PG_GRACE_MS);

	if (is_late)
		pg_note_late(db);

	log_line(LOG_LEVEL_WARNING, "store.answer_lost", "transaction", id, "outcome", words[outcome], NULL);
	if (outcome == OUTCOME_COMMITTED)
		return 0;
	/* nothing happened; but what let nobody through until now would not do so at once */
	if (outcome == OUTCOME_NEVER && is_late)
		return op_fail(op, ERR_STORE, "the database did not commit in time");
	if (outcome == OUTCOME_NEVER)
		return ERR_RETRY_TRANSACTION;
	if (!pg_doubt_note(db, id))
		atomic_store(&db->is_broken, true);
	return op_fail(op, ERR_UNKNOWN_OUTCOME, "the connection to the database was lost during a commit; whether it is there is unknown");
}

/* Both in one journey: when the row is refused, the COMMIT is not run. */
static bool
send_commit(struct pg_connection *c, const char *id, int64_t epoch, size_t *ret_sent)
{
	char number[24];
	const char *const args[] = { id, number };
	const bool *is_prepared = &c->is_prepared[sql_count()];

	snprintf(number, sizeof(number), "%lld", (long long)epoch);
	*ret_sent = *is_prepared ? 2 : 3;
	if (!*is_prepared && !PQsendPrepare(c->conn, "outcome", outcome_put, 0, NULL))
		return false;
	return PQsendQueryPrepared(c->conn, "outcome", 2, args, NULL, NULL, 0) &&
	    pg_send_step(c, PG_COMMIT) && PQpipelineSync(c->conn);
}

/* A server that says farewell may do so before or after the commit. */
static bool
is_answer(const PGresult *failure)
{
	const char *severity = failure ? PQresultErrorField(failure, PG_DIAG_SEVERITY_NONLOCALIZED) : NULL;

	return !failure || (severity && !strcmp(severity, "ERROR"));
}

/* The column refused the epoch. */
static bool
is_fenced(const PGresult *failure)
{
	const char *code = PQresultErrorField(failure, PG_DIAG_SQLSTATE), *column = PQresultErrorField(failure, PG_DIAG_COLUMN_NAME);

	return code && !strcmp(code, "23502") && column && !strcmp(column, "epoch");
}

static int
read_commit(struct op *op, struct pg_txn *txn, PGresult *const *results, size_t n, size_t good)
{
	/* the statements of the body that nobody waited for, then perhaps a preparation, the outcome, COMMIT */
	if (good >= txn->n_sent + (n - txn->n_sent == 3))
		txn->connection->is_prepared[sql_count()] = true;
	if (good < n && is_fenced(results[good]))
		return pg_lease_lost(op, (struct pg_db *)txn->head.db);
	if (good < n)
		return pg_fail(op, txn, results[good], good < txn->n_sent ? txn->sent[good].sql->name : "cannot commit");
	/* a COMMIT of a transaction that had failed succeeds as a ROLLBACK */
	if (strcmp(PQcmdStatus(results[n - 1]), "COMMIT"))
		return op_fail(op, ERR_STORE, "the transaction had failed before its end");
	return 0;
}

int
pg_commit(struct op *op, struct pg_txn *txn)
{
	struct pg_connection *c = txn->connection;
	struct pg_db *db = (struct pg_db *)txn->head.db;
	PGresult *results[PG_BATCH_MAX] = { NULL };
	char id[UUID_TEXT_BYTES];
	size_t n, good = 0;
	int rc;

	uuid_new(id, op->now_ms);
	c->has_lost_standby = false;
	if (!send_commit(c, id, db->epoch, &n) || FAULT("db.commit") || !pg_collect(c, txn->until_ms, results, n += txn->n_sent) ||
	    ((good = pg_note_answers(txn, results, n)) < n && !is_answer(results[good])) || c->has_lost_standby) {
		pg_clear(results, countof(results));
		pg_lose(c);
		return settle_lost(op, txn, id);
	}
	rc = read_commit(op, txn, results, n, good);
	pg_clear(results, countof(results));
	/* what failed before COMMIT has kept it from being run */
	if (rc && !pg_is_lost(c) && PQtransactionStatus(c->conn) != PQTRANS_IDLE && !pg_send_rollback(c))
		pg_lose(c);
	if (!rc) {
		atomic_store(&db->n_late, 0);
		metric_add(METRIC_db_commits_total, 1);
		metric_add(METRIC_db_operations_total, 1);
	}
	return rc;
}

/* ---- what could not be found out in time ---- */

/*
 * What is kept in memory may be wrong now: an end that was committed did not reach it.  So nothing is answered from memory until
 * each such transaction is known, and then memory is emptied.
 */
bool
pg_doubt_note(struct pg_db *db, const char *id)
{
	bool has_room;

	pthread_mutex_lock(&db->lock);
	has_room = atomic_load(&db->n_doubts) < PG_DOUBTS_MAX;
	if (has_room)
		memcpy(db->doubts[atomic_fetch_add(&db->n_doubts, 1)], id, UUID_TEXT_BYTES);
	pthread_mutex_unlock(&db->lock);
	return has_room;
}

void
pg_doubts_settle(struct pg_db *db, struct pg_connection *c)
{
	while (atomic_load(&db->n_doubts)) {
		char id[UUID_TEXT_BYTES];
		enum outcome outcome;

		/* new ones come behind; only this thread takes one away */
		pthread_mutex_lock(&db->lock);
		memcpy(id, db->doubts[0], sizeof(id));
		pthread_mutex_unlock(&db->lock);
		outcome = ask_outcome(c, id, time_monotonic_ms() + 1000);
		if (outcome == OUTCOME_UNKNOWN)
			return;
		log_line(LOG_LEVEL_NOTICE, "store.answer_found", "transaction", id,
		    "outcome", outcome == OUTCOME_COMMITTED ? "committed" : "not committed", NULL);
		if (db->head.on_settled && !db->head.on_settled(db->head.on_settled_arg))
			return;
		pthread_mutex_lock(&db->lock);
		memmove(db->doubts[0], db->doubts[1], (PG_DOUBTS_MAX - 1) * UUID_TEXT_BYTES);
		atomic_fetch_sub(&db->n_doubts, 1);
		pthread_mutex_unlock(&db->lock);
	}
}

/* Ids carry their time: everything before the first one of ten minutes ago. */
void
pg_outcomes_tidy(struct pg_db *db, struct pg_connection *c)
{
	int64_t ms = time_now_ms() - KEEP_MS;
	unsigned char bytes[16] = { 0 };
	char id[UUID_TEXT_BYTES], why[PG_WHY_BYTES];
	const char *args[] = { id };
	PGresult *result;

	/* what is still in doubt must be found */
	if (atomic_load(&db->n_doubts))
		return;
	for (int i = 0; i < 6; i++)
		bytes[i] = (unsigned char)(ms >> (8 * (5 - i)));
	uuid_format(bytes, id);
	result = pg_ask(c, time_monotonic_ms() + TIDY_MS, outcomes_old, args, 1, why);
	if (!result)
		log_line(LOG_LEVEL_WARNING, "store.tidy", "why", why, NULL);
	PQclear(result);
}
