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
};

/* The clear text behind one commitment. */
struct audit_personal_row {
	const char *field;
	unsigned char salt[AUDIT_SALT_BYTES];
	const char *value;
};

/* Inside db_run: one row and what is personal in it. */
int db_audit_create(struct op *op, const struct audit_row *row, const struct audit_personal_row *personal, size_t n) MUST_CHECK;
/* Inside db_run or db_read: up to limit rows after id (NULL: from the start) in order of id; event NULL: any. */
int db_audit_list(struct op *op, const char *after, const char *event, size_t limit, struct audit_row **ret, size_t *ret_n) MUST_CHECK;
/* When the newest row was written; 0: there is none. */
int db_audit_newest(struct op *op, int64_t *ret_ms) MUST_CHECK;
/* What is still kept in clear of a row, in order of field. */
int db_audit_personal(struct op *op, const char *audit_id, struct audit_personal_row **ret, size_t *ret_n) MUST_CHECK;

#endif
