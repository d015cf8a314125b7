/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Signing in as oneself: waits until the person has, and shows what Keyward knows of him: which roles, where, and because of what. */
#include "setup_int.h"

#include <string.h>

#define POLL_MS 1000
#define WAIT_POLLS 900

static const char *
user_path(struct setup *s, const char *login, const char *more)
{
	return op_printf(s->op, "/api/v1/users/%s%s", step_segment(s, login), more);
}

/* ---- what is known ---- */

static const char *
group_of(struct setup *s, const char *source)
{
	const char *group, *pattern;
	struct answer rule;

	if (!text_starts_with(source, "rule ") ||
	    step_try(s, "GET", op_printf(s->op, "/api/v1/rules/%s", step_segment(s, source + 5)), NULL, &rule))
		return NULL;
	group = json_get_text(rule.json, "group");
	pattern = json_get_text(rule.json, "group_pattern");
	return group ? group : pattern;
}

static void
show_grant(struct setup *s, const json_t *grant)
{
	const char *location = json_get_text(grant, "location"), *until = json_get_text(grant, "until");
	const char *source = json_get_text(grant, "source"), *group = group_of(s, source);

	say(s, "  %s %s%s%s%.10s", json_get_text(grant, "role"), location ? "at " : "everywhere", location ? location : "",
	    until ? " until " : "", until ? until : "");
	if (group)
		say(s, "    because of %s: member of %s", source, group);
	else
		say(s, "    %s", !strcmp(source, "hand") ? "given by hand" : source);
}

static void
show_person(struct setup *s, const json_t *user)
{
	const char *reason = json_get_text(user, "reason"), *mail = json_get_text(user, "mail");
	const json_t *grants = json_object_get(user, "grants");
	json_t *grant;
	size_t i;

	say(s, "%s (%s)%s%s, %s%s%s", json_get_text(user, "display_name"), json_get_text(user, "login"), mail ? ", " : "",
	    mail ? mail : "", json_get_text(user, "state"), reason ? ": " : "", reason ? reason : "");
	json_array_foreach(grants, i, grant)
		show_grant(s, grant);
	if (!i)
		say(s, "  no role: no rule names a group of this person.  \"keyward rule list\" shows the rules.");
}

/* ---- waiting ---- */

/* The newest session, "" when there is none; NULL after a message. */
static const char *
newest_session(struct setup *s, const char *login, size_t *ret_n)
{
	struct answer answer;
	const json_t *items;

	if (step_call(s, "GET", user_path(s, login, "/sessions"), NULL, &answer))
		return NULL;
	items = json_object_get(answer.json, "items");
	*ret_n = json_array_size(items);
	return *ret_n ? json_get_text(json_array_get(items, 0), "id") : "";
}

static bool
is_new(struct setup *s, const char *login, const char *before, size_t n_before, bool *ret_failed)
{
	size_t n = 0;
	const char *now = newest_session(s, login, &n);

	*ret_failed = !now;
	return now && (n > n_before || strcmp(now, before) != 0);
}

static int
wait_for_sign_in(struct setup *s, const char *login, bool *ret_is_in)
{
	size_t n_before = 0;
	const char *before = newest_session(s, login, &n_before);
	bool has_left = false, has_failed = !before;

	*ret_is_in = false;
	say(s, "Open %s/ in a browser and sign in as %s, with the password of your directory.  Waiting; press Enter to go on "
	    "without.",
	    s->config->issuer, login);
	for (int i = 0; i < WAIT_POLLS && !has_failed; i++) {
		*ret_is_in = is_new(s, login, before, n_before, &has_failed);
		if (*ret_is_in || ask_wait(s, POLL_MS, &has_left))
			return EXIT_DONE;
		if (has_left)
			return EXIT_LEFT;
	}
	return has_failed ? EXIT_FAILED : EXIT_DONE;
}

/* The account, whose directory may call it by another spelling than was typed. */
static int
ask_login(struct setup *s, struct answer *user, const char **ret_login)
{
	for (;;) {
		int rc;

		*ret_login = ask(s, Q_MY_LOGIN, NULL, NULL);
		if (!*ret_login)
			return ask_failed(s);
		if (!**ret_login)
			return EXIT_DONE;
		rc = step_try(s, "GET", user_path(s, *ret_login, ""), NULL, user);
		if (!rc)
			return EXIT_DONE;
		say_problem(s, "%s", user->why);
		if (rc != EXIT_NOT_FOUND || !ask_is_person(s))
			return EXIT_FAILED;
		say(s, "  \"keyward user list --query %s\" shows who has an account, \"keyward sync plan\" why somebody has "
		    "none.", *ret_login);
	}
}

int
step_person(struct setup *s)
{
	struct answer user;
	const char *login = "";
	bool is_in = false;
	int rc = EXIT_DONE;

	if (!s->is_synchronised)
		say(s, "Nobody can sign in before the first synchronisation.");
	else
		rc = ask_login(s, &user, &login);
	if (rc || !*login) {
		if (!rc)
			step_note(s, "skipped", NULL);
		return rc;
	}
	if (ask_is_person(s))
		rc = wait_for_sign_in(s, login, &is_in);
	if (!rc && is_in)
		rc = step_call(s, "GET", user_path(s, login, ""), NULL, &user);
	if (rc)
		return rc;
	if (is_in)
		say(s, "It worked: you are signed in.  This is what Keyward knows of you:");
	show_person(s, user.json);
	step_note(s, is_in ? "done" : "skipped", login);
	json_object_set(s->step, "user", user.json);
	return EXIT_DONE;
}
