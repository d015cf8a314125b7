/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Applying, and going on: what a run leaves in the database, that an unchanged one leaves nothing, and that a kill -9 in the middle of
 * staging or applying loses and repeats nothing.
 */
#include "runs.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

TestSuite(apply, .init = clinic_open, .fini = house_close, .timeout = 120);

static void
clinic_of_three(struct reading *r)
{
	tell_person(r->stage, &(struct entry){ .n = 1, .login = "ada" });
	tell_person(r->stage, &(struct entry){ .n = 2, .login = "ben" });
	tell_person(r->stage, &(struct entry){ .n = 3, .login = "cleo", .title = "porter" });
	tell_group(r->stage, 91, "nurses", NAMES("ada", "ward3"));
	tell_group(r->stage, 92, "ward3", NAMES("ben", "nobody-known"));
	tell_group(r->stage, 93, "empty", NOBODY);
}

Test(apply, the_first_run)
{
	struct reading r = reading_begin(false);
	struct sync_run_row *row;

	clinic_of_three(&r);
	row = work(&r);
	cr_expect_str_eq(row->state, "done", "%s", row->failure);
	cr_expect_eq(row->applied_seq, 3);
	cr_expect_eq(count(&test_count_users, NULL), 3);
	cr_expect_eq(count(&test_count_groups, NULL), 3);
	cr_expect_eq(count(&test_count_memberships, NULL), 3, "ada and ben in their groups, ward3 in nurses");
	cr_expect_eq(count(&test_count_grants, NULL), 3);
	cr_expect_eq(count(&test_count_states, NULL), 3);
	cr_expect_eq(count(&test_count_event, "user.create"), 3);
	cr_expect_eq(count(&test_count_event, "grant.give"), 3);
	cr_expect_eq(count(&test_count_event, "sync.done"), 1);
	cr_expect_eq(count(&test_count_entries, NULL), 0, "nothing is left staged");
	cr_expect_eq(count(&test_count_staged_groups, NULL), 0);
	cr_expect(holds(1, "nurse") && holds(2, "nurse") && holds(3, "porter"));
	cr_expect_str_eq(look(1).grants[0].source_kind, "rule");
	cr_expect_str_eq(look(1).grants[0].location_id, catalog_location(catalog_get(op), "harbour")->id);
}

Test(apply, an_unchanged_run_writes_one_audit_row)
{
	struct reading r = reading_begin(false);
	int64_t facts, audit;

	clinic_of_three(&r);
	work(&r);
	facts = count_facts();
	audit = count(&test_count_audit, NULL);
	for (int i = 1; i <= 3; i++) {
		r = reading_begin(false);
		clinic_of_three(&r);
		cr_expect_str_eq(work(&r)->state, "done");
		cr_expect_eq(count_facts(), facts);
		cr_expect_eq(count(&test_count_audit, NULL), audit + i);
		cr_expect_eq(count(&test_count_event, "sync.done"), 1 + i);
	}
}

Test(apply, gone_and_back)
{
	struct reading r = reading_begin(false);
	const char *id;

	clinic_of_three(&r);
	work(&r);
	id = look(3).user->id;
	r = reading_begin(false);
	tell_person(r.stage, &(struct entry){ .n = 1, .login = "ada" });
	tell_person(r.stage, &(struct entry){ .n = 2, .login = "ben" });
	tell_group(r.stage, 91, "nurses", NAMES("ada"));
	cr_expect_str_eq(work(&r)->state, "done");
	cr_expect(!is_active(3) && !holds(3, "porter"));
	cr_expect_str_eq(look(3).user->directory_reason, "gone");
	cr_expect(!holds(2, "nurse"), "his group is gone");
	cr_expect_eq(count(&test_count_joined, NULL), 1, "ada in nurses");
	cr_expect_eq(count(&test_count_users, NULL), 3, "nobody is removed");
	cr_expect_eq(count(&test_count_event, "user.disable"), 1);
	/* still gone: nothing more to do */
	r = reading_begin(false);
	tell_person(r.stage, &(struct entry){ .n = 1, .login = "ada" });
	tell_person(r.stage, &(struct entry){ .n = 2, .login = "ben" });
	tell_group(r.stage, 91, "nurses", NAMES("ada"));
	work(&r);
	cr_expect_eq(counts_of(r.id).planned, 0);

	r = reading_begin(false);
	clinic_of_three(&r);
	cr_expect_str_eq(work(&r)->state, "done");
	cr_expect(is_active(3) && holds(3, "porter") && holds(2, "nurse"));
	cr_expect_str_eq(look(3).user->id, id, "the same account");
	cr_expect_eq(count(&test_count_event, "user.enable"), 1);
	cr_expect_eq(count(&test_count_joined, NULL), 3);
}

