/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* From rows of the table keys to a set of keys in memory.  Read key_set_load. */
#include <string.h>

#include "keyring_int.h"

char *
key_seal_purpose(struct op *op, const char *purpose)
{
	return op_printf(op, "key.%s", purpose);
}

struct rows {
	struct key_row *v;
	size_t n;
	const char *master_id;
};

static int
read_body(struct op *op, void *arg)
{
	struct rows *rows = arg;
	int rc = db_setting_read(op, SETTING_MASTER_KEY, &rows->master_id);

	return rc ? rc : db_key_all(op, &rows->v, &rows->n);
}

int
keyring_check_master(struct op *op, const struct master_key *master, const char *file)
{
	struct rows rows = { 0 };
	int rc = db_read(op, read_body, &rows);

	if (rc)
		return rc;
	if (!rows.master_id && rows.n)
		return op_fail(op, ERR_SEAL, "the database holds keys but does not say under which master key; restore it from a "
		    "backup");
	if (rows.master_id && strcmp(rows.master_id, master_key_id(master)) != 0)
		return op_fail(op, ERR_SEAL, "the secrets in the database are sealed under master key %s, but %s holds master key %s; "
		    "put the right file in place (without it they cannot be opened)", rows.master_id, file, master_key_id(master));
	return 0;
}

/* A retired key verifies only: what was published is enough. */
static int
load_public(struct op *op, const struct key_row *row, struct jwk **ret)
{
	json_t *jwk;
	int rc = row->public_jwk ? json_read(op, row->public_jwk, strlen(row->public_jwk), &jwk)
	    : op_fail(op, ERR_STORE, "signing key %s has no public part", row->id);

	return rc ? rc : jwk_from_public_json(op, jwk, ret);
}

static int
load_signing(struct op *op, const struct master_key *master, const struct key_row *row, struct key_set *set)
{
	struct signing_key *key = &set->v[set->n];
	unsigned char *der;
	size_t n;
	int rc;

	if (row->retired_ms)
		rc = load_public(op, row, &key->jwk);
	else if (!(rc = unseal(op, master, key_seal_purpose(op, row->purpose), row->id, row->sealed, row->sealed_size, &der, &n)))
		rc = jwk_from_private_der(op, row->alg, der, n, &key->jwk);
	if (rc)
		return rc;
	set->n++;
	key->active_from = row->active_from;
	key->retired_ms = row->retired_ms;
	if (strcmp(jwk_kid(key->jwk), row->id) != 0 || strcmp(jwk_alg(key->jwk), row->alg) != 0)
		return op_fail(op, ERR_STORE, "signing key %s is not the key that its row says", row->id);
	return 0;
}

static int
load_secret(struct op *op, const struct master_key *master, const struct key_row *row, unsigned char ret[static MAC_KEY_BYTES])
{
	unsigned char *secret;
	size_t n;
	int rc = unseal(op, master, key_seal_purpose(op, row->purpose), row->id, row->sealed, row->sealed_size, &secret, &n);

	if (rc)
		return rc;
	if (n != MAC_KEY_BYTES)
		return op_fail(op, ERR_STORE, "key %s has %zu bytes instead of %d", row->id, n, MAC_KEY_BYTES);
	memcpy(ret, secret, MAC_KEY_BYTES);
	return 0;
}

static int
load_row(struct op *op, const struct master_key *master, const struct key_row *row, struct key_set *set)
{
	if (strcmp(row->purpose, "sign") == 0)
		return load_signing(op, master, row, set);
	if (strcmp(row->purpose, "token_mac") == 0) {
		set->has_token_mac = true;
		return load_secret(op, master, row, set->token_mac);
	}
	if (strcmp(row->purpose, "commit") == 0) {
		set->has_commit = true;
		return load_secret(op, master, row, set->commit);
	}
	return op_fail(op, ERR_STORE, "key %s has the unknown purpose %s; a newer version of the program wrote it",
	    row->id, row->purpose);
}

/* RFC 7517 5, made once so that serving it costs nothing. */
static char *
write_jwks(struct op *op, const struct key_set *set)
{
	json_t *keys = json_array(), *root = json_own(op, json_pack("{so}", "keys", keys));

	for (size_t i = 0; i < set->n; i++)
		json_array_append_new(keys, jwk_public(set->v[i].jwk));
	return mem_strdup(json_text(op, root));
}

static struct key_set *
key_set_new(size_t room)
{
	struct key_set *set = mem_new(sizeof(*set));

	set->v = mem_new(room * sizeof(*set->v));
	atomic_init(&set->references, 1);
	return set;
}

int
key_set_load(struct op *op, const struct master_key *master, struct key_set **ret)
{
	struct rows rows = { 0 };
	struct key_set *set;
	int rc = db_read(op, read_body, &rows);

	if (rc)
		return rc;
	set = key_set_new(rows.n);
	for (size_t i = 0; i < rows.n && !rc; i++)
		rc = load_row(op, master, &rows.v[i], set);
	if (rc) {
		key_set_release(set);
		return rc;
	}
	set->jwks = write_jwks(op, set);
	*ret = set;
	return 0;
}

int
keyring_reload(struct op *op)
{
	struct keyring *keyring = op->svc->keyring;
	struct key_set *set, *before;
	int rc = key_set_load(op, keyring_master(op), &set);

	if (rc)
		return rc;
	pthread_rwlock_wrlock(&keyring->lock);
	before = keyring->set;
	keyring->set = set;
	pthread_rwlock_unlock(&keyring->lock);
	key_set_release(before);
	return 0;
}
