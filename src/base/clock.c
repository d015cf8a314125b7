/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The latest moment that was seen, and what happens when the system's clock falls behind it.  Read clock_now_ms. */
#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/time.h"

struct clock {
	_Atomic int64_t latest_ms;              /* wall clock */
	_Atomic bool is_back;                   /* latest_ms stays; time is latest_ms and what has passed since */
	pthread_mutex_t lock;                   /* to change is_back */
	_Atomic int64_t since_ms;               /* monotonic, of the moment when it was found set back */
};

struct clock *
clock_new(void)
{
	struct clock *clock = mem_new(sizeof(*clock));

	pthread_mutex_init(&clock->lock, NULL);
	clock->latest_ms = time_now_ms();
	return clock;
}

void
clock_free(struct clock *clock)
{
	if (!clock)
		return;
	pthread_mutex_destroy(&clock->lock);
	mem_free(clock);
}

/* Both times are read again under the lock: somebody may have resumed meanwhile. */
static void
set_back(struct clock *clock)
{
	pthread_mutex_lock(&clock->lock);
	if (!clock->is_back && time_now_ms() < clock->latest_ms - CLOCK_BACK_MS) {
		clock->since_ms = time_monotonic_ms();
		clock->is_back = true;
	}
	pthread_mutex_unlock(&clock->lock);
}

/* False when it is not set back (any more). */
static bool
time_while_back(struct clock *clock, int64_t *ret_ms)
{
	bool is_back;

	pthread_mutex_lock(&clock->lock);
	is_back = clock->is_back;
	if (is_back)
		*ret_ms = clock->latest_ms + time_monotonic_ms() - clock->since_ms;
	pthread_mutex_unlock(&clock->lock);
	return is_back;
}

int64_t
clock_now_ms(struct clock *clock)
{
	int64_t now_ms = time_now_ms(), latest_ms, ms;

	if (!clock)
		return now_ms;
	latest_ms = clock->latest_ms;
	if (!clock->is_back && now_ms < latest_ms - CLOCK_BACK_MS)
		set_back(clock);
	if (clock->is_back && time_while_back(clock, &ms))
		return ms;
	latest_ms = clock->latest_ms;
	/* small corrections: time stands still meanwhile */
	while (now_ms > latest_ms && !atomic_compare_exchange_weak(&clock->latest_ms, &latest_ms, now_ms))
		;
	return now_ms > latest_ms ? now_ms : latest_ms;
}

void
clock_start_from(struct clock *clock, int64_t recorded_ms)
{
	if (recorded_ms <= time_now_ms() + CLOCK_BACK_MS)
		return;
	clock->latest_ms = recorded_ms;
	set_back(clock);
}

int64_t
clock_behind_ms(struct clock *clock)
{
	int64_t behind_ms;

	if (!clock || !clock->is_back)
		return 0;
	behind_ms = clock->latest_ms - time_now_ms();
	return behind_ms > 0 ? behind_ms : 1;
}

int
clock_check(struct op *op)
{
	char now[TIME_TEXT_BYTES], latest[TIME_TEXT_BYTES];

	if (!op->svc || !op->svc->clock || !op->svc->clock->is_back)
		return 0;
	return op_fail(op, ERR_CLOCK, "the clock of this machine says %s, but %s was recorded already: nothing is issued until it is right "
	    "again", time_text(time_now_ms(), now), time_text(op->svc->clock->latest_ms, latest));
}

void
clock_resume(struct clock *clock)
{
	pthread_mutex_lock(&clock->lock);
	clock->latest_ms = time_now_ms();
	clock->is_back = false;
	pthread_mutex_unlock(&clock->lock);
}
