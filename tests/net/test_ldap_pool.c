/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The bulkhead before a directory: how many may wait, and when it is left alone. */
#include "net/ldap_pool.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <unistd.h>

#include "base/time.h"

static struct op *op;
static struct ldap_pool *pool;

static void
begin(void)
{
	op = op_begin(NULL, NULL);
	pool = ldap_pool_new();
}

static void
end(void)
{
	ldap_pool_free(pool);
	op_end(op);
}

TestSuite(ldap_pool, .init = begin, .fini = end);

static int
enter(const char *key)
{
	int rc = ldap_pool_enter(op, pool, key);

	op_forgive(op);
	return rc;
}

Test(ldap_pool, half_a_lane_waits_for_one_directory_and_others_are_free)
{
	for (int i = 0; i < LDAP_POOL_AT_ONCE; i++)
		cr_assert_eq(enter("slow"), 0);
	cr_assert_eq(enter("slow"), ERR_BUSY);
	cr_assert_eq(enter("other"), 0);
	ldap_pool_leave(pool, "slow", 0);
	cr_assert_eq(enter("slow"), 0);
	cr_assert_eq(enter("slow"), ERR_BUSY);
}

static void *
leave_soon(void *key)
{
	usleep(5000);
	ldap_pool_leave(pool, key, 0);
	return NULL;
}

Test(ldap_pool, a_full_house_is_waited_for_while_the_directory_answers)
{
	char well[] = "well";           /* the other thread reads it */
	pthread_t thread;

	for (int i = 0; i < LDAP_POOL_AT_ONCE; i++)
		cr_assert_eq(enter(well), 0);
	cr_assert_eq(pthread_create(&thread, NULL, leave_soon, well), 0);
	cr_assert_eq(enter(well), 0, "somebody leaves in time");
	pthread_join(thread, NULL);
}

Test(ldap_pool, nobody_waits_for_a_directory_that_has_failed)
{
	int64_t started;

	op->deadline_ms += 600000;
	for (int i = 0; i < LDAP_POOL_AT_ONCE; i++)
		cr_assert_eq(enter("ill"), 0);
	ldap_pool_leave(pool, "ill", ERR_DEADLINE);
	cr_assert_eq(enter("ill"), 0);
	started = time_monotonic_ms();
	for (int i = 0; i < 30; i++)
		cr_assert_eq(enter("ill"), ERR_BUSY);
	cr_assert_lt(time_monotonic_ms() - started, 20 * LDAP_POOL_SEAT_MS, "thirty are refused sooner than as many had waited");
}

Test(ldap_pool, three_failures_in_a_row_open_the_circuit)
{
	for (int i = 0; i < LDAP_POOL_FAILURES; i++) {
		cr_assert_eq(enter("down"), 0);
		ldap_pool_leave(pool, "down", ERR_DEADLINE);
	}
	cr_assert_eq(enter("down"), ERR_UNREACHABLE);
	cr_assert_eq(enter("other"), 0, "of that directory alone");
	cr_assert_eq(enter("down/2"), 0, "and of that version of it");
}

Test(ldap_pool, an_answer_of_any_kind_counts_as_alive)
{
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < LDAP_POOL_FAILURES - 1; i++) {
			cr_assert_eq(enter("shaky"), 0);
			ldap_pool_leave(pool, "shaky", ERR_UNREACHABLE);
		}
		cr_assert_eq(enter("shaky"), 0);
		ldap_pool_leave(pool, "shaky", ERR_NOT_FOUND);
	}
}

Test(ldap_pool, more_directories_than_seats_are_fine_one_after_another)
{
	for (int i = 0; i < 300; i++) {
		const char *key = op_printf(op, "d%d", i);

		cr_assert_eq(enter(key), 0);
		ldap_pool_leave(pool, key, 0);
	}
	cr_assert_null(ldap_pool_take(pool, "d299"));
}

Test(ldap_pool, all_seats_taken_is_busy)
{
	int rc = 0, n = 0;

	while (!rc && n < 1000)
		rc = enter(op_printf(op, "d%d", n++));
	cr_assert_eq(rc, ERR_BUSY);
}
