/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The groups of a run in memory, tied together by the edges between groups, so that policy/map.c can say what somebody holds; and who
 * is directly in which group, for one part of the people at a time: a directory with more memberships than LINKS_MAX is worked through
 * in parts, chosen by the hash of the DN.  So memory grows with the number of groups alone.
 */
#include <stdlib.h>
#include <string.h>

#include "sync_int.h"

#define LINKS_MAX 600000                /* 12 MB */
#define BUCKETS 65536                   /* of links: nine each when there are that many */

struct link {
	unsigned char hash[SYNC_HASH_BYTES];
	uint32_t group;                 /* number */
};

static int
groups_body(struct op *op, void *arg)
{
	struct graph *graph = arg;

	return db_sync_group_list(op, graph->run->row->number, &graph->groups, &graph->n);
}

static int
by_hash(const void *a, const void *b)
{
	const struct link *x = a, *y = b;
	int order = memcmp(x->hash, y->hash, SYNC_HASH_BYTES);

	return order ? order : (x->group > y->group) - (x->group < y->group);
}

/* First link that is not before the hash. */
static size_t
find_hash(const struct link *links, size_t n, const unsigned char *hash)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(links[middle].hash, hash, SYNC_HASH_BYTES) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* ---- edges between groups ---- */

struct nesting {
	struct op *op;
	struct graph *graph;
	struct link *names;             /* the groups by the hash of their own DN */
	size_t room;
};

static void
visit_nested(void *arg, int64_t seq, const unsigned char *members, size_t n)
{
	struct nesting *nesting = arg;
	struct graph *graph = nesting->graph;

	for (size_t i = 0; i < n; i++, members += SYNC_HASH_BYTES) {
		size_t at = find_hash(nesting->names, graph->n, members);

		for (; at < graph->n && !memcmp(nesting->names[at].hash, members, SYNC_HASH_BYTES); at++) {
			if (graph->n_nested == nesting->room) {
				size_t (*more)[2] = op_alloc(nesting->op, (nesting->room * 2 + 64) * sizeof(*more));

				if (graph->n_nested)
					memcpy(more, graph->nested, graph->n_nested * sizeof(*more));
				graph->nested = more;
				nesting->room = nesting->room * 2 + 64;
			}
			graph->nested[graph->n_nested][0] = graph->by_seq[seq];
			graph->nested[graph->n_nested++][1] = nesting->names[at].group;
		}
	}
}

static int
nested_body(struct op *op, void *arg)
{
	struct nesting *nesting = arg;

	nesting->graph->n_nested = 0;
	return db_sync_group_members(op, nesting->graph->run->row->number, visit_nested, nesting);
}

static int
load_nested(struct op *op, struct graph *graph)
{
	struct nesting nesting = { .op = op, .graph = graph, .names = op_alloc(op, graph->n * sizeof(*nesting.names)) };
	struct op *chunk;
	int rc;

	for (size_t i = 0; i < graph->n; i++) {
		stage_hash(graph->groups[i].dn_key, nesting.names[i].hash);
		nesting.names[i].group = (uint32_t)i;
	}
	if (graph->n)
		qsort(nesting.names, graph->n, sizeof(*nesting.names), by_hash);
	chunk = chunk_begin(op);
	rc = chunk_end(op, chunk, db_read(chunk, nested_body, &nesting));
	for (size_t i = 0; !rc && i < graph->n_nested; i++)
		map_add_edge(graph->map, graph->nested[i][0], graph->nested[i][1]);
	return rc;
}

static void
free_arena(void *arena)
{
	arena_free(arena);
}

int
graph_load(struct op *op, const struct run *run, struct graph **ret)
{
	struct graph *graph = op_alloc(op, sizeof(*graph));
	int64_t members = 0;
	int rc;

	graph->run = run;
	rc = db_read(op, groups_body, graph);
	if (rc)
		return rc;
	graph->map = map_new(op, run->rules->v, run->rules->n);
	for (size_t i = 0; i < graph->n; i++) {
		members += graph->groups[i].n_members;
		if (graph->groups[i].seq > graph->seq_max)
			graph->seq_max = graph->groups[i].seq;
	}
	graph->by_seq = op_alloc(op, ((size_t)graph->seq_max + 1) * sizeof(*graph->by_seq));
	for (size_t i = 0; i < graph->n; i++)
		graph->by_seq[graph->groups[i].seq] = map_add_group(graph->map, graph->groups[i].external_id, graph->groups[i].dn_key);
	rc = load_nested(op, graph);
	map_close(graph->map);
	graph->n_parts = (unsigned)(members / (run->links_max ? run->links_max : LINKS_MAX)) + 1;
	graph->part = graph->n_parts;   /* none */
	graph->link_mem = arena_new();
	arena_on_free(op->mem, free_arena, graph->link_mem);
	*ret = graph;
	return rc;
}

