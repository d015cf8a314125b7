/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Groups and attributes to roles.  Each rule is one bit; the bits that apply to the members of a group flow down the edges
 * from parent to child until nothing changes, so that a person needs only the groups he is directly in.  Read map_close, then
 * map_person.
 */
#include "policy/map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct group {
	const char *external_id, *dn_key;
	bool is_ambiguous;              /* another group has the same DN or id: no rule names it */
	bool is_waiting;                /* in the work list of map_close */
	size_t first_edge, n_edges;     /* its children, once closed */
	uint64_t *bits;
};

struct edge { size_t parent, child; };

/* Open addressing; a slot holds the group's number plus one. */
struct index {
	uint32_t *slots;
	size_t size;
	size_t key_offset;              /* of the member of struct group that is the key */
};

struct map {
	struct op *op;
	const struct map_rule *rules;
	size_t n_rules, words;
	const struct map_rule **by_value;       /* attribute rules, sorted by attribute and value */
	size_t n_by_value;
	struct group *groups;
	size_t n_groups, group_room;
	struct edge *edges;
	size_t n_edges, edge_room;
	struct index by_id, by_dn;
	bool is_closed;
};

static void *
grow(struct op *op, void *old, size_t n, size_t *room, size_t size)
{
	void *more;

	if (n < *room)
		return old;
	*room = *room ? *room * 2 : 64;
	more = op_alloc(op, *room * size);
	if (n)
		memcpy(more, old, n * size);
	return more;
}

static uint64_t
hash_text(const char *text)
{
	uint64_t hash = 1469598103934665603u;   /* FNV-1a */

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211u;
	return hash ^ hash >> 29;
}

static const char *
index_key(const struct map *map, const struct index *index, size_t group)
{
	const char *key;

	memcpy(&key, (const char *)&map->groups[group] + index->key_offset, sizeof(key));
	return key;
}

static size_t
index_find(const struct map *map, const struct index *index, const char *key)
{
	if (!index->size)
		return MAP_NO_GROUP;
	for (size_t at = hash_text(key) & (index->size - 1);; at = (at + 1) & (index->size - 1)) {
		if (!index->slots[at])
			return MAP_NO_GROUP;
		if (strcmp(index_key(map, index, index->slots[at] - 1), key) == 0)
			return index->slots[at] - 1;
	}
}

static void
index_put(const struct map *map, struct index *index, size_t group)
{
	size_t at = hash_text(index_key(map, index, group)) & (index->size - 1);

	while (index->slots[at])
		at = (at + 1) & (index->size - 1);
	index->slots[at] = (uint32_t)(group + 1);
}

/* Room for one more at a load of at most a half; doubles stay out, the first of them is in. */
static void
index_grow(struct map *map, struct index *index)
{
	if (index->size >= 2 * (map->n_groups + 1))
		return;
	index->size = index->size ? index->size * 4 : 256;
	index->slots = op_alloc(map->op, index->size * sizeof(*index->slots));
	for (size_t i = 0; i < map->n_groups; i++)
		if (index_find(map, index, index_key(map, index, i)) == MAP_NO_GROUP)
			index_put(map, index, i);
}

static int
compare_value(const struct map_rule *rule, const char *name, const char *key)
{
	int order = strcmp(rule->attribute, name);

	return order ? order : strcmp(rule->equals_key, key);
}

static int
compare_rules(const void *a, const void *b)
{
	const struct map_rule *const *x = a, *const *y = b;

	return compare_value(*x, (*y)->attribute, (*y)->equals_key);
}

