/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Questions: the rows of questions.def, asked at the terminal or answered by a file.  Read ask_each first, then ask_person.
 *
 * Ctrl-C, Ctrl-D and a hung-up terminal all mean "I leave": while a line is read the signals wait, and the terminal is always
 * put back as it was.  Elsewhere a signal ends the program, which is safe, since nothing is ever half done.
 */
#include "setup_int.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/secret.h"

#define LINE_BYTES_MAX 4096

enum question_kind { KIND_TEXT, KIND_YES, KIND_WORD, KIND_SECRET, KIND_EACH };

static const struct question {
	const char *key;
	enum question_kind kind;
	const char *preset, *text, *help;
} questions[QUESTION_COUNT] = {
#define QUESTION(id, key, kind, preset, text, help) [Q_##id] = { key, KIND_##kind, preset, text, help },
#include "tables/questions.def"
#undef QUESTION
};

bool
ask_is_person(const struct setup *s)
{
	return !s->answers;
}

int
ask_failed(const struct setup *s)
{
	return s->has_left ? EXIT_LEFT : EXIT_FAILED;
}

/* ---- a line of the terminal ---- */

struct terminal {
	sigset_t signals, before;
	int signal_fd;
	struct termios modes;
	bool is_hidden;
};

static void
terminal_take(struct terminal *t, bool want_hidden)
{
	struct termios modes;

	sigemptyset(&t->signals);
	sigaddset(&t->signals, SIGINT);
	sigaddset(&t->signals, SIGTERM);
	sigaddset(&t->signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &t->signals, &t->before);
	t->signal_fd = signalfd(-1, &t->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	t->is_hidden = want_hidden && tcgetattr(STDIN_FILENO, &t->modes) == 0;
	if (t->is_hidden) {
		modes = t->modes;
		modes.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSADRAIN, &modes);
	}
}

static void
terminal_give_back(struct terminal *t)
{
	struct signalfd_siginfo info;

	if (t->is_hidden)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &t->modes);
	/* taken here, so that it does not strike once it is let through */
	while (read(t->signal_fd, &info, sizeof(info)) > 0)
		continue;
	close(t->signal_fd);
	sigprocmask(SIG_SETMASK, &t->before, NULL);
}

/* True when the terminal has something to read; false with *ret_left after a signal, without it when time is over. */
static bool
terminal_wait(const struct terminal *t, int wait_ms, bool *ret_left)
{
	struct pollfd fds[2] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = t->signal_fd, .events = POLLIN } };
	int n = poll(fds, 2, wait_ms);

	*ret_left = n < 0 || fds[1].revents != 0;
	return n > 0 && !*ret_left && fds[0].revents != 0;
}

/* One line without its end; NULL when the person leaves.  The prompt comes when the signals wait and nothing is echoed any more. */
static char *
read_line(struct setup *s, const char *prompt, bool want_hidden)
{
	char *line = op_alloc(s->op, LINE_BYTES_MAX + 1);
	struct terminal t;
	bool has_left = false, is_whole = false;
	size_t n = 0;

	terminal_take(&t, want_hidden);
	fputs(prompt, s->out);
	fflush(s->out);
	while (!is_whole && n < LINE_BYTES_MAX && terminal_wait(&t, -1, &has_left)) {
		if (read(STDIN_FILENO, line + n, 1) != 1)
			break;
		is_whole = line[n] == '\n';
		n += !is_whole;
	}
	terminal_give_back(&t);
	if (want_hidden || !is_whole)
		fputc('\n', s->out);
	if (!is_whole)
		return NULL;
	line[n] = '\0';
	return line;
}

bool
ask_wait(struct setup *s, int wait_ms, bool *ret_left)
{
	struct terminal t;
	bool has_line;
	char c = 0;

	terminal_take(&t, false);
	has_line = terminal_wait(&t, wait_ms, ret_left);
	/* end of file is no line: it is the end */
	while (has_line && c != '\n')
		if (read(STDIN_FILENO, &c, 1) != 1) {
			*ret_left = true;
			break;
		}
	terminal_give_back(&t);
	s->has_left = s->has_left || *ret_left;
	return has_line && !*ret_left;
}

/* ---- what an answer may be ---- */

static const char *
trim(struct setup *s, const char *text)
{
	size_t n;

	text += strspn(text, " \t");
	n = strlen(text);
	while (n && (text[n - 1] == ' ' || text[n - 1] == '\t'))
		n--;
	return op_strndup(s->op, text, n);
}

/* The word that begins with what was typed: "y" is yes; NULL when none or two do. */
static const char *
word_of(struct setup *s, const char *words, const char *typed)
{
	const char *found = NULL;

	if (!*typed)
		return NULL;
	while (*words) {
		size_t n = strcspn(words, "|:");

		if (!strncasecmp(words, typed, strlen(typed)) && strlen(typed) <= n) {
			if (found)
				return NULL;
			found = op_strndup(s->op, words, n);
		}
		words += n;
		if (*words != '|')
			break;
		words++;
	}
	return found;
}

