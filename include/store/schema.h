/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What restore, copy and upgrade need to know of a database: which steps of the schema it has, whether it is complete, whether another
 * program may use it, and who works on its file.
 */
#ifndef KW_STORE_SCHEMA_H
#define KW_STORE_SCHEMA_H

#include "store/driver.h"

/* The file of a database that is one file (SQLite); NULL for others. */
const char *db_file(const char *dsn);
/*
 * What db_claim does, for a database in one file, whether the file is there or not: *ret_fd holds it until it is closed.  While files are
 * exchanged the claim says so (db_file_mark with true), and nobody but is_restore gets it, not even after a crash.
 */
int db_file_claim(struct op *op, const char *file, bool is_restore, int *ret_fd) MUST_CHECK;
int db_file_mark(struct op *op, int fd, bool is_being_replaced) MUST_CHECK;

/* Which steps of src/store/schema a database has. */
struct db_schema {
	int version;                    /* 0: none, it is empty */
	int oldest;                     /* programs that know less than this step must not use it */
	const char *unfinished;         /* a command that still has to fill it; NULL when it is complete */
};
int db_schema_read(struct op *op, struct db *db, struct db_schema *ret) MUST_CHECK;
/* The last step that this program knows. */
int db_schema_newest(void);
/* Inside db_run: only the command what ("keyward db copy") may use the database until it says so by NULL. */
int db_schema_mark_unfinished(struct op *op, const char *what) MUST_CHECK;
/* The steps up to that version only, also in a database that is not complete. */
int db_migrate_to(struct op *op, struct db *db, int version) MUST_CHECK;

#endif
