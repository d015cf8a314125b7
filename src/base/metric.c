/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The metrics table, expanded: one atomic number a row, printed for Prometheus. */
#include "base/metric.h"

#include <stdatomic.h>

#include "base/text.h"

static const struct { const char *name, *type, *text; } rows[] = {
#define METRIC(name, type, text) { #name, #type, text },
#include "tables/metrics.def"
#undef METRIC
};

/* Counters of the process: there is one process and one page of them (doc/CODING.md lists this global). */
static _Atomic int64_t metric_values[METRIC_COUNT];

void
metric_add(enum metric metric, int64_t n)
{
	atomic_fetch_add_explicit(&metric_values[metric], n, memory_order_relaxed);
}

void
metric_set(enum metric metric, int64_t value)
{
	atomic_store_explicit(&metric_values[metric], value, memory_order_relaxed);
}

int64_t
metric_read(enum metric metric)
{
	return atomic_load_explicit(&metric_values[metric], memory_order_relaxed);
}

char *
metrics_text(struct op *op)
{
	struct buf b = buf_in(op->mem);

	for (int i = 0; i < METRIC_COUNT; i++) {
		buf_printf(&b, "# HELP keyward_%s %s\n# TYPE keyward_%s %s\n", rows[i].name, rows[i].text, rows[i].name, rows[i].type);
		buf_printf(&b, "keyward_%s %lld\n", rows[i].name, (long long)metric_read(i));
	}
	return b.text;
}
