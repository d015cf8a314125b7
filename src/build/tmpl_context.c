/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Where in the HTML a hole stands, and what that place allows.  A small tokenizer after WHATWG HTML 13.2.5, stricter than browsers:
 * what it does not know it refuses.  Read tmpl_context_hole() first: it is the list of safe places; everything else
 * keeps track of the place.
 */
#include "tmpl.h"

#include <ctype.h>
#include <string.h>

static int
refuse(struct tmpl_context *c, const char *why)
{
	c->why = why;
	return -1;
}

static bool
is_one_of(const char *name, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(name, *list) == 0)
			return true;
	return false;
}

static bool
is_url_attribute(const char *name)
{
	static const char *const list[] = { "href", "src", "action", "formaction", "cite", "poster", "xlink:href", NULL };

	return is_one_of(name, list);
}

/* Attributes whose value cannot run anything, load anything or change the meaning of others. */
static bool
is_plain_attribute(const char *name)
{
	static const char *const list[] = { "id", "class", "name", "value", "for", "title", "alt", "lang", "dir", "role",
		"placeholder", "datetime",
		"autocomplete", "maxlength", "minlength", "min", "max", "rows", "cols", "colspan", "rowspan", "scope", "width",
		"height", "form", NULL };

	return strncmp(name, "aria-", 5) == 0 || strncmp(name, "data-", 5) == 0 || is_one_of(name, list);
}

/* Attributes that people read or hear: their words come from messages. */
static bool
is_spoken_attribute(const char *name)
{
	static const char *const list[] = { "title", "alt", "placeholder", "aria-label", "aria-description", "aria-roledescription",
		"aria-valuetext", NULL };

	return is_one_of(name, list);
}

static bool
is_void_element(const char *name)
{
	static const char *const list[] = { "area", "br", "col", "hr", "img", "input", "link", "meta", "source", "track", "wbr",
		"use", "path", NULL };

	return is_one_of(name, list);
}

static bool
is_refused_element(const char *name)
{
	static const char *const list[] = { "base", "object", "embed", "applet", "iframe", "frame", "frameset", "noscript",
		"plaintext", "xmp",
		"listing", "noembed", "noframes", "template", NULL };

	return is_one_of(name, list);
}

static void
keep_tail(struct tmpl_context *c, char letter)
{
	memmove(c->tail, c->tail + 1, sizeof(c->tail) - 2);
	c->tail[sizeof(c->tail) - 2] = (char)tolower((unsigned char)letter);
}

static bool
tail_is(const struct tmpl_context *c, const char *end)
{
	size_t n = strlen(end);

	return strcmp(c->tail + sizeof(c->tail) - 1 - n, end) == 0;
}

static int
add_name(struct tmpl_context *c, char *name, char letter)
{
	size_t n = strlen(name);

	if (n + 2 > TMPL_NAME)
		return refuse(c, "a name is too long");
	name[n] = (char)tolower((unsigned char)letter);
	name[n + 1] = '\0';
	return 0;
}

/* ---- attributes ---- */

static int
begin_attribute(struct tmpl_context *c, char letter)
{
	c->attr[0] = '\0';
	c->n_value = 0;
	c->value[0] = '\0';
	if (!isalpha((unsigned char)letter))
		return refuse(c, "an attribute must begin with a letter");
	c->state = TMPL_ATTR_NAME;
	return add_name(c, c->attr, letter);
}

static int
check_attribute_name(struct tmpl_context *c)
{
	static const char *const never[] = { "style", "srcdoc", "srcset", "imagesrcset", "ping", "background", "manifest",
		"data", "codebase",
		"nonce", "integrity", NULL };

	if (strncmp(c->attr, "on", 2) == 0)
		return refuse(c, "event handlers (on...) are refused");
	if (is_one_of(c->attr, never))
		return refuse(c, "this attribute is refused");
	return 0;
}

/* An address written in the template itself: our own paths and https only. */
static int
check_literal_url(struct tmpl_context *c)
{
	const char *colon = strchr(c->value, ':'), *stop = c->value + strcspn(c->value, "/?#\1");

	if (c->value[0] == '/' && (c->value[1] == '/' || c->value[1] == '\\'))
		return refuse(c, "an address without scheme (//host) is refused");
	if (strpbrk(c->value, "\\\t\n\r "))
		return refuse(c, "an address must not hold blanks or backslashes");
	if (colon && colon < stop && strncmp(c->value, "https:", 6) != 0)
		return refuse(c, "an address must be a path or https");
	return 0;
}

