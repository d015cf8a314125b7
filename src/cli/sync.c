/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Synchronisation from the command line: start or approve runs, follow them to their end, and print what a preview plans. */
#include "cli.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define POLL_FIRST_MS 50
#define POLL_MAX_MS 1000

static bool
is_over(const char *state)
{
	static const char *const ends[] = { "done", "failed", "frozen", "planned", "abandoned" };

	for (size_t i = 0; i < countof(ends); i++)
		if (state && !strcmp(state, ends[i]))
			return true;
	return false;
}

/* A preview is over with its plan; a run in earnest goes on from there. */
static bool
is_run_over(const json_t *run)
{
	const char *state = json_get_text(run, "state"), *purpose = json_get_text(run, "purpose");

	if (state && !strcmp(state, "planned"))
		return purpose && !strcmp(purpose, "preview");
	return is_over(state);
}

/* "people 1200, create 3, disable 1", without zeros. */
static char *
counts_text(struct cli *cli, const json_t *run)
{
	struct buf out = buf_in(cli->op->mem);
	const char *name;
	json_t *value;

	json_object_foreach(json_object_get(run, "counts"), name, value)
		if (json_integer_value(value))
			buf_printf(&out, "%s%s %lld", out.length ? ", " : "", name, (long long)json_integer_value(value));
	return out.text;
}

static void
show_progress(struct cli *cli, const json_t *run, bool is_last)
{
	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r\033[K%s: %s  %s%s", json_get_text(run, "directory"), json_get_text(run, "state"), counts_text(cli, run),
	    is_last ? "\r\033[K" : "");
	fflush(stderr);
}

/* Asks again and again until the run is over. */
static int
follow(struct cli *cli, const char *id, json_t **ret_run)
{
	const char *path = op_printf(cli->op, "/api/v1/sync/runs/%s", id);
	long wait_ms = POLL_FIRST_MS;

	for (;;) {
		struct answer answer;
		int rc = client_call(cli, "GET", path, NULL, NULL, &answer);
		struct timespec pause = { wait_ms / 1000, wait_ms % 1000 * 1000000 };

		if (rc)
			return rc;
		*ret_run = answer.json;
		show_progress(cli, answer.json, is_run_over(answer.json));
		if (is_run_over(answer.json))
			return EXIT_DONE;
		nanosleep(&pause, NULL);
		wait_ms = wait_ms * 2 < POLL_MAX_MS ? wait_ms * 2 : POLL_MAX_MS;
	}
}

static void
print_plan_page(struct cli *cli, const json_t *items)
{
	struct cli plan = *cli;
	const json_t *page = json_own(cli->op, json_pack("{s:O}", "items", items));

	plan.command = &commands[COMMAND_sync_plan];
	if (json_array_size(items))
		view_table(&plan, page);
}

/* Everything that the run plans: as text page by page, or into the list that --json shows. */
static int
print_plan(struct cli *cli, const char *id, json_t *list)
{
	const char *path = op_printf(cli->op, "/api/v1/sync/runs/%s/plan", id), *next = NULL;
	json_t *query = json_own(cli->op, json_pack("{s:s}", "limit", "1000"));

	do {
		struct answer answer;
		int rc = client_call(cli, "GET", path, query, NULL, &answer);

		if (rc)
			return rc;
		if (list)
			json_array_extend(list, json_object_get(answer.json, "items"));
		else
			print_plan_page(cli, json_object_get(answer.json, "items"));
		next = json_get_text(answer.json, "next");
		if (next)
			json_object_set_new(query, "after", json_string(next));
	} while (next);
	return EXIT_DONE;
}

/* What became of it, in words and as exit code. */
static int
conclude(struct cli *cli, json_t *run)
{
	json_t *plan = NULL;

	const char *state = json_get_text(run, "state"), *failure = json_get_text(run, "failure"), *id = json_get_text(run, "id");
	const char *counts = counts_text(cli, run), *directory = json_get_text(run, "directory");

	if (!cli->is_json)
		printf("%s: %s%s%s  (run %s)\n", directory, state, *counts ? ": " : "", counts, id);
	if (!strcmp(state, "frozen")) {
		fprintf(stderr,
		    "keyward: %s: the guard froze this run%s%s; look at it with \"keyward sync plan %s\", then \"keyward sync "
		    "approve %s\"\n",
		    directory, failure ? ": " : "", failure ? failure : "", id, id);
		return EXIT_GUARD;
	}
	if (!strcmp(state, "failed") || !strcmp(state, "abandoned")) {
		fprintf(stderr, "keyward: %s: %s\n", directory, failure ? failure : "the run did not end well");
		return EXIT_FAILED;
	}
	if (strcmp(state, "planned"))
		return EXIT_DONE;
	if (cli->is_json) {
		plan = json_array();
		json_object_set_new(run, "plan", plan);
	}
	return print_plan(cli, id, plan);
}

static int
worse(int a, int b)
{
	return a == EXIT_DONE ? b : a;
}

int
run_sync(struct cli *cli)
{
	bool is_approval = cli->id == COMMAND_sync_approve;
	struct answer answer;
	json_t *runs, *run, *over;
	size_t i;
	int rc;

	if (cli->id == COMMAND_sync_preview)
		json_object_set_new(cli->body, "purpose", json_string("preview"));
	rc = client_call(cli, "POST", cli->path, NULL, is_approval ? NULL : cli->body, &answer);
	if (rc)
		return rc;
	runs = is_approval ? json_own(cli->op, json_pack("[O]", answer.json)) : json_object_get(answer.json, "items");
	over = json_own(cli->op, json_array());
	if (!json_array_size(runs))
		fputs("keyward: there is no directory to synchronise; add one with \"keyward directory add\"\n", stderr);
	json_array_foreach(runs, i, run) {
		json_t *last = run;
		int outcome = cli->is_without_waiting ? EXIT_DONE : follow(cli, json_get_text(run, "id"), &last);

		json_array_append(over, last);
		if (cli->is_without_waiting && !cli->is_json)
			printf("%s: started run %s\n", json_get_text(run, "directory"), json_get_text(run, "id"));
		else if (!cli->is_without_waiting && !outcome)
			outcome = conclude(cli, last);
		rc = worse(rc, outcome);
	}
	if (cli->is_json)
		printf("%s\n", json_text(cli->op, json_own(cli->op, json_pack("{s:O}", "items", over))));
	return rc;
}
