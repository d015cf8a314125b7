/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A thread of its own, so that whatever hangs it (a door, the database) keeps the watchdog hungry and nothing else.  Read look first.
 */
#include "pulse.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/time.h"
#include "net/notify.h"
#include "store/driver.h"

#define PERIOD_MS 10000                 /* without a watchdog */
#define LOOKS_PER_WATCHDOG 3

struct pulse {
	struct program *program;
	struct doors *doors;
	int64_t period_ms;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool is_ending;
	bool is_well;                   /* at the last look */
};

/*
 * Why we are not able to work, or NULL.  A database that says in time that it is not reachable has answered: a restart would not mend it,
 * and /readyz tells those who ask.
 */
static const char *
complaint(struct pulse *pulse, struct op *op)
{
	const char *stuck = doors_stuck(pulse->doors, pulse->period_ms / 2);
	int rc;

	if (stuck)
		return op_printf(op, "the network loop of the door \"%s\" does not answer", stuck);
	op->deadline_ms = time_monotonic_ms() + pulse->period_ms / 2;
	rc = db_pulse(op);
	if (time_monotonic_ms() > op->deadline_ms)
		return "the database did not answer in time";
	if (rc == ERR_BUSY)
		return op_printf(op, "the database does not answer: %s", op_failure(op));
	return NULL;
}

static void
look(struct pulse *pulse)
{
	struct op *op = program_op(pulse->program);
	const char *why = complaint(pulse, op);

	if (!why)
		notify_send("WATCHDOG=1");
	if (why && pulse->is_well)
		notify_send(op_printf(op, "STATUS=Not able to work: %s", why));
	if (!why && !pulse->is_well)
		notify_send(op_printf(op, "STATUS=Serving %s", op->config->issuer));
	if (why)
		log_line(LOG_LEVEL_ERROR, "service.unwell", "why", why, NULL);
	pulse->is_well = !why;
	op_end(op);
}

static void *
pulse_main(void *arg)
{
	struct pulse *pulse = arg;

	pthread_mutex_lock(&pulse->lock);
	while (!pulse->is_ending) {
		struct timespec until;

		pthread_mutex_unlock(&pulse->lock);
		look(pulse);
		pthread_mutex_lock(&pulse->lock);
		until = time_in(pulse->period_ms);
		if (!pulse->is_ending)
			pthread_cond_timedwait(&pulse->wake, &pulse->lock, &until);
	}
	pthread_mutex_unlock(&pulse->lock);
	return NULL;
}

struct pulse *
pulse_new(struct program *program, struct doors *doors)
{
	struct pulse *pulse = mem_new(sizeof(*pulse));
	int64_t watchdog_ms = notify_watchdog_ms();

	pulse->program = program;
	pulse->doors = doors;
	pulse->is_well = true;
	pulse->period_ms = watchdog_ms > 0 ? watchdog_ms / LOOKS_PER_WATCHDOG + 1 : PERIOD_MS;
	pthread_mutex_init(&pulse->lock, NULL);
	time_condition_init(&pulse->wake);
	if (pthread_create(&pulse->thread, NULL, pulse_main, pulse) != 0) {
		fputs("keywardd: cannot start the watchdog's thread\n", stderr);
		abort();
	}
	return pulse;
}

void
pulse_free(struct pulse *pulse)
{
	if (!pulse)
		return;
	pthread_mutex_lock(&pulse->lock);
	pulse->is_ending = true;
	pthread_mutex_unlock(&pulse->lock);
	pthread_cond_signal(&pulse->wake);
	pthread_join(pulse->thread, NULL);
	pthread_cond_destroy(&pulse->wake);
	pthread_mutex_destroy(&pulse->lock);
	mem_free(pulse);
}
