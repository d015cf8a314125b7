/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A SQLite database for looking only: beside a daemon at work, or with none.  Nothing is made and nothing is changed, so that who
 * examines a service (as root, perhaps) leaves no trace in it.  Read sqlite_open_reader, then sqlite_examine.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/time.h"
#include "driver_sqlite_int.h"
#include "store/check.h"

#define STEPS_BETWEEN_LOOKS 10000 /* instructions of SQLite's machine after which the clock is read */
#define LOCK_WAIT_MS 2000

int
sqlite_open_reader(struct op *op, const char *dsn, struct db **ret)
{
	struct sqlite_db *db;
	struct stat st;
	int rc;

	if (stat(dsn, &st) < 0)
		return op_fail(op, errno == ENOENT ? ERR_NOT_FOUND : ERR_STORE, "%s: %s", dsn, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return op_fail(op, ERR_STORE, "%s is not a regular file", dsn);
	db = sqlite_db_new(dsn);
	db->is_read_only = true;
	db->had_wal = access(op_printf(op, "%s-wal", dsn), F_OK) == 0;
	rc = sqlite_connection_open(op, db, &db->writer, true);
	if (rc)
		sqlite_close(&db->head);
	else
		*ret = &db->head;
	return rc;
}

/* A reader makes the files of the write-ahead log but may not remove them; SQLite itself does it when the last writer goes. */
void
sqlite_tidy(struct sqlite_db *db)
{
	sqlite3 *connection = NULL;

	if (sqlite3_open_v2(db->path, &connection, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK)
		sqlite3_exec(connection, "PRAGMA schema_version", NULL, NULL, NULL);
	sqlite3_close(connection);
}

static int64_t
file_bytes(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 ? 0 : (int64_t)st.st_size;
}

/* A daemon holds the lock beside the file as long as it runs. */
static bool
is_claimed(struct op *op, const struct sqlite_db *db)
{
	int fd = open(op_printf(op, "%s.lock", db->path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool is_held;

	if (fd < 0)
		return false;
	is_held = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	close(fd);
	return is_held;
}

/* A write lock, taken and given back; NULL when that went well. */
static const char *
try_lock(struct op *op, const struct sqlite_db *db)
{
	sqlite3 *connection = NULL;
	const char *why = NULL;

	if (sqlite3_open_v2(db->path, &connection, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK) {
		sqlite3_busy_timeout(connection, LOCK_WAIT_MS);
		sqlite3_db_config(connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		if (sqlite3_exec(connection, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK)
			sqlite3_exec(connection, "ROLLBACK", NULL, NULL, NULL);
		else
			why = op_strdup(op, sqlite3_errmsg(connection));
	} else {
		why = op_strdup(op, sqlite3_errmsg(connection));
	}
	sqlite3_close(connection);
	return why;
}

static const char *
why_unwritable(struct op *op, const struct sqlite_db *db)
{
	const char *folder = dirname(op_strdup(op, db->path));
	struct statvfs fs;

	if (statvfs(db->path, &fs) == 0 && (fs.f_flag & ST_RDONLY))
		return op_printf(op, "%s lies on a file system that is mounted read-only", db->path);
	if (faccessat(AT_FDCWD, db->path, W_OK, AT_EACCESS) < 0)
		return op_printf(op, "user %ld may not write %s: %s", (long)geteuid(), db->path, strerror(errno));
	/* the write-ahead log is made anew in the folder at each start */
	if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) < 0)
		return op_printf(op, "user %ld may not write the folder %s: %s", (long)geteuid(), folder, strerror(errno));
	return try_lock(op, db);
}

/* Ends a check that takes longer than the op may. */
static int
is_over(void *arg)
{
	return op_left_ms(arg) == 0;
}

struct line {
	struct op *op;
	const char *text; /* the first one */
};

static int
on_line(void *arg, int n, char **values, char **names)
{
	struct line *line = arg;

	(void)names;
	if (n > 0 && !line->text)
		line->text = op_strdup(line->op, values[0]);
	return 0;
}

static void
quick_check(struct op *op, struct sqlite_db *db, struct db_health *ret)
{
	sqlite3 *connection = db->writer.connection;
	struct line line = { .op = op };
	int code;

	sqlite3_progress_handler(connection, STEPS_BETWEEN_LOOKS, is_over, op);
	code = sqlite3_exec(connection, "PRAGMA quick_check(1)", on_line, &line, NULL);
	sqlite3_progress_handler(connection, 0, NULL, NULL);
	ret->is_checked = code != SQLITE_INTERRUPT;
	if (code == SQLITE_OK)
		ret->damage = line.text && strcmp(line.text, "ok") != 0 ? line.text : NULL;
	else if (ret->is_checked)
		ret->damage = op_strdup(op, sqlite3_errmsg(connection));
}

int
sqlite_examine(struct op *op, struct db *head, db_certificate_of *certificate_of, struct db_health *ret)
{
	struct sqlite_db *db = (struct sqlite_db *)head;

	(void)certificate_of;
	ret->file = op_strdup(op, db->path);
	ret->place = op_printf(op, "SQLite, %s", db->path);
	ret->size_bytes = file_bytes(db->path);
	ret->wal_bytes = file_bytes(op_printf(op, "%s-wal", db->path));
	ret->is_claimed = is_claimed(op, db);
	ret->unwritable = why_unwritable(op, db);
	quick_check(op, db, ret);
	return 0;
}

struct integrity {
	struct op *op;
	struct db_findings *findings;
	int n;
};

static int
on_damage(void *arg, int n, char **values, char **names)
{
	struct integrity *integrity = arg;

	(void)names;
	if (n > 0 && strcmp(values[0], "ok") != 0) {
		integrity->n++;
		db_finding_add(integrity->op, integrity->findings, DB_DAMAGED, "engine",
		    "%s; stop keywardd, keep a copy of the file as it is, and restore the newest good backup", values[0]);
	}
	return 0;
}

int
sqlite_check(struct op *op, struct db *head, struct db_findings *ret)
{
	sqlite3 *connection = ((struct sqlite_db *)head)->writer.connection;
	struct integrity integrity = { op, ret, 0 };
	int code;

	sqlite3_progress_handler(connection, STEPS_BETWEEN_LOOKS, is_over, op);
	code = sqlite3_exec(connection, "PRAGMA integrity_check(20)", on_damage, &integrity, NULL);
	sqlite3_progress_handler(connection, 0, NULL, NULL);
	if (code == SQLITE_INTERRUPT)
		return op_fail(op, ERR_DEADLINE, "the integrity check did not come to its end in time");
	if (code != SQLITE_OK)
		db_finding_add(op, ret, DB_DAMAGED, "engine", "%s; restore the newest good backup", sqlite3_errmsg(connection));
	else if (!integrity.n)
		db_finding_add(op, ret, DB_GOOD, "engine", "SQLite finds its file whole");
	return 0;
}
