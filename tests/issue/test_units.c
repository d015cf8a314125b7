/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The small decisions by themselves: redirect URIs, scopes, challenges, parameters, discovery, and the table of live tokens. */
#include "stage.h"

#include <pthread.h>

/* ---- O01: redirect URIs ---- */

static bool
is_match(const char *registered, const char *uri)
{
	return redirect_is_registered(&(struct strings){ &registered, 1 }, uri);
}

Test(redirect, O01_letter_by_letter)
{
	static const char *const strangers[] = {
		"https://rp1.test/cb/", "https://rp1.test/cb?x=1", "https://rp1.test/cb#f", "https://rp1.test/CB", "https://rp1.test:443/cb",
		"https://rp1.test/cb/../evil", "https://rp1.test/%2e%2e/", "https://rp1.test@evil.test/cb", "https://rp1.test.evil.test/cb",
		"https://rp1.test\\@evil.test/cb", "http://rp1.test/cb", "HTTPS://rp1.test/cb", "https://rp1.test/c", "https://rp1.test/cb ",
		"http://", "", "javascript:alert(1)", "//rp1.test/cb",
	};

	cr_expect(is_match(RP1_URI, RP1_URI));
	for (size_t i = 0; i < countof(strangers); i++)
		cr_expect_not(is_match(RP1_URI, strangers[i]), "%s", strangers[i]);
}

Test(redirect, O01_loopback_port_may_vary_and_nothing_else)
{
	cr_expect(is_match("http://127.0.0.1:7777/cb", "http://127.0.0.1:51004/cb"));
	cr_expect(is_match("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb"));
	cr_expect(is_match("http://127.0.0.1:7777/cb", "http://127.0.0.1/cb"));
	cr_expect(is_match("http://[::1]/cb", "http://[::1]:8/cb"));
	cr_expect_not(is_match("http://127.0.0.1:7777/cb", "http://127.0.0.1:7777/cb2"));
	cr_expect_not(is_match("http://127.0.0.1:7777/cb", "http://127.0.0.1:7777/cb?x=1"));
	cr_expect_not(is_match("http://127.0.0.1:7777/cb", "https://127.0.0.1:7777/cb"));
	cr_expect_not(is_match("http://127.0.0.1:7777/cb", "http://[::1]:7777/cb"));
	cr_expect_not(is_match("http://127.0.0.1:7777/cb", "http://127.0.0.1:7777@evil.test/cb"));
	cr_expect_not(is_match("http://127.0.0.1:7777/cb", "http://127.0.0.1:@evil.test/cb"));
	cr_expect_not(is_match("http://127.0.0.1:7777/cb", "http://127.0.0.1.evil.test/cb"));
	cr_expect_not(is_match("http://127.0.0.1:7777/cb", "http://127.0.0.1:/cb"));
	cr_expect_not(is_match("http://127.0.0.1:7777/cb", "http://127.0.0.1:0/cb"));
	cr_expect_not(is_match("http://127.0.0.1:7777/cb", "http://127.0.0.1:65536/cb"));
	cr_expect_not(is_match("http://127.0.0.1:7777/cb", "http://127.0.0.1:999999999999/cb"));
	cr_expect_not(is_match("http://localhost:7777/cb", "http://localhost:7778/cb"));
	cr_expect_not(is_match("https://127.0.0.1:7777/cb", "https://127.0.0.1:7778/cb"));
}

Test(redirect, answer_is_encoded)
{
	struct op *op = op_begin(NULL, NULL);

	cr_expect_str_eq(redirect_build(op, "https://a.test/cb", "code", "x", "state", "a b&c=\"<\xc3\xa9>", "gone", NULL, NULL),
	    "https://a.test/cb?code=x&state=a%20b%26c%3D%22%3C%C3%A9%3E");
	cr_expect_str_eq(redirect_build(op, "https://a.test/cb?k=v", "code", "x", NULL), "https://a.test/cb?k=v&code=x");
	op_end(op);
}

/* ---- scopes ---- */

static const char *
settled(const char *asked, const char *allowed)
{
	static struct op *volatile kept;        /* the text lives until the next call */
	struct op *op;
	struct shape_app body = { .name = "a", .scopes = { &allowed, allowed ? 1 : 0 } };
	struct catalog_app app = { .body = &body };
	char *scope;

	op_end(kept);
	op = kept = op_begin(NULL, NULL);
	return scope_settle(op, &app, asked, &scope) ? "refused" : scope;
}

