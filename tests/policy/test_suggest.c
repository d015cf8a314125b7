/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Names of groups are read as roles at locations, and never as more than they say. */
#include <criterion/criterion.h>
#include <string.h>

#include "policy/suggest.h"

static const struct suggest_name roles[] = {
	{ "owner", "Owner or administrator", true }, { "manager", "Practice manager", false },
	{ "provider", "Physician or practitioner", false }, { "front_desk", "Front desk", false }, { "billing", "Billing", false },
	{ "phone_agent", "Phone agent", false },
};
static const struct suggest_name locations[] = { { "north", "North Clinic", false }, { "st-anne", NULL, false } };

static struct suggestion *
read_names(struct op *op, const char *const *groups, size_t n, size_t n_locations)
{
	struct suggestion *v;

	suggest(op, &(struct suggest_facts){ groups, n, roles, 6, locations, n_locations }, &v);
	return v;
}

static void
expect(const char *group, const char *role, const char *location, bool is_sure)
{
	struct op *op = op_begin(NULL, NULL);
	struct suggestion *v = read_names(op, &group, 1, 2);

	cr_expect((!role && !v->role) || (role && v->role && !strcmp(v->role, role)), "%s: role %s", group, v->role);
	cr_expect((!location && !v->location) || (location && v->location && !strcmp(v->location, location)), "%s: location %s", group,
	    v->location);
	cr_expect_eq(v->is_sure, is_sure, "%s: %s", group, v->why);
	cr_expect(v->why && *v->why);
	op_end(op);
}

Test(suggest, reads_roles_and_locations)
{
	expect("GG-Billing-North", "billing", "north", true);
	expect("billing_north", "billing", "north", true);
	expect("North Front Desk", "front_desk", "north", true);
	expect("NorthFrontDesk", "front_desk", "north", true);
	expect("north-frontdesk", "front_desk", "north", true);
	expect("SG_Physicians_St-Anne", "provider", "st-anne", true);
	expect("practitioners", "provider", NULL, true);
	expect("phone-agents", "phone_agent", NULL, true);
	expect("BILLING", "billing", NULL, true);
}

Test(suggest, knows_when_it_does_not_know)
{
	expect("quality-board", NULL, NULL, false);
	expect("", NULL, NULL, false);
	expect("--", NULL, NULL, false);
	expect("\xc3\x84rzte", NULL, NULL, false);
	/* two roles fit as well */
	expect("billing-manager", NULL, NULL, false);
}

/* Each of these would give more than the name says. */
Test(suggest, is_never_sure_of_too_much)
{
	/* a word that is not understood may be a place: not everywhere by itself */
	expect("billing-nrth", "billing", NULL, false);
	/* it may also take something away */
	expect("billing-north-readonly", "billing", "north", false);
	expect("not-billing-north", "billing", "north", false);
	/* a role that may do everything is for a person to give */
	expect("owners", "owner", NULL, false);
	expect("owners-north", "owner", "north", false);
	/* everybody's group */
	expect("all-billing", NULL, NULL, false);
	expect("everyone-billing-north", NULL, NULL, false);
	expect("Domain-Managers", NULL, NULL, false);
	/* parts of words are no words */
	expect("billings-gate-north", "billing", "north", false);
	expect("northern-billing", "billing", NULL, false);
}

Test(suggest, shared_words_are_places)
{
	static const char *const groups[] = { "downtown-billing", "downtown-managers", "harbour-billing", "clinic-owners" };
	struct op *op = op_begin(NULL, NULL);
	struct suggestion *v = read_names(op, groups, 4, 0);

	for (size_t i = 0; i < 2; i++) {
		cr_assert_str_eq(v[i].location, "downtown");
		cr_assert(v[i].is_new_location && v[i].is_sure);
	}
	/* one group alone makes no place */
	cr_assert_null(v[2].location);
	cr_assert_not(v[2].is_sure);
	cr_assert_not(v[3].is_sure);
	op_end(op);
}

Test(suggest, endless_names)
{
	struct op *op = op_begin(NULL, NULL);
	char *name = op_alloc(op, 20001);

	for (size_t i = 0; i < 20000; i += 2)
		memcpy(name + i, "a-", 2);
	memcpy(name, "billing-", 8);
	cr_assert_null(read_names(op, (const char *const *)&name, 1, 2)->role);
	op_end(op);
}
