/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Keys and raw signatures.  A key is parsed once and then only read, by any number of threads: OpenSSL 3 needs 0.6 ms to decode
 * one, and half of an ES256 signature's time goes into setting up a digest context, so both set-ups are kept in the
 * key and copied.  Read jwk_new, then jwk_sign.
 */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#include "base/text.h"
#include "crypt/hash.h"
#include "jwk_int.h"

#define RSA_BITS 2048
#define RSA_MIN_BITS 2048               /* RFC 7518 3.3 */
#define RSA_MAX_BITS 8192               /* a larger one only costs us time */
#define COORDINATE_BYTES 32

int
jwk_fail(struct op *op, const char *what)
{
	char reason[160] = "no reason given";
	unsigned long code = ERR_get_error();

	if (code)
		ERR_error_string_n(code, reason, sizeof(reason));
	ERR_clear_error();
	return op_fail(op, ERR_CRYPTO, "%s: %s", what, reason);
}

/* As a constant; NULL for every other name. */
static const char *
known_alg(const char *alg)
{
	if (alg && strcmp(alg, "ES256") == 0)
		return "ES256";
	if (alg && strcmp(alg, "RS256") == 0)
		return "RS256";
	return NULL;
}

/* A big number of the key as base64url; size 0: its own length (RFC 7518 2, Base64urlUInt). */
static char *
number_text(struct op *op, const EVP_PKEY *pkey, const char *name, size_t size)
{
	unsigned char bytes[RSA_MAX_BITS / 8];
	BIGNUM *number = NULL;
	int n = -1;

	if (EVP_PKEY_get_bn_param(pkey, name, &number) == 1 && BN_num_bytes(number) <= (int)sizeof(bytes))
		n = BN_bn2binpad(number, bytes, size ? (int)size : BN_num_bytes(number));
	BN_free(number);
	return n > 0 ? base64url_encode(op->mem, bytes, (size_t)n) : NULL;
}

/*
 * Fills members and kid.  The text that RFC 7638 3 hashes has exactly the required members in lexicographic order,
 * and none of their values needs escaping.
 */
static int
describe(struct op *op, struct jwk *key)
{
	const char *a, *b;
	char *text, *kid;
	unsigned char digest[SHA256_BYTES];

	if (key->is_ec) {
		a = number_text(op, key->pkey, OSSL_PKEY_PARAM_EC_PUB_X, COORDINATE_BYTES);
		b = number_text(op, key->pkey, OSSL_PKEY_PARAM_EC_PUB_Y, COORDINATE_BYTES);
	} else {
		a = number_text(op, key->pkey, OSSL_PKEY_PARAM_RSA_E, 0);
		b = number_text(op, key->pkey, OSSL_PKEY_PARAM_RSA_N, 0);
	}
	if (!a || !b)
		return jwk_fail(op, "cannot read the public numbers of a key");
	text = key->is_ec ? op_printf(op, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", a, b)
	    : op_printf(op, "{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}", a, b);
	sha256(text, strlen(text), digest);
	kid = base64url_encode(op->mem, digest, sizeof(digest));
	memcpy(key->kid, kid, sizeof(key->kid));
	if (key->is_ec)
		key->members = json_pack("{ss ss ss ss ss ss ss}", "kty", "EC", "crv", "P-256", "x", a, "y", b,
		    "kid", key->kid, "alg", key->alg, "use", "sig");
	else
		key->members = json_pack("{ss ss ss ss ss ss}", "kty", "RSA", "n", b, "e", a,
		    "kid", key->kid, "alg", key->alg, "use", "sig");
	return key->members ? 0 : op_fail(op, ERR_CRYPTO, "cannot describe a key");
}

/* True when pkey is of the kind, curve and size that alg needs. */
static bool
fits(const EVP_PKEY *pkey, const char *alg)
{
	char group[32];
	int bits = EVP_PKEY_get_bits(pkey);

	if (strcmp(alg, "RS256") == 0)
		return EVP_PKEY_is_a(pkey, "RSA") && bits >= RSA_MIN_BITS && bits <= RSA_MAX_BITS;
	return EVP_PKEY_is_a(pkey, "EC") && EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) == 1
	    && (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0);
}

static int
set_up(struct op *op, struct jwk *key, bool is_private)
{
	EVP_PKEY_CTX *pctx;

	key->verifier = EVP_MD_CTX_new();
	if (!key->verifier || EVP_DigestVerifyInit_ex(key->verifier, &pctx, "SHA256", NULL, NULL, key->pkey, NULL) != 1
	    || (!key->is_ec && EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PADDING) != 1))
		return jwk_fail(op, "cannot set up verification");
	if (!is_private)
		return 0;
	key->signer = EVP_MD_CTX_new();
	if (!key->signer || EVP_DigestSignInit_ex(key->signer, &pctx, "SHA256", NULL, NULL, key->pkey, NULL) != 1
	    || (!key->is_ec && EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PADDING) != 1))
		return jwk_fail(op, "cannot set up signing");
	return 0;
}

int
jwk_new(struct op *op, EVP_PKEY *pkey, const char *alg, bool is_private, struct jwk **ret)
{
	struct jwk *key = mem_new(sizeof(*key));
	int rc;

	key->pkey = pkey;
	key->alg = known_alg(alg);
	key->is_ec = key->alg && strcmp(key->alg, "ES256") == 0;
	if (!key->alg || !fits(pkey, key->alg))
		rc = op_fail(op, ERR_CRYPTO, "the key is not one for %s (P-256, or RSA of 2048 to 8192 bits)", alg);
	else
		rc = describe(op, key);
	if (!rc)
		rc = set_up(op, key, is_private);
	if (rc) {
		ERR_clear_error();
		jwk_free(key);
		return rc;
	}
	*ret = key;
	return 0;
}

