/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Writes a plan: first the groups, then the people in the plan's order, in chunks, through the same functions of people/ that a sign-in
 * uses.  applied_seq moves on in the transaction of the chunk, so that a run that was killed goes on behind its last chunk.
 * Read apply_run, then people_body.
 */
#include <stdlib.h>
#include <string.h>

#include "base/uuid.h"
#include "store/group.h"
#include "store/user.h"
#include "sync_int.h"

#define ROWS_MAX 400                   /* plan rows of a page */
#define ANALYZE_FIRST 400
#define GROUP_ROWS 100

struct apply {
	struct run *run;
	struct graph *graph;
	const char **group_ids;                 /* by number in the graph */
	struct change_source source;
	int64_t analyze_at;                     /* plan row after which the engine looks at its tables anew */
	bool is_done;
};

/* ---- groups ---- */

struct groups {
	struct apply *apply;
	struct group *known, *put;              /* known: ordered by external id */
	size_t n_known, n_put;
	const char **ended;
	size_t n_ended;
	struct membership *edges, *joins;       /* edges: known ones between groups */
	size_t n_edges, n_joins;
	const char **leaves;
	size_t n_leaves;
};

static int
load_groups_body(struct op *op, void *arg)
{
	struct groups *groups = arg;
	int rc = db_group_list(op, groups->apply->run->directory_id, &groups->known, &groups->n_known);

	return rc ? rc : db_membership_list_groups(op, groups->apply->run->directory_id, &groups->edges, &groups->n_edges);
}

static bool
is_same_group(const struct group *known, const struct sync_group *staged)
{
	return !known->is_ended && !strcmp(known->dn, staged->dn) && !strcmp(known->dn_key, staged->dn_key) &&
	    !strcmp(known->name, staged->name);
}

/* A merge by external id: which rows to put, which to end; ids of all staged groups. */
static void
compare_groups(struct op *op, struct groups *groups)
{
	struct apply *apply = groups->apply;
	const struct graph *graph = apply->graph;
	size_t known = 0;

	groups->put = op_alloc(op, graph->n * sizeof(*groups->put));
	groups->ended = op_alloc(op, groups->n_known * sizeof(*groups->ended));
	for (size_t i = 0; i < graph->n; i++) {
		const struct sync_group *staged = &graph->groups[i];
		int order = -1;

		while (known < groups->n_known && (order = strcmp(groups->known[known].external_id, staged->external_id)) < 0) {
			if (!groups->known[known].is_ended)
				groups->ended[groups->n_ended++] = groups->known[known].id;
			known++;
		}
		if (known < groups->n_known && !order) {
			apply->group_ids[i] = groups->known[known].id;
			if (is_same_group(&groups->known[known++], staged))
				continue;
		} else {
			char *id = op_alloc(op, UUID_TEXT_BYTES);

			uuid_new(id, op->now_ms);
			apply->group_ids[i] = id;
		}
		groups->put[groups->n_put++] = (struct group){
			.id = apply->group_ids[i], .directory_id = apply->run->directory_id, .external_id = staged->external_id,
			.dn = staged->dn, .dn_key = staged->dn_key, .name = staged->name,
		};
	}
	for (; known < groups->n_known; known++)
		if (!groups->known[known].is_ended)
			groups->ended[groups->n_ended++] = groups->known[known].id;
}

static int
by_edge(const void *a, const void *b)
{
	const struct membership *x = a, *y = b;
	int order = strcmp(x->group_id, y->group_id);

	return order ? order : strcmp(x->member_id, y->member_id);
}

/* Edges between staged groups, with the ids of their rows; each once. */
static struct membership *
wanted_edges(struct op *op, const struct apply *apply, size_t *ret_n)
{
	const struct graph *graph = apply->graph;
	struct membership *wanted = op_alloc(op, graph->n_nested * sizeof(*wanted));
	size_t n = 0;

	for (size_t i = 0; i < graph->n_nested; i++)
		wanted[i] = (struct membership){
			.group_id = apply->group_ids[graph->nested[i][0]], .member_kind = "group",
			.member_id = apply->group_ids[graph->nested[i][1]],
			.source_kind = apply->source.kind, .source_id = apply->source.id,
		};
	if (graph->n_nested)
		qsort(wanted, graph->n_nested, sizeof(*wanted), by_edge);
	for (size_t i = 0; i < graph->n_nested; i++)
		if (!i || by_edge(&wanted[i], &wanted[i - 1]))
			wanted[n++] = wanted[i];
	*ret_n = n;
	return wanted;
}

