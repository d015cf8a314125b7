/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Sealed values: XChaCha20-Poly1305 under a subkey of the purpose.  Its nonce is long enough to be random for ever.  The form is
 * in crypt/seal.h and cannot change; a new form would take another first byte.
 */
#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "base/text.h"
#include "crypt/random.h"
#include "seal_int.h"

#define FORM 0x01
#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES
#define HEAD_BYTES (1 + MASTER_KEY_ID_BYTES + NONCE_BYTES)
#define INFO "keyward seal v1 "
#define PLAIN_MAX_BYTES (1024 * 1024)

_Static_assert(NONCE_BYTES == 24, "the form of crypt/seal.h");
_Static_assert(SHA256_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "one HKDF block is one key");

void
hkdf_sha256(const void *secret, size_t secret_size, const struct hash_part *info, size_t n, unsigned char ret[static SHA256_BYTES])
{
	static const unsigned char no_salt[SHA256_BYTES];
	unsigned char prk[SHA256_BYTES];
	struct hash_part parts[4];
	size_t k = 0;

	/* RFC 5869 2.2: no salt is HashLen zeros; 2.3: T(1) = HMAC(PRK, info || 0x01) */
	hmac_sha256(no_salt, sizeof(no_salt), &(struct hash_part){ secret, secret_size }, 1, prk);
	assert(n < countof(parts));
	for (; k < n; k++)
		parts[k] = info[k];
	parts[k++] = (struct hash_part){ "\x01", 1 };
	hmac_sha256(prk, sizeof(prk), parts, k, ret);
	mem_wipe(prk, sizeof(prk));
}

void
seal_subkey(const struct master_key *key, const char *purpose, unsigned char ret[static SHA256_BYTES])
{
	const struct hash_part info[] = { { INFO, strlen(INFO) }, { purpose, strlen(purpose) } };

	hkdf_sha256(key->key, sizeof(key->key), info, countof(info), ret);
}

/* purpose 0x00 row id */
static unsigned char *
bound_data(struct op *op, const char *purpose, const char *row_id, size_t *ret_n)
{
	size_t a = strlen(purpose) + 1, b = strlen(row_id);
	unsigned char *data = op_alloc(op, a + b);

	memcpy(data, purpose, a);
	memcpy(data + a, row_id, b);
	*ret_n = a + b;
	return data;
}

int
seal(struct op *op, const struct master_key *key, const char *purpose, const char *row_id, const void *plain, size_t n,
    unsigned char **ret, size_t *ret_n)
{
	unsigned char sub[SHA256_BYTES], *sealed, *bound;
	size_t bound_n;

	if (n > PLAIN_MAX_BYTES)
		return op_fail(op, ERR_TOO_LARGE, "a secret of %zu bytes is too large to be sealed", n);
	sealed = op_alloc(op, HEAD_BYTES + n + TAG_BYTES);
	bound = bound_data(op, purpose, row_id, &bound_n);
	sealed[0] = FORM;
	memcpy(sealed + 1, key->id, MASTER_KEY_ID_BYTES);
	random_fill(sealed + 1 + MASTER_KEY_ID_BYTES, NONCE_BYTES);
	seal_subkey(key, purpose, sub);
	crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + HEAD_BYTES, NULL, plain, n, bound, bound_n, NULL,
	    sealed + 1 + MASTER_KEY_ID_BYTES, sub);
	mem_wipe(sub, sizeof(sub));
	*ret = sealed;
	*ret_n = HEAD_BYTES + n + TAG_BYTES;
	return 0;
}

char *
sealed_by(struct op *op, const void *sealed, size_t n)
{
	const unsigned char *bytes = sealed;

	if (n < HEAD_BYTES + TAG_BYTES || bytes[0] != FORM)
		return NULL;
	return hex_encode(op->mem, bytes + 1, MASTER_KEY_ID_BYTES);
}

int
unseal(struct op *op, const struct master_key *key, const char *purpose, const char *row_id, const void *sealed, size_t n,
    unsigned char **ret, size_t *ret_n)
{
	const unsigned char *bytes = sealed;
	unsigned char sub[SHA256_BYTES], *plain, *bound;
	char *by = sealed_by(op, sealed, n);
	size_t bound_n;
	int rc;

	if (!by)
		return op_fail(op, ERR_SEAL, "the secret \"%s\" of %s is no sealed value; the database row is damaged",
		    purpose, row_id);
	if (strcmp(by, key->id_text) != 0)
		return op_fail(op, ERR_SEAL, "the secret \"%s\" of %s was sealed under master key %s, but the master key in use is %s; "
		    "put the right master key file in place", purpose, row_id, by, key->id_text);
	n -= HEAD_BYTES;
	plain = op_alloc(op, n - TAG_BYTES + 1);        /* a zero behind it: text secrets are strings */
	bound = bound_data(op, purpose, row_id, &bound_n);
	seal_subkey(key, purpose, sub);
	rc = crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, bytes + HEAD_BYTES, n, bound, bound_n,
	    bytes + 1 + MASTER_KEY_ID_BYTES, sub);
	mem_wipe(sub, sizeof(sub));
	if (rc)
		return op_fail(op, ERR_SEAL, "the secret \"%s\" of %s does not open: it was changed, or belongs to another row",
		    purpose, row_id);
	*ret = plain;
	*ret_n = n - TAG_BYTES;
	return 0;
}
