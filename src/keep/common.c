/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What backup, restore and move share: tallies of rows, an op for each database, opening the one to read and the one to fill,
 * progress.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/time.h"
#include "keep_int.h"

#define WORK_MS (24 * 3600000LL)

/* A chain: each row's digest goes over all before it, so that order counts, too. */
void
tally_add(struct tally *tally, const struct copy_batch *batch)
{
	const unsigned char *row;
	size_t at = 0, size;

	while (copy_next(batch, &at, &row, &size)) {
		sha256_parts((struct hash_part[]){ { tally->digest, sizeof(tally->digest) }, { row, size } }, 2, tally->digest);
		tally->rows++;
	}
}

bool
tally_is_equal(const struct tally *a, const struct tally *b)
{
	return a->rows == b->rows && bytes_equal(a->digest, b->digest, sizeof(a->digest));
}

void
seat_take(struct seat *seat, struct op *op)
{
	seat->op = op_begin(&seat->svc, op->config);
	seat->op->deadline_ms = time_monotonic_ms() + WORK_MS;
	seat->op->caller = op->caller;
}

int
seat_leave(struct op *op, struct seat *seat, int rc)
{
	if (rc)
		rc = op_fail(op, rc, "%s", op_failure(seat->op));
	op_end(seat->op);
	db_close(seat->svc.db);
	*seat = (struct seat){ 0 };
	return rc;
}

void
progress_tell(struct op *op, const struct keep_progress *progress, const char *step, const char *table, int64_t rows)
{
	if (progress && progress->tell)
		progress->tell(progress->arg, op_printf(op, "%s %s", step, table), rows);
}

int
file_sync_folder(struct op *op, const char *path)
{
	int fd = open(dirname(op_strdup(op, path)), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool is_good = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL);       /* some network file systems cannot */

	if (fd >= 0)
		close(fd);
	return is_good ? 0 : op_fail(op, ERR_SYSTEM, "cannot bring the folder of %s to the disk: %s", path, strerror(errno));
}

/* ---- databases ---- */

int
source_open(struct op *op, struct seat *seat, struct db_schema *ret)
{
	const char *dsn = op->config->database, *file = db_file(dsn);
	int rc;

	/* opening makes a file that is not there */
	if (file && access(file, F_OK) < 0)
		return op_fail(op, ERR_NOT_FOUND, "there is no database %s: %s", file, strerror(errno));
	rc = db_open(seat->op, dsn, &seat->svc.db);
	if (!rc)
		rc = db_schema_read(seat->op, seat->svc.db, ret);
	if (!rc && ret->unfinished)
		rc = op_fail(seat->op, ERR_STORE, "the database is not complete: %s did not come to its end", ret->unfinished);
	if (!rc && ret->version < 1)
		rc = op_fail(seat->op, ERR_NOT_FOUND, "the database is empty; start keywardd once, or restore a backup into it");
	if (!rc && ret->version > db_schema_newest())
		rc = op_fail(seat->op, ERR_STORE, "the database has schema %d, made by a newer release than this program (schema %d); "
		    "use that release", ret->version, db_schema_newest());
	return rc;
}

struct begin {
	const struct copy_table *tables;
	size_t n;
	const char *what;
};

/* Before the first table is made: a try that is cut short must be known for what it is. */
static int
mark_body(struct op *op, void *arg)
{
	return db_schema_mark_unfinished(op, arg);
}

struct clearing {
	const struct copy_table *tables;
	size_t n;
};

/* A step of the schema may have put rows in; a try that was cut short surely has. */
static int
clear_body(struct op *op, void *arg)
{
	const struct clearing *clearing = arg;

	return copy_clear(op, clearing->tables, clearing->n);
}

int
target_open(struct op *op, struct seat *seat, const char *dsn, int version, const char *what)
{
	struct clearing clearing = { 0 };
	struct copy_table *tables;
	struct db_schema schema;
	int rc = db_open(seat->op, dsn, &seat->svc.db);

	(void)op;
	if (!rc)
		rc = db_claim(seat->op, seat->svc.db);
	if (!rc)
		rc = db_schema_read(seat->op, seat->svc.db, &schema);
	if (!rc && schema.version && (!schema.unfinished || strcmp(schema.unfinished, what)))
		rc = op_fail(seat->op, ERR_CONFLICT, "the database to be filled is not empty; make an empty one and name that");
	if (!rc && schema.version > version)
		rc = op_fail(seat->op, ERR_CONFLICT, "the database to be filled was begun with another schema; make an empty one and name "
		    "that");
	if (!rc)
		rc = db_run(seat->op, mark_body, (void *)(uintptr_t)what);
	if (!rc)
		rc = db_migrate_to(seat->op, seat->svc.db, version);
	if (!rc)
		rc = copy_tables(seat->op, version, &tables, &clearing.n);
	if (rc)
		return rc;
	clearing.tables = tables;
	return db_run(seat->op, clear_body, &clearing);
}

struct putting {
	const struct copy_table *table;
	const struct copy_batch *batch;
};

static int
put_body(struct op *op, void *arg)
{
	const struct putting *putting = arg;

	return copy_write(op, putting->table, putting->batch);
}

int
target_put(struct seat *seat, const struct copy_table *table, const struct copy_batch *batch)
{
	struct putting putting = { table, batch };
	struct op *op = op_begin(&seat->svc, seat->op->config);     /* ends with the batch: memory does not grow with the table */
	int rc;

	op->deadline_ms = seat->op->deadline_ms;
	rc = db_run(op, put_body, &putting);
	if (rc)
		rc = op_fail(seat->op, rc, "%s", op_failure(op));
	op_end(op);
	return rc;
}

struct counting {
	struct op *op;
	const struct keep_progress *progress;
	const char *step, *table;
	struct tally *tally;
};

static int
count_batch(void *arg, const struct copy_batch *batch)
{
	struct counting *counting = arg;

	tally_add(counting->tally, batch);
	progress_tell(counting->op, counting->progress, counting->step, counting->table, counting->tally->rows);
	return 0;
}

int
tally_all(struct op *op, const struct copy_table *tables, size_t n, const struct keep_progress *progress, const char *step,
    struct tally *ret)
{
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++) {
		struct counting counting = { op, progress, step, tables[i].name, &ret[i] };

		ret[i] = (struct tally){ 0 };
		rc = copy_read(op, &tables[i], count_batch, &counting);
	}
	return rc;
}
