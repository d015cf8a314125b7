/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Certificates of our own service.  Read certificate_self_made first: a throw-away authority signs one certificate.  Looking at
 * certificates that others made stands in certificate_read.c.
 */
#include "crypt/certificate.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/text.h"
#include "certificate_int.h"
#include "crypt/random.h"

#define ORGANISATION_CHARACTERS 64
#define SERIAL_BYTES 16
#define CLOCK_SKEW_SEC 300
#define DAY_SEC 86400L

static int
failed(struct op *op, const char *what)
{
	char words[160];

	ERR_error_string_n(ERR_get_error(), words, sizeof(words));
	ERR_clear_error();
	return op_fail(op, ERR_CRYPTO, "%s: %s", what, words);
}

/* What was written into memory, as text of the op. */
static char *
take_text(struct op *op, BIO *bio)
{
	char *data;
	long n = BIO_get_mem_data(bio, &data);

	return op_strndup(op, data, n > 0 ? (size_t)n : 0);
}

int
certificate_key(struct op *op, char **ret_pem)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	BIO *bio = BIO_new(BIO_s_secmem());
	int rc = 0;

	if (key && bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1)
		*ret_pem = take_text(op, bio);
	else
		rc = failed(op, "OpenSSL cannot make a private key");
	BIO_free(bio);
	EVP_PKEY_free(key);
	return rc;
}

EVP_PKEY *
certificate_key_read(struct op *op, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)strlen(pem));
	/* an empty pass phrase: a file that needs one must not make OpenSSL ask at the terminal */
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)(uintptr_t)"") : NULL;

	BIO_free(bio);
	ERR_clear_error();
	if (!key)
		(void)op_fail(op, ERR_INVALID, "the private key cannot be read: it must be a PEM file without a pass phrase");
	return key;
}

static bool
is_address(const char *host)
{
	ASN1_OCTET_STRING *address = a2i_IPADDRESS(host);
	bool is = address != NULL;

	ASN1_OCTET_STRING_free(address);
	ERR_clear_error();
	return is;
}

/* The first characters of an UTF-8 text. */
static const char *
cut(struct op *op, const char *text, size_t characters)
{
	size_t n = 0;

	for (; text[n]; n++)
		if (((unsigned char)text[n] & 0xc0) != 0x80 && characters-- == 0)
			break;
	return op_strndup(op, text, n);
}

static bool
add_name(X509_NAME *name, const char *type, const char *value)
{
	return !value || !*value ||
	       X509_NAME_add_entry_by_txt(name, type, MBSTRING_UTF8, (const unsigned char *)value, -1, -1, 0) == 1;
}

static bool
fill_name(struct op *op, X509_NAME *name, const struct certificate_subject *subject, const char *common_name)
{
	return name && add_name(name, "O", cut(op, subject->organisation, ORGANISATION_CHARACTERS)) &&
	       add_name(name, "CN", cut(op, common_name, ORGANISATION_CHARACTERS));
}

/* One extension by OpenSSL's own words, for example "critical,CA:TRUE". */
static X509_EXTENSION *
extension_of(X509 *issuer, X509 *subject, int nid, const char *value)
{
	X509V3_CTX context;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, subject, NULL, NULL, 0);
	return X509V3_EXT_conf_nid(NULL, &context, nid, value);
}

static bool
extend(X509 *issuer, X509 *crt, int nid, const char *value)
{
	X509_EXTENSION *extension = extension_of(issuer, crt, nid, value);
	bool is_good = extension && X509_add_ext(crt, extension, -1) == 1;

	X509_EXTENSION_free(extension);
	return is_good;
}

/* RFC 5280 4.2.1.6.  The host holds nothing that OpenSSL's words give a meaning (certificate_host_is_clean). */
static const char *
alternative_name(struct op *op, const char *host)
{
	return op_printf(op, "%s:%s", is_address(host) ? "IP" : "DNS", host);
}

static bool
is_host_clean(const char *host)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-:";

	return *host && strlen(host) <= 253 && strspn(host, plain) == strlen(host);
}

static bool
fill_dates(X509 *crt, int days)
{
	return X509_gmtime_adj(X509_getm_notBefore(crt), -CLOCK_SKEW_SEC) && X509_gmtime_adj(X509_getm_notAfter(crt), days * DAY_SEC);
}

/* RFC 5280 4.1.2.2: positive, and too random to be guessed. */
static bool
fill_serial(X509 *crt)
{
	unsigned char bytes[SERIAL_BYTES];
	BIGNUM *number;
	bool is_good;

	random_fill(bytes, sizeof(bytes));
	bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40);
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	is_good = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(crt));
	BN_free(number);
	return is_good;
}

static X509 *
crt_new(struct op *op, EVP_PKEY *key, const struct certificate_subject *subject, const char *common_name, int days)
{
	X509 *crt = X509_new();

	if (crt && X509_set_version(crt, X509_VERSION_3) == 1 && fill_serial(crt) && fill_dates(crt, days) &&
	    fill_name(op, X509_get_subject_name(crt), subject, common_name) && X509_set_pubkey(crt, key) == 1)
		return crt;
	X509_free(crt);
	return NULL;
}

