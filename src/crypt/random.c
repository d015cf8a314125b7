/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Random bytes straight from the kernel: no state of our own that a fork, a thread or a snapshot could repeat.
 */
#include "crypt/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/text.h"

#define SECRET_BYTES 32

void
random_fill(void *data, size_t n)
{
	unsigned char *at = data;

	while (n) {
		ssize_t got = getrandom(at, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			/* No secret may ever be made of anything else. */
			fputs("keyward: the kernel gives no random bytes\n", stderr);
			abort();
		}
		at += got;
		n -= (size_t)got;
	}
}

char *
random_secret(struct op *op)
{
	unsigned char bytes[SECRET_BYTES];
	char *text;

	random_fill(bytes, sizeof(bytes));
	text = base64url_encode(op->mem, bytes, sizeof(bytes));
	mem_wipe(bytes, sizeof(bytes));
	return text;
}