static void
compare_edges(struct op *op, struct groups *groups)
{
	size_t n, known = 0;
	struct membership *wanted = wanted_edges(op, groups->apply, &n);

	groups->joins = op_alloc(op, n * sizeof(*groups->joins));
	groups->leaves = op_alloc(op, groups->n_edges * sizeof(*groups->leaves));
	if (groups->n_edges)
		qsort(groups->edges, groups->n_edges, sizeof(*groups->edges), by_edge);
	for (size_t i = 0; i < n; i++) {
		int order = -1;

		while (known < groups->n_edges && (order = by_edge(&groups->edges[known], &wanted[i])) < 0)
			groups->leaves[groups->n_leaves++] = groups->edges[known++].id;
		if (known < groups->n_edges && !order)
			known++;
		else
			groups->joins[groups->n_joins++] = wanted[i];
	}
	while (known < groups->n_edges)
		groups->leaves[groups->n_leaves++] = groups->edges[known++].id;
}

static size_t
slice(size_t n)
{
	return n < GROUP_ROWS ? n : GROUP_ROWS;
}

static int
write_groups_body(struct op *op, void *arg)
{
	struct groups *groups = arg;
	int rc = db_group_put(op, groups->put, slice(groups->n_put));

	if (!rc)
		rc = db_membership_add(op, groups->joins, slice(groups->n_joins));
	if (!rc)
		rc = db_membership_end(op, groups->leaves, slice(groups->n_leaves));
	return rc ? rc : db_group_end(op, groups->ended, slice(groups->n_ended));
}

#define ADVANCE(list, n) \
	do { \
		size_t done = slice(n); \
		(list) += done; \
		(n) -= done; \
	} while (0)

/* Nothing of this is in the plan's rows: it is compared anew whenever a run goes on, and what is as it should be is not written. */
static int
apply_groups(struct op *op, struct apply *apply)
{
	struct groups groups = { .apply = apply };
	int rc = db_read(op, load_groups_body, &groups);

	if (rc)
		return rc;
	apply->group_ids = op_alloc(op, apply->graph->n * sizeof(*apply->group_ids));
	compare_groups(op, &groups);
	compare_edges(op, &groups);
	while (!rc && (groups.n_put || groups.n_joins || groups.n_leaves || groups.n_ended)) {
		struct op *chunk = chunk_begin(op);

		/* edges need their groups: all groups first */
		if (groups.n_put > GROUP_ROWS) {
			struct groups first = { .apply = apply, .put = groups.put, .n_put = groups.n_put };

			rc = chunk_end(op, chunk, db_run(chunk, write_groups_body, &first));
			ADVANCE(groups.put, groups.n_put);
			continue;
		}
		rc = chunk_end(op, chunk, db_run(chunk, write_groups_body, &groups));
		ADVANCE(groups.put, groups.n_put);
		ADVANCE(groups.joins, groups.n_joins);
		ADVANCE(groups.leaves, groups.n_leaves);
		ADVANCE(groups.ended, groups.n_ended);
	}
	return rc;
}

/* ---- people ---- */

/* The people of some plan rows, each once. */
struct people {
	struct apply *apply;
	struct sync_plan_row *rows;
	size_t n_rows;
	int64_t last_seq;                       /* of the page */
	int64_t *seqs;                          /* aligned: the last row of each */
	int64_t done_seq;                       /* where the writing has come to */
	const char **external_ids;
	const char **user_ids;                  /* of the plan; NULL where a new account is made */
	size_t n;
	struct sync_entry **entries;            /* aligned; NULL: gone */
	struct user **users;                    /* aligned; as known now */
	struct membership *edges;               /* known ones of them, ordered by member */
	size_t n_edges;
	size_t **groups;                        /* aligned: numbers of the groups they are directly in */
	size_t *n_groups;
	struct user_change *changes;
	size_t n_changes;
	size_t *places;                         /* of each change among the people */
	const char **gone;
	size_t *gone_places;
	size_t n_gone;
};

/* A person's rows lie together: one who may go on behind the page is left to the next. */
static bool
cut_page(struct people *people, size_t limit)
{
	const char *last;

	if (people->n_rows < limit)
		return true;
	last = people->rows[people->n_rows - 1].external_id;
	while (people->n_rows && !strcmp(people->rows[people->n_rows - 1].external_id, last))
		people->n_rows--;
	return people->n_rows > 0;
}

