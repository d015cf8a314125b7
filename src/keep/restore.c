/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A restore.  The backup is read whole before anything is touched; then its rows fill a database that nobody uses yet, are
 * compared, brought to this program's schema, and everything that would let somebody in is ended; last it takes the place of
 * the old one in one step.  Read keep_restore, then swap.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/config.h"
#include "base/json.h"
#include "base/time.h"
#include "keep_int.h"
#include "store/key.h"
#include "store/restore.h"

#define WHAT "keyward restore"

struct work {
	struct seat seat;
	struct backup about;
	struct copy_table *tables;
	size_t n_tables;
	struct tally *wanted, *found;
	const char *file, *dsn;         /* dsn: of the database that is filled */
	const struct master_key *key;
	const struct keep_progress *progress;
};

/* ---- filling ---- */

static int
put_batch(void *arg, size_t table, const struct copy_batch *batch)
{
	struct work *w = arg;

	tally_add(&w->wanted[table], batch);
	return target_put(&w->seat, &w->tables[table], batch);
}

static int
compare_body(struct op *op, void *arg)
{
	struct work *w = arg;

	return tally_all(op, w->tables, w->n_tables, w->progress, "comparing", w->found);
}

static int
compare(struct work *w)
{
	int rc = db_read(w->seat.op, compare_body, w);

	for (size_t i = 0; i < w->n_tables && !rc; i++)
		if (!tally_is_equal(&w->wanted[i], &w->found[i]))
			rc = op_fail(w->seat.op, ERR_STORE, "the table %s is not in the database as it is in the backup; look at the disk",
			    w->tables[i].name);
	return rc;
}

/* What the first start records (SETTING_RESTORE). */
static const char *
write_note(struct op *op, const struct work *w, const struct restore_counts *counts)
{
	char made[TIME_TEXT_BYTES];

	return json_canonical(op, json_own(op, json_pack("{s:s, s:s, s:s, s:I, s:I}", "backup", w->about.id, "made",
	    time_text(w->about.time_ms, made), "by", op->caller.actor ? op->caller.actor : "", "sessions", (json_int_t)counts->sessions,
	    "authorizations", (json_int_t)counts->authorizations)));
}

static int
settle_body(struct op *op, void *arg)
{
	struct restore_counts counts;
	const struct work *w = arg;
	int rc = db_restore_settle(op, &counts);

	if (!rc)
		rc = db_setting_write(op, SETTING_RESTORE, write_note(op, w, &counts));
	return rc ? rc : db_schema_mark_unfinished(op, NULL);
}

static int
fill(struct op *op, struct work *w)
{
	struct backup_visitor visitor = { .batch = put_batch, .arg = w, .progress = w->progress, .step = "restoring" };
	struct backup again;
	int rc = copy_tables(op, w->about.schema, &w->tables, &w->n_tables);

	if (rc)
		return rc;
	w->wanted = op_alloc(op, w->n_tables * sizeof(*w->wanted));
	w->found = op_alloc(op, w->n_tables * sizeof(*w->found));
	rc = target_open(op, &w->seat, w->dsn, w->about.schema, WHAT);
	if (!rc)
		rc = backup_read_all(w->seat.op, w->file, w->key, &again, &visitor);
	if (!rc && strcmp(again.id, w->about.id))
		rc = op_fail(w->seat.op, ERR_CONFLICT, "%s was replaced by another file meanwhile", w->file);
	if (!rc)
		rc = compare(w);
	if (!rc)
		rc = db_migrate_to(w->seat.op, w->seat.svc.db, db_schema_newest());
	op_touch(w->seat.op);
	return rc ? rc : db_run(w->seat.op, settle_body, w);
}

/* ---- in the place of the old one ---- */

static void
remove_files(struct op *op, const char *path)
{
	unlink(path);
	unlink(op_printf(op, "%s-wal", path));
	unlink(op_printf(op, "%s-shm", path));
	unlink(op_printf(op, "%s.lock", path));
}

/* The new file belongs to whom the old one belonged to, or the folder: root restores, the daemon works with it. */
static int
give_to_daemon(struct op *op, const char *path, const char *like)
{
	struct stat st;

	if (geteuid() != 0)
		return 0;
	if (stat(like, &st) < 0 && stat(dirname(op_strdup(op, like)), &st) < 0)
		return op_fail(op, ERR_SYSTEM, "cannot examine %s: %s", like, strerror(errno));
	if (chown(path, st.st_uid, st.st_gid) < 0)
		return op_fail(op, ERR_SYSTEM, "cannot give %s to the owner of the database: %s", path, strerror(errno));
	return 0;
}

static int
sync_file(struct op *op, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool is_good = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	return is_good ? 0 : op_fail(op, ERR_SYSTEM, "cannot bring %s to the disk: %s", path, strerror(errno));
}

/*
 * What the log beside the old database still holds goes into it, if it can be opened at all; a damaged one is kept with its
 * log.
 */
