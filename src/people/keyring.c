/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Our own keys in use: signing, verifying, publishing.  What is in use is an immutable set that a change replaces as a whole, so
 * that a signature never waits for a rotation.  Read keyring_sign; keyring_load.c and keyring_change.c come next.
 */
#include "people/keyring.h"

#include <assert.h>
#include <string.h>

#include "base/config.h"
#include "keyring_int.h"

/* Takes set and master. */
static void
keyring_new(struct op *op, struct key_set *set, struct master_key *master)
{
	struct keyring *keyring = mem_new(sizeof(*keyring));

	pthread_rwlock_init(&keyring->lock, NULL);
	keyring->set = set;
	keyring->master = master;
	op->svc->keyring = keyring;
}

/* The master key and what it opens; neither is left after a failure. */
static int
load(struct op *op, const char *master_key_file, struct master_key **ret_master, struct key_set **ret_set)
{
	int rc = master_key_read(op, master_key_file, ret_master);

	if (rc)
		return rc;
	rc = keyring_check_master(op, *ret_master, master_key_file);
	if (!rc)
		rc = key_set_load(op, *ret_master, ret_set);
	if (rc)
		master_key_free(*ret_master);
	return rc;
}

int
keyring_open_reader(struct op *op, const char *master_key_file)
{
	struct master_key *master;
	struct key_set *set;
	int rc = load(op, master_key_file, &master, &set);

	if (!rc)
		keyring_new(op, set, master);
	return rc;
}

int
keyring_open(struct op *op, const char *master_key_file)
{
	struct master_key *master;
	struct key_set *set;
	bool has_made;
	int rc = load(op, master_key_file, &master, &set);

	if (rc)
		return rc;
	rc = keyring_complete(op, master, set, &has_made);
	if (!rc && has_made) {
		key_set_release(set);
		set = NULL;
		rc = key_set_load(op, master, &set);
	}
	if (rc) {
		key_set_release(set);
		master_key_free(master);
		return rc;
	}
	keyring_new(op, set, master);
	return 0;
}

void
keyring_free(struct keyring *keyring)
{
	if (!keyring)
		return;
	key_set_release(keyring->set);
	master_key_free(keyring->master);
	for (size_t i = 0; i < keyring->n_former; i++)
		master_key_free(keyring->former[i]);
	mem_free(keyring->former);
	pthread_rwlock_destroy(&keyring->lock);
	mem_free(keyring);
}

struct key_set *
key_set_hold(struct keyring *keyring)
{
	struct key_set *set;

	pthread_rwlock_rdlock(&keyring->lock);
	set = keyring->set;
	atomic_fetch_add(&set->references, 1);
	pthread_rwlock_unlock(&keyring->lock);
	return set;
}

void
key_set_release(struct key_set *set)
{
	if (!set || atomic_fetch_sub(&set->references, 1) > 1)
		return;
	for (size_t i = 0; i < set->n; i++)
		jwk_free(set->v[i].jwk);
	mem_free(set->v);
	mem_free(set->jwks);
	mem_wipe(set, sizeof(*set));
	mem_free(set);
}

const struct signing_key *
key_set_signer(const struct key_set *set, const char *alg, int64_t now_ms)
{
	for (size_t i = set->n; i-- > 0; ) {
		const struct signing_key *key = &set->v[i];

		if (!key->retired_ms && key->active_from <= now_ms && strcmp(jwk_alg(key->jwk), alg) == 0)
			return key;
	}
	return NULL;
}

int
keyring_sign(struct op *op, const char *alg, const char *typ, const json_t *claims, char **ret)
{
	struct key_set *set;
	const struct signing_key *key;
	int rc;

	assert(!db_is_inside(op));
	set = key_set_hold(op->svc->keyring);
	key = key_set_signer(set, alg, op->now_ms);
	if (key)
		rc = jws_sign(op, key->jwk, typ, claims, ret);
	else
		rc = op_fail(op, ERR_CRYPTO, "there is no active key for %s", alg);
	key_set_release(set);
	return rc;
}

/* The published key of that kid: equality of text and nothing else, since kid comes from a stranger. */
static const struct jwk *
find_key(const struct key_set *set, const char *kid)
{
	for (size_t i = 0; kid && i < set->n; i++)
		if (strcmp(jwk_kid(set->v[i].jwk), kid) == 0)
			return set->v[i].jwk;
	return NULL;
}

int
keyring_verify(struct op *op, const char *typ, const char *token, size_t n, json_t **ret_claims)
{
	struct key_set *set;
	const struct jwk *key;
	struct jws_header header;
	int rc = jws_peek(op, token, n, &header);

	if (rc)
		return rc;
	set = key_set_hold(op->svc->keyring);
	key = find_key(set, header.kid);
	if (key)
		rc = jws_verify(op, key, typ, token, n, ret_claims);
	else
		rc = op_fail(op, ERR_INVALID_TOKEN, "the token is not signed with a published key of ours");
	key_set_release(set);
	return rc;
}

char *
keyring_jwks(struct op *op)
{
	struct key_set *set = key_set_hold(op->svc->keyring);
	char *text = op_strdup(op, set->jwks);

	key_set_release(set);
	return text;
}

void
keyring_entries(struct op *op, struct keyring_entry **ret, size_t *ret_n)
{
	struct key_set *set = key_set_hold(op->svc->keyring);

	*ret = op_alloc(op, (set->n + 1) * sizeof(**ret));
	*ret_n = set->n;
	for (size_t i = 0; i < set->n; i++) {
		const struct signing_key *key = &set->v[i];
		const char *alg = jwk_alg(key->jwk);

		(*ret)[i] = (struct keyring_entry){
			.kid = op_strdup(op, jwk_kid(key->jwk)), .alg = op_strdup(op, alg),
			.is_signing = key == key_set_signer(set, alg, op->now_ms), .since_ms = key->active_from,
			.until_ms = key->retired_ms ? key->retired_ms + op->config->key_overlap * 1000 : 0,
		};
	}
	key_set_release(set);
}

void
keyring_mac(struct op *op, const struct hash_part *parts, size_t n, unsigned char ret[static SHA256_BYTES])
{
	struct key_set *set = key_set_hold(op->svc->keyring);

	hmac_sha256(set->token_mac, sizeof(set->token_mac), parts, n, ret);
	key_set_release(set);
}

const struct master_key *
keyring_master(struct op *op)
{
	struct keyring *keyring = op->svc->keyring;
	const struct master_key *master;

	pthread_rwlock_rdlock(&keyring->lock);
	master = keyring->master;
	pthread_rwlock_unlock(&keyring->lock);
	return master;
}
