/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The certificates that a directory shows, for an administrator who is to decide whether to trust them, and in words why they are not
 * trusted yet.  Nothing is sent but the handshake, so this connection is good for nothing else; what may be used is decided by
 * ldap_link_open alone.
 */
#include "ldap_int.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"

#define CHAIN_MAX 16
#define NAMES_MAX 32
#define PEEK_TIMEOUT_MS 5000
#define PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

static const char *
name_text(struct op *op, const gnutls_datum_t *name)
{
	const char *text = op_strndup(op, (const char *)name->data, name->size);

	if (strlen(text) == name->size && text_is_utf8(text, name->size) && !text_has_control(text))
		return text;
	return ldap_words(op, text);
}

static void
read_names(struct op *op, gnutls_x509_crt_t crt, struct ldap_certificate *ret)
{
	gnutls_datum_t name;

	ret->subject = ret->issuer = "";
	if (gnutls_x509_crt_get_dn3(crt, &name, 0) == 0) {
		ret->subject = name_text(op, &name);
		gnutls_free(name.data);
	}
	if (gnutls_x509_crt_get_issuer_dn3(crt, &name, 0) == 0) {
		ret->issuer = name_text(op, &name);
		gnutls_free(name.data);
	}
}

static const char *
pem_text(struct op *op, gnutls_x509_crt_t crt)
{
	gnutls_datum_t pem;
	const char *text;

	if (gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem) < 0)
		return NULL;
	text = op_strndup(op, (const char *)pem.data, pem.size);
	gnutls_free(pem.data);
	return text;
}

/* DNS names and addresses that it is made for, a comma between them (RFC 5280 4.2.1.6). */
static const char *
host_names(struct op *op, gnutls_x509_crt_t crt)
{
	struct buf out = buf_in(op->mem);
	unsigned char name[256];

	for (unsigned int i = 0; i < NAMES_MAX; i++) {
		size_t size = sizeof(name) - 1;
		char address[INET6_ADDRSTRLEN];
		int kind = gnutls_x509_crt_get_subject_alt_name(crt, i, name, &size, NULL);

		if (kind == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			break;
		if (kind == GNUTLS_SAN_DNSNAME)
			buf_printf(&out, "%s%s", out.length ? ", " : "", ldap_words(op, op_strndup(op, (const char *)name, size)));
		else if (kind == GNUTLS_SAN_IPADDRESS && inet_ntop(size == 4 ? AF_INET : AF_INET6, name, address, sizeof(address)))
			buf_printf(&out, "%s%s", out.length ? ", " : "", address);
	}
	return out.text;
}

static int
read_certificate(struct op *op, const gnutls_datum_t *der, struct ldap_certificate *ret)
{
	unsigned char digest[32];
	size_t size = sizeof(digest);
	gnutls_x509_crt_t crt;
	bool is_good;

	if (gnutls_x509_crt_init(&crt) < 0)
		return op_fail(op, ERR_INTERNAL, "GnuTLS has no memory for a certificate");
	is_good = gnutls_x509_crt_import(crt, der, GNUTLS_X509_FMT_DER) == 0 &&
	    gnutls_fingerprint(GNUTLS_DIG_SHA256, der, digest, &size) == 0;
	if (is_good) {
		read_names(op, crt, ret);
		ret->not_before_ms = (int64_t)gnutls_x509_crt_get_activation_time(crt) * 1000;
		ret->not_after_ms = (int64_t)gnutls_x509_crt_get_expiration_time(crt) * 1000;
		ret->sha256 = hex_encode(op->mem, digest, size);
		ret->is_ca = gnutls_x509_crt_get_ca_status(crt, NULL) > 0;
		ret->pem = pem_text(op, crt);
		ret->names = host_names(op, crt);
	}
	gnutls_x509_crt_deinit(crt);
	return is_good ? 0 : op_fail(op, ERR_LDAP_TLS, "the directory shows a certificate that cannot be read");
}

static int
shake(struct op *op, gnutls_session_t session, int fd, int64_t deadline_ms)
{
	for (;;) {
		int code = gnutls_handshake(session);

		if (code == 0)
			return 0;
		if (gnutls_error_is_fatal(code))
			return op_fail(op, ERR_LDAP_TLS, "the TLS handshake fails: %s", gnutls_strerror(code));
		if (!ldap_io_wait(fd, gnutls_record_get_direction(session) ? POLLOUT : POLLIN, deadline_ms))
			return op_fail(op, ERR_DEADLINE, "the directory did not finish the TLS handshake in time");
	}
}

static int
read_chain(struct op *op, gnutls_session_t session, struct ldap_certificate **ret, size_t *ret_n)
{
	unsigned int n = 0;
	const gnutls_datum_t *list = gnutls_certificate_get_peers(session, &n);
	int rc = 0;

	if (!list || n == 0)
		return op_fail(op, ERR_LDAP_TLS, "the directory shows no certificate");
	*ret_n = n < CHAIN_MAX ? n : CHAIN_MAX;
	*ret = op_alloc(op, *ret_n * sizeof(**ret));
	for (size_t i = 0; !rc && i < *ret_n; i++)
		rc = read_certificate(op, &list[i], &(*ret)[i]);
	return rc;
}

static const char *
unknown_signer(struct op *op, const struct ldap_certificate *last, bool *ret_is_unknown)
{
	*ret_is_unknown = true;
	return op_printf(op, "its certificate leads to \"%s\", which is not trusted here", last->issuer);
}

/* What is wrong with the chain for this host, in words; NULL when nothing is.  RFC 5280 6, RFC 6125 6. */
static const char *
chain_problem(struct op *op, gnutls_session_t session, const char *host, const struct ldap_peek *seen, bool *ret_is_unknown)
{
	const struct ldap_certificate *leaf = &seen->v[0], *last = &seen->v[seen->n - 1];
	char day[TIME_TEXT_BYTES];
	unsigned int status = 0;

	if (gnutls_certificate_verify_peers3(session, host, &status) < 0)
		return "its certificate cannot be verified";
	if (status & GNUTLS_CERT_EXPIRED)
		return op_printf(op, "a certificate of its chain has ended; its own was good until %.10s",
		    time_text(leaf->not_after_ms, day));
	if (status & GNUTLS_CERT_NOT_ACTIVATED)
		return "a certificate of its chain is not good yet; compare the clocks of both computers";
	if (status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA))
		return unknown_signer(op, last, ret_is_unknown);
	if (status & GNUTLS_CERT_UNEXPECTED_OWNER)
		return op_printf(op, "its certificate is made for %s and not for %s", *leaf->names ? leaf->names : "no host", host);
	if (status & GNUTLS_CERT_INSECURE_ALGORITHM)
		return "its certificate uses an algorithm that is too old to be safe";
	return status ? "its certificate is not good" : NULL;
}

