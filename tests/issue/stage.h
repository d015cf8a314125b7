/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A stage for the tests of the OpenID provider: a database of its own, keys, applications, two people with a session each,
 * and handlers called as src/routes.c calls them.  Include it once in a test; use TestSuite(name, .init = stage_open, .fini =
 * stage_close).
 */
#ifndef KW_TESTS_ISSUE_STAGE_H
#define KW_TESTS_ISSUE_STAGE_H

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../src/issue/oidc_int.h"
#include "base/time.h"
#include "base/uuid.h"
#include "issue/live.h"
#include "people/keyring.h"
#include "people/object.h"
#include "people/user.h"

#define ISSUER "https://sso.clinic.test"
#define RP1_URI "https://rp1.test/cb"
#define RP2_URI "https://rp2.test/cb"
#define SPA_URI "http://127.0.0.1:7777/cb"
#define VERIFIER "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define CHALLENGE "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  /* RFC 7636 B */

#define UNUSED __attribute__((unused))

SQL_DEFINE(test_session_add,
    "INSERT INTO sessions (id, secret_hash, user_id, auth_ms, amr, address, device, created_ms, seen_ms, until_ms) "
    "VALUES ($1, $2, $3, $4, 'pwd', '192.0.2.7', 'test', $4, $4, $5)");
SQL_DEFINE(test_session_end, "UPDATE sessions SET ended_ms = $2, ended_why = 'test' WHERE id = $1");
SQL_DEFINE(test_user_disable, "UPDATE users SET state = 'disabled' WHERE id = $1");
SQL_DEFINE(test_audit_count, "SELECT COUNT(*) FROM audit WHERE event = $1");
SQL_DEFINE(test_authorization_count, "SELECT COUNT(*) FROM authorizations");
SQL_DEFINE(test_break, "DROP TABLE audit_personal");

struct someone {
	const char *user_id, *session_id, *cookie;
};

static struct {
	struct services svc;
	const struct config *config;
	char folder[40];
	int64_t shift_ms;               /* how far the clock of new ops is ahead */
	struct op *keep;                /* owns what lives as long as the test */
	struct op *ops[4000];
	_Atomic size_t n_ops;
	struct someone alice, bob;
} stage;

/* A new op; it ends with the stage. */
static struct op *
stage_op(void)
{
	struct op *op = op_begin(&stage.svc, stage.config);

	op->now_ms += stage.shift_ms;
	op->deadline_ms = time_monotonic_ms() + 600000;
	op->caller.address = "192.0.2.7";
	stage.ops[stage.n_ops++] = op;
	return op;
}

#define must(op, call) do { int must_rc = (call); cr_assert_eq(must_rc, 0, "%s: %s", #call, op_failure(op)); } while (0)

static void
stage_write(const char *name, const char *text)
{
	char path[100];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", stage.folder, name);
	cr_assert((file = fopen(path, "w")));
	fputs(text, file);
	fclose(file);
}

static void
stage_app(struct op *op, const char *name, const char *type, const char *uri, struct shape_app body)
{
	struct object_secret *secret = op_alloc(op, sizeof(*secret));
	char id[UUID_TEXT_BYTES];
	unsigned char hash[SHA256_BYTES];
	const char **uris = op_alloc(op, 2 * sizeof(*uris)), *text = op_printf(op, "secret-of-%s", name);
	struct object_change change = { .kind = OBJECT_APP, .body = &body, .must_be_new = true };
	struct objects_result result;

	body.name = name;
	body.type = type;
	uris[0] = uri;
	uris[1] = op_printf(op, "%s/two", uri);
	if (uri)
		body.redirect_uris = (struct strings){ uris, 2 };
	if (!body.alg)
		body.alg = "ES256";
	if (!body.typ)
		body.typ = "at+jwt";
	body.enabled = true;
	uuid_new(id, op->now_ms);
	sha256(text, strlen(text), hash);
	*secret = (struct object_secret){ op_strdup(op, id), "client_secret", "sha256", op_memdup(op, hash, sizeof(hash)), sizeof(hash) };
	if (strcmp(type, "public") != 0)
		change.secret = secret;
	must(op, objects_change(op, &change, 1, &(struct objects_options){ .source = "test" }, &result));
}

