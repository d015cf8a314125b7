/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Inside crypt: what a key is, and raw signatures.  jwk.c and jwk_import.c make keys, jws.c makes tokens of them.
 */
#ifndef KW_CRYPT_JWK_INT_H
#define KW_CRYPT_JWK_INT_H

#include <openssl/evp.h>
#include "crypt/jws.h"

#define TOKEN_MAX_BYTES 16384
#define SIGNATURE_MAX_BYTES 1024        /* RSA of 8192 bits */
#define ES256_SIGNATURE_BYTES 64        /* RFC 7518 3.4: r || s */

struct jwk {
	EVP_PKEY *pkey;
	EVP_MD_CTX *signer;             /* set up once, copied for each signature, never changed; NULL when public */
	EVP_MD_CTX *verifier;
	bool is_ec;
	const char *alg;                /* "ES256" or "RS256" */
	char kid[44];
	json_t *members;                /* the public JWK */
};

/* Takes pkey over, on failure too.  ERR_CRYPTO when it is not what alg needs. */
int jwk_new(struct op *op, EVP_PKEY *pkey, const char *alg, bool is_private, struct jwk **ret) MUST_CHECK;
/* True for moduli with the fingerprint of the weak generator of CVE-2017-15361. */
bool jwk_is_roca(const unsigned char *modulus, size_t n);
/* ERR_CRYPTO with OpenSSL's reason; empties its queue of errors. */
int jwk_fail(struct op *op, const char *what) MUST_CHECK;

/* The signature of data as RFC 7518 wants it; *ret_n at most SIGNATURE_MAX_BYTES. */
int jwk_sign(struct op *op, const struct jwk *key, const void *data, size_t n, unsigned char ret[static SIGNATURE_MAX_BYTES],
    size_t *ret_n) MUST_CHECK;
bool jwk_is_signed(const struct jwk *key, const void *data, size_t n, const unsigned char *signature, size_t signature_n);
/* jws_verify without a look at the payload, which belongs to the op. */
int jws_check(struct op *op, const struct jwk *key, const char *typ, const char *token, size_t n,
    unsigned char **ret_payload, size_t *ret_n) MUST_CHECK;

#endif