/* ---- who is in which group ---- */

unsigned
graph_part(const struct graph *graph, const unsigned char hash[static SYNC_HASH_BYTES])
{
	uint32_t head = (uint32_t)hash[0] << 24 | (uint32_t)hash[1] << 16 | (uint32_t)hash[2] << 8 | hash[3];

	return head % graph->n_parts;
}

static size_t
bucket_of(const unsigned char *hash)
{
	return (size_t)hash[4] << 8 | hash[5];
}

static void
visit_count(void *arg, int64_t seq, const unsigned char *members, size_t n)
{
	struct graph *graph = arg;

	(void)seq;
	for (size_t i = 0; i < n; i++, members += SYNC_HASH_BYTES)
		if (graph_part(graph, members) == graph->part)
			graph->ends[bucket_of(members)]++;
}

static void
visit_link(void *arg, int64_t seq, const unsigned char *members, size_t n)
{
	struct graph *graph = arg;

	for (size_t i = 0; i < n; i++, members += SYNC_HASH_BYTES) {
		struct link *link;

		if (graph_part(graph, members) != graph->part)
			continue;
		link = &graph->links[graph->ends[bucket_of(members)]++];
		memcpy(link->hash, members, SYNC_HASH_BYTES);
		link->group = (uint32_t)graph->by_seq[seq];
	}
}

/* Counts, makes room for each bucket behind the one before it, and fills the buckets: ends[i] goes from a bucket's start to its end. */
static int
links_body(struct op *op, void *arg)
{
	struct graph *graph = arg;
	size_t n = 0;
	int rc;

	arena_reset(graph->link_mem);
	graph->ends = arena_alloc(graph->link_mem, BUCKETS * sizeof(*graph->ends));
	rc = db_sync_group_members(op, graph->run->row->number, visit_count, graph);
	if (rc)
		return rc;
	for (size_t i = 0; i < BUCKETS; i++) {
		size_t start = n;

		n += graph->ends[i];
		graph->ends[i] = (uint32_t)start;
	}
	graph->links = arena_alloc(graph->link_mem, n * sizeof(*graph->links));
	return db_sync_group_members(op, graph->run->row->number, visit_link, graph);
}

int
graph_load_part(struct op *op, struct graph *graph, unsigned part)
{
	struct op *chunk;

	if (part == graph->part)
		return 0;
	graph->part = part;
	chunk = chunk_begin(op);
	return chunk_end(op, chunk, db_read(chunk, links_body, graph));
}

/* Puts a number into its place among n; one that a group names twice is in it once. */
static size_t
insert_group(size_t *groups, size_t n, size_t group)
{
	size_t at = n;

	while (at && groups[at - 1] > group)
		at--;
	if (at && groups[at - 1] == group)
		return n;
	memmove(groups + at + 1, groups + at, (n - at) * sizeof(*groups));
	groups[at] = group;
	return n + 1;
}

void
graph_groups(struct op *op, const struct graph *graph, const unsigned char hash[static SYNC_HASH_BYTES], size_t **ret, size_t *ret_n)
{
	size_t bucket = bucket_of(hash), first = bucket ? graph->ends[bucket - 1] : 0, end = graph->ends[bucket], n = 0;

	for (size_t i = first; i < end; i++)
		n += !memcmp(graph->links[i].hash, hash, SYNC_HASH_BYTES);
	*ret = op_alloc(op, n * sizeof(**ret));
	*ret_n = 0;
	for (size_t i = first; i < end; i++)
		if (!memcmp(graph->links[i].hash, hash, SYNC_HASH_BYTES))
			*ret_n = insert_group(*ret, *ret_n, graph->links[i].group);
}

/* ---- a person ---- */

int
graph_grants(struct op *op, const struct graph *graph, const struct sync_entry *entry, const size_t *groups, size_t n,
    struct wanted_grant **ret, size_t *ret_n)
{
	struct map_value *values;
	size_t n_values;
	int rc = stage_facts_read(op, entry->facts, &values, &n_values);

	if (!rc)
		map_person(graph->map, op, groups, n, values, n_values, ret, ret_n);
	return rc;
}

void
person_from_entry(const struct run *run, const struct sync_entry *entry, struct person *ret)
{
	*ret = (struct person){
		.directory_id = run->directory_id, .external_id = entry->external_id,
		.login = entry->login, .display_name = entry->display_name, .mail = entry->mail, .attributes = entry->attributes,
		.is_active = entry->is_active, .reason = entry->reason, .until = entry->until_ms,
	};
	memcpy(ret->digest, entry->digest, sizeof(ret->digest));
}
