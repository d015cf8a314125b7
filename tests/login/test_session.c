/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Browser sessions, forms and return paths, on a database in a file. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/audit.h"
#include "base/config.h"
#include "base/uuid.h"
#include "login/flow.h"
#include "login/page.h"
#include "login/session.h"
#include "people/keyring.h"
#include "people/plan.h"
#include "people/user.h"
#include "store/session.h"

static struct services svc;
static struct config config = { .organisation = "Tarn Valley Clinic", .issuer = "https://id.clinic.test", .session_idle = 1800,
	.session_absolute = 43200, .key_overlap = 86400 };
static struct op *op;
static char folder[] = "/tmp/keyward-session-XXXXXX";
static int ended;

static void
on_end(struct op *unused, const struct end_notice *notice)
{
	(void)unused;
	ended += notice->session_id != NULL;
}

/* A directory for the account's row to name. */
static const char directory_yaml[] = "directories:\n  - name: clinic\n    kind: openldap\n    url: ldaps://ldap.clinic.test\n"
    "    base: dc=clinic,dc=test\n    bind_dn: cn=sync,dc=clinic,dc=test\n";
static const char user_id[] = "01970000-0000-7000-8000-000000000001";

static int
add_user(struct op *o, void *arg)
{
	struct user user = { .id = user_id, .directory_id = arg, .external_id = "e", .login = "alice", .login_key = "alice",
		.display_name = "Alice", .name_key = "alice",
		.attributes = "{}", .is_active = true, .directory_active = true, .local_active = true, .directory_reason = "",
		.was_active = true };
	const struct user *v[] = { &user };

	return db_user_add(o, v, 1);
}

static void
set_up(void)
{
	const struct plan_request request = { .source = "test.yaml", .text = directory_yaml, .size = strlen(directory_yaml),
		.want_apply = true };
	const struct catalog_directory *directory;
	const struct shape_plan_view *view;
	struct op *later;
	char *key;

	op = op_begin(&svc, NULL);
	op->deadline_ms += 600000;              /* one op for a whole test, however slow the machine */
	cr_assert(mkdtemp(folder));
	key = op_printf(op, "%s/master.key", folder);
	cr_assert_eq(db_open(op, op_printf(op, "%s/db", folder), &svc.db), 0, "%s", op_failure(op));
	cr_assert_eq(db_migrate(op, svc.db), 0, "%s", op_failure(op));
	cr_assert_eq(master_key_create(op, key), 0);
	op->config = &config;
	op->caller = (struct caller){ .kind = ACTOR_ROOT, .actor = "uid:0", .address = "192.0.2.7", .device = "Test",
	    .language = "en" };
	cr_assert_eq(keyring_open(op, key), 0, "%s", op_failure(op));
	cr_assert_eq(catalog_open(op), 0, "%s", op_failure(op));
	cr_assert_eq(plan_file(op, &request, &view), 0, "%s", op_failure(op));
	/* the snapshot of the catalog is the op's: a later op sees the directory */
	later = op_begin(&svc, NULL);
	directory = catalog_directory(catalog_get(later), "clinic");
	cr_assert(directory);
	cr_assert_eq(db_run(later, add_user, (void *)(uintptr_t)directory->id), 0, "%s", op_failure(later));
	op_end(later);
	svc.on_end = on_end;
	ended = 0;
}

static void
tear_down(void)
{
	char command[100];

	catalog_free(svc.catalog);
	keyring_free(svc.keyring);
	audit_close(svc.audit);
	op->config = NULL;
	op_end(op);
	db_close(svc.db);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_expect_eq(system(command), 0);
}

TestSuite(session, .init = set_up, .fini = tear_down);

static char *made_cookie;
static struct session *made;

static int
create_body(struct op *o, void *arg)
{
	(void)arg;
	return session_create(o, user_id, "pwd", &made, &made_cookie);
}

static int
end_body(struct op *o, void *arg)
{
	return session_end(o, arg, "test");
}

