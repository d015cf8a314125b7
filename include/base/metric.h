/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Counters and gauges of include/tables/metrics.def, printed in the Prometheus text format 0.0.4. */
#ifndef KW_BASE_METRIC_H
#define KW_BASE_METRIC_H

#include <stdint.h>
#include "base/op.h"

enum metric {
#define METRIC(name, type, text) METRIC_##name,
#include "tables/metrics.def"
#undef METRIC
	METRIC_COUNT
};

void metric_add(enum metric metric, int64_t n);
void metric_set(enum metric metric, int64_t value);
int64_t metric_read(enum metric metric);
/* The whole page; belongs to the op. */
char *metrics_text(struct op *op);

#endif
