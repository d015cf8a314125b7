/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Random bytes and opaque tokens. */
#ifndef KW_CRYPT_RANDOM_H
#define KW_CRYPT_RANDOM_H

#include "base/op.h"

void random_fill(void *data, size_t n);
/* 256 random bits as base64url text (43 characters); belongs to the op. */
char *random_secret(struct op *op);

#endif
