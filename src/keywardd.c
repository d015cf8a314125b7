/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The daemon: opens everything in order (the list in "steps"), waits for signals, and closes everything in the opposite order.
 * Read run_daemon first.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "config.h"

#include "audit/audit.h"
#include "base/json.h"
#include "base/clock.h"
#include "base/lane.h"
#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "doctor/doctor.h"
#include "doors.h"
#include "issue/clock_watch.h"
#include "issue/live.h"
#include "issue/oidc.h"
#include "jobs.h"
#include "login/throttle.h"
#include "net/dial.h"
#include "net/ldap.h"
#include "net/ldap_pool.h"
#include "net/notify.h"
#include "people/catalog.h"
#include "people/keyring.h"
#include "print.h"
#include "pulse.h"
#include "store/driver.h"
#include "store/key.h"
#include "store/restore.h"
#include "sync/sync.h"

#define DRAIN_MS 10000
#define LIVE_TOKENS 50000

static const char default_config[] = "/etc/keyward/keyward.yaml";

struct daemon {
	struct program program;
	const char *config_file;
	struct jobs *jobs;
	struct doors *doors;
	struct pulse *pulse;
};

/* Everything that is wrong with the file is told in one run. */
static int
load_config(const char *file, const struct config **ret)
{
	struct op *op = op_begin(NULL, NULL);
	struct problems problems = problems_in(op, file);
	int rc = doctor_config_load(op, file, &problems, ret);

	if (problems.n)
		fputs(problems_text(op, &problems), stderr);
	else if (rc)
		fprintf(stderr, "keywardd: %s\n", op_failure(op));
	op_end(op);
	return rc;
}

static int
open_database(struct op *op, struct daemon *d)
{
	int rc = db_open(op, op->config->database, &d->program.svc.db);

	if (!rc)
		rc = db_claim(op, d->program.svc.db);
	return rc ? rc : db_migrate(op, d->program.svc.db);
}

/* A restore could not record itself: the audit log's key is known only now. */
static int
record_restore(struct op *op)
{
	const char *note;
	json_t *facts;
	int rc = db_setting_read(op, SETTING_RESTORE, &note);

	if (rc || !note)
		return rc;
	rc = json_read(op, note, strlen(note), &facts);
	if (!rc)
		rc = audit_record(op, EV_RESTORE, json_get_text(facts, "backup"), FACTS(FACT("backup", json_get_text(facts, "backup")),
		    FACT("made", json_get_text(facts, "made")), FACT("by", json_get_text(facts, "by")),
		    FACT("sessions", op_printf(op, "%lld", (long long)json_get_int(facts, "sessions"))),
		    FACT("authorizations", op_printf(op, "%lld", (long long)json_get_int(facts, "authorizations")))));
	return rc ? rc : db_setting_remove(op, SETTING_RESTORE);
}

static int
record_start(struct op *op, void *arg)
{
	int rc = record_restore(op);

	(void)arg;
	return rc ? rc : audit_record(op, EV_SERVICE_START, NULL, FACTS(FACT("version", PACKAGE_VERSION)));
}

static int
open_clock(struct op *op, struct daemon *d)
{
	(void)d;
	return clock_watch_open(op);
}

/* Our keys, and with them the audit log. */
static int
open_keys(struct op *op, struct daemon *d)
{
	int rc = keyring_open(op, op->config->master_key);

	(void)d;
	return rc ? rc : db_run(op, record_start, NULL);
}

static int
open_catalog(struct op *op, struct daemon *d)
{
	(void)d;
	return catalog_open(op);
}

/* A commit whose answer was lost is known at last: what it did may not have reached what is kept in memory. */
static bool
read_again(void *arg)
{
	struct daemon *d = arg;
	struct op *op = program_op(&d->program);
	int rc;

	op->caller.kind = ACTOR_SYSTEM;
	op->caller.actor = "settle";
	live_drop_all(d->program.svc.live);
	rc = d->program.svc.catalog ? catalog_reload(op) : 0;
	if (rc)
		log_line(LOG_LEVEL_ERROR, "catalog.reload", "why", op_failure(op), NULL);
	op_end(op);
	return !rc;
}

/* What memory knows of living tokens; ends reach it after their commit and before they are acknowledged. */
static int
open_live(struct op *op, struct daemon *d)
{
	(void)op;
	d->program.svc.live = live_new(LIVE_TOKENS);
	d->program.svc.on_end = live_on_end;
	db_on_settled(d->program.svc.db, read_again, d);
	return 0;
}

