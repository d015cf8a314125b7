/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The three doors of the daemon: public, operations, UNIX socket; each listens itself or takes the service manager's socket. */
#ifndef KW_DOORS_H
#define KW_DOORS_H

#include "net/http.h"
#include "program.h"

struct doors;

/*
 * Opens them all; the program's configuration and lanes must be there.  *ret is set as soon as there is something to close, on failure too.
 */
int doors_open(struct op *op, struct program *program, struct doors **ret) MUST_CHECK;
/* No new connections at the public door and the UNIX socket; operations still answer, so that /readyz can say no. */
void doors_quiesce(struct doors *doors);
/* Waits until then (monotonic) at the latest for requests under way, and closes everything; NULL is fine. */
void doors_close(struct doors *doors, int64_t until_ms);
/*
 * The job "certificate": takes a certificate whose files have changed (what is not good changes nothing and is told), and warns 30, 7 and 1
 * days before the one in use ends.  doors_reload is the same at once, for SIGHUP: false when the files are refused.
 */
int doors_renew(struct op *op) MUST_CHECK;
bool doors_reload(struct op *op);
/* What does not answer within wait_ms ("public", "ops", "socket"), or NULL. */
const char *doors_stuck(struct doors *doors, int64_t wait_ms);

#endif
