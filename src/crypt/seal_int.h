/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Inside crypt: the master key's bytes, and key derivation. */
#ifndef KW_CRYPT_SEAL_INT_H
#define KW_CRYPT_SEAL_INT_H

#include "crypt/hash.h"
#include "crypt/seal.h"

struct master_key {
	unsigned char key[MASTER_KEY_BYTES];
	unsigned char id[MASTER_KEY_ID_BYTES];
	char id_text[2 * MASTER_KEY_ID_BYTES + 1];
};

/* HKDF-SHA-256 (RFC 5869) without salt, one block of output: 32 bytes. */
void hkdf_sha256(const void *secret, size_t secret_size, const struct hash_part *info, size_t n, unsigned char ret[static SHA256_BYTES]);

/* The subkey of a purpose (crypt/seal.h). */
void seal_subkey(const struct master_key *key, const char *purpose, unsigned char ret[static SHA256_BYTES]);

#endif
