/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Tokens of our own: round trips, then the attacks of a hostile token (algorithm none, confusion of key kinds, kid, embedded
 * keys, malformed signatures, lax readers).  Every refusal starts from a token that is good but for the one thing under test.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509.h>

#include "../../src/crypt/jwk_int.h"
#include "base/text.h"
#include "crypt/hash.h"

static struct op *op;
static struct jwk *es, *rs;

static void
set_up(void)
{
	op = op_begin(NULL, NULL);
	cr_assert_eq(jwk_generate(op, "ES256", &es), 0, "%s", op_failure(op));
	cr_assert_eq(jwk_generate(op, "RS256", &rs), 0, "%s", op_failure(op));
}

static void
tear_down(void)
{
	jwk_free(es);
	jwk_free(rs);
	op_end(op);
}

TestSuite(jws, .init = set_up, .fini = tear_down);

#define CLAIMS "{\"sub\":\"u1\",\"aud\":\"a\"}"

/* A token with any header and payload, signed well by key. */
static char *
forge(const struct jwk *key, const char *header, size_t header_n, const char *payload, size_t payload_n)
{
	char *input = op_printf(op, "%s.%s", base64url_encode(op->mem, header, header_n), base64url_encode(op->mem, payload, payload_n));
	unsigned char signature[SIGNATURE_MAX_BYTES];
	size_t n;

	cr_assert_eq(jwk_sign(op, key, input, strlen(input), signature, &n), 0);
	return op_printf(op, "%s.%s", input, base64url_encode(op->mem, signature, n));
}

static char *
forge_header(const struct jwk *key, const char *header)
{
	return forge(key, header, strlen(header), CLAIMS, strlen(CLAIMS));
}

static int
check(const struct jwk *key, const char *typ, const char *token, size_t n)
{
	json_t *claims = NULL;
	int rc;

	op_forgive(op);
	rc = jws_verify(op, key, typ, token, n, &claims);
	cr_assert(rc == 0 || rc == ERR_INVALID_TOKEN, "code %d", rc);
	cr_assert_eq(rc, op->failure.code, "the failure is kept with its code");
	cr_assert((rc == 0) == (claims != NULL));
	return rc;
}

#define REFUSED(key, token, what) cr_expect_eq(check((key), NULL, (token), strlen(token)), ERR_INVALID_TOKEN, "%s", (what))
#define ACCEPTED(key, token, what) cr_expect_eq(check((key), NULL, (token), strlen(token)), 0, "%s: %s", (what), op_failure(op))

static void
round_trip(const struct jwk *key)
{
	json_t *claims = json_own(op, json_pack("{ss s[ss] si}", "sub", "Zoë \"x\"", "aud", "a", "b", "exp", 4102444800)), *got;
	json_t *public = json_own(op, jwk_public(key));
	struct jws_header header;
	struct jwk *verifier, *copy;
	unsigned char *der;
	size_t n;
	char *token;

	cr_assert_eq(jws_sign(op, key, "at+jwt", claims, &token), 0, "%s", op_failure(op));
	cr_assert_eq(jws_peek(op, token, strlen(token), &header), 0);
	cr_assert_str_eq(header.alg, jwk_alg(key));
	cr_assert_str_eq(header.kid, jwk_kid(key));
	cr_assert_str_eq(header.typ, "at+jwt");
	cr_assert_eq(jws_verify(op, key, "at+jwt", token, strlen(token), &got), 0);
	cr_assert(json_equal(claims, got));

	cr_assert_null(json_object_get(public, "d"));
	cr_assert_str_eq(json_get_text(public, "use"), "sig");
	cr_assert_eq(jwk_from_public_json(op, public, &verifier), 0, "%s", op_failure(op));
	cr_assert_str_eq(jwk_kid(verifier), jwk_kid(key));
	cr_assert_eq(jws_verify(op, verifier, "at+jwt", token, strlen(token), &got), 0);
	cr_assert_eq(jws_sign(op, verifier, "JWT", claims, &token), ERR_CRYPTO, "a public key signs nothing");
	op_forgive(op);
	cr_assert_eq(jwk_private_der(op, verifier, &der, &n), ERR_CRYPTO);
	op_forgive(op);

	cr_assert_eq(jwk_private_der(op, key, &der, &n), 0);
	cr_assert_eq(jwk_from_private_der(op, jwk_alg(key), der, n, &copy), 0, "%s", op_failure(op));
	cr_assert_str_eq(jwk_kid(copy), jwk_kid(key));
	cr_assert_eq(jws_sign(op, copy, NULL, claims, &token), 0);
	cr_assert_eq(jws_verify(op, verifier, NULL, token, strlen(token), &got), 0);
	jwk_free(copy);
	copy = NULL;
	cr_assert_neq(jwk_from_private_der(op, jwk_alg(key), der, n - 1, &copy), 0);
	op_forgive(op);
	cr_assert_neq(jwk_from_private_der(op, key->is_ec ? "RS256" : "ES256", der, n, &copy), 0, "alg and key must fit");
	op_forgive(op);
	cr_assert_null(copy);
	jwk_free(verifier);
}

