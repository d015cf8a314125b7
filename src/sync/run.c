/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Beginning runs: by hand, by the timer, after a stop, after an approval.  That no directory has two runs at a time is the row's
 * doing: a unique index over runs under way.  What a run does is in work.c.
 */
#include <string.h>

#include "audit/audit.h"
#include "base/config.h"
#include "base/lane.h"
#include "base/log.h"
#include "base/time.h"
#include "base/uuid.h"
#include "store/restore.h"
#include "sync_int.h"

#define QUEUE_MAX_MS (12 * 3600000LL)
#define RESUME_CLEAN 50         /* newest ended runs whose cleaning may have been cut off */

static int
start_body(struct op *op, void *arg)
{
	struct sync_run_row *run = arg, *active;
	size_t n;
	int rc = db_sync_run_active(op, run->directory_id, &active, &n);

	if (rc)
		return rc;
	if (n)
		return op_fail(op, ERR_CONFLICT, "run %s of this directory is under way (%s); wait for it, then start again",
		    active[0].id, active[0].state);
	return db_sync_run_add(op, run);
}

int
sync_start(struct op *op, const struct catalog_directory *directory, bool is_preview, const char *cause, char **ret_run)
{
	struct sync_counts none = { 0 };
	struct sync_run_row run = {
		.directory_id = directory->id, .purpose = is_preview ? "preview" : "run", .state = "reading", .cause = cause,
		.catalog_mark = "", .counts = counts_write(op, &none), .started_ms = op->now_ms,
	};
	char *id = op_alloc(op, UUID_TEXT_BYTES);

	/* a preview changes nothing: it may be looked at before the directory is switched on */
	if (!directory->body->enabled && !is_preview)
		return op_fail(op, ERR_CONFLICT, "directory %s is switched off (enabled: false)", directory->body->name);
	uuid_new(id, op->now_ms);
	run.id = *ret_run = id;
	return db_run(op, start_body, &run);
}

/* ---- on the lane ---- */

struct sync_task {
	struct lane_task task;          /* first: a task is its sync_task */
	struct services *svc;
	const struct config *config;
	enum actor_kind kind;
	char *actor, *run_id;
};

static struct sync_task *
task_new(struct op *op, const char *run_id)
{
	struct sync_task *task = mem_new(sizeof(*task));

	task->svc = op->svc;
	task->config = op->config ? config_ref(op->config) : NULL;
	task->kind = op->caller.kind;
	task->actor = mem_strdup(op->caller.actor);
	task->run_id = mem_strdup(run_id);
	return task;
}

static void
task_free(struct sync_task *task)
{
	if (task->config)
		config_unref(task->config);
	mem_free(task->actor);
	mem_free(task->run_id);
	mem_free(task);
}

static void
task_run(struct lane_task *head)
{
	struct sync_task *task = (struct sync_task *)head;
	struct op *op = op_begin(task->svc, task->config);

	mem_trim();
	op->caller.kind = task->kind;
	op->caller.actor = op_strdup(op, task->actor);
	/* a failure stands in the run's record, the audit and the log */
	if (sync_work(op, task->run_id))
		op_forgive(op);
	op_end(op);
	task_free(task);
	mem_trim();
}

/* Waited in vain for a thread: the run stays in its state, and the next start of the daemon goes on with it. */
static void
task_drop(struct lane_task *head)
{
	struct sync_task *task = (struct sync_task *)head;

	log_line(LOG_LEVEL_ERROR, "sync.dropped", "run", task->run_id, NULL);
	task_free(task);
}

int
sync_queue(struct op *op, const char *run_id)
{
	struct sync_task *task;

	if (!op->svc->lanes)
		return sync_work(op, run_id);
	task = task_new(op, run_id);
	task->task = (struct lane_task){ task_run, task_drop, time_monotonic_ms() + QUEUE_MAX_MS };
	if (lane_put(op->svc->lanes, LANE_sync, &task->task) < 0) {
		task_free(task);
		return op_fail(op, ERR_BUSY, "too much other work waits; try again in a minute");
	}
	return 0;
}

/* ---- the timer, the start of the daemon, the approval ---- */

struct due {
	const char *directory_id;
	int64_t last_ms, waits_since_ms;
	struct sync_run_row *active;
	size_t n_active;
};

static int
due_body(struct op *op, void *arg)
{
	struct due *due = arg;
	int rc = db_sync_last_time(op, due->directory_id, &due->last_ms);

	if (!rc)
		rc = db_sync_wait_read(op, due->directory_id, &due->waits_since_ms);
	return rc ? rc : db_sync_run_active(op, due->directory_id, &due->active, &due->n_active);
}

