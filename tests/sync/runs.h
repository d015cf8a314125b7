/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A throw-away clinic for tests of synchronisation: a database, two roles, two locations, rules over groups, and a directory that is
 * never asked: tests hand to the stage what a reader would.
 */
#ifndef TESTS_SYNC_RUNS_H
#define TESTS_SYNC_RUNS_H

#include <criterion/criterion.h>
#include <time.h>

#include "../people/objects.h"
#include "../../src/sync/sync_int.h"
#include "base/config.h"
#include "base/text.h"
#include "base/time.h"
#include "base/uuid.h"

#include "store/group.h"

static const char clinic[] =
    "roles:\n  - name: nurse\n  - name: doctor\n  - name: porter\n"
    "locations:\n  - name: north\n  - name: harbour\n    parent: north\n"
    "directories:\n"
    "  - name: staff\n    url: ldaps://ldap.clinic.test\n    base: dc=clinic,dc=test\n    bind_dn: cn=keyward,dc=clinic,dc=test\n"
    "  - name: other\n    url: ldaps://other.clinic.test\n    base: dc=other,dc=test\n    bind_dn: cn=keyward,dc=other,dc=test\n"
    "rules:\n"
    "  - name: nurses\n    directory: staff\n    group: cn=nurses,dc=clinic,dc=test\n    role: nurse\n    location: harbour\n"
    "  - name: doctors\n    directory: staff\n    group: cn=doctors,dc=clinic,dc=test\n    role: doctor\n"
    "  - name: porters\n    directory: staff\n    attribute: title\n    equals: Porter\n    role: porter\n"
    "apps:\n  - name: records\n    redirect_uris: [ 'https://records.test/cb' ]\n";

static const struct catalog_directory *directory;

static inline void
clinic_open(void)
{
	house_open();
	cr_assert_eq(apply(clinic), 0, "%s", op_failure(op));
	directory = catalog_directory(catalog_get(op), "staff");
}

static inline const char *
role_id(const char *name)
{
	return catalog_role(catalog_get(op), name)->id;
}

/* Times of rows differ by a millisecond at least, so that order is order. */
static inline void
tick(void)
{
	struct timespec pause = { 0, 2000000 };

	nanosleep(&pause, NULL);
	op_touch(op);
}

/* n as an external id: 00000000-0000-4000-8000-0000000000nn */
static inline const char *
uuid_of(int n)
{
	return op_printf(op, "00000000-0000-4000-8000-%012d", n);
}

/* ---- numbers out of the database ---- */

SQL_DEFINE(test_count_users, "SELECT COUNT(*) FROM users");
SQL_DEFINE(test_count_states, "SELECT COUNT(*) FROM user_states");
SQL_DEFINE(test_count_grants, "SELECT COUNT(*) FROM grants");
SQL_DEFINE(test_count_groups, "SELECT COUNT(*) FROM groups");
SQL_DEFINE(test_count_memberships, "SELECT COUNT(*) FROM memberships");
SQL_DEFINE(test_count_audit, "SELECT COUNT(*) FROM audit");
SQL_DEFINE(test_count_entries, "SELECT COUNT(*) FROM sync_entries");
SQL_DEFINE(test_count_staged_groups, "SELECT COUNT(*) FROM sync_groups");
SQL_DEFINE(test_count_plan, "SELECT COUNT(*) FROM sync_plan");
SQL_DEFINE(test_count_event, "SELECT COUNT(*) FROM audit WHERE event = $1");
SQL_DEFINE(test_count_joined, "SELECT COUNT(*) FROM memberships WHERE recorded_until IS NULL AND valid_until IS NULL");

struct counting {
	const struct sql *sql;
	const char *text;
	int64_t n;
};

static inline int
counting_body(struct op *o, void *arg)
{
	struct counting *c = arg;
	struct db_rows *rows = NULL;
	int rc = c->text ? db_query(o, c->sql, ARGS(TEXT_(c->text)), &rows) : db_query(o, c->sql, NO_ARGS, &rows);

	if (!rc && (rc = db_next(rows)) > 0)
		c->n = db_int(rows, 0);
	return db_end(rows, rc);
}

static inline int64_t
count(const struct sql *sql, const char *text)
{
	struct counting c = { sql, text, -1 };

	cr_assert_eq(db_read(op, counting_body, &c), 0);
	return c.n;
}

/* Everything but staging, runs and plans; audit apart. */
static inline int64_t
count_facts(void)
{
	return count(&test_count_users, NULL) + count(&test_count_states, NULL) + count(&test_count_grants, NULL) +
	    count(&test_count_groups, NULL) + count(&test_count_memberships, NULL);
}

/* ---- people of the directory ---- */

struct entry {
	int n;
	const char *login;
	bool is_inactive;
	const char *reason;
	int64_t until;
	const char *title, *mail;
	const char *primary_group;      /* SID */
};

/* cn=LOGIN,dc=clinic,dc=test: the normalised DN of a person */
static inline const char *
dn_of(const char *login)
{
	return op_printf(op, "cn=%s,dc=clinic,dc=test", login);
}

static inline void
person_of(const struct entry *entry, struct person *ret)
{
	const char *digest;

	*ret = (struct person){
		.directory_id = directory->id, .external_id = uuid_of(entry->n), .login = entry->login,
		.display_name = op_printf(op, "Person %s", entry->login), .mail = entry->mail, .attributes = "{}",
		.is_active = !entry->is_inactive, .reason = entry->reason ? entry->reason : entry->is_inactive ? "disabled" : "",
		.until = entry->until,
	};
	digest = op_printf(op, "%s %d %s %lld %s", entry->login, entry->is_inactive, ret->reason, (long long)entry->until,
	    entry->mail ? entry->mail : "");
	sha256(digest, strlen(digest), ret->digest);
}

