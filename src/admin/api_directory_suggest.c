/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The API that suggests mapping rules: reads the people and groups of a directory as a synchronisation would, counts them, and lets
 * policy/suggest.c read the names of the groups.  Nothing is staged and nothing is changed.  Read the handler at the end first.
 */
#include <string.h>

#include "api_int.h"
#include "people/catalog.h"
#include "policy/suggest.h"
#include "sync/source.h"

#define GROUPS_MAX 5000
#define RULES_MAX 2000
#define OTHERS_MAX 200
#define EXAMPLES 5
#define RULE_NAME_BYTES 56              /* room for a number within the 64 of a name */

struct survey {
	struct shape_directory_suggestions view;
	struct shape_probe_person examples[EXAMPLES];
	const char *skipped[EXAMPLES];
	struct shape_suggested_rule *groups;    /* name, DN and members; the rest is filled in afterwards */
	const char **names;
	size_t n;
};

static int
on_person(struct op *op, const struct source_person *source, void *arg)
{
	const struct person *person = &source->person;
	struct survey *s = arg;
	size_t i = s->view.examples.n;

	s->view.people++;
	s->view.people_active += person->is_active;
	if (i < EXAMPLES) {
		s->examples[i] = (struct shape_probe_person){ .dn = op_strdup(op, source->dn), .login = op_strdup(op, person->login),
			.name = op_strdup(op, person->display_name), .mail = person->mail ? op_strdup(op, person->mail) : NULL };
		s->view.examples = (struct shape_list){ s->examples, i + 1 };
	}
	return 0;
}

static int
on_group(struct op *op, const struct source_group *group, void *arg)
{
	struct survey *s = arg;

	s->view.groups++;
	if (s->n == GROUPS_MAX)
		return 0;
	s->names[s->n] = op_strdup(op, group->name ? group->name : "");
	s->groups[s->n++] = (struct shape_suggested_rule){ .group = op_strdup(op, group->dn) };
	return 0;
}

static int
on_member(struct op *op, const char *member_dn_key, void *arg)
{
	struct survey *s = arg;

	(void)op;
	(void)member_dn_key;
	if (s->n && (size_t)s->view.groups == s->n)
		s->groups[s->n - 1].members++;
	return 0;
}

static int
on_skipped(struct op *op, const char *external_id, const char *dn, const char *reason, void *arg)
{
	struct survey *s = arg;
	struct strings *list = &s->view.skipped_examples;

	(void)external_id;
	s->view.skipped++;
	if (list->n < EXAMPLES) {
		list->v = s->skipped;
		list->v[list->n++] = op_printf(op, "%s: %s", dn, reason);
	}
	return 0;
}

static int
read_all(struct op *op, const struct catalog_directory *directory, struct survey *s)
{
	const struct source_reader reader = { on_person, on_group, on_member, on_skipped, s };
	struct source_summary summary;
	struct source_rules *rules;
	int rc = source_rules_make(op, directory, &rules);

	s->groups = op_alloc(op, GROUPS_MAX * sizeof(*s->groups));
	s->names = op_alloc(op, GROUPS_MAX * sizeof(*s->names));
	if (!rc)
		rc = source_read(op, directory, rules, &reader, &summary);
	op_touch(op);
	return rc;
}

static bool
may_everything(const struct shape_role *role)
{
	for (size_t i = 0; i < role->permissions.n; i++)
		if (!strcmp(role->permissions.v[i], "*"))
			return true;
	return false;
}

static struct suggest_facts
facts_of(struct op *op, const struct catalog_snapshot *c, const struct survey *s)
{
	struct suggest_name *roles = op_alloc(op, (c->n_roles + 1) * sizeof(*roles));
	struct suggest_name *locations = op_alloc(op, (c->n_locations + 1) * sizeof(*locations));

	for (size_t i = 0; i < c->n_roles; i++)
		roles[i] = (struct suggest_name){ c->roles[i].body->name, c->roles[i].body->title, may_everything(c->roles[i].body) };
	for (size_t i = 0; i < c->n_locations; i++)
		locations[i] = (struct suggest_name){ c->locations[i].body->name, c->locations[i].body->title, false };
	return (struct suggest_facts){ s->names, s->n, roles, c->n_roles, locations, c->n_locations };
}

/* Rules name groups as somebody wrote them; their DNs are compared as the server spells them, without case. */
static bool
has_rule(const struct catalog_snapshot *c, const struct catalog_directory *directory, const char *dn)
{
	for (size_t i = 0; i < c->n_rules; i++) {
		const char *group = c->rules[i].body->group;

		if (c->rules[i].directory == directory && group && text_equal_ascii_case(group, dn))
			return true;
	}
	return false;
}

/* The group's own name, a number behind it where it is taken; at most 64 bytes, on a character. */
static const char *
rule_name(struct op *op, const struct catalog_snapshot *c, const struct survey *s, size_t n, const char *group_name)
{
	char *start = op_strndup(op, *group_name ? group_name : "group", RULE_NAME_BYTES);

	while (!text_is_utf8(start, strlen(start)))
		start[strlen(start) - 1] = '\0';
	for (int number = 1;; number++) {
		const char *name = number > 1 ? op_printf(op, "%s %d", start, number) : start;
		bool is_taken = catalog_rule(c, name) != NULL;

		for (size_t i = 0; i < n && !is_taken; i++)
			is_taken = text_equal_ascii_case(s->groups[i].name, name);
		if (!is_taken)
			return name;
	}
}

static void
fill_view(struct op *op, const struct catalog_directory *directory, struct survey *s)
{
	const struct catalog_snapshot *c = catalog_get(op);
	const struct suggest_facts facts = facts_of(op, c, s);
	struct shape_other_group *others = op_alloc(op, OTHERS_MAX * sizeof(*others));
	struct suggestion *v;
	size_t n_rules = 0, n_others = 0;

	suggest(op, &facts, &v);
	for (size_t i = 0; i < s->n; i++) {
		struct shape_suggested_rule rule = s->groups[i];

		if (has_rule(c, directory, rule.group))
			continue;
		if (!v[i].role || n_rules == RULES_MAX) {
			if (n_others < OTHERS_MAX)
				others[n_others++] = (struct shape_other_group){ rule.group, v[i].role ? "there are too many" : v[i].why };
			continue;
		}
		rule.name = rule_name(op, c, s, n_rules, s->names[i]);
		rule.group_name = s->names[i];
		rule.role = v[i].role;
		rule.location = v[i].location;
		rule.new_location = v[i].is_new_location;
		rule.sure = v[i].is_sure;
		rule.why = v[i].why;
		s->groups[n_rules++] = rule;    /* never ahead of i */
	}
	s->view.rules = (struct shape_list){ s->groups, n_rules };
	s->view.others = (struct shape_list){ others, n_others };
}

HANDLER(api_directory_suggest);
HANDLER(api_directory_suggest)
{
	const char *name = route_param(request, "name");
	const struct catalog_directory *directory = catalog_directory(catalog_get(op), name);
	struct survey *s = op_alloc(op, sizeof(*s));
	int rc;

	if (!directory)
		return op_fail(op, ERR_NOT_FOUND, "there is no directory called %s", name);
	rc = read_all(op, directory, s);
	if (rc)
		return rc;
	fill_view(op, directory, s);
	reply_shape(op, reply, 200, shape_directory_suggestions(), &s->view);
	return 0;
}
