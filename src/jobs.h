/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The timer thread that puts the jobs of jobs.def on their lanes. */
#ifndef KW_JOBS_H
#define KW_JOBS_H

#include <stdio.h>
#include "base/lane.h"
#include "program.h"

struct jobs;

struct jobs *jobs_new(struct program *program, struct lanes *lanes);
/* No job begins any more; those under way go on until lanes_free. */
void jobs_stop(struct jobs *jobs);
/* After lanes_free. */
void jobs_free(struct jobs *jobs);
void jobs_print(FILE *out);

#endif
