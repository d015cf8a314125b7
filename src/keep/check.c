/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The database of the configuration is looked at, without a daemon or beside one. */
#include "base/config.h"
#include "base/time.h"
#include "keep_int.h"
#include "store/check.h"

#define TIME_MS 3600000

int
keep_examine(struct op *op, struct db_findings *ret)
{
	struct services svc = { .is_stopping = false }, *saved = op->svc;
	int rc;

	op->deadline_ms = time_monotonic_ms() + TIME_MS;
	*ret = (struct db_findings){ .n = 0 };
	op->svc = &svc;
	rc = db_open_reader(op, op->config->database, &svc.db);
	if (!rc) {
		rc = db_check(op, ret);
		db_close(svc.db);
	}
	op->svc = saved;
	return rc;
}
