/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the steps of "keyward setup" share; README says in which order to read. */
#ifndef KW_SETUP_SETUP_INT_H
#define KW_SETUP_SETUP_INT_H

#include <stdio.h>
#include <sys/types.h>

#include "base/config.h"
#include "base/json.h"
#include "base/node.h"
#include "base/text.h"
#include "cli/cli.h"

enum question_id {
#define QUESTION(id, key, kind, preset, text, help) Q_##id,
#include "tables/questions.def"
#undef QUESTION
	QUESTION_COUNT
};

struct setup {
	struct cli *cli;                /* is_silent */
	struct op *op;
	FILE *out;                      /* the conversation */
	const struct node *answers;     /* NULL: asked at the terminal */
	bool want_key;                  /* the master key on the sheet */
	const char *config_file, *folder, *data_folder, *socket, *database, *key_file, *objects_file, *sheet_file;
	bool is_system;                 /* the package's places; else all lies beside the configuration */
	bool has_systemd;               /* is_system, and systemd runs here and has our unit */
	const char *user;               /* the service's user, NULL: whoever runs this */
	uid_t uid;
	gid_t gid;
	const struct config *config;    /* once there is one */
	const char *port;               /* answer of Q_PORT of this run */
	const char *certificate;        /* answer of Q_CERTIFICATE of this run; NULL when it was not asked */
	json_t *roles, *locations;      /* those that there are, for checking answers */
	bool is_synchronised;           /* people are there, and can sign in */
	const char *backup_folder;
	const char *directory;          /* name of the one that this is about */
	json_t *result;                 /* object of --json */
	json_t *step;                   /* of result: the step under way */
	bool has_left;
};

/* ---- ask.c ---- */

/*
 * The answer; preset replaces the table's when not NULL.  check (may be NULL) gives a sentence about a bad answer, which is asked for
 * again.  NULL: the person has left, or the file of answers has none that is good (said, and s->has_left tells which).
 */
typedef const char *(*ask_check_fn)(struct setup *s, const char *answer);
const char *ask(struct setup *s, enum question_id id, const char *preset, ask_check_fn check);
/* The answer about one of several things; part is its name, of the map in a file of answers. */
const char *ask_each(struct setup *s, enum question_id id, const char *part, const char *preset, ask_check_fn check);
/* EXIT_DONE, or what ask_failed gives. */
int ask_yes(struct setup *s, enum question_id id, const char *preset, bool *ret) MUST_CHECK;
/* The exit code after an ask that gave NULL. */
int ask_failed(const struct setup *s);
/* True when answers come from a person. */
bool ask_is_person(const struct setup *s);
/* Waits up to the time for a line of the person; false: time is over.  *ret_left when he wants to leave. */
bool ask_wait(struct setup *s, int wait_ms, bool *ret_left);
/* Reads the file of answers; EXIT_DONE, EXIT_USAGE. */
int ask_open(struct setup *s, const char *file);

/* ---- say.c ---- */

/* Paragraphs, wrapped; a line that begins with blanks keeps them.  Control characters of values do not reach the terminal. */
void say(struct setup *s, const char *format, ...) PRINTF_LIKE(2, 3);
void say_title(struct setup *s, const char *title);
/* "! " and what went wrong. */
void say_problem(struct setup *s, const char *format, ...) PRINTF_LIKE(2, 3);

/* ---- files.c: EXIT_DONE or EXIT_FAILED after a message ---- */

bool file_exists(const char *path);
/* The text of a small file; NULL after a message. */
char *file_text(struct setup *s, const char *path);
/* All or nothing: written beside, made durable, renamed.  want_new: what exists already is kept and EXIT_DONE returned. */
int file_write(struct setup *s, const char *path, const char *text, mode_t mode, bool want_new);
int folder_make(struct setup *s, const char *path, mode_t mode);
/* Gives what exists to the service's user (nothing to do unless we are root). */
int file_give(struct setup *s, const char *path);

/* ---- steps: EXIT_DONE to go on, anything else ends the set-up ---- */

/* "done", "kept" (was there already), "skipped", and a word of what; kept in the result. */
void step_note(struct setup *s, const char *state, const char *what);
/* A call of the API; the failure has been told unless is_quiet.  Exit codes of cli.h. */
int step_call(struct setup *s, const char *method, const char *path, const json_t *body, struct answer *ret);
/* The same, with the failure in ret->why for the caller to tell. */
int step_try(struct setup *s, const char *method, const char *path, const json_t *body, struct answer *ret);
/* Shows what a file of objects changes, asks (QUESTION_COUNT: does not), and does it.  *ret_done may be NULL. */
int step_apply(struct setup *s, const char *name, const char *yaml, enum question_id id, bool *ret_done);

int step_config(struct setup *s);
int step_key(struct setup *s);
int step_certificate(struct setup *s);
int step_start(struct setup *s);
int step_directory(struct setup *s);
int step_rules(struct setup *s);
int step_sync(struct setup *s);
int step_person(struct setup *s);
int step_app(struct setup *s);
int step_test_page(struct setup *s);
int step_backup(struct setup *s);
int step_sheet(struct setup *s);
int step_doctor(struct setup *s);

/* Where this program lies; the daemon and the presets of a tree that was not installed are found from there. */
const char *step_program_folder(struct setup *s);
/* What makes a running keywardd take replaced certificate files, where this runs: the end of a sentence. */
const char *step_how_to_reload(const struct setup *s);
/* A name as a part of a path. */
const char *step_segment(struct setup *s, const char *name);
/* Everything of a list of the API; NULL after a message. */
json_t *step_list(struct setup *s, const char *path);
/* The file of roles that the package brings; NULL when it is not there. */
const char *rules_preset_file(struct setup *s);
/* The host of the issuer, without port. */
const char *config_host(struct setup *s);

#endif
