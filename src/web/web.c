/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Run time of the compiled templates (web/web.h).  Everything that reaches a page from outside passes through one of the
 * four functions here; tests/web/test_web.c holds the hostile values.
 */
#include "web/web.h"

#include <string.h>

static const char *
entity_of(unsigned char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	case '\t':
	case '\n':
		return NULL;
	default:
		return c < 0x20 || c == 0x7f ? "\xef\xbf\xbd" : NULL;
	}
}

void
web_put_text(struct buf *out, const char *value)
{
	const char *start = value, *entity;

	if (!value)
		return;
	for (; *value; value++) {
		entity = entity_of((unsigned char)*value);
		if (!entity)
			continue;
		buf_add_bytes(out, start, (size_t)(value - start));
		buf_add(out, entity);
		start = value + 1;
	}
	buf_add_bytes(out, start, (size_t)(value - start));
}

/* WHATWG URL 4.4 strips tabs and line ends and reads a backslash as a slash: none of them may be inside. */
static bool
is_clean_url(const char *value)
{
	for (; *value; value++)
		if ((unsigned char)*value <= 0x20 || *value == 0x7f || *value == '\\')
			return false;
	return true;
}

static bool
is_safe_url(const char *value)
{
	if (!is_clean_url(value))
		return false;
	if (text_starts_with(value, "https://") || text_starts_with(value, "http://"))
		return true;
	/* RFC 3986 4.2: "//host" is another host */
	return *value == '?' || *value == '#' || (*value == '/' && value[1] != '/');
}

void
web_put_url(struct buf *out, const char *value)
{
	web_put_text(out, value && is_safe_url(value) ? value : "#blocked");
}

void
web_put_url_part(struct buf *out, const char *value)
{
	if (value)
		buf_add_percent(out, value);
}

void
web_put_word(struct buf *out, const char *word, const char *value)
{
	const char *gap = strstr(word, "{}");
	char *before;

	if (!gap) {
		web_put_text(out, word);
		return;
	}
	before = arena_strndup(out->mem, word, (size_t)(gap - word));
	web_put_text(out, before);
	web_put_text(out, value);
	web_put_text(out, gap + 2);
}
