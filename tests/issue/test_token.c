/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The token endpoint and what follows it: each test named O.. or T.. is an attack, and goes red when the check that stops it
 * is taken out.
 */
#include "stage.h"

#include <pthread.h>

TestSuite(token, .init = stage_open, .fini = stage_close, .timeout = 60);

/* ---- the good way ---- */

Test(token, code_gives_tokens_that_say_what_they_should)
{
	struct got got = redeem("rp1", code_of_rp1());
	json_t *access, *id;

	cr_assert_eq(got.rc, 0, "%s", op_failure(got.op));
	cr_expect_str_eq(text_of(&got, "token_type"), "Bearer");
	cr_expect_eq(json_get_int(got.json, "expires_in"), 300);
	cr_expect_str_eq(http_pair(&got.reply->headers, "Cache-Control", NULL), "no-store");
	access = claims_of(text_of(&got, "access_token"));
	cr_expect_str_eq(json_get_text(access, "iss"), ISSUER);
	cr_expect_str_eq(json_get_text(access, "sub"), stage.alice.user_id);
	cr_expect_str_eq(json_get_text(access, "aud"), "rp1");
	cr_expect_str_eq(json_get_text(access, "client_id"), "rp1");
	cr_expect_str_eq(json_get_text(access, "sid"), stage.alice.session_id);
	cr_expect_str_eq(json_get_text(access, "scope"), ALL_SCOPES);
	cr_expect_eq(json_get_int(access, "exp") - json_get_int(access, "iat"), 300);
	id = claims_of(text_of(&got, "id_token"));
	cr_expect_str_eq(json_get_text(id, "aud"), "rp1");
	cr_expect_str_eq(json_get_text(id, "nonce"), "n-1");
	cr_expect_str_eq(json_get_text(id, "acr"), "pwd");
	cr_expect_eq(strlen(json_get_text(id, "at_hash")), 22);
	cr_expect_null(json_object_get(id, "client_id"));
	cr_expect_null(json_object_get(id, "email"));
	cr_expect(json_is_array(json_object_get(id, "roles")));
	cr_expect_eq(audited(EV_TOKEN_ISSUE), 1);
}

Test(token, service_gets_a_token_and_no_row)
{
	struct got got = post(oidc_token, "lab", GIVEN("grant_type", "client_credentials"));
	json_t *claims;
	struct op *op = stage_op();

	cr_assert_eq(got.rc, 0, "%s", op_failure(got.op));
	claims = claims_of(text_of(&got, "access_token"));
	cr_expect_str_eq(json_get_text(claims, "sub"), "lab");
	cr_expect_str_eq(json_get_text(claims, "scope"), "lab.read");
	cr_expect_null(text_of(&got, "refresh_token"));
	post(oidc_token, "lab", GIVEN("grant_type", "client_credentials"));
	cr_expect_eq(audited(EV_TOKEN_CLIENT), 0);
	must(op, oidc_flush(op));
	cr_expect_eq(audited(EV_TOKEN_CLIENT), 1);
	must(op, oidc_flush(op));
	cr_expect_eq(audited(EV_TOKEN_CLIENT), 1);
}

Test(token, userinfo_gives_the_claims_of_the_scopes)
{
	struct got got = redeem("rp1", code_of_rp1()), info;
	const char *header = op_printf(got.op, "Bearer %s", text_of(&got, "access_token"));

	info = ask((struct ask){ .handler = oidc_userinfo, .method = HTTP_GET, .basic = header, .given = NOTHING });
	cr_assert_eq(info.rc, 0, "%s", op_failure(info.op));
	cr_expect_str_eq(text_of(&info, "sub"), stage.alice.user_id);
	cr_expect_str_eq(text_of(&info, "given_name"), "Ada");
	cr_expect_str_eq(text_of(&info, "email"), "alice@clinic.test");
	cr_expect(json_get_bool(info.json, "email_verified"));
	cr_expect_str_eq(json_get_text(json_object_get(info.json, "address"), "locality"), "Seaford");
	/* by POST, in the form */
	info = post(oidc_userinfo, NULL, GIVEN("access_token", text_of(&got, "access_token")));
	cr_expect_str_eq(text_of(&info, "sub"), stage.alice.user_id);
}

/* ---- O02: a code is good once ---- */

