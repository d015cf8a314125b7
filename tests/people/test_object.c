/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What objects must fulfil: grammars first, then references among objects, then removal and secrets. */
#include <criterion/criterion.h>

#include "crypt/hash.h"
#include "objects.h"
#include "people/user.h"

#define DIRECTORY "directories: [{name: main, url: 'ldaps://dir.test', base: 'dc=clinic,dc=test', bind_dn: 'cn=reader,dc=clinic,dc=test'}]\n"

TestSuite(object, .init = house_open, .fini = house_close);

static void
expect_refused(const char *yaml, const char *words)
{
	int rc = apply(yaml);

	cr_expect(rc == ERR_INVALID, "%s gave %d", yaml, rc);
	cr_expect(strstr(op_failure(op), words), "\"%s\" does not say \"%s\"", op_failure(op), words);
}

static void
expect_taken(const char *yaml)
{
	int rc = apply(yaml);

	cr_expect(rc == 0, "%s: %s", yaml, op_failure(op));
}

Test(object_grammar, redirect_uris)
{
	static const char *const good[] = { "https://app.test/cb", "https://app.test", "https://app.test:8443/cb?x=1", "http://127.0.0.1/cb",
		"http://[::1]:8080/cb", "http://localhost:3000/cb", "https://app.test/a%20b" };
	static const char *const bad[] = { "", "/cb", "app.test/cb", "http://app.test/cb", "https://app.test/cb#x", "https://app.test/cb#",
		"https://*.app.test/cb", "https://app.test/*", "https://user@app.test/cb", "https://user:pw@app.test/cb", "https://app.test\\@evil.test/",
		"https://app.test/a b", "https://app.test/\n", "https://app.test/\x7f", "https://\xc3\xa4pp.test/cb", "https:///cb", "https://app.test:0/",
		"https://app.test:65536/", "https://app.test:/", "https://app.test:1x/", "javascript:alert(1)", "HTTPS://app.test/", "https://app.test/%zz",
		"http://localhost.evil.test/cb", "http://127.0.0.1.evil.test/", "http://127.0.0.2/", "http://localhost@evil.test/", "data:text/html,x",
		"https://[::1", "https://.app.test/" };

	for (size_t i = 0; i < countof(good); i++)
		cr_expect(!object_uri_problem(good[i]), "%s: %s", good[i], object_uri_problem(good[i]));
	for (size_t i = 0; i < countof(bad); i++)
		cr_expect(object_uri_problem(bad[i]), "%s was taken", bad[i]);
}

Test(object_grammar, directory_urls)
{
	cr_expect(!object_ldap_url_problem("ldaps://dir.test", false));
	cr_expect(!object_ldap_url_problem("ldaps://dir.test:1636", false));
	cr_expect(!object_ldap_url_problem("ldap://[::1]:389", true));
	cr_expect(object_ldap_url_problem("ldap://dir.test", false));
	cr_expect(object_ldap_url_problem("ldaps://dir.test", true));
	cr_expect(object_ldap_url_problem("ldapi:///run/slapd", true));
	cr_expect(object_ldap_url_problem("ldaps://dir.test/dc=clinic", false));
	cr_expect(object_ldap_url_problem("ldaps://", false));
	cr_expect(object_ldap_url_problem("ldaps://user@dir.test", false));
	cr_expect(object_ldap_url_problem("https://dir.test", false));
	/* H07: where an administrator may not be led */
	static const char *const odd[] = { "169.254.169.254", "169.254.0.1:636", "0.0.0.0", "0.1.2.3", "[::]", "[::ffff:169.254.169.254]", "[fe80::1]", "[fe80::1%eth0]",
		"[ff02::1]", "224.0.0.1", "255.255.255.255", "127.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "127.0.0.01", "0177.0.0.1", "127.0.0.1.",
		"dir.test.", "dir.127", "evil@dir.test", "dir.test:0", "dir.test:65536", "dir.test:4294967932", "dir.test:-1", "dir.test:", "dir.test#a", "dir.test?a",
		"dir.test\\@evil", " dir.test", "dir.test/../a" };
	for (size_t i = 0; i < countof(odd); i++) {
		char url[80];

		snprintf(url, sizeof(url), "ldaps://%s", odd[i]);
		cr_expect(object_ldap_url_problem(url, false), "%s", url);
	}
	static const char *const usual[] = { "127.0.0.1", "[::1]:1636", "10.0.0.7", "192.168.1.2:636", "[fd00::7]", "dc1.clinic.test", "localhost", "dc01",
		"1dc.clinic.test" };
	for (size_t i = 0; i < countof(usual); i++) {
		char url[80];

		snprintf(url, sizeof(url), "ldaps://%s", usual[i]);
		cr_expect(!object_ldap_url_problem(url, false), "%s", url);
	}
	for (size_t i = 0; i < 5; i++) {
		static const char *const schemes[] = { "file:///etc/passwd", "gopher://dir.test", "http://dir.test", "ldapi://%2frun%2fslapd", "LDAPS://dir.test" };

		cr_expect(object_ldap_url_problem(schemes[i], false), "%s", schemes[i]);
	}
}

