/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Lanes: bounded queues with a few threads each (include/tables/lanes.def).  A request that may block runs on a lane,
 * from top to bottom, while the network loop serves others.
 *
 *     if (lane_put(lanes, LANE_QUICK, &job->task) < 0) answer 503 with Retry-After;
 *
 * The queue wakes at most one thread at a time, and that one the next (a chain), which costs a third of waking all.
 * A job whose deadline passed while it waited is given to drop() instead of run().
 */
#ifndef KW_BASE_LANE_H
#define KW_BASE_LANE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/attr.h"

enum lane {
#define LANE(name, threads, queue, text) LANE_##name,
#include "tables/lanes.def"
#undef LANE
	LANE_COUNT,
	LANE_INLINE = -1,               /* answered on the network loop: nothing in it may block */
};

struct lane_task {
	void (*run)(struct lane_task *task);
	void (*drop)(struct lane_task *task);   /* deadline passed before it began */
	int64_t deadline_ms;            /* monotonic */
};

struct lanes;

/* Starts the threads; quick_threads replaces the table's number for the lane "quick" when above 0. */
struct lanes *lanes_new(int quick_threads);
/* Lets running and queued tasks end, then joins the threads. */
void lanes_free(struct lanes *lanes);
/* ERR_BUSY when the queue is full; the task then still belongs to the caller. */
int lane_put(struct lanes *lanes, enum lane lane, struct lane_task *task) MUST_CHECK;
/* Waiting tasks of a lane; for metrics. */
int lane_depth(struct lanes *lanes, enum lane lane);
const char *lane_name(enum lane lane);

#endif
