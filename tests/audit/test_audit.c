/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The form of an audit row, its commitments, refusals that stand apart from what was refused, and the counting of floods. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../src/audit/audit_int.h"
#include "base/json.h"
#include "base/text.h"
#include "base/time.h"
#include "store/audit.h"

static struct services svc;
static struct op *op;
static char folder[] = "/tmp/keyward-audit-XXXXXX";
static const unsigned char commit_key[32] = "an invented key of commitments..";

static void
set_up(void)
{
	op = op_begin(&svc, NULL);
	op->deadline_ms += 600000;              /* one op for a whole test, however slow the machine */
	cr_assert(mkdtemp(folder));
	cr_assert_eq(db_open(op, op_printf(op, "%s/db", folder), &svc.db), 0, "%s", op_failure(op));
	cr_assert_eq(db_migrate(op, svc.db), 0, "%s", op_failure(op));
	audit_open(op, commit_key);
}

static void
tear_down(void)
{
	char command[100];

	op_end(op);
	audit_close(svc.audit);
	db_close(svc.db);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_expect_eq(system(command), 0);
}

TestSuite(audit, .init = set_up, .fini = tear_down);

/* ---- reading back ---- */

struct found {
	const char *event;
	struct audit_row *v;
	size_t n;
	struct audit_personal_row *personal;    /* of the first row */
	size_t n_personal;
};

static int
find_body(struct op *o, void *arg)
{
	struct found *found = arg;
	int rc = db_audit_search(o, &(struct audit_filter){ .event = found->event }, false, NULL, 1000, &found->v, &found->n);

	if (!rc && found->n)
		rc = db_audit_personal(o, found->v[0].id, &found->personal, &found->n_personal);
	return rc;
}

static struct found
find(const char *event)
{
	struct found found = { .event = event };

	cr_assert_eq(db_read(op, find_body, &found), 0, "%s", op_failure(op));
	return found;
}

static json_t *
parsed(const struct audit_row *row)
{
	json_t *value;

	cr_assert_eq(json_read(op, row->canonical, strlen(row->canonical), &value), 0);
	cr_assert_str_eq(json_canonical(op, value), row->canonical, "the stored text is canonical");
	return value;
}

/* ---- one row ---- */

static int
change_body(struct op *o, void *arg)
{
	int rc = audit_record(o, EV_USER_CREATE, "user-1", FACTS(PERSONAL("login", "zoë"), PERSONAL("mail", NULL), FACT("state", "active"),
	    FACT("why", NULL), FACT("run", "run-7")));

	return rc ? rc : *(int *)arg;
}

static void
set_caller(void)
{
	op->caller = (struct caller){ .kind = ACTOR_APP, .actor = "app-1", .on_behalf_of = "user-9", .session = "session-3",
		.address = "192.0.2.77" };
}

Test(audit, canonical_form)
{
	int result = 0;
	struct found found;
	json_t *row;

	set_caller();
	cr_assert_eq(db_run(op, change_body, &result), 0, "%s", op_failure(op));
	found = find(NULL);
	cr_assert_eq(found.n, 1);
	row = parsed(&found.v[0]);
	/* The whole form, letter by letter, but for ids, time and commitments. */
	cr_assert_str_eq(found.v[0].canonical, op_printf(op, "{\"actor\":{\"id\":\"app-1\",\"kind\":\"app\"},\"at\":%lld,"
	    "\"event\":\"user.create\",\"facts\":{\"run\":\"run-7\",\"state\":\"active\"},\"id\":\"%s\",\"on_behalf_of\":\"user-9\","
	    "\"personal\":{\"address\":\"%s\",\"login\":\"%s\"},\"request\":\"%s\",\"session\":\"session-3\",\"target\":\"user-1\",\"v\":1}",
	    (long long)op->now_ms, found.v[0].id, json_get_text(json_object_get(row, "personal"), "address"),
	    json_get_text(json_object_get(row, "personal"), "login"), op->request_id));
	cr_assert_str_eq(found.v[0].actor, "app-1");
	cr_assert_str_eq(found.v[0].target, "user-1");
	cr_assert_str_eq(found.v[0].request_id, op->request_id);
	cr_assert_eq(found.v[0].at_ms, op->now_ms);
	/* what commitments cannot hold by chance: they are base64url */
	cr_assert(!strstr(found.v[0].canonical, "ë") && !strstr(found.v[0].canonical, "\\u00") && !strstr(found.v[0].canonical, "192.0.2"),
	    "nothing personal in clear");
}

