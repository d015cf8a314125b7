/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Digests and MACs on OpenSSL's plain SHA-256, which uses the processor's own instructions, allocates nothing and cannot fail, so that
 * callers need no error path.  OpenSSL 3 would rather have everybody go through EVP, whose set-up costs several times a short digest.
 */
#define OPENSSL_API_COMPAT 10100        /* SHA256_Init and its kin without a warning */
#include "crypt/hash.h"

#include <openssl/sha.h>
#include <sodium.h>
#include <string.h>

#include "base/mem.h"

#define BLOCK_BYTES SHA256_CBLOCK

_Static_assert(SHA256_BYTES == SHA256_DIGEST_LENGTH, "SHA-256 has 32 bytes");

static void
update(SHA256_CTX *state, const struct hash_part *parts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		SHA256_Update(state, parts[i].data, parts[i].size);
}

void
sha256_parts(const struct hash_part *parts, size_t n, unsigned char ret[static SHA256_BYTES])
{
	SHA256_CTX state;

	SHA256_Init(&state);
	update(&state, parts, n);
	SHA256_Final(ret, &state);
	mem_wipe(&state, sizeof(state));
}

void
sha256(const void *data, size_t n, unsigned char ret[static SHA256_BYTES])
{
	sha256_parts(&(struct hash_part){ data, n }, 1, ret);
}

/* A digest that has taken in the key, each byte combined with pad. */
static void
begin_keyed(SHA256_CTX *state, const unsigned char key[static BLOCK_BYTES], unsigned char pad)
{
	unsigned char block[BLOCK_BYTES];

	for (size_t i = 0; i < BLOCK_BYTES; i++)
		block[i] = key[i] ^ pad;
	SHA256_Init(state);
	SHA256_Update(state, block, BLOCK_BYTES);
	mem_wipe(block, sizeof(block));
}

/* RFC 2104; keys of any length. */
void
hmac_sha256(const void *key, size_t key_size, const struct hash_part *parts, size_t n, unsigned char ret[static SHA256_BYTES])
{
	unsigned char block[BLOCK_BYTES] = { 0 };
	SHA256_CTX state;

	if (key_size > BLOCK_BYTES)
		sha256(key, key_size, block);
	else if (key_size)
		memcpy(block, key, key_size);
	begin_keyed(&state, block, 0x36);
	update(&state, parts, n);
	SHA256_Final(ret, &state);
	begin_keyed(&state, block, 0x5c);
	SHA256_Update(&state, ret, SHA256_BYTES);
	SHA256_Final(ret, &state);
	mem_wipe(block, sizeof(block));
	mem_wipe(&state, sizeof(state));
}

bool
bytes_equal(const void *a, const void *b, size_t n)
{
	return sodium_memcmp(a, b, n) == 0;
}