Test(token, O02_second_use_kills_the_first)
{
	const char *code = code_of_rp1();
	struct got first = redeem("rp1", code), second;

	cr_assert(is_active("rp1", text_of(&first, "access_token")));
	second = redeem("rp1", code);
	cr_expect_str_eq(second.error, "invalid_grant");
	cr_expect_not(is_active("rp1", text_of(&first, "access_token")));
	cr_expect_not(is_active("rp1", text_of(&first, "refresh_token")));
	cr_expect_str_eq(refresh("rp1", text_of(&first, "refresh_token")).error, "invalid_grant");
	cr_expect_eq(audited(EV_TOKEN_REUSE), 1);
}

Test(token, O02_second_use_after_its_time_kills_too)
{
	const char *code = code_of_rp1();
	struct got first = redeem("rp1", code);

	stage.shift_ms = 90000;
	cr_expect_str_eq(redeem("rp1", code).error, "invalid_grant");
	cr_expect_not(is_active("rp1", text_of(&first, "access_token")));
}

struct race {
	const char *code, *refresh;
	_Atomic int won, refused, other;
};

static void *
run_race(void *arg)
{
	struct race *race = arg;
	struct got got = race->code ? redeem("rp1", race->code) : refresh("rp1", race->refresh);

	if (!got.rc)
		race->won++;
	else if (!strcmp(got.error, "invalid_grant"))
		race->refused++;
	else
		race->other++;
	return NULL;
}

static void
race_with_50(struct race *race)
{
	pthread_t threads[50];

	for (size_t i = 0; i < countof(threads); i++)
		pthread_create(&threads[i], NULL, run_race, race);
	for (size_t i = 0; i < countof(threads); i++)
		pthread_join(threads[i], NULL);
	cr_expect_eq(race->won, 1, "%d won", race->won);
	cr_expect_eq(race->refused, 49, "%d refused, %d other", race->refused, race->other);
	cr_expect_eq(audited(EV_TOKEN_REUSE), 1);
}

Test(token, O02_of_50_at_once_one_wins)
{
	race_with_50(&(struct race){ .code = code_of_rp1() });
}

/* ---- O03: a code belongs to its application, address and verifier ---- */

Test(token, O03_code_is_bound)
{
	const char *code = code_of_rp1();

	cr_expect_str_eq(redeem("rp2", code).error, "invalid_grant");
	cr_expect_str_eq(post(oidc_token, NULL, GIVEN("client_id", "spa", "grant_type", "authorization_code", "code", code,
	    "redirect_uri", RP1_URI, "code_verifier", VERIFIER)).error, "invalid_grant");
	cr_expect_str_eq(post(oidc_token, "rp1", GIVEN("grant_type", "authorization_code", "code", code, "redirect_uri",
	    RP1_URI "/two", "code_verifier", VERIFIER)).error, "invalid_grant");
	cr_expect_str_eq(post(oidc_token, "rp1", GIVEN("grant_type", "authorization_code", "code", code, "code_verifier", VERIFIER)).error,
	    "invalid_grant");
	cr_expect_eq(redeem("rp1", code).rc, 0);
}

Test(token, O03_code_ends_with_its_minute)
{
	const char *code = code_of_rp1();

	stage.shift_ms = 61000;
	cr_expect_str_eq(redeem("rp1", code).error, "invalid_grant");
}

Test(token, O03_code_ends_with_its_session)
{
	const char *code = code_of_rp1();

	end_session_of(&stage.alice);
	cr_expect_str_eq(redeem("rp1", code).error, "invalid_grant");
}

Test(token, O03_code_ends_with_its_person)
{
	const char *code = code_of_rp1();

	disable(&stage.alice);
	cr_expect_str_eq(redeem("rp1", code).error, "invalid_grant");
}

/* The second lock: the row of the authorization itself was not ended. */
Test(token, O03_O05_every_use_looks_at_session_and_person_itself)
{
	struct someone again = stage.alice;
	const char *code = code_of_rp1(), *new_code;
	struct got tokens = redeem("rp1", code_of_rp1()), new_tokens;

	end_half(&test_session_end, stage.alice.session_id);
	cr_expect_str_eq(redeem("rp1", code).error, "invalid_grant");
	cr_expect_str_eq(refresh("rp1", text_of(&tokens, "refresh_token")).error, "invalid_grant");
	cr_expect_not(is_active("rp1", text_of(&tokens, "access_token")));
	stage_sign_in(&again);
	new_code = code_for((struct stage_code){ &again, "rp1", RP1_URI, ALL_SCOPES, CHALLENGE, NULL, { 0 } });
	new_tokens = redeem("rp1", code_for((struct stage_code){ &again, "rp1", RP1_URI, ALL_SCOPES, CHALLENGE, NULL, { 0 } }));
	end_half(&test_user_disable, again.user_id);
	cr_expect_str_eq(redeem("rp1", new_code).error, "invalid_grant");
	cr_expect_str_eq(refresh("rp1", text_of(&new_tokens, "refresh_token")).error, "invalid_grant");
	cr_expect_not(is_active("rp1", text_of(&new_tokens, "access_token")));
}

