/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What every storage engine must do.  On SQLite; with KEYWARD_TEST_POSTGRES on the throw-away server in that folder
 * (tests/store/postgres.sh starts one), each test in a database of its own.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"
#include "base/uuid.h"
#include "store.h"

SQL_DEFINE(test_put, "INSERT INTO settings (name, value) VALUES ($1, $2)");
SQL_DEFINE(test_set, "UPDATE settings SET value = $2 WHERE name = $1");
SQL_DEFINE(test_get, "SELECT value FROM settings WHERE name = $1");
SQL_DEFINE_MUST(test_must, "UPDATE settings SET value = $2 WHERE name = $1");
SQL_DEFINE(test_all, "SELECT name, value FROM settings WHERE name >= $2 AND value <> $1 ORDER BY name");

TestSuite(driver, .init = store_setup, .fini = store_teardown);

static int
increment_nothing(struct op *op, void *arg)
{
	(void)arg;
	return op->txn ? 0 : ERR_INTERNAL;
}

struct pair {
	const char *name, *value;
	int rc;
	int effects;
};

static void
count_effect(struct op *op, void *arg)
{
	cr_expect_not(db_is_inside(op));
	((struct pair *)arg)->effects++;
}

static int
put(struct op *op, void *arg)
{
	struct pair *pair = arg;
	int rc = db_exec(op, &test_put, ARGS(TEXT_(pair->name), TEXT_(pair->value)), NULL);

	db_on_commit(op, count_effect, pair);
	return rc ? rc : pair->rc;
}

static int
get(struct op *op, void *arg)
{
	struct pair *pair = arg;
	struct db_rows *rows;
	int rc = db_query(op, &test_get, ARGS(TEXT_(pair->name)), &rows);

	pair->value = NULL;
	if (!rc && (rc = db_next(rows)) > 0)
		pair->value = db_text_dup(op, rows, 0);
	return db_end(rows, rc);
}

Test(driver, what_was_acknowledged_is_there)
{
	struct op *op = store_op();
	struct pair pair = { "a", "1", 0, 0 };

	cr_assert_eq(db_run(op, put, &pair), 0);
	cr_assert_eq(pair.effects, 1);
	cr_assert_eq(db_read(op, get, &pair), 0);
	cr_assert_str_eq(pair.value, "1");
	op_end(op);
}

Test(driver, a_failed_body_leaves_nothing_and_has_no_effect)
{
	struct op *op = store_op();
	struct pair pair = { "a", "1", ERR_FORBIDDEN, 0 };

	cr_assert_eq(db_run(op, put, &pair), ERR_FORBIDDEN);
	cr_assert_eq(pair.effects, 0);
	cr_assert_eq(db_read(op, get, &pair), 0);
	cr_assert_null(pair.value);
	op_end(op);
}

Test(driver, a_constraint_is_a_conflict_and_the_next_operation_works)
{
	struct op *op = store_op();
	struct pair pair = { "a", "1", 0, 0 }, other = { "b", "2", 0, 0 };

	cr_assert_eq(db_run(op, put, &pair), 0);
	cr_assert_eq(db_run(op, put, &pair), ERR_CONFLICT);
	op_forgive(op);
	cr_assert_eq(db_run(op, put, &other), 0);
	op_end(op);
}

static int
write_in_read(struct op *op, void *arg)
{
	(void)arg;
	return op->txn ? 0 : ERR_INTERNAL;
}

static int
nested(struct op *op, void *arg)
{
	struct db_rows *outer, *inner;
	int rc = db_query(op, &test_all, ARGS(TEXT_("zz"), TEXT_("")), &outer), seen = 0;

	while (!rc && (rc = db_next(outer)) > 0) {
		int rc2 = db_query(op, &test_all, ARGS(TEXT_("1"), TEXT_("a")), &inner);

		while (!rc2 && (rc2 = db_next(inner)) > 0)
			seen++;
		rc = db_end(inner, rc2);
	}
	*(int *)arg = seen;
	return db_end(outer, rc);
}

