/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Work that comes round by itself: the table jobs.def, expanded.  One thread sleeps until the next job is due and puts it on its
 * lane; a job that is still running, or whose lane is full, waits for the next round.  Read timer_main first.
 */
#include "jobs.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/time.h"

#define TICK_MS 250
#define JOB_DEADLINE_MS 3600000
#define JOB_NEVER (-1)

#define JOB(name, lane, period, function, text) int function(struct op *op);
#include "tables/jobs.def"
#undef JOB

/* The period of each job in seconds, by the configuration of the moment. */
#define SEC(n) (n)
#define SOON(n) (n)
#define KEY(key) (config->key)
#define JOB(name, lane, period, function, text) \
	static int64_t period_##name(const struct config *config) { (void)config; return period; }
#include "tables/jobs.def"
#undef JOB
#undef SEC
#undef SOON
#undef KEY

static const struct row {
	const char *name;
	enum lane lane;
	int64_t (*period_sec)(const struct config *config);
	bool is_soon;
	int (*function)(struct op *op);
	const char *text;
} rows[] = {
#define SEC(n) false
#define SOON(n) true
#define KEY(key) false
#define JOB(name, lane, period, function, text) { #name, LANE_##lane, period_##name, period, function, text },
#include "tables/jobs.def"
#undef JOB
#undef SEC
#undef SOON
#undef KEY
	{ NULL, LANE_INLINE, NULL, false, NULL, NULL },
};

struct job {
	struct lane_task task;                  /* first: a task is its job */
	const struct row *row;
	struct program *program;
	int64_t last_ms;                        /* monotonic: begun, or the start of the daemon; JOB_NEVER */
	_Atomic bool is_under_way;
};

struct jobs {
	struct program *program;
	struct lanes *lanes;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool is_ending;
	struct job jobs[countof(rows)];
};

static void
job_run(struct lane_task *task)
{
	struct job *job = (struct job *)task;
	struct op *op = program_op(job->program);
	int rc;

	op->caller.kind = ACTOR_SYSTEM;
	op->caller.actor = job->row->name;
	op->deadline_ms = time_monotonic_ms() + JOB_DEADLINE_MS;
	rc = job->row->function(op);
	if (rc)
		log_line(error_row(rc)->level, "job.failed", "job", job->row->name, "error", error_row(rc)->name,
		    "why", op_failure(op), NULL);
	op_end(op);
	job->is_under_way = false;
}

static void
job_drop(struct lane_task *task)
{
	((struct job *)task)->is_under_way = false;
}

static void
start_due(struct jobs *jobs)
{
	struct op *op = program_op(jobs->program);      /* holds the configuration still */
	int64_t now = time_monotonic_ms();

	for (struct job *job = jobs->jobs; job->row; job++) {
		if (job->is_under_way || (job->last_ms != JOB_NEVER && now - job->last_ms < job->row->period_sec(op->config) * 1000))
			continue;
		job->last_ms = now;
		job->is_under_way = true;
		job->task = (struct lane_task){ job_run, job_drop, now + JOB_DEADLINE_MS };
		if (lane_put(jobs->lanes, job->row->lane, &job->task) < 0) {
			log_line(LOG_LEVEL_WARNING, "job.postponed", "job", job->row->name, "why", "its lane is full", NULL);
			job->is_under_way = false;
		}
	}
	op_end(op);
}

static void *
timer_main(void *arg)
{
	struct jobs *jobs = arg;

	pthread_mutex_lock(&jobs->lock);
	while (!jobs->is_ending) {
		struct timespec until;

		pthread_mutex_unlock(&jobs->lock);
		start_due(jobs);
		pthread_mutex_lock(&jobs->lock);
		until = time_in(TICK_MS);
		if (!jobs->is_ending)
			pthread_cond_timedwait(&jobs->wake, &jobs->lock, &until);
	}
	pthread_mutex_unlock(&jobs->lock);
	return NULL;
}

struct jobs *
jobs_new(struct program *program, struct lanes *lanes)
{
	struct jobs *jobs = mem_new(sizeof(*jobs));

	jobs->program = program;
	jobs->lanes = lanes;
	for (size_t i = 0; rows[i].name; i++) {
		jobs->jobs[i].row = &rows[i];
		jobs->jobs[i].program = program;
		jobs->jobs[i].last_ms = rows[i].is_soon ? JOB_NEVER : time_monotonic_ms();
	}
	pthread_mutex_init(&jobs->lock, NULL);
	time_condition_init(&jobs->wake);
	if (pthread_create(&jobs->thread, NULL, timer_main, jobs) != 0) {
		fputs("keywardd: cannot start the timer thread\n", stderr);
		abort();
	}
	return jobs;
}

void
jobs_stop(struct jobs *jobs)
{
	pthread_mutex_lock(&jobs->lock);
	jobs->is_ending = true;
	pthread_mutex_unlock(&jobs->lock);
	pthread_cond_signal(&jobs->wake);
	pthread_join(jobs->thread, NULL);
}

void
jobs_free(struct jobs *jobs)
{
	if (!jobs)
		return;
	pthread_cond_destroy(&jobs->wake);
	pthread_mutex_destroy(&jobs->lock);
	mem_free(jobs);
}

void
jobs_print(FILE *out)
{
	for (size_t i = 0; rows[i].name; i++)
		fprintf(out, "%s\t%s\t%s\n", rows[i].name, lane_name(rows[i].lane), rows[i].text);
}
