/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The catalog: an immutable snapshot in memory of every current object (roles, locations, directories, rules, applications),
 * parsed into its shape and tied together by id.  Replaced as a whole after a change has settled; readers hold a reference.
 *
 *     const struct catalog_snapshot *c = catalog_get(op);             // valid until the op ends
 *     const struct catalog_app *app = catalog_app(c, client_id);
 */
#ifndef KW_PEOPLE_CATALOG_H
#define KW_PEOPLE_CATALOG_H

#include "base/op.h"
#include "base/shape.h"

struct catalog_role {
	const char *id;
	int64_t version;
	const struct shape_role *body;
};

struct catalog_location {
	const char *id;
	int64_t version;
	const struct shape_location *body;
	const struct catalog_location *parent;          /* NULL at the top */
};

struct catalog_directory {
	const char *id;
	int64_t version;
	const struct shape_directory *body;
	const void *sealed_password;                    /* NULL when none is set; crypt/seal.h purpose "bind_password", row object_secrets.id */
	size_t sealed_size;
	const char *secret_id;
};

struct catalog_rule {
	const char *id;
	int64_t version;
	const struct shape_rule *body;
	const struct catalog_directory *directory;
	const struct catalog_role *role;
	const struct catalog_location *location;        /* NULL: everywhere */
};

struct catalog_app {
	const char *id;
	int64_t version;
	const struct shape_app *body;
	const unsigned char *secret_hash;               /* SHA-256 of client_secret, 32 bytes; NULL for public */
};

struct catalog_snapshot {
	const char *mark;                               /* changes whenever any object does */
	const struct catalog_role *roles;               size_t n_roles;         /* each list sorted by name_key */
	const struct catalog_location *locations;       size_t n_locations;
	const struct catalog_directory *directories;    size_t n_directories;
	const struct catalog_rule *rules;               size_t n_rules;
	const struct catalog_app *apps;                 size_t n_apps;
};

struct catalog;

/* Loads the snapshot; sets op->svc->catalog. */
int catalog_open(struct op *op) MUST_CHECK;
void catalog_free(struct catalog *catalog);
/* Loads again; called after a change of objects has settled. */
int catalog_reload(struct op *op) MUST_CHECK;
/* The current snapshot, held until the op ends. */
const struct catalog_snapshot *catalog_get(struct op *op);

/* The service account signs in by Kerberos and has no password. */
bool catalog_is_kerberos(const struct shape_directory *directory);

/* By name without regard to case; NULL when there is none.  catalog_app compares the client_id letter by letter (RFC 6749 2.2). */
const struct catalog_role *catalog_role(const struct catalog_snapshot *c, const char *name);
const struct catalog_location *catalog_location(const struct catalog_snapshot *c, const char *name);
const struct catalog_directory *catalog_directory(const struct catalog_snapshot *c, const char *name);
const struct catalog_rule *catalog_rule(const struct catalog_snapshot *c, const char *name);
const struct catalog_app *catalog_app(const struct catalog_snapshot *c, const char *client_id);
const struct catalog_app *catalog_app_by_name(const struct catalog_snapshot *c, const char *name);
/* By id. */
const struct catalog_role *catalog_role_by_id(const struct catalog_snapshot *c, const char *id);
const struct catalog_location *catalog_location_by_id(const struct catalog_snapshot *c, const char *id);
const struct catalog_directory *catalog_directory_by_id(const struct catalog_snapshot *c, const char *id);
const struct catalog_rule *catalog_rule_by_id(const struct catalog_snapshot *c, const char *id);
const struct catalog_app *catalog_app_by_id(const struct catalog_snapshot *c, const char *id);
/* True when location is ancestor or lies under it. */
bool catalog_is_within(const struct catalog_location *location, const struct catalog_location *ancestor);

/* "dc1.clinic.test:636", the URL without its scheme: how metrics name the server; belongs to the op. */
const char *catalog_directory_server(struct op *op, const struct catalog_directory *directory);
/* The directory's bind password, unsealed into the op. */
int catalog_bind_password(struct op *op, const struct catalog_directory *directory, char **ret) MUST_CHECK;

#endif
