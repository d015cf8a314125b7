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
		if (!colon || colon == text || !is_port(colon + 1))
			return "must be address:port, for example 127.0.0.1:7443 or [::1]:7443";
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
