/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The test page: opening and closing it, its first page, and the way to the authorization endpoint (issue/test_page.h is the manual).
 * What comes back, and the tokens, are in test_page_result.c.
 *
 * The browser keeps one random value in a cookie.  State, nonce and PKCE verifier are made of it, each by a hash of its own, so that
 * nothing has to be remembered here and an answer can only be used by the browser that asked (RFC 9700 4.7, RFC 7636 1).
 */
#include "test_page_int.h"

#include <string.h>

#include "audit/audit.h"
#include "base/time.h"
#include "crypt/random.h"
#include "login/page.h"
#include "login/session.h"
#include "people/object.h"
#include "store/driver.h"
#include "web/pages.h"

#define SECRET_LENGTH 43                /* 256 bits as base64url */
#define COOKIE "__Host-keyward-test"
#define COOKIE_FLAGS "; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age="
#define COOKIE_SEC "900"
#define PATH "/test-app"
#define CALLBACK OBJECT_TEST_PAGE_CALLBACK

/* ---- open and closed ---- */

int64_t
test_page_left_ms(const struct op *op)
{
	int64_t left_ms = op->svc->test_page_until_ms - time_monotonic_ms();

	return left_ms > 0 ? left_ms : 0;
}

const char *
test_page_address(struct op *op)
{
	return op_printf(op, "%s" PATH, op->config->issuer);
}

const char *
test_page_redirect_uri(struct op *op)
{
	return op_printf(op, "%s" CALLBACK, op->config->issuer);
}

/* An application of ours: it can send people nowhere but to the test page. */
static bool
is_ours(const struct catalog_app *app)
{
	return object_is_test_page(OBJECT_APP, app->body);
}

const struct catalog_app *
test_page_app(struct op *op)
{
	const struct catalog_app *app = test_page_left_ms(op) ? catalog_app(catalog_get(op), TEST_PAGE_APP) : NULL;

	return app && is_ours(app) && app->body->enabled && !strcmp(app->body->redirect_uris.v[0], test_page_redirect_uri(op)) ? app : NULL;
}

static int
make_app(struct op *op)
{
	const char *scopes[] = { "openid", "profile", "email", "roles" };
	const char *uri = test_page_redirect_uri(op);
	const struct shape_app app = { .name = TEST_PAGE_APP, .title = "Keyward test page", .type = "public",
		.redirect_uris = { &uri, 1 }, .alg = "ES256", .typ = "at+jwt", .scopes = { scopes, countof(scopes) }, .enabled = true };
	struct object_change change = { .kind = OBJECT_APP, .body = &app };
	const struct catalog_app *there = catalog_app_by_name(catalog_get(op), TEST_PAGE_APP);
	struct objects_result result;

	if (there && !is_ours(there))
		return op_fail(op, ERR_CONFLICT, "there is an application called " TEST_PAGE_APP " that is not the test page; remove it or "
		    "give it another name first");
	return objects_change(op, &change, 1, &(struct objects_options){ .source = "test page" }, &result);
}

static int
remove_app(struct op *op)
{
	const struct catalog_app *there = catalog_app_by_name(catalog_get(op), TEST_PAGE_APP);
	struct object_change change = { .kind = OBJECT_APP, .name = TEST_PAGE_APP };
	struct objects_result result;

	if (!there || !is_ours(there))
		return 0;
	return objects_change(op, &change, 1, &(struct objects_options){ .source = "test page" }, &result);
}

static int
record_open(struct op *op, void *arg)
{
	char until[TIME_TEXT_BYTES];
	const int64_t *sec = arg;

	return audit_record(op, EV_TEST_PAGE_OPEN, NULL, FACTS(FACT("until", time_text(op->now_ms + *sec * 1000, until))));
}

static int
record_close(struct op *op, void *arg)
{
	(void)arg;
	return audit_record(op, EV_TEST_PAGE_CLOSE, NULL, FACTS(FACT("app", TEST_PAGE_APP)));
}

int
test_page_open(struct op *op, int64_t sec)
{
	int rc = make_app(op);

	if (!rc)
		rc = db_run(op, record_open, &sec);
	/* a monotonic clock: setting the other one back does not keep it open */
	if (!rc)
		op->svc->test_page_until_ms = time_monotonic_ms() + sec * 1000;
	return rc;
}

int
test_page_close(struct op *op)
{
	int rc;

	op->svc->test_page_until_ms = 0;
	rc = remove_app(op);
	return rc ? rc : db_run(op, record_close, NULL);
}

int
test_page_tidy(struct op *op)
{
	const struct catalog_app *there = catalog_app_by_name(catalog_get(op), TEST_PAGE_APP);

	return there && is_ours(there) && !test_page_left_ms(op) ? test_page_close(op) : 0;
}

/* ---- the browser's value ---- */

const char *
test_page_secret(const struct request *request)
{
	size_t count = 0;
	const char *secret = http_pair(&request->cookies, COOKIE, &count);

	return secret && count == 1 && strlen(secret) == SECRET_LENGTH ? secret : NULL;
}

void
test_page_forget(struct reply *reply)
{
	reply_header(reply, "Set-Cookie", COOKIE "=" COOKIE_FLAGS "0");
}

const char *
test_page_derive(struct op *op, const char *secret, const char *purpose)
{
	const struct hash_part parts[] = { { "keyward test page v1", 20 }, { purpose, strlen(purpose) + 1 } };
	unsigned char mac[SHA256_BYTES];

	hmac_sha256(secret, strlen(secret), parts, countof(parts), mac);
	return base64url_encode(op->mem, mac, sizeof(mac));
}

/* ---- pages ---- */

/* While it is closed there is no such path, for everybody. */
int
test_page_check_open(struct op *op)
{
	return test_page_app(op) ? 0 : op_fail(op, ERR_NOT_FOUND, "the test page is closed (keyward test-page open)");
}

HANDLER(page_test)
{
	struct web_test_page page = { PAGE_FRAME_PLAIN(op) };
	int rc = test_page_check_open(op);

	if (rc)
		return rc;
	page.minutes = op_printf(op, "%lld", (long long)(test_page_left_ms(op) / 60000 + 1));
	page.csrf = form_token(op, request, reply);
	page_send(op, reply, 200, web_test_page(op->mem, op->caller.language, &page), "");
	return 0;
}

static char *
challenge_of(struct op *op, const char *verifier)
{
	unsigned char digest[SHA256_BYTES];

	sha256(verifier, strlen(verifier), digest);
	return base64url_encode(op->mem, digest, sizeof(digest));
}

HANDLER(page_test_start)
{
	struct buf url = buf_in(op->mem);
	const char *secret;
	int rc = test_page_check_open(op);

	(void)request;
	if (rc)
		return rc;
	secret = random_secret(op);
	buf_add(&url, "/oauth2/authorize");
	param_add(&url, '?', "response_type", "code");
	param_add(&url, '&', "client_id", TEST_PAGE_APP);
	param_add(&url, '&', "redirect_uri", test_page_redirect_uri(op));
	param_add(&url, '&', "scope", "openid profile email roles");
	param_add(&url, '&', "state", test_page_derive(op, secret, "state"));
	param_add(&url, '&', "nonce", test_page_derive(op, secret, "nonce"));
	param_add(&url, '&', "code_challenge", challenge_of(op, test_page_derive(op, secret, "verifier")));
	param_add(&url, '&', "code_challenge_method", "S256");
	reply_header(reply, "Set-Cookie", arena_printf(reply->mem, COOKIE "=%s" COOKIE_FLAGS COOKIE_SEC, secret));
	reply_redirect(reply, url.text);
	return 0;
}