Test(token, O03_guessed_secret_is_no_code)
{
	struct op *op = stage_op();
	char *code = op_strdup(op, code_of_rp1());

	code[40] = code[40] == 'A' ? 'B' : 'A';
	cr_expect_str_eq(redeem("rp1", code).error, "invalid_grant");
	cr_expect_eq(audited(EV_TOKEN_REUSE), 0);
}

/* ---- O04: PKCE ---- */

static const char *
redeem_with(const char *challenge, const char *verifier)
{
	const char *code = code_for((struct stage_code){ &stage.alice, "rp1", RP1_URI, "openid", challenge, NULL, { 0 } });

	return post(oidc_token, "rp1", GIVEN("grant_type", "authorization_code", "code", code, "redirect_uri", RP1_URI,
	    verifier ? "code_verifier" : "x", verifier ? verifier : "x")).error;
}

Test(token, O04_verifier_must_fit)
{
	cr_expect_str_eq(redeem_with(CHALLENGE, NULL), "invalid_grant");
	cr_expect_str_eq(redeem_with(CHALLENGE, ""), "invalid_grant");
	cr_expect_str_eq(redeem_with(CHALLENGE, CHALLENGE), "invalid_grant");
	cr_expect_str_eq(redeem_with(NULL, VERIFIER), "invalid_grant");
	cr_expect_str_eq(redeem_with(CHALLENGE, VERIFIER), "");
}

Test(token, O04_lengths_are_checked_themselves)
{
	struct op *op = stage_op();
	char verifier[130];
	unsigned char hash[SHA256_BYTES];

	for (size_t n = 41; n <= 129; n++) {
		memset(verifier, 'a', n);
		verifier[n] = '\0';
		sha256(verifier, n, hash);
		cr_expect_eq(pkce_fits(op, base64url_encode(op->mem, hash, sizeof(hash)), verifier), n >= 43 && n <= 128, "%zu", n);
	}
}

/* ---- O05: refresh tokens ---- */

Test(token, O05_rotation_and_reuse)
{
	struct got first = redeem("rp1", code_of_rp1()), second = refresh("rp1", text_of(&first, "refresh_token")), third;

	cr_assert_eq(second.rc, 0, "%s", op_failure(second.op));
	cr_expect_str_neq(text_of(&first, "refresh_token"), text_of(&second, "refresh_token"));
	third = refresh("rp1", text_of(&second, "refresh_token"));
	cr_assert_eq(third.rc, 0);
	cr_assert(is_active("rp1", text_of(&third, "access_token")));
	/* the first one again: everything ends */
	cr_expect_str_eq(refresh("rp1", text_of(&first, "refresh_token")).error, "invalid_grant");
	cr_expect_str_eq(refresh("rp1", text_of(&third, "refresh_token")).error, "invalid_grant");
	cr_expect_not(is_active("rp1", text_of(&third, "access_token")));
	cr_expect_eq(audited(EV_TOKEN_REUSE), 1);
}

Test(token, O05_of_50_at_once_one_wins)
{
	struct got first = redeem("rp1", code_of_rp1());

	race_with_50(&(struct race){ .refresh = text_of(&first, "refresh_token") });
}

Test(token, O05_another_application_has_no_use_of_it)
{
	struct got first = redeem("rp1", code_of_rp1());

	cr_expect_str_eq(refresh("rp2", text_of(&first, "refresh_token")).error, "invalid_grant");
	cr_expect_eq(refresh("rp1", text_of(&first, "refresh_token")).rc, 0);
}

