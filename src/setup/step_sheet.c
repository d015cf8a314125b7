/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The end: a first backup and the line that repeats it, the recovery sheet to print, and the doctor.  The sheet is written anew each time,
 * since it says how things are; the master key itself is on it only when that was asked for.
 */
#include "setup_int.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"
#include "crypt/certificate.h"

#define BLANK "________________________________________"

static const char *
today(struct setup *s)
{
	char text[TIME_TEXT_BYTES];

	op_touch(s->op);
	return op_strndup(s->op, time_text(s->op->now_ms, text), 10);
}

/* ---- backup ---- */

static const char *
check_folder(struct setup *s, const char *answer)
{
	(void)s;
	/* it goes into a line of the shell */
	if (*answer && (answer[0] != '/' || strpbrk(answer, " \t\"'\\$`;&|<>()%#*?!{}")))
		return "please give a whole path without blanks and special characters, for example /var/backups/keyward";
	return NULL;
}

static const char *
backup_command(struct setup *s, const char *date)
{
	if (s->is_system)
		return op_printf(s->op, "keyward backup %s/%s.backup", s->backup_folder, date);
	return op_printf(s->op, "%s/keyward --config %s backup %s/%s.backup", step_program_folder(s), s->config_file,
	    s->backup_folder, date);
}

/*
 * A command that opens the database and the master key.  Where systemd hands the key over it is root's; else both belong to the service's
 * user, who runs it then: root would leave files that the service cannot open.
 */
