/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Sealed streams: what is too large to be sealed in one piece, such as a backup.  libsodium's secretstream (XChaCha20-Poly1305)
 * under a subkey of the master key (crypt/seal.h); every block is bound to its place, to the ones before it and to data that
 * stands in clear beside the stream.  A stream that was cut, put together or edited does not open; only the last block says
 * that it is the last.
 *
 *     stream_seal_new(op, master, "backup", head, head_size, start, &stream);
 *     stream_seal(stream, block, n, is_last, sealed);          // sealed has room for n + STREAM_TAG_BYTES
 */
#ifndef KW_CRYPT_STREAM_H
#define KW_CRYPT_STREAM_H

#include "crypt/seal.h"

#define STREAM_START_BYTES 24
#define STREAM_TAG_BYTES 17

struct stream;

int stream_seal_new(struct op *op, const struct master_key *key, const char *purpose, const void *bound, size_t n,
    unsigned char ret_start[static STREAM_START_BYTES], struct stream **ret) MUST_CHECK;
void stream_seal(struct stream *stream, const void *plain, size_t n, bool is_last, unsigned char *ret_sealed);

int stream_open_new(struct op *op, const struct master_key *key, const char *purpose, const void *bound, size_t n,
    const unsigned char start[static STREAM_START_BYTES], struct stream **ret) MUST_CHECK;
/* False for a block that does not belong here.  n is that of the sealed block, at least STREAM_TAG_BYTES. */
bool stream_open(struct stream *stream, const unsigned char *sealed, size_t n, void *ret_plain, bool *ret_is_last);

/* NULL is fine. */
void stream_free(struct stream *stream);

#endif
