/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The snapshot of all objects.  build() makes one from the rows of the database; catalog_reload() puts it in the place of the one
 * before, which lives on as long as an op holds it.  At the end the look-ups, by binary search in three kinds of index.
 */
#include "people/catalog.h"

#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/metric.h"
#include "base/secret.h"
#include "crypt/hash.h"
#include "crypt/seal.h"
#include "people/keyring.h"
#include "people/object.h"

struct entry {
	const char *key;
	const void *object;
};

struct index {
	struct entry *v;
	size_t n;
};

struct snapshot {
	struct catalog_snapshot public;         /* first: a snapshot is found again from it */
	atomic_int references;
	struct op *op;                          /* owns everything above */
	struct index by_name[OBJECT_KINDS];     /* folded */
	struct index by_id[OBJECT_KINDS];
	struct index by_client_id;              /* letter by letter */
};

struct catalog {
	pthread_mutex_t lock;                   /* of current */
	pthread_mutex_t reload;                 /* one at a time: a slower reader must not put an older state in place */
	struct snapshot *current;
};

static void
snapshot_unref(void *object)
{
	struct snapshot *snapshot = object;

	if (atomic_fetch_sub(&snapshot->references, 1) == 1)
		op_end(snapshot->op);
}

/* ---- building ---- */

static int
entry_compare(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->key, ((const struct entry *)b)->key);
}

static void
index_add(struct index *index, const char *key, const void *object)
{
	index->v[index->n++] = (struct entry){ key, object };
}

static void
indexes_sort(struct snapshot *s)
{
	for (int kind = 0; kind < OBJECT_KINDS; kind++) {
		if (s->by_name[kind].n)
			qsort(s->by_name[kind].v, s->by_name[kind].n, sizeof(struct entry), entry_compare);
		if (s->by_id[kind].n)
			qsort(s->by_id[kind].v, s->by_id[kind].n, sizeof(struct entry), entry_compare);
	}
	if (s->by_client_id.n)
		qsort(s->by_client_id.v, s->by_client_id.n, sizeof(struct entry), entry_compare);
}

static const void *
index_find(const struct index *index, const char *key)
{
	const struct entry wanted = { key, NULL };
	const struct entry *entry = index->n ? bsearch(&wanted, index->v, index->n, sizeof(wanted), entry_compare) : NULL;

	return entry ? entry->object : NULL;
}

static const struct object_secret_row *
secret_of(const struct object_secret_row *secrets, size_t n, const char *object_id, const char *purpose)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(secrets[i].object_id, object_id) && !strcmp(secrets[i].purpose, purpose))
			return &secrets[i];
	return NULL;
}

static void
fill_directory(struct op *op, struct catalog_directory *out, const struct object *object, const struct object_secret_row *secret)
{
	*out = (struct catalog_directory){ .id = object->id, .version = object->version, .body = object->body };
	if (!secret)
		return;
	out->sealed_password = op_memdup(op, secret->value, secret->size);
	out->sealed_size = secret->size;
	out->secret_id = op_strdup(op, secret->id);
}

static void
fill_app(struct op *op, struct catalog_app *out, const struct object *object, const struct object_secret_row *secret)
{
	*out = (struct catalog_app){ .id = object->id, .version = object->version, .body = object->body };
	/* A public client has no secret, whatever lies in the table (RFC 6749 2.1). */
	if (secret && secret->size == SHA256_BYTES && strcmp(out->body->type, "public"))
		out->secret_hash = op_memdup(op, secret->value, secret->size);
}

/* Arrays of the right size for every kind. */
static void
make_room(struct snapshot *s, const struct object *objects, size_t n, void **ret_lists)
{
	static const size_t sizes[OBJECT_KINDS] = { [OBJECT_ROLE] = sizeof(struct catalog_role),
	    [OBJECT_LOCATION] = sizeof(struct catalog_location),
	    [OBJECT_DIRECTORY] = sizeof(struct catalog_directory),
	    [OBJECT_RULE] = sizeof(struct catalog_rule),
	    [OBJECT_APP] = sizeof(struct catalog_app) };
	size_t count[OBJECT_KINDS] = { 0 };

	for (size_t i = 0; i < n; i++)
		count[objects[i].kind]++;
	for (int kind = 0; kind < OBJECT_KINDS; kind++) {
		ret_lists[kind] = op_alloc(s->op, count[kind] * sizes[kind]);
		s->by_name[kind].v = op_alloc(s->op, count[kind] * sizeof(struct entry));
		s->by_id[kind].v = op_alloc(s->op, count[kind] * sizeof(struct entry));
	}
	s->by_client_id.v = op_alloc(s->op, count[OBJECT_APP] * sizeof(struct entry));
}

