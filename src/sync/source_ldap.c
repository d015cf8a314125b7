/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The reader of a whole directory: people, then groups, page by page; in Active Directory then primary groups that lie
 * elsewhere, and groups that are too long for one answer.  An entry's memory is a small op of its own that is
 * begun anew every few hundred entries, so that memory does not grow with the directory.  Read source_read.
 */
#include "source_int.h"

#include <stdio.h>
#include <string.h>

#include "sync/sync.h"

#define PEOPLE_PAGE 500                 /* slapd refuses pages above its soft limit, which is 500 unless set */
#define GROUPS_PAGE 100
#define ENTRIES_EACH 256                /* entries, and members, that share a piece of memory */
#define MEMBERS_EACH 1024
#define DN_SHOWN_BYTES 1024
#define PRIMARIES_MAX 256
#define PROBES 5
#define MEMBER "member"
#define MEMBERS_EACH_TIME 1500          /* what a domain controller tells at once ([MS-ADTS] 3.1.1.3.4.6: MaxValRange) */
#define MEMBERS_MAX 2000000             /* of one group */
#define STAMP "uSNChanged"
#define MEMBER_OF "memberOf"
#define GROUP_ATTRIBUTES_MAX 16

/* A piece of memory that is thrown away after so many uses. */
struct scratch {
	struct op *run, *op;
	int uses, most;
};

/* A group with more members than the server tells at once: read apart, once the search that found it is over. */
struct long_group {
	struct long_group *next;
	const char *id;
};

/* Somebody's primary group. */
struct primary {
	const char *sid;
	bool is_told;
};

struct reading {
	struct op *op;                          /* of the whole reading */
	const struct source_setup *setup;
	const struct source_reader *reader;
	struct source_summary *summary;
	struct scratch entry, member;
	int64_t hidden;                         /* people left aside because something cannot be read */
	const char *hidden_why;
	struct primary primaries[PRIMARIES_MAX];
	size_t n_primaries;
	const char *asked_sid;                  /* of the primary group that is being read */
	struct long_group *long_groups, **long_end;
	const char *probes[PROBES];             /* DNs of some who are in groups */
	size_t n_probes;
	/* the long group being read */
	const char *long_id;
	bool is_begun;
	int64_t next, bad;
	const char *stamp;                      /* its uSNChanged */
	bool is_at_end;
};

static struct op *
scratch_use(struct scratch *scratch)
{
	if (scratch->op && ++scratch->uses < scratch->most)
		return scratch->op;
	op_end(scratch->op);
	scratch->op = op_begin(scratch->run->svc, scratch->run->config);
	scratch->uses = 0;
	return scratch->op;
}

/* The DN goes into the audit log, whatever bytes the server made it of. */
static int
skip(struct reading *r, struct op *op, const char *external_id, const char *dn, const char *why)
{
	struct op *scratch = scratch_use(&r->member);
	char *shown = op_strndup(scratch, dn, DN_SHOWN_BYTES);
	bool is_text = text_is_utf8(shown, strlen(shown)) && !text_has_control(shown);

	for (char *c = shown; !is_text && *c; c++)
		if (*c < ' ' || *c == 0x7f)
			*c = '?';
	r->summary->skipped++;
	return r->reader->skipped ? r->reader->skipped(op, external_id, shown, why, r->reader->arg) : 0;
}

/* Remembers who is somebody's primary group; people share very few. */
static int
note_primary(struct op *op, struct reading *r, const char *sid)
{
	for (size_t i = 0; i < r->n_primaries; i++)
		if (strcmp(r->primaries[i].sid, sid) == 0)
			return 0;
	if (r->n_primaries == PRIMARIES_MAX)
		return op_fail(op, ERR_INCOMPLETE, "the people have more than %d different primary groups", PRIMARIES_MAX);
	r->primaries[r->n_primaries++].sid = op_strdup(r->op, sid);
	return 0;
}

