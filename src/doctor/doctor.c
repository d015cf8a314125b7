/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The rows of checks.def, run one after another.  What several checks need (configuration, database, keys) is opened once, for
 * looking only; when it cannot be, those checks are skipped and the one whose matter it is tells why.  Read doctor_run.
 */
#include "doctor_int.h"

#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "base/time.h"
#include "net/dial.h"
#include "people/catalog.h"
#include "people/keyring.h"
#include "store/check.h"
#include "store/driver.h"

#define OPEN_MS 15000

struct doctor {
	struct op *op; /* of the caller: findings live there */
	const struct doctor_options *options;
	struct services svc;
	const struct config *config;
	struct problems problems;
	bool is_tried[NEED_COUNT];
	int codes[NEED_COUNT];
	const char *why[NEED_COUNT];
	/* the report */
	const struct doctor_check *check;
	struct doctor_finding *v;
	size_t n, room;
};

static const struct row {
	struct doctor_check check;
	enum doctor_need need;
	int seconds;
	void (*run)(struct check *c);
} rows[] = {
#define CHECK(id, needs, seconds, text) { { #id, text }, NEED_##needs, seconds, check_##id },
#include "tables/checks.def"
#undef CHECK
};

/* ---- findings ---- */

static void
add(struct doctor *d, enum doctor_verdict verdict, const char *subject, const char *mend, const char *what)
{
	if (d->n == d->room) {
		struct doctor_finding *larger = op_alloc(d->op, (2 * d->room + 16) * sizeof(*larger));

		if (d->n)
			memcpy(larger, d->v, d->n * sizeof(*larger));
		d->v = larger;
		d->room = 2 * d->room + 16;
	}
	d->v[d->n++] = (struct doctor_finding){ d->check->name, op_strdup(d->op, subject), verdict, what, op_strdup(d->op, mend) };
	if (d->options->on_finding)
		d->options->on_finding(&d->v[d->n - 1], d->options->arg);
}

void
check_ok(struct check *c, const char *subject, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(c->doctor, DOCTOR_OK, subject, "", arena_vprintf(c->doctor->op->mem, format, args));
	va_end(args);
}

void
check_warn(struct check *c, const char *subject, const char *mend, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(c->doctor, DOCTOR_WARNING, subject, mend, arena_vprintf(c->doctor->op->mem, format, args));
	va_end(args);
}

void
check_bad(struct check *c, const char *subject, const char *mend, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(c->doctor, DOCTOR_PROBLEM, subject, mend, arena_vprintf(c->doctor->op->mem, format, args));
	va_end(args);
}

void
check_failed(struct check *c, const char *subject, const char *mend)
{
	check_bad(c, subject, mend, "%s", op_failure(c->op));
	op_forgive(c->op);
}

/* ---- what checks need ---- */

int
doctor_config_load(struct op *op, const char *file, struct problems *problems, const struct config **ret)
{
	const struct config *config;
	int rc = config_load(op, file, problems, &config);

	if (rc)
		return rc;
	rc = db_check_config(op, config, problems);
	if (rc)
		config_unref(config);
	else
		*ret = config;
	return rc;
}

static int
open_config(struct op *op, struct doctor *d)
{
	int rc;

	d->problems = problems_in(d->op, d->options->config_file);
	rc = doctor_config_load(op, d->options->config_file, &d->problems, &d->config);
	if (!rc || !d->problems.n)
		return rc;
	op_forgive(op); /* all of them, a line each: they are findings of their own */
	return op_fail(op, rc, "the configuration has mistakes");
}

/* The catalog comes with the database: objects name the directories. */
static int
open_database(struct op *op, struct doctor *d)
{
	struct db *db;
	int rc = db_open_reader(op, op->config->database, &db);

	if (rc)
		return rc;
	d->svc.db = db;
	return catalog_open(op);
}

static int
open_keys(struct op *op, struct doctor *d)
{
	(void)d;
	return keyring_open_reader(op, op->config->master_key);
}

static int (*const openers[NEED_COUNT])(struct op *op, struct doctor *d) = {
    [NEED_CONFIG] = open_config,
    [NEED_DATABASE] = open_database,
    [NEED_KEYS] = open_keys,
};

int
doctor_need(struct doctor *d, enum doctor_need need)
{
	struct op *op;
	int rc = 0;

	if (need == NEED_NOTHING || d->is_tried[need])
		return d->codes[need];
	rc = doctor_need(d, need - 1);
	d->is_tried[need] = true;
	d->why[need] = d->why[need - 1];
	if (!rc) {
		op = op_begin(&d->svc, d->config);
		op->deadline_ms = time_monotonic_ms() + OPEN_MS;
		rc = openers[need](op, d);
		d->why[need] = rc ? op_strdup(d->op, op_failure(op)) : NULL;
		op_end(op);
	}
	d->codes[need] = rc;
	return rc;
}

