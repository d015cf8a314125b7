/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * From the reader into staging rows: people in chunks, then groups, each with the hashes of its members in one value.  A reading
 * that was interrupted is read again from the start (a paged search cannot be taken up again), but rows that are staged already
 * stay: a bitmap of their sequence numbers says which of them this reading has seen.  Read stage_person, flush_people, then the
 * groups.
 */
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "store/sync.h"
#include "sync_int.h"

#define PEOPLE_MAX 2000
#define BYTES_MAX (2 * 1024 * 1024)     /* of people or groups not written yet */
#define GROUPS_MAX 256
#define NAMELESS "skip:"                /* external id of an entry that has none; behind every UUID in order */

struct bits {
	unsigned char *v;
	size_t bytes;
};

struct stage {
	struct op *op;                  /* of the whole run: the bitmap lives in it */
	struct run *run;
	bool is_again;                  /* an interrupted reading has left rows */
	int64_t next_seq;
	struct bits seen;
	/* people */
	struct arena *mem;
	struct sync_entry *people;
	size_t n_people, n_written;
	struct primaries *primaries;
	/* groups */
	bool has_groups;                /* the groups have begun */
	struct arena *group_mem;
	struct sync_group *old_groups;
	size_t n_old_groups;
	bool *is_kept;
	int64_t next_group_seq;
	struct sync_group groups[GROUPS_MAX];           /* complete, not written yet */
	int64_t replaced[GROUPS_MAX];                   /* the row that each of them replaces; 0: none */
	size_t n_groups;
	struct sync_group group;        /* the one being read; external_id NULL: none */
	unsigned char *hashes;
	size_t room;
};

static void
bits_set(struct op *op, struct bits *bits, int64_t at)
{
	size_t byte = (size_t)at / 8;

	if (byte >= bits->bytes) {
		size_t bytes = byte * 2 + 1024;
		unsigned char *more = op_alloc(op, bytes);

		if (bits->bytes)
			memcpy(more, bits->v, bits->bytes);
		*bits = (struct bits){ more, bytes };
	}
	bits->v[byte] |= (unsigned char)(1u << (at % 8));
}

static bool
bits_has(const struct bits *bits, int64_t at)
{
	return (size_t)at / 8 < bits->bytes && (bits->v[at / 8] >> (at % 8) & 1);
}

void
stage_hash(const char *dn_key, unsigned char ret[static SYNC_HASH_BYTES])
{
	unsigned char digest[SHA256_BYTES];

	sha256(dn_key, strlen(dn_key), digest);
	memcpy(ret, digest, SYNC_HASH_BYTES);
}

char *
stage_facts_write(struct op *op, const struct map_value *values, size_t n)
{
	json_t *list;

	if (!n)
		return op_strdup(op, "[]");
	list = json_own(op, json_array());
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_pack("[s,s]", values[i].name, values[i].key));
	return json_canonical(op, list);
}

int
stage_facts_read(struct op *op, const char *facts, struct map_value **ret, size_t *ret_n)
{
	json_t *list;
	int rc;

	*ret = NULL;
	*ret_n = 0;
	if (!strcmp(facts, "[]"))
		return 0;
	rc = json_read(op, facts, strlen(facts), &list);
	if (rc)
		return rc;
	*ret = op_alloc(op, json_array_size(list) * sizeof(**ret));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *pair = json_array_get(list, i);
		const char *name = json_string_value(json_array_get(pair, 0)), *key = json_string_value(json_array_get(pair, 1));

		if (name && key)
			(*ret)[(*ret_n)++] = (struct map_value){ name, key };
	}
	return 0;
}

static void
free_arena(void *arena)
{
	arena_free(arena);
}

static struct arena *
own_arena(struct op *op)
{
	struct arena *arena = arena_new();

	arena_on_free(op->mem, free_arena, arena);
	return arena;
}

static int
begin_body(struct op *op, void *arg)
{
	struct stage *stage = arg;
	int64_t number = stage->run->row->number, all, last, people;
	int rc = db_sync_entry_count(op, number, &all, &last, &people);

	if (!rc)
		rc = db_sync_group_list(op, number, &stage->old_groups, &stage->n_old_groups);
	if (rc)
		return rc;
	stage->is_again = all > 0;
	stage->next_seq = last + 1;
	stage->next_group_seq = 1;
	for (size_t i = 0; i < stage->n_old_groups; i++)
		if (stage->old_groups[i].seq >= stage->next_group_seq)
			stage->next_group_seq = stage->old_groups[i].seq + 1;
	return 0;
}

