/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Roles, and who holds them: the daemon reads the groups and suggests rules by their names, the person decides about each, and the result
 * is a file of objects that is kept and applied like any other.  Read step_rules at the end first.
 */
#include "setup_int.h"

#include <string.h>
#include <unistd.h>

#define OTHERS_SHOWN 10

/* One suggestion as it was decided. */
struct choice {
	const json_t *suggested;
	const char *role, *location;    /* location NULL: everywhere */
};

struct choices {
	struct choice *v;
	size_t n;
	bool want_rest;                 /* "all": what is sure, without asking */
};

/* ---- roles to begin with ---- */

const char *
rules_preset_file(struct setup *s)
{
	/* installed elsewhere than it was built for, and not installed at all */
	static const char *const beside[] = { "../share/keyward/presets/clinic.yaml", "../etc/presets/clinic.yaml",
		"../../etc/presets/clinic.yaml" };
	const char *file = KEYWARD_PRESETSDIR "/clinic.yaml";

	for (size_t i = 0; access(file, R_OK) != 0; i++) {
		if (i == countof(beside))
			return NULL;
		file = op_printf(s->op, "%s/%s", step_program_folder(s), beside[i]);
	}
	return file;
}

static int
load_names(struct setup *s)
{
	s->roles = step_list(s, "/api/v1/roles");
	s->locations = s->roles ? step_list(s, "/api/v1/locations") : NULL;
	return s->locations ? EXIT_DONE : EXIT_FAILED;
}

static int
need_roles(struct setup *s)
{
	const char *file = rules_preset_file(s), *text;
	bool is_done;
	int rc = load_names(s);

	if (rc || json_array_size(s->roles))
		return rc;
	text = file ? file_text(s, file) : NULL;
	if (!text) {
		say(s, "The package's file of roles is not there; make roles of your own with \"keyward apply FILE\" and "
		    "come back.");
		return EXIT_DONE;
	}
	say(s, "A role is a named set of permissions that your applications understand.  These come with Keyward (%s):", file);
	rc = step_apply(s, file, text, Q_ROLES, &is_done);
	return rc || !is_done ? rc : load_names(s);
}

/* ---- what a person may answer about a rule ---- */

static const json_t *
find_name(const json_t *list, const char *name)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
		if (text_equal_ascii_case(json_get_text(one, "name"), name))
			return one;
	return NULL;
}

static bool
is_word(const char *answer)
{
	return !strcmp(answer, "yes") || !strcmp(answer, "no") || !strcmp(answer, "y") || !strcmp(answer, "n") ||
	       !strcmp(answer, "all") || !strcmp(answer, "none");
}

/* "role", "role@" and "role@location". */
static void
split(struct setup *s, const char *answer, const char **ret_role, const char **ret_location)
{
	size_t n = strcspn(answer, "@");

	*ret_role = op_strndup(s->op, answer, n);
	*ret_location = answer[n] && answer[n + 1] ? answer + n + 1 : NULL;
}

static const char *
check_map(struct setup *s, const char *answer)
{
	struct buf names = buf_in(s->op->mem);
	const char *role, *location;
	json_t *one;
	size_t i;

	if (is_word(answer))
		return NULL;
	split(s, answer, &role, &location);
	if (location && (strlen(location) > 64 || strchr(location, '/')))
		return "the name of a location has at most 64 letters and no slash";
	if (find_name(s->roles, role))
		return NULL;
	json_array_foreach(s->roles, i, one)
		buf_printf(&names, "%s%s", i ? ", " : "", json_get_text(one, "name"));
	return op_printf(s->op, "please answer yes, no, all, none, or ROLE or ROLE@LOCATION; the roles are: %s", names.text);
}

/* ---- deciding ---- */

static void
take(struct choices *choices, const json_t *suggested, const char *role, const char *location)
{
	choices->v[choices->n++] = (struct choice){ suggested, role, location };
}

static void
show_suggestion(struct setup *s, const json_t *rule, size_t number, size_t n)
{
	const char *location = json_get_text(rule, "location");

	long long members = json_get_int(rule, "members");

	say(s, "\n%zu of %zu  %s  (%lld %s)", number, n, json_get_text(rule, "group_name"), members,
	    members == 1 ? "member" : "members");
	say(s, "  %s", json_get_text(rule, "group"));
	say(s, "  %s", json_get_text(rule, "why"));
	say(s, "  gives %s %s%s%s", json_get_text(rule, "role"), location ? "at " : "everywhere", location ? location : "",
	    json_get_bool(rule, "new_location") ? " (a new location)" : "");
}

