/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What a clock that was set back (base/clock.h) means for those who are signed in. */
#ifndef KW_ISSUE_CLOCK_WATCH_H
#define KW_ISSUE_CLOCK_WATCH_H

#include "base/op.h"

/*
 * At the start: a clock that is behind the newest row of the audit log was set back while nobody ran.  The service starts all the same,
 * with an alarm.
 */
int clock_watch_open(struct op *op) MUST_CHECK;
/* Job: alarms while the clock is behind; when it is right again everybody is signed out, and time is believed. */
int clock_watch(struct op *op) MUST_CHECK;

#endif
