/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What all engines share: the list of statements, db_run with its retries and effects, values.  Read db_run first.
 */
#include "store/driver.h"

#include <assert.h>
#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/metric.h"
#include "base/text.h"
#include "base/time.h"
#include "store/check.h"
#include "store/driver_int.h"
#include "store/schema.h"

#define TRIES_MAX 20
#define LONG_OP_MS 30000                /* work with more time than this is no request */

SQL_DEFINE(try_write,
    "INSERT INTO schema_marks (name, value) VALUES ('tried', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value");

enum run_kind { RUN_READ, RUN_WRITE, RUN_LAST, RUN_CONDITIONAL };

#define DRIVER(name, start, text) extern const struct db_engine db_engine_##name;
#include "tables/drivers.def"
#undef DRIVER

static const struct {
	const struct db_engine *engine;
	const char *start;
} drivers[] = {
#define DRIVER(name, start, text) { &db_engine_##name, start },
#include "tables/drivers.def"
#undef DRIVER
};

/* Bounds of the section that SQL_DEFINE fills; the linker makes them. */
extern const struct sql __start_kw_sql[] __attribute__((weak));
extern const struct sql __stop_kw_sql[] __attribute__((weak));

size_t
sql_count(void)
{
	return (size_t)(__stop_kw_sql - __start_kw_sql);
}

bool
sql_is_listed(const struct sql *sql)
{
	return sql >= __start_kw_sql && sql < __stop_kw_sql;
}

size_t
sql_index(const struct sql *sql)
{
	assert(sql_is_listed(sql));
	return (size_t)(sql - __start_kw_sql);
}

void
sql_each(void (*visit)(const struct sql *sql, void *arg), void *arg)
{
	for (size_t i = 0; i < sql_count(); i++)
		visit(&__start_kw_sql[i], arg);
}

static const struct db_engine *
engine_of(const char *dsn)
{
	for (size_t i = 0; i < countof(drivers); i++)
		if (text_starts_with(dsn, drivers[i].start))
			return drivers[i].engine;
	return NULL;
}

const char *
db_file(const char *dsn)
{
	const struct db_engine *engine = engine_of(dsn);

	return engine && engine->is_file ? dsn : NULL;
}

int
db_check_config(struct op *op, const struct config *config, struct problems *problems)
{
	const struct db_engine *engine = engine_of(config->database);
	int rc = engine && engine->check_address ? engine->check_address(op, config->database) : 0;

	if (rc)
		config_blame(config, "database", problems, op_failure(op));
	return rc;
}

static int
opened(int rc, struct db **db)
{
	if (!rc)
		(*db)->marks = db_marks_new();
	return rc;
}

int
db_open(struct op *op, const char *dsn, struct db **ret)
{
	const struct db_engine *engine = engine_of(dsn);

	return engine ? opened(engine->open(op, dsn, ret), ret) : op_fail(op, ERR_CONFIG, "no storage engine for this database");
}

int
db_open_reader(struct op *op, const char *dsn, struct db **ret)
{
	const struct db_engine *engine = engine_of(dsn);

	if (!engine)
		return op_fail(op, ERR_CONFIG, "no storage engine for this database");
	return opened(engine->open_reader ? engine->open_reader(op, dsn, ret) : engine->open(op, dsn, ret), ret);
}

int
db_examine(struct op *op, struct db *db, db_certificate_of *certificate_of, struct db_health *ret)
{
	*ret = (struct db_health){ .place = db->engine->name };
	return db->engine->examine ? db->engine->examine(op, db, certificate_of, ret) : 0;
}

void
db_close(struct db *db)
{
	struct db_marks *marks = db ? db->marks : NULL;

	if (db)
		db->engine->close(db);
	db_marks_free(marks);
}

int
db_claim(struct op *op, struct db *db)
{
	return db->engine->claim ? db->engine->claim(op, db) : 0;
}

bool
db_is_broken(struct db *db)
{
	return atomic_load(&db->must_end) || db->engine->is_broken(db);
}

