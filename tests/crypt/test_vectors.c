/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Project Wycheproof's vectors (tests/crypt/vectors, Apache-2.0): every verdict as published.  A valid vector of an algorithm that we
 * do not offer must be refused, so each token test knows whether its key is one of ours.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/crypt/jwk_int.h"
#include "base/text.h"

struct count {
	int accepted, refused, unoffered;
};

static json_t *
load(const char *name)
{
	const char *srcdir = getenv("srcdir");
	char path[400];
	json_error_t error;
	json_t *file;

	snprintf(path, sizeof(path), "%s/tests/crypt/vectors/%s", srcdir ? srcdir : ".", name);
	file = json_load_file(path, 0, &error);
	cr_assert(file, "%s: %s", path, error.text);
	return file;
}

/* ES256 on P-256 or RS256, said by the key itself or by its kind. */
static bool
is_offered(const json_t *jwk)
{
	const char *kty = json_get_text(jwk, "kty"), *alg = json_get_text(jwk, "alg");

	if (strcmp(kty, "RSA") == 0)
		return !alg || strcmp(alg, "RS256") == 0;
	return strcmp(kty, "EC") == 0 && (!alg || strcmp(alg, "ES256") == 0);
}

/* The keys of a group: the public form where there is one, else what a symmetric group has. */
static json_t *
group_keys(const json_t *group)
{
	json_t *key = json_object_get(group, "public"), *keys;

	if (!key)
		key = json_object_get(group, "private");
	keys = json_object_get(key, "keys");
	return keys ? json_incref(keys) : json_pack("[O]", key);
}

/* What a service with these keys does: all of them must be good, and one whose algorithm fits must verify the token. */
static bool
accepts(struct op *op, const json_t *keys, const char *token)
{
	const json_t *item;
	bool is_good = false;
	size_t i;

	json_array_foreach(keys, i, item) {
		struct jwk *key = NULL;
		unsigned char *payload;
		size_t n;

		if (jwk_from_public_json(op, item, &key) < 0) {
			cr_assert(op->failure.code);
			return false;
		}
		if (jws_check(op, key, NULL, token, strlen(token), &payload, &n) == 0)
			is_good = true;
		jwk_free(key);
	}
	return is_good;
}

static struct count
run_tokens(const char *name)
{
	json_t *file = load(name), *groups = json_object_get(file, "testGroups"), *group, *test;
	struct count count = { 0 };
	size_t i, j;

	json_array_foreach(groups, i, group) {
		json_t *keys = group_keys(group);

		json_array_foreach(json_object_get(group, "tests"), j, test) {
			struct op *op = op_begin(NULL, NULL);
			json_t *jws = json_object_get(test, "jws");
			char *token = json_is_string(jws) ? op_strdup(op, json_string_value(jws)) : json_dumps(jws, JSON_COMPACT);
			bool is_valid = strcmp(json_get_text(test, "result"), "valid") == 0;
			bool is_ours = is_offered(json_array_get(keys, 0));
			bool is_good = accepts(op, keys, token ? token : "");

			cr_expect_eq(is_good, is_valid && is_ours, "%s %s %lld %s: %s", name, json_get_text(group, "comment"),
			    (long long)json_get_int(test, "tcId"), json_get_text(test, "comment"), op_failure(op));
			count.accepted += is_good;
			count.refused += !is_good;
			count.unoffered += is_valid && !is_ours;
			if (!json_is_string(jws))
				free(token);
			op_end(op);
		}
		json_decref(keys);
	}
	json_decref(file);
	return count;
}

Test(vectors, json_web_signature)
{
	struct count count = run_tokens("json_web_signature_test.json");

	cr_assert_eq(count.accepted + count.refused, 401);
	cr_assert_eq(count.accepted, 10);
	cr_assert_eq(count.unoffered, 36);
}

Test(vectors, json_web_key)
{
	struct count count = run_tokens("json_web_key_test.json");

	cr_assert_eq(count.accepted + count.refused, 26);
	cr_assert_eq(count.accepted, 1);
}

/* Its second half are encrypted tokens, which have five parts. */
Test(vectors, json_web_crypto)
{
	struct count count = run_tokens("json_web_crypto_test.json");

	cr_assert_eq(count.accepted + count.refused, 83);
	cr_assert_eq(count.accepted, 2);
}

/* The group's key as JWK; a few groups give only the point 04 || x || y. */
static json_t *
signature_key(struct op *op, const json_t *group, const char *member)
{
	json_t *jwk = json_object_get(group, member);
	unsigned char *point;
	size_t n;

	if (jwk)
		return jwk;
	cr_assert(hex_decode(op->mem, json_get_text(json_object_get(group, "publicKey"), "uncompressed"), &point, &n));
	cr_assert_eq(n, 65);
	return json_own(op, json_pack("{ss ss ss ss}", "kty", "EC", "crv", "P-256", "x", base64url_encode(op->mem, point + 1, 32),
	    "y", base64url_encode(op->mem, point + 33, 32)));
}

static void
run_signatures(const char *name, const char *key_member, int want_accepted, int want_total)
{
	json_t *file = load(name), *groups = json_object_get(file, "testGroups"), *group, *test;
	int accepted = 0, total = 0;
	size_t i, j;

	json_array_foreach(groups, i, group) {
		struct op *op = op_begin(NULL, NULL);
		struct jwk *key = NULL;

		cr_assert_eq(jwk_from_public_json(op, signature_key(op, group, key_member), &key), 0, "%s", op_failure(op));
		json_array_foreach(json_object_get(group, "tests"), j, test) {
			unsigned char *message, *signature;
			const char *result = json_get_text(test, "result");
			size_t message_n, signature_n;
			bool is_good;

			cr_assert(hex_decode(op->mem, json_get_text(test, "msg"), &message, &message_n));
			cr_assert(hex_decode(op->mem, json_get_text(test, "sig"), &signature, &signature_n));
			is_good = jwk_is_signed(key, message, message_n, signature, signature_n);
			/* "acceptable" is a signature without the NULL of its algorithm: we refuse it. */
			cr_expect_eq(is_good, strcmp(result, "valid") == 0, "%s %lld %s", name,
			    (long long)json_get_int(test, "tcId"), json_get_text(test, "comment"));
			accepted += is_good;
			total++;
		}
		jwk_free(key);
		op_end(op);
	}
	json_decref(file);
	cr_assert_eq(accepted, want_accepted, "%s: %d accepted", name, accepted);
	cr_assert_eq(total, want_total, "%s: %d run", name, total);
}

Test(vectors, ecdsa_p1363)
{
	run_signatures("ecdsa_secp256r1_sha256_p1363_test.json", "publicKeyJwk", 173, 262);
}

Test(vectors, rsa_pkcs1)
{
	run_signatures("rsa_signature_2048_sha256_test.json", "keyJwk", 9, 259);
}