Test(scope, O16_only_known_and_allowed)
{
	cr_expect_str_eq(settled("openid admin email openid", NULL), "openid email");
	cr_expect_str_eq(settled("email  openid ", NULL), "email openid");
	cr_expect_str_eq(settled("openid email", "openid"), "openid");
	cr_expect_str_eq(settled("lab.read", "lab.read"), "lab.read");
	cr_expect_str_eq(settled("admin", NULL), "refused");
	cr_expect_str_eq(settled("openid \"", NULL), "refused");
	cr_expect_str_eq(settled("openid\temail", NULL), "refused");
	cr_expect_str_eq(settled("openid \xc3\xa9", NULL), "refused");
	cr_expect_str_eq(settled(NULL, NULL), "refused");
	cr_expect(scope_is_within("a b", "b c a"));
	cr_expect_not(scope_is_within("a bc", "b c a"));
	cr_expect_not(scope_has("openid2", "openid"));
}

Test(pkce, challenge_form)
{
	cr_expect(pkce_is_challenge(CHALLENGE));
	cr_expect_not(pkce_is_challenge("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c"));
	cr_expect_not(pkce_is_challenge("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cMM"));
	cr_expect_not(pkce_is_challenge("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM"));
}

Test(param, form_encoding)
{
	struct op *op = op_begin(NULL, NULL);

	cr_expect_str_eq(param_decode(op, "a%20b+c", 7), "a b c");
	cr_expect_null(param_decode(op, "a%2", 3));
	cr_expect_null(param_decode(op, "a%zz", 4));
	cr_expect_null(param_decode(op, "a%00", 4));
	cr_expect_null(param_decode(op, "a\0b", 3));
	op_end(op);
}

/* ---- live tokens ---- */

TestSuite(live, .timeout = 60);

static struct services svc;

static struct op *
live_op(size_t max)
{
	/* each test is a process; what is kept here ends with it */
	static struct op *volatile kept;

	if (!svc.live)
		svc.live = live_new(max);
	kept = op_begin(&svc, NULL);
	return kept;
}

static const unsigned char *
hash_of(int n)
{
	static unsigned char hash[SHA256_BYTES];

	sha256(&n, sizeof(n), hash);
	return hash;
}

static void
put(struct op *op, int n, const struct live_ids *ids, uint64_t mark)
{
	live_put(op, hash_of(n), ids, mark, &(struct live_token){ "rp1", "aud", "{}", op->now_ms + 1000 });
}

Test(live, finds_what_was_put_until_it_ends)
{
	struct op *op = live_op(100);
	struct live_ids ids = { "user", "session", "authorization", "jti" };
	struct live_token token;

	cr_expect_not(live_find(op, hash_of(1), &token));
	put(op, 1, &ids, live_mark(svc.live, &ids));
	cr_assert(live_find(op, hash_of(1), &token));
	cr_expect_str_eq(token.client_id, "rp1");
	cr_expect_str_eq(token.audience, "aud");
	cr_expect_str_eq(token.answer, "{}");
	op->now_ms += 1000;
	cr_expect_not(live_find(op, hash_of(1), &token));
}

Test(live, every_end_reaches_it)
{
	struct op *op = live_op(100);
	const struct live_ids ids = { "user", "session", "authorization", "jti" };
	const struct live_ids ends[] = { { .user_id = "user" }, { .session_id = "session" }, { .authorization_id = "authorization" },
		{ .jti = "jti" } };
	struct live_token token;

	for (size_t i = 0; i < countof(ends); i++) {
		put(op, 1, &ids, live_mark(svc.live, &ids));
		cr_assert(live_find(op, hash_of(1), &token));
		live_drop(svc.live, &ends[i]);
		cr_expect_not(live_find(op, hash_of(1), &token), "%zu", i);
	}
	put(op, 1, &ids, live_mark(svc.live, &ids));
	live_on_end(op, &(struct end_notice){ .session_id = "another" });
	cr_expect(live_find(op, hash_of(1), &token));
}

