/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a browser brings to the provider: authorization requests and sign-outs.  O.. are attacks, as in test_token.c. */
#include "stage.h"

TestSuite(authorize, .init = stage_open, .fini = stage_close, .timeout = 60);
TestSuite(logout, .init = stage_open, .fini = stage_close, .timeout = 60);

/* A request of rp1 with some parameters replaced (value NULL: left out) or added, in GIVEN form. */
static const char *const *
request_with(struct op *op, const char *const *changes)
{
	static const char *const usual[] = {
		"client_id", "rp1", "redirect_uri", RP1_URI, "response_type", "code", "scope", "openid email", "state", "s t", "nonce", "n",
		"code_challenge", CHALLENGE, "code_challenge_method", "S256",
	};
	const char **out = op_alloc(op, 200 * sizeof(*out));
	size_t n = 0;

	for (size_t i = 0; i < countof(usual); i += 2) {
		bool is_changed = false;

		for (const char *const *at = changes; *at; at += 2)
			is_changed |= !strcmp(*at, usual[i]);
		if (is_changed)
			continue;
		out[n++] = usual[i];
		out[n++] = usual[i + 1];
	}
	for (const char *const *at = changes; *at; at += 2) {
		if (!at[1][0])
			continue;
		out[n++] = at[0];
		out[n++] = at[1];
	}
	return out;
}

static struct got
authorize_as(const struct someone *who, const char *const *changes)
{
	return ask((struct ask){ .handler = oidc_authorize, .method = HTTP_GET, .cookie = who ? who->cookie : NULL,
	    .given = request_with(stage.keep, changes) });
}

static struct got
authorize(const char *const *changes)
{
	return authorize_as(&stage.alice, changes);
}

/* A parameter of an address, decoded; NULL when absent. */
static const char *
in_address(const char *address, const char *name)
{
	struct op *op = stage_op();
	const char *at = address ? strchr(address, '?') : NULL;

	for (; at; at = strchr(at + 1, '&'))
		if (!strncmp(at + 1, name, strlen(name)) && at[1 + strlen(name)] == '=') {
			at += strlen(name) + 2;
			return param_decode(op, at, strcspn(at, "&"));
		}
	return NULL;
}

static const char *
error_of(const struct got *got)
{
	const char *error = in_address(got->location, "error");

	return error ? error : "";
}

static bool
is_page(const struct got *got)
{
	return got->rc < 0 && error_row(got->rc)->status == 400 && !got->location;
}

static bool
is_at_login(const struct got *got)
{
	return !got->rc && got->location && text_starts_with(got->location, "/login");
}

/* What the sign-in page would lead back to. */
static struct got
resume(const struct someone *who, const struct got *got)
{
	struct op *op = stage_op();
	const char *then = in_address(got->location, "then");
	const char **pairs = op_alloc(op, 200 * sizeof(*pairs));
	size_t n = 0;

	cr_assert(then && text_starts_with(then, "/oauth2/authorize?"), "%s", got->location);
	for (const char *at = strchr(then, '?'); at; at = strchr(at + 1, '&')) {
		size_t name = strcspn(at + 1, "="), value = strcspn(at + 2 + name, "&");

		pairs[n++] = param_decode(op, at + 1, name);
		pairs[n++] = param_decode(op, at + 2 + name, value);
	}
	return ask((struct ask){ .handler = oidc_authorize, .method = HTTP_GET, .cookie = who ? who->cookie : NULL, .given = pairs });
}

Test(authorize, gives_a_code_that_can_be_redeemed)
{
	struct got got = authorize(NOTHING), tokens;

	cr_assert_eq(got.rc, 0, "%s", op_failure(got.op));
	cr_expect_eq(got.status, 303);
	cr_expect(text_starts_with(got.location, RP1_URI "?code="));
	cr_expect_str_eq(in_address(got.location, "state"), "s t");
	cr_expect_str_eq(in_address(got.location, "iss"), ISSUER);
	tokens = redeem("rp1", in_address(got.location, "code"));
	cr_expect_eq(tokens.rc, 0, "%s", op_failure(tokens.op));
	cr_expect_str_eq(json_get_text(claims_of(text_of(&tokens, "id_token")), "nonce"), "n");
	cr_expect_eq(audited(EV_CODE_ISSUE), 1);
}

