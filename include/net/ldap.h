/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The LDAP client: libldap over a socket that net/dial connected, non-blocking, every exchange with a deadline (libldap
 * alone can wait for ever in connect, in the TLS handshake and on half a PDU).  Referrals are never followed.
 *
 *     struct ldap *ldap;
 *     rc = ldap_open(op, &(struct ldap_options){ .url = "ldaps://dc1.clinic.test", .ca_file = "...", .tls = LDAP_TLS_LDAPS }, &ldap);
 *     rc = ldap_bind(op, ldap, dn, password, &result);
 *     rc = ldap_search(op, ldap, &search, on_entry, arg, &summary);
 *     ldap_close(ldap);
 */
#ifndef KW_NET_LDAP_H
#define KW_NET_LDAP_H

#include <stdbool.h>
#include "base/op.h"
#include "base/text.h"

/* There is no clear text: a directory without TLS is refused (RFC 4513 6.3.1), but for ldapi://. */
enum ldap_tls { LDAP_TLS_LDAPS, LDAP_TLS_START };

struct ldap_options {
	const char *url;                /* ldaps://host[:port], ldap://host[:port] with LDAP_TLS_START */
	enum ldap_tls tls;
	const char *ca_file;            /* PEM; NULL: the system's */
	int64_t timeout_ms;             /* of each exchange; the op's deadline holds besides */
};

struct ldap;

/* Connects and secures the connection: certificate chain and name are verified, TLS 1.2 at least.  ERR_UNREACHABLE, ERR_DEADLINE, ERR_LDAP_TLS. */
int ldap_open(struct op *op, const struct ldap_options *options, struct ldap **ret) MUST_CHECK;
void ldap_close(struct ldap *ldap);

enum ldap_bind_outcome {
	LDAP_BIND_OK,
	LDAP_BIND_REFUSED,              /* wrong password or unknown; servers do not tell */
	LDAP_BIND_LOCKED,               /* ppolicy accountLocked: slapd says so to wrong passwords too */
	LDAP_BIND_DISABLED,
	LDAP_BIND_EXPIRED_ACCOUNT,
	LDAP_BIND_PASSWORD_EXPIRED,     /* password was right */
	LDAP_BIND_MUST_CHANGE,          /* password was right */
};

struct ldap_bind_result {
	enum ldap_bind_outcome outcome;
	int code;                       /* LDAP result code */
	const char *diagnostic;         /* the server's words, cut at 200 bytes; belongs to the op */
};

/*
 * Simple bind with the password policy control (draft-behera-ldap-password-policy).  An empty password or one with a NUL never reaches
 * the wire (RFC 4513 5.1.2): outcome REFUSED.  Returns 0 whenever the server answered; failures are ERR_LDAP, ERR_DEADLINE.
 */
int ldap_bind(struct op *op, struct ldap *ldap, const char *dn, const char *password, struct ldap_bind_result *ret) MUST_CHECK;

struct ldap_value { const char *data; size_t size; };   /* terminated besides */

struct ldap_attribute {
	const char *name;               /* without options, as the server spells it */
	struct ldap_value *v;
	size_t n;
};

struct ldap_entry {
	const char *dn;
	struct ldap_attribute *attributes;
	size_t n;
};

/* First value of an attribute compared without case, NULL when absent; *ret_n (may be NULL) number of values. */
const struct ldap_attribute *ldap_attribute(const struct ldap_entry *entry, const char *name);
const char *ldap_value(const struct ldap_entry *entry, const char *name);

enum ldap_scope { LDAP_BASE, LDAP_ONE, LDAP_SUBTREE };

struct ldap_search {
	const char *base;
	enum ldap_scope scope;
	const char *filter;             /* complete; values put in by ldap_filter() */
	const char *const *attributes;  /* ended by NULL */
	int page_size;                  /* 0: no paging */
	int limit;                      /* ERR_TOO_LARGE after this many entries; 0: none */
};

struct ldap_search_summary {
	int64_t entries, referrals;     /* referrals are counted, not followed: an answer with any is incomplete */
};

/*
 * Streams entries to on_entry; entry memory is valid during the call only.  A negative return of on_entry ends the search and is returned.
 * Any result but success is ERR_INCOMPLETE (size limit, time limit, partial pages) or ERR_LDAP: never a short success.
 * noSuchObject at the base is ERR_NOT_FOUND.  Entry caps: 5 MB an entry, 1 MB a value (ERR_TOO_LARGE names the DN).
 */
int ldap_search(struct op *op, struct ldap *ldap, const struct ldap_search *search,
    int (*on_entry)(struct op *op, const struct ldap_entry *entry, void *arg), void *arg, struct ldap_search_summary *ret) MUST_CHECK;

/* RFC 4515 3 escaping of a value in a filter; belongs to the op. */
char *ldap_filter_escape(struct op *op, const char *value, size_t n);
/* RFC 4514 2.4 escaping of a value in a DN. */
char *ldap_dn_escape(struct op *op, const char *value);
/*
 * A DN for comparison: parsed (RFC 4514), attribute types lower-case, values folded and re-escaped in one way, multi-valued RDNs sorted.
 * ERR_MALFORMED when it is no DN.
 */
int ldap_dn_normalise(struct op *op, const char *dn, char **ret) MUST_CHECK;
/* True when normalised dn_key is base_key or lies under it. */
bool ldap_dn_is_under(const char *dn_key, const char *base_key);

enum ldap_kind { LDAP_KIND_GENERIC, LDAP_KIND_OPENLDAP, LDAP_KIND_AD };

struct ldap_root_dse {
	enum ldap_kind kind;
	bool has_paged_results, has_ppolicy, has_start_tls;
	struct strings naming_contexts;
};
int ldap_read_root_dse(struct op *op, struct ldap *ldap, struct ldap_root_dse *ret) MUST_CHECK;

/* One certificate that the server showed, leaf first. */
struct ldap_certificate {
	const char *subject, *issuer;
	int64_t not_before_ms, not_after_ms;
	const char *sha256;             /* hexadecimal */
};
/* The chain as shown, verified or not: for "directory add".  Works with a connection that ldap_open refused for its certificate, too. */
int ldap_peek_certificates(struct op *op, const struct ldap_options *options, struct ldap_certificate **ret, size_t *ret_n) MUST_CHECK;

#endif
