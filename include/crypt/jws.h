/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * JSON Web Signature (RFC 7515), compact form, ES256 and RS256 (RFC 7518 3.1), on OpenSSL EVP with keys parsed once.
 *
 *     struct jwk *key;   rc = jwk_generate(op, "ES256", &key);
 *     char *token;       rc = jws_sign(op, key, "at+jwt", claims, &token);
 *     json_t *claims;    rc = jws_verify(op, key, "at+jwt", token, strlen(token), &claims);
 *
 * The key decides the algorithm, never the token.  Verification refuses: other alg, unknown crit (RFC 7515 4.1.11), duplicate
 * members, padding, trailing bits, wrong typ (when asked), embedded keys are ignored (jku, x5u, x5c, jwk).  It checks no claim:
 * the caller does.
 */
#ifndef KW_CRYPT_JWS_H
#define KW_CRYPT_JWS_H

#include "base/json.h"

struct jwk;             /* one key, private or public; immutable, shared by threads */

/* alg: "ES256" (P-256) or "RS256" (2048 bits). */
int jwk_generate(struct op *op, const char *alg, struct jwk **ret) MUST_CHECK;
/* PKCS#8 DER of the private key, for sealing; belongs to the op. */
int jwk_private_der(struct op *op, const struct jwk *key, unsigned char **ret, size_t *ret_n) MUST_CHECK;
int jwk_from_private_der(struct op *op, const char *alg, const void *der, size_t n, struct jwk **ret) MUST_CHECK;
/* A public JWK (RFC 7517): refuses private members, other curves, RSA under 2048 bits, kty or alg that do not fit, points not on the curve. */
int jwk_from_public_json(struct op *op, const json_t *jwk, struct jwk **ret) MUST_CHECK;
void jwk_free(struct jwk *key);
const char *jwk_alg(const struct jwk *key);
/* RFC 7638 SHA-256 thumbprint, base64url: the kid. */
const char *jwk_kid(const struct jwk *key);
/* Public members only, with kid, alg and use "sig"; a new reference. */
json_t *jwk_public(const struct jwk *key);

/* Header {alg, kid, typ}; claims are serialised compactly in their order.  The token belongs to the op. */
int jws_sign(struct op *op, const struct jwk *key, const char *typ, const json_t *claims, char **ret) MUST_CHECK;
/* The same with claims that are JSON text already. */
int jws_sign_text(struct op *op, const struct jwk *key, const char *typ, const char *claims, size_t n, char **ret) MUST_CHECK;

struct jws_header {
	const char *alg, *kid, *typ;    /* kid and typ may be NULL */
};
/* Reads the header without trusting it, to find the key; ERR_INVALID_TOKEN. */
int jws_peek(struct op *op, const char *token, size_t n, struct jws_header *ret) MUST_CHECK;
/* typ NULL: any.  ERR_INVALID_TOKEN; claims belong to the op. */
int jws_verify(struct op *op, const struct jwk *key, const char *typ, const char *token, size_t n, json_t **ret_claims) MUST_CHECK;

#endif