/* What was only counted in memory is written before it goes. */
static void
flush_last(struct daemon *d, int (*flush)(struct op *op))
{
	struct op *op = program_op(&d->program);

	op->caller.kind = ACTOR_SYSTEM;
	op->caller.actor = "stop";
	if (flush(op) < 0)
		log_line(LOG_LEVEL_ERROR, "audit.lost", "why", op_failure(op), NULL);
	op_end(op);
}

static void
close_live(struct daemon *d)
{
	if (d->program.svc.live)
		flush_last(d, oidc_flush);
	live_free(d->program.svc.live);
}

static void
close_keys(struct daemon *d)
{
	if (d->program.svc.audit)
		flush_last(d, audit_flush_all);
	audit_close(d->program.svc.audit);
	keyring_free(d->program.svc.keyring);
}

static int
open_network(struct op *op, struct daemon *d)
{
	(void)op;
	d->program.svc.dialer = dialer_new();
	d->program.svc.ldap_pool = ldap_pool_new();
	d->program.svc.throttle = throttle_new();
	return 0;
}

static int
open_lanes(struct op *op, struct daemon *d)
{
	d->program.svc.lanes = lanes_new(db_threads(d->program.svc.db));
	return sync_resume(op);
}

static int
open_jobs(struct op *op, struct daemon *d)
{
	(void)op;
	d->jobs = jobs_new(&d->program, d->program.svc.lanes);
	d->program.svc.jobs = d->jobs;
	return 0;
}

static int
open_doors(struct op *op, struct daemon *d)
{
	return doors_open(op, &d->program, &d->doors);
}

static const struct step {
	const char *what;
	int (*open)(struct op *op, struct daemon *d);
} steps[] = {
	{ "database", open_database },
	{ "clock", open_clock },
	{ "keys", open_keys },
	{ "catalog", open_catalog },
	{ "live tokens", open_live },
	{ "network", open_network },
	{ "lanes", open_lanes },
	{ "jobs", open_jobs },
	{ "doors", open_doors },
};

static int
open_all(struct daemon *d)
{
	for (size_t i = 0; i < countof(steps); i++) {
		struct op *op = program_op(&d->program);
		int rc;

		op->caller.kind = ACTOR_SYSTEM;
		op->caller.actor = "start";
		op->deadline_ms = time_monotonic_ms() + 600000;
		rc = steps[i].open(op, d);
		if (rc) {
			log_line(LOG_LEVEL_ERROR, "service.refused", "step", steps[i].what, "error", error_row(rc)->name,
			    "why", op_failure(op), NULL);
			fprintf(stderr, "keywardd: %s\n", op_failure(op));
			notify_send(op_printf(op, "STATUS=Refused to start: %s", op_failure(op)));
			op_end(op);
			return rc;
		}
		op_end(op);
	}
	return 0;
}

/* In the opposite order; works after a start that failed half-way, too. */
static void
close_all(struct daemon *d)
{
	int64_t until_ms = time_monotonic_ms() + DRAIN_MS;

	pulse_free(d->pulse);
	d->program.is_ready = false;
	d->program.svc.is_stopping = true;
	if (d->doors)
		doors_quiesce(d->doors);
	if (d->jobs)
		jobs_stop(d->jobs);
	doors_close(d->doors, until_ms);
	lanes_free(d->program.svc.lanes);
	jobs_free(d->jobs);
	ldap_pool_free(d->program.svc.ldap_pool);
	throttle_free(d->program.svc.throttle);
	dialer_free(d->program.svc.dialer);
	close_live(d);
	catalog_free(d->program.svc.catalog);
	close_keys(d);
	db_close(d->program.svc.db);
}

/* SIGHUP: a good file is taken, a bad one changes nothing. */
static const char *
reload_config(struct op *op, struct daemon *d)
{
	struct problems problems = problems_in(op, d->config_file);
	const struct config *config;
	const char *later;

	if (doctor_config_load(op, d->config_file, &problems, &config)) {
		log_line(LOG_LEVEL_ERROR, "config.refused", "why", problems.n ? problems_text(op, &problems) : op_failure(op), NULL);
		return op_printf(op, "Serving %s with the old configuration; the new one is refused, the log says why", op->config->issuer);
	}
	later = config_needs_restart(op, op->config, config);
	/* The issuer of tokens and the address that is listened on must not part while the daemon runs. */
	config_keep_start(config, op->config);
	log_set_level(log_level_parse(config->log_level));
	program_set_config(&d->program, config);
	/* who reads this may rely on it */
	log_line(LOG_LEVEL_NOTICE, "config.reloaded", "file", d->config_file, "wait for a restart", *later ? later : NULL, NULL);
	return op_printf(op, "Serving %s", op->config->issuer);
}

