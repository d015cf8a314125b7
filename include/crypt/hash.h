/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Digests, MACs and comparison in constant time. */
#ifndef KW_CRYPT_HASH_H
#define KW_CRYPT_HASH_H

#include <stdbool.h>
#include <stddef.h>

#define SHA256_BYTES 32

void sha256(const void *data, size_t n, unsigned char ret[static SHA256_BYTES]);
/* Several parts, as if joined. */
struct hash_part { const void *data; size_t size; };
void sha256_parts(const struct hash_part *parts, size_t n, unsigned char ret[static SHA256_BYTES]);
void hmac_sha256(const void *key, size_t key_size, const struct hash_part *parts, size_t n, unsigned char ret[static SHA256_BYTES]);
/* Time depends on n alone. */
bool bytes_equal(const void *a, const void *b, size_t n);

#endif