static int
on_person(struct op *op, const struct ldap_entry *entry, void *arg)
{
	struct reading *r = arg;
	struct source_person person;
	const char *why;
	int rc;

	if (source_person_read(scratch_use(&r->entry), r->setup, entry, op->now_ms, &person, &why)) {
		if (text_starts_with(why, SOURCE_HIDDEN) && r->hidden++ == 0)
			r->hidden_why = op_strdup(r->op, why);
		return skip(r, op, person.person.external_id, entry->dn, why);
	}
	r->summary->people++;
	rc = person.primary_group ? note_primary(op, r, person.primary_group) : 0;
	return rc || !r->reader->person ? rc : r->reader->person(op, &person, r->reader->arg);
}

static int
on_member(struct op *op, struct reading *r, const struct ldap_value *value)
{
	struct op *scratch = scratch_use(&r->member);
	char *key;

	if (!text_is_utf8(value->data, value->size) || ldap_dn_normalise(scratch, value->data, &key) < 0) {
		op_forgive(scratch);
		return 1;
	}
	if (r->n_probes < PROBES && ldap_dn_is_under(key, r->setup->base_key))
		r->probes[r->n_probes++] = op_strdup(r->op, value->data);
	r->summary->members++;
	return r->reader->member ? r->reader->member(op, key, r->reader->arg) : 0;
}

/* All values of an attribute as members; *ret_bad counts those that are no DNs. */
static int
tell_members(struct op *op, struct reading *r, const struct ldap_attribute *members, int64_t *ret_bad)
{
	int rc = 0;

	for (size_t i = 0; rc >= 0 && members && i < members->n; i++) {
		rc = on_member(op, r, &members->v[i]);
		*ret_bad += rc == 1;
	}
	return rc < 0 ? rc : 0;
}

static int
tell_group(struct op *op, struct reading *r, const struct source_group *group)
{
	for (size_t i = 0; group->sid && i < r->n_primaries; i++)
		r->primaries[i].is_told |= strcmp(r->primaries[i].sid, group->sid) == 0;
	r->summary->groups++;
	return r->reader->group ? r->reader->group(op, group, r->reader->arg) : 0;
}

static int
skip_bad(struct op *op, struct reading *r, const char *id, const char *dn, int64_t bad)
{
	return bad ? skip(r, op, id, dn, "some of its members are no DNs") : 0;
}

/* ---- groups with more members than are told at once ([MS-ADTS] 3.1.1.3.1.3.3) ---- */

/* It holds as many as it says, and nothing stands beside it. */
static bool
is_part_sound(const struct ldap_entry *entry, const struct ldap_attribute *part, int64_t from, int64_t to)
{
	const struct ldap_attribute *plain = ldap_attribute(entry, MEMBER);

	return part && (to == -1 || to - from + 1 == (int64_t)part->n) && !(plain && plain->n);
}

/* A part of a long group, which must begin where the last one ended, hold what it says, and be of the same state of the group. */
static int
on_part(struct op *op, const struct ldap_entry *entry, void *arg)
{
	struct reading *r = arg;
	struct source_group group;
	int64_t from = -1, to = -1;
	const struct ldap_attribute *members = ldap_attribute_range(entry, MEMBER, &from, &to);
	const char *why, *stamp = ldap_value(entry, STAMP);
	int rc;

	if (source_group_read(scratch_use(&r->entry), r->setup, entry, true, &group, &why))
		return op_fail(op, ERR_INCOMPLETE, "%.500s cannot be read any more: %s", entry->dn, why);
	if (strcmp(group.external_id, r->long_id) != 0 || !is_part_sound(entry, members, from, to) || from != r->next)
		return op_fail(op, ERR_INCOMPLETE, "the directory does not give the members of %.500s from number %lld on as it was asked",
		    entry->dn, (long long)r->next);
	if (!stamp || (r->stamp && strcmp(stamp, r->stamp) != 0))
		return op_fail(op, ERR_INCOMPLETE, "%.500s was changed while its members were read; the next run reads them again",
		    entry->dn);
	if (!r->stamp)
		r->stamp = op_strdup(r->op, stamp);
	if (!r->is_begun && (rc = tell_group(op, r, &group)) < 0)
		return rc;
	r->is_begun = true;
	r->next += (int64_t)members->n;
	r->is_at_end = to == -1;
	if (r->next > MEMBERS_MAX)
		return op_fail(op, ERR_INCOMPLETE, "%.500s has more than %d members", entry->dn, MEMBERS_MAX);
	if ((rc = tell_members(op, r, members, &r->bad)) < 0)
		return rc;
	return r->is_at_end ? skip_bad(op, r, group.external_id, entry->dn, r->bad) : 0;
}

