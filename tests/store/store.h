/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A fresh database for each test: a SQLite file, or, with KEYWARD_TEST_POSTGRES, a database on the server in that folder.
 */
#ifndef TESTS_STORE_STORE_H
#define TESTS_STORE_STORE_H

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/time.h"
#include "store/driver.h"

static struct services svc;
static char store_folder[] = "/tmp/keyward-driver-XXXXXX";
static char store_dsn[300];

/* Work that is not about a deadline has plenty of it: a machine that stands still for a moment is no failure of the database. */
static struct op *
store_op(void)
{
	struct op *op = op_begin(&svc, NULL);

	op->deadline_ms = time_monotonic_ms() + 180000;
	return op;
}

/* The fixture's script with a command. */
__attribute__((unused)) static void
store_postgres(const char *words)
{
	const char *source = getenv("abs_srcdir");
	char command[1200];

	snprintf(command, sizeof(command), "%s/contrib/postgres-fixture/postgres.sh %s >/dev/null", source ? source : ".", words);
	cr_assert_eq(system(command), 0, "%s", command);
}

static void
store_place(void)
{
	const char *server = getenv("KEYWARD_TEST_POSTGRES");
	char words[300];

	if (server) {
		snprintf(words, sizeof(words), "database %s t_%ld", server, (long)getpid());
		store_postgres(words);
		snprintf(store_dsn, sizeof(store_dsn), "host=%s user=keyward dbname=t_%ld", server, (long)getpid());
		return;
	}
	cr_assert(mkdtemp(store_folder));
	snprintf(store_dsn, sizeof(store_dsn), "%s/db", store_folder);
}

__attribute__((unused)) static void
store_setup(void)
{
	struct op *op = store_op();

	store_place();
	cr_assert_eq(db_open(op, store_dsn, &svc.db), 0, "%s", op_failure(op));
	cr_assert_eq(db_migrate(op, svc.db), 0, "%s", op_failure(op));
	op_end(op);
}

__attribute__((unused)) static void
store_teardown(void)
{
	const char *server = getenv("KEYWARD_TEST_POSTGRES");
	char words[300];

	db_close(svc.db);
	if (server) {
		snprintf(words, sizeof(words), "drop %s t_%ld", server, (long)getpid());
		store_postgres(words);
		return;
	}
	snprintf(words, sizeof(words), "rm -rf %s", store_folder);
	cr_expect_eq(system(words), 0);
}

#endif
