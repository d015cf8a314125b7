/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plans: what leaves a row and what does not; nesting, cycles, names handed over, entries that cannot be used. */
#include "runs.h"

TestSuite(plan, .init = clinic_open, .fini = house_close, .timeout = 60);

struct plan_list {
	const char *run;
	struct sync_plan_row *rows;
	size_t n;
};

static int
plan_list_body(struct op *o, void *arg)
{
	struct plan_list *list = arg;

	return db_sync_plan_page(o, list->run, 0, 1000, &list->rows, &list->n);
}

static struct plan_list
plan_of(const char *run)
{
	struct plan_list list = { .run = run };

	cr_assert_eq(db_read(op, plan_list_body, &list), 0);
	return list;
}

/* The row of that action for entry n, or NULL. */
static const struct sync_plan_row *
find(const struct plan_list *list, const char *action, int n)
{
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->rows[i].action, action) && !strcmp(list->rows[i].external_id, uuid_of(n)))
			return &list->rows[i];
	return NULL;
}

static void
clinic_of_four(struct reading *r)
{
	tell_person(r->stage, &(struct entry){ .n = 1, .login = "ada" });
	tell_person(r->stage, &(struct entry){ .n = 2, .login = "ben", .mail = "ben@clinic.test" });
	tell_person(r->stage, &(struct entry){ .n = 3, .login = "cleo", .title = "Porter" });
	tell_person(r->stage, &(struct entry){ .n = 4, .login = "dora", .is_inactive = true });
	tell_group(r->stage, 91, "nurses", NAMES("ada", "ward3"));
	tell_group(r->stage, 92, "ward3", NAMES("ben"));
	tell_group(r->stage, 93, "doctors", NOBODY);
}

Test(plan, the_first_preview)
{
	struct reading r = reading_begin(true);
	struct sync_run_row *row;
	struct plan_list plan;

	clinic_of_four(&r);
	row = work(&r);
	cr_expect_str_eq(row->state, "planned");
	cr_expect_neq(row->finished_ms, 0);
	cr_expect_eq(strlen(row->plan_hash), 64);
	plan = plan_of(r.id);
	cr_assert_eq(plan.n, 3, "nobody is created who may not sign in");
	cr_expect(find(&plan, "create", 1) && find(&plan, "create", 2) && find(&plan, "create", 3));
	cr_expect(strstr(find(&plan, "create", 1)->body, role_id("nurse")), "directly");
	cr_expect(strstr(find(&plan, "create", 2)->body, role_id("nurse")), "through a group in the group");
	cr_expect(strstr(find(&plan, "create", 2)->body, "\"mail\":\"ben@clinic.test\""));
	cr_expect(strstr(find(&plan, "create", 3)->body, role_id("porter")), "by an attribute");
	cr_expect_str_eq(find(&plan, "create", 1)->login, "ada");
	cr_expect_str_eq(find(&plan, "create", 1)->display_name, "Person ada");
	cr_expect_eq(count_facts(), 0, "a preview changes nothing");
	cr_expect_eq(count(&test_count_entries, NULL), 0, "and keeps nothing but its plan");
	cr_expect_eq(count(&test_count_staged_groups, NULL), 0);
}

Test(plan, unchanged_people_leave_no_row)
{
	struct reading r = reading_begin(false);

	clinic_of_four(&r);
	cr_expect_str_eq(work(&r)->state, "done");
	r = reading_begin(true);
	clinic_of_four(&r);
	work(&r);
	cr_expect_eq(plan_of(r.id).n, 0);
	cr_expect_eq(counts_of(r.id).unchanged, 3);
}

Test(plan, equal_plans_have_equal_hashes)
{
	struct reading a = reading_begin(true), b, c;

	clinic_of_four(&a);
	work(&a);
	b = reading_begin(true);
	clinic_of_four(&b);
	work(&b);
	cr_expect_str_eq(run_row(a.id)->plan_hash, run_row(b.id)->plan_hash);
	c = reading_begin(true);
	clinic_of_four(&c);
	tell_group(c.stage, 94, "porters", NAMES("ada"));
	tell_group(c.stage, 95, "more", NOBODY);
	work(&c);
	cr_expect_str_eq(run_row(a.id)->plan_hash, run_row(c.id)->plan_hash, "a group that gives nothing to new people");
	c = reading_begin(true);
	tell_person(c.stage, &(struct entry){ .n = 1, .login = "ada" });
	tell_group(c.stage, 91, "nurses", NOBODY);
	work(&c);
	cr_expect_str_neq(run_row(a.id)->plan_hash, run_row(c.id)->plan_hash);
}

