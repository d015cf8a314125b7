/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The LDAP client: libldap over a socket that net/dial connected, non-blocking, every exchange with a deadline (libldap
 * alone can wait for ever in connect, in the TLS handshake and on half a PDU).  Referrals are never followed.
 *
 *     struct ldap_link *link;
 *     rc = ldap_link_open(op, &(struct ldap_options){ .url = "ldaps://dc1.clinic.test", .ca_pem = "...", .tls = LDAP_TLS_LDAPS }, &link);
 *     rc = ldap_link_bind(op, link, dn, password, &result);
 *     rc = ldap_link_search(op, link, &query, on_entry, arg, &summary);
 *     ldap_link_close(link);
 *
 * A link that failed once (ERR_UNREACHABLE, ERR_DEADLINE, ERR_LDAP_TLS, a search ended early) is dead: every later call on it
 * fails, it never reconnects by itself.  (It is not called struct ldap, nor are the functions ldap_bind and ldap_search:
 * libldap has those names.)
 */
#ifndef KW_NET_LDAP_H
#define KW_NET_LDAP_H

#include <stdbool.h>
#include "base/op.h"
#include "base/text.h"

/* There is no clear text: a directory without TLS is refused (RFC 4513 6.3.1). */
enum ldap_tls {
	LDAP_TLS_LDAPS,
	LDAP_TLS_START,
	LDAP_SEAL_KERBEROS,             /* no TLS: ldap_link_open signs in by Kerberos, which encrypts each byte (RFC 4752) */
};

/* Whose ticket, for LDAP_SEAL_KERBEROS. */
struct ldap_kerberos {
	const char *principal;          /* "keyward@CLINIC.TEST" */
	const char *keytab;             /* reference to the file (base/secret.h) with its key */
	const char *kdc;                /* host[:port]; NULL: port 88 of the directory's host */
};

struct ldap_options {
	const char *url;                /* ldaps://host[:port], ldap://host[:port] with LDAP_TLS_START */
	enum ldap_tls tls;
	const char *ca_pem;             /* certificates that the server's must lead to, PEM; NULL or "": the system's */
	const struct ldap_kerberos *kerberos;   /* with LDAP_SEAL_KERBEROS */
	int64_t timeout_ms;             /* of each exchange (a page of a search is one); 0: 10 s.  The op's deadline holds besides */
};

/*
 * At the start of a program, before there are threads: from then on neither the machine's ldap.conf and krb5.conf nor LDAP*, KRB5* and
 * SSLKEYLOGFILE of the environment change whom a link trusts, what it shows of itself, or where its keys are written.
 */
void ldap_forget_environment(void);

/* "ldaps://host[:port]" or "ldap://host[:port]", nothing behind it; *ret_host in the op, without brackets.  ERR_INVALID. */
int ldap_url_read(struct op *op, const char *url, bool *ret_is_ldaps, char **ret_host, int *ret_port) MUST_CHECK;

struct ldap_link;

/* Connects and secures the connection: certificate chain and name are verified, TLS 1.2 at least.  With LDAP_SEAL_KERBEROS the
 * server proves by its ticket that it is ldap/host, the connection is encrypted or there is none, and it is bound already.
 * ERR_UNREACHABLE, ERR_DEADLINE, ERR_LDAP_TLS; ERR_INVALID for a URL that is none. */
int ldap_link_open(struct op *op, const struct ldap_options *options, struct ldap_link **ret) MUST_CHECK;
void ldap_link_close(struct ldap_link *link);
/* True once an exchange has failed so that the link cannot be used again. */
bool ldap_link_is_dead(const struct ldap_link *link);

enum ldap_bind_outcome {
	LDAP_BIND_OK,
	LDAP_BIND_REFUSED,              /* wrong password or unknown; servers do not tell */
	LDAP_BIND_LOCKED,               /* ppolicy accountLocked: slapd says so to wrong passwords too */
	/* the rest are answers to the right password alone */
	LDAP_BIND_DISABLED,
	LDAP_BIND_EXPIRED_ACCOUNT,
	LDAP_BIND_PASSWORD_EXPIRED,
	LDAP_BIND_MUST_CHANGE,
	LDAP_BIND_HOURS,                /* not at this time of the week */
	LDAP_BIND_WORKSTATION,          /* not from here */
};

struct ldap_bind_result {
	enum ldap_bind_outcome outcome;
	int code;                       /* LDAP result code */
	bool is_unanswered;             /* the password was sent and nothing came back: the server may have counted it as wrong */
	const char *why;                /* for the help desk: what the server said, what it means, how to mend it; NULL when it says nothing */
	const char *diagnostic;         /* the server's words, cut at 200 bytes; belongs to the op */
};

