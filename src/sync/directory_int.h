/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Shared by directory.c and directory_person.c. */
#ifndef KW_SYNC_DIRECTORY_INT_H
#define KW_SYNC_DIRECTORY_INT_H

#include "sync/sync.h"

/* Each half of a sign-in (find, check) ends within this, so that both together stay below five seconds. */
#define DIRECTORY_SIGN_IN_MS 2400

/* Runs work behind the directory's bulkhead and within DIRECTORY_SIGN_IN_MS. */
int directory_guarded(struct op *op, const struct catalog_directory *directory, int (*work)(struct op *op, void *arg), void *arg) MUST_CHECK;

#endif
