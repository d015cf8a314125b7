/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Inside keep: the file of a backup (file_write.c, file_read.c), and what backup, restore and move share (common.c). */
#ifndef KW_KEEP_KEEP_INT_H
#define KW_KEEP_KEEP_INT_H

#include "crypt/hash.h"
#include "crypt/stream.h"
#include "keep/keep.h"
#include "store/copy.h"
#include "store/schema.h"

#define BACKUP_MAGIC "KEYWARD BACKUP 1\n"
#define BACKUP_PURPOSE "backup"
#define BACKUP_HEAD_MAX 4096
#define BACKUP_BLOCK_BYTES 65536
#define BACKUP_PIECE_MAX (256u << 20)   /* of one record; a single row may be larger than a batch is meant to be */

/* Records of the stream: this letter, 4 bytes of length, that many bytes. */
enum { RECORD_TABLE = 'T', RECORD_ROWS = 'R', RECORD_TABLE_END = 'E', RECORD_END = 'Z' };

/* How many rows went by, and a digest over all of them in their order. */
struct tally {
	int64_t rows;
	unsigned char digest[SHA256_BYTES];
};
void tally_add(struct tally *tally, const struct copy_batch *batch);
bool tally_is_equal(const struct tally *a, const struct tally *b);

/* An op of its own that works on db: keep works on two at a time. */
struct seat {
	struct services svc;
	struct op *op;
};
void seat_take(struct seat *seat, struct op *op);
/* Gives its database back; a failure goes to op.  Returns rc. */
int seat_leave(struct op *op, struct seat *seat, int rc);

/* ---- writing ---- */

struct backup_out;
/* Makes the file, mode 0600; path goes away with the object unless it was kept. */
int backup_out_new(struct op *op, const char *path, const struct master_key *key, const struct backup *about,
    struct backup_out **ret) MUST_CHECK;
int backup_out_put(struct op *op, struct backup_out *out, int record, const void *bytes, size_t n) MUST_CHECK;
/* A record of rows: their number, then they. */
int backup_out_rows(struct op *op, struct backup_out *out, const struct copy_batch *batch) MUST_CHECK;
/* The last block, and all of it on the disk. */
int backup_out_end(struct op *op, struct backup_out *out) MUST_CHECK;
/* Gives it the name by which people know it. */
int backup_out_keep(struct op *op, struct backup_out *out, const char *file) MUST_CHECK;
void backup_out_free(struct backup_out *out);

/* ---- reading ---- */

/*
 * All of a backup, checked: every table of its schema, every number and digest, and nothing behind the end.  table and batch
 * may be NULL; they are called for each table with its place in tables, and for its rows.
 */
struct backup_visitor {
	int (*batch)(void *arg, size_t table, const struct copy_batch *batch);
	void *arg;
	const struct keep_progress *progress;
	const char *step;               /* for progress */
};
int backup_read_all(struct op *op, const char *path, const struct master_key *key, struct backup *ret_about,
    const struct backup_visitor *visitor) MUST_CHECK;

/*
 * Fills ret->reopened from the database that goes (its log folded in) and the one that comes.  One that cannot be read leaves is_compared
 * false: a restore must not fail for what it takes away.
 */
void reopened_find(struct op *op, const char *old, const char *restored, struct backup *ret);

/* Brings the names in the folder of path to the disk. */
int file_sync_folder(struct op *op, const char *path) MUST_CHECK;

/* ---- databases ---- */

/* Opens the database of the configuration, which must be there, be complete and not be newer than this program. */
int source_open(struct op *op, struct seat *seat, struct db_schema *ret) MUST_CHECK;
/*
 * Opens the database of dsn for being filled with rows of that schema: it must be empty, or left unfinished by the same command
 * (what).  It calls itself unfinished from now on.
 */
int target_open(struct op *op, struct seat *seat, const char *dsn, int version, const char *what) MUST_CHECK;
int target_put(struct seat *seat, const struct copy_table *table, const struct copy_batch *batch) MUST_CHECK;
/* Inside db_read: a tally of every table. */
int tally_all(struct op *op, const struct copy_table *tables, size_t n, const struct keep_progress *progress, const char *step,
    struct tally *ret) MUST_CHECK;

void progress_tell(struct op *op, const struct keep_progress *progress, const char *step, const char *table, int64_t rows);

#endif
