/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Our own keys: the first start, the wrong master key, rotation with overlap, another master key. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/audit.h"
#include "base/config.h"
#include "base/text.h"
#include "base/uuid.h"
#include "people/keyring.h"
#include "store/audit.h"
#include "store/key.h"
#include "store/object.h"

static struct services svc;
static struct config config = { .key_overlap = 86400 };
static struct op *op;
static char folder[] = "/tmp/keyward-keyring-XXXXXX";
static char master_file[64], other_file[64];

static void
set_up(void)
{
	op = op_begin(&svc, NULL);
	op->deadline_ms += 600000;              /* one op for a whole test, however slow the machine */
	cr_assert(mkdtemp(folder));
	snprintf(master_file, sizeof(master_file), "%s/master.key", folder);
	snprintf(other_file, sizeof(other_file), "%s/other.key", folder);
	cr_assert_eq(db_open(op, op_printf(op, "%s/db", folder), &svc.db), 0, "%s", op_failure(op));
	cr_assert_eq(db_migrate(op, svc.db), 0, "%s", op_failure(op));
	cr_assert_eq(master_key_create(op, master_file), 0);
	cr_assert_eq(master_key_create(op, other_file), 0);
	op->config = &config;
	op->caller.kind = ACTOR_SYSTEM;
	cr_assert_eq(keyring_open(op, master_file), 0, "%s", op_failure(op));
}

static void
forget(void)
{
	keyring_free(svc.keyring);
	audit_close(svc.audit);
	svc.keyring = NULL;
	svc.audit = NULL;
}

static void
tear_down(void)
{
	char command[100];

	forget();
	op->config = NULL;
	op_end(op);
	db_close(svc.db);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_expect_eq(system(command), 0);
}

TestSuite(keyring, .init = set_up, .fini = tear_down);

static char *
sign(const char *alg)
{
	char *token;

	cr_assert_eq(keyring_sign(op, alg, "JWT", json_own(op, json_pack("{ss}", "sub", "u1")), &token), 0, "%s", op_failure(op));
	return token;
}

static int
verify(const char *token)
{
	json_t *claims;

	op_forgive(op);
	return keyring_verify(op, "JWT", token, strlen(token), &claims);
}

static size_t
published(void)
{
	const char *text = keyring_jwks(op);
	json_t *root;

	cr_assert_eq(json_read(op, text, strlen(text), &root), 0);
	cr_assert(!strstr(text, "\"d\"") && !strstr(text, "\"p\""), "nothing private is published");
	return json_array_size(json_object_get(root, "keys"));
}

struct state {
	struct key_row *keys;
	size_t n_keys, n_events;
	const char *event, *master_id;
	struct audit_row *events;
};

static int
state_body(struct op *o, void *arg)
{
	struct state *state = arg;
	int rc = db_key_all(o, &state->keys, &state->n_keys);

	if (!rc)
		rc = db_audit_search(o, &(struct audit_filter){ .event = state->event }, false, NULL, 100, &state->events, &state->n_events);
	if (!rc)
		rc = db_setting_read(o, "master_key_id", &state->master_id);
	return rc;
}

static struct state
look(const char *event)
{
	struct state state = { .event = event };

	cr_assert_eq(db_read(op, state_body, &state), 0, "%s", op_failure(op));
	return state;
}

Test(keyring, first_start_makes_keys_once)
{
	struct state state = look("key.create");
	char *es = sign("ES256"), *rs = sign("RS256"), *jwks = keyring_jwks(op);
	unsigned char before[32], after[32];

	cr_assert_eq(state.n_keys, 4);
	cr_assert_eq(state.n_events, 4, "an audit row for each");
	cr_assert_eq(strlen(state.master_id), 16);
	cr_assert_eq(published(), 2);
	keyring_mac(op, &(struct hash_part){ "x", 1 }, 1, before);
	forget();
	cr_assert_eq(keyring_open(op, master_file), 0, "%s", op_failure(op));
	cr_assert_eq(look("key.create").n_events, 4, "nothing is made twice");
	cr_assert_str_eq(keyring_jwks(op), jwks);
	cr_assert_eq(verify(es), 0);
	cr_assert_eq(verify(rs), 0);
	keyring_mac(op, &(struct hash_part){ "x", 1 }, 1, after);
	cr_assert(bytes_equal(before, after, 32));
	cr_assert_eq(keyring_sign(op, "HS256", "JWT", json_own(op, json_object()), &es), ERR_CRYPTO);
}

