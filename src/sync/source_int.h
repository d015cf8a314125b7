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
	const struct source_kind *kind;
	const char *id_attribute;
	enum source_id id_form;
	const char *login_attribute, *other_attribute;  /* other: a second name to sign in with; NULL: none */
	const char *name_attribute, *mail_attribute;
	const char *expires_attribute;
	enum source_end expires_form;
	const char *const *members;                     /* attributes with a group's members, ended by NULL */
	const char *disabled_attribute, *disabled_key;  /* NULL: none; key NULL: any value disables */
	const char *const *attributes;                  /* to ask for, ended by NULL */
};

int source_setup_make(struct op *op, const struct catalog_directory *directory, const struct source_rules *rules,
    struct source_setup **ret) MUST_CHECK;

/* The id of an entry, as the setup says it is written.  Returns a reason, or NULL. */
const char *source_id_read(struct op *op, const struct source_setup *setup, const struct ldap_entry *entry, const char **ret);

/* ---- source_state.c ---- */

/*
 * State and end of the account, and for Active Directory the primary group.  Returns a reason for which the entry cannot be taken,
 * or NULL. SOURCE_HIDDEN in front of the reason: an attribute is missing that every entry has, so the service account may not see
 * it.
 */
const char *source_state_read(struct op *op, const struct source_setup *setup, const struct ldap_entry *entry, int64_t now_ms,
    struct source_person *ret);
#define SOURCE_HIDDEN "the service account cannot read its "
/* Names of the attributes that the state reader looks at, ended by NULL. */
const char *const *source_state_attributes(const struct source_setup *setup);

/* ---- source_name.c: what people type to sign in ---- */

#define SOURCE_NAMES_MAX 4

/* One of these attributes must have its value; values as typed. */
struct source_names {
	struct { const char *attribute, *value; } v[SOURCE_NAMES_MAX];
	size_t n;
};

/*
 * The login name of the account, userPrincipalName (or the object's other_login_attribute), and for Active Directory DOMAIN\name,
 * domain.test\name and name@domain.test.  n is 0 when the name is of another domain.  May ask the server for the domain's NetBIOS
 * name.
 */
int source_names_make(struct op *op, const struct source_setup *setup, struct ldap_link *link, const char *typed, struct source_names *ret) MUST_CHECK;

/* ---- source_person.c ---- */

/* The attribute that a member of person.attributes comes from; NULL behind the last. */
const char *source_kept_attribute(const struct source_setup *setup, size_t index);

/*
 * A person out of an entry, in op memory; entry may go afterwards.  0; 1 when the entry cannot be taken, with the reason in
 * *ret_why; no other failure exists.  now_ms decides what is over.
 */
int source_person_read(struct op *op, const struct source_setup *setup, const struct ldap_entry *entry, int64_t now_ms,
    struct source_person *ret, const char **ret_why);
/* The same for a group, without its members; one that is outside of the group base only when is_anywhere. */
int source_group_read(struct op *op, const struct source_setup *setup, const struct ldap_entry *entry, bool is_anywhere, struct source_group *ret,
    const char **ret_why);

/*
 * A search that must be whole: referrals and a missing base are ERR_INCOMPLETE, never an empty answer.  In Active Directory it is
 * one of a single naming context: what else the server would refer to (Configuration, DomainDnsZones, domains below this one) is
 * no part of this directory, and no OU can ever become one of those, so leaving them out loses nobody who was seen before.  A
 * reference that comes all the same counts.
 */
int source_search(struct op *op, const struct source_setup *setup, struct ldap_link *link, const struct ldap_query *query,
    int (*on_entry)(struct op *op, const struct ldap_entry *entry, void *arg), void *arg) MUST_CHECK;

/* Base of a search for one entry of Active Directory by its SID ([MS-ADTS] 3.1.1.3.1.2.4), wherever it lies. */
char *source_sid_base(struct op *op, const char *sid);

#endif
