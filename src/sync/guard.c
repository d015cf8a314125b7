/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The guard: no fault of a directory disables more than a few accounts in 24 hours without an operator's yes.
 * All kinds of disabling count together: disabled, expired, gone, out of scope.
 */
#include "store/user.h"
#include "sync_int.h"

#define DAY_MS 86400000

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
		rc = db_user_count_disabled(op, run->directory_id, op->now_ms - DAY_MS, &run->counts.disabled_lately);
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