Test(keyring, refuses_another_master_key)
{
	forget();
	cr_assert_eq(keyring_open(op, other_file), ERR_SEAL);
	cr_assert_null(svc.keyring);
	cr_assert_null(svc.audit);
	cr_assert(strstr(op_failure(op), look(NULL).master_id) && strstr(op_failure(op), other_file), "%s", op_failure(op));
	op_forgive(op);
	cr_assert_eq(keyring_open(op, op_printf(op, "%s/none", folder)), ERR_SEAL);
	op_forgive(op);
	cr_assert_eq(keyring_open(op, master_file), 0);
}

/* T03: kid is compared and nothing else. */
Test(keyring, t03_unknown_kid)
{
	static const char *const kids[] = { "../../../../dev/null", "/etc/passwd", "' OR 1=1--", "|id", "", "%s%n" };
	struct jwk *stranger;
	char *token;

	cr_assert_eq(jwk_generate(op, "ES256", &stranger), 0);
	cr_assert_eq(jws_sign_text(op, stranger, "JWT", "{}", 2, &token), 0);
	cr_assert_eq(verify(token), ERR_INVALID_TOKEN, "a key of somebody else");
	for (size_t i = 0; i < countof(kids); i++) {
		json_t *header = json_own(op, json_pack("{ss ss ss}", "alg", "ES256", "kid", kids[i], "typ", "JWT"));
		char *text = json_text(op, header);

		token = op_printf(op, "%s.e30.AAAA", base64url_encode(op->mem, text, strlen(text)));
		cr_assert_eq(verify(token), ERR_INVALID_TOKEN, "kid %s", kids[i]);
	}
	cr_assert_eq(verify("eyJhbGciOiJFUzI1NiJ9.e30.AAAA"), ERR_INVALID_TOKEN, "no kid");
	jwk_free(stranger);
}

Test(keyring, rotation_with_overlap)
{
	char *old = sign("ES256"), *old_rs = sign("RS256"), *new;
	struct keyring_entry *entries;
	struct state state;
	size_t n, n_signing = 0;

	op->now_ms += 5000;
	cr_assert_eq(keyring_rotate(op, "ES256"), 0, "%s", op_failure(op));
	keyring_entries(op, &entries, &n);
	cr_assert_eq(n, 3);
	for (size_t i = 0; i < n; i++) {
		n_signing += entries[i].is_signing;
		cr_assert_eq(entries[i].until_ms, entries[i].is_signing ? 0 : op->now_ms + 86400 * 1000, "%s", entries[i].kid);
	}
	cr_assert_eq(n_signing, 2, "one for each algorithm");
	cr_assert_eq(published(), 3);
	new = sign("ES256");
	cr_assert(strncmp(old, new, 40) != 0, "another kid");
	cr_assert_eq(verify(old), 0, "the old key is still published");
	cr_assert_eq(verify(new), 0);
	cr_assert_eq(verify(old_rs), 0);
	state = look("key.retire");
	cr_assert_eq(state.n_events, 1);
	for (size_t i = 0; i < state.n_keys; i++)
		if (state.keys[i].retired_ms)
			cr_assert_eq(state.keys[i].sealed_size, 0, "a retired key has no private part any more");

	forget();
	cr_assert_eq(keyring_open(op, master_file), 0, "%s", op_failure(op));
	cr_assert_eq(verify(old), 0, "after a restart too");
	op->now_ms += 86400 * 1000 - 1;
	cr_assert_eq(keyring_expire(op), 0);
	cr_assert_eq(verify(old), 0, "until the overlap is over");
	op->now_ms += 1;
	cr_assert_eq(keyring_expire(op), 0);
	cr_assert_eq(verify(old), ERR_INVALID_TOKEN);
	cr_assert_eq(verify(new), 0);
	cr_assert_eq(published(), 2);
	cr_assert_eq(look("key.end").n_events, 1);
	cr_assert_eq(keyring_rotate(op, "HS256"), ERR_INVALID);
}

/* ---- another master key ---- */

struct secret {
	char object_id[UUID_TEXT_BYTES], id[UUID_TEXT_BYTES];
	unsigned char *sealed;
	size_t n;
	struct object_secret_row *v;
	size_t n_rows;
};