Test(object_grammar, filters)
{
	static const char *const good[] = { "(uid=*)", "(&(objectClass=inetOrgPerson)(!(title=x\\29)))", "(|(a=1)(b=2)(c=3))", "(a:1.2.840.113556.1.4.803:=2)", "(a=)" };
	static const char *const bad[] = { "", "uid=*", "(uid=*", "(uid=*))", "(&)", "(!(a=1)(b=2))", "((a=1))", "(a)", "(a=\\2)", "(a=1)(b=2)", "(=x)", "(&(a=1)" };
	char deep[200] = "";

	for (size_t i = 0; i < countof(good); i++)
		cr_expect(!object_filter_problem(good[i]), "%s", good[i]);
	for (size_t i = 0; i < countof(bad); i++)
		cr_expect(object_filter_problem(bad[i]), "%s was taken", bad[i]);
	for (int i = 0; i < 30; i++)
		strcat(deep, "(!");
	strcat(deep, "(a=1)");
	for (int i = 0; i < 30; i++)
		strcat(deep, ")");
	cr_expect(object_filter_problem(deep));
}

Test(object, names)
{
	expect_taken("roles: [{name: Nurse}]");
	cr_expect_not_null(catalog_role(catalog_get(op), "NURSE"));
	/* The same object under another spelling. */
	expect_taken("roles: [{name: nurse}]");
	cr_expect_eq(catalog_get(op)->n_roles, 1);
	cr_expect_str_eq(catalog_get(op)->roles[0].body->name, "nurse");
	cr_expect_eq(catalog_get(op)->roles[0].version, 2);
	expect_refused("roles: [{name: A}, {name: a}]", "the role a is the same as A in line 1");
	expect_refused("roles: [{name: 'a/b'}]", "must not hold");
	expect_refused("roles: [{name: ' a'}]", "blank");
	expect_refused("roles: [{name: '..'}]", "must not hold");
	expect_refused("roles: [{name: ''}]", "empty");
}

Test(object, same_name_of_other_kind)
{
	expect_taken("roles: [{name: front}]\nlocations: [{name: front}]");
}

Test(object, role)
{
	expect_refused("roles: [{name: r, permissions: [a.read, a.read]}]", "twice");
	expect_refused("roles: [{name: r, permissions: [a.read], never: [a.read]}]", "under permissions");
	expect_refused("roles: [{name: r, permissions: ['a read']}]", "one word");
}

Test(object, location_tree)
{
	expect_taken("locations: [{name: site, parent: region}, {name: region}]");
	cr_expect(catalog_is_within(catalog_location(catalog_get(op), "site"), catalog_location(catalog_get(op), "region")));
	cr_expect(!catalog_is_within(catalog_location(catalog_get(op), "region"), catalog_location(catalog_get(op), "site")));
	expect_refused("locations: [{name: ward, parent: nowhere}]", "no location called nowhere");
	expect_refused("locations: [{name: region, parent: site}]", "within itself");
	expect_refused("locations: [{name: x, parent: x}]", "within itself");
	expect_refused("locations: [{name: a, parent: b}, {name: b, parent: c}, {name: c, parent: b}]", "circle");
}

Test(object, rule_has_one_condition)
{
	expect_taken("roles: [{name: r}]\n" DIRECTORY);
	expect_taken("rules: [{name: one, directory: main, role: r, group: 'cn=g,dc=clinic,dc=test'}]");
	expect_taken("rules: [{name: two, directory: main, role: r, attribute: employeeType, equals: nurse}]");
	expect_refused("rules: [{name: x, directory: main, role: r}]", "this one has 0");
	expect_refused("rules: [{name: x, directory: main, role: r, group: 'cn=g', attribute: a, equals: b}]", "this one has 2");
	expect_refused("rules: [{name: x, directory: main, role: r, attribute: a}]", "belong together");
	expect_refused("rules: [{name: x, directory: main, role: r, group: 'cn=g', equals: b}]", "belong together");
	expect_refused("rules: [{name: x, directory: main, role: r, group: 'g'}]", "must be a DN");
	expect_refused("rules: [{name: x, directory: main, role: r, group_id: 'G'}]", "UUID");
	expect_refused("rules: [{name: x, directory: main, role: r, attribute: 'a)(b', equals: c}]", "not the name");
}

