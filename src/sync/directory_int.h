/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Shared by directory.c, directory_person.c and directory_groups.c. */
#ifndef KW_SYNC_DIRECTORY_INT_H
#define KW_SYNC_DIRECTORY_INT_H

#include "sync/source.h"
#include "sync/sync.h"

/* Each half of a sign-in (find, check) ends within this, so that both together stay below five seconds. */
#define DIRECTORY_SIGN_IN_MS 2400

/* Runs work behind the directory's bulkhead and within DIRECTORY_SIGN_IN_MS. */
int directory_guarded(struct op *op, const struct catalog_directory *directory, int (*work)(struct op *op, void *arg), void *arg) MUST_CHECK;

/* The groups that somebody is in, directly or through others: numbers in a closed map. */
struct directory_groups {
	struct map *map;
	const size_t *v;
	size_t n;
};
struct source_setup;
/* Belongs to the op.  ERR_INCOMPLETE above 2,000 groups or 64 levels, or when anything is hidden that was asked for by its name. */
int directory_groups_read(struct op *op, struct ldap_link *link, const struct source_setup *setup, const struct source_person *person,
    struct directory_groups *ret) MUST_CHECK;

#endif