static void
fill(struct snapshot *s, const struct object *objects, size_t n, const struct object_secret_row *secrets, size_t n_secrets)
{
	void *lists[OBJECT_KINDS];
	struct catalog_role *roles;
	struct catalog_location *locations;
	struct catalog_directory *directories;
	struct catalog_rule *rules;
	struct catalog_app *apps;

	make_room(s, objects, n, lists);
	roles = lists[OBJECT_ROLE];
	locations = lists[OBJECT_LOCATION];
	directories = lists[OBJECT_DIRECTORY];
	rules = lists[OBJECT_RULE];
	apps = lists[OBJECT_APP];
	for (size_t i = 0; i < n; i++) {
		const struct object *o = &objects[i];
		const void *made = NULL;

		switch (o->kind) {
		case OBJECT_ROLE:
			made = &roles[s->public.n_roles];
			roles[s->public.n_roles++] = (struct catalog_role){ o->id, o->version, o->body };
			break;
		case OBJECT_LOCATION:
			made = &locations[s->public.n_locations];
			locations[s->public.n_locations++] = (struct catalog_location){ o->id, o->version, o->body, NULL };
			break;
		case OBJECT_DIRECTORY:
			made = &directories[s->public.n_directories];
			fill_directory(s->op, &directories[s->public.n_directories++], o,
			    secret_of(secrets, n_secrets, o->id, "bind_password"));
			break;
		case OBJECT_RULE:
			made = &rules[s->public.n_rules];
			rules[s->public.n_rules++] = (struct catalog_rule){ .id = o->id, .version = o->version, .body = o->body };
			break;
		case OBJECT_APP:
			made = &apps[s->public.n_apps];
			fill_app(s->op, &apps[s->public.n_apps++], o, secret_of(secrets, n_secrets, o->id, "client_secret"));
			index_add(&s->by_client_id, o->name, made);
			break;
		case OBJECT_KINDS:
			break;
		}
		index_add(&s->by_name[o->kind], o->name_key, made);
		index_add(&s->by_id[o->kind], o->id, made);
	}
	s->public.roles = roles;
	s->public.locations = locations;
	s->public.directories = directories;
	s->public.rules = rules;
	s->public.apps = apps;
	indexes_sort(s);
}

/* Names to pointers.  What was stored has been checked; a name that leads nowhere means that the database was changed by hand. */
static int
tie(struct op *op, struct snapshot *s)
{
	struct catalog_snapshot *c = &s->public;

	for (size_t i = 0; i < c->n_locations; i++) {
		struct catalog_location *location = (struct catalog_location *)(uintptr_t)&c->locations[i];

		location->parent = location->body->parent ? catalog_location(c, location->body->parent) : NULL;
		if (location->body->parent && !location->parent)
			return op_fail(op, ERR_INTERNAL, "the database is damaged: location %s names a parent that is not there",
			    location->body->name);
	}
	for (size_t i = 0; i < c->n_rules; i++) {
		struct catalog_rule *rule = (struct catalog_rule *)(uintptr_t)&c->rules[i];

		rule->directory = catalog_directory(c, rule->body->directory);
		rule->role = catalog_role(c, rule->body->role);
		rule->location = rule->body->location ? catalog_location(c, rule->body->location) : NULL;
		if (!rule->directory || !rule->role || (rule->body->location && !rule->location))
			return op_fail(op, ERR_INTERNAL, "the database is damaged: rule %s names an object that is not there",
			    rule->body->name);
	}
	return 0;
}

