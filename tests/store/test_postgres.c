/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What only a server of its own can do to us: other sessions' locks, conflicts, ended connections, a second daemon; and addresses that
 * are refused.  Needs KEYWARD_TEST_POSTGRES (tests/store/postgres.sh); what needs no server runs without it, too.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>

#include "base/text.h"
#include "base/time.h"
#include "store.h"

SQL_DEFINE(pg_put, "INSERT INTO settings (name, value) VALUES ($1, $2)");
SQL_DEFINE(pg_set, "UPDATE settings SET value = $2 WHERE name = $1");
SQL_DEFINE(pg_sum, "SELECT COALESCE(SUM(CAST(value AS BIGINT)), 0) FROM settings WHERE name >= $1");
SQL_DEFINE(pg_slow, "SELECT pg_sleep(CAST($1 AS BIGINT))");
SQL_DEFINE(pg_epoch_raise, "UPDATE engine_lease SET epoch = epoch + 1");
SQL_DEFINE(pg_order, "SELECT name FROM settings WHERE name >= $1 ORDER BY name");

static bool
has_server(void)
{
	return getenv("KEYWARD_TEST_POSTGRES");
}

static void
setup(void)
{
	if (!has_server())
		cr_skip("no server: tests/store/postgres.sh starts one");
	store_setup();
}

static void
teardown(void)
{
	if (has_server())
		store_teardown();
}

TestSuite(pg, .init = setup, .fini = teardown);

/* Runs a statement as the superuser, behind the driver's back. */
static void
psql(const char *text)
{
	char words[900];

	snprintf(words, sizeof(words), "sql %s -d t_%ld -c \"%s\"", getenv("KEYWARD_TEST_POSTGRES"), (long)getpid(), text);
	store_postgres(words);
}

Test(pg, who_may_not_create_is_told_whose_the_database_should_be)
{
	struct op *op = store_op();
	struct db *db;

	psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION postgres; GRANT USAGE ON SCHEMA public TO keyward");
	cr_assert_eq(db_open(op, store_dsn, &db), 0, "%s", op_failure(op));
	cr_expect_eq(db_migrate(op, db), ERR_STORE);
	cr_expect(strstr(op_failure(op), "ALTER SCHEMA public OWNER TO"), "%s", op_failure(op));
	db_close(db);
	op_end(op);
}

/* Whether anybody gets into the database of this test. */
static void
let_in(const char *yes)
{
	char words[300];

	snprintf(words, sizeof(words), "sql %s -d postgres -c 'ALTER DATABASE t_%ld ALLOW_CONNECTIONS %s'", getenv("KEYWARD_TEST_POSTGRES"),
	    (long)getpid(), yes);
	store_postgres(words);
}

/* ---- addresses ---- */

static void
refuses(const char *dsn, const char *word)
{
	struct op *op = store_op();
	struct db *db;

	op->deadline_ms = time_monotonic_ms() + 300;
	cr_expect_eq(db_open(op, dsn, &db), ERR_CONFIG, "%s: %s", dsn, op_failure(op));
	cr_expect(strstr(op_failure(op), word), "%s: %s", dsn, op_failure(op));
	cr_expect_null(strstr(op_failure(op), "Tr0ub4dor"), "%s", op_failure(op));
	op_end(op);
}

Test(pg_address, a_password_in_the_address_is_refused_and_not_repeated)
{
	refuses("postgresql://keyward:Tr0ub4dor@127.0.0.1/keyward", "password=@/path");
	refuses("host=127.0.0.1 dbname=keyward password=Tr0ub4dor", "password=@/path");
	refuses("host=127.0.0.1 dbname=keyward password='Tr0ub4dor", "cannot be read");
	refuses("host=127.0.0.1 dbname=keyward password=@/nowhere/at/all", "/nowhere/at/all");
}

