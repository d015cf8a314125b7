/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The files beside a SQLite database: the lock that says who works on it, and the copies before migrations. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "driver_sqlite_int.h"
#include "store/schema.h"

#define COPIES_KEPT 2

/* ---- who works on it ---- */

/* Made by root, but for the daemon: it belongs to whom the database belongs to, or its folder. */
static bool
is_given(struct op *op, const char *file, int fd)
{
	struct stat st;

	if (geteuid() != 0)
		return true;
	if (stat(file, &st) < 0 && stat(dirname(op_strdup(op, file)), &st) < 0)
		return false;
	return fchown(fd, st.st_uid, st.st_gid) == 0;
}

static int
take_lock(struct op *op, const char *file, const char *path, bool is_restore, int fd)
{
	char mark;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return op_fail(op, ERR_STORE, "the database %s is in use by another keywardd; end that one first, or name another "
		    "database", file);
	if (!is_given(op, file, fd))
		return op_fail(op, ERR_STORE, "cannot give %s to the owner of the database: %s", path, strerror(errno));
	if (!is_restore && pread(fd, &mark, 1, 0) > 0)
		return op_fail(op, ERR_STORE, "a restore of %s was cut short while it exchanged the files; run keyward restore "
		    "--force again", file);
	return 0;
}

/* The lock goes with the process, however it ends.  Its file stays: removing it would let two hold "the" lock. */
int
db_file_claim(struct op *op, const char *file, bool is_restore, int *ret_fd)
{
	const char *path = op_printf(op, "%s.lock", file);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), rc;

	if (fd < 0)
		return op_fail(op, ERR_STORE, "cannot open %s: %s", path, strerror(errno));
	rc = take_lock(op, file, path, is_restore, fd);
	if (rc)
		close(fd);
	else
		*ret_fd = fd;
	return rc;
}

int
db_file_mark(struct op *op, int fd, bool is_being_replaced)
{
	bool is_good = is_being_replaced ? pwrite(fd, "restore\n", 8, 0) == 8 : ftruncate(fd, 0) == 0;

	if (!is_good || fsync(fd) < 0)
		return op_fail(op, ERR_STORE, "cannot write the lock of the database: %s", strerror(errno));
	return 0;
}

int
sqlite_claim(struct op *op, struct db *head)
{
	struct sqlite_db *db = (struct sqlite_db *)head;

	return db_file_claim(op, db->path, false, &db->claim);
}

/* ---- the copy before a migration ---- */

static bool
is_synced(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool is_good = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	return is_good;
}

/* The two newest stay; a clinic that upgrades for years does not fill its disk. */
static void
drop_old_copies(struct op *op, const char *path, int version)
{
	int kept = 0;

	for (; version > 0; version--) {
		const char *copy = op_printf(op, "%s.before-%04d", path, version);

		if (access(copy, F_OK) == 0 && ++kept > COPIES_KEPT)
			unlink(copy);
	}
}

/*
 * VACUUM INTO gives a whole, consistent copy.  It gets its name only when it is on the disk: a copy that a power cut left half
 * made must not be taken for one.  An older copy of the same version is replaced.
 */
int
sqlite_copy(struct op *op, struct db *head, int version)
{
	struct sqlite_db *db = (struct sqlite_db *)head;
	char *path = op_printf(op, "%s.before-%04d", db->path, version), *half = op_printf(op, "%s.half", path), *statement;
	int code;

	unlink(half);
	statement = sqlite3_mprintf("VACUUM INTO %Q", half);
	code = sqlite3_exec(db->writer.connection, statement, NULL, NULL, NULL);
	sqlite3_free(statement);
	if (code != SQLITE_OK) {
		code = sqlite_fail(op, db->writer.connection, "cannot copy the database before changing its schema, so nothing was "
		    "changed");
		unlink(half);
		return code;
	}
	if (!is_synced(half) || rename(half, path) < 0) {
		code = op_fail(op, ERR_STORE, "cannot keep %s, so the schema was not changed: %s", path, strerror(errno));
		unlink(half);
		return code;
	}
	log_line(LOG_LEVEL_NOTICE, "store.copied", "to", path, NULL);
	drop_old_copies(op, db->path, version);
	return 0;
}
