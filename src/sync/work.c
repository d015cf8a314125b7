/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Leads one run from state to state: reading, staged, planned, (frozen, approved,) applying, done.  Each step ends by writing the
 * next state, so that a run goes on with the step in which it was stopped.  Read sync_work, then the steps.
 */
#include <string.h>

#include "audit/audit.h"
#include "base/log.h"
#include "base/time.h"
#include "store/restore.h"
#include "sync_int.h"

#define RUN_MAX_MS (24 * 3600000LL)
#define KEPT_MS (30 * 86400000LL)     /* plans and records of runs */

/* ---- the record ---- */

struct move {
	struct run *run;
	const char *from;
};

static int
move_body(struct op *op, void *arg)
{
	struct move *move = arg;
	struct sync_run_row *row = move->run->row;

	row->counts = counts_write(op, &move->run->counts);
	return db_sync_run_write(op, row, move->from);
}

static int
move_to(struct op *op, struct run *run, const char *state)
{
	struct move move = { run, run->row->state };

	run->row->state = state;
	return db_run(op, move_body, &move);
}

/* ---- reading ---- */

static int
step_read(struct op *op, struct run *run)
{
	struct op *own = chunk_begin(op);
	struct source_reader reader = stage_reader;
	struct source_summary summary;
	struct stage *stage;
	int rc;

	run->counts = (struct sync_counts){ 0 };
	run->outside_groups = 0;
	rc = stage_begin(own, run, &stage);
	reader.arg = stage;
	if (!rc)
		rc = source_read(own, run->directory, run->rules, &reader, &summary);
	if (!rc)
		rc = stage_end(own, stage);
	rc = chunk_end(op, own, rc);
	if (!rc)
		rc = guard_empty(op, run);
	if (!rc)
		run_analyze(op, run);
	return rc ? rc : move_to(op, run, "staged");
}

/* ---- planning and the guard ---- */

static int
step_plan(struct op *op, struct run *run)
{
	int rc = plan_build(op, run);

	run->row->catalog_mark = catalog_get(op)->mark;
	return rc ? rc : move_to(op, run, "planned");
}

static int
audit_run(struct op *op, enum event event, const struct run *run)
{
	const char *counts = counts_write(op, &run->counts);
	const char *directory = run->directory ? run->directory->body->name : run->directory_id;

	if (event == EV_SYNC_FROZEN)
		return audit_record(op, event, run->row->id,
		    FACTS(FACT("directory", directory), FACT("counts", counts),
		        FACT("limit", op_printf(op, "%lld", (long long)run->counts.limit))));
	if (event == EV_SYNC_DONE)
		return audit_record(op, event, run->row->id,
		    FACTS(FACT("directory", directory), FACT("counts", counts), FACT("cause", run->row->cause)));
	return audit_record(op, event, run->row->id, FACTS(FACT("directory", directory), FACT("counts", counts)));
}

struct gate {
	struct run *run;
	bool is_frozen;
	const char *state;      /* out */
};

/* A newer plan takes the place of those that wait; the same plan goes on waiting under its old run. */
static int
gate_body(struct op *op, void *arg)
{
	struct gate *gate = arg;
	struct run *run = gate->run;
	struct sync_run_row row = *run->row, *frozen;
	size_t n;
	int rc = db_sync_run_frozen(op, run->directory_id, &frozen, &n);

	row.counts = counts_write(op, &run->counts);
	row.state = gate->is_frozen ? "frozen" : "applying";
	if (gate->is_frozen)
		row.failure = op_printf(op,
		    "it would disable %lld active accounts, after %lld in the last 24 hours; without approval the limit is %lld",
		    (long long)run->counts.losing, (long long)run->counts.disabled_lately, (long long)run->counts.limit);
	for (size_t i = 0; !rc && i < n; i++) {
		if (gate->is_frozen && !strcmp(frozen[i].plan_hash, row.plan_hash)) {
			row.state = "abandoned";
			row.finished_ms = op->now_ms;
			row.failure = op_printf(op, "the same plan waits for approval as run %s", frozen[i].id);
			continue;
		}
		frozen[i].state = "abandoned";
		frozen[i].finished_ms = op->now_ms;
		frozen[i].failure = op_printf(op, "run %s has read the directory again", row.id);
		rc = db_sync_run_write(op, &frozen[i], "frozen");
	}
	if (!rc)
		rc = db_sync_run_write(op, &row, "planned");
	if (!rc && !strcmp(row.state, "frozen"))
		rc = audit_run(op, EV_SYNC_FROZEN, run);
	gate->state = row.state;
	return rc;
}

