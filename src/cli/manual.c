/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Manual pages, made of the tables: keyward(1) of commands.def, keyward.yaml(5) of config.def. */
#include "cli.h"

#include <string.h>

#include "base/config.h"

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
	size_t n;
	const struct param *params = command_params(&n);

	fputs(".SS ", out);
	print_roff(out, commands[id].words);
	fputc('\n', out);
	print_roff(out, commands[id].help);
	fputc('\n', out);
	for (size_t i = 0; i < n; i++)
		if (params[i].command == id)
			print_manual_param(out, param_name(&params[i], name, sizeof(name)), params[i].value, params[i].help);
}

static void
print_lines(FILE *out, const char *const *lines, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s\n", lines[i]);
}

/* The keys that a file of --answers may have. */
static void
print_answers(FILE *out)
{
	static const struct { const char *key, *preset, *text, *help; } rows[] = {
#define QUESTION(id, key, kind, preset, text, help) { key, preset, text, help },
#include "tables/questions.def"
#undef QUESTION
	};

	fputs(".SH ANSWERS\nA file for \\fBkeyward setup \\-\\-answers\\fR is a YAML map of the keys below.  A key that is left out "
	    "means what an empty line means at the terminal.\n", out);
	for (size_t i = 0; i < countof(rows); i++) {
		fputs(".TP\n.B ", out);
		print_roff(out, rows[i].key);
		if (*rows[i].preset) {
			fputs(" \\fR[", out);
			print_roff(out, rows[i].preset);
			fputs("]", out);
		}
		fputc('\n', out);
		print_roff(out, rows[i].text);
		fputs(rows[i].text[strlen(rows[i].text) - 1] == '?' ? "  " : ".  ", out);
		print_roff(out, rows[i].help);
		fputc('\n', out);
	}
}

void
manual_print_commands(FILE *out)
{
	static const char *const head[] = {
		".\\\" Made from include/tables/commands.def by \"make docs\".",
		".TH KEYWARD 1 \"\" keyward \"Keyward\"",
		".SH NAME",
		"keyward \\- command line of the identity bridge keywardd",
		".SH SYNOPSIS",
		".B keyward",
		"[\\-\\-config FILE] [\\-\\-socket PATH] [\\-\\-json]",
		".I command ...",
		".SH DESCRIPTION",
		"keyward is a client of the daemon's API on its UNIX socket.  Whoever reaches that socket as root or as the daemon's user",
		"is the administrator.  Without \\-\\-json the answer is printed as text; with it, as the API gave it.",
		".SH OPTIONS",
	};
	static const char *const tail[] = {
		".SH EXIT STATUS",
#define EXIT_CODE(name, number, text) ".TP", #number, text,
#include "tables/exits.def"
#undef EXIT_CODE
		".SH FILES",
		".TP", "/etc/keyward/keyward.yaml", "Configuration.",
		".TP", "/run/keyward/keyward.sock", "Socket of the daemon.",
		".SH SEE ALSO",
		"keywardd(8), keyward.yaml(5)",
	};

	print_lines(out, head, countof(head));
	print_manual_param(out, "--config", "FILE", "Configuration of the daemon, for the path of its socket; /etc/keyward/keyward.yaml "
	    "when not given.");
	print_manual_param(out, "--socket", "PATH", "The daemon's socket, instead of the configuration's.");
	print_manual_param(out, "--json", "", "Print the body of the API's answer.  Lists are {\"items\": [...], \"next\": cursor}, "
	    "failures problem details (RFC 9457).");
	print_manual_param(out, "--help", "", "Tell what a command does.");
	fputs(".PP\nCommands that list things take \\-\\-limit \\fIN\\fR (1 to 1000), \\-\\-after \\fICURSOR\\fR and \\-\\-all.\n", out);
	fputs(".SH COMMANDS\n", out);
	for (int id = 0; id < COMMAND_COUNT; id++)
		print_manual_command(out, id);
	print_answers(out);
	print_lines(out, tail, countof(tail));
}

void
manual_print_config(FILE *out)
{
	static const char *const head[] = {
		".\\\" Made from include/tables/config.def by \"make docs\".",
		".TH KEYWARD.YAML 5 \"\" keyward \"Keyward\"",
		".SH NAME",
		"keyward.yaml \\- configuration of keywardd",
		".SH SYNOPSIS",
		"/etc/keyward/keyward.yaml",
		".SH DESCRIPTION",
		"A YAML map with the keys below, read at the start and again at SIGHUP.  Unknown, missing, double, mistyped and",
		"out-of-range keys are all told at once with their lines (\\fBkeyward config check\\fR).  A new file that is wrong is",
		"refused, and the old one stays.  Secrets do not stand in it, only the names of files that hold them.  Times are seconds.",
		".PP",
		"Directories, roles, locations, mapping rules and applications are not configuration but objects in the database; see",
		"\\fBkeyward apply\\fR in keyward(1).",
		".PP",
		"The last of these that names a key decides: the preset; keyward.yaml; the files",
		"\\fIkeyward.d/NAME.yaml\\fR beside it, in the order of their names; the variable \\fBKEYWARD_\\fR and the key in upper",
		"case; for the master key and the TLS key, when nobody names them, the credentials master.key and tls.key of systemd.",
		"\\fBkeyward config show --origin\\fR tells which it was.",
		".SH KEYS",
	};

	print_lines(out, head, countof(head));
	config_print_manual(out);
	fputs(".SH SEE ALSO\nkeyward(1), keywardd(8)\n", out);
}
