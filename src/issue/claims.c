/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What we say of a person: the table of claims with the scope that gives each (OpenID Connect Core 5.1, 5.4), the roles at their
 * locations, and the claims parameter (5.5).
 */
#include "oidc_int.h"

#include <stdlib.h>
#include <string.h>

#define CLAIMS_MAX_BYTES 4096

int
subject_read(struct op *op, const char *user_id, struct subject **ret)
{
	struct subject *s = *ret = op_alloc(op, sizeof(*s));
	struct grant *grants;
	struct user *user, **same;
	size_t n = 0;
	int rc = db_grant_list(op, user_id, op->now_ms, &grants, &s->n_grants);

	if (!rc)
		rc = db_user_read(op, user_id, &user);
	if (!rc && user->mail_key)
		rc = db_user_find_mail(op, user->mail_key, &same, &n);
	if (rc)
		return rc;
	s->grants = grants;
	s->user = user;
	s->is_mail_unique = n == 1;
	return 0;
}

/* ---- roles and locations ---- */

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, each once. */
static json_t *
name_array(const char **names, size_t n)
{
	json_t *array = json_array();

	qsort(names, n, sizeof(*names), compare_names);
	for (size_t i = 0; i < n; i++)
		if (!i || strcmp(names[i - 1], names[i]) != 0)
			json_array_append_new(array, json_string(names[i]));
	return array;
}

struct held {
	const char *role, *location;    /* names; location NULL: everywhere */
	const struct catalog_location *at;
};

static int
compare_held(const void *a, const void *b)
{
	const struct held *x = a, *y = b;
	int order = strcmp(x->role, y->role);

	return order ? order : strcmp(x->location ? x->location : "", y->location ? y->location : "");
}

/* Grants by name.  A role or location that is no more gives nothing. */
static struct held *
held_by(struct op *op, const struct catalog_snapshot *c, const struct subject *subject, size_t *ret_n)
{
	struct held *held = op_alloc(op, (subject->n_grants + 1) * sizeof(*held));
	size_t n = 0;

	for (size_t i = 0; i < subject->n_grants; i++) {
		const struct grant *grant = &subject->grants[i];
		const struct catalog_role *role = catalog_role_by_id(c, grant->role_id);
		const struct catalog_location *location = grant->location_id ? catalog_location_by_id(c, grant->location_id) : NULL;

		if (role && (location || !grant->location_id))
			held[n++] = (struct held){ role->body->name, location ? location->body->name : NULL, location };
	}
	qsort(held, n, sizeof(*held), compare_held);
	*ret_n = n;
	return held;
}

/* A region is a location at the top that others belong to. */
static bool *
find_regions(struct op *op, const struct catalog_snapshot *c)
{
	bool *is_region = op_alloc(op, c->n_locations + 1);

	for (size_t i = 0; i < c->n_locations; i++)
		if (c->locations[i].parent && !c->locations[i].parent->parent)
			is_region[c->locations[i].parent - c->locations] = true;
	return is_region;
}

/*
 * Every location that a grant reaches: the named one and all below it; all there are for a grant that is not bound to a
 * place.  Regions stand for their locations and are not named.
 */
static json_t *
reached_locations(struct op *op, const struct catalog_snapshot *c, const struct held *held, size_t n)
{
	const char **names = op_alloc(op, (c->n_locations + 1) * sizeof(*names));
	const bool *is_region = find_regions(op, c);
	size_t n_names = 0;

	for (size_t i = 0; i < c->n_locations; i++) {
		bool is_reached = false;

		if (is_region[i])
			continue;
		for (size_t k = 0; k < n && !is_reached; k++)
			is_reached = !held[k].at || catalog_is_within(&c->locations[i], held[k].at);
		if (is_reached)
			names[n_names++] = c->locations[i].body->name;
	}
	return name_array(names, n_names);
}

/* As given; one that reaches more than the place it names says what it reaches, because applications do not know the tree. */
static json_t *
one_grant(struct op *op, const struct catalog_snapshot *c, const struct held *held)
{
	json_t *grant = json_pack("{s:s}", "role", held->role), *reached;

	if (!held->location)
		return grant;
	json_object_set_new(grant, "location", json_string(held->location));
	reached = reached_locations(op, c, held, 1);
	if (json_array_size(reached) != 1 || strcmp(json_string_value(json_array_get(reached, 0)), held->location) != 0)
		json_object_set(grant, "locations", reached);
	json_decref(reached);
	return grant;
}

