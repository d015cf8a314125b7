/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What people type to sign in, as attributes and values to look for.  In most directories it is the login name and nothing else;
 * in an Active Directory one account answers to sAMAccountName, userPrincipalName, DOMAIN\name and name@domain.test.  All lead to
 * one entry, whose objectGUID is the account; two entries are ambiguous, whichever form found them.  Read source_names_make.
 */
#include "source_int.h"

#include <string.h>

#define PARTITION_LIMIT 4

static void
add(struct source_names *names, const char *attribute, const char *value)
{
	if (attribute && *value && names->n < SOURCE_NAMES_MAX) {
		names->v[names->n].attribute = attribute;
		names->v[names->n++].value = value;
	}
}

/* "clinic.test" of "ou=staff,dc=clinic,dc=test"; "" when the base is in no domain. */
static const char *
dns_name(struct op *op, const char *base_key)
{
	struct buf name = buf_in(op->mem);

	for (const char *at = base_key; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (!text_starts_with(at, "dc="))
			continue;
		if (name.length)
			buf_add_char(&name, '.');
		buf_add_bytes(&name, at + 3, strcspn(at + 3, ","));
	}
	return name.text;
}

static bool
is_same(struct op *op, const char *a, const char *b)
{
	const char *x = text_fold(op->mem, a), *y = text_fold(op->mem, b);

	return x && y && *x && strcmp(x, y) == 0;
}

/* ---- the NetBIOS name of the domain, from CN=Partitions of the configuration ---- */

struct domain {
	const char *base_key;
	const char *name;               /* as typed */
	const char *configuration;
	bool is_ours;
};

static int
on_root(struct op *op, const struct ldap_entry *entry, void *arg)
{
	struct domain *domain = arg;

	domain->configuration = op_strdup(op, ldap_value(entry, "configurationNamingContext"));
	return 0;
}

static int
on_partition(struct op *op, const struct ldap_entry *entry, void *arg)
{
	struct domain *domain = arg;
	const char *context = ldap_value(entry, "nCName"), *name = ldap_value(entry, "nETBIOSName");
	char *key;

	if (!context || !name || !is_same(op, name, domain->name))
		return 0;
	if (ldap_dn_normalise(op, context, &key) < 0) {
		op_forgive(op);
		return 0;
	}
	domain->is_ours |= ldap_dn_is_under(domain->base_key, key);
	return 0;
}

/* Is this the domain that the base lies in?  [MS-ADTS] 6.1.1.2.1.1: crossRef objects */
static int
ask_domain(struct op *op, const struct source_setup *setup, struct ldap_link *link, struct domain *domain)
{
	static const char *const root_attributes[] = { "configurationNamingContext", NULL };
	static const char *const attributes[] = { "nCName", "nETBIOSName", NULL };
	const struct ldap_query root = { .base = "", .scope = LDAP_BASE, .filter = "(objectClass=*)", .limit = 1,
		.attributes = root_attributes };
	struct ldap_query query = { .scope = LDAP_ONE, .attributes = attributes, .limit = PARTITION_LIMIT };
	int rc = source_search(op, setup, link, &root, on_root, domain);

	if (rc)
		return rc;
	if (!domain->configuration)
		return op_fail(op, ERR_LDAP, "%s does not tell where its domains are listed; write the domain's NetBIOS name into the "
		    "directory as \"domain\"", setup->directory->body->name);
	query.base = op_printf(op, "CN=Partitions,%s", domain->configuration);
	query.filter = op_printf(op, "(&(objectClass=crossRef)(nETBIOSName=%s))",
	    ldap_filter_escape(op, domain->name, strlen(domain->name)));
	return source_search(op, setup, link, &query, on_partition, domain);
}

static int
is_our_domain(struct op *op, const struct source_setup *setup, struct ldap_link *link, const char *name, bool *ret)
{
	const char *configured = setup->directory->body->domain;
	struct domain domain = { .base_key = setup->base_key, .name = name };
	int rc = 0;

	*ret = is_same(op, name, dns_name(op, setup->base_key));
	if (*ret || !*name)
		return 0;
	if (configured && *configured) {
		*ret = is_same(op, name, configured);
		return 0;
	}
	rc = ask_domain(op, setup, link, &domain);
	*ret = !rc && domain.is_ours;
	return rc;
}

/* ---- the names ---- */

int
source_names_make(struct op *op, const struct source_setup *setup, struct ldap_link *link, const char *typed, struct source_names *ret)
{
	const char *slash = strchr(typed, '\\'), *at = strrchr(typed, '@');
	bool is_ours = false;
	int rc;

	*ret = (struct source_names){ 0 };
	if (setup->kind->kind == LDAP_KIND_AD && slash) {
		/* no login name of a Windows account holds a backslash ([MS-SAMR] 3.1.1.6), so this is DOMAIN\name or nobody */
		rc = is_our_domain(op, setup, link, op_strndup(op, typed, (size_t)(slash - typed)), &is_ours);
		if (!rc && is_ours)
			add(ret, setup->login_attribute, slash + 1);
		return rc;
	}
	add(ret, setup->login_attribute, typed);
	if (at)
		add(ret, setup->other_attribute, typed);
	/* [MS-ADTS] 5.1.1.1.1: every account answers to its name at the domain, too, whatever its userPrincipalName says */
	if (setup->kind->kind == LDAP_KIND_AD && at && is_same(op, at + 1, dns_name(op, setup->base_key)))
		add(ret, setup->login_attribute, op_strndup(op, typed, (size_t)(at - typed)));
	return 0;
}
