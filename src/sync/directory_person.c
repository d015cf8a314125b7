/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One person as he stands in the directory at this moment: found by name, read by the same code as a full sync, his groups
 * followed upwards (directory_groups.c).  Read directory_find_person, then find.
 */
#include <string.h>

#include "directory_int.h"
#include "source_int.h"

#define FOUND_MAX 10                    /* more entries than this for one name are not even counted */

struct finding {
	const struct catalog_directory *directory;
	const char *name;
	bool by_mail;
	struct source_setup *setup;
	struct source_names names;
	struct directory_person *person;
	/* the answer */
	int64_t found;
	bool is_taken;
	const char *why;                /* the entry cannot be taken */
	struct source_person entry;
	struct directory_groups groups;
};

static bool
has_value(struct op *op, const struct ldap_entry *entry, const char *attribute, const char *name)
{
	const struct ldap_attribute *values = ldap_attribute(entry, attribute);
	const char *wanted = text_fold(op->mem, name);

	for (size_t i = 0; values && wanted && i < values->n; i++) {
		const char *key = text_is_utf8(values->v[i].data, values->v[i].size) ? text_fold(op->mem, values->v[i].data) : NULL;

		if (key && strcmp(key, wanted) == 0)
			return true;
	}
	return false;
}

/* The server has the last word on who matches, but it must be about a name that was asked for. */
static bool
has_name(struct op *op, const struct ldap_entry *entry, const struct source_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		if (has_value(op, entry, names->v[i].attribute, names->v[i].value))
			return true;
	return false;
}

static int
on_person(struct op *op, const struct ldap_entry *entry, void *arg)
{
	struct finding *f = arg;

	if (f->found++ > 0)
		return 0;
	f->why = "it does not have the name that was asked for";
	if (has_name(op, entry, &f->names))
		f->is_taken = source_person_read(op, f->setup, entry, op->now_ms, &f->entry, &f->why) == 0;
	return 0;
}

static int
make_names(struct op *op, struct ldap_link *link, struct finding *f)
{
	if (!f->by_mail)
		return source_names_make(op, f->setup, link, f->name, &f->names);
	f->names.n = 1;
	f->names.v[0].attribute = f->setup->mail_attribute;
	f->names.v[0].value = f->name;
	return 0;
}

/* RFC 4515 3: what was typed is a value and nothing else. */
static const char *
names_filter(struct op *op, const struct finding *f)
{
	struct buf filter = buf_in(op->mem);

	buf_printf(&filter, "(&%s%s", f->setup->filter, f->names.n > 1 ? "(|" : "");
	for (size_t i = 0; i < f->names.n; i++)
		buf_printf(&filter, "(%s=%s)", f->names.v[i].attribute,
		    ldap_filter_escape(op, f->names.v[i].value, strlen(f->names.v[i].value)));
	buf_add(&filter, f->names.n > 1 ? "))" : ")");
	return filter.text;
}

static int
search_person(struct op *op, struct ldap_link *link, struct finding *f)
{
	struct ldap_query query = { .base = f->setup->base, .scope = LDAP_SUBTREE, .attributes = f->setup->attributes, .limit = FOUND_MAX };
	const char *attribute = f->by_mail ? f->setup->mail_attribute : f->setup->login_attribute;
	int rc = make_names(op, link, f);

	if (rc)
		return rc;
	if (f->names.n == 0)
		return op_fail(op, ERR_NOT_FOUND, "the name is of another domain than %s", f->directory->body->name);
	query.filter = names_filter(op, f);
	rc = source_search(op, f->setup, link, &query, on_person, f);
	if (rc == ERR_TOO_LARGE && f->found > 1)
		op_forgive(op);
	else if (rc)
		return rc;
	if (f->found > 1)
		return op_fail(op, ERR_AMBIGUOUS, "several entries of %s have this %s", f->directory->body->name, attribute);
	if (f->found == 0)
		return op_fail(op, ERR_NOT_FOUND, "nobody in %s has this %s", f->directory->body->name, attribute);
	if (!f->is_taken)
		return op_fail(op, ERR_NOT_FOUND, "the entry that %s has for this %s cannot be taken: %s", f->directory->body->name,
		    attribute, f->why);
	return 0;
}

static void
fill_person(struct op *op, struct finding *f)
{
	f->person = op_alloc(op, sizeof(*f->person));
	f->person->dn = f->entry.dn;
	f->person->hold = f->entry.hold;
	f->person->change.person = f->entry.person;
	f->person->finding = f;
}

static void
fill_grants(struct op *op, struct finding *f)
{
	struct user_change *change = &f->person->change;
	struct wanted_grant *grants;

	map_person(f->groups.map, op, f->groups.v, f->groups.n, f->entry.values, f->entry.n_values, &grants, &change->n_grants);
	change->grants = grants;
}

/* The half that is due: the person, or once he is known his groups. */
static int
find_over(struct op *op, struct ldap_link *link, struct finding *f)
{
	int rc;

	if (f->person) {
		rc = directory_groups_read(op, link, f->setup, &f->entry, &f->groups);
		if (!rc)
			fill_grants(op, f);
		return rc;
	}
	f->found = 0;
	f->is_taken = false;
	rc = search_person(op, link, f);
	if (!rc)
		fill_person(op, f);
	return rc;
}

/* Directories close connections that rest: a kept one that turns out dead at its first use is no failure. */
static int
find(struct op *op, void *arg)
{
	struct finding *f = arg;
	struct ldap_link *link;
	int rc = directory_connect(op, f->directory, &link);

	if (rc)
		return rc;
	rc = find_over(op, link, f);
	if (rc == ERR_UNREACHABLE) {
		op_forgive(op);
		directory_release(op, f->directory, link, false);
		if ((rc = directory_connect(op, f->directory, &link)) < 0)
			return rc;
		rc = find_over(op, link, f);
	}
	directory_release(op, f->directory, link, !ldap_link_is_dead(link));
	return rc;
}

int
directory_find_person(struct op *op, const struct catalog_directory *directory, const char *name, bool by_mail,
    struct directory_person **ret)
{
	struct finding *f = op_alloc(op, sizeof(*f));
	struct source_rules *rules;
	size_t size = strlen(name);
	int rc;

	*ret = NULL;
	f->directory = directory;
	f->name = name;
	f->by_mail = by_mail;
	if (size == 0 || size > (by_mail ? SOURCE_MAIL_MAX : SOURCE_LOGIN_MAX) || !text_is_utf8(name, size) || text_has_control(name))
		return op_fail(op, ERR_NOT_FOUND, "nobody has a name that is empty, that long, or with such characters");
	if ((rc = source_rules_make(op, directory, &rules)) < 0 || (rc = source_setup_make(op, directory, rules, &f->setup)) < 0 ||
	    (rc = directory_guarded(op, directory, find, f)) < 0)
		return rc;
	*ret = f->person;
	return 0;
}

int
directory_read_grants(struct op *op, struct directory_person *person)
{
	return directory_guarded(op, person->finding->directory, find, person->finding);
}