Test(live, an_end_between_mark_and_put_is_seen)
{
	struct op *op = live_op(100);
	const struct live_ids ids = { "user", "session", "authorization", "jti" };
	uint64_t mark = live_mark(svc.live, &ids);
	struct live_token token;

	live_on_end(op, &(struct end_notice){ .user_id = "user" });
	put(op, 1, &ids, mark);
	cr_expect_not(live_find(op, hash_of(1), &token));
}

Test(live, is_bounded)
{
	struct op *op = live_op(640);
	const struct live_ids ids = { .user_id = "user" };
	struct live_token token;
	int found = 0;

	for (int i = 0; i < 5000; i++)
		put(op, i, &ids, live_mark(svc.live, &ids));
	for (int i = 0; i < 5000; i++)
		found += live_find(op, hash_of(i), &token);
	cr_expect(found > 300 && found <= 64 * 11, "%d", found);
	cr_expect(live_find(op, hash_of(4999), &token));
}

/* What the database would say in a race: ended, once the ender has said so; the drop follows, as on_end follows the commit. */
static _Atomic int ended_until, n_kept;

static void *
end_all_day(void *arg)
{
	struct op *op = op_begin(&svc, NULL);

	/* or it might be over before anything was kept */
	while (!n_kept)
		;
	for (int i = 1; i <= 20000; i++) {
		char id[20];

		snprintf(id, sizeof(id), "a%d", i);
		ended_until = i;                                        /* the commit */
		live_on_end(op, &(struct end_notice){ .authorization_id = id });        /* before it is acknowledged */
		*(_Atomic int *)arg = i;                                /* acknowledged */
	}
	op_end(op);
	return NULL;
}

Test(live, no_put_overtakes_an_end)
{
	struct op *op = live_op(100000);
	_Atomic int acknowledged = 0;
	struct live_token token;
	pthread_t thread;

	pthread_create(&thread, NULL, end_all_day, &acknowledged);
	while (acknowledged < 20000) {
		int n = ended_until + 1;                                /* the one that is about to end */
		char id[20];
		struct live_ids ids = { .authorization_id = id };
		uint64_t mark;

		snprintf(id, sizeof(id), "a%d", n);
		mark = live_mark(svc.live, &ids);
		if (ended_until >= n)
			continue;                                       /* the database says it is dead */
		put(op, n, &ids, mark);
		n_kept++;
		while (acknowledged < n && acknowledged < 20000)
			;
		cr_assert(n > 20000 || !live_find(op, hash_of(n), &token), "%d is still found after its end", n);
	}
	pthread_join(thread, NULL);
	cr_expect(n_kept > 0);
}

/* ---- with a stage: what tokens say of roles, and discovery ---- */

TestSuite(claims, .init = stage_open, .fini = stage_close, .timeout = 60);

struct given_grant {
	const char *role, *location;
};

static const char *
roles_of(const struct given_grant *given, size_t n)
{
	struct op *op = stage_op();
	const struct catalog_snapshot *c = catalog_get(op);
	struct grant *grants = op_alloc(op, (n + 1) * sizeof(*grants));
	struct subject subject = { .grants = grants, .n_grants = n };
	json_t *claims = json_own(op, json_object());

	for (size_t i = 0; i < n; i++) {
		grants[i].role_id = catalog_role(c, given[i].role)->id;
		grants[i].location_id = given[i].location ? catalog_location(c, given[i].location)->id : NULL;
	}
	claims_add_roles(op, claims, &subject);
	return json_text(op, claims);
}

#define ROLES_OF(...) roles_of((const struct given_grant[]){ __VA_ARGS__ }, countof(((const struct given_grant[]){ __VA_ARGS__ })))

Test(claims, a_region_reaches_its_locations)
{
	cr_expect_str_eq(ROLES_OF({ "nurse", "Coast" }),
	    "{\"roles\":[\"nurse\"],\"locations\":[\"Harbour\",\"Lighthouse\",\"Ward 2\"],"
	    "\"grants\":[{\"role\":\"nurse\",\"location\":\"Coast\",\"locations\":[\"Harbour\",\"Lighthouse\",\"Ward 2\"]}]}");
	cr_expect_str_eq(ROLES_OF({ "nurse", "Lighthouse" }, { "auditor", "Hills" }, { "nurse", "Lighthouse" }),
	    "{\"roles\":[\"auditor\",\"nurse\"],\"locations\":[\"Lighthouse\",\"Ridge\"],"
	    "\"grants\":[{\"role\":\"auditor\",\"location\":\"Hills\",\"locations\":[\"Ridge\"]},{\"role\":\"nurse\",\"location\":\"Lighthouse\"}]}");
}