Test(object, rule_references)
{
	expect_taken("roles: [{name: r}]\n" DIRECTORY);
	expect_refused("rules: [{name: x, directory: other, role: r, group: 'cn=g'}]", "no directory called other");
	expect_refused("rules: [{name: x, directory: main, role: q, group: 'cn=g'}]", "no role called q");
	expect_refused("rules: [{name: x, directory: main, role: r, location: l, group: 'cn=g'}]", "no location called l");
}

Test(object, directory)
{
	expect_refused("directories: [{name: d, url: 'ldap://dir.test', base: 'dc=x', bind_dn: 'cn=x'}]", "clear text");
	expect_refused("directories: [{name: d, url: 'ldaps://dir.test', base: 'x', bind_dn: 'cn=x'}]", "must be a DN");
	expect_refused("directories: [{name: d, url: 'ldaps://dir.test', base: 'dc=x', bind_dn: 'cn=x', filter: '(a=1'}]", "not an LDAP filter");
	expect_refused("directories: [{name: d, url: 'ldaps://dir.test', base: 'dc=x', bind_dn: 'cn=x', disabled_attribute: a}]", "belong together");
	expect_refused("directories: [{name: d, url: 'ldaps://dir.test', base: 'dc=x', bind_dn: 'cn=x', ca: nonsense}]", "PEM");
	expect_refused("directories: [{name: d, url: 'ldaps://dir.test', base: 'dc=x', bind_dn: 'cn=x', "
	    "ca: '-----BEGIN CERTIFICATE----- -----BEGIN PRIVATE KEY-----'}]", "private key");
}

Test(object, app)
{
	expect_taken("apps: [{name: portal, redirect_uris: ['https://portal.test/cb']}]");
	expect_taken("apps: [{name: robot, type: service}]");
	expect_refused("apps: [{name: a}]", "at least one");
	expect_refused("apps: [{name: a, type: service, redirect_uris: ['https://a.test/']}]", "signs nobody in");
	expect_refused("apps: [{name: a, type: public, pkce_optional: true, redirect_uris: ['https://a.test/']}]", "must use PKCE");
	expect_refused("apps: [{name: a, redirect_uris: ['http://a.test/']}]", "must begin with https");
	expect_refused("apps: [{name: a, redirect_uris: ['https://a.test/'], post_logout_uris: ['https://a.test/#x']}]", "fragment");
	expect_refused("apps: [{name: a, redirect_uris: ['https://a.test/', 'https://a.test/']}]", "twice");
	expect_refused("apps: [{name: 'a b', redirect_uris: ['https://a.test/']}]", "client_id");
}

Test(object, client_id_is_compared_letter_by_letter)
{
	expect_taken("apps: [{name: portal, redirect_uris: ['https://portal.test/cb']}]");
	cr_expect_not_null(catalog_app(catalog_get(op), "portal"));
	cr_expect_null(catalog_app(catalog_get(op), "Portal"));
	cr_expect_not_null(catalog_app_by_name(catalog_get(op), "Portal"));
}

static int
remove_object(enum object_kind kind, const char *name)
{
	struct object_change change = { .kind = kind, .name = name };
	struct objects_result result;

	op_forgive(op);
	return objects_change(op, &change, 1, &(struct objects_options){ .source = "test" }, &result);
}

Test(object, removal)
{
	expect_taken("roles: [{name: r}]\nlocations: [{name: l}, {name: m, parent: l}]\n" DIRECTORY
	    "rules: [{name: x, directory: main, role: r, location: l, group: 'cn=g'}]");
	cr_expect_eq(remove_object(OBJECT_ROLE, "r"), ERR_INVALID);
	cr_expect(strstr(op_failure(op), "rules.x.role"), "%s", op_failure(op));
	cr_expect_eq(remove_object(OBJECT_LOCATION, "l"), ERR_INVALID);
	cr_expect_eq(remove_object(OBJECT_DIRECTORY, "main"), ERR_INVALID);
	cr_expect_eq(remove_object(OBJECT_ROLE, "none"), ERR_NOT_FOUND);
	cr_expect_eq(catalog_get(op)->n_roles, 1);
	cr_expect_eq(remove_object(OBJECT_RULE, "X"), 0, "%s", op_failure(op));
	cr_expect_eq(remove_object(OBJECT_ROLE, "r"), 0, "%s", op_failure(op));
	cr_expect_eq(catalog_get(op)->n_roles, 0);
	/* The name is free again, for another object. */
	expect_taken("roles: [{name: r}]");
	cr_expect_eq(catalog_get(op)->roles[0].version, 1);
}