struct map *
map_new(struct op *op, const struct map_rule *rules, size_t n)
{
	struct map *map = op_alloc(op, sizeof(*map));

	map->op = op;
	map->rules = rules;
	map->n_rules = n;
	map->words = (n + 63) / 64;
	map->by_id.key_offset = offsetof(struct group, external_id);
	map->by_dn.key_offset = offsetof(struct group, dn_key);
	map->by_value = op_alloc(op, n * sizeof(const struct map_rule *));
	for (size_t i = 0; i < n; i++)
		if (rules[i].attribute && rules[i].equals_key)
			map->by_value[map->n_by_value++] = &rules[i];
	if (map->n_by_value)
		qsort(map->by_value, map->n_by_value, sizeof(const struct map_rule *), compare_rules);
	return map;
}

static void
put_or_mark(struct map *map, struct index *index, size_t group)
{
	size_t other = index_find(map, index, index_key(map, index, group));

	if (other == MAP_NO_GROUP) {
		index_put(map, index, group);
		return;
	}
	/* A name that two groups have must not lend the roles of one to the other. */
	map->groups[other].is_ambiguous = true;
	map->groups[group].is_ambiguous = true;
}

size_t
map_add_group(struct map *map, const char *external_id, const char *dn_key)
{
	size_t i = map->n_groups;

	assert(!map->is_closed);
	index_grow(map, &map->by_id);
	index_grow(map, &map->by_dn);
	map->groups = grow(map->op, map->groups, i, &map->group_room, sizeof(*map->groups));
	map->groups[i] = (struct group){ .external_id = op_strdup(map->op, external_id), .dn_key = op_strdup(map->op, dn_key) };
	put_or_mark(map, &map->by_id, i);
	put_or_mark(map, &map->by_dn, i);
	map->n_groups++;
	return i;
}

static size_t
find_sure(const struct map *map, const struct index *index, const char *key)
{
	size_t i = index_find(map, index, key);

	return i != MAP_NO_GROUP && map->groups[i].is_ambiguous ? MAP_NO_GROUP : i;
}

size_t
map_find_group(const struct map *map, const char *external_id)
{
	return find_sure(map, &map->by_id, external_id);
}

size_t
map_find_group_dn(const struct map *map, const char *dn_key)
{
	return find_sure(map, &map->by_dn, dn_key);
}

bool
map_has_group(const struct map *map, const char *external_id)
{
	return index_find(map, &map->by_id, external_id) != MAP_NO_GROUP;
}

void
map_add_edge(struct map *map, size_t parent, size_t child)
{
	assert(!map->is_closed && parent < map->n_groups && child < map->n_groups);
	map->edges = grow(map->op, map->edges, map->n_edges, &map->edge_room, sizeof(*map->edges));
	map->edges[map->n_edges++] = (struct edge){ parent, child };
}