Test(pg_address, another_machine_is_only_spoken_to_with_a_checked_name)
{
	static const char *const weak[] = { "disable", "allow", "prefer", "require", "verify-ca" };
	char dsn[200];

	for (size_t i = 0; i < countof(weak); i++) {
		snprintf(dsn, sizeof(dsn), "host=db.clinic.test dbname=keyward sslmode=%s", weak[i]);
		refuses(dsn, "does not check which one answers");
		/* one host of several is enough; an address decides, not the name beside it */
		snprintf(dsn, sizeof(dsn), "host=127.0.0.1,db.clinic.test dbname=keyward sslmode=%s", weak[i]);
		refuses(dsn, "does not check which one answers");
		snprintf(dsn, sizeof(dsn), "host=localhost hostaddr=192.0.2.1 dbname=keyward sslmode=%s", weak[i]);
		refuses(dsn, "does not check which one answers");
		snprintf(dsn, sizeof(dsn), "host=127.0.0.1.clinic.test dbname=keyward sslmode=%s", weak[i]);
		refuses(dsn, "does not check which one answers");
	}
}

Test(pg_address, what_comes_from_elsewhere_is_refused)
{
	refuses("postgresql:///keyward", "names no host");
	refuses("host=127.0.0.1", "names no database");
	refuses("host=127.0.0.1 dbname=keyward service=clinic", "service has no place");
	refuses("host=127.0.0.1 dbname=keyward options='-c synchronous_commit=off'", "options has no place");
	refuses("host=127.0.0.1 dbname=keyward passfile=/tmp/x", "passfile has no place");
}

Test(pg_address, who_does_not_listen_is_named_in_time)
{
	struct op *op = store_op();
	int64_t began = time_monotonic_ms();
	struct db *db;

	op->deadline_ms = began + 1000;
	cr_assert_eq(db_open(op, "host=127.0.0.1 port=1 dbname=keyward", &db), ERR_STORE);
	cr_assert(strstr(op_failure(op), "127.0.0.1"), "%s", op_failure(op));
	cr_assert_lt(time_monotonic_ms() - began, 20000, "it hangs");
	op_end(op);
}

/* ---- isolation ---- */

struct skew {
	const char *mine;
	atomic_int *inside;
	int tries, rc;
};

/* Writes what the others have not, having looked at all: only one order of the two is possible. */
static int
skew_body(struct op *op, void *arg)
{
	struct skew *skew = arg;
	struct db_rows *rows;
	int64_t sum = 0;
	int rc = db_query(op, &pg_sum, ARGS(TEXT_("skew")), &rows);

	if (!rc && (rc = db_next(rows)) > 0)
		sum = db_int(rows, 0);
	rc = db_end(rows, rc);
	/* the first try waits until both have looked */
	if (!rc && !skew->tries++)
		for (atomic_fetch_add(skew->inside, 1); atomic_load(skew->inside) < 2;)
			usleep(1000);
	if (!rc && sum)
		return op_fail(op, ERR_CONFLICT, "somebody was quicker");
	return rc ? rc : db_exec(op, &pg_put, ARGS(TEXT_(skew->mine), TEXT_("1")), NULL);
}

static void *
skew_thread(void *arg)
{
	struct op *op = store_op();

	((struct skew *)arg)->rc = db_run(op, skew_body, arg);
	op_end(op);
	return NULL;
}

Test(pg, two_that_looked_before_they_wrote_are_not_both_right)
{
	atomic_int inside = 0;
	struct skew a = { "skew a", &inside, 0, 0 }, b = { "skew b", &inside, 0, 0 };
	pthread_t threads[2];

	pthread_create(&threads[0], NULL, skew_thread, &a);
	pthread_create(&threads[1], NULL, skew_thread, &b);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	cr_assert_eq(a.rc + b.rc, ERR_CONFLICT, "%d %d", a.rc, b.rc);
	/* more often when the winner's commit was still on its way at the second try */
	cr_assert_geq(a.tries + b.tries, 3, "the loser ran again: %d %d", a.tries, b.tries);
}

