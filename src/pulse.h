/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Looks again and again whether the daemon can do its work (the loops of its doors answer, the database answers a read) and feeds the
 * service manager's watchdog only then.  A daemon that hangs is thus restarted, one whose database is merely away is not.
 */
#ifndef KW_PULSE_H
#define KW_PULSE_H

#include "doors.h"
#include "program.h"

struct pulse;

struct pulse *pulse_new(struct program *program, struct doors *doors);
/* NULL is fine. */
void pulse_free(struct pulse *pulse);

#endif