static int
load_rows(struct op *op, struct people *people)
{
	size_t limit = ROWS_MAX;
	const struct sync_run_row *row = people->apply->run->row;
	int rc;

	do {
		rc = db_sync_plan_page(op, row->id, row->applied_seq, limit, &people->rows, &people->n_rows);
		if (rc || cut_page(people, limit))
			break;
		limit *= 2;     /* one person with more rows than a page holds */
	} while (true);
	return rc;
}

static int
by_member(const void *a, const void *b)
{
	return strcmp(((const struct membership *)a)->member_id, ((const struct membership *)b)->member_id);
}

static int
load_body(struct op *op, void *arg)
{
	struct people *people = arg;
	const struct run *run = people->apply->run;
	const char **known;
	size_t n_known = 0;
	int rc = load_rows(op, people);

	if (rc || !people->n_rows)
		return rc;
	people->external_ids = op_alloc(op, people->n_rows * sizeof(*people->external_ids));
	people->seqs = op_alloc(op, people->n_rows * sizeof(*people->seqs));
	people->n = 0;
	for (size_t i = 0; i < people->n_rows; i++) {
		const struct sync_plan_row *row = &people->rows[i];

		people->last_seq = row->seq;
		if (strcmp(row->action, "skip") && (!people->n || strcmp(people->external_ids[people->n - 1], row->external_id)))
			people->external_ids[people->n++] = row->external_id;
		if (people->n)
			people->seqs[people->n - 1] = row->seq;
	}
	rc = db_sync_entry_find(op, run->row->number, people->external_ids, people->n, &people->entries);
	if (!rc)
		rc = db_user_find_many(op, run->directory_id, people->external_ids, people->n, &people->users);
	people->groups = op_alloc(op, people->n * sizeof(*people->groups));
	people->n_groups = op_alloc(op, people->n * sizeof(*people->n_groups));
	known = op_alloc(op, people->n * sizeof(*known));
	for (size_t i = 0; !rc && i < people->n; i++)
		if (people->users[i])
			known[n_known++] = people->users[i]->id;
	if (!rc)
		rc = db_membership_list_users(op, known, n_known, &people->edges, &people->n_edges);
	if (!rc && people->n_edges)
		qsort(people->edges, people->n_edges, sizeof(*people->edges), by_member);
	return rc;
}

/* What each of them becomes; who changed after this run began to read (a sign-in read him later) is left to the next run. */
static int
make_changes(struct op *op, struct people *people)
{
	const struct apply *apply = people->apply;
	const struct graph *graph = apply->graph;
	int rc = 0;

	people->changes = op_alloc(op, people->n * sizeof(*people->changes));
	people->places = op_alloc(op, people->n * sizeof(*people->places));
	people->gone = op_alloc(op, people->n * sizeof(*people->gone));
	people->gone_places = op_alloc(op, people->n * sizeof(*people->gone_places));
	for (size_t i = 0; !rc && i < people->n; i++) {
		struct user_change *change = &people->changes[people->n_changes];
		struct wanted_grant *wanted;

		if (people->users[i] && people->users[i]->changed_ms > apply->run->row->started_ms)
			continue;
		if (!people->entries[i]) {
			if (people->users[i]) {
				people->gone_places[people->n_gone] = i;
				people->gone[people->n_gone++] = people->users[i]->id;
			}
			continue;
		}
		person_from_entry(apply->run, people->entries[i], &change->person);
		/* the plan's order: whole parts one after the other */
		rc = graph_load_part(op, apply->graph, graph_part(graph, people->entries[i]->dn_hash));
		if (rc)
			break;
		graph_groups(op, graph, people->entries[i]->dn_hash, &people->groups[i], &people->n_groups[i]);
		rc = graph_grants(op, graph, people->entries[i], people->groups[i], people->n_groups[i], &wanted, &change->n_grants);
		change->grants = wanted;
		people->places[people->n_changes++] = i;
	}
	return rc;
}

/* The known memberships of one person. */
static size_t
edges_of(const struct people *people, const char *user_id, const struct membership **ret)
{
	size_t low = 0, high = people->n_edges, end;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(people->edges[middle].member_id, user_id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < people->n_edges && !strcmp(people->edges[end].member_id, user_id); end++)
		;
	*ret = people->edges + low;
	return end - low;
}

