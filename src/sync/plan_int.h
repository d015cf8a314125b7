/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What plan.c (the merge) and plan_row.c (its rows) share. */
#ifndef KW_SYNC_PLAN_INT_H
#define KW_SYNC_PLAN_INT_H

#include "store/group.h"
#include "store/user.h"
#include "sync_int.h"

struct plan {
	struct run *run;
	struct graph *graph;
	struct group *known_groups;     /* ordered by id, with their number in the graph */
	size_t *known_numbers;
	size_t n_known;
	int64_t seq;
	bool want_skip_audit;           /* other entries are skipped than last time */
	unsigned char hash[SHA256_BYTES];
};

/* One page: everything about external ids after `after` up to `last`. */
struct page {
	struct plan *plan;
	struct sync_entry *entries;
	struct user_mark *marks;
	struct user **users;            /* aligned with entries: known accounts whose digest differs */
	struct grant *grants;
	struct membership *memberships;
	size_t n_entries, n_marks, n_grants, n_memberships;
	const char *after, *last;
	bool is_last;
	/* where the merge is */
	size_t at_grant, at_membership;
	/* what it found */
	struct sync_plan_row *rows;
	size_t n_rows, room;
};

/* Appends to the page, numbers the row and takes it into the hash. */
void row_add(struct op *op, struct page *page, const struct sync_plan_row *row);
/* A row's head for a staged person. */
struct sync_plan_row row_of(const char *action, const struct sync_entry *entry, const char *user_id);
const char *row_reason_words(const char *reason);

void row_create(struct op *op, struct page *page, const struct sync_entry *entry, const struct wanted_grant *wanted, size_t n);
void row_skip(struct op *op, struct page *page, const struct sync_entry *entry);
/* Data and state; roles; direct groups of a known person.  False: nothing changes, no row. */
bool row_person(struct op *op, struct page *page, const struct sync_entry *entry, const struct user *user);
bool row_grants(struct op *op, struct page *page, const struct sync_plan_row *head, const struct grant *held, size_t n_held,
    const struct wanted_grant *wanted, size_t n_wanted);
bool row_member(struct op *op, struct page *page, const struct sync_plan_row *head, const size_t *groups, size_t n,
    const struct membership *held, size_t n_held);

#endif
