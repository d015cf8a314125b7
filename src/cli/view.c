/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Answers as text: tables, records, plans.  cell() turns any value into one line; the views arrange lines. */
#include "cli.h"

#include <ctype.h>
#include <string.h>
#include <unistr.h>
#include <uniwidth.h>

#define CELL_WIDTH_MAX 60

/* Steering characters (csv.c) and broken UTF-8 become '?'. */
static void
add_clean(struct buf *out, const char *text)
{
	const uint8_t *at = (const uint8_t *)text;
	ucs4_t c;

	while (*at) {
		int n = u8_strmbtouc(&c, at);

		if (n <= 0) {
			buf_add_char(out, '?');
			at++;
			continue;
		}
		if (is_steering(c))
			buf_add_char(out, '?');
		else
			buf_add_bytes(out, at, (size_t)n);
		at += n;
	}
}

char *
clean_lines(struct op *op, const char *text)
{
	struct buf out = buf_in(op->mem);

	while (*text) {
		size_t n = strcspn(text, "\n");

		add_clean(&out, op_strndup(op, text, n));
		text += n;
		if (*text)
			buf_add_char(&out, *text++);
	}
	return out.text;
}

char *
clean_text(struct op *op, const char *text)
{
	struct buf out = buf_in(op->mem);

	add_clean(&out, text);
	return out.text;
}

static void add_cell(struct buf *out, const json_t *value);

/* {role, location} as role@location; other objects as name=value. */
static void
add_object(struct buf *out, const json_t *object)
{
	const char *role = json_get_text(object, "role"), *location = json_get_text(object, "location"),
		   *until = json_get_text(object, "until");
	const char *name, *between = "";
	json_t *value;

	if (role) {
		add_clean(out, role);
		if (location) {
			buf_add(out, "@");
			add_clean(out, location);
		}
		if (until)
			buf_printf(out, " until %.10s", until);
		return;
	}
	json_object_foreach((json_t *)(uintptr_t)object, name, value) {
		buf_printf(out, "%s%s=", between, name);
		add_cell(out, value);
		between = " ";
	}
}

static void
add_cell(struct buf *out, const json_t *value)
{
	json_t *item;
	size_t i;

	if (json_is_string(value))
		add_clean(out, json_string_value(value));
	else if (json_is_integer(value))
		buf_printf(out, "%lld", (long long)json_integer_value(value));
	else if (json_is_boolean(value))
		buf_add(out, json_is_true(value) ? "yes" : "no");
	else if (json_is_object(value))
		add_object(out, value);
	json_array_foreach((json_t *)(uintptr_t)value, i, item) {
		if (i)
			buf_add(out, ", ");
		add_cell(out, item);
	}
}

static char *
cell(struct cli *cli, const json_t *value)
{
	struct buf out = buf_in(cli->op->mem);

	if (value)
		add_cell(&out, value);
	return out.text;
}

static int
width(const char *text)
{
	int columns = u8_strwidth((const uint8_t *)text, "UTF-8");

	return columns > 0 ? columns : 0;
}

/* The names in "a b c". */
static struct strings
names_in(struct cli *cli, const char *columns)
{
	struct strings names = { op_alloc(cli->op, (strlen(columns) + 1) * sizeof(*names.v)), 0 };

	while (*columns) {
		size_t length = strcspn(columns, " ");

		names.v[names.n++] = op_strndup(cli->op, columns, length);
		columns += length;
		columns += strspn(columns, " ");
	}
	return names;
}

static char *
title(struct cli *cli, const char *name)
{
	char *text = op_strdup(cli->op, name);

	for (char *c = text; *c; c++)
		*c = *c == '_' ? ' ' : (char)toupper((unsigned char)*c);
	return text;
}

void
view_none(struct cli *cli, const json_t *answer)
{
	(void)cli;
	(void)answer;
}

void
view_table(struct cli *cli, const json_t *answer)
{
	const struct strings names = names_in(cli, cli->command->columns);
	const json_t *items = json_object_get(answer, "items");
	size_t rows = json_array_size(items) + 1;
	char **cells = op_alloc(cli->op, rows * names.n * sizeof(*cells));
	int *widths = op_alloc(cli->op, names.n * sizeof(*widths));

	if (rows == 1)
		return;
	for (size_t row = 0; row < rows; row++)
		for (size_t i = 0; i < names.n; i++) {
			char *text =
			    row ? cell(cli, json_object_get(json_array_get(items, row - 1), names.v[i])) : title(cli, names.v[i]);

			cells[row * names.n + i] = text;
			if (row && *text && width(text) > widths[i])
				widths[i] = width(text) < CELL_WIDTH_MAX ? width(text) : CELL_WIDTH_MAX;
		}
	/* A column that is empty everywhere is left out. */
	for (size_t row = 0; row < rows; row++) {
		const char *between = "";

		for (size_t i = 0; i < names.n; i++) {
			const char *text = cells[row * names.n + i];
			int room = widths[i] > width(cells[i]) ? widths[i] : width(cells[i]);
			bool is_last = true;

			if (!widths[i])
				continue;
			for (size_t k = i + 1; k < names.n; k++)
				is_last = is_last && !widths[k];
			printf("%s%s%*s", between, text, is_last || room <= width(text) ? 0 : room - width(text), "");
			between = "  ";
		}
		puts("");
	}
}

