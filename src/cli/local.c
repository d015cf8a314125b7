/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Commands that need no daemon. */
#include "cli.h"

#include <unistd.h>

#include "base/config.h"
#include "crypt/seal.h"

static int
failed(struct cli *cli, const struct problems *problems)
{
	if (problems && problems->n)
		fputs(problems_text(cli->op, problems), stderr);
	else
		fprintf(stderr, "keyward: %s\n", op_failure(cli->op));
	return EXIT_FAILED;
}

int
run_config_check(struct cli *cli)
{
	const char *file = cli->file ? cli->file : cli->config_file ? cli->config_file : DEFAULT_CONFIG;
	struct problems problems = problems_in(cli->op, file);
	const struct config *config;

	if (config_load(cli->op, file, &problems, &config))
		return failed(cli, &problems);
	config_unref(config);
	printf("%s is good\n", file);
	return EXIT_DONE;
}

int
run_config_show(struct cli *cli)
{
	const char *file = cli->config_file ? cli->config_file : access(DEFAULT_CONFIG, F_OK) == 0 ? DEFAULT_CONFIG : NULL;
	struct problems problems = problems_in(cli->op, file ? file : "presets");
	const struct config *config;

	if (config_load(cli->op, file, &problems, &config))
		return failed(cli, &problems);
	if (cli->is_json)
		printf("%s\n", json_text(cli->op, config_json(cli->op, config, cli->want_origin)));
	else
		config_show(stdout, config, cli->want_origin);
	config_unref(config);
	return EXIT_DONE;
}

int
run_key_create(struct cli *cli)
{
	if (master_key_create(cli->op, cli->file))
		return failed(cli, NULL);
	printf("made %s; keep a copy of it where the database's backups are not: without it their secrets cannot be opened\n",
	    cli->file);
	return EXIT_DONE;
}
