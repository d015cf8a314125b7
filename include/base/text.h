/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Text: a growing buffer, UTF-8, hexadecimal, base64url, comparison keys.
 *
 *     struct buf b = buf_in(op->mem);
 *     buf_add(&b, "hello ");  buf_printf(&b, "%d", 7);
 *     return b.text;                       // always terminated
 */
#ifndef KW_BASE_TEXT_H
#define KW_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/attr.h"
#include "base/mem.h"

struct buf {
	struct arena *mem;
	char *text;                     /* terminated; "" when empty */
	size_t length, room;
};

struct buf buf_in(struct arena *mem);
void buf_add(struct buf *buf, const char *text);
void buf_add_bytes(struct buf *buf, const void *data, size_t n);
void buf_add_char(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);

/* A list of strings, owned by an arena. */
struct strings {
	const char **v;
	size_t n;
};

/* Strict UTF-8 (RFC 3629): no overlong forms, surrogates or values above U+10FFFF; NUL is refused. */
bool text_is_utf8(const char *bytes, size_t n);
/* True when a control character (C0, DEL, C1) is inside; for names and addresses. */
bool text_has_control(const char *utf8);
/*
 * The key under which a name is looked up and compared: Unicode NFKC, case folded (RFC 8265 3.3 UsernameCaseMapped).
 * Leading and trailing blanks are kept, so that "alice " stays another name.  NULL when it is not UTF-8.
 */
char *text_fold(struct arena *mem, const char *utf8);
bool text_equal_ascii_case(const char *a, const char *b);
bool text_starts_with(const char *text, const char *start);

char *hex_encode(struct arena *mem, const void *data, size_t n);
/* False for an odd length or a strange digit; *ret_data is n bytes in mem. */
bool hex_decode(struct arena *mem, const char *text, unsigned char **ret_data, size_t *ret_n);

/* Percent-encodes everything but the unreserved characters (RFC 3986 2.3): for a path segment or a query value. */
void buf_add_percent(struct buf *buf, const char *text);
/*
 * Decodes percent-escapes once, and '+' as a blank where plus_is_blank (application/x-www-form-urlencoded), into out: room for n + 1 bytes,
 * terminated besides.  False for a bad escape.  What comes out may hold NUL and need not be UTF-8: the caller says what he takes.
 */
bool percent_decode(const char *text, size_t n, bool plus_is_blank, char *out, size_t *ret_n);

/* RFC 4648 5 without padding. */
char *base64url_encode(struct arena *mem, const void *data, size_t n);
/* Strict: no padding, blanks, other alphabet or non-zero trailing bits (RFC 7515 2).  text need not be terminated. */
bool base64url_decode(struct arena *mem, const char *text, size_t length, unsigned char **ret_data, size_t *ret_n);
/* RFC 4648 4 with padding, strict; for HTTP Basic. */
bool base64_decode(struct arena *mem, const char *text, size_t length, unsigned char **ret_data, size_t *ret_n);

/* The candidate nearest to name by edit distance, if near enough to be a slip; else NULL. */
const char *text_nearest(const char *name, const char *const *candidates, size_t n);

#endif
