/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Inside doctor: what a check gets, and how it says what it found. */
#ifndef KW_DOCTOR_DOCTOR_INT_H
#define KW_DOCTOR_DOCTOR_INT_H

#include "base/config.h"
#include "doctor/doctor.h"

enum doctor_need { NEED_NOTHING, NEED_CONFIG, NEED_DATABASE, NEED_KEYS, NEED_COUNT };

struct doctor;

/* One check at work.  Its op ends with it; findings are copied. */
struct check {
	struct doctor *doctor;
	struct op *op;                  /* svc and config as far as they are open; deadline of the row */
	const char *file;               /* of the configuration */
};

/* Good, worth a look, wrong.  mend: how, or "" ; subject: "" when there is one thing only. */
void check_ok(struct check *c, const char *subject, const char *format, ...) PRINTF_LIKE(3, 4);
void check_warn(struct check *c, const char *subject, const char *mend, const char *format, ...) PRINTF_LIKE(4, 5);
void check_bad(struct check *c, const char *subject, const char *mend, const char *format, ...) PRINTF_LIKE(4, 5);
/* Wrong, in the words of the op's failure, which is forgiven. */
void check_failed(struct check *c, const char *subject, const char *mend);

/* Opens what is needed, once; 0, or the code with which that failed.  The sentence: doctor_why. */
int doctor_need(struct doctor *d, enum doctor_need need);
const char *doctor_why(struct doctor *d, enum doctor_need need);
/* After NEED_CONFIG, for the check that begins before there is one. */
const struct config *doctor_config(struct doctor *d);
/* Everything that is wrong with the configuration file, one sentence each. */
struct problems;
const struct problems *doctor_config_problems(struct doctor *d);

/* How long something still lasts: problem from 1 day, warning from 30 (7: "soon"); *ret_text is "until 2027-03-01, 96 days from now". */
enum doctor_verdict check_end(struct check *c, int64_t end_ms, const char **ret_text);
/* "1.2 GB" in the op */
const char *bytes_text(struct op *op, int64_t bytes);
/* "3 hours", "2 days" in the op; of a length of time */
const char *length_text(struct op *op, int64_t ms);

#define CHECK(id, needs, seconds, text) void check_##id(struct check *c);
#include "tables/checks.def"
#undef CHECK

#endif
