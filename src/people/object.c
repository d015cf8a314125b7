/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * How objects come into the database: objects_change reads what is there, finds out what each change means, checks the whole
 * set as it will be, and writes versions, secrets and audit rows.  Read change_body first; object_check.c has the checks.
 */
#include "people/object.h"

#include <stdlib.h>
#include <string.h>

#include "audit/audit.h"
#include "base/uuid.h"
#include "crypt/hash.h"
#include "crypt/random.h"
#include "crypt/seal.h"
#include "people/catalog.h"
#include "people/keyring.h"
#include "people/user.h"

static const struct object_kind_row kinds[OBJECT_KINDS] = {
#define KIND(word, list)                                                                                                           \
	{                                                                                                                          \
#word, #list, shape_##word, offsetof(struct shape_config_file, list), offsetof(struct shape_##word, name)          \
	}
    [OBJECT_ROLE] = KIND(role, roles),
    [OBJECT_LOCATION] = KIND(location, locations),
    [OBJECT_DIRECTORY] = KIND(directory, directories),
    [OBJECT_RULE] = KIND(rule, rules),
    [OBJECT_APP] = KIND(app, apps),
#undef KIND
};

/* What one call works on; arg of the body, which may run twice. */
struct work {
	struct object_change *changes;
	size_t n_changes;
	const struct objects_options *options;
	struct object *set;             /* as it is, then as it will be */
	size_t n_set;
	struct objects_result result;
};

const struct object_kind_row *
object_kind_row(enum object_kind kind)
{
	return &kinds[kind];
}

int
object_kind_find(const char *name)
{
	for (int kind = 0; kind < OBJECT_KINDS; kind++)
		if (!strcmp(name, kinds[kind].name) || !strcmp(name, kinds[kind].plural))
			return kind;
	return -1;
}

const char *
object_name(enum object_kind kind, const void *body)
{
	const char *name;

	memcpy(&name, (const char *)body + kinds[kind].name_offset, sizeof(name));
	return name;
}

/* The row's JSON as the struct of its kind.  What was stored passed the checks of its time. */
static int
object_parse(struct op *keep, const struct object_row *row, struct object *ret)
{
	struct problems problems = problems_in(keep, op_printf(keep, "stored %s %s", row->kind, row->name));
	int kind = object_kind_find(row->kind);
	struct node *node;
	json_t *json;
	int rc;

	if (kind < 0)
		return op_fail(keep, ERR_INTERNAL,
		    "the database holds an object of the unknown kind %s; it was written by a newer keywardd", row->kind);
	rc = json_read(keep, row->body, strlen(row->body), &json);
	if (!rc)
		rc = node_from_json(keep, json, &problems, &node);
	*ret = (struct object){ .kind = kind, .id = op_strdup(keep, row->id), .version = row->version,
	    .name = op_strdup(keep, row->name), .name_key = op_strdup(keep, row->name_key), .changed_ms = row->changed_ms };
	if (!rc)
		rc = shape_read(keep, kinds[kind].shape(), node, &problems, &ret->body);
	return rc;
}

static int
object_compare(const void *a, const void *b)
{
	const struct object *x = a, *y = b;

	return x->kind != y->kind ? (int)x->kind - (int)y->kind : strcmp(x->name_key, y->name_key);
}

const char *
objects_mark(struct op *op, const struct object *objects, size_t n)
{
	struct buf text = buf_in(op->mem);
	unsigned char hash[SHA256_BYTES];

	for (size_t i = 0; i < n; i++)
		buf_printf(&text, "%s:%lld\n", objects[i].id, (long long)objects[i].version);
	sha256(text.text, text.length, hash);
	return hex_encode(op->mem, hash, 16);
}

int
objects_read(struct op *op, struct op *keep, struct object **ret, size_t *ret_n)
{
	struct object_row *rows;
	size_t n;
	int rc = db_object_all(op, &rows, &n);

	if (rc)
		return rc;
	*ret = op_alloc(keep, n * sizeof(**ret));
	*ret_n = n;
	for (size_t i = 0; i < n && !rc; i++) {
		rc = object_parse(keep, &rows[i], &(*ret)[i]);
		if (rc && keep != op)
			rc = op_fail(op, rc, "%s", op_failure(keep));
	}
	/* In C, because engines order text differently. */
	if (!rc && n)
		qsort(*ret, n, sizeof(**ret), object_compare);
	return rc;
}

