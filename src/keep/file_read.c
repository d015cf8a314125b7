/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Reading the file of a backup, which may be anything: cut, edited, of another clinic, of a newer release, no backup at all.
 * What a restore or a check may rely on is in backup_read_all; the sentences are for whoever stands before a broken server.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"
#include "base/file.h"
#include "base/json.h"
#include "keep_int.h"

struct backup_in {
	int fd;
	const char *path;
	struct stream *stream;
	bool is_last;                   /* the block in plain is the last one */
	size_t at, filled;              /* of plain */
	unsigned char *piece;           /* the record given last */
	unsigned char plain[BACKUP_BLOCK_BYTES], sealed[BACKUP_BLOCK_BYTES + STREAM_TAG_BYTES];
};

static size_t
get_length(const unsigned char *from)
{
	return (size_t)from[0] << 24 | (size_t)from[1] << 16 | (size_t)from[2] << 8 | from[3];
}

/* ---- the head ---- */

static int
no_backup(struct op *op, const struct backup_in *in)
{
	return op_fail(op, ERR_MALFORMED, "%s is no backup of Keyward, or its beginning is damaged", in->path);
}

static int
read_about(struct op *op, struct backup_in *in, const char *text, size_t n, struct backup *ret)
{
	json_t *about;

	if (json_read(op, text, n, &about) < 0) {
		op_forgive(op);
		return no_backup(op, in);
	}
	*ret = (struct backup){
		.id = json_get_text(about, "id"), .organisation = json_get_text(about, "organisation"),
		.issuer = json_get_text(about, "issuer"),
		.key_id = json_get_text(about, "key"), .program = json_get_text(about, "program"),
		.schema = (int)json_get_int(about, "schema"), .time_ms = json_get_int(about, "time_ms"),
	};
	if (!ret->id || !ret->organisation || !ret->issuer || !ret->key_id || !ret->program || ret->schema < 1)
		return no_backup(op, in);
	return 0;
}

/* These are read before anything was authenticated: they choose words.  What counts is bound to the stream. */
static int
check_about(struct op *op, const struct backup_in *in, const struct master_key *key, const struct backup *about)
{
	if (strcmp(about->key_id, master_key_id(key)))
		return op_fail(op, ERR_SEAL, "%s (%s) was sealed under master key %s, but the configuration names master key %s; put the "
		    "master key file of that time in place", in->path, about->organisation, about->key_id, master_key_id(key));
	if (about->schema > db_schema_newest())
		return op_fail(op, ERR_CONFLICT, "%s was made by a newer release (%s, schema %d) than this program (schema %d); install "
		    "that release first", in->path, about->program, about->schema, db_schema_newest());
	if (strcmp(about->issuer, op->config->issuer))
		return op_fail(op, ERR_CONFLICT, "%s is a backup of %s (%s), but the configuration is for %s; use the configuration of "
		    "that service", in->path, about->organisation, about->issuer, op->config->issuer);
	return 0;
}

static int
read_head(struct op *op, struct backup_in *in, const struct master_key *key, struct backup *ret)
{
	size_t magic = strlen(BACKUP_MAGIC), size = magic + 4, n;
	unsigned char *head = op_alloc(op, size + BACKUP_HEAD_MAX + STREAM_START_BYTES);
	int rc;

	if (file_read(in->fd, head, size) != (ssize_t)size || memcmp(head, BACKUP_MAGIC, magic))
		return no_backup(op, in);
	n = get_length(head + magic);
	if (n > BACKUP_HEAD_MAX || file_read(in->fd, head + size, n + STREAM_START_BYTES) != (ssize_t)(n + STREAM_START_BYTES))
		return no_backup(op, in);
	rc = read_about(op, in, (char *)head + size, n, ret);
	if (!rc)
		rc = check_about(op, in, key, ret);
	return rc ? rc : stream_open_new(op, key, BACKUP_PURPOSE, head, size + n, head + size + n, &in->stream);
}

static void
backup_in_free(struct backup_in *in)
{
	if (!in)
		return;
	stream_free(in->stream);
	if (in->fd >= 0)
		close(in->fd);
	mem_free(in->piece);
	mem_wipe(in, sizeof(*in));
	mem_free(in);
}

/* Opens the file and checks its head against key: another key, another form, a newer schema are refused here. */
static int
backup_in_new(struct op *op, const char *path, const struct master_key *key, struct backup *ret_about, struct backup_in **ret)
{
	struct backup_in *in = mem_new(sizeof(*in));
	struct stat st;
	int rc = 0;

	in->path = op_strdup(op, path);
	in->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (in->fd < 0)
		rc = op_fail(op, ERR_NOT_FOUND, "cannot open %s: %s", path, strerror(errno));
	else if (fstat(in->fd, &st) < 0 || !S_ISREG(st.st_mode))
		rc = op_fail(op, ERR_INVALID, "%s is not a file", path);
	if (!rc)
		rc = read_head(op, in, key, ret_about);
	if (rc) {
		backup_in_free(in);
		return rc;
	}
	ret_about->bytes = st.st_size;
	*ret = in;
	return 0;
}

/* ---- records ---- */

