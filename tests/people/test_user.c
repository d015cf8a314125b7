/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What may happen to people: two sides of a state, roles by rules and by hand, and the end of what they had open. */
#include "../sync/runs.h"

TestSuite(user, .init = clinic_open, .fini = house_close, .timeout = 60);

static const struct change_source by_sync = { .kind = "sync", .id = "run" };

struct act {
	struct user_change *v;
	size_t n;
	int (*body)(struct op *o, struct act *act);
	const char *user_id, *role_id, *location_id, *reason;
	bool is_active;
	int64_t until, count;
};

static int
act_body(struct op *o, void *arg)
{
	struct act *act = arg;

	return act->body(o, act);
}

static int
do_change(struct op *o, struct act *act)
{
	return users_change(o, act->v, act->n, &by_sync);
}

/* One person becomes what the directory tells, with these roles of rule "nurses". */
static struct user_change
change(const struct entry *entry, const char *role)
{
	struct wanted_grant *wanted = op_alloc(op, sizeof(*wanted));
	struct user_change *v = op_alloc(op, sizeof(*v));
	struct act act = { .v = v, .n = 1, .body = do_change };

	tick();
	person_of(entry, &v->person);
	if (role) {
		*wanted = (struct wanted_grant){ .role_id = role_id(role), .rule_id = catalog_get(op)->rules[0].id, .rule_version = 1 };
		v->grants = wanted;
		v->n_grants = 1;
	}
	cr_assert_eq(db_run(op, act_body, &act), 0, "%s", op_failure(op));
	return *v;
}

static int
run_act(struct act act, int (*body)(struct op *, struct act *))
{
	int rc;

	tick();
	op_forgive(op);
	act.body = body;
	rc = db_run(op, act_body, &act);
	return rc;
}

static int
do_local(struct op *o, struct act *act)
{
	return users_set_local(o, act->user_id, act->is_active, act->reason);
}

static int
do_grant(struct op *o, struct act *act)
{
	return users_grant(o, act->user_id, act->role_id, act->location_id, act->until);
}

static int
do_revoke(struct op *o, struct act *act)
{
	return users_revoke(o, act->user_id, act->role_id, act->location_id);
}

static int
do_gone(struct op *o, struct act *act)
{
	return users_gone(o, &act->user_id, 1, "gone", &by_sync);
}

/* ---- sessions and authorizations of a person ---- */

SQL_DEFINE(test_session,
    "INSERT INTO sessions (id, secret_hash, user_id, auth_ms, amr, address, device, created_ms, seen_ms, until_ms)"
    " VALUES ($1, $2, $3, 1, 'pwd', '192.0.2.1', 'browser', 1, 1, 99)");
SQL_DEFINE(test_authorization,
    "INSERT INTO authorizations (id, session_id, user_id, app_id, scope, redirect_uri, code_hash, code_until_ms, refresh_seq,"
    " refresh_until_ms, until_ms, created_ms) VALUES ($1, $2, $3, $4, 'openid', 'https://records.test/cb', $5, 1, 1, 99, 99, 1)");
SQL_DEFINE(test_count_living,
    "SELECT (SELECT COUNT(*) FROM sessions WHERE user_id = $1 AND ended_ms IS NULL)"
    " + (SELECT COUNT(*) FROM authorizations WHERE user_id = $1 AND ended_ms IS NULL)");

static int
do_open(struct op *o, struct act *act)
{
	const char *session = uuid_of(1000 + (int)act->count);
	int rc = db_exec(o, &test_session, ARGS(TEXT_(session), BLOB_("secret", 6), TEXT_(act->user_id)), NULL);

	return rc ? rc : db_exec(o, &test_authorization,
	    ARGS(TEXT_(uuid_of(2000 + (int)act->count)), TEXT_(session), TEXT_(act->user_id), TEXT_(catalog_get(o)->apps[0].id), BLOB_("code", 4)), NULL);
}

static int n_ended_users, n_ended_sessions, n_ended_authorizations;

static void
on_end(struct op *o, const struct end_notice *notice)
{
	cr_expect(!db_is_inside(o), "told after the commit");
	if (notice->session_id)
		n_ended_sessions++;
	else if (notice->authorization_id)
		n_ended_authorizations++;
	else
		n_ended_users++;
}

