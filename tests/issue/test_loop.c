/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What is answered on the network loop, where there is no database (the stage takes it away), and what goes to a lane: there
 * everything is as if the loop had not been asked.
 */
#include "stage.h"

TestSuite(loop, .init = stage_open, .fini = stage_close, .timeout = 60);

static struct got
on_loop(handler_fn *handler, const char *basic, const char *const *given)
{
	return ask((struct ask){ .handler = handler, .method = HTTP_POST, .basic = basic, .given = given, .is_on_loop = true });
}

#define cr_expect_lane(got) cr_expect((got).rc == 0 && (got).wants_lane, "%d %s", (got).rc, op_failure((got).op))

Test(loop, a_token_in_memory_is_answered)
{
	struct got got = redeem("rp1", code_of_rp1());
	const char *const *token = GIVEN("token", text_of(&got, "access_token"));

	cr_expect_lane(on_loop(oidc_introspect, "rp1", token));
	cr_expect(is_active("rp1", token[1]));
	got = on_loop(oidc_introspect, "rp1", token);
	cr_expect_not(got.wants_lane);
	cr_expect(json_get_bool(got.json, "active"));
	/* it is in memory, but not for everybody */
	got = on_loop(oidc_introspect, "rp2", token);
	cr_expect_not(got.wants_lane);
	cr_expect_not(json_get_bool(got.json, "active"));
}

Test(loop, refresh_tokens_and_strangers_need_a_lane)
{
	struct got got = redeem("rp1", code_of_rp1());

	cr_assert(is_active("rp1", text_of(&got, "access_token")));
	cr_expect_lane(on_loop(oidc_introspect, "rp1", GIVEN("token", text_of(&got, "refresh_token"))));
	cr_expect_lane(on_loop(oidc_introspect, "Basic cnAxOndyb25n", GIVEN("token", text_of(&got, "access_token"))));
	cr_expect_lane(on_loop(oidc_introspect, NULL, GIVEN("token", text_of(&got, "access_token"))));
}

Test(loop, a_token_whose_session_ended_is_not_answered)
{
	struct got got = redeem("rp1", code_of_rp1());
	const char *const *token = GIVEN("token", text_of(&got, "access_token"));

	cr_assert(is_active("rp1", token[1]));
	live_drop(stage.svc.live, &(struct live_ids){ .session_id = stage.alice.session_id });
	cr_expect_lane(on_loop(oidc_introspect, "rp1", token));
}

Test(loop, a_service_gets_its_token)
{
	struct got got = on_loop(oidc_token, "lab", GIVEN("grant_type", "client_credentials"));

	cr_expect_not(got.wants_lane);
	cr_expect(text_of(&got, "access_token"));
}

Test(loop, what_is_slow_or_refused_needs_a_lane)
{
	struct got got = redeem("rp1", code_of_rp1());

	cr_expect_lane(on_loop(oidc_token, "slow", GIVEN("grant_type", "client_credentials")));
	cr_expect_lane(on_loop(oidc_token, "rp1", GIVEN("grant_type", "client_credentials")));
	cr_expect_lane(on_loop(oidc_token, "Basic bGFiOndyb25n", GIVEN("grant_type", "client_credentials")));
	cr_expect_lane(on_loop(oidc_token, "lab", GIVEN("grant_type", "client_credentials", "scope", "nonsense")));
	cr_expect_lane(on_loop(oidc_token, "rp1", GIVEN("grant_type", "refresh_token", "refresh_token", text_of(&got, "refresh_token"))));
	cr_expect_lane(on_loop(oidc_token, "rp1", NOTHING));
	/* nothing of this has spent anything */
	cr_expect_eq(refresh("rp1", text_of(&got, "refresh_token")).rc, 0);
	cr_expect_str_eq(post(oidc_token, "rp1", GIVEN("grant_type", "client_credentials")).error, "unauthorized_client");
	cr_expect_str_eq(post(oidc_token, "slow", GIVEN("grant_type", "client_credentials")).error, "");
}
