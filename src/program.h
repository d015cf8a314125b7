/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The running daemon: its services and its present configuration.  Known to the wiring only (src/keywardd.c, routes.c, jobs.c, probe.c). */
#ifndef KW_PROGRAM_H
#define KW_PROGRAM_H

#include <pthread.h>
#include <stdatomic.h>
#include "base/config.h"
#include "base/op.h"

struct program {
	struct services svc;
	pthread_mutex_t lock;
	const struct config *config;            /* replaced by SIGHUP; read under the lock */
	_Atomic bool is_ready;                  /* started, and not yet stopping */
};

/* Takes the reference of config. */
void program_init(struct program *program, const struct config *config);
void program_clear(struct program *program);
/* Takes the reference of config and gives the old one back. */
void program_set_config(struct program *program, const struct config *config);
/* A new op with the present configuration. */
struct op *program_op(struct program *program);
/* One that lives in mem and ends with it (op_begin_in). */
struct op *program_op_in(struct program *program, struct arena *mem);

#endif