/* The authority: it may sign servers, not other authorities. */
static X509 *
make_ca(struct op *op, EVP_PKEY *key, const struct certificate_subject *subject, int days)
{
	X509 *ca = crt_new(op, key, subject, op_printf(op, "Keyward trial CA for %s", subject->host), days);

	if (ca && X509_set_issuer_name(ca, X509_get_subject_name(ca)) == 1 &&
	    extend(ca, ca, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	    extend(ca, ca, NID_key_usage, "critical,keyCertSign,cRLSign") && extend(ca, ca, NID_subject_key_identifier, "hash") &&
	    X509_sign(ca, key, EVP_sha256()) > 0)
		return ca;
	X509_free(ca);
	return NULL;
}

static X509 *
make_server(struct op *op, EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key, const struct certificate_subject *subject, int days)
{
	X509 *crt = crt_new(op, key, subject, subject->host, days);

	if (crt && X509_set_issuer_name(crt, X509_get_subject_name(ca)) == 1 &&
	    extend(ca, crt, NID_basic_constraints, "critical,CA:FALSE") &&
	    extend(ca, crt, NID_key_usage, "critical,digitalSignature") && extend(ca, crt, NID_ext_key_usage, "serverAuth") &&
	    extend(ca, crt, NID_subject_alt_name, alternative_name(op, subject->host)) &&
	    extend(ca, crt, NID_subject_key_identifier, "hash") && extend(ca, crt, NID_authority_key_identifier, "keyid") &&
	    X509_sign(crt, ca_key, EVP_sha256()) > 0)
		return crt;
	X509_free(crt);
	return NULL;
}

static char *
crt_text(struct op *op, X509 *crt)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = bio && PEM_write_bio_X509(bio, crt) == 1 ? take_text(op, bio) : NULL;

	BIO_free(bio);
	return text;
}

int
certificate_self_made(struct op *op, const char *key_pem, const struct certificate_subject *subject, int days, char **ret_ca_pem,
    char **ret_pem)
{
	EVP_PKEY *key, *ca_key;
	X509 *ca, *crt;
	int rc = 0;

	if (!is_host_clean(subject->host))
		return op_fail(op, ERR_INVALID, "%s is no host name", subject->host);
	key = certificate_key_read(op, key_pem);
	if (!key)
		return ERR_INVALID;
	ca_key = EVP_EC_gen("P-256");
	ca = ca_key ? make_ca(op, ca_key, subject, days) : NULL;
	crt = ca ? make_server(op, key, ca, ca_key, subject, days) : NULL;
	*ret_ca_pem = crt ? crt_text(op, ca) : NULL;
	*ret_pem = crt ? crt_text(op, crt) : NULL;
	if (!*ret_ca_pem || !*ret_pem)
		rc = failed(op, "OpenSSL cannot make the certificate");
	X509_free(crt);
	X509_free(ca);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
	return rc;
}

static bool
fill_request(struct op *op, X509_REQ *request, EVP_PKEY *key, const struct certificate_subject *subject)
{
	STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
	X509_EXTENSION *names = extension_of(NULL, NULL, NID_subject_alt_name, alternative_name(op, subject->host));
	bool is_good = extensions && names && sk_X509_EXTENSION_push(extensions, names) > 0;

	if (!is_good)
		X509_EXTENSION_free(names);
	is_good = is_good && fill_name(op, X509_REQ_get_subject_name(request), subject, subject->host) &&
	    X509_REQ_set_pubkey(request, key) == 1 && X509_REQ_add_extensions(request, extensions) == 1 &&
	    X509_REQ_sign(request, key, EVP_sha256()) > 0;
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	return is_good;
}

int
certificate_request(struct op *op, const char *key_pem, const struct certificate_subject *subject, char **ret_pem)
{
	EVP_PKEY *key;
	X509_REQ *request;
	BIO *bio;
	int rc = 0;

	if (!is_host_clean(subject->host))
		return op_fail(op, ERR_INVALID, "%s is no host name", subject->host);
	key = certificate_key_read(op, key_pem);
	if (!key)
		return ERR_INVALID;
	request = X509_REQ_new();
	bio = BIO_new(BIO_s_mem());
	if (request && bio && fill_request(op, request, key, subject) && PEM_write_bio_X509_REQ(bio, request) == 1)
		*ret_pem = take_text(op, bio);
	else
		rc = failed(op, "OpenSSL cannot make the request");
	BIO_free(bio);
	X509_REQ_free(request);
	EVP_PKEY_free(key);
	return rc;
}

int
certificate_of_peer(struct op *op, void *tls, char **ret_pem)
{
	X509 *crt = tls ? SSL_get1_peer_certificate(tls) : NULL;

	*ret_pem = crt ? crt_text(op, crt) : NULL;
	X509_free(crt);
	return *ret_pem ? 0 : op_fail(op, ERR_NOT_FOUND, "the other side showed no certificate");
}
