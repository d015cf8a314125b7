/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Proof Key for Code Exchange (RFC 7636), method S256 alone. */
#include "oidc_int.h"

#include <string.h>

#define CHALLENGE_LENGTH 43             /* base64url of SHA-256 */
#define VERIFIER_MIN 43
#define VERIFIER_MAX 128

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

bool
pkce_is_challenge(const char *challenge)
{
	return strlen(challenge) == CHALLENGE_LENGTH && strspn(challenge, base64url) == CHALLENGE_LENGTH;
}

bool
pkce_fits(struct op *op, const char *challenge, const char *verifier)
{
	unsigned char hash[SHA256_BYTES];
	size_t n;

	/* RFC 9700 2.1.1: a verifier without a challenge is a downgrade, a challenge without a verifier a stolen code */
	if (!challenge || !verifier)
		return !challenge && !verifier;
	n = strlen(verifier);
	/* RFC 7636 4.1 */
	if (n < VERIFIER_MIN || n > VERIFIER_MAX || strspn(verifier, unreserved) != n || strlen(challenge) != CHALLENGE_LENGTH)
		return false;
	sha256(verifier, n, hash);
	return bytes_equal(base64url_encode(op->mem, hash, sizeof(hash)), challenge, CHALLENGE_LENGTH);
}