static void
print_member(struct cli *cli, const char *name, const json_t *value, int room)
{
	const char *label = op_strdup(cli->op, name);
	json_t *item;
	size_t i;

	if (json_is_string(value) && strchr(json_string_value(value), '\n')) {
		printf("%-*s  (%zu bytes)\n", room, label, strlen(json_string_value(value)));
		return;
	}
	if (!json_is_array(value)) {
		printf("%-*s  %s\n", room, label, cell(cli, value));
		return;
	}
	json_array_foreach(value, i, item)
		printf("%-*s  %s\n", room, i ? "" : label, cell(cli, item));
}

void
view_record(struct cli *cli, const json_t *answer)
{
	const struct strings names = names_in(cli, cli->command->columns);
	int room = 0;
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)answer, name, value)
		if ((int)strlen(name) > room)
			room = (int)strlen(name);
	for (size_t i = 0; i < names.n; i++)
		if (json_object_get(answer, names.v[i]))
			print_member(cli, names.v[i], json_object_get(answer, names.v[i]), room);
	if (!names.n)
		json_object_foreach((json_t *)(uintptr_t)answer, name, value)
			print_member(cli, name, value, room);
}

/* One member as it is. */
void
view_text(struct cli *cli, const json_t *answer)
{
	const char *text = json_get_text(answer, cli->command->columns);

	if (text)
		printf("%s%s", text, *text && text[strlen(text) - 1] == '\n' ? "" : "\n");
}

static const char *
sign_of(const char *action)
{
	return !strcmp(action, "create") ? "+" : !strcmp(action, "remove") ? "-" : "~";
}

static void
print_field(struct cli *cli, const json_t *field)
{
	const json_t *before = json_object_get(field, "before"), *after = json_object_get(field, "after");
	const char *name = json_get_text(field, "name");

	if (before && after)
		printf("      %s: %s -> %s\n", name, cell(cli, before), cell(cli, after));
	else
		printf("    %s %s: %s\n", after ? "+" : "-", name, cell(cli, after ? after : before));
}

void
view_plan(struct cli *cli, const json_t *answer)
{
	json_t *item, *field;
	size_t i, k;

	json_array_foreach(json_object_get(answer, "items"), i, item) {
		const char *action = json_get_text(item, "action");

		if (!action)
			continue;
		printf("%s %s %s %s\n", sign_of(action), action, json_get_text(item, "kind"),
		    cell(cli, json_object_get(item, "name")));
		if (!strcmp(action, "change"))
			json_array_foreach(json_object_get(item, "fields"), k, field)
				print_field(cli, field);
	}
	if (!i)
		puts("no changes");
	else
		printf("%lld to create, %lld to change, %lld to remove, %lld unchanged\n",
		    (long long)json_get_int(answer, "create"), (long long)json_get_int(answer, "change"),
		    (long long)json_get_int(answer, "remove"), (long long)json_get_int(answer, "unchanged"));
	json_array_foreach(json_object_get(answer, "notes"), i, item)
		printf("note: %s\n", cell(cli, item));
}

static void
print_lines(struct cli *cli, const char *head, const json_t *list)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
		printf("%s  %s\n", head, cell(cli, item));
}

void
view_probe(struct cli *cli, const json_t *answer)
{
	const json_t *groups = json_object_get(answer, "groups");
	json_t *item;
	size_t i;

	printf("directory %s, a server of kind %s\n", cell(cli, json_object_get(answer, "name")),
	    cell(cli, json_object_get(answer, "kind")));
	json_array_foreach(json_object_get(answer, "certificates"), i, item) {
		printf("certificate  %s\n", cell(cli, json_object_get(item, "subject")));
		printf("             signed by %s, until %.10s\n", cell(cli, json_object_get(item, "issuer")),
		    cell(cli, json_object_get(item, "until")));
		printf("             SHA-256 %s\n", cell(cli, json_object_get(item, "sha256")));
	}
	printf("bind         %s\n", cell(cli, json_object_get(answer, "bind")));
	json_array_foreach(json_object_get(answer, "people"), i, item) printf("person       %s  %s  %s\n             %s\n",
	    cell(cli, json_object_get(item, "login")), cell(cli, json_object_get(item, "name")),
	    cell(cli, json_object_get(item, "mail")), cell(cli, json_object_get(item, "dn")));
	print_lines(cli, "group      ", groups);
	if (json_get_int(answer, "group_count") > (int64_t)json_array_size(groups))
		printf("             ... %lld groups in all\n", (long long)json_get_int(answer, "group_count"));
	print_lines(cli, "warning    ", json_object_get(answer, "warnings"));
}