static bool
is_address(const char *host)
{
	return strchr(host, ':') || strspn(host, "0123456789.") == strlen(host);
}

static int
look(struct op *op, gnutls_session_t session, int fd, const char *host, int64_t deadline_ms, struct ldap_peek *ret)
{
	int rc;

	if (!is_address(host))
		gnutls_server_name_set(session, GNUTLS_NAME_DNS, host, strlen(host));
	gnutls_transport_set_int(session, fd);
	rc = shake(op, session, fd, deadline_ms);
	if (!rc)
		rc = read_chain(op, session, &ret->v, &ret->n);
	if (!rc)
		ret->problem = chain_problem(op, session, host, ret, &ret->is_unknown);
	return rc;
}

/* The certificates that it must lead to; a broken file is told by ldap_link_open. */
static void
trust(gnutls_certificate_credentials_t credentials, const char *ca_pem)
{
	gnutls_datum_t pem = { (unsigned char *)(uintptr_t)ca_pem, ca_pem ? (unsigned int)strlen(ca_pem) : 0 };

	if (pem.size)
		gnutls_certificate_set_x509_trust_mem(credentials, &pem, GNUTLS_X509_FMT_PEM);
	else
		gnutls_certificate_set_x509_system_trust(credentials);
}

int
ldap_peek_at(struct op *op, int fd, const char *host, const char *ca_pem, int64_t deadline_ms, struct ldap_peek *ret)
{
	gnutls_certificate_credentials_t credentials = NULL;
	gnutls_session_t session = NULL;
	int rc;

	if (gnutls_certificate_allocate_credentials(&credentials) < 0)
		return op_fail(op, ERR_INTERNAL, "GnuTLS has no memory for a session");
	trust(credentials, ca_pem);
	if (gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0 ||
	    gnutls_priority_set_direct(session, PRIORITIES, NULL) < 0 ||
	    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials) < 0)
		rc = op_fail(op, ERR_INTERNAL, "GnuTLS cannot prepare a session");
	else
		rc = look(op, session, fd, host, deadline_ms, ret);
	if (session)
		gnutls_deinit(session);
	gnutls_certificate_free_credentials(credentials);
	return rc;
}

int
ldap_peek(struct op *op, const struct ldap_options *options, struct ldap_peek *ret)
{
	int64_t deadline_ms = time_monotonic_ms() + (options->timeout_ms > 0 ? options->timeout_ms : PEEK_TIMEOUT_MS);
	char *host;
	int fd, rc;

	*ret = (struct ldap_peek){ 0 };
	if (deadline_ms > op->deadline_ms)
		deadline_ms = op->deadline_ms;
	if ((rc = ldap_dial(op, options, deadline_ms, &fd, &host)) < 0)
		return rc;
	rc = ldap_peek_at(op, fd, host, options->ca_pem, deadline_ms, ret);
	close(fd);
	if (rc == ERR_LDAP_TLS)
		rc = ldap_fail_at(op, rc, options->url, options->tls == LDAP_TLS_START ? "look at the server's TLS" :
		    "ldaps:// belongs to the port of LDAPS (636); where plain LDAP is spoken (389) use StartTLS");
	return rc;
}