static void
compare_membership(struct people *people, size_t change, struct membership *joins, size_t *n_joins, const char **leaves, size_t *n_leaves)
{
	const struct apply *apply = people->apply;
	const char *user_id = people->changes[change].user_id;
	size_t place = people->places[change], n = people->n_groups[place], i, j;
	const size_t *groups = people->groups[place];
	const struct membership *held;
	size_t n_held = edges_of(people, user_id, &held);

	for (i = 0; i < n_held; i++) {
		for (j = 0; j < n && strcmp(apply->group_ids[groups[j]], held[i].group_id); j++)
			;
		if (j == n)
			leaves[(*n_leaves)++] = held[i].id;
	}
	for (j = 0; j < n; j++) {
		for (i = 0; i < n_held && strcmp(held[i].group_id, apply->group_ids[groups[j]]); i++)
			;
		if (i == n_held)
			joins[(*n_joins)++] = (struct membership){
				.group_id = apply->group_ids[groups[j]], .member_kind = "user", .member_id = user_id,
				.source_kind = apply->source.kind, .source_id = apply->source.id,
			};
	}
}

static int
write_memberships(struct op *op, struct people *people, size_t from, size_t to)
{
	struct membership *joins;
	const char **leaves;
	size_t n_joins = 0, n_leaves = 0, n = 0;
	int rc;

	for (size_t i = from; i < to; i++)
		n += people->n_groups[people->places[i]];
	joins = op_alloc(op, n * sizeof(*joins));
	leaves = op_alloc(op, people->n_edges * sizeof(*leaves));
	for (size_t i = from; i < to; i++)
		if (people->changes[i].user_id)
			compare_membership(people, i, joins, &n_joins, leaves, &n_leaves);
	rc = db_membership_end(op, leaves, n_leaves);
	return rc ? rc : db_membership_add(op, joins, n_joins);
}

/* The people from place `from` to before place `to`. */
static int
write_slice(struct op *op, struct people *people, size_t to, size_t *change, size_t *gone)
{
	size_t changes = *change, n_gone = *gone;
	int rc;

	while (changes < people->n_changes && people->places[changes] < to)
		changes++;
	while (n_gone < people->n_gone && people->gone_places[n_gone] < to)
		n_gone++;
	rc = users_change(op, people->changes + *change, changes - *change, &people->apply->source);
	if (!rc)
		rc = users_gone(op, people->gone + *gone, n_gone - *gone, "gone", &people->apply->source);
	if (!rc)
		rc = write_memberships(op, people, *change, changes);
	*change = changes;
	*gone = n_gone;
	return rc;
}

static int
people_body(struct op *op, void *arg)
{
	struct people *people = arg;
	struct sync_run_row row = *people->apply->run->row;
	/* a person is some four rows */
	size_t to = 0, change = 0, gone = 0, slice = pace_slice(op) / 4;
	struct pace pace;
	int rc = 0;

	pace_begin(&pace);
	while (!rc && to < people->n && (!to || pace_may_go_on(op, &pace))) {
		to = people->n - to < slice ? people->n : to + slice;
		rc = write_slice(op, people, to, &change, &gone);
	}
	people->done_seq = row.applied_seq = to == people->n ? people->last_seq : people->seqs[to - 1];
	return rc ? rc : db_sync_run_write(op, &row, row.state);
}

static int
apply_page(struct op *op, struct apply *apply)
{
	struct op *chunk = chunk_begin(op);
	struct people people = { .apply = apply };
	int rc = db_read(chunk, load_body, &people);

	apply->is_done = !people.n_rows;
	if (!rc && people.n_rows) {
		rc = make_changes(chunk, &people);
		if (!rc)
			rc = db_run(chunk, people_body, &people);
		if (!rc)
			apply->run->row->applied_seq = people.done_seq;
		/* each time that what this run has written has doubled */
		if (!rc && people.done_seq >= apply->analyze_at) {
			run_analyze(chunk, apply->run);
			apply->analyze_at = 2 * people.done_seq;
		}
	}
	return chunk_end(op, chunk, rc);
}

int
apply_run(struct op *op, struct run *run)
{
	struct apply apply = { .run = run, .analyze_at = ANALYZE_FIRST, .source = { "sync", run->row->id, run->row->started_ms } };
	struct op *own = chunk_begin(op);
	int rc = graph_load(own, run, &apply.graph);

	if (!rc)
		rc = apply_groups(own, &apply);
	while (!rc && !apply.is_done)
		rc = apply_page(own, &apply);
	return chunk_end(op, own, rc);
}