int
stage_begin(struct op *op, struct run *run, struct stage **ret)
{
	struct stage *stage = op_alloc(op, sizeof(*stage));
	int rc;

	stage->op = op;
	stage->run = run;
	stage->mem = own_arena(op);
	stage->group_mem = own_arena(op);
	stage->primaries = primaries_make(op);
	stage->people = op_alloc(op, PEOPLE_MAX * sizeof(*stage->people));
	rc = db_read(op, begin_body, stage);
	stage->is_kept = op_alloc(op, stage->n_old_groups * sizeof(bool));
	*ret = stage;
	return rc;
}

/* ---- people ---- */

/* Drops those that are staged as they are, and gives the others the place they had. */
static int
skip_staged(struct op *op, struct stage *stage)
{
	const char **ids = op_alloc(op, stage->n_people * sizeof(*ids));
	struct sync_entry **old;
	size_t kept = 0;
	int rc;

	for (size_t i = 0; i < stage->n_people; i++)
		ids[i] = stage->people[i].external_id;
	rc = db_sync_entry_find(op, stage->run->row->number, ids, stage->n_people, &old);
	if (rc)
		return rc;
	for (size_t i = 0; i < stage->n_people; i++) {
		struct sync_entry *entry = &stage->people[i];

		if (old[i])
			entry->seq = old[i]->seq;
		bits_set(stage->op, &stage->seen, entry->seq);
		if (old[i] && !memcmp(old[i]->digest, entry->digest, sizeof(entry->digest)) &&
		    !memcmp(old[i]->dn_hash, entry->dn_hash, sizeof(entry->dn_hash)) && !strcmp(old[i]->facts, entry->facts) &&
		    old[i]->is_skipped == entry->is_skipped)
			continue;
		stage->people[kept++] = *entry;
	}
	stage->n_people = kept;
	return 0;
}

static int
again_body(struct op *op, void *arg)
{
	return skip_staged(op, arg);
}

/* From n_written on, as far as it may go. */
struct write {
	struct stage *stage;
	size_t to;
};

static int
people_body(struct op *op, void *arg)
{
	struct write *write = arg;
	struct stage *stage = write->stage;
	struct pace pace;
	int rc = 0;

	pace_begin(&pace);
	for (write->to = stage->n_written; !rc && write->to < stage->n_people && pace_may_go_on(op, &pace);) {
		size_t left = stage->n_people - write->to, slice = pace_slice(op), n = left < slice ? left : slice;

		rc = db_sync_entry_put(op, stage->run->row->number, stage->people + write->to, n);
		write->to += n;
	}
	return rc;
}

static int
flush_people(struct op *op, struct stage *stage)
{
	struct write write = { .stage = stage };
	struct op *chunk;
	int rc;

	if (!stage->n_people)
		return 0;
	chunk = chunk_begin(op);
	rc = run_touch(chunk, stage->run);
	if (!rc && stage->is_again)
		rc = db_read(chunk, again_body, stage);
	for (stage->n_written = 0; !rc && stage->n_written < stage->n_people; stage->n_written = write.to)
		rc = db_run(chunk, people_body, &write);
	stage->n_people = 0;
	arena_reset(stage->mem);
	return chunk_end(op, chunk, rc);
}

static int
add_entry(struct op *op, struct stage *stage, struct sync_entry *entry)
{
	entry->seq = stage->next_seq++;
	stage->people[stage->n_people++] = *entry;
	if (stage->n_people < PEOPLE_MAX && arena_used(stage->mem) < BYTES_MAX)
		return 0;
	return flush_people(op, stage);
}

static int
stage_person(struct op *op, const struct source_person *source, void *arg)
{
	struct stage *stage = arg;
	const struct person *person = &source->person;
	struct sync_entry entry = {
		.external_id = arena_strdup(stage->mem, person->external_id),
		.login = arena_strdup(stage->mem, person->login),
		.display_name = arena_strdup(stage->mem, person->display_name),
		.mail = arena_strdup(stage->mem, person->mail),
		.attributes = arena_strdup(stage->mem, person->attributes),
		.is_active = person->is_active,
		.reason = arena_strdup(stage->mem, person->reason),
		.until_ms = person->until,
		.facts = "[]",
	};
	int rc;

	if (source->n_values)
		entry.facts = arena_strdup(stage->mem, stage_facts_write(op, source->values, source->n_values));
	memcpy(entry.digest, person->digest, sizeof(entry.digest));
	stage_hash(source->dn_key, entry.dn_hash);
	stage->run->counts.read++;
	if (source->primary_group && (rc = primaries_note(op, stage->primaries, source->primary_group, entry.dn_hash)) < 0)
		return rc;
	return add_entry(op, stage, &entry);
}