Test(driver, one_statement_may_be_open_twice)
{
	struct op *op = store_op();
	struct pair a = { "a", "1", 0, 0 }, b = { "b", "2", 0, 0 };
	int seen = 0;

	cr_assert_eq(db_run(op, put, &a), 0);
	cr_assert_eq(db_run(op, put, &b), 0);
	cr_assert_eq(db_read(op, nested, &seen), 0);
	cr_assert_eq(seen, 2, "%d", seen);
	cr_assert_eq(db_read(op, write_in_read, NULL), 0);
	op_end(op);
}

/* ---- what a body writes in one go ---- */

struct names {
	const char *v[4];
	size_t n;
};

static int
write_names(struct op *op, void *memory)
{
	const struct names *names = memory;
	int rc = 0;

	cr_expect(db_is_inside(op));
	for (size_t i = 0; i < names->n && !rc; i++)
		rc = db_exec(op, &test_put, ARGS(TEXT_(names->v[i]), TEXT_("gathered")), NULL);
	return rc;
}

static int
gather(struct op *op, void *arg)
{
	struct pair *pair = arg;

	for (size_t i = 0; i < 2; i++) {
		struct names *names = db_gather(op, write_names, sizeof(*names));

		cr_expect_eq(names->n, i, "the same memory, zeros at first");
		names->v[names->n++] = i ? "second" : pair->name;
	}
	db_on_commit(op, count_effect, pair);
	return pair->rc;
}

Test(driver, what_a_body_gathers_is_written_with_it_or_not_at_all)
{
	struct op *op = store_op();
	struct pair fails = { "first", NULL, ERR_CONFLICT, 0 }, good = { "first", NULL, 0, 0 }, second = { "second", NULL, 0, 0 };

	cr_assert_eq(db_run(op, gather, &fails), ERR_CONFLICT);
	op_forgive(op);
	cr_assert_eq(db_read(op, get, &good), 0);
	cr_expect_null(good.value, "the body failed");
	good.name = "first";
	cr_assert_eq(db_run(op, gather, &good), 0, "%s", op_failure(op));
	cr_assert_eq(good.effects, 1);
	cr_assert_eq(db_read(op, get, &good), 0);
	cr_expect_str_eq(good.value, "gathered");
	/* the writing fails: "second" is there already */
	fails = (struct pair){ "third", NULL, 0, 0 };
	cr_expect_eq(db_run(op, gather, &fails), ERR_CONFLICT);
	cr_expect_eq(fails.effects, 0);
	op_forgive(op);
	cr_assert_eq(db_read(op, get, &fails), 0);
	cr_expect_null(fails.value);
	cr_assert_eq(db_read(op, get, &second), 0);
	cr_expect_str_eq(second.value, "gathered");
	op_end(op);
}

/* What must change, and something else behind it. */
static int
must_then_put(struct op *op, void *arg)
{
	struct pair *pair = arg;
	int rc = db_exec(op, &test_must, ARGS(TEXT_(pair->name), TEXT_(pair->value)), NULL);

	if (!rc)
		rc = db_exec(op, &test_put, ARGS(TEXT_("behind"), TEXT_(pair->value)), NULL);
	db_on_commit(op, count_effect, pair);
	return rc;
}

static const struct {
	const char *what;
	int (*run)(struct op *op, int (*body)(struct op *, void *), void *arg);
} ways[] = { { "db_run", db_run }, { "db_run_conditional", db_run_conditional } };

Test(driver, what_must_change_fails_the_transaction_when_it_does_not)
{
	for (size_t i = 0; i < countof(ways); i++) {
		struct op *op = store_op();
		struct pair missing = { "missing", "1", 0, 0 }, behind = { "behind", NULL, 0, 0 };

		cr_assert_eq(ways[i].run(op, must_then_put, &missing), ERR_STALE, "%s: %s", ways[i].what, op_failure(op));
		cr_assert_eq(db_settle(op), 0);
		cr_expect_eq(missing.effects, 0, "%s", ways[i].what);
		op_forgive(op);
		cr_assert_eq(db_read(op, get, &behind), 0, "%s: the connection is usable", ways[i].what);
		cr_expect_null(behind.value, "%s: nothing of the transaction is there", ways[i].what);
		op_end(op);
	}
}