static int
finish_preview_body(struct op *op, void *arg)
{
	struct run *run = arg;
	struct sync_run_row row = *run->row;

	row.counts = counts_write(op, &run->counts);
	row.finished_ms = op->now_ms;
	return db_sync_run_write(op, &row, "planned");
}

static int
step_guard(struct op *op, struct run *run)
{
	struct gate gate = { .run = run };
	int rc = guard_check(op, run, &gate.is_frozen);

	if (rc)
		return rc;
	if (!strcmp(run->row->purpose, "preview")) {
		run->row->finished_ms = op->now_ms;
		return db_run(op, finish_preview_body, run);
	}
	rc = db_run(op, gate_body, &gate);
	if (rc)
		return rc;
	run->row->state = gate.state;
	if (!strcmp(gate.state, "frozen")) {
		measure_run(op, run->directory, "frozen");
		log_line(LOG_LEVEL_WARNING, "sync.frozen", "run", run->row->id,
		    "losing", op_printf(op, "%lld", (long long)run->counts.losing),
		    "limit", op_printf(op, "%lld", (long long)run->counts.limit), NULL);
	}
	return 0;
}

/* ---- applying ---- */

static int
done_body(struct op *op, void *arg)
{
	struct run *run = arg;
	struct sync_run_row row = *run->row;
	int rc;

	row.state = "done";
	row.finished_ms = op->now_ms;
	row.counts = counts_write(op, &run->counts);
	rc = db_sync_run_write(op, &row, "applying");
	/* after a restore: the people of this directory are of today again */
	if (!rc)
		rc = db_sync_wait_end(op, row.directory_id);
	return rc ? rc : audit_run(op, EV_SYNC_DONE, run);
}

static int
step_apply(struct op *op, struct run *run)
{
	int rc = 0;

	/* what the rules give is worked out again here: it must be by the rules that the plan was made with */
	if (strcmp(run->row->catalog_mark, catalog_get(op)->mark))
		return op_fail(op, ERR_CONFLICT, "roles, rules or locations have changed since the plan was made; the next run plans anew");
	if (!strcmp(run->row->state, "approved"))
		rc = move_to(op, run, "applying");
	if (!rc)
		rc = apply_run(op, run);
	op_touch(op);
	if (!rc)
		rc = db_run(op, done_body, run);
	if (rc)
		return rc;
	run->row->state = "done";
	run->row->finished_ms = op->now_ms;
	measure_run(op, run->directory, "done");
	measure_changes(run);
	return 0;
}

/* ---- leftovers ---- */

struct drop {
	int (*slice)(struct op *op, struct drop *drop);
	int64_t number;
	const char *run_id, *next;
	int64_t before_ms;
	bool has_more;
};

static int
drop_stage(struct op *op, struct drop *drop)
{
	return db_sync_stage_drop(op, drop->number, &drop->has_more);
}

static int
drop_plan(struct op *op, struct drop *drop)
{
	return db_sync_plan_drop(op, drop->run_id, &drop->has_more);
}

static int
oldest_body(struct op *op, void *arg)
{
	struct drop *drop = arg;

	return db_sync_plan_oldest(op, drop->before_ms, &drop->run_id);
}

static int
drop_runs_body(struct op *op, void *arg)
{
	return db_sync_run_drop(op, ((struct drop *)arg)->before_ms);
}

static int
drop_body(struct op *op, void *arg)
{
	struct drop *drop = arg;
	struct pace pace;
	int rc;

	pace_begin(&pace);
	do {
		rc = drop->slice(op, drop);
	} while (!rc && drop->has_more && pace_may_go_on(op, &pace));
	return rc;
}

static int
drop_all(struct op *op, struct drop *drop, int (*slice)(struct op *, struct drop *))
{
	int rc = 0;

	drop->slice = slice;
	for (drop->has_more = true; !rc && drop->has_more;) {
		struct op *chunk = chunk_begin(op);

		rc = chunk_end(op, chunk, db_run(chunk, drop_body, drop));
	}
	return rc;
}

/* Staged rows of a run that has ended; the plan too when nobody will ask for it. */
int
run_clean(struct op *op, const struct sync_run_row *row)
{
	struct drop drop = { .number = row->number, .run_id = row->id, .before_ms = op->now_ms - KEPT_MS };
	int rc;

	if (!row->finished_ms)
		return 0;
	rc = drop_all(op, &drop, drop_stage);
	if (!rc && !strcmp(row->state, "abandoned"))
		rc = drop_all(op, &drop, drop_plan);
	if (!rc)
		rc = db_read(op, oldest_body, &drop);
	if (!rc && drop.run_id)
		rc = drop_all(op, &drop, drop_plan);
	return rc ? rc : db_run(op, drop_runs_body, &drop);
}

