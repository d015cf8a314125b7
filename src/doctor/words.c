/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Sizes, lengths of time and ends of certificates, as people read them. */
#include "doctor_int.h"

#include "base/text.h"
#include "base/time.h"

#define DAY_MS INT64_C(86400000)

const char *
bytes_text(struct op *op, int64_t bytes)
{
	static const char *const units[] = { "bytes", "KB", "MB", "GB", "TB" };
	int64_t tenths = bytes * 10;
	size_t unit = 0;

	if (bytes > INT64_MAX / 16)
		return "more than enough";
	while (tenths >= 10240 && unit + 1 < countof(units)) {
		tenths /= 1024;
		unit++;
	}
	if (tenths >= 100 || tenths % 10 == 0)
		return op_printf(op, "%lld %s", (long long)(tenths / 10), units[unit]);
	return op_printf(op, "%lld.%lld %s", (long long)(tenths / 10), (long long)(tenths % 10), units[unit]);
}

const char *
length_text(struct op *op, int64_t ms)
{
	static const struct {
		int64_t ms;
		const char *one, *many;
	} units[] = {
	    { DAY_MS, "day", "days" },
	    { 3600000, "hour", "hours" },
	    { 60000, "minute", "minutes" },
	    { 1000, "second", "seconds" },
	};
	size_t i = 0;
	int64_t n;

	ms = ms < 0 ? -ms : ms;
	while (i + 1 < countof(units) && ms < 2 * units[i].ms)
		i++;
	n = ms / units[i].ms;
	return op_printf(op, "%lld %s", (long long)n, n == 1 ? units[i].one : units[i].many);
}

enum doctor_verdict
check_end(struct check *c, int64_t end_ms, const char **ret_text)
{
	int64_t left = end_ms - c->op->now_ms;
	char text[TIME_TEXT_BYTES];
	const char *day = op_strndup(c->op, time_text(end_ms, text), 10);

	*ret_text = left < 0 ? op_printf(c->op, "ended on %s, %s ago", day, length_text(c->op, left))
			     : op_printf(c->op, "ends on %s, in %s", day, length_text(c->op, left));
	return left < DAY_MS ? DOCTOR_PROBLEM : left < 30 * DAY_MS ? DOCTOR_WARNING : DOCTOR_OK;
}
