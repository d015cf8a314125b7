/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One daemon a database: what lives is kept in memory, and a second daemon would honour what the first has ended.
 *
 * A row says who holds the database and until when, by the clock of the database.  The holder renews it, and counts by its own
 * monotonic clock from before it asked: when that time is over it neither answers from memory nor writes, until it has renewed
 * again.  Each claim has a number, the epoch.  Whoever takes over raises it and ends the connections of the one before, so a
 * transaction either is over by then or sees the new epoch; and every COMMIT checks it (driver_pg_outcome.c).  Not an advisory
 * lock: a server that lost its place without knowing would go on granting it.  Read pg_claim first, then keep_loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "driver_pg_int.h"

#define TTL_MS 10000
#define MARGIN_MS 1500                  /* clocks run apart */
#define RENEW_MS 2000
#define BARRIER_MS 5000
#define TIDY_EVERY_MS 30000
#define STR(x) STR_(x)
#define STR_(x) #x
#define CLOCK_MS "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"

const char pg_own_schema[] =
    "CREATE TABLE IF NOT EXISTS engine_lease (name TEXT PRIMARY KEY, holder TEXT NOT NULL, session TEXT NOT NULL, mark TEXT NOT NULL,"
    " epoch BIGINT NOT NULL, until_ms BIGINT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS engine_outcomes (id UUID PRIMARY KEY, is_void BOOLEAN NOT NULL, epoch BIGINT NOT NULL);";

static const char lease_first[] =
    "INSERT INTO engine_lease (name, holder, session, mark, epoch, until_ms) VALUES ('daemon', '', '', '', 0, 0)"
    " ON CONFLICT (name) DO NOTHING";
static const char lease_read[] =
    "SELECT holder, session, mark, epoch, until_ms, until_ms - " CLOCK_MS " FROM engine_lease WHERE name = 'daemon'";
/* $1 holder, $2 session, $3 mark, $4 the epoch that was seen, $5 'dead' when its process is known to be gone */
static const char lease_take[] =
    "UPDATE engine_lease SET holder = $1, session = $2, mark = $3, epoch = epoch + 1, until_ms = " CLOCK_MS " + " STR(TTL_MS)
    " WHERE name = 'daemon' AND epoch = CAST($4 AS BIGINT) AND (until_ms <= " CLOCK_MS " OR $5 = 'dead') RETURNING epoch";
static const char lease_renew[] =
    "UPDATE engine_lease SET until_ms = " CLOCK_MS " + " STR(TTL_MS) " WHERE name = 'daemon' AND epoch = CAST($1 AS BIGINT)";
static const char lease_release[] = "UPDATE engine_lease SET until_ms = 0 WHERE name = 'daemon' AND epoch = CAST($1 AS BIGINT)";
static const char end_sessions[] = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = $1 AND pid <> pg_backend_pid()";

struct lease {
	char *holder, *session, *mark;
	int64_t epoch, until_ms, left_ms;
};

/* ---- who we are ---- */

static void
read_first_line(const char *path, char *ret, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, ret, size - 1);

	if (fd >= 0)
		close(fd);
	ret[n > 0 ? n : 0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
}