Test(authorize, by_post_from_another_site_goes_on_by_get)
{
	const char *const *given = request_with(stage.keep, NOTHING);
	struct got got = ask((struct ask){ .handler = oidc_authorize, .method = HTTP_POST, .given = given });

	cr_assert_eq(got.rc, 0);
	cr_expect_eq(got.status, 303);
	cr_expect(text_starts_with(got.location, "/oauth2/authorize?client_id=rp1&"));
	got = ask((struct ask){ .handler = oidc_authorize, .method = HTTP_POST, .cookie = stage.alice.cookie, .given = given });
	cr_expect(text_starts_with(got.location, RP1_URI "?code="));
}

Test(authorize, without_a_session_leads_to_the_sign_in_and_back)
{
	struct got got = authorize_as(NULL, GIVEN("login_hint", "alice"));

	cr_assert(is_at_login(&got), "%s", got.location);
	got = resume(&stage.alice, &got);
	cr_expect(text_starts_with(got.location, RP1_URI "?code="), "%s", got.location);
}

/* ---- O01 ---- */

Test(authorize, O01_strange_addresses_get_a_page)
{
	static const char *const strangers[] = {
		RP1_URI "/", RP1_URI "?x=1", RP1_URI "#f", "https://rp1.test/CB", "https://rp1.test:443/cb", RP1_URI "/../evil",
		"https://rp1.test@evil.test/cb", "https://rp1.test.evil.test/cb", "https://rp1.test\\@evil.test/cb", "http://",
		"javascript:alert(1)", RP2_URI, "http://localhost:7777/cb",
	};
	int64_t before = count_authorizations();
	struct op *op = stage_op();
	char *huge = op_alloc(op, 8193);
	struct got got;

	memset(huge, 'a', 8192);
	for (size_t i = 0; i < countof(strangers); i++) {
		got = authorize(GIVEN("redirect_uri", strangers[i]));
		cr_expect(is_page(&got), "%s", strangers[i]);
	}
	got = authorize(GIVEN("redirect_uri", huge));
	cr_expect(is_page(&got));
	got = authorize(GIVEN("redirect_uri", ""));
	cr_expect(is_page(&got));
	got = authorize(GIVEN("redirect_uri", RP1_URI, "redirect_uri", "https://evil.test/"));
	cr_expect(is_page(&got));
	got = authorize(GIVEN("redirect_uri", "https://evil.test/", "redirect_uri", RP1_URI));
	cr_expect(is_page(&got));
	got = authorize(GIVEN("client_id", "nobody"));
	cr_expect(is_page(&got));
	got = authorize(GIVEN("client_id", "lab"));
	cr_expect(is_page(&got));
	got = authorize(GIVEN("client_id", "rp1", "client_id", "rp2"));
	cr_expect(is_page(&got));
	got = authorize(GIVEN("client_id", ""));
	cr_expect(is_page(&got));
	cr_expect_eq(count_authorizations(), before);
	cr_expect(audited(EV_TOKEN_REFUSED) > 10);
}

Test(authorize, O01_only_the_port_of_a_loopback_address_varies)
{
	struct got got = authorize(GIVEN("client_id", "spa", "redirect_uri", "http://127.0.0.1:50123/cb"));

	cr_expect(text_starts_with(got.location, "http://127.0.0.1:50123/cb?code="));
	got = authorize(GIVEN("client_id", "spa", "redirect_uri", "http://127.0.0.1:50123/other"));
	cr_expect(is_page(&got));
}

/* ---- O04 ---- */

