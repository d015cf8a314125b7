/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Lanes: everything put is run exactly once, a full queue says so, what is too late is dropped, the end waits. */
#include "base/lane.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/error.h"
#include "base/time.h"

struct item {
	struct lane_task task;
	_Atomic int *runs, *drops;
	pthread_barrier_t *gate;        /* waits here; may be NULL */
};

static void
run(struct lane_task *task)
{
	struct item *item = (struct item *)task;

	if (item->gate)
		pthread_barrier_wait(item->gate);
	++*item->runs;
}

static void
drop(struct lane_task *task)
{
	++*((struct item *)task)->drops;
}

static struct item
item_of(_Atomic int *runs, _Atomic int *drops, pthread_barrier_t *gate)
{
	return (struct item){ { run, drop, time_monotonic_ms() + 60000 }, runs, drops, gate };
}

Test(lane, everything_put_is_run_once)
{
	static struct item items[20000];
	struct lanes *lanes = lanes_new(4);
	_Atomic int runs = 0, drops = 0;

	for (size_t i = 0; i < countof(items); i++) {
		items[i] = item_of(&runs, &drops, NULL);
		while (lane_put(lanes, LANE_quick, &items[i].task) < 0)
			usleep(100);
	}
	lanes_free(lanes);
	cr_assert_eq(runs, (int)countof(items));
	cr_assert_eq(drops, 0);
}

Test(lane, a_full_queue_refuses)
{
	static struct item items[1000];
	struct lanes *lanes = lanes_new(1);
	_Atomic int runs = 0, drops = 0;
	pthread_barrier_t gate;
	int accepted = 0;

	pthread_barrier_init(&gate, NULL, 2);
	items[0] = item_of(&runs, &drops, &gate);
	cr_assert_eq(lane_put(lanes, LANE_quick, &items[0].task), 0);
	while (lane_depth(lanes, LANE_quick) > 0)
		usleep(100);
	for (size_t i = 1; i < countof(items); i++) {
		items[i] = item_of(&runs, &drops, NULL);
		if (lane_put(lanes, LANE_quick, &items[i].task) == 0)
			accepted++;
	}
	cr_assert_eq(accepted, 256, "the queue of the table");
	cr_assert_eq(lane_put(lanes, LANE_quick, &items[999].task), ERR_BUSY);
	cr_assert_eq(lane_depth(lanes, LANE_quick), 256);
	/* other lanes are not concerned */
	cr_assert_eq(lane_depth(lanes, LANE_bind), 0);
	pthread_barrier_wait(&gate);
	lanes_free(lanes);
	cr_assert_eq(runs, 257, "the end waits for all");
}

Test(lane, what_is_too_late_is_dropped)
{
	struct lanes *lanes = lanes_new(1);
	_Atomic int runs = 0, drops = 0;
	struct item late = item_of(&runs, &drops, NULL), early = late;

	late.task.deadline_ms = time_monotonic_ms() - 1;
	cr_assert_eq(lane_put(lanes, LANE_quick, &late.task), 0);
	cr_assert_eq(lane_put(lanes, LANE_quick, &early.task), 0);
	lanes_free(lanes);
	cr_assert_eq(runs, 1);
	cr_assert_eq(drops, 1);
}
