/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One application: what its developer needs, and the test page, which shows what such an application would get. */
#include "setup_int.h"

#include <string.h>

#define TEST_PAGE_SEC 900

static const char *
check_name(struct setup *s, const char *answer)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._";

	(void)s;
	return *answer && strlen(answer) <= 64 && strspn(answer, plain) == strlen(answer) ? NULL :
	    "please use letters, digits, hyphens, dots and underscores, at most 64";
}

static const char *
check_uri(struct setup *s, const char *answer)
{
	(void)s;
	return strstr(answer, "://") ? NULL : "please give the whole address, for example "
	    "https://schedule.clinic.test/callback";
}

static void
show_app(struct setup *s, const json_t *app)
{
	struct cli cli = *s->cli;

	cli.command = &commands[COMMAND_app_add];
	say(s, "\nThis is what the developer of %s needs.  The secret is shown this once; if it is lost, \"keyward app "
	    "secret %s\" makes a new one:\n", json_get_text(app, "client_id"), json_get_text(app, "client_id"));
	view_record(&cli, app);
	fflush(stdout);
}

/* Asks until the daemon takes it; what it refuses it says how to mend. */
static int
add(struct setup *s)
{
	const char *name, *uri, *type;
	struct answer answer;
	json_t *body;

	for (;;) {
		if (!(name = ask(s, Q_APP_NAME, NULL, check_name)) || !(type = ask(s, Q_APP_TYPE, NULL, NULL)) ||
		    !(uri = ask(s, Q_APP_REDIRECT, NULL, check_uri)))
			return ask_failed(s);
		body = json_own(s->op, json_pack("{s:s, s:s, s:[s]}", "name", name, "type", type, "redirect_uris", uri));
		if (step_try(s, "POST", "/api/v1/apps", body, &answer) == EXIT_DONE)
			break;
		say_problem(s, "%s", answer.why);
		if (!ask_is_person(s))
			return EXIT_FAILED;
	}
	show_app(s, answer.json);
	step_note(s, "done", name);
	/* with --json this is the only place from which the secret leaves */
	json_object_set(s->step, "app", answer.json);
	return EXIT_DONE;
}

int
step_app(struct setup *s)
{
	json_t *apps = step_list(s, "/api/v1/apps"), *app;
	bool is_wanted;
	size_t i;
	int rc;

	if (!apps)
		return EXIT_FAILED;
	json_array_foreach(apps, i, app)
		if (strcmp(json_get_text(app, "name"), "keyward-test-page") != 0) {
			say(s, "Connected already: %s.  More: keyward app add NAME --redirect-uri "
			    "URI", json_get_text(app, "name"));
			step_note(s, "kept", json_get_text(app, "name"));
			return EXIT_DONE;
		}
	rc = ask_yes(s, Q_APP, NULL, &is_wanted);
	if (!rc && is_wanted)
		return add(s);
	if (!rc)
		step_note(s, "skipped", NULL);
	return rc;
}

int
step_test_page(struct setup *s)
{
	const json_t *body = json_own(s->op, json_pack("{s:i}", "seconds", TEST_PAGE_SEC));
	struct answer answer;
	bool is_wanted = false;
	int rc = EXIT_DONE;

	if (!s->is_synchronised)
		say(s, "Nobody can sign in before the first synchronisation.");
	else
		rc = ask_yes(s, Q_TEST_PAGE, NULL, &is_wanted);
	if (!rc && !is_wanted)
		step_note(s, "skipped", NULL);
	if (rc || !is_wanted)
		return rc;
	rc = step_call(s, "POST", "/api/v1/test-page", body, &answer);
	if (rc)
		return rc;
	say(s, "Open %s in a browser.  It closes by itself at %.16s (UTC), or now with \"keyward test-page close\"; "
	    "\"keyward test-page open\" opens it "
	    "again.", json_get_text(answer.json, "url"), json_get_text(answer.json, "until"));
	step_note(s, "done", json_get_text(answer.json, "url"));
	return EXIT_DONE;
}