Test(authorize, O04_pkce_is_asked_for)
{
	struct got got;

#define expect_error(want, ...) do { \
	got = authorize(GIVEN(__VA_ARGS__)); \
	cr_expect_str_eq(error_of(&got), want, "%s", got.location); \
	cr_expect_str_eq(in_address(got.location, "iss"), ISSUER); \
	cr_expect_null(in_address(got.location, "code")); \
} while (0)
	expect_error("invalid_request", "code_challenge", "", "code_challenge_method", "");
	expect_error("invalid_request", "code_challenge", "");
	expect_error("invalid_request", "code_challenge_method", "");
	expect_error("invalid_request", "code_challenge_method", "plain");
	expect_error("invalid_request", "code_challenge", "short");
	expect_error("invalid_request", "client_id", "spa", "redirect_uri", SPA_URI, "code_challenge", "", "code_challenge_method", "");
	/* allowed only for an application that cannot, and has a secret */
	got = authorize(GIVEN("client_id", "old", "redirect_uri", "https://old.test/cb", "code_challenge", "", "code_challenge_method", ""));
	cr_expect(in_address(got.location, "code"));
}

/* ---- O11, O12, O14, O16: what is not offered is said ---- */

Test(authorize, O11_to_O16_are_refused_at_the_application)
{
	struct op *op = stage_op();
	struct got got;
	char *huge = op_alloc(op, 3001);

	memset(huge, 's', 3000);
	expect_error("invalid_request", "response_type", "");
	expect_error("unsupported_response_type", "response_type", "token");
	expect_error("unsupported_response_type", "response_type", "code id_token");
	expect_error("unsupported_response_type", "response_type", "none");
	expect_error("invalid_request", "response_type", "code", "response_type", "code");
	expect_error("invalid_request", "response_mode", "fragment");
	expect_error("request_not_supported", "request", "eyJhbGciOiJub25lIn0.e30.");
	expect_error("request_uri_not_supported", "request_uri", "http://127.0.0.1:9999/x");
	expect_error("registration_not_supported", "registration", "{}");
	expect_error("invalid_scope", "scope", "");
	expect_error("invalid_scope", "scope", "\"><img");
	expect_error("invalid_scope", "scope", "admin");
	expect_error("invalid_request", "state", huge);
	expect_error("invalid_request", "nonce", huge);
	expect_error("invalid_request", "max_age", "-1");
	expect_error("invalid_request", "prompt", "none login");
	expect_error("invalid_request", "prompt", "create");
	expect_error("invalid_request", "claims", "[]");
	expect_error("access_denied", "claims", "{\"id_token\":{\"acr\":{\"essential\":true,\"value\":\"mfa\"}}}");
	expect_error("invalid_request", "id_token_hint", "nonsense");
	/* a state comes back as it was, encoded */
	got = authorize(GIVEN("response_type", "token", "state", "<script>\"&=#"));
	cr_expect_str_eq(in_address(got.location, "state"), "<script>\"&=#");
	cr_expect_null(strpbrk(got.location, "<>\"#"));
}

Test(authorize, tolerates_what_the_standards_let_be)
{
	static const char *const more[][2] = {
		{ "display", "popup" }, { "ui_locales", "de fr" }, { "claims_locales", "se" }, { "acr_values", "1 2" }, { "extra", "x" },
		{ "max_age", "10000" }, { "nonce", "" }, { "state", "" }, { "prompt", "consent" }, { "response_mode", "query" },
		{ "claims", "{\"userinfo\":{\"name\":{\"essential\":true}}}" },
	};

	for (size_t i = 0; i < countof(more); i++) {
		struct got got = authorize(GIVEN(more[i][0], more[i][1]));

		cr_expect(in_address(got.location, "code"), "%s: %s", more[i][0], got.location);
	}
}

/* ---- O10: a fresh sign-in cannot be skipped ---- */

Test(authorize, O10_prompt_none)
{
	struct got got = authorize_as(NULL, GIVEN("prompt", "none"));

	cr_expect_str_eq(error_of(&got), "login_required");
	cr_expect_str_eq(in_address(got.location, "state"), "s t");
	got = authorize(GIVEN("prompt", "none"));
	cr_expect(in_address(got.location, "code"));
	stage.shift_ms = 20000;
	got = authorize(GIVEN("prompt", "none", "max_age", "10"));
	cr_expect_str_eq(error_of(&got), "login_required");
}

