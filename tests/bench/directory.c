/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The parts of a synchronisation, each alone, in CPU milliseconds.
 *
 *     directory bare KIND URL CA BIND_DN PASSWORD BASE GROUP_BASE libldap alone: the same entries and values, page by page; KIND: openldap, ad
 *     directory read CONFIG NAME                                  our reader of that directory, told to nobody
 *     directory insert STAGED DONE TO                             the rows of a run (staging of database STAGED, people of DONE) into TO,
 *                                                                 which has the same tables, empty
 */
#include <ldap.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/config.h"
#include "net/dial.h"
#include "net/ldap_pool.h"
#include "people/keyring.h"
#include "store/driver.h"
#include "sync/source.h"

#define CHUNK 20000             /* rows of a transaction: with fewer the engine alone is slower, with more no quicker */

static double
cpu_ms(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e3 + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e3;
}

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "directory: %s: %s\n", what, why);
	exit(1);
}

/* ---- libldap alone ---- */

static size_t taken, entries;

/* Every value is copied once: that is the least that "extracting" can mean. */
static void
take_entry(LDAP *ldap, LDAPMessage *message)
{
	static char buffer[1 << 16];
	BerElement *ber = NULL;
	char *dn = ldap_get_dn(ldap, message);

	entries++;
	taken += strlen(dn);
	for (char *name = ldap_first_attribute(ldap, message, &ber); name; name = ldap_next_attribute(ldap, message, ber)) {
		struct berval **values = ldap_get_values_len(ldap, message, name);

		for (int i = 0; values && values[i]; i++) {
			memcpy(buffer, values[i]->bv_val, values[i]->bv_len < sizeof(buffer) ? values[i]->bv_len : sizeof(buffer));
			taken += values[i]->bv_len;
		}
		ldap_value_free_len(values);
		ldap_memfree(name);
	}
	ber_free(ber, 0);
	ldap_memfree(dn);
}

/* One page; false at the end. */
static bool
take_page(LDAP *ldap, const char *base, const char *filter, const char *const *attributes, ber_int_t size, struct berval *cookie)
{
	LDAPControl *page, *controls[2] = { NULL, NULL }, **answers = NULL;
	int id, code = 0;
	LDAPMessage *message;

	ldap_create_page_control(ldap, size, cookie, 1, &page);
	controls[0] = page;
	if (ldap_search_ext(ldap, base, LDAP_SCOPE_SUBTREE, filter, (char **)(uintptr_t)attributes, 0, controls, NULL, NULL, 0, &id) != LDAP_SUCCESS)
		die("search", "failed");
	ldap_control_free(page);
	for (;;) {
		int type = ldap_result(ldap, id, LDAP_MSG_ONE, NULL, &message);

		if (type == LDAP_RES_SEARCH_ENTRY)
			take_entry(ldap, message);
		if (type == LDAP_RES_SEARCH_RESULT)
			ldap_parse_result(ldap, message, &code, NULL, NULL, NULL, &answers, 0);
		ldap_msgfree(message);
		if (type == LDAP_RES_SEARCH_RESULT)
			break;
		if (type <= 0)
			die("search", "broken off");
	}
	if (code != LDAP_SUCCESS)
		die("search", ldap_err2string(code));
	ber_memfree(cookie->bv_val);
	*cookie = (struct berval){ 0, NULL };
	page = ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, answers, NULL);
	if (page)
		ldap_parse_pageresponse_control(ldap, page, NULL, cookie);
	ldap_controls_free(answers);
	return cookie->bv_len > 0;
}

static const struct question {
	const char *kind, *people, *groups;
	const char *person[24], *group[6];
} questions[] = {
	{ "openldap", "(objectClass=inetOrgPerson)", "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames))",
	    { "entryUUID", "displayName", "cn", "mail", "c", "departmentNumber", "employeeNumber", "sn", "givenName", "l", "mobile",
		"telephoneNumber", "postalCode", "st", "street", "title", "pwdAccountLockedTime", "pwdEndTime", "uid", NULL },
	    { "entryUUID", "cn", "member", "uniqueMember", NULL } },
	{ "ad", "(&(objectCategory=person)(sAMAccountType=805306368))", "(objectCategory=group)",
	    { "objectGUID", "displayName", "cn", "mail", "c", "department", "employeeID", "sn", "givenName", "l", "mobile", "telephoneNumber",
		"postalCode", "st", "streetAddress", "title", "userAccountControl", "msDS-User-Account-Control-Computed", "pwdLastSet",
		"primaryGroupID", "objectSid", "accountExpires", "sAMAccountName", NULL },
	    { "objectGUID", "cn", "objectSid", "member", NULL } },
};