Test(plan, cycles_and_groups_in_themselves)
{
	struct reading r = reading_begin(false);

	tell_person(r.stage, &(struct entry){ .n = 1, .login = "ada" });
	tell_person(r.stage, &(struct entry){ .n = 2, .login = "ben" });
	tell_person(r.stage, &(struct entry){ .n = 3, .login = "cleo" });
	tell_group(r.stage, 91, "nurses", NAMES("night", "nurses"));
	tell_group(r.stage, 92, "night", NAMES("ada", "ring"));
	tell_group(r.stage, 93, "ring", NAMES("ben", "nurses"));
	tell_group(r.stage, 94, "alone", NAMES("alone", "cleo"));
	cr_expect_str_eq(work(&r)->state, "done");
	cr_expect(holds(1, "nurse") && holds(2, "nurse"));
	cr_expect(!holds(3, "nurse"));
}

Test(plan, deep_nesting)
{
	struct reading r = reading_begin(false);

	tell_person(r.stage, &(struct entry){ .n = 1, .login = "ada" });
	tell_group(r.stage, 100, "nurses", NAMES("g101"));
	for (int i = 101; i < 150; i++)
		tell_group(r.stage, i, op_printf(op, "g%d", i), NAMES(op_printf(op, "g%d", i + 1)));
	tell_group(r.stage, 150, "g150", NAMES("ada"));
	cr_expect_str_eq(work(&r)->state, "done");
	cr_expect(holds(1, "nurse"));
}

Test(plan, grants_end_and_groups_are_left)
{
	struct reading r = reading_begin(false);
	struct plan_list plan;

	clinic_of_four(&r);
	work(&r);
	r = reading_begin(false);
	tell_person(r.stage, &(struct entry){ .n = 1, .login = "ada" });
	tell_person(r.stage, &(struct entry){ .n = 2, .login = "ben", .mail = "ben@clinic.test" });
	tell_person(r.stage, &(struct entry){ .n = 3, .login = "cleo" });
	tell_group(r.stage, 91, "nurses", NAMES("ada"));
	tell_group(r.stage, 92, "ward3", NAMES("ben"));
	tell_group(r.stage, 93, "doctors", NAMES("ada"));
	cr_expect_str_eq(work(&r)->state, "done");
	plan = plan_of(r.id);
	cr_expect(find(&plan, "end", 2) && find(&plan, "end", 3) && find(&plan, "grant", 1) && find(&plan, "member", 1));
	cr_expect_eq(plan.n, 4);
	cr_expect_str_eq(find(&plan, "member", 1)->body, "{\"join\":[\"doctors\"],\"leave\":[]}");
	cr_expect(holds(1, "nurse") && holds(1, "doctor") && !holds(2, "nurse") && !holds(3, "porter"));
	/* the same groups under another name: nothing for the people */
	r = reading_begin(false);
	tell_person(r.stage, &(struct entry){ .n = 1, .login = "ada" });
	tell_person(r.stage, &(struct entry){ .n = 2, .login = "ben", .mail = "ben@clinic.test" });
	tell_person(r.stage, &(struct entry){ .n = 3, .login = "cleo" });
	tell_group(r.stage, 91, "nurses", NAMES("ada"));
	tell_group(r.stage, 92, "ward three", NAMES("ben"));
	tell_group(r.stage, 93, "doctors", NAMES("ada"));
	work(&r);
	cr_expect_eq(plan_of(r.id).n, 0);
}

Test(plan, changed_data_and_states)
{
	struct reading r = reading_begin(false);
	struct plan_list plan;

	clinic_of_four(&r);
	work(&r);
	r = reading_begin(true);
	tell_person(r.stage, &(struct entry){ .n = 1, .login = "ada.smith" });
	tell_person(r.stage, &(struct entry){ .n = 2, .login = "ben", .mail = "ben@clinic.test", .is_inactive = true });
	tell_person(r.stage, &(struct entry){ .n = 3, .login = "cleo", .title = "Porter", .until = op->now_ms + 86400000 });
	tell_person(r.stage, &(struct entry){ .n = 4, .login = "dora" });
	tell_group(r.stage, 91, "nurses", NAMES("ada.smith", "ward3"));
	tell_group(r.stage, 92, "ward3", NAMES("ben"));
	work(&r);
	plan = plan_of(r.id);
	cr_expect_eq(plan.n, 4);
	cr_expect_str_eq(find(&plan, "change", 1)->body,
	    "{\"display_name\":[\"Person ada\",\"Person ada.smith\"],\"login\":[\"ada\",\"ada.smith\"]}");
	cr_expect_str_eq(find(&plan, "change", 1)->why, "login display_name");
	cr_expect_str_eq(find(&plan, "disable", 2)->why, "disabled in the directory");
	cr_expect_str_eq(find(&plan, "change", 3)->why, "until");
	cr_expect(find(&plan, "create", 4), "who was never active is created when he becomes so");
}