int
db_analyze(struct op *op)
{
	assert(!op->txn);
	return op->svc->db->engine->analyze ? op->svc->db->engine->analyze(op, op->svc->db) : 0;
}

bool
db_may_answer(struct db *db)
{
	return !db->engine->may_answer || db->engine->may_answer(db);
}

void
db_on_settled(struct db *db, bool (*settled)(void *), void *arg)
{
	db->on_settled_arg = arg;
	db->on_settled = settled;
}

void
db_give_up(struct db *db)
{
	atomic_store(&db->must_end, true);
}

int
db_threads(const struct db *db)
{
	return db->engine->writers;
}

bool
db_is_refusing(struct db *db)
{
	return db->engine->is_refusing && db->engine->is_refusing(db);
}

static int
try_body(struct op *op, void *arg)
{
	(void)arg;
	return db_exec(op, &try_write, ARGS(TEXT_(op_printf(op, "%lld", (long long)op->now_ms))), NULL);
}

int
db_try_write(struct op *op)
{
	struct db *db = op->svc->db;

	if (db_is_refusing(db) && (db->engine->try_write ? db->engine->try_write(op, db) : db_run(op, try_body, NULL)) < 0)
		op_forgive(op);         /* it has been told once */
	return 0;
}

bool
db_is_wanted(const struct op *op)
{
	assert(op->txn && op->txn->is_write);
	return op->txn->db->engine->is_wanted && op->txn->db->engine->is_wanted(op->txn->db);
}

bool
db_is_inside(const struct op *op)
{
	return op->txn;
}

/* Oldest first, as they were asked for. */
static void
run_effects(struct op *op, struct db_effect *effect)
{
	if (!effect)
		return;
	run_effects(op, effect->next);
	effect->run(op, effect->arg);
}

/* A commit under way: it settles, and somebody takes the ride, in either order; the second of the two completes. */
struct db_ride {
	struct op *op;
	struct db_effect *effects;
	atomic_int halves;
	int rc;
	void (*complete)(struct op *op, int rc, void *arg);
	void *arg;
	struct db_mark mark;
};

static void
ride_half(struct db_ride *ride)
{
	struct op *op = ride->op;

	if (!atomic_fetch_add(&ride->halves, 1))
		return;
	op->ride = NULL;
	if (ride->rc)
		ride->rc = op_fail(op, ride->rc, ride->rc == ERR_UNKNOWN_OUTCOME ?
		    "a write could not be brought to the disk; whether it is there is unknown" : "the database could not commit");
	else
		run_effects(op, ride->effects);
	ride->complete(op, ride->rc, ride->arg);
}

void
db_ride_settled(struct db_ride *ride, int rc)
{
	ride->rc = rc;
	db_mark_end(ride->op->svc->db, &ride->mark);
	ride_half(ride);
}

bool
db_ride(struct op *op, void (*complete)(struct op *, int, void *), void *arg)
{
	struct db_ride *ride = op->ride;

	if (!ride)
		return false;
	ride->complete = complete;
	ride->arg = arg;
	ride_half(ride);
	return true;
}

struct waiting {
	sem_t done;
	int rc;
};

static void
wake(struct op *op, int rc, void *arg)
{
	struct waiting *waiting = arg;

	(void)op;
	waiting->rc = rc;
	sem_post(&waiting->done);
}

int
db_settle(struct op *op)
{
	struct waiting waiting = { .rc = 0 };

	sem_init(&waiting.done, 0, 0);
	if (db_ride(op, wake, &waiting))
		while (sem_wait(&waiting.done) < 0 && errno == EINTR)
			;
	sem_destroy(&waiting.done);
	return waiting.rc;
}

