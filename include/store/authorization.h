/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Authorizations: what a person's session lets an application do.  A row is made with its code, carries the refresh tokens,
 * and ends once; everything that was issued from it ends with it.  Also the list of access tokens revoked one by one.
 *
 * All inside db_run (writing) or db_run and db_read (reading); rows belong to the op.
 */
#ifndef KW_STORE_AUTHORIZATION_H
#define KW_STORE_AUTHORIZATION_H

#include "store/user.h"

struct authorization {
	const char *id;                         /* UUIDv7 */
	const char *session_id, *user_id, *app_id;
	const char *scope;                      /* blank separated, sorted by our own order */
	const char *redirect_uri;
	const char *nonce;                      /* NULL when none was given */
	const char *claims;                     /* canonical JSON of the claims asked for, NULL when none */
	const char *code_challenge;             /* S256 (RFC 7636), NULL when none */
	unsigned char code_hash[32];  /* SHA-256 of the code's secret */
	int64_t code_until_ms;
	int64_t code_used_ms;                   /* 0: not yet */
	int64_t refresh_seq;                    /* number of the refresh token that is good now; 0: none given */
	int64_t refresh_until_ms;               /* idle end */
	int64_t until_ms;                       /* absolute end */
	int64_t created_ms;
	int64_t ended_ms;                       /* 0: not ended */
	const char *ended_why;
	/* of the session and the person, read with it */
	int64_t auth_ms;
	const char *amr;
	bool is_session_open;                   /* nobody ended the session; idling does not count */
	bool is_active;                         /* the person's account is active */
};

/* The columns of the table; the last group of members is ignored.  ERR_LOGIN_REQUIRED when session or person died meanwhile. */
int db_authorization_create(struct op *op, const struct authorization *row) MUST_CHECK;
/* ERR_NOT_FOUND. */
int db_authorization_read(struct op *op, const char *id, struct authorization **ret) MUST_CHECK;
/* The same, and the grants of its person that hold now (store/user.h): in one journey. */
int db_authorization_read_grants(struct op *op, const char *id, struct authorization **ret, struct grant **ret_grants,
    size_t *ret_n) MUST_CHECK;
/*
 * Uses the code: one conditional update that checks application, redirect URI, single use, expiry, end, person and session.
 * refresh_seq 1 starts refresh tokens, 0 gives none.  ERR_STALE, perhaps only of the commit: a condition did not hold.
 */
int db_authorization_use_code(struct op *op, const char *id, const char *app_id, const char *redirect_uri, int64_t refresh_seq,
    int64_t refresh_until_ms) MUST_CHECK;
/* Rotates: number seq becomes seq + 1, if seq is the good one and nothing has ended.  ERR_STALE as above. */
int db_authorization_refresh(struct op *op, const char *id, const char *app_id, int64_t seq, int64_t refresh_until_ms) MUST_CHECK;
/* Ends one, all of a session.  The count (may be NULL) leaves out what had ended before. */
int db_authorization_end(struct op *op, const char *id, const char *why, int64_t *ret_count) MUST_CHECK;
int db_authorization_end_session(struct op *op, const char *session_id, const char *why, int64_t *ret_count) MUST_CHECK;
/* What is not ended of one session goes on under another of the same person. */
int db_authorization_move(struct op *op, const char *from_session, const char *to_session, const char *user_id) MUST_CHECK;
/* Removes rows whose absolute end lies before before_ms, at most limit of them. */
int db_authorization_purge(struct op *op, int64_t before_ms, int64_t limit, int64_t *ret_count) MUST_CHECK;

/* Access tokens by their jti (RFC 7009); until_ms is the token's own end. */
int db_revoked_add(struct op *op, const char *jti, int64_t until_ms) MUST_CHECK;
int db_revoked_has(struct op *op, const char *jti, bool *ret_has) MUST_CHECK;
int db_revoked_purge(struct op *op, int64_t before_ms) MUST_CHECK;

#endif
