/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Synchronisation from the command line: start or approve runs, follow them to their end, and print what a preview plans. */
#include "cli.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define POLL_FIRST_MS 50
#define POLL_MAX_MS 1000
#define TRIES_MAX 5

/* A frozen run waits for a person; everything else that is over says so. */
static bool
is_run_over(const json_t *run)
{
	const char *state = json_get_text(run, "state");

	return json_get_bool(run, "finished") || (state && !strcmp(state, "frozen"));
}

/* "1200 people and 36 groups read, 3 to create, 1 to disable", without zeros. */
static char *
counts_text(struct cli *cli, const json_t *run)
{
	static const struct { const char *name, *one, *many; } counts[] = {
		{ "read", "person read", "people read" }, { "groups", "group", "groups" },
		{ "skipped", "entry that cannot be used", "entries that cannot be used" },
		{ "inactive", "disabled or expired and never known here", NULL }, { "create", "to create", NULL },
		{ "change", "to change", NULL }, { "disable", "to disable", NULL }, { "enable", "to enable", NULL },
		{ "grant", "role to give", "roles to give" }, { "end", "role to end", "roles to end" },
		{ "member", "with other groups", NULL }, { "unchanged", "unchanged", NULL }, { "applied", "applied", NULL },
	};
	const json_t *all = json_object_get(run, "counts");
	struct buf out = buf_in(cli->op->mem);

	for (size_t i = 0; i < countof(counts); i++) {
		int64_t n = json_get_int(all, counts[i].name);

		if (n)
			buf_printf(&out, "%s%lld %s", out.length ? ", " : "", (long long)n,
			    n != 1 && counts[i].many ? counts[i].many : counts[i].one);
	}
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
	json_t *query = json_own(cli->op, json_pack("{s:s}", "limit", cli->rows_max ? op_printf(cli->op, "%zu", cli->rows_max) : "1000"));

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
		if (next && cli->rows_max) {
			printf("... and more; all of it: keyward sync plan %s --all\n", id);
			break;
		}
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
		fprintf(stderr, "keyward: %s: the guard froze this run%s%s; look at it with \"keyward sync plan %s\",\n"
		    "then let it go on with \"keyward sync approve %s\"\n", directory, failure ? ": " : "", failure ? failure : "", id, id);
		return EXIT_GUARD;
	}
	if (!strcmp(state, "failed") || !strcmp(state, "abandoned")) {
		fprintf(stderr, "keyward: %s: %s\n", directory, failure ? failure : "the run did not end well");
		return EXIT_FAILED;
	}
	if (strcmp(state, "planned"))
		return EXIT_DONE;
	if (json_get_bool(run, "over_limit"))
		fprintf(stderr, "keyward: %s: the guard would freeze this and wait for approval: it disables more than the %lld accounts "
		    "that may be disabled in 24 hours\n", directory, (long long)json_get_int(json_object_get(run, "counts"), "limit"));
	if (cli->is_json) {
		plan = json_array();
		json_object_set_new(run, "plan", plan);
	}
	return print_plan(cli, id, plan);
}

/* The run of that directory that is under way, for which another one must wait; NULL when there is none. */
static const char *
run_under_way(struct cli *cli)
{
	json_t *query = json_own(cli->op, json_pack("{s:s}", "limit", "20"));
	const char *directory = json_get_text(cli->body, "directory");
	struct answer answer;
	json_t *run;
	size_t i;

	if (directory)
		json_object_set_new(query, "directory", json_string(directory));
	if (client_call(cli, "GET", "/api/v1/sync/runs", query, NULL, &answer))
		return NULL;
	json_array_foreach(json_object_get(answer.json, "items"), i, run)
		if (!is_run_over(run))
			return json_get_text(run, "id");
	return NULL;
}

/* Starts or approves.  The timer may be at it already: then its run is waited for, and one of our own follows. */
static int
begin(struct cli *cli, json_t **ret_run)
{
	bool is_approval = cli->id == COMMAND_sync_approve;
	int rc = EXIT_FAILED;

	for (int tries = 0; tries < TRIES_MAX; tries++) {
		struct answer answer;
		const char *other;
		json_t *over;

		cli->is_quiet = !is_approval && tries + 1 < TRIES_MAX;
		rc = client_call(cli, "POST", cli->path, NULL, is_approval ? NULL : cli->body, &answer);
		cli->is_quiet = false;
		*ret_run = answer.json;
		if (!rc || is_approval || answer.status != 409)
			return rc;
		other = run_under_way(cli);
		if (other && follow(cli, other, &over))
			return EXIT_FAILED;
	}
	return rc;
}

int
run_sync(struct cli *cli)
{
	json_t *run;
	int rc = begin(cli, &run);

	if (!rc && !cli->is_without_waiting)
		rc = follow(cli, json_get_text(run, "id"), &run);
	if (rc)
		return rc;
	if (!cli->is_without_waiting)
		rc = conclude(cli, run);
	else if (!cli->is_json)
		printf("%s: started run %s\n", json_get_text(run, "directory"), json_get_text(run, "id"));
	if (cli->is_json)
		printf("%s\n", json_text(cli->op, run));
	return rc;
}