SQL_DEFINE(test_user, "INSERT INTO users (id, directory_id, external_id, login, login_key, display_name, name_key, attributes, digest, state, directory_state,"
    " directory_reason, local_state, was_active, created_ms, changed_ms) VALUES ('u', $1, 'e', 'u', 'u', 'U', 'u', '{}', $2, 'active', 'active', '', 'active', 1, 0, 0)");
SQL_DEFINE(test_grant, "INSERT INTO grants (id, user_id, role_id, location_id, valid_from, recorded_from, source_kind, source_id, source_version)"
    " VALUES ('g', 'u', $1, $2, 0, 0, 'hand', 'uid:0', 0)");
SQL_DEFINE(test_grant_end, "UPDATE grants SET recorded_until = 1 WHERE id = 'g'");

static int
add_person(struct op *inside, void *arg)
{
	const struct catalog_snapshot *c = arg;
	int rc = db_exec(inside, &test_user, ARGS(TEXT_(c->directories[0].id), BLOB_("x", 1)), NULL);

	return rc ? rc : db_exec(inside, &test_grant, ARGS(TEXT_(c->roles[0].id), TEXT_(c->locations[0].id)), NULL);
}

static int
end_grant(struct op *inside, void *arg)
{
	(void)arg;
	return db_exec(inside, &test_grant_end, NO_ARGS, NULL);
}

Test(object, what_people_hold_is_not_removed)
{
	expect_taken("roles: [{name: r}]\nlocations: [{name: l}]\n" DIRECTORY);
	cr_assert_eq(db_run(op, add_person, (void *)(uintptr_t)catalog_get(op)), 0, "%s", op_failure(op));
	cr_expect_eq(remove_object(OBJECT_ROLE, "r"), ERR_CONFLICT);
	cr_expect_eq(remove_object(OBJECT_LOCATION, "l"), ERR_CONFLICT);
	cr_expect_eq(remove_object(OBJECT_DIRECTORY, "main"), ERR_CONFLICT);
	op_forgive(op);
	cr_assert_eq(db_run(op, end_grant, NULL), 0);
	cr_expect_eq(remove_object(OBJECT_ROLE, "r"), 0, "%s", op_failure(op));
	cr_expect_eq(remove_object(OBJECT_LOCATION, "l"), 0, "%s", op_failure(op));
	cr_expect_eq(remove_object(OBJECT_DIRECTORY, "main"), ERR_CONFLICT);
}

SQL_DEFINE(test_session, "INSERT INTO sessions (id, secret_hash, user_id, auth_ms, amr, address, device, created_ms, seen_ms, until_ms)"
    " VALUES ('s', $1, 'u', 0, 'pwd', '', '', 0, 0, 0)");
SQL_DEFINE(test_authorization, "INSERT INTO authorizations (id, session_id, user_id, app_id, scope, redirect_uri, code_hash, code_until_ms, refresh_seq,"
    " refresh_until_ms, until_ms, created_ms) VALUES ('a', 's', 'u', $1, '', '', $2, 0, 1, 0, 0, 0)");
SQL_DEFINE(test_authorization_live, "SELECT COUNT(*) FROM authorizations WHERE ended_ms IS NULL");

static int
authorize(struct op *inside, void *arg)
{
	const struct catalog_snapshot *c = arg;
	int rc = add_person(inside, arg);

	if (!rc)
		rc = db_exec(inside, &test_session, ARGS(BLOB_("x", 1)), NULL);
	return rc ? rc : db_exec(inside, &test_authorization, ARGS(TEXT_(c->apps[0].id), BLOB_("x", 1)), NULL);
}

static int
count_live(struct op *inside, void *arg)
{
	struct db_rows *rows = NULL;
	int rc = db_query(inside, &test_authorization_live, NO_ARGS, &rows);

	if (!rc && (rc = db_next(rows)) > 0)
		*(int64_t *)arg = db_int(rows, 0);
	return db_end(rows, rc);
}