bool
map_pattern_matches(const char *pattern, const char *dn_key)
{
	const char *star = NULL, *from = NULL;

	/* The usual walk back to the last star; a star never takes a comma, so it can be given up at one. */
	while (*dn_key) {
		if (*pattern == '*') {
			star = pattern++;
			from = dn_key;
		} else if (*pattern == *dn_key) {
			pattern++;
			dn_key++;
		} else if (star && *from != ',') {
			pattern = star + 1;
			dn_key = ++from;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

static void
set_bit(struct group *group, size_t rule)
{
	group->bits[rule / 64] |= (uint64_t)1 << rule % 64;
}

/* The bits that rules give a group by its own name. */
static void
name_groups(struct map *map, size_t rule)
{
	const struct map_rule *r = &map->rules[rule];
	size_t group = MAP_NO_GROUP;

	if (r->group_dn_key)
		group = map_find_group_dn(map, r->group_dn_key);
	else if (r->group_id)
		group = map_find_group(map, r->group_id);
	if (group != MAP_NO_GROUP)
		set_bit(&map->groups[group], rule);
	if (!r->group_pattern)
		return;
	for (size_t i = 0; i < map->n_groups; i++)
		if (!map->groups[i].is_ambiguous && map_pattern_matches(r->group_pattern, map->groups[i].dn_key))
			set_bit(&map->groups[i], rule);
}

static int
compare_edges(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	return x->parent < y->parent ? -1 : x->parent > y->parent;
}

static bool
flow_down(struct group *child, const struct group *parent, size_t words)
{
	bool has_changed = false;

	for (size_t w = 0; w < words; w++) {
		uint64_t before = child->bits[w];

		child->bits[w] |= parent->bits[w];
		has_changed |= child->bits[w] != before;
	}
	return has_changed;
}

/*
 * Bits only ever appear, so this ends, cycle or not: a group is looked at again only when it got a new bit.
 */
static void
flow_all(struct map *map)
{
	size_t *ring = op_alloc(map->op, (map->n_groups + 1) * sizeof(*ring));
	size_t head = 0, n = map->n_groups;

	for (size_t i = 0; i < n; i++) {
		ring[i] = i;
		map->groups[i].is_waiting = true;
	}
	while (n > 0) {
		struct group *parent = &map->groups[ring[head]];

		head = (head + 1) % map->n_groups;
		n--;
		parent->is_waiting = false;
		for (size_t e = parent->first_edge; e < parent->first_edge + parent->n_edges; e++) {
			struct group *child = &map->groups[map->edges[e].child];

			if (!flow_down(child, parent, map->words) || child->is_waiting)
				continue;
			child->is_waiting = true;
			ring[(head + n++) % map->n_groups] = map->edges[e].child;
		}
	}
}

void
map_close(struct map *map)
{
	uint64_t *bits = op_alloc(map->op, map->n_groups * map->words * sizeof(*bits));

	assert(!map->is_closed);
	map->is_closed = true;
	if (map->n_edges)
		qsort(map->edges, map->n_edges, sizeof(*map->edges), compare_edges);
	for (size_t e = 0; e < map->n_edges; e++) {
		struct group *parent = &map->groups[map->edges[e].parent];

		if (!parent->n_edges++)
			parent->first_edge = e;
	}
	for (size_t i = 0; i < map->n_groups; i++)
		map->groups[i].bits = bits + i * map->words;
	for (size_t rule = 0; rule < map->n_rules; rule++)
		name_groups(map, rule);
	flow_all(map);
}

/* Index of the first attribute rule not below (name, key). */
static size_t
first_value_rule(const struct map *map, const struct map_value *value)
{
	size_t low = 0, high = map->n_by_value;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_value(map->by_value[middle], value->name, value->key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
add_value_rules(const struct map *map, const struct map_value *value, uint64_t *bits)
{
	for (size_t i = first_value_rule(map, value); i < map->n_by_value; i++) {
		size_t rule = (size_t)(map->by_value[i] - map->rules);

		if (compare_value(map->by_value[i], value->name, value->key) != 0)
			return;
		bits[rule / 64] |= (uint64_t)1 << rule % 64;
	}
}

void
map_person(const struct map *map, struct op *op, const size_t *groups, size_t n_groups, const struct map_value *values, size_t n_values,
    struct wanted_grant **ret, size_t *ret_n)
{
	uint64_t *bits = op_alloc(op, map->words * sizeof(*bits));
	size_t n = 0;

	assert(map->is_closed);
	for (size_t i = 0; i < n_groups; i++)
		for (size_t w = 0; w < map->words; w++)
			bits[w] |= map->groups[groups[i]].bits[w];
	for (size_t i = 0; i < n_values; i++)
		add_value_rules(map, &values[i], bits);
	for (size_t w = 0; w < map->words; w++)
		n += (size_t)__builtin_popcountll(bits[w]);
	*ret = op_alloc(op, n * sizeof(**ret));
	*ret_n = 0;
	for (size_t w = 0; w < map->words; w++) {
		for (uint64_t rest = bits[w]; rest; rest &= rest - 1) {
			const struct map_rule *rule = &map->rules[w * 64 + (size_t)__builtin_ctzll(rest)];

			(*ret)[(*ret_n)++] = (struct wanted_grant){ rule->role_id, rule->location_id, rule->id, rule->version };
		}
	}
}
