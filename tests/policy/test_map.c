/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Groups to roles: nesting, circles, patterns, names that only look alike. */
#include "policy/map.h"

#include <criterion/criterion.h>
#include <string.h>

static struct op *op;

static void
begin(void)
{
	op = op_begin(NULL, NULL);
}

static void
end(void)
{
	op_end(op);
}

TestSuite(map, .init = begin, .fini = end);

/* The ids of the rules that a person in these groups gets, blank separated. */
static const char *
given(struct map *map, const size_t *groups, size_t n, const struct map_value *values, size_t n_values)
{
	struct buf { char text[400]; } *out = op_alloc(op, sizeof(*out));
	struct wanted_grant *grants;
	size_t n_grants;

	map_person(map, op, groups, n, values, n_values, &grants, &n_grants);
	for (size_t i = 0; i < n_grants; i++) {
		strcat(out->text, i ? " " : "");
		strcat(out->text, grants[i].rule_id);
	}
	return out->text;
}

Test(map, nested_groups_lend_their_roles_downwards_only)
{
	static const struct map_rule rules[] = {
		{ .id = "providers", .version = 3, .role_id = "R1", .location_id = "L1", .group_dn_key = "cn=providers,dc=t" },
		{ .id = "physicians", .version = 1, .role_id = "R2", .group_id = "id-physicians" },
	};
	struct map *map = map_new(op, rules, countof(rules));
	size_t providers = map_add_group(map, "id-providers", "cn=providers,dc=t");
	size_t physicians = map_add_group(map, "id-physicians", "cn=physicians,dc=t");
	size_t other = map_add_group(map, "id-other", "cn=other,dc=t");
	struct wanted_grant *grants;
	size_t n;

	map_add_edge(map, providers, physicians);
	map_close(map);
	cr_assert_str_eq(given(map, &physicians, 1, NULL, 0), "providers physicians");
	cr_assert_str_eq(given(map, &providers, 1, NULL, 0), "providers");
	cr_assert_str_eq(given(map, &other, 1, NULL, 0), "");
	cr_assert_str_eq(given(map, NULL, 0, NULL, 0), "");
	map_person(map, op, &providers, 1, NULL, 0, &grants, &n);
	cr_assert_eq(n, 1);
	cr_assert_str_eq(grants[0].role_id, "R1");
	cr_assert_str_eq(grants[0].location_id, "L1");
	cr_assert_eq(grants[0].rule_version, 3);
}

Test(map, circles_end)
{
	static const struct map_rule rules[] = {
		{ .id = "a", .role_id = "R", .group_dn_key = "cn=a" }, { .id = "b", .role_id = "R", .group_dn_key = "cn=b" },
		{ .id = "c", .role_id = "R", .group_dn_key = "cn=c" },
	};
	struct map *map = map_new(op, rules, countof(rules));
	size_t a = map_add_group(map, "1", "cn=a"), b = map_add_group(map, "2", "cn=b"), c = map_add_group(map, "3", "cn=c");

	map_add_edge(map, a, b);
	map_add_edge(map, b, a);
	map_add_edge(map, b, b);
	map_add_edge(map, c, a);
	map_close(map);
	/* whoever is in one of a circle is in all of it, and in what stands above */
	cr_assert_str_eq(given(map, &a, 1, NULL, 0), "a b c");
	cr_assert_str_eq(given(map, &b, 1, NULL, 0), "a b c");
	cr_assert_str_eq(given(map, &c, 1, NULL, 0), "c");
}

Test(map, a_long_chain_and_a_long_circle_are_followed_to_the_end)
{
	enum { N = 10000 };
	struct map_rule rules[2] = { { .id = "top", .role_id = "R", .group_id = "g0" }, { .id = "middle", .role_id = "R", .group_id = "g5000" } };
	struct map *map = map_new(op, rules, 2);
	size_t group[N];

	for (int i = 0; i < N; i++)
		group[i] = map_add_group(map, op_printf(op, "g%d", i), op_printf(op, "cn=%d", i));
	for (int i = 1; i < N; i++)
		map_add_edge(map, group[i - 1], group[i]);
	map_close(map);
	cr_assert_str_eq(given(map, &group[N - 1], 1, NULL, 0), "top middle");
	cr_assert_str_eq(given(map, &group[4999], 1, NULL, 0), "top");

	map = map_new(op, rules, 2);
	for (int i = 0; i < N; i++)
		group[i] = map_add_group(map, op_printf(op, "g%d", i), op_printf(op, "cn=%d", i));
	for (int i = 0; i < N; i++)
		map_add_edge(map, group[i], group[(i + 1) % N]);
	map_close(map);
	cr_assert_str_eq(given(map, &group[17], 1, NULL, 0), "top middle");
}