static void
fold_log(struct op *op, const char *file)
{
	struct seat seat = { 0 };

	seat_take(&seat, op);
	if (db_open(seat.op, file, &seat.svc.db))
		op_forgive(seat.op);
	op_end(seat.op);
	db_close(seat.svc.db);
}

static int
keep_log(struct op *op, const char *file, const char *kept)
{
	const char *log = op_printf(op, "%s-wal", file);

	/* the index of the log is made anew from it */
	unlink(op_printf(op, "%s-shm", file));
	if (access(log, F_OK) < 0 || rename(log, op_printf(op, "%s-wal", kept)) == 0)
		return 0;
	return op_fail(op, ERR_SYSTEM, "cannot keep %s: %s", log, strerror(errno));
}

/* A name by the time, and a number when another restore of this second has it. */
static const char *
kept_name(struct op *op, const char *file)
{
	time_t now = (time_t)(op->now_ms / 1000);
	const char *name;
	char text[32];
	struct tm tm;

	strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	name = op_printf(op, "%s.replaced-%s", file, text);
	for (int i = 2; access(name, F_OK) == 0 && i < 100; i++)
		name = op_printf(op, "%s.replaced-%s-%d", file, text, i);
	return name;
}

/*
 * A log of the old database beside the new one would destroy it, and the old one without its log lacks its last commits.  So
 * the lock says that files are being exchanged until both are in their place: a daemon started in between, after a power cut
 * too, refuses.
 */
static int
exchange(struct op *op, const char *new, const char *file, const char *kept)
{
	if (kept && link(file, kept) < 0)
		return op_fail(op, ERR_SYSTEM, "cannot keep the old database as %s: %s", kept, strerror(errno));
	if (keep_log(op, file, kept ? kept : file) < 0 || rename(new, file) < 0)
		return op_fail(op, ERR_SYSTEM, "cannot put the new database in its place: %s", strerror(errno));
	return file_sync_folder(op, file);
}

static int
swap(struct op *op, const char *new, const char *file, int claim, struct backup *ret)
{
	int rc;

	if (access(file, F_OK) == 0) {
		ret->kept = kept_name(op, file);
		fold_log(op, file);
		reopened_find(op, file, new, ret);
	}
	rc = db_file_mark(op, claim, true);
	if (!rc)
		rc = exchange(op, new, file, ret->kept);
	/* a failure leaves the mark: whether the old one is whole is not known any more */
	return rc ? rc : db_file_mark(op, claim, false);
}

static int
restore_file(struct op *op, struct work *w, const char *file, int claim, struct backup *ret)
{
	const char *new = op_printf(op, "%s.restoring", file);
	int rc;

	remove_files(op, new);
	w->dsn = new;
	seat_take(&w->seat, op);
	rc = fill(op, w);
	rc = seat_leave(op, &w->seat, rc);
	if (!rc && access(op_printf(op, "%s-wal", new), F_OK) == 0)
		rc = op_fail(op, ERR_STORE, "the log of the new database could not be brought into it; look at the disk");
	if (!rc)
		rc = give_to_daemon(op, new, file);
	if (!rc)
		rc = sync_file(op, new);
	*ret = w->about;
	if (!rc)
		rc = swap(op, new, file, claim, ret);
	remove_files(op, new);
	return rc;
}

/* ---- the command ---- */

static int
check_target(struct op *op, const char *file, bool is_forced)
{
	struct stat st;

	if (!file || stat(file, &st) < 0)
		return 0;
	if (!S_ISREG(st.st_mode))
		return op_fail(op, ERR_CONFIG, "%s, which the key database of the configuration names, is %s; name a file, such as "
		    "database: /var/lib/keyward/keyward.db", file, S_ISDIR(st.st_mode) ? "a folder" : "no ordinary file");
	if (is_forced)
		return 0;
	return op_fail(op, ERR_CONFLICT, "there is a database %s; with --force it is kept beside the restored one", file);
}

static int
restore_with_key(struct op *op, struct work *w, const char *file, struct backup *ret)
{
	struct backup_visitor visitor = { .progress = w->progress, .step = "checking" };
	int claim, rc = backup_read_all(op, w->file, w->key, &w->about, &visitor);

	if (rc)
		return rc;
	if (file) {
		rc = db_file_claim(op, file, true, &claim);
		if (rc)
			return rc;
		rc = restore_file(op, w, file, claim, ret);
		close(claim);
		return rc;
	}
	w->dsn = op->config->database;
	seat_take(&w->seat, op);
	rc = fill(op, w);
	*ret = w->about;
	return seat_leave(op, &w->seat, rc);
}

int
keep_restore(struct op *op, const char *file, bool is_forced, const struct keep_progress *progress, struct backup *ret)
{
	struct work w = { .file = file, .progress = progress };
	const char *database = db_file(op->config->database);
	struct master_key *key;
	int rc = check_target(op, database, is_forced);

	if (!rc)
		rc = master_key_read(op, op->config->master_key, &key);
	if (rc)
		return rc;
	w.key = key;
	rc = restore_with_key(op, &w, database, ret);
	master_key_free(key);
	return rc;
}