Test(jws, es256)
{
	round_trip(es);
}

Test(jws, rs256)
{
	round_trip(rs);
}

/* RFC 7638 3.1 */
Test(jws, thumbprint)
{
	struct jwk *key = NULL;
	json_t *jwk = json_own(op, json_pack("{ss ss ss ss ss}", "kty", "RSA", "e", "AQAB", "alg", "RS256", "kid", "2011-04-29", "n",
	    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs"
	    "tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn"
	    "1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"));

	cr_assert_eq(jwk_from_public_json(op, jwk, &key), 0, "%s", op_failure(op));
	cr_assert_str_eq(jwk_kid(key), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
	jwk_free(key);
}

Test(jws, refuses_tokens_that_would_be_too_large)
{
	size_t n = TOKEN_MAX_BYTES;
	char *claims = op_alloc(op, n + 1), *token = NULL;

	memset(claims, ' ', n);
	cr_assert_eq(jws_sign_text(op, es, "JWT", claims, n - 5000, &token), 0, "%s", op_failure(op));
	cr_assert(strlen(token) <= TOKEN_MAX_BYTES);
	cr_assert_eq(jws_sign_text(op, es, "JWT", claims, n - 4000, &token), ERR_TOO_LARGE);
	op_forgive(op);
	cr_assert_eq(jws_sign_text(op, es, "JWT", claims, n, &token), ERR_TOO_LARGE);
}

/* T01: the algorithm "none" in all its spellings, and missing signatures. */
Test(jws, t01_alg_none)
{
	const char *const names[] = { "none", "None", "nOnE", "NONE", "", "es256", "ES256 ", "HS256", "ES384", "ES512", "PS256", "RS1", "EdDSA" };
	char *good = forge_header(es, "{\"alg\":\"ES256\"}"), *token;

	ACCEPTED(es, good, "the model of the forgeries");
	for (size_t i = 0; i < countof(names); i++) {
		token = forge_header(es, op_printf(op, "{\"alg\":\"%s\"}", names[i]));
		REFUSED(es, token, op_printf(op, "alg %s with a signature", names[i]));
		*(strrchr(token, '.') + 1) = '\0';
		REFUSED(es, token, op_printf(op, "alg %s without a signature", names[i]));
		*strrchr(token, '.') = '\0';
		REFUSED(es, token, op_printf(op, "alg %s without a second dot", names[i]));
	}
	REFUSED(es, forge_header(es, "{}"), "no alg");
	REFUSED(es, forge_header(es, "{\"alg\":null}"), "alg null");
	REFUSED(es, forge_header(es, "{\"alg\":[\"ES256\"]}"), "alg as list");
	REFUSED(es, forge_header(es, "{\"Alg\":\"ES256\"}"), "Alg");
	*(strrchr(good, '.') + 1) = '\0';
	REFUSED(es, good, "ES256 without a signature");
}

static char *
hmac_token(const void *secret, size_t n, const char *kid)
{
	char *header = op_printf(op, "{\"alg\":\"HS256\",\"kid\":\"%s\"}", kid);
	char *input = op_printf(op, "%s.%s", base64url_encode(op->mem, header, strlen(header)), base64url_encode(op->mem, CLAIMS, strlen(CLAIMS)));
	unsigned char mac[SHA256_BYTES];

	hmac_sha256(secret, n, &(struct hash_part){ input, strlen(input) }, 1, mac);
	return op_printf(op, "%s.%s", input, base64url_encode(op->mem, mac, sizeof(mac)));
}

/* T02: a MAC with something public as its key. */
Test(jws, t02_hmac_with_public_key)
{
	const struct jwk *const keys[] = { es, rs };

	for (size_t i = 0; i < countof(keys); i++) {
		json_t *public = json_own(op, jwk_public(keys[i]));
		char *text = json_text(op, public);
		unsigned char *der = NULL, *number;
		int der_n = i2d_PUBKEY(keys[i]->pkey, &der);
		size_t number_n;
		char *pem = op_printf(op, "-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n", base64url_encode(op->mem, der, (size_t)der_n));

		cr_assert(base64url_decode(op->mem, json_get_text(public, i ? "n" : "x"), strlen(json_get_text(public, i ? "n" : "x")),
		    &number, &number_n));
		REFUSED(keys[i], hmac_token(pem, strlen(pem), keys[i]->kid), "PEM");
		REFUSED(keys[i], hmac_token(der, (size_t)der_n, keys[i]->kid), "DER");
		REFUSED(keys[i], hmac_token(text, strlen(text), keys[i]->kid), "JWK");
		REFUSED(keys[i], hmac_token(number, number_n, keys[i]->kid), "modulus or x");
		REFUSED(keys[i], hmac_token("", 0, keys[i]->kid), "empty key");
		REFUSED(keys[i], hmac_token(keys[i]->kid, strlen(keys[i]->kid), keys[i]->kid), "kid");
		OPENSSL_free(der);
	}
	REFUSED(rs, forge_header(es, "{\"alg\":\"RS256\"}"), "an ES256 signature called RS256");
	REFUSED(es, forge_header(rs, "{\"alg\":\"ES256\"}"), "an RS256 signature called ES256");
	REFUSED(rs, forge_header(es, "{\"alg\":\"ES256\"}"), "ES256 token for an RS256 key");
	/* A good signature of the key over a header that names another algorithm: only the key decides. */
	REFUSED(rs, forge_header(rs, "{\"alg\":\"RS512\"}"), "RS512 for an RS256 key");
	REFUSED(rs, forge_header(rs, "{\"alg\":\"PS256\"}"), "PS256 for an RS256 key");
}

/* T03 as far as a token goes: kid is an opaque string, never a path or a statement; keyring looks it up by equality. */
Test(jws, t03_kid)
{
	struct jws_header header;
	char *token = forge_header(es, "{\"alg\":\"ES256\",\"kid\":\"../../../dev/null\"}");

	cr_assert_eq(jws_peek(op, token, strlen(token), &header), 0);
	cr_assert_str_eq(header.kid, "../../../dev/null");
	REFUSED(es, forge_header(es, "{\"alg\":\"ES256\",\"kid\":\"a\",\"kid\":\"b\"}"), "two kids");
	REFUSED(es, forge_header(es, "{\"alg\":\"ES256\",\"kid\":7}"), "kid as number");
	REFUSED(es, forge_header(es, "{\"alg\":\"ES256\",\"kid\":\"a\\u0000b\"}"), "NUL in kid");
	token = op_alloc(op, 1 << 20);
	memset(token, 'k', (1 << 20) - 1);
	token = forge_header(es, op_printf(op, "{\"alg\":\"ES256\",\"kid\":\"%s\"}", token));
	REFUSED(es, token, "kid of a megabyte");
	cr_assert_eq(jws_peek(op, token, strlen(token), &header), ERR_INVALID_TOKEN);
}

/* T04: a key or an address that the token brings along. */
Test(jws, t04_embedded_keys)
{
	struct jwk *attacker;
	char *jwk;

	cr_assert_eq(jwk_generate(op, "ES256", &attacker), 0);
	jwk = json_text(op, json_own(op, jwk_public(attacker)));
	REFUSED(es, forge_header(attacker, op_printf(op, "{\"alg\":\"ES256\",\"jwk\":%s}", jwk)), "jwk");
	REFUSED(es, forge_header(attacker, "{\"alg\":\"ES256\",\"jku\":\"http://127.0.0.1:1/jwks\"}"), "jku");
	REFUSED(es, forge_header(attacker, "{\"alg\":\"ES256\",\"x5u\":\"http://127.0.0.1:1/x\"}"), "x5u");
	REFUSED(es, forge_header(attacker, "{\"alg\":\"ES256\",\"x5c\":[\"AAAA\"]}"), "x5c");
	ACCEPTED(es, forge_header(es, op_printf(op, "{\"alg\":\"ES256\",\"jwk\":%s}", jwk)), "our own signature; the key is ignored");
	jwk_free(attacker);
}

/* token with its signature replaced */
static char *
resigned(const char *token, const void *signature, size_t n)
{
	size_t length = (size_t)(strrchr(token, '.') - token) + 1;

	return op_printf(op, "%.*s%s", (int)length, token, base64url_encode(op->mem, signature, n));
}

/* T05: signatures that are no pair of numbers between 1 and n-1 in 64 bytes. */
Test(jws, t05_signatures)
{
	static const unsigned char order[32] = { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51 };
	char *token = forge_header(es, "{\"alg\":\"ES256\"}");
	unsigned char bytes[80] = { 0 }, good[64], der[SIGNATURE_MAX_BYTES], *raw;
	size_t n, der_n = sizeof(der);
	char *input = op_strndup(op, token, (size_t)(strrchr(token, '.') - token));
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	cr_assert(base64url_decode(op->mem, strrchr(token, '.') + 1, strlen(strrchr(token, '.') + 1), &raw, &n));
	cr_assert_eq(n, 64);
	memcpy(good, raw, 64);
	ACCEPTED(es, resigned(token, good, 64), "the model");
	REFUSED(es, resigned(token, bytes, 64), "r = s = 0");
	REFUSED(es, resigned(token, bytes, 0), "empty");
	memcpy(bytes, order, 32);
	memcpy(bytes + 32, order, 32);
	REFUSED(es, resigned(token, bytes, 64), "r = s = n");
	memcpy(bytes + 32, good + 32, 32);
	REFUSED(es, resigned(token, bytes, 64), "r = n");
	memcpy(bytes, good, 64);
	memset(bytes + 64, 0, 16);
	REFUSED(es, resigned(token, bytes, 63), "63 bytes");
	REFUSED(es, resigned(token, bytes, 65), "65 bytes");
	cr_assert_eq(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, es->pkey), 1);
	cr_assert_eq(EVP_DigestSign(ctx, der, &der_n, (unsigned char *)input, strlen(input)), 1);
	REFUSED(es, resigned(token, der, der_n), "DER");
	EVP_MD_CTX_free(ctx);
	token = forge_header(rs, "{\"alg\":\"RS256\"}");
	cr_assert(base64url_decode(op->mem, strrchr(token, '.') + 1, strlen(strrchr(token, '.') + 1), &raw, &n));
	REFUSED(rs, resigned(token, raw, n - 1), "a short RSA signature");
	raw[n - 1] ^= 1;
	REFUSED(rs, resigned(token, raw, n), "a changed RSA signature");
}