void
claims_add_roles(struct op *op, json_t *claims, const struct subject *subject)
{
	const struct catalog_snapshot *c = catalog_get(op);
	size_t n;
	struct held *held = held_by(op, c, subject, &n);
	const char **roles = op_alloc(op, (n + 1) * sizeof(*roles));
	json_t *grants = json_array();

	for (size_t i = 0; i < n; i++) {
		roles[i] = held[i].role;
		if (i && !compare_held(&held[i - 1], &held[i]))
			continue;
		json_array_append_new(grants, one_grant(op, c, &held[i]));
	}
	json_object_set_new(claims, "roles", name_array(roles, n));
	json_object_set_new(claims, "locations", reached_locations(op, c, held, n));
	json_object_set_new(claims, "grants", grants);
}

/* ---- the table ---- */

/* A person's record as the claims see it. */
struct source {
	const struct subject *subject;
	const json_t *attributes;
};

typedef json_t *claim_fn(const struct source *source);

static json_t *
text_or_null(const char *text)
{
	return text && *text ? json_string(text) : NULL;
}

#define ATTRIBUTE(claim, attribute) \
	static json_t *claim_##claim(const struct source *s) { return text_or_null(json_get_text(s->attributes, attribute)); }
ATTRIBUTE(given_name, "given_name")
ATTRIBUTE(family_name, "family_name")
ATTRIBUTE(phone_number, "phone")

static json_t *
claim_name(const struct source *s)
{
	return text_or_null(s->subject->user->display_name);
}

static json_t *
claim_preferred_username(const struct source *s)
{
	return text_or_null(s->subject->user->login);
}

static json_t *
claim_updated_at(const struct source *s)
{
	return json_integer(s->subject->user->changed_ms / 1000);
}

static json_t *
claim_email(const struct source *s)
{
	return text_or_null(s->subject->user->mail);
}

/* The directory is the authority for mail addresses, but not for one that it gives to two people. */
static json_t *
claim_email_verified(const struct source *s)
{
	return s->subject->user->mail ? json_boolean(s->subject->is_mail_unique) : NULL;
}

/* OpenID Connect Core 5.1.1 */
static json_t *
claim_address(const struct source *s)
{
	static const char *const parts[][2] = {
		{ "street_address", "street" }, { "locality", "locality" }, { "region", "region" },
		{ "postal_code", "postal_code" }, { "country", "country" },
	};
	json_t *address = json_object();

	for (size_t i = 0; i < countof(parts); i++) {
		const char *text = json_get_text(s->attributes, parts[i][1]);

		if (text && *text)
			json_object_set_new(address, parts[i][0], json_string(text));
	}
	if (json_object_size(address))
		return address;
	json_decref(address);
	return NULL;
}

static const struct claim {
	const char *name, *scope;
	claim_fn *make;                 /* NULL: made apart */
} table[] = {
	{ "name", "profile", claim_name },
	{ "given_name", "profile", claim_given_name },
	{ "family_name", "profile", claim_family_name },
	{ "preferred_username", "profile", claim_preferred_username },
	{ "updated_at", "profile", claim_updated_at },
	{ "email", "email", claim_email },
	{ "email_verified", "email", claim_email_verified },
	{ "phone_number", "phone", claim_phone_number },
	{ "address", "address", claim_address },
	{ "roles", "roles", NULL },
	{ "locations", "roles", NULL },
	{ "grants", "roles", NULL },
};

const char *const *
claims_names(void)
{
	static const char *const names[] = {
		"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "amr", "acr", "sid", "jti", "client_id", "scope",
		"name", "given_name", "family_name", "preferred_username", "updated_at", "email", "email_verified", "phone_number",
		"address", "roles", "locations", "grants", NULL,
	};

	return names;
}

static struct source
source_of(struct op *op, const struct subject *subject)
{
	json_t *attributes = NULL;
	const char *text = subject->user->attributes;

	if (!text || json_read(op, text, strlen(text), &attributes))
		op_forgive(op);
	return (struct source){ subject, attributes };
}

static void
add_claim(struct op *op, json_t *claims, const struct source *source, const struct claim *claim)
{
	json_t *value, *all;

	if (claim->make) {
		value = claim->make(source);
		if (value)
			json_object_set_new(claims, claim->name, value);
		return;
	}
	all = json_own(op, json_object());
	claims_add_roles(op, all, source->subject);
	json_object_set(claims, claim->name, json_object_get(all, claim->name));
}

