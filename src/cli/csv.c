/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Text that other programs read: CSV for spreadsheets, JSON for pipes and terminals.  Values may be what a stranger typed as a
 * login name, so they are made harmless here and nowhere else.
 */
#include "cli.h"

#include <string.h>
#include <unictype.h>
#include <unistr.h>

/* Control characters, line and paragraph separators, and format characters such as those that turn the direction of text. */
bool
is_steering(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) ||
	       uc_is_general_category_withtable(c, UC_CATEGORY_MASK_Cf | UC_CATEGORY_MASK_Zl | UC_CATEGORY_MASK_Zp);
}

/* \u00XX; above the basic plane as a surrogate pair (RFC 8259 7). */
static void
add_escape(struct buf *out, ucs4_t c)
{
	if (c >= 0x10000)
		buf_printf(out, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((c - 0x10000) >> 10)),
		    (unsigned)(0xdc00 + ((c - 0x10000) & 0x3ff)));
	else
		buf_printf(out, "\\u%04x", (unsigned)c);
}

/* The text with steering characters and broken bytes escaped. */
static char *
escaped(struct op *op, const char *text)
{
	const uint8_t *at = (const uint8_t *)text;
	struct buf out = buf_in(op->mem);
	ucs4_t c;

	while (*at) {
		int n = u8_strmbtouc(&c, at);

		if (n <= 0) {
			add_escape(&out, 0xfffd);
			at++;
			continue;
		}
		if (is_steering(c))
			add_escape(&out, c);
		else
			buf_add_bytes(&out, at, (size_t)n);
		at += n;
	}
	return out.text;
}

/* In JSON such characters stand inside of strings only, where an escape means the same. */
char *
json_safe(struct op *op, const char *json)
{
	return escaped(op, json);
}

/*
 * A spreadsheet takes a cell that begins with = + - @ (and, in East Asian settings, with their full-width forms) for a formula; an
 * apostrophe in front makes it text.  Blanks before them do not save.  Tabs and returns are escaped already (ASVS 5.0 1.2.10).
 */
static bool
is_formula(const char *text)
{
	static const char *const starts[] = {
	    "=", "+", "-", "@", "\xef\xbc\x9d", "\xef\xbc\x8b", "\xef\xbc\x8d", "\xef\xbc\xa0", "\\u0009", "\\u000d" };

	while (*text == ' ' || (unsigned char)*text == 0xc2) {
		/* U+00A0 */
		if (*text == ' ')
			text++;
		else if ((unsigned char)text[1] == 0xa0)
			text += 2;
		else
			break;
	}
	for (size_t i = 0; i < countof(starts); i++)
		if (text_starts_with(text, starts[i]))
			return true;
	return false;
}

void
csv_print_row(FILE *out, struct op *op, const char *const *values, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *text = escaped(op, values[i] ? values[i] : "");

		fputs(i ? ",\"" : "\"", out);
		if (is_formula(text))
			fputc('\'', out);
		for (; *text; text++) {
			if (*text == '"')
				fputc('"', out);
			fputc(*text, out);
		}
		fputc('"', out);
	}
	fputs("\r\n", out);
}
