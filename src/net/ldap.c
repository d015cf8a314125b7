/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A link to a directory: dial, StartTLS where the URL is ldap://, TLS with the name and chain verified, and only then anything
 * else.  Also what every exchange needs: its deadline, its next message, and the reason when it fails.
 */
#include "ldap_int.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/time.h"
#include "net/dial.h"

#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"
#define CLOSE_MS 100

int
ldap_url_read(struct op *op, const char *url, bool *ret_is_ldaps, char **ret_host, int *ret_port)
{
	const char *at, *end, *port;
	size_t size;

	*ret_is_ldaps = text_starts_with(url, "ldaps://");
	if (!*ret_is_ldaps && !text_starts_with(url, "ldap://"))
		return op_fail(op, ERR_INVALID, "%.200s is no address of a directory: write ldaps://host or ldap://host", url);
	at = url + (*ret_is_ldaps ? 8 : 7);
	end = *at == '[' ? strchr(at, ']') : at + strcspn(at, ":/");
	if (end && *at == '[')
		at++;
	size = end ? (size_t)(end - at) : 0;
	if (size == 0 || size > 253 || strcspn(at, "@?# \t%") < size)
		return op_fail(op, ERR_INVALID, "%.200s names no host", url);
	*ret_host = op_strndup(op, at, size);
	port = *end == ']' ? end + 1 : end;
	*ret_port = *ret_is_ldaps ? 636 : 389;
	if (*port == ':') {
		char *rest;
		long number = strtol(port + 1, &rest, 10);

		if (port[1] < '0' || port[1] > '9' || number < 1 || number > 65535)
			return op_fail(op, ERR_INVALID, "%.200s has no good port", url);
		*ret_port = (int)number;
		port = rest;
	}
	if (strcmp(port, "") != 0 && strcmp(port, "/") != 0)
		return op_fail(op, ERR_INVALID, "%.200s has something behind the host", url);
	return 0;
}

const char *
ldap_words(struct op *op, const char *diagnostic)
{
	char *words = op_strndup(op, diagnostic ? diagnostic : "", 200);

	for (char *c = words; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f)
			*c = '?';
	return words;
}

bool
ldap_link_is_dead(const struct ldap_link *link)
{
	return link->is_dead;
}

int
ldap_link_begin(struct op *op, struct ldap_link *link)
{
	int64_t until = time_monotonic_ms() + link->timeout_ms;

	assert(!op->txn);               /* no network inside a transaction */
	if (link->is_dead)
		return op_fail(op, ERR_UNREACHABLE, "the connection to the directory has failed before");
	link->io.deadline_ms = until < op->deadline_ms ? until : op->deadline_ms;
	return 0;
}

int
ldap_link_fail(struct op *op, struct ldap_link *link, int code, const char *what)
{
	char *words = NULL;
	int rc;

	link->is_dead = true;
	ldap_get_option(link->ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &words);
	if (link->io.has_timed_out)
		rc = op_fail(op, ERR_DEADLINE, "the directory did not answer in time: %s", what);
	else if (code == LDAP_SERVER_DOWN)
		rc = op_fail(op, ERR_UNREACHABLE, "the directory ended the connection: %s", what);
	else
		rc = op_fail(op, ERR_LDAP, "%s: %s (%d) %s", what, ldap_err2string(code), code, ldap_words(op, words));
	ldap_memfree(words);
	return rc;
}

int
ldap_link_result(struct op *op, struct ldap_link *link, int message_id, int *ret_type, LDAPMessage **ret)
{
	int64_t left = link->io.deadline_ms - time_monotonic_ms();
	struct timeval wait = { .tv_sec = left > 0 ? left / 1000 : 0, .tv_usec = left > 0 ? left % 1000 * 1000 : 0 };
	int code = LDAP_OTHER;

	*ret = NULL;
	*ret_type = ldap_result(link->ld, message_id, LDAP_MSG_ONE, &wait, ret);
	if (*ret_type > 0)
		return 0;
	if (*ret_type == 0)
		link->io.has_timed_out = true;
	else
		ldap_get_option(link->ld, LDAP_OPT_RESULT_CODE, &code);
	return ldap_link_fail(op, link, code, "waiting for an answer");
}

int
ldap_fail_at(struct op *op, int rc, const char *url, const char *hint)
{
	const char *why = op_strdup(op, op_failure(op));

	op_forgive(op);
	return op_fail(op, rc, "%s: %s%s%s", url, why, *hint ? "; " : "", hint);
}