static int
read_long(struct op *op, struct ldap_link *link, struct reading *r, const struct long_group *group)
{
	char part[64];
	const char *attributes[] = { r->setup->id_attribute, "cn", "objectSid", STAMP, part, NULL };
	/* by its id, so that a group that is moved meanwhile is found all the same */
	const struct ldap_query query = { .base = op_printf(r->op, "<GUID=%s>", group->id), .scope = LDAP_BASE,
		.filter = "(objectClass=*)", .attributes = attributes, .limit = 1 };
	int rc = 0;

	r->next = r->bad = 0;
	r->is_begun = r->is_at_end = false;
	r->stamp = NULL;
	r->long_id = group->id;
	while (!rc && !r->is_at_end) {
		int64_t before = r->next;

		snprintf(part, sizeof(part), MEMBER ";range=%lld-%lld", (long long)r->next, (long long)r->next + MEMBERS_EACH_TIME - 1);
		rc = source_search(op, r->setup, link, &query, on_part, r);
		if (!rc && r->next == before)
			rc = op_fail(op, ERR_INCOMPLETE, "a group went away while its members were read");
	}
	return rc;
}

/* ---- groups ---- */

static int
put_off(struct reading *r, const char *id)
{
	struct long_group *group = op_alloc(r->op, sizeof(*group));

	group->id = op_strdup(r->op, id);
	*r->long_end = group;
	r->long_end = &group->next;
	return 0;
}

static int
on_group(struct op *op, const struct ldap_entry *entry, void *arg)
{
	struct reading *r = arg;
	struct source_group group;
	const struct ldap_attribute *whole;
	int64_t from = 0, to, bad = 0;
	const char *why;
	int rc;

	if (source_group_read(scratch_use(&r->entry), r->setup, entry, false, &group, &why))
		return skip(r, op, group.external_id, entry->dn, why);
	whole = ldap_attribute_range(entry, MEMBER, &from, &to);
	if (whole && (from != 0 || !is_part_sound(entry, whole, from, to)))
		return op_fail(op, ERR_INCOMPLETE, "the directory does not give the members of %.500s as it was asked", entry->dn);
	if (whole && to != -1)
		return put_off(r, group.external_id);
	rc = tell_group(op, r, &group);
	for (const char *const *name = r->setup->members; rc >= 0 && *name; name++)
		rc = tell_members(op, r, ldap_attribute(entry, *name), &bad);
	if (rc >= 0)
		rc = tell_members(op, r, whole, &bad);
	return rc < 0 ? rc : skip_bad(op, r, group.external_id, entry->dn, bad);
}

/*
 * A primary group outside of what the search for groups finds has those as members whose primary group it is, and nobody else:
 * whether its other members are read must not depend on whose primary group it happens to be.
 */
static int
on_primary(struct op *op, const struct ldap_entry *entry, void *arg)
{
	struct reading *r = arg;
	struct source_group group;
	const char *why;

	if (source_group_read(scratch_use(&r->entry), r->setup, entry, true, &group, &why))
		return skip(r, op, group.external_id, entry->dn, why);
	if (!group.sid || strcmp(group.sid, r->asked_sid) != 0)
		return op_fail(op, ERR_INCOMPLETE, "the directory gives %.500s for the primary group %s", entry->dn, r->asked_sid);
	group.is_outside = true;
	return tell_group(op, r, &group);
}