Test(audit, commitments)
{
	int result = 0;
	struct found found;
	json_t *personal;

	set_caller();
	cr_assert_eq(db_run(op, change_body, &result), 0);
	found = find(NULL);
	personal = json_object_get(parsed(&found.v[0]), "personal");
	cr_assert_eq(found.n_personal, 2);
	cr_assert_str_eq(found.personal[0].field, "address");
	cr_assert_str_eq(found.personal[0].value, "192.0.2.77");
	cr_assert_str_eq(found.personal[1].field, "login");
	cr_assert_str_eq(found.personal[1].value, "zoë");
	cr_assert(memcmp(found.personal[0].salt, found.personal[1].salt, AUDIT_SALT_BYTES) != 0, "a salt each");
	for (size_t i = 0; i < found.n_personal; i++) {
		const struct audit_personal_row *row = &found.personal[i];
		char *joined = op_printf(op, "%s%c%s%c%s", found.v[0].id, '\0', row->field, '\0', row->value);
		size_t n = strlen(found.v[0].id) + strlen(row->field) + strlen(row->value) + 2;
		unsigned char mac[32];

		hmac_sha256(commit_key, 32, (struct hash_part[]){ { row->salt, AUDIT_SALT_BYTES }, { joined, n } }, 2, mac);
		cr_assert_str_eq(json_get_text(personal, row->field), base64url_encode(op->mem, mac, 32));
	}
}

Test(audit, empty_members_are_absent)
{
	int result = 0;
	struct found found;

	op->caller.kind = ACTOR_SYSTEM;
	cr_assert_eq(db_run(op, change_body, &result), 0);
	found = find("user.create");
	cr_assert(strstr(found.v[0].canonical, "\"actor\":{\"kind\":\"system\"}"));
	cr_assert(!strstr(found.v[0].canonical, "session") && !strstr(found.v[0].canonical, "on_behalf_of"));
	cr_assert_null(found.v[0].actor);
	cr_assert_eq(find("user.change").n, 0);
}

Test(audit, no_change_no_event)
{
	int result = ERR_CONFLICT;

	cr_assert_eq(db_run(op, change_body, &result), ERR_CONFLICT);
	cr_assert_eq(find(NULL).n, 0);
}

static int
misspelt_body(struct op *o, void *arg)
{
	(void)arg;
	return audit_record(o, EV_USER_CREATE, "user-1", FACTS(FACT("stat", "active")));
}

/* The end that is wanted comes before tear_down. */
static void
remove_folder(int signal)
{
	char command[100];

	(void)signal;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	if (system(command))
		_exit(1);
}

Test(audit, undeclared_facts_are_a_bug, .signal = SIGABRT)
{
	cr_assert(freopen("/dev/null", "w", stderr));
	signal(SIGABRT, remove_folder);
	cr_assert_eq(db_run(op, misspelt_body, NULL), 0);
}

/* ---- refusals ---- */

Test(audit, refusal_stands_apart)
{
	struct found found;

	op->caller.address = "2001:db8::1";
	cr_assert_eq(op_fail(op, ERR_CREDENTIAL, "wrong password"), ERR_CREDENTIAL);
	op->deadline_ms = 0;
	audit_refusal(op, EV_LOGIN_FAIL, "user-1", FACTS(FACT("method", "ldap"), PERSONAL("login", "\xff\x00"), FACT("reason", "password")));
	cr_assert_eq(op->failure.code, ERR_CREDENTIAL, "the failure of the op stays");
	cr_assert_eq(op->deadline_ms, 0);
	op->deadline_ms = time_monotonic_ms() + 60000;
	found = find("login.fail");
	cr_assert_eq(found.n, 1);
	cr_assert_str_eq(found.personal[1].value, "hex:ff");
	parsed(&found.v[0]);
	cr_assert(audit_is_ready(svc.audit));
}

/* The database goes away, and comes back. */
Test(audit, readiness)
{
	op->now_ms = time_now_ms();
	atomic_store(&svc.audit->is_failing, true);
	cr_assert(!audit_is_ready(svc.audit));
	cr_assert_eq(audit_flush(op), 0);
	cr_assert(audit_is_ready(svc.audit), "the job finds out that rows can be written again");
	cr_assert_eq(find(NULL).n, 0);
}

Test(audit, long_values_of_strangers_are_cut)
{
	char *login = op_alloc(op, 100001);

	memset(login, 'x', 1023);
	for (size_t i = 1023; i + 1 < 100000; i += 2)
		memcpy(login + i, "é", 2);
	audit_refusal(op, EV_LOGIN_FAIL, NULL, FACTS(PERSONAL("login", login)));
	cr_assert_eq(strlen(find("login.fail").personal[0].value), 1023, "cut between two characters");
}

