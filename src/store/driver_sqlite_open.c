/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Opening a SQLite database, its settings and the checkpoint thread.  Files beside the database's own: driver_sqlite_file.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "driver_sqlite_int.h"

#define CHECKPOINT_PAGES 2000
#define WAL_LIMIT_BYTES (64 << 20)
#define BUSY_MS 5000

static int
pragma(struct op *op, sqlite3 *connection, const char *text)
{
	if (sqlite3_exec(connection, text, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	if (sqlite3_errcode(connection) == SQLITE_NOTADB)
		return op_fail(op, ERR_STORE, "%s is not a database; put back the right file, or name another one",
		    sqlite3_db_filename(connection, "main"));
	return sqlite_fail(op, connection, text);
}

/*
 * Durable at power loss; small caches, and no mapping: the kernel keeps the pages, and a disk error stays an error; WAL grows only until
 * the checkpointer has been by.
 */
static const char *const pragmas_all[] = {
	"PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON", "PRAGMA temp_store=MEMORY",
	"PRAGMA trusted_schema=OFF", "PRAGMA wal_autocheckpoint=0",
};

int
sqlite_connection_open(struct op *op, struct sqlite_db *db, struct sqlite_connection *connection, bool is_reader)
{
	int flags = (db->is_read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) | SQLITE_OPEN_NOMUTEX, rc = 0;

	if (sqlite3_open_v2(db->path, &connection->connection, flags, NULL) != SQLITE_OK)
		return op_fail(op, ERR_STORE, "cannot open the database %s: %s; its folder must exist and be writable for user %ld",
		    db->path, sqlite3_errmsg(connection->connection), (long)geteuid());
	sqlite3_busy_timeout(connection->connection, BUSY_MS);
	/* the first one writes */
	for (size_t i = db->is_read_only ? 1 : 0; i < countof(pragmas_all) && !rc; i++)
		rc = pragma(op, connection->connection, pragmas_all[i]);
	if (!rc)
		rc = pragma(op, connection->connection, is_reader ? "PRAGMA cache_size=-2000" : "PRAGMA cache_size=-8000");
	if (!rc && is_reader)
		rc = pragma(op, connection->connection, "PRAGMA query_only=ON");
	connection->statements = mem_new((sql_count() + 1) * sizeof(*connection->statements));
	return rc;
}

void
sqlite_connection_close(struct sqlite_connection *connection)
{
	for (size_t i = 0; connection->statements && i < sql_count(); i++)
		sqlite3_finalize(connection->statements[i].stmt);
	sqlite3_finalize(connection->made.stmt);
	mem_free(connection->statements);
	for (size_t i = 0; i < STEP_COUNT; i++)
		sqlite3_finalize(connection->steps[i]);
	sqlite3_close(connection->connection);
}

/* After each commit: how long the WAL is now. */
static int
on_wal(void *arg, sqlite3 *connection, const char *name, int pages)
{
	struct sqlite_db *db = arg;

	(void)connection;
	(void)name;
	atomic_store(&db->wal_pages, pages);
	if (pages >= CHECKPOINT_PAGES)
		sem_post(&db->wake);
	return SQLITE_OK;
}

/* Checkpoints away from the writers: 64 clients are served half as fast again when the writer does not do it. */
static void *
checkpoint_loop(void *arg)
{
	struct sqlite_db *db = arg;
	sqlite3 *connection = NULL;

	if (sqlite3_open_v2(db->path, &connection, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		log_line(LOG_LEVEL_ERROR, "store.checkpoint", "why", sqlite3_errmsg(connection), NULL);
		sqlite3_close(connection);
		return NULL;
	}
	sqlite3_exec(connection, "PRAGMA synchronous=FULL", NULL, NULL, NULL);
	for (;;) {
		while (sem_wait(&db->wake) < 0 && errno == EINTR)
			;
		if (atomic_load(&db->must_stop))
			break;
		while (!sem_trywait(&db->wake))
			;
		if (sqlite3_wal_checkpoint_v2(connection, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) != SQLITE_OK &&
		    sqlite3_errcode(connection) != SQLITE_BUSY)
			log_line(LOG_LEVEL_WARNING, "store.checkpoint", "why", sqlite3_errmsg(connection), NULL);
		usleep(10000);
	}
	sqlite3_close(connection);
	return NULL;
}

static int
start_checkpointer(struct op *op, struct sqlite_db *db)
{
	char limit[64];

	snprintf(limit, sizeof(limit), "PRAGMA journal_size_limit=%d", WAL_LIMIT_BYTES);
	sqlite3_exec(db->writer.connection, limit, NULL, NULL, NULL);
	sqlite3_wal_hook(db->writer.connection, on_wal, db);
	if (pthread_create(&db->checkpointer, NULL, checkpoint_loop, db))
		return op_fail(op, ERR_SYSTEM, "cannot start the checkpoint thread: %s", strerror(errno));
	db->has_checkpointer = true;
	return 0;
}

struct sqlite_db *
sqlite_db_new(const char *path)
{
	struct sqlite_db *db = mem_new(sizeof(*db));

	db->head.engine = &db_engine_sqlite;
	db->path = mem_strdup(path);
	db->claim = -1;
	pthread_mutex_init(&db->lock, NULL);
	time_condition_init(&db->enter);
	sem_init(&db->wake, 0, 0);
	return db;
}

int
sqlite_open(struct op *op, const char *dsn, struct db **ret)
{
	struct sqlite_db *db = sqlite_db_new(dsn);
	mode_t mask = umask(077);               /* the file holds people's data */
	int rc;

	/* spares a lock and a sum for every allocation; refused, without harm, once there was a connection */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	rc = sqlite_connection_open(op, db, &db->writer, false);
	umask(mask);
	if (!rc)
		rc = start_checkpointer(op, db);
	if (rc)
		sqlite_close(&db->head);
	else
		*ret = &db->head;
	return rc;
}

void
sqlite_close(struct db *head)
{
	struct sqlite_db *db = (struct sqlite_db *)head;

	if (db->has_checkpointer) {
		atomic_store(&db->must_stop, true);
		sem_post(&db->wake);
		pthread_join(db->checkpointer, NULL);
	}
	while (db->idle_readers) {
		struct sqlite_connection *reader = db->idle_readers;

		db->idle_readers = reader->next;
		sqlite_connection_close(reader);
		mem_free(reader);
	}
	sqlite_connection_close(&db->writer);
	if (db->is_read_only && !db->had_wal)
		sqlite_tidy(db);
	if (db->claim >= 0)
		close(db->claim);
	pthread_cond_destroy(&db->enter);
	pthread_mutex_destroy(&db->lock);
	sem_destroy(&db->wake);
	mem_free(db->path);
	mem_free(db);
}