Test(user, created_changed_unchanged)
{
	struct user_change v = change(&(struct entry){ .n = 1, .login = "Ada" }, "nurse");
	int64_t facts, audit;

	cr_expect(v.was_created && v.has_changed && v.user_id);
	cr_expect_str_eq(look(1).user->login_key, "ada");
	cr_expect_str_eq(look(1).user->name_key, "person ada");
	cr_expect(look(1).user->was_active);
	facts = count_facts();
	audit = count(&test_count_audit, NULL);
	v = change(&(struct entry){ .n = 1, .login = "Ada" }, "nurse");
	cr_expect(!v.was_created && !v.has_changed);
	cr_expect_eq(count_facts(), facts);
	cr_expect_eq(count(&test_count_audit, NULL), audit);
	v = change(&(struct entry){ .n = 1, .login = "Ada", .mail = "Ada@Clinic.test" }, "nurse");
	cr_expect(!v.was_created && v.has_changed);
	cr_expect_str_eq(look(1).user->mail_key, "ada@clinic.test");
	cr_expect_eq(count(&test_count_event, "user.change"), 1);
	change(&(struct entry){ .n = 1, .login = "Ada" }, "nurse");
	cr_expect_null(look(1).user->mail, "a cleared attribute is cleared");
	cr_expect_null(look(1).user->mail_key);
}

Test(user, who_may_not_sign_in_is_not_created)
{
	struct user_change v = change(&(struct entry){ .n = 1, .login = "ada", .is_inactive = true }, "nurse");

	cr_expect(!v.was_created && !v.user_id);
	cr_expect_eq(count_facts(), 0);
}

Test(user, disabling_ends_what_is_open)
{
	struct user_change v = change(&(struct entry){ .n = 1, .login = "ada" }, NULL);

	svc.on_end = on_end;
	cr_assert_eq(run_act((struct act){ .user_id = v.user_id, .count = 1 }, do_open), 0, "%s", op_failure(op));
	cr_assert_eq(run_act((struct act){ .user_id = v.user_id, .count = 2 }, do_open), 0);
	cr_expect_eq(count(&test_count_living, v.user_id), 4);
	change(&(struct entry){ .n = 1, .login = "ada", .is_inactive = true }, NULL);
	cr_expect(!is_active(1));
	cr_expect_eq(count(&test_count_living, v.user_id), 0);
	cr_expect_eq(n_ended_users, 1);
	cr_expect_eq(n_ended_sessions, 2);
	cr_expect_eq(n_ended_authorizations, 2);
	cr_expect_eq(count(&test_count_event, "user.disable"), 1);
	svc.on_end = NULL;
}

static int
do_disable_and_fail(struct op *o, struct act *act)
{
	int rc = users_change(o, act->v, act->n, &by_sync);

	return rc ? rc : op_fail(o, ERR_INTERNAL, "after all");
}

/* A transaction that fails ends nothing and tells nobody. */
Test(user, a_failed_disabling_tells_nobody)
{
	struct user_change v = change(&(struct entry){ .n = 1, .login = "ada" }, NULL);

	cr_assert_eq(run_act((struct act){ .user_id = v.user_id, .count = 1 }, do_open), 0);
	svc.on_end = on_end;
	person_of(&(struct entry){ .n = 1, .login = "ada", .is_inactive = true }, &v.person);
	cr_expect_eq(run_act((struct act){ .v = &v, .n = 1 }, do_disable_and_fail), ERR_INTERNAL);
	svc.on_end = NULL;
	cr_expect_eq(n_ended_users, 0);
	cr_expect(is_active(1));
	cr_expect_eq(count(&test_count_living, v.user_id), 2);
}

