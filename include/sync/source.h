/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Reading a whole directory: people first, then groups with their members, streamed to callbacks; memory does not grow with
 * the directory.
 *
 *     struct source_rules *rules;
 *     rc = source_rules_make(op, directory, &rules);
 *     rc = source_read(op, directory, rules, &(struct source_reader){ .person = ..., .group = ..., .member = ..., .arg = x }, &summary);
 *
 * 0 means that the server answered everything completely; any other return means that nothing may be concluded from what is
 * missing (ERR_INCOMPLETE, ERR_LDAP, ERR_DEADLINE, ERR_UNREACHABLE; ERR_INCOMPLETE also for referrals).  An answer without
 * people is for the guard.
 */
#ifndef KW_SYNC_SOURCE_H
#define KW_SYNC_SOURCE_H

#include "people/catalog.h"
#include "people/user.h"
#include "policy/map.h"

/* The directory's mapping rules, made ready: DNs normalised, values folded.  A rule that cannot be (its DN is none) is left out and logged. */
struct source_rules {
	const struct map_rule *v;
	size_t n;
	const char *const *attributes;                  /* names (lower case) that attribute rules look at, ended by NULL */
};
int source_rules_make(struct op *op, const struct catalog_directory *directory, struct source_rules **ret) MUST_CHECK;

struct source_person {
	struct person person;                           /* ready for users_change */
	const char *dn, *dn_key;
	const struct map_value *values;                 /* those that the rules look at; stage them for map_person */
	size_t n_values;
};

struct source_group {
	const char *external_id, *dn, *dn_key, *name;
};

/*
 * Everything handed to a callback lives until it returns.  A negative return ends the reading and is returned. skipped: an
 * entry that cannot be taken (no id, two ids, two login names, not UTF-8, too long, ...), or a member value that is no DN. Two
 * entries may come with one dn_key or one external_id only from a lying server: the reader does not remember, the staging
 * table refuses.
 */
struct source_reader {
	int (*person)(struct op *op, const struct source_person *person, void *arg);
	int (*group)(struct op *op, const struct source_group *group, void *arg);
	int (*member)(struct op *op, const char *member_dn_key, void *arg);     /* of the group told last */
	/* external_id NULL when the entry has none that can be used: then no account may be called gone for being missing. */
	int (*skipped)(struct op *op, const char *external_id, const char *dn, const char *reason, void *arg);
	void *arg;
};

struct source_summary { int64_t people, groups, members, skipped; };

int source_read(struct op *op, const struct catalog_directory *directory, const struct source_rules *rules, const struct source_reader *reader,
    struct source_summary *ret) MUST_CHECK;

#endif
