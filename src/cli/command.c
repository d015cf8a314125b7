/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The table of commands, expanded, and the help made of it. */
#include "cli.h"

#include <string.h>

const struct command commands[COMMAND_COUNT] = {
#define COMMAND(id, words, method, path, run, view, columns, help) \
	[COMMAND_##id] = { words, method, path, run_##run, view_##view, columns, help },
#define PARAM(command, name, kind, target, value, help)
#include "tables/commands.def"
#undef COMMAND
#undef PARAM
};

#define IS_OPTION(name) ((name)[0] == '-')
#define COMMAND(id, words, method, path, run, view, columns, help)
#define PARAM(command, name, kind, target, value, help)                                                                            \
	{ COMMAND_##command, name, IS_OPTION(name),                                                                                \
	    (name)[sizeof(name) - 2] == '!' || (!IS_OPTION(name) && (name)[sizeof(name) - 2] != '?'), PARAM_##kind, target, value, \
	    help },
static const struct param params[] = {
#include "tables/commands.def"
};
#undef COMMAND
#undef PARAM

const struct param *
command_params(size_t *ret_n)
{
	*ret_n = countof(params);
	return params;
}

/* How many words of argv are those of the command; 0 when they differ. */
static int
words_match(const char *words, int argc, char *const *argv)
{
	int count = 0;

	for (; *words; count++) {
		size_t length = strcspn(words, " ");

		if (count == argc || strlen(argv[count]) != length || strncmp(argv[count], words, length))
			return 0;
		words += length;
		words += strspn(words, " ");
	}
	return count;
}

const struct command *
command_find(int argc, char *const *argv, int *ret_words)
{
	const struct command *best = NULL;

	*ret_words = 0;
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		int count = words_match(commands[i].words, argc, argv);

		if (count > *ret_words) {
			*ret_words = count;
			best = &commands[i];
		}
	}
	return best;
}

const char *
param_name(const struct param *param, char *buffer, size_t size)
{
	snprintf(buffer, size, "%.*s", (int)strcspn(param->name, "!?"), param->name);
	return buffer;
}

static void
print_synopsis(FILE *out, enum command_id id)
{
	char name[64];

	fprintf(out, "keyward %s", commands[id].words);
	for (size_t i = 0; i < countof(params); i++) {
		const struct param *p = &params[i];

		if (p->command != id)
			continue;
		param_name(p, name, sizeof(name));
		fprintf(out, p->is_required ? " %s%s%s" : " [%s%s%s]", name, *p->value ? " " : "", p->value);
	}
}

#define HELP_COLUMNS 80

/* The words of text from column on, wrapped; further lines begin at indent. */
static void
print_wrapped(FILE *out, const char *text, size_t length, size_t column, size_t indent)
{
	const char *end = text + length;
	bool is_first = true;

	for (text += strspn(text, " "); text < end; text += strspn(text, " ")) {
		size_t word = strcspn(text, " ");

		if (word > (size_t)(end - text))
			word = (size_t)(end - text);
		if (!is_first && column + 1 + word > HELP_COLUMNS) {
			fprintf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (!is_first) {
			fputc(' ', out);
			column++;
		}
		fwrite(text, 1, word, out);
		column += word;
		text += word;
		is_first = false;
	}
	fputc('\n', out);
}

static void
print_row(FILE *out, const char *left, int width, const char *text, size_t length)
{
	int n = fprintf(out, "  %-*s ", width, left);

	print_wrapped(out, text, length, n > 0 ? (size_t)n : 0, (size_t)width + 3);
}

/* Without what stands behind the first sentence: that is for the command's own help. */
static size_t
first_sentence(const char *text)
{
	const char *end = strstr(text, ".  ");

	return end ? (size_t)(end - text) + 1 : strlen(text);
}

void
command_print_all(FILE *out)
{
	fputs("keyward: staff of a clinic, their roles, and the applications they sign in to.\n\n"
	    "usage: keyward [--config FILE] [--socket PATH] [--json] COMMAND ...\n\ncommands:\n", out);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		print_row(out, commands[i].words, 20, commands[i].help, first_sentence(commands[i].help));
	fputs("\n\"keyward COMMAND --help\" tells more.\n\nexit codes:\n", out);
#define EXIT_CODE(name, number, text) fprintf(out, "  %d  %s\n", number, text);
#include "tables/exits.def"
#undef EXIT_CODE
}

bool
command_print_group(FILE *out, const char *word)
{
	size_t length = strlen(word);
	int n = 0;

	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (strncmp(commands[i].words, word, length) || commands[i].words[length] != ' ')
			continue;
		if (!n++)
			fprintf(out, "usage: keyward %s COMMAND ...\n\ncommands:\n", word);
		print_row(out, commands[i].words, 20, commands[i].help, first_sentence(commands[i].help));
	}
	if (n)
		fputs("\n\"keyward COMMAND --help\" tells more.\n", out);
	return n > 0;
}

static const char *const list_rows[][2] = {
	{ "--limit N", "At most N items, 100 when not given." },
	{ "--after CURSOR", "Go on behind this item." },
	{ "--all", "All pages." },
};
static const char *const common_rows[][2] = {
	{ "--json", "Print the answer of the API as it is." },
	{ "--config FILE", "Configuration of the daemon, for the path of its socket." },
	{ "--socket PATH", "The daemon's socket." },
};

void
command_print_help(FILE *out, enum command_id id)
{
	char name[64], left[96], text[512], synopsis[4096];
	FILE *in;
	bool is_list = commands[id].run == run_list;

	in = fmemopen(synopsis, sizeof(synopsis), "w");
	if (!in)
		return;
	print_synopsis(in, id);
	fclose(in);
	fputs("usage: ", out);
	print_wrapped(out, synopsis, strlen(synopsis), 7, 7);
	fputs("\n", out);
	print_wrapped(out, commands[id].help, strlen(commands[id].help), 0, 0);
	for (size_t i = 0, n = 0; i < countof(params); i++) {
		const struct param *p = &params[i];

		if (p->command != id)
			continue;
		if (!n++)
			fputs("\n", out);
		snprintf(left, sizeof(left), "%s%s%s", param_name(p, name, sizeof(name)), *p->value ? " " : "", p->value);
		snprintf(text, sizeof(text), "%s%s", p->help, p->is_option && p->is_required ? "  Must be given." : "");
		print_row(out, left, 26, text, strlen(text));
	}
	fputs("\n", out);
	for (size_t i = 0; i < countof(list_rows) && is_list; i++)
		print_row(out, list_rows[i][0], 26, list_rows[i][1], strlen(list_rows[i][1]));
	for (size_t i = 0; i < countof(common_rows); i++)
		print_row(out, common_rows[i][0], 26, common_rows[i][1], strlen(common_rows[i][1]));
}