int
ldap_dial(struct op *op, const struct ldap_options *options, int64_t deadline_ms, int *ret_fd, char **ret_host)
{
	int64_t whole = op->deadline_ms;
	bool is_ldaps;
	int port, rc = ldap_url_read(op, options->url, &is_ldaps, ret_host, &port);

	if (rc)
		return rc;
	if (is_ldaps != (options->tls == LDAP_TLS_LDAPS))
		return op_fail(op, ERR_INVALID, "%s: use ldaps://, or ldap:// with StartTLS; a directory is never asked in clear text",
		    options->url);
	op->deadline_ms = deadline_ms;
	rc = dial_tcp(op, *ret_host, port, ret_fd);
	op->deadline_ms = whole;
	if (rc || options->tls != LDAP_TLS_START)
		return rc;
	rc = ldap_start_tls_exchange(op, *ret_fd, deadline_ms);
	if (rc) {
		close(*ret_fd);
		*ret_fd = -1;
		rc = ldap_fail_at(op, rc, options->url, rc == ERR_UNREACHABLE ?
		    "StartTLS belongs to the port of plain LDAP (389); where LDAPS is spoken (636) write ldaps://" : "");
	}
	return rc;
}

/* Our own settings stand against whatever ldap.conf or the environment say. */
static int
set_options(struct op *op, struct ldap_link *link, const char *ca_file)
{
	int version = LDAP_VERSION3, none = 0, never = LDAP_DEREF_NEVER;
	int demand = LDAP_OPT_X_TLS_DEMAND, strict = LDAP_OPT_X_TLS_TRY;
	int least = LDAP_OPT_X_TLS_PROTOCOL_TLS1_2;
	const struct timeval unlimited = { -1, 0 };
	bool is_good;

	is_good = ldap_set_option(link->ld, LDAP_OPT_PROTOCOL_VERSION, &version) == 0 &&
	    ldap_set_option(link->ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF) == 0 &&
	    ldap_set_option(link->ld, LDAP_OPT_RESTART, LDAP_OPT_OFF) == 0 &&
	    ldap_set_option(link->ld, LDAP_OPT_DEREF, &never) == 0 &&
	    ldap_set_option(link->ld, LDAP_OPT_SIZELIMIT, &none) == 0 &&
	    ldap_set_option(link->ld, LDAP_OPT_TIMELIMIT, &none) == 0 &&
	    /* with a network timeout libldap would make the socket blocking after the handshake */
	    ldap_set_option(link->ld, LDAP_OPT_NETWORK_TIMEOUT, &unlimited) == 0 &&
	    ldap_set_option(link->ld, LDAP_OPT_TIMEOUT, &unlimited) == 0 &&
	    ldap_set_option(link->ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand) == 0 &&
	    /* RFC 4513 3.1.3: a subjectAltName decides when there is one */
	    ldap_set_option(link->ld, LDAP_OPT_X_TLS_REQUIRE_SAN, &strict) == 0 &&
	    ldap_set_option(link->ld, LDAP_OPT_X_TLS_CACERTDIR, "") == 0 &&
	    ldap_set_option(link->ld, LDAP_OPT_X_TLS_CACERTFILE, ca_file) == 0 &&
	    ldap_set_option(link->ld, LDAP_OPT_X_TLS_PROTOCOL_MIN, &least) == 0;
	return is_good ? 0 : op_fail(op, ERR_INTERNAL, "libldap refuses an option that safety needs");
}

/* The certificates of an object go to libldap as a file that has no name in any folder. */
static int
ca_to_file(struct op *op, const char *pem, int *ret_fd)
{
	size_t size = strlen(pem);

	*ret_fd = memfd_create("keyward-ca", MFD_CLOEXEC);
	if (*ret_fd >= 0 && write(*ret_fd, pem, size) == (ssize_t)size)
		return 0;
	if (*ret_fd >= 0)
		close(*ret_fd);
	*ret_fd = -1;
	return op_fail(op, ERR_SYSTEM, "the certificates of the directory cannot be put into memory");
}

static int
make_tls_context(struct op *op, struct ldap_link *link, const char *ca_pem)
{
	int client = 0, fd = -1, rc = 0;
	const char *file = SYSTEM_CA;

	if (ca_pem && *ca_pem) {
		if ((rc = ca_to_file(op, ca_pem, &fd)) < 0)
			return rc;
		file = op_printf(op, "/proc/self/fd/%d", fd);
	}
	rc = set_options(op, link, file);
	if (!rc && ldap_set_option(link->ld, LDAP_OPT_X_TLS_NEWCTX, &client) != LDAP_OPT_SUCCESS)
		rc = op_fail(op, ERR_LDAP_TLS, "the certificates that the directory's must lead to cannot be read (is it PEM?)");
	if (fd >= 0)
		close(fd);
	return rc;
}

/* libldap over GnuTLS has no words for a certificate that it refuses. */
static const char *
tls_words(struct op *op, const char *said, int code)
{
	if (said && !strcmp(said, "(unknown error code)"))
		return "its certificate is for another name, has expired, or is of a CA that is not known here";
	return ldap_words(op, said ? said : ldap_err2string(code));
}

