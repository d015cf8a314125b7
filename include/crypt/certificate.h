/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Certificates of our own HTTPS service: made for trying out, asked for at the clinic's authority, and looked at.  PEM in and out.
 *
 *     rc = certificate_key(op, &key);
 *     rc = certificate_self_made(op, key, &(struct certificate_subject){ "Clinic", "sign-in.clinic.test" }, 90, &ca, &certificate);
 *
 * The key of the self-made authority is gone when the function returns: who trusts that authority trusts this one certificate.
 */
#ifndef KW_CRYPT_CERTIFICATE_H
#define KW_CRYPT_CERTIFICATE_H

#include "base/op.h"

struct certificate_subject {
	const char *organisation;       /* UTF-8, at most 64 characters are used (RFC 5280 ub-organization-name) */
	const char *host;               /* DNS name or IP address that browsers use; it becomes the subjectAltName (RFC 6125 6.4.4) */
};

struct certificate_facts {
	const char *subject, *issuer;   /* one line of text each */
	const char *sha256;             /* digest of the whole certificate, 64 hexadecimal digits */
	int64_t not_before_ms, not_after_ms;
	bool is_ca;                     /* may vouch for others (RFC 5280 4.2.1.9) */
};

/* A new private key, P-256, PKCS#8 PEM; belongs to the op. */
int certificate_key(struct op *op, char **ret_pem) MUST_CHECK;
/* A certificate of the key for the host, good for days, and that of the authority which signed it.  ERR_CRYPTO; ERR_INVALID for a key that is none. */
int certificate_self_made(struct op *op, const char *key_pem, const struct certificate_subject *subject, int days,
    char **ret_ca_pem, char **ret_pem) MUST_CHECK;
/* A certificate signing request (RFC 2986) for the clinic's authority. */
int certificate_request(struct op *op, const char *key_pem, const struct certificate_subject *subject, char **ret_pem) MUST_CHECK;
/* The certificate that the other side of a TLS connection showed; tls is its SSL.  ERR_NOT_FOUND when it showed none. */
int certificate_of_peer(struct op *op, void *tls, char **ret_pem) MUST_CHECK;
/* What the first certificate of the text says; ERR_INVALID when there is none. */
int certificate_read(struct op *op, const char *pem, struct certificate_facts *ret) MUST_CHECK;
/*
 * Whether the first certificate may serve the host with this key: the key fits it, it names the host (RFC 6125), it is good now and for
 * TLS servers.  ERR_INVALID with a sentence that says what is wrong and how to mend it.
 */
int certificate_check(struct op *op, const char *pem, const char *key_pem, const char *host) MUST_CHECK;

#endif