static const char *const *
group_attributes(struct op *op, const struct source_setup *setup)
{
	const char **names = op_alloc(op, GROUP_ATTRIBUTES_MAX * sizeof(char *));
	size_t n = 0;

	names[n++] = setup->id_attribute;
	names[n++] = "cn";
	if (setup->kind->kind == LDAP_KIND_AD) {
		names[n++] = "objectSid";
		/* asked for by ranges everywhere, so that one way is taken by small groups and by large ones */
		names[n++] = op_printf(op, MEMBER ";range=0-%d", MEMBERS_EACH_TIME - 1);
	}
	for (const char *const *name = setup->members; *name && n < GROUP_ATTRIBUTES_MAX - 1; name++)
		if (setup->kind->kind != LDAP_KIND_AD || !text_equal_ascii_case(*name, MEMBER))
			names[n++] = *name;
	return names;
}

/* Primary groups that lie elsewhere ("Domain Users" is in CN=Users): rules may name them, and other groups hold them. */
static int
read_primaries(struct op *op, struct ldap_link *link, struct reading *r)
{
	const char *const attributes[] = { r->setup->id_attribute, "cn", "objectSid", NULL };
	struct ldap_query query = { .scope = LDAP_BASE, .filter = "(objectClass=*)", .limit = 1, .attributes = attributes };
	int rc = 0;

	for (size_t i = 0; !rc && i < r->n_primaries; i++) {
		if (r->primaries[i].is_told)
			continue;
		r->asked_sid = r->primaries[i].sid;
		query.base = source_sid_base(r->op, r->asked_sid);
		rc = source_search(op, r->setup, link, &query, on_primary, r);
	}
	return rc;
}

char *
source_sid_base(struct op *op, const char *sid)
{
	return op_printf(op, "<SID=%s>", sid);
}

/* ---- all ---- */

int
source_search(struct op *op, const struct source_setup *setup, struct ldap_link *link, const struct ldap_query *query,
    int (*on_entry)(struct op *op, const struct ldap_entry *entry, void *arg), void *arg)
{
	struct ldap_query own = *query;
	struct ldap_summary summary;
	int rc;

	own.is_one_context = setup->kind->kind == LDAP_KIND_AD;
	rc = ldap_link_search(op, link, &own, on_entry, arg, &summary);
	if (rc == ERR_NOT_FOUND) {
		/* a base that is gone, or hidden from us, says nothing about the people below it */
		op_forgive(op);
		return op_fail(op, ERR_INCOMPLETE, "the directory has nothing at %.500s, or hides it from the service account",
		    query->base);
	}
	if (!rc && summary.referrals)
		return op_fail(op, ERR_INCOMPLETE, "the directory refers to other servers (%lld times); they are not asked",
		    (long long)summary.referrals);
	return rc;
}

/* An account whose state cannot be read is left as it is; when nobody's can be read, a right is missing. */
static int
check_rights(struct op *op, const struct reading *r)
{
	if (r->hidden == 0 || r->summary->people > 0)
		return 0;
	return op_fail(op, ERR_INCOMPLETE, "of nobody (%lld entries) the state of the account can be told: %s.  Give %s the right to "
	    "read it, or read from a domain controller's port 636 or 389 (a global catalog does not hold it); nothing was changed",
	    (long long)r->hidden, r->hidden_why, r->setup->directory->body->bind_dn);
}

struct probe {
	bool is_person, has_groups;
};

static int
on_probe(struct op *op, const struct ldap_entry *entry, void *arg)
{
	struct probe *probe = arg;
	int64_t from, to;

	(void)op;
	probe->is_person = true;
	probe->has_groups = ldap_value(entry, MEMBER_OF) || ldap_attribute_range(entry, MEMBER_OF, &from, &to);
	return 0;
}