static int ended;

static void
on_end(struct op *inside, const struct end_notice *notice)
{
	(void)inside;
	ended += notice->authorization_id && !strcmp(notice->authorization_id, "a");
}

Test(object, an_application_that_is_gone_gets_no_more_tokens)
{
	int64_t live = -1;

	expect_taken("roles: [{name: r}]\nlocations: [{name: l}]\n" DIRECTORY "apps: [{name: portal, redirect_uris: ['https://portal.test/cb']}]");
	cr_assert_eq(db_run(op, authorize, (void *)(uintptr_t)catalog_get(op)), 0, "%s", op_failure(op));
	cr_assert(!db_read(op, count_live, &live) && live == 1);
	svc.on_end = on_end;
	cr_assert_eq(remove_object(OBJECT_APP, "portal"), 0, "%s", op_failure(op));
	cr_expect_eq(ended, 1);
	cr_assert(!db_read(op, count_live, &live));
	cr_expect_eq(live, 0);
}

Test(object, client_secret)
{
	const struct shape_app *app;
	struct object_secret *secret, *next;
	struct objects_result result;
	unsigned char hash[SHA256_BYTES];
	struct object_change change;
	char *text, *text_next;

	expect_taken("apps: [{name: portal, redirect_uris: ['https://portal.test/cb']}, {name: page, type: public, redirect_uris: ['https://page.test/']}]");
	cr_expect_null(catalog_app(catalog_get(op), "portal")->secret_hash);
	app = catalog_app(catalog_get(op), "portal")->body;
	text = object_make_client_secret(op, &secret);
	change = (struct object_change){ .kind = OBJECT_APP, .body = app, .must_be_new = true, .secret = secret };
	cr_expect_eq(objects_change(op, &change, 1, &(struct objects_options){ .source = "test" }, &result), ERR_CONFLICT);
	op_forgive(op);
	cr_assert_eq(objects_set_secret(op, OBJECT_APP, "portal", secret), 0, "%s", op_failure(op));
	sha256(text, strlen(text), hash);
	cr_expect_eq(memcmp(catalog_app(catalog_get(op), "portal")->secret_hash, hash, sizeof(hash)), 0);
	/* A new one ends the old one. */
	text_next = object_make_client_secret(op, &next);
	cr_expect_str_neq(text, text_next);
	cr_assert_eq(objects_set_secret(op, OBJECT_APP, "portal", next), 0);
	sha256(text_next, strlen(text_next), hash);
	cr_expect_eq(memcmp(catalog_app(catalog_get(op), "portal")->secret_hash, hash, sizeof(hash)), 0);
	cr_expect_eq(objects_set_secret(op, OBJECT_APP, "page", next), ERR_INVALID);
	op_forgive(op);
	cr_expect_eq(objects_set_secret(op, OBJECT_APP, "nobody", next), ERR_NOT_FOUND);
}

Test(object, snapshot_lives_as_long_as_its_reader)
{
	const struct catalog_snapshot *before;
	struct op *writer = op_begin(&svc, NULL);
	struct op *mine = op;

	expect_taken("roles: [{name: r}]");
	before = catalog_get(mine);
	op = writer;
	expect_taken("roles: [{name: r, title: Other}]");
	op = mine;
	op_end(writer);
	cr_expect_null(before->roles[0].body->title);
	cr_expect_str_eq(catalog_get(op)->roles[0].body->title, "Other");
	cr_expect_str_neq(before->mark, catalog_get(op)->mark);
	cr_expect_str_eq(before->roles[0].id, catalog_get(op)->roles[0].id);
}

Test(object, after_a_restart)
{
	const char *mark;

	expect_taken("roles: [{name: r}]\nlocations: [{name: l}, {name: m, parent: l}]\n" DIRECTORY
	    "rules: [{name: x, directory: main, role: r, location: m, group: 'cn=g'}]");
	mark = op_strdup(op, catalog_get(op)->mark);
	catalog_free(svc.catalog);
	cr_assert_eq(catalog_open(op), 0, "%s", op_failure(op));
	cr_expect_str_eq(catalog_get(op)->mark, mark);
	cr_expect_eq(catalog_get(op)->rules[0].role, catalog_role(catalog_get(op), "r"));
	cr_expect_str_eq(catalog_get(op)->rules[0].location->parent->body->name, "l");
	cr_expect_eq(catalog_rule_by_id(catalog_get(op), catalog_get(op)->rules[0].id), &catalog_get(op)->rules[0]);
}
