/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The certificate of a server, which may be replaced while it runs: the library asks at each handshake which one to show, and a
 * connection holds on to the one it was shown.  A replacement that is broken, or worse than what is there, changes nothing.
 * Read http_renew, then http_tls_load.
 */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "base/time.h"
#include "http_int.h"

#define MAX_PEM_BYTES (256u << 10)
#define CHAIN_MAX 16
#define KEY_ID_BYTES 64

struct http_certificate {
	gnutls_pcert_st chain[CHAIN_MAX];
	unsigned int n;
	gnutls_privkey_t key;
	struct http_certificate_facts facts;
	int references;                         /* under the server's lock */
};

static void
certificate_free(struct http_certificate *certificate)
{
	for (unsigned int i = 0; i < certificate->n; i++)
		gnutls_pcert_deinit(&certificate->chain[i]);
	if (certificate->key)
		gnutls_privkey_deinit(certificate->key);
	mem_free(certificate);
}

void
http_tls_unref(struct http_server *server, struct http_certificate *certificate)
{
	bool is_last;

	if (!certificate)
		return;
	pthread_mutex_lock(&server->lock);
	is_last = --certificate->references == 0;
	pthread_mutex_unlock(&server->lock);
	if (is_last)
		certificate_free(certificate);
}

/* Changes whenever the file is written or replaced. */
static void
mark_of(const char *file, struct stat *ret)
{
	struct stat now;

	memset(ret, 0, sizeof(*ret));
	if (stat(file, &now) < 0)
		return;
	ret->st_dev = now.st_dev;
	ret->st_ino = now.st_ino;
	ret->st_size = now.st_size;
	ret->st_mtim = now.st_mtim;
	ret->st_ctim = now.st_ctim;
}

/* Text in the op's memory, which is wiped. */
static int
read_pem(struct op *op, const char *file, const char *what, gnutls_datum_t *ret)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char *text;
	ssize_t n;

	if (fd < 0)
		return op_fail(op, ERR_CONFIG, "cannot read the %s %s: %s", what, file, strerror(errno));
	text = op_alloc(op, MAX_PEM_BYTES + 1);
	n = file_read(fd, text, MAX_PEM_BYTES);
	close(fd);
	if (n < 0 || n == (ssize_t)MAX_PEM_BYTES)
		return op_fail(op, ERR_CONFIG, "cannot read the %s %s: not a readable file below %u bytes", what, file, MAX_PEM_BYTES);
	text[n] = '\0';
	if (!strstr(text, "-----BEGIN "))
		return op_fail(op, ERR_CONFIG, "the %s %s is not in PEM", what, file);
	*ret = (gnutls_datum_t){ .data = (unsigned char *)text, .size = (unsigned int)n };
	return 0;
}

/* Both ends of the pair name the same public key. */
static bool
belong_together(const struct http_certificate *certificate)
{
	unsigned char of_chain[KEY_ID_BYTES], of_key[KEY_ID_BYTES];
	size_t n_chain = sizeof(of_chain), n_key = sizeof(of_key);
	gnutls_pubkey_t public;
	bool is_same;

	if (gnutls_pubkey_init(&public) < 0)
		return false;
	is_same = gnutls_pubkey_import_privkey(public, certificate->key, 0, 0) == 0 &&
	    gnutls_pubkey_get_key_id(public, GNUTLS_KEYID_USE_SHA256, of_key, &n_key) == 0 &&
	    gnutls_pubkey_get_key_id(certificate->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, of_chain, &n_chain) == 0 &&
	    n_chain == n_key && memcmp(of_chain, of_key, n_key) == 0;
	gnutls_pubkey_deinit(public);
	return is_same;
}

static int
read_facts(struct op *op, const struct http_server *server, struct http_certificate *certificate)
{
	gnutls_x509_crt_t crt;

	if (gnutls_x509_crt_init(&crt) < 0)
		return op_fail(op, ERR_SYSTEM, "cannot examine the certificate %s", server->certificate_file);
	if (gnutls_x509_crt_import(crt, &certificate->chain[0].cert, GNUTLS_X509_FMT_DER) < 0) {
		gnutls_x509_crt_deinit(crt);
		return op_fail(op, ERR_CONFIG, "cannot examine the certificate %s", server->certificate_file);
	}
	certificate->facts.from_ms = (int64_t)gnutls_x509_crt_get_activation_time(crt) * 1000;
	certificate->facts.until_ms = (int64_t)gnutls_x509_crt_get_expiration_time(crt) * 1000;
	certificate->facts.has_name = !server->host || gnutls_x509_crt_check_hostname(crt, server->host);
	gnutls_x509_crt_deinit(crt);
	return 0;
}