static int
put_secret_body(struct op *o, void *arg)
{
	struct secret *secret = arg;
	int rc = db_object_create(o, secret->object_id, "directory", "north", "north");

	if (!rc)
		rc = db_object_put_version(o, secret->object_id, 1, "{}", "root", "uid:0");
	if (!rc)
		rc = db_object_put_secret(o, &(struct object_secret_row){ secret->id, secret->object_id, "bind_password", "sealed",
		    secret->sealed, secret->n });
	return rc;
}

static int
read_secret_body(struct op *o, void *arg)
{
	struct secret *secret = arg;

	return db_object_secrets(o, &secret->v, &secret->n_rows);
}

static int
check_sealed_body(struct op *o, void *arg)
{
	const struct secret *secret = arg;

	return keyring_check_sealed(o, secret->sealed, secret->n);
}

Test(keyring, rewrap)
{
	struct secret secret = { 0 };
	char *old = sign("ES256"), *before_id;
	unsigned char *plain, before[32], after[32];
	size_t n;

	uuid_new(secret.object_id, op->now_ms);
	uuid_new(secret.id, op->now_ms);
	cr_assert_eq(seal(op, keyring_master(op), "bind_password", secret.id, "pw", 2, &secret.sealed, &secret.n), 0);
	cr_assert_eq(db_run(op, put_secret_body, &secret), 0, "%s", op_failure(op));
	cr_assert_eq(keyring_rotate(op, "ES256"), 0);
	keyring_mac(op, &(struct hash_part){ "x", 1 }, 1, before);
	before_id = op_strdup(op, master_key_id(keyring_master(op)));
	cr_assert_eq(db_run(op, check_sealed_body, &secret), 0);

	cr_assert_eq(keyring_rewrap(op, master_file), ERR_CONFLICT, "the key in use");
	op_forgive(op);
	cr_assert_eq(keyring_rewrap(op, other_file), 0, "%s", op_failure(op));
	cr_assert_str_neq(master_key_id(keyring_master(op)), before_id);
	cr_assert_eq(look("key.rewrap").n_events, 1);
	cr_assert_eq(db_run(op, check_sealed_body, &secret), ERR_CONFLICT, "what was sealed before must not be written now");
	op_forgive(op);
	cr_assert_eq(db_read(op, read_secret_body, &secret), 0);
	cr_assert_eq(secret.n_rows, 1);
	cr_assert_eq(unseal(op, keyring_master(op), "bind_password", secret.id, secret.v[0].value, secret.v[0].size, &plain, &n), 0);
	cr_assert_str_eq((char *)plain, "pw");
	cr_assert_eq(verify(old), 0);
	cr_assert_eq(keyring_rotate(op, "RS256"), 0, "the new master key is in use: %s", op_failure(op));

	forget();
	cr_assert_eq(keyring_open(op, master_file), ERR_SEAL, "the old file is refused");
	op_forgive(op);
	cr_assert_eq(keyring_open(op, other_file), 0, "%s", op_failure(op));
	cr_assert_eq(verify(old), 0);
	keyring_mac(op, &(struct hash_part){ "x", 1 }, 1, after);
	cr_assert(bytes_equal(before, after, 32));
}

/* ---- threads ---- */

static atomic_bool is_over;

static void *
sign_all_the_time(void *arg)
{
	struct op *mine = op_begin(&svc, NULL);
	void *failed = NULL;

	while (!atomic_load(&is_over) && !failed) {
		json_t *claims = json_own(mine, json_pack("{ss}", "sub", "u"));
		char *token;

		if (keyring_sign(mine, "ES256", "JWT", claims, &token) < 0 || keyring_verify(mine, "JWT", token, strlen(token), &claims) < 0)
			failed = arg;
		op_end(mine);
		mine = op_begin(&svc, NULL);
	}
	op_end(mine);
	return failed;
}

Test(keyring, signs_while_it_rotates)
{
	pthread_t threads[3];
	void *failed;

	for (size_t i = 0; i < countof(threads); i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, sign_all_the_time, threads), 0);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(keyring_rotate(op, "ES256"), 0, "%s", op_failure(op));
	atomic_store(&is_over, true);
	for (size_t i = 0; i < countof(threads); i++) {
		pthread_join(threads[i], &failed);
		cr_assert_null(failed);
	}
	cr_assert_eq(published(), 12);
}