/* Runs that this one has put aside. */
static int
abandoned_body(struct op *op, void *arg)
{
	struct sync_run_row **list = arg;
	size_t n;
	int rc = db_sync_run_list(op, list[0]->directory_id, list[0]->id, 10, &list[1], &n);

	list[2] = list[1] + (rc ? 0 : n);
	return rc;
}

static int
clean_after(struct op *op, const struct run *run)
{
	struct sync_run_row *list[3] = { run->row, NULL, NULL };
	int rc = run_clean(op, run->row);

	if (!rc)
		rc = db_read(op, abandoned_body, list);
	for (struct sync_run_row *row = list[1]; !rc && row < list[2]; row++)
		if (!strcmp(row->state, "abandoned") && row->finished_ms >= run->row->started_ms)
			rc = run_clean(op, row);
	return rc;
}

/* ---- the lead ---- */

static int
read_body(struct op *op, void *arg)
{
	struct run *run = arg;

	return db_sync_run_read(op, run->row->id, &run->row);
}

static int
load(struct op *op, const char *run_id, struct run *run)
{
	struct sync_run_row name = { .id = run_id };
	const struct catalog_snapshot *catalog = catalog_get(op);
	struct source_rules *rules;
	int rc;

	run->row = &name;
	rc = db_read(op, read_body, run);
	if (rc)
		return rc;
	rc = counts_read(op, run->row->counts, &run->counts);
	if (rc)
		return rc;
	run->directory_id = run->row->directory_id;
	run->directory = catalog_directory_by_id(catalog, run->directory_id);
	if (!run->directory || (!run->directory->body->enabled && strcmp(run->row->purpose, "preview") != 0))
		return op_fail(op, ERR_NOT_FOUND, "the directory was removed or switched off");
	rc = source_rules_make(op, run->directory, &rules);
	run->rules = rules;
	return rc;
}

static int
failed_body(struct op *op, void *arg)
{
	struct sync_run_row *row = arg, *now;
	int rc = db_sync_run_read(op, row->id, &now);

	if (rc || now->finished_ms)
		return rc;
	now->failure = row->failure;
	now->finished_ms = op->now_ms;
	now->state = "failed";
	return db_sync_run_write(op, now, row->state);
}

/* Nothing is concluded from a run that failed; its sentence stays in its record. */
static void
record_failure(struct op *op, struct run *run, const char *sentence)
{
	struct op *own = chunk_begin(op);
	const char *directory = run->directory ? run->directory->body->name : run->directory_id;
	struct sync_run_row *now;

	run->row->failure = sentence;
	if (db_read(own, read_body, run) == 0) {
		now = run->row;
		now->failure = sentence;
		if (!now->finished_ms && db_run(own, failed_body, now) == 0)
			audit_refusal(own, EV_SYNC_FAILED, run->row->id, FACTS(FACT("directory", directory), FACT("reason", sentence)));
		now->finished_ms = own->now_ms;
		if (run_clean(own, now))
			log_line(LOG_LEVEL_WARNING, "sync.not_cleaned", "run", now->id, "why", op_failure(own), NULL);
	}
	log_line(LOG_LEVEL_WARNING, "sync.failed", "directory", directory, "run", run->row->id, "why", sentence, NULL);
	measure_run(own, run->directory, "failed");
	op_end(own);
}

static bool
is_in(const struct run *run, const char *state)
{
	return !strcmp(run->row->state, state);
}

static int
lead(struct op *op, struct run *run)
{
	int rc = 0;

	if (is_in(run, "reading"))
		rc = step_read(op, run);
	if (!rc && is_in(run, "staged"))
		rc = step_plan(op, run);
	if (!rc && is_in(run, "planned") && !run->row->finished_ms)
		rc = step_guard(op, run);
	if (!rc && (is_in(run, "applying") || is_in(run, "approved")))
		rc = step_apply(op, run);
	return rc;
}

int
sync_work(struct op *op, const char *run_id)
{
	struct sync_run_row name = { .id = run_id, .directory_id = "" };
	struct run run = { .row = &name, .directory_id = "" };
	int rc;

	op->deadline_ms = time_monotonic_ms() + RUN_MAX_MS;
	rc = load(op, run_id, &run);
	if (!rc)
		rc = lead(op, &run);
	/* after an unknown outcome, and when the service stops, the record is asked at the next start */
	if (rc && rc != ERR_UNKNOWN_OUTCOME && !op->svc->is_stopping)
		record_failure(op, &run, op_failure(op));
	if (!rc)
		rc = clean_after(op, &run);
	if (!rc && is_in(&run, "frozen"))
		return op_fail(op, ERR_GUARD, "run %s waits for approval: it would disable too many", run_id);
	return rc;
}
