/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The guard: no fault of a directory disables more than a few accounts in 24 hours without an operator's yes.
 * All kinds of disabling count together: disabled, expired, gone, out of scope, and an end within a day that the directory named
 * only now: the clock would do the rest.
 */
#include "store/group.h"
#include "store/user.h"
#include "sync_int.h"


static int64_t
least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* max(2, min(10 %, max(20, 2 %))); parts of an account are no account. */
int64_t
guard_limit(int64_t active)
{
	return most(2, least(active / 10, most(20, active / 50)));
}

static int
count_body(struct op *op, void *arg)
{
	struct run *run = arg;
	int64_t all;
	int rc = db_user_count(op, run->directory_id, &all, &run->counts.active_before);

	if (!rc)
		rc = db_user_count_disabled(op, run->directory_id, op->now_ms - GUARD_DAY_MS,
		    op->now_ms + GUARD_DAY_MS, &run->counts.disabled_lately);
	return rc;
}

int
guard_check(struct op *op, struct run *run, bool *ret)
{
	int rc = db_read(op, count_body, run);

	if (rc)
		return rc;
	run->counts.limit = guard_limit(run->counts.active_before);
	/* a run that disables nobody is never held up by what happened before it */
	*ret = run->counts.losing > 0 && run->counts.losing + run->counts.disabled_lately > run->counts.limit;
	return 0;
}

/* ---- empty answers ---- */

struct known {
	struct run *run;
	int64_t groups;
};

static int
known_body(struct op *op, void *arg)
{
	struct known *known = arg;
	struct group *groups;
	size_t n;
	int rc = db_group_list(op, known->run->directory_id, &groups, &n);

	if (rc)
		return rc;
	known->groups = 0;
	for (size_t i = 0; i < n; i++)
		known->groups += !groups[i].is_ended;
	return 0;
}

/* A server that says "success" to a search that saw nothing proves nothing: rights, base or filter may have changed. */
int
guard_empty(struct op *op, struct run *run)
{
	struct known known = { .run = run };
	struct op *chunk;
	int rc;

	if (!run->counts.read)
		return op_fail(op, ERR_INCOMPLETE,
		    "the directory showed nobody (%lld entries could not be used): check its base, its filter and what the bind DN may "
		    "read; nothing was changed", (long long)run->counts.skipped);
	/* primary groups are asked for by name: they are no answer to the search for groups */
	if (run->counts.groups > run->outside_groups)
		return 0;
	chunk = chunk_begin(op);
	rc = chunk_end(op, chunk, db_read(chunk, known_body, &known));
	if (!rc && known.groups > run->outside_groups)
		return op_fail(op, ERR_INCOMPLETE,
		    "the directory showed no group, but %lld are known: check its group base, its group filter and what the bind DN may "
		    "read; nothing was changed", (long long)known.groups);
	return rc;
}
