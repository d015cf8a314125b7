/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Rows of groups and memberships: the groups of a directory, and who is directly in them, over time. */
#ifndef KW_STORE_GROUP_H
#define KW_STORE_GROUP_H

#include "store/driver.h"

struct group {
	const char *id, *directory_id, *external_id;
	const char *dn, *dn_key, *name;
	bool is_ended;
};

/* Somebody, or a group, in a group. */
struct membership {
	const char *id, *group_id;
	const char *member_kind, *member_id;            /* user, group */
	const char *source_kind, *source_id;            /* written only */
};

/* All groups of a directory, ended ones too, ordered by external id. */
int db_group_list(struct op *op, const char *directory_id, struct group **ret, size_t *ret_n) MUST_CHECK;
/* Inside db_run.  put makes or changes (by directory and external id; an ended one lives again) and keeps the row's id. */
int db_group_put(struct op *op, const struct group *v, size_t n) MUST_CHECK;
int db_group_end(struct op *op, const char *const *ids, size_t n) MUST_CHECK;

/* Current edges between groups of a directory, ordered by group. */
int db_membership_list_groups(struct op *op, const char *directory_id, struct membership **ret, size_t *ret_n) MUST_CHECK;
/* Current edges of a directory's accounts with after < external_id <= last, in that order; member_id is the external id. */
int db_membership_range(struct op *op, const char *directory_id, const char *after, const char *last,
    struct membership **ret, size_t *ret_n) MUST_CHECK;
/* Current edges of these people, ordered by member. */
int db_membership_list_users(struct op *op, const char *const *user_ids, size_t n, struct membership **ret, size_t *ret_n) MUST_CHECK;
/* Inside db_run: ids are made here; valid from op->now_ms. */
int db_membership_add(struct op *op, const struct membership *v, size_t n) MUST_CHECK;
int db_membership_end(struct op *op, const char *const *ids, size_t n) MUST_CHECK;

#endif