/* A person who leaves and one of the same name who comes: two people; a swap of names: the same two people. */
Test(plan, identity_is_never_a_name)
{
	struct reading r = reading_begin(false);
	struct plan_list plan;

	tell_person(r.stage, &(struct entry){ .n = 1, .login = "ada" });
	tell_person(r.stage, &(struct entry){ .n = 2, .login = "ben" });
	tell_group(r.stage, 91, "nurses", NAMES("ada"));
	work(&r);
	r = reading_begin(true);
	tell_person(r.stage, &(struct entry){ .n = 1, .login = "ben" });
	tell_person(r.stage, &(struct entry){ .n = 2, .login = "ada" });
	tell_group(r.stage, 91, "nurses", NAMES("ben"));
	work(&r);
	plan = plan_of(r.id);
	cr_expect_eq(plan.n, 2);
	cr_expect(find(&plan, "change", 1) && find(&plan, "change", 2));
	r = reading_begin(true);
	tell_person(r.stage, &(struct entry){ .n = 7, .login = "ada" });
	tell_person(r.stage, &(struct entry){ .n = 2, .login = "ben" });
	tell_group(r.stage, 91, "nurses", NAMES("ada"));
	work(&r);
	plan = plan_of(r.id);
	cr_expect(find(&plan, "create", 7) && find(&plan, "disable", 1));
	cr_expect_str_eq(find(&plan, "disable", 1)->login, "ada");
}

Test(plan, a_flawed_entry_is_neither_changed_nor_gone)
{
	struct reading r = reading_begin(false);
	struct plan_list plan;

	clinic_of_four(&r);
	work(&r);
	r = reading_begin(true);
	cr_assert_eq(stage_reader.skipped(op, uuid_of(1), dn_of("ada"), "two login names", r.stage), 0);
	tell_person(r.stage, &(struct entry){ .n = 2, .login = "ben", .mail = "ben@clinic.test" });
	tell_group(r.stage, 91, "nurses", NAMES("ward3"));
	tell_group(r.stage, 92, "ward3", NAMES("ben"));
	work(&r);
	plan = plan_of(r.id);
	cr_expect_eq(counts_of(r.id).skipped, 1);
	cr_expect_eq(plan.n, 3, "skip 1, 3 is gone and loses the porter's role");
	cr_expect_str_eq(find(&plan, "skip", 1)->why, "two login names");
	cr_expect(find(&plan, "disable", 3));
	/* an entry without an id may be anybody's */
	r = reading_begin(true);
	cr_assert_eq(stage_reader.skipped(op, NULL, dn_of("somebody"), "no entryUUID", r.stage), 0);
	tell_person(r.stage, &(struct entry){ .n = 2, .login = "ben", .mail = "ben@clinic.test" });
	tell_group(r.stage, 91, "nurses", NAMES("ward3"));
	tell_group(r.stage, 92, "ward3", NAMES("ben"));
	work(&r);
	plan = plan_of(r.id);
	cr_expect_eq(plan.n, 1);
	cr_expect_str_eq(plan.rows[0].action, "skip");
}

static void
run_with_skips(int skips)
{
	struct reading r = reading_begin(false);

	tell_person(r.stage, &(struct entry){ .n = 1, .login = "ada" });
	for (int i = 0; i < skips; i++)
		cr_assert_eq(stage_reader.skipped(op, uuid_of(50 + i), dn_of("flawed"), "no login name", r.stage), 0);
	tell_group(r.stage, 91, "nurses", NAMES("ada"));
	cr_assert_str_eq(work(&r)->state, "done");
}

/* Told once, not with every run: an unchanged one writes nothing. */
Test(plan, skipped_entries_in_the_audit)
{
	run_with_skips(1);
	cr_expect_eq(count(&test_count_event, "sync.entry_skipped"), 1);
	run_with_skips(1);
	cr_expect_eq(count(&test_count_event, "sync.entry_skipped"), 1);
	run_with_skips(2);
	cr_expect_eq(count(&test_count_event, "sync.entry_skipped"), 3);
}

/* A directory with more memberships than memory should hold is worked through in parts: the same plan in another order. */
static int
by_row(const void *a, const void *b)
{
	const struct sync_plan_row *x = a, *y = b;
	int order = strcmp(x->external_id, y->external_id);

	return order ? order : strcmp(x->action, y->action);
}