static void
refuse(const char *target, int times)
{
	for (int i = 0; i < times; i++)
		audit_refusal(op, EV_LOGIN_FAIL, target, FACTS(FACT("reason", "password")));
}

Test(audit, floods_are_counted)
{
	struct found found;
	json_t *row;

	op->now_ms = 1800000000000 - 1800000000000 % MINUTE_MS;
	op->caller.address = "192.0.2.77";
	refuse("user-1", 57);
	op->caller.address = "192.0.2.3";
	refuse("user-1", 3);
	cr_assert_eq(find("login.fail").n, 20, "one network: counted together");
	op->caller.address = "192.0.3.3";
	refuse("user-1", 1);
	refuse("user-2", 1);
	cr_assert_eq(find("login.fail").n, 22);

	cr_assert_eq(audit_flush(op), 0);
	cr_assert_eq(find("login.fail").n, 22, "the minute is not over");
	op->now_ms += MINUTE_MS;
	cr_assert_eq(audit_flush(op), 0);
	found = find("login.fail");
	cr_assert_eq(found.n, 23);
	row = parsed(&found.v[22]);
	cr_assert_str_eq(json_get_text(json_object_get(row, "facts"), "count"), "40");
	cr_assert_str_eq(json_get_text(json_object_get(row, "facts"), "since"), "2027-01-15T08:00:00.000Z");
	cr_assert_str_eq(found.v[22].target, "user-1");
	cr_assert_eq(audit_flush_all(op), 0);
	cr_assert_eq(find("login.fail").n, 23, "a number is written once");
	op->caller.address = "192.0.2.77";
	refuse("user-1", 21);
	cr_assert_eq(find("login.fail").n, 43, "a new minute begins from the start");
	cr_assert_eq(audit_flush_all(op), 0);
	cr_assert_eq(find("login.fail").n, 44, "all numbers are written at the end");
}

Test(audit, ever_new_targets_end_in_one_number)
{
	struct flood *flood = flood_new();
	struct flood_count *counts;
	size_t n, full = 0;
	int64_t sum = 0;

	for (int i = 0; i < FLOOD_SLOTS + 500; i++)
		full += flood_admit(flood, EV_LOGIN_FAIL, op_printf(op, "t%d", i), "192.0.2.1", 60000);
	cr_assert_eq(full, FLOOD_SLOTS);
	cr_assert(!flood_admit(flood, EV_API_REFUSED, "x", NULL, 60000));
	counts = flood_take(op, flood, 119999, &n);
	cr_assert_eq(n, 0);
	counts = flood_take(op, flood, 120000, &n);
	cr_assert_eq(n, 2);
	for (size_t i = 0; i < n; i++)
		sum += counts[i].count;
	cr_assert_eq(sum, 501);
	cr_assert_str_eq(counts[0].network, "");
	cr_assert(flood_admit(flood, EV_API_REFUSED, "x", NULL, 120000), "there is room again");
	flood_free(flood);
}

Test(audit, numbers_come_back_when_they_cannot_be_written)
{
	struct flood *flood = flood_new();
	struct flood_count *counts;
	size_t n;

	for (int i = 0; i < 50; i++)
		flood_admit(flood, EV_LOGIN_FAIL, "u", "192.0.2.1", 60000);
	counts = flood_take(op, flood, TIME_NEVER_MS, &n);
	cr_assert_eq(n, 1);
	cr_assert_eq(counts[0].count, 30);
	flood_return(flood, &counts[0]);
	cr_assert(!flood_admit(flood, EV_LOGIN_FAIL, "u", "192.0.2.1", 60000), "the first ones stood in full already");
	counts = flood_take(op, flood, TIME_NEVER_MS, &n);
	cr_assert_eq(n, 1);
	cr_assert_eq(counts[0].count, 31);
	flood_free(flood);
}

Test(audit, networks)
{
	static const char *const pairs[][2] = {
		{ "192.0.2.77", "192.0.2.0/24" }, { "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64" }, { "2001:db8::1", "2001:db8:0:0::/64" },
		{ "::1", "0:0:0:0::/64" }, { "2001:db8::2:3:4:5:6", "2001:db8:0:2::/64" }, { "fe80::1%eth0", "fe80:0:0:0::/64" },
		{ "1::", "1:0:0:0::/64" }, { "unix", "unix" }, { "", "" },
	};
	char network[FLOOD_NETWORK_BYTES];

	for (size_t i = 0; i < countof(pairs); i++) {
		flood_network(pairs[i][0], network);
		cr_expect_str_eq(network, pairs[i][1], "%s gave %s", pairs[i][0], network);
	}
}
