/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Commands that need no daemon. */
#include "cli.h"

#include <unistd.h>

#include "base/config.h"
#include "crypt/seal.h"
#include "doctor/doctor.h"

static json_t *
problem_list(const struct problems *problems)
{
	json_t *list = json_array();

	for (size_t i = 0; i < problems->n; i++) {
		const struct problem *p = &problems->v[i];
		json_t *item = json_pack("{s:s*, s:s*, s:s}", "source", p->source, "path", p->path, "detail", p->sentence);

		if (p->line) {
			json_object_set_new(item, "line", json_integer(p->line));
			json_object_set_new(item, "column", json_integer(p->column));
		}
		json_array_append_new(list, item);
	}
	return list;
}

void
cli_tell_failure(struct cli *cli, int code, const char *sentence, const struct problems *problems)
{
	char *name = op_strdup(cli->op, error_row(code)->name);
	json_t *json;

	if (problems && problems->n)
		fputs(clean_lines(cli->op, problems_text(cli->op, problems)), stderr);
	else
		fprintf(stderr, "keyward: %s\n", clean_lines(cli->op, sentence));
	if (!cli->is_json)
		return;
	for (char *c = name; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 'a' - 'A') : *c;
	json = json_own(cli->op, json_pack("{s:s, s:s, s:s}", "type", op_printf(cli->op, "urn:keyward:error:%s", name), "detail",
	    problems && problems->n ? problems->v[0].sentence : sentence, "code", name));
	if (problems && problems->n)
		json_object_set_new(json, "errors", problem_list(problems));
	printf("%s\n", json_safe(cli->op, json_text(cli->op, json)));
}

static int
failed(struct cli *cli, int code, const struct problems *problems)
{
	cli_tell_failure(cli, code, op_failure(cli->op), problems);
	return EXIT_FAILED;
}

int
run_config_check(struct cli *cli)
{
	const char *file = cli->file ? cli->file : cli->config_file ? cli->config_file : DEFAULT_CONFIG;
	struct problems problems = problems_in(cli->op, file);
	const struct config *config;

	if (doctor_config_load(cli->op, file, &problems, &config))
		return failed(cli, ERR_CONFIG, &problems);
	config_unref(config);
	if (cli->is_json)
		printf("%s\n", json_text(cli->op, json_own(cli->op, json_pack("{s:s, s:b}", "file", file, "good", 1))));
	else
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
		return failed(cli, ERR_CONFIG, &problems);
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
	int rc = master_key_create(cli->op, cli->file);

	if (rc)
		return failed(cli, rc, NULL);
	if (cli->is_json) {
		printf("%s\n", json_text(cli->op, json_own(cli->op, json_pack("{s:s}", "file", cli->file))));
		return EXIT_DONE;
	}
	printf("made %s; keep a copy of it where the database's backups are not: without it their secrets cannot be opened\n",
	    cli->file);
	return EXIT_DONE;
}