static int
give_up_body(struct op *op, void *arg)
{
	struct sync_run_row *run = arg;
	const char *state = run->state;

	run->state = "failed";
	run->failure = "nobody has worked on it for ten minutes; the next run reads the directory again";
	run->finished_ms = op->now_ms;
	return db_sync_run_write(op, run, state);
}

/* A run that could not even record its failure (a full disk) must not keep its directory from being read for ever. */
static int
give_up(struct op *op, struct due *due)
{
	if (!due->n_active || op->now_ms - due->active[0].changed_ms < RUN_STALE_MS)
		return 0;
	log_line(LOG_LEVEL_ERROR, "sync.given_up", "run", due->active[0].id, "state", due->active[0].state, NULL);
	return db_run(op, give_up_body, &due->active[0]);
}

/* After a restore nobody signs in before the first run, so that does not wait for its hour. */
static bool
is_due(const struct op *op, const struct due *due)
{
	if (due->last_ms < due->waits_since_ms)
		return true;
	/* a clock that was set back must not stop the timer */
	return op->now_ms < due->last_ms || op->now_ms - due->last_ms >= op->config->sync_interval * 1000;
}

/* Begins a run when the directory is due. */
static int
tick_one(struct op *op, const struct catalog_directory *directory)
{
	struct due due = { .directory_id = directory->id };
	char *run;
	int rc = db_read(op, due_body, &due);

	if (!rc)
		rc = give_up(op, &due);
	if (rc || due.n_active || !is_due(op, &due))
		return rc;
	rc = sync_start(op, directory, false, "timer", &run);
	return rc ? rc : sync_queue(op, run);
}

int
sync_tick(struct op *op)
{
	const struct catalog_snapshot *catalog = catalog_get(op);

	for (size_t i = 0; i < catalog->n_directories; i++) {
		const struct catalog_directory *directory = &catalog->directories[i];

		/* one that cannot begin does not keep the others from it */
		if (directory->body->enabled && tick_one(op, directory) < 0) {
			log_line(LOG_LEVEL_INFO, "sync.not_begun", "directory", directory->body->name, "why", op_failure(op), NULL);
			op_forgive(op);
		}
	}
	return 0;
}

struct runs {
	struct sync_run_row *active, *newest;
	size_t n_active, n_newest;
};

static int
resume_body(struct op *op, void *arg)
{
	struct runs *runs = arg;
	int rc = db_sync_run_active(op, NULL, &runs->active, &runs->n_active);

	return rc ? rc : db_sync_run_list(op, NULL, NULL, RESUME_CLEAN, &runs->newest, &runs->n_newest);
}

int
sync_resume(struct op *op)
{
	struct runs runs;
	int rc = db_read(op, resume_body, &runs);

	if (!rc)
		rc = sync_measure(op);
	for (size_t i = 0; !rc && i < runs.n_newest; i++)
		rc = run_clean(op, &runs.newest[i]);
	for (size_t i = 0; !rc && i < runs.n_active; i++) {
		struct op *own = chunk_begin(op);

		log_line(LOG_LEVEL_NOTICE, "sync.resumed", "run", runs.active[i].id, "state", runs.active[i].state, NULL);
		/* one that fails says so in its record and does not keep the others from going on */
		if (sync_queue(own, runs.active[i].id))
			op_forgive(own);
		op_end(own);
	}
	return rc;
}

static int
approve_body(struct op *op, void *arg)
{
	const char *run_id = arg;
	struct sync_run_row *run, *active;
	const struct catalog_directory *directory;
	size_t n;
	int rc = db_sync_run_read(op, run_id, &run);

	if (rc)
		return rc;
	if (strcmp(run->state, "frozen"))
		return op_fail(op, ERR_CONFLICT, "run %s does not wait for approval: it is %s", run_id, run->state);
	if (strcmp(run->catalog_mark, catalog_get(op)->mark))
		return op_fail(op, ERR_CONFLICT,
		    "roles, rules or locations have changed since that plan was made; start a new run and look at its plan");
	rc = db_sync_run_active(op, run->directory_id, &active, &n);
	if (rc)
		return rc;
	if (n)
		return op_fail(op, ERR_CONFLICT, "run %s of this directory is under way; look at its plan first", active[0].id);
	run->state = "approved";
	run->failure = NULL;
	run->approved_by = op->caller.actor ? op->caller.actor : "";
	rc = db_sync_run_write(op, run, "frozen");
	directory = catalog_directory_by_id(catalog_get(op), run->directory_id);
	return rc ? rc : audit_record(op, EV_SYNC_APPROVED, run_id,
	    FACTS(FACT("directory", directory ? directory->body->name : run->directory_id), FACT("counts", run->counts)));
}

int
sync_approve(struct op *op, const char *run_id)
{
	return db_run(op, approve_body, (void *)(uintptr_t)run_id);
}