static int
import(struct op *op, const struct http_server *server, struct http_certificate *certificate)
{
	gnutls_datum_t chain = { 0 }, key = { 0 };
	unsigned int n = CHAIN_MAX;
	int rc = read_pem(op, server->certificate_file, "certificate", &chain), failed;

	if (!rc)
		rc = read_pem(op, server->key_file, "key of the certificate", &key);
	if (rc)
		return rc;
	failed = gnutls_pcert_list_import_x509_raw(certificate->chain, &n, &chain, GNUTLS_X509_FMT_PEM, 0);
	if (failed < 0)
		return op_fail(op, ERR_CONFIG, "the certificate %s cannot be used: %s; it must hold at most %d certificates in PEM, the "
		    "server's own first", server->certificate_file, gnutls_strerror(failed), CHAIN_MAX);
	certificate->n = n;
	failed = gnutls_privkey_init(&certificate->key);
	if (failed == 0)
		failed = gnutls_privkey_import_x509_raw(certificate->key, &key, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (failed < 0)
		return op_fail(op, ERR_CONFIG, "the key %s cannot be used: %s; it must be a private key in PEM without a password",
		    server->key_file, gnutls_strerror(failed));
	if (!belong_together(certificate))
		return op_fail(op, ERR_CONFIG, "the key %s does not belong to the certificate %s: put both of the same pair there",
		    server->key_file, server->certificate_file);
	return read_facts(op, server, certificate);
}

/* Looks at the files before it reads them: what is written meanwhile is seen the next time. */
static int
load(struct op *op, struct http_server *server, struct http_certificate **ret)
{
	struct http_certificate *certificate = mem_new(sizeof(*certificate));
	int rc;

	mark_of(server->certificate_file, &server->marks[0]);
	mark_of(server->key_file, &server->marks[1]);
	certificate->references = 1;
	rc = import(op, server, certificate);
	if (rc)
		certificate_free(certificate);
	else
		*ret = certificate;
	return rc;
}

int
http_tls_load(struct op *op, struct http_server *server, const struct http_options *options)
{
	if (!options->certificate_file || !*options->certificate_file)
		return 0;
	server->certificate_file = mem_strdup(options->certificate_file);
	server->key_file = mem_strdup(options->key_file);
	server->host = options->host ? mem_strdup(options->host) : NULL;
	return load(op, server, &server->certificate);
}

void
http_tls_free(struct http_server *server)
{
	http_tls_unref(server, server->certificate);
	mem_free(server->certificate_file);
	mem_free(server->key_file);
	mem_free(server->host);
}

/* Somebody put the wrong file there, or an old one: what is in use is better. */
static int
check_better(struct op *op, const struct http_server *server, const struct http_certificate *new)
{
	const struct http_certificate_facts *old = &server->certificate->facts, *facts = &new->facts;
	char at[TIME_TEXT_BYTES];

	if (facts->until_ms <= op->now_ms && old->until_ms > op->now_ms)
		return op_fail(op, ERR_CONFIG, "the certificate %s ended at %s", server->certificate_file, time_text(facts->until_ms, at));
	if (facts->from_ms > op->now_ms && old->from_ms <= op->now_ms)
		return op_fail(op, ERR_CONFIG, "the certificate %s is good only from %s", server->certificate_file,
		    time_text(facts->from_ms, at));
	if (!facts->has_name && old->has_name)
		return op_fail(op, ERR_CONFIG, "the certificate %s is not for the name %s", server->certificate_file, server->host);
	return 0;
}

int
http_renew(struct op *op, struct http_server *server, bool is_forced)
{
	struct stat now[2];
	struct http_certificate *new, *old;
	int rc;

	if (!server->certificate)
		return 0;
	mark_of(server->certificate_file, &now[0]);
	mark_of(server->key_file, &now[1]);
	if (!is_forced && memcmp(now, server->marks, sizeof(now)) == 0)
		return 0;
	rc = load(op, server, &new);
	if (rc)
		return rc;
	rc = check_better(op, server, new);
	if (rc) {
		certificate_free(new);
		return rc;
	}
	pthread_mutex_lock(&server->lock);
	old = server->certificate;
	server->certificate = new;
	pthread_mutex_unlock(&server->lock);
	http_tls_unref(server, old);
	return 1;
}

bool
http_certificate(struct http_server *server, struct http_certificate_facts *ret)
{
	bool has_one = server->certificate != NULL;

	pthread_mutex_lock(&server->lock);
	if (has_one)
		*ret = server->certificate->facts;
	pthread_mutex_unlock(&server->lock);
	return has_one;
}

int
http_tls_show(gnutls_session_t session, const gnutls_datum_t *issuers, int n_issuers, const gnutls_pk_algorithm_t *algorithms,
    int n_algorithms, gnutls_pcert_st **ret_chain, unsigned int *ret_n, gnutls_privkey_t *ret_key)
{
	struct MHD_Connection *mhd = gnutls_session_get_ptr(session);
	const union MHD_ConnectionInfo *info = mhd ? MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT) : NULL;
	struct http_connection *c = info ? info->socket_context : NULL;

	(void)issuers, (void)n_issuers, (void)algorithms, (void)n_algorithms;
	if (!c)
		return -1;
	pthread_mutex_lock(&c->server->lock);
	/* the session points into it until the connection ends */
	if (!c->certificate) {
		c->certificate = c->server->certificate;
		c->certificate->references++;
	}
	*ret_chain = c->certificate->chain;
	*ret_n = c->certificate->n;
	*ret_key = c->certificate->key;
	pthread_mutex_unlock(&c->server->lock);
	return 0;
}
