/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Inside people: what a keyring holds.  keyring.c uses it, keyring_load.c reads it from the database, keyring_change.c makes,
 * rotates and rewraps keys.
 */
#ifndef KW_PEOPLE_KEYRING_INT_H
#define KW_PEOPLE_KEYRING_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include "people/keyring.h"
#include "store/key.h"

#define SETTING_MASTER_KEY "master_key_id"
#define MAC_KEY_BYTES 32

struct signing_key {
	struct jwk *jwk;                /* public only when retired */
	int64_t active_from, retired_ms;        /* retired_ms 0: signs */
};

/* All keys as they were at one moment; never changed, shared by reference. */
struct key_set {
	atomic_int references;
	struct signing_key *v;          /* in order of active_from */
	size_t n;
	char *jwks;
	unsigned char token_mac[MAC_KEY_BYTES], commit[MAC_KEY_BYTES];
	bool has_token_mac, has_commit;
};

struct keyring {
	pthread_rwlock_t lock;          /* over set and master; held for a few instructions */
	struct key_set *set;
	struct master_key *master;
	struct master_key **former;     /* after a rewrap: kept for whoever still holds a pointer */
	size_t n_former;
};

/* Reads all keys of the database and opens them with master. */
int key_set_load(struct op *op, const struct master_key *master, struct key_set **ret) MUST_CHECK;
struct key_set *key_set_hold(struct keyring *keyring);
void key_set_release(struct key_set *set);
/* The newest key that signs with alg now, or NULL. */
const struct signing_key *key_set_signer(const struct key_set *set, const char *alg, int64_t now_ms);
/* Replaces the set by what the database holds now. */
int keyring_reload(struct op *op) MUST_CHECK;

/* Makes whatever is missing in set, writes it with its audit rows and the master key's id, and opens the audit log. */
int keyring_complete(struct op *op, const struct master_key *master, const struct key_set *set, bool *ret_has_made) MUST_CHECK;
/* ERR_SEAL when the database names another master key than this; file is for the sentence. */
int keyring_check_master(struct op *op, const struct master_key *master, const char *file) MUST_CHECK;
/* "key.sign": what a key of that purpose is sealed for. */
char *key_seal_purpose(struct op *op, const char *purpose);

#endif
