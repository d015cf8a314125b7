/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Our own keys: signing keys with their rotation, the key that authenticates refresh tokens, the key of audit
 * commitments, and the master key that seals them all.  A cache of the table keys, reloaded after a change has settled.
 */
#ifndef KW_PEOPLE_KEYRING_H
#define KW_PEOPLE_KEYRING_H

#include "base/json.h"
#include "crypt/hash.h"
#include "crypt/jws.h"
#include "crypt/seal.h"

struct keyring;

/*
 * Reads the master key and all keys; makes the missing ones (ES256, RS256, token_mac, commit) at the first start.
 * ERR_SEAL when the master key is not the one the database was sealed with.  Sets op->svc->keyring and op->svc->audit
 * (audit/audit.h: its key of commitments is one of these keys).
 */
int keyring_open(struct op *op, const char *master_key_file) MUST_CHECK;
/* The same for looking only: opens what there is, makes nothing, leaves op->svc->audit alone. */
int keyring_open_reader(struct op *op, const char *master_key_file) MUST_CHECK;
void keyring_free(struct keyring *keyring);

/* Signs with the newest active key of alg ("ES256", "RS256").  Costs a signature: never inside db_run (asserted). */
int keyring_sign(struct op *op, const char *alg, const char *typ, const json_t *claims, char **ret) MUST_CHECK;
/* Verifies a token of our own with the published key that its kid names (RFC 7515 4.1.4); a key no longer published fails. */
int keyring_verify(struct op *op, const char *typ, const char *token, size_t n, json_t **ret_claims) MUST_CHECK;
/* The key set (RFC 7517 5): active, coming and retired keys that are still published; text in the op. */
char *keyring_jwks(struct op *op);
/* The keys of the key set in order of their beginning; kid and alg in the op. */
struct keyring_entry {
	const char *kid, *alg;
	bool is_signing;                /* with it alg is signed now */
	int64_t since_ms;               /* signs, or has signed, from then on */
	int64_t until_ms;               /* published until then, when it is retired; else 0 */
};
void keyring_entries(struct op *op, struct keyring_entry **ret, size_t *ret_n);
/*
 * A new key of alg signs from now on; the old one stays published for config key_overlap, and its private part is erased.
 */
int keyring_rotate(struct op *op, const char *alg) MUST_CHECK;
/* Ends what is over its overlap; a job calls it. */
int keyring_expire(struct op *op) MUST_CHECK;
/* HMAC-SHA-256 under the token_mac key: authenticity of refresh tokens. */
void keyring_mac(struct op *op, const struct hash_part *parts, size_t n, unsigned char ret[static SHA256_BYTES]);
/*
 * The master key, for sealing secrets of objects (table object_secrets: the seal's purpose is the column purpose, its row id
 * the row's id).  It stays valid until keyring_free.
 */
const struct master_key *keyring_master(struct op *op);
/*
 * Inside db_run, before a sealed value is written: ERR_CONFLICT when a rewrap has changed the master key since it was
 * sealed.  Without this a value could be left behind under the old key.
 */
int keyring_check_sealed(struct op *op, const void *sealed, size_t n) MUST_CHECK;
/*
 * Seals everything anew under the key in new_file, in one transaction: all our keys and the current secrets of objects.  From the
 * commit on the program uses that key; the operator lets config master_key name the new file before the next start.
 */
int keyring_rewrap(struct op *op, const char *new_file) MUST_CHECK;

#endif
