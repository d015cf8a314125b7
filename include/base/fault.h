/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Fault points: FAULT("db.commit") is false in production builds.  With --enable-faults the runner of tests/fault makes
 * the nth pass of a named point fail (environment variable KEYWARD_FAULT="db.commit:3").
 */
#ifndef KW_BASE_FAULT_H
#define KW_BASE_FAULT_H

#include <stdbool.h>

#ifdef KEYWARD_FAULTS
bool fault_hit(const char *point);
#define FAULT(point) fault_hit(point)
#else
#define FAULT(point) false
#endif

#endif
