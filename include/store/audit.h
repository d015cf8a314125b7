/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Rows of the audit log as they lie in the database (src/store/schema).  audit/audit.h says what stands in them. */
#ifndef KW_STORE_AUDIT_H
#define KW_STORE_AUDIT_H

#include "store/driver.h"

#define AUDIT_SALT_BYTES 16

struct audit_row {
	const char *id;
	int64_t at_ms;
	const char *event;              /* "login.fail" */
	const char *actor, *target;     /* NULL when none */
	const char *request_id;
	const char *canonical;          /* RFC 8785 text */
	const char *app;                /* the application that it is about, NULL when none; stands in canonical, too */
};

/* The clear text behind one commitment. */
struct audit_personal_row {
	const char *field;
	unsigned char salt[AUDIT_SALT_BYTES];
	const char *value;
};

/*
 * Inside db_run: one row and what is personal in it, to be written with the others of the body, at its end at the latest.  Names of events and fields, the
 * request's id and the canonical text stay the caller's until then; the rest is copied.
 */
int db_audit_create(struct op *op, const struct audit_row *row, const struct audit_personal_row *personal, size_t n) MUST_CHECK;

/* What a row must be; NULL: anything. */
struct audit_filter {
	const char *event, *actor, *app, *request_id, *address;
	const char *user_id, *login;    /* one of the two is enough: done by or to this account, or recorded with this login name */
	int64_t from_ms, to_ms;         /* from at or after, to before; to 0: no end.  By the id of the row, which is the log's order */
	const char *before_id;          /* of db_settled: only rows before which no other row will ever appear */
};
/* True when everything up to to_ms has an id below before_id: the log until then is complete. */
bool db_audit_is_complete(struct op *op, const struct audit_filter *filter);
/*
 * Inside db_read or db_run: up to limit rows, oldest first or newest first, beyond the row with id after in that direction (NULL: from
 * its begin).
 */
int db_audit_search(struct op *op, const struct audit_filter *filter, bool is_newest_first, const char *after, size_t limit,
    struct audit_row **ret, size_t *ret_n) MUST_CHECK;
/* ERR_NOT_FOUND when there is no row with this id. */
int db_audit_exists(struct op *op, const char *id) MUST_CHECK;
/* When the newest row was written; 0: there is none. */
int db_audit_newest(struct op *op, int64_t *ret_ms) MUST_CHECK;
/* What is still kept in clear of a row, in order of field. */
int db_audit_personal(struct op *op, const char *audit_id, struct audit_personal_row **ret, size_t *ret_n) MUST_CHECK;

#endif