/* EXIT_DONE and *ret_is_last when the rest shall not be asked. */
static int
decide(struct setup *s, struct choices *choices, const json_t *rule, bool *ret_is_last)
{
	const char *preset = json_get_bool(rule, "sure") ? "yes" : "no", *role, *location;
	const char *answer = ask_each(s, Q_MAP, json_get_text(rule, "group_name"), preset, check_map);

	if (!answer)
		return ask_failed(s);
	choices->want_rest = !strcmp(answer, "all");
	*ret_is_last = !strcmp(answer, "none");
	if (answer[0] == 'y' || choices->want_rest) {
		take(choices, rule, json_get_text(rule, "role"), json_get_text(rule, "location"));
	} else if (!is_word(answer)) {
		split(s, answer, &role, &location);
		/* as it is spelt, however it was typed */
		take(choices, rule, json_get_text(find_name(s->roles, role), "name"), location);
	}
	return EXIT_DONE;
}

static int
decide_all(struct setup *s, const json_t *rules, struct choices *choices)
{
	size_t n = json_array_size(rules), i;
	bool is_last = false;
	json_t *rule;
	int rc = EXIT_DONE;

	choices->v = op_alloc(s->op, (n + 1) * sizeof(*choices->v));
	json_array_foreach(rules, i, rule) {
		if (rc || is_last)
			break;
		if (choices->want_rest && !json_get_bool(rule, "sure"))
			continue;
		if (choices->want_rest) {
			take(choices, rule, json_get_text(rule, "role"), json_get_text(rule, "location"));
			continue;
		}
		show_suggestion(s, rule, i + 1, n);
		rc = decide(s, choices, rule, &is_last);
	}
	return rc;
}

/* ---- the file ---- */

static void
put_member(struct buf *out, const char *key, const char *value)
{
	buf_printf(out, "    %s: ", key);
	json_put_text(out, value);
	buf_add_char(out, '\n');
}

/* Locations that the choices need and that are not there yet, each once. */
static void
put_locations(struct setup *s, struct buf *out, const struct choices *choices)
{
	size_t n = 0;

	for (size_t i = 0; i < choices->n; i++) {
		const char *name = choices->v[i].location;
		bool is_there = !name || find_name(s->locations, name);

		for (size_t k = 0; k < i && !is_there; k++)
			is_there = choices->v[k].location && text_equal_ascii_case(choices->v[k].location, name);
		if (is_there)
			continue;
		if (!n++)
			buf_add(out, "\n# Places.  \"parent\" puts one into another: a region, a site, a "
			    "department.\nlocations:\n");
		buf_add(out, "  - name: ");
		json_put_text(out, name);
		buf_add_char(out, '\n');
	}
}

static const char *
choices_text(struct setup *s, const struct choices *choices)
{
	struct buf out = buf_in(s->op->mem);

	buf_printf(&out, "# Who holds which role where, chosen with \"keyward setup\".  A rule says: who is in this group "
	    "(also through groups inside it)\n# holds this role, at this location or, without one, everywhere.  Change it "
	    "here, then:\n#     keyward plan %s\n"
	    "#     keyward apply %s\n# A rule that you delete here goes with \"keyward rule remove "
	    "NAME\".\n", s->objects_file, s->objects_file);
	put_locations(s, &out, choices);
	buf_add(&out, "\nrules:\n");
	for (size_t i = 0; i < choices->n; i++) {
		const struct choice *c = &choices->v[i];

		buf_printf(&out, "  # %s\n  - name: ", clean_text(s->op, json_get_text(c->suggested, "why")));
		json_put_text(&out, json_get_text(c->suggested, "name"));
		buf_add_char(&out, '\n');
		put_member(&out, "directory", s->directory);
		put_member(&out, "group", json_get_text(c->suggested, "group"));
		put_member(&out, "role", c->role);
		if (c->location)
			put_member(&out, "location", c->location);
	}
	return out.text;
}

/* ---- people and groups ---- */

