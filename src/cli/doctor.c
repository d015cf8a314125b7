/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* keyward doctor: findings as they come, worst last word, and an exit code for monitoring. */
#include "cli.h"

#include <string.h>
#include <unistd.h>

#include "doctor/doctor.h"

#define INDENT 10

static const char *
config_file(const struct cli *cli)
{
	return cli->config_file ? cli->config_file : DEFAULT_CONFIG;
}

/* ---- on a terminal ---- */

struct progress {
	struct cli *cli;
	bool is_shown, is_terminal;
};

static void
erase(struct progress *progress)
{
	if (progress->is_shown)
		fputs("\r\033[K", stderr);
	progress->is_shown = false;
}

static void
on_begin(const struct doctor_check *check, void *arg)
{
	struct progress *progress = arg;

	erase(progress);
	if (!progress->is_terminal)
		return;
	fprintf(stderr, "looking at: %s ...", check->name);
	fflush(stderr);
	progress->is_shown = true;
}

static void
on_finding(const struct doctor_finding *finding, void *arg)
{
	struct progress *progress = arg;
	struct op *op = progress->cli->op;
	const char *name = *finding->subject ? op_printf(op, "%s, %s", finding->check, finding->subject) : finding->check;

	erase(progress);
	printf("%-8s  %s: %s\n", doctor_verdict_name(finding->verdict), clean_text(op, name), clean_text(op, finding->what));
	if (*finding->mend)
		printf("%*s-> %s\n", INDENT, "", clean_text(op, finding->mend));
	fflush(stdout);
}

static void
print_end(const struct doctor_report *report)
{
	if (report->worst == DOCTOR_OK && !report->n_skipped)
		puts("\neverything is in order");
	else
		printf("\n%zu problem%s, %zu warning%s, %zu not looked at\n", report->n_problems,
		    report->n_problems == 1 ? "" : "s", report->n_warnings, report->n_warnings == 1 ? "" : "s", report->n_skipped);
}

/* ---- for programs ---- */

static void
print_json(struct cli *cli, const struct doctor_report *report)
{
	json_t *items = json_array(), *root = json_own(cli->op, json_object());

	json_object_set_new(root, "result", json_string(doctor_verdict_name(report->worst)));
	json_object_set_new(root, "problems", json_integer((json_int_t)report->n_problems));
	json_object_set_new(root, "warnings", json_integer((json_int_t)report->n_warnings));
	json_object_set_new(root, "skipped", json_integer((json_int_t)report->n_skipped));
	json_object_set_new(root, "items", items);
	for (size_t i = 0; i < report->n; i++) {
		const struct doctor_finding *f = &report->v[i];

		json_array_append_new(items, json_pack("{ss ss ss ss ss}", "check", f->check, "subject",
						 clean_text(cli->op, f->subject), "result", doctor_verdict_name(f->verdict), "what",
						 clean_text(cli->op, f->what), "mend", clean_text(cli->op, f->mend)));
	}
	printf("%s\n", json_text(cli->op, root));
}

static int
print_list(struct cli *cli)
{
	size_t n;
	const struct doctor_check *checks = doctor_checks(cli->op, &n);
	json_t *items = json_array(), *root = json_own(cli->op, json_object());

	json_object_set_new(root, "items", items);
	for (size_t i = 0; i < n; i++) {
		json_array_append_new(items, json_pack("{ss ss}", "check", checks[i].name, "text", checks[i].text));
		if (!cli->is_json)
			printf("%-14s %s\n", checks[i].name, checks[i].text);
	}
	if (cli->is_json)
		printf("%s\n", json_text(cli->op, root));
	return EXIT_DONE;
}

/* The names given as arguments. */
static struct strings
names_of(struct cli *cli)
{
	const json_t *list = json_object_get(cli->body, "names");
	struct strings names = { op_alloc(cli->op, (json_array_size(list) + 1) * sizeof(*names.v)), json_array_size(list) };

	for (size_t i = 0; i < names.n; i++)
		names.v[i] = json_string_value(json_array_get(list, i));
	return names;
}

int
run_doctor(struct cli *cli)
{
	struct progress progress = { .cli = cli, .is_terminal = isatty(STDOUT_FILENO) && isatty(STDERR_FILENO) };
	const struct strings names = names_of(cli);
	struct doctor_options options = { .config_file = config_file(cli), .names = names.v, .n_names = names.n };
	const struct doctor_report *report;

	if (json_object_get(cli->body, "list"))
		return print_list(cli);
	if (!cli->is_json) {
		options.on_begin = on_begin;
		options.on_finding = on_finding;
		options.arg = &progress;
	}
	if (doctor_run(cli->op, &options, &report)) {
		cli_tell_failure(cli, ERR_NOT_FOUND, op_failure(cli->op), NULL);
		return EXIT_NOT_FOUND;
	}
	erase(&progress);
	if (cli->is_json)
		print_json(cli, report);
	else
		print_end(report);
	return report->worst == DOCTOR_PROBLEM ? EXIT_PROBLEM : report->worst == DOCTOR_WARNING ? EXIT_WARNING : EXIT_DONE;
}
