/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The API that looks at a directory's server before anybody signs in to it: the certificates it shows, whether they are good and
 * why not, and, once they are, what kind it is and which trees it holds.  No name and no password is sent.
 */
#include <string.h>

#include "api_int.h"
#include "base/time.h"
#include "net/ldap.h"

#define LOOK_DEADLINE_MS 15000
#define CERTIFICATES_MAX 16

static void
show_certificates(struct op *op, const struct ldap_peek *seen, struct shape_directory_seen *view)
{
	size_t n = seen->n < CERTIFICATES_MAX ? seen->n : CERTIFICATES_MAX;
	struct shape_certificate_view *v = op_alloc(op, (n + 1) * sizeof(*v));

	for (size_t i = 0; i < n; i++) {
		const struct ldap_certificate *c = &seen->v[i];

		v[i] = (struct shape_certificate_view){ .subject = c->subject, .issuer = c->issuer, .from = c->not_before_ms,
			.until = c->not_after_ms, .sha256 = c->sha256, .names = *c->names ? c->names : NULL, .is_ca = c->is_ca,
			.pem = c->pem };
	}
	view->certificates = (struct shape_list){ v, n };
}

/* What the server tells anybody; many do, and one that does not is no failure. */
static void
read_root(struct op *op, struct ldap_link *link, struct shape_directory_seen *view)
{
	static const char *const names[] = {
	    [LDAP_KIND_GENERIC] = "generic", [LDAP_KIND_OPENLDAP] = "openldap", [LDAP_KIND_AD] = "ad" };
	struct ldap_root_dse root;

	if (ldap_read_root_dse(op, link, &root) < 0) {
		op_forgive(op);
		return;
	}
	view->kind = names[root.kind];
	view->naming_contexts = root.naming_contexts;
}

/* Whether it is trusted is decided by the connection that would be used, never by the words about it. */
static int
try_link(struct op *op, const struct ldap_options *options, const struct ldap_peek *seen, struct shape_directory_seen *view)
{
	struct ldap_link *link;
	int rc = ldap_link_open(op, options, &link);

	if (rc == ERR_LDAP_TLS) {
		view->problem = seen->problem ? seen->problem : op_strdup(op, op_failure(op));
		op_forgive(op);
		return 0;
	}
	if (rc)
		return rc;
	view->trusted = true;
	read_root(op, link, view);
	ldap_link_close(link);
	return 0;
}

HANDLER(api_directory_look);
HANDLER(api_directory_look)
{
	const struct shape_directory_look *in = route_body(request);
	const struct ldap_options options = {
	    .url = in->url, .tls = in->starttls ? LDAP_TLS_START : LDAP_TLS_LDAPS, .ca_pem = in->ca };
	struct shape_directory_seen view = { 0 };
	struct ldap_peek seen;
	int rc;

	op->deadline_ms = time_monotonic_ms() + LOOK_DEADLINE_MS;
	rc = ldap_peek(op, &options, &seen);
	if (rc)
		return rc;
	show_certificates(op, &seen, &view);
	rc = try_link(op, &options, &seen, &view);
	if (!rc)
		reply_shape(op, reply, 200, shape_directory_seen(), &view);
	return rc;
}