Test(token, O05_forged_number_has_no_effect)
{
	struct got first = redeem("rp1", code_of_rp1()), second;
	struct op *op = stage_op();
	char *forged;

	second = refresh("rp1", text_of(&first, "refresh_token"));
	/* number 2 becomes number 1 with the wrong MAC: were it believed, everything would end */
	forged = op_strdup(op, text_of(&second, "refresh_token"));
	cr_assert_eq(forged[37], '2');
	forged[37] = '1';
	cr_expect_str_eq(refresh("rp1", forged).error, "invalid_grant");
	cr_expect_eq(audited(EV_TOKEN_REUSE), 0);
	cr_expect_eq(refresh("rp1", text_of(&second, "refresh_token")).rc, 0);
}

Test(token, O05_scope_shrinks_and_never_grows)
{
	const char *code = code_for((struct stage_code){ &stage.alice, "rp1", RP1_URI, "openid email offline_access", CHALLENGE, NULL, { 0 } });
	struct got first = redeem("rp1", code), second;

	second = post(oidc_token, "rp1", GIVEN("grant_type", "refresh_token", "refresh_token", text_of(&first, "refresh_token"),
	    "scope", "openid roles"));
	cr_expect_str_eq(second.error, "invalid_scope");
	second = post(oidc_token, "rp1", GIVEN("grant_type", "refresh_token", "refresh_token", text_of(&first, "refresh_token"),
	    "scope", "openid"));
	cr_assert_eq(second.rc, 0);
	cr_expect_str_eq(json_get_text(claims_of(text_of(&second, "access_token")), "scope"), "openid");
}

Test(token, O05_refresh_ends_with_person)
{
	struct got first = redeem("rp1", code_of_rp1());

	disable(&stage.alice);
	cr_expect_str_eq(refresh("rp1", text_of(&first, "refresh_token")).error, "invalid_grant");
}

Test(token, O05_refresh_ends_by_idling)
{
	struct got first = redeem("rp1", code_of_rp1());

	stage.shift_ms = 8LL * 3600000 + 1000;
	cr_expect_str_eq(refresh("rp1", text_of(&first, "refresh_token")).error, "invalid_grant");
}

Test(token, O05_refresh_ends_by_age)
{
	struct got got = redeem("rp1", code_of_rp1());

	stage.shift_ms = 6LL * 3600000;
	got = refresh("rp1", text_of(&got, "refresh_token"));
	cr_assert_eq(got.rc, 0);
	stage.shift_ms = 12LL * 3600000 + 1000;
	cr_expect_str_eq(refresh("rp1", text_of(&got, "refresh_token")).error, "invalid_grant");
}

Test(token, O05_no_refresh_without_offline_access)
{
	const char *code = code_for((struct stage_code){ &stage.alice, "rp1", RP1_URI, "openid", CHALLENGE, NULL, { 0 } });
	struct got got = redeem("rp1", code);
	struct op *op = stage_op();
	const char *jti = json_get_text(claims_of(text_of(&got, "access_token")), "jti");

	cr_expect_null(text_of(&got, "refresh_token"));
	/* even one that was made with our own key */
	cr_expect_str_eq(refresh("rp1", refresh_write(op, op_strndup(op, jti, 36), 1)).error, "invalid_grant");
}

/* ---- O06: revocation ---- */

Test(token, O06_revoked_refresh_token_takes_all_along)
{
	struct got first = redeem("rp1", code_of_rp1());

	cr_assert(is_active("rp1", text_of(&first, "access_token")));
	cr_expect_eq(post(oidc_revoke, "rp1", GIVEN("token", text_of(&first, "refresh_token"))).status, 200);
	cr_expect_not(is_active("rp1", text_of(&first, "access_token")));
	cr_expect_str_eq(refresh("rp1", text_of(&first, "refresh_token")).error, "invalid_grant");
	cr_expect_eq(audited(EV_TOKEN_REVOKE), 1);
}

Test(token, O06_revoked_access_token_dies_alone)
{
	struct got first = redeem("rp1", code_of_rp1()), second;

	second = refresh("rp1", text_of(&first, "refresh_token"));
	cr_assert(is_active("rp1", text_of(&first, "access_token")));
	cr_expect_eq(post(oidc_revoke, "rp1", GIVEN("token", text_of(&first, "access_token"))).status, 200);
	cr_expect_not(is_active("rp1", text_of(&first, "access_token")));
	cr_expect_str_eq(post(oidc_userinfo, NULL, GIVEN("access_token", text_of(&first, "access_token"))).error, "invalid_token");
	cr_expect(is_active("rp1", text_of(&second, "access_token")));
}

