/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Text: buffer, UTF-8 and folding (libunistring), encodings, nearest word. */
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unicase.h>
#include <uninorm.h>
#include <unistr.h>

struct buf
buf_in(struct arena *mem)
{
	return (struct buf){ .mem = mem, .text = arena_alloc(mem, 64), .room = 64 };
}

void
buf_add_bytes(struct buf *buf, const void *data, size_t n)
{
	if (n >= buf->room - buf->length) {
		size_t room = (buf->length + n + 1) * 2;
		char *text = arena_alloc(buf->mem, room);

		memcpy(text, buf->text, buf->length);
		buf->text = text;
		buf->room = room;
	}
	if (n)
		memcpy(buf->text + buf->length, data, n);
	buf->length += n;
	buf->text[buf->length] = '\0';
}

void
buf_add(struct buf *buf, const char *text)
{
	buf_add_bytes(buf, text, strlen(text));
}

void
buf_add_char(struct buf *buf, char c)
{
	buf_add_bytes(buf, &c, 1);
}

void
buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buf_add(buf, arena_vprintf(buf->mem, format, args));
	va_end(args);
}

/* How many bytes at the start are ASCII: most names are nothing else, and need no tables. */
static size_t
ascii_length(const char *bytes, size_t n)
{
	size_t i = 0;

	for (uint64_t word; i + sizeof(word) <= n; i += sizeof(word)) {
		memcpy(&word, bytes + i, sizeof(word));
		if (word & 0x8080808080808080u)
			break;
	}
	while (i < n && !(bytes[i] & 0x80))
		i++;
	return i;
}

bool
text_is_utf8(const char *bytes, size_t n)
{
	size_t ascii = ascii_length(bytes, n);

	/* bytes may be NULL when there are none */
	if (n == 0)
		return true;
	return !memchr(bytes, 0, n) && (ascii == n || !u8_check((const uint8_t *)bytes + ascii, n - ascii));
}

bool
text_has_control(const char *utf8)
{
	const unsigned char *s = (const unsigned char *)utf8;

	for (; *s; s++)
		if (*s < 0x20 || *s == 0x7f || (s[0] == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0))
			return true;
	return false;
}

/* NFKC leaves ASCII as it is, and its case folding is that of A to Z. */
static char *
fold_ascii(struct arena *mem, const char *text, size_t n)
{
	char *folded = arena_alloc(mem, n + 1);

	for (size_t i = 0; i < n; i++)
		folded[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + ('a' - 'A')) : text[i];
	return folded;
}

char *
text_fold(struct arena *mem, const char *utf8)
{
	size_t n = strlen(utf8), length = 0;
	uint8_t *folded;
	char *copy;

	if (ascii_length(utf8, n) == n)
		return fold_ascii(mem, utf8, n);
	if (!text_is_utf8(utf8, n))
		return NULL;
	folded = u8_casefold((const uint8_t *)utf8, n, NULL, UNINORM_NFKC, NULL, &length);
	if (!folded)
		return NULL;
	copy = arena_alloc(mem, length + 1);
	memcpy(copy, folded, length);
	mem_free(folded);               /* libunistring allocates with malloc */
	return copy;
}

bool
text_equal_ascii_case(const char *a, const char *b)
{
	return !strcasecmp(a, b);
}

bool
text_starts_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

char *
hex_encode(struct arena *mem, const void *data, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *bytes = data;
	char *text = arena_alloc(mem, n * 2 + 1);

	for (size_t i = 0; i < n; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	return text;
}

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool
hex_decode(struct arena *mem, const char *text, unsigned char **ret_data, size_t *ret_n)
{
	size_t n = strlen(text);
	unsigned char *data = arena_alloc(mem, n / 2 + 1);

	if (n % 2)
		return false;
	for (size_t i = 0; i < n / 2; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		data[i] = (unsigned char)(high << 4 | low);
	}
	*ret_data = data;
	*ret_n = n / 2;
	return true;
}

void
buf_add_percent(struct buf *buf, const char *text)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (; *text; text++)
		if (strchr(unreserved, *text))
			buf_add_char(buf, *text);
		else
			buf_printf(buf, "%%%02X", (unsigned char)*text);
}

