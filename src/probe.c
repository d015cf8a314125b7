/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What monitoring asks on the loopback listener: alive, ready, numbers. */
#include <string.h>

#include "audit/audit.h"
#include "base/clock.h"
#include "base/metric.h"
#include "routes.h"
#include "store/driver.h"

HANDLER(probe_health);
HANDLER(probe_ready);
HANDLER(probe_metrics);

static int
answer(struct reply *reply, int status, const char *text)
{
	reply_body(reply, status, "text/plain; charset=utf-8", text, strlen(text));
	return 0;
}

int
probe_health(struct op *op, struct request *request, struct reply *reply)
{
	(void)op, (void)request;
	return answer(reply, 200, "ok\n");
}

/* Ready is who would serve a sign-in now: started, not stopping, a database that keeps what it is told, an audit log that is written. */
int
probe_ready(struct op *op, struct request *request, struct reply *reply)
{
	const struct door *door = request->listener;

	if (!door->program->is_ready)
		return answer(reply, 503, "stopping\n");
	if (op->svc->db && db_is_broken(op->svc->db))
		return answer(reply, 503, "the database is broken\n");
	if (op->svc->db && !db_may_answer(op->svc->db))
		return answer(reply, 503, "the database cannot be reached, or a commit is not known yet\n");
	if (op->svc->db && db_is_refusing(op->svc->db))
		return answer(reply, 503, "the database cannot be written: its disk is full or read-only\n");
	if (op->svc->audit && !audit_is_ready(op->svc->audit))
		return answer(reply, 503, "the audit log cannot be written\n");
	if (clock_behind_ms(op->svc->clock))
		return answer(reply, 503, "the clock was set back\n");
	return answer(reply, 200, "ready\n");
}

int
probe_metrics(struct op *op, struct request *request, struct reply *reply)
{
	char *text = metrics_text(op);

	(void)request;
	reply_body(reply, 200, "text/plain; version=0.0.4; charset=utf-8", text, strlen(text));
	return 0;
}