Test(apply, recreated_under_the_same_name)
{
	struct reading r = reading_begin(false);
	const char *old;

	clinic_of_three(&r);
	work(&r);
	old = look(1).user->id;
	r = reading_begin(false);
	/* the new one comes before it is known that the old one is gone */
	tell_person(r.stage, &(struct entry){ .n = 0, .login = "ada" });
	tell_person(r.stage, &(struct entry){ .n = 2, .login = "ben" });
	tell_person(r.stage, &(struct entry){ .n = 3, .login = "cleo", .title = "porter" });
	tell_group(r.stage, 91, "nurses", NAMES("ward3"));
	tell_group(r.stage, 92, "ward3", NAMES("ben"));
	cr_expect_str_eq(work(&r)->state, "done");
	cr_expect(is_active(0) && !is_active(1));
	cr_expect_str_neq(look(0).user->id, old);
	cr_expect_eq(look(0).n_grants, 0, "nothing is carried over");
	cr_expect_eq(look(1).n_grants, 0);
}

Test(apply, a_swap_of_names)
{
	struct reading r = reading_begin(false);
	const char *one, *two;

	clinic_of_three(&r);
	work(&r);
	one = look(1).user->id;
	two = look(2).user->id;
	r = reading_begin(false);
	tell_person(r.stage, &(struct entry){ .n = 1, .login = "ben" });
	tell_person(r.stage, &(struct entry){ .n = 2, .login = "ada" });
	tell_person(r.stage, &(struct entry){ .n = 3, .login = "cleo", .title = "porter" });
	tell_group(r.stage, 91, "nurses", NAMES("ben", "ward3"));
	tell_group(r.stage, 92, "ward3", NAMES("ada"));
	tell_group(r.stage, 93, "empty", NOBODY);
	cr_expect_str_eq(work(&r)->state, "done");
	cr_expect_str_eq(look(1).user->login, "ben");
	cr_expect_str_eq(look(2).user->login, "ada");
	cr_expect_str_eq(look(1).user->id, one);
	cr_expect_str_eq(look(2).user->id, two);
	cr_expect_eq(count(&test_count_users, NULL), 3);
}

Test(apply, disabled_and_expired_lose_their_roles_only_by_rules)
{
	struct reading r = reading_begin(false);

	clinic_of_three(&r);
	work(&r);
	r = reading_begin(false);
	tell_person(r.stage, &(struct entry){ .n = 1, .login = "ada", .is_inactive = true });
	tell_person(r.stage, &(struct entry){ .n = 2, .login = "ben", .is_inactive = true, .reason = "expired", .until = op->now_ms - 1000 });
	tell_person(r.stage, &(struct entry){ .n = 3, .login = "cleo", .title = "porter" });
	tell_group(r.stage, 91, "nurses", NAMES("ada", "ward3"));
	tell_group(r.stage, 92, "ward3", NAMES("ben"));
	cr_expect_str_eq(work(&r)->state, "done");
	cr_expect(!is_active(1) && !is_active(2));
	cr_expect_str_eq(look(1).user->directory_reason, "disabled");
	cr_expect_str_eq(look(2).user->directory_reason, "expired");
	cr_expect(holds(1, "nurse"), "still a member: the account is what keeps her out");
}

/* A sign-in read the person after this run had: the newer knowledge stays. */
static int
sign_in_body(struct op *o, void *arg)
{
	static const struct change_source login = { .kind = "login", .id = "session" };

	return users_change(o, arg, 1, &login);
}

