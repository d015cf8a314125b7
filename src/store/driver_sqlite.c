/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * SQLite: WAL, synchronous=FULL, one writer with group commit, readers on connections of their own, checkpoints on a
 * thread of its own (driver_sqlite_wal.c).
 *
 * Group commit: bodies run one after another, each in a savepoint of a shared transaction; the last one out, when nobody waits to
 * enter, commits for all.  So the queue itself is the timer.  Nobody is answered before the commit, refused ones included:
 * a refusal may rest on a neighbour's row that is not durable yet.  Read begin_write, then end_write and settle.
 */
#include "driver_sqlite_int.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/time.h"

#define BATCH_MAX 256

/* Why the WAL could not be written: its errno, 0 when there is none. */
static int
wal_errno(sqlite3 *connection)
{
	sqlite3_file *wal = NULL;
	int number = 0;

	if (sqlite3_file_control(connection, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal) == SQLITE_OK && wal && wal->pMethods)
		wal->pMethods->xFileControl(wal, SQLITE_FCNTL_LAST_ERRNO, &number);
	return number;
}

/*
 * Why the disk took nothing: no room (of the disk, of a quota, of RLIMIT_FSIZE), or a file system that has become read-only; NULL when it
 * failed in another way.  SQLite knows only the first by a code of its own.
 */
static const char *
refusal(sqlite3 *connection)
{
	int code = sqlite3_extended_errcode(connection);

	if ((code & 0xff) == SQLITE_FULL)
		return "the disk is full";
	if ((code & 0xff) == SQLITE_READONLY)
		return "the database's file system is read-only";
	if (code != SQLITE_IOERR_WRITE)
		return NULL;
	code = wal_errno(connection);
	return code == EDQUOT || code == EFBIG ? "the disk is full" : code == EROFS ? "the database's file system is read-only" : NULL;
}

int
sqlite_fail(struct op *op, sqlite3 *connection, const char *what)
{
	int code = sqlite3_extended_errcode(connection);
	const char *why = refusal(connection);

	if (why)
		return op_fail(op, ERR_STORE, "%s: %s", what, why);
	if ((code & 0xff) == SQLITE_CONSTRAINT)
		return op_fail(op, ERR_CONFLICT, "%s: %s", what, sqlite3_errmsg(connection));
	if ((code & 0xff) == SQLITE_BUSY)
		return op_fail(op, ERR_BUSY, "%s: the database is locked by another process", what);
	return op_fail(op, ERR_STORE, "%s: %s (SQLite code %d)", what, sqlite3_errmsg(connection), code);
}

static int
raw(sqlite3 *connection, const char *text)
{
	return sqlite3_exec(connection, text, NULL, NULL, NULL);
}

/* ---- the writer ---- */

/* Waits for the writer; the deadline can refuse entry, never cancel afterwards. */
static int
enter(struct op *op, struct sqlite_db *db)
{
	struct timespec until = time_in(op_left_ms(op));
	int rc = 0;

	pthread_mutex_lock(&db->lock);
	db->queued++;
	while (db->is_busy && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&db->enter, &db->lock, &until);
	db->queued--;
	rc = db->is_broken ? ERR_STORE : db->is_busy ? ERR_BUSY : 0;
	if (!rc)
		db->is_busy = true;
	pthread_mutex_unlock(&db->lock);
	if (rc)
		return op_fail(op, rc, "%s", rc == ERR_BUSY ? "the database has too many writers waiting" :
		    "the database lost a write; the service has to be started again");
	return 0;
}

static void
tell(struct sqlite_rider *riders, int rc)
{
	while (riders) {
		struct sqlite_rider *next = riders->next;

		/* either call may free the rider */
		riders->rc = rc;
		if (riders->ride)
			db_ride_settled(riders->ride, rc);
		else
			sem_post(&riders->done);
		riders = next;
	}
}

/* Told once, not at every write. */
static void
refuse_writes(struct sqlite_db *db, const char *why)
{
	if (!atomic_exchange(&db->is_refusing, true))
		log_line(LOG_LEVEL_ERROR, "store.refuses", "why", why, NULL);
}

