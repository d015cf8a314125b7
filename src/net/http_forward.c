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

/* Cuts the last element off the list, which is NULL when nothing is left. */
static char *
take_last(char **list)
{
	char *comma = strrchr(*list, ','), *word = comma ? comma + 1 : *list;
	size_t n;

	word += strspn(word, " \t");
	n = strlen(word);
	while (n && (word[n - 1] == ' ' || word[n - 1] == '\t'))
		word[--n] = '\0';
	if (comma)
		*comma = '\0';
	else
		*list = NULL;
	return word;
}

/* The value of name in an element of Forwarded ("for=192.0.2.1;proto=https"), without its quotes; NULL when it has none. */
static char *
parameter(char *element, const char *name)
{
	size_t n = strlen(name);

	for (char *at = element; at; at = strchr(at, ';')) {
		char *end;

		at += strspn(at, "; \t");
		if (strncasecmp(at, name, n) != 0 || at[n] != '=')
			continue;
		at += n + 1;
		if (*at == '"')
			at++;
		end = at + strcspn(at, "\";");
		*end = '\0';
		return at;
	}
	return NULL;
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
	bool is_forwarded = strcasecmp(field, "Forwarded") == 0;
	struct address client;

	for (int hops = 0; list && hops < MAX_HOPS; hops++) {
		char *word = take_last(&list), *text;

		word = is_forwarded ? parameter(word, "for") : word;
		if (!word || !read_node(word, &client))
			return;
		text = arena_alloc(request->mem, ADDRESS_TEXT_BYTES);
		request->address = address_text(&client, text);
		if (!networks_have(&server->trusted, &client))
			return;
	}
}

/* What the proxy that we talk to says of its own client's side; NULL when it says nothing. */
static const char *
last_of(struct request *request, const struct http_server *server, const char *field, const char *name)
{
	char *list = joined(request, server->reads_forwarded ? "Forwarded" : field);
	char *word = list ? take_last(&list) : NULL;

	return word && server->reads_forwarded ? parameter(word, name) : word;
}

const char *
http_forward(struct request *request, const struct http_server *server)
{
	const char *host, *proto;

	find_client(request, server, server->reads_forwarded ? "Forwarded" : "X-Forwarded-For");
	host = last_of(request, server, "X-Forwarded-Host", "host");
	if (host)
		request->host = host;
	proto = last_of(request, server, "X-Forwarded-Proto", "proto");
	/* the session's cookie must not travel in clear text between browser and proxy (RFC 6265 8.3) */
	if (proto && strcasecmp(proto, "https") != 0)
		return "the proxy was asked by plain http";
	return NULL;
}
