/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One connection to PostgreSQL.  libpq is only ever used without blocking: every wait here ends at a point of the monotonic clock,
 * and who is late closes the socket.  Nothing is ever cancelled: a cancelled COMMIT that waits for a standby turns into a success
 * that is none.  A connection stays in libpq's pipeline mode, so that BEGIN, preparation and execution travel together.  Read
 * pg_wait and pg_collect first.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/time.h"
#include "driver_pg_int.h"

#define VERSION_LEAST 140000

/* "canceling wait for synchronous replication": what follows as success is only on one disk. */
static void
on_notice(void *arg, const PGresult *result)
{
	const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE), *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	/* the code is the first protection, whatever language the server speaks: 01000 has no other use in our statements */
	if ((code && !strcmp(code, "01000")) || (text && strstr(text, "synchronous replication")))
		((struct pg_connection *)arg)->has_lost_standby = true;
}

static void
keep_why(char why[static PG_WHY_BYTES], const char *text)
{
	size_t n = 0;

	for (; text && *text && n < PG_WHY_BYTES - 1; text++)
		why[n++] = *text == '\n' || *text == '\t' ? ' ' : *text;
	while (n && why[n - 1] == ' ')
		n--;
	why[n] = '\0';
}

/* 1: ready; 0: the time is over; -1: failed. */
static int
wait_socket(int fd, short events, int64_t until_ms)
{
	for (;;) {
		int64_t left = until_ms - time_monotonic_ms();
		struct pollfd p = { .fd = fd, .events = events };
		int n = left > 0 ? poll(&p, 1, left > 60000 ? 60000 : (int)left) : 0;

		if (n > 0)
			return 1;
		if (n < 0 && errno != EINTR)
			return -1;
		if (left <= 0)
			return 0;
	}
}

/* The connection itself; NULL once it was closed. */
bool
pg_is_lost(const struct pg_connection *c)
{
	return !c->conn || PQstatus(c->conn) != CONNECTION_OK;
}

void
pg_lose(struct pg_connection *c)
{
	PQfinish(c->conn);
	c->conn = NULL;
}

/* Until PQgetResult would not block; sends what is left to send meanwhile. */
bool
pg_wait(struct pg_connection *c, int64_t until_ms)
{
	for (;;) {
		int unsent = PQflush(c->conn);

		if (unsent < 0 || pg_is_lost(c))
			return false;
		if (!unsent && !PQisBusy(c->conn))
			return true;
		if (wait_socket(PQsocket(c->conn), unsent ? POLLIN | POLLOUT : POLLIN, until_ms) <= 0)
			return false;
		if (!PQconsumeInput(c->conn))
			return false;
	}
}

bool
pg_wait_sent(struct pg_connection *c, int64_t until_ms)
{
	int unsent;

	while ((unsent = PQflush(c->conn)) > 0)
		/* the server may say something meanwhile, and would wait for us to read it */
		if (wait_socket(PQsocket(c->conn), POLLIN | POLLOUT, until_ms) <= 0 || !PQconsumeInput(c->conn))
			return false;
	return !unsent;
}

void
pg_clear(PGresult **results, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		PQclear(results[i]);
		results[i] = NULL;
	}
}

bool
pg_collect(struct pg_connection *c, int64_t until_ms, PGresult **ret, size_t n)
{
	size_t have = 0, empty = 0;

	memset(ret, 0, n * sizeof(*ret));
	while (pg_wait(c, until_ms)) {
		PGresult *result = PQgetResult(c->conn);

		if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
			PQclear(result);
			if (have == n)
				return true;
			break;
		}
		/* one NULL stands behind each command; two mean that nothing more will come */
		empty = result ? 0 : empty + 1;
		if (empty > 1)
			break;
		if (result && have < n)
			ret[have++] = result;
		else
			PQclear(result);
	}
	pg_clear(ret, n);
	return false;
}

const char pg_begin_write[] = "BEGIN ISOLATION LEVEL SERIALIZABLE;";