Test(apply, newer_knowledge_of_a_sign_in_stays)
{
	struct reading r = reading_begin(false);
	struct user_change change = { .n_grants = 0 };

	clinic_of_three(&r);
	work(&r);
	r = reading_begin(false);
	tell_person(r.stage, &(struct entry){ .n = 1, .login = "ada", .mail = "old@clinic.test" });
	tell_person(r.stage, &(struct entry){ .n = 2, .login = "ben" });
	tell_person(r.stage, &(struct entry){ .n = 3, .login = "cleo", .title = "porter" });
	tell_group(r.stage, 91, "nurses", NAMES("ada", "ward3"));
	tell_group(r.stage, 92, "ward3", NAMES("ben"));
	tick();
	person_of(&(struct entry){ .n = 1, .login = "ada", .mail = "new@clinic.test" }, &change.person);
	cr_assert_eq(db_run(op, sign_in_body, &change), 0);
	cr_expect_str_eq(work(&r)->state, "done");
	cr_expect_str_eq(look(1).user->mail, "new@clinic.test");
}

Test(apply, two_runs_of_a_directory_never_go_on_at_once)
{
	struct reading r = reading_begin(false);
	char *id;

	cr_expect_eq(sync_start(op, directory, false, "hand", &id), ERR_CONFLICT);
	op_forgive(op);
	cr_expect_eq(sync_start(op, directory, true, "hand", &id), ERR_CONFLICT);
	op_forgive(op);
	cr_expect_eq(sync_start(op, catalog_directory(catalog_get(op), "other"), true, "hand", &id), 0, "another directory is free");
	clinic_of_three(&r);
	work(&r);
	cr_expect_eq(sync_start(op, directory, false, "hand", &id), 0);
}

static int
add_twice_body(struct op *o, void *arg)
{
	return db_sync_run_add(o, arg);
}

/* Even without the polite question: the index holds. */
Test(apply, the_index_keeps_runs_apart)
{
	struct reading r = reading_begin(false);
	struct sync_run_row row = *r.run->row;

	row.id = uuid_of(77);
	cr_expect_eq(db_run(op, add_twice_body, &row), ERR_CONFLICT);
}

/* A failed reading: everything stays, the sentence stands in the record, what was staged is removed. */
Test(apply, a_failed_run_changes_nothing)
{
	struct reading r = reading_begin(false);
	struct sync_run_row *row;
	struct reading bad;
	int64_t facts;

	clinic_of_three(&r);
	work(&r);
	facts = count_facts();
	bad = reading_begin(false);
	tell_person(bad.stage, &(struct entry){ .n = 1, .login = "ada" });
	/* the state is still "reading": sync_work asks the directory, which nobody answers for */
	cr_expect_lt(sync_work(op, bad.id), 0);
	row = run_row(bad.id);
	cr_expect_str_eq(row->state, "failed");
	cr_expect_gt(strlen(row->failure), 10);
	cr_expect_neq(row->finished_ms, 0);
	cr_expect_eq(count_facts(), facts);
	cr_expect(is_active(2) && is_active(3));
	cr_expect_eq(count(&test_count_entries, NULL), 0);
	cr_expect_eq(count(&test_count_event, "sync.failed"), 1);
}

/* ---- the timer ---- */

SQL_DEFINE(test_count_runs, "SELECT COUNT(*) FROM sync_runs WHERE cause = $1");
SQL_DEFINE(test_age_runs, "UPDATE sync_runs SET changed_ms = changed_ms - $1, finished_ms = finished_ms - $1");
SQL_DEFINE(test_age_objects, "UPDATE objects SET created_ms = created_ms - $1");

static int
age_body(struct op *o, void *arg)
{
	int rc = db_exec(o, &test_age_runs, ARGS(INT_(*(int64_t *)arg)), NULL);

	return rc ? rc : db_exec(o, &test_age_objects, ARGS(INT_(*(int64_t *)arg)), NULL);
}

static void
pass_time(int64_t ms)
{
	cr_assert_eq(db_run(op, age_body, &ms), 0);
}

static void
give_back(void *config)
{
	config_unref(config);
}

static void
use_interval(int seconds)
{
	const char *file = op_printf(op, "%s/keyward.yaml", folder);
	struct problems problems = problems_in(op, file);
	FILE *out = fopen(file, "w");

	cr_assert_not_null(out);
	fprintf(out, "organisation: Clinic\nissuer: https://localhost:7443\nsync_interval: %d\n", seconds);
	fclose(out);
	cr_assert_eq(config_load(op, file, &problems, &op->config), 0, "%s", problems_text(op, &problems));
	arena_on_free(op->mem, give_back, (void *)(uintptr_t)op->config);
	unlink(file);
}

