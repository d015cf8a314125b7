/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Making, rotating, ending and rewrapping keys.  Keys are made and sealed before the transaction, because its body may run twice;
 * the keyring in memory follows once the transaction has settled.  Read keyring_complete, then keyring_rotate.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "audit/audit.h"
#include "base/config.h"
#include "base/uuid.h"
#include "crypt/random.h"
#include "keyring_int.h"
#include "store/object.h"

/* ---- making ---- */

static int
make_signing(struct op *op, const struct master_key *master, struct key_row *row)
{
	struct jwk *key;
	unsigned char *der, *sealed;
	size_t n;
	int rc = jwk_generate(op, row->alg, &key);

	if (rc)
		return rc;
	row->id = op_strdup(op, jwk_kid(key));
	row->public_jwk = json_canonical(op, json_own(op, jwk_public(key)));
	rc = jwk_private_der(op, key, &der, &n);
	if (!rc)
		rc = seal(op, master, key_seal_purpose(op, row->purpose), row->id, der, n, &sealed, &row->sealed_size);
	if (!rc) {
		row->sealed = sealed;
		mem_wipe(der, n);
	}
	jwk_free(key);
	return rc;
}

static int
make_secret(struct op *op, const struct master_key *master, struct key_row *row, unsigned char secret[static MAC_KEY_BYTES])
{
	char *id = op_alloc(op, UUID_TEXT_BYTES);
	unsigned char *sealed;
	int rc;

	uuid_new(id, op->now_ms);
	row->id = id;
	random_fill(secret, MAC_KEY_BYTES);
	rc = seal(op, master, key_seal_purpose(op, row->purpose), id, secret, MAC_KEY_BYTES, &sealed, &row->sealed_size);
	if (!rc)
		row->sealed = sealed;
	return rc;
}

static struct key_row
new_row(struct op *op, const char *purpose, const char *alg)
{
	return (struct key_row){ .purpose = purpose, .alg = alg, .created_ms = op->now_ms, .active_from = op->now_ms };
}

static int
write_key(struct op *op, const struct key_row *row)
{
	int rc = db_key_create(op, row);

	return rc ? rc : audit_record(op, EV_KEY_CREATE, row->id, FACTS(FACT("purpose", row->purpose), FACT("alg", row->alg)));
}

/* ---- the first start ---- */

struct completion {
	struct key_row v[4];
	size_t n;
	const char *master_id;
};

/* Another process may have started at the same time: then its keys stay, and we begin again. */
static int
check_missing(struct op *op, const struct completion *made)
{
	struct key_row *rows;
	size_t n;
	int rc = db_key_all(op, &rows, &n);

	if (rc)
		return rc;
	for (size_t i = 0; i < made->n * n; i++) {
		const struct key_row *mine = &made->v[i / n], *there = &rows[i % n];

		if (!there->retired_ms && strcmp(there->purpose, mine->purpose) == 0 && strcmp(there->alg, mine->alg) == 0)
			return op_fail(op, ERR_CONFLICT, "another process made the keys at the same time; start again");
	}
	return 0;
}

static int
completion_body(struct op *op, void *arg)
{
	const struct completion *made = arg;
	const char *master_id;
	int rc = db_setting_read(op, SETTING_MASTER_KEY, &master_id);

	if (!rc && master_id && strcmp(master_id, made->master_id) != 0)
		rc = op_fail(op, ERR_SEAL, "the master key of the database was changed at the same time; start again");
	if (!rc && !master_id)
		rc = db_setting_write(op, SETTING_MASTER_KEY, made->master_id);
	if (!rc)
		rc = check_missing(op, made);
	for (size_t i = 0; i < made->n && !rc; i++)
		rc = write_key(op, &made->v[i]);
	return rc;
}

static int
make_missing(struct op *op, const struct master_key *master, const struct key_set *set, struct completion *made,
    unsigned char commit[static MAC_KEY_BYTES])
{
	static const char *const algs[] = { "ES256", "RS256" };
	unsigned char secret[MAC_KEY_BYTES];
	int rc = 0;

	memcpy(commit, set->commit, MAC_KEY_BYTES);
	if (!set->has_commit) {
		made->v[made->n] = new_row(op, "commit", "HS256");
		rc = make_secret(op, master, &made->v[made->n++], commit);
	}
	if (!rc && !set->has_token_mac) {
		made->v[made->n] = new_row(op, "token_mac", "HS256");
		rc = make_secret(op, master, &made->v[made->n++], secret);
		mem_wipe(secret, sizeof(secret));
	}
	for (size_t i = 0; i < countof(algs) && !rc; i++)
		if (!key_set_signer(set, algs[i], op->now_ms)) {
			made->v[made->n] = new_row(op, "sign", algs[i]);
			rc = make_signing(op, master, &made->v[made->n++]);
		}
	return rc;
}

