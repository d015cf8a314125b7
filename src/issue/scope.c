/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Scopes: a list of words in which only those count that we know and the application may have (RFC 6749 3.3). */
#include "oidc_int.h"

#include <string.h>

#define SCOPE_MAX_BYTES 4096

/* Those that speak of a person (OpenID Connect Core 5.4, 11; roles is our own). */
static const char *const standard[] = { "openid", "profile", "email", "phone", "address", "offline_access", "roles" };

/* The next word of the list; NULL at its end. */
static const char *
next_word(const char **at, size_t *ret_n)
{
	const char *start;

	*at += strspn(*at, " ");
	if (!**at)
		return NULL;
	start = *at;
	*ret_n = strcspn(start, " ");
	*at += *ret_n;
	return start;
}

static bool
is_word(const char *name, const char *word, size_t n)
{
	return strlen(name) == n && !memcmp(name, word, n);
}

static bool
has_word(const char *scope, const char *word, size_t n)
{
	const char *at = scope, *other;
	size_t m;

	while ((other = next_word(&at, &m)))
		if (m == n && !memcmp(other, word, n))
			return true;
	return false;
}

bool
scope_has(const char *scope, const char *name)
{
	return has_word(scope, name, strlen(name));
}

bool
scope_is_within(const char *narrow, const char *wide)
{
	const char *at = narrow, *word;
	size_t n;

	while ((word = next_word(&at, &n)))
		if (!has_word(wide, word, n))
			return false;
	return true;
}

static bool
is_standard(const char *word, size_t n)
{
	for (size_t i = 0; i < countof(standard); i++)
		if (is_word(standard[i], word, n))
			return true;
	return false;
}

static bool
is_listed(const struct catalog_app *app, const char *word, size_t n)
{
	for (size_t i = 0; i < app->body->scopes.n; i++)
		if (is_word(app->body->scopes.v[i], word, n))
			return true;
	return false;
}

bool
scope_is_allowed(const struct catalog_app *app, const char *name, size_t n)
{
	return app->body->scopes.n ? is_listed(app, name, n) : is_standard(name, n);
}

/* RFC 6749 3.3: printable ASCII but quote and backslash, words parted by blanks. */
static bool
is_scope_text(const char *text)
{
	for (const char *c = text; *c; c++)
		if (*c < 0x20 || *c > 0x7e || *c == '"' || *c == '\\')
			return false;
	return strlen(text) <= SCOPE_MAX_BYTES;
}

static bool
may_have(const struct catalog_app *app, const char *word, size_t n, bool is_service)
{
	if (is_service)
		return is_listed(app, word, n) && !is_standard(word, n);
	return scope_is_allowed(app, word, n);
}

/* The allowed words of the list, once each, in their order. */
static char *
filter(struct op *op, const struct catalog_app *app, const char *asked, bool is_service)
{
	struct buf out = buf_in(op->mem);
	const char *at = asked, *word;
	size_t n;

	while ((word = next_word(&at, &n))) {
		/* RFC 9700 2.3: no more than the application may have */
		if (!may_have(app, word, n, is_service) || has_word(out.text, word, n))
			continue;
		if (out.length)
			buf_add_char(&out, ' ');
		buf_add_bytes(&out, word, n);
	}
	return out.text;
}

int
scope_settle(struct op *op, const struct catalog_app *app, const char *asked, char **ret)
{
	if (!asked)
		return op_fail(op, ERR_INVALID_SCOPE, "parameter scope is missing");
	if (!is_scope_text(asked))
		return op_fail(op, ERR_INVALID_SCOPE, "parameter scope has characters that no scope has, or is too long");
	*ret = filter(op, app, asked, false);
	if (!**ret)
		return op_fail(op, ERR_INVALID_SCOPE, "none of the scopes is one that this application may have");
	return 0;
}

int
scope_settle_service(struct op *op, const struct catalog_app *app, const char *asked, char **ret)
{
	struct buf all = buf_in(op->mem);

	for (size_t i = 0; !asked && i < app->body->scopes.n; i++)
		buf_printf(&all, "%s%s", i ? " " : "", app->body->scopes.v[i]);
	if (asked && !is_scope_text(asked))
		return op_fail(op, ERR_INVALID_SCOPE, "parameter scope has characters that no scope has, or is too long");
	*ret = filter(op, app, asked ? asked : all.text, true);
	if (asked && !**ret)
		return op_fail(op, ERR_INVALID_SCOPE, "none of the scopes is one that this application may have");
	return 0;
}
