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
	{COMMAND_##command, name, IS_OPTION(name),                                                                                 \
	    (name)[sizeof(name) - 2] == '!' || (!IS_OPTION(name) && (name)[sizeof(name) - 2] != '?'), PARAM_##kind, target, value, \
	    help},
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

void
command_print_all(FILE *out)
{
	fputs("keyward: staff of a clinic, their roles, and the applications they sign in to.\n\n"
	    "usage: keyward [--config FILE] [--socket PATH] [--json] COMMAND ...\n\ncommands:\n", out);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		fprintf(out, "  %-20s %s\n", commands[i].words, commands[i].help);
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
		fprintf(out, "  %-20s %s\n", commands[i].words, commands[i].help);
	}
	if (n)
		fputs("\n\"keyward COMMAND --help\" tells more.\n", out);
	return n > 0;
}

void
command_print_help(FILE *out, enum command_id id)
{
	char name[64], left[96];
	bool is_list = commands[id].run == run_list;

	fputs("usage: ", out);
	print_synopsis(out, id);
	fprintf(out, "\n\n%s\n", commands[id].help);
	for (size_t i = 0, n = 0; i < countof(params); i++) {
		const struct param *p = &params[i];

		if (p->command != id)
			continue;
		if (!n++)
			fputs("\n", out);
		snprintf(left, sizeof(left), "%s%s%s", param_name(p, name, sizeof(name)), *p->value ? " " : "", p->value);
		fprintf(out, "  %-26s %s%s\n", left, p->help, p->is_option && p->is_required ? "  Must be given." : "");
	}
	if (is_list)
		fputs("\n  --limit N                  At most N items, 100 when not given.\n"
		    "  --after CURSOR             Go on behind this item.\n"
		    "  --all                      All pages.\n", out);
	fputs("\n  --json                     Print the answer of the API as it is.\n"
	    "  --config FILE              Configuration of the daemon, for the path of its socket.\n"
	    "  --socket PATH              The daemon's socket.\n", out);
}
