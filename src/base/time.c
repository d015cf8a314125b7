/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Clocks; parsing and printing without the process's time zone. */
#include "base/time.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define YEAR_MAX_MS 253402300799999LL   /* 9999-12-31T23:59:59.999Z */
#define YEAR_MIN_MS (-62167219200000LL) /* 0000-01-01 */

static int64_t
read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t
time_now_ms(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t
time_monotonic_ms(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

void
time_condition_init(pthread_cond_t *ret)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(ret, &attributes);
	pthread_condattr_destroy(&attributes);
}

struct timespec
time_in(int64_t ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	ms = ms > 0 ? ms : 0;
	at.tv_sec += ms / 1000;
	at.tv_nsec += ms % 1000 * 1000000;
	at.tv_sec += at.tv_nsec / 1000000000;
	at.tv_nsec %= 1000000000;
	return at;
}

const char *
time_text(int64_t time_ms, char ret_text[static TIME_TEXT_BYTES])
{
	struct tm tm;
	time_t seconds;
	int64_t rest;
	char text[80];

	if (time_ms > YEAR_MAX_MS)
		time_ms = YEAR_MAX_MS;
	if (time_ms < YEAR_MIN_MS)
		time_ms = YEAR_MIN_MS;
	rest = ((time_ms % 1000) + 1000) % 1000;
	seconds = (time_t)((time_ms - rest) / 1000);
	gmtime_r(&seconds, &tm);
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
	    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)rest);
	memcpy(ret_text, text, TIME_TEXT_BYTES);
	ret_text[TIME_TEXT_BYTES - 1] = '\0';
	return ret_text;
}

/* Exactly n digits; moves on. */
static bool
digits(const char **at, int n, int *ret)
{
	int value = 0;

	for (int i = 0; i < n; i++) {
		if (!isdigit((unsigned char)(*at)[i]))
			return false;
		value = value * 10 + ((*at)[i] - '0');
	}
	*at += n;
	*ret = value;
	return true;
}

static bool
literal(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

/* A fraction of a unit of unit_ms, to milliseconds; digits beyond are ignored. */
static bool
fraction(const char **at, int64_t unit_ms, int64_t *ret_ms)
{
	int64_t scale = unit_ms, sum = 0;

	if (!isdigit((unsigned char)**at))
		return false;
	for (int i = 0; isdigit((unsigned char)**at); (*at)++, i++) {
		if (i > 18)
			return false;
		scale /= 10;
		sum += (**at - '0') * scale;
	}
	*ret_ms = sum;
	return true;
}

static bool
zone(const char **at, bool has_colon, int64_t *ret_ms)
{
	int sign, hours, minutes = 0;

	*ret_ms = 0;
	if (literal(at, 'Z') || literal(at, 'z'))
		return true;
	if (**at != '+' && **at != '-')
		return false;
	sign = *(*at)++ == '-' ? -1 : 1;
	if (!digits(at, 2, &hours) || hours > 23)
		return false;
	if (has_colon ? !literal(at, ':') || !digits(at, 2, &minutes) : isdigit((unsigned char)**at) && !digits(at, 2, &minutes))
		return false;
	if (minutes > 59)
		return false;
	*ret_ms = sign * (hours * 60 + minutes) * 60000LL;
	return true;
}

static bool
to_ms(struct tm *tm, int64_t *ret_ms)
{
	struct tm copy = *tm;
	time_t seconds;

	if (tm->tm_hour > 23 || tm->tm_min > 59 || tm->tm_sec > 60)
		return false;
	seconds = timegm(&copy);
	/* timegm repairs 31 February; we refuse it */
	if (copy.tm_mon != tm->tm_mon || copy.tm_mday != tm->tm_mday)
		if (tm->tm_sec != 60)
			return false;
	*ret_ms = (int64_t)seconds * 1000;
	return true;
}

static bool
date(const char **at, const char *separator, struct tm *tm)
{
	if (!digits(at, 4, &tm->tm_year) || (*separator && !literal(at, *separator)) || !digits(at, 2, &tm->tm_mon) ||
	    (*separator && !literal(at, *separator)) || !digits(at, 2, &tm->tm_mday))
		return false;
	tm->tm_year -= 1900;
	tm->tm_mon -= 1;
	return tm->tm_mon >= 0 && tm->tm_mon < 12 && tm->tm_mday >= 1 && tm->tm_mday <= 31;
}

bool
time_parse(const char *text, int64_t *ret_ms)
{
	struct tm tm = { 0 };
	int64_t part_ms = 0, zone_ms, base_ms;

	if (!date(&text, "-", &tm))
		return false;
	if (!*text)
		return to_ms(&tm, ret_ms);
	if ((!literal(&text, 'T') && !literal(&text, 't') && !literal(&text, ' ')) || !digits(&text, 2, &tm.tm_hour) ||
	    !literal(&text, ':') || !digits(&text, 2, &tm.tm_min) || !literal(&text, ':') || !digits(&text, 2, &tm.tm_sec))
		return false;
	if (literal(&text, '.') && !fraction(&text, 1000, &part_ms))
		return false;
	if (!zone(&text, true, &zone_ms) || *text || !to_ms(&tm, &base_ms))
		return false;
	*ret_ms = base_ms + part_ms - zone_ms;
	/* a zone or a leap second may lead out of the years that have four digits */
	return *ret_ms >= YEAR_MIN_MS && *ret_ms <= YEAR_MAX_MS;
}

bool
time_parse_generalized(const char *text, int64_t *ret_ms)
{
	struct tm tm = { 0 };
	int64_t part_ms = 0, zone_ms, base_ms, unit_ms = 3600000;

	if (!date(&text, "", &tm) || !digits(&text, 2, &tm.tm_hour))
		return false;
	if (isdigit((unsigned char)*text)) {
		if (!digits(&text, 2, &tm.tm_min))
			return false;
		unit_ms = 60000;
		if (isdigit((unsigned char)*text)) {
			if (!digits(&text, 2, &tm.tm_sec))
				return false;
			unit_ms = 1000;
		}
	}
	if ((literal(&text, '.') || literal(&text, ',')) && !fraction(&text, unit_ms, &part_ms))
		return false;
	if (!zone(&text, false, &zone_ms) || *text || !to_ms(&tm, &base_ms))
		return false;
	*ret_ms = base_ms + part_ms - zone_ms;
	return true;
}
