/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the first synchronisation would do, shown in full; then, when the person says so, the directory is switched on and synchronised.
 * Nothing about a person has been written before that.
 */
#include "setup_int.h"

#include <string.h>

#define ROWS_SHOWN 15

/* "sync preview" and "sync run" as the command line has them. */
static int
run_as(struct setup *s, enum command_id id)
{
	struct cli cli = *s->cli;

	cli.id = id;
	cli.command = &commands[id];
	cli.path = cli.command->path;
	cli.body = json_own(s->op, json_pack("{s:s}", "directory", s->directory));
	cli.is_silent = false;
	cli.rows_max = ROWS_SHOWN;
	return run_sync(&cli);
}

/* The directory as it is, switched on. */
static int
switch_on(struct setup *s, const json_t *directory)
{
	static const char *const added[] = { "id", "version", "changed" };
	json_t *body = json_own(s->op, json_copy((json_t *)(uintptr_t)directory)), *file;

	for (size_t i = 0; i < countof(added); i++)
		json_object_del(body, added[i]);
	json_object_set_new(body, "enabled", json_true());
	file = json_own(s->op, json_pack("{s:[O]}", "directories", body));
	/* JSON is YAML */
	return step_apply(s, "setup", json_text(s->op, file), QUESTION_COUNT, NULL);
}

static int
preview(struct setup *s, const json_t *directory)
{
	bool is_wanted;
	int rc;

	say(s, "This is what it would do.  Nothing of it has been done:\n");
	rc = run_as(s, COMMAND_sync_preview);
	if (rc)
		return rc;
	rc = ask_yes(s, Q_SYNCHRONISE, NULL, &is_wanted);
	if (rc)
		return rc;
	if (!is_wanted) {
		say(s, "Nothing was done.  Change the rules and look again with \"keyward sync preview\"; the next \"keyward "
		    "setup\" asks again.");
		step_note(s, "skipped", NULL);
		return EXIT_DONE;
	}
	rc = switch_on(s, directory);
	if (!rc)
		rc = run_as(s, COMMAND_sync_run);
	if (rc)
		return rc;
	s->is_synchronised = true;
	step_note(s, "done", s->directory);
	return EXIT_DONE;
}

int
step_sync(struct setup *s)
{
	struct answer answer;
	int rc;

	if (!s->directory) {
		say(s, "No directory yet.");
		step_note(s, "skipped", NULL);
		return EXIT_DONE;
	}
	rc = step_call(s, "GET", op_printf(s->op, "/api/v1/directories/%s", step_segment(s, s->directory)), NULL, &answer);
	if (rc)
		return rc;
	if (!json_get_bool(answer.json, "enabled"))
		return preview(s, answer.json);
	say(s, "The directory %s is switched on and synchronised by itself; \"keyward sync status\" shows how that "
	    "goes.", s->directory);
	s->is_synchronised = true;
	step_note(s, "kept", s->directory);
	return EXIT_DONE;
}