static char *
inserted(const char *token, size_t at, const char *what)
{
	return op_printf(op, "%.*s%s%s", (int)at, token, what, token + at);
}

/* T06: what a lax base64url or JSON reader would let through. */
Test(jws, t06_base64url)
{
	char *token = forge_header(es, "{\"alg\":\"ES256\"}"), *changed;
	const char *const strange[] = { "=", "+", "/", " ", "\n", "\t", ".", "%", "\x80" };
	size_t n = strlen(token), end_of_header = strcspn(token, ".");

	for (size_t i = 0; i < countof(strange); i++) {
		REFUSED(es, inserted(token, 0, strange[i]), op_printf(op, "[%s] before", strange[i]));
		REFUSED(es, inserted(token, end_of_header, strange[i]), op_printf(op, "[%s] in the header", strange[i]));
		REFUSED(es, inserted(token, n - 10, strange[i]), op_printf(op, "[%s] in the signature", strange[i]));
		REFUSED(es, inserted(token, n, strange[i]), op_printf(op, "[%s] behind", strange[i]));
	}
	cr_assert_eq(check(es, NULL, token, n + 1), ERR_INVALID_TOKEN, "a NUL behind");
	/* 64 bytes leave four bits over: each other last character with the same upper bits must fail. */
	for (int i = 1; i < 16; i++) {
		static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

		changed = op_strdup(op, token);
		changed[n - 1] = alphabet[(strchr(alphabet, token[n - 1]) - alphabet) ^ i];
		REFUSED(es, changed, "trailing bits");
	}
	REFUSED(es, "", "empty");
	REFUSED(es, "..", "dots");
	REFUSED(es, op_printf(op, "%s.a.b", token), "five parts");
	REFUSED(es, "{\"payload\":\"e30\",\"signatures\":[]}", "JSON serialisation");
	changed = op_alloc(op, 10 << 20);
	memset(changed, 'A', (10 << 20) - 1);
	REFUSED(es, changed, "ten megabytes");
	REFUSED(es, op_printf(op, "%s%s", changed, token), "a header of ten megabytes");
}

