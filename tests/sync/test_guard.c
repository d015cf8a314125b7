/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The guard: its numbers, what counts, and that a frozen plan waits for exactly one yes. */
#include "runs.h"

TestSuite(guard, .init = clinic_open, .fini = house_close, .timeout = 60);

Test(guard, limits)
{
	static const struct { int64_t active, limit; } rows[] = {
		{ 0, 2 }, { 1, 2 }, { 10, 2 }, { 19, 2 }, { 20, 2 }, { 29, 2 }, { 30, 3 }, { 60, 6 }, { 99, 9 }, { 100, 10 }, { 199, 19 },
		{ 200, 20 }, { 201, 20 }, { 999, 20 }, { 1000, 20 }, { 1049, 20 }, { 1050, 21 }, { 2000, 40 }, { 10000, 200 }, { 100000, 2000 },
		{ 1000000, 20000 },
	};

	for (size_t i = 0; i < countof(rows); i++)
		cr_expect_eq(guard_limit(rows[i].active), rows[i].limit, "%lld active: %lld", (long long)rows[i].active,
		    (long long)guard_limit(rows[i].active));
}

/* People 1 to n, all active but those in gone (bits) left out. */
static struct sync_run_row *
run_without(int n, unsigned gone, const char **ret_id)
{
	struct reading r = reading_begin(false);

	for (int i = 1; i <= n; i++)
		if (!(gone >> i & 1))
			tell_person(r.stage, &(struct entry){ .n = i, .login = op_printf(op, "p%02d", i) });
	tell_group(r.stage, 900, "nurses", NAMES("p01"));
	if (ret_id)
		*ret_id = r.id;
	return work(&r);
}

Test(guard, freezes_above_the_limit_and_waits)
{
	struct sync_run_row *row;
	const char *id, *again;

	cr_expect_str_eq(run_without(20, 0, NULL)->state, "done");
	/* 20 active: two may go */
	row = run_without(20, 1u << 3 | 1u << 4 | 1u << 5, &id);
	cr_expect_str_eq(row->state, "frozen");
	cr_expect_eq(row->finished_ms, 0);
	cr_expect(is_active(3) && is_active(4) && is_active(5), "nobody was disabled");
	cr_expect_eq(count(&test_count_event, "sync.frozen"), 1);
	cr_expect_eq(counts_of(id).losing, 3);
	cr_expect_eq(counts_of(id).limit, 2);

	/* the same plan again: the first goes on waiting, the second is put aside */
	row = run_without(20, 1u << 3 | 1u << 4 | 1u << 5, &again);
	cr_expect_str_eq(row->state, "abandoned");
	cr_expect_str_eq(run_row(id)->state, "frozen");
	cr_expect_eq(count(&test_count_event, "sync.frozen"), 1);
	cr_assert_eq(sync_approve(op, again), ERR_CONFLICT);
	op_forgive(op);

	/* the yes */
	cr_assert_eq(sync_approve(op, id), 0, "%s", op_failure(op));
	cr_assert_eq(sync_approve(op, id), ERR_CONFLICT, "one yes");
	op_forgive(op);
	cr_assert_eq(sync_work(op, id), 0, "%s", op_failure(op));
	cr_expect_str_eq(run_row(id)->state, "done");
	cr_expect_str_eq(run_row(id)->approved_by, "uid:0");
	cr_expect(!is_active(3) && !is_active(4) && !is_active(5));
	cr_expect_str_eq(look(3).user->directory_reason, "gone");
	cr_expect_eq(count(&test_count_event, "sync.approved"), 1);
	/* what had a yes does not count against the next 24 hours: 17 active, two more may go */
	cr_expect_str_eq(run_without(20, 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7, NULL)->state, "done");
	cr_expect(!is_active(6) && !is_active(7));
}

Test(guard, counts_the_last_day)
{
	cr_expect_str_eq(run_without(20, 0, NULL)->state, "done");
	cr_expect_str_eq(run_without(20, 1u << 3 | 1u << 4, NULL)->state, "done", "two may go");
	cr_expect_str_eq(run_without(20, 1u << 3 | 1u << 4, NULL)->state, "done", "nothing more to disable");
	cr_expect_str_eq(run_without(20, 1u << 3 | 1u << 4 | 1u << 5, NULL)->state, "frozen", "a third within a day");
	cr_expect(is_active(5));
	/* back again: a newer plan takes the frozen one's place */
	cr_expect_str_eq(run_without(20, 1u << 3 | 1u << 4, NULL)->state, "done");
}

Test(guard, all_kinds_count_together)
{
	struct reading r;
	struct sync_run_row *row;

	cr_expect_str_eq(run_without(20, 0, NULL)->state, "done");
	r = reading_begin(false);
	for (int i = 1; i <= 20; i++) {
		struct entry entry = { .n = i, .login = op_printf(op, "p%02d", i) };

		if (i == 3)
			continue;
		if (i == 4 || i == 5) {
			entry.is_inactive = true;
			entry.reason = i == 4 ? "disabled" : "expired";
		}
		tell_person(r.stage, &entry);
	}
	tell_group(r.stage, 900, "nurses", NAMES("p01"));
	row = work(&r);
	cr_expect_str_eq(row->state, "frozen", "one gone, one disabled, one expired");
	cr_expect_eq(counts_of(r.id).losing, 3);
}

