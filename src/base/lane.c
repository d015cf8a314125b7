/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The hand-over between those who must not wait and those who may.  A queue is one mutex, one ring, one condition and at
 * most one wake-up under way: who is woken wakes the next one if there is more to do.  Waking everybody for every task
 * costs three times as many context switches.  Read lane_put and lane_take; the rest starts and ends threads.
 */
#include "base/lane.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/time.h"

#define MAX_THREADS 64
#define STACK_BYTES (1u << 20)

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct lane_task **ring;
	int room, head, n;              /* n tasks wait, the oldest at head */
	int idle;                       /* threads that sleep */
	bool is_waking;                 /* a wake-up is under way: do not send another */
	bool is_ending;
	pthread_t threads[MAX_THREADS];
	int n_threads;
};

struct lanes {
	struct queue queues[LANE_COUNT];
};

static const struct { const char *name; int threads, room; } rows[] = {
#define LANE(name, threads, queue, text) { #name, threads, queue },
#include "tables/lanes.def"
#undef LANE
};

const char *
lane_name(enum lane lane)
{
	return lane >= 0 && lane < LANE_COUNT ? rows[lane].name : "inline";
}

/* The oldest task; NULL when the queue ends and nothing is left. */
static struct lane_task *
lane_take(struct queue *q)
{
	struct lane_task *task = NULL;
	bool must_signal;

	pthread_mutex_lock(&q->lock);
	while (q->n == 0 && !q->is_ending) {
		q->idle++;
		pthread_cond_wait(&q->wake, &q->lock);
		q->is_waking = false;
		q->idle--;
	}
	if (q->n > 0) {
		task = q->ring[q->head];
		q->head = (q->head + 1) % q->room;
		q->n--;
	}
	must_signal = q->n > 0 && q->idle > 0 && !q->is_waking;
	if (must_signal)
		q->is_waking = true;
	pthread_mutex_unlock(&q->lock);
	if (must_signal)
		pthread_cond_signal(&q->wake);
	return task;
}

int
lane_put(struct lanes *lanes, enum lane lane, struct lane_task *task)
{
	struct queue *q = &lanes->queues[lane];
	bool must_signal;

	pthread_mutex_lock(&q->lock);
	if (q->n == q->room || q->is_ending) {
		pthread_mutex_unlock(&q->lock);
		return ERR_BUSY;
	}
	q->ring[(q->head + q->n++) % q->room] = task;
	must_signal = q->idle > 0 && !q->is_waking;
	if (must_signal)
		q->is_waking = true;
	pthread_mutex_unlock(&q->lock);
	if (must_signal)
		pthread_cond_signal(&q->wake);
	return 0;
}

int
lane_depth(struct lanes *lanes, enum lane lane)
{
	struct queue *q = &lanes->queues[lane];
	int n;

	pthread_mutex_lock(&q->lock);
	n = q->n;
	pthread_mutex_unlock(&q->lock);
	return n;
}

static void *
lane_main(void *arg)
{
	struct queue *q = arg;
	struct lane_task *task;

	while ((task = lane_take(q))) {
		/* nobody waits for the answer any more: do not spend time on it */
		if (time_monotonic_ms() > task->deadline_ms)
			task->drop(task);
		else
			task->run(task);
	}
	return NULL;
}

static void
queue_open(struct queue *q, enum lane lane, int threads)
{
	pthread_attr_t attr;
	char name[16];

	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->wake, NULL);
	q->room = rows[lane].room;
	q->ring = mem_new((size_t)q->room * sizeof(*q->ring));
	if (threads > MAX_THREADS)
		threads = MAX_THREADS;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (; q->n_threads < threads; q->n_threads++) {
		if (pthread_create(&q->threads[q->n_threads], &attr, lane_main, q) != 0) {
			fprintf(stderr, "keyward: cannot start a thread of lane %s\n", rows[lane].name);
			abort();
		}
		snprintf(name, sizeof(name), "lane-%s", rows[lane].name);
		pthread_setname_np(q->threads[q->n_threads], name);
	}
	pthread_attr_destroy(&attr);
}

struct lanes *
lanes_new(int quick_threads)
{
	struct lanes *lanes = mem_new(sizeof(*lanes));

	for (int i = 0; i < LANE_COUNT; i++)
		queue_open(&lanes->queues[i], i, i == LANE_quick && quick_threads > 0 ? quick_threads : rows[i].threads);
	return lanes;
}

static void
queue_close(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->is_ending = true;
	pthread_mutex_unlock(&q->lock);
	pthread_cond_broadcast(&q->wake);
	for (int i = 0; i < q->n_threads; i++)
		pthread_join(q->threads[i], NULL);
	pthread_cond_destroy(&q->wake);
	pthread_mutex_destroy(&q->lock);
	mem_free(q->ring);
}

void
lanes_free(struct lanes *lanes)
{
	if (!lanes)
		return;
	for (int i = 0; i < LANE_COUNT; i++)
		queue_close(&lanes->queues[i]);
	mem_free(lanes);
}