/* A token that is good in everything but its size. */
Test(jws, t06_size)
{
	size_t n = TOKEN_MAX_BYTES;
	char *claims = op_alloc(op, n + 1), *token;

	memset(claims, ' ', n);
	memcpy(claims, CLAIMS, strlen(CLAIMS));
	token = forge(es, "{\"alg\":\"ES256\"}", 15, claims, n / 4 * 3 - 300);
	ACCEPTED(es, token, "just under the limit");
	token = forge(es, "{\"alg\":\"ES256\"}", 15, claims, n / 4 * 3 - 30);
	cr_assert_gt(strlen(token), TOKEN_MAX_BYTES);
	REFUSED(es, token, "just over the limit");
}

static void
refuse_payload(const char *payload, size_t n, const char *what)
{
	char *token = forge(es, "{\"alg\":\"ES256\"}", 15, payload, n);

	cr_expect_eq(check(es, NULL, token, strlen(token)), ERR_INVALID_TOKEN, "%s", what);
}

Test(jws, t06_json)
{
	char *deep = op_alloc(op, 2001);

	memset(deep, '[', 2000);
	REFUSED(es, forge_header(es, "{\"alg\":\"ES256\",\"alg\":\"ES256\"}"), "alg twice");
	REFUSED(es, forge_header(es, "{\"alg\":\"none\",\"alg\":\"ES256\"}"), "alg none first");
	REFUSED(es, forge_header(es, "{\"alg\":\"ES256\"} x"), "bytes behind the header");
	REFUSED(es, forge_header(es, "\xef\xbb\xbf{\"alg\":\"ES256\"}"), "byte order mark");
	REFUSED(es, forge_header(es, "{\"alg\":\"ES256\",\"a\\u0000\":1}"), "NUL in a name");
	REFUSED(es, forge_header(es, "{\"alg\":\"ES256\",\"a\":\"\xff\"}"), "not UTF-8");
	REFUSED(es, forge_header(es, "[\"ES256\"]"), "header is a list");
	REFUSED(es, forge_header(es, op_printf(op, "{\"alg\":\"ES256\",\"a\":%s", deep)), "deep header");
	REFUSED(es, forge_header(es, "{\"alg\":\"ES256\",\"crit\":[\"exp\"],\"exp\":1}"), "crit");
	REFUSED(es, forge_header(es, "{\"alg\":\"ES256\",\"crit\":[]}"), "empty crit");
	REFUSED(es, forge_header(es, "{\"alg\":\"ES256\",\"b64\":false,\"crit\":[\"b64\"]}"), "b64 with crit");
	REFUSED(es, forge_header(es, "{\"alg\":\"ES256\",\"b64\":false}"), "b64 alone");
	refuse_payload("{\"sub\":\"a\",\"sub\":\"b\"}", 21, "sub twice");
	refuse_payload("{\"exp\":1,\"exp\":2}", 17, "exp twice");
	refuse_payload("{} {}", 5, "two objects");
	refuse_payload("\"sub\"", 5, "a string");
	refuse_payload("[]", 2, "a list");
	refuse_payload("", 0, "nothing");
	refuse_payload("{}\0", 3, "NUL behind");
	refuse_payload(deep, 2000, "deep payload");
}

