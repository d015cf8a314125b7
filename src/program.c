/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The present configuration under its lock; see program.h. */
#include "program.h"

void
program_init(struct program *program, const struct config *config)
{
	pthread_mutex_init(&program->lock, NULL);
	program->config = config;
}

void
program_clear(struct program *program)
{
	config_unref(program->config);
	program->config = NULL;
	pthread_mutex_destroy(&program->lock);
}

void
program_set_config(struct program *program, const struct config *config)
{
	const struct config *old;

	pthread_mutex_lock(&program->lock);
	old = program->config;
	program->config = config;
	pthread_mutex_unlock(&program->lock);
	config_unref(old);
}

struct op *
program_op_in(struct program *program, struct arena *mem)
{
	struct op *op;

	pthread_mutex_lock(&program->lock);
	op = op_begin_in(mem, &program->svc, program->config);
	pthread_mutex_unlock(&program->lock);
	return op;
}

struct op *
program_op(struct program *program)
{
	return program_op_in(program, arena_new());
}
