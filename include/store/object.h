/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Rows of objects (roles, locations, directories, rules, applications), their immutable versions and their secrets, as they
 * lie in the database (src/store/schema).  people/object.h decides what may be written; here are only the statements.
 *
 * A version holds from recorded_from until recorded_until, which is set once: when the next version or the end comes.
 */
#ifndef KW_STORE_OBJECT_H
#define KW_STORE_OBJECT_H

#include "store/driver.h"

struct object_row {
	const char *id, *kind, *name, *name_key;
	int64_t version;
	const char *body;               /* canonical JSON of the shape */
	int64_t changed_ms;             /* when this version was recorded */
};

struct object_secret_row {
	const char *id, *object_id;
	const char *purpose;            /* bind_password, client_secret */
	const char *form;               /* sealed, sha256 */
	const void *value;
	size_t size;
};

/* All inside db_run or db_read; rows belong to the op. */

/* Every current object with its current version, ordered by kind and name_key. */
int db_object_all(struct op *op, struct object_row **ret, size_t *ret_n) MUST_CHECK;
/* Every current secret of a current object. */
int db_object_secrets(struct op *op, struct object_secret_row **ret, size_t *ret_n) MUST_CHECK;

/* A new object without a version. */
int db_object_create(struct op *op, const char *id, const char *kind, const char *name, const char *name_key) MUST_CHECK;
/* The same object under a name that differs in case only. */
int db_object_rename(struct op *op, const char *id, const char *name, const char *name_key) MUST_CHECK;
/* Ends the object, its version and its secrets; the rows stay. */
int db_object_end(struct op *op, const char *id) MUST_CHECK;
/* Ends the version before and records the next one, both at op->now_ms.  source: who did it (object_versions.source_kind). */
int db_object_put_version(struct op *op, const char *object_id, int64_t version, const char *body,
    const char *source_kind, const char *source_id) MUST_CHECK;
/* Ends the secret; *ret_n: 1, or 0 when there was none. */
int db_object_end_secret(struct op *op, const char *object_id, const char *purpose, int64_t *ret_n) MUST_CHECK;
/* Ends the secret before and records this one. */
int db_object_put_secret(struct op *op, const struct object_secret_row *secret) MUST_CHECK;
/* The same secret sealed under another master key, in place: the one thing about a secret that may change. */
int db_object_reseal(struct op *op, const char *secret_id, const void *value, size_t size) MUST_CHECK;

/* How much still needs an object: accounts of a directory, current grants of a role or at a location. */
int db_object_count_users(struct op *op, const char *directory_id, int64_t *ret) MUST_CHECK;
int db_object_count_grants(struct op *op, const char *role_or_location_id, int64_t *ret) MUST_CHECK;
/* Ends what people's sessions let an application do; ids of the authorizations that ended. */
int db_object_end_authorizations(struct op *op, const char *app_id, const char *why, const char ***ret, size_t *ret_n) MUST_CHECK;

#endif
