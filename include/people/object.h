/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Objects: the five kinds of things that people configure (role, location, directory, rule, application).  They are versioned:
 * a change writes the next immutable version, a removal ends the object, and both write their audit row, all changes of one call
 * in one transaction.  The whole set of objects is checked as it will be afterwards, so that rules, roles and locations may arrive
 * together in any order.
 *
 *     struct object_change change = { .kind = OBJECT_ROLE, .body = &role };
 *     struct objects_result result;
 *     rc = objects_change(op, &change, 1, &(struct objects_options){ .source = "request" }, &result);
 *     ... change.action, change.id ...
 *
 * Outside db_run.  ERR_INVALID with everything wrong, a line each; ERR_CONFLICT when a name is taken or something is still in
 * use; ERR_NOT_FOUND for what shall be removed and is not there.
 */
#ifndef KW_PEOPLE_OBJECT_H
#define KW_PEOPLE_OBJECT_H

#include "base/shape.h"
#include "store/object.h"

enum object_kind { OBJECT_ROLE, OBJECT_LOCATION, OBJECT_DIRECTORY, OBJECT_RULE, OBJECT_APP, OBJECT_KINDS };

struct object_kind_row {
	const char *name;               /* "role", as in objects.kind */
	const char *plural;             /* "roles", as in files and paths */
	const struct shape *(*shape)(void);
	size_t list_offset;             /* of its list in struct shape_config_file */
	size_t name_offset;             /* of name in its struct */
};

const struct object_kind_row *object_kind_row(enum object_kind kind);
/* By "role" or "roles"; -1 when it is neither. */
int object_kind_find(const char *name);
/* The name member of a body of that kind. */
const char *object_name(enum object_kind kind, const void *body);

/*
 * The application that issue/test_page.h makes and removes by itself: no file of objects has it, and none takes it away.  It is known by
 * its name and by having nothing but the test page's address to send people to.
 */
#define OBJECT_TEST_PAGE "keyward-test-page"
#define OBJECT_TEST_PAGE_CALLBACK "/test-app/callback"
bool object_is_test_page(enum object_kind kind, const void *body);

/* An object as it is, or as it will be. */
struct object {
	enum object_kind kind;
	const char *id;                 /* NULL while it is not stored yet */
	int64_t version;                /* 0 while it is not stored yet */
	const char *name, *name_key;
	const void *body;               /* struct shape_ROLE and so on; NULL when it is to be removed */
	int64_t changed_ms;
	const struct node *where;       /* its place in a file, for messages; NULL when unchanged */
};

/* Inside db_run or db_read: all current objects, parsed, ordered by kind and name_key.  keep owns their memory (it may be op). */
int objects_read(struct op *op, struct op *keep, struct object **ret, size_t *ret_n) MUST_CHECK;
/* Over ids and versions in their order: the same objects give the same mark, after a restart, too.  Belongs to the op. */
const char *objects_mark(struct op *op, const struct object *objects, size_t n);

/* A secret that is set together with its object.  Sealed or hashed by the caller, outside the transaction. */
struct object_secret {
	const char *id;                 /* a new UUIDv7: a sealed value is bound to it */
	const char *purpose;            /* bind_password, client_secret */
	const char *form;               /* sealed, sha256 */
	const void *value;
	size_t size;
};

enum object_action { OBJECT_UNCHANGED, OBJECT_CREATE, OBJECT_CHANGE, OBJECT_REMOVE };

struct object_change {
	enum object_kind kind;
	const void *body;               /* NULL: remove the object called name */
	const char *name;               /* only for a removal */
	bool must_be_new;               /* ERR_CONFLICT when the name is taken */
	const struct object_secret *secret;     /* may be NULL */
	const struct node *where;       /* its place in a file; may be NULL */
	enum object_action action;      /* out */
	const char *id;                 /* out; of a dry run NULL for new ones */
	bool forgets_password;          /* out: a directory's address changed, and no new password came with it */
	const json_t *before, *after;   /* out: the bodies, NULL where there is none */
};

struct objects_options {
	const char *source;             /* name of the file, or "request": begins every message */
	bool is_dry_run;                /* check and compare, write nothing */
	bool want_prune;                /* remove every object that no change names */
	const char *mark;               /* NULL, or the mark that the objects must still have: else ERR_CONFLICT */
};

struct objects_result {
	struct object_change *v;        /* the caller's changes, and behind them what pruning removes */
	size_t n;
	size_t created, changed, removed, unchanged;
	const char *mark;               /* of the objects before the change */
};

/* Checks, writes, audits, and renews the catalog once that has settled.  n may be 0.  v is filled in. */
int objects_change(struct op *op, struct object_change *v, size_t n, const struct objects_options *options,
    struct objects_result *ret) MUST_CHECK;
/* A new secret for an object that exists; ERR_NOT_FOUND. */
int objects_set_secret(struct op *op, enum object_kind kind, const char *name, const struct object_secret *secret) MUST_CHECK;

/* Makes the secrets: a password sealed under the master key, a random client secret (256 bits) as its SHA-256 and, once, its text. */
int object_seal_password(struct op *op, const char *password, struct object_secret **ret) MUST_CHECK;
char *object_make_client_secret(struct op *op, struct object_secret **ret);

/* The checks of src/people/object_check.c over the set as it will be; everything wrong is added to problems. */
void objects_check(struct op *op, const struct object *set, size_t n, struct problems *problems);
/* ERR_INVALID with every problem, a line each (problems_result tells only the first). */
int objects_refuse(struct op *op, const struct problems *problems) MUST_CHECK;
/* "https://app.test/cb": NULL when it may stand as a redirect URI, else what is wrong with it. */
const char *object_uri_problem(const char *uri);
/* The same for a directory's address and for an LDAP filter (RFC 4515). */
const char *object_ldap_url_problem(const char *url, bool is_starttls);
const char *object_filter_problem(const char *filter);

#endif
