/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What comes back to the test page: the answer is checked as an application should check it, the code is redeemed by the code of the token
 * endpoint, the tokens are verified, revoked, and only then shown.  Read page_test_callback at the end, then redeem.
 */
#include "test_page_int.h"

#include <string.h>

#include "base/time.h"
#include "login/page.h"
#include "login/session.h"
#include "store/driver.h"
#include "web/pages.h"

#define ERROR_BYTES_MAX 64

struct result {
	const struct catalog_app *app;
	const char *secret, *id_token, *access_token;
	json_t *id_claims, *userinfo;
	struct access access;
};

static bool
is_equal(const char *a, const char *b)
{
	return a && strlen(a) == strlen(b) && bytes_equal(a, b, strlen(b));
}

/* ---- checks ---- */

/* RFC 9700 4.7.1: an answer to a question of this browser; RFC 9207 2.4: from us. */
static bool
is_answer_ours(struct op *op, const struct request *request, const char *secret)
{
	return is_equal(param(&request->query, "state"), test_page_derive(op, secret, "state")) &&
	       is_equal(param(&request->query, "iss"), op->config->issuer);
}

/* OpenID Connect Core 3.1.3.7, as every application should do it. */
static int
check_tokens(struct op *op, struct result *r)
{
	int rc = token_verify_hint(op, r->id_token, &r->id_claims);

	if (!rc)
		rc = token_verify_access(op, r->access_token, &r->access);
	if (rc)
		return rc;
	if (!is_equal(json_get_text(r->id_claims, "nonce"), test_page_derive(op, r->secret, "nonce")))
		return op_fail(op, ERR_INVALID_TOKEN, "the ID token's nonce is not that of the request");
	if (!is_equal(json_get_text(r->id_claims, "aud"), r->app->body->name) ||
	    json_get_int(r->id_claims, "exp") <= op->now_ms / 1000)
		return op_fail(op, ERR_INVALID_TOKEN, "the ID token is for somebody else, or over");
	return 0;
}

/* ---- redeeming ---- */

static int
end_body(struct op *op, void *arg)
{
	const struct result *r = arg;

	return authorization_end(op, r->access.authorization_id, r->access.sub, "shown on the test page", EV_TOKEN_REVOKE,
	    r->app->body->name, "test page");
}

/* What the userinfo endpoint would say (OpenID Connect Core 5.3.2): names and mail do not stand in the ID token. */
static int
userinfo_body(struct op *op, void *arg)
{
	struct result *r = arg;
	struct subject *subject;
	int rc = subject_read(op, r->access.sub, &subject);

	r->userinfo = json_own(op, json_pack("{s:s}", "sub", r->access.sub));
	if (!rc)
		claims_add_scope(op, r->userinfo, subject, r->access.scope);
	return rc;
}

/* As the token endpoint would be asked, without the way over the network. */
static int
redeem(struct op *op, const struct request *request, struct result *r)
{
	struct http_pair pairs[] = { { "grant_type", "authorization_code" }, { "client_id", r->app->body->name },
		{ "code", param(&request->query, "code") }, { "redirect_uri", test_page_redirect_uri(op) },
		{ "code_verifier", test_page_derive(op, r->secret, "verifier") } };
	struct request asked = *request;
	struct reply reply = { .mem = op->mem };
	const char *error = param(&request->query, "error");
	json_t *answer;
	int rc;

	/* RFC 6749 4.1.2.1: a word; whoever made the link may have written anything */
	if (!pairs[2].value)
		return op_fail(op, ERR_INVALID_GRANT, "the sign-in ended without a code: %s", error &&
		    strlen(error) == strspn(error, "abcdefghijklmnopqrstuvwxyz_") && strlen(error) <= ERROR_BYTES_MAX ? error :
		    "no reason that can be shown was given");
	asked.form = (struct http_pairs){ pairs, countof(pairs) };
	op->caller.kind = ACTOR_APP;
	op->caller.actor = r->app->body->name;
	rc = grant_code(op, &asked, &reply, r->app);
	/* nothing is shown that is not durable */
	if (!rc)
		rc = db_settle(op);
	if (!rc)
		rc = json_read(op, reply.body, reply.body_size, &answer);
	if (rc)
		return client_refused(op, r->app, rc);
	r->id_token = json_get_text(answer, "id_token");
	r->access_token = json_get_text(answer, "access_token");
	if (!r->id_token || !r->access_token)
		return op_fail(op, ERR_INTERNAL, "the token endpoint gave no ID token or no access token");
	rc = check_tokens(op, r);
	if (!rc)
		rc = db_read(op, userinfo_body, r);
	/* RFC 7009 2: whoever reads the page over a shoulder, or in a copy of it, holds nothing that works */
	return rc ? rc : db_run(op, end_body, r);
}

