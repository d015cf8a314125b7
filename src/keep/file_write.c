/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Writing the file of a backup: head, then records in blocks of a sealed stream.  Its form is in keep/keep.h; file_read.c is
 * the mirror.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/json.h"
#include "keep_int.h"

struct backup_out {
	int fd;
	const char *path;
	bool is_ours;                   /* to be removed again */
	struct stream *stream;
	size_t filled;
	unsigned char plain[BACKUP_BLOCK_BYTES], sealed[BACKUP_BLOCK_BYTES + STREAM_TAG_BYTES];
};

static int
write_all(struct op *op, struct backup_out *out, const void *bytes, size_t n)
{
	const unsigned char *at = bytes;

	while (n) {
		ssize_t done = FAULT("backup.write") ? (errno = ENOSPC, -1) : write(out->fd, at, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return op_fail(op, ERR_SYSTEM, "cannot write %s: %s", out->path, strerror(errno));
		at += done;
		n -= (size_t)done;
	}
	return 0;
}

static const char *
write_about(struct op *op, const struct backup *about)
{
	return json_canonical(op, json_own(op, json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:I}", "id", about->id, "organisation",
	    about->organisation, "issuer", about->issuer, "key", about->key_id, "program", about->program, "schema", about->schema,
	    "time_ms", (json_int_t)about->time_ms)));
}

static void
put_length(unsigned char *to, size_t n)
{
	for (int i = 0; i < 4; i++)
		to[i] = (unsigned char)(n >> 8 * (3 - i));
}

static int
write_head(struct op *op, struct backup_out *out, const struct master_key *key, const struct backup *about)
{
	const char *text = write_about(op, about);
	size_t magic = strlen(BACKUP_MAGIC), n = strlen(text), size = magic + 4 + n;
	unsigned char *head = op_alloc(op, size + STREAM_START_BYTES);
	int rc;

	if (n > BACKUP_HEAD_MAX)
		return op_fail(op, ERR_TOO_LARGE, "the name of the organisation is too long for a backup");
	memcpy(head, BACKUP_MAGIC, magic);
	put_length(head + magic, n);
	memcpy(head + magic + 4, text, n);
	rc = stream_seal_new(op, key, BACKUP_PURPOSE, head, size, head + size, &out->stream);
	return rc ? rc : write_all(op, out, head, size + STREAM_START_BYTES);
}

/*
 * One that a killed backup left is used again; one that another process writes, or that somebody else put there, is left alone.
 * The lock goes with the descriptor.
 */
static int
open_part(struct op *op, struct backup_out *out)
{
	struct stat st;

	out->fd = open(out->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	if (out->fd < 0)
		return op_fail(op, ERR_SYSTEM, "cannot make %s: %s", out->path, strerror(errno));
	if (fstat(out->fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1)
		return op_fail(op, ERR_SYSTEM, "%s is not a file of ours; remove it", out->path);
	if (flock(out->fd, LOCK_EX | LOCK_NB) < 0)
		return op_fail(op, ERR_BUSY, "another backup writes %s", out->path);
	if (fchmod(out->fd, 0600) < 0 || ftruncate(out->fd, 0) < 0)
		return op_fail(op, ERR_SYSTEM, "cannot write %s: %s", out->path, strerror(errno));
	out->is_ours = true;
	return 0;
}

int
backup_out_new(struct op *op, const char *path, const struct master_key *key, const struct backup *about, struct backup_out **ret)
{
	struct backup_out *out = mem_new(sizeof(*out));
	int rc;

	out->path = op_strdup(op, path);
	rc = open_part(op, out);
	if (!rc)
		rc = write_head(op, out, key, about);
	if (rc) {
		backup_out_free(out);
		return rc;
	}
	*ret = out;
	return 0;
}

static int
seal_block(struct op *op, struct backup_out *out, bool is_last)
{
	size_t n = out->filled;

	stream_seal(out->stream, out->plain, n, is_last, out->sealed);
	out->filled = 0;
	return write_all(op, out, out->sealed, n + STREAM_TAG_BYTES);
}

static int
put_bytes(struct op *op, struct backup_out *out, const unsigned char *bytes, size_t n)
{
	int rc = 0;

	while (n && !rc) {
		size_t room = BACKUP_BLOCK_BYTES - out->filled, part = n < room ? n : room;

		memcpy(out->plain + out->filled, bytes, part);
		out->filled += part;
		bytes += part;
		n -= part;
		if (out->filled == BACKUP_BLOCK_BYTES)
			rc = seal_block(op, out, false);
	}
	return rc;
}

static int
put_start(struct op *op, struct backup_out *out, int record, size_t n)
{
	unsigned char head[5] = { (unsigned char)record };

	if (n > BACKUP_PIECE_MAX)
		return op_fail(op, ERR_TOO_LARGE, "a row is too large for a backup");
	put_length(head + 1, n);
	return put_bytes(op, out, head, sizeof(head));
}

int
backup_out_put(struct op *op, struct backup_out *out, int record, const void *bytes, size_t n)
{
	int rc = put_start(op, out, record, n);

	return rc ? rc : put_bytes(op, out, bytes, n);
}

int
backup_out_rows(struct op *op, struct backup_out *out, const struct copy_batch *batch)
{
	unsigned char number[4];
	int rc = put_start(op, out, RECORD_ROWS, sizeof(number) + batch->size);

	put_length(number, batch->rows);
	if (!rc)
		rc = put_bytes(op, out, number, sizeof(number));
	return rc ? rc : put_bytes(op, out, batch->bytes, batch->size);
}

int
backup_out_end(struct op *op, struct backup_out *out)
{
	int rc = seal_block(op, out, true);

	if (!rc && fsync(out->fd) < 0)
		rc = op_fail(op, ERR_SYSTEM, "cannot bring %s to the disk: %s", out->path, strerror(errno));
	return rc;
}

/* Only now the backup gets its name; the folder is brought to the disk, too. */
int
backup_out_keep(struct op *op, struct backup_out *out, const char *file)
{
	if (rename(out->path, file) < 0)
		return op_fail(op, ERR_SYSTEM, "cannot make %s: %s", file, strerror(errno));
	out->is_ours = false;
	return file_sync_folder(op, file);
}

void
backup_out_free(struct backup_out *out)
{
	if (!out)
		return;
	stream_free(out->stream);
	if (out->is_ours)
		unlink(out->path);
	if (out->fd >= 0)
		close(out->fd);
	mem_wipe(out, sizeof(*out));
	mem_free(out);
}
