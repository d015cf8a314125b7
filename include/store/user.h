/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Rows of users, grants and account states as they lie in the database (src/store/schema). */
#ifndef KW_STORE_USER_H
#define KW_STORE_USER_H

#include "store/driver.h"

struct user {
	const char *id, *directory_id, *external_id;
	const char *login, *login_key, *display_name, *name_key;        /* _key: folded (base/text.h) */
	const char *mail, *mail_key;                    /* NULL when none */
	const char *attributes;                         /* canonical JSON */
	unsigned char digest[32];
	bool is_active;                                 /* both sides say active */
	bool directory_active, local_active;
	const char *directory_reason;
	int64_t directory_until;                        /* 0: none */
	bool was_active;
	int64_t created_ms;
	int64_t changed_ms;                             /* of what the directory tells; a local disabling leaves it */
};

/* One state over time; a new reason or end is a new state. */
struct user_state {
	const char *user_id, *side;                     /* side: directory, local */
	bool is_active;
	const char *reason;
	int64_t valid_from, valid_until;                /* 0: no end */
	const char *source_kind, *source_id;            /* sync, login, root, user, clock */
};

/* What a plan needs to know of an account at first sight. */
struct user_mark {
	const char *id, *external_id;
	unsigned char digest[32];
	bool is_active, directory_active;
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
/*
 * Page of accounts after the given id (NULL: from the start); state NULL: any; directory_id NULL: any; query: folded, what login or
 * name begin with, or NULL.
 */
int db_user_list(struct op *op, const char *after, const char *state, const char *directory_id, const char *query, size_t limit,
    struct user **ret, size_t *ret_n) MUST_CHECK;
/* Aligned with external_ids: ret[i] is NULL where no account is known.  One statement for 32 of them. */
int db_user_find_many(struct op *op, const char *directory_id, const char *const *external_ids, size_t n, struct user ***ret) MUST_CHECK;
/* The same by id. */
int db_user_read_many(struct op *op, const char *const *ids, size_t n, struct user ***ret) MUST_CHECK;
/* Accounts of a directory after the given external id, in its order; at most limit. */
int db_user_marks(struct op *op, const char *directory_id, const char *after, size_t limit,
    struct user_mark **ret, size_t *ret_n) MUST_CHECK;
/* Accounts whose directory_until has passed by and whom the directory's side still calls active; at most limit. */
int db_user_list_over(struct op *op, int64_t now_ms, size_t limit, struct user ***ret, size_t *ret_n) MUST_CHECK;
/* Accounts that were disabled here, whatever their directory says, by login name; at most limit. */
int db_user_list_disabled_here(struct op *op, size_t limit, struct user ***ret, size_t *ret_n) MUST_CHECK;
/* How many accounts a directory has, and how many of them are active. */
int db_user_count(struct op *op, const char *directory_id, int64_t *ret_all, int64_t *ret_active) MUST_CHECK;
/* How many people of a directory were disabled by it after since_ms, or got an end before soon_ms; those of approved runs left out. */
int db_user_count_disabled(struct op *op, const char *directory_id, int64_t since_ms, int64_t soon_ms, int64_t *ret) MUST_CHECK;
/* Inside db_run: new rows, and changed ones (everything but id, directory_id, external_id and created_ms). */
int db_user_add(struct op *op, const struct user *const *v, size_t n) MUST_CHECK;
int db_user_update(struct op *op, const struct user *const *v, size_t n) MUST_CHECK;
/* Inside db_run: what holds now on that side ends at op->now_ms.  Then the new states; ids are made here. */
int db_user_state_end(struct op *op, const char *user_id, const char *side) MUST_CHECK;
int db_user_state_add(struct op *op, const struct user_state *v, size_t n) MUST_CHECK;
/* Reason of the state that holds now on that side; NULL when none was ever recorded. */
int db_user_state_reason(struct op *op, const char *user_id, const char *side, const char **ret) MUST_CHECK;

/* Grants recorded as current and valid at now_ms. */
int db_grant_list(struct op *op, const char *user_id, int64_t now_ms, struct grant **ret, size_t *ret_n) MUST_CHECK;
/* Grants of rules recorded as current, of many people, ordered by user_id. */
int db_grant_list_rules(struct op *op, const char *const *user_ids, size_t n, struct grant **ret, size_t *ret_n) MUST_CHECK;
/* The same of a directory's accounts with after < external_id <= last, in that order; user_id is the external id. */
int db_grant_range_rules(struct op *op, const char *directory_id, const char *after, const char *last,
    struct grant **ret, size_t *ret_n) MUST_CHECK;
/* Inside db_run; ids are made here.  Ending keeps what was known and records that it held until op->now_ms. */
int db_grant_add(struct op *op, const struct grant *v, size_t n) MUST_CHECK;
int db_grant_end(struct op *op, const struct grant *v, size_t n) MUST_CHECK;

#endif