Test(authorize, O10_prompt_login_needs_a_newer_session)
{
	struct got got, again, forged;
	struct someone fresh = stage.alice;
	const char *marker;

	stage.shift_ms = 1000;
	got = authorize(GIVEN("prompt", "login"));
	cr_assert(is_at_login(&got), "%s", got.location);
	/* straight to where the sign-in would lead, with the old session */
	again = resume(&stage.alice, &got);
	cr_expect(is_at_login(&again), "%s", again.location);
	/* a marker of an earlier time, or none, or another request's */
	marker = strstr(in_address(got.location, "then"), "keyward_after=") + strlen("keyward_after=");
	forged = authorize(GIVEN("prompt", "login", "keyward_after", op_printf(stage.keep, "1%s", strchr(marker, '.'))));
	cr_expect(is_at_login(&forged));
	forged = authorize(GIVEN("prompt", "login", "state", "other", "keyward_after", marker));
	cr_expect(is_at_login(&forged));
	stage_sign_in(&fresh);
	forged = authorize_as(&fresh, GIVEN("prompt", "login", "state", "other", "keyward_after", marker));
	cr_expect(is_at_login(&forged));
	/* the honest way */
	got = resume(&fresh, &got);
	cr_expect(in_address(got.location, "code"), "%s", got.location);
}

Test(authorize, O10_marker_of_hours_ago_is_none)
{
	struct someone fresh = stage.alice;
	struct got got = authorize(GIVEN("prompt", "login"));

	stage_sign_in(&fresh);
	stage.shift_ms = 20 * 60000;
	stage_sign_in(&fresh);
	stage.shift_ms += 50 * 60000 - 1;
	stage_sign_in(&fresh);
	got = resume(&fresh, &got);
	cr_expect(is_at_login(&got), "%s", got.location);
}

Test(authorize, O10_max_age)
{
	struct got got;
	struct someone fresh = stage.alice;

	stage.shift_ms = 5000;
	got = authorize(GIVEN("max_age", "1"));
	cr_assert(is_at_login(&got));
	stage_sign_in(&fresh);
	stage.shift_ms = 10000;
	/* the sign-in took a while: it counts all the same, once */
	got = resume(&fresh, &got);
	cr_expect(in_address(got.location, "code"), "%s", got.location);
}

static const char *
id_token_of(const struct someone *who, const char *app, const char *uri)
{
	const char *code = code_for((struct stage_code){ who, app, uri, "openid", strcmp(app, "old") ? CHALLENGE : NULL, NULL, { 0 } });
	struct got got = post(oidc_token, app, GIVEN("grant_type", "authorization_code", "code", code, "redirect_uri", uri,
	    strcmp(app, "old") ? "code_verifier" : "x", VERIFIER));

	cr_assert_eq(got.rc, 0, "%s", op_failure(got.op));
	return text_of(&got, "id_token");
}

Test(authorize, hint_names_the_person)
{
	const char *alices = id_token_of(&stage.alice, "rp1", RP1_URI);
	struct got got;

	stage.shift_ms = 400000;
	got = authorize(GIVEN("prompt", "none", "id_token_hint", alices));
	cr_expect(in_address(got.location, "code"), "%s", got.location);
	got = authorize_as(&stage.bob, GIVEN("prompt", "none", "id_token_hint", alices));
	cr_expect_str_eq(error_of(&got), "login_required");
	got = authorize_as(&stage.bob, GIVEN("id_token_hint", alices));
	cr_assert(is_at_login(&got));
	stage_sign_in(&stage.bob);
	got = resume(&stage.bob, &got);
	cr_expect_str_eq(error_of(&got), "login_required");
	got = authorize(GIVEN("claims", op_printf(stage.keep, "{\"id_token\":{\"sub\":{\"value\":\"%s\"}}}", stage.bob.user_id),
	    "prompt", "none"));
	cr_expect_str_eq(error_of(&got), "login_required");
}

/* ---- RP-initiated logout: O13 ---- */

static struct got
logout_as(const struct someone *who, enum http_method method, const char *const *given)
{
	return ask((struct ask){ .handler = oidc_logout, .method = method, .cookie = who ? who->cookie : NULL, .given = given });
}