Test(apply, the_timer_reads_what_is_due)
{
	use_interval(300);
	tick();
	cr_expect_eq(sync_tick(op), 0);
	cr_expect_eq(count(&test_count_runs, "timer"), 0, "a new directory is read one interval after it was made");
	pass_time(200000);
	tick();
	cr_expect_eq(sync_tick(op), 0);
	cr_expect_eq(count(&test_count_runs, "timer"), 0);
	pass_time(101000);
	/* nobody answers; each of the two directories is tried all the same */
	tick();
	cr_expect_eq(sync_tick(op), 0);
	cr_expect_eq(count(&test_count_runs, "timer"), 2);
	tick();
	cr_expect_eq(sync_tick(op), 0);
	cr_expect_eq(count(&test_count_runs, "timer"), 2);
	pass_time(301000);
	tick();
	cr_expect_eq(sync_tick(op), 0);
	cr_expect_eq(count(&test_count_runs, "timer"), 4);
	/* the clock was an hour ahead: one run sets it right */
	pass_time(-3600000);
	tick();
	cr_expect_eq(sync_tick(op), 0);
	cr_expect_eq(count(&test_count_runs, "timer"), 6);
	tick();
	cr_expect_eq(sync_tick(op), 0);
	cr_expect_eq(count(&test_count_runs, "timer"), 6);
}

Test(apply, a_run_that_nobody_works_on_is_given_up)
{
	struct reading r = reading_begin(false);

	clinic_of_three(&r);
	use_interval(86400);
	pass_time(500000);
	cr_expect_eq(sync_tick(op), 0);
	cr_expect_str_eq(run_row(r.id)->state, "reading");
	pass_time(120000);
	cr_expect_eq(sync_tick(op), 0);
	cr_expect_str_eq(run_row(r.id)->state, "failed");
	/* whoever comes back to it may not go on */
	cr_assert_eq(stage_end(op, r.stage), 0);
	cr_expect_eq(db_run(op, staged_body, r.run), ERR_CONFLICT);
	op_forgive(op);
	cr_expect_eq(count(&test_count_users, NULL), 0);
}

/* ---- kill -9 ---- */

#define MANY_PEOPLE 3000

static void
tell_many(struct reading *r)
{
	for (int i = 1; i <= MANY_PEOPLE; i++)
		tell_person(r->stage, &(struct entry){ .n = i, .login = op_printf(op, "p%d", i) });
	for (int g = 0; g < 20; g++) {
		const char *dn = dn_of(g ? op_printf(op, "g%d", g) : "nurses");
		struct source_group group = { .external_id = uuid_of(9000 + g), .dn = dn, .dn_key = dn, .name = "group" };

		cr_assert_eq(stage_reader.group(op, &group, r->stage), 0);
		for (int i = g + 1; i <= MANY_PEOPLE; i += 20)
			cr_assert_eq(stage_reader.member(op, dn_of(op_printf(op, "p%d", i)), r->stage), 0);
	}
}

/* Closes the database, so that a child may open it; the file stays. */
static void
let_go(void)
{
	catalog_free(svc.catalog);
	svc.catalog = NULL;
	db_close(svc.db);
}

static void
take_up(void)
{
	op_end(op);
	op = op_begin(&svc, NULL);
	op->deadline_ms += 600000;
	op->caller = (struct caller){ .kind = ACTOR_ROOT, .actor = "uid:0" };
	cr_assert_eq(db_open(op, op_printf(op, "%s/keyward.db", folder), &svc.db), 0);
	cr_assert_eq(catalog_open(op), 0);
	directory = catalog_directory(catalog_get(op), "staff");
}

/* A child does the work; it is killed once `sql` counts more than `at`.  Whenever that is, the end must be the same. */
static void
kill_in(void (*work_of_child)(char *), char *id, const struct sql *sql, int64_t at)
{
	char name[UUID_TEXT_BYTES];
	pid_t child, ended = 0;
	int status;

	snprintf(name, sizeof(name), "%s", id);
	let_go();
	child = fork();
	cr_assert_geq(child, 0);
	if (!child) {
		take_up();
		work_of_child(name);
		_exit(0);
	}
	take_up();
	while (count(sql, NULL) <= at && !ended)
		ended = waitpid(child, &status, WNOHANG);
	if (!ended) {
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
	}
	let_go();
	take_up();
}