static void
stage_object(struct op *op, enum object_kind kind, const void *body)
{
	struct object_change change = { .kind = kind, .body = body, .must_be_new = true };
	struct objects_result result;

	must(op, objects_change(op, &change, 1, &(struct objects_options){ .source = "test" }, &result));
}

#define ONE_STRING(text) { (const char *[]){ text }, 1 }

static void
stage_objects(struct op *op)
{
	static const char *const locations[][2] = {
		{ "Coast", NULL }, { "Harbour", "Coast" }, { "Lighthouse", "Coast" }, { "Hills", NULL }, { "Ridge", "Hills" },
		{ "Ward 2", "Harbour" },
	};

	stage_object(op, OBJECT_DIRECTORY, &(struct shape_directory){ .name = "main", .kind = "openldap", .url = "ldaps://ldap.test",
	    .base = "dc=clinic,dc=test", .bind_dn = "cn=reader,dc=clinic,dc=test", .enabled = true });
	for (size_t i = 0; i < countof(locations); i++)
		stage_object(op, OBJECT_LOCATION, &(struct shape_location){ .name = locations[i][0], .parent = locations[i][1] });
	stage_object(op, OBJECT_ROLE, &(struct shape_role){ .name = "nurse" });
	stage_object(op, OBJECT_ROLE, &(struct shape_role){ .name = "auditor" });
	stage_app(op, "rp1", "confidential", RP1_URI, (struct shape_app){ .title = "Charts",
	    .post_logout_uris = ONE_STRING("https://rp1.test/bye") });
	stage_app(op, "rp2", "confidential", RP2_URI, (struct shape_app){ .scopes = { (const char *[]){ "openid", "offline_access" }, 2 } });
	stage_app(op, "spa", "public", SPA_URI, (struct shape_app){ 0 });
	stage_app(op, "old", "confidential", "https://old.test/cb", (struct shape_app){ .pkce_optional = true, .alg = "RS256", .typ = "JWT",
	    .audience = "https://lab.test" });
	stage_app(op, "slow", "service", NULL, (struct shape_app){ .alg = "RS256" });
	stage_app(op, "lab", "service", NULL, (struct shape_app){ .audience = "https://lab.test", .scopes = ONE_STRING("lab.read") });
}

static int
stage_person_body(struct op *op, void *arg)
{
	return users_change(op, arg, 1, &(struct change_source){ .kind = "sync", .id = "test" });
}

struct stage_session {
	struct someone *who;
	const unsigned char *hash;
};

static int
stage_session_body(struct op *op, void *arg)
{
	const struct stage_session *s = arg;

	return db_exec(op, &test_session_add, ARGS(TEXT_(s->who->session_id), BLOB_(s->hash, SHA256_BYTES), TEXT_(s->who->user_id),
	    INT_(op->now_ms), INT_(op->now_ms + 43200000)), NULL);
}

/* A new session for the person, signed in now. */
static void
stage_sign_in(struct someone *who)
{
	struct op *op = stage_op();
	static const char secret[] = "0123456789012345678901234567890123456789012";
	unsigned char hash[SHA256_BYTES];
	char id[UUID_TEXT_BYTES];

	uuid_new(id, op->now_ms);
	sha256(secret, strlen(secret), hash);
	who->session_id = op_strdup(stage.keep, id);
	who->cookie = op_printf(stage.keep, "%s.%s", id, secret);
	must(op, db_run(op, stage_session_body, &(struct stage_session){ who, hash }));
}