static int
build(struct op *op, void *arg)
{
	struct snapshot **ret = arg, *s;
	struct op *keep = op_begin(NULL, NULL);
	struct object_secret_row *secrets = NULL;
	struct object *objects = NULL;
	size_t n = 0, n_secrets = 0;
	int rc = objects_read(op, keep, &objects, &n);

	if (!rc)
		rc = db_object_secrets(op, &secrets, &n_secrets);
	if (rc) {
		op_end(keep);
		return rc;
	}
	s = op_alloc(keep, sizeof(*s));
	s->op = keep;
	atomic_init(&s->references, 1);
	s->public.mark = objects_mark(keep, objects, n);
	fill(s, objects, n, secrets, n_secrets);
	rc = tie(op, s);
	if (rc) {
		op_end(keep);
		return rc;
	}
	if (*ret)
		snapshot_unref(*ret);   /* of an earlier run of this body */
	*ret = s;
	return 0;
}

const char *
catalog_directory_server(struct op *op, const struct catalog_directory *directory)
{
	const char *host = strstr(directory->body->url, "://");

	return op_strdup(op, host ? host + 3 : directory->body->url);
}

/* The labels of metrics may name what is configured now, and nothing else. */
static void
name_metrics(struct op *op, const struct catalog_snapshot *c)
{
	const char **names = op_alloc(op, (c->n_directories + 1) * sizeof(*names));
	const char **servers = op_alloc(op, (c->n_directories + 1) * sizeof(*servers));
	const char **certificates = op_alloc(op, (c->n_directories + 1) * sizeof(*certificates));

	for (size_t i = 0; i < c->n_directories; i++) {
		names[i] = c->directories[i].body->name;
		servers[i] = catalog_directory_server(op, &c->directories[i]);
		certificates[i + 1] = op_printf(op, "ldap:%s", names[i]);
	}
	certificates[0] = "https";
	metric_objects(LABEL_source, names, c->n_directories);
	metric_objects(LABEL_server, servers, c->n_directories);
	metric_objects(LABEL_certificate, certificates, c->n_directories + 1);
}

int
catalog_reload(struct op *op)
{
	struct catalog *catalog = op->svc->catalog;
	struct snapshot *fresh = NULL, *old = NULL;
	int rc;

	pthread_mutex_lock(&catalog->reload);
	rc = db_read(op, build, &fresh);
	if (!rc) {
		pthread_mutex_lock(&catalog->lock);
		old = catalog->current;
		catalog->current = fresh;
		pthread_mutex_unlock(&catalog->lock);
		name_metrics(op, &fresh->public);
	} else if (fresh) {
		snapshot_unref(fresh);
	}
	pthread_mutex_unlock(&catalog->reload);
	if (old)
		snapshot_unref(old);
	return rc;
}

static struct catalog *
catalog_new(void)
{
	struct catalog *catalog = mem_new(sizeof(*catalog));

	pthread_mutex_init(&catalog->lock, NULL);
	pthread_mutex_init(&catalog->reload, NULL);
	return catalog;
}

int
catalog_open(struct op *op)
{
	int rc;

	op->svc->catalog = catalog_new();
	rc = catalog_reload(op);
	if (rc) {
		catalog_free(op->svc->catalog);
		op->svc->catalog = NULL;
	}
	return rc;
}

void
catalog_free(struct catalog *catalog)
{
	if (!catalog)
		return;
	if (catalog->current)
		snapshot_unref(catalog->current);
	pthread_mutex_destroy(&catalog->lock);
	pthread_mutex_destroy(&catalog->reload);
	mem_free(catalog);
}

const struct catalog_snapshot *
catalog_get(struct op *op)
{
	struct catalog *catalog = op->svc->catalog;
	struct snapshot *snapshot;

	pthread_mutex_lock(&catalog->lock);
	snapshot = catalog->current;
	atomic_fetch_add(&snapshot->references, 1);
	pthread_mutex_unlock(&catalog->lock);
	arena_on_free(op->mem, snapshot_unref, snapshot);
	return &snapshot->public;
}

/* ---- looking up ---- */