static int
order_body(struct op *op, void *arg)
{
	static const char *const names[] = { "n-b", "n-B", "n-a", "n-A", "n-\xc3\xa4", "nB" };
	struct buf *out = arg;
	struct db_rows *rows;
	int rc = 0;

	for (size_t i = 0; i < countof(names) && !rc; i++)
		rc = db_exec(op, &pg_put, ARGS(TEXT_(names[i]), TEXT_("")), NULL);
	if (!rc)
		rc = db_query(op, &pg_order, ARGS(TEXT_("n")), &rows);
	while (!rc && (rc = db_next(rows)) > 0) {
		buf_printf(out, "%s ", db_text(rows, 0));
		rc = 0;
	}
	return db_end(rows, rc);
}

Test(pg, text_is_ordered_byte_by_byte)
{
	struct op *op = store_op();
	struct buf out = buf_in(op->mem);

	cr_assert_eq(db_run(op, order_body, &out), 0, "%s", op_failure(op));
	cr_assert_str_eq(out.text, "n-A n-B n-a n-b n-\xc3\xa4 nB ");
	op_end(op);
}

/* ---- many rows ---- */

SQL_DEFINE(pg_stages, "SELECT COUNT(*) FROM pg_class WHERE relname >= 'kw_stage_' AND relname < 'kw_stage`' AND relkind = 'r'");

static void
fill_setting(void *arg, size_t row, struct db_value *v)
{
	v[0] = TEXT_(((char (*)[16])arg)[row]);
	v[1] = TEXT_("1");
}

static int
bulk_body(struct op *op, void *arg)
{
	struct db_rows *rows;
	int rc = db_put_many(op, &pg_put, 2, 20, fill_setting, arg);

	if (!rc)
		rc = db_query(op, &pg_stages, NO_ARGS, &rows);
	if (!rc && (rc = db_next(rows)) > 0)
		rc = db_int(rows, 0) == 1 ? 0 : ERR_INTERNAL;
	return db_end(rows, rc);
}

Test(pg, many_rows_travel_by_copy)
{
	struct op *op = store_op();
	char names[20][16];

	for (size_t i = 0; i < countof(names); i++)
		snprintf(names[i], sizeof(names[i]), "bulk %zu", i);
	cr_assert_eq(db_run(op, bulk_body, names), 0, "%s", op_failure(op));
	op_end(op);
}

/* ---- faults ---- */

static int
put_body(struct op *op, void *arg)
{
	return db_exec(op, &pg_put, ARGS(TEXT_(arg), TEXT_("1")), NULL);
}

static int
set_body(struct op *op, void *arg)
{
	return db_exec(op, &pg_set, ARGS(TEXT_(arg), TEXT_("2")), NULL);
}

static int
put(struct op *op, const char *name)
{
	return db_run(op, put_body, op_strdup(op, name));
}

static int
set(struct op *op, const char *name)
{
	return db_run(op, set_body, op_strdup(op, name));
}

struct slow {
	int sec;
	bool is_read;                   /* the body waits for the answer itself; else the commit does */
};

static int
slow_body(struct op *op, void *arg)
{
	const struct slow *slow = arg;
	struct db_rows *rows = NULL;
	int rc = db_query(op, &pg_slow, ARGS(INT_(slow->sec)), &rows);

	if (!rc && slow->is_read)
		rc = db_next(rows);
	return db_end(rows, rc);
}

/* Had it been waited for, it would have gone well. */
Test(pg, a_long_statement_costs_its_own_deadline)
{
	struct op *op = op_begin(&svc, NULL);
	int64_t began = time_monotonic_ms();

	cr_assert_eq(db_run(op, slow_body, &(struct slow){ 60, true }), ERR_STORE, "%s", op_failure(op));
	cr_assert_lt(time_monotonic_ms() - began, 30000, "the request has a deadline of 2 s in the database");
	op_end(op);
	op = store_op();
	cr_assert_eq(put(op, "after"), 0, "%s", op_failure(op));
	op_end(op);
}

