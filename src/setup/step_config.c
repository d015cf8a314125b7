/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * keyward.yaml, the folders and the master key.  A configuration that is there is read and kept, whoever wrote it; one that is wrong is
 * told line by line.  The new one appears under its name only after the program itself has read it without complaint.
 */
#include "setup_int.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/time.h"
#include "crypt/certificate.h"
#include "crypt/seal.h"
#include "net/probe.h"

#define PORT_LOOK_MS 2000

const char *
config_host(struct setup *s)
{
	const char *host = strstr(s->config->issuer, "://") + 3;

	if (*host == '[')
		return op_strndup(s->op, host + 1, strcspn(host + 1, "]"));
	return op_strndup(s->op, host, strcspn(host, ":/"));
}

/* ---- checks of answers ---- */

static const char *
check_organisation(struct setup *s, const char *answer)
{
	(void)s;
	return !*answer ? "please give a name" : strlen(answer) > 120 ? "please give a shorter one, at most 120 letters" : NULL;
}

static const char *
check_host(struct setup *s, const char *answer)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";

	(void)s;
	if (!*answer)
		return "please give the host name that people will use, for example sign-in.clinic.test";
	if (strstr(answer, "://") || strchr(answer, '/') || strchr(answer, ':'))
		return "only the host name, without https:// and without a port";
	if (strspn(answer, plain) != strlen(answer) || strlen(answer) > 120 || answer[0] == '.' || answer[0] == '-' ||
	    answer[strlen(answer) - 1] == '.' || strstr(answer, ".."))
		return "a host name has small letters, digits, dots and hyphens, for example sign-in.clinic.test";
	return NULL;
}

/* Told at the question: afterwards it would stand in a configuration that is kept. */
static const char *
port_holder(struct setup *s, int port)
{
	struct op *op = op_begin(NULL, NULL);
	const char *holder = NULL;

	op->deadline_ms = time_monotonic_ms() + PORT_LOOK_MS;
	if (probe_connects(op, "127.0.0.1", port)) {
		holder = probe_holder(op, port);
		holder = op_strdup(s->op, holder ? holder : "another program");
	}
	op_end(op);
	return holder;
}

static const char *
check_port(struct setup *s, const char *answer)
{
	size_t n = strlen(answer);
	const char *holder;
	int port = 0;

	for (size_t i = 0; i < n && i < 5; i++)
		port = port * 10 + (answer[i] - '0');
	if (!n || n > 5 || strspn(answer, "0123456789") != n || port < 1 || port > 65535)
		return "a port is a number from 1 to 65535";
	if (s->port && atoi(s->port) == port)
		return "this is the port for people and applications; monitoring needs one of its own";
	holder = port_holder(s, port);
	return holder ? op_printf(s->op, "%s uses port %d on this computer; end it, or choose another port", holder, port) : NULL;
}

static const char *
check_desk(struct setup *s, const char *answer)
{
	(void)s;
	return strlen(answer) > 200 ? "please give a shorter line, at most 200 letters" : NULL;
}

static const char *
check_file(struct setup *s, const char *answer)
{
	(void)s;
	if (answer[0] != '/')
		return "please give the whole path, from / on";
	if (access(answer, R_OK) == 0)
		return NULL;
	return errno == ENOENT ? "there is no such file" : "this file cannot be read";
}

/* ---- the questions ---- */

struct answers {
	const char *organisation, *host, *port, *reach, *ops_port, *desk, *certificate, *key;
};

static int
ask_files(struct setup *s, struct answers *a)
{
	const char *pem, *key_pem;

	do {
		a->certificate = ask(s, Q_CERTIFICATE_FILE, NULL, check_file);
		a->key = a->certificate ? ask(s, Q_CERTIFICATE_KEY_FILE, NULL, check_file) : NULL;
		if (!a->key)
			return ask_failed(s);
		pem = file_text(s, a->certificate);
		key_pem = file_text(s, a->key);
		if (pem && key_pem && certificate_check(s->op, pem, key_pem, a->host) == 0)
			return EXIT_DONE;
		if (pem && key_pem)
			say_problem(s, "%s", op_failure(s->op));
		op_forgive(s->op);
	} while (ask_is_person(s));
	return EXIT_FAILED;
}