static void
stage_person(struct op *op, struct someone *who, const char *login, const char *mail)
{
	char id[UUID_TEXT_BYTES];
	struct user_change change = { .person = {
		.directory_id = catalog_directory(catalog_get(op), "main")->id, .login = login, .display_name = "Ada Bell", .mail = mail,
		.attributes = "{\"family_name\":\"Bell\",\"given_name\":\"Ada\",\"locality\":\"Seaford\",\"phone\":\"+44 20 7946 0001\"}",
		.is_active = true, .reason = "",
	} };

	uuid_new(id, op->now_ms);
	change.person.external_id = id;
	sha256(login, strlen(login), change.person.digest);
	must(op, db_run(op, stage_person_body, &change));
	who->user_id = op_strdup(stage.keep, change.user_id);
	stage_sign_in(who);
}

UNUSED static void
stage_open(void)
{
	struct op *op;
	struct problems problems;
	char path[100];

	strcpy(stage.folder, "/tmp/keyward-issue-XXXXXX");
	cr_assert(mkdtemp(stage.folder));
	stage_write("keyward.yaml", "organisation: Seaside Clinic\nissuer: " ISSUER "\n");
	stage.keep = op = stage_op();
	problems = problems_in(op, "keyward.yaml");
	snprintf(path, sizeof(path), "%s/keyward.yaml", stage.folder);
	must(op, config_load(op, path, &problems, &stage.config));
	op->config = config_ref(stage.config);
	must(op, db_open(op, op_printf(op, "%s/db", stage.folder), &stage.svc.db));
	must(op, db_migrate(op, stage.svc.db));
	must(op, master_key_create(op, op_printf(op, "%s/master.key", stage.folder)));
	must(op, keyring_open(op, op_printf(op, "%s/master.key", stage.folder)));
	must(op, catalog_open(op));
	stage.svc.live = live_new(1000);
	stage.svc.on_end = live_on_end;
	stage_objects(op);
	op = stage_op();
	stage_person(op, &stage.alice, "alice", "alice@clinic.test");
	stage_person(op, &stage.bob, "bob", "bob@clinic.test");
}

UNUSED static void
stage_close(void)
{
	char command[100];

	while (stage.n_ops)
		op_end(stage.ops[--stage.n_ops]);
	live_free(stage.svc.live);
	catalog_free(stage.svc.catalog);
	keyring_free(stage.svc.keyring);
	audit_close(stage.svc.audit);
	db_close(stage.svc.db);
	config_unref(stage.config);
	snprintf(command, sizeof(command), "rm -rf %s", stage.folder);
	cr_expect_eq(system(command), 0);
}

/* ---- requests ---- */

typedef int handler_fn(struct op *op, struct request *request, struct reply *reply);

struct ask {
	handler_fn *handler;
	enum http_method method;
	const char *basic;              /* client_id whose secret goes into the header; or a whole header with a blank in it */
	const char *cookie;
	const char *const *given;       /* names and values, ended by NULL */
	bool is_on_loop;                /* where there is no database */
};

struct got {
	int rc;                         /* as the handler returned it, or the outcome of the commit */
	const char *error;              /* OAuth code of rc, "" when 0 */
	int status;
	json_t *json;                   /* of a JSON reply */
	const char *location;           /* of a redirect */
	bool wants_lane;
	struct op *op;
	struct reply *reply;
};

#define GIVEN(...) (const char *const[]){ __VA_ARGS__, NULL }
#define NOTHING (const char *const[]){ NULL }

static void
add_pair(struct op *op, struct http_pairs *pairs, const char *name, const char *value)
{
	struct http_pair *v = op_alloc(op, (pairs->n + 1) * sizeof(*v));

	if (pairs->n)
		memcpy(v, pairs->v, pairs->n * sizeof(*v));
	v[pairs->n] = (struct http_pair){ name, value };
	*pairs = (struct http_pairs){ v, pairs->n + 1 };
}

