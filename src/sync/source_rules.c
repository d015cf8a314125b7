/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A directory and its mapping rules made ready for reading: presets filled in, DNs normalised, values folded, and the list of
 * attributes to ask the server for.
 */
#include "source_int.h"

#include <string.h>
#include <strings.h>

#include "base/log.h"

#define ATTRIBUTES_MAX 128
#define MEMBERS_MAX 8

static bool
has_name(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(names[i], name) == 0)
			return true;
	return false;
}

static void
add_name(const char **names, size_t *n, const char *name)
{
	if (name && *name && *n < ATTRIBUTES_MAX - 1 && !has_name(names, *n, name))
		names[(*n)++] = name;
}

static char *
lower_text(struct op *op, const char *text)
{
	char *copy = op_strdup(op, text);

	for (char *c = copy; c && *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + 32);
	return copy;
}

static int
make_rule(struct op *op, const struct catalog_rule *rule, struct map_rule *ret)
{
	const struct shape_rule *body = rule->body;
	char *key = NULL;
	int rc = 0;

	*ret = (struct map_rule){ .id = rule->id, .version = rule->version, .role_id = rule->role->id,
		.location_id = rule->location ? rule->location->id : NULL };
	if (body->group) {
		rc = ldap_dn_normalise(op, body->group, &key);
		ret->group_dn_key = key;
	} else if (body->group_pattern) {
		/* a star is an ordinary character of a DN, so a pattern is normalised like one */
		rc = ldap_dn_normalise(op, body->group_pattern, &key);
		ret->group_pattern = key;
	} else if (body->group_id) {
		ret->group_id = lower_text(op, body->group_id);
	} else if (body->attribute && body->equals) {
		ret->attribute = lower_text(op, body->attribute);
		ret->equals_key = text_fold(op->mem, body->equals);
		rc = ret->equals_key ? 0 : op_fail(op, ERR_MALFORMED, "the value is not UTF-8 text");
	} else {
		rc = op_fail(op, ERR_INVALID, "it names neither a group nor an attribute and its value");
	}
	return rc;
}

int
source_rules_make(struct op *op, const struct catalog_directory *directory, struct source_rules **ret)
{
	const struct catalog_snapshot *catalog = catalog_get(op);
	struct source_rules *rules = op_alloc(op, sizeof(*rules));
	struct map_rule *v = op_alloc(op, catalog->n_rules * sizeof(*v));
	const char **names = op_alloc(op, ATTRIBUTES_MAX * sizeof(char *));
	size_t n_names = 0;

	for (size_t i = 0; i < catalog->n_rules; i++) {
		const struct catalog_rule *rule = &catalog->rules[i];

		if (!rule->directory || !rule->role || strcmp(rule->directory->id, directory->id) != 0)
			continue;
		if (make_rule(op, rule, &v[rules->n]) < 0) {
			/* a rule that cannot be evaluated gives nothing */
			log_line(LOG_LEVEL_WARNING, "sync.rule_left_out", "rule", rule->body->name, "why", op_failure(op), NULL);
			op_forgive(op);
			continue;
		}
		add_name(names, &n_names, v[rules->n].attribute);
		rules->n++;
	}
	rules->v = v;
	rules->attributes = names;
	*ret = rules;
	return 0;
}

static const char *
or_preset(const char *value, const char *preset)
{
	return value && *value ? value : preset;
}

static const char *const *
attributes_to_ask(struct op *op, const struct source_setup *setup)
{
	const char **names = op_alloc(op, ATTRIBUTES_MAX * sizeof(char *));
	const char *kept;
	size_t n = 0;

	add_name(names, &n, setup->id_attribute);
	add_name(names, &n, setup->login_attribute);
	add_name(names, &n, setup->other_attribute);
	add_name(names, &n, setup->name_attribute);
	add_name(names, &n, "cn");
	add_name(names, &n, setup->mail_attribute);
	for (size_t i = 0; (kept = source_kept_attribute(setup, i)); i++)
		add_name(names, &n, kept);
	for (const char *const *name = source_state_attributes(setup); *name; name++)
		add_name(names, &n, *name);
	add_name(names, &n, setup->expires_attribute);
	add_name(names, &n, setup->disabled_attribute);
	for (const char *const *name = setup->rules->attributes; *name; name++)
		add_name(names, &n, *name);
	return names;
}

/* The object's own attributes with members, or those of its kind. */
static const char *const *
members_of(struct op *op, const struct source_setup *setup)
{
	const struct strings *own = &setup->directory->body->member_attributes;
	const char **names = op_alloc(op, (MEMBERS_MAX + 1) * sizeof(char *));
	char *rest = op_strdup(op, setup->kind->members), *word;
	size_t n = 0;

	for (size_t i = 0; i < own->n && n < MEMBERS_MAX; i++)
		names[n++] = own->v[i];
	while (!own->n && n < MEMBERS_MAX && (word = strsep(&rest, " ")))
		names[n++] = word;
	return names;
}

static int
fill_forms(struct op *op, const struct shape_directory *body, struct source_setup *setup)
{
	setup->id_form = setup->kind->id_form;
	setup->expires_form = setup->kind->end_form;
	if (!source_id_form(body->id_form, &setup->id_form) || !source_end_form(body->expires_form, &setup->expires_form))
		return op_fail(op, ERR_INVALID, "the directory %s has an id_form or expires_form that is none", body->name);
	return 0;
}

static void
fill_names(const struct shape_directory *body, struct source_setup *setup)
{
	const struct source_kind *kind = setup->kind;

	setup->base = body->base;
	setup->filter = or_preset(body->filter, kind->people);
	setup->group_base = or_preset(body->group_base, body->base);
	setup->group_filter = or_preset(body->group_filter, kind->groups);
	setup->id_attribute = or_preset(body->id_attribute, kind->id);
	setup->login_attribute = or_preset(body->login_attribute, kind->login);
	setup->other_attribute = or_preset(body->other_login_attribute, *kind->other_login ? kind->other_login : NULL);
	setup->name_attribute = or_preset(body->name_attribute, kind->display);
	setup->mail_attribute = or_preset(body->mail_attribute, kind->mail);
	setup->expires_attribute = or_preset(body->expires_attribute, kind->end);
	setup->disabled_attribute = or_preset(body->disabled_attribute, NULL);
}

int
source_setup_make(struct op *op, const struct catalog_directory *directory, const struct source_rules *rules, struct source_setup **ret)
{
	const struct shape_directory *body = directory->body;
	struct source_setup *setup = op_alloc(op, sizeof(*setup));
	char *base_key, *group_base_key;
	int rc;

	setup->directory = directory;
	setup->rules = rules;
	setup->kind = source_kind_find(body->kind);
	if (!setup->kind)
		return op_fail(op, ERR_INVALID, "the directory %s has the kind %s, which is none", body->name, body->kind);
	fill_names(body, setup);
	setup->disabled_key = body->disabled_value ? text_fold(op->mem, body->disabled_value) : NULL;
	if ((rc = fill_forms(op, body, setup)) < 0 || (rc = ldap_dn_normalise(op, setup->base, &base_key)) < 0 ||
	    (rc = ldap_dn_normalise(op, setup->group_base, &group_base_key)) < 0)
		return rc;
	setup->base_key = base_key;
	setup->group_base_key = group_base_key;
	setup->members = members_of(op, setup);
	setup->attributes = attributes_to_ask(op, setup);
	*ret = setup;
	return 0;
}