Test(user, two_sides)
{
	struct user_change v = change(&(struct entry){ .n = 1, .login = "ada" }, NULL);
	struct act off = { .user_id = v.user_id, .is_active = false, .reason = "badge lost" }, on = { .user_id = v.user_id, .is_active = true };

	cr_assert_eq(run_act((struct act){ .user_id = v.user_id, .count = 1 }, do_open), 0);
	cr_assert_eq(run_act(off, do_local), 0, "%s", op_failure(op));
	cr_expect(!is_active(1));
	cr_expect_eq(count(&test_count_living, v.user_id), 0);
	/* whatever the directory says, the local disabling stands */
	change(&(struct entry){ .n = 1, .login = "ada", .mail = "ada@clinic.test" }, NULL);
	cr_expect(!is_active(1));
	change(&(struct entry){ .n = 1, .login = "ada", .is_inactive = true }, NULL);
	change(&(struct entry){ .n = 1, .login = "ada" }, NULL);
	cr_expect(!is_active(1), "the directory cannot take it back");
	change(&(struct entry){ .n = 1, .login = "ada", .is_inactive = true }, NULL);
	cr_assert_eq(run_act(on, do_local), 0);
	cr_expect(!is_active(1), "and the local side cannot take the directory's back");
	change(&(struct entry){ .n = 1, .login = "ada" }, NULL);
	cr_expect(is_active(1));
}

Test(user, expiry_by_the_clock)
{
	int64_t until = op->now_ms + 60000, saved = op->now_ms;
	struct user_change v = change(&(struct entry){ .n = 1, .login = "ada", .until = until }, NULL);

	change(&(struct entry){ .n = 2, .login = "ben", .until = until + 3600000 }, NULL);
	cr_assert_eq(user_expire_job(op), 0);
	cr_expect(is_active(1), "its end lies ahead");
	op->now_ms = until + 1;
	cr_assert_eq(run_act((struct act){ .user_id = v.user_id, .count = 1 }, do_open), 0);
	op->now_ms = until + 1;
	cr_assert_eq(user_expire_job(op), 0, "%s", op_failure(op));
	op->now_ms = saved;
	cr_expect(!is_active(1) && is_active(2));
	cr_expect_str_eq(look(1).user->directory_reason, "expired");
	cr_expect_eq(count(&test_count_living, v.user_id), 0);
	/* the directory still says the same of him: nothing changes */
	cr_expect(!change(&(struct entry){ .n = 1, .login = "ada", .is_inactive = true, .reason = "expired", .until = until }, NULL).has_changed);
	/* a longer contract */
	change(&(struct entry){ .n = 1, .login = "ada", .until = until + 7200000 }, NULL);
	cr_expect(is_active(1));
}

Test(user, gone)
{
	struct user_change v = change(&(struct entry){ .n = 1, .login = "ada" }, "nurse");

	cr_assert_eq(run_act((struct act){ .user_id = v.user_id, .role_id = role_id("doctor") }, do_grant), 0);
	cr_assert_eq(run_act((struct act){ .user_id = v.user_id }, do_gone), 0, "%s", op_failure(op));
	cr_expect(!is_active(1) && !holds(1, "nurse"));
	cr_expect(holds(1, "doctor"), "what was given by hand stays");
	cr_expect_str_eq(look(1).user->directory_reason, "gone");
	change(&(struct entry){ .n = 1, .login = "ada" }, "nurse");
	cr_expect(is_active(1) && holds(1, "nurse"), "an entry that comes back as it was");
}

Test(user, rules_and_hands)
{
	struct user_change v = change(&(struct entry){ .n = 1, .login = "ada" }, "nurse");
	const char *harbour = catalog_location(catalog_get(op), "harbour")->id;
	struct act doctor = { .user_id = v.user_id, .role_id = role_id("doctor"), .location_id = harbour };
	struct act nurse = { .user_id = v.user_id, .role_id = role_id("nurse") };

	cr_assert_eq(run_act(doctor, do_grant), 0);
	cr_expect_eq(run_act(doctor, do_grant), ERR_CONFLICT);
	cr_expect_eq(run_act((struct act){ .user_id = v.user_id, .role_id = role_id("doctor") }, do_revoke), ERR_NOT_FOUND, "not at that place");
	cr_expect_eq(run_act(nurse, do_revoke), ERR_NOT_FOUND, "a rule gave it");
	cr_expect(holds(1, "nurse"));
	/* the rule's role goes, the hand's stays; and the other way round */
	cr_assert_eq(run_act(nurse, do_grant), 0, "held by a rule, given by hand as well");
	change(&(struct entry){ .n = 1, .login = "ada" }, "porter");
	cr_expect(holds(1, "nurse") && holds(1, "porter") && holds(1, "doctor"));
	cr_assert_eq(run_act(nurse, do_revoke), 0);
	cr_expect(!holds(1, "nurse"));
	cr_expect_eq(run_act(nurse, do_revoke), ERR_NOT_FOUND);
	cr_assert_eq(run_act(doctor, do_revoke), 0);
	cr_expect_eq(look(1).n_grants, 1);
	cr_expect_eq(run_act((struct act){ .user_id = uuid_of(404), .role_id = role_id("nurse") }, do_grant), ERR_NOT_FOUND);
}

