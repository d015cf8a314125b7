/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Digests and MACs on libsodium: no allocation and no way to fail, so that callers need no error path.  Longer texts go
 * to OpenSSL, which uses the processor's own SHA instructions (a third of the time at 1 kB).
 */
#include "crypt/hash.h"

#include <openssl/evp.h>
#include <sodium.h>

#define LONG_BYTES 128

_Static_assert(SHA256_BYTES == crypto_hash_sha256_BYTES, "SHA-256 has 32 bytes");

void
sha256(const void *data, size_t n, unsigned char ret[static SHA256_BYTES])
{
	if (n < LONG_BYTES || EVP_Digest(data, n, ret, NULL, EVP_sha256(), NULL) != 1)
		crypto_hash_sha256(ret, data, n);
}

void
sha256_parts(const struct hash_part *parts, size_t n, unsigned char ret[static SHA256_BYTES])
{
	crypto_hash_sha256_state state;

	crypto_hash_sha256_init(&state);
	for (size_t i = 0; i < n; i++)
		crypto_hash_sha256_update(&state, parts[i].data, parts[i].size);
	crypto_hash_sha256_final(&state, ret);
	sodium_memzero(&state, sizeof(state));
}

/* RFC 2104; keys of any length. */
void
hmac_sha256(const void *key, size_t key_size, const struct hash_part *parts, size_t n, unsigned char ret[static SHA256_BYTES])
{
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, key, key_size);
	for (size_t i = 0; i < n; i++)
		crypto_auth_hmacsha256_update(&state, parts[i].data, parts[i].size);
	crypto_auth_hmacsha256_final(&state, ret);
	sodium_memzero(&state, sizeof(state));
}

bool
bytes_equal(const void *a, const void *b, size_t n)
{
	return sodium_memcmp(a, b, n) == 0;
}
