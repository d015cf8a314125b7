/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* backup, restore, db copy, db check: what the room keep does, told to whoever stands at the terminal. */
#include "cli.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "base/time.h"
#include "keep/keep.h"

#define TELL_MS 200

/* One line that changes, on a terminal only. */
struct progress {
	bool is_shown;
	int64_t last_ms;
};

static void
tell(void *arg, const char *step, int64_t rows)
{
	struct progress *progress = arg;
	int64_t now = time_monotonic_ms();

	if (now - progress->last_ms < TELL_MS)
		return;
	progress->last_ms = now;
	progress->is_shown = true;
	fprintf(stderr, "\r%-40s %12lld rows", step, (long long)rows);
	fflush(stderr);
}

static void
clear_line(const struct progress *progress)
{
	if (progress->is_shown)
		fprintf(stderr, "\r%60s\r", "");
}

typedef int act_fn(struct op *op, struct cli *cli, const struct keep_progress *progress, struct backup *ret);
/* What is said about a success; the members of ret live as long as op. */
typedef void say_fn(struct op *op, struct cli *cli, const struct backup *backup);

static bool
is_forced(const struct cli *cli)
{
	return json_get_bool(cli->own, "force");
}

/* In full: what is to be written into the configuration begins at another folder. */
static int
read_other_database(struct cli *cli)
{
	const char *given = json_get_text(cli->own, "to"), *fault, *to;
	char here[PATH_MAX];

	to = config_database(cli->op->mem, given, getcwd(here, sizeof(here)), &fault);
	if (!to)
		return op_fail(cli->op, ERR_INVALID, "--to %s %s", given, fault);
	json_object_set_new(cli->own, "to", json_string(to));
	return 0;
}

static const char *
other_database(const struct cli *cli)
{
	return json_get_text(cli->own, "to");
}

static int
exit_code_of(int rc)
{
	return rc == ERR_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_FAILED;
}

static int
act(struct cli *cli, const struct config *config, act_fn *does, say_fn *say)
{
	struct progress progress = { false, time_monotonic_ms() };
	struct keep_progress tells = { isatty(STDERR_FILENO) && !cli->is_json ? tell : NULL, &progress };
	struct op *op = op_begin(NULL, config);
	struct backup backup;
	int rc;

	op->caller.kind = ACTOR_ROOT;
	op->caller.actor = op_printf(op, "uid:%ld", (long)getuid());
	rc = does(op, cli, &tells, &backup);
	clear_line(&progress);
	if (rc)
		cli_tell_failure(cli, rc, op_failure(op), NULL);
	else
		say(op, cli, &backup);
	op_end(op);
	return rc ? exit_code_of(rc) : EXIT_DONE;
}

static int
with_config(struct cli *cli, int (*does)(struct cli *cli, const struct config *config))
{
	const char *file = cli->config_file ? cli->config_file : DEFAULT_CONFIG;
	struct problems problems = problems_in(cli->op, file);
	const struct config *config;
	int code;

	if (config_load(cli->op, file, &problems, &config)) {
		cli_tell_failure(cli, ERR_CONFIG, op_failure(cli->op), &problems);
		return EXIT_FAILED;
	}
	log_set_level(LOG_LEVEL_WARNING);       /* steps of the schema are no news here */
	code = does(cli, config);
	config_unref(config);
	return code;
}

static void
say_json(struct op *op, const char *file, const struct backup *b)
{
	char made[TIME_TEXT_BYTES];
	json_t *object = json_own(op, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:I, s:I}", "file", file, "id", b->id,
	    "organisation", b->organisation, "issuer", b->issuer, "master_key", b->key_id, "program", b->program, "schema", b->schema,
	    "made", time_text(b->time_ms, made), "rows", (json_int_t)b->rows, "bytes", (json_int_t)b->bytes));

	if (b->kept)
		json_object_set_new(object, "kept", json_string(b->kept));
	if (b->is_compared) {
		json_t *names = json_array();

		for (size_t i = 0; i < b->n_reopened; i++)
			json_array_append_new(names, json_string(b->reopened[i]));
		json_object_set_new(object, "reopened", names);
	}
	printf("%s\n", json_text(op, object));
}

/* ---- backup ---- */

static int
do_backup(struct op *op, struct cli *cli, const struct keep_progress *progress, struct backup *ret)
{
	return keep_backup(op, cli->file, is_forced(cli), progress, ret);
}

static void
say_backup(struct op *op, struct cli *cli, const struct backup *b)
{
	if (cli->is_json)
		say_json(op, cli->file, b);
	else
		printf("%s: %lld rows in %lld bytes, checked.  It opens only with master key %s; keep that key's copy elsewhere.\n",
		    cli->file, (long long)b->rows, (long long)b->bytes, b->key_id);
}

static int
act_backup(struct cli *cli, const struct config *config)
{
	return act(cli, config, do_backup, say_backup);
}

int
run_backup(struct cli *cli)
{
	return with_config(cli, act_backup);
}

static int
do_verify(struct op *op, struct cli *cli, const struct keep_progress *progress, struct backup *ret)
{
	return keep_check(op, cli->file, progress, ret);
}

static void
say_verify(struct op *op, struct cli *cli, const struct backup *b)
{
	char made[TIME_TEXT_BYTES];

	if (cli->is_json) {
		say_json(op, cli->file, b);
		return;
	}
	printf("%s is good: %s (%s), made %s by keyward %s, schema %d, master key %s, %lld rows\n", cli->file, b->organisation,
	    b->issuer, time_text(b->time_ms, made), b->program, b->schema, b->key_id, (long long)b->rows);
}

