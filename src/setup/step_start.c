/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Starting the daemon and waiting until it answers on its socket.  By systemd where that runs; else in the background, for trying out.
 * When it does not start, its own words are shown.
 */
#include "setup_int.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/time.h"

#define START_MS 60000
#define POLL_MS 100
#define TAIL_BYTES 8192
#define LINES_SHOWN 8

static bool
is_answering(struct setup *s)
{
	struct answer answer;

	return step_try(s, "GET", "/api/v1/status", NULL, &answer) == EXIT_DONE;
}

/* Beside this program, or where it was installed. */
static const char *
daemon_path(struct setup *s)
{
	const char *folder = step_program_folder(s), *name = op_printf(s->op, "%s/keywardd", folder);

	if (access(name, X_OK) == 0)
		return name;
	name = op_printf(s->op, "%s/../sbin/keywardd", folder);
	return access(name, X_OK) == 0 ? name : KEYWARD_SBINDIR "/keywardd";
}

/* A program with nothing of ours but its output; as the service's user when there is one and want_user. */
static pid_t
spawn(struct setup *s, const char *const *words, int out, bool want_user)
{
	pid_t pid = fork();
	int none;

	if (pid)
		return pid;
	none = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (setsid() < 0 || dup2(none, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
		_exit(126);
	if (want_user && s->user && geteuid() == 0 &&
	    (setgroups(0, NULL) < 0 || setgid(s->gid) < 0 || setuid(s->uid) < 0))
		_exit(126);
	/* a daemon that kept our output open would keep who reads it waiting */
	if (close_range(STDERR_FILENO + 1, ~0U, 0) < 0)
		_exit(126);
	execvp(words[0], (char *const *)(uintptr_t)words);
	_exit(127);
}

/* ---- when it does not start ---- */

/* The last lines that are not for machines. */
static void
show_words(struct setup *s, const char *text)
{
	const char *lines[LINES_SHOWN];
	size_t n = 0;

	while (*text) {
		size_t length = strcspn(text, "\n");

		if (length && text[0] != '{') {
			if (n == LINES_SHOWN)
				memmove(lines, lines + 1, --n * sizeof(*lines));
			lines[n++] = op_strndup(s->op, text, length);
		}
		text += length + (text[length] == '\n');
	}
	for (size_t i = 0; i < n; i++)
		say(s, "  %s", lines[i]);
}

static void
show_log(struct setup *s, const char *file, off_t since)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	char *text = op_alloc(s->op, TAIL_BYTES + 1);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_size - since > TAIL_BYTES)
		since = st.st_size - TAIL_BYTES;
	lseek(fd, since, SEEK_SET);
	n = file_read(fd, text, TAIL_BYTES);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	show_words(s, text);
}

/* What a short program prints; its exit code, or -1. */
static int
run_program(struct setup *s, const char *const *words, char **ret_text)
{
	int ends[2], status = -1;
	pid_t pid;
	ssize_t n;

	*ret_text = op_alloc(s->op, TAIL_BYTES + 1);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	pid = spawn(s, words, ends[1], false);
	close(ends[1]);
	n = pid > 0 ? file_read(ends[0], *ret_text, TAIL_BYTES) : 0;
	(*ret_text)[n > 0 ? n : 0] = '\0';
	close(ends[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- waiting ---- */

/* pid 0: somebody else's child. */
static bool
wait_until_ready(struct setup *s, pid_t pid)
{
	int64_t end_ms = time_monotonic_ms() + START_MS;
	const struct timespec pause = { 0, POLL_MS * 1000000L };

	while (time_monotonic_ms() < end_ms) {
		if (is_answering(s))
			return true;
		if (pid > 0 && waitpid(pid, NULL, WNOHANG) == pid)
			return false;
		nanosleep(&pause, NULL);
	}
	return false;
}

/* doors_renew looks at the files three times a minute. */
const char *
step_how_to_reload(const struct setup *s)
{
	return s->has_systemd ? "then run: systemctl reload keywardd" :
	    "keywardd takes them by itself within a minute, or at once with: kill -HUP and the number of its process";
}

static int
start_systemd(struct setup *s)
{
	static const char *const start[] = { "systemctl", "enable", "--now", "keywardd.service", NULL };
	static const char *const log[] = { "journalctl", "--no-pager", "--output=cat", "--lines=20", "--unit=keywardd.service", NULL };
	char *said;
	int rc = run_program(s, start, &said);

	if (!rc && wait_until_ready(s, 0))
		return EXIT_DONE;
	say_problem(s, "keywardd.service does not start; its own words:");
	show_words(s, said);
	if (run_program(s, log, &said) == 0)
		show_words(s, said);
	say(s, "All of it: journalctl -u keywardd");
	return EXIT_FAILED;
}

static int
start_background(struct setup *s)
{
	const char *log = op_printf(s->op, "%s/keywardd.log", s->data_folder), *program = daemon_path(s);
	const char *const words[] = { program, "--config", s->config_file, NULL };
	int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	off_t since = out < 0 ? 0 : lseek(out, 0, SEEK_END);
	pid_t pid;

	if (out < 0) {
		say_problem(s, "%s cannot be written: %s", log, strerror(errno));
		return EXIT_FAILED;
	}
	pid = spawn(s, words, out, true);
	close(out);
	if (pid > 0 && wait_until_ready(s, pid)) {
		say(s, "keywardd runs in the background, process %ld; it writes to %s.  To end it: kill %ld.  To start it "
		    "again: %s --config %s", (long)pid, log, (long)pid, program, s->config_file);
		json_object_set_new(s->result, "process", json_integer(pid));
		return EXIT_DONE;
	}
	say_problem(s, "%s does not start; its own words:", program);
	show_log(s, log, since);
	say(s, "All of it stands in %s.", log);
	return EXIT_FAILED;
}

static int
start(struct setup *s)
{
	const char *how = ask(s, Q_START, s->has_systemd ? "systemd" : "background", NULL);

	if (!how)
		return ask_failed(s);
	if (!strcmp(how, "systemd"))
		return start_systemd(s);
	if (!strcmp(how, "background"))
		return start_background(s);
	say(s, "Start it with: %s --config %s", daemon_path(s), s->config_file);
	say(s, "Then run \"keyward setup\" again: it goes on from here.");
	s->has_left = true;
	return EXIT_LEFT;
}

int
step_start(struct setup *s)
{
	bool is_running = is_answering(s);
	int rc = is_running ? EXIT_DONE : start(s);

	if (rc)
		return rc;
	say(s, "Keyward answers: %s", s->config->issuer);
	step_note(s, is_running ? "kept" : "done", s->config->issuer);
	return EXIT_DONE;
}
