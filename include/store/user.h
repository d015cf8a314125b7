/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Rows of users, grants and account states as they lie in the database (src/store/schema). */
#ifndef KW_STORE_USER_H
#define KW_STORE_USER_H

#include "store/driver.h"

struct user {
	const char *id, *directory_id, *external_id;
	const char *login, *login_key, *display_name;
	const char *mail, *mail_key;                    /* NULL when none */
	const char *attributes;                         /* canonical JSON */
	unsigned char digest[32];
	bool is_active;                                 /* both sides say active */
	bool directory_active, local_active;
	const char *directory_reason;
	int64_t directory_until;                        /* 0: none */
	bool was_active;
	int64_t created_ms, changed_ms;
};

struct grant {
	const char *id, *user_id, *role_id, *location_id;       /* location_id NULL: everywhere */
	int64_t valid_from, valid_until;                        /* 0: no end */
	const char *source_kind, *source_id;
	int64_t source_version;
};

/* All inside db_run or db_read.  ERR_NOT_FOUND; rows belong to the op. */
int db_user_read(struct op *op, const char *id, struct user **ret) MUST_CHECK;
int db_user_find_external(struct op *op, const char *directory_id, const char *external_id, struct user **ret) MUST_CHECK;
/* Everybody with that folded login, or mail, ordered by id; at most limit. */
int db_user_find_login(struct op *op, const char *login_key, struct user ***ret, size_t *ret_n) MUST_CHECK;
int db_user_find_mail(struct op *op, const char *mail_key, struct user ***ret, size_t *ret_n) MUST_CHECK;
/* Page of accounts after the given id (NULL: from the start); state NULL: any; directory_id NULL: any; query: folded part of login or name at their start, or NULL. */
int db_user_list(struct op *op, const char *after, const char *state, const char *directory_id, const char *query, size_t limit,
    struct user **ret, size_t *ret_n) MUST_CHECK;
/* Grants recorded as current and valid at now_ms. */
int db_grant_list(struct op *op, const char *user_id, int64_t now_ms, struct grant **ret, size_t *ret_n) MUST_CHECK;

#endif