static int
run_as_service(struct setup *s, struct cli *cli)
{
	int status = 0;
	pid_t pid;

	if (!s->user || s->has_systemd || geteuid() != 0)
		return cli->command->run(cli);
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return EXIT_FAILED;
	if (pid == 0) {
		if (setgroups(0, NULL) < 0 || setgid(s->gid) < 0 || setuid(s->uid) < 0)
			_exit(EXIT_FAILED);
		status = cli->command->run(cli);
		fflush(stdout);
		_exit(status);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_FAILED;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

static int
back_up(struct setup *s)
{
	struct cli cli = *s->cli;
	const char *file = op_printf(s->op, "%s/%s-setup.backup", s->backup_folder, today(s));

	cli.command = &commands[COMMAND_backup];
	cli.id = COMMAND_backup;
	cli.file = file;
	cli.own = json_own(s->op, json_pack("{s:s, s:b}", "file", file, "force", 1));
	cli.is_silent = false;
	return run_as_service(s, &cli);
}

/* Every night by cron, which every Debian has; % has a meaning there. */
static int
write_cron(struct setup *s)
{
	static const char file[] = "/etc/cron.d/keyward-backup";
	const char *user = s->user && !s->has_systemd ? s->user : "root";
	/* the folder may hold what is not ours: only files of these names are removed, and none below it */
	const char *line = op_printf(s->op, "# Written by \"keyward setup\": every night a backup, those of the last 30 days are kept.\n"
	    "30 2 * * * %s %s --force && find %s -maxdepth 1 -type f -name '20*-*-*.backup' -mtime +30 -delete\n", user,
	    backup_command(s, "$(date +\\%F)"), s->backup_folder);
	int rc;

	if (!s->is_system || geteuid() != 0 || !file_exists("/etc/cron.d")) {
		say(s, "A line for your crontab, every night at half past two:");
		say(s, "  30 2 * * * %s --force", backup_command(s, "$(date +\\%F)"));
		return EXIT_DONE;
	}
	rc = file_write(s, file, line, 0644, true);
	if (!rc)
		say(s, "Every night: %s", file);
	return rc;
}

int
step_backup(struct setup *s)
{
	const char *folder = ask(s, Q_BACKUP_FOLDER, s->is_system ? "/var/backups/keyward" : NULL, check_folder);
	int rc;

	if (!folder)
		return ask_failed(s);
	if (!*folder) {
		say(s, "No backup yet: a broken disk would take the accounts, the rules and the audit log with it.  "
		    "\"keyward backup FILE\" makes one while the service runs.");
		step_note(s, "skipped", NULL);
		return EXIT_DONE;
	}
	s->backup_folder = folder;
	rc = folder_make(s, folder, 0700);
	if (!rc && !s->has_systemd)
		rc = file_give(s, folder);
	if (!rc)
		rc = back_up(s);
	if (!rc)
		rc = write_cron(s);
	if (!rc)
		step_note(s, "done", folder);
	return rc;
}

/* ---- the sheet ---- */

static void
put_fact(struct buf *out, const char *name, const char *value)
{
	buf_printf(out, "   %-22s %s\n", name, value && *value ? value : BLANK);
}

static void
put_digest(struct setup *s, struct buf *out, const char *digest)
{
	put_fact(out, "  SHA-256", op_printf(s->op, "%.32s", digest));
	if (strlen(digest) > 32)
		put_fact(out, "", digest + 32);
}

static void
put_certificate(struct setup *s, struct buf *out)
{
	struct certificate_facts facts;
	char until[TIME_TEXT_BYTES];
	char *pem;

	if (!*s->config->tls_certificate)
		return;
	pem = file_text(s, s->config->tls_certificate);
	if (!pem || certificate_read(s->op, pem, &facts)) {
		op_forgive(s->op);
		return;
	}
	put_fact(out, "Its certificate", s->config->tls_certificate);
	put_fact(out, "  until", op_printf(s->op, "%.10s", time_text(facts.not_after_ms, until)));
	put_digest(s, out, facts.sha256);
}

/* What the server shows now; one that is not there leaves blanks. */
static void
put_server(struct setup *s, struct buf *out, const json_t *directory)
{
	json_t *body = json_own(s->op, json_object());
	const json_t *leaf;
	struct answer answer;

	json_object_set(body, "url", json_object_get(directory, "url"));
	json_object_set(body, "starttls", json_object_get(directory, "starttls"));
	if (json_object_get(directory, "ca"))
		json_object_set(body, "ca", json_object_get(directory, "ca"));
	if (step_try(s, "POST", "/api/v1/directories-look", body, &answer))
		return;
	leaf = json_array_get(json_object_get(answer.json, "certificates"), 0);
	put_fact(out, "  its certificate", clean_text(s->op, json_get_text(leaf, "subject")));
	put_digest(s, out, json_get_text(leaf, "sha256"));
}

static void
put_directories(struct setup *s, struct buf *out)
{
	json_t *list = step_list(s, "/api/v1/directories"), *one;
	size_t i;

	json_array_foreach(list, i, one) {
		put_fact(out, "Directory", op_printf(s->op, "%s, %s", json_get_text(one, "name"), json_get_text(one, "url")));
		put_fact(out, "  read as", json_get_text(one, "bind_dn"));
		put_server(s, out, one);
	}
}

static void
put_places(struct setup *s, struct buf *out, const json_t *status)
{
	char host[256] = "";

	if (gethostname(host, sizeof(host) - 1))
		host[0] = '\0';
	buf_add(out, "1. What runs where\n\n");
	put_fact(out, "Computer", host);
	put_fact(out, "Keyward", json_get_text(status, "version"));
	put_fact(out, "Address", s->config->issuer);
	put_certificate(s, out);
	put_fact(out, "Configuration", s->config_file);
	put_fact(out, "Database", s->database);
	put_fact(out, "Roles and rules", s->objects_file);
	put_directories(s, out);
}

static void
put_copies(struct setup *s, struct buf *out, const json_t *status)
{
	buf_add(out, "\n2. What to keep, and where\n\n   The master key opens every secret in the database and every backup. "
	    " Keep a copy of its\n"
	    "   file in a place of its own, not with the backups: who has both has everything, who has\n   lost the key has "
	    "nothing.\n\n");
	put_fact(out, "Master key", s->key_file);
	put_fact(out, "  its id (no secret)", json_get_text(status, "master_key"));
	put_fact(out, "  copy is in", NULL);
	put_fact(out, "Backups", s->backup_folder);
	put_fact(out, "  copies are in", NULL);
}

static void
put_commands(struct setup *s, struct buf *out)
{
	const char *keyward = s->is_system ? "keyward" : op_printf(s->op, "keyward --config %s", s->config_file);
	const char *start = s->has_systemd ? "systemctl start keywardd" : op_printf(s->op, "keywardd --config %s "
	    "&", s->config_file);
	const char *stop = s->has_systemd ? "systemctl stop keywardd" : "end the process keywardd";

	buf_printf(out, "\n3. When something is wrong\n\n   %s doctor\n      says what is wrong, and how to mend it\n   %s\n"
	    "      what the service says\n   %s\n      starts it\n", keyward, s->has_systemd ? "journalctl -u keywardd" :
	    op_printf(s->op, "less %s/keywardd.log", s->data_folder), start);
	buf_printf(out, "\n4. To put it back, on this computer or another one with the same version\n\n"
	    "   a. Install Keyward.  Put back the configuration, the files of the certificate and the\n      master key "
	    "(mode 0400) under the names above.\n   b. %s\n   c. %s backup verify FILE\n      is the backup whole, is the "
	    "key right?\n   d. %s restore FILE\n"
	    "   e. %s\n   f. %s doctor\n   Everybody signs in again; people and groups are read from the directory.\n"
	    "   On another computer: let the DNS lead the address above to it.  The address must "
	    "stay.\n", stop, keyward, keyward, start, keyward);
}

static void
put_people(struct setup *s, struct buf *out, const char *contact)
{
	buf_add(out, "\n5. Who is called\n\n");
	put_fact(out, "Keyward", contact);
	put_fact(out, "Service desk", s->config->service_desk);
	put_fact(out, "Directory", NULL);
	put_fact(out, "Applications", NULL);
}

/* Only when it was asked for with --with-key. */
static int
put_key(struct setup *s, struct buf *out)
{
	const char *key = file_text(s, s->key_file);

	if (!key)
		return EXIT_FAILED;
	buf_add(out, "\n6. The master key.  Who reads this sheet can open every secret: keep it in a safe.\n\n   ");
	for (size_t i = 0; key[i] && key[i] != '\n'; i++)
		buf_printf(out, "%s%c", i && i % 32 == 0 ? "\n   " : i && i % 8 == 0 ? " " : "", key[i]);
	buf_add(out, "\n\n   As a file: 64 digits on one line without blanks, mode 0400.\n");
	return EXIT_DONE;
}

/* Who was written on the sheet before; NULL when nobody was. */
static const char *
contact_before(struct setup *s)
{
	static const char before[] = "\n5. Who is called\n\n   Keyward                ";
	const char *text = file_exists(s->sheet_file) ? file_text(s, s->sheet_file) : NULL, *found = text ? strstr(text, before) : NULL;

	if (!found || found[strlen(before)] == '_')
		return NULL;
	found += strlen(before);
	return op_strndup(s->op, found, strcspn(found, "\n"));
}

int
step_sheet(struct setup *s)
{
	const char *contact = ask(s, Q_CONTACT, contact_before(s), NULL);
	struct buf out = buf_in(s->op->mem);
	struct answer status;
	const char *user;
	int rc;

	if (!contact)
		return ask_failed(s);
	rc = step_call(s, "GET", "/api/v1/status", NULL, &status);
	if (rc)
		return rc;
	buf_printf(&out, "KEYWARD RECOVERY SHEET                                            %s\n%s\n\nPrint it and keep it "
	    "where it can be read when no computer works.\n\n", today(s), clean_text(s->op, s->config->organisation));
	put_places(s, &out, status.json);
	put_copies(s, &out, status.json);
	put_commands(s, &out);
	put_people(s, &out, clean_text(s->op, contact));
	if (s->want_key)
		rc = put_key(s, &out);
	/* root's: the service's user has nothing to do with it */
	user = s->user;
	s->user = NULL;
	if (!rc)
		rc = file_write(s, s->sheet_file, out.text, 0600, false);
	s->user = user;
	if (rc)
		return rc;
	say(s, "Wrote %s: print it, fill in the blanks%s.", s->sheet_file,
	    s->want_key ? ", lock it away and delete the file: the master key is on it" : "");
	step_note(s, "done", s->sheet_file);
	return EXIT_DONE;
}

/* ---- the doctor ---- */

int
step_doctor(struct setup *s)
{
	struct cli cli = *s->cli;
	int rc;

	cli.command = &commands[COMMAND_doctor];
	cli.id = COMMAND_doctor;
	cli.body = json_own(s->op, json_object());
	cli.is_silent = false;
	rc = run_as_service(s, &cli);
	fflush(stdout);
	step_note(s, rc == EXIT_DONE ? "done" : rc == EXIT_WARNING ? "warning" : "failed", NULL);
	if (rc == EXIT_WARNING)
		say(s, "Keyward works; look at the warnings when you have time.  \"keyward doctor\" tells them again.");
	return rc == EXIT_WARNING ? EXIT_DONE : rc;
}