/* COMMIT for everybody aboard.  Called with the writer held, without the lock. */
static int
commit(struct sqlite_db *db)
{
	int code = FAULT("db.commit") ? SQLITE_IOERR_FSYNC : sqlite_step(&db->writer, STEP_COMMIT);
	const char *why;

	if (code == SQLITE_OK) {
		if (atomic_exchange(&db->is_refusing, false))
			log_line(LOG_LEVEL_NOTICE, "store.writable", "why", "the disk takes writes again", NULL);
		return 0;
	}
	why = refusal(db->writer.connection);
	if (why) {
		refuse_writes(db, why);
		if (!sqlite3_get_autocommit(db->writer.connection))
			raw(db->writer.connection, "ROLLBACK");
		return ERR_STORE;
	}
	log_line(LOG_LEVEL_ERROR, "store.commit_failed", "why", sqlite3_errmsg(db->writer.connection), NULL);
	if (!sqlite3_get_autocommit(db->writer.connection))
		raw(db->writer.connection, "ROLLBACK");
	/* A disk that took nothing is clean: nothing was kept.  Anything else, a failed fsync above all, means that we do not know. */
	pthread_mutex_lock(&db->lock);
	db->is_broken = true;
	pthread_mutex_unlock(&db->lock);
	return ERR_UNKNOWN_OUTCOME;
}

/* Takes the riders off and commits for them; called with the lock held, returns with it held. */
static struct sqlite_rider *
settle(struct sqlite_db *db, bool is_dead, int *ret_rc)
{
	struct sqlite_rider *riders = db->riders;
	int n = db->n_riders, rc;

	db->riders = NULL;
	db->n_riders = 0;
	pthread_mutex_unlock(&db->lock);
	rc = is_dead ? ERR_STORE : commit(db);
	metric_add(METRIC_db_commits_total, 1);
	metric_add(METRIC_db_operations_total, n);
	pthread_mutex_lock(&db->lock);
	db->is_open = false;
	*ret_rc = rc;
	return riders;
}

/* The writer is free.  Called with the lock held. */
static void
free_writer(struct sqlite_db *db)
{
	db->is_busy = false;
	/* of a broken database everybody is told at once: who enters it wakes nobody after itself */
	if (db->is_broken)
		pthread_cond_broadcast(&db->enter);
	else if (db->queued)
		pthread_cond_signal(&db->enter);
}

static void
leave(struct sqlite_db *db, struct sqlite_rider *rider, bool is_dead)
{
	struct sqlite_rider *settled = NULL;
	int rc = 0;

	pthread_mutex_lock(&db->lock);
	rider->next = db->riders;
	db->riders = rider;
	db->n_riders++;
	if (is_dead || !db->queued || db->n_riders >= BATCH_MAX)
		settled = settle(db, is_dead, &rc);
	free_writer(db);
	pthread_mutex_unlock(&db->lock);
	tell(settled, rc);
}

static int
begin_write(struct op *op, struct sqlite_db *db, struct sqlite_txn *txn)
{
	int rc = enter(op, db);

	if (rc)
		return rc;
	txn->connection = &db->writer;
	sem_init(&txn->rider.done, 0, 0);
	if (!db->is_open && (FAULT("db.begin") || sqlite_step(&db->writer, STEP_BEGIN_WRITE) != SQLITE_OK)) {
		rc = sqlite_fail(op, db->writer.connection, "cannot begin to write");
		pthread_mutex_lock(&db->lock);
		free_writer(db);
		pthread_mutex_unlock(&db->lock);
		return rc;
	}
	db->is_open = true;
	/* failing here is seen at the end: the savepoint is then missing and the batch dies */
	sqlite_step(&db->writer, STEP_SAVEPOINT);
	return 0;
}

/* Ends the savepoint and goes aboard the batch. */
static void
go_aboard(struct sqlite_db *db, struct sqlite_txn *txn, int rc)
{
	sqlite3 *connection = db->writer.connection;
	/* FULL, IOERR and NOMEM throw the whole transaction away, everybody's */
	bool is_dead = sqlite3_get_autocommit(connection);
	const char *why = is_dead ? refusal(connection) : NULL;

	if (why)
		refuse_writes(db, why);
	if (!is_dead && rc)
		is_dead = raw(connection, "ROLLBACK TO op") != SQLITE_OK;
	if (!is_dead)
		is_dead = sqlite_step(&db->writer, STEP_RELEASE) != SQLITE_OK;
	if (is_dead && !sqlite3_get_autocommit(connection))
		raw(connection, "ROLLBACK");
	leave(db, &txn->rider, is_dead);
}

static int
end_write(struct op *op, struct sqlite_db *db, struct sqlite_txn *txn, int rc)
{
	go_aboard(db, txn, rc);
	while (sem_wait(&txn->rider.done) < 0 && errno == EINTR)
		;
	sem_destroy(&txn->rider.done);
	if (rc)
		return rc;
	if (txn->rider.rc == ERR_UNKNOWN_OUTCOME)
		return op_fail(op, ERR_UNKNOWN_OUTCOME, "a write could not be brought to the disk; whether it is there is unknown");
	return txn->rider.rc ? op_fail(op, txn->rider.rc, "the database could not commit") : 0;
}

/* ---- readers ---- */

