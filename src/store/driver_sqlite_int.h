/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The parts of the SQLite driver: transactions (driver_sqlite.c), opening and checkpoints (driver_sqlite_open.c), statements (driver_sqlite_stmt.c). */
#ifndef KW_STORE_DRIVER_SQLITE_INT_H
#define KW_STORE_DRIVER_SQLITE_INT_H

#include <pthread.h>
#include <semaphore.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "driver_int.h"

#define SQLITE_ARGS_MAX 40

struct sqlite_statement {
	sqlite3_stmt *stmt;
	bool is_taken;
	short slots[SQLITE_ARGS_MAX];   /* index of $1, $2, ... in SQLite's count; 0: not used by the text */
};

/* The frame of every transaction. */
enum sqlite_step { STEP_BEGIN_READ, STEP_BEGIN_WRITE, STEP_COMMIT, STEP_SAVEPOINT, STEP_RELEASE, STEP_COUNT };

struct sqlite_connection {
	struct sqlite_connection *next;
	sqlite3 *connection;
	struct sqlite_statement *statements;    /* by sql_index */
	struct sqlite_statement made;           /* the last one that stands in no list */
	sqlite3_stmt *steps[STEP_COUNT];
};

/* Somebody who waits for the outcome of a batch: a thread (done), or a reply that rides along (ride). */
struct sqlite_rider {
	struct sqlite_rider *next;
	struct db_ride *ride;
	sem_t done;
	int rc;
};

struct sqlite_txn {
	struct db_txn head;
	struct sqlite_connection *connection;
	struct sqlite_rider rider;
};

struct sqlite_db {
	struct db head;
	char *path;
	int claim;                      /* descriptor of the locked file beside it; -1: none */
	pthread_mutex_t lock;
	pthread_cond_t enter;           /* CLOCK_MONOTONIC */
	bool is_busy;                   /* somebody holds the writer */
	bool is_open;                   /* the shared transaction is begun; belongs to the holder of the writer */
	bool is_broken;
	atomic_bool is_refusing;        /* the last write found no room, or a read-only file system */
	bool is_read_only;              /* opened for looking only */
	bool had_wal;                   /* when it was opened so */
	int queued, n_riders;
	struct sqlite_rider *riders;
	struct sqlite_connection writer;
	struct sqlite_connection *idle_readers;

	/* checkpoints */
	pthread_t checkpointer;
	bool has_checkpointer;
	atomic_bool must_stop;
	atomic_int wal_pages;
	sem_t wake;
};

int sqlite_fail(struct op *op, sqlite3 *connection, const char *what);
int sqlite_claim(struct op *op, struct db *db);
int sqlite_open(struct op *op, const char *dsn, struct db **ret);
struct sqlite_db *sqlite_db_new(const char *path);
int sqlite_open_reader(struct op *op, const char *dsn, struct db **ret);
void sqlite_tidy(struct sqlite_db *db);
int sqlite_check(struct op *op, struct db *db, struct db_findings *ret);
int sqlite_examine(struct op *op, struct db *db, db_certificate_of *certificate_of, struct db_health *ret);
void sqlite_close(struct db *db);
int sqlite_copy(struct op *op, struct db *db, int version);
int sqlite_connection_open(struct op *op, struct sqlite_db *db, struct sqlite_connection *connection, bool is_reader);
void sqlite_connection_close(struct sqlite_connection *connection);

int sqlite_exec(struct op *op, struct db_txn *txn, const struct sql *sql, const struct db_value *args, size_t n, int64_t *ret_changed);
int sqlite_query(struct op *op, struct db_txn *txn, const struct sql *sql, const struct db_value *args, size_t n, struct db_rows **ret);
int sqlite_next(struct db_rows *rows);
void sqlite_finish(struct db_rows *rows);
struct db_value sqlite_value(struct db_rows *rows, int column);
void sqlite_reset_all(struct sqlite_connection *connection);
/* A step by its kept statement; SQLITE_OK, or why not. */
int sqlite_step(struct sqlite_connection *connection, enum sqlite_step step);


extern const struct db_engine db_engine_sqlite;

#endif
