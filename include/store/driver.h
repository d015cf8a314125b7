/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The database, whichever engine it is.  There is no begin and no commit to call: work is a body that db_run runs in
 * a transaction, and db_run returns when the outcome is durable.
 *
 *     SQL_DEFINE(user_login, "SELECT login FROM users WHERE id = $1");
 *
 *     static int body(struct op *op, void *arg)                 // re-runnable: no effect but the database
 *     {
 *             struct db_rows *rows;
 *             int rc = db_query(op, &user_login, ARGS(TEXT_(id)), &rows);
 *             while (!rc && (rc = db_next(rows)) > 0)
 *                     puts(db_text(rows, 0));
 *             return db_end(rows, rc);
 *     }
 *     rc = db_run(op, body, arg);
 *
 * Statements are constants of src/store/<table>.c in the house dialect (doc/CODING.md): $1 parameters, our own ids, times as
 * integer milliseconds, no engine's functions.  SQL_DEFINE puts each of them into a list that "keywardd -x sql" prints, so that a
 * test can prepare every one of them on PostgreSQL.
 */
#ifndef KW_STORE_DRIVER_H
#define KW_STORE_DRIVER_H

#include <stddef.h>
#include <stdint.h>
#include "base/op.h"

struct db;
struct db_rows;
/* Reads the certificate from the SSL of a connection, which is not this room's business (crypt/certificate.h has one). */
typedef int db_certificate_of(struct op *op, void *tls, char **ret_pem);