/* Told as systemd.service(5) wants it for Type=notify-reload; Type=notify takes it as well. */
static void
reload(struct daemon *d)
{
	struct op *op = program_op(&d->program);
	struct timespec now;
	const char *status;

	clock_gettime(CLOCK_MONOTONIC, &now);
	notify_send(op_printf(op, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000));
	status = reload_config(op, d);
	if (!doors_reload(op))
		status = op_printf(op, "Serving %s with the old certificate; the new one is refused, the log says why", op->config->issuer);
	notify_send(op_printf(op, "READY=1\nSTATUS=%s", status));
	op_end(op);
}

/* Until SIGTERM or SIGINT; 0, or 1 when the database cannot promise anything any more. */
static int
wait_for_end(struct daemon *d, const sigset_t *signals)
{
	while (true) {
		int signal = sigtimedwait(signals, NULL, &(struct timespec){ .tv_sec = 1 });

		if (signal == SIGHUP)
			reload(d);
		if (signal == SIGTERM || signal == SIGINT)
			return 0;
		if (db_is_broken(d->program.svc.db)) {
			log_line(LOG_LEVEL_ERROR, "service.broken",
			    "why", "the database is lost to this process: "
			    "no disk took a commit, or another daemon has it; ending, so that a start can look at it", NULL);
			return 1;
		}
	}
}

/* Threads inherit the mask, so that only wait_for_end sees these signals. */
static void
harden(sigset_t *signals)
{
	ldap_forget_environment();
	sigemptyset(signals);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* RLIMIT_FSIZE is then an error of the write, answered as a full disk is */
	signal(SIGXFSZ, SIG_IGN);
	/* no core dump and no debugger of another process of the same user: memory holds keys */
	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	umask(077);
}

static void
tell_ready(struct daemon *d, int64_t took_ms)
{
	struct op *op = program_op(&d->program);
	const char *issuer = op->config->issuer;

	d->program.is_ready = true;
	log_line(LOG_LEVEL_NOTICE, "service.ready", "version", PACKAGE_VERSION, "issuer", issuer, "start_ms",
	    op_printf(op, "%lld", (long long)took_ms), NULL);
	printf("keywardd %s is ready: %s\n", PACKAGE_VERSION, issuer);
	fflush(stdout);
	notify_send(op_printf(op, "READY=1\nSTATUS=Serving %s", issuer));
	d->pulse = pulse_new(&d->program, d->doors);
	op_end(op);
}

static int
run_daemon(const char *config_file)
{
	struct daemon d = { .config_file = config_file };
	const struct config *config;
	int64_t began_ms = time_monotonic_ms();
	sigset_t signals;
	int result = 1;

	harden(&signals);
	log_open();
	if (load_config(config_file, &config))
		return 1;
	log_set_level(log_level_parse(config->log_level));
	program_init(&d.program, config);
	d.program.svc.clock = clock_new();
	if (!open_all(&d)) {
		tell_ready(&d, time_monotonic_ms() - began_ms);
		result = wait_for_end(&d, &signals);
		notify_send("STOPPING=1\nSTATUS=Finishing what is under way");
		log_line(LOG_LEVEL_NOTICE, "service.stopping", NULL);
	}
	close_all(&d);
	program_clear(&d.program);
	clock_free(d.program.svc.clock);
	return result;
}

static int
usage(FILE *out, int code)
{
	fputs("usage: keywardd [--config FILE]           run in the foreground\n"
	    "       keywardd [--config FILE] --check   read the configuration and say what is wrong with it\n"
	    "       keywardd -x TABLE                  print a table of the program; -x help lists them\n"
	    "       keywardd --version | --help\n"
	    "The configuration is read from /etc/keyward/keyward.yaml when --config is not given.\n", out);
	return code;
}

static int
check_config(const char *file)
{
	const struct config *config;

	if (load_config(file, &config))
		return 1;
	config_unref(config);
	printf("%s is good\n", file);
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' }, { "check", no_argument, NULL, 'C' }, { "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
	};
	const char *file = default_config, *table = NULL;
	bool want_check = false;
	int option;

	while ((option = getopt_long(argc, argv, "c:x:Vh", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			file = optarg;
			break;
		case 'x':
			table = optarg;
			break;
		case 'C':
			want_check = true;
			break;
		case 'V':
			printf("keywardd %s\n", PACKAGE_VERSION);
			return 0;
		case 'h':
			return usage(stdout, 0);
		default:
			return usage(stderr, 2);
		}
	}
	if (optind < argc)
		return usage(stderr, 2);
	if (table)
		return print_table(table) ? 2 : 0;
	return want_check ? check_config(file) : run_daemon(file);
}