static void
show_survey(struct setup *s, const json_t *survey)
{
	json_t *one;
	size_t i;

	say(s, "People: %lld, of whom %lld may sign in.  Groups: %lld.", (long long)json_get_int(survey, "people"),
	    (long long)json_get_int(survey, "people_active"), (long long)json_get_int(survey, "groups"));
	json_array_foreach(json_object_get(survey, "examples"), i, one) {
		const char *mail = json_get_text(one, "mail");

		say(s, "  %s  %s  %s", json_get_text(one, "login"), json_get_text(one, "name"), mail ? mail : "");
	}
	if (json_get_int(survey, "skipped")) {
		say(s, "%lld entries cannot be used and will be left out, for "
		    "example:", (long long)json_get_int(survey, "skipped"));
		json_array_foreach(json_object_get(survey, "skipped_examples"), i, one)
			say(s, "  %s", json_string_value(one));
	}
}

static void
show_others(struct setup *s, const json_t *others)
{
	json_t *one;
	size_t i;

	if (!json_array_size(others))
		return;
	say(s, "\nNo rule is suggested for these groups; they give nobody anything:");
	json_array_foreach(others, i, one) {
		if (i == OTHERS_SHOWN) {
			say(s, "  and %zu more", json_array_size(others) - i);
			break;
		}
		say(s, "  %s: %s", json_get_text(one, "group"), json_get_text(one, "why"));
	}
}

static int
write_file(struct setup *s, const json_t *survey, bool *ret_is_written)
{
	struct choices choices = { 0 };
	const json_t *rules = json_object_get(survey, "rules");
	int rc;

	show_others(s, json_object_get(survey, "others"));
	if (json_array_size(rules))
		say(s, "\nThe names of %zu groups suggest a role.  Take or leave each:", json_array_size(rules));
	rc = decide_all(s, rules, &choices);
	*ret_is_written = choices.n > 0;
	if (rc || !choices.n)
		return rc;
	rc = file_write(s, s->objects_file, choices_text(s, &choices), 0644, false);
	if (!rc)
		say(s, "\nWrote %s.  What it changes:", s->objects_file);
	return rc;
}

static int
suggest(struct setup *s, bool *ret_is_written)
{
	struct answer answer;
	int rc;

	say(s, "Reading people and groups ...");
	rc = step_call(s, "POST", op_printf(s->op, "/api/v1/directories/%s/suggest", step_segment(s, s->directory)), NULL, &answer);
	if (rc)
		return rc;
	show_survey(s, answer.json);
	rc = need_roles(s);
	/* suggestions need roles: those that came just now are seen by another look */
	if (!rc && json_array_size(s->roles) && !json_array_size(json_object_get(answer.json, "rules")))
		rc = step_call(s, "POST", op_printf(s->op, "/api/v1/directories/%s/suggest", step_segment(s, s->directory)), NULL, &answer);
	return rc ? rc : write_file(s, answer.json, ret_is_written);
}

static int
map(struct setup *s)
{
	bool is_written = file_exists(s->objects_file), is_done = false;
	const char *text;
	int rc = EXIT_DONE;

	if (is_written)
		say(s, "%s is there from before; delete it to choose anew.  What it changes:", s->objects_file);
	else
		rc = suggest(s, &is_written);
	if (rc)
		return rc;
	if (!is_written) {
		say(s, "No rule was chosen: people will have accounts and no roles.  Write rules later as a file and "
		    "\"keyward apply\" it.");
		step_note(s, "skipped", NULL);
		return EXIT_DONE;
	}
	text = file_text(s, s->objects_file);
	rc = text ? step_apply(s, s->objects_file, text, Q_MAP_APPLY, &is_done) : EXIT_FAILED;
	if (!rc)
		step_note(s, is_done ? "done" : "skipped", s->objects_file);
	return rc;
}

int
step_rules(struct setup *s)
{
	json_t *rules;

	if (!s->directory) {
		say(s, "No directory yet.");
		step_note(s, "skipped", NULL);
		return EXIT_DONE;
	}
	rules = step_list(s, "/api/v1/rules");
	if (!rules)
		return EXIT_FAILED;
	if (!json_array_size(rules))
		return map(s);
	say(s, "There are %zu mapping rules already; \"keyward rule list\" shows them.", json_array_size(rules));
	step_note(s, "kept", op_printf(s->op, "%zu rules", json_array_size(rules)));
	return EXIT_DONE;
}