static int
fail_tls(struct op *op, struct ldap_link *link, const char *url, int code)
{
	char *words = NULL;
	int rc;

	link->is_dead = true;
	if (link->io.has_timed_out)
		return op_fail(op, ERR_DEADLINE, "%s did not finish the TLS handshake in time", url);
	ldap_get_option(link->ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &words);
	rc = op_fail(op, ERR_LDAP_TLS, "no secure connection to %s: %s%s", url, tls_words(op, words, code),
	    strstr(url, "://localhost") ? " (for localhost it must name this computer)" : "");
	ldap_memfree(words);
	return rc;
}

/*
 * RFC 9325 3.1.1: TLS 1.2 at least.  libldap over GnuTLS takes no notice of PROTOCOL_MIN, and setting a cipher suite there leaks 8 kB a
 * connection; so the version is looked at once it is known, before anything is sent.
 */
static int
check_version(struct op *op, struct ldap_link *link, const char *url)
{
	char *version = NULL;
	bool is_good;
	int rc;

	ldap_get_option(link->ld, LDAP_OPT_X_TLS_VERSION, &version);
	is_good = version && (strstr(version, "1.2") || strstr(version, "1.3"));
	rc = is_good ? 0 : op_fail(op, ERR_LDAP_TLS, "%s offers only %s, which is too old to be safe", url, ldap_words(op, version));
	ldap_memfree(version);
	return rc;
}

/* libldap would dial again by itself after a lost connection, in clear text: it gets an address that leads nowhere. */
static int
forget_address(struct op *op, struct ldap_link *link)
{
	if (ldap_set_option(link->ld, LDAP_OPT_URI, "ldapi://%2Fdev%2Fnull") != LDAP_OPT_SUCCESS)
		return op_fail(op, ERR_INTERNAL, "libldap keeps the address of the directory");
	return 0;
}

static int
secure_by_kerberos(struct op *op, struct ldap_link *link, const struct ldap_options *options, const char *host)
{
	int rc = set_options(op, link, SYSTEM_CA);

	if (rc || (rc = ldap_io_attach(op, link)) < 0 || (rc = forget_address(op, link)) < 0)
		return rc;
	return ldap_gssapi_secure(op, link, options, host);
}

static int
secure_by_tls(struct op *op, struct ldap_link *link, const struct ldap_options *options)
{
	int code, rc = make_tls_context(op, link, options->ca_pem);

	if (rc || (rc = ldap_io_attach(op, link)) < 0)
		return rc;
	code = ldap_install_tls(link->ld);      /* verifies chain and name, with REQUIRE_CERT demand */
	if (code != LDAP_SUCCESS || !ldap_tls_inplace(link->ld))
		return fail_tls(op, link, options->url, code);
	rc = check_version(op, link, options->url);
	return rc ? rc : forget_address(op, link);
}

static struct ldap_link *
ldap_link_new(int fd, int64_t timeout_ms, int64_t deadline_ms)
{
	struct ldap_link *link = mem_new(sizeof(*link));

	link->io.fd = fd;
	link->io.deadline_ms = deadline_ms;
	link->timeout_ms = timeout_ms;
	return link;
}

void
ldap_link_close(struct ldap_link *link)
{
	if (!link)
		return;
	/* Says goodbye, but does not wait for it. */
	link->io.deadline_ms = link->is_dead ? 0 : time_monotonic_ms() + CLOSE_MS;
	if (link->ld)
		ldap_unbind_ext(link->ld, NULL, NULL);
	else if (link->io.fd >= 0)
		close(link->io.fd);
	mem_wipe(link->io.ahead, sizeof(link->io.ahead));
	mem_free(link);
}

int
ldap_link_open(struct op *op, const struct ldap_options *options, struct ldap_link **ret)
{
	int64_t timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : LDAP_DEFAULT_TIMEOUT_MS;
	int64_t deadline_ms = time_monotonic_ms() + timeout_ms;
	struct ldap_link *link;
	char *host;
	int fd, rc;

	*ret = NULL;
	if (deadline_ms > op->deadline_ms)
		deadline_ms = op->deadline_ms;
	if ((rc = ldap_dial(op, options, deadline_ms, &fd, &host)) < 0)
		return rc;
	link = ldap_link_new(fd, timeout_ms, deadline_ms);
	if (ldap_init_fd(fd, LDAP_PROTO_TCP, options->url, &link->ld) != LDAP_SUCCESS) {
		link->ld = NULL;
		rc = op_fail(op, ERR_INVALID, "libldap does not take the address %s", options->url);
	} else if (options->tls == LDAP_SEAL_KERBEROS) {
		rc = secure_by_kerberos(op, link, options, host);
	} else {
		rc = secure_by_tls(op, link, options);
	}
	if (rc) {
		link->is_dead = true;
		ldap_link_close(link);
		return rc;
	}
	*ret = link;
	return 0;
}