/* The server need not read the same words again for every transaction. */
static const struct {
	const char *name, *text;
} steps[PG_STEPS] = {
	[PG_BEGIN_READ] = { "begin_read", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" },
	[PG_BEGIN_WRITE] = { "begin_write", pg_begin_write },
	/* a body of single conditional statements needs no more than the rows that it writes (db_run_conditional) */
	[PG_BEGIN_CONDITIONAL] = { "begin_conditional", "BEGIN ISOLATION LEVEL READ COMMITTED" },
	[PG_COMMIT] = { "commit", "COMMIT" },
	[PG_ROLLBACK] = { "rollback", "ROLLBACK" },
};

static bool
prepare_steps(struct pg_connection *c, int64_t until_ms, char why[static PG_WHY_BYTES])
{
	PGresult *results[PG_STEPS];
	bool is_good = true;

	for (size_t i = 0; i < PG_STEPS && is_good; i++)
		is_good = PQsendPrepare(c->conn, steps[i].name, steps[i].text, 0, NULL);
	is_good = is_good && PQpipelineSync(c->conn) && pg_collect(c, until_ms, results, PG_STEPS);
	if (!is_good) {
		keep_why(why, pg_is_lost(c) ? PQerrorMessage(c->conn) : "no answer in time");
		return false;
	}
	is_good = PQresultStatus(results[PG_STEPS - 1]) == PGRES_COMMAND_OK;
	if (!is_good)
		keep_why(why, "it cannot prepare statements");
	pg_clear(results, PG_STEPS);
	return is_good;
}

bool
pg_send_step(struct pg_connection *c, enum pg_step step)
{
	return PQsendQueryPrepared(c->conn, steps[step].name, 0, NULL, NULL, NULL, 0);
}

bool
pg_send_rollback(struct pg_connection *c)
{
	if (!pg_send_step(c, PG_ROLLBACK) || !PQpipelineSync(c->conn) || PQflush(c->conn) < 0)
		return false;
	c->is_draining = true;
	return true;
}

bool
pg_drain(struct pg_connection *c, int64_t until_ms)
{
	PGresult *result;

	if (!c->is_draining)
		return !pg_is_lost(c);
	if (!pg_collect(c, until_ms, &result, 1))
		return false;
	c->is_draining = false;
	PQclear(result);
	return PQtransactionStatus(c->conn) == PQTRANS_IDLE;
}

bool
pg_leave_pipeline(struct pg_connection *c)
{
	return PQexitPipelineMode(c->conn);
}

PGresult *
pg_ask(struct pg_connection *c, int64_t until_ms, const char *text, const char *const *args, int n, char why[static PG_WHY_BYTES])
{
	PGresult *result = NULL;

	if (!PQsendQueryParams(c->conn, text, n, NULL, args, NULL, NULL, 0) || !PQpipelineSync(c->conn) ||
	    !pg_collect(c, until_ms, &result, 1)) {
		keep_why(why, pg_is_lost(c) ? PQerrorMessage(c->conn) : "no answer in time");
		pg_lose(c);
		return NULL;
	}
	if (PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK)
		return result;
	keep_why(why, PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
	PQclear(result);
	return NULL;
}

bool
pg_simple(struct pg_connection *c, int64_t until_ms, const char *text, char why[static PG_WHY_BYTES])
{
	PGresult *result = pg_ask(c, until_ms, text, NULL, 0, why);

	PQclear(result);
	return result;
}

/* ---- opening ---- */

static bool
finish_connecting(PGconn *conn, int64_t until_ms, char why[static PG_WHY_BYTES])
{
	PostgresPollingStatusType wanted = PGRES_POLLING_WRITING;

	for (; wanted != PGRES_POLLING_OK; wanted = PQconnectPoll(conn)) {
		if (wanted == PGRES_POLLING_FAILED || PQstatus(conn) == CONNECTION_BAD) {
			keep_why(why, PQerrorMessage(conn));
			return false;
		}
		if (wait_socket(PQsocket(conn), wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT, until_ms) <= 0) {
			keep_why(why, "no answer in time");
			return false;
		}
	}
	return true;
}

/* What a server must be; and a commit is not acknowledged before it is on a disk, whatever the server's preset. */
static bool
settle_session(struct pg_connection *c, int64_t until_ms, char why[static PG_WHY_BYTES])
{
	const char *encoding = PQparameterStatus(c->conn, "server_encoding");

	if (PQserverVersion(c->conn) < VERSION_LEAST) {
		keep_why(why, "it is older than PostgreSQL 14");
		return false;
	}
	if (!encoding || strcmp(encoding, "UTF8")) {
		keep_why(why, "its encoding is not UTF8; create it with: createdb --encoding=UTF8 --template=template0 NAME");
		return false;
	}
	return pg_simple(c, until_ms, "SELECT set_config('synchronous_commit', 'on', false)"
	    " WHERE current_setting('synchronous_commit') = 'off'", why);
}

struct pg_connection *
pg_connection_open(const struct pg_dsn *dsn, int64_t until_ms, char why[static PG_WHY_BYTES])
{
	struct pg_connection *c = mem_new(sizeof(*c));

	c->conn = PQconnectStartParams((const char *const *)dsn->names, (const char *const *)dsn->values, 0);
	if (!c->conn) {
		keep_why(why, "not enough memory");
	} else if (finish_connecting(c->conn, until_ms, why)) {
		PQsetNoticeReceiver(c->conn, on_notice, c);
		PQsetErrorVerbosity(c->conn, PQERRORS_DEFAULT);
		c->is_prepared = mem_new((sql_count() + 1) * sizeof(*c->is_prepared));
		if (PQsetnonblocking(c->conn, 1) == 0 && PQenterPipelineMode(c->conn) && settle_session(c, until_ms, why) &&
		    prepare_steps(c, until_ms, why))
			return c;
	}
	pg_connection_close(c);
	return NULL;
}

void
pg_connection_close(struct pg_connection *c)
{
	if (!c)
		return;
	PQfinish(c->conn);
	mem_free(c->is_prepared);
	pg_bulk_free(c->bulks);
	mem_free(c);
}
