/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Clocks and their text.  Times are milliseconds since 1970-01-01T00:00:00Z in int64_t everywhere (_ms).
 */
#ifndef KW_BASE_TIME_H
#define KW_BASE_TIME_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define TIME_TEXT_BYTES 25              /* "2026-11-22T13:40:00.123Z" and its end */
#define TIME_NEVER_MS INT64_MAX

int64_t time_now_ms(void);
/* CLOCK_BOOTTIME: never jumps back, counts through suspension. */
int64_t time_monotonic_ms(void);
/* A condition for timed waits: by CLOCK_MONOTONIC, so that a clock that is set lengthens none. */
void time_condition_init(pthread_cond_t *ret);
/* For pthread_cond_timedwait on such a condition: that long from now; less than 0 is now.  What is left is asked for, not a moment:
 * time_monotonic_ms counts through suspension, the condition does not. */
struct timespec time_in(int64_t ms);
/* RFC 3339 in UTC with milliseconds; years outside 0-9999 become the nearest one. */
const char *time_text(int64_t time_ms, char ret_text[static TIME_TEXT_BYTES]);
/* RFC 3339, or a date alone ("2026-11-22": its start in UTC).  False when it is neither. */
bool time_parse(const char *text, int64_t *ret_ms);
/* LDAP GeneralizedTime (RFC 4517 3.3.13): 20261122134000Z, with fraction or zone.  False when it is none. */
bool time_parse_generalized(const char *text, int64_t *ret_ms);

#endif