void
jwk_free(struct jwk *key)
{
	if (!key)
		return;
	EVP_MD_CTX_free(key->signer);
	EVP_MD_CTX_free(key->verifier);
	EVP_PKEY_free(key->pkey);
	json_decref(key->members);
	mem_free(key);
}

const char *
jwk_alg(const struct jwk *key)
{
	return key->alg;
}

const char *
jwk_kid(const struct jwk *key)
{
	return key->kid;
}

json_t *
jwk_public(const struct jwk *key)
{
	return json_deep_copy(key->members);
}

int
jwk_generate(struct op *op, const char *alg, struct jwk **ret)
{
	EVP_PKEY *pkey;

	if (!known_alg(alg))
		return op_fail(op, ERR_CRYPTO, "%s is no signature algorithm of ours; use ES256 or RS256", alg);
	pkey = strcmp(alg, "ES256") == 0 ? EVP_EC_gen("P-256") : EVP_RSA_gen(RSA_BITS);
	if (!pkey)
		return jwk_fail(op, "cannot make a key");
	return jwk_new(op, pkey, alg, true, ret);
}

int
jwk_private_der(struct op *op, const struct jwk *key, unsigned char **ret, size_t *ret_n)
{
	PKCS8_PRIV_KEY_INFO *info = key->signer ? EVP_PKEY2PKCS8(key->pkey) : NULL;
	unsigned char *der = NULL;
	int n = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;

	PKCS8_PRIV_KEY_INFO_free(info);
	if (n <= 0)
		return jwk_fail(op, "cannot write a private key");
	*ret = op_memdup(op, der, (size_t)n);
	*ret_n = (size_t)n;
	OPENSSL_clear_free(der, (size_t)n);
	return 0;
}

int
jwk_from_private_der(struct op *op, const char *alg, const void *der, size_t n, struct jwk **ret)
{
	const unsigned char *at = der;
	PKCS8_PRIV_KEY_INFO *info = n <= TOKEN_MAX_BYTES ? d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)n) : NULL;
	EVP_PKEY *pkey = info && at == (const unsigned char *)der + n ? EVP_PKCS82PKEY(info) : NULL;

	PKCS8_PRIV_KEY_INFO_free(info);
	if (!pkey)
		return jwk_fail(op, "cannot read a private key");
	return jwk_new(op, pkey, alg, true, ret);
}

/* DER to r || s, each in 32 bytes (RFC 7518 3.4). */
static bool
plain_signature(const unsigned char *der, size_t n, unsigned char ret[static ES256_SIGNATURE_BYTES])
{
	const unsigned char *at = der;
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)n);
	bool is_good = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), ret, COORDINATE_BYTES) == COORDINATE_BYTES
	    && BN_bn2binpad(ECDSA_SIG_get0_s(pair), ret + COORDINATE_BYTES, COORDINATE_BYTES) == COORDINATE_BYTES;

	ECDSA_SIG_free(pair);
	return is_good;
}

int
jwk_sign(struct op *op, const struct jwk *key, const void *data, size_t n, unsigned char ret[static SIGNATURE_MAX_BYTES],
    size_t *ret_n)
{
	unsigned char der[SIGNATURE_MAX_BYTES];
	size_t size = SIGNATURE_MAX_BYTES;
	EVP_MD_CTX *ctx;
	bool is_done;

	if (!key->signer)
		return op_fail(op, ERR_CRYPTO, "key %s is public and cannot sign", key->kid);
	ctx = EVP_MD_CTX_new();
	is_done = ctx && EVP_MD_CTX_copy_ex(ctx, key->signer) == 1 && EVP_DigestSign(ctx, key->is_ec ? der : ret, &size, data, n) == 1
	    && (!key->is_ec || plain_signature(der, size, ret));
	EVP_MD_CTX_free(ctx);
	if (!is_done)
		return jwk_fail(op, "cannot sign");
	*ret_n = key->is_ec ? ES256_SIGNATURE_BYTES : size;
	return 0;
}

/* r || s to DER; the number of bytes, or 0. */
static size_t
der_signature(const unsigned char *plain, unsigned char ret[static SIGNATURE_MAX_BYTES])
{
	ECDSA_SIG *pair = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(plain, COORDINATE_BYTES, NULL), *s = BN_bin2bn(plain + COORDINATE_BYTES, COORDINATE_BYTES, NULL);
	unsigned char *at = ret;
	int n = 0;

	if (pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1)
		n = i2d_ECDSA_SIG(pair, &at);
	else {
		BN_free(r);
		BN_free(s);
	}
	ECDSA_SIG_free(pair);
	return n > 0 ? (size_t)n : 0;
}

bool
jwk_is_signed(const struct jwk *key, const void *data, size_t n, const unsigned char *signature, size_t signature_n)
{
	unsigned char der[SIGNATURE_MAX_BYTES];
	EVP_MD_CTX *ctx;
	bool is_good;

	/* RFC 7518 3.4: exactly 64 octets; 3.3 with RFC 8017 8.2.2: as long as the modulus.  OpenSSL checks 0 < r, s < n. */
	if (signature_n != (key->is_ec ? (size_t)ES256_SIGNATURE_BYTES : (size_t)EVP_PKEY_get_size(key->pkey)))
		return false;
	if (key->is_ec) {
		signature_n = der_signature(signature, der);
		signature = der;
	}
	ctx = EVP_MD_CTX_new();
	is_good = signature_n && ctx && EVP_MD_CTX_copy_ex(ctx, key->verifier) == 1
	    && EVP_DigestVerify(ctx, signature, signature_n, data, n) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return is_good;
}