static int
end_attribute(struct tmpl_context *c)
{
	size_t i;

	c->state = TMPL_AFTER_VALUE;
	if (strcmp(c->tag, "meta") == 0 && strcmp(c->attr, "http-equiv") == 0)
		return refuse(c, "meta http-equiv is refused: headers say such things");
	if (is_url_attribute(c->attr))
		return check_literal_url(c);
	for (i = 0; is_spoken_attribute(c->attr) && i < c->n_value; i++)
		if (isalpha((unsigned char)c->value[i]))
			return refuse(c, "words for people belong in messages");
	return 0;
}

static void
add_value(struct tmpl_context *c, char letter)
{
	if (c->n_value + 1 < sizeof(c->value)) {
		c->value[c->n_value++] = letter;
		c->value[c->n_value] = '\0';
	}
}

/* A whole address followed by more would make another address: only a query or fragment may follow. */
static int
feed_value(struct tmpl_context *c, char letter)
{
	if (letter == c->quote)
		return end_attribute(c);
	if (is_url_attribute(c->attr) && c->n_value == 1 && c->value[0] == '\1' && !strchr("?#&", letter))
		return refuse(c, "behind a whole address only ?, & or # may follow");
	add_value(c, letter);
	return 0;
}

/* ---- tags ---- */

static int
end_tag_name(struct tmpl_context *c)
{
	if (is_refused_element(c->tag))
		return refuse(c, "this element is refused");
	return 0;
}

static int
finish_start_tag(struct tmpl_context *c, bool is_self_closed)
{
	bool is_raw = strcmp(c->tag, "script") == 0 || strcmp(c->tag, "style") == 0;
	bool is_rcdata = strcmp(c->tag, "title") == 0 || strcmp(c->tag, "textarea") == 0;

	memset(c->tail, ' ', sizeof(c->tail) - 1);
	c->n_value = 0;
	c->quote = '\0';
	c->state = is_raw ? TMPL_RAW : is_rcdata ? TMPL_RCDATA : TMPL_DATA;
	if (is_raw || is_rcdata || is_void_element(c->tag))
		return 0;
	if (is_self_closed)
		return refuse(c, "only elements without content may end in />");
	if (c->n_open == TMPL_DEPTH)
		return refuse(c, "elements are nested too deeply");
	memcpy(c->open[c->n_open++], c->tag, TMPL_NAME);
	return 0;
}

static int
finish_end_tag(struct tmpl_context *c)
{
	c->state = TMPL_DATA;
	if (c->n_open == 0 || strcmp(c->open[c->n_open - 1], c->tag) != 0)
		return refuse(c, "an end tag does not fit the element that is open");
	c->n_open--;
	return 0;
}

static int
feed_tag_open(struct tmpl_context *c, char letter)
{
	c->tag[0] = '\0';
	if (letter == '/') {
		c->state = TMPL_END_NAME;
		return 0;
	}
	if (letter == '!') {
		c->state = TMPL_MARKUP;
		memset(c->tail, ' ', sizeof(c->tail) - 1);
		return 0;
	}
	if (!isalpha((unsigned char)letter))
		return refuse(c, "a < that begins no tag must be written &lt;");
	c->state = TMPL_TAG_NAME;
	return add_name(c, c->tag, letter);
}

static int
feed_tag_name(struct tmpl_context *c, char letter)
{
	if (isalnum((unsigned char)letter) || letter == '-')
		return add_name(c, c->tag, letter);
	if (end_tag_name(c) < 0)
		return -1;
	c->state = TMPL_IN_TAG;
	if (isspace((unsigned char)letter))
		return 0;
	if (letter == '>')
		return finish_start_tag(c, false);
	return letter == '/' ? 0 : refuse(c, "strange character in the name of a tag");
}

static int
feed_end_name(struct tmpl_context *c, char letter)
{
	if (letter == '>')
		return finish_end_tag(c);
	if (isalnum((unsigned char)letter) || letter == '-')
		return add_name(c, c->tag, letter);
	return refuse(c, "strange character in an end tag");
}