int
objects_refuse(struct op *op, const struct problems *problems)
{
	char *text = problems_text(op, problems);
	size_t n = strlen(text);

	while (n && text[n - 1] == '\n')
		text[--n] = '\0';
	op_forgive(op);
	return op_fail(op, ERR_INVALID, "%s", text);
}

static struct object *
set_find(const struct work *work, enum object_kind kind, const char *name_key)
{
	for (size_t i = 0; i < work->n_set; i++)
		if (work->set[i].kind == kind && !strcmp(work->set[i].name_key, name_key))
			return &work->set[i];
	return NULL;
}

static json_t *
body_json(struct op *op, enum object_kind kind, const void *body)
{
	return body ? shape_write(op, kinds[kind].shape(), body) : NULL;
}

/*
 * OWASP ASVS 13.3.1: a password saved for one server is not for another.  Whoever may write the object could else have it sent to a
 * server of his own, although nobody is ever shown it.
 */
static bool
forgets_password(const struct object_change *change)
{
	static const char *const whereto[] = { "url", "starttls", "ca" };
	bool is_elsewhere = false;

	for (size_t i = 0; i < countof(whereto); i++) {
		const json_t *before = json_object_get(change->before, whereto[i]), *after = json_object_get(change->after, whereto[i]);

		is_elsewhere = is_elsewhere || (before != after && (!before || !after || !json_equal(before, after)));
	}
	return change->kind == OBJECT_DIRECTORY && change->action == OBJECT_CHANGE && is_elsewhere && !change->secret;
}

/* What a change means for the set; the set then holds the object as it will be. */
static int
change_apply(struct op *op, struct work *work, struct object_change *change, struct problems *problems)
{
	const char *name = change->body ? object_name(change->kind, change->body) : change->name;
	const char *word = kinds[change->kind].name;
	const char *key = text_fold(op->mem, name);
	struct object *object = key ? set_find(work, change->kind, key) : NULL;

	if (!key)
		return op_fail(op, ERR_INVALID, "the name of a %s is not UTF-8", word);
	if (object && object->where && change->where) {
		problems_add(problems, change->where, NULL, "the %s %s is the same as %s in line %d; names are compared without case",
		    word, name, object->name, object->where->line);
		return 0;
	}
	if (!change->body && !object)
		return op_fail(op, ERR_NOT_FOUND, "there is no %s called %s", word, name);
	if (object && change->must_be_new)
		return op_fail(op, ERR_CONFLICT,
		    "the name %s is taken by another %s; choose another name, or remove that one first", object->name, word);
	if (!object) {
		object = &work->set[work->n_set++];
		*object = (struct object){ .kind = change->kind, .name_key = key };
	}
	change->id = object->id;
	change->before = body_json(op, change->kind, object->body);
	change->after = body_json(op, change->kind, change->body);
	object->body = change->body;
	object->name = name;
	object->where = change->where;
	if (!change->body)
		change->action = OBJECT_REMOVE;
	else if (!change->before)
		change->action = OBJECT_CREATE;
	else
		change->action = json_equal(change->before, change->after) ? OBJECT_UNCHANGED : OBJECT_CHANGE;
	change->forgets_password = forgets_password(change);
	return 0;
}

bool
object_is_test_page(enum object_kind kind, const void *body)
{
	const struct shape_app *app = body;
	size_t n, suffix = strlen(OBJECT_TEST_PAGE_CALLBACK);

	if (kind != OBJECT_APP || !app || strcmp(app->name, OBJECT_TEST_PAGE) || strcmp(app->type, "public") || app->redirect_uris.n != 1)
		return false;
	n = strlen(app->redirect_uris.v[0]);
	return n > suffix && !strcmp(app->redirect_uris.v[0] + n - suffix, OBJECT_TEST_PAGE_CALLBACK);
}