static inline void
tell_person(struct stage *stage, const struct entry *entry)
{
	struct map_value title = { "title", entry->title ? text_fold(op->mem, entry->title) : NULL };
	struct source_person source = { .dn = dn_of(entry->login), .dn_key = dn_of(entry->login), .values = &title,
		.n_values = entry->title ? 1 : 0, .primary_group = entry->primary_group };

	person_of(entry, &source.person);
	cr_assert_eq(stage_reader.person(op, &source, stage), 0, "%s", op_failure(op));
}

/* members: names of people (cn=NAME), ended by NULL; groups are called the same way. */
static inline void
tell_group(struct stage *stage, int n, const char *name, const char *const *members)
{
	struct source_group source = { .external_id = uuid_of(n), .dn = dn_of(name), .dn_key = dn_of(name), .name = name };

	cr_assert_eq(stage_reader.group(op, &source, stage), 0, "%s", op_failure(op));
	for (; *members; members++)
		cr_assert_eq(stage_reader.member(op, dn_of(*members), stage), 0);
}

/* A group that only somebody's primaryGroupID leads to. */
static inline void
tell_primary_group(struct stage *stage, int n, const char *name, const char *sid, bool is_outside)
{
	struct source_group source = { .external_id = uuid_of(n), .dn = dn_of(name), .dn_key = dn_of(name), .name = name, .sid = sid,
		.is_outside = is_outside };

	cr_assert_eq(stage_reader.group(op, &source, stage), 0, "%s", op_failure(op));
}

#define NAMES(...) (const char *const[]){ __VA_ARGS__, NULL }
#define NOBODY (const char *const[]){ NULL }

/* ---- runs ---- */

static inline int
read_run_body(struct op *o, void *arg)
{
	struct sync_run_row **row = arg;

	return db_sync_run_read(o, (*row)->id, row);
}

static inline struct sync_run_row *
run_row(const char *id)
{
	struct sync_run_row name = { .id = id }, *row = &name;

	cr_assert_eq(db_read(op, read_run_body, &row), 0, "%s", op_failure(op));
	return row;
}

struct reading {
	char *id;
	struct run *run;
	struct stage *stage;
};

static inline struct reading
reading_again(char *id)
{
	struct reading r = { .id = id, .run = op_alloc(op, sizeof(*r.run)) };
	struct source_rules *rules;

	*r.run = (struct run){ .row = run_row(id), .directory = directory, .directory_id = directory->id };
	cr_assert_eq(source_rules_make(op, directory, &rules), 0, "%s", op_failure(op));
	r.run->rules = rules;
	return r;
}

static inline struct reading
reading_begin(bool is_preview)
{
	struct reading r;
	char *id;

	op_forgive(op);
	tick();
	cr_assert_eq(sync_start(op, directory, is_preview, "hand", &id), 0, "%s", op_failure(op));
	r = reading_again(id);
	cr_assert_eq(stage_begin(op, r.run, &r.stage), 0, "%s", op_failure(op));
	return r;
}

static inline int
staged_body(struct op *o, void *arg)
{
	struct run *run = arg;

	run->row->state = "staged";
	run->row->counts = counts_write(o, &run->counts);
	return db_sync_run_write(o, run->row, "reading");
}

/* The reading was complete. */
static inline void
reading_end(struct reading *r)
{
	cr_assert_eq(stage_end(op, r->stage), 0, "%s", op_failure(op));
	cr_assert_eq(db_run(op, staged_body, r->run), 0, "%s", op_failure(op));
}

/* And everything after it; the row as it is then. */
static inline struct sync_run_row *
work(struct reading *r)
{
	reading_end(r);
	tick();
	(void)!sync_work(op, r->id);
	return run_row(r->id);
}

static inline struct sync_counts
counts_of(const char *id)
{
	struct sync_counts counts;

	cr_assert_eq(counts_read(op, run_row(id)->counts, &counts), 0);
	return counts;
}

/* ---- looking ---- */

struct lookup {
	int n;
	struct user *user;
	struct grant *grants;
	size_t n_grants;
};

static inline int
lookup_body(struct op *o, void *arg)
{
	struct lookup *l = arg;
	int rc = db_user_find_external(o, directory->id, uuid_of(l->n), &l->user);

	if (rc == ERR_NOT_FOUND) {
		op_forgive(o);
		l->user = NULL;
		return 0;
	}
	return rc ? rc : db_grant_list(o, l->user->id, o->now_ms, &l->grants, &l->n_grants);
}

/* The account of directory entry n; user NULL when there is none. */
static inline struct lookup
look(int n)
{
	struct lookup l = { .n = n };

	cr_assert_eq(db_read(op, lookup_body, &l), 0, "%s", op_failure(op));
	return l;
}

static inline bool
holds(int n, const char *role)
{
	struct lookup l = look(n);

	for (size_t i = 0; i < l.n_grants; i++)
		if (!strcmp(l.grants[i].role_id, role_id(role)))
			return true;
	return false;
}

static inline bool
is_active(int n)
{
	struct lookup l = look(n);

	return l.user && l.user->is_active;
}

#endif