static bool
is_signed_in(const struct someone *who)
{
	struct got got = authorize_as(who, GIVEN("prompt", "none"));

	return in_address(got.location, "code") != NULL;
}

Test(logout, valid_hint_ends_the_session_and_leads_back)
{
	const char *hint = id_token_of(&stage.alice, "rp1", RP1_URI);
	struct got got;

	stage.shift_ms = 400000;        /* expired is fine */
	got = logout_as(&stage.alice, HTTP_GET, GIVEN("id_token_hint", hint, "post_logout_redirect_uri", "https://rp1.test/bye",
	    "state", "a b"));
	cr_assert_eq(got.rc, 0, "%s", op_failure(got.op));
	cr_expect_str_eq(got.location, "https://rp1.test/bye?state=a%20b");
	cr_expect_not(is_signed_in(&stage.alice));
	cr_expect_eq(audited(EV_SESSION_END), 1);
}

Test(logout, no_state_and_no_address)
{
	const char *hint = id_token_of(&stage.alice, "rp1", RP1_URI);
	struct got got = logout_as(&stage.alice, HTTP_GET, GIVEN("id_token_hint", hint, "post_logout_redirect_uri", "https://rp1.test/bye"));

	cr_expect_str_eq(got.location, "https://rp1.test/bye");
	hint = id_token_of(&stage.bob, "rp1", RP1_URI);
	got = logout_as(&stage.bob, HTTP_GET, GIVEN("id_token_hint", hint));
	cr_expect_eq(got.rc, 0);
	cr_expect_null(got.location);
	cr_expect_not(is_signed_in(&stage.bob));
}

Test(logout, O13_strange_addresses_lead_nowhere)
{
	static const char *const strangers[] = {
		"https://rp1.test/bye?x=1", "https://rp1.test/by", "https://rp1.test/bye/", "https://evil.test/", RP1_URI,
	};
	const char *hint = id_token_of(&stage.alice, "rp1", RP1_URI);

	for (size_t i = 0; i < countof(strangers); i++) {
		struct got got = logout_as(&stage.alice, HTTP_GET, GIVEN("id_token_hint", hint, "post_logout_redirect_uri", strangers[i]));

		cr_expect(is_page(&got), "%s", strangers[i]);
	}
	cr_expect(is_signed_in(&stage.alice));
}

Test(logout, O13_without_the_persons_own_hint_it_asks)
{
	struct op *op = stage_op();
	const char *bobs = id_token_of(&stage.bob, "rp1", RP1_URI);
	char *modified = op_strdup(op, id_token_of(&stage.alice, "rp1", RP1_URI));
	const char *const *ways[] = {
		NOTHING, GIVEN("state", "x"), GIVEN("post_logout_redirect_uri", "https://rp1.test/bye"),
		GIVEN("id_token_hint", bobs, "post_logout_redirect_uri", "https://rp1.test/bye"),
		GIVEN("id_token_hint", modified, "post_logout_redirect_uri", "https://rp1.test/bye"),
		GIVEN("id_token_hint", "eyJhbGciOiJub25lIn0.e30.", "post_logout_redirect_uri", "https://rp1.test/bye"),
		GIVEN("client_id", "rp1", "post_logout_redirect_uri", "https://rp1.test/bye"),
	};

	modified[strlen(modified) - 10] ^= 1;
	for (size_t i = 0; i < countof(ways); i++) {
		struct got got = logout_as(&stage.alice, HTTP_GET, ways[i]);

		cr_expect_eq(got.rc, 0, "%zu: %s", i, op_failure(got.op));
		cr_expect_null(got.location, "%zu: %s", i, got.location);
		cr_expect(got.reply->body_size > 0);
	}
	cr_expect(is_signed_in(&stage.alice));
}

Test(logout, O13_confirmation_needs_our_own_form)
{
	struct got got = logout_as(&stage.alice, HTTP_POST, GIVEN("confirm", "yes"));

	cr_expect_eq(got.rc, ERR_CSRF);
	got = logout_as(&stage.alice, HTTP_POST, GIVEN("confirm", "yes", "csrf", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
	cr_expect_eq(got.rc, ERR_CSRF);
	cr_expect(is_signed_in(&stage.alice));
}