/* The commit stands behind the statement: it is looked up, and has not happened; half a second later nobody asks any more. */
Test(pg, a_commit_behind_a_long_statement_costs_its_deadline)
{
	struct op *op = op_begin(&svc, NULL);
	int64_t began = time_monotonic_ms();
	int rc = db_run(op, slow_body, &(struct slow){ 60, false });

	cr_assert_lt(time_monotonic_ms() - began, 30000);
	if (rc != ERR_STORE) {
		cr_assert_eq(rc, ERR_UNKNOWN_OUTCOME, "%d: %s", rc, op_failure(op));
		cr_assert_geq(time_monotonic_ms() - began, 2500, "there was time to look it up");
	}
	cr_assert_eq(db_may_answer(svc.db), rc == ERR_STORE, "what is in doubt keeps the memory from being believed, and nothing else does");
	op_end(op);
	op = store_op();
	cr_assert_eq(put(op, "after"), 0, "%s", op_failure(op));
	op_end(op);
}

struct lock {
	struct db *db;                  /* another pool: another program, as far as the server knows */
	atomic_bool is_held, may_end;
	pthread_t thread;
	int rc;
};

static int
lock_body(struct op *op, void *arg)
{
	struct lock *lock = arg;
	int64_t changed;
	int rc = db_exec(op, &pg_set, ARGS(TEXT_("row"), TEXT_("9")), &changed);

	atomic_store(&lock->is_held, !rc);
	while (!rc && !atomic_load(&lock->may_end))
		usleep(1000);
	return rc ? rc : ERR_FORBIDDEN;
}

static void *
locker(void *arg)
{
	struct lock *lock = arg;
	struct services other = { .db = lock->db };
	struct op *op = op_begin(&other, NULL);

	op->deadline_ms = time_monotonic_ms() + 180000;
	lock->rc = db_run(op, lock_body, lock);
	op_end(op);
	return NULL;
}

/* The code of a request that wants the row. */
static int
want_row(void)
{
	struct op *op = op_begin(&svc, NULL);
	int64_t began = time_monotonic_ms();
	int rc = set(op, "row");

	cr_expect_lt(time_monotonic_ms() - began, 30000, "it waits for the row for ever");
	/* the server tells after 1.5 s; who has not heard of it after 2 s asks no longer */
	cr_expect(rc == ERR_BUSY || (rc == ERR_STORE && time_monotonic_ms() - began >= 2000), "%d: %s", rc, op_failure(op));
	op_end(op);
	return rc;
}

Test(pg, a_row_that_another_session_holds_costs_its_deadline)
{
	struct op *op = store_op();
	struct lock lock = { .may_end = false };
	int rc = 0;

	cr_assert_eq(put(op, "row"), 0, "%s", op_failure(op));
	cr_assert_eq(db_open(op, store_dsn, &lock.db), 0, "%s", op_failure(op));
	pthread_create(&lock.thread, NULL, locker, &lock);
	while (!atomic_load(&lock.is_held) && op_left_ms(op))
		usleep(1000);
	/* a machine that stands still at the wrong moment costs one asking */
	for (int i = 0; i < 5 && rc != ERR_BUSY; i++)
		rc = want_row();
	cr_expect_eq(rc, ERR_BUSY, "nobody was told that the row is held");
	cr_expect_eq(put(op, "another row"), 0, "%s", op_failure(op));
	atomic_store(&lock.may_end, true);
	pthread_join(lock.thread, NULL);
	cr_expect_eq(lock.rc, ERR_FORBIDDEN);
	cr_assert_eq(set(op, "row"), 0, "%s", op_failure(op));
	db_close(lock.db);
	op_end(op);
}

/* Ends every session of ours. */
static void
end_all(void)
{
	char words[500];

	snprintf(words, sizeof(words), "sql %s -d postgres -c \"SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
	    " WHERE application_name LIKE 'keyward-%%' AND datname = 't_%ld'\"", getenv("KEYWARD_TEST_POSTGRES"), (long)getpid());
	store_postgres(words);
}