/* Adds a removal for every object that no change has named. */
static int
prune(struct op *op, struct work *work, size_t n_before, const bool *is_named, struct problems *problems)
{
	int rc = 0;

	for (size_t i = 0; i < n_before && !rc; i++) {
		struct object_change *change = &work->result.v[work->result.n];

		if (is_named[i] || object_is_test_page(work->set[i].kind, work->set[i].body))
			continue;
		*change = (struct object_change){ .kind = work->set[i].kind, .name = work->set[i].name };
		work->result.n++;
		rc = change_apply(op, work, change, problems);
	}
	return rc;
}

static int
plan_changes(struct op *op, struct work *work, struct problems *problems)
{
	size_t n_before = work->n_set;
	bool *is_named = op_alloc(op, n_before + 1);
	int rc = 0;

	for (size_t i = 0; i < work->n_changes && !rc; i++) {
		struct object_change *change = &work->result.v[i];
		const char *name = change->body ? object_name(change->kind, change->body) : change->name;
		const char *key = text_fold(op->mem, name);
		struct object *object = key ? set_find(work, change->kind, key) : NULL;

		if (object && (size_t)(object - work->set) < n_before)
			is_named[object - work->set] = true;
		rc = change_apply(op, work, change, problems);
	}
	if (!rc && work->options->want_prune)
		rc = prune(op, work, n_before, is_named, problems);
	return rc;
}

/* A directory keeps its name as long as it has accounts, a role and a location as long as somebody holds them. */
static int
check_unused(struct op *op, const struct object_change *change)
{
	int64_t count = 0;
	int rc = 0;

	if (change->action != OBJECT_REMOVE)
		return 0;
	if (change->kind == OBJECT_DIRECTORY)
		rc = db_object_count_users(op, change->id, &count);
	else if (change->kind == OBJECT_ROLE || change->kind == OBJECT_LOCATION)
		rc = db_object_count_grants(op, change->id, &count);
	if (rc || !count)
		return rc;
	if (change->kind == OBJECT_DIRECTORY)
		return op_fail(op, ERR_CONFLICT,
		    "the directory %s has %lld accounts, whose history needs it; set enabled: false instead of removing it",
		    change->name, (long long)count);
	return op_fail(op, ERR_CONFLICT,
	    "the %s %s is in use: %lld roles that people hold name it; remove the rules that give them, run "
	    "\"keyward sync run\", and take what was given by hand with \"keyward user revoke\"",
	    kinds[change->kind].name, change->name, (long long)count);
}

static const char *
source_kind(const struct op *op)
{
	switch (op->caller.kind) {
	case ACTOR_ROOT: return "root";
	case ACTOR_USER: return "user";
	case ACTOR_APP: return "app";
	default: return "system";
	}
}

/* Only the members that differ, so that the audit row shows the change and not the certificate beside it. */
static char *
changed_members(struct op *op, const json_t *mine, const json_t *other)
{
	json_t *out = json_own(op, json_object());
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)mine, name, value)
		if (!other || !json_equal(value, json_object_get(other, name)))
			json_object_set(out, name, value);
	return json_canonical(op, out);
}

static int
write_secret(struct op *op, const struct object_change *change, const char *name)
{
	struct object_secret_row row;
	int rc;

	if (!change->secret)
		return 0;
	row = (struct object_secret_row){ change->secret->id, change->id, change->secret->purpose, change->secret->form,
	    change->secret->value, change->secret->size };
	rc = strcmp(row.form, "sealed") == 0 ? keyring_check_sealed(op, row.value, row.size) : 0;
	if (!rc)
		rc = db_object_put_secret(op, &row);
	if (rc)
		return rc;
	return audit_record(op, EV_SECRET_SET, change->id, FACTS(FACT("kind", kinds[change->kind].name), FACT("name", name),
	    FACT("purpose", row.purpose)));
}

static int
forget_password(struct op *op, const struct object_change *change, const char *name)
{
	int64_t n = 0;
	int rc = change->forgets_password ? db_object_end_secret(op, change->id, "bind_password", &n) : 0;

	if (rc || !n)
		return rc;
	return audit_record(op, EV_SECRET_FORGOTTEN, change->id,
	    FACTS(FACT("kind", kinds[change->kind].name), FACT("name", name), FACT("purpose", "bind_password")));
}