/* From the body's begin until the outcome is known, which of RUN_LAST db_ride_settled is told. */
static int
run_marked(struct op *op, struct db_txn *txn, enum run_kind kind, int (*body)(struct op *, void *), void *arg)
{
	struct db *db = op->svc->db;
	bool may_ride = (kind == RUN_LAST || kind == RUN_CONDITIONAL) && db->engine->end_later;
	struct db_ride *ride = may_ride ? op_alloc(op, sizeof(*ride)) : NULL;
	struct db_effect *effects;
	struct db_mark own, *mark = ride ? &ride->mark : &own;
	int rc;

	if (kind != RUN_READ)
		db_mark_begin(op, db, mark);
	txn->is_conditional = kind == RUN_CONDITIONAL;
	op->txn = txn;
	rc = body(op, arg);
	for (struct db_gathering *g = txn->gatherings; g && !rc; g = g->next)
		rc = g->write(op, g->memory);
	assert(rc || !txn->open_rows);
	effects = txn->effects;
	op->txn = NULL;
	if (!rc && ride) {
		ride->op = op;
		ride->effects = effects;
		op->ride = ride;
		db->engine->end_later(op, txn, ride);
		return 0;
	}
	rc = db->engine->end(op, txn, rc);
	if (kind != RUN_READ)
		db_mark_end(db, mark);
	if (!rc)
		run_effects(op, effects);
	return rc;
}

static int
run_once(struct op *op, struct db *db, enum run_kind kind, int (*body)(struct op *, void *), void *arg)
{
	struct db_txn *txn;
	int rc = db->engine->begin(op, db, kind != RUN_READ, &txn);

	return rc ? rc : run_marked(op, txn, kind, body, arg);
}

/* Those who met each other should not meet again: 1 to 2 ms, then twice that, up to 64. */
static void
back_off(struct op *op, int tries)
{
	struct timespec now;
	int64_t us = 1000ll << (tries < 6 ? tries : 6), left_us = op_left_ms(op) * 1000;

	clock_gettime(CLOCK_MONOTONIC, &now);
	us += now.tv_nsec / 1000 % us;
	usleep((useconds_t)(us < left_us ? us : left_us));
}

/* A request must not wait for a database for as long as it may wait for a directory. */
static int64_t
narrow(const struct op *op)
{
	const struct db_engine *engine = op->svc->db->engine;
	int64_t left = op_left_ms(op), limit = left > LONG_OP_MS ? engine->long_ms : engine->short_ms;

	return limit && limit < left ? time_monotonic_ms() + limit : op->deadline_ms;
}

static int
run(struct op *op, enum run_kind kind, int (*body)(struct op *, void *), void *arg)
{
	int64_t deadline_ms = op->deadline_ms;
	int tries = 0, rc;

	assert(!op->txn && !op->ride);
	op->deadline_ms = narrow(op);
	while ((rc = run_once(op, op->svc->db, kind, body, arg)) == ERR_RETRY_TRANSACTION) {
		op_forgive(op);
		metric_add(METRIC_db_retries_total, 1);
		back_off(op, tries);
		if (++tries == TRIES_MAX || !op_left_ms(op)) {
			rc = op_fail(op, ERR_BUSY, "the database asked %d times to begin again", tries);
			break;
		}
	}
	op->deadline_ms = deadline_ms;
	return rc;
}

int
db_run(struct op *op, int (*body)(struct op *, void *), void *arg)
{
	return run(op, RUN_WRITE, body, arg);
}

int
db_run_last(struct op *op, int (*body)(struct op *, void *), void *arg)
{
	return run(op, RUN_LAST, body, arg);
}

int
db_run_conditional(struct op *op, int (*body)(struct op *, void *), void *arg)
{
	return run(op, RUN_CONDITIONAL, body, arg);
}

int
db_read(struct op *op, int (*body)(struct op *, void *), void *arg)
{
	return run(op, RUN_READ, body, arg);
}

int
db_run_on(struct op *op, struct db *db, int (*how)(struct op *, int (*)(struct op *, void *), void *),
    int (*body)(struct op *, void *), void *arg)
{
	struct db *usual = op->svc->db;
	int rc;

	op->svc->db = db;
	rc = how(op, body, arg);
	op->svc->db = usual;
	return rc;
}