static struct session *
find_with(size_t n, const char *const *values)
{
	struct http_pair *v = op_alloc(op, (n + 1) * sizeof(*v));
	struct request request = { .mem = op->mem, .cookies = { v, n } };
	struct session *session = NULL;

	for (size_t i = 0; i < n; i++)
		v[i] = (struct http_pair){ "__Host-keyward", values[i] };
	cr_assert_eq(session_find(op, &request, &session), 0, "%s", op_failure(op));
	return session;
}

static struct session *
find(const char *value)
{
	return find_with(1, &value);
}

Test(session, is_found_by_its_cookie)
{
	struct session *session;

	cr_assert_eq(db_run(op, create_body, NULL), 0, "%s", op_failure(op));
	session = find(made_cookie);
	cr_assert(session);
	cr_expect_str_eq(session->id, made->id);
	cr_expect_str_eq(session->user_id, user_id);
	cr_expect_eq(op->caller.kind, ACTOR_USER);
	cr_expect_str_eq(op->caller.session, made->id);
	cr_expect_null(find_with(0, NULL));
}

/* P01, P09: forged, cut, doubled and foreign cookies are no session. */
Test(session, other_cookies_find_nothing)
{
	const char *two[2], *wrong;
	char id[UUID_TEXT_BYTES];

	cr_assert_eq(db_run(op, create_body, NULL), 0, "%s", op_failure(op));
	two[0] = two[1] = made_cookie;
	cr_expect_null(find_with(2, two), "two cookies of the name");
	two[1] = "x";
	cr_expect_null(find_with(2, two), "a tossed cookie beside ours");
	wrong = op_strdup(op, made_cookie);
	((char *)(uintptr_t)wrong)[70] ^= 1;
	cr_expect_null(find(wrong), "one bit of the secret");
	cr_expect_null(find(op_strndup(op, made_cookie, 79)));
	cr_expect_null(find(op_printf(op, "%sx", made_cookie)));
	cr_expect_null(find(op_strndup(op, made_cookie, 36)));
	cr_expect_null(find(""));
	cr_expect_null(find("'; DROP TABLE sessions; --"));
	uuid_new(id, op->now_ms);
	cr_expect_null(find(op_printf(op, "%s%s", id, made_cookie + 36)), "the secret of another id");
	cr_expect(find(made_cookie), "the right one still is");
}

Test(session, every_one_has_a_new_id_and_secret)
{
	const char *first;

	cr_assert_eq(db_run(op, create_body, NULL), 0);
	first = made_cookie;
	cr_assert_eq(db_run(op, create_body, NULL), 0);
	cr_expect_neq(strncmp(first, made_cookie, 36), 0);
	cr_expect_str_neq(first + 36, made_cookie + 36);
}

Test(session, ends_and_stays_ended)
{
	cr_assert_eq(db_run(op, create_body, NULL), 0);
	cr_assert_eq(db_run(op, end_body, (void *)(uintptr_t)made->id), 0, "%s", op_failure(op));
	cr_expect_null(find(made_cookie));
	cr_expect_eq(ended, 1, "the table of live tokens is told");
	cr_assert_eq(db_run(op, end_body, (void *)(uintptr_t)made->id), 0);
	cr_expect_eq(ended, 1, "once");
}

Test(session, idles_out_and_ages_out)
{
	int64_t start;

	cr_assert_eq(db_run(op, create_body, NULL), 0);
	start = op->now_ms;
	op->now_ms = start + 1799 * 1000;
	cr_expect(find(made_cookie), "and is seen");
	op->now_ms = start + (1799 + 1799) * 1000;
	cr_expect(find(made_cookie), "use has moved the idle end");
	op->now_ms += 1801 * 1000;
	cr_expect_null(find(made_cookie), "idle too long");
	cr_assert_eq(db_run(op, create_body, NULL), 0);
	start = op->now_ms;
	for (int i = 1; i * 1700 < 43200; i++) {
		op->now_ms = start + i * 1700 * 1000;
		cr_expect(find(made_cookie), "used all the time");
	}
	op->now_ms = start + INT64_C(43201) * 1000;
	cr_expect_null(find(made_cookie), "the absolute end holds all the same");
}