Test(driver, what_must_change_goes_with_what_stands_behind_it)
{
	struct op *op = store_op();
	struct pair pair = { "a", "1", 0, 0 }, change = { "a", "2", 0, 0 }, behind = { "behind", NULL, 0, 0 };

	cr_assert_eq(db_run(op, put, &pair), 0);
	cr_assert_eq(db_run(op, must_then_put, &change), 0, "%s", op_failure(op));
	cr_expect_eq(change.effects, 1);
	cr_assert_eq(db_read(op, get, &pair), 0);
	cr_expect_str_eq(pair.value, "2");
	cr_assert_eq(db_read(op, get, &behind), 0);
	cr_expect_str_eq(behind.value, "2");
	op_end(op);
}

/* Three questions before the first answer is read, the second never; then a change, and its sight inside the body. */
static int
ask_ahead(struct op *op, void *arg)
{
	static const char *const names[] = { "a", "b", "c" };
	struct db_rows *rows[3] = { NULL }, *after = NULL;
	int rc = 0;

	(void)arg;
	for (size_t i = 0; i < countof(names) && !rc; i++)
		rc = db_query(op, &test_get, ARGS(TEXT_(names[i])), &rows[i]);
	cr_expect_eq(db_next(rows[2]), 1);
	cr_expect_str_eq(db_text(rows[2], 0), "3");
	cr_expect_eq(db_end(rows[1], 0), 0);
	cr_expect_eq(db_next(rows[0]), 1);
	cr_expect_str_eq(db_text(rows[0], 0), "1");
	cr_expect_eq(db_next(rows[0]), 0);
	cr_expect_eq(db_end(rows[2], 0), 0);
	rc = db_end(rows[0], rc);
	if (!rc)
		rc = db_exec(op, &test_set, ARGS(TEXT_("b"), TEXT_("4")), NULL);
	if (!rc)
		rc = db_query(op, &test_get, ARGS(TEXT_("b")), &after);
	if (!rc) {
		cr_expect_eq(db_next(after), 1);
		cr_expect_str_eq(db_text(after, 0), "4");
	}
	return db_end(after, rc);
}

/* Nobody reads the answer of the last question. */
static int
ask_in_vain(struct op *op, void *arg)
{
	struct db_rows *rows;
	int rc = db_exec(op, &test_set, ARGS(TEXT_("c"), TEXT_("5")), NULL);

	(void)arg;
	if (!rc)
		rc = db_query(op, &test_get, ARGS(TEXT_("a")), &rows);
	return db_end(rc ? NULL : rows, rc);
}

Test(driver, questions_may_be_asked_before_the_first_is_read)
{
	struct op *op = store_op();
	struct pair pairs[] = { { "a", "1", 0, 0 }, { "b", "2", 0, 0 }, { "c", "3", 0, 0 } }, c = { "c", NULL, 0, 0 };

	for (size_t i = 0; i < countof(pairs); i++)
		cr_assert_eq(db_run(op, put, &pairs[i]), 0);
	cr_assert_eq(db_run(op, ask_ahead, NULL), 0, "%s", op_failure(op));
	cr_assert_eq(db_run(op, ask_in_vain, NULL), 0, "%s", op_failure(op));
	cr_assert_eq(db_read(op, get, &c), 0);
	cr_expect_str_eq(c.value, "5");
	op_end(op);
}

static int
increment(struct op *op, void *arg)
{
	struct pair pair = { "counter", NULL, 0, 0 };
	char text[24];
	int64_t changed;
	int rc = get(op, &pair);

	if (rc)
		return rc;
	snprintf(text, sizeof(text), "%d", atoi(pair.value) + 1);
	rc = db_exec(op, &test_set, ARGS(TEXT_("counter"), TEXT_(text)), &changed);
	if (!rc && changed != 1)
		return ERR_INTERNAL;
	/* every third is refused after its write */
	return rc ? rc : *(const int *)arg % 3 == 2 ? ERR_FORBIDDEN : 0;
}

/* Whoever has met others too often is turned away, by an engine that runs bodies side by side, and comes again. */
static void *
hammer(void *arg)
{
	atomic_int *turned_away = arg;
	long done = 0;

	for (int turn = 0; turn < 60; turn++) {
		struct op *op = store_op();
		int rc;

		while ((rc = db_run(op, increment, &turn)) == ERR_BUSY && op_left_ms(op)) {
			op_forgive(op);
			atomic_fetch_add(turned_away, 1);
		}
		done += !rc;
		op_end(op);
	}
	return (void *)done;
}