Test(token, O06_another_applications_token_is_left_alone)
{
	struct got first = redeem("rp1", code_of_rp1());

	cr_expect_eq(post(oidc_revoke, "rp2", GIVEN("token", text_of(&first, "refresh_token"))).status, 200);
	cr_expect_eq(post(oidc_revoke, "rp2", GIVEN("token", text_of(&first, "access_token"))).status, 200);
	cr_expect_eq(post(oidc_revoke, "rp2", GIVEN("token", "nonsense")).status, 200);
	cr_expect(is_active("rp1", text_of(&first, "access_token")));
	cr_expect_eq(refresh("rp1", text_of(&first, "refresh_token")).rc, 0);
	cr_expect_eq(audited(EV_TOKEN_REVOKE), 0);
}

static int
break_store(struct op *op, void *arg)
{
	(void)arg;
	return db_exec(op, &test_break, NO_ARGS, NULL);
}

Test(token, O06_a_failing_store_is_told)
{
	struct got first = redeem("rp1", code_of_rp1()), got;
	struct op *op = stage_op();

	must(op, db_run(op, break_store, NULL));
	got = post(oidc_revoke, "rp1", GIVEN("token", text_of(&first, "refresh_token")));
	cr_expect_eq(error_row(got.rc)->status, 503, "%d %s", got.rc, op_failure(got.op));
	cr_expect(is_active("rp1", text_of(&first, "access_token")));
}

/* ---- O07: introspection ---- */

Test(token, O07_only_those_concerned_may_ask)
{
	struct got first = redeem("rp1", code_of_rp1());
	const char *token = text_of(&first, "access_token"), *code;

	cr_expect_str_eq(post(oidc_introspect, NULL, GIVEN("token", token)).error, "invalid_client");
	cr_expect_str_eq(post(oidc_introspect, NULL, GIVEN("token", token, "client_id", "spa")).error, "invalid_client");
	cr_expect_not(is_active("rp2", token));
	cr_expect(is_active("rp1", token));
	/* now it is in memory, and still not rp2's */
	cr_expect_not(is_active("rp2", token));
	cr_expect_not(is_active("rp2", text_of(&first, "refresh_token")));
	/* a resource server whose audience it is meant for */
	code = code_for((struct stage_code){ &stage.alice, "old", "https://old.test/cb", "openid", NULL, NULL, { 0 } });
	first = post(oidc_token, "old", GIVEN("grant_type", "authorization_code", "code", code, "redirect_uri", "https://old.test/cb"));
	cr_expect(is_active("lab", text_of(&first, "access_token")));
	cr_expect_not(is_active("rp1", text_of(&first, "access_token")));
}

Test(token, O07_tokens_die_with_session_and_person)
{
	struct got first = redeem("rp1", code_of_rp1()), second;
	const char *code;

	cr_assert(is_active("rp1", text_of(&first, "access_token")));
	end_session_of(&stage.alice);
	cr_expect_not(is_active("rp1", text_of(&first, "access_token")));
	code = code_for((struct stage_code){ &stage.bob, "rp1", RP1_URI, "openid", CHALLENGE, NULL, { 0 } });
	second = redeem("rp1", code);
	cr_assert(is_active("rp1", text_of(&second, "access_token")));
	disable(&stage.bob);
	cr_expect_not(is_active("rp1", text_of(&second, "access_token")));
}

Test(token, O07_tokens_end_in_time)
{
	struct got first = redeem("rp1", code_of_rp1());

	cr_assert(is_active("rp1", text_of(&first, "access_token")));
	stage.shift_ms = 301000;
	cr_expect_not(is_active("rp1", text_of(&first, "access_token")));
}

/* ---- O08: one kind of token is not another ---- */

static const char *
userinfo(const char *token)
{
	return post(oidc_userinfo, NULL, GIVEN("access_token", token)).error;
}