static struct plan_list
plan_in_parts(int64_t links_max)
{
	struct reading r = reading_begin(true);
	struct plan_list plan;

	for (int i = 1; i <= 60; i++)
		if (i % 7)
			tell_person(r.stage, &(struct entry){ .n = i, .login = op_printf(op, "p%d", i), .is_inactive = i % 11 == 0 });
	for (int g = 0; g < 6; g++)
		tell_group(r.stage, 900 + g, g ? op_printf(op, "g%d", g) : "nurses",
		    NAMES(op_printf(op, "p%d", g + 1), op_printf(op, "p%d", g + 10), op_printf(op, "g%d", (g + 2) % 6)));
	r.run->links_max = links_max;
	reading_end(&r);
	cr_assert_eq(plan_build(op, r.run), 0, "%s", op_failure(op));
	plan = plan_of(r.id);
	qsort(plan.rows, plan.n, sizeof(*plan.rows), by_row);
	cr_assert_eq(sync_work(op, r.id), 0, "%s", op_failure(op));
	return plan;
}

Test(plan, in_parts)
{
	struct plan_list whole, parts;
	struct reading r = reading_begin(false);

	for (int i = 1; i <= 62; i++)
		if (i % 3)
			tell_person(r.stage, &(struct entry){ .n = i, .login = op_printf(op, "p%d", i) });
	tell_group(r.stage, 900, "nurses", NAMES("p1", "p2"));
	cr_assert_str_eq(work(&r)->state, "done");
	whole = plan_in_parts(0);
	parts = plan_in_parts(4);
	cr_assert_gt(whole.n, 30);
	cr_assert_eq(whole.n, parts.n);
	for (size_t i = 0; i < whole.n; i++) {
		cr_expect_eq(by_row(&whole.rows[i], &parts.rows[i]), 0);
		cr_expect_str_eq(whole.rows[i].body, parts.rows[i].body);
	}
}

/* More people than a page of the merge, on both sides, known ones and new ones mixed. */
Test(plan, pages)
{
	struct reading r = reading_begin(false);

	for (int i = 1; i <= 1700; i++)
		if (i % 3)
			tell_person(r.stage, &(struct entry){ .n = i, .login = op_printf(op, "p%d", i) });
	tell_group(r.stage, 5001, "nurses", NAMES("p1", "p1700"));
	cr_expect_str_eq(work(&r)->state, "done");
	cr_expect_eq(counts_of(r.id).create, 1134);
	r = reading_begin(true);
	for (int i = 1; i <= 1700; i++)
		if (i % 5)
			tell_person(r.stage, &(struct entry){ .n = i, .login = op_printf(op, "p%d", i) });
	tell_group(r.stage, 5001, "nurses", NAMES("p1", "p1699"));
	work(&r);
	/* of 1 to 1700: multiples of 3 but not of 5 are new; multiples of 5 but not of 3 are gone */
	cr_expect_eq(counts_of(r.id).create, 566 - 113);
	cr_expect_eq(counts_of(r.id).disable, 340 - 113);
	cr_expect_eq(counts_of(r.id).unchanged, 1134 - (340 - 113) - 1, "%lld", (long long)counts_of(r.id).unchanged);
	cr_expect_eq(counts_of(r.id).grant, 1);
}

/* ---- primary groups: no member value names them ---- */

Test(plan, a_primary_group_is_a_group)
{
	struct reading r = reading_begin(true);
	struct plan_list plan;

	tell_person(r.stage, &(struct entry){ .n = 1, .login = "ada", .primary_group = "S-1-5-21-1-2-3-513" });
	tell_person(r.stage, &(struct entry){ .n = 2, .login = "ben", .primary_group = "S-1-5-21-1-2-3-1200" });
	tell_person(r.stage, &(struct entry){ .n = 3, .login = "cleo", .primary_group = "S-1-5-21-1-2-3-9999" });
	/* one that other groups hold, one that a rule names, one that nobody told */
	tell_group(r.stage, 91, "nurses", NAMES("everybody"));
	tell_primary_group(r.stage, 92, "everybody", "S-1-5-21-1-2-3-513", true);
	tell_primary_group(r.stage, 93, "doctors", "S-1-5-21-1-2-3-1200", false);
	cr_assert_str_eq(work(&r)->state, "planned");
	plan = plan_of(r.id);
	cr_expect(strstr(find(&plan, "create", 1)->body, role_id("nurse")), "through a group that holds it");
	cr_expect(strstr(find(&plan, "create", 2)->body, role_id("doctor")), "directly");
	cr_expect_null(strstr(find(&plan, "create", 2)->body, role_id("nurse")));
	cr_expect_null(strstr(find(&plan, "create", 3)->body, role_id("nurse")));
	cr_expect_null(strstr(find(&plan, "create", 3)->body, role_id("doctor")));
}
