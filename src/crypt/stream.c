/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Sealed streams (crypt/stream.h) over libsodium's secretstream, which counts and chains the blocks itself. */
#include "crypt/stream.h"

#include <sodium.h>

#include "seal_int.h"

_Static_assert(STREAM_START_BYTES == crypto_secretstream_xchacha20poly1305_HEADERBYTES, "the form of crypt/stream.h");
_Static_assert(STREAM_TAG_BYTES == crypto_secretstream_xchacha20poly1305_ABYTES, "the form of crypt/stream.h");
_Static_assert(SHA256_BYTES == crypto_secretstream_xchacha20poly1305_KEYBYTES, "one HKDF block is one key");

struct stream {
	crypto_secretstream_xchacha20poly1305_state state;
	unsigned char bound[SHA256_BYTES];      /* of the data beside the stream; goes into every block's tag */
};

static struct stream *
stream_new(const struct master_key *key, const char *purpose, const void *bound, size_t n, unsigned char sub[static SHA256_BYTES])
{
	struct stream *stream = mem_new(sizeof(*stream));

	sha256(bound, n, stream->bound);
	seal_subkey(key, purpose, sub);
	return stream;
}

int
stream_seal_new(struct op *op, const struct master_key *key, const char *purpose, const void *bound, size_t n,
    unsigned char ret_start[static STREAM_START_BYTES], struct stream **ret)
{
	unsigned char sub[SHA256_BYTES];
	struct stream *stream = stream_new(key, purpose, bound, n, sub);
	int rc = crypto_secretstream_xchacha20poly1305_init_push(&stream->state, ret_start, sub);

	mem_wipe(sub, sizeof(sub));
	*ret = stream;
	if (!rc)
		return 0;
	stream_free(stream);
	*ret = NULL;
	return op_fail(op, ERR_CRYPTO, "a sealed stream cannot begin");
}

void
stream_seal(struct stream *stream, const void *plain, size_t n, bool is_last, unsigned char *ret_sealed)
{
	crypto_secretstream_xchacha20poly1305_push(&stream->state, ret_sealed, NULL, plain, n, stream->bound, sizeof(stream->bound),
	    is_last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL : crypto_secretstream_xchacha20poly1305_TAG_MESSAGE);
}

int
stream_open_new(struct op *op, const struct master_key *key, const char *purpose, const void *bound, size_t n,
    const unsigned char start[static STREAM_START_BYTES], struct stream **ret)
{
	unsigned char sub[SHA256_BYTES];
	struct stream *stream = stream_new(key, purpose, bound, n, sub);
	int rc = crypto_secretstream_xchacha20poly1305_init_pull(&stream->state, start, sub);

	mem_wipe(sub, sizeof(sub));
	*ret = stream;
	if (!rc)
		return 0;
	stream_free(stream);
	*ret = NULL;
	return op_fail(op, ERR_SEAL, "what should be a sealed stream is none");
}

bool
stream_open(struct stream *stream, const unsigned char *sealed, size_t n, void *ret_plain, bool *ret_is_last)
{
	unsigned char tag;

	if (n < STREAM_TAG_BYTES || crypto_secretstream_xchacha20poly1305_pull(&stream->state, ret_plain, NULL, &tag, sealed, n,
	    stream->bound, sizeof(stream->bound)))
		return false;
	*ret_is_last = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
	return true;
}

void
stream_free(struct stream *stream)
{
	if (!stream)
		return;
	mem_wipe(stream, sizeof(*stream));
	mem_free(stream);
}
