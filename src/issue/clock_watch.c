/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a clock that was set back means for those who are signed in.  While it is behind, sign-ins and tokens are refused
 * (base/clock.h); once it has reached the latest recorded moment again everybody has to sign in anew, because some of what ended in
 * between would be good again by the new time.  Read clock_watch.
 */
#include "issue/clock_watch.h"

#include "audit/audit.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/time.h"
#include "issue/live.h"
#include "issue/oidc.h"
#include "store/audit.h"
#include "store/ending.h"

static void
tell_back(struct op *op, int64_t behind_ms)
{
	char now[TIME_TEXT_BYTES];

	log_line(LOG_LEVEL_ERROR, "clock.back", "system", time_text(time_now_ms(), now),
	    "behind_sec", op_printf(op, "%lld", (long long)(behind_ms / 1000)),
	    "why", "the clock is behind what was recorded already: no sign-ins and no new tokens until it is right.  If the recorded "
	    "time was wrong, set clock_tolerance to more than behind_sec and reload", NULL);
}

/* The table in memory is emptied before anybody is told that the clock is right. */
static void
forget_live(struct op *op, void *arg)
{
	(void)arg;
	live_drop_all(op->svc->live);
}

static int
end_everything(struct op *op, void *arg)
{
	int64_t sessions, authorizations;
	int rc = db_everything_end(op, "clock", &sessions, &authorizations);

	if (rc)
		return rc;
	db_on_commit(op, forget_live, NULL);
	return audit_record(op, EV_SERVICE_CLOCK, NULL, FACTS(FACT("behind_ms", op_printf(op, "%lld", *(const long long *)arg)),
	    FACT("sessions", op_printf(op, "%lld", (long long)sessions)),
	    FACT("authorizations", op_printf(op, "%lld", (long long)authorizations))));
}

int
clock_watch(struct op *op)
{
	struct clock *clock = op->svc->clock;
	int64_t behind_ms = clock_behind_ms(clock);
	/* how far it was behind by the time that has passed here */
	long long lost_ms = op->now_ms - time_now_ms();
	int rc;

	if (!behind_ms) {
		metric_set(METRIC_clock_behind_seconds, 0);
		return 0;
	}
	/* once a minute, and at once */
	if (metric_read(METRIC_clock_behind_seconds) == 0 || op->now_ms / 1000 % 60 == 0)
		tell_back(op, behind_ms);
	metric_set(METRIC_clock_behind_seconds, behind_ms);
	if (behind_ms > op->config->clock_tolerance * 1000)
		return 0;
	rc = db_run(op, end_everything, &lost_ms);
	if (rc)
		return rc;
	clock_resume(clock);
	metric_set(METRIC_clock_behind_seconds, 0);
	log_line(LOG_LEVEL_WARNING, "clock.right", "why", "it has reached the latest recorded time; everybody signs in anew", NULL);
	return 0;
}

static int
newest_body(struct op *op, void *arg)
{
	return db_audit_newest(op, arg);
}

int
clock_watch_open(struct op *op)
{
	int64_t newest_ms = 0;
	int rc = db_read(op, newest_body, &newest_ms);

	if (rc)
		return rc;
	clock_start_from(op->svc->clock, newest_ms);
	if (clock_behind_ms(op->svc->clock))
		tell_back(op, clock_behind_ms(op->svc->clock));
	op_touch(op);
	return 0;
}
