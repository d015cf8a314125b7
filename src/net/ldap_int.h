/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Inside the LDAP client.  Read in this order: ldap_io.c (bytes and deadlines), ldap_start.c (StartTLS by hand), ldap.c (open,
 * TLS, results), ldap_bind.c, ldap_search.c, ldap_root.c.  Instead of TLS: kerberos.c (a ticket), ldap_gssapi.c.  Apart:
 * ldap_dn.c (names, no connection), ldap_peek.c (certificates), ldap_pool.c.
 */
#ifndef KW_NET_LDAP_INT_H
#define KW_NET_LDAP_INT_H

#include <lber.h>
#include <ldap.h>
#include <openldap.h>

#include "net/ldap.h"

#define LDAP_ENTRY_MAX_BYTES (16 << 20)
#define LDAP_VALUE_MAX_BYTES (1 << 20)
#define LDAP_ATTRIBUTES_MAX 256
#define LDAP_DEFAULT_TIMEOUT_MS 10000

/* The layer between libldap (or its TLS) and the socket. */
struct ldap_io {
	int fd;
	int64_t deadline_ms;            /* monotonic; past it every read and write fails */
	bool has_timed_out;
	size_t from, to;                /* bytes read ahead */
	unsigned char ahead[16384];
};

struct ldap_link {
	LDAP *ld;
	struct ldap_io io;
	int64_t timeout_ms;
	int64_t good_until_ms;          /* monotonic; end of the Kerberos ticket, 0: none */
	struct ldap_seal *seal;         /* owned by libldap's sockbuf; NULL with TLS */
	bool is_dead;
};

/* Puts io below TLS into the stack of libldap's sockbuf. */
int ldap_io_attach(struct op *op, struct ldap_link *link);
/* Waits for events on a non-blocking socket.  False when the deadline came first. */
bool ldap_io_wait(int fd, short events, int64_t deadline_ms);
/* Exactly n bytes on a bare socket; 0, ERR_DEADLINE, ERR_UNREACHABLE (closed). */
int ldap_io_read(struct op *op, int fd, int64_t deadline_ms, void *data, size_t n);
int ldap_io_write(struct op *op, int fd, int64_t deadline_ms, const void *data, size_t n);

/* Connects to the URL's host within the deadline.  The URL and tls must agree. */
int ldap_dial(struct op *op, const struct ldap_options *options, int64_t deadline_ms, int *ret_fd, char **ret_host);
/* Signs in by Kerberos and puts encryption above io; whatever fails, the link must be closed. */
int ldap_gssapi_secure(struct op *op, struct ldap_link *link, const struct ldap_options *options, const char *host);
/* True when nothing that was decrypted waits to be read.  seal may be NULL. */
bool ldap_gssapi_is_quiet(const struct ldap_seal *seal);
/* The StartTLS exchange on a bare socket; afterwards the next byte is TLS. */
int ldap_start_tls_exchange(struct op *op, int fd, int64_t deadline_ms);

/* Begins an exchange: its deadline, and a refusal when the link is dead. */
int ldap_link_begin(struct op *op, struct ldap_link *link);
/* Fails with the reason for which libldap gave up, and marks the link dead. */
int ldap_link_fail(struct op *op, struct ldap_link *link, int code, const char *what);
/* The next message of an exchange; 0 and the message, or a failure. */
int ldap_link_result(struct op *op, struct ldap_link *link, int message_id, int *ret_type, LDAPMessage **ret);
/* The server's words, cut at 200 bytes, made printable; "" when none. */
/* Fails anew: the op's failure with the address before it, and how to mend it ("": nobody knows). */
int ldap_fail_at(struct op *op, int rc, const char *url, const char *hint) MUST_CHECK;
const char *ldap_words(struct op *op, const char *diagnostic);

/* ldap_peek over a socket that is connected and about to speak TLS; it stays open. */
int ldap_peek_at(struct op *op, int fd, const char *host, const char *ca_pem, int64_t deadline_ms, struct ldap_peek *ret) MUST_CHECK;

#endif