static int
disable_body(struct op *o, void *arg)
{
	(void)arg;
	return users_set_local(o, user_id, false, "test");
}

static int
read_row_body(struct op *o, void *arg)
{
	struct session_row *row;

	return db_session_read(o, arg, &row);
}

Test(session, is_removed_a_day_after_its_end)
{
	char *id;

	cr_assert_eq(db_run(op, create_body, NULL), 0);
	id = op_strdup(op, made->id);
	op->now_ms = made->until_ms + INT64_C(86400000);
	cr_assert_eq(session_purge(op), 0, "%s", op_failure(op));
	cr_expect_eq(db_read(op, read_row_body, id), 0, "still there");
	op->now_ms += 1;
	cr_assert_eq(session_purge(op), 0, "%s", op_failure(op));
	cr_expect_eq(db_read(op, read_row_body, id), ERR_NOT_FOUND);
}

Test(session, dies_with_its_person)
{
	cr_assert_eq(db_run(op, create_body, NULL), 0);
	cr_assert_eq(db_run(op, disable_body, NULL), 0, "%s", op_failure(op));
	cr_expect_null(find(made_cookie));
	cr_expect_eq(ended, 1);
}

/* A session that a disabling missed, for whatever reason, is still refused. */
Test(session, a_disabled_person_has_none_even_if_one_is_open)
{
	cr_assert_eq(db_run(op, disable_body, NULL), 0, "%s", op_failure(op));
	cr_assert_eq(db_run(op, create_body, NULL), 0);
	cr_expect_null(find(made_cookie));
}

Test(session, the_database_has_no_secret)
{
	char *command;

	cr_assert_eq(db_run(op, create_body, NULL), 0);
	/* 1 is grep's "not found"; a secret may begin with a hyphen */
	command = op_printf(op, "cat %s/db %s/db-wal | grep -qaF -e '%s'; test $? -eq 1", folder, folder, made_cookie + 37);
	cr_expect_eq(system(command), 0);
	command = op_printf(op, "cat %s/db %s/db-wal | grep -qaF -e '%s'", folder, folder, made->id);
	cr_expect_eq(system(command), 0, "but its id");
}

Test(session, the_cookie_is_a_host_cookie)
{
	struct reply reply = { .mem = op->mem };
	const char *value;

	session_set_cookie(&reply, "abc");
	value = http_pair(&reply.headers, "Set-Cookie", NULL);
	cr_expect_str_eq(value, "__Host-keyward=abc; Path=/; Secure; HttpOnly; SameSite=Lax");
}

/* ---- forms ---- */

struct post {
	struct http_pair cookie, field, headers[3];
	struct request request;
};

static void
make_post(struct post *p, const char *cookie, const char *token, const char *origin, const char *site)
{
	size_t n = 0;

	memset(p, 0, sizeof(*p));
	p->cookie = (struct http_pair){ "__Host-keyward-form", cookie };
	p->field = (struct http_pair){ "csrf", token };
	if (origin)
		p->headers[n++] = (struct http_pair){ "Origin", origin };
	if (site)
		p->headers[n++] = (struct http_pair){ "Sec-Fetch-Site", site };
	p->request = (struct request){ .mem = op->mem, .method = HTTP_POST, .cookies = { &p->cookie, cookie ? 1 : 0 },
		.form = { &p->field, token ? 1 : 0 }, .headers = { p->headers, n } };
}

static int
check_post(const char *cookie, const char *token, const char *origin, const char *site)
{
	struct post p;
	int rc;

	make_post(&p, cookie, token, origin, site);
	rc = form_check(op, &p.request);
	op_forgive(op);
	return rc;
}

