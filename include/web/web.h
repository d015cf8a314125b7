/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the compiled templates are made of at run time: writing values so that they cannot become markup, words by key, and the
 * embedded files.  Which of these a hole gets is decided when the template is compiled (src/build), from where the hole
 * stands; pages never choose.  The pages themselves (struct web_login, web_login()) are in the generated web/pages.h.
 *
 *     struct web_login page = { .organisation = "...", .source_url = "..." };
 *     char *html = web_login(reply->mem, "en", &page);
 *
 * This room knows nothing but base.
 */
#ifndef KW_WEB_WEB_H
#define KW_WEB_WEB_H

#include "base/text.h"

/*
 * Text and quoted attribute values: the five characters of markup become entities, control characters U+FFFD.  NULL writes
 * nothing.
 */
void web_put_text(struct buf *out, const char *value);
/*
 * A whole address in href, action, src: http:, https:, or a path, query or fragment of our own.  Everything else, among it
 * javascript:, data:, //host and anything with blanks, controls or backslashes, becomes "#blocked".
 */
void web_put_url(struct buf *out, const char *value);
/* A part of an address behind its beginning: percent-encoded (RFC 3986 2.1) but for unreserved characters. */
void web_put_url_part(struct buf *out, const char *value);
/* A word of the message files, with value in the place of {}. */
void web_put_word(struct buf *out, const char *word, const char *value);

struct web_asset {
	const char *name;               /* with the hash of its content: "app-0123456789abcdef.css" */
	const char *type;               /* Content-Type */
	const unsigned char *data;
	size_t size;
};

/* NULL when there is none. */
const struct web_asset *web_asset_find(const char *name);

#endif