bool
percent_decode(const char *text, size_t n, bool plus_is_blank, char *out, size_t *ret_n)
{
	size_t length = 0, i = 0;

	/* the usual text has nothing to decode */
	if (!memchr(text, '%', n) && !(plus_is_blank && memchr(text, '+', n))) {
		memcpy(out, text, n);
		length = i = n;
	}
	for (; i < n; i++) {
		char c = text[i];

		if (c == '%') {
			int high = n - i > 2 ? hex_digit(text[i + 1]) : -1;
			int low = n - i > 2 ? hex_digit(text[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (char)(high * 16 + low);
			i += 2;
		} else if (c == '+' && plus_is_blank) {
			c = ' ';
		}
		out[length++] = c;
	}
	out[length] = '\0';
	*ret_n = length;
	return true;
}

static const char alphabet_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

char *
base64url_encode(struct arena *mem, const void *data, size_t n)
{
	const unsigned char *b = data;
	char *text = arena_alloc(mem, n / 3 * 4 + 5), *at = text;

	for (; n >= 3; n -= 3, b += 3) {
		*at++ = alphabet_url[b[0] >> 2];
		*at++ = alphabet_url[(b[0] & 3) << 4 | b[1] >> 4];
		*at++ = alphabet_url[(b[1] & 15) << 2 | b[2] >> 6];
		*at++ = alphabet_url[b[2] & 63];
	}
	if (n) {
		*at++ = alphabet_url[b[0] >> 2];
		*at++ = alphabet_url[(b[0] & 3) << 4 | (n == 2 ? b[1] >> 4 : 0)];
		if (n == 2)
			*at++ = alphabet_url[(b[1] & 15) << 2];
	}
	return text;
}

static int
sextet(char c, bool is_url)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (is_url ? '-' : '+'))
		return 62;
	if (c == (is_url ? '_' : '/'))
		return 63;
	return -1;
}

static bool
decode(struct arena *mem, const char *text, size_t length, bool is_url, unsigned char **ret_data, size_t *ret_n)
{
	unsigned char *data = arena_alloc(mem, length / 4 * 3 + 4);
	uint32_t bits = 0;
	unsigned have = 0;
	size_t n = 0;

	if (length % 4 == 1)
		return false;
	for (size_t i = 0; i < length; i++) {
		int value = sextet(text[i], is_url);

		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
		have += 6;
		if (have >= 8) {
			have -= 8;
			data[n++] = (unsigned char)(bits >> have);
		}
	}
	/* RFC 4648 3.5: bits that are left over must be zero, or one value has several spellings */
	if (bits & ((1u << have) - 1))
		return false;
	*ret_data = data;
	*ret_n = n;
	return true;
}

bool
base64url_decode(struct arena *mem, const char *text, size_t length, unsigned char **ret_data, size_t *ret_n)
{
	return decode(mem, text, length, true, ret_data, ret_n);
}

bool
base64_decode(struct arena *mem, const char *text, size_t length, unsigned char **ret_data, size_t *ret_n)
{
	if (length % 4)
		return false;
	for (int i = 0; i < 2 && length && text[length - 1] == '='; i++)
		length--;
	return decode(mem, text, length, false, ret_data, ret_n);
}

/* Edit distance with transpositions (optimal string alignment), for words under 64 bytes. */
static int
distance(const char *a, const char *b)
{
	int na = (int)strlen(a), nb = (int)strlen(b), rows[3][64];

	if (na > 62 || nb > 62)
		return 99;
	for (int j = 0; j <= nb; j++)
		rows[0][j] = j;
	for (int i = 1; i <= na; i++) {
		int *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

		now[0] = i;
		for (int j = 1; j <= nb; j++) {
			int best = last[j - 1] + (a[i - 1] != b[j - 1]);

			best = last[j] + 1 < best ? last[j] + 1 : best;
			best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
	}
	return rows[na % 3][nb];
}

const char *
text_nearest(const char *name, const char *const *candidates, size_t n)
{
	const char *best = NULL;
	int best_distance = (int)strlen(name) / 3 + 1;

	for (size_t i = 0; i < n; i++) {
		int d = distance(name, candidates[i]);

		if (d <= best_distance && (!best || d < best_distance)) {
			best = candidates[i];
			best_distance = d;
		}
	}
	return best;
}
