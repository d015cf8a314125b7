/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Rows of directory synchronisation: runs, what they have read (staged under the run's number) and what they plan.
 * All inside db_run or db_read; rows belong to the op.
 */
#ifndef KW_STORE_SYNC_H
#define KW_STORE_SYNC_H

#include "store/driver.h"

struct sync_run_row {
	const char *id;
	int64_t number;
	const char *directory_id, *purpose, *state, *cause, *catalog_mark;
	const char *counts;                             /* canonical JSON */
	const char *plan_hash, *failure;                /* "" before there is a plan; NULL */
	int64_t applied_seq, started_ms, changed_ms, finished_ms;       /* finished 0: not yet */
	const char *approved_by;                        /* NULL */
};

/* Gives the run its number.  ERR_CONFLICT when another run of the directory is under way. */
int db_sync_run_add(struct op *op, struct sync_run_row *run) MUST_CHECK;
int db_sync_run_read(struct op *op, const char *id, struct sync_run_row **ret) MUST_CHECK;
/* Writes everything that can change, if the row is in from_state; ERR_CONFLICT when it is not. */
int db_sync_run_write(struct op *op, const struct sync_run_row *run, const char *from_state) MUST_CHECK;
/* Newest first, older than the id before (NULL: from the newest); directory_id NULL: any. */
int db_sync_run_list(struct op *op, const char *directory_id, const char *before, size_t limit,
    struct sync_run_row **ret, size_t *ret_n) MUST_CHECK;
/* Not finished and not frozen, at most 100; directory_id NULL: any. */
int db_sync_run_active(struct op *op, const char *directory_id, struct sync_run_row **ret, size_t *ret_n) MUST_CHECK;
/* Frozen runs of a directory, newest first, at most 100. */
int db_sync_run_frozen(struct op *op, const char *directory_id, struct sync_run_row **ret, size_t *ret_n) MUST_CHECK;
/* When the last run in earnest ended (or last moved); the time of the directory's making if there was none. */
int db_sync_last_time(struct op *op, const char *directory_id, int64_t *ret_ms) MUST_CHECK;
/* When a run in earnest last ended well; 0: never. */
int db_sync_last_done(struct op *op, const char *directory_id, int64_t *ret_ms) MUST_CHECK;

struct sync_entry {
	int64_t seq;
	const char *external_id;
	unsigned char dn_hash[16];
	unsigned char digest[32];
	bool is_skipped;
	const char *login, *display_name, *mail, *attributes;   /* mail NULL when none */
	bool is_active;
	const char *reason;
	int64_t until_ms;                               /* 0: none */
	const char *facts;
};

/* One that is staged already under its external id is overwritten and keeps its seq. */
int db_sync_entry_put(struct op *op, int64_t number, const struct sync_entry *v, size_t n) MUST_CHECK;
/* Aligned with external_ids: NULL where nothing is staged. */
int db_sync_entry_find(struct op *op, int64_t number, const char *const *external_ids, size_t n, struct sync_entry ***ret) MUST_CHECK;
/* Ordered by external id, after the given one. */
int db_sync_entry_page(struct op *op, int64_t number, const char *after, size_t limit, struct sync_entry **ret, size_t *ret_n) MUST_CHECK;
/* Sequence numbers above after, ascending. */
int db_sync_entry_seqs(struct op *op, int64_t number, int64_t after, size_t limit, int64_t *ret, size_t *ret_n) MUST_CHECK;
int db_sync_entry_remove(struct op *op, int64_t number, const int64_t *seqs, size_t n) MUST_CHECK;
/* All that is staged, the highest seq, and how many of them are people who can be used. */
int db_sync_entry_count(struct op *op, int64_t number, int64_t *ret_all, int64_t *ret_last, int64_t *ret_people) MUST_CHECK;

#define SYNC_HASH_BYTES 16

struct sync_group {
	int64_t seq;
	const char *external_id, *dn, *dn_key, *name;
	unsigned char digest[32];
	int64_t n_members;
	const unsigned char *members;                   /* n_members hashes; given when written, not when listed */
};
int db_sync_group_add(struct op *op, int64_t number, const struct sync_group *v, size_t n) MUST_CHECK;
int db_sync_group_remove(struct op *op, int64_t number, int64_t seq) MUST_CHECK;
/* Ordered by external id. */
int db_sync_group_list(struct op *op, int64_t number, struct sync_group **ret, size_t *ret_n) MUST_CHECK;
/* Calls visit for each group with the hashes of its members, which stay valid during the call. */
int db_sync_group_members(struct op *op, int64_t number,
    void (*visit)(void *arg, int64_t seq, const unsigned char *members, size_t n), void *arg) MUST_CHECK;

/* Removes a slice of what a run staged; *ret_has_more says that there is some left. */
int db_sync_stage_drop(struct op *op, int64_t number, bool *ret_has_more) MUST_CHECK;

struct sync_plan_row {
	int64_t seq;
	const char *action;                             /* create, change, disable, enable, grant, end, member */
	const char *user_id;                            /* NULL: not known yet */
	const char *external_id, *login, *display_name, *why, *body;
};
int db_sync_plan_add(struct op *op, const char *run_id, const struct sync_plan_row *v, size_t n) MUST_CHECK;
int db_sync_plan_page(struct op *op, const char *run_id, int64_t after_seq, size_t limit,
    struct sync_plan_row **ret, size_t *ret_n) MUST_CHECK;
/* Removes a slice of a run's plan. */
int db_sync_plan_drop(struct op *op, const char *run_id, bool *ret_has_more) MUST_CHECK;
/* Removes records of runs that ended before that time and have no plan, at most 100. */
int db_sync_run_drop(struct op *op, int64_t before_ms) MUST_CHECK;
/* A finished run older than before_ms that still has plan rows; NULL when none. */
int db_sync_plan_oldest(struct op *op, int64_t before_ms, const char **ret_run_id) MUST_CHECK;

#endif