static int
stage_skipped(struct op *op, const char *external_id, const char *dn, const char *reason, void *arg)
{
	struct stage *stage = arg;
	struct sync_entry entry = { .is_skipped = true, .login = "", .facts = "[]", .attributes = "{}" };
	char *hex;

	if (stage->has_groups)          /* a group or a member value that cannot be taken: counted by the reader */
		return 0;
	stage_hash(dn, entry.dn_hash);
	hex = hex_encode(stage->mem, entry.dn_hash, sizeof(entry.dn_hash));
	entry.external_id = external_id ? arena_strdup(stage->mem, external_id) : arena_printf(stage->mem, NAMELESS "%s", hex);
	entry.display_name = arena_strndup(stage->mem, dn, 1024);
	entry.reason = arena_strndup(stage->mem, reason, 500);
	if (!external_id)
		stage->run->counts.nameless++;
	return add_entry(op, stage, &entry);
}

/* ---- groups ---- */

static int
groups_body(struct op *op, void *arg)
{
	struct write *write = arg;
	struct stage *stage = write->stage;
	int64_t number = stage->run->row->number;
	struct pace pace;
	int rc = 0;

	pace_begin(&pace);
	for (write->to = stage->n_written; !rc && write->to < stage->n_groups && pace_may_go_on(op, &pace); write->to++) {
		if (stage->replaced[write->to])
			rc = db_sync_group_remove(op, number, stage->replaced[write->to]);
		if (!rc)
			rc = db_sync_group_add(op, number, &stage->groups[write->to], 1);
	}
	return rc;
}

static int
flush_groups(struct op *op, struct stage *stage)
{
	struct write write = { .stage = stage };
	struct op *chunk = chunk_begin(op);
	int rc = run_touch(chunk, stage->run);

	for (stage->n_written = 0; !rc && stage->n_written < stage->n_groups; stage->n_written = write.to)
		rc = db_run(chunk, groups_body, &write);
	stage->n_groups = 0;
	arena_reset(stage->group_mem);
	return chunk_end(op, chunk, rc);
}

