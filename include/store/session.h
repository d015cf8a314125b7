/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Rows of browser sessions (table sessions).  What a session means, and when one is alive, is login/session.h.
 * All inside db_run or db_read; results belong to the op.
 */
#ifndef KW_STORE_SESSION_H
#define KW_STORE_SESSION_H

#include "store/driver.h"

struct session_row {
	const char *id;
	unsigned char secret_hash[32];                  /* SHA-256 of the cookie's second half */
	const char *user_id;
	int64_t auth_ms;
	const char *amr, *address, *device;
	int64_t created_ms, seen_ms, until_ms;
	int64_t ended_ms;                               /* 0: not ended by anybody */
};

int db_session_insert(struct op *op, const struct session_row *row) MUST_CHECK;
/* ERR_NOT_FOUND.  Ended and outlived sessions are found, too. */
int db_session_read(struct op *op, const char *id, struct session_row **ret) MUST_CHECK;
/* Moves seen_ms forward, never back; an ended session stays as it is. */
int db_session_touch(struct op *op, const char *id, int64_t seen_ms) MUST_CHECK;
/* *ret_ended false: there is no such session, or it had ended before. */
int db_session_end(struct op *op, const char *id, int64_t now_ms, const char *why, bool *ret_ended) MUST_CHECK;
/* All of a person's are ended by store/ending.h. */
/* A person's sessions that are not ended, end after now_ms and were seen after seen_after_ms; newest first, at most 200. */
int db_session_list(struct op *op, const char *user_id, int64_t now_ms, int64_t seen_after_ms,
    struct session_row **ret, size_t *ret_n) MUST_CHECK;
/* How many there are, everybody's. */
int db_session_count(struct op *op, int64_t now_ms, int64_t seen_after_ms, int64_t *ret) MUST_CHECK;
/* Removes rows whose absolute end lies before before_ms and that no authorization names, at most limit of them. */
int db_session_purge(struct op *op, int64_t before_ms, int64_t limit, int64_t *ret_count) MUST_CHECK;

#endif