Test(map, a_hundred_groups_deep_with_a_hundred_rules)
{
	struct map_rule rules[100];
	struct map *map;
	struct wanted_grant *grants;
	size_t groups[100], n;

	for (int i = 0; i < 100; i++)
		rules[i] = (struct map_rule){ .id = op_printf(op, "%d", i), .role_id = "R", .group_id = op_printf(op, "g%d", i) };
	map = map_new(op, rules, 100);
	for (int i = 0; i < 100; i++)
		groups[i] = map_add_group(map, op_printf(op, "g%d", i), op_printf(op, "cn=%d", i));
	for (int i = 99; i > 0; i--)
		map_add_edge(map, groups[i - 1], groups[i]);
	map_close(map);
	for (size_t i = 0; i < 100; i++) {
		map_person(map, op, &groups[i], 1, NULL, 0, &grants, &n);
		cr_assert_eq(n, i + 1);
	}
}

Test(map, patterns_stay_inside_one_component)
{
	cr_assert(map_pattern_matches("cn=site-*,ou=groups,dc=t", "cn=site-harbour,ou=groups,dc=t"));
	cr_assert(map_pattern_matches("cn=*,ou=groups,dc=t", "cn=,ou=groups,dc=t"));
	cr_assert(map_pattern_matches("cn=*-*-x,ou=*,dc=t", "cn=a-b-c-x,ou=q,dc=t"));
	cr_assert_not(map_pattern_matches("cn=site-*,ou=groups,dc=t", "cn=site-x,ou=sandbox,ou=groups,dc=t"));
	cr_assert_not(map_pattern_matches("cn=*,dc=t", "cn=a,ou=b,dc=t"));
	cr_assert_not(map_pattern_matches("cn=site-*", "cn=site-x,ou=groups,dc=t"));
	cr_assert_not(map_pattern_matches("cn=a*b,dc=t", "cn=axc,dc=t"));
	cr_assert_not(map_pattern_matches("", "cn=a"));
	cr_assert(map_pattern_matches("cn=a", "cn=a"));
	cr_assert_not(map_pattern_matches("cn=a", "cn=ab"));
	cr_assert_not(map_pattern_matches("cn=ab", "cn=a"));
}

Test(map, a_pattern_gives_its_role_to_every_group_it_matches)
{
	static const struct map_rule rules[] = { { .id = "phones", .role_id = "R", .group_pattern = "cn=phone-*,ou=groups,dc=t" } };
	struct map *map = map_new(op, rules, 1);
	size_t a = map_add_group(map, "1", "cn=phone-a,ou=groups,dc=t"), b = map_add_group(map, "2", "cn=phone-b,ou=sandbox,dc=t");

	map_close(map);
	cr_assert_str_eq(given(map, &a, 1, NULL, 0), "phones");
	cr_assert_str_eq(given(map, &b, 1, NULL, 0), "");
}

Test(map, two_groups_of_one_name_lend_nothing)
{
	static const struct map_rule rules[] = {
		{ .id = "dn", .role_id = "R", .group_dn_key = "cn=admins" }, { .id = "id", .role_id = "R", .group_id = "1" },
		{ .id = "pattern", .role_id = "R", .group_pattern = "cn=*" },
	};
	struct map *map = map_new(op, rules, countof(rules));
	size_t a = map_add_group(map, "1", "cn=admins"), b = map_add_group(map, "2", "cn=admins");

	cr_assert_eq(map_find_group_dn(map, "cn=admins"), MAP_NO_GROUP);
	cr_assert_eq(map_find_group(map, "2"), MAP_NO_GROUP);
	map_close(map);
	cr_assert_str_eq(given(map, &a, 1, NULL, 0), "");
	cr_assert_str_eq(given(map, &b, 1, NULL, 0), "");
}

Test(map, attributes_must_be_equal)
{
	static const struct map_rule rules[] = {
		{ .id = "stock", .role_id = "R", .attribute = "employeetype", .equals_key = "inventory" },
		{ .id = "nurse", .role_id = "R", .attribute = "title", .equals_key = "nurse" },
		{ .id = "nurse too", .role_id = "S", .attribute = "title", .equals_key = "nurse" },
		{ .id = "dn", .role_id = "R", .group_dn_key = "cn=a" },
	};
	struct map_value values[] = { { "title", "nurse" }, { "employeetype", "inventory2" }, { "title", "nurse " }, { "nurse", "title" } };
	struct map_value stock = { "employeetype", "inventory" };
	struct map *map = map_new(op, rules, countof(rules));

	map_close(map);
	cr_assert_str_eq(given(map, NULL, 0, values, countof(values)), "nurse nurse too");
	cr_assert_str_eq(given(map, NULL, 0, &stock, 1), "stock");
}

Test(map, many_groups_are_found_by_both_names)
{
	struct map *map = map_new(op, NULL, 0);

	for (int i = 0; i < 5000; i++)
		map_add_group(map, op_printf(op, "id%d", i), op_printf(op, "cn=%d", i));
	for (int i = 0; i < 5000; i++) {
		cr_assert_eq(map_find_group(map, op_printf(op, "id%d", i)), (size_t)i);
		cr_assert_eq(map_find_group_dn(map, op_printf(op, "cn=%d", i)), (size_t)i);
	}
	cr_assert_eq(map_find_group(map, "id5000"), MAP_NO_GROUP);
	map_close(map);
	cr_assert_str_eq(given(map, (size_t[]){ 4999 }, 1, NULL, 0), "");
}