/* The group that an interrupted reading staged, or NULL. */
static struct sync_group *
old_group(struct stage *stage, const char *external_id)
{
	for (size_t low = 0, high = stage->n_old_groups; low < high;) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(stage->old_groups[middle].external_id, external_id);

		if (!order)
			return &stage->old_groups[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* The group told last is complete. */
static int
end_group(struct op *op, struct stage *stage)
{
	struct sync_group *group = &stage->group, *old;
	const struct hash_part parts[] = {
		{ group->external_id, group->external_id ? strlen(group->external_id) + 1 : 0 },
		{ group->dn, group->dn ? strlen(group->dn) + 1 : 0 },
		{ group->name, group->name ? strlen(group->name) + 1 : 0 },
		{ stage->hashes, (size_t)group->n_members * SYNC_HASH_BYTES },
	};
	bool is_kept;

	if (!group->external_id)
		return 0;
	sha256_parts(parts, countof(parts), group->digest);
	old = old_group(stage, group->external_id);
	is_kept = old && !memcmp(old->digest, group->digest, sizeof(old->digest));
	if (old)
		stage->is_kept[old - stage->old_groups] = true;
	if (!is_kept) {
		stage->replaced[stage->n_groups] = old ? old->seq : 0;
		group->seq = stage->next_group_seq++;
		group->members = stage->hashes;
		stage->groups[stage->n_groups++] = *group;
	}
	*group = (struct sync_group){ 0 };
	if (stage->n_groups < GROUPS_MAX && arena_used(stage->group_mem) < BYTES_MAX)
		return 0;
	return flush_groups(op, stage);
}

static void
add_member(void *arg, const unsigned char *hash)
{
	struct stage *stage = arg;
	size_t n = (size_t)stage->group.n_members;

	if (n == stage->room) {
		size_t room = stage->room ? stage->room * 2 : 64;
		unsigned char *more = arena_alloc(stage->group_mem, room * SYNC_HASH_BYTES);

		if (n)
			memcpy(more, stage->hashes, n * SYNC_HASH_BYTES);
		stage->hashes = more;
		stage->room = room;
	}
	memcpy(stage->hashes + n * SYNC_HASH_BYTES, hash, SYNC_HASH_BYTES);
	stage->group.n_members++;
}

static int
stage_group(struct op *op, const struct source_group *source, void *arg)
{
	struct stage *stage = arg;
	int rc = stage->has_groups ? end_group(op, stage) : flush_people(op, stage);

	stage->has_groups = true;
	stage->hashes = NULL;
	stage->room = 0;
	stage->group = (struct sync_group){
		.external_id = arena_strdup(stage->group_mem, source->external_id),
		.dn = arena_strdup(stage->group_mem, source->dn),
		.dn_key = arena_strdup(stage->group_mem, source->dn_key),
		.name = arena_strdup(stage->group_mem, source->name),
	};
	stage->run->outside_groups += source->is_outside;
	if (source->sid)
		primaries_each(stage->primaries, source->sid, add_member, stage);
	return rc;
}

static int
stage_member(struct op *op, const char *member_dn_key, void *arg)
{
	unsigned char hash[SYNC_HASH_BYTES];

	(void)op;
	stage_hash(member_dn_key, hash);
	add_member(arg, hash);
	return 0;
}

const struct source_reader stage_reader = {
	.person = stage_person, .group = stage_group, .member = stage_member, .skipped = stage_skipped,
};

/* ---- the end ---- */

struct unseen {
	struct stage *stage;
	int64_t after;
	int64_t seqs[256], gone[256];
	size_t n, n_gone;
};

static int
seqs_body(struct op *op, void *arg)
{
	struct unseen *unseen = arg;

	return db_sync_entry_seqs(op, unseen->stage->run->row->number, unseen->after, countof(unseen->seqs), unseen->seqs, &unseen->n);
}

static int
remove_body(struct op *op, void *arg)
{
	struct unseen *unseen = arg;

	return db_sync_entry_remove(op, unseen->stage->run->row->number, unseen->gone, unseen->n_gone);
}

/* Rows of the interrupted reading whose people have left meanwhile. */
static int
remove_unseen(struct op *op, struct stage *stage)
{
	struct unseen unseen = { .stage = stage };
	int rc;

	do {
		struct op *chunk = chunk_begin(op);

		rc = db_read(chunk, seqs_body, &unseen);
		unseen.n_gone = 0;
		for (size_t i = 0; !rc && i < unseen.n; i++) {
			unseen.after = unseen.seqs[i];
			if (!bits_has(&stage->seen, unseen.seqs[i]))
				unseen.gone[unseen.n_gone++] = unseen.seqs[i];
		}
		if (!rc && unseen.n_gone)
			rc = db_run(chunk, remove_body, &unseen);
		rc = chunk_end(op, chunk, rc);
	} while (!rc && unseen.n);
	return rc;
}

static int
remove_groups_body(struct op *op, void *arg)
{
	struct stage *stage = arg;
	int rc = 0;

	for (size_t i = 0; !rc && i < stage->n_old_groups; i++)
		if (!stage->is_kept[i])
			rc = db_sync_group_remove(op, stage->run->row->number, stage->old_groups[i].seq);
	return rc;
}

static int
count_body(struct op *op, void *arg)
{
	struct run *run = ((struct stage *)arg)->run;
	struct sync_group *groups;
	size_t n;
	int64_t all, last, people;
	int rc = db_sync_entry_count(op, run->row->number, &all, &last, &people);

	if (!rc)
		rc = db_sync_group_list(op, run->row->number, &groups, &n);
	if (rc)
		return rc;
	run->counts.read = people;
	run->counts.skipped = all - people;
	run->counts.groups = (int64_t)n;
	return 0;
}

int
stage_end(struct op *op, struct stage *stage)
{
	struct op *chunk;
	int rc = stage->has_groups ? end_group(op, stage) : flush_people(op, stage);

	if (!rc)
		rc = flush_groups(op, stage);
	if (!rc && stage->is_again)
		rc = remove_unseen(op, stage);
	if (!rc && stage->n_old_groups)
		rc = db_run(op, remove_groups_body, stage);
	if (rc)
		return rc;
	chunk = chunk_begin(op);
	return chunk_end(op, chunk, db_read(chunk, count_body, stage));
}