static int
feed_in_tag(struct tmpl_context *c, char letter)
{
	bool is_after_value = c->state == TMPL_AFTER_VALUE;

	if (letter == '>')
		return finish_start_tag(c, tail_is(c, "/"));
	keep_tail(c, letter);
	c->state = TMPL_IN_TAG;
	if (isspace((unsigned char)letter) || letter == '/')
		return 0;
	if (is_after_value)
		return refuse(c, "a blank must stand between attributes");
	return begin_attribute(c, letter);
}

static int
feed_attribute_name(struct tmpl_context *c, char letter)
{
	if (isalnum((unsigned char)letter) || letter == '-' || letter == ':' || letter == '_')
		return add_name(c, c->attr, letter);
	if (check_attribute_name(c) < 0)
		return -1;
	c->tail[sizeof(c->tail) - 2] = ' ';
	if (letter == '=') {
		c->state = TMPL_BEFORE_VALUE;
		return 0;
	}
	if (!isspace((unsigned char)letter) && letter != '>')
		return refuse(c, "strange character in the name of an attribute");
	c->state = TMPL_IN_TAG;
	return letter == '>' ? finish_start_tag(c, false) : 0;
}

static int
feed_before_value(struct tmpl_context *c, char letter)
{
	if (letter != '"' && letter != '\'')
		return refuse(c, "attribute values must be quoted");
	c->quote = letter;
	c->state = TMPL_VALUE;
	return 0;
}

/* ---- text ---- */

static int
feed_data(struct tmpl_context *c, char letter)
{
	if (letter == '<') {
		c->state = TMPL_TAG_OPEN;
		return 0;
	}
	/* inside an entity letters are fine: remember the & until its ; */
	if (letter == '&')
		c->quote = '&';
	else if (letter == ';' && c->quote == '&')
		c->quote = '\0';
	else if (isalpha((unsigned char)letter) && c->quote != '&')
		return refuse(c, "words for people belong in messages");
	else if (isspace((unsigned char)letter) && c->quote == '&')
		return refuse(c, "an & that begins no entity must be written &amp;");
	return 0;
}

/* title and textarea: text until their end tag (WHATWG HTML 13.2.5.2). */
static int
feed_rcdata(struct tmpl_context *c, char letter)
{
	char end[TMPL_NAME + 4];

	keep_tail(c, letter);
	snprintf(end, sizeof(end), "</%s>", c->tag);
	if (tail_is(c, end)) {
		c->state = TMPL_DATA;
	} else if (isalpha((unsigned char)letter) && !strchr(c->tail, '<')) {
		return refuse(c, "words for people belong in messages");
	}
	return 0;
}

/*
 * script and style: the content security policy blocks what stands inside, so nothing may.  n_value counts the end tag's
 * letters.
 */
static int
feed_raw(struct tmpl_context *c, char letter)
{
	char end[TMPL_NAME + 4];

	snprintf(end, sizeof(end), "</%s>", c->tag);
	if (c->n_value == 0 && isspace((unsigned char)letter))
		return 0;
	if (end[c->n_value] != tolower((unsigned char)letter))
		return refuse(c, "inline script and style are refused");
	c->n_value++;
	if (end[c->n_value] == '\0')
		c->state = TMPL_DATA;
	return 0;
}

static int
feed_markup(struct tmpl_context *c, char letter)
{
	keep_tail(c, letter);
	if (tail_is(c, " --"))
		c->state = TMPL_COMMENT;
	else if (tail_is(c, "doctype"))
		c->state = TMPL_DOCTYPE;
	else if (letter == '>' || letter == '[')
		return refuse(c, "only comments and the doctype may begin with <!");
	return 0;
}

static int
feed_comment(struct tmpl_context *c, char letter)
{
	keep_tail(c, letter);
	if (tail_is(c, "-->"))
		c->state = TMPL_DATA;
	return 0;
}