Test(driver, many_writers_lose_nothing)
{
	struct op *op = store_op();
	struct pair pair = { "counter", "0", 0, 0 };
	atomic_int turned_away = 0;
	pthread_t threads[12];
	long sum = 0;

	cr_assert_eq(db_run(op, put, &pair), 0);
	for (size_t i = 0; i < countof(threads); i++)
		pthread_create(&threads[i], NULL, hammer, &turned_away);
	for (size_t i = 0; i < countof(threads); i++) {
		void *done;

		pthread_join(threads[i], &done);
		sum += (long)done;
	}
	cr_assert_eq(db_read(op, get, &pair), 0);
	cr_assert_eq(atol(pair.value), sum);
	cr_assert_eq(sum, 12 * 40);
	/* the driver has begun again by itself; where one writes at a time there was nobody to meet */
	cr_assert_leq(atomic_load(&turned_away), getenv("KEYWARD_TEST_POSTGRES") ? 12 * 60 / 4 : 0);
	op_end(op);
}

struct held {
	atomic_int n;
	atomic_bool may_end;
};

static int
hold(struct op *op, void *arg)
{
	struct held *held = arg;

	(void)op;
	atomic_fetch_add(&held->n, 1);
	while (!atomic_load(&held->may_end))
		usleep(1000);
	return 0;
}

static void *
holder(void *arg)
{
	struct op *op = store_op();
	int rc = db_run(op, hold, arg);

	op_end(op);
	return (void *)(long)rc;
}

Test(driver, entry_is_refused_when_the_deadline_is_over)
{
	struct op *op = store_op();
	struct pair pair = { "a", "1", 0, 0 };
	int n = db_threads(svc.db) ? db_threads(svc.db) : 1;
	pthread_t threads[64];
	struct held held = { .may_end = false };

	/* as many as can write at a time */
	for (int i = 0; i < n; i++)
		pthread_create(&threads[i], NULL, holder, &held);
	while (atomic_load(&held.n) < n)
		usleep(1000);
	op->deadline_ms = time_monotonic_ms() + 20;
	cr_expect_eq(db_run(op, put, &pair), ERR_BUSY, "%s", op_failure(op));
	atomic_store(&held.may_end, true);
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	op->deadline_ms = time_monotonic_ms() + 60000;
	op_forgive(op);
	cr_assert_eq(db_run(op, put, &pair), 0);
	op_end(op);
}

static void
ride_done(struct op *op, int rc, void *arg)
{
	struct pair *pair = arg;

	cr_expect_eq(rc, 0);
	cr_expect_eq(pair->effects, 1);
	cr_expect_null(op->ride);
	pair->rc = 77;
}

Test(driver, a_reply_rides_with_the_commit)
{
	struct op *op = store_op();
	struct pair pair = { "a", "1", 0, 0 }, bad = { "b", "1", ERR_FORBIDDEN, 0 };

	cr_assert_eq(db_run_last(op, put, &pair), 0);
	/* an engine whose threads wait for their own commit has none under way */
	if (db_ride(op, ride_done, &pair))
		cr_assert_eq(pair.rc, 77);
	cr_assert_eq(pair.effects, 1);
	cr_assert_not(db_ride(op, ride_done, &pair));
	cr_assert_eq(db_run_last(op, put, &bad), ERR_FORBIDDEN);
	cr_assert_not(db_ride(op, ride_done, &bad));
	cr_assert_eq(db_run_last(op, increment_nothing, NULL), 0);
	cr_assert_eq(db_settle(op), 0);
	op_end(op);
}

/* ---- what is settled ---- */

struct side {
	char id[UUID_TEXT_BYTES];       /* made in the body */
	atomic_bool is_inside, may_end;
	int rc;
};

static int
side_body(struct op *op, void *arg)
{
	struct side *side = arg;
	int rc;

	uuid_new(side->id, op->now_ms);
	rc = db_exec(op, &test_put, ARGS(TEXT_(side->id), TEXT_("side")), NULL);
	atomic_store(&side->is_inside, true);
	while (!atomic_load(&side->may_end))
		usleep(1000);
	return rc;
}