static void
bare(const char *kind, char **argv)
{
	const struct question *q = &questions[strcmp(kind, "ad") == 0];
	struct berval password = { strlen(argv[3]), argv[3] }, cookie = { 0, NULL };
	int version = 3;
	LDAP *ldap;
	double start = cpu_ms();

	ldap_set_option(NULL, LDAP_OPT_X_TLS_CACERTFILE, argv[1]);
	ldap_initialize(&ldap, argv[0]);
	ldap_set_option(ldap, LDAP_OPT_PROTOCOL_VERSION, &version);
	if (ldap_sasl_bind_s(ldap, argv[2], LDAP_SASL_SIMPLE, &password, NULL, NULL, NULL) != LDAP_SUCCESS)
		die("bind", argv[2]);
	ldap_set_option(ldap, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
	while (take_page(ldap, argv[4], q->people, q->person, 500, &cookie))
		;
	while (take_page(ldap, argv[5], q->groups, q->group, 100, &cookie))
		;
	ldap_unbind_ext_s(ldap, NULL, NULL);
	printf("%.0f %zu\n", cpu_ms() - start, entries);
}

/* ---- our reader ---- */

static void
read_all(const char *file, const char *name)
{
	static struct services svc;
	const struct config *config;
	struct op *op = op_begin(&svc, NULL);
	struct problems problems = problems_in(op, file);
	const struct catalog_directory *directory;
	struct source_rules *rules;
	struct source_summary summary = { 0 };
	int rc = config_load(op, file, &problems, &config);
	double start;

	svc.dialer = dialer_new();
	svc.ldap_pool = ldap_pool_new();
	if (!rc)
		op = op_begin(&svc, config);
	if (rc || db_open(op, config->database, &svc.db) || keyring_open(op, config->master_key) || catalog_open(op))
		die("open", op_failure(op));
	op->deadline_ms += 600000;
	directory = catalog_directory(catalog_get(op), name);
	start = cpu_ms();
	rc = source_rules_make(op, directory, &rules);
	if (!rc)
		rc = source_read(op, directory, rules, &(struct source_reader){ 0 }, &summary);
	if (rc)
		die("read", op_failure(op));
	printf("%.0f %lld\n", cpu_ms() - start, (long long)(summary.people + summary.groups));
}

/* ---- the engine alone ---- */

static int
copy_table(sqlite3 *from, sqlite3 *to, const char *table)
{
	char *text = sqlite3_mprintf("SELECT * FROM %s", table), *into = sqlite3_mprintf("INSERT INTO %s VALUES (?", table);
	sqlite3_stmt *read = NULL, *write = NULL;
	int rows = 0, columns;

	if (sqlite3_prepare_v2(from, text, -1, &read, NULL) != SQLITE_OK)
		die(table, sqlite3_errmsg(from));
	columns = sqlite3_column_count(read);
	for (int i = 1; i < columns; i++)
		into = sqlite3_mprintf("%z, ?", into);
	into = sqlite3_mprintf("%z)", into);
	if (sqlite3_prepare_v2(to, into, -1, &write, NULL) != SQLITE_OK)
		die(table, sqlite3_errmsg(to));
	sqlite3_exec(to, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	while (sqlite3_step(read) == SQLITE_ROW) {
		for (int i = 0; i < columns; i++)
			sqlite3_bind_value(write, i + 1, sqlite3_column_value(read, i));
		if (sqlite3_step(write) != SQLITE_DONE)
			die(table, sqlite3_errmsg(to));
		sqlite3_reset(write);
		if (++rows % CHUNK == 0)
			sqlite3_exec(to, "COMMIT; BEGIN IMMEDIATE", NULL, NULL, NULL);
	}
	sqlite3_exec(to, "COMMIT", NULL, NULL, NULL);
	sqlite3_finalize(read);
	sqlite3_finalize(write);
	sqlite3_free(text);
	sqlite3_free(into);
	return rows;
}

static void
insert_all(const char *staged_file, const char *done_file, const char *to_file)
{
	static const char *const staged_tables[] = { "sync_entries", "sync_groups", "sync_plan" };
	/* in the order of their references */
	static const char *const done_tables[] = { "users", "user_states", "groups", "memberships", "grants", "audit", "audit_personal" };
	sqlite3 *staged, *done, *to;
	long rows = 0;
	double start;

	sqlite3_open_v2(staged_file, &staged, SQLITE_OPEN_READONLY, NULL);
	sqlite3_open_v2(done_file, &done, SQLITE_OPEN_READONLY, NULL);
	sqlite3_open(to_file, &to);
	/* as src/store/driver_sqlite_open.c opens the writer */
	sqlite3_exec(to, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-8000", NULL, NULL, NULL);
	start = cpu_ms();
	for (size_t i = 0; i < countof(staged_tables); i++)
		rows += copy_table(staged, to, staged_tables[i]);
	for (size_t i = 0; i < countof(done_tables); i++)
		rows += copy_table(done, to, done_tables[i]);
	printf("%.0f %ld\n", cpu_ms() - start, rows);
	sqlite3_close(staged);
	sqlite3_close(done);
	sqlite3_close(to);
}

int
main(int argc, char **argv)
{
	if (argc == 9 && !strcmp(argv[1], "bare"))
		bare(argv[2], argv + 3);
	else if (argc == 4 && !strcmp(argv[1], "read"))
		read_all(argv[2], argv[3]);
	else if (argc == 5 && !strcmp(argv[1], "insert"))
		insert_all(argv[2], argv[3], argv[4]);
	else
		die("usage", "bare|read|insert ...");
	return 0;
}
