/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The parts of the PostgreSQL driver: what a DSN may say (driver_pg_dsn.c), one connection and its deadlines (driver_pg_wire.c), the pool
 * (driver_pg_pool.c), statements (driver_pg_stmt.c), many rows (driver_pg_bulk.c), transactions (driver_pg.c), commits whose answer was lost
 * (driver_pg_outcome.c), the claim (driver_pg_lease.c), a look from outside (driver_pg_look.c), a server without room (driver_pg_room.c).
 */
#ifndef KW_STORE_DRIVER_PG_INT_H
#define KW_STORE_DRIVER_PG_INT_H

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/uuid.h"
#include "driver_int.h"

#define PG_ARGS_MAX 40
#define PG_POOL_MAX 16
#define PG_WHY_BYTES 300
#define PG_DOUBTS_MAX 64
/* Commands that travel together: BEGIN, preparations, executions, the outcome, COMMIT. */
#define PG_BATCH_MAX 32
/* A request waits this long for one transaction; with PG_GRACE_MS to find out about a lost commit it is 503 within 3 s. */
#define PG_SHORT_MS 2000
#define PG_GRACE_MS 500
/* What lets nobody through is not waited for by everybody in turn: after so many, the next requests have only a moment. */
#define PG_LATE_MAX 6
#define PG_MOMENT_MS 400
#define PG_LATE_COUNTS_MS 1000          /* after that long without another one, somebody may try again */
/* What is not a request (its deadline is far away: driver.c) has this long for one. */
#define PG_LONG_MS 60000
/* Nobody waits longer for a connection, or a stop would. */
#define PG_OPEN_MS 5000
#define PG_LOCK_MS 1500

/* What libpq is told, and how we call the place in sentences.  Never changed after it was made. */
struct pg_dsn {
	char **names, **values;
	size_t n;
	char *place;                    /* "host db1.clinic.test, database keyward": nothing secret */
};

/*
 * ERR_CONFIG with a sentence when the DSN is none, holds a password, or would send data over a network unverified.  With ret NULL the text
 * alone is looked at, and no file that it names.
 */
int pg_dsn_read(struct op *op, const char *text, struct pg_dsn *ret);
void pg_dsn_clear(struct pg_dsn *dsn);

/* Types of values, as the server numbers them (pg_type.dat). */
enum { PG_OID_BOOL = 16, PG_OID_BYTEA = 17, PG_OID_INT8 = 20, PG_OID_INT2 = 21, PG_OID_INT4 = 23, PG_OID_TEXT = 25, PG_OID_NUMERIC = 1700 };

struct pg_bulk;                         /* driver_pg_bulk.c */

/* Where a transaction begins and ends; each connection has them prepared from its start (driver_pg_wire.c). */
enum pg_step { PG_BEGIN_READ, PG_BEGIN_WRITE, PG_BEGIN_CONDITIONAL, PG_COMMIT, PG_ROLLBACK, PG_STEPS };

struct pg_connection {
	struct pg_connection *next;
	PGconn *conn;
	bool *is_prepared;              /* by sql_index, and the outcome row behind them */
	struct pg_bulk *bulks;
	bool is_draining;               /* the end of the last transaction was sent, its answer not read yet */
	bool has_lost_standby;          /* the server gave up waiting for its standby: a commit may not be on it */
};

/* ---- driver_pg_wire.c: everything until a point of the monotonic clock ---- */

/* Resolves with the system's resolver, which knows no deadline: only on threads that may hang.  NULL: why says it. */
struct pg_connection *pg_connection_open(const struct pg_dsn *dsn, int64_t until_ms, char why[static PG_WHY_BYTES]);
void pg_connection_close(struct pg_connection *c);
bool pg_is_lost(const struct pg_connection *c);
/* Closes the socket and nothing more: pg_give puts the rest away. */
void pg_lose(struct pg_connection *c);
void pg_clear(PGresult **results, size_t n);
/* Reads the answers of n commands up to the Sync that was sent behind them; false when the connection is late or lost.  ret: n results, each to be cleared. */
bool pg_collect(struct pg_connection *c, int64_t until_ms, PGresult **ret, size_t n);
/* A command without parameters and rows, alone; false when it failed (why) or the connection was lost. */
bool pg_simple(struct pg_connection *c, int64_t until_ms, const char *text, char why[static PG_WHY_BYTES]);
/* The same with text parameters, outside a transaction; NULL when it failed, and the connection is lost when nothing was answered. */
PGresult *pg_ask(struct pg_connection *c, int64_t until_ms, const char *text, const char *const *args, int n, char why[static PG_WHY_BYTES]);
bool pg_send_step(struct pg_connection *c, enum pg_step step);
/* The text of PG_BEGIN_WRITE with its semicolon. */
extern const char pg_begin_write[];
/* Sends ROLLBACK, without waiting. */
bool pg_send_rollback(struct pg_connection *c);
/* Reads what pg_send_rollback left open. */
bool pg_drain(struct pg_connection *c, int64_t until_ms);
/* Leaves out the pipeline, for COPY and scripts; and goes back into it. */
bool pg_leave_pipeline(struct pg_connection *c);
bool pg_wait(struct pg_connection *c, int64_t until_ms);
/* Until everything was sent. */
bool pg_wait_sent(struct pg_connection *c, int64_t until_ms);

/* ---- driver_pg_pool.c ---- */