int
keyring_complete(struct op *op, const struct master_key *master, const struct key_set *set, bool *ret_has_made)
{
	struct completion made = { .master_id = master_key_id(master) };
	unsigned char commit[MAC_KEY_BYTES];
	int rc = make_missing(op, master, set, &made, commit);

	if (!rc) {
		audit_open(op, commit);
		if (made.n)
			rc = db_run(op, completion_body, &made);
	}
	if (rc && op->svc->audit) {
		audit_close(op->svc->audit);
		op->svc->audit = NULL;
	}
	mem_wipe(commit, sizeof(commit));
	*ret_has_made = made.n > 0;
	return rc;
}

/* ---- rotation ---- */

static int
rotate_body(struct op *op, void *arg)
{
	const struct key_row *row = arg;
	const char **ids;
	size_t n;
	int rc = keyring_check_sealed(op, row->sealed, row->sealed_size);

	if (!rc)
		rc = write_key(op, row);
	if (!rc)
		rc = db_key_retire(op, row->alg, row->id, &ids, &n);
	for (size_t i = 0; !rc && i < n; i++)
		rc = audit_record(op, EV_KEY_RETIRE, ids[i], FACTS(FACT("purpose", row->purpose), FACT("alg", row->alg)));
	return rc;
}

int
keyring_rotate(struct op *op, const char *alg)
{
	struct key_row row = new_row(op, "sign", alg);
	int rc;

	assert(!db_is_inside(op));
	if (strcmp(alg, "ES256") != 0 && strcmp(alg, "RS256") != 0)
		return op_fail(op, ERR_INVALID, "there are signing keys for ES256 and RS256, not for %s", alg);
	rc = make_signing(op, keyring_master(op), &row);
	if (!rc)
		rc = db_run(op, rotate_body, &row);
	return rc ? rc : keyring_reload(op);
}

static int
expire_body(struct op *op, void *arg)
{
	const int64_t *before_ms = arg;
	struct key_row *rows;
	size_t n;
	int rc = db_key_expire(op, *before_ms, &rows, &n);

	for (size_t i = 0; !rc && i < n; i++)
		rc = audit_record(op, EV_KEY_END, rows[i].id, FACTS(FACT("purpose", rows[i].purpose), FACT("alg", rows[i].alg)));
	return rc;
}

int
keyring_expire(struct op *op)
{
	struct key_set *set = key_set_hold(op->svc->keyring);
	int64_t before_ms = op->now_ms - op->config->key_overlap * 1000;
	bool is_due = false;
	int rc;

	for (size_t i = 0; i < set->n; i++)
		is_due |= set->v[i].retired_ms && set->v[i].retired_ms <= before_ms;
	key_set_release(set);
	if (!is_due)
		return 0;
	rc = db_run(op, expire_body, &before_ms);
	return rc ? rc : keyring_reload(op);
}

/* ---- another master key ---- */

int
keyring_check_sealed(struct op *op, const void *sealed, size_t n)
{
	const char *by = sealed_by(op, sealed, n), *master_id;
	int rc = db_setting_read(op, SETTING_MASTER_KEY, &master_id);

	if (!rc && (!by || !master_id || strcmp(by, master_id) != 0))
		rc = op_fail(op, ERR_CONFLICT, "the master key was changed at the same time; try again");
	return rc;
}

/* One sealed value, of a key or of an object. */
struct sealed_value {
	const char *id, *purpose;
	bool is_key;
	const void *before;
	size_t before_size;
	unsigned char *after;
	size_t after_size;
};

struct rewrap {
	struct sealed_value *v;
	size_t n;
	struct master_key *master;
	const char *master_id_before;
};