Test(token, O08_only_access_tokens_of_people_at_userinfo)
{
	const char *code = code_for((struct stage_code){ &stage.alice, "old", "https://old.test/cb", "openid offline_access", NULL, NULL, { 0 } });
	/* "old" has access tokens of typ JWT: as like an ID token as can be */
	struct got got = post(oidc_token, "old", GIVEN("grant_type", "authorization_code", "code", code, "redirect_uri",
	    "https://old.test/cb"));
	struct got service = post(oidc_token, "lab", GIVEN("grant_type", "client_credentials"));
	struct op *op = stage_op();
	json_t *claims;

	cr_expect_str_eq(userinfo(text_of(&got, "access_token")), "");
	cr_expect_str_eq(userinfo(text_of(&got, "id_token")), "invalid_token");
	cr_expect_str_eq(userinfo(text_of(&got, "refresh_token")), "invalid_token");
	cr_expect_str_eq(userinfo(text_of(&service, "access_token")), "invalid_token");
	cr_expect_str_eq(userinfo("nonsense"), "invalid_token");
	cr_expect_not(is_active("old", text_of(&got, "id_token")));
	/* and an access token is no hint */
	cr_expect_eq(token_verify_hint(op, text_of(&got, "id_token"), &claims), 0);
	cr_expect_eq(token_verify_hint(op, text_of(&got, "access_token"), &claims), ERR_INVALID_TOKEN);
}

Test(token, O08_token_without_openid_is_not_enough)
{
	const char *code = code_for((struct stage_code){ &stage.alice, "rp1", RP1_URI, "email", CHALLENGE, NULL, { 0 } });
	struct got got = redeem("rp1", code);

	cr_expect_null(text_of(&got, "id_token"));
	cr_expect_str_eq(userinfo(text_of(&got, "access_token")), "insufficient_scope");
}

Test(token, O08_token_in_the_query_is_refused)
{
	struct got got = redeem("rp1", code_of_rp1());

	got = ask((struct ask){ .handler = oidc_userinfo, .method = HTTP_GET, .given = GIVEN("access_token", text_of(&got, "access_token")) });
	cr_expect_str_eq(got.error, "invalid_request");
}

/* ---- O09: applications prove who they are, in one way ---- */

Test(token, O09_client_authentication)
{
	struct op *op = stage_op();
	const char *const *service = GIVEN("grant_type", "client_credentials");

#define BASIC(text) op_printf(op, "Basic %s", base64(op, text))
	cr_expect_str_eq(post(oidc_token, BASIC("lab:secret-of-lab"), service).error, "");
	cr_expect_str_eq(post(oidc_token, BASIC("%6cab:secret%2Dof-lab"), service).error, "");
	cr_expect_str_eq(post(oidc_token, BASIC("lab:wrong"), service).error, "invalid_client");
	cr_expect_str_eq(post(oidc_token, BASIC("lab:"), service).error, "invalid_client");
	cr_expect_str_eq(post(oidc_token, BASIC("LAB:secret-of-lab"), service).error, "invalid_client");
	cr_expect_str_eq(post(oidc_token, BASIC("lab:secret-of-lab%00"), service).error, "invalid_client");
	cr_expect_str_eq(post(oidc_token, BASIC("nobody:secret-of-nobody"), service).error, "invalid_client");
	cr_expect_str_eq(post(oidc_token, "Basic %%%", service).error, "invalid_client");
	cr_expect_str_eq(post(oidc_token, "Bearer abc", service).error, "invalid_client");
	cr_expect_str_eq(post(oidc_token, NULL, service).error, "invalid_client");
	cr_expect_str_eq(post(oidc_token, NULL, GIVEN("grant_type", "client_credentials", "client_id", "lab")).error, "invalid_client");
	cr_expect_str_eq(post(oidc_token, NULL, GIVEN("grant_type", "client_credentials", "client_id", "lab", "client_secret",
	    "secret-of-lab")).error, "");
	cr_expect_str_eq(post(oidc_token, "lab", GIVEN("grant_type", "client_credentials", "client_secret", "secret-of-lab")).error,
	    "invalid_request");
	cr_expect_str_eq(post(oidc_token, "lab", GIVEN("grant_type", "client_credentials", "client_id", "rp1")).error, "invalid_request");
	cr_expect_str_eq(post(oidc_token, "lab", GIVEN("grant_type", "client_credentials", "grant_type", "client_credentials")).error,
	    "invalid_request");
	cr_expect_str_eq(post(oidc_token, NULL, GIVEN("grant_type", "authorization_code", "client_id", "spa", "client_secret", "x",
	    "code", "x")).error, "invalid_client");
	cr_expect_str_eq(post(oidc_token, NULL, GIVEN("grant_type", "client_credentials", "client_id", "lab", "client_assertion", "x")).error,
	    "invalid_client");
}