/*
 * Sign-ins follow memberOf (directory_groups.c), which has a right of its own in Active Directory.  Where it is missing every
 * sign-in would take the roles that this reading gives, so some who were just seen in a group are asked whether they say so.
 */
static int
check_member_of(struct op *op, struct ldap_link *link, const struct reading *r)
{
	static const char *const attributes[] = { MEMBER_OF, NULL };
	struct ldap_query query = { .base = r->setup->base, .scope = LDAP_SUBTREE, .attributes = attributes, .limit = 1 };
	int rc = 0;

	for (size_t i = 0; !rc && r->setup->kind->kind == LDAP_KIND_AD && i < r->n_probes; i++) {
		struct probe probe = { false, false };

		query.filter = op_printf(r->op, "(&%s(distinguishedName=%s))", r->setup->filter,
		    ldap_filter_escape(r->op, r->probes[i], strlen(r->probes[i])));
		rc = source_search(op, r->setup, link, &query, on_probe, &probe);
		if (!rc && probe.is_person && !probe.has_groups)
			return op_fail(op, ERR_INCOMPLETE, "%.500s is in a group, but " SOURCE_HIDDEN MEMBER_OF ": give %s the right "
			    "to read it, or sign-ins would find no groups; nothing was changed", r->probes[i],
			    r->setup->directory->body->bind_dn);
	}
	return rc;
}

static int
check_kind(struct op *op, struct ldap_link *link, const struct source_setup *setup)
{
	struct ldap_root_dse root;
	int rc = ldap_read_root_dse(op, link, &root);

	if (rc == ERR_NOT_FOUND || (rc == ERR_LDAP && !ldap_link_is_dead(link))) {
		op_forgive(op);         /* a server may keep to itself what it is */
		return 0;
	}
	return rc ? rc : source_kind_check(op, setup->directory->body, root.kind);
}

static int
read_all(struct op *op, struct ldap_link *link, struct reading *r)
{
	const struct ldap_query people = { .base = r->setup->base, .scope = LDAP_SUBTREE, .filter = r->setup->filter,
		.attributes = r->setup->attributes, .page_size = PEOPLE_PAGE };
	const struct ldap_query groups = { .base = r->setup->group_base, .scope = LDAP_SUBTREE, .filter = r->setup->group_filter,
		.attributes = group_attributes(r->op, r->setup), .page_size = GROUPS_PAGE };
	int rc = check_kind(op, link, r->setup);

	if (!rc)
		rc = source_search(op, r->setup, link, &people, on_person, r);
	if (!rc)
		rc = check_rights(op, r);
	if (!rc)
		rc = source_search(op, r->setup, link, &groups, on_group, r);
	if (!rc)
		rc = read_primaries(op, link, r);
	for (const struct long_group *group = r->long_groups; !rc && group; group = group->next)
		rc = read_long(op, link, r, group);
	return rc ? rc : check_member_of(op, link, r);
}

int
source_read(struct op *op, const struct catalog_directory *directory, const struct source_rules *rules, const struct source_reader *reader,
    struct source_summary *ret)
{
	struct reading *r = op_alloc(op, sizeof(*r));
	struct source_setup *setup;
	struct ldap_link *link;
	int rc;

	r->op = op;
	r->reader = reader;
	r->summary = ret;
	r->entry = (struct scratch){ .run = op, .most = ENTRIES_EACH };
	r->member = (struct scratch){ .run = op, .most = MEMBERS_EACH };
	r->long_end = &r->long_groups;
	*ret = (struct source_summary){ 0 };
	if ((rc = source_setup_make(op, directory, rules, &setup)) < 0 || (rc = directory_connect(op, directory, &link)) < 0)
		return rc;
	r->setup = setup;
	op_touch(op);
	rc = read_all(op, link, r);
	directory_release(op, directory, link, rc == 0);
	op_end(r->entry.op);
	op_end(r->member.op);
	op_touch(op);
	return rc;
}
