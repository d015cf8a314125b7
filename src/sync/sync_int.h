/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One run on its way through the steps: stage.c reads, plan.c compares, guard.c counts, apply.c writes, run.c leads.
 *
 * A run may take minutes and see any number of people: what a step allocates lives in an op of its own for each chunk
 * (chunk_begin, chunk_end), and writers are held for a few milliseconds at a time (struct pace).
 */
#ifndef KW_SYNC_SYNC_INT_H
#define KW_SYNC_SYNC_INT_H

#include "crypt/hash.h"
#include "store/sync.h"
#include "sync/source.h"
#include "sync/sync.h"

struct run {
	struct sync_run_row *row;
	const struct catalog_directory *directory;      /* NULL in tests that need none */
	const char *directory_id;
	const struct source_rules *rules;
	struct sync_counts counts;
	int64_t outside_groups;                         /* of the groups read: primary groups that lie elsewhere */
	int64_t links_max;                              /* memberships held in memory; 0: the preset of graph.c */
	int64_t touched_ms;                             /* monotonic: when its row was last written */
};

/* For /metrics: a run ended (done, failed) or was frozen; what a run that is done has changed.  directory NULL: "other". */
void measure_run(struct op *op, const struct catalog_directory *directory, const char *result);
void measure_changes(const struct run *run);

/* An op for one chunk, in the name of op's caller.  chunk_end hands its failure up and returns rc. */
struct op *chunk_begin(struct op *op);
int chunk_end(struct op *op, struct op *chunk, int rc) MUST_CHECK;

/*
 * Says every two seconds that the run is being worked on, and how far it is: a run whose row nobody touches for RUN_STALE_MS is
 * given up by the timer, and a worker that comes back to it then gets ERR_CONFLICT.
 */
int run_touch(struct op *op, struct run *run) MUST_CHECK;
#define RUN_STALE_MS 600000

/*
 * How long a transaction of ours goes on: a few milliseconds once somebody else wants to write, longer while nobody does (each
 * transaction writes every page that it touched, so a few large ones cost a third of many small ones).
 *
 *     in the body: pace_begin(&pace);  while (there is more && pace_may_go_on(op, &pace)) write a slice;
 */
struct pace {
	int64_t began_ms;
};
/* Rows of one slice: a millisecond or two where writers wait for each other, else worth a journey to the server. */
size_t pace_slice(const struct op *op);
void pace_begin(struct pace *pace);
bool pace_may_go_on(struct op *op, const struct pace *pace);

/* Lets the engine look at what has been written; a failure is logged and costs nothing but speed. */
void run_analyze(struct op *op, const struct run *run);

/* Counts as canonical JSON and back. */
char *counts_write(struct op *op, const struct sync_counts *counts);
int counts_read(struct op *op, const char *text, struct sync_counts *ret) MUST_CHECK;

/* ---- stage.c ---- */

/* Where the reader puts what it finds; belongs to the op. */
struct stage;
int stage_begin(struct op *op, struct run *run, struct stage **ret) MUST_CHECK;
/* Callbacks for source_read; arg is the stage. */
extern const struct source_reader stage_reader;
/* After a complete reading: writes the rest, removes what an interrupted reading had staged and this one did not see; counts. */
int stage_end(struct op *op, struct stage *stage) MUST_CHECK;
void stage_hash(const char *dn_key, unsigned char ret[static SYNC_HASH_BYTES]);
/* What the attribute rules looked at, as staged text and back. */
char *stage_facts_write(struct op *op, const struct map_value *values, size_t n);
int stage_facts_read(struct op *op, const char *facts, struct map_value **ret, size_t *ret_n) MUST_CHECK;

/* ---- stage_primary.c: who has which primary group (Active Directory) ---- */

struct primaries;
/* Belongs to the op. */
struct primaries *primaries_make(struct op *op);
/* hash: of the person's DN. */
int primaries_note(struct op *op, struct primaries *primaries, const char *sid, const unsigned char hash[static SYNC_HASH_BYTES]) MUST_CHECK;
/* Everybody whose primary group has this SID. */
void primaries_each(const struct primaries *primaries, const char *sid, void (*visit)(void *arg, const unsigned char *hash), void *arg);

/* ---- graph.c: the run's groups in memory ---- */

struct link;                                            /* somebody is directly in a group */

struct graph {
	const struct run *run;
	struct map *map;
	struct sync_group *groups;                      /* ordered by external id; their place here is their number in the map */
	size_t n;
	size_t *by_seq;                                 /* number of the group that was staged as seq */
	int64_t seq_max;
	/* who is in which group: of one part of the people at a time, so that memory has a bound */
	unsigned n_parts, part;
	struct arena *link_mem;
	struct link *links;                             /* in buckets by hash, one behind the other */
	uint32_t *ends;                                 /* of each bucket */
	/* edges between groups: the second is a member of the first; numbers */
	size_t (*nested)[2];
	size_t n_nested;
};
/* Belongs to the op. */
int graph_load(struct op *op, const struct run *run, struct graph **ret) MUST_CHECK;
/* The part of the people that a hash belongs to, 0 to n_parts - 1. */
unsigned graph_part(const struct graph *graph, const unsigned char hash[static SYNC_HASH_BYTES]);
/* Loads the memberships of a part; nothing to do when it is loaded. */
int graph_load_part(struct op *op, struct graph *graph, unsigned part) MUST_CHECK;
/* Numbers of the groups that the person with this hash, of the loaded part, is directly in, ascending; *ret belongs to the op. */
void graph_groups(struct op *op, const struct graph *graph, const unsigned char hash[static SYNC_HASH_BYTES], size_t **ret, size_t *ret_n);
/* What the rules give to a staged person who is directly in these groups. */
int graph_grants(struct op *op, const struct graph *graph, const struct sync_entry *entry, const size_t *groups, size_t n,
    struct wanted_grant **ret, size_t *ret_n) MUST_CHECK;
void person_from_entry(const struct run *run, const struct sync_entry *entry, struct person *ret);

/* ---- plan.c, guard.c, apply.c ---- */

/* Compares what is staged with what is known; writes the plan's rows, its hash and the counts. */
int plan_build(struct op *op, struct run *run) MUST_CHECK;

/* How many accounts of a directory with that many active ones may be disabled in 24 hours. */
#define GUARD_DAY_MS INT64_C(86400000)
int64_t guard_limit(int64_t active);
/* True in *ret when the plan would disable too many; limit and what was disabled lately stand in the counts. */
int guard_check(struct op *op, struct run *run, bool *ret) MUST_CHECK;
/* ERR_INCOMPLETE when the reading saw nobody, or no group although some are known: from that nothing may be concluded. */
int guard_empty(struct op *op, struct run *run) MUST_CHECK;
/* Writes the plan, on from applied_seq. */
int apply_run(struct op *op, struct run *run) MUST_CHECK;

/* ---- work.c ---- */

/* Removes what an ended run has staged, and plans that are too old. */
int run_clean(struct op *op, const struct sync_run_row *row) MUST_CHECK;

#endif
