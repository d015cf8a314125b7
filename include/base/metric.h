/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The numbers of the process: include/tables/metrics.def, printed in the Prometheus text format 0.0.4.
 *
 *     metric_add(METRIC_http_requests_total, 1);
 *     metric_add_at(METRIC_token_issued_total, LABELS("refresh_token"), 1);
 *     metric_set_at(METRIC_sync_frozen, LABELS(directory->body->name), 1);
 *
 * Labels are given in the order of the row.  A value that is none of the label's is counted as "other".  A labelled series is
 * printed from its first use on; one without labels always.
 */
#ifndef KW_BASE_METRIC_H
#define KW_BASE_METRIC_H

#include <stdint.h>
#include <stdio.h>
#include "base/op.h"
#include "base/text.h"

#define WORDS(id, printed, ...)
#define OBJECTS(id, printed, most, what)
enum metric {
#define METRIC(name, type, a, b, c, text) METRIC_##name,
#include "tables/metrics.def"
#undef METRIC
	METRIC_COUNT
};
#undef WORDS
#undef OBJECTS

enum metric_label {
	LABEL_none,
#define WORDS(id, printed, ...) LABEL_##id,
#define OBJECTS(id, printed, most, what) LABEL_##id,
#define METRIC(name, type, a, b, c, text)
#include "tables/metrics.def"
#undef METRIC
#undef WORDS
#undef OBJECTS
	LABEL_COUNT
};

#define LABELS(...) ((const char *const[3]){ __VA_ARGS__ })

void metric_add(enum metric metric, int64_t n);
void metric_set(enum metric metric, int64_t value);
int64_t metric_read(enum metric metric);
void metric_add_at(enum metric metric, const char *const labels[static 3], int64_t n);
void metric_set_at(enum metric metric, const char *const labels[static 3], int64_t value);
int64_t metric_read_at(enum metric metric, const char *const labels[static 3]);
/* One observation of a histogram; below 0 counts as 0. */
void metric_observe(enum metric metric, int64_t ms);
/*
 * The names that a label of objects may take from now on.  Series of names that are gone are forgotten; a name that stays keeps its
 * numbers; those above the label's most, and names longer than 200 bytes, are "other".
 */
void metric_objects(enum metric_label label, const char *const *names, size_t n);
/* The whole page; belongs to the op. */
char *metrics_text(struct op *op);
/* doc/metrics.md */
void metrics_print_manual(FILE *out);

#endif
