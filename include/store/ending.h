/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Ends everything that a person's sign-ins have left behind: the two statements that a disabling needs. */
#ifndef KW_STORE_ENDING_H
#define KW_STORE_ENDING_H

#include "store/driver.h"

/*
 * Inside db_run: all living sessions, and all living authorizations (with them their refresh tokens), of a person end now.
 * The ids that ended, in op memory.
 */
int db_sessions_end_user(struct op *op, const char *user_id, const char *why, const char ***ret_ids, size_t *ret_n) MUST_CHECK;
int db_authorizations_end_user(struct op *op, const char *user_id, const char *why, const char ***ret_ids, size_t *ret_n) MUST_CHECK;

/* Inside db_run: everybody's.  How many ended. */
int db_everything_end(struct op *op, const char *why, int64_t *ret_sessions, int64_t *ret_authorizations) MUST_CHECK;

#endif
