/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Metrics: bounded labels, the text format, what is forgotten.  tests/flow/220-metrics checks a whole page of a daemon. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/metric.h"

static struct op *op;

static void
begin(void)
{
	op = op_begin(NULL, NULL);
}

static void
end(void)
{
	op_end(op);
}

TestSuite(metric, .init = begin, .fini = end);

static bool
has_line(const char *line)
{
	const char *page = metrics_text(op), *at = strstr(page, line);

	return at && (at == page || at[-1] == '\n') && at[strlen(line)] == '\n';
}

Test(metric, without_labels_from_the_start)
{
	cr_assert(has_line("keyward_http_busy_total 0"));
	metric_add(METRIC_http_busy_total, 2);
	metric_add(METRIC_http_busy_total, 3);
	cr_assert(has_line("keyward_http_busy_total 5"));
	cr_assert_eq(metric_read(METRIC_http_busy_total), 5);
	cr_assert(has_line("# TYPE keyward_http_busy_total counter"));
	cr_assert(has_line("# HELP keyward_http_busy_total Requests answered 503 because a lane was full."));
}

Test(metric, words)
{
	cr_assert_not(strstr(metrics_text(op), "keyward_token_issued_total{"), "a series appears with its first event");
	metric_add_at(METRIC_token_issued_total, LABELS("refresh_token"), 1);
	metric_add_at(METRIC_token_issued_total, LABELS("refresh_token"), 1);
	cr_assert(has_line("keyward_token_issued_total{grant=\"refresh_token\"} 2"));
	metric_add_at(METRIC_logins_total, LABELS("refused", "wrong_password", "password"), 1);
	cr_assert(has_line("keyward_logins_total{result=\"refused\",reason=\"wrong_password\",method=\"password\"} 1"));
	cr_assert_eq(metric_read_at(METRIC_logins_total, LABELS("refused", "wrong_password", "password")), 1);
	cr_assert_eq(metric_read_at(METRIC_logins_total, LABELS("refused", "unknown", "password")), 0);
}

/* Nobody makes the page grow. */
Test(metric, strange_words_are_other)
{
	size_t length;

	metric_add_at(METRIC_token_issued_total, LABELS("x\"} 1\nevil 1"), 1);
	length = strlen(metrics_text(op));
	for (int i = 0; i < 5000; i++)
		metric_add_at(METRIC_token_issued_total, LABELS(op_printf(op, "grant-%d", i % 8)), 1);
	metric_add_at(METRIC_token_issued_total, LABELS(""), 1);
	metric_add_at(METRIC_token_issued_total, LABELS(NULL), 1);
	cr_assert(has_line("keyward_token_issued_total{grant=\"other\"} 5003"));
	cr_assert_lt(strlen(metrics_text(op)), length + 64);
	cr_assert_not(strstr(metrics_text(op), "evil"));
}

Test(metric, objects_are_those_configured)
{
	metric_set_at(METRIC_sync_frozen, LABELS("clinic"), 1);
	cr_assert(has_line("keyward_sync_frozen{source=\"other\"} 1"), "not configured yet");
	metric_objects(LABEL_source, (const char *const[]){ "clinic", "quo\"te\\back\nline", "other" }, 3);
	metric_set_at(METRIC_sync_frozen, LABELS("clinic"), 1);
	metric_set_at(METRIC_sync_frozen, LABELS("quo\"te\\back\nline"), 0);
	cr_assert(has_line("keyward_sync_frozen{source=\"clinic\"} 1"));
	cr_assert(has_line("keyward_sync_frozen{source=\"quo\\\"te\\\\back\\nline\"} 0"));
	metric_add_at(METRIC_sync_changes_total, LABELS("clinic", "create"), 7);

	/* one is renamed: what was counted under the old name goes, what stays keeps its numbers */
	metric_objects(LABEL_source, (const char *const[]){ "hospital", "clinic" }, 2);
	cr_assert(has_line("keyward_sync_changes_total{source=\"clinic\",kind=\"create\"} 7"));
	cr_assert_not(strstr(metrics_text(op), "quo"));
	metric_objects(LABEL_source, (const char *const[]){ "hospital" }, 1);
	cr_assert_not(strstr(metrics_text(op), "\"clinic\""));
	metric_objects(LABEL_source, (const char *const[]){ "clinic" }, 1);
	cr_assert_not(strstr(metrics_text(op), "\"clinic\""), "a name that comes back begins anew");
}

Test(metric, more_objects_than_places)
{
	const char *names[80];
	size_t series = 0;

	for (int i = 0; i < 80; i++)
		names[i] = op_printf(op, "directory-%d", i);
	metric_objects(LABEL_source, names, 80);
	for (int i = 0; i < 80; i++)
		metric_add_at(METRIC_sync_runs_total, LABELS(names[i], "done"), 1);
	for (const char *at = metrics_text(op); (at = strstr(at, "keyward_sync_runs_total{")); at++)
		series++;
	cr_assert_eq(series, 51);
	cr_assert(has_line("keyward_sync_runs_total{source=\"other\",result=\"done\"} 30"));
	cr_assert(has_line("keyward_sync_runs_total{source=\"directory-49\",result=\"done\"} 1"));
}

Test(metric, seconds_are_kept_in_milliseconds)
{
	metric_objects(LABEL_certificate, (const char *const[]){ "https" }, 1);
	metric_set_at(METRIC_cert_expiry_timestamp_seconds, LABELS("https"), 1795000000007);
	cr_assert(has_line("keyward_cert_expiry_timestamp_seconds{name=\"https\"} 1795000000.007"));
	metric_set_at(METRIC_cert_expiry_timestamp_seconds, LABELS("https"), -1500);
	cr_assert(has_line("keyward_cert_expiry_timestamp_seconds{name=\"https\"} -1.500"));
}

Test(metric, histogram)
{
	const int64_t seen_ms[] = { -5, 0, 10, 11, 3600000, 3600001 };

	for (size_t i = 0; i < countof(seen_ms); i++)
		metric_observe(METRIC_offboard_latency_seconds, seen_ms[i]);
	cr_assert(has_line("# TYPE keyward_offboard_latency_seconds histogram"));
	cr_assert(has_line("keyward_offboard_latency_seconds_bucket{le=\"0.01\"} 3"));
	cr_assert(has_line("keyward_offboard_latency_seconds_bucket{le=\"0.025\"} 4"));
	cr_assert(has_line("keyward_offboard_latency_seconds_bucket{le=\"3600\"} 5"));
	cr_assert(has_line("keyward_offboard_latency_seconds_bucket{le=\"+Inf\"} 6"));
	cr_assert(has_line("keyward_offboard_latency_seconds_sum 7200.022"));
	cr_assert(has_line("keyward_offboard_latency_seconds_count 6"));
}

Test(metric, process)
{
	metrics_text(op);
	cr_assert_gt(metric_read(METRIC_process_resident_memory_bytes), 100000);
	cr_assert_geq(metric_read(METRIC_process_virtual_memory_bytes), metric_read(METRIC_process_resident_memory_bytes));
	cr_assert_gt(metric_read(METRIC_process_open_fds), 2);
	cr_assert_gt(metric_read(METRIC_process_max_fds), metric_read(METRIC_process_open_fds));
	cr_assert_lt(metric_read(METRIC_process_start_time_seconds), op->now_ms + 2000);
	cr_assert_gt(metric_read(METRIC_process_start_time_seconds), op->now_ms - 3600000);
	cr_assert(strstr(metrics_text(op), "\nprocess_open_fds "), "without our prefix");
	cr_assert(strstr(metrics_text(op), "keyward_build_info{version=\""));
}
