/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a restore does to the rows that came out of a backup, and the directories that then have to be synchronised first.
 *
 * A backup is the past: people who were disabled since are active in it, tokens that were revoked are good.  So nothing that
 * lets somebody in outlives a restore.
 */
#ifndef KW_STORE_RESTORE_H
#define KW_STORE_RESTORE_H

#include "store/driver.h"

#define SETTING_RESTORE "restore"       /* canonical JSON for the audit event; the first start records it and removes the setting */

struct restore_counts {
	int64_t sessions, authorizations, keys, runs, directories;
};

/*
 * Inside db_run: ends all sessions, all authorizations (and with them codes and refresh tokens) and all synchronisations under
 * way; ends our signing keys and the key of refresh tokens and erases their private parts, so that no token of before verifies;
 * lets every directory wait.
 */
int db_restore_settle(struct op *op, struct restore_counts *ret) MUST_CHECK;
int db_setting_remove(struct op *op, const char *name) MUST_CHECK;

/* Inside db_run or db_read: since when a directory waits for a synchronisation; 0: it does not. */
int db_sync_wait_read(struct op *op, const char *directory_id, int64_t *ret_since_ms) MUST_CHECK;
/* Inside db_run: it has been synchronised. */
int db_sync_wait_end(struct op *op, const char *directory_id) MUST_CHECK;

#endif