static void *
side_thread(void *arg)
{
	struct op *op = store_op();

	((struct side *)arg)->rc = db_run(op, side_body, arg);
	op_end(op);
	return NULL;
}

/* Whoever reads behind the last row that he has seen would never see the row of a transaction that began before and ends later. */
Test(driver, nothing_is_settled_behind_a_transaction_under_way)
{
	struct op *op = store_op();
	struct side first = { .may_end = false }, second = { .may_end = true };
	bool is_alone = !getenv("KEYWARD_TEST_POSTGRES");       /* SQLite has one writer at a time */
	const char *before = db_settled(op), *during;
	pthread_t thread;

	pthread_create(&thread, NULL, side_thread, &first);
	while (!atomic_load(&first.is_inside))
		usleep(1000);
	if (!is_alone) {
		cr_assert_eq(db_run(op, side_body, &second), 0, "%s", op_failure(op));
		cr_assert_gt(strcmp(second.id, first.id), 0);
	}
	during = db_settled(op);
	cr_expect_gt(strcmp(first.id, before), 0);
	cr_expect_lt(strcmp(during, first.id), 0, "a row with id %s may still appear, and %s is called settled", first.id, during);
	cr_expect_eq(strcmp(during, db_settled(op)), 0);
	atomic_store(&first.may_end, true);
	pthread_join(thread, NULL);
	cr_assert_eq(first.rc, 0);
	cr_expect_gt(strcmp(db_settled(op), first.id), 0);
	cr_expect(is_alone || strcmp(db_settled(op), second.id) > 0);
	op_end(op);
}

Test(driver, a_reply_that_rides_settles_with_its_commit)
{
	struct op *op = store_op();
	struct side side = { .may_end = true };

	cr_assert_eq(db_run_last(op, side_body, &side), 0, "%s", op_failure(op));
	cr_assert_eq(db_settle(op), 0);
	cr_expect_gt(strcmp(db_settled(op), side.id), 0);
	op_end(op);
}

SQL_DEFINE(many_put,
    "INSERT INTO keys (id, purpose, alg, public_jwk, sealed, created_ms, active_from) VALUES ($1, 'many', $2, $3, $4, $5, $5)"
    " ON CONFLICT (id) DO UPDATE SET alg = excluded.alg, created_ms = excluded.created_ms");
SQL_DEFINE(many_set, "UPDATE keys SET alg = $2 WHERE id = $1");
SQL_DEFINE(many_get, "SELECT alg, public_jwk, sealed, created_ms, active_from FROM keys WHERE id = $1");
SQL_DEFINE(many_plain, "INSERT INTO settings (name, value) VALUES ($1, $2)");

#define MANY_ROWS 40

/* What a careless way of writing rows would change. */
static const char *const nasty[] = { "", "plain", "tab\there", "line\nbreak", "cr\rlf\n", "back\\slash", "\\N", "\\.", "'quoted'", "\"double\"",
	"comma, (bracket", "$1", "\xc3\xa4\xe2\x82\xac\xf0\x9f\xa6\x89", "\x01\x7f", " blank ", "NULL" };

static void
fill_many(void *arg, size_t row, struct db_value *v)
{
	static const unsigned char blob[] = { 0, 1, 2, '\\', '\n', '\t', 0xff, 0 };
	static char ids[MANY_ROWS][16];

	/* the last two rows have the same key */
	snprintf(ids[row], sizeof(ids[row]), "many-%zu", row == MANY_ROWS - 1 ? row - 1 : row);
	v[0] = TEXT_(ids[row]);
	v[1] = TEXT_(nasty[(row + *(size_t *)arg) % countof(nasty)]);
	if (*(size_t *)arg)
		return;
	v[2] = row % 3 ? TEXT_(nasty[row % countof(nasty)]) : NULL_;
	v[3] = BLOB_(blob, row % (sizeof(blob) + 1));
	v[4] = INT_(row % 2 ? INT64_MIN + (int64_t)row : INT64_MAX - (int64_t)row);
}

static int
put_rows(struct op *op, void *arg)
{
	return db_put_many(op, &many_put, 5, MANY_ROWS, fill_many, arg);
}

static int
set_rows(struct op *op, void *arg)
{
	return db_put_many(op, &many_set, 2, MANY_ROWS - 1, fill_many, arg);
}

