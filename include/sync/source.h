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

#include "net/ldap.h"
#include "people/catalog.h"
#include "people/user.h"
#include "policy/map.h"

/* ---- kinds of directory: include/tables/sources.def ---- */

enum source_state { SOURCE_STATE_LOCKS, SOURCE_STATE_CONTROL };

enum source_id {
#define SOURCE_ID(name, text) SOURCE_ID_##name,
#include "tables/sources.def"
#undef SOURCE_ID
};

enum source_end {
#define SOURCE_END(name, text) SOURCE_END_##name,
#include "tables/sources.def"
#undef SOURCE_END
};

struct source_kind {
	const char *name;
	enum ldap_kind kind;
	const char *title, *people, *groups;            /* filters */
	const char *id;
	enum source_id id_form;
	const char *login, *other_login, *display, *mail;
	enum source_state state;
	const char *end;
	enum source_end end_form;
	const char *members;                            /* separated by blanks */
};

/* By name; NULL when unknown; the first row for NULL. */
const struct source_kind *source_kind_find(const char *name);
const struct source_kind *source_kind_of(enum ldap_kind kind);
/* NULL behind the last. */
const struct source_kind *source_kind_at(size_t index);
/* *ret stays as it is for NULL and "".  False for a word that is none. */
bool source_id_form(const char *word, enum source_id *ret);
bool source_end_form(const char *word, enum source_end *ret);
/*
 * What the server says of itself against what the object says: an Active Directory read as something else shows success and
 * nobody, and the other way round.  ERR_INVALID.
 */
int source_kind_check(struct op *op, const struct shape_directory *body, enum ldap_kind seen) MUST_CHECK;

/* ---- reading ---- */

/*
 * The directory's mapping rules, made ready: DNs normalised, values folded.  A rule that cannot be (its DN is none) is left out
 * and logged.
 */
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
	/*
	 * Active Directory: SID of his primary group, NULL: none.  He is a member of the group with that sid, although no member
	 * value says so ([MS-ADA3] 2.117).
	 */
	const char *primary_group;
	/* What a sign-in must not overlook although the bind says yes: LOCKED, PASSWORD_EXPIRED, MUST_CHANGE; else OK. */
	enum ldap_bind_outcome hold;
};

struct source_group {
	const char *external_id, *dn, *dn_key, *name;
	const char *sid;                                /* Active Directory; NULL elsewhere */
	bool is_outside;                                /* not among the groups that were searched: told only because it is somebody's primary group */
};

/*
 * Everything handed to a callback lives until it returns; a callback may be NULL.  A negative return ends the reading and is returned.
 * skipped: an entry that cannot be taken (no id, two ids, two login names, not UTF-8, too long, ...), or a member value that is no DN.
 * Two entries may come with one dn_key or one external_id only from a lying server: the reader does not remember, the staging table
 * refuses.  A group comes with all its members, or the reading fails.
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