/* The answer in its settled form, or NULL with what is wrong with it. */
static const char *
settle(struct setup *s, const struct question *q, const char *answer, ask_check_fn check, const char **ret_wrong)
{
	const char *words = q->kind == KIND_YES ? "yes|no" : q->kind == KIND_WORD ? q->help : NULL;

	*ret_wrong = NULL;
	if (!text_is_utf8(answer, strlen(answer)) || text_has_control(answer))
		*ret_wrong = "this has characters that no answer has: please type it again";
	else if (words && !word_of(s, words, answer))
		*ret_wrong = op_printf(s->op, "please answer with one of: %.*s", (int)strcspn(words, ":"), words);
	else if (words)
		answer = word_of(s, words, answer);
	if (!*ret_wrong && check)
		*ret_wrong = check(s, answer);
	return *ret_wrong ? NULL : answer;
}

/* ---- asking ---- */

static const char *
prompt_of(struct setup *s, const struct question *q, const char *preset)
{
	const char *end = q->text[strlen(q->text) - 1] == '?' ? " " : ": ";

	return *preset ? op_printf(s->op, "%s [%s]%s", q->text, clean_text(s->op, preset), end) : op_printf(s->op, "%s%s", q->text, end);
}

static const char *
ask_person(struct setup *s, const struct question *q, const char *preset, ask_check_fn check)
{
	const char *prompt = prompt_of(s, q, preset);

	for (;;) {
		const char *wrong, *answer = read_line(s, prompt, q->kind == KIND_SECRET);

		if (!answer) {
			s->has_left = true;
			return NULL;
		}
		if (q->kind != KIND_SECRET)
			answer = trim(s, answer);
		if (!strcmp(answer, "?")) {
			say(s, "  %s", q->help);
			continue;
		}
		answer = settle(s, q, *answer ? answer : preset, check, &wrong);
		if (answer)
			return answer;
		say_problem(s, "%s", wrong);
	}
}

static const char *
value_of(const struct setup *s, const struct question *q, const char *part)
{
	const struct node *node = node_get(s->answers, q->key);

	if (node && part)
		node = node->kind == NODE_MAP ? node_get(node, part) : NULL;
	return node && (node->kind == NODE_TEXT || node->kind == NODE_PLAIN) ? node->text : NULL;
}

static const char *
ask_file(struct setup *s, const struct question *q, const char *part, const char *preset, ask_check_fn check)
{
	const char *given = value_of(s, q, part), *wrong, *answer = given ? given : preset;
	char *secret;

	if (given && q->kind == KIND_SECRET && secret_reference_problem(given))
		say(s, "(The file of answers holds a secret.  Delete it afterwards, or name a file in its place: %s: \"@/path\")", q->key);
	if (given && q->kind == KIND_SECRET && secret_reference_problem(given) == NULL) {
		if (secret_read(s->op, given, &secret) < 0) {
			say_problem(s, "%s", op_failure(s->op));
			op_forgive(s->op);
			return NULL;
		}
		answer = secret;
	}
	fprintf(s->out, "%s: %s\n", q->text, q->kind == KIND_SECRET ? "(given)" : clean_text(s->op, answer));
	fflush(s->out);
	answer = settle(s, q, answer, check, &wrong);
	if (!answer)
		say_problem(s, "the answer \"%s\"%s%s in the file of answers: %s", q->key, part ? " for " : "", part ? part : "",
		    wrong);
	return answer;
}

const char *
ask_each(struct setup *s, enum question_id id, const char *part, const char *preset, ask_check_fn check)
{
	const struct question *q = &questions[id];

	if (!preset)
		preset = q->preset;
	return ask_is_person(s) ? ask_person(s, q, preset, check) : ask_file(s, q, part, preset, check);
}

const char *
ask(struct setup *s, enum question_id id, const char *preset, ask_check_fn check)
{
	return ask_each(s, id, NULL, preset, check);
}

int
ask_yes(struct setup *s, enum question_id id, const char *preset, bool *ret)
{
	const char *answer = ask(s, id, preset, NULL);

	*ret = answer && !strcmp(answer, "yes");
	return answer ? EXIT_DONE : ask_failed(s);
}

/* ---- the file of answers ---- */

static void
check_keys(struct problems *problems, const struct node *map)
{
	const char *keys[QUESTION_COUNT];

	for (size_t i = 0; i < QUESTION_COUNT; i++)
		keys[i] = questions[i].key;
	for (size_t i = 0; i < map->n; i++) {
		const char *key = map->keys[i].text, *near = text_nearest(key, keys, QUESTION_COUNT);
		bool is_known = false;

		for (size_t k = 0; k < QUESTION_COUNT; k++)
			is_known = is_known || !strcmp(keys[k], key);
		if (!is_known)
			problems_add(problems, &map->keys[i], key, "there is no such question%s%s%s", near ? "; did you mean "
			    "\"" : "",
			    near ? near : "", near ? "\"?" : "");
	}
}

int
ask_open(struct setup *s, const char *file)
{
	struct problems problems = problems_in(s->op, file);
	struct node *documents = NULL;
	const char *text = file_text(s, file);
	size_t n = 0;

	if (!text)
		return EXIT_USAGE;
	if (node_read_yaml(s->op, text, strlen(text), &problems, &documents, &n) == 0) {
		if (n != 1 || documents[0].kind != NODE_MAP)
			problems_add(&problems, n ? &documents[0] : NULL, "", "must be one map of questions' keys and answers");
		else
			check_keys(&problems, &documents[0]);
	}
	op_forgive(s->op);
	if (problems.n) {
		fputs(problems_text(s->op, &problems), stderr);
		return EXIT_USAGE;
	}
	s->answers = &documents[0];
	return EXIT_DONE;
}