static int
check_rows(struct op *op, void *arg)
{
	for (size_t row = 0; row < MANY_ROWS - 1; row++) {
		/* of two equal ones the last has won; what the conflict does not name is the first one's */
		size_t last = row == MANY_ROWS - 2 && !*(size_t *)arg ? row + 1 : row, size, zero = 0;
		struct db_value wanted[5], changed[5];
		struct db_rows *rows;
		const void *blob;

		fill_many(&zero, row, wanted);
		fill_many(&zero, last, changed);
		fill_many(arg, last, changed);
		cr_assert_eq(db_query(op, &many_get, ARGS(TEXT_(wanted[0].data)), &rows), 0);
		cr_assert_eq(db_next(rows), 1);
		cr_expect_str_eq(db_text(rows, 0), changed[1].data);
		if (last == row || !*(size_t *)arg)
			cr_expect_eq(db_int(rows, 3), row == MANY_ROWS - 2 ? INT64_MIN + MANY_ROWS - 1 : wanted[4].number);
		if (row == MANY_ROWS - 2) {
			db_end(rows, 0);
			continue;
		}
		cr_expect_eq(db_int(rows, 4), wanted[4].number);
		cr_expect_eq(db_is_null(rows, 1), wanted[2].type == DB_NULL);
		if (wanted[2].type != DB_NULL)
			cr_expect_str_eq(db_text(rows, 1), wanted[2].data);
		blob = db_blob(rows, 2, &size);
		cr_expect_eq(size, wanted[3].size);
		cr_expect(!size || !memcmp(blob, wanted[3].data, size));
		db_end(rows, 0);
	}
	return 0;
}

Test(driver, many_rows_at_once_are_the_same_rows)
{
	struct op *op = store_op();
	size_t turn = 0;

	cr_assert_eq(db_run(op, put_rows, &turn), 0, "%s", op_failure(op));
	cr_assert_eq(db_read(op, check_rows, &turn), 0);
	cr_assert_eq(db_run(op, put_rows, &turn), 0, "again: %s", op_failure(op));
	cr_assert_eq(db_read(op, check_rows, &turn), 0);
	turn = 3;
	cr_assert_eq(db_run(op, set_rows, &turn), 0, "%s", op_failure(op));
	cr_assert_eq(db_read(op, check_rows, &turn), 0);
	op_end(op);
}

static void
fill_plain(void *arg, size_t row, struct db_value *v)
{
	v[0] = TEXT_(((char (*)[16])arg)[row]);
	v[1] = TEXT_("x");
}

static int
put_plain(struct op *op, void *arg)
{
	return db_put_many(op, &many_plain, 2, MANY_ROWS, fill_plain, arg);
}

Test(driver, many_rows_are_all_or_nothing)
{
	struct op *op = store_op();
	struct pair pair = { "row-17", "1", 0, 0 }, first = { "row-0", NULL, 0, 0 };
	char names[MANY_ROWS][16];

	for (size_t i = 0; i < MANY_ROWS; i++)
		snprintf(names[i], sizeof(names[i]), "row-%zu", i);
	cr_assert_eq(db_run(op, put, &pair), 0);
	cr_assert_eq(db_run(op, put_plain, names), ERR_CONFLICT);
	op_forgive(op);
	cr_assert_eq(db_read(op, get, &first), 0);
	cr_assert_null(first.value);
	snprintf(names[17], sizeof(names[17]), "row-free");
	cr_assert_eq(db_run(op, put_plain, names), 0, "%s", op_failure(op));
	op_end(op);
}

Test(driver, migrating_again_changes_nothing)
{
	struct op *op = store_op();

	cr_assert_eq(db_migrate(op, svc.db), 0);
	op_end(op);
}

Test(driver, one_claim_at_a_time)
{
	struct op *op = store_op();
	struct db *other;

	cr_assert_eq(db_claim(op, svc.db), 0);
	cr_assert_eq(db_open(op, store_dsn, &other), 0);
	cr_expect_eq(db_claim(op, other), ERR_STORE);
	op_forgive(op);
	db_close(svc.db);
	svc.db = other;
	cr_expect_eq(db_claim(op, other), 0, "free again");
	op_end(op);
}
