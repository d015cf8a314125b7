/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The doctor: looks at everything a service stands on and says what is wrong and how to mend it.  It works beside a running daemon
 * and without one, and changes nothing.  Checks are rows of include/tables/checks.def, run one after another, each with a deadline.
 *
 *     struct doctor_report *report;
 *     rc = doctor_run(op, &(struct doctor_options){ .config_file = "/etc/keyward/keyward.yaml" }, &report);
 *     if (!rc && report->worst == DOCTOR_PROBLEM)
 *             for (size_t i = 0; i < report->n; i++) ... report->v[i].what, report->v[i].mend
 *
 * Words of servers (a directory's diagnostic, a mail server's greeting) stand in the sentences as they came, UTF-8 or not: whoever
 * prints them encodes control characters.
 */
#ifndef KW_DOCTOR_DOCTOR_H
#define KW_DOCTOR_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include "base/config.h"

/* In order of gravity.  SKIPPED: what the check needs is not there, which another finding tells; it never makes a report worse. */
enum doctor_verdict { DOCTOR_SKIPPED, DOCTOR_OK, DOCTOR_WARNING, DOCTOR_PROBLEM };

struct doctor_finding {
	const char *check;              /* name of the row, as on the command line */
	const char *subject;            /* which directory, file or port; "" when the check has one thing to look at */
	enum doctor_verdict verdict;
	const char *what;               /* one plain sentence */
	const char *mend;               /* how to mend it; "" when nothing is to be done */
};

struct doctor_check {
	const char *name, *text;
};

struct doctor_options {
	const char *config_file;        /* must be given */
	const char *const *names;       /* checks to run; n_names 0: all */
	size_t n_names;
	/* Both may be NULL: a check begins; something was found. */
	void (*on_begin)(const struct doctor_check *check, void *arg);
	void (*on_finding)(const struct doctor_finding *finding, void *arg);
	void *arg;
};

struct doctor_report {
	const struct doctor_finding *v;
	size_t n, n_warnings, n_problems, n_skipped;
	enum doctor_verdict worst;      /* DOCTOR_OK when nothing is wrong */
};

/* As config_load, and what the engine says of the database's address without connecting. */
int doctor_config_load(struct op *op, const char *file, struct problems *problems, const struct config **ret) MUST_CHECK;
/* The report belongs to the op.  ERR_NOT_FOUND: a name is none of a check; whatever else is wrong is a finding. */
int doctor_run(struct op *op, const struct doctor_options *options, const struct doctor_report **ret) MUST_CHECK;
/* All checks, in order of the table; they belong to the op. */
const struct doctor_check *doctor_checks(struct op *op, size_t *ret_n);
/* "ok", "warning", "problem", "skipped" */
const char *doctor_verdict_name(enum doctor_verdict verdict);

#endif