static void
child_stages(char *id)
{
	struct reading r = reading_again(id);

	cr_assert_eq(stage_begin(op, r.run, &r.stage), 0);
	tell_many(&r);
	reading_end(&r);
}

SQL_DEFINE(test_mark, "UPDATE sync_entries SET display_name = 'not written again'");
SQL_DEFINE(test_count_marked, "SELECT COUNT(*) FROM users WHERE display_name = 'not written again'");
SQL_DEFINE(test_count_applied, "SELECT COALESCE(MAX(applied_seq), 0) FROM sync_runs");

static int
mark_body(struct op *o, void *arg)
{
	(void)arg;
	return db_exec(o, &test_mark, NO_ARGS, NULL);
}

Test(apply, killed_while_staging_goes_on_from_the_staged_rows)
{
	struct reading r = reading_begin(false);
	char id[UUID_TEXT_BYTES];
	int64_t staged;

	snprintf(id, sizeof(id), "%s", r.id);
	kill_in(child_stages, id, &test_count_entries, 500);
	staged = count(&test_count_entries, NULL);
	cr_expect_gt(staged, 500);
	if (strcmp(run_row(id)->state, "reading"))
		return;         /* the child was quicker than we could look */
	/* a mark that only rewriting would take away; ids that the second reading must not bring back */
	cr_assert_eq(db_run(op, mark_body, NULL), 0);
	r = reading_again(id);
	cr_assert_eq(stage_begin(op, r.run, &r.stage), 0);
	for (int i = 1; i <= MANY_PEOPLE; i++)
		if (i != 7)
			tell_person(r.stage, &(struct entry){ .n = i, .login = i == 9 ? "p9.new" : op_printf(op, "p%d", i) });
	tell_group(r.stage, 9000, "nurses", NAMES("p1", "p21"));
	cr_expect_str_eq(work(&r)->state, "done");
	cr_expect_eq(count(&test_count_users, NULL), MANY_PEOPLE - 1);
	cr_expect_null(look(7).user, "left between the two readings");
	cr_expect_str_eq(look(9).user->login, "p9.new");
	cr_expect_eq(count(&test_count_marked, NULL), staged - 2, "unchanged rows were kept as they were");
	cr_expect(holds(1, "nurse") && holds(21, "nurse") && !holds(41, "nurse"), "edges of the interrupted reading count for nothing");
}

static void
child_applies(char *id)
{
	(void)!sync_work(op, id);
}

Test(apply, killed_while_applying_goes_on_behind_the_last_chunk)
{
	struct reading r = reading_begin(false);
	char id[UUID_TEXT_BYTES];
	int64_t applied;

	snprintf(id, sizeof(id), "%s", r.id);
	tell_many(&r);
	reading_end(&r);
	kill_in(child_applies, id, &test_count_applied, 100);
	applied = count(&test_count_applied, NULL);
	cr_expect_gt(applied, 100);
	cr_expect_geq(count(&test_count_users, NULL), applied, "what is counted as applied is there");
	cr_assert_eq(sync_resume(op), 0, "%s", op_failure(op));
	cr_expect_str_eq(run_row(id)->state, "done");
	cr_expect_eq(count(&test_count_users, NULL), MANY_PEOPLE);
	cr_expect_eq(count(&test_count_states, NULL), MANY_PEOPLE, "nobody was made twice");
	cr_expect_eq(count(&test_count_memberships, NULL), MANY_PEOPLE);
	cr_expect_eq(count(&test_count_grants, NULL), MANY_PEOPLE / 20);
	cr_expect_eq(count(&test_count_event, "user.create"), MANY_PEOPLE);
	cr_expect_eq(count(&test_count_event, "sync.done"), 1);
	cr_expect_eq(count(&test_count_entries, NULL), 0);
}

Test(apply, killed_while_planning_plans_anew)
{
	struct reading r = reading_begin(false);
	char id[UUID_TEXT_BYTES];

	snprintf(id, sizeof(id), "%s", r.id);
	tell_many(&r);
	reading_end(&r);
	kill_in(child_applies, id, &test_count_plan, 0);
	cr_assert_eq(sync_resume(op), 0);
	cr_expect_str_eq(run_row(id)->state, "done");
	cr_expect_eq(count(&test_count_users, NULL), MANY_PEOPLE);
	cr_expect_eq(count(&test_count_plan, NULL), MANY_PEOPLE);
}
