/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The authorization endpoint (RFC 6749 3.1, OpenID Connect Core 3.1.2), from the request to the code.  Read the last function
 * first: application and redirect URI, then the rest of the request (authorize_read.c), then the session.  Until the redirect
 * URI is known to be registered every failure is a page of ours; from then on it goes back to the application.
 */
#include "authorize_int.h"

#include <string.h>

#include "base/clock.h"
#include "base/time.h"
#include "base/uuid.h"
#include "login/flow.h"
#include "login/session.h"
#include "people/keyring.h"

#define MARKER_NAME "keyward_after"
#define MARKER_PURPOSE "authorize after v1"
#define MARKER_MAX_AGE_MS 3600000
#define MAC_LENGTH 43                   /* base64url of 256 bits */
#define TEXT_MAX_BYTES 8000             /* of a request that waits for a sign-in in an address */

/* Everything in the request that counts, in the order of the table; what comes back after a sign-in. */
static char *
write_request(struct op *op, const struct http_pairs *given)
{
	static const char *const names[] = {
		"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "code_challenge",
		"code_challenge_method", "prompt", "max_age", "display", "ui_locales", "claims_locales", "id_token_hint", "login_hint",
		"acr_values", "claims",
	};
	struct buf buf = buf_in(op->mem);

	for (size_t i = 0; i < countof(names); i++)
		if (param(given, names[i]))
			param_add(&buf, buf.length ? '&' : '?', names[i], param(given, names[i]));
	return buf.text;
}

/* ---- the marker: "signed in at or after", bound to this very request by our MAC ---- */

static char *
marker_mac(struct op *op, const char *after, const char *text)
{
	unsigned char mac[SHA256_BYTES];
	const struct hash_part parts[] = {
		{ MARKER_PURPOSE, sizeof(MARKER_PURPOSE) }, { after, strlen(after) + 1 }, { text, strlen(text) + 1 },
	};

	keyring_mac(op, parts, countof(parts), mac);
	return base64url_encode(op->mem, mac, sizeof(mac));
}

/* The time of a marker that is ours, of this request and not old; else 0, and the request starts anew. */
static int64_t
read_marker(struct op *op, const struct authorize *a, const char *text)
{
	const char *marker = param(a->given, MARKER_NAME), *mac, *after;
	int64_t after_ms = 0;
	size_t digits;

	if (!marker)
		return 0;
	digits = strspn(marker, "0123456789");
	if (!digits || digits > 15 || marker[digits] != '.' || strlen(marker + digits + 1) != MAC_LENGTH)
		return 0;
	after = op_strndup(op, marker, digits);
	mac = marker + digits + 1;
	if (!bytes_equal(mac, marker_mac(op, after, text), MAC_LENGTH))
		return 0;
	for (; *after; after++)
		after_ms = after_ms * 10 + (*after - '0');
	return after_ms <= op->now_ms && op->now_ms - after_ms < MARKER_MAX_AGE_MS ? after_ms : 0;
}

/* ---- answers ---- */

/* RFC 6749 4.1.2.1, RFC 9207 2 */
static int
refuse(struct op *op, struct reply *reply, const struct authorize *a, int rc)
{
	const struct error_row *row = error_row(rc);

	if (rc != ERR_LOGIN_REQUIRED)
		client_refused(op, a->app, rc);
	reply_redirect(reply, redirect_build(op, a->redirect_uri, "error", row->oauth,
	    "error_description", row->status < 500 ? op_failure(op) : NULL, "state", a->state, "iss", op->config->issuer, NULL));
	return 0;
}

struct issue {
	struct authorization row;
	const char *client_id;
};

static int
issue_body(struct op *op, void *arg)
{
	const struct issue *issue = arg;
	int rc = db_authorization_create(op, &issue->row);

	return rc ? rc : audit_record(op, EV_CODE_ISSUE, issue->row.user_id,
	    FACTS(FACT("app", issue->client_id), FACT("scope", issue->row.scope)));
}

static int
issue_code(struct op *op, struct reply *reply, const struct authorize *a, const struct session *session)
{
	int64_t refresh_end_ms = session->auth_ms + op->config->refresh_absolute * 1000;
	struct issue issue = { .client_id = a->app->body->name, .row = {
		.session_id = session->id, .user_id = session->user_id, .app_id = a->app->id, .scope = a->scope,
		.redirect_uri = a->redirect_uri, .nonce = a->nonce, .claims = a->claims.asked, .code_challenge = a->challenge,
		.code_until_ms = op->now_ms + op->config->code_lifetime * 1000, .until_ms = session->until_ms, .created_ms = op->now_ms,
	} };
	char id[UUID_TEXT_BYTES];
	char *code;
	int rc;

	uuid_new(id, op->now_ms);
	issue.row.id = id;
	if (scope_has(a->scope, "offline_access") && refresh_end_ms > issue.row.until_ms)
		issue.row.until_ms = refresh_end_ms;
	code = code_new(op, id, issue.row.code_hash);
	rc = db_run_last(op, issue_body, &issue);
	if (rc)
		return rc;
	/* RFC 9207 2: iss, against mix-up */
	reply_redirect(reply, redirect_build(op, a->redirect_uri, "code", code, "state", a->state, "iss", op->config->issuer, NULL));
	return 0;
}

