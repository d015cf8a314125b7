/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Sealing: secrets at rest under a master key that is not in the database.  Each purpose has a subkey of its own
 * (HKDF-SHA-256, RFC 5869, info "keyward seal v1 " purpose); a sealed value names the master key and binds the row it belongs to.
 *
 *   sealed value = 0x01 || master key id (8 bytes) || nonce (24) || XChaCha20-Poly1305(plain, ad = purpose 0x00 row id)
 *
 * A value copied to another row or purpose does not open.
 */
#ifndef KW_CRYPT_SEAL_H
#define KW_CRYPT_SEAL_H

#include "base/op.h"

#define MASTER_KEY_BYTES 32
#define MASTER_KEY_ID_BYTES 8

struct master_key;

/* Reads 64 hexadecimal digits from file; refuses a file that others may read.  ERR_SEAL with what to do. */
int master_key_read(struct op *op, const char *file, struct master_key **ret) MUST_CHECK;
/* Makes a new key file, mode 0400; ERR_CONFLICT when it exists. */
int master_key_create(struct op *op, const char *file) MUST_CHECK;
void master_key_free(struct master_key *key);
/* SHA-256("keyward master key id" || key) cut to 8 bytes, as 16 hexadecimal digits. */
const char *master_key_id(const struct master_key *key);

int seal(struct op *op, const struct master_key *key, const char *purpose, const char *row_id, const void *plain, size_t n,
    unsigned char **ret, size_t *ret_n) MUST_CHECK;
/* ERR_SEAL: another master key, another row or purpose, or changed bytes; the sentence says which key it wants.
 * A zero byte stands behind *ret, not counted: a sealed text opens as a string. */
int unseal(struct op *op, const struct master_key *key, const char *purpose, const char *row_id, const void *sealed, size_t n,
    unsigned char **ret, size_t *ret_n) MUST_CHECK;
/* The id of the master key that sealed it, 16 hexadecimal digits in the op; NULL when it is no sealed value. */
char *sealed_by(struct op *op, const void *sealed, size_t n);

#endif
