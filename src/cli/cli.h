/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The command line's parts.  src/keyward.c finds the command in include/tables/commands.def; arguments.c reads its arguments into a
 * request; run.c and local.c do it; client.c talks HTTP over the daemon's UNIX socket; view.c prints the answer.
 */
#ifndef KW_CLI_CLI_H
#define KW_CLI_CLI_H

#include <stdio.h>
#include "base/json.h"
#include "base/node.h"
#include "base/text.h"

enum exit_code {
#define EXIT_CODE(name, number, text) EXIT_##name = number,
#include "tables/exits.def"
#undef EXIT_CODE
};

#define DEFAULT_CONFIG "/etc/keyward/keyward.yaml"

enum command_id {
#define COMMAND(id, words, method, path, run, view, columns, help) COMMAND_##id,
#define PARAM(command, name, kind, target, value, help)
#include "tables/commands.def"
#undef COMMAND
#undef PARAM
	COMMAND_COUNT
};

enum param_kind {
	PARAM_PATH, PARAM_TEXT, PARAM_NUMBER, PARAM_LIST, PARAM_FLAG, PARAM_WORD, PARAM_QUERY, PARAM_FILE, PARAM_SECRET, PARAM_YAML, PARAM_SELF,
};

struct cli;

struct command {
	const char *words, *method, *path;
	int (*run)(struct cli *cli);                            /* returns the exit code */
	void (*view)(struct cli *cli, const json_t *answer);
	const char *columns, *help;
};

struct param {
	enum command_id command;
	const char *name;               /* without "!" */
	bool is_option, is_required;
	enum param_kind kind;
	const char *target, *value, *help;
};

/* One run of a command. */
struct cli {
	struct op *op;
	const struct command *command;
	enum command_id id;
	const char *config_file;        /* NULL: DEFAULT_CONFIG if there is one */
	const char *socket;             /* NULL: the configuration's */
	bool is_json, want_help, want_yes, want_all, is_without_waiting;
	bool is_quiet;                  /* a failure is an ordinary answer: not printed unless it is final */
	bool is_silent;                 /* no failure is printed: struct answer has its words */
	size_t rows_max;                /* of a plan that is shown; 0: all */
	bool want_origin;               /* config show */
	const char *file;               /* argument of local commands */
	const char *path;               /* filled, without query */
	json_t *query;                  /* names and texts */
	json_t *body;                   /* object; sent unless the method is GET */
	json_t *own;                    /* what stands in no request: parameters of kind SELF by their targets */
};

/* command.c */
extern const struct command commands[COMMAND_COUNT];
const struct param *command_params(size_t *ret_n);
/* The command whose words begin argv; *ret_words how many they are; NULL when there is none. */
const struct command *command_find(int argc, char *const *argv, int *ret_words);
void command_print_all(FILE *out);
/* The commands that begin with this word; false, and nothing printed, when there are none. */
bool command_print_group(FILE *out, const char *word);
void command_print_help(FILE *out, enum command_id id);
/* The name of a parameter without its mark. */
const char *param_name(const struct param *param, char *buffer, size_t size);

/* manual.c */
void manual_print_commands(FILE *out);
void manual_print_config(FILE *out);

/* arguments.c: takes --config, --socket, --json and --help out of argv wherever they stand; EXIT_DONE or EXIT_USAGE. */
int arguments_global(struct cli *cli, int *argc, char **argv);
int arguments_read(struct cli *cli, int argc, char **argv);

/* client.c.  Values of query are texts as they are; they are encoded there. */
struct answer {
	long status;
	json_t *json;                   /* NULL when the body is none */
	const char *text;
	const char *why;                /* of a failure, in words; may have several lines */
};
/* EXIT_DONE for 2xx; else the failure has been printed and its exit code is returned. */
int client_call(struct cli *cli, const char *method, const char *path, const json_t *query, const json_t *body, struct answer *ret);

/*
 * local.c: why a command failed that no daemon answered, on standard error; with --json also as problem details (RFC 9457) on standard
 * output, like the daemon's.  code is ERR_x; problems, when there are any, are told one by one in the place of the sentence.
 */
void cli_tell_failure(struct cli *cli, int code, const char *sentence, const struct problems *problems);

/* run.c, sync.c, local.c, doctor.c, audit.c */
int run_call(struct cli *cli);
int run_list(struct cli *cli);
int run_apply(struct cli *cli);
int run_directory_add(struct cli *cli);
int run_sync(struct cli *cli);
int run_doctor(struct cli *cli);
int run_audit_tail(struct cli *cli);
int run_audit_export(struct cli *cli);
int run_config_check(struct cli *cli);
int run_config_show(struct cli *cli);
int run_key_create(struct cli *cli);
int run_setup(struct cli *cli);         /* src/setup */
/* keep.c */
int run_backup(struct cli *cli);
int run_backup_verify(struct cli *cli);
int run_restore(struct cli *cli);
int run_db_copy(struct cli *cli);
int run_db_check(struct cli *cli);

/* view.c: text on standard output.  Control characters of values are shown as '?', so that no value can steer a terminal. */
/* The text with every control character (C0, DEL, C1, format) and byte that is no UTF-8 as '?'; in the op. */
char *clean_text(struct op *op, const char *text);
/* The same, but line feeds stay. */
char *clean_lines(struct op *op, const char *text);
void view_none(struct cli *cli, const json_t *answer);
void view_table(struct cli *cli, const json_t *answer);
void view_record(struct cli *cli, const json_t *answer);
void view_text(struct cli *cli, const json_t *answer);
void view_plan(struct cli *cli, const json_t *answer);
void view_probe(struct cli *cli, const json_t *answer);
void view_audit(struct cli *cli, const json_t *answer);

/* csv.c.  Control characters, line and paragraph separators, format characters. */
bool is_steering(uint32_t c);
/* One row in RFC 4180 form; see there what is done to values. */
void csv_print_row(FILE *out, struct op *op, const char *const *values, size_t n);
/* JSON text in which no character steers a terminal or splits a line: C0, DEL, C1, line separators, format characters as \uXXXX. */
char *json_safe(struct op *op, const char *json);

#endif