struct pg_db {
	struct db head;
	struct pg_dsn dsn;
	pthread_mutex_t lock;
	pthread_cond_t changed;         /* CLOCK_MONOTONIC */
	struct pg_connection *idle;
	int n_open, n_opening, n_waiting;
	uint64_t failures;              /* tries to connect that failed */
	int64_t retry_at_ms;            /* monotonic: not earlier */
	char why[PG_WHY_BYTES];         /* of the last failure */
	char session[40];               /* our connections' application_name */
	bool is_closing;
	pthread_cond_t tick;            /* for the keeper: is_closing */

	atomic_int n_late;              /* transactions that had to give up waiting since the last commit */
	_Atomic int64_t late_ms;        /* monotonic: when the last of them did */

	/* the claim; epoch 0: none */
	_Atomic int64_t epoch, held_until_ms;   /* monotonic */
	atomic_bool is_broken;
	atomic_bool is_refusing;        /* the last try found no room, or a read-only server */
	/* commits whose outcome could not be found out in time; under lock but for the count */
	char doubts[PG_DOUBTS_MAX][UUID_TEXT_BYTES];
	atomic_int n_doubts;
	int refs;                       /* the owner and the threads that open connections; the last one frees */
};

struct pg_db *pg_db_new(const struct pg_dsn *dsn);
/* For the owner and each thread of the driver; the last one out frees. */
void pg_db_unref(struct pg_db *db);
/* Until every thread of the driver has ended, or until_ms (monotonic): the system's resolver may keep one. */
void pg_db_wait_alone(struct pg_db *db, int64_t until_ms);
/* A connection at rest.  ERR_BUSY: all are in use; ERR_STORE: none can be had. */
int pg_take(struct op *op, struct pg_db *db, int64_t until_ms, struct pg_connection **ret);
/* Back to the pool, or closed when it is lost. */
void pg_give(struct pg_db *db, struct pg_connection *c);

/* ---- transactions ---- */

struct pg_rows {
	struct db_rows head;
	struct pg_rows *next;           /* of the same transaction, not finished */
	PGresult *result;               /* NULL: not read yet */
	int row;
};

/* A command whose answer has not been read yet. */
struct pg_sent {
	const struct sql *sql;          /* that it belongs to */
	struct pg_rows *rows;           /* that its answer is for; NULL: nobody's */
	bool is_preparation;
};

struct pg_txn {
	struct db_txn head;
	struct pg_connection *connection;
	struct pg_rows *rows;
	int64_t until_ms;               /* monotonic */
	struct pg_sent sent[PG_BATCH_MAX];
	size_t n_sent;
	bool is_begun;                  /* BEGIN travels with the first statement */
	bool is_failed;                 /* the server only takes a ROLLBACK now */
	int retry;                      /* the failure of the whole transaction, whatever the body makes of it; 0: none */
};

/* The failure that a result stands for; NULL: the connection is late or lost. */
void pg_note_late(struct pg_db *db);
int pg_fail(struct op *op, struct pg_txn *txn, const PGresult *result, const char *what);

/* Reads the answers of all that was sent; ret_last (may be NULL): that of the last one, to be cleared. */
int pg_flush(struct op *op, struct pg_txn *txn, PGresult **ret_last);
/* Remembers which preparations of the sent ones the server has; how many of n answers are good, up to the first that is not. */
size_t pg_note_answers(struct pg_txn *txn, PGresult *const *results, size_t n);
int pg_exec(struct op *op, struct db_txn *txn, const struct sql *sql, const struct db_value *args, size_t n, int64_t *ret_changed);
int pg_query(struct op *op, struct db_txn *txn, const struct sql *sql, const struct db_value *args, size_t n, struct db_rows **ret);
int pg_put_many(struct op *op, struct db_txn *txn, const struct sql *sql, const struct db_rows_in *in);
void pg_bulk_free(struct pg_bulk *bulk);
int pg_next(struct db_rows *rows);
void pg_finish(struct db_rows *rows);
struct db_value pg_value(struct db_rows *rows, int column);
int pg_script(struct op *op, struct db_txn *txn, const char *text);

int pg_examine(struct op *op, struct db *db, db_certificate_of *certificate_of, struct db_health *ret);

int pg_check(struct op *op, struct db *db, struct db_findings *ret);

/* ---- driver_pg_outcome.c ---- */

/* Sends the outcome row and COMMIT, waits.  ERR_RETRY_TRANSACTION: nothing happened, and it may go well the next time. */
int pg_commit(struct op *op, struct pg_txn *txn);

/* From now on answers from memory are refused until somebody has found out; false when there is no room to note it. */
bool pg_doubt_note(struct pg_db *db, const char *id);
/* Tries to find out about each; c is the keeper's. */
void pg_doubts_settle(struct pg_db *db, struct pg_connection *c);

/* Forgets outcomes that nobody can ask for any more. */
void pg_outcomes_tidy(struct pg_db *db, struct pg_connection *c);

/* ---- driver_pg_room.c ---- */

/* code: what a statement failed with (SQLSTATE).  Why the server takes no writes at all; NULL: it does. */
const char *pg_refusal(const char *code);
void pg_note_refusal(struct pg_db *db, const char *code);
bool pg_is_refusing(struct db *db);
/* 0 when there is room again. */
int pg_try_write(struct op *op, struct db *db);

/* ---- driver_pg_lease.c ---- */

/* One statement by itself on a connection of the pool; *ret is to be cleared. */
int pg_ask_alone(struct op *op, struct pg_db *db, const char *text, const char *const *args, int n, PGresult **ret);
int pg_claim(struct op *op, struct db *db);
void pg_release(struct op *op, struct pg_db *db);
bool pg_is_held(struct pg_db *db);
/* Another daemon's epoch is in the database. */
int pg_lease_lost(struct op *op, struct pg_db *db);
extern const char pg_own_schema[];

extern const struct db_engine db_engine_pg;

#endif
