/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The groups that somebody is in, directly or through others, at this moment.  They are followed upwards level by level, in one of
 * two ways: most directories are asked which groups have these members; Active Directory is asked for the groups that memberOf
 * names, because there a search by member may look through every group (Samba: a second for three DNs).  Read
 * directory_groups_read.
 */
#include <string.h>

#include "directory_int.h"
#include "source_int.h"

#define LEVELS_MAX 64
#define GROUPS_MAX 2000
#define DNS_EACH 20                     /* DNs asked for in one search */
#define MEMBER_OF "memberOf"

struct climb {
	const struct source_setup *setup;
	const struct source_person *person;
	struct map *map;
	bool is_upwards;                        /* dns are groups that memberOf named; else members whose groups are asked for */
	const char *dns[GROUPS_MAX + 1];
	size_t groups[GROUPS_MAX];
	size_t n_dns, n_groups;
};

static int
add_dn(struct op *op, struct climb *c, const char *dn)
{
	/* the same server spells a DN in one way; where it did not, a group would be read twice, and taken once */
	for (size_t i = 0; i < c->n_dns; i++)
		if (strcmp(c->dns[i], dn) == 0)
			return 0;
	if (c->n_dns == countof(c->dns))
		return op_fail(op, ERR_INCOMPLETE, "somebody is in more than %d groups", GROUPS_MAX);
	c->dns[c->n_dns++] = op_strdup(op, dn);
	return 0;
}

/* The groups that an entry is directly in, as it says itself. */
static int
add_parents(struct op *op, struct climb *c, const struct ldap_entry *entry)
{
	const struct ldap_attribute *parents = ldap_attribute(entry, MEMBER_OF);
	int64_t from, to;
	int rc = 0;

	if (ldap_attribute_range(entry, MEMBER_OF, &from, &to))
		return op_fail(op, ERR_INCOMPLETE, "%.500s is in more groups than the directory tells at once", entry->dn);
	for (size_t i = 0; !rc && parents && i < parents->n; i++)
		if (text_is_utf8(parents->v[i].data, parents->v[i].size))
			rc = add_dn(op, c, parents->v[i].data);
	return rc;
}

/* primary: what its SID must be, when it is the primary group, which may lie anywhere; else NULL. */
static int
take_group(struct op *op, struct climb *c, const struct ldap_entry *entry, const char *primary)
{
	struct source_group group;
	const char *why;

	if (source_group_read(op, c->setup, entry, primary != NULL, &group, &why) || map_has_group(c->map, group.external_id))
		return 0;
	if (primary && (!group.sid || strcmp(group.sid, primary) != 0))
		return op_fail(op, ERR_INCOMPLETE, "the directory gives %.500s for the primary group %s", entry->dn, primary);
	if (c->n_groups == GROUPS_MAX)
		return op_fail(op, ERR_INCOMPLETE, "somebody is in more than %d groups", GROUPS_MAX);
	c->groups[c->n_groups++] = map_add_group(c->map, group.external_id, group.dn_key);
	return c->is_upwards ? add_parents(op, c, entry) : add_dn(op, c, group.dn);
}

static int
on_person(struct op *op, const struct ldap_entry *entry, void *arg)
{
	return add_parents(op, arg, entry);
}

static int
on_group(struct op *op, const struct ldap_entry *entry, void *arg)
{
	return take_group(op, arg, entry, NULL);
}

static int
on_primary_group(struct op *op, const struct ldap_entry *entry, void *arg)
{
	const struct climb *c = arg;

	return take_group(op, arg, entry, c->person->primary_group);
}

/* The groups that these DNs are directly in; upwards: the groups that have these DNs. */
static int
search_groups(struct op *op, struct ldap_link *link, struct climb *c, size_t from, size_t to)
{
	static const char *const own[] = { "distinguishedName", NULL };
	const char *const attributes[] = { c->setup->id_attribute, "cn", c->is_upwards ? MEMBER_OF : NULL, NULL };
	const char *const *names = c->is_upwards ? own : c->setup->members;
	struct ldap_query query = { .base = c->setup->group_base, .scope = LDAP_SUBTREE, .attributes = attributes, .limit = GROUPS_MAX };
	struct buf filter = buf_in(op->mem);

	buf_printf(&filter, "(&%s(|", c->setup->group_filter);
	for (size_t i = from; i < to; i++) {
		/* a DN in a filter is escaped as a value of a filter, whatever is escaped inside it already */
		const char *dn = ldap_filter_escape(op, c->dns[i], strlen(c->dns[i]));

		for (const char *const *name = names; *name; name++)
			buf_printf(&filter, "(%s=%s)", *name, dn);
	}
	buf_add(&filter, "))");
	query.filter = filter.text;
	return source_search(op, c->setup, link, &query, on_group, c);
}

/* The person's own memberOf, and his primary group, which no member value and no memberOf names ([MS-ADA3] 2.117). */
static int
begin_upwards(struct op *op, struct ldap_link *link, struct climb *c)
{
	static const char *const person_attributes[] = { MEMBER_OF, NULL };
	const char *const group_attributes[] = { c->setup->id_attribute, "cn", "objectSid", MEMBER_OF, NULL };
	struct ldap_query query = { .base = c->person->dn, .scope = LDAP_BASE, .filter = "(objectClass=*)", .limit = 1,
		.attributes = person_attributes };
	int rc = source_search(op, c->setup, link, &query, on_person, c);

	if (rc || !c->person->primary_group)
		return rc;
	query.base = source_sid_base(op, c->person->primary_group);
	query.attributes = group_attributes;
	return source_search(op, c->setup, link, &query, on_primary_group, c);
}

static int
begin(struct op *op, struct ldap_link *link, struct climb *c)
{
	return c->is_upwards ? begin_upwards(op, link, c) : add_dn(op, c, c->person->dn);
}

int
directory_groups_read(struct op *op, struct ldap_link *link, const struct source_setup *setup, const struct source_person *person,
    struct directory_groups *ret)
{
	struct climb *c = op_alloc(op, sizeof(*c));
	size_t from = 0;
	int rc;

	c->setup = setup;
	c->person = person;
	c->is_upwards = setup->kind->kind == LDAP_KIND_AD;
	c->map = map_new(op, setup->rules->v, setup->rules->n);
	rc = begin(op, link, c);
	for (int level = 0; !rc && from < c->n_dns; level++) {
		size_t end = c->n_dns;

		if (level == LEVELS_MAX)
			return op_fail(op, ERR_INCOMPLETE, "groups are nested more than %d deep", LEVELS_MAX);
		for (size_t to; !rc && from < end; from = to) {
			to = end - from > DNS_EACH ? from + DNS_EACH : end;
			rc = search_groups(op, link, c, from, to);
		}
	}
	if (rc)
		return rc;
	map_close(c->map);
	*ret = (struct directory_groups){ c->map, c->groups, c->n_groups };
	return 0;
}