/* RFC 9700 has no word on it, but an application that is gone must not go on with its refresh tokens. */
static void
tell_ended(struct op *op, void *arg)
{
	const char **ids = arg;

	for (; *ids && op->svc->on_end; ids++)
		op->svc->on_end(op, &(struct end_notice){ .authorization_id = *ids });
}

static int
write_removal(struct op *op, const struct object_change *change)
{
	const char **ended = NULL;
	size_t n = 0;
	int rc = db_object_end(op, change->id);

	if (!rc && change->kind == OBJECT_APP)
		rc = db_object_end_authorizations(op, change->id, "app_removed", &ended, &n);
	if (rc)
		return rc;
	if (n) {
		const char **ids = op_alloc(op, (n + 1) * sizeof(*ids));

		memcpy(ids, ended, n * sizeof(*ids));
		db_on_commit(op, tell_ended, ids);
	}
	return audit_record(
	    op, EV_OBJECT_END, change->id, FACTS(FACT("kind", kinds[change->kind].name), FACT("name", change->name)));
}

static int
write_version(struct op *op, const struct work *work, struct object_change *change)
{
	const char *word = kinds[change->kind].name, *name = object_name(change->kind, change->body);
	const char *key = text_fold(op->mem, name);
	const struct object *object = set_find(work, change->kind, key);
	int64_t version = object->version + 1;
	int rc;

	if (change->action == OBJECT_CREATE) {
		char id[UUID_TEXT_BYTES];

		uuid_new(id, op->now_ms);
		change->id = op_strdup(op, id);
		rc = db_object_create(op, id, word, name, key);
	} else {
		rc = db_object_rename(op, change->id, name, key);
	}
	if (!rc)
		rc = db_object_put_version(op, change->id, version,
		    json_canonical(op, shape_write_short(op, kinds[change->kind].shape(), change->body)), source_kind(op),
		    op->caller.actor ? op->caller.actor : "");
	if (rc)
		return rc;
	if (change->action == OBJECT_CREATE)
		return audit_record(op, EV_OBJECT_CREATE, change->id,
		    FACTS(FACT("kind", word), FACT("name", name), FACT("version", "1"),
			FACT("after", json_canonical(op, change->after))));
	return audit_record(op, EV_OBJECT_CHANGE, change->id,
	    FACTS(FACT("kind", word), FACT("name", name), FACT("version", op_printf(op, "%lld", (long long)version)),
		FACT("before", changed_members(op, change->before, change->after)),
		FACT("after", changed_members(op, change->after, change->before))));
}

static int
change_write(struct op *op, struct work *work, struct object_change *change)
{
	int rc = 0;

	if (change->action == OBJECT_REMOVE)
		return write_removal(op, change);
	if (change->action != OBJECT_UNCHANGED)
		rc = write_version(op, work, change);
	if (!rc)
		rc = forget_password(op, change, object_name(change->kind, change->body));
	return rc ? rc : write_secret(op, change, object_name(change->kind, change->body));
}

static void
count_actions(struct objects_result *result)
{
	result->created = result->changed = result->removed = result->unchanged = 0;
	for (size_t i = 0; i < result->n; i++) {
		enum object_action action = result->v[i].action;

		result->created += action == OBJECT_CREATE;
		result->changed += action == OBJECT_CHANGE;
		result->removed += action == OBJECT_REMOVE;
		result->unchanged += action == OBJECT_UNCHANGED;
	}
}

