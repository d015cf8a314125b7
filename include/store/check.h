/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Looks at every table of a database: what the engine says of its own state, the schema, whether every value can be read, and whether
 * everything that is referred to is there; and, quicker, how it is (db_examine).  Changes nothing; a daemon may be at work.
 */
#ifndef KW_STORE_CHECK_H
#define KW_STORE_CHECK_H

#include "base/config.h"
#include "store/driver.h"

enum db_verdict { DB_GOOD, DB_WARNING, DB_DAMAGED };

struct db_finding {
	enum db_verdict verdict;
	const char *subject;            /* "engine", "schema", or a table */
	const char *text;               /* what is so, and how to mend it */
};

/* Belongs to the op. */
struct db_findings {
	struct db_finding *v;
	size_t n;
	enum db_verdict worst;
	int64_t rows;                   /* that were read */
};

void db_finding_add(struct op *op, struct db_findings *findings, enum db_verdict verdict, const char *subject, const char *format, ...)
    PRINTF_LIKE(5, 6);
/* The database is that of op->svc.  What is wrong with it is a finding; a failure is that it cannot be looked at. */
int db_check(struct op *op, struct db_findings *ret) MUST_CHECK;

/*
 * Looks at the address of the configuration's database without connecting: what db_open would refuse by its text alone is added to problems,
 * where the address was given, and ERR_CONFIG.
 */
int db_check_config(struct op *op, const struct config *config, struct problems *problems) MUST_CHECK;

/* How a database is, for whoever looks after it (db_examine); texts belong to the op. */
struct db_health {
	const char *place;              /* "SQLite, /var/lib/keyward/keyward.db"; nothing secret */
	const char *file;               /* where it lies; NULL for a server */
	bool is_claimed;                /* a daemon works on it */
	const char *unwritable;         /* why it cannot be written; NULL when it can */
	const char *certificate;        /* PEM, that a server showed; NULL: a file, or no TLS */
	const char *damage;             /* what the engine's quick check found; NULL: nothing */
	bool is_checked;                /* the quick check came to its end before the deadline; a server has none */
	int64_t size_bytes, wal_bytes;  /* wal 0 for a server */
};
/* Looks at a database that db_open_reader opened, within the op's deadline; changes nothing in it.  certificate_of: for a server. */
int db_examine(struct op *op, struct db *db, db_certificate_of *certificate_of, struct db_health *ret) MUST_CHECK;

#endif