static int
ask_certificate(struct setup *s, struct answers *a)
{
	s->certificate = ask(s, Q_CERTIFICATE, NULL, NULL);
	if (!s->certificate)
		return ask_failed(s);
	if (!strcmp(s->certificate, "files"))
		return ask_files(s, a);
	if (strcmp(s->certificate, "proxy") != 0) {
		a->certificate = op_printf(s->op, "%s/tls/server.pem", s->folder);
		a->key = op_printf(s->op, "%s/tls/server.key", s->folder);
	}
	return EXIT_DONE;
}

static const char *
own_name(struct setup *s)
{
	char name[256];

	return gethostname(name, sizeof(name)) == 0 && memchr(name, '\0', sizeof(name)) && !check_host(s, name) ?
	    op_strdup(s->op, name) : "localhost";
}

static int
ask_all(struct setup *s, struct answers *a)
{
	if (!(a->organisation = ask(s, Q_ORGANISATION, NULL, check_organisation)) ||
	    !(a->host = ask(s, Q_PUBLIC_NAME, own_name(s), check_host)) || !(s->port = a->port = ask(s, Q_PORT, NULL, check_port)) ||
	    !(a->reach = ask(s, Q_REACH, strcmp(a->host, "localhost") ? NULL : "here", NULL)) ||
	    !(a->ops_port = ask(s, Q_OPS_PORT, NULL, check_port)) || !(a->desk = ask(s, Q_SERVICE_DESK, NULL, check_desk)))
		return ask_failed(s);
	return ask_certificate(s, a);
}

/* ---- writing ---- */

/* A JSON string is a YAML scalar in double quotes. */
static void
put(struct buf *out, const char *comment, const char *key, const char *value)
{
	if (*comment)
		buf_printf(out, "\n# %s\n", comment);
	buf_printf(out, "%s: ", key);
	json_put_text(out, value);
	buf_add_char(out, '\n');
}

static const char *
issuer_of(struct setup *s, const struct answers *a)
{
	/* a proxy answers at the port that people expect */
	bool is_plain = !strcmp(a->port, "443") || !strcmp(s->certificate, "proxy");

	return op_printf(s->op, "https://%s%s%s", a->host, is_plain ? "" : ":", is_plain ? "" : a->port);
}

static const char *
config_text(struct setup *s, const struct answers *a)
{
	struct buf out = buf_in(s->op->mem);
	bool is_open = !strcmp(a->reach, "network") && strcmp(s->certificate, "proxy") != 0;

	buf_add(&out, "# Written by \"keyward setup\".  keyward.yaml(5) explains every key; \"keyward config check\" tells "
	    "what is wrong.\n");
	put(&out, "", "organisation", a->organisation);
	put(&out, "Address of this service.  Applications compare it letter by letter.", "issuer", issuer_of(s, a));
	put(&out, "", "listen", op_printf(s->op, "%s:%s", is_open ? "0.0.0.0" : "127.0.0.1", a->port));
	put(&out, "", "ops_listen", op_printf(s->op, "127.0.0.1:%s", a->ops_port));
	if (*a->desk)
		put(&out, "", "service_desk", a->desk);
	if (a->certificate) {
		put(&out, op_printf(s->op, "After you replace these files: %s", step_how_to_reload(s)), "tls_certificate", a->certificate);
		put(&out, "", "tls_key", a->key);
	}
	/* the package's places are the presets; systemd hands the key over as a credential */
	if (s->is_system)
		return out.text;
	put(&out, "Without this file nothing sealed in the database can be opened.  Keep a copy apart from the "
	    "backups.", "master_key",
	    s->key_file);
	put(&out, "", "database", s->database);
	put(&out, "", "socket", s->socket);
	return out.text;
}

/* Reads a configuration; says everything that is wrong with it. */
static int
load(struct setup *s, const char *file)
{
	struct problems problems = problems_in(s->op, file);
	const struct config *config;

	if (config_load(s->op, file, &problems, &config)) {
		say_problem(s, "%s", problems.n ? problems_text(s->op, &problems) : op_failure(s->op));
		op_forgive(s->op);
		return EXIT_FAILED;
	}
	config_unref(s->config);
	s->config = config;
	return EXIT_DONE;
}

