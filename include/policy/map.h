/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Mapping: which roles a person holds because of groups and attributes.  Pure: facts in, wanted grants out.
 *
 *     struct map *map = map_new(op, rules, n_rules);
 *     a = map_add_group(map, external_id, dn_key);  ...               every group of the directory
 *     map_add_edge(map, parent, child);             ...               every group that is a member of a group
 *     map_close(map);                                                 rules of a group reach everybody below it; cycles are fine
 *     map_person(map, op, groups, n_groups, values, n_values, &grants, &n);     any number of times
 *
 * Made for 100,000 people in 1,000 groups: the rules that apply to the members of a group are one bitmap, computed once; a person
 * costs one "or" for each group that he is directly in.
 */
#ifndef KW_POLICY_MAP_H
#define KW_POLICY_MAP_H

#include "base/op.h"

/* A role that a rule gives. */
struct wanted_grant {
	const char *role_id, *location_id;              /* NULL: everywhere */
	const char *rule_id;
	int64_t rule_version;
};

/* One rule; exactly one of group_dn_key, group_id, group_pattern, attribute is set.  Strings stay the caller's as long as the map. */
struct map_rule {
	const char *id;
	int64_t version;
	const char *role_id, *location_id;              /* location NULL: everywhere */
	const char *group_dn_key;                       /* normalised DN, equal letter by letter */
	const char *group_id;                           /* lower-case UUID */
	const char *group_pattern;                      /* normalised; * stands for any characters but the comma */
	const char *attribute, *equals_key;             /* name in lower case; folded value */
};

/* A value of the person that attribute rules look at: name in lower case, value folded (text_fold). */
struct map_value { const char *name, *key; };

struct map;

/* Belongs to the op. */
struct map *map_new(struct op *op, const struct map_rule *rules, size_t n);
/*
 * Numbers groups from 0.  Two groups with one dn_key or one external_id are ambiguous (no sound directory has them): rules
 * then name neither, and neither is found.
 */
size_t map_add_group(struct map *map, const char *external_id, const char *dn_key);
#define MAP_NO_GROUP ((size_t)-1)
size_t map_find_group(const struct map *map, const char *external_id);
size_t map_find_group_dn(const struct map *map, const char *dn_key);
/* True when a group with that id was added, ambiguous or not. */
bool map_has_group(const struct map *map, const char *external_id);
/* Everybody in child is also in parent. */
void map_add_edge(struct map *map, size_t parent, size_t child);
/* Computes the closure; no group or edge may be added afterwards. */
void map_close(struct map *map);

/* Wanted grants of a person who is directly in these groups, in the order of the rules; *ret belongs to the op. */
void map_person(const struct map *map, struct op *op, const size_t *groups, size_t n_groups, const struct map_value *values, size_t n_values,
    struct wanted_grant **ret, size_t *ret_n);

/* True when the whole dn_key matches the pattern. */
bool map_pattern_matches(const char *pattern, const char *dn_key);

#endif
