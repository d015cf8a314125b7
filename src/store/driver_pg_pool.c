/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The pool: at most PG_POOL_MAX connections, lent out for one transaction at a time.  A connection is opened on a thread of its own,
 * since libpq asks the system's resolver, which knows no deadline: whoever needs one waits no longer than it may, and a name
 * server that hangs costs that thread.  Read pg_take first.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/time.h"
#include "driver_pg_int.h"

#define OPEN_MS 5000
#define RETRY_MS 150

struct pg_db *
pg_db_new(const struct pg_dsn *dsn)
{
	struct pg_db *db = mem_new(sizeof(*db));

	db->head.engine = &db_engine_pg;
	db->dsn = *dsn;
	db->refs = 1;
	for (size_t i = 0; i < dsn->n; i++)
		if (!strcmp(dsn->names[i], "application_name"))
			snprintf(db->session, sizeof(db->session), "%s", dsn->values[i]);
	pthread_mutex_init(&db->lock, NULL);
	time_condition_init(&db->changed);
	time_condition_init(&db->tick);
	return db;
}

static void
pg_db_free(struct pg_db *db)
{
	pg_dsn_clear(&db->dsn);
	pthread_cond_destroy(&db->changed);
	pthread_cond_destroy(&db->tick);
	pthread_mutex_destroy(&db->lock);
	mem_free(db);
}

void
pg_db_unref(struct pg_db *db)
{
	bool is_last;

	pthread_mutex_lock(&db->lock);
	is_last = --db->refs == 0;
	pthread_cond_broadcast(&db->changed);
	pthread_mutex_unlock(&db->lock);
	if (is_last)
		pg_db_free(db);
}

/* A process that ends under a thread of ours would take away what that one works with: OpenSSL, the log. */
void
pg_db_wait_alone(struct pg_db *db, int64_t until_ms)
{
	pthread_mutex_lock(&db->lock);
	while (db->refs > 1 && time_monotonic_ms() < until_ms) {
		struct timespec at = time_in(until_ms - time_monotonic_ms());

		pthread_cond_timedwait(&db->changed, &db->lock, &at);
	}
	pthread_mutex_unlock(&db->lock);
}

/* A thread's work: one connection for whoever waits. */
static void *
open_one(void *arg)
{
	struct pg_db *db = arg;
	char why[PG_WHY_BYTES] = "";
	struct pg_connection *c = pg_connection_open(&db->dsn, time_monotonic_ms() + OPEN_MS, why);
	bool is_closing;

	pthread_mutex_lock(&db->lock);
	db->n_opening--;
	is_closing = db->is_closing;
	if (c && !is_closing) {
		db->n_open++;
		c->next = db->idle;
		db->idle = c;
	} else if (!c) {
		memcpy(db->why, why, sizeof(why));
		db->failures++;
		db->retry_at_ms = time_monotonic_ms() + RETRY_MS;
	}
	pthread_cond_broadcast(&db->changed);
	pthread_mutex_unlock(&db->lock);
	if (is_closing)
		pg_connection_close(c);
	pg_db_unref(db);
	return NULL;
}

/* Under the lock. */
static void
open_more(struct pg_db *db)
{
	pthread_attr_t detached;
	pthread_t thread;

	if (db->n_open + db->n_opening >= PG_POOL_MAX || db->n_opening > db->n_waiting || time_monotonic_ms() < db->retry_at_ms)
		return;
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &detached, open_one, db) == 0) {
		db->n_opening++;
		db->refs++;
	}
	pthread_attr_destroy(&detached);
}

/* The next idle connection, or NULL when the time is over. */
static struct pg_connection *
wait_idle(struct pg_db *db, int64_t until_ms)
{
	struct pg_connection *c;

	pthread_mutex_lock(&db->lock);
	while (!db->idle && time_monotonic_ms() < until_ms) {
		int64_t left_ms = until_ms - time_monotonic_ms();
		struct timespec at = time_in(left_ms < RETRY_MS ? left_ms : RETRY_MS);

		open_more(db);
		db->n_waiting++;
		pthread_cond_timedwait(&db->changed, &db->lock, &at);
		db->n_waiting--;
	}
	c = db->idle;
	if (c)
		db->idle = c->next;
	pthread_mutex_unlock(&db->lock);
	return c;
}

/* What arrived while it was idle is the server's farewell. */
static bool
is_healthy(struct pg_connection *c, int64_t until_ms)
{
	struct pollfd p = { .fd = PQsocket(c->conn), .events = POLLIN };

	if (!pg_drain(c, until_ms))
		return false;
	if (poll(&p, 1, 0) > 0)
		PQconsumeInput(c->conn);
	return !pg_is_lost(c);
}

static void
discard(struct pg_db *db, struct pg_connection *c)
{
	pg_connection_close(c);
	pthread_mutex_lock(&db->lock);
	db->n_open--;
	pthread_cond_signal(&db->changed);
	pthread_mutex_unlock(&db->lock);
}

static int
none_to_have(struct op *op, struct pg_db *db, uint64_t failures)
{
	char why[PG_WHY_BYTES];
	bool has_failed;

	pthread_mutex_lock(&db->lock);
	has_failed = db->failures != failures || !db->n_open;
	snprintf(why, sizeof(why), "%s", db->failures ? db->why : "no answer in time");
	pthread_mutex_unlock(&db->lock);
	if (has_failed)
		return op_fail(op, ERR_STORE, "no connection to the database %s: %s", db->dsn.place, why);
	return op_fail(op, ERR_BUSY, "all %d connections to the database are in use", PG_POOL_MAX);
}

int
pg_take(struct op *op, struct pg_db *db, int64_t until_ms, struct pg_connection **ret)
{
	uint64_t failures;
	struct pg_connection *c;

	if (until_ms > time_monotonic_ms() + PG_OPEN_MS)
		until_ms = time_monotonic_ms() + PG_OPEN_MS;
	pthread_mutex_lock(&db->lock);
	failures = db->failures;
	pthread_mutex_unlock(&db->lock);
	while ((c = wait_idle(db, until_ms))) {
		if (is_healthy(c, until_ms)) {
			*ret = c;
			return 0;
		}
		discard(db, c);
	}
	return none_to_have(op, db, failures);
}

void
pg_give(struct pg_db *db, struct pg_connection *c)
{
	if (pg_is_lost(c)) {
		discard(db, c);
		return;
	}
	pthread_mutex_lock(&db->lock);
	c->next = db->idle;
	db->idle = c;
	pthread_cond_signal(&db->changed);
	pthread_mutex_unlock(&db->lock);
}