struct ended {
	int runs, times;
};

static int
ended_body(struct op *op, void *arg)
{
	struct ended *ended = arg;
	int rc = db_exec(op, &pg_put, ARGS(TEXT_(op_printf(op, "ended %d", ended->times)), TEXT_("1")), NULL);

	if (!rc && ended->runs++ < ended->times)
		end_all();
	return rc;
}

Test(pg, an_ended_connection_before_the_commit_means_once_more)
{
	struct op *op = store_op();
	struct ended ended = { 0, 2 };

	cr_assert_eq(db_run(op, ended_body, &ended), 0, "%s", op_failure(op));
	cr_assert_eq(ended.runs, 3);
	op_end(op);
}

Test(pg, idle_connections_that_were_ended_are_not_met)
{
	struct op *op = store_op();

	cr_assert_eq(put(op, "a"), 0);
	end_all();
	cr_assert_eq(put(op, "b"), 0, "%s", op_failure(op));
	op_end(op);
}

static int
swallow_body(struct op *op, void *arg)
{
	(void)arg;
	if (db_exec(op, &pg_put, ARGS(TEXT_("twice"), TEXT_("1")), NULL) || db_exec(op, &pg_put, ARGS(TEXT_("twice"), TEXT_("1")), NULL))
		op_forgive(op);
	return 0;
}

Test(pg, a_body_that_overlooks_a_failure_is_not_acknowledged)
{
	struct op *op = store_op();

	cr_assert_lt(db_run(op, swallow_body, NULL), 0);
	op_forgive(op);
	cr_assert_eq(put(op, "twice"), 0, "nothing of it is there");
	op_end(op);
}

/* ---- the claim ---- */

Test(pg, a_second_daemon_is_told_who_has_it)
{
	struct op *op = store_op();
	struct db *other;

	cr_assert_eq(db_claim(op, svc.db), 0, "%s", op_failure(op));
	cr_assert_eq(db_open(op, store_dsn, &other), 0);
	cr_assert_eq(db_claim(op, other), ERR_STORE);
	cr_assert(strstr(op_failure(op), op_printf(op, "process %ld", (long)getpid())), "%s", op_failure(op));
	op_forgive(op);
	cr_assert_eq(put(op, "still"), 0, "%s", op_failure(op));
	db_close(other);
	op_end(op);
}

/* The row of the claim changes while somebody asks for it: that is no failure of the database. */
static void *
renew_always(void *arg)
{
	atomic_bool *is_over = arg;

	while (!atomic_load(is_over))
		psql("DO 'BEGIN FOR i IN 1..60000 LOOP UPDATE engine_lease SET until_ms = until_ms; COMMIT; END LOOP; END'");
	return NULL;
}

Test(pg, a_claim_that_is_being_renewed_is_told_as_one)
{
	struct op *op = store_op();
	atomic_bool is_over = false;
	pthread_t renewing;
	struct db *other;

	cr_assert_eq(db_claim(op, svc.db), 0, "%s", op_failure(op));
	cr_assert_eq(db_open(op, store_dsn, &other), 0);
	cr_assert_eq(pthread_create(&renewing, NULL, renew_always, &is_over), 0);
	/* it has begun */
	psql("DO 'BEGIN WHILE NOT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE ''%engine_lease SET until_ms = until_ms;%''"
	    " AND pid <> pg_backend_pid() AND datname = current_database()) LOOP PERFORM pg_sleep(0.02); PERFORM pg_stat_clear_snapshot();"
	    " END LOOP; END'");
	cr_expect_eq(db_claim(op, other), ERR_STORE);
	atomic_store(&is_over, true);
	pthread_join(renewing, NULL);
	cr_expect(strstr(op_failure(op), op_printf(op, "process %ld", (long)getpid())), "%s", op_failure(op));
	db_close(other);
	op_end(op);
}