/* RFC 4648 4, for the header. */
static char *
base64(struct op *op, const char *text)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = strlen(text);
	struct buf out = buf_in(op->mem);

	for (size_t i = 0; i < n; i += 3) {
		unsigned bits = (unsigned)(unsigned char)text[i] << 16 | (unsigned)(i + 1 < n ? (unsigned char)text[i + 1] : 0) << 8 |
		    (unsigned)(i + 2 < n ? (unsigned char)text[i + 2] : 0);

		buf_add_char(&out, letters[bits >> 18 & 63]);
		buf_add_char(&out, letters[bits >> 12 & 63]);
		buf_add_char(&out, i + 1 < n ? letters[bits >> 6 & 63] : '=');
		buf_add_char(&out, i + 2 < n ? letters[bits & 63] : '=');
	}
	return out.text;
}

static struct got
ask(struct ask a)
{
	struct op *op = stage_op();
	struct db *db = stage.svc.db;
	struct request *request = op_alloc(op, sizeof(*request));
	struct got got = { .op = op, .reply = op_alloc(op, sizeof(struct reply)) };

	*request = (struct request){ .mem = op->mem, .method = a.method, .path = "/", .raw_query = "", .host = "sso.clinic.test",
		.address = "192.0.2.7" };
	got.reply->mem = op->mem;
	for (const char *const *at = a.given; *at; at += 2)
		add_pair(op, a.method == HTTP_POST ? &request->form : &request->query, at[0], at[1]);
	if (a.basic)
		add_pair(op, &request->headers, "Authorization", strchr(a.basic, ' ') ? a.basic :
		    op_printf(op, "Basic %s", base64(op, op_printf(op, "%s:secret-of-%s", a.basic, a.basic))));
	if (a.cookie)
		add_pair(op, &request->cookies, "__Host-keyward", a.cookie);
	request->try_on_loop = a.is_on_loop;
	if (a.is_on_loop)
		stage.svc.db = NULL;
	got.rc = a.handler(op, request, got.reply);
	stage.svc.db = db;
	got.wants_lane = request->wants_lane;
	if (!got.rc)
		got.rc = db_settle(op);
	else
		cr_expect_eq(db_settle(op), 0);
	got.error = got.rc ? error_row(got.rc)->oauth : "";
	got.status = got.reply->status;
	got.location = http_pair(&got.reply->headers, "Location", NULL);
	if (!got.rc && got.reply->body && got.reply->body[0] == '{')
		must(op, json_read(op, got.reply->body, got.reply->body_size, &got.json));
	return got;
}

UNUSED static struct got
post(handler_fn *handler, const char *basic, const char *const *given)
{
	return ask((struct ask){ .handler = handler, .method = HTTP_POST, .basic = basic, .given = given });
}

UNUSED static const char *
text_of(const struct got *got, const char *name)
{
	return got->json ? json_get_text(got->json, name) : NULL;
}

/* The claims of a token, not verified. */
UNUSED static json_t *
claims_of(const char *token)
{
	struct op *op = stage_op();
	const char *start = strchr(token, '.') + 1;
	unsigned char *data;
	size_t n;
	json_t *claims;

	cr_assert(base64url_decode(op->mem, start, strcspn(start, "."), &data, &n));
	must(op, json_read(op, (const char *)data, n, &claims));
	return claims;
}

/* ---- a sign-in without the browser ---- */

struct stage_code {
	const struct someone *who;
	const char *app, *uri, *scope, *challenge, *claims;
	struct authorization row;
};

static int
stage_code_body(struct op *op, void *arg)
{
	return db_authorization_create(op, &((struct stage_code *)arg)->row);
}

/* A code as the authorization endpoint makes it. */
static const char *
code_for(struct stage_code c)
{
	struct op *op = stage_op();
	char *id = op_alloc(op, UUID_TEXT_BYTES);
	char *code;

	uuid_new(id, op->now_ms);
	c.row = (struct authorization){ .id = id, .session_id = c.who->session_id, .user_id = c.who->user_id,
		.app_id = catalog_app(catalog_get(op), c.app)->id, .scope = c.scope, .redirect_uri = c.uri, .nonce = "n-1",
		.claims = c.claims, .code_challenge = c.challenge, .code_until_ms = op->now_ms + 60000,
		.until_ms = op->now_ms + 50LL * 3600000, .created_ms = op->now_ms };
	code = code_new(op, id, c.row.code_hash);
	must(op, db_run(op, stage_code_body, &c));
	return code;
}

