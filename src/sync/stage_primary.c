/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Who has which primary group, while a reading goes on: in Active Directory no member value says so ([MS-ADA3] 2.117), and people
 * are read before groups.  20 bytes a person, in blocks: as much as the members of that one group take when it is staged.
 */
#include <string.h>

#include "sync_int.h"

#define SIDS_MAX 256                    /* different primary groups; a domain has three or four */
#define EACH 1024

struct block {
	struct block *next;
	size_t n;
	struct { unsigned char hash[SYNC_HASH_BYTES]; uint32_t sid; } v[EACH];
};

struct primaries {
	struct op *op;
	const char *sids[SIDS_MAX];
	size_t n_sids;
	struct block *blocks;
};

struct primaries *
primaries_make(struct op *op)
{
	struct primaries *primaries = op_alloc(op, sizeof(*primaries));

	primaries->op = op;
	return primaries;
}

/* The number of a SID among those seen, or SIDS_MAX. */
static size_t
number_of(const struct primaries *primaries, const char *sid)
{
	size_t i = 0;

	while (i < primaries->n_sids && strcmp(primaries->sids[i], sid) != 0)
		i++;
	return i < primaries->n_sids ? i : SIDS_MAX;
}

int
primaries_note(struct op *op, struct primaries *primaries, const char *sid, const unsigned char hash[static SYNC_HASH_BYTES])
{
	size_t number = number_of(primaries, sid);
	struct block *block = primaries->blocks;

	if (number == SIDS_MAX) {
		if (primaries->n_sids == SIDS_MAX)
			return op_fail(op, ERR_INCOMPLETE, "the people have more than %d different primary groups", SIDS_MAX);
		number = primaries->n_sids;
		primaries->sids[primaries->n_sids++] = op_strdup(primaries->op, sid);
	}
	if (!block || block->n == EACH) {
		block = op_alloc(primaries->op, sizeof(*block));
		block->next = primaries->blocks;
		primaries->blocks = block;
	}
	memcpy(block->v[block->n].hash, hash, SYNC_HASH_BYTES);
	block->v[block->n++].sid = (uint32_t)number;
	return 0;
}

void
primaries_each(const struct primaries *primaries, const char *sid, void (*visit)(void *arg, const unsigned char *hash), void *arg)
{
	size_t number = number_of(primaries, sid);

	for (const struct block *block = number == SIDS_MAX ? NULL : primaries->blocks; block; block = block->next)
		for (size_t i = 0; i < block->n; i++)
			if (block->v[i].sid == number)
				visit(arg, block->v[i].hash);
}
