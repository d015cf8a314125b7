/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Tries are counted for one person from one network, and nothing else forgives them. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/config.h"
#include "base/time.h"
#include "login/throttle.h"

static struct services svc;
static struct config config = { .throttle_attempts = 5, .throttle_window = 300 };
static struct op *op;

static void
set_up(void)
{
	svc.throttle = throttle_new();
	op = op_begin(&svc, NULL);
	op->config = &config;
	op->caller.address = "192.0.2.7";
}

static void
tear_down(void)
{
	op->config = NULL;
	op_end(op);
	throttle_free(svc.throttle);
}

TestSuite(throttle, .init = set_up, .fini = tear_down);

static int
take_from(const char *address, const char *person)
{
	int rc;

	op->caller.address = address;
	rc = throttle_take(op, person);
	op_forgive(op);
	return rc;
}

static void
use_up(const char *address, const char *person)
{
	for (int i = 0; i < 5; i++)
		cr_assert_eq(take_from(address, person), 0, "try %d", i);
	cr_assert_eq(take_from(address, person), ERR_THROTTLED);
}

Test(throttle, the_sixth_try_waits)
{
	use_up("192.0.2.7", "alice");
	cr_expect_leq(throttle_wait_sec(op, "alice"), 300);
	cr_expect_gt(throttle_wait_sec(op, "alice"), 290);
	cr_expect_eq(throttle_wait_sec(op, "never seen"), 1);
}

Test(throttle, others_are_not_touched)
{
	use_up("192.0.2.7", "alice");
	cr_expect_eq(take_from("192.0.2.7", "bob"), 0);
	cr_expect_eq(take_from("198.51.100.7", "alice"), 0);
}

Test(throttle, a_success_gives_back_its_own_try_alone)
{
	for (int i = 0; i < 4; i++)
		cr_assert_eq(take_from("192.0.2.7", "alice"), 0);
	for (int i = 0; i < 10; i++) {
		cr_assert_eq(take_from("192.0.2.7", "alice"), 0);
		throttle_give_back(op, "alice");
	}
	cr_expect_eq(take_from("192.0.2.7", "alice"), 0);
	cr_expect_eq(take_from("192.0.2.7", "alice"), ERR_THROTTLED);
	cr_expect_eq(take_from("192.0.2.7", "bob"), 0);
	throttle_give_back(op, "bob");
	cr_expect_eq(take_from("192.0.2.7", "alice"), ERR_THROTTLED, "another's success unlocks nobody");
}

Test(throttle, a_network_is_24_or_64_bits)
{
	use_up("192.0.2.7", "alice");
	cr_expect_eq(take_from("192.0.2.250", "alice"), ERR_THROTTLED);
	cr_expect_eq(take_from("192.0.3.7", "alice"), 0);
	use_up("2001:db8::1", "alice");
	cr_expect_eq(take_from("2001:db8::aaaa:bbbb:cccc:dddd", "alice"), ERR_THROTTLED);
	cr_expect_eq(take_from("2001:db8:0:0:1::", "alice"), ERR_THROTTLED, "the same /64 in another spelling");
	cr_expect_eq(take_from("2001:db8:0:1::1", "alice"), 0);
	use_up("2001:db8:1:2:3:4:5:6", "alice");
	cr_expect_eq(take_from("2001:db8:1:2::", "alice"), ERR_THROTTLED);
}

Test(throttle, the_window_passes)
{
	int64_t used_up_ms;
	int rc;

	/* longer than the six tries take, however slow the machine */
	config.throttle_window = 5;
	use_up("192.0.2.7", "alice");
	used_up_ms = time_monotonic_ms();
	do {
		usleep(100000);
		rc = take_from("192.0.2.7", "alice");
	} while (rc == ERR_THROTTLED && time_monotonic_ms() < used_up_ms + 60000);
	cr_expect_eq(rc, 0);
	config.throttle_window = 300;
}

static atomic_int allowed;

static void *
guess(void *arg)
{
	struct op *mine = op_begin(&svc, NULL);

	(void)arg;
	mine->config = &config;
	mine->caller.address = "192.0.2.7";
	for (int i = 0; i < 20; i++) {
		if (throttle_take(mine, "alice") == 0)
			atomic_fetch_add(&allowed, 1);
		op_forgive(mine);
	}
	mine->config = NULL;
	op_end(mine);
	return NULL;
}

Test(throttle, parallel_guesses_cannot_slip_by)
{
	pthread_t threads[8];

	for (size_t i = 0; i < countof(threads); i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, guess, NULL), 0);
	for (size_t i = 0; i < countof(threads); i++)
		pthread_join(threads[i], NULL);
	cr_expect_eq(atomic_load(&allowed), 5);
}

Test(throttle, a_flood_of_names_keeps_the_one_with_most_tries)
{
	use_up("192.0.2.7", "alice");
	for (int i = 0; i < 20000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "name-%d", i);
		cr_assert_eq(take_from("192.0.2.7", name), 0);
	}
	cr_expect_eq(take_from("192.0.2.7", "alice"), ERR_THROTTLED);
}
