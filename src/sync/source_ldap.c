/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The reader of a whole directory: people, then groups, page by page.  An entry's memory is a small op of its own that is
 * begun anew every few hundred entries, so that memory does not grow with the directory.  Read source_read.
 */
#include "source_int.h"

#include <string.h>

#include "sync/sync.h"

#define PEOPLE_PAGE 500                 /* slapd refuses pages above its soft limit, which is 500 unless set */
#define GROUPS_PAGE 100
#define ENTRIES_EACH 256                /* entries, and members, that share a piece of memory */
#define MEMBERS_EACH 1024
#define DN_SHOWN_BYTES 1024

/* A piece of memory that is thrown away after so many uses. */
struct scratch {
	struct op *run, *op;
	int uses, most;
};

struct reading {
	const struct source_setup *setup;
	const struct source_reader *reader;
	struct source_summary *summary;
	struct scratch entry, member;
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

static int
on_person(struct op *op, const struct ldap_entry *entry, void *arg)
{
	struct reading *r = arg;
	struct source_person person;
	const char *why;

	if (source_person_read(scratch_use(&r->entry), r->setup, entry, op->now_ms, &person, &why))
		return skip(r, op, person.person.external_id, entry->dn, why);
	r->summary->people++;
	return r->reader->person(op, &person, r->reader->arg);
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
	r->summary->members++;
	return r->reader->member(op, key, r->reader->arg);
}

static int
on_group(struct op *op, const struct ldap_entry *entry, void *arg)
{
	struct reading *r = arg;
	struct source_group group;
	const char *why;
	int rc, bad = 0;

	if (source_group_read(scratch_use(&r->entry), r->setup, entry, &group, &why))
		return skip(r, op, group.external_id, entry->dn, why);
	r->summary->groups++;
	rc = r->reader->group(op, &group, r->reader->arg);
	for (const char *const *name = source_member_attributes; rc >= 0 && *name; name++) {
		const struct ldap_attribute *members = ldap_attribute(entry, *name);

		for (size_t i = 0; rc >= 0 && members && i < members->n; i++) {
			rc = on_member(op, r, &members->v[i]);
			bad += rc == 1;
		}
	}
	return rc >= 0 && bad ? skip(r, op, group.external_id, entry->dn, "some of its members are no DNs") : rc < 0 ? rc : 0;
}

int
source_search(struct op *op, struct ldap_link *link, const struct ldap_query *query,
    int (*on_entry)(struct op *op, const struct ldap_entry *entry, void *arg), void *arg)
{
	struct ldap_summary summary;
	int rc = ldap_link_search(op, link, query, on_entry, arg, &summary);

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

static int
read_all(struct op *op, struct ldap_link *link, struct reading *r)
{
	static const char *const group_attributes[] = { "entryUUID", "cn", "member", "uniqueMember", NULL };
	const struct ldap_query people = { .base = r->setup->base, .scope = LDAP_SUBTREE, .filter = r->setup->filter,
		.attributes = r->setup->attributes, .page_size = PEOPLE_PAGE };
	const struct ldap_query groups = { .base = r->setup->group_base, .scope = LDAP_SUBTREE, .filter = r->setup->group_filter,
		.attributes = group_attributes, .page_size = GROUPS_PAGE };
	int rc = source_search(op, link, &people, on_person, r);

	return rc ? rc : source_search(op, link, &groups, on_group, r);
}

int
source_read(struct op *op, const struct catalog_directory *directory, const struct source_rules *rules, const struct source_reader *reader,
    struct source_summary *ret)
{
	struct reading r = { .reader = reader, .summary = ret, .entry = { .run = op, .most = ENTRIES_EACH },
		.member = { .run = op, .most = MEMBERS_EACH } };
	struct source_setup *setup;
	struct ldap_link *link;
	int rc;

	*ret = (struct source_summary){ 0 };
	if ((rc = source_setup_make(op, directory, rules, &setup)) < 0 || (rc = directory_connect(op, directory, &link)) < 0)
		return rc;
	r.setup = setup;
	op_touch(op);
	rc = read_all(op, link, &r);
	directory_release(op, directory, link, rc == 0);
	op_end(r.entry.op);
	op_end(r.member.op);
	op_touch(op);
	return rc;
}