void
claims_add_scope(struct op *op, json_t *claims, const struct subject *subject, const char *scope)
{
	struct source source = source_of(op, subject);

	for (size_t i = 0; i < countof(table); i++)
		if (table[i].make && scope_has(scope, table[i].scope))
			add_claim(op, claims, &source, &table[i]);
	if (scope_has(scope, "roles"))
		claims_add_roles(op, claims, subject);
}

static const struct claim *
find_claim(const char *name)
{
	for (size_t i = 0; i < countof(table); i++)
		if (!strcmp(table[i].name, name))
			return &table[i];
	return NULL;
}

void
claims_add_asked(struct op *op, json_t *claims, const struct subject *subject, const struct catalog_app *app, const char *asked,
    const char *place)
{
	struct source source;
	json_t *all, *name;
	size_t i;

	if (!asked)
		return;
	if (json_read(op, asked, strlen(asked), &all)) {
		op_forgive(op);
		return;
	}
	source = source_of(op, subject);
	json_array_foreach(json_object_get(all, place), i, name) {
		const struct claim *claim = json_is_string(name) ? find_claim(json_string_value(name)) : NULL;

		/* ASVS 10.4.11: a claim belongs to a scope, and the application must be allowed that scope */
		if (claim && scope_is_allowed(app, claim->scope, strlen(claim->scope)))
			add_claim(op, claims, &source, claim);
	}
}

const char *
claims_acr(const char *amr)
{
	return scope_has(amr, "pwd") ? "pwd" : NULL;
}

/* ---- the claims parameter ---- */

static bool
is_value_asked(const json_t *wish, const char *value)
{
	const json_t *values = json_object_get(wish, "values"), *one = json_object_get(wish, "value"), *item;
	size_t i;

	if (!one && !values)
		return true;
	if (json_is_string(one) && !strcmp(json_string_value(one), value))
		return true;
	json_array_foreach(values, i, item)
		if (json_is_string(item) && !strcmp(json_string_value(item), value))
			return true;
	return false;
}

/* OpenID Connect Core 5.5.1: null, or an object with essential, value, values. */
static int
read_wish(struct op *op, const char *name, const json_t *wish, json_t *names, struct claims_request *ret)
{
	const json_t *value = json_object_get(wish, "value");

	if (!json_is_null(wish) && !json_is_object(wish))
		return op_fail(op, ERR_INVALID, "a member of parameter claims is neither null nor an object");
	if (!strcmp(name, "sub") && json_is_string(value))
		ret->sub = json_string_value(value);
	/* 5.5.1.1: an essential acr that cannot be given is a failed authentication */
	if (!strcmp(name, "acr") && json_get_bool(wish, "essential") && !is_value_asked(wish, "pwd"))
		ret->is_acr_unmet = true;
	if (find_claim(name))
		json_array_append_new(names, json_string(name));
	return 0;
}

static int
read_place(struct op *op, const json_t *all, const char *place, json_t *ret_asked, struct claims_request *ret)
{
	json_t *wishes = json_object_get(all, place), *names, *wish;
	const char *name;
	int rc = 0;

	if (!wishes || json_is_null(wishes))
		return 0;
	if (!json_is_object(wishes))
		return op_fail(op, ERR_INVALID, "a member of parameter claims is no object");
	names = json_own(op, json_array());
	json_object_foreach(wishes, name, wish)
		if (!rc)
			rc = read_wish(op, name, wish, names, ret);
	if (json_array_size(names))
		json_object_set(ret_asked, place, names);
	return rc;
}

int
claims_read(struct op *op, const char *text, struct claims_request *ret)
{
	json_t *all, *asked = json_own(op, json_object());
	int rc;

	*ret = (struct claims_request){ 0 };
	if (!text)
		return 0;
	if (strlen(text) > CLAIMS_MAX_BYTES)
		return op_fail(op, ERR_INVALID, "parameter claims is longer than 4096 bytes");
	if (json_read(op, text, strlen(text), &all) || !json_is_object(all)) {
		op_forgive(op);
		return op_fail(op, ERR_INVALID, "parameter claims is no JSON object");
	}
	rc = read_place(op, all, "id_token", asked, ret);
	if (!rc)
		rc = read_place(op, all, "userinfo", asked, ret);
	if (!rc && json_object_size(asked))
		ret->asked = json_canonical(op, asked);
	return rc;
}
