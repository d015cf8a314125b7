/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Accounts follow what a directory tells: the one place where people are created and changed, for a sign-in and for a
 * synchronisation of a hundred thousand alike.  Read users_change, then user_state.c and user_grant.c.
 */
#include "people/user.h"

#include <assert.h>
#include <string.h>

#include "audit/audit.h"
#include "base/text.h"
#include "base/uuid.h"
#include "user_int.h"

const char *
source_run(const struct change_source *source)
{
	return source && !strcmp(source->kind, "sync") ? source->id : NULL;
}

static bool
is_same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* The account as the person says; keys are folded only where the text is another one. */
static int
user_from_person(struct op *op, const struct user *before, const struct person *person, struct user *ret)
{
	struct user *user = ret;
	bool is_new = !before;

	*user = is_new ? (struct user){ .local_active = true, .created_ms = op->now_ms } : *before;
	user->directory_id = person->directory_id;
	user->external_id = person->external_id;
	if (is_new || !is_same(person->login, before->login))
		user->login_key = text_fold(op->mem, person->login);
	if (is_new || !is_same(person->display_name, before->display_name))
		user->name_key = text_fold(op->mem, person->display_name);
	if (is_new || !is_same(person->mail, before->mail))
		user->mail_key = person->mail ? text_fold(op->mem, person->mail) : NULL;
	if (!user->login_key || !user->name_key || (person->mail && !user->mail_key))
		return op_fail(op, ERR_INVALID, "the directory's entry %s has a name that is not UTF-8", person->external_id);
	user->login = person->login;
	user->display_name = person->display_name;
	user->mail = person->mail;
	user->attributes = person->attributes;
	memcpy(user->digest, person->digest, sizeof(user->digest));
	user->directory_active = person->is_active;
	user->directory_reason = person->reason;
	user->directory_until = person->until;
	user->is_active = user->directory_active && user->local_active;
	user->was_active |= user->is_active;
	user->changed_ms = op->now_ms;
	return 0;
}

/* Names of the data that differ, for the audit and the plan; "" when none do. */
const char *
users_compare(struct op *op, const struct user *user, const struct person *person)
{
	const struct { const char *name; bool is_other; } fields[] = {
		{ "login", !is_same(user->login, person->login) },
		{ "display_name", !is_same(user->display_name, person->display_name) },
		{ "mail", !is_same(user->mail, person->mail) },
		{ "attributes", !is_same(user->attributes, person->attributes) },
		{ "until", user->directory_until != person->until },
	};
	struct buf text = buf_in(op->mem);

	for (size_t i = 0; i < countof(fields); i++)
		if (fields[i].is_other)
			buf_printf(&text, "%s%s", text.length ? " " : "", fields[i].name);
	return text.text;
}

static int
audit_created(struct op *op, const struct user *user, const struct change_source *source)
{
	return audit_record(op, EV_USER_CREATE, user->id,
	    FACTS(PERSONAL("login", user->login), PERSONAL("display_name", user->display_name), PERSONAL("mail", user->mail),
	        FACT("directory", user->directory_id), FACT("state", "active"), FACT("why", source->kind),
	        FACT("run", source_run(source))));
}

static int
audit_changed(struct op *op, const struct user *user, const char *fields, const struct change_source *source)
{
	return audit_record(op, EV_USER_CHANGE, user->id,
	    FACTS(PERSONAL("login", user->login), PERSONAL("display_name", user->display_name), PERSONAL("mail", user->mail),
	        FACT("fields", fields), FACT("why", source->kind), FACT("run", source_run(source))));
}

/* One batch: rows to add and to update, gathered before anything is written. */
struct batch {
	const struct change_source *source;
	const struct user **added, **updated;
	struct user_state *states;
	size_t n_added, n_updated;
};

static int
gather_new(struct op *op, struct batch *batch, struct user_change *change)
{
	struct user *user = op_alloc(op, sizeof(*user));
	char *id = op_alloc(op, UUID_TEXT_BYTES);
	int rc = user_from_person(op, NULL, &change->person, user);

	if (rc)
		return rc;
	uuid_new(id, op->now_ms);
	user->id = change->user_id = id;
	change->was_created = change->has_changed = true;
	batch->states[batch->n_added] = (struct user_state){
		.user_id = id, .side = "directory", .is_active = true, .reason = "", .valid_from = op->now_ms,
		.valid_until = user->directory_until, .source_kind = batch->source->kind, .source_id = batch->source->id,
	};
	batch->added[batch->n_added++] = user;
	return 0;
}

static int
gather_known(struct op *op, struct batch *batch, struct user_change *change, const struct user *before)
{
	const struct person *person = &change->person;
	bool has_other_state = before->directory_active != person->is_active || strcmp(before->directory_reason, person->reason) ||
	    before->directory_until != person->until;
	struct user *after;
	const char *fields;
	int rc;

	change->user_id = before->id;
	if (!has_other_state && !memcmp(before->digest, person->digest, sizeof(person->digest)))
		return 0;
	fields = users_compare(op, before, person);
	if (!has_other_state && !*fields)
		return 0;
	after = op_alloc(op, sizeof(*after));
	rc = user_from_person(op, before, person, after);
	batch->updated[batch->n_updated++] = after;
	change->has_changed = true;
	if (!rc && *fields)
		rc = audit_changed(op, after, fields, batch->source);
	if (!rc && has_other_state)
		rc = user_state_write(op, before, after, batch->source);
	return rc;
}

static int
batch_write(struct op *op, struct batch *batch)
{
	int rc = db_user_add(op, batch->added, batch->n_added);

	if (!rc)
		rc = db_user_state_add(op, batch->states, batch->n_added);
	if (!rc)
		rc = db_user_update(op, batch->updated, batch->n_updated);
	for (size_t i = 0; !rc && i < batch->n_added; i++)
		rc = audit_created(op, batch->added[i], batch->source);
	return rc;
}

static int
load_known(struct op *op, const struct user_change *v, size_t n, struct user ***ret)
{
	const char **ids = op_alloc(op, n * sizeof(*ids));

	for (size_t i = 0; i < n; i++) {
		assert(!strcmp(v[i].person.directory_id, v[0].person.directory_id));
		ids[i] = v[i].person.external_id;
	}
	return db_user_find_many(op, v[0].person.directory_id, ids, n, ret);
}

int
users_change(struct op *op, struct user_change *v, size_t n, const struct change_source *source)
{
	struct batch batch = {
		.source = source,
		.added = op_alloc(op, n * sizeof(*batch.added)),
		.updated = op_alloc(op, n * sizeof(*batch.updated)),
		.states = op_alloc(op, n * sizeof(*batch.states)),
	};
	struct user **known;
	int rc = n ? load_known(op, v, n, &known) : 0;

	for (size_t i = 0; !rc && i < n; i++) {
		v[i].was_created = v[i].has_changed = false;
		v[i].user_id = NULL;
		if (known[i])
			rc = gather_known(op, &batch, &v[i], known[i]);
		else if (v[i].person.is_active)         /* nobody is created who may not sign in */
			rc = gather_new(op, &batch, &v[i]);
	}
	if (!rc)
		rc = batch_write(op, &batch);
	return rc ? rc : user_grants_write(op, v, n, source);
}