void
db_on_commit(struct op *op, void (*run_effect)(struct op *, void *), void *arg)
{
	struct db_effect *effect = op_alloc(op, sizeof(*effect));

	assert(op->txn && op->txn->is_write);
	*effect = (struct db_effect){ op->txn->effects, run_effect, arg };
	op->txn->effects = effect;
}

void *
db_gather(struct op *op, int (*write)(struct op *op, void *memory), size_t size)
{
	struct db_gathering *g = op->txn->gatherings;

	assert(op->txn->is_write);
	while (g && g->write != write)
		g = g->next;
	if (!g) {
		g = op_alloc(op, sizeof(*g));
		*g = (struct db_gathering){ op->txn->gatherings, write, op_alloc(op, size) };
		op->txn->gatherings = g;
	}
	return g->memory;
}

int
db_exec(struct op *op, const struct sql *sql, const struct db_value *args, size_t n, int64_t *ret_changed)
{
	assert(op->txn && op->txn->is_write);
	return op->txn->db->engine->exec(op, op->txn, sql, args, n, ret_changed);
}

int
db_query(struct op *op, const struct sql *sql, const struct db_value *args, size_t n, struct db_rows **ret)
{
	int rc;

	assert(op->txn);
	*ret = NULL;
	rc = op->txn->db->engine->query(op, op->txn, sql, args, n, ret);
	if (!rc) {
		(*ret)->txn = op->txn;
		(*ret)->op = op;
		op->txn->open_rows++;
	}
	return rc;
}

int
db_next(struct db_rows *rows)
{
	return rows->txn->db->engine->next(rows);
}

int
db_end(struct db_rows *rows, int rc)
{
	if (rows) {
		rows->txn->open_rows--;
		rows->txn->db->engine->finish(rows);
	}
	return rc < 0 ? rc : 0;
}

static struct db_value
value(struct db_rows *rows, int column)
{
	return rows->txn->db->engine->value(rows, column);
}

int64_t
db_int(struct db_rows *rows, int column)
{
	return value(rows, column).number;
}

const char *
db_text(struct db_rows *rows, int column)
{
	struct db_value v = value(rows, column);

	return v.type == DB_NULL ? NULL : v.data;
}

const void *
db_blob(struct db_rows *rows, int column, size_t *ret_size)
{
	struct db_value v = value(rows, column);

	*ret_size = v.size;
	return v.type == DB_NULL ? NULL : v.data;
}

bool
db_is_null(struct db_rows *rows, int column)
{
	return value(rows, column).type == DB_NULL;
}

char *
db_text_dup(struct op *op, struct db_rows *rows, int column)
{
	return op_strdup(op, db_text(rows, column));
}

int
db_put_each(struct op *op, const struct sql *sql, const struct db_rows_in *in)
{
	struct db_value *values = op_alloc(op, in->columns * sizeof(*values));
	int rc = 0;

	for (size_t i = 0; i < in->rows && !rc; i++) {
		in->fill(in->arg, i, values);
		rc = db_exec(op, sql, values, in->columns, NULL);
	}
	return rc;
}

int
db_put_many(struct op *op, const struct sql *sql, size_t columns, size_t rows,
    void (*fill)(void *arg, size_t row, struct db_value *values), void *arg)
{
	struct db_rows_in in = { columns, rows, fill, arg };
	const struct db_engine *engine = op->txn->db->engine;

	return engine->put_many ? engine->put_many(op, op->txn, sql, &in) : db_put_each(op, sql, &in);
}

struct db_value
db_value_int(int64_t number)
{
	return (struct db_value){ .type = DB_INT, .number = number };
}

struct db_value
db_value_text(const char *text)
{
	return (struct db_value){ .type = text ? DB_TEXT : DB_NULL, .data = text, .size = text ? strlen(text) : 0 };
}

struct db_value
db_value_blob(const void *data, size_t size)
{
	return (struct db_value){ .type = DB_BLOB, .data = data, .size = size };
}