Test(jws, changed_parts)
{
	char *token = forge_header(es, "{\"alg\":\"ES256\"}"), *other = forge(es, "{\"alg\":\"ES256\"}", 15, "{\"sub\":\"u2\"}", 12);
	size_t n = (size_t)(strrchr(other, '.') - other);
	char *mixed = op_printf(op, "%s%s", op_strndup(op, other, n), strrchr(token, '.'));

	ACCEPTED(es, other, "the model");
	REFUSED(es, mixed, "the payload of one token with the signature of another");
}

/* RFC 7515 4.1.9, RFC 8725 3.11 */
Test(jws, typ)
{
	char *at = forge_header(es, "{\"alg\":\"ES256\",\"typ\":\"application/AT+jwt\"}"), *bare = forge_header(es, "{\"alg\":\"ES256\"}");
	char *odd = forge_header(es, "{\"alg\":\"ES256\",\"typ\":\"application/x/at+jwt\"}");

	cr_assert_eq(check(es, "at+jwt", at, strlen(at)), 0);
	cr_assert_eq(check(es, "application/at+jwt", at, strlen(at)), 0);
	cr_assert_eq(check(es, NULL, at, strlen(at)), 0);
	cr_assert_eq(check(es, "JWT", at, strlen(at)), ERR_INVALID_TOKEN);
	cr_assert_eq(check(es, "at+jwt", bare, strlen(bare)), ERR_INVALID_TOKEN);
	cr_assert_eq(check(es, "x/at+jwt", odd, strlen(odd)), ERR_INVALID_TOKEN);
	REFUSED(es, forge_header(es, "{\"alg\":\"ES256\",\"typ\":1}"), "typ as number");
}

