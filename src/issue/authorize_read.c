/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The parameters of an authorization request, one function each in the order of OpenID Connect Core 3.1.2.1.  Unknown ones
 * are ignored. The sentences of failures go to the application as error_description: plain words that repeat nothing of the
 * request.
 */
#include "authorize_int.h"

#include <string.h>

#define STATE_MAX_BYTES 2048
#define NONCE_MAX_BYTES 512
#define HINT_MAX_BYTES 256

/* OpenID Connect Core 6, 7.2.1: what we do not offer must be said, not ignored.  Nothing is ever fetched. */
static int
read_refused(struct op *op, struct authorize *a)
{
	if (param(a->given, "request"))
		return op_fail(op, ERR_REQUEST_OBJECT, "request objects are not offered");
	if (param(a->given, "request_uri"))
		return op_fail(op, ERR_REQUEST_URI, "request objects by reference are not offered");
	if (param(a->given, "registration"))
		return op_fail(op, ERR_REGISTRATION, "registration by request is not offered");
	return 0;
}

static int
read_response(struct op *op, struct authorize *a)
{
	const char *type = param(a->given, "response_type"), *mode = param(a->given, "response_mode");

	if (!type)
		return op_fail(op, ERR_INVALID, "parameter response_type is missing");
	/* RFC 9700 2.1.2: no implicit grant */
	if (strcmp(type, "code") != 0)
		return op_fail(op, ERR_RESPONSE_TYPE, "the only response_type is code");
	if (mode && strcmp(mode, "query") != 0)
		return op_fail(op, ERR_INVALID, "the only response_mode is query");
	return 0;
}

/* A state that is too long is not sent back; the request has failed then. */
static int
read_state(struct op *op, struct authorize *a)
{
	const char *state = param(a->given, "state"), *nonce = param(a->given, "nonce");

	if (state && strlen(state) > STATE_MAX_BYTES)
		return op_fail(op, ERR_INVALID, "parameter state is longer than 2048 bytes");
	if (nonce && strlen(nonce) > NONCE_MAX_BYTES)
		return op_fail(op, ERR_INVALID, "parameter nonce is longer than 512 bytes");
	a->nonce = nonce;
	return 0;
}

static int
read_challenge(struct op *op, struct authorize *a)
{
	const char *challenge = param(a->given, "code_challenge"), *method = param(a->given, "code_challenge_method");
	bool may_lack = client_has_secret(a->app) && a->app->body->pkce_optional;

	/* RFC 9700 2.1.1: required for public applications, and for others unless they cannot */
	if (!challenge)
		return may_lack && !method ? 0 : op_fail(op, ERR_INVALID, "parameter code_challenge is missing");
	/* RFC 7636 4.3: the method is plain when it is not given, and plain is refused (ASVS 10.4.6) */
	if (!method || strcmp(method, "S256") != 0)
		return op_fail(op, ERR_INVALID, "the only code_challenge_method is S256");
	if (!pkce_is_challenge(challenge))
		return op_fail(op, ERR_INVALID, "parameter code_challenge is not the base64url of a SHA-256");
	a->challenge = challenge;
	return 0;
}

static int
read_prompt(struct op *op, struct authorize *a)
{
	const char *prompt = param(a->given, "prompt");
	bool is_alone;

	if (!prompt)
		return 0;
	/* consent and select_account have nothing to show: applications are the clinic's own, and there is one account a browser */
	if (!scope_is_within(prompt, "none login consent select_account"))
		return op_fail(op, ERR_INVALID, "parameter prompt has an unknown value");
	is_alone = !scope_has(prompt, "login") && !scope_has(prompt, "consent") && !scope_has(prompt, "select_account");
	a->is_silent = scope_has(prompt, "none");
	a->want_login = scope_has(prompt, "login");
	if (a->is_silent && !is_alone)
		return op_fail(op, ERR_INVALID, "prompt none stands alone");
	return 0;
}

static int
read_max_age(struct op *op, struct authorize *a)
{
	const char *text = param(a->given, "max_age");
	size_t n;

	if (!text)
		return 0;
	n = strlen(text);
	if (n > 9 || strspn(text, "0123456789") != n)
		return op_fail(op, ERR_INVALID, "parameter max_age is no number of seconds");
	a->max_age_sec = 0;
	for (; *text; text++)
		a->max_age_sec = a->max_age_sec * 10 + (*text - '0');
	return 0;
}

static int
read_hints(struct op *op, struct authorize *a)
{
	const char *hint = param(a->given, "id_token_hint"), *login = param(a->given, "login_hint");
	json_t *claims;

	if (login && strlen(login) <= HINT_MAX_BYTES && !text_has_control(login))
		a->login_hint = login;
	if (!hint)
		return 0;
	/* OpenID Connect Core 3.1.2.1, 3.1.2.2: an ID token of ours for this application; it may have expired */
	if (token_verify_hint(op, hint, &claims) || strcmp(json_get_text(claims, "aud"), a->app->body->name) != 0) {
		op_forgive(op);
		return op_fail(op, ERR_INVALID, "parameter id_token_hint is no ID token that was issued to this application");
	}
	a->hint_sub = json_get_text(claims, "sub");
	return 0;
}

static int
read_claims(struct op *op, struct authorize *a)
{
	int rc = claims_read(op, param(a->given, "claims"), &a->claims);

	if (!rc && a->claims.is_acr_unmet)
		return op_fail(op, ERR_FORBIDDEN, "the essential acr cannot be given");
	return rc;
}

int
authorize_read(struct op *op, struct authorize *a)
{
	static int (*const steps[])(struct op *, struct authorize *) = {
		read_refused, read_response, read_state, read_challenge, read_prompt, read_max_age, read_hints, read_claims,
	};
	const char *state = param(a->given, "state");
	int rc = param_check(op, a->given);

	if (state && !param_is_repeated(a->given, "state") && strlen(state) <= STATE_MAX_BYTES && text_is_utf8(state, strlen(state)))
		a->state = state;
	for (size_t i = 0; !rc && i < countof(steps); i++)
		rc = steps[i](op, a);
	return rc ? rc : scope_settle(op, a->app, param(a->given, "scope"), &a->scope);
}
