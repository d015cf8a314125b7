/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The table of commands, expanded; help and manual made of it. */
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
#define PARAM(command, name, kind, target, value, help) \
	{ COMMAND_##command, name, IS_OPTION(name), (name)[sizeof(name) - 2] == '!' || (!IS_OPTION(name) && (name)[sizeof(name) - 2] != '?'), PARAM_##kind, target, value, help },
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

static const char *
bare_name(const struct param *param, char *buffer, size_t size)
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
		bare_name(p, name, sizeof(name));
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
	fputs("\n\"keyward COMMAND --help\" tells more.  Exit: 0 done, 1 failed, 2 usage, 3 refused by a guard, 4 not found,\n"
	    "5 daemon not reachable.\n", out);
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
		snprintf(left, sizeof(left), "%s%s%s", bare_name(p, name, sizeof(name)), *p->value ? " " : "", p->value);
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

/* ---- manual ---- */

/* roff takes - as a hyphen, \ as an escape and . or ' at the start of a line as a request. */
static void
print_roff(FILE *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text; text++) {
		if (*text == '-')
			fputs("\\-", out);
		else if (*text == '\\')
			fputs("\\e", out);
		else
			fputc(*text, out);
	}
}

static void
print_manual_param(FILE *out, const char *name, const char *value, const char *help)
{
	fputs(".TP\n.B ", out);
	print_roff(out, name);
	if (*value)
		fprintf(out, " \\fI%s\\fR", value);
	fputc('\n', out);
	print_roff(out, help);
	fputc('\n', out);
}

static void
print_manual_command(FILE *out, enum command_id id)
{
	char name[64];

	fputs(".SS ", out);
	print_roff(out, commands[id].words);
	fputc('\n', out);
	print_roff(out, commands[id].help);
	fputc('\n', out);
	for (size_t i = 0; i < countof(params); i++)
		if (params[i].command == id)
			print_manual_param(out, bare_name(&params[i], name, sizeof(name)), params[i].value, params[i].help);
}

void
command_print_manual(FILE *out)
{
	fputs(".\\\" Made from include/tables/commands.def by \"make docs\".\n.TH KEYWARD 1 \"\" keyward \"Keyward\"\n.SH NAME\n"
	    "keyward \\- command line of the identity bridge keywardd\n.SH SYNOPSIS\n.B keyward\n[\\-\\-config FILE] [\\-\\-socket PATH] [\\-\\-json]\n"
	    ".I command ...\n.SH DESCRIPTION\n"
	    "keyward is a client of the daemon's API on its UNIX socket.  Whoever reaches that socket as root or as the daemon's user is the\n"
	    "administrator.  Without \\-\\-json the answer is printed as text; with it, as the API gave it.\n.SH OPTIONS\n", out);
	print_manual_param(out, "--config", "FILE", "Configuration of the daemon; it tells the path of the socket.  /etc/keyward/keyward.yaml when not given.");
	print_manual_param(out, "--socket", "PATH", "The daemon's socket, instead of the configuration's.");
	print_manual_param(out, "--json", "", "Print the body of the API's answer.  Lists are {\"items\": [...], \"next\": cursor}, failures problem details (RFC 9457).");
	print_manual_param(out, "--help", "", "Tell what a command does.");
	fputs(".PP\nCommands that list things take \\-\\-limit \\fIN\\fR (1 to 1000), \\-\\-after \\fICURSOR\\fR and \\-\\-all.\n.SH COMMANDS\n", out);
	for (int id = 0; id < COMMAND_COUNT; id++)
		print_manual_command(out, id);
	fputs(".SH EXIT STATUS\n.TP\n0\nDone.\n.TP\n1\nFailed.\n.TP\n2\nThe command was not understood.\n.TP\n3\nRefused by a guard: something has to be\n"
	    "approved first.\n.TP\n4\nThere is no such thing.\n.TP\n5\nThe daemon cannot be reached.\n.SH FILES\n.TP\n/etc/keyward/keyward.yaml\n"
	    "Configuration.\n.TP\n/run/keyward/keyward.sock\nSocket of the daemon.\n.SH SEE ALSO\nkeywardd(8), keyward.yaml(5)\n", out);
}
