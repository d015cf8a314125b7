/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* "keyward "
    "setup": finds out where things go, says what it will do, and takes the steps in their order.  Read run_setup first. */
#include "config.h"

#include "setup_int.h"

#include <fcntl.h>
#include <libgen.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SERVICE_USER "keyward"

static const struct {
	const char *name, *title;
	int (*run)(struct setup *s);
} steps[] = {
	{ "config", "Configuration", step_config },
	{ "key", "Master key and folders", step_key },
	{ "certificate", "Certificate of the service", step_certificate },
	{ "start", "Start", step_start },
	{ "directory", "Your directory", step_directory },
	{ "rules", "Your people and groups", step_rules },
	{ "sync", "The first synchronisation", step_sync },
	{ "person", "Sign in as yourself", step_person },
	{ "app", "An application", step_app },
	{ "test_page", "Test page", step_test_page },
	{ "backup", "Backup", step_backup },
	{ "sheet", "Recovery sheet", step_sheet },
	{ "doctor", "The doctor looks at everything", step_doctor },
};

/* ---- steps ---- */

void
step_note(struct setup *s, const char *state, const char *what)
{
	json_object_set_new(s->step, "state", json_string(state));
	if (what)
		json_object_set_new(s->step, "what", json_string(what));
}

int
step_try(struct setup *s, const char *method, const char *path, const json_t *body, struct answer *ret)
{
	return client_call(s->cli, method, path, NULL, body, ret);
}

int
step_call(struct setup *s, const char *method, const char *path, const json_t *body, struct answer *ret)
{
	int rc = step_try(s, method, path, body, ret);

	if (rc)
		say_problem(s, "%s", ret->why);
	return rc;
}

const char *
step_program_folder(struct setup *s)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		return "/usr/bin";
	self[n] = '\0';
	return dirname(op_strdup(s->op, self));
}

const char *
step_segment(struct setup *s, const char *name)
{
	struct buf out = buf_in(s->op->mem);

	buf_add_percent(&out, name);
	return out.text;
}

json_t *
step_list(struct setup *s, const char *path)
{
	json_t *query = json_own(s->op, json_pack("{s:s}", "limit", "1000")), *items = json_own(s->op, json_array());
	const char *next;

	do {
		struct answer answer;

		if (client_call(s->cli, "GET", path, query, NULL, &answer)) {
			say_problem(s, "%s", answer.why);
			return NULL;
		}
		json_array_extend(items, json_object_get(answer.json, "items"));
		next = json_get_text(answer.json, "next");
		if (next)
			json_object_set_new(query, "after", json_string(next));
	} while (next);
	return items;
}

int
step_apply(struct setup *s, const char *name, const char *yaml, enum question_id id, bool *ret_done)
{
	json_t *body = json_own(s->op, json_pack("{s:s, s:s}", "file", name, "text", yaml));
	bool is_wanted = true;
	struct answer plan;
	int rc = step_call(s, "POST", "/api/v1/plan", body, &plan);

	if (rc)
		return rc;
	if (id != QUESTION_COUNT) {
		view_plan(s->cli, plan.json);
		rc = ask_yes(s, id, NULL, &is_wanted);
	}
	if (ret_done)
		*ret_done = is_wanted;
	if (rc || !is_wanted || !json_array_size(json_object_get(plan.json, "items")))
		return rc;
	/* what was shown is what is done */
	json_object_set_new(body, "mark", json_string(json_get_text(plan.json, "mark")));
	return step_call(s, "POST", "/api/v1/apply", body, &plan);
}

static int
run_step(struct setup *s, size_t i)
{
	json_t *list = json_object_get(s->result, "steps");
	int rc;

	s->step = json_object();
	json_array_append_new(list, s->step);
	json_object_set_new(s->step, "name", json_string(steps[i].name));
	json_object_set_new(s->step, "state", json_string("failed"));
	say_title(s, steps[i].title);
	rc = steps[i].run(s);
	if (rc == EXIT_LEFT)
		step_note(s, "left", NULL);
	return rc;
}

/* ---- where things are ---- */

/* The package makes a user for the service; without one everything belongs to who runs this. */
static void
find_user(struct setup *s)
{
	const struct passwd *user = s->is_system && geteuid() == 0 ? getpwnam(SERVICE_USER) : NULL;

	if (!user)
		return;
	s->user = SERVICE_USER;
	s->uid = user->pw_uid;
	s->gid = user->pw_gid;
}

