/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Keeping a clinic's data: backup, restore, and the move to another database.  The command line calls these; they open the
 * database of op->config themselves, so that they work whether a daemon runs or not.  op->svc is not used.
 *
 * A backup is a file in four parts: a line "KEYWARD BACKUP 1", four bytes of length, that many bytes of canonical JSON (struct
 * backup), and a sealed stream (crypt/stream.h, purpose "backup") that is bound to all before it.  In the stream are the rows
 * of every table (store/copy.h) with their number and digest.  Whoever does not have the master key can neither read nor change
 * it.
 */
#ifndef KW_KEEP_KEEP_H
#define KW_KEEP_KEEP_H

#include "base/op.h"
#include "store/check.h"

/* What a backup says about itself. */
struct backup {
	const char *id;                 /* UUID */
	const char *organisation, *issuer;
	const char *key_id;             /* of the master key that it is sealed under */
	const char *program;            /* version that made it */
	int schema;
	int64_t time_ms;
	/* not in the file's head: what was counted */
	int64_t rows, bytes;
	const char *kept;               /* restore: where the database from before is; NULL when there was none */
	/* restore: login names that were disabled here in that one and are not in this.  Not compared: it cannot be read */
	const char **reopened;
	size_t n_reopened;
	bool is_compared;
};

/* Told now and then how far the work is; step is a word such as "writing users". */
struct keep_progress {
	void (*tell)(void *arg, const char *step, int64_t rows);
	void *arg;
};

/*
 * Writes a backup of the database, as it is at one moment, into file; reads it back and compares before the file gets its name;
 * records that in the audit log.  ERR_CONFLICT when the file is there (is_forced: it is replaced).  Nothing unencrypted is
 * written anywhere.
 */
int keep_backup(struct op *op, const char *file, bool is_forced, const struct keep_progress *progress, struct backup *ret) MUST_CHECK;
/* Reads a backup as a restore would, and changes nothing.  The sentence of a failure says what is wrong with it. */
int keep_check(struct op *op, const char *file, const struct keep_progress *progress, struct backup *ret) MUST_CHECK;
/*
 * Puts the data of a backup into the database of the configuration, which is not there yet or, is_forced, is kept beside the
 * new one. Afterwards nobody is signed in, no token of before is good, our keys are new, and each directory must be
 * synchronised before somebody signs in through it.  ERR_CONFLICT when there is a database; ERR_STORE when a daemon runs.
 * Before the file was read whole nothing is changed.
 */
int keep_restore(struct op *op, const char *file, bool is_forced, const struct keep_progress *progress, struct backup *ret) MUST_CHECK;
/*
 * Copies the database of the configuration into the empty one named by dsn, and compares row by row.  Until all is there that
 * one calls itself unfinished: a daemon refuses it, and another keep_move begins it anew.
 */
int keep_move(struct op *op, const char *dsn, const struct keep_progress *progress, struct backup *ret) MUST_CHECK;
/* Looks at the whole database of the configuration and changes nothing (store/check.h); a daemon may be at work on it. */
int keep_examine(struct op *op, struct db_findings *ret) MUST_CHECK;

#endif