const char *
doctor_why(struct doctor *d, enum doctor_need need)
{
	return d->why[need] ? d->why[need] : "";
}

const struct config *
doctor_config(struct doctor *d)
{
	return d->config;
}

const struct problems *
doctor_config_problems(struct doctor *d)
{
	return &d->problems;
}

static void
close_all(struct doctor *d)
{
	catalog_free(d->svc.catalog);
	keyring_free(d->svc.keyring);
	db_close(d->svc.db);
	dialer_free(d->svc.dialer);
	config_unref(d->config);
}

/* ---- running ---- */

static const char *
public_name(struct op *op, const char *id)
{
	char *name = op_strdup(op, id);

	for (char *c = name; *c; c++)
		if (*c == '_')
			*c = '-';
	return name;
}

static void
run_row(struct doctor *d, const struct row *row)
{
	const struct doctor_check check = { public_name(d->op, row->check.name), row->check.text };
	struct check c = { .doctor = d, .file = d->options->config_file };

	d->check = &check;
	if (d->options->on_begin)
		d->options->on_begin(&check, d->options->arg);
	if (doctor_need(d, row->need)) {
		add(d, DOCTOR_SKIPPED, "", "", op_printf(d->op, "not looked at: %s", doctor_why(d, row->need)));
		return;
	}
	c.op = op_begin(&d->svc, d->config);
	c.op->deadline_ms = time_monotonic_ms() + row->seconds * 1000;
	row->run(&c);
	op_end(c.op);
}

static bool
is_named(struct op *op, const struct row *row, const char *name)
{
	return strcmp(public_name(op, row->check.name), name) == 0 || strcmp(row->check.name, name) == 0;
}

static bool
is_wanted(const struct doctor *d, const struct row *row)
{
	for (size_t i = 0; i < d->options->n_names; i++)
		if (is_named(d->op, row, d->options->names[i]))
			return true;
	return d->options->n_names == 0;
}

static int
check_names(struct op *op, const struct doctor_options *options)
{
	const char *names[countof(rows)], *near;

	for (size_t i = 0; i < countof(rows); i++)
		names[i] = public_name(op, rows[i].check.name);
	for (size_t i = 0; i < options->n_names; i++) {
		bool is_known = false;

		for (size_t k = 0; k < countof(rows); k++)
			is_known |= is_named(op, &rows[k], options->names[i]);
		if (is_known)
			continue;
		near = text_nearest(options->names[i], names, countof(names));
		return op_fail(op, ERR_NOT_FOUND, "there is no check %s%s%s%s; --list shows them", options->names[i],
		    near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	}
	return 0;
}

static const struct doctor_report *
report_of(const struct doctor *d)
{
	struct doctor_report *report = op_alloc(d->op, sizeof(*report));

	*report = (struct doctor_report){ .v = d->v, .n = d->n, .worst = DOCTOR_OK };
	for (size_t i = 0; i < d->n; i++) {
		report->n_warnings += d->v[i].verdict == DOCTOR_WARNING;
		report->n_problems += d->v[i].verdict == DOCTOR_PROBLEM;
		report->n_skipped += d->v[i].verdict == DOCTOR_SKIPPED;
		if (d->v[i].verdict > report->worst)
			report->worst = d->v[i].verdict;
	}
	return report;
}

int
doctor_run(struct op *op, const struct doctor_options *options, const struct doctor_report **ret)
{
	struct doctor d = { .op = op, .options = options };
	int rc = check_names(op, options);

	if (rc)
		return rc;
	d.svc.dialer = dialer_new();
	for (size_t i = 0; i < countof(rows); i++)
		if (is_wanted(&d, &rows[i]))
			run_row(&d, &rows[i]);
	close_all(&d);
	*ret = report_of(&d);
	return 0;
}

const struct doctor_check *
doctor_checks(struct op *op, size_t *ret_n)
{
	struct doctor_check *checks = op_alloc(op, sizeof(*checks) * countof(rows));

	for (size_t i = 0; i < countof(rows); i++)
		checks[i] = (struct doctor_check){ public_name(op, rows[i].check.name), rows[i].check.text };
	*ret_n = countof(rows);
	return checks;
}

const char *
doctor_verdict_name(enum doctor_verdict verdict)
{
	static const char *const names[] = {
	    [DOCTOR_SKIPPED] = "skipped",
	    [DOCTOR_OK] = "ok",
	    [DOCTOR_WARNING] = "warning",
	    [DOCTOR_PROBLEM] = "problem",
	};

	return names[verdict];
}