#define ALL_SCOPES "openid profile email phone address offline_access roles"

UNUSED static const char *
code_of_rp1(void)
{
	return code_for((struct stage_code){ &stage.alice, "rp1", RP1_URI, ALL_SCOPES, CHALLENGE, NULL, { 0 } });
}

UNUSED static struct got
redeem(const char *basic, const char *code)
{
	return post(oidc_token, basic, GIVEN("grant_type", "authorization_code", "code", code, "redirect_uri", RP1_URI,
	    "code_verifier", VERIFIER));
}

UNUSED static struct got
refresh(const char *basic, const char *token)
{
	return post(oidc_token, basic, GIVEN("grant_type", "refresh_token", "refresh_token", token));
}

UNUSED static bool
is_active(const char *basic, const char *token)
{
	struct got got = post(oidc_introspect, basic, GIVEN("token", token));

	cr_assert_eq(got.rc, 0, "%s", op_failure(got.op));
	/* RFC 7662 2.2: an inactive token is told nothing else of */
	if (!json_get_bool(got.json, "active"))
		cr_expect_eq(json_object_size(got.json), 1);
	return json_get_bool(got.json, "active");
}

struct stage_count {
	const struct sql *sql;
	const char *event;
	int64_t n;
};

static int
stage_count_body(struct op *op, void *arg)
{
	struct stage_count *count = arg;
	struct db_rows *rows;
	const struct db_value value = db_value_text(count->event);
	int rc = db_query(op, count->sql, &value, count->event ? 1 : 0, &rows);

	if (!rc && (rc = db_next(rows)) > 0)
		count->n = db_int(rows, 0);
	return db_end(rows, rc < 0 ? rc : 0);
}

/* Audit rows of an event. */
UNUSED static int64_t
audited(enum event event)
{
	struct stage_count count = { &test_audit_count, event_code(event), -1 };
	struct op *op = stage_op();

	must(op, db_read(op, stage_count_body, &count));
	return count.n;
}

UNUSED static int64_t
count_authorizations(void)
{
	struct stage_count count = { &test_authorization_count, NULL, -1 };
	struct op *op = stage_op();

	must(op, db_read(op, stage_count_body, &count));
	return count.n;
}

static int
stage_disable_body(struct op *op, void *arg)
{
	return users_set_local(op, arg, false, "test");
}

UNUSED static void
disable(const struct someone *who)
{
	struct op *op = stage_op();

	must(op, db_run(op, stage_disable_body, op_strdup(op, who->user_id)));
}

/* The row of the session or the person alone, as a race between two writers could leave them. */
struct stage_half {
	const struct sql *sql;
	const char *id;
};

static int
stage_half_body(struct op *op, void *arg)
{
	const struct stage_half *half = arg;
	const struct db_value args[] = { db_value_text(half->id), db_value_int(op->now_ms) };

	return db_exec(op, half->sql, args, half->sql == &test_session_end ? 2 : 1, NULL);
}

UNUSED static void
end_half(const struct sql *sql, const char *id)
{
	struct op *op = stage_op();

	must(op, db_run(op, stage_half_body, &(struct stage_half){ sql, id }));
}

static int
stage_end_body(struct op *op, void *arg)
{
	const struct someone *who = arg;
	int rc = db_exec(op, &test_session_end, ARGS(TEXT_(who->session_id), INT_(op->now_ms)), NULL);

	return rc ? rc : db_authorization_end_session(op, who->session_id, "test", NULL);
}

UNUSED static void
end_session_of(struct someone *who)
{
	struct op *op = stage_op();

	must(op, db_run(op, stage_end_body, who));
	live_on_end(op, &(struct end_notice){ .session_id = who->session_id });
}

#endif
