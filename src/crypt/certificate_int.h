/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What certificate.c and certificate_read.c share. */
#ifndef KW_CRYPT_CERTIFICATE_INT_H
#define KW_CRYPT_CERTIFICATE_INT_H

#include <openssl/types.h>

#include "crypt/certificate.h"

/* A private key without a pass phrase; NULL after op_fail(ERR_INVALID). */
EVP_PKEY *certificate_key_read(struct op *op, const char *pem);

#endif
