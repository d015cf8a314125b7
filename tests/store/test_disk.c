/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A disk that fails beneath SQLite: its file layer is wrapped, so that a sync fails when the test says so, and waits until
 * then.  A failed sync means that nobody knows (the outcome is unknown, for everybody aboard); nothing is written afterwards, and
 * who waits for the writer is told at once.  A quota that is used up is a full disk: refused, and all is well once there is room.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/time.h"
#include "store/driver.h"

SQL_DEFINE(test_disk_put, "INSERT INTO settings (name, value) VALUES ($1, $2)");

#define WAITING 4

static struct services svc;
static char folder[] = "/tmp/keyward-disk-XXXXXX";
static sqlite3_vfs wrapped;
static struct { const sqlite3_io_methods *real; sqlite3_io_methods ours; } methods[4];
static sqlite3_vfs *real_vfs;
static atomic_bool must_fail;
static sem_t has_begun, may_end;

static int
failing_sync(sqlite3_file *file, int flags)
{
	if (!atomic_load(&must_fail))
		return methods[0].real->xSync(file, flags);
	sem_post(&has_begun);
	sem_wait(&may_end);
	return SQLITE_IOERR_FSYNC;
}

/* The file's methods with our sync among them.  Database and WAL have tables of their own, and the same sync. */
static int
wrapped_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	int code = real_vfs->xOpen(vfs, name, file, flags, ret_flags);

	for (size_t i = 0; code == SQLITE_OK && file->pMethods && i < countof(methods); i++) {
		if (!methods[i].real) {
			methods[i].real = file->pMethods;
			methods[i].ours = *file->pMethods;
			methods[i].ours.xSync = failing_sync;
		}
		if (file->pMethods == methods[i].real) {
			file->pMethods = &methods[i].ours;
			break;
		}
	}
	return code;
}

static void
setup(void)
{
	struct op *op = op_begin(&svc, NULL);

	sem_init(&has_begun, 0, 0);
	sem_init(&may_end, 0, 0);
	signal(SIGXFSZ, SIG_IGN);
	cr_assert(mkdtemp(folder));
	real_vfs = sqlite3_vfs_find(NULL);
	wrapped = *real_vfs;
	wrapped.zName = "keyward-test";
	wrapped.xOpen = wrapped_open;
	cr_assert_eq(sqlite3_vfs_register(&wrapped, 1), SQLITE_OK);
	cr_assert_eq(db_open(op, op_printf(op, "%s/db", folder), &svc.db), 0, "%s", op_failure(op));
	cr_assert_eq(db_migrate(op, svc.db), 0, "%s", op_failure(op));
	op_end(op);
}

static void
teardown(void)
{
	char command[100];

	atomic_store(&must_fail, false);
	db_close(svc.db);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_expect_eq(system(command), 0);
}

TestSuite(disk, .init = setup, .fini = teardown);

static int
put(struct op *op, void *arg)
{
	return db_exec(op, &test_disk_put, ARGS(TEXT_(op->request_id), TEXT_(arg)), NULL);
}

struct writer {
	pthread_t thread;
	int rc;
	int64_t left_ms;                /* of its deadline when it was answered */
};

static void *
write_once(void *arg)
{
	struct writer *writer = arg;
	struct op *op = op_begin(&svc, NULL);

	op->deadline_ms = time_monotonic_ms() + 60000;
	writer->rc = db_run(op, put, op->request_id);
	writer->left_ms = op_left_ms(op);
	op_end(op);
	return NULL;
}

Test(disk, F04_a_failed_sync_is_unknown_and_keeps_nobody_waiting, .timeout = 50)
{
	struct writer first, waiting[WAITING];

	atomic_store(&must_fail, true);
	pthread_create(&first.thread, NULL, write_once, &first);
	sem_wait(&has_begun);
	for (size_t i = 0; i < WAITING; i++)
		pthread_create(&waiting[i].thread, NULL, write_once, &waiting[i]);
	usleep(200000);                 /* until they stand before the writer; if one comes later it is refused just so */
	for (size_t i = 0; i <= WAITING; i++)
		sem_post(&may_end);
	pthread_join(first.thread, NULL);
	cr_expect_eq(first.rc, ERR_UNKNOWN_OUTCOME);
	cr_expect(db_is_broken(svc.db));
	/* the test's own limit ends it when one of them waits for its deadline */
	for (size_t i = 0; i < WAITING; i++) {
		pthread_join(waiting[i].thread, NULL);
		cr_expect_eq(waiting[i].rc, ERR_STORE);
		cr_expect_gt(waiting[i].left_ms, 0);
	}
}

Test(disk, F03_a_used_up_quota_is_a_full_disk)
{
	struct op *op = op_begin(&svc, NULL);
	struct rlimit before;
	char *large = op_alloc(op, 300001);

	memset(large, 'x', 300000);
	getrlimit(RLIMIT_FSIZE, &before);
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 200000, before.rlim_max });
	cr_expect_eq(db_run(op, put, large), ERR_STORE);
	cr_expect(strstr(op_failure(op), "commit") || strstr(op_failure(op), "full"), "%s", op_failure(op));
	setrlimit(RLIMIT_FSIZE, &before);
	cr_expect_not(db_is_broken(svc.db));
	op_forgive(op);
	cr_expect_eq(db_run(op, put, large), 0, "%s", op_failure(op));
	op_end(op);
}