Test(claims, a_site_keeps_its_name_beside_its_departments)
{
	cr_expect_str_eq(ROLES_OF({ "nurse", "Harbour" }),
	    "{\"roles\":[\"nurse\"],\"locations\":[\"Harbour\",\"Ward 2\"],"
	    "\"grants\":[{\"role\":\"nurse\",\"location\":\"Harbour\",\"locations\":[\"Harbour\",\"Ward 2\"]}]}");
}

Test(claims, a_grant_without_a_place_reaches_all)
{
	cr_expect_str_eq(ROLES_OF({ "auditor", NULL }),
	    "{\"roles\":[\"auditor\"],\"locations\":[\"Harbour\",\"Lighthouse\",\"Ridge\",\"Ward 2\"],"
	    "\"grants\":[{\"role\":\"auditor\"}]}");
	cr_expect_str_eq(roles_of(NULL, 0), "{\"roles\":[],\"locations\":[],\"grants\":[]}");
}

Test(claims, parameter_is_read_strictly)
{
	struct op *op = stage_op();
	struct claims_request r;

	must(op, claims_read(op, "{\"userinfo\":{\"email\":{\"essential\":true},\"odd\":null},\"id_token\":{\"name\":null}}", &r));
	cr_expect_str_eq(r.asked, "{\"id_token\":[\"name\"],\"userinfo\":[\"email\"]}");
	must(op, claims_read(op, "{\"id_token\":{\"sub\":{\"value\":\"u1\"},\"acr\":{\"essential\":true,\"values\":[\"mfa\",\"pwd\"]}}}", &r));
	cr_expect_str_eq(r.sub, "u1");
	cr_expect_not(r.is_acr_unmet);
	must(op, claims_read(op, "{\"id_token\":{\"acr\":{\"essential\":true,\"value\":\"mfa\"}}}", &r));
	cr_expect(r.is_acr_unmet);
	cr_expect_eq(claims_read(op, "[]", &r), ERR_INVALID);
	cr_expect_eq(claims_read(op, "{\"userinfo\":{\"email\":7}}", &r), ERR_INVALID);
	cr_expect_eq(claims_read(op, "{\"userinfo\":", &r), ERR_INVALID);
}

Test(claims, O16_asked_claims_need_an_allowed_scope)
{
	static const char asked[] = "{\"id_token\":[\"email\"],\"userinfo\":[\"email\"]}";
	struct op *op = stage_op();
	const struct catalog_snapshot *c = catalog_get(op);
	struct user user = { .mail = "a@clinic.test" };
	struct subject subject = { .user = &user };
	json_t *claims = json_own(op, json_object());

	/* rp2 may have openid and offline_access alone */
	claims_add_asked(op, claims, &subject, catalog_app(c, "rp2"), asked, "userinfo");
	cr_expect_eq(json_object_size(claims), 0);
	claims_add_asked(op, claims, &subject, catalog_app(c, "rp1"), asked, "userinfo");
	cr_expect_str_eq(json_get_text(claims, "email"), "a@clinic.test");
}

Test(claims, discovery_is_complete_and_true)
{
	struct got got = ask((struct ask){ .handler = oidc_discovery, .method = HTTP_GET, .given = NOTHING });

	cr_expect_str_eq(text_of(&got, "issuer"), ISSUER);
	cr_expect_str_eq(text_of(&got, "token_endpoint"), ISSUER "/oauth2/token");
	cr_expect_str_eq(text_of(&got, "end_session_endpoint"), ISSUER "/oauth2/logout");
	cr_expect(json_get_bool(got.json, "authorization_response_iss_parameter_supported"));
	cr_expect(json_is_false(json_object_get(got.json, "request_uri_parameter_supported")));
	cr_expect_eq(json_array_size(json_object_get(got.json, "code_challenge_methods_supported")), 1);
}
