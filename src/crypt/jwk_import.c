/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Public keys that others give us as JWK (RFC 7517): every member is checked before OpenSSL sees a number.  Read
 * jwk_from_public_json.
 */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <string.h>

#include "base/text.h"
#include "jwk_int.h"

#define COORDINATE_BYTES 32
#define MODULUS_MIN_BYTES 256           /* RFC 7518 3.3: 2048 bits */
#define MODULUS_MAX_BYTES 1024
#define EXPONENT_MAX_BYTES 8

struct number {
	unsigned char *v;
	size_t n;
};

/* Base64url of a number; size 0: any from 1 to max without leading zeros (RFC 7518 2), else exactly size bytes (6.2.1.2). */
static bool
read_number(struct op *op, const json_t *jwk, const char *name, size_t size, size_t max, struct number *ret)
{
	const json_t *member = json_object_get(jwk, name);

	if (!json_is_string(member) || json_string_length(member) > 2 * max)
		return false;
	if (!base64url_decode(op->mem, json_string_value(member), json_string_length(member), &ret->v, &ret->n))
		return false;
	if (size)
		return ret->n == size;
	return ret->n > 0 && ret->n <= max && ret->v[0] != 0;
}

/*
 * CVE-2017-15361: moduli of one smart card library lie, modulo small primes, in the subgroup that 65537 generates.  A random
 * modulus does so for all of these primes with a chance below 2^-27.
 */
bool
jwk_is_roca(const unsigned char *modulus, size_t n)
{
	static const unsigned primes[] = { 11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157 };
	BIGNUM *number = BN_bin2bn(modulus, (int)n, NULL);
	bool is_weak = number != NULL;

	for (size_t i = 0; i < countof(primes) && is_weak; i++) {
		unsigned prime = primes[i], power = 1;
		unsigned rest = (unsigned)BN_mod_word(number, prime);

		do
			power = power * (65537 % prime) % prime;
		while (power != rest && power != 1);
		is_weak = power == rest;
	}
	BN_free(number);
	return is_weak;
}

/* RFC 7517 4.2 and 4.3: a key whose use is not signature, or whose operations lack "verify", verifies nothing. */
static bool
is_for_verifying(const json_t *jwk)
{
	const json_t *use = json_object_get(jwk, "use"), *ops = json_object_get(jwk, "key_ops"), *item;
	bool is_found = !ops;
	size_t i;

	if (use && (!json_is_string(use) || strcmp(json_string_value(use), "sig") != 0))
		return false;
	if (ops && !json_is_array(ops))
		return false;
	json_array_foreach(ops, i, item)
		if (json_is_string(item) && strcmp(json_string_value(item), "verify") == 0)
			is_found = true;
	return is_found;
}

/* RFC 7518 6.2.2, 6.3.2, 6.4: members of private and symmetric keys. */
static const char *
private_member(const json_t *jwk)
{
	static const char *const names[] = { "d", "p", "q", "dp", "dq", "qi", "oth", "k" };

	for (size_t i = 0; i < countof(names); i++)
		if (json_object_get(jwk, names[i]))
			return names[i];
	return NULL;
}

/* NULL on failure. */
static EVP_PKEY *
make_key(const char *type, OSSL_PARAM_BLD *builder)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL), *check = NULL;
	EVP_PKEY *pkey = NULL;

	if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1
	    || EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	/* SP 800-56A 5.6.2.3: on the curve and not its zero; SP 800-89 5.3.3: modulus and exponent are plausible. */
	if (pkey)
		check = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	if (pkey && (!check || EVP_PKEY_public_check(check) != 1)) {
		EVP_PKEY_free(pkey);
		pkey = NULL;
	}
	EVP_PKEY_CTX_free(check);
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	ERR_clear_error();
	return pkey;
}

