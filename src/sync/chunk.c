/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Long work in small pieces: an op for each chunk, a pace for its writes, and the counts of a run as text. */
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "store/driver.h"
#include "sync_int.h"

#define HOLD_MS 3               /* of a transaction that others wait for */
#define HOLD_ALONE_MS 60        /* of one that nobody waits for */
#define TOUCH_MS 2000

struct op *
chunk_begin(struct op *op)
{
	struct op *chunk = op_begin(op->svc, op->config);

	chunk->caller = op->caller;
	chunk->deadline_ms = op->deadline_ms;
	memcpy(chunk->request_id, op->request_id, sizeof(chunk->request_id));
	return chunk;
}

int
chunk_end(struct op *op, struct op *chunk, int rc)
{
	if (rc)
		op_fail_at(op, rc, chunk->failure.file, chunk->failure.line, "%s", op_failure(chunk));
	op_end(chunk);
	/* between two chunks everything is on the disk: sync_resume goes on from here */
	if (!rc && op->svc->is_stopping)
		return op_fail(op, ERR_BUSY, "the service is stopping; the run goes on at its next start");
	return rc;
}

static int
touch_body(struct op *op, void *arg)
{
	const struct run *run = arg;
	struct sync_run_row row = *run->row;

	row.counts = counts_write(op, &run->counts);    /* for those who watch */
	return db_sync_run_write(op, &row, row.state);
}

int
run_touch(struct op *op, struct run *run)
{
	int64_t now_ms = time_monotonic_ms();

	if (!run->touched_ms)
		run->touched_ms = now_ms;
	if (now_ms - run->touched_ms < TOUCH_MS)
		return 0;
	run->touched_ms = now_ms;
	return db_run(op, touch_body, run);
}

void
pace_begin(struct pace *pace)
{
	pace->began_ms = time_monotonic_ms();
}

bool
pace_may_go_on(struct op *op, const struct pace *pace)
{
	return time_monotonic_ms() - pace->began_ms < (db_is_wanted(op) ? HOLD_MS : HOLD_ALONE_MS);
}

#define EACH_COUNT(F) \
	F(active_before) F(change) F(create) F(disable) F(disabled_lately) F(enable) F(end) F(grant) F(groups) F(inactive) F(limit) \
	F(losing) F(member) F(nameless) F(planned) F(read) F(skipped) F(unchanged)

char *
counts_write(struct op *op, const struct sync_counts *counts)
{
	json_t *object = json_own(op, json_object());

#define PUT(name) json_object_set_new(object, #name, json_integer(counts->name));
	EACH_COUNT(PUT)
#undef PUT
	return json_canonical(op, object);
}

int
counts_read(struct op *op, const char *text, struct sync_counts *ret)
{
	json_t *object;
	int rc = json_read(op, text, strlen(text), &object);

	if (rc)
		return rc;
#define GET(name) ret->name = json_get_int(object, #name);
	EACH_COUNT(GET)
#undef GET
	return 0;
}

size_t
pace_slice(const struct op *op)
{
	return db_threads(op->svc->db) > 1 ? 512 : 64;
}

void
run_analyze(struct op *op, const struct run *run)
{
	struct op *own = chunk_begin(op);

	if (db_analyze(own) < 0)
		log_line(LOG_LEVEL_WARNING, "sync.not_analyzed", "run", run->row->id, "why", op_failure(own), NULL);
	op_end(own);
}