static int
change_body(struct op *op, void *arg)
{
	struct work *work = arg;
	struct problems problems = problems_in(op, work->options->source);
	struct object *now;
	size_t n;
	int rc = objects_read(op, op, &now, &n);

	if (rc)
		return rc;
	work->result.mark = objects_mark(op, now, n);
	if (work->options->mark && strcmp(work->options->mark, work->result.mark))
		return op_fail(op, ERR_CONFLICT, "objects have been changed since the plan was shown; plan again");
	work->set = op_alloc(op, (n + work->n_changes + 1) * sizeof(*now));
	work->n_set = n;
	if (n)
		memcpy(work->set, now, n * sizeof(*now));
	work->result.v = op_alloc(op, (n + work->n_changes + 1) * sizeof(*work->changes));
	work->result.n = work->n_changes;
	if (work->n_changes)
		memcpy(work->result.v, work->changes, work->n_changes * sizeof(*work->changes));
	rc = plan_changes(op, work, &problems);
	if (rc)
		return rc;
	objects_check(op, work->set, work->n_set, &problems);
	if (problems.n)
		return objects_refuse(op, &problems);
	for (size_t i = 0; i < work->result.n && !rc; i++)
		rc = check_unused(op, &work->result.v[i]);
	for (size_t i = 0; i < work->result.n && !rc && !work->options->is_dry_run; i++)
		rc = change_write(op, work, &work->result.v[i]);
	count_actions(&work->result);
	return rc;
}

int
objects_change(struct op *op, struct object_change *v, size_t n, const struct objects_options *options, struct objects_result *ret)
{
	struct work work = { .changes = v, .n_changes = n, .options = options };
	int rc = options->is_dry_run ? db_read(op, change_body, &work) : db_run(op, change_body, &work);

	if (rc)
		return rc;
	if (n)
		memcpy(v, work.result.v, n * sizeof(*v));
	*ret = work.result;
	return options->is_dry_run || !op->svc->catalog ? 0 : catalog_reload(op);
}

struct secret_work {
	enum object_kind kind;
	const char *name;
	const struct object_secret *secret;
};

static int
secret_body(struct op *op, void *arg)
{
	struct secret_work *work = arg;
	struct work set = { 0 };
	const char *key = text_fold(op->mem, work->name);
	struct object *object;
	int rc = objects_read(op, op, &set.set, &set.n_set);

	if (rc)
		return rc;
	object = key ? set_find(&set, work->kind, key) : NULL;
	if (!object)
		return op_fail(op, ERR_NOT_FOUND, "there is no %s called %s", kinds[work->kind].name, work->name);
	if (work->kind == OBJECT_APP && !strcmp(((const struct shape_app *)object->body)->type, "public"))
		return op_fail(op, ERR_INVALID, "%s is a public application and has no secret", object->name);
	return write_secret(
	    op, &(struct object_change){ .kind = work->kind, .id = object->id, .secret = work->secret }, object->name);
}

int
objects_set_secret(struct op *op, enum object_kind kind, const char *name, const struct object_secret *secret)
{
	struct secret_work work = { kind, name, secret };
	int rc = db_run(op, secret_body, &work);

	return rc || !op->svc->catalog ? rc : catalog_reload(op);
}

static struct object_secret *
secret_new(struct op *op, const char *purpose, const char *form)
{
	struct object_secret *secret = op_alloc(op, sizeof(*secret));
	char id[UUID_TEXT_BYTES];

	uuid_new(id, op->now_ms);
	*secret = (struct object_secret){ .id = op_strdup(op, id), .purpose = purpose, .form = form };
	return secret;
}

int
object_seal_password(struct op *op, const char *password, struct object_secret **ret)
{
	struct object_secret *secret = secret_new(op, "bind_password", "sealed");
	unsigned char *value;
	int rc;

	/* RFC 4513 5.1.2: a bind without a password would succeed as nobody. */
	if (!*password)
		return op_fail(op, ERR_INVALID, "the password of the service account is empty");
	rc = seal(op, keyring_master(op), secret->purpose, secret->id, password, strlen(password), &value, &secret->size);
	secret->value = value;
	*ret = secret;
	return rc;
}

char *
object_make_client_secret(struct op *op, struct object_secret **ret)
{
	struct object_secret *secret = secret_new(op, "client_secret", "sha256");
	char *text = random_secret(op);
	unsigned char *hash = op_alloc(op, SHA256_BYTES);

	/* 256 random bits need no slow hash (RFC 6749 10.10). */
	sha256(text, strlen(text), hash);
	secret->value = hash;
	secret->size = SHA256_BYTES;
	*ret = secret;
	return text;
}