static void
refuse_key(json_t *jwk, const char *what)
{
	struct jwk *key = NULL;

	op_forgive(op);
	cr_expect_eq(jwk_from_public_json(op, json_own(op, jwk), &key), ERR_INVALID, "%s", what);
	cr_expect_null(key);
}

static json_t *
with(const struct jwk *key, const char *name, const char *value)
{
	json_t *jwk = jwk_public(key);

	json_object_set_new(jwk, name, json_string(value));
	return jwk;
}

Test(jws, public_keys_that_are_refused)
{
	json_t *public = json_own(op, jwk_public(es));
	const char *x = json_get_text(public, "x");

	refuse_key(with(es, "d", "AAAA"), "a private member");
	refuse_key(with(rs, "qi", "AAAA"), "a private member");
	refuse_key(with(es, "kty", "RSA"), "kty");
	refuse_key(with(es, "kty", "oct"), "kty oct");
	refuse_key(with(es, "crv", "P-384"), "crv");
	refuse_key(with(es, "crv", "secp256k1"), "crv");
	refuse_key(with(es, "alg", "ES384"), "alg");
	refuse_key(with(rs, "alg", "PS256"), "alg");
	refuse_key(with(rs, "alg", "HS256"), "alg");
	refuse_key(with(es, "use", "enc"), "use");
	refuse_key(with(es, "y", x), "not on the curve");
	refuse_key(with(es, "x", "AAAA"), "too short");
	refuse_key(with(es, "x", op_printf(op, "AA%s", x)), "too long");
	refuse_key(with(es, "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), "zero");
	refuse_key(with(rs, "e", "AQ"), "e = 1");
	refuse_key(with(rs, "e", "Ag"), "e = 2");
	refuse_key(with(rs, "e", "AAEAAQ"), "leading zero");
	refuse_key(with(rs, "n", ""), "no n");
	refuse_key(json_pack("{ss}", "kty", "EC"), "nothing but kty");
	refuse_key(json_pack("[]"), "a list");
	refuse_key(json_null(), "null");
}

Test(jws, short_rsa_keys_are_refused)
{
	json_t *jwk = jwk_public(rs);
	unsigned char *n;
	struct jwk *key = NULL;
	size_t size;

	cr_assert(base64url_decode(op->mem, json_get_text(jwk, "n"), strlen(json_get_text(jwk, "n")), &n, &size));
	n[size - 128] |= 0x80;
	json_object_set_new(jwk, "n", json_string(base64url_encode(op->mem, n + size - 128, 128)));
	cr_assert_eq(jwk_from_public_json(op, json_own(op, jwk), &key), ERR_INVALID);
	cr_assert_null(key);
}

static void *
sign_and_verify(void *arg)
{
	const struct jwk *const *keys = arg;
	struct op *mine = op_begin(NULL, NULL);

	for (int i = 0; i < 40; i++)
		for (size_t k = 0; k < 2; k++) {
			json_t *claims;
			char *token;

			if (jws_sign_text(mine, keys[k], "JWT", CLAIMS, strlen(CLAIMS), &token) < 0
			    || jws_verify(mine, keys[k], "JWT", token, strlen(token), &claims) < 0) {
				op_end(mine);
				return arg;
			}
		}
	op_end(mine);
	return NULL;
}

Test(jws, keys_are_shared_by_threads)
{
	const struct jwk *keys[] = { es, rs };
	pthread_t threads[4];

	for (size_t i = 0; i < countof(threads); i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, sign_and_verify, keys), 0);
	for (size_t i = 0; i < countof(threads); i++) {
		void *failed;

		pthread_join(threads[i], &failed);
		cr_assert_null(failed);
	}
}
