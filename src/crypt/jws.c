/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Tokens: the compact form of RFC 7515.  Reading is strict, because every laxity of a JOSE reader has been an attack once.
 * Read jws_check: split, header, key, signature, in this order; nothing of the payload is looked at before the signature holds.
 */
#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "jwk_int.h"

#define HEADER_MAX_BYTES 4096

struct part {
	const char *text;
	size_t n;
};

/* ---- signing ---- */

/* typ goes into the header as it is: only what a media type may consist of (RFC 6838 4.2). */
static bool
is_type_name(const char *typ)
{
	return typ[0] && typ[strspn(typ, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$&-^_.+/")] == '\0';
}

int
jws_sign_text(struct op *op, const struct jwk *key, const char *typ, const char *claims, size_t n, char **ret)
{
	struct buf token = buf_in(op->mem);
	unsigned char signature[SIGNATURE_MAX_BYTES];
	size_t signature_n;
	const char *header;
	int rc;

	assert(!typ || is_type_name(typ));
	header = typ ? op_printf(op, "{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"%s\"}", key->alg, key->kid, typ)
	    : op_printf(op, "{\"alg\":\"%s\",\"kid\":\"%s\"}", key->alg, key->kid);
	buf_add(&token, base64url_encode(op->mem, header, strlen(header)));
	buf_add_char(&token, '.');
	if (n < TOKEN_MAX_BYTES)
		buf_add(&token, base64url_encode(op->mem, claims, n));
	if (n >= TOKEN_MAX_BYTES || token.length + 2 + 4 * (size_t)EVP_PKEY_get_size(key->pkey) / 3 > TOKEN_MAX_BYTES)
		return op_fail(op, ERR_TOO_LARGE, "the token would be larger than %d bytes; ask for fewer scopes or give fewer roles",
		    TOKEN_MAX_BYTES);
	rc = jwk_sign(op, key, token.text, token.length, signature, &signature_n);
	if (rc)
		return rc;
	buf_add_char(&token, '.');
	buf_add(&token, base64url_encode(op->mem, signature, signature_n));
	*ret = token.text;
	return 0;
}

int
jws_sign(struct op *op, const struct jwk *key, const char *typ, const json_t *claims, char **ret)
{
	const char *text = json_text(op, claims);

	return jws_sign_text(op, key, typ, text, strlen(text), ret);
}

/* ---- reading ---- */

/* RFC 7515 7.1: exactly three parts. */
static bool
split(const char *token, size_t n, struct part parts[static 3])
{
	for (size_t i = 0; i < 3; i++) {
		const char *dot = memchr(token, '.', n);
		size_t length = dot ? (size_t)(dot - token) : n;

		if ((dot != NULL) != (i < 2))
			return false;
		parts[i] = (struct part){ token, length };
		if (dot) {
			token += length + 1;
			n -= length + 1;
		}
	}
	return true;
}

/* A string member that may be absent. */
static bool
optional_text(const json_t *object, const char *name, const char **ret)
{
	const json_t *member = json_object_get(object, name);

	*ret = json_string_value(member);
	return !member || *ret;
}

/* A JSON object, or false without a failure: the caller has the better sentence. */
static bool
read_object(struct op *op, const unsigned char *bytes, size_t n, json_t **ret)
{
	if (json_read(op, (const char *)bytes, n, ret) < 0) {
		op_forgive(op);
		return false;
	}
	return json_is_object(*ret);
}

static int
read_header(struct op *op, struct part part, struct jws_header *ret)
{
	unsigned char *bytes;
	size_t n;
	json_t *header;

	if (!part.n || part.n > HEADER_MAX_BYTES || !base64url_decode(op->mem, part.text, part.n, &bytes, &n))
		return op_fail(op, ERR_INVALID_TOKEN, "the header of the token is not base64url");
	/* RFC 7515 4: JSON without duplicate members */
	if (!read_object(op, bytes, n, &header))
		return op_fail(op, ERR_INVALID_TOKEN, "the header of the token is not a JSON object");
	/* RFC 7515 4.1.11: we understand no extension, so whatever is critical is refused; RFC 7797 6: b64 would be critical */
	if (json_object_get(header, "crit") || json_object_get(header, "b64"))
		return op_fail(op, ERR_INVALID_TOKEN, "the header of the token has critical extensions");
	if (!optional_text(header, "alg", &ret->alg) || !ret->alg)
		return op_fail(op, ERR_INVALID_TOKEN, "the header of the token has no alg");
	if (!optional_text(header, "kid", &ret->kid) || !optional_text(header, "typ", &ret->typ))
		return op_fail(op, ERR_INVALID_TOKEN, "kid and typ of a token are strings");
	return 0;
}

static int
split_and_read(struct op *op, const char *token, size_t n, struct part parts[static 3], struct jws_header *ret)
{
	if (n > TOKEN_MAX_BYTES)
		return op_fail(op, ERR_INVALID_TOKEN, "the token is larger than %d bytes", TOKEN_MAX_BYTES);
	if (!split(token, n, parts))
		return op_fail(op, ERR_INVALID_TOKEN, "the token does not have three parts");
	return read_header(op, parts[0], ret);
}

int
jws_peek(struct op *op, const char *token, size_t n, struct jws_header *ret)
{
	struct part parts[3];

	return split_and_read(op, token, n, parts, ret);
}

/* RFC 7515 4.1.9: media types, without regard to case; "application/" is left out when no other slash follows. */
static bool
is_same_type(const char *a, const char *b)
{
	static const char prefix[] = "application/";
	const char *names[] = { a, b };

	for (size_t i = 0; i < 2; i++) {
		size_t skip = sizeof(prefix) - 1;

		if (strncasecmp(names[i], prefix, skip) == 0 && !strchr(names[i] + skip, '/'))
			names[i] += skip;
	}
	return text_equal_ascii_case(names[0], names[1]);
}

int
jws_check(struct op *op, const struct jwk *key, const char *typ, const char *token, size_t n,
    unsigned char **ret_payload, size_t *ret_n)
{
	struct part parts[3];
	struct jws_header header;
	unsigned char *signature;
	size_t signature_n;
	int rc = split_and_read(op, token, n, parts, &header);

	if (rc)
		return rc;
	/* RFC 8725 3.1: the key decides the algorithm */
	if (strcmp(header.alg, key->alg) != 0)
		return op_fail(op, ERR_INVALID_TOKEN, "the token is signed with another algorithm than its key is for");
	/* RFC 8725 3.11: explicit typing */
	if (typ && (!header.typ || !is_same_type(header.typ, typ)))
		return op_fail(op, ERR_INVALID_TOKEN, "the token is not of type %s", typ);
	if (!base64url_decode(op->mem, parts[2].text, parts[2].n, &signature, &signature_n))
		return op_fail(op, ERR_INVALID_TOKEN, "the signature of the token is not base64url");
	if (!jwk_is_signed(key, token, (size_t)(parts[2].text - token) - 1, signature, signature_n))
		return op_fail(op, ERR_INVALID_TOKEN, "the signature of the token is wrong");
	if (!base64url_decode(op->mem, parts[1].text, parts[1].n, ret_payload, ret_n))
		return op_fail(op, ERR_INVALID_TOKEN, "the payload of the token is not base64url");
	return 0;
}

int
jws_verify(struct op *op, const struct jwk *key, const char *typ, const char *token, size_t n, json_t **ret_claims)
{
	unsigned char *payload;
	size_t payload_n;
	json_t *claims;
	int rc = jws_check(op, key, typ, token, n, &payload, &payload_n);

	if (rc)
		return rc;
	/* RFC 7519 4: an object without duplicate claims */
	if (!read_object(op, payload, payload_n, &claims))
		return op_fail(op, ERR_INVALID_TOKEN, "the payload of the token is not a JSON object");
	*ret_claims = claims;
	return 0;
}
