/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The wall clock as the running program may believe it.  It is the system's, as long as that goes forward.  When somebody sets the
 * system's back (by more than CLOCK_BACK_MS), time goes on here from the latest moment that was seen, by the clock that counts
 * since the boot: what has ended stays ended.  Nothing new may be issued then (clock_check), because its times would be wrong for
 * everybody else, until the system's clock has reached that moment again and clock_resume is called.
 */
#ifndef KW_BASE_CLOCK_H
#define KW_BASE_CLOCK_H

#include "base/op.h"

#define CLOCK_BACK_MS 5000

struct clock;

struct clock *clock_new(void);
void clock_free(struct clock *clock);
/* What op->now_ms is made of; clock NULL: the system's time. */
int64_t clock_now_ms(struct clock *clock);
/* As if the clock had been set back from there: the newest moment that a former run has recorded.  Does nothing when it has not. */
void clock_start_from(struct clock *clock, int64_t recorded_ms);
/* 0, or ERR_CLOCK with both times: nothing may be issued. */
int clock_check(struct op *op) MUST_CHECK;
/* How far the system's clock is behind the latest moment that was seen; 0 when it goes forward. */
int64_t clock_behind_ms(struct clock *clock);
/* The system's time is believed again, however late it is.  What may not live on must have been ended before. */
void clock_resume(struct clock *clock);

#endif