/* A daemon that takes the claim and dies without a word. */
static void
die_claimed(void)
{
	pid_t child = fork();

	if (!child) {
		struct op *op = store_op();
		struct db *db;

		_exit(db_open(op, store_dsn, &db) || db_claim(op, db) ? 1 : 0);
	}
	int status;

	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
}

Test(pg, the_claim_of_a_dead_process_is_free_at_once)
{
	struct op *op = store_op();

	die_claimed();
	/* who waits for its end waits longer than this asking may take */
	psql("UPDATE engine_lease SET until_ms = until_ms + 3600000");
	cr_assert_eq(db_claim(op, svc.db), 0, "%s", op_failure(op));
	op_end(op);
}

Test(pg, the_claim_of_a_stranger_is_waited_for)
{
	struct op *op = store_op();

	die_claimed();
	/* the same, seen from another machine: nobody can know whether that process lives */
	psql("UPDATE engine_lease SET mark = 'elsewhere 1'");
	cr_assert_eq(db_claim(op, svc.db), 0, "%s", op_failure(op));
	cr_assert_eq(put(op, "mine"), 0);
	op_end(op);
}

static int
raise_body(struct op *op, void *arg)
{
	(void)arg;
	return db_exec(op, &pg_epoch_raise, NO_ARGS, NULL);
}

Test(pg, what_the_daemon_before_writes_late_is_refused)
{
	struct op *op = store_op();
	struct db *mine = svc.db, *other;

	cr_assert_eq(db_claim(op, mine), 0, "%s", op_failure(op));
	cr_assert_eq(put(op, "before"), 0);
	cr_assert_eq(db_open(op, store_dsn, &other), 0);
	svc.db = other;
	cr_assert_eq(db_run(op, raise_body, NULL), 0, "%s", op_failure(op));
	svc.db = mine;
	cr_assert_eq(put(op, "late"), ERR_STORE);
	cr_assert(db_is_broken(mine));
	cr_assert_not(db_may_answer(mine));
	op_forgive(op);
	svc.db = other;
	cr_assert_eq(put(op, "late"), 0, "nothing of it is there: %s", op_failure(op));
	svc.db = mine;
	db_close(other);
	op_end(op);
}

Test(pg, taking_over_ends_what_the_daemon_before_began)
{
	struct op *op = store_op();
	struct db *mine = svc.db, *other;

	cr_assert_eq(db_claim(op, mine), 0, "%s", op_failure(op));
	psql("UPDATE engine_lease SET until_ms = 0, epoch = epoch + 1");
	cr_assert_eq(db_open(op, store_dsn, &other), 0);
	cr_assert_eq(db_claim(op, other), 0, "%s", op_failure(op));
	cr_assert_eq(put(op, "late"), ERR_STORE, "%s", op_failure(op));
	cr_assert(db_is_broken(mine));
	svc.db = other;
	db_close(mine);
	op_end(op);
}

Test(pg, a_claim_that_cannot_be_renewed_is_not_trusted)
{
	struct op *op = store_op();
	int64_t until_ms = time_monotonic_ms() + 60000;

	cr_assert_eq(db_claim(op, svc.db), 0, "%s", op_failure(op));
	cr_assert(db_may_answer(svc.db));
	/* nobody gets in any more, and who is in goes */
	let_in("false");
	while (db_may_answer(svc.db) && time_monotonic_ms() < until_ms) {
		/* more than once: one may just have been coming in */
		end_all();
		usleep(500000);
	}
	cr_assert_not(db_may_answer(svc.db), "the deadline is our own");
	cr_assert_not(db_is_broken(svc.db), "nobody else has it");
	let_in("true");
	until_ms = time_monotonic_ms() + 60000;
	while (!db_may_answer(svc.db) && time_monotonic_ms() < until_ms)
		usleep(100000);
	cr_assert(db_may_answer(svc.db), "it comes back by itself");
	cr_assert_eq(put(op, "again"), 0, "%s", op_failure(op));
	op_end(op);
}