static int
import_ec(struct op *op, const json_t *jwk, struct jwk **ret)
{
	const char *crv = json_get_text(jwk, "crv");
	unsigned char point[1 + 2 * COORDINATE_BYTES] = { 0x04 };
	struct number x, y;
	OSSL_PARAM_BLD *builder;
	EVP_PKEY *pkey = NULL;

	if (!crv || strcmp(crv, "P-256") != 0)
		return op_fail(op, ERR_INVALID, "the key is not on curve P-256");
	if (!read_number(op, jwk, "x", COORDINATE_BYTES, COORDINATE_BYTES, &x)
	    || !read_number(op, jwk, "y", COORDINATE_BYTES, COORDINATE_BYTES, &y))
		return op_fail(op, ERR_INVALID, "x and y of a P-256 key are base64url of 32 bytes each");
	memcpy(point + 1, x.v, COORDINATE_BYTES);
	memcpy(point + 1 + COORDINATE_BYTES, y.v, COORDINATE_BYTES);
	builder = OSSL_PARAM_BLD_new();
	if (builder && OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0)
	    && OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)))
		pkey = make_key("EC", builder);
	OSSL_PARAM_BLD_free(builder);
	if (!pkey)
		return op_fail(op, ERR_INVALID, "x and y are no point on curve P-256");
	return jwk_new(op, pkey, "ES256", false, ret);
}

static int
import_rsa(struct op *op, const json_t *jwk, struct jwk **ret)
{
	struct number n, e;
	BIGNUM *big_n, *big_e;
	OSSL_PARAM_BLD *builder;
	EVP_PKEY *pkey = NULL;

	if (!read_number(op, jwk, "n", 0, MODULUS_MAX_BYTES, &n) || !read_number(op, jwk, "e", 0, EXPONENT_MAX_BYTES, &e))
		return op_fail(op, ERR_INVALID, "n (up to 1024 bytes) and e (up to 8) of an RSA key are base64url without leading zeros");
	if (n.n < MODULUS_MIN_BYTES || (n.n == MODULUS_MIN_BYTES && !(n.v[0] & 0x80)))
		return op_fail(op, ERR_INVALID, "an RSA key needs at least 2048 bits");
	/* RFC 8017 3.1: 3 <= e, odd */
	if ((e.n == 1 && e.v[0] < 3) || !(e.v[e.n - 1] & 1))
		return op_fail(op, ERR_INVALID, "e of an RSA key must be odd and at least 3");
	if (jwk_is_roca(n.v, n.n))
		return op_fail(op, ERR_INVALID, "the RSA key was made by a broken generator (CVE-2017-15361)");
	big_n = BN_bin2bn(n.v, (int)n.n, NULL);
	big_e = BN_bin2bn(e.v, (int)e.n, NULL);
	builder = OSSL_PARAM_BLD_new();
	if (builder && big_n && big_e && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, big_n)
	    && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, big_e))
		pkey = make_key("RSA", builder);
	OSSL_PARAM_BLD_free(builder);
	BN_free(big_n);
	BN_free(big_e);
	if (!pkey)
		return op_fail(op, ERR_INVALID, "n and e are no RSA key");
	return jwk_new(op, pkey, "RS256", false, ret);
}

int
jwk_from_public_json(struct op *op, const json_t *jwk, struct jwk **ret)
{
	const char *kty = json_get_text(jwk, "kty"), *name;
	const json_t *alg = json_object_get(jwk, "alg");
	const char *wanted;

	if (!json_is_object(jwk) || !kty)
		return op_fail(op, ERR_INVALID, "a JWK is an object with kty");
	name = private_member(jwk);
	if (name)
		return op_fail(op, ERR_INVALID, "the JWK holds the secret member \"%s\"; give the public key only", name);
	if (!is_for_verifying(jwk))
		return op_fail(op, ERR_INVALID, "the JWK is not meant for verifying signatures (use, key_ops)");
	wanted = strcmp(kty, "EC") == 0 ? "ES256" : strcmp(kty, "RSA") == 0 ? "RS256" : NULL;
	if (!wanted)
		return op_fail(op, ERR_INVALID, "a key of type \"%.20s\" is not supported; use EC (P-256) or RSA", kty);
	/* RFC 8725 3.1: the key is for one algorithm */
	if (alg && (!json_is_string(alg) || strcmp(json_string_value(alg), wanted) != 0))
		return op_fail(op, ERR_INVALID, "alg of a JWK of type %s must be %s", kty, wanted);
	return strcmp(kty, "EC") == 0 ? import_ec(op, jwk, ret) : import_rsa(op, jwk, ret);
}