static int
act_backup_verify(struct cli *cli, const struct config *config)
{
	return act(cli, config, do_verify, say_verify);
}

int
run_backup_verify(struct cli *cli)
{
	return with_config(cli, act_backup_verify);
}

/* ---- restore ---- */

static int
do_restore(struct op *op, struct cli *cli, const struct keep_progress *progress, struct backup *ret)
{
	return keep_restore(op, cli->file, is_forced(cli), progress, ret);
}

/* The one thing done by hand that must not be overlooked. */
static void
say_reopened(struct op *op, const struct backup *b)
{
	if (b->n_reopened)
		printf("These accounts were disabled here, by hand, and after this restore they are not:\n");
	for (size_t i = 0; i < b->n_reopened; i++)
		printf("    keyward user disable %s\n", clean_text(op, b->reopened[i]));
	if (b->n_reopened)
		printf("Do that as soon as keywardd runs: nobody signs in before the first synchronisation has ended. "
		    "An account newer than the backup is there only then.\n");
	else if (b->is_compared)
		printf("No account that was disabled here by hand is active again.\n");
}

static void
say_restore(struct op *op, struct cli *cli, const struct backup *b)
{
	char made[TIME_TEXT_BYTES];

	if (cli->is_json) {
		say_json(op, cli->file, b);
		return;
	}
	printf("restored %lld rows as of %s into %s\n", (long long)b->rows, time_text(b->time_ms, made), op->config->database);
	if (b->kept)
		printf("the database from before is %s\n", b->kept);
	printf("now start keywardd: everybody has to sign in again, and can do so once the directories have been synchronised.\n"
	    "What was changed by hand since the backup (accounts disabled here, roles given, objects) has to be done again.\n");
	say_reopened(op, b);
}

static int
act_restore(struct cli *cli, const struct config *config)
{
	return act(cli, config, do_restore, say_restore);
}

int
run_restore(struct cli *cli)
{
	return with_config(cli, act_restore);
}

/* ---- db copy ---- */

static int
do_copy(struct op *op, struct cli *cli, const struct keep_progress *progress, struct backup *ret)
{
	return keep_move(op, other_database(cli), progress, ret);
}

static void
say_copy(struct op *op, struct cli *cli, const struct backup *b)
{
	if (cli->is_json)
		printf("%s\n", json_text(op, json_own(op, json_pack("{s:s, s:i, s:I}", "to", other_database(cli), "schema", b->schema,
		    "rows", (json_int_t)b->rows))));
	else
		printf("copied %lld rows, each compared.  Now write into %s:\n    database: \"%s\"\n"
		    "and start keywardd; the old database stays as it is.\n", (long long)b->rows,
		    cli->config_file ? cli->config_file : DEFAULT_CONFIG, other_database(cli));
}

static int
act_db_copy(struct cli *cli, const struct config *config)
{
	return act(cli, config, do_copy, say_copy);
}

int
run_db_copy(struct cli *cli)
{
	int rc = read_other_database(cli);

	if (rc) {
		cli_tell_failure(cli, rc, op_failure(cli->op), NULL);
		return EXIT_FAILED;
	}
	return with_config(cli, act_db_copy);
}

/* ---- db check ---- */

static const char *const verdicts[] = { "ok", "warning", "damage" };

static void
say_findings(struct op *op, const struct db_findings *findings)
{
	size_t wrong = 0;

	for (size_t i = 0; i < findings->n; i++) {
		const struct db_finding *f = &findings->v[i];

		printf("%-8s  %s: %s\n", verdicts[f->verdict], clean_text(op, f->subject), clean_text(op, f->text));
		wrong += f->verdict != DB_GOOD;
	}
	if (wrong)
		printf("\n%zu of %zu findings want attention; %lld rows were read\n", wrong, findings->n, (long long)findings->rows);
	else
		printf("\nthe database is in order; %lld rows were read\n", (long long)findings->rows);
}

static void
say_findings_json(struct op *op, const struct db_findings *findings)
{
	json_t *items = json_array(), *root = json_own(op, json_pack("{s:s, s:I, s:o}", "result", verdicts[findings->worst], "rows",
	    (json_int_t)findings->rows, "items", items));

	for (size_t i = 0; i < findings->n; i++)
		json_array_append_new(items, json_pack("{s:s, s:s, s:s}", "result", verdicts[findings->v[i].verdict], "subject",
		    findings->v[i].subject, "text", findings->v[i].text));
	printf("%s\n", json_text(op, root));
}

static int
check_database(struct cli *cli, const struct config *config)
{
	static const int codes[] = { [DB_GOOD] = EXIT_DONE, [DB_WARNING] = EXIT_WARNING, [DB_DAMAGED] = EXIT_PROBLEM };
	struct op *op = op_begin(NULL, config);
	struct db_findings findings;
	int code, rc = keep_examine(op, &findings);

	if (rc)
		cli_tell_failure(cli, rc, op_failure(op), NULL);
	else if (cli->is_json)
		say_findings_json(op, &findings);
	else
		say_findings(op, &findings);
	code = rc ? exit_code_of(rc) : codes[findings.worst];
	op_end(op);
	return code;
}

int
run_db_check(struct cli *cli)
{
	return with_config(cli, check_database);
}
