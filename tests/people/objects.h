/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A throw-away database with catalog and audit, for tests of people. */
#ifndef TESTS_PEOPLE_OBJECTS_H
#define TESTS_PEOPLE_OBJECTS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/audit.h"
#include "people/catalog.h"
#include "people/plan.h"
#include "store/driver.h"

static struct services svc;
static struct op *op;
static char folder[64];

static inline void
house_open(void)
{
	static const unsigned char key[32] = { 1 };

	snprintf(folder, sizeof(folder), "/tmp/keyward-people.XXXXXX");
	if (!mkdtemp(folder))
		abort();
	op = op_begin(&svc, NULL);
	op->deadline_ms += 600000;              /* one op for a whole test, however slow the machine */
	op->caller = (struct caller){ .kind = ACTOR_ROOT, .actor = "uid:0" };
	if (db_open(op, op_printf(op, "%s/keyward.db", folder), &svc.db) || db_migrate(op, svc.db))
		abort();
	audit_open(op, key);
	if (catalog_open(op))
		abort();
}

static inline void
house_close(void)
{
	char *command = op_printf(op, "%s", folder);
	static const char *const files[] = { "keyward.db", "keyward.db-wal", "keyward.db-shm" };

	catalog_free(svc.catalog);
	audit_close(svc.audit);
	db_close(svc.db);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(op_printf(op, "%s/%s", command, files[i]));
	rmdir(folder);
	op_end(op);
}

/* Plans or applies YAML; the failure's sentence stays in op. */
static inline int
run_file(const char *yaml, bool want_apply, bool want_prune, const struct shape_plan_view **ret)
{
	const struct plan_request request = { .source = "test.yaml", .text = yaml, .size = strlen(yaml), .want_apply = want_apply,
		.want_prune = want_prune };

	op_forgive(op);
	return plan_file(op, &request, ret);
}

static inline int
apply(const char *yaml)
{
	const struct shape_plan_view *view;

	return run_file(yaml, true, false, &view);
}

#endif