Test(token, O11_grants_are_a_short_list)
{
	cr_expect_str_eq(post(oidc_token, "rp1", GIVEN("grant_type", "password", "username", "a", "password", "b")).error,
	    "unsupported_grant_type");
	cr_expect_str_eq(post(oidc_token, "rp1", GIVEN("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")).error,
	    "unsupported_grant_type");
	cr_expect_str_eq(post(oidc_token, "rp1", NOTHING).error, "invalid_request");
	cr_expect_str_eq(post(oidc_token, "rp1", GIVEN("grant_type", "client_credentials")).error, "unauthorized_client");
	cr_expect_str_eq(post(oidc_token, "lab", GIVEN("grant_type", "authorization_code", "code", "x")).error, "unauthorized_client");
}

Test(token, O16_a_service_gets_no_scope_of_people)
{
	struct got got = post(oidc_token, "lab", GIVEN("grant_type", "client_credentials", "scope", "lab.read openid roles admin"));

	cr_assert_eq(got.rc, 0);
	cr_expect_str_eq(text_of(&got, "scope"), "lab.read");
	cr_expect_str_eq(post(oidc_token, "lab", GIVEN("grant_type", "client_credentials", "scope", "openid")).error, "invalid_scope");
}

/* ---- T01, T02: the key decides the algorithm ---- */

/* The token with another header, and with another signature when there is one. */
static const char *
with_header(struct op *op, const char *token, const char *header, const char *signature)
{
	const char *payload = strchr(token, '.') + 1, *end = strchr(payload, '.');

	return op_printf(op, "%s.%.*s.%s", base64url_encode(op->mem, header, strlen(header)), (int)(end - payload), payload,
	    signature ? signature : end + 1);
}

Test(token, T01_alg_none)
{
	static const char *const algs[] = { "none", "None", "nOnE", "NONE", "", "HS256" };
	struct got got = redeem("rp1", code_of_rp1());
	const char *token = text_of(&got, "access_token"), *kid;
	struct op *op = stage_op();
	struct jws_header header;

	must(op, jws_peek(op, token, strlen(token), &header));
	kid = header.kid;
	for (size_t i = 0; i < countof(algs); i++) {
		const char *text = op_printf(op, "{\"alg\":\"%s\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}", algs[i], kid);

		cr_expect_str_eq(userinfo(with_header(op, token, text, "")), "invalid_token", "%s", algs[i]);
		cr_expect_not(is_active("rp1", with_header(op, token, text, "")));
		cr_expect_not(is_active("rp1", with_header(op, token, text, NULL)));
	}
	cr_expect_not(is_active("rp1", with_header(op, token, op_printf(op, "{\"typ\":\"at+jwt\",\"kid\":\"%s\"}", kid), NULL)));
	cr_expect_not(is_active("rp1", op_strndup(op, token, (size_t)(strrchr(token, '.') - token))));
	cr_expect(is_active("rp1", token));
}

Test(token, T02_published_key_as_a_shared_secret)
{
	struct got got = redeem("rp1", code_of_rp1());
	const char *token = text_of(&got, "access_token"), *body, *forged;
	struct op *op = stage_op();
	struct jws_header header;
	json_t *set, *key;
	size_t i;

	must(op, jws_peek(op, token, strlen(token), &header));
	body = strchr(token, '.') + 1;
	set = ask((struct ask){ .handler = oidc_jwks, .method = HTTP_GET, .given = NOTHING }).json;
	json_array_foreach(json_object_get(set, "keys"), i, key) {
		const char *text = json_text(op, key), *head = op_printf(op, "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}",
		    json_get_text(key, "kid"));
		unsigned char mac[SHA256_BYTES];
		const char *input = op_printf(op, "%s.%.*s", base64url_encode(op->mem, head, strlen(head)), (int)strcspn(body, "."), body);

		hmac_sha256(text, strlen(text), &(struct hash_part){ input, strlen(input) }, 1, mac);
		forged = op_printf(op, "%s.%s", input, base64url_encode(op->mem, mac, sizeof(mac)));
		cr_expect_str_eq(userinfo(forged), "invalid_token");
		/* O15: nothing private is published */
		cr_expect(!json_object_get(key, "d") && !json_object_get(key, "p") && !json_object_get(key, "k"));
	}
	cr_expect_eq(i, 2);
}
