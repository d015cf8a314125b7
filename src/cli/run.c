/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What commands do that talk to the daemon: one call, pages of a list, and those that show something first and ask. */
#include "cli.h"

#include <string.h>
#include <unistd.h>

static void
show(struct cli *cli, const struct answer *answer)
{
	if (cli->is_json)
		printf("%s\n", json_safe(cli->op, answer->text));
	else if (answer->json)
		cli->command->view(cli, answer->json);
}

/* Whether the route reads a body: when a parameter of the command goes there. */
static bool
has_body(const struct cli *cli)
{
	size_t n;
	const struct param *params = command_params(&n);

	for (size_t i = 0; i < n; i++)
		if (params[i].command == cli->id && params[i].kind != PARAM_PATH && params[i].kind != PARAM_QUERY &&
		    params[i].kind != PARAM_SELF)
			return true;
	return false;
}

int
run_call(struct cli *cli)
{
	struct answer answer;
	int rc = client_call(cli, cli->command->method, cli->path, cli->query, has_body(cli) ? cli->body : NULL, &answer);

	if (!rc)
		show(cli, &answer);
	return rc;
}

static int
show_page(struct cli *cli)
{
	struct answer answer;
	const char *next;
	int rc = client_call(cli, "GET", cli->path, cli->query, NULL, &answer);

	if (rc)
		return rc;
	show(cli, &answer);
	next = json_get_text(answer.json, "next");
	if (next && !cli->is_json)
		fprintf(stderr, "there are more: --after \"%s\", or --all\n", next);
	return rc;
}

int
run_list(struct cli *cli)
{
	json_t *all, *items;
	struct answer answer;
	const char *next;

	if (!cli->want_all)
		return show_page(cli);
	all = json_own(cli->op, json_object());
	items = json_array();
	json_object_set_new(all, "items", items);
	do {
		int rc = client_call(cli, "GET", cli->path, cli->query, NULL, &answer);

		if (rc)
			return rc;
		json_array_extend(items, json_object_get(answer.json, "items"));
		next = json_get_text(answer.json, "next");
		if (next)
			json_object_set_new(cli->query, "after", json_string(next));
	} while (next);
	answer.json = all;
	answer.text = cli->is_json ? json_text(cli->op, all) : "";
	show(cli, &answer);
	return EXIT_DONE;
}

/* True when the answer is yes, or was given with --yes. */
static bool
is_agreed(struct cli *cli, const char *question)
{
	char line[16];

	if (cli->want_yes)
		return true;
	if (!isatty(STDIN_FILENO)) {
		fputs("keyward: nothing done; add --yes to go on without being asked\n", stderr);
		return false;
	}
	fprintf(stderr, "%s [y/N] ", question);
	if (!fgets(line, sizeof(line), stdin))
		return false;
	return line[0] == 'y' || line[0] == 'Y';
}

int
run_apply(struct cli *cli)
{
	struct answer plan;
	const char *mark;
	int rc = client_call(cli, "POST", "/api/v1/plan", NULL, cli->body, &plan);

	if (rc)
		return rc;
	if (!cli->is_json)
		cli->command->view(cli, plan.json);
	if (!json_array_size(json_object_get(plan.json, "items"))) {
		if (cli->is_json)
			printf("%s\n", json_safe(cli->op, plan.text));
		return EXIT_DONE;
	}
	/* A script need not be asked what it plainly said: without --prune nothing goes. */
	if (isatty(STDIN_FILENO) && !is_agreed(cli, "Do this?"))
		return EXIT_FAILED;
	/* What was shown is what is done: other changes in between are refused. */
	mark = json_get_text(plan.json, "mark");
	if (mark)
		json_object_set_new(cli->body, "mark", json_string(mark));
	rc = client_call(cli, "POST", cli->path, NULL, cli->body, &plan);
	if (!rc && cli->is_json)
		printf("%s\n", json_safe(cli->op, plan.text));
	else if (!rc)
		puts("done");
	return rc;
}

int
run_directory_add(struct cli *cli)
{
	struct answer answer;
	int rc;

	json_object_set_new(cli->body, "dry_run", json_true());
	rc = client_call(cli, "POST", cli->path, NULL, cli->body, &answer);
	if (rc)
		return rc;
	if (!cli->is_json)
		cli->command->view(cli, answer.json);
	if (!is_agreed(cli, "Add this directory?"))
		return EXIT_FAILED;
	json_object_del(cli->body, "dry_run");
	rc = client_call(cli, "POST", cli->path, NULL, cli->body, &answer);
	if (!rc && cli->is_json)
		printf("%s\n", json_safe(cli->op, answer.text));
	else if (!rc)
		printf("added directory %s\n", json_get_text(answer.json, "name"));
	return rc;
}
