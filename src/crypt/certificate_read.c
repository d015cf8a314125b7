/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Looking at a certificate that somebody gave us for our own service: what it says, and whether it may serve. */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "base/time.h"
#include "certificate_int.h"

#define ONE_LINE (XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB)

/* The first certificate; NULL when there is none. */
static X509 *
crt_read(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)strlen(pem));
	X509 *crt = bio ? PEM_read_bio_X509(bio, NULL, NULL, (void *)(uintptr_t)"") : NULL;

	BIO_free(bio);
	ERR_clear_error();
	return crt;
}

/* RFC 4514, with letters beyond ASCII as they are; what is no clean text becomes '?'. */
static const char *
name_text(struct op *op, const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *text;
	long n;

	if (bio)
		X509_NAME_print_ex(bio, name, 0, ONE_LINE);
	n = bio ? BIO_get_mem_data(bio, &data) : 0;
	text = op_strndup(op, n > 0 ? data : "", n > 0 ? (size_t)n : 0);
	BIO_free(bio);
	if (!text_is_utf8(text, strlen(text)))
		for (char *c = text; *c; c++)
			*c = *c > 0x1f && *c < 0x7f ? *c : '?';
	return text;
}

static int64_t
time_ms_of(const ASN1_TIME *time)
{
	struct tm parts;

	return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) * 1000 : 0;
}

static void
read_facts(struct op *op, X509 *crt, struct certificate_facts *ret)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int n = 0;

	X509_digest(crt, EVP_sha256(), digest, &n);
	*ret = (struct certificate_facts){
		.subject = name_text(op, X509_get_subject_name(crt)), .issuer = name_text(op, X509_get_issuer_name(crt)),
		.sha256 = hex_encode(op->mem, digest, n), .not_before_ms = time_ms_of(X509_get0_notBefore(crt)),
		.not_after_ms = time_ms_of(X509_get0_notAfter(crt)), .is_ca = X509_check_ca(crt) > 0,
	};
	ERR_clear_error();
}

int
certificate_read(struct op *op, const char *pem, struct certificate_facts *ret)
{
	X509 *crt = crt_read(pem);

	if (!crt)
		return op_fail(op, ERR_INVALID, "there is no certificate in PEM form (it begins with -----BEGIN "
		    "CERTIFICATE-----)");
	read_facts(op, crt, ret);
	X509_free(crt);
	return 0;
}

/* RFC 6125 6.4: the subjectAltName alone counts, as browsers do it. */
static bool
names_host(X509 *crt, const char *host)
{
	return X509_check_ip_asc(crt, host, 0) == 1 || X509_check_host(crt, host, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1;
}

static int
check(struct op *op, X509 *crt, EVP_PKEY *key, const char *host)
{
	struct certificate_facts facts;
	char day[TIME_TEXT_BYTES];

	read_facts(op, crt, &facts);
	if (X509_check_private_key(crt, key) != 1) {
		ERR_clear_error();
		return op_fail(op, ERR_INVALID, "the private key does not belong to the certificate of %s: give the key that "
		    "its request was made with", facts.subject);
	}
	if (!names_host(crt, host)) {
		ERR_clear_error();
		return op_fail(op, ERR_INVALID, "the certificate of %s does not name %s (subjectAltName), so browsers refuse "
		    "it: ask for one that does", facts.subject, host);
	}
	if (facts.not_after_ms <= op->now_ms)
		return op_fail(op, ERR_INVALID, "the certificate of %s ended on %.10s: get a new one", facts.subject,
		    time_text(facts.not_after_ms, day));
	if (facts.not_before_ms > op->now_ms)
		return op_fail(op, ERR_INVALID, "the certificate of %s is good only from %.10s: look at the clock of this "
		    "computer",
		    facts.subject, time_text(facts.not_before_ms, day));
	if (X509_check_purpose(crt, X509_PURPOSE_SSL_SERVER, 0) != 1)
		return op_fail(op, ERR_INVALID, "the certificate of %s is not made for servers (extendedKeyUsage "
		    "serverAuth)", facts.subject);
	return 0;
}

int
certificate_check(struct op *op, const char *pem, const char *key_pem, const char *host)
{
	X509 *crt = crt_read(pem);
	EVP_PKEY *key;
	int rc;

	if (!crt)
		return op_fail(op, ERR_INVALID, "there is no certificate in PEM form (it begins with -----BEGIN "
		    "CERTIFICATE-----)");
	key = certificate_key_read(op, key_pem);
	rc = key ? check(op, crt, key, host) : ERR_INVALID;
	EVP_PKEY_free(key);
	X509_free(crt);
	return rc;
}