/* ---- the page ---- */

static const char *
minute_text(struct op *op, int64_t sec)
{
	char text[TIME_TEXT_BYTES];

	time_text(sec * 1000, text);
	return op_printf(op, "%.10s %.5s UTC", text, text + 11);
}

/* Header and payload; without its signature a token is words and no key. */
static const char *
unsigned_text(struct op *op, const char *token)
{
	const char *end = strrchr(token, '.');

	return end ? op_strndup(op, token, (size_t)(end - token) + 1) : "";
}

static const char *
header_text(struct op *op, const char *token)
{
	unsigned char *data;
	json_t *header;
	size_t n;

	if (!base64url_decode(op->mem, token, strcspn(token, "."), &data, &n) || json_read(op, (const char *)data, n, &header)) {
		op_forgive(op);
		return "";
	}
	return json_pretty(op, header);
}

static const char *
place_title(const struct catalog_snapshot *c, const char *name)
{
	const struct catalog_location *location = catalog_location(c, name);

	return location && location->body->title ? location->body->title : name;
}

/* "Region Coast (Downtown Clinic, Harbour Clinic)": the place, and what lies below it. */
static const char *
place_text(struct op *op, const struct catalog_snapshot *c, const json_t *grant)
{
	const char *name = json_get_text(grant, "location");
	struct buf out = buf_in(op->mem);
	const json_t *reached = json_object_get(grant, "locations");
	json_t *one;
	size_t i;

	if (!name)
		return NULL;
	buf_add(&out, place_title(c, name));
	json_array_foreach(reached, i, one)
		buf_printf(&out, "%s%s", i ? ", " : " (", place_title(c, json_string_value(one)));
	if (json_array_size(reached))
		buf_add_char(&out, ')');
	return out.text;
}

static void
fill_roles(struct op *op, const json_t *grants, struct web_test_result *page)
{
	const struct catalog_snapshot *c = catalog_get(op);
	struct web_test_result_roles *v = op_alloc(op, (json_array_size(grants) + 1) * sizeof(*v));
	json_t *grant;
	size_t i;

	json_array_foreach(grants, i, grant) {
		const char *name = json_get_text(grant, "role");
		const struct catalog_role *role = catalog_role(c, name);

		v[i] = (struct web_test_result_roles){ .title = role && role->body->title ? role->body->title : name, .name = name,
			.place = place_text(op, c, grant) };
	}
	page->roles = v;
	page->n_roles = json_array_size(grants);
}

static int
show(struct op *op, const struct request *request, struct reply *reply, const struct result *r)
{
	const json_t *id = r->id_claims, *access = r->access.claims;
	struct web_test_result page = { PAGE_FRAME_PLAIN(op),
		.name = json_get_text(r->userinfo, "name"), .login = json_get_text(r->userinfo, "preferred_username"),
		.mail = json_get_text(r->userinfo, "email"), .sub = json_get_text(id, "sub"),
		.issuer = json_get_text(id, "iss"), .audience = r->access.audience,
		.signed_in = minute_text(op, json_get_int(id, "auth_time")), .until = minute_text(op, json_get_int(access, "exp")),
		.userinfo = json_pretty(op, r->userinfo),
		.id_header = header_text(op, r->id_token), .id_claims = json_pretty(op, id), .id_text = unsigned_text(op, r->id_token),
		.access_header = header_text(op, r->access_token), .access_claims = json_pretty(op, access),
		.access_text = unsigned_text(op, r->access_token) };

	fill_roles(op, json_object_get(access, "grants"), &page);
	page.csrf = form_token(op, request, reply);
	page_send(op, reply, 200, web_test_result(op->mem, op->caller.language, &page), "");
	return 0;
}

HANDLER(page_test_callback)
{
	struct result r = { .app = test_page_app(op), .secret = test_page_secret(request) };
	int rc = test_page_check_open(op);

	/* RFC 9110 9.2.1: HEAD changes nothing, and redeeming is a change */
	if (!rc && request->method == HTTP_HEAD)
		rc = op_fail(op, ERR_METHOD, "this path has no such method");
	if (!rc)
		rc = param_check(op, &request->query);
	if (rc)
		return rc;
	/* not asked from this browser, or shown already (a reload): to the beginning, and the code is left alone */
	if (!r.secret || !is_answer_ours(op, request, r.secret)) {
		reply_redirect(reply, "/test-app");
		return 0;
	}
	test_page_forget(reply);
	rc = redeem(op, request, &r);
	return rc ? rc : show(op, request, reply, &r);
}