/* A statement constant; its name is unique in the program.  The linker collects them into one table. */
struct sql {
	const char *name;
	const char *text;
	bool must_change;               /* ERR_STALE when it touches no row */
} __attribute__((aligned(32)));
#define SQL_DEFINE(name, text) \
	static const struct sql name __attribute__((section("kw_sql"), used)) = { #name, text, false }
/* An UPDATE whose conditions must hold: nobody waits for its count, the transaction fails instead, at the latest at its commit. */
#define SQL_DEFINE_MUST(name, text) \
	static const struct sql name __attribute__((section("kw_sql"), used)) = { #name, text, true }

/* Calls visit for every statement constant of the program. */
void sql_each(void (*visit)(const struct sql *sql, void *arg), void *arg);

enum db_type { DB_NULL, DB_INT, DB_TEXT, DB_BLOB };

struct db_value {
	enum db_type type;
	int64_t number;
	const void *data;               /* stays the caller's until the call returns */
	size_t size;
};

struct db_value db_value_int(int64_t number);
struct db_value db_value_text(const char *text);        /* NULL becomes SQL NULL */
struct db_value db_value_blob(const void *data, size_t size);

#define INT_(x) db_value_int(x)
#define TEXT_(x) db_value_text(x)
#define BLOB_(x, n) db_value_blob((x), (n))
#define NULL_ db_value_text(NULL)
/* ARGS(TEXT_(id), INT_(now)): $1, $2.  NO_ARGS for none. */
#define ARGS(...) (const struct db_value[]){ __VA_ARGS__ }, sizeof((const struct db_value[]){ __VA_ARGS__ }) / sizeof(struct db_value)
#define NO_ARGS NULL, 0

/*
 * Opens the database named by dsn (a path: SQLite) without migrating it.  ERR_STORE with a sentence that says what and how
 * to mend it; ERR_UNKNOWN_OUTCOME never.
 */
int db_open(struct op *op, const char *dsn, struct db **ret) MUST_CHECK;
/* The same for looking only: what is not there is ERR_NOT_FOUND, nothing is made, and db_run fails.  A daemon may be at work on it. */
int db_open_reader(struct op *op, const char *dsn, struct db **ret) MUST_CHECK;
void db_close(struct db *db);
/*
 * This process alone works on the database until db_close: a daemon keeps in memory what lives, so a second one on the same file
 * would honour what the first has ended.  ERR_STORE when another holds it.
 */
int db_claim(struct op *op, struct db *db) MUST_CHECK;
/* True after a failed fsync, or when another daemon has taken over: nothing can be promised any more, the process should end. */
bool db_is_broken(struct db *db);
/* True while the disk takes no writes: it is full, or its file system is read-only.  Writes are ERR_STORE and leave nothing; reads go on. */
bool db_is_refusing(struct db *db);
/* While that is so, tries to write, so that it ends by itself when there is room again.  A job (jobs.def). */
int db_try_write(struct op *op) MUST_CHECK;
/* The smallest read that reaches the tables: 0 when the database answers.  What the watchdog asks (src/pulse.c). */
int db_pulse(struct op *op) MUST_CHECK;
/*
 * False while nobody may be answered from memory: this process is not sure that the database is still its own, or a commit is
 * neither known to have happened nor known to have failed.
 */
bool db_may_answer(struct db *db);
/*
 * Tables have grown much: an engine that plans by what it knows of them looks at them anew.  Outside of transactions.  Without it only
 * speed is lost.
 */
int db_analyze(struct op *op) MUST_CHECK;
/*
 * settled(arg) runs whenever such a commit is known at last, on any thread: what is kept in memory has to be emptied, or read again.
 * False: it has to be called again.
 */
void db_on_settled(struct db *db, bool (*settled)(void *arg), void *arg);
/*
 * An id of this process (base/uuid.h): whatever was or is written with a smaller one is visible to every db_read that begins from now
 * on, or never will be.  Not inside db_run, whose own rows are not settled.
 */
const char *db_settled(struct op *op);
/* Memory and database may differ in a way that only a new start mends: db_is_broken from now on. */
void db_give_up(struct db *db);
/* How many threads can use it at a time; 0: no opinion. */
int db_threads(const struct db *db);
/*
 * Brings the schema to this program's version; copies a SQLite file first when there is something to change.  ERR_STORE when the
 * database is not complete, or newer than this program may use (store/schema.h).
 */
int db_migrate(struct op *op, struct db *db) MUST_CHECK;
/* The schema that the database has (0: none yet), and the one that this program would make of it. */
int db_schema(struct op *op, struct db *db, int *ret_version, int *ret_wanted) MUST_CHECK;

/*
 * Runs body in a transaction, perhaps shared with others (group commit), and returns its result once that is durable.
 * A body that fails leaves nothing behind.  It may be run more than once.  Network is refused inside (assertion).
 * ERR_BUSY: not begun before the deadline.  ERR_STORE: nothing happened.  ERR_UNKNOWN_OUTCOME: a commit was lost between us and
 * the disk; the process ends soon after.
 */
int db_run(struct op *op, int (*body)(struct op *op, void *arg), void *arg) MUST_CHECK;
/* The same for reading: a snapshot on a connection of its own, never waiting for writers. */
int db_read(struct op *op, int (*body)(struct op *op, void *arg), void *arg) MUST_CHECK;
/*
 * db_run as the last act of a request: returns when the body has run, before its commit, so that no thread waits for the disk.
 * The reply, which must not depend on the outcome, is sent by whoever takes the ride: src/routes.c calls db_ride with what is to be done when
 * the outcome is known.  A body that fails has settled when its code is returned.
 */
int db_run_last(struct op *op, int (*body)(struct op *op, void *arg), void *arg) MUST_CHECK;
/*
 * db_run_last for a body that rests on nothing but the rows that it changes: its decision is one conditional UPDATE, and whoever could make
 * it wrong changes the same row.  It need not be run as if it were alone, which spares PostgreSQL from watching what it
 * reads.  The body says why that is so.
 */
int db_run_conditional(struct op *op, int (*body)(struct op *op, void *arg), void *arg) MUST_CHECK;
/* False when no commit is under way.  Else complete(op, rc, arg) is called exactly once, perhaps at once, on the thread that
 * settled the batch and after the effects of db_on_commit; it may end the op.  The caller must not touch the op any more. */
bool db_ride(struct op *op, void (*complete)(struct op *op, int rc, void *arg), void *arg);
/* Waits for a commit under way, where no reply rides; 0 when there is none. */
int db_settle(struct op *op) MUST_CHECK;
/* Inside db_run: others wait to write; work that can be cut should end this transaction soon. */
bool db_is_wanted(const struct op *op);
/* True inside db_run and db_read. */
bool db_is_inside(const struct op *op);
/*
 * To be called in a body of db_run: effect(arg) runs once, after the transaction is durable and before db_run returns, and
 * never when it failed.  For caches such as the table of live sessions.  arg belongs to the op.  No database in it.
 */
void db_on_commit(struct op *op, void (*effect)(struct op *op, void *arg), void *arg);

/*
 * Memory, zeros at first, for what a body writes in one go: write(op, memory) runs once at the end of the body, unless that failed.
 * The same memory for the same write.
 */
void *db_gather(struct op *op, int (*write)(struct op *op, void *memory), size_t size);

/* One statement without rows; *ret_changed (may be NULL, and is with SQL_DEFINE_MUST) is the number of rows it touched. */
int db_exec(struct op *op, const struct sql *sql, const struct db_value *args, size_t n, int64_t *ret_changed) MUST_CHECK;
/* One statement with rows: db_next gives 1 for a row, 0 for the end, negative for a failure, of the statement itself as well.
 * db_end always.  Several that are asked before the first is read make one journey to a server. */
int db_query(struct op *op, const struct sql *sql, const struct db_value *args, size_t n, struct db_rows **ret) MUST_CHECK;
int db_next(struct db_rows *rows) MUST_CHECK;
/* Gives the statement back; returns rc if it is negative, else 0.  NULL is fine. */
int db_end(struct db_rows *rows, int rc);

/* Columns of the current row, from 0; text and blob stay valid until the next db_next: copy with op_strdup. */
int64_t db_int(struct db_rows *rows, int column);
const char *db_text(struct db_rows *rows, int column);          /* NULL for SQL NULL */
const void *db_blob(struct db_rows *rows, int column, size_t *ret_size);
bool db_is_null(struct db_rows *rows, int column);
/* Copies into the op; NULL stays NULL. */
char *db_text_dup(struct op *op, struct db_rows *rows, int column);

/*
 * Many rows through one statement, the counted engine override: SQLite runs a prepared loop, another engine its own bulk
 * way.  fill(arg, i, values) sets the parameters of row i.  Inside db_run only.
 */
int db_put_many(struct op *op, const struct sql *sql, size_t columns, size_t rows,
    void (*fill)(void *arg, size_t row, struct db_value *values), void *arg) MUST_CHECK;

#endif