/* A new reason for one who is disabled anyway disables nobody. */
Test(guard, reasons_are_not_counted)
{
	struct reading r;

	cr_expect_str_eq(run_without(30, 0, NULL)->state, "done");
	r = reading_begin(false);
	for (int i = 1; i <= 30; i++)
		tell_person(r.stage, &(struct entry){ .n = i, .login = op_printf(op, "p%02d", i), .is_inactive = i == 3 || i == 4 });
	tell_group(r.stage, 900, "nurses", NAMES("p01"));
	cr_expect_str_eq(work(&r)->state, "done");
	cr_expect_str_eq(look(3).user->directory_reason, "disabled");
	cr_expect_str_eq(run_without(30, 1u << 3 | 1u << 4, NULL)->state, "done", "the two entries are deleted: nobody loses anything");
	cr_expect_str_eq(look(3).user->directory_reason, "gone");
	/* 28 active: two may go, and two went */
	cr_expect_str_eq(run_without(30, 1u << 3 | 1u << 4 | 1u << 5, NULL)->state, "frozen");
}

/* Somebody disabled here does not count: he cannot lose access again. */
static int
disable_here(struct op *o, void *arg)
{
	return users_set_local(o, arg, false, "left early");
}

Test(guard, local_disabling_is_no_loss)
{
	cr_expect_str_eq(run_without(20, 0, NULL)->state, "done");
	cr_assert_eq(db_run(op, disable_here, (void *)(uintptr_t)look(3).user->id), 0);
	tick();
	cr_expect_str_eq(run_without(20, 1u << 3 | 1u << 4 | 1u << 5, NULL)->state, "done");
	cr_expect(!is_active(3) && !is_active(4) && !is_active(5));
}

Test(guard, approval_ends_with_the_rules)
{
	const char *id;

	cr_expect_str_eq(run_without(20, 0, NULL)->state, "done");
	cr_expect_str_eq(run_without(20, 1u << 3 | 1u << 4 | 1u << 5, &id)->state, "frozen");
	cr_assert_eq(apply("roles:\n  - name: cook\n"), 0);
	/* a new op sees the new catalog */
	struct op *later = op_begin(&svc, NULL);

	later->caller = op->caller;
	cr_expect_eq(sync_approve(later, id), ERR_CONFLICT, "the plan was made with other objects");
	op_end(later);
}

Test(guard, empty_answers)
{
	struct reading r;

	/* nobody, in a directory never read before: still a failure */
	r = reading_begin(false);
	cr_assert_eq(stage_end(op, r.stage), 0);
	cr_expect_eq(guard_empty(op, r.run), ERR_INCOMPLETE);
}

Test(guard, groups_do_not_vanish_at_once)
{
	struct reading r;

	cr_expect_str_eq(run_without(20, 0, NULL)->state, "done");
	r = reading_begin(false);
	tell_person(r.stage, &(struct entry){ .n = 1, .login = "p01" });
	cr_assert_eq(stage_end(op, r.stage), 0);
	cr_expect_eq(guard_empty(op, r.run), ERR_INCOMPLETE, "people but no group, where groups were known");
}

/* People 1 to 20; those in ending (bits) have an end an hour ahead. */
static const char *
run_ending(unsigned ending)
{
	struct reading r = reading_begin(false);

	for (int i = 1; i <= 20; i++)
		tell_person(r.stage, &(struct entry){ .n = i, .login = op_printf(op, "p%02d", i),
		    .until = ending >> i & 1 ? op->now_ms + 3600000 + i : op->now_ms + 40 * GUARD_DAY_MS });
	tell_group(r.stage, 900, "nurses", NAMES("p01"));
	return work(&r)->state;
}

/* The clock would disable them before anybody looked: the directory must not do so by a date either, not even in small parts. */
Test(guard, ends_within_a_day_count)
{
	cr_expect_str_eq(run_ending(0), "done");
	cr_expect_str_eq(run_ending(1u << 3 | 1u << 4 | 1u << 5), "frozen");
	cr_expect_eq(look(3).user->directory_until > op->now_ms + GUARD_DAY_MS, true);
	cr_expect_str_eq(run_ending(1u << 3 | 1u << 4), "done", "two may");
	cr_expect_str_eq(run_ending(1u << 3 | 1u << 4 | 1u << 5), "frozen", "a third within a day");
	cr_expect(is_active(5));
}

static int
failed_body(struct op *o, void *arg)
{
	struct run *run = arg;

	run->row->state = "failed";
	run->row->finished_ms = o->now_ms;
	return db_sync_run_write(o, run->row, "reading");
}

/* Primary groups are asked for one by one: they are no answer to the search for groups. */
Test(guard, primary_groups_do_not_hide_that_no_group_was_found)
{
	for (int run = 0; run < 3; run++) {
		struct reading r = reading_begin(false);

		tell_person(r.stage, &(struct entry){ .n = 1, .login = "ada", .primary_group = "S-1-5-21-1-2-3-513" });
		if (run < 1)
			tell_group(r.stage, 91, "nurses", NAMES("ada"));
		tell_primary_group(r.stage, 92, "everybody", "S-1-5-21-1-2-3-513", true);
		cr_assert_eq(stage_end(op, r.stage), 0);
		cr_expect_eq(guard_empty(op, r.run), run < 1 ? 0 : ERR_INCOMPLETE, "run %d", run);
		op_forgive(op);
		if (run < 1)
			cr_expect_str_eq(work(&r)->state, "done");
		else
			cr_assert_eq(db_run(op, failed_body, r.run), 0);
	}
}

/* A directory whose only groups are primary ones is none that has lost its groups. */
Test(guard, only_primary_groups)
{
	for (int run = 0; run < 2; run++) {
		struct reading r = reading_begin(false);

		tell_person(r.stage, &(struct entry){ .n = 1, .login = "ada", .primary_group = "S-1-5-21-1-2-3-513" });
		tell_primary_group(r.stage, 92, "everybody", "S-1-5-21-1-2-3-513", true);
		cr_assert_eq(stage_end(op, r.stage), 0);
		cr_expect_eq(guard_empty(op, r.run), 0, "run %d", run);
		cr_expect_str_eq(work(&r)->state, "done");
	}
}