/* Read under another name first: what the daemon would refuse never becomes the configuration. */
static int
write_config(struct setup *s, const struct answers *a)
{
	const char *trial = op_printf(s->op, "%s.trial", s->config_file), *text = config_text(s, a);
	int rc = folder_make(s, s->folder, 0755);

	if (!rc)
		rc = file_write(s, trial, text, 0644, false);
	if (!rc)
		rc = load(s, trial);
	unlink(trial);
	if (!rc)
		rc = file_write(s, s->config_file, text, 0644, true);
	return rc ? rc : load(s, s->config_file);
}

/* The organisation's places may differ from ours in a configuration that somebody else wrote. */
static void
adopt(struct setup *s)
{
	s->socket = s->config->socket;
	s->database = s->config->database;
	s->key_file = s->config->master_key;
	s->cli->socket = s->config->socket;
}

int
step_config(struct setup *s)
{
	struct answers a = { 0 };
	bool is_kept = file_exists(s->config_file);
	int rc;

	if (is_kept) {
		rc = load(s, s->config_file);
		if (rc)
			return rc;
		say(s, "%s is there and good: %s at %s.", s->config_file, s->config->organisation, s->config->issuer);
	} else {
		rc = ask_all(s, &a);
		if (!rc)
			rc = write_config(s, &a);
		if (rc)
			return rc;
		say(s, "Wrote %s.", s->config_file);
	}
	adopt(s);
	step_note(s, is_kept ? "kept" : "done", s->config_file);
	return EXIT_DONE;
}

/* ---- folders and master key ---- */

static int
make_folders(struct setup *s)
{
	const char *folders[] = { dirname(op_strdup(s->op, s->database)), dirname(op_strdup(s->op, s->socket)) };
	int rc = folder_make(s, op_printf(s->op, "%s/objects", s->folder), 0755);

	for (size_t i = 0; i < countof(folders) && !rc; i++) {
		rc = folder_make(s, folders[i], 0750);
		/* /run belongs to everybody; only folders of the service's own are given to its user */
		if (!rc && s->is_system && strstr(folders[i], "/keyward"))
			rc = file_give(s, folders[i]);
	}
	return rc;
}

/* An empty file is what a kill in the middle of making it leaves; nothing was ever sealed with it. */
static bool
is_half_made(const char *file)
{
	struct stat st;

	return lstat(file, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0;
}

static int
key_failed(struct setup *s)
{
	say_problem(s, "%s", op_failure(s->op));
	op_forgive(s->op);
	return EXIT_FAILED;
}

int
step_key(struct setup *s)
{
	struct master_key *key;
	int rc = make_folders(s);
	bool is_kept;

	if (rc)
		return rc;
	if (text_starts_with(s->key_file, "credential:")) {
		say(s, "The master key is a credential of systemd: %s.", s->key_file);
		step_note(s, "kept", s->key_file);
		return EXIT_DONE;
	}
	if (is_half_made(s->key_file))
		unlink(s->key_file);
	is_kept = file_exists(s->key_file);
	/* a key that is lost must not be replaced by one that opens nothing */
	if (!is_kept && file_exists(s->database)) {
		say_problem(s, "the database %s is there, but its master key %s is not: put back the copy of the key (the "
		    "recovery sheet says where it is); for a new beginning, move the database away", s->database, s->key_file);
		return EXIT_FAILED;
	}
	if (!is_kept && master_key_create(s->op, s->key_file))
		return key_failed(s);
	/* systemd reads it as root and hands it over */
	if (!s->has_systemd && file_give(s, s->key_file))
		return EXIT_FAILED;
	if (geteuid() != 0 || !s->user) {
		if (master_key_read(s->op, s->key_file, &key))
			return key_failed(s);
		master_key_free(key);
	}
	say(s, "%s %s.  Only the service may read it (mode 0400).  Put a copy where the backups are not: without it nobody "
	    "can open the secrets in the database.", is_kept ? "Kept the master key" : "Made the master key", s->key_file);
	step_note(s, is_kept ? "kept" : "done", s->key_file);
	return EXIT_DONE;
}