static int
take_reader(struct op *op, struct sqlite_db *db, struct sqlite_connection **ret)
{
	struct sqlite_connection *reader;

	pthread_mutex_lock(&db->lock);
	reader = db->idle_readers;
	if (reader)
		db->idle_readers = reader->next;
	pthread_mutex_unlock(&db->lock);
	if (!reader) {
		reader = mem_new(sizeof(*reader));
		int rc = sqlite_connection_open(op, db, reader, true);

		if (rc) {
			sqlite_connection_close(reader);
			mem_free(reader);
			return rc;
		}
	}
	*ret = reader;
	return 0;
}

static int
begin_read(struct op *op, struct sqlite_db *db, struct sqlite_txn *txn)
{
	int rc = take_reader(op, db, &txn->connection);

	if (!rc && sqlite_step(txn->connection, STEP_BEGIN_READ) != SQLITE_OK)
		rc = sqlite_fail(op, txn->connection->connection, "cannot begin to read");
	return rc;
}

static int
end_read(struct sqlite_db *db, struct sqlite_txn *txn, int rc)
{
	sqlite_step(txn->connection, STEP_COMMIT);
	pthread_mutex_lock(&db->lock);
	txn->connection->next = db->idle_readers;
	db->idle_readers = txn->connection;
	pthread_mutex_unlock(&db->lock);
	return rc;
}

static int
sqlite_begin(struct op *op, struct db *head, bool is_write, struct db_txn **ret)
{
	struct sqlite_db *db = (struct sqlite_db *)head;
	struct sqlite_txn *txn = op_alloc(op, sizeof(*txn));
	int rc;

	txn->head.db = head;
	txn->head.is_write = is_write;
	rc = is_write ? begin_write(op, db, txn) : begin_read(op, db, txn);
	*ret = &txn->head;
	return rc;
}

static int
sqlite_end(struct op *op, struct db_txn *head, int rc)
{
	struct sqlite_txn *txn = (struct sqlite_txn *)head;
	struct sqlite_db *db = (struct sqlite_db *)head->db;

	/* A body that failed half way may have left statements open; they would keep the savepoint from ending. */
	if (head->open_rows)
		sqlite_reset_all(txn->connection);
	return head->is_write ? end_write(op, db, txn, rc) : end_read(db, txn, rc);
}

static void
sqlite_end_later(struct op *op, struct db_txn *head, struct db_ride *ride)
{
	struct sqlite_txn *txn = (struct sqlite_txn *)head;

	(void)op;
	sem_destroy(&txn->rider.done);
	txn->rider.ride = ride;
	go_aboard((struct sqlite_db *)head->db, txn, 0);
}

static bool
sqlite_is_broken(struct db *head)
{
	struct sqlite_db *db = (struct sqlite_db *)head;
	bool is_broken;

	pthread_mutex_lock(&db->lock);
	is_broken = db->is_broken;
	pthread_mutex_unlock(&db->lock);
	return is_broken;
}

static bool
sqlite_is_refusing(struct db *head)
{
	return atomic_load(&((struct sqlite_db *)head)->is_refusing);
}

static bool
sqlite_is_wanted(struct db *head)
{
	struct sqlite_db *db = (struct sqlite_db *)head;
	bool is_wanted;

	pthread_mutex_lock(&db->lock);
	is_wanted = db->queued > 0;
	pthread_mutex_unlock(&db->lock);
	return is_wanted;
}

static int
sqlite_script(struct op *op, struct db_txn *head, const char *text)
{
	struct sqlite_txn *txn = (struct sqlite_txn *)head;

	if (raw(txn->connection->connection, text) != SQLITE_OK)
		return sqlite_fail(op, txn->connection->connection, "a step of the schema failed");
	return 0;
}

const struct db_engine db_engine_sqlite = {
	.name = "sqlite",
	.is_file = true,
	.open = sqlite_open,
	.open_reader = sqlite_open_reader,
	.close = sqlite_close,
	.claim = sqlite_claim,
	.is_broken = sqlite_is_broken,
	.is_refusing = sqlite_is_refusing,
	.is_wanted = sqlite_is_wanted,
	.begin = sqlite_begin,
	.end = sqlite_end,
	.end_later = sqlite_end_later,
	.exec = sqlite_exec,
	.query = sqlite_query,
	.next = sqlite_next,
	.finish = sqlite_finish,
	.value = sqlite_value,
	.script = sqlite_script,
	.copy = sqlite_copy,
	.examine = sqlite_examine,
	.check = sqlite_check,
	.type_int = "INTEGER",
	.type_text = "TEXT",
	.type_blob = "BLOB",
	.type_strict = "STRICT",
	.type_keyed = "STRICT, WITHOUT ROWID",
};