Test(user, a_grant_that_ends_by_itself)
{
	struct user_change v = change(&(struct entry){ .n = 1, .login = "ada" }, NULL);
	int64_t until;

	op_touch(op);
	until = op->now_ms + 50;
	cr_expect_eq(run_act((struct act){ .user_id = v.user_id, .role_id = role_id("nurse"), .until = op->now_ms - 5 }, do_grant), ERR_INVALID);
	cr_assert_eq(run_act((struct act){ .user_id = v.user_id, .role_id = role_id("nurse"), .until = until + 60000 }, do_grant), 0);
	cr_expect(holds(1, "nurse"));
	op->now_ms = until + 60001;
	cr_expect(!holds(1, "nurse"));
}

/* ---- history ---- */

SQL_DEFINE(test_then,
    "SELECT COUNT(*) FROM grants WHERE user_id = $1 AND recorded_from <= $2 AND (recorded_until IS NULL OR recorded_until > $2)"
    " AND valid_from <= $2 AND (valid_until IS NULL OR valid_until > $2)");
SQL_DEFINE(test_now_known,
    "SELECT COUNT(*) FROM grants WHERE user_id = $1 AND recorded_until IS NULL AND valid_from <= $2"
    " AND (valid_until IS NULL OR valid_until > $2)");
SQL_DEFINE(test_state_now_known,
    "SELECT COUNT(*) FROM user_states WHERE user_id = $1 AND side = 'directory' AND state = 'active' AND recorded_until IS NULL"
    " AND valid_from <= $2 AND (valid_until IS NULL OR valid_until > $2)");

struct at {
	const struct sql *sql;
	const char *user_id;
	int64_t at_ms, n;
};

static int
at_body(struct op *o, void *arg)
{
	struct at *at = arg;
	struct db_rows *rows = NULL;
	int rc = db_query(o, at->sql, ARGS(TEXT_(at->user_id), INT_(at->at_ms)), &rows);

	if (!rc && (rc = db_next(rows)) > 0)
		at->n = db_int(rows, 0);
	return db_end(rows, rc);
}

static int64_t
count_at(const struct sql *sql, const char *user_id, int64_t at_ms)
{
	struct at at = { sql, user_id, at_ms, -1 };

	cr_assert_eq(db_read(op, at_body, &at), 0);
	return at.n;
}

Test(user, history_answers_as_it_was_and_as_it_is_known)
{
	struct user_change v = change(&(struct entry){ .n = 1, .login = "ada" }, "nurse");
	int64_t held, ended;

	tick();
	held = op->now_ms;
	change(&(struct entry){ .n = 1, .login = "ada", .is_inactive = true }, NULL);
	tick();
	ended = op->now_ms;
	cr_expect_eq(count_at(&test_then, v.user_id, held), 1, "as it was known then");
	cr_expect_eq(count_at(&test_now_known, v.user_id, held), 1, "as it is known now");
	cr_expect_eq(count_at(&test_then, v.user_id, ended), 0);
	cr_expect_eq(count_at(&test_now_known, v.user_id, ended), 0);
	cr_expect_eq(count_at(&test_state_now_known, v.user_id, held), 1);
	cr_expect_eq(count_at(&test_state_now_known, v.user_id, ended), 0);
	cr_expect_eq(count(&test_count_grants, NULL), 2, "the row as it was, and the row that says until when");
}
