/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A backup: one snapshot of every table goes straight into the sealed file, so that nothing lies on a disk in clear; then the
 * file is read as a restore would read it, and the event is recorded; only then it gets its name.  Read keep_backup.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "audit/audit.h"
#include "base/config.h"
#include "base/uuid.h"
#include "config.h"
#include "keep_int.h"
#include "people/keyring.h"

struct work {
	struct seat seat;
	struct db_schema schema;
	struct backup about;
	struct copy_table *tables;
	size_t n_tables, table;
	struct tally tally;
	struct backup_out *out;
	const char *file;
	const struct keep_progress *progress;
};

static int
put_batch(void *arg, const struct copy_batch *batch)
{
	struct work *w = arg;
	int rc = backup_out_rows(w->seat.op, w->out, batch);

	tally_add(&w->tally, batch);
	w->about.rows += (int64_t)batch->rows;
	progress_tell(w->seat.op, w->progress, "writing", w->tables[w->table].name, w->about.rows);
	return rc;
}

static int
put_table(struct op *op, struct work *w, const struct copy_table *table)
{
	const char *name = op_printf(op, "%s: %s", table->name, table->columns);
	unsigned char end[4 + SHA256_BYTES];
	int rc = backup_out_put(op, w->out, RECORD_TABLE, name, strlen(name));

	w->tally = (struct tally){ 0 };
	if (!rc)
		rc = copy_read(op, table, put_batch, w);
	for (int i = 0; i < 4; i++)
		end[i] = (unsigned char)(w->tally.rows >> 8 * (3 - i));
	memcpy(end + 4, w->tally.digest, SHA256_BYTES);
	return rc ? rc : backup_out_put(op, w->out, RECORD_TABLE_END, end, sizeof(end));
}

/* The whole backup in one snapshot.  May run again: then the file begins again. */
static int
snapshot_body(struct op *op, void *arg)
{
	struct work *w = arg;
	int rc;

	w->about.rows = 0;
	backup_out_free(w->out);
	w->out = NULL;
	rc = backup_out_new(op, op_printf(op, "%s.part", w->file), keyring_master(op), &w->about, &w->out);
	for (w->table = 0; w->table < w->n_tables && !rc; w->table++)
		rc = put_table(op, w, &w->tables[w->table]);
	if (!rc)
		rc = backup_out_put(op, w->out, RECORD_END, "", 0);
	return rc ? rc : backup_out_end(op, w->out);
}

static int
record_body(struct op *op, void *arg)
{
	const struct work *w = arg;

	return audit_record(op, EV_BACKUP, w->about.id, FACTS(FACT("file", w->file), FACT("rows", op_printf(op, "%lld",
	    (long long)w->about.rows))));
}

static int
read_back(struct op *op, struct work *w)
{
	struct backup_visitor visitor = { .progress = w->progress, .step = "checking" };
	struct backup found;
	int rc = backup_read_all(op, op_printf(op, "%s.part", w->file), keyring_master(op), &found, &visitor);

	if (!rc && (found.rows != w->about.rows || strcmp(found.id, w->about.id)))
		rc = op_fail(op, ERR_SYSTEM, "what was written to %s is not what comes back; look at the disk", w->file);
	w->about.bytes = found.bytes;
	return rc;
}

static int
work(struct op *op, struct work *w)
{
	char *id = op_alloc(op, UUID_TEXT_BYTES);
	int rc = source_open(op, &w->seat, &w->schema);

	if (!rc)
		rc = keyring_open(w->seat.op, op->config->master_key);
	if (!rc)
		rc = copy_tables(op, w->schema.version, &w->tables, &w->n_tables);
	if (rc)
		return rc;
	uuid_new(id, w->seat.op->now_ms);
	w->about = (struct backup){ .id = id, .organisation = op->config->organisation, .issuer = op->config->issuer,
		.key_id = op_strdup(op, master_key_id(keyring_master(w->seat.op))), .program = PACKAGE_VERSION, .schema = w->schema.version,
		.time_ms = w->seat.op->now_ms };
	rc = db_read(w->seat.op, snapshot_body, w);
	if (!rc)
		rc = read_back(w->seat.op, w);
	if (!rc)
		rc = db_run(w->seat.op, record_body, w);
	return rc ? rc : backup_out_keep(w->seat.op, w->out, w->file);
}

int
keep_backup(struct op *op, const char *file, bool is_forced, const struct keep_progress *progress, struct backup *ret)
{
	struct work w = { .file = file, .progress = progress };
	int rc;

	if (!is_forced && access(file, F_OK) == 0)
		return op_fail(op, ERR_CONFLICT, "%s is there already; name another file, or replace it with --force", file);
	seat_take(&w.seat, op);
	rc = work(op, &w);
	backup_out_free(w.out);
	audit_close(w.seat.svc.audit);
	keyring_free(w.seat.svc.keyring);
	*ret = w.about;
	return seat_leave(op, &w.seat, rc);
}

int
keep_check(struct op *op, const char *file, const struct keep_progress *progress, struct backup *ret)
{
	struct backup_visitor visitor = { .progress = progress, .step = "checking" };
	struct master_key *key;
	int rc = master_key_read(op, op->config->master_key, &key);

	if (rc)
		return rc;
	rc = backup_read_all(op, file, key, ret, &visitor);
	master_key_free(key);
	return rc;
}