/*
 * Simple bind with the password policy control (draft-behera-ldap-password-policy); the words of Active Directory are read, too
 * (net/ldap_ad.h).  An empty password or one with a NUL never reaches the wire (RFC 4513 5.1.2): outcome REFUSED, and so does an
 * empty dn.  Returns 0 whenever the server said yes or no; ERR_LDAP when it said neither (busy, referral, protocol error),
 * ERR_DEADLINE, ERR_UNREACHABLE.
 */
int ldap_link_bind(struct op *op, struct ldap_link *link, const char *dn, const char *password, struct ldap_bind_result *ret) MUST_CHECK;

struct ldap_value { const char *data; size_t size; };   /* terminated besides */

struct ldap_attribute {
	const char *name;               /* as the server spells it; without options, but for a range of values (ldap_attribute_range) */
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
/*
 * A part of the values of a long attribute: "member;range=0-1499" ([MS-ADTS] 3.1.1.3.1.3.3).  NULL when the entry has none of that
 * name; *ret_to is -1 when these are the last ones ("*").
 */
const struct ldap_attribute *ldap_attribute_range(const struct ldap_entry *entry, const char *name, int64_t *ret_from, int64_t *ret_to);

enum ldap_scope { LDAP_BASE, LDAP_ONE, LDAP_SUBTREE };

struct ldap_query {
	const char *base;
	enum ldap_scope scope;
	const char *filter;             /* complete; values put in by ldap_filter() */
	const char *const *attributes;  /* ended by NULL */
	int page_size;                  /* 0: no paging */
	int limit;                      /* ERR_TOO_LARGE after this many entries; 0: none */
	/*
	 * Active Directory: only the naming context of the base ([MS-ADTS] 3.1.1.3.4.1.4, LDAP_SERVER_DOMAIN_SCOPE; critical).
	 * Without it a search at the root of a domain always refers to other contexts (Configuration, DomainDnsZones), and no
	 * answer would be whole.
	 */
	bool is_one_context;
};

struct ldap_summary {
	int64_t entries, referrals;     /* referrals are counted, not followed: an answer with any is incomplete */
};

/*
 * Streams entries to on_entry; entry memory is valid during the call only.  A negative return of on_entry ends the search and is
 * returned. Any result but success is ERR_INCOMPLETE (size limit, time limit, partial pages) or ERR_LDAP: never a short success.
 * noSuchObject at the base is ERR_NOT_FOUND.  Caps: 16 MB an entry (a larger one ends the link), 1 MB a value (ERR_TOO_LARGE names
 * the DN), 256 attributes.  Attributes with options (cn;lang-de) are left out, for they are others, but for ranges of values; a
 * range that cannot be read is ERR_LDAP.  on_entry must not use the link.  An attribute that the server names twice in one entry
 * is ERR_LDAP (RFC 4511 4.1.7).
 */
int ldap_link_search(struct op *op, struct ldap_link *link, const struct ldap_query *query,
    int (*on_entry)(struct op *op, const struct ldap_entry *entry, void *arg), void *arg, struct ldap_summary *ret) MUST_CHECK;

/* RFC 4515 3 escaping of a value in a filter; belongs to the op. */
char *ldap_filter_escape(struct op *op, const char *value, size_t n);
/*
 * A DN for comparison: parsed (RFC 4514), attribute types lower-case and by their short names, values folded with
 * insignificant blanks taken out (RFC 4518 2.6.1) and re-escaped in one way (no comma stands inside a value), multi-valued
 * RDNs sorted. ERR_MALFORMED when it is no DN, is empty, or has a value that is not UTF-8.
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
int ldap_read_root_dse(struct op *op, struct ldap_link *link, struct ldap_root_dse *ret) MUST_CHECK;

/* One certificate that the server showed, leaf first. */
struct ldap_certificate {
	const char *subject, *issuer;
	int64_t not_before_ms, not_after_ms;
	const char *sha256;             /* hexadecimal */
	const char *pem;                /* as a file would hold it */
	const char *names;              /* hosts that it is made for, "a.test, 10.0.0.1"; "" for none */
	bool is_ca;
};
struct ldap_peek {
	struct ldap_certificate *v;
	size_t n;
	const char *problem;            /* why ldap_link_open would not trust it; NULL: it looks good */
	bool is_unknown;                /* because the authority is not among the trusted ones */
};
/*
 * The chain as shown, verified or not, and a judgement in words: for "directory add", which ldap_link_open refused for its certificate.
 * What may be used is decided there alone.
 */
int ldap_peek(struct op *op, const struct ldap_options *options, struct ldap_peek *ret) MUST_CHECK;

#endif