static int
feed(struct tmpl_context *c, char letter)
{
	switch (c->state) {
	case TMPL_DATA:
		return feed_data(c, letter);
	case TMPL_TAG_OPEN:
		return feed_tag_open(c, letter);
	case TMPL_TAG_NAME:
		return feed_tag_name(c, letter);
	case TMPL_END_NAME:
		return feed_end_name(c, letter);
	case TMPL_IN_TAG:
	case TMPL_AFTER_VALUE:
		return feed_in_tag(c, letter);
	case TMPL_ATTR_NAME:
		return feed_attribute_name(c, letter);
	case TMPL_BEFORE_VALUE:
		return feed_before_value(c, letter);
	case TMPL_VALUE:
		return feed_value(c, letter);
	case TMPL_MARKUP:
		return feed_markup(c, letter);
	case TMPL_COMMENT:
		return feed_comment(c, letter);
	case TMPL_DOCTYPE:
		if (letter == '>')
			c->state = TMPL_DATA;
		return 0;
	case TMPL_RCDATA:
		return feed_rcdata(c, letter);
	case TMPL_RAW:
		return feed_raw(c, letter);
	}
	return refuse(c, "internal: unknown state");
}

int
tmpl_context_feed(struct tmpl_context *context, const char *text, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (feed(context, text[i]) < 0)
			return -1;
	return 0;
}

/* ---- holes ---- */

static int
url_hole(struct tmpl_context *c, enum tmpl_escape *ret)
{
	static const char *const loading[] = { "script", "link", "img", "use", "source", "track", "audio", "video", NULL };

	if (is_one_of(c->tag, loading))
		return refuse(c, "what a page loads must be an asset, not a value");
	if (c->n_value == 0) {
		*ret = TMPL_URL;
	} else {
		if (c->value[0] != '/' && c->value[0] != '?' && c->value[0] != '#' && !(c->value[0] == '\1' && c->n_value > 1))
			return refuse(c, "a value inside an address must come behind /, ? or #");
		*ret = TMPL_URL_PART;
	}
	add_value(c, '\1');
	return 0;
}

int
tmpl_context_hole(struct tmpl_context *context, enum tmpl_escape *ret)
{
	*ret = TMPL_TEXT;
	switch (context->state) {
	case TMPL_DATA:
		return context->quote == '&' ? refuse(context, "a value inside an entity is refused") : 0;
	case TMPL_RCDATA:
		return tail_is(context, "<") || tail_is(context, "</") ? refuse(context, "a value behind < is refused") : 0;
	case TMPL_VALUE:
		if (is_url_attribute(context->attr))
			return url_hole(context, ret);
		if (strcmp(context->tag, "meta") == 0 || !is_plain_attribute(context->attr))
			return refuse(context, "a value in this attribute is refused: it is not known to be harmless");
		add_value(context, '\1');
		return 0;
	case TMPL_BEFORE_VALUE:
		return refuse(context, "a value in an attribute without quotes is refused");
	case TMPL_COMMENT:
	case TMPL_MARKUP:
	case TMPL_DOCTYPE:
		return refuse(context, "a value in a comment or doctype is refused");
	case TMPL_RAW:
		return refuse(context, "a value in script or style is refused");
	default:
		return refuse(context, "a value in the name of a tag or attribute is refused");
	}
}

int
tmpl_context_block(struct tmpl_context *context)
{
	switch (context->state) {
	case TMPL_DATA:
		return context->quote == '&' ? refuse(context, "no condition inside an entity") : 0;
	case TMPL_RCDATA:
	case TMPL_IN_TAG:
	case TMPL_AFTER_VALUE:
		return 0;
	case TMPL_VALUE:
		return is_url_attribute(context->attr) ? refuse(context, "no condition inside an address") : 0;
	default:
		return refuse(context, "no condition at this place");
	}
}

bool
tmpl_context_equal(const struct tmpl_context *a, const struct tmpl_context *b)
{
	enum tmpl_state sa = a->state == TMPL_AFTER_VALUE ? TMPL_IN_TAG : a->state,
	    sb = b->state == TMPL_AFTER_VALUE ? TMPL_IN_TAG : b->state;
	int i;

	if (sa != sb || a->n_open != b->n_open)
		return false;
	if (sa != TMPL_DATA && strcmp(a->tag, b->tag) != 0)
		return false;
	if (sa == TMPL_VALUE && (a->quote != b->quote || strcmp(a->attr, b->attr) != 0))
		return false;
	for (i = 0; i < a->n_open; i++)
		if (strcmp(a->open[i], b->open[i]) != 0)
			return false;
	return true;
}