static int
collect(struct op *op, struct sealed_value **ret, size_t *ret_n)
{
	struct object_secret_row *secrets = NULL;
	struct key_row *keys = NULL;
	size_t n_keys = 0, n_secrets = 0, n = 0;
	int rc = db_key_all(op, &keys, &n_keys);

	if (!rc)
		rc = db_object_secrets(op, &secrets, &n_secrets);
	if (rc)
		return rc;
	*ret = op_alloc(op, (n_keys + n_secrets) * sizeof(**ret));
	for (size_t i = 0; i < n_keys; i++)
		if (keys[i].sealed_size)
			(*ret)[n++] = (struct sealed_value){ .id = keys[i].id, .is_key = true,
				.purpose = key_seal_purpose(op, keys[i].purpose),
				.before = keys[i].sealed, .before_size = keys[i].sealed_size };
	for (size_t i = 0; i < n_secrets; i++)
		if (strcmp(secrets[i].form, "sealed") == 0)
			(*ret)[n++] = (struct sealed_value){ .id = secrets[i].id, .purpose = secrets[i].purpose,
				.before = secrets[i].value, .before_size = secrets[i].size };
	*ret_n = n;
	return 0;
}

static int
collect_body(struct op *op, void *arg)
{
	struct rewrap *rewrap = arg;

	return collect(op, &rewrap->v, &rewrap->n);
}

static bool
is_unchanged(const struct rewrap *rewrap, const struct sealed_value *now, size_t n)
{
	if (n != rewrap->n)
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct sealed_value *then = &rewrap->v[i];

		if (strcmp(then->id, now[i].id) != 0 || then->before_size != now[i].before_size
		    || memcmp(then->before, now[i].before, now[i].before_size) != 0)
			return false;
	}
	return true;
}

static void
use_master(struct op *op, void *arg)
{
	struct keyring *keyring = op->svc->keyring;
	struct rewrap *rewrap = arg;

	pthread_rwlock_wrlock(&keyring->lock);
	keyring->former = mem_resize(keyring->former, (keyring->n_former + 1) * sizeof(*keyring->former));
	keyring->former[keyring->n_former++] = keyring->master;
	keyring->master = rewrap->master;
	pthread_rwlock_unlock(&keyring->lock);
	rewrap->master = NULL;
}

static int
rewrap_body(struct op *op, void *arg)
{
	struct rewrap *rewrap = arg;
	struct sealed_value *now;
	const char *master_id;
	size_t n;
	int rc = collect(op, &now, &n);

	if (!rc)
		rc = db_setting_read(op, SETTING_MASTER_KEY, &master_id);
	if (!rc && (!is_unchanged(rewrap, now, n) || !master_id || strcmp(master_id, rewrap->master_id_before) != 0))
		rc = op_fail(op, ERR_CONFLICT, "a secret was changed at the same time; nothing was rewrapped, try again");
	for (size_t i = 0; !rc && i < rewrap->n; i++) {
		const struct sealed_value *value = &rewrap->v[i];

		rc = value->is_key ? db_key_reseal(op, value->id, value->after, value->after_size)
		    : db_object_reseal(op, value->id, value->after, value->after_size);
	}
	if (!rc)
		rc = db_setting_write(op, SETTING_MASTER_KEY, master_key_id(rewrap->master));
	if (!rc)
		rc = audit_record(op, EV_KEY_REWRAP, master_key_id(rewrap->master),
		    FACTS(FACT("count", op_printf(op, "%zu", rewrap->n))));
	if (!rc)
		db_on_commit(op, use_master, rewrap);
	return rc;
}

int
keyring_rewrap(struct op *op, const char *new_file)
{
	const struct master_key *before = keyring_master(op);
	struct rewrap *rewrap = op_alloc(op, sizeof(*rewrap));
	int rc = master_key_read(op, new_file, &rewrap->master);

	assert(!db_is_inside(op));
	if (rc)
		return rc;
	rewrap->master_id_before = master_key_id(before);
	if (strcmp(master_key_id(rewrap->master), rewrap->master_id_before) == 0)
		rc = op_fail(op, ERR_CONFLICT, "%s holds the master key that is in use already", new_file);
	if (!rc)
		rc = db_read(op, collect_body, rewrap);
	for (size_t i = 0; !rc && i < rewrap->n; i++) {
		struct sealed_value *value = &rewrap->v[i];
		unsigned char *plain;
		size_t n;

		rc = unseal(op, before, value->purpose, value->id, value->before, value->before_size, &plain, &n);
		if (!rc)
			rc = seal(op, rewrap->master, value->purpose, value->id, plain, n, &value->after, &value->after_size);
	}
	if (!rc)
		rc = db_run(op, rewrap_body, rewrap);
	/* which master key the secrets are sealed under is known after a new start */
	if (rc == ERR_UNKNOWN_OUTCOME)
		db_give_up(op->svc->db);
	master_key_free(rewrap->master);
	return rc;
}
