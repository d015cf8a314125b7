/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What an engine offers to driver.c. */
#ifndef KW_STORE_DRIVER_INT_H
#define KW_STORE_DRIVER_INT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/uuid.h"
#include "store/driver.h"

/* Only between an engine and driver.c: run the whole body again. */
#define ERR_RETRY_TRANSACTION (-1000)

struct db_effect {
	struct db_effect *next;
	void (*run)(struct op *op, void *arg);
	void *arg;
};

/* What the body gathers to write at its end. */
struct db_gathering {
	struct db_gathering *next;
	int (*write)(struct op *op, void *memory);
	void *memory;
};

/* Head of every engine's transaction. */
struct db_txn {
	struct db *db;
	bool is_write;
	bool is_conditional;            /* db_run_conditional; set before its first statement */
	int open_rows;                  /* queries not yet ended */
	struct db_effect *effects;      /* newest first */
	struct db_gathering *gatherings;
};

/* Head of every engine's rows. */
struct db_rows {
	struct db_txn *txn;
	struct op *op;
};

/* What db_put_many was given. */
struct db_rows_in {
	size_t columns, rows;
	void (*fill)(void *arg, size_t row, struct db_value *values);
	void *arg;
};

struct db_findings;                     /* store/check.h */
struct db_health;

struct db_engine {
	const char *name;
	bool is_file;                   /* the DSN is the path of one file */
	/* What open would refuse by the text alone; NULL: nothing. */
	int (*check_address)(struct op *op, const char *dsn);
	int (*open)(struct op *op, const char *dsn, struct db **ret);
	/* For looking only; NULL: as open. */
	int (*open_reader)(struct op *op, const char *dsn, struct db **ret);
	void (*close)(struct db *db);
	int (*claim)(struct op *op, struct db *db);     /* NULL: several processes may share it */
	bool (*is_broken)(struct db *db);
	/* Looks at its tables anew to plan by what they hold now; NULL: plans do not depend on it. */
	int (*analyze)(struct op *op, struct db *db);
	bool (*may_answer)(struct db *db);      /* NULL: always */
	bool (*is_refusing)(struct db *db);     /* the disk takes no writes for now; NULL: not known */
	/* Finds out whether that is over; NULL: any commit does. */
	int (*try_write)(struct op *op, struct db *db);
	bool (*is_wanted)(struct db *db);       /* writers wait for the one who asks; NULL: they never do */
	int (*begin)(struct op *op, struct db *db, bool is_write, struct db_txn **ret);
	/* Commits for rc 0, else takes everything of this transaction back.  Returns rc or the failure of the commit. */
	int (*end)(struct op *op, struct db_txn *txn, int rc);
	/* As end with rc 0, but returns at once and calls db_ride_settled later; NULL when the engine cannot. */
	void (*end_later)(struct op *op, struct db_txn *txn, struct db_ride *ride);
	int (*exec)(struct op *op, struct db_txn *txn, const struct sql *sql, const struct db_value *args, size_t n, int64_t *ret_changed);
	/* The engine's own way for many rows; NULL: one by one. */
	int (*put_many)(struct op *op, struct db_txn *txn, const struct sql *sql, const struct db_rows_in *in);
	int (*query)(struct op *op, struct db_txn *txn, const struct sql *sql, const struct db_value *args, size_t n, struct db_rows **ret);
	int (*next)(struct db_rows *rows);
	void (*finish)(struct db_rows *rows);
	/* The value stays valid until next. */
	struct db_value (*value)(struct db_rows *rows, int column);
	/* Several statements without parameters: a migration. */
	int (*script)(struct op *op, struct db_txn *txn, const char *text);
	const char *own_schema;         /* tables of the engine itself, made before the first step; NULL: none */
	/* How long one db_run or db_read may take, for a request and for longer work; 0: as long as the op. */
	int short_ms, long_ms;
	int writers;                    /* how many can write side by side; 0: one */
	/* A copy of the database beside it, before migrating from version; may be NULL. */
	int (*copy)(struct op *op, struct db *db, int version);
	/* Fills what it knows of the health; may be NULL. */
	int (*examine)(struct op *op, struct db *db, db_certificate_of *certificate_of, struct db_health *ret);
	/* Adds what it finds wrong with itself; may be NULL. */
	int (*check)(struct op *op, struct db *db, struct db_findings *ret);
	/* What the tokens of schema files mean: @int @text @blob @strict @keyed. */
	const char *type_int, *type_text, *type_blob, *type_strict, *type_keyed;
};

/* A transaction that writes, from its begin until its outcome is known; the oldest first (driver_mark.c). */
struct db_mark {
	struct db_mark *next, *previous;
	char id[UUID_TEXT_BYTES];       /* smaller than every id made in it */
};

struct db_marks {
	pthread_mutex_t lock;
	struct db_mark *oldest, *newest;
	char settled[UUID_TEXT_BYTES];  /* the answer of db_settled before */
};

/* Head of every engine's database. */
struct db {
	const struct db_engine *engine;
	bool (*on_settled)(void *arg);  /* db_on_settled */
	void *on_settled_arg;
	atomic_bool must_end;           /* db_give_up */
	struct db_marks *marks;         /* of db_open until db_close */
};

/* driver_mark.c; mark belongs to the caller until the end. */
struct db_marks *db_marks_new(void);
void db_marks_free(struct db_marks *marks);
void db_mark_begin(struct op *op, struct db *db, struct db_mark *mark);
void db_mark_end(struct db *db, struct db_mark *mark);
/* One by one. */
int db_put_each(struct op *op, const struct sql *sql, const struct db_rows_in *in);

/* how (db_run, db_read) on a database that is not, or not yet, the one of op->svc. */
int db_run_on(struct op *op, struct db *db, int (*how)(struct op *, int (*)(struct op *, void *), void *),
    int (*body)(struct op *, void *), void *arg) MUST_CHECK;

/* The outcome of a transaction that was ended by end_later. */
void db_ride_settled(struct db_ride *ride, int rc);

/* Position of a statement in the list of all, and their number: for caches.  Statements made at run time (copy.c) are in no list. */
bool sql_is_listed(const struct sql *sql);
size_t sql_index(const struct sql *sql);
size_t sql_count(void);

/* src/store/schema.c, made from src/store/schema by the build. */
struct schema_step {
	int version;
	const char *name, *text;
	int oldest;                     /* programs that know less than this step cannot use the database after it */
};
extern const struct schema_step schema_steps[];
extern const size_t schema_step_count;

/* Every column that a step makes, in order. */
struct schema_column {
	int since, until;               /* step that makes it, step that removes it (0: none) */
	const char *table, *name;
	enum db_type type;
	int key;                        /* place in the primary key; 0: not in it */
	const char *refers;             /* the table that it refers to, or NULL */
};
extern const struct schema_column schema_columns[];
extern const size_t schema_column_count;

#endif