static void
find_places(struct setup *s)
{
	char whole[4096];
	struct op *op = s->op;

	s->config_file = s->cli->config_file ? s->cli->config_file : DEFAULT_CONFIG;
	/* absolute, since a daemon started from here looks from elsewhere */
	if (s->config_file[0] != '/' && getcwd(whole, sizeof(whole)))
		s->config_file = op_printf(op, "%s/%s", whole, s->config_file);
	s->cli->config_file = s->config_file;
	s->is_system = !strcmp(s->config_file, DEFAULT_CONFIG);
	s->folder = dirname(op_strdup(op, s->config_file));
	s->data_folder = s->is_system ? "/var/lib/keyward" : s->folder;
	s->socket = s->is_system ? "/run/keyward/keyward.sock" : op_printf(op, "%s/keyward.sock", s->folder);
	s->database = op_printf(op, "%s/keyward.db", s->data_folder);
	s->key_file = op_printf(op, "%s/master.key", s->folder);
	s->objects_file = op_printf(op, "%s/objects/setup.yaml", s->folder);
	s->sheet_file = op_printf(op, "%s/recovery-sheet.txt", s->folder);
	s->has_systemd = s->is_system && geteuid() == 0 && file_exists("/run/systemd/system");
	find_user(s);
}

/* ---- what it will do ---- */

static void
list_file(struct setup *s, const char *path, const char *what)
{
	say(s, "  %s  %s%s", path, what, file_exists(path) ? " (is there and stays)" : "");
}

static void
say_plan(struct setup *s)
{
	say(s, "This sets Keyward %s up on this computer.  It will, step by step:", PACKAGE_VERSION);
	say(s, "\nopen");
	say(s, "  port 7443  for people and applications (HTTPS); you are asked for another number");
	say(s, "  port 7444  for monitoring, from this computer only; you are asked, too");
	say(s, "create and write");
	list_file(s, s->config_file, "configuration");
	list_file(s, s->key_file, "the key that seals every secret");
	say(s, "  %s/tls/  certificate and private key of the service", s->folder);
	list_file(s, s->database, "the database");
	say(s, "  %s  socket for the command line", s->socket);
	list_file(s, s->objects_file, "roles, locations and rules that you choose");
	list_file(s, s->sheet_file, "recovery sheet to print");
	say(s, "start");
	say(s, s->has_systemd ? "  keywardd.service (systemd)" : "  keywardd, if you want it");
	say(s, "read");
	say(s, "  your directory: people, groups, never a change there");
	if (s->user)
		say(s, "The files belong to the user %s.", s->user);
	else if (s->is_system && geteuid() == 0)
		say_problem(s, "there is no user %s on this computer, so everything would run as root; its package makes "
		    "that user, or: useradd --system --home-dir /var/lib/keyward --shell /usr/sbin/nologin "
		    "%s", SERVICE_USER, SERVICE_USER);
	say(s, "\nEvery question shows in brackets what an empty line means; ? tells more.  You may stop at any question "
	    "with Ctrl-C: nothing is half done, and the next \"keyward setup\" goes on where you were.\n");
}

/* ---- the whole ---- */

static int
finish(struct setup *s, int rc)
{
	static const char *const words[] = { [EXIT_DONE] = "done", [EXIT_LEFT] = "left" };
	const char *state = rc == EXIT_DONE || rc == EXIT_LEFT ? words[rc] : "failed";

	json_object_set_new(s->result, "state", json_string(state));
	if (rc == EXIT_LEFT)
		say(s, "\nStopped.  Nothing is half done; \"keyward setup%s%s\" goes on from here.", s->is_system ? "" : " "
		    "--config ",
		    s->is_system ? "" : s->config_file);
	else if (rc != EXIT_DONE)
		say(s, "\nThis did not work yet.  Mend what stands behind the ! and run it again: it goes on from here.");
	config_unref(s->config);
	return rc;
}

/* With --json standard output is for the result: everything said on the way goes to standard error.  The real one, or -1. */
static int
divert_output(bool is_json)
{
	int kept = is_json ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : -1;

	if (kept >= 0)
		dup2(STDERR_FILENO, STDOUT_FILENO);
	return kept;
}

static void
restore_output(int kept, const char *text)
{
	fflush(stdout);
	if (kept < 0)
		return;
	dup2(kept, STDOUT_FILENO);
	close(kept);
	printf("%s\n", text);
}

static int
take_steps(struct setup *s)
{
	bool is_wanted;
	int rc;

	say_plan(s);
	rc = ask_yes(s, Q_BEGIN, NULL, &is_wanted);
	if (rc || !is_wanted)
		return rc ? rc : EXIT_LEFT;
	for (size_t i = 0; i < countof(steps) && !rc; i++)
		rc = run_step(s, i);
	return rc;
}

int
run_setup(struct cli *cli)
{
	struct cli client = *cli;
	struct setup s = { .cli = &client, .op = cli->op, .out = stdout };
	const char *answers = json_get_text(cli->own, "answers");
	int kept, rc;

	client.is_silent = true;
	client.is_json = false;
	s.want_key = json_get_bool(cli->own, "with_key");
	s.result = json_own(s.op, json_pack("{s:[]}", "steps"));
	umask(077);
	if (answers && ask_open(&s, answers))
		return EXIT_USAGE;
	if (!answers && !isatty(STDIN_FILENO)) {
		fputs("keyward: setup asks questions: run it at a terminal, or give --answers FILE\n", stderr);
		return EXIT_USAGE;
	}
	find_places(&s);
	kept = divert_output(cli->is_json);
	rc = finish(&s, take_steps(&s));
	restore_output(kept, json_text(s.op, s.result));
	return rc;
}
