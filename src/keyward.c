/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The door of the command line: finds the command in include/tables/commands.def, reads its arguments and runs it.  The parts stand
 * in src/cli; cli.h tells which does what.
 */
#include "config.h"

#include "cli/cli.h"

#include <curl/curl.h>
#include <locale.h>
#include <string.h>

#include "net/ldap.h"

/* "-x manual", "-x config-manual" and "-x commands" print what "make docs" and the tests want. */
static int
print_table(const char *name)
{
	if (!strcmp(name, "manual")) {
		manual_print_commands(stdout);
		return EXIT_DONE;
	}
	if (!strcmp(name, "config-manual")) {
		manual_print_config(stdout);
		return EXIT_DONE;
	}
	if (strcmp(name, "commands")) {
		fprintf(stderr, "keyward: -x prints manual, config-manual or commands\n");
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		printf("%s\t%s\t%s\n", commands[i].words, commands[i].method, commands[i].path);
	return EXIT_DONE;
}

/* "keyward", "keyward help", "keyward user": what there is, all of it or of one kind. */
static bool
has_shown_list(struct cli *cli, int argc, char **argv)
{
	FILE *out = cli->want_help ? stdout : stderr;

	if (!argc)
		return command_print_all(out), true;
	return argc == 1 && command_print_group(out, argv[0]);
}

static int
unknown_command(struct cli *cli, int argc, char **argv)
{
	const char *words[COMMAND_COUNT], *near;
	char given[128];

	if (argc && !strcmp(argv[0], "help")) {
		cli->want_help = true;
		argc--;
		argv++;
	}
	if (has_shown_list(cli, argc, argv))
		return cli->want_help ? EXIT_DONE : EXIT_USAGE;
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		words[i] = commands[i].words;
	snprintf(given, sizeof(given), "%s%s%s", argv[0], argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
	near = text_nearest(given, words, COMMAND_COUNT);
	fprintf(stderr, "keyward: there is no command \"%s\"%s%s%s\nsee: keyward --help\n", given, near ? "; did you mean \"" : "",
	    near ? near : "", near ? "\"?" : "");
	return EXIT_USAGE;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	int rc = arguments_global(cli, &argc, argv), words;

	if (rc)
		return rc;
	if (argc == 2 && !strcmp(argv[0], "-x"))
		return print_table(argv[1]);
	if (argc == 1 && (!strcmp(argv[0], "--version") || !strcmp(argv[0], "-V"))) {
		printf("keyward %s\n", PACKAGE_VERSION);
		return EXIT_DONE;
	}
	cli->command = command_find(argc, argv, &words);
	if (!cli->command)
		return unknown_command(cli, argc, argv);
	cli->id = (enum command_id)(cli->command - commands);
	if (cli->want_help) {
		command_print_help(stdout, cli->id);
		return EXIT_DONE;
	}
	cli->path = cli->command->path;
	cli->query = json_own(cli->op, json_object());
	cli->body = json_own(cli->op, json_object());
	cli->own = json_own(cli->op, json_object());
	rc = arguments_read(cli, argc - words, argv + words);
	return rc ? rc : cli->command->run(cli);
}

int
main(int argc, char **argv)
{
	struct cli cli = { .op = op_begin(NULL, NULL) };
	int rc;

	ldap_forget_environment();
	setlocale(LC_CTYPE, "");
	curl_global_init(CURL_GLOBAL_DEFAULT);
	rc = run(&cli, argc - 1, argv + 1);
	curl_global_cleanup();
	op_end(cli.op);
	/* A full disk or a closed pipe is a failure, too. */
	if (fflush(stdout) && !rc)
		rc = EXIT_FAILED;
	return rc;
}