/* This start of this machine, and this name space of processes: where a process number means the same to us and to the holder. */
static char *
place_mark(struct op *op)
{
	char boot[64], space[64];
	ssize_t n = readlink("/proc/self/ns/pid", space, sizeof(space) - 1);

	space[n > 0 ? n : 0] = '\0';
	read_first_line("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
	return *boot && *space ? op_printf(op, "%s %s ", boot, space) : op_strdup(op, "");
}

/* Only when we know: the same place, and no process of that number any more. */
static bool
is_dead(struct op *op, const char *mark)
{
	const char *place = place_mark(op);
	long pid;

	if (!*place || !text_starts_with(mark, place))
		return false;
	pid = atol(mark + strlen(place));
	return pid > 1 && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

/* ---- asking ---- */

int
pg_ask_alone(struct op *op, struct pg_db *db, const char *text, const char *const *args, int n, PGresult **ret)
{
	char why[PG_WHY_BYTES];
	struct pg_connection *c;
	int rc = pg_take(op, db, op->deadline_ms, &c);

	if (rc)
		return rc;
	*ret = pg_ask(c, op->deadline_ms, text, args, n, why);
	pg_give(db, c);
	return *ret ? 0 : op_fail(op, ERR_STORE, "the database %s refused: %s", db->dsn.place, why);
}

static int
read_lease(struct op *op, struct pg_db *db, struct lease *ret)
{
	PGresult *result;
	int rc = pg_ask_alone(op, db, lease_read, NULL, 0, &result);

	if (rc)
		return rc;
	if (PQntuples(result) != 1)
		rc = op_fail(op, ERR_STORE, "the row of the claim on the database %s is gone", db->dsn.place);
	else
		*ret = (struct lease){ op_strdup(op, PQgetvalue(result, 0, 0)), op_strdup(op, PQgetvalue(result, 0, 1)),
			op_strdup(op, PQgetvalue(result, 0, 2)), atoll(PQgetvalue(result, 0, 3)), atoll(PQgetvalue(result, 0, 4)),
			atoll(PQgetvalue(result, 0, 5)) };
	PQclear(result);
	return rc;
}

/* *ret_epoch 0: somebody else was quicker. */
static int
take_lease(struct op *op, struct pg_db *db, const struct lease *seen, bool is_gone, int64_t *ret_epoch)
{
	char host[256] = "";
	const char *epoch = op_printf(op, "%lld", (long long)seen->epoch);
	PGresult *result;
	int rc;

	gethostname(host, sizeof(host) - 1);
	rc = pg_ask_alone(op, db, lease_take, (const char *const[]){ op_printf(op, "process %ld on %s", (long)getpid(), host), db->session,
	    op_printf(op, "%s%ld", place_mark(op), (long)getpid()), epoch, is_gone ? "dead" : "" }, 5, &result);
	if (rc)
		return rc;
	*ret_epoch = PQntuples(result) == 1 ? atoll(PQgetvalue(result, 0, 0)) : 0;
	PQclear(result);
	return 0;
}

/* Nothing that the holder before us began may still be going on. */
static int
end_former(struct op *op, struct pg_db *db, const char *session)
{
	int64_t until_ms = time_monotonic_ms() + BARRIER_MS;
	int n = 1, rc = 0;

	while (*session && n && !rc) {
		PGresult *result;

		rc = pg_ask_alone(op, db, end_sessions, &session, 1, &result);
		if (rc)
			break;
		n = PQntuples(result);
		PQclear(result);
		if (n && time_monotonic_ms() > until_ms)
			return op_fail(op, ERR_STORE, "connections of the daemon before this one cannot be ended on the database server");
		if (n)
			usleep(20000);
	}
	return rc;
}

/* Waits until the holder's time is over; a holder that renews meanwhile is alive. */
static int
wait_for_end(struct op *op, struct pg_db *db, struct lease *lease)
{
	int64_t until_ms = lease->until_ms;
	int rc = 0;

	if (lease->left_ms > 0)
		log_line(LOG_LEVEL_NOTICE, "store.claim_waits", "holder", lease->holder, NULL);
	while (!rc && lease->left_ms > 0) {
		if (lease->until_ms != until_ms || !op_left_ms(op))
			return op_fail(op, ERR_STORE,
			    "the database %s is in use by another keywardd (%s); end that one first, or name another database",
			    db->dsn.place, lease->holder);
		usleep(200000);
		rc = read_lease(op, db, lease);
	}
	return rc;
}

static int
make_own_tables(struct op *op, void *arg)
{
	(void)arg;
	return pg_script(op, op->txn, pg_own_schema);
}

static int
prepare_tables(struct op *op, struct pg_db *db)
{
	PGresult *result;
	int rc = db_run_on(op, &db->head, db_run, make_own_tables, NULL);

	/* two at once make the same type: one of them is told so */
	if (rc == ERR_CONFLICT) {
		op_forgive(op);
		rc = db_run_on(op, &db->head, db_run, make_own_tables, NULL);
	}
	if (!rc)
		rc = pg_ask_alone(op, db, lease_first, NULL, 0, &result);
	if (!rc)
		PQclear(result);
	return rc;
}

/* ---- keeping ---- */

int
pg_lease_lost(struct op *op, struct pg_db *db)
{
	atomic_store(&db->is_broken, true);
	return op_fail(op, ERR_STORE, "another keywardd has taken over the database; this one ends");
}

bool
pg_is_held(struct pg_db *db)
{
	return !atomic_load(&db->epoch) || (time_monotonic_ms() < atomic_load(&db->held_until_ms) && !atomic_load(&db->is_broken));
}

static void
renew(struct pg_db *db, struct pg_connection *c)
{
	char why[PG_WHY_BYTES] = "", epoch[24];
	const char *args[] = { epoch };
	int64_t asked_ms = time_monotonic_ms();
	PGresult *result;

	snprintf(epoch, sizeof(epoch), "%lld", (long long)atomic_load(&db->epoch));
	result = pg_ask(c, asked_ms + RENEW_MS, lease_renew, args, 1, why);
	if (!result) {
		log_line(LOG_LEVEL_WARNING, "store.claim", "why", why, NULL);
		pg_lose(c);
		return;
	}
	if (!strcmp(PQcmdTuples(result), "1") && !c->has_lost_standby)
		atomic_store(&db->held_until_ms, asked_ms + TTL_MS - MARGIN_MS);
	else if (!c->has_lost_standby)
		atomic_store(&db->is_broken, true);
	PQclear(result);
}

static struct pg_connection *
keeper_connect(struct pg_db *db)
{
	char why[PG_WHY_BYTES] = "";
	int64_t until_ms = time_monotonic_ms() + RENEW_MS;
	struct pg_connection *c = pg_connection_open(&db->dsn, until_ms, why);

	if (!c)
		log_line(LOG_LEVEL_WARNING, "store.claim", "why", why, NULL);
	return c;
}

/* False when the database closes. */
static bool
keeper_sleeps(struct pg_db *db, int64_t until_ms)
{
	struct timespec at = time_in(until_ms - time_monotonic_ms());
	bool is_closing;

	pthread_mutex_lock(&db->lock);
	while (!db->is_closing && time_monotonic_ms() < until_ms)
		if (pthread_cond_timedwait(&db->tick, &db->lock, &at) == ETIMEDOUT)
			break;
	is_closing = db->is_closing;
	pthread_mutex_unlock(&db->lock);
	return !is_closing;
}

static void *
keep_loop(void *arg)
{
	struct pg_db *db = arg;
	struct pg_connection *c = NULL;
	int64_t next_ms = time_monotonic_ms(), tidy_ms = next_ms + TIDY_EVERY_MS;

	while (keeper_sleeps(db, next_ms)) {
		next_ms = time_monotonic_ms() + RENEW_MS;
		if (!c)
			c = keeper_connect(db);
		if (c && !pg_is_lost(c))
			renew(db, c);
		if (c && !pg_is_lost(c))
			pg_doubts_settle(db, c);
		if (c && !pg_is_lost(c) && time_monotonic_ms() > tidy_ms) {
			pg_outcomes_tidy(db, c);
			tidy_ms = time_monotonic_ms() + TIDY_EVERY_MS;
		}
		if (c && pg_is_lost(c)) {
			pg_connection_close(c);
			c = NULL;
			next_ms = time_monotonic_ms() + RENEW_MS / 8;
		}
	}
	pg_connection_close(c);
	pg_db_unref(db);
	return NULL;
}

static int
start_keeper(struct op *op, struct pg_db *db)
{
	pthread_attr_t detached;
	pthread_t thread;
	int failure;

	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	pthread_mutex_lock(&db->lock);
	failure = pthread_create(&thread, &detached, keep_loop, db);
	if (!failure)
		db->refs++;
	pthread_mutex_unlock(&db->lock);
	pthread_attr_destroy(&detached);
	return failure ? op_fail(op, ERR_SYSTEM, "cannot start a thread: %s", strerror(failure)) : 0;
}

int
pg_claim(struct op *op, struct db *head)
{
	struct pg_db *db = (struct pg_db *)head;
	struct lease lease;
	int64_t epoch = 0, asked_ms = 0;
	int rc = prepare_tables(op, db);

	while (!rc && !epoch) {
		bool is_gone;

		rc = read_lease(op, db, &lease);
		is_gone = !rc && is_dead(op, lease.mark);
		if (!rc && !is_gone)
			rc = wait_for_end(op, db, &lease);
		asked_ms = time_monotonic_ms();
		if (!rc)
			rc = take_lease(op, db, &lease, is_gone, &epoch);
	}
	if (rc)
		return rc;
	atomic_store(&db->held_until_ms, asked_ms + TTL_MS - MARGIN_MS);
	atomic_store(&db->epoch, epoch);
	rc = end_former(op, db, lease.session);
	return rc ? rc : start_keeper(op, db);
}

/* So that the next daemon need not wait. */
void
pg_release(struct op *op, struct pg_db *db)
{
	const char *epoch = op_printf(op, "%lld", (long long)atomic_load(&db->epoch));
	PGresult *result;

	if (atomic_load(&db->epoch) && !atomic_load(&db->is_broken) && pg_ask_alone(op, db, lease_release, &epoch, 1, &result) == 0)
		PQclear(result);
}
