/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The certificates that a directory shows, for an administrator who is to decide whether to trust them.  Nothing is verified
 * and nothing is sent but the handshake, so this connection is good for nothing else.
 */
#include "ldap_int.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"

#define CHAIN_MAX 16
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

static bool
is_address(const char *host)
{
	return strchr(host, ':') || strspn(host, "0123456789.") == strlen(host);
}

static int
peek(struct op *op, int fd, const char *host, int64_t deadline_ms, struct ldap_certificate **ret, size_t *ret_n)
{
	gnutls_certificate_credentials_t none = NULL;
	gnutls_session_t session = NULL;
	int rc;

	if (gnutls_certificate_allocate_credentials(&none) < 0)
		return op_fail(op, ERR_INTERNAL, "GnuTLS has no memory for a session");
	if (gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) < 0 ||
	    gnutls_priority_set_direct(session, PRIORITIES, NULL) < 0 ||
	    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, none) < 0) {
		rc = op_fail(op, ERR_INTERNAL, "GnuTLS cannot prepare a session");
	} else {
		if (!is_address(host))
			gnutls_server_name_set(session, GNUTLS_NAME_DNS, host, strlen(host));
		gnutls_transport_set_int(session, fd);
		rc = shake(op, session, fd, deadline_ms);
		if (!rc)
			rc = read_chain(op, session, ret, ret_n);
	}
	if (session)
		gnutls_deinit(session);
	gnutls_certificate_free_credentials(none);
	return rc;
}

int
ldap_peek_certificates(struct op *op, const struct ldap_options *options, struct ldap_certificate **ret, size_t *ret_n)
{
	int64_t deadline_ms = time_monotonic_ms() + (options->timeout_ms > 0 ? options->timeout_ms : PEEK_TIMEOUT_MS);
	char *host;
	int fd, rc;

	*ret = NULL;
	*ret_n = 0;
	if (deadline_ms > op->deadline_ms)
		deadline_ms = op->deadline_ms;
	if ((rc = ldap_dial(op, options, deadline_ms, &fd, &host)) < 0)
		return rc;
	rc = peek(op, fd, host, deadline_ms, ret, ret_n);
	close(fd);
	return rc;
}
