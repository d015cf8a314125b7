/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One value of the configuration: its text becomes what the key's type asks for, or a problem.  Read config_take. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/network.h"
#include "base/secret.h"
#include "base/text.h"
#include "config_int.h"

static void
take_number(struct loading *l, const struct config_row *row, const struct node *node, const char *text)
{
	static const struct { char unit; int64_t seconds; } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	int64_t value, factor = 1;
	char *end;

	errno = 0;
	value = strtoll(text, &end, 10);
	for (size_t i = 0; row->type == CONFIG_SEC && i < countof(units); i++)
		if (end != text && *end == units[i].unit && !end[1]) {
			factor = units[i].seconds;
			end++;
		}
	/* strtoll also reads blanks and a plus before the digits */
	if (errno || end == text || *end || !strchr("-0123456789", *text))
		problems_add(l->problems, node, row->name, row->type == CONFIG_SEC ?
		    "must be seconds, or a number with s, m, h or d: 300 or 5m" : "must be a whole number");
	else if (value < 0 || value > INT64_MAX / 86400 || value * factor < row->min || value * factor > row->max)
		problems_add(l->problems, node, row->name, "must be between %lld and %lld%s", (long long)row->min,
		    (long long)row->max, row->type == CONFIG_SEC ? " seconds" : "");
	else
		*(int64_t *)((char *)&l->holder->config + row->offset) = value * factor;
}

static bool
is_port(const char *text)
{
	size_t n = strlen(text);

	return n > 0 && n <= 5 && strspn(text, "0123456789") == n && atol(text) <= 65535;
}

/* drivers.def: how the addresses of servers begin; "" is any path. */
static bool
is_server(const char *text)
{
	static const char *const starts[] = {
#define DRIVER(name, start, text) start,
#include "tables/drivers.def"
#undef DRIVER
	};

	for (size_t i = 0; i < countof(starts); i++)
		if (*starts[i] && text_starts_with(text, starts[i]))
			return true;
	return false;
}

const char *
config_database(struct arena *mem, const char *text, const char *folder, const char **ret_fault)
{
	size_t word = strspn(text, "abcdefghijklmnopqrstuvwxyz_");

	*ret_fault = NULL;
	if (is_server(text))
		return arena_strdup(mem, text);
	if (text_starts_with(text + word, "://"))
		*ret_fault = "is no address that Keyward knows: write postgresql://user@host/name, or the path of a file (SQLite)";
	else if (word && text[word] == '=')
		*ret_fault = "must begin with host= when it is written as key=value pairs";
	if (*ret_fault)
		return NULL;
	return *text && *text != '/' && folder ? arena_printf(mem, "%s/%s", folder, text) : arena_strdup(mem, text);
}

static bool
is_secret_pair(const char *key, size_t n_key, const char *value)
{
	bool is_password = n_key >= 8 && !strncmp(key + n_key - 8, "password", 8);

	/* %61 in a name is another way to write it */
	return (is_password || memchr(key, '%', n_key)) && *value != '@' && !text_starts_with(value, "credential:");
}

/* user:PASSWORD@; what may be part of one goes too, as the @ before a host is the last that begins no reference. */
static const char *
show_user(struct buf *out, const char *text)
{
	const char *start = strstr(text, "://") + 3, *colon = start + strcspn(start, ":@/"), *end = NULL;

	for (const char *c = colon; *colon == ':' && *c; c++)
		if (*c == '@' && !(c - colon >= 9 && !strncmp(c - 9, "password=", 9)))
			end = c;
	buf_printf(out, "%.*s%s", (int)((end ? colon : start) - text), text, end ? ":***" : "");
	return end ? end : start;
}

/* The end of a value of key=value pairs: quotes hold blanks, and a backslash takes away what a character means. */
static const char *
value_end(const char *value)
{
	bool is_quoted = false;

	for (; *value && (is_quoted || *value != ' '); value++) {
		if (*value == '\\' && value[1])
			value++;
		else if (*value == '\'')
			is_quoted = !is_quoted;
	}
	return value;
}