static int
next_block(struct op *op, struct backup_in *in)
{
	ssize_t n;

	if (in->is_last)
		return op_fail(op, ERR_MALFORMED, "%s ends too early", in->path);
	n = file_read(in->fd, in->sealed, sizeof(in->sealed));
	if (n < 0)
		return op_fail(op, ERR_SYSTEM, "cannot read %s: %s", in->path, strerror(errno));
	if (n < STREAM_TAG_BYTES)
		return op_fail(op, ERR_MALFORMED, "%s is not complete: its end is missing", in->path);
	if (!stream_open(in->stream, in->sealed, (size_t)n, in->plain, &in->is_last))
		return op_fail(op, ERR_MALFORMED, "%s was changed or damaged, or is cut off; use another backup", in->path);
	in->at = 0;
	in->filled = (size_t)n - STREAM_TAG_BYTES;
	return 0;
}

static int
get_bytes(struct op *op, struct backup_in *in, unsigned char *to, size_t n)
{
	int rc = 0;

	while (n && !rc) {
		size_t have = in->filled - in->at, part = n < have ? n : have;

		memcpy(to, in->plain + in->at, part);
		in->at += part;
		to += part;
		n -= part;
		if (n)
			rc = next_block(op, in);
	}
	return rc;
}

/* The next record; its bytes are good until the next call. */
static int
backup_in_get(struct op *op, struct backup_in *in, int *ret_record, const unsigned char **ret_bytes, size_t *ret_n)
{
	unsigned char head[5];
	int rc = get_bytes(op, in, head, sizeof(head));

	if (rc)
		return rc;
	*ret_record = head[0];
	*ret_n = get_length(head + 1);
	if (*ret_n > BACKUP_PIECE_MAX)
		return op_fail(op, ERR_MALFORMED, "%s has a record of %zu bytes", in->path, *ret_n);
	in->piece = mem_resize(in->piece, *ret_n + 1);
	*ret_bytes = in->piece;
	return get_bytes(op, in, in->piece, *ret_n);
}

/* ---- all of it ---- */

struct reading {
	struct backup_in *in;
	const struct backup_visitor *visitor;
	const struct copy_table *tables;
	size_t n_tables, table;
	struct tally tally;
	int64_t rows;
};

static int
wrong_form(struct op *op, const struct reading *r)
{
	return op_fail(op, ERR_MALFORMED, "%s is a backup, but not of the form that its schema has", r->in->path);
}

static int
read_rows(struct op *op, struct reading *r, const unsigned char *bytes, size_t n)
{
	struct copy_batch batch;

	if (n < 4)
		return wrong_form(op, r);
	batch = (struct copy_batch){ bytes + 4, n - 4, get_length(bytes) };
	tally_add(&r->tally, &batch);
	r->rows += (int64_t)batch.rows;
	progress_tell(op, r->visitor->progress, r->visitor->step, r->tables[r->table].name, r->rows);
	return r->visitor->batch ? r->visitor->batch(r->visitor->arg, r->table, &batch) : 0;
}

/* The rows of one table, up to and with its end. */
static int
read_table(struct op *op, struct reading *r)
{
	const unsigned char *bytes;
	struct tally said;
	int rc, record;
	size_t n;

	r->tally = (struct tally){ 0 };
	while (!(rc = backup_in_get(op, r->in, &record, &bytes, &n)) && record == RECORD_ROWS)
		if ((rc = read_rows(op, r, bytes, n)))
			return rc;
	if (rc)
		return rc;
	if (record != RECORD_TABLE_END || n != sizeof(said.digest) + 4)
		return wrong_form(op, r);
	said.rows = (int64_t)get_length(bytes);
	memcpy(said.digest, bytes + 4, sizeof(said.digest));
	if (said.rows != (r->tally.rows & 0xffffffff) || !bytes_equal(said.digest, r->tally.digest, sizeof(said.digest)))
		return op_fail(op, ERR_MALFORMED, "the table %s in %s is not complete", r->tables[r->table].name, r->in->path);
	return 0;
}

/* Nothing may stand behind the end in the stream; what stands behind the stream is read as part of its last block, which then fails. */
static int
check_end(struct op *op, struct reading *r)
{
	struct backup_in *in = r->in;
	int rc = in->at == in->filled && !in->is_last ? next_block(op, in) : 0;

	if (!rc && (!in->is_last || in->at != in->filled))
		rc = wrong_form(op, r);
	return rc;
}

static int
read_tables(struct op *op, struct reading *r)
{
	const unsigned char *bytes;
	int rc = 0, record;
	size_t n;

	for (r->table = 0; r->table < r->n_tables && !rc; r->table++) {
		const struct copy_table *table = &r->tables[r->table];
		const char *name = op_printf(op, "%s: %s", table->name, table->columns);

		rc = backup_in_get(op, r->in, &record, &bytes, &n);
		if (!rc && (record != RECORD_TABLE || n != strlen(name) || memcmp(bytes, name, n)))
			rc = wrong_form(op, r);
		if (!rc)
			rc = read_table(op, r);
	}
	if (!rc)
		rc = backup_in_get(op, r->in, &record, &bytes, &n);
	if (!rc && (record != RECORD_END || n))
		rc = wrong_form(op, r);
	return rc ? rc : check_end(op, r);
}

int
backup_read_all(struct op *op, const char *path, const struct master_key *key, struct backup *ret_about,
    const struct backup_visitor *visitor)
{
	struct reading r = { .visitor = visitor };
	struct copy_table *tables;
	int rc = backup_in_new(op, path, key, ret_about, &r.in);

	if (rc)
		return rc;
	rc = copy_tables(op, ret_about->schema, &tables, &r.n_tables);
	r.tables = tables;
	if (!rc)
		rc = read_tables(op, &r);
	ret_about->rows = r.rows;
	backup_in_free(r.in);
	return rc;
}
