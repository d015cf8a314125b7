/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One piece of work: begin, end, fail. */
#include "base/op.h"

#include <stdarg.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/time.h"
#include "base/uuid.h"

#define DEFAULT_DEADLINE_MS 10000

static void
release_config(void *config)
{
	config_unref(config);
}

struct op *
op_begin_in(struct arena *mem, struct services *svc, const struct config *config)
{
	struct op *op = arena_alloc(mem, sizeof(*op));

	op->mem = mem;
	op->svc = svc;
	if (config) {
		op->config = config_ref(config);
		arena_on_free(mem, release_config, (void *)(uintptr_t)config);
	}
	op->now_ms = clock_now_ms(svc ? svc->clock : NULL);
	op->deadline_ms = time_monotonic_ms() + DEFAULT_DEADLINE_MS;
	uuid_new(op->request_id, op->now_ms);
	return op;
}

struct op *
op_begin(struct services *svc, const struct config *config)
{
	return op_begin_in(arena_new(), svc, config);
}

void
op_end(struct op *op)
{
	if (op)
		arena_free(op->mem);
}

void
op_touch(struct op *op)
{
	op->now_ms = clock_now_ms(op->svc ? op->svc->clock : NULL);
}

int64_t
op_left_ms(const struct op *op)
{
	int64_t left = op->deadline_ms - time_monotonic_ms();

	return left > 0 ? left : 0;
}

void *
op_alloc(struct op *op, size_t size)
{
	return arena_alloc(op->mem, size);
}

void *
op_memdup(struct op *op, const void *data, size_t size)
{
	return arena_memdup(op->mem, data, size);
}

char *
op_strdup(struct op *op, const char *text)
{
	return arena_strdup(op->mem, text);
}

char *
op_strndup(struct op *op, const char *text, size_t n)
{
	return arena_strndup(op->mem, text, n);
}

char *
op_printf(struct op *op, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = arena_vprintf(op->mem, format, args);
	va_end(args);
	return text;
}

int
op_fail_at(struct op *op, int code, const char *file, int line, const char *format, ...)
{
	va_list args;

	if (op->failure.code)
		return code;
	va_start(args, format);
	op->failure.sentence = arena_vprintf(op->mem, format, args);
	va_end(args);
	op->failure.code = code;
	op->failure.file = file;
	op->failure.line = line;
	return code;
}

void
op_forgive(struct op *op)
{
	op->failure = (struct failure){ 0 };
}

const char *
op_failure(const struct op *op)
{
	return op->failure.sentence ? op->failure.sentence : "";
}