char *
config_database_shown(struct arena *mem, const char *text)
{
	bool is_address = text_starts_with(text, "postgres");
	struct buf out = buf_in(mem);
	const char *at = text;

	if (!is_server(text))
		return arena_strdup(mem, text);
	if (is_address)
		at = show_user(&out, text);
	while (*at) {
		size_t key = strcspn(at, is_address ? "?&=" : " ="), gap = strspn(at + key, is_address ? "?&" : " ");
		const char *value = at + key + gap, *end;

		if (*value != '=') {
			buf_printf(&out, "%.*s", (int)(value - at), at);
			at = value;
			continue;
		}
		value += 1 + strspn(value + 1, is_address ? "" : " ");
		end = is_address ? value + strcspn(value, "&") : value_end(value);
		buf_printf(&out, "%.*s", (int)(value - at), at);
		if (is_secret_pair(at, key, value))
			buf_add(&out, "***");
		else
			buf_printf(&out, "%.*s", (int)(end - value), value);
		at = end;
	}
	return out.text;
}

/* Listening never waits for a resolver, so a name is none. */
static bool
is_listen(const char *text)
{
	char host[ENDPOINT_HOST_BYTES], port[ENDPOINT_PORT_BYTES];
	struct address address;

	return endpoint_split(text, host, port) && *port != '0' && address_read(host, &address);
}

/* What is wrong with a text of this type, or NULL. */
static const char *
text_fault(struct arena *mem, const struct config_row *row, const char *text)
{
	struct networks networks;
	const char *fault, *colon = strrchr(text, ':'), *slash;

	switch (row->type) {
	case CONFIG_URL:
		if (!text_starts_with(text, "https://") || strpbrk(text, " \"'<>?#@\\"))
			return "must be an https:// address without user name, query or fragment";
		slash = strchr(text + 8, '/');
		if (slash || text[8] == '\0' || text[8] == ':')
			return "must be https:// and a host, perhaps with a port, and nothing behind it";
		for (const char *c = text; *c; c++)
			if (*c >= 'A' && *c <= 'Z')
				return "must be in lower case";
		if (colon > text + 8 && (text[8] != '[' || colon > strchr(text, ']')) && (!is_port(colon + 1) || colon[1] == '0'))
			return "must have a port from 1 to 65535, or none";
		return NULL;
	case CONFIG_LISTEN:
		if (!is_listen(text))
			return "must be an IP address and a port from 1 to 65535, for example 127.0.0.1:7443 or [::1]:7443";
		return NULL;
	case CONFIG_LEVEL:
		return log_level_parse(text) < 0 ? "must be error, warning, notice, info or debug" : NULL;
	case CONFIG_NETWORKS:
		return networks_read(mem, text, &networks);
	case CONFIG_DATABASE:
		config_database(mem, text, NULL, &fault);
		return fault;
	default:
		return NULL;
	}
}

static void
take_text(struct loading *l, const struct config_row *row, const struct node *node, const char *text)
{
	const char **at = (const char **)(void *)((char *)&l->holder->config + row->offset);
	const char *fault = text_fault(l->op->mem, row, text);
	int64_t n = (int64_t)strlen(text);

	if (n < row->min || n > row->max)
		problems_add(l->problems, node, row->name, "must have %lld to %lld bytes", (long long)row->min, (long long)row->max);
	else if (text_has_control(text))
		problems_add(l->problems, node, row->name, "contains a control character");
	else if (fault)
		problems_add(l->problems, node, row->name, "%s", fault);
	else if (row->type == CONFIG_SECRET && n)
		*at = secret_path(l->holder->mem, text, l->folder);
	else if (row->type == CONFIG_DATABASE)
		*at = config_database(l->holder->mem, text, l->folder, &fault);
	else if (row->type == CONFIG_PATH && n && text[0] != '/' && l->folder)
		*at = arena_printf(l->holder->mem, "%s/%s", l->folder, text);
	else
		*at = arena_strdup(l->holder->mem, text);
}

void
config_take(struct loading *l, const struct config_row *row, const struct node *node, const char *text)
{
	bool *flag = (bool *)((char *)&l->holder->config + row->offset);

	switch (row->type) {
	case CONFIG_SEC:
	case CONFIG_INT:
		take_number(l, row, node, text);
		break;
	case CONFIG_BOOL:
		if (strcmp(text, "true") && strcmp(text, "false"))
			problems_add(l->problems, node, row->name, "must be true or false");
		*flag = !strcmp(text, "true");
		break;
	default:
		take_text(l, row, node, text);
	}
}
