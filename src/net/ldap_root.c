/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The rootDSE: what the server is and can.  Its word decides, never whether some query happened to find something. */
#include "ldap_int.h"

#include <string.h>
#include <strings.h>

#define OID_PAGED "1.2.840.113556.1.4.319"
#define OID_START_TLS "1.3.6.1.4.1.1466.20037"
#define OID_SYNC "1.3.6.1.4.1.4203.1.9.1.1"
#define OID_ACTIVE_DIRECTORY "1.2.840.113556.1.4.800"
#define CONTEXTS_MAX 64

static bool
has_value(const struct ldap_entry *entry, const char *name, const char *value)
{
	const struct ldap_attribute *attribute = ldap_attribute(entry, name);

	for (size_t i = 0; attribute && i < attribute->n; i++)
		if (strcasecmp(attribute->v[i].data, value) == 0)
			return true;
	return false;
}

static int
on_root(struct op *op, const struct ldap_entry *entry, void *arg)
{
	const struct ldap_attribute *contexts = ldap_attribute(entry, "namingContexts");
	struct ldap_root_dse *root = arg;

	root->has_paged_results = has_value(entry, "supportedControl", OID_PAGED);
	root->has_ppolicy = has_value(entry, "supportedControl", LDAP_CONTROL_PASSWORDPOLICYREQUEST);
	root->has_start_tls = has_value(entry, "supportedExtension", OID_START_TLS);
	if (has_value(entry, "supportedCapabilities", OID_ACTIVE_DIRECTORY))
		root->kind = LDAP_KIND_AD;
	else if (has_value(entry, "objectClass", "OpenLDAProotDSE") || has_value(entry, "supportedControl", OID_SYNC))
		root->kind = LDAP_KIND_OPENLDAP;
	root->naming_contexts.n = 0;
	root->naming_contexts.v = op_alloc(op, CONTEXTS_MAX * sizeof(char *));
	for (size_t i = 0; contexts && i < contexts->n && i < CONTEXTS_MAX; i++)
		if (text_is_utf8(contexts->v[i].data, contexts->v[i].size))
			root->naming_contexts.v[root->naming_contexts.n++] = op_strdup(op, contexts->v[i].data);
	return 0;
}

int
ldap_read_root_dse(struct op *op, struct ldap_link *link, struct ldap_root_dse *ret)
{
	static const char *const attributes[] = { "objectClass", "supportedControl", "supportedExtension", "supportedCapabilities",
		"namingContexts", NULL };
	const struct ldap_query query = { .base = "", .scope = LDAP_BASE, .filter = "(objectClass=*)",
		.attributes = attributes, .limit = 1 };
	struct ldap_summary summary;
	int rc;

	*ret = (struct ldap_root_dse){ .kind = LDAP_KIND_GENERIC };
	rc = ldap_link_search(op, link, &query, on_root, ret, &summary);
	if (!rc && summary.entries != 1)
		rc = op_fail(op, ERR_LDAP, "the server does not say what it can (it has no readable root entry)");
	return rc;
}
