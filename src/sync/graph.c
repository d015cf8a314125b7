/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The groups of a run in memory, tied together by the edges between groups, so that policy/map.c can say what somebody holds.  Groups
 * are few (thousands); people are never all in memory.
 */
#include <string.h>

#include "sync_int.h"

struct load {
	const struct run *run;
	struct graph *graph;
};

static int
groups_body(struct op *op, void *arg)
{
	struct load *load = arg;

	return db_sync_group_list(op, load->run->row->number, &load->graph->groups, &load->graph->n);
}

/* Every group that is a member of a group. */
static int
edges_body(struct op *op, void *arg)
{
	struct load *load = arg;
	struct graph *graph = load->graph;
	int rc = 0;

	for (size_t i = 0; !rc && i < graph->n; i++) {
		unsigned char hash[SYNC_HASH_BYTES];
		int64_t *parents;
		size_t n;

		stage_hash(graph->groups[i].dn_key, hash);
		rc = db_sync_edge_parents(op, load->run->row->number, hash, &parents, &n);
		for (size_t j = 0; !rc && j < n; j++) {
			size_t parent = graph_group(graph, parents[j]);

			if (parent != MAP_NO_GROUP)
				map_add_edge(graph->map, parent, i);
		}
	}
	return rc;
}

int
graph_load(struct op *op, const struct run *run, struct graph **ret)
{
	struct graph *graph = op_alloc(op, sizeof(*graph));
	struct load load = { run, graph };
	struct op *chunk;
	int rc = db_read(op, groups_body, &load);

	if (rc)
		return rc;
	graph->map = map_new(op, run->rules->v, run->rules->n);
	for (size_t i = 0; i < graph->n; i++)
		if (graph->groups[i].seq > graph->seq_max)
			graph->seq_max = graph->groups[i].seq;
	graph->by_seq = op_alloc(op, ((size_t)graph->seq_max + 1) * sizeof(*graph->by_seq));
	for (int64_t i = 0; i <= graph->seq_max; i++)
		graph->by_seq[i] = MAP_NO_GROUP;
	for (size_t i = 0; i < graph->n; i++)
		graph->by_seq[graph->groups[i].seq] = map_add_group(graph->map, graph->groups[i].external_id, graph->groups[i].dn_key);
	chunk = chunk_begin(op);
	rc = chunk_end(op, chunk, db_read(chunk, edges_body, &load));
	map_close(graph->map);
	*ret = graph;
	return rc;
}

size_t
graph_group(const struct graph *graph, int64_t seq)
{
	return seq < 0 || seq > graph->seq_max ? MAP_NO_GROUP : graph->by_seq[seq];
}

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
