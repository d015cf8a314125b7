/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Who asks, when the peer is a proxy of ours: what it wrote into X-Forwarded-For (or Forwarded, RFC 7239), -Host and -Proto.
 * Everybody else may write these fields as he likes; they are not read.  Read http_forward first.
 */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "http_int.h"

#define MAX_HOPS 16

/* All fields of the name as one list, as RFC 9110 5.3 joins them. */
static char *
joined(const struct request *request, const char *name)
{
	struct buf out = buf_in(request->mem);

	for (size_t i = 0; i < request->headers.n; i++)
		if (strcasecmp(request->headers.v[i].name, name) == 0)
			buf_printf(&out, "%s%s", out.length ? "," : "", request->headers.v[i].value);
	return out.length ? out.text : NULL;
}

/*
 * The first end in the text, or the text's own end; RFC 7239 4: what stands in quotes separates nothing.  NULL: a quote is never
 * closed.
 */
static char *
find_end(char *at, char end)
{
	bool is_quoted = false;

	for (; *at && (is_quoted || *at != end); at++)
		if (*at == '"')
			is_quoted = !is_quoted;
		else if (is_quoted && *at == '\\' && at[1])
			at++;
	return is_quoted ? NULL : at;
}

static char *
find_last_comma(char *list, bool has_quotes)
{
	char *found = NULL;

	if (!has_quotes)
		return strrchr(list, ',');
	for (char *at = find_end(list, ','); at && *at; at = find_end(at + 1, ','))
		found = at;
	return found;
}

static char *
trim(char *word)
{
	size_t n;

	word += strspn(word, " \t");
	n = strlen(word);
	while (n && (word[n - 1] == ' ' || word[n - 1] == '\t'))
		word[--n] = '\0';
	return word;
}

/* Cuts the last element off the list, which is NULL when nothing is left. */
static char *
take_last(char **list, bool has_quotes)
{
	char *comma = find_last_comma(*list, has_quotes), *word = trim(comma ? comma + 1 : *list);

	if (comma)
		*comma = '\0';
	else
		*list = NULL;
	return word;
}

/* What one proxy says; NULL what it does not say. */
struct element {
	char *client, *host, *proto;
};

/* Takes the quotes and backslashes off. */
static char *
unquote(char *value)
{
	char *to = value;

	if (*value != '"')
		return value;
	for (const char *from = value + 1; *from && *from != '"'; from++)
		*to++ = *from == '\\' && from[1] ? *++from : *from;
	*to = '\0';
	return value;
}

/* An element of Forwarded, "for=192.0.2.1;proto=https".  False for one that says a thing twice (RFC 7239 4) and so means two. */
static bool
read_element(char *text, struct element *ret)
{
	const struct { const char *name; char **to; } known[] = {
		{ "for", &ret->client }, { "host", &ret->host }, { "proto", &ret->proto },
	};

	*ret = (struct element){ 0 };
	for (char *next = text; next;) {
		char *name = next, *end = find_end(name, ';'), *equals;

		if (!end)
			return false;
		next = *end ? end + 1 : NULL;
		*end = '\0';
		name = trim(name);
		equals = strchr(name, '=');
		if (!equals)
			continue;
		*equals = '\0';
		for (size_t i = 0; i < countof(known); i++)
			if (strcasecmp(name, known[i].name) == 0) {
				if (*known[i].to)
					return false;
				*known[i].to = unquote(equals + 1);
			}
	}
	return true;
}

/* "192.0.2.1", "192.0.2.1:4711", "2001:db8::1", "[2001:db8::1]:4711"; false for "unknown", names and everything else. */
static bool
read_node(char *text, struct address *ret)
{
	char *end = strchr(text, ']'), *colon = strchr(text, ':');

	if (*text == '[' && end && (end[1] == '\0' || end[1] == ':')) {
		*end = '\0';
		return address_read(text + 1, ret) && strchr(text + 1, ':');
	}
	if (colon && !strchr(colon + 1, ':'))
		*colon = '\0';
	return address_read(text, ret);
}

/*
 * From the right, where our proxy wrote: the first who is no proxy of ours.  What stands left of him is his own invention.  For
 * somebody whose address cannot be read, the proxy that named him stands.
 */
static void
find_client(struct request *request, const struct http_server *server, const char *field)
{
	char *list = joined(request, field);
	bool is_forwarded = server->reads_forwarded;
	struct element element;
	struct address client;

	for (int hops = 0; list && hops < MAX_HOPS; hops++) {
		char *word = take_last(&list, is_forwarded), *text;

		if (is_forwarded)
			word = read_element(word, &element) ? element.client : NULL;
		if (!word || !read_node(word, &client))
			return;
		text = arena_alloc(request->mem, ADDRESS_TEXT_BYTES);
		request->address = address_text(&client, text);
		if (!networks_have(&server->trusted, &client))
			return;
	}
}

static char *
last_of(struct request *request, const char *field)
{
	char *list = joined(request, field);

	return list ? take_last(&list, false) : NULL;
}

/* What the proxy that we talk to says of its own client's side.  False when that cannot be read: then nothing of it is trusted. */
static bool
read_last(struct request *request, const struct http_server *server, struct element *ret)
{
	char *list;

	*ret = (struct element){ 0 };
	if (!server->reads_forwarded) {
		ret->host = last_of(request, "X-Forwarded-Host");
		ret->proto = last_of(request, "X-Forwarded-Proto");
		return true;
	}
	list = joined(request, "Forwarded");
	/* a quote that a client opened must not swallow what the proxy wrote behind it */
	return !list || (find_end(list, '\0') && read_element(take_last(&list, true), ret));
}

const char *
http_forward(struct request *request, const struct http_server *server)
{
	struct element last;

	if (!read_last(request, server, &last))
		return "the header Forwarded of the proxy cannot be read";
	find_client(request, server, server->reads_forwarded ? "Forwarded" : "X-Forwarded-For");
	if (last.host)
		request->host = last.host;
	/* the session's cookie must not travel in clear text between browser and proxy (RFC 6265 8.3) */
	if (last.proto && strcasecmp(last.proto, "https") != 0)
		return "the proxy was asked by plain http";
	return NULL;
}