static const struct snapshot *
snapshot_of(const struct catalog_snapshot *c)
{
	return (const struct snapshot *)(const void *)c;
}

/* By folded name; plain ASCII, the usual case, is folded on the stack. */
static const void *
find_name(const struct catalog_snapshot *c, enum object_kind kind, const char *name)
{
	const struct index *index = &snapshot_of(c)->by_name[kind];
	struct arena *mem;
	const void *found;
	char key[256], *folded;
	size_t n;

	for (n = 0; name[n] && n < sizeof(key) - 1 && (unsigned char)name[n] < 0x80; n++)
		key[n] = (char)(name[n] >= 'A' && name[n] <= 'Z' ? name[n] + ('a' - 'A') : name[n]);
	key[n] = '\0';
	if (!name[n])
		return index_find(index, key);
	mem = arena_new();
	folded = text_fold(mem, name);
	found = folded ? index_find(index, folded) : NULL;
	arena_free(mem);
	return found;
}

const struct catalog_role *
catalog_role(const struct catalog_snapshot *c, const char *name)
{
	return find_name(c, OBJECT_ROLE, name);
}

const struct catalog_location *
catalog_location(const struct catalog_snapshot *c, const char *name)
{
	return find_name(c, OBJECT_LOCATION, name);
}

const struct catalog_directory *
catalog_directory(const struct catalog_snapshot *c, const char *name)
{
	return find_name(c, OBJECT_DIRECTORY, name);
}

const struct catalog_rule *
catalog_rule(const struct catalog_snapshot *c, const char *name)
{
	return find_name(c, OBJECT_RULE, name);
}

const struct catalog_app *
catalog_app(const struct catalog_snapshot *c, const char *client_id)
{
	return index_find(&snapshot_of(c)->by_client_id, client_id);
}

const struct catalog_app *
catalog_app_by_name(const struct catalog_snapshot *c, const char *name)
{
	return find_name(c, OBJECT_APP, name);
}

const struct catalog_role *
catalog_role_by_id(const struct catalog_snapshot *c, const char *id)
{
	return index_find(&snapshot_of(c)->by_id[OBJECT_ROLE], id);
}

const struct catalog_location *
catalog_location_by_id(const struct catalog_snapshot *c, const char *id)
{
	return index_find(&snapshot_of(c)->by_id[OBJECT_LOCATION], id);
}

const struct catalog_directory *
catalog_directory_by_id(const struct catalog_snapshot *c, const char *id)
{
	return index_find(&snapshot_of(c)->by_id[OBJECT_DIRECTORY], id);
}

const struct catalog_rule *
catalog_rule_by_id(const struct catalog_snapshot *c, const char *id)
{
	return index_find(&snapshot_of(c)->by_id[OBJECT_RULE], id);
}

const struct catalog_app *
catalog_app_by_id(const struct catalog_snapshot *c, const char *id)
{
	return index_find(&snapshot_of(c)->by_id[OBJECT_APP], id);
}

bool
catalog_is_within(const struct catalog_location *location, const struct catalog_location *ancestor)
{
	/* Compared by id: the two may come from different snapshots. */
	for (; location; location = location->parent)
		if (!strcmp(location->id, ancestor->id))
			return true;
	return false;
}

bool
catalog_is_kerberos(const struct shape_directory *directory)
{
	return directory->bind_method && !strcmp(directory->bind_method, "gssapi");
}

int
catalog_bind_password(struct op *op, const struct catalog_directory *directory, char **ret)
{
	unsigned char *plain;
	size_t n;
	int rc;

	/* Where the object names a place, that decides: who renews the file expects so. */
	if (directory->body->password)
		return secret_read(op, directory->body->password, ret);
	if (!directory->sealed_password)
		return op_fail(op, ERR_INVALID,
		    "the directory %s has no password yet; set it with \"keyward directory password %s --password-file FILE\"",
		    directory->body->name, directory->body->name);
	rc = unseal(op, keyring_master(op), "bind_password", directory->secret_id, directory->sealed_password,
	    directory->sealed_size, &plain, &n);
	if (!rc)
		*ret = op_strndup(op, (const char *)plain, n);
	return rc;
}
