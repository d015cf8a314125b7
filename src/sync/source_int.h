/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Inside reading: what one directory needs (source_setup), and one entry to a person (source_person.c).  Full reads and sign-
 * ins use the same code, so that they cannot disagree.
 */
#ifndef KW_SYNC_SOURCE_INT_H
#define KW_SYNC_SOURCE_INT_H

#include "net/ldap.h"
#include "sync/source.h"

#define SOURCE_LOGIN_MAX 256
#define SOURCE_NAME_MAX 1024
#define SOURCE_MAIL_MAX 320
#define SOURCE_VALUE_MAX 512            /* bytes of any other attribute */
#define SOURCE_VALUES_MAX 256           /* values that rules may look at, a person */

/* A directory made ready for reading: presets filled in, names normalised. */
struct source_setup {
	const struct catalog_directory *directory;
	const struct source_rules *rules;
	const char *base, *base_key, *filter;
	const char *group_base, *group_base_key, *group_filter;
	const char *login_attribute, *expires_attribute;
	const char *disabled_attribute, *disabled_key;  /* NULL: none; key NULL: any value disables */
	const char *const *attributes;                  /* to ask for, ended by NULL */
};

int source_setup_make(struct op *op, const struct catalog_directory *directory, const struct source_rules *rules,
    struct source_setup **ret) MUST_CHECK;

/*
 * A person out of an entry, in op memory; entry may go afterwards.  0; 1 when the entry cannot be taken, with the reason in
 * *ret_why; no other failure exists.  now_ms decides what is over.
 */
int source_person_read(struct op *op, const struct source_setup *setup, const struct ldap_entry *entry, int64_t now_ms,
    struct source_person *ret, const char **ret_why);
/* The same for a group, without its members. */
int source_group_read(struct op *op, const struct source_setup *setup, const struct ldap_entry *entry, struct source_group *ret, const char **ret_why);

/* Attributes that hold a group's members, ended by NULL. */
extern const char *const source_member_attributes[];

/* A search that must be whole: referrals and a missing base are ERR_INCOMPLETE, never an empty answer. */
int source_search(struct op *op, struct ldap_link *link, const struct ldap_query *query,
    int (*on_entry)(struct op *op, const struct ldap_entry *entry, void *arg), void *arg) MUST_CHECK;

#endif