/* ---- the session ---- */

/* A session may answer unless the request wants a newer sign-in or another person. */
static bool
is_enough(const struct op *op, const struct authorize *a, const struct session *session)
{
	if (a->want_login)
		return false;
	/* OpenID Connect Core 3.1.2.1: max_age */
	if (a->max_age_sec >= 0 && op->now_ms - session->auth_ms > a->max_age_sec * 1000)
		return false;
	return true;
}

static bool
is_right_person(const struct authorize *a, const struct session *session)
{
	return (!a->hint_sub || !strcmp(a->hint_sub, session->user_id)) && (!a->claims.sub || !strcmp(a->claims.sub, session->user_id));
}

static int
start_sign_in(struct op *op, struct reply *reply, const struct authorize *a, const char *text, int64_t after_ms, bool is_again)
{
	char *after = op_printf(op, "%lld", (long long)(after_ms ? after_ms : op->now_ms));

	if (strlen(text) > TEXT_MAX_BYTES)
		return op_fail(op, ERR_INVALID, "the request is too long to wait for a sign-in");
	flow_start(op, reply, op_printf(op, "/oauth2/authorize%s&%s=%s.%s", text, MARKER_NAME, after, marker_mac(op, after, text)),
	    a->login_hint, is_again);
	return 0;
}

static int
answer(struct op *op, const struct request *request, struct reply *reply, const struct authorize *a)
{
	const char *text = write_request(op, a->given);
	int64_t after_ms = read_marker(op, a, text);
	struct session *session;
	bool is_fresh, is_good;
	int rc = session_find(op, request, &session);

	if (rc)
		return rc;
	/* a browser withholds our SameSite=Lax cookie from another site's POST, but not from the GET that follows a redirect */
	if (!session && request->method == HTTP_POST) {
		reply_redirect(reply, op_printf(op, "/oauth2/authorize%s", text));
		return 0;
	}
	is_fresh = session && after_ms && session->auth_ms >= after_ms;
	if (is_fresh && !is_right_person(a, session))
		return op_fail(op, ERR_LOGIN_REQUIRED, "another person than the requested one signed in");
	is_good = session && is_right_person(a, session) && (is_fresh || is_enough(op, a, session));
	if (is_good)
		return issue_code(op, reply, a, session);
	/* OpenID Connect Core 3.1.2.6 */
	if (a->is_silent)
		return op_fail(op, ERR_LOGIN_REQUIRED, "the person must sign in");
	return start_sign_in(op, reply, a, text, after_ms, session != NULL);
}

/* ---- the endpoint ---- */

/* RFC 6749 3.1.2.4, 4.1.2.1: nothing is sent to an address that is not registered for a known application. */
static int
read_client(struct op *op, struct authorize *a)
{
	const char *client_id = param(a->given, "client_id"), *redirect_uri = param(a->given, "redirect_uri");

	if (param_is_repeated(a->given, "client_id") || param_is_repeated(a->given, "redirect_uri"))
		return op_fail(op, ERR_INVALID, "client_id or redirect_uri was given twice");
	if (!client_id)
		return op_fail(op, ERR_UNKNOWN_APP, "parameter client_id is missing");
	a->app = catalog_app(catalog_get(op), client_id);
	if (!a->app || !a->app->body->enabled || !strcmp(a->app->body->type, "service")) {
		a->app = NULL;
		return op_fail(op, ERR_UNKNOWN_APP, "the application is not known, not enabled, or signs nobody in");
	}
	/* OpenID Connect Core 3.1.2.1: required, even when only one is registered */
	if (!redirect_uri)
		return op_fail(op, ERR_REDIRECT, "parameter redirect_uri is missing");
	if (!redirect_is_registered(&a->app->body->redirect_uris, redirect_uri))
		return op_fail(op, ERR_REDIRECT, "the redirect_uri is not registered for application %s", a->app->body->name);
	a->redirect_uri = redirect_uri;
	return 0;
}

HANDLER(oidc_authorize)
{
	struct authorize a = { .given = request->method == HTTP_POST ? &request->form : &request->query, .max_age_sec = -1 };
	int rc;

	/* RFC 9110 9.2.1: HEAD changes nothing, and a code is a change */
	if (request->method == HTTP_HEAD)
		return op_fail(op, ERR_METHOD, "this path has no such method");
	rc = read_client(op, &a);
	if (rc)
		return client_refused(op, a.app, rc);
	rc = authorize_read(op, &a);
	if (!rc)
		rc = clock_check(op);
	if (!rc)
		rc = answer(op, request, reply, &a);
	return rc ? refuse(op, reply, &a, rc) : 0;
}
