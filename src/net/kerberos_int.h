/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A Kerberos ticket for one service, from a keytab (RFC 4120).  The messages are libkrb5's, the network is ours: libkrb5 would
 * look for a KDC by DNS and wait for it as long as it likes; here each message goes over net/dial to the KDC that is named, and
 * ends at the op's deadline.  The ticket lies in memory only, apart from its ticket-granting ticket, so that who uses it has
 * nothing to ask a KDC with.
 *
 *     rc = kerberos_with_ticket(op, &kerberos, "dc1.clinic.test", use, arg);          // use(op, ticket, arg)
 */
#ifndef KW_NET_KERBEROS_INT_H
#define KW_NET_KERBEROS_INT_H

#include "net/ldap.h"

struct kerberos_ticket {
	const char *ccache_name;        /* "MEMORY:..." */
	const char *target;             /* "ldap/dc1.clinic.test@CLINIC.TEST" */
	int64_t end_ms;                 /* monotonic */
};

/*
 * Gets the ticket for ldap/host in the realm of kerberos->principal, asked of kerberos->kdc or of port 88 of host; calls use with
 * it, and takes it out of memory again.  AES only (RFC 8429: no RC4, no DES).  ERR_CONFIG for a keytab that cannot be used (others
 * may read it, it lacks the key), ERR_LDAP with the KDC's reason, ERR_UNREACHABLE, ERR_DEADLINE; else what use returns.
 */
int kerberos_with_ticket(struct op *op, const struct ldap_kerberos *kerberos, const char *host,
    int (*use)(struct op *op, const struct kerberos_ticket *ticket, void *arg), void *arg) MUST_CHECK;

#endif