Test(session, a_form_needs_its_token_its_cookie_and_our_origin)
{
	struct request request = { .mem = op->mem };
	struct reply reply = { .mem = op->mem };
	const char *token = form_token(op, &request, &reply), *set = http_pair(&reply.headers, "Set-Cookie", NULL);
	const char *cookie, *origin = "https://id.clinic.test", *other;
	struct reply again = { .mem = op->mem };

	cr_assert(set && text_starts_with(set, "__Host-keyward-form="));
	cookie = op_strndup(op, set + 20, 43);
	cr_expect_eq(check_post(cookie, token, origin, NULL), 0);
	cr_expect_eq(check_post(cookie, token, origin, "same-origin"), 0);
	cr_expect_eq(check_post(cookie, token, NULL, "same-origin"), 0);
	cr_expect_eq(check_post(cookie, NULL, origin, NULL), ERR_CSRF, "no token");
	cr_expect_eq(check_post(NULL, token, origin, NULL), ERR_CSRF, "no cookie");
	cr_expect_eq(check_post(cookie, "", origin, NULL), ERR_CSRF);
	cr_expect_eq(check_post(cookie, cookie, origin, NULL), ERR_CSRF, "the cookie is not the token");
	cr_expect_eq(check_post(cookie, token, NULL, NULL), ERR_CSRF, "nothing says where it comes from");
	cr_expect_eq(check_post(cookie, token, "null", NULL), ERR_CSRF);
	cr_expect_eq(check_post(cookie, token, "https://evil.test", NULL), ERR_CSRF);
	cr_expect_eq(check_post(cookie, token, "https://id.clinic.test.evil.test", NULL), ERR_CSRF);
	cr_expect_eq(check_post(cookie, token, "http://id.clinic.test", NULL), ERR_CSRF);
	cr_expect_eq(check_post(cookie, token, origin, "cross-site"), ERR_CSRF);
	cr_expect_eq(check_post(cookie, token, origin, "same-site"), ERR_CSRF, "another host of the domain");
	other = form_token(op, &request, &again);
	cr_expect_eq(check_post(cookie, other, origin, NULL), ERR_CSRF, "another browser's token");
}

/* ---- where a sign-in leads ---- */

Test(session, then_is_a_path_of_ours_or_nothing)
{
	static const char *const bad[] = { "", "/", "//evil.test", "https://evil.test/", "/account/", "/account?x", "/account#x",
		"/oauth2/authorize",
		"/oauth2/authorize/../../x?", "/oauth2/authorizex?", "\\evil.test", "/oauth2/authorize?a\r\nSet-Cookie: x",
		"/oauth2/authorize?a b",
		"/oauth2/authorize?a\\b", "/oauth2/authorize?\x80", "javascript:go()", " /account", "/oauth2/logout?x", "account" };

	for (size_t i = 0; i < countof(bad); i++)
		cr_expect_not(flow_is_then(bad[i]), "%s", bad[i]);
	cr_expect(flow_is_then("/account"));
	cr_expect(flow_is_then("/oauth2/authorize?client_id=a&redirect_uri=https%3A%2F%2Fa.test%2F"));
}

Test(session, flow_start_carries_only_what_is_ours)
{
	struct reply reply = { .mem = op->mem };
	struct reply foreign = { .mem = op->mem };

	flow_start(op, &reply, "/oauth2/authorize?a=b&c=d", "a&b", true);
	cr_expect_str_eq(http_pair(&reply.headers, "Location", NULL),
	    "/login?then=%2Foauth2%2Fauthorize%3Fa%3Db%26c%3Dd&hint=a%26b&again=1");
	flow_start(op, &foreign, "https://evil.test/", NULL, false);
	cr_expect_str_eq(http_pair(&foreign.headers, "Location", NULL), "/login?then=%2Faccount");
}

Test(session, form_action_names_registered_places_only)
{
	const char *v[] = { "https://app.test/cb", "https://other.test/cb", "http://127.0.0.1:7777/cb", "com.example.app:/cb",
		"http://intra.test:8080/x",
		"https;script-src *", "evil;x:/" };
	struct strings uris = { v, countof(v) };

	cr_expect_str_eq(page_form_action(op, &uris), "https: http://127.0.0.1:* com.example.app: http://intra.test:8080");
	cr_expect_str_eq(page_form_action(op, NULL), "");
}
