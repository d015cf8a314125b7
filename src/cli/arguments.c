/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* From words of the shell to a request, as the rows of commands.def tell. */
#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX (1 << 20)

static int usage(struct cli *cli, const char *format, ...) PRINTF_LIKE(2, 3);

static int
usage(struct cli *cli, const char *format, ...)
{
	va_list args;

	fputs("keyward: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	if (cli->command)
		fprintf(stderr, "\nsee: keyward %s --help\n", cli->command->words);
	else
		fputs("\nsee: keyward --help\n", stderr);
	return EXIT_USAGE;
}

/* The value of an option "--name VALUE" or "--name=VALUE" at argv[*at]; NULL when it is another one.  *ret_missing when the value
 * is. */
static const char *
option_value(const char *name, int argc, char **argv, int *at, bool *ret_missing)
{
	size_t length = strlen(name);

	*ret_missing = false;
	if (strncmp(argv[*at], name, length))
		return NULL;
	if (argv[*at][length] == '=')
		return argv[*at] + length + 1;
	if (argv[*at][length])
		return NULL;
	if (*at + 1 >= argc) {
		*ret_missing = true;
		return NULL;
	}
	return argv[++*at];
}

int
arguments_global(struct cli *cli, int *argc, char **argv)
{
	int kept = 0;
	bool is_missing;

	for (int i = 0; i < *argc; i++) {
		const char *value;

		if (!strcmp(argv[i], "--")) {
			while (i < *argc)
				argv[kept++] = argv[i++];
			break;
		}
		if (!strcmp(argv[i], "--json"))
			cli->is_json = true;
		else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			cli->want_help = true;
		else if ((value = option_value("--config", *argc, argv, &i, &is_missing)))
			cli->config_file = value;
		else if (is_missing)
			return usage(cli, "%s needs a file", "--config");
		else if ((value = option_value("--socket", *argc, argv, &i, &is_missing)))
			cli->socket = value;
		else if (is_missing)
			return usage(cli, "%s needs a path", "--socket");
		else
			argv[kept++] = argv[i];
	}
	*argc = kept;
	return EXIT_DONE;
}

/* The whole file as text; "-" is standard input.  NULL after a message. */
static char *
file_text(struct cli *cli, const char *name, size_t *ret_n)
{
	FILE *in = strcmp(name, "-") ? fopen(name, "re") : stdin;
	char *text = op_alloc(cli->op, FILE_BYTES_MAX + 2);

	if (!in) {
		fprintf(stderr, "keyward: %s: %s\n", name, strerror(errno));
		return NULL;
	}
	*ret_n = fread(text, 1, FILE_BYTES_MAX + 1, in);
	if (ferror(in) || *ret_n > FILE_BYTES_MAX || strlen(text) != *ret_n || !text_is_utf8(text, *ret_n)) {
		fprintf(stderr, "keyward: %s: %s\n", name,
		    ferror(in)		      ? "cannot be read"
		    : *ret_n > FILE_BYTES_MAX ? "is larger than 1 MB"
					      : "is not UTF-8 text");
		text = NULL;
	}
	if (in != stdin)
		fclose(in);
	return text;
}

static int
take_file(struct cli *cli, const struct param *param, const char *value)
{
	size_t n;
	char *text = file_text(cli, value, &n);

	if (!text)
		return EXIT_FAILED;
	if (param->kind == PARAM_SECRET) {
		n = strcspn(text, "\r\n");
		if (text[n + strspn(text + n, "\r\n")])
			return usage(cli, "%s holds more than one line", value);
		text[n] = '\0';
	}
	if (param->kind == PARAM_YAML)
		json_object_set_new(cli->body, "file", json_string(strcmp(value, "-") ? value : "standard input"));
	json_object_set_new(cli->body, param->target, json_string(text));
	return EXIT_DONE;
}

static void
fill_path(struct cli *cli, const char *target, const char *value)
{
	const char *start = strstr(cli->path, op_printf(cli->op, "{%s}", target));

	struct buf path = buf_in(cli->op->mem);

	if (!start)
		return;
	buf_add_bytes(&path, cli->path, (size_t)(start - cli->path));
	buf_add_percent(&path, value);
	buf_add(&path, start + strlen(target) + 2);
	cli->path = path.text;
}

static int
take_self(struct cli *cli, const struct param *param, const char *value)
{
	if (!strcmp(param->target, "yes"))
		cli->want_yes = true;
	else if (!strcmp(param->target, "wait"))
		cli->is_without_waiting = false;
	else if (!strcmp(param->target, "no_wait"))
		cli->is_without_waiting = true;
	else if (!strcmp(param->target, "origin"))
		cli->want_origin = true;
	else if (!strcmp(param->target, "file"))
		cli->file = value;
	json_object_set_new(cli->own, param->target, value ? json_string(value) : json_true());
	return EXIT_DONE;
}

static int
take(struct cli *cli, const struct param *param, const char *value)
{
	const char *equals;
	json_t *list;

	if (value && !text_is_utf8(value, strlen(value)))
		return usage(cli, "the value of %s is not UTF-8 text", param->name);
	switch (param->kind) {
	case PARAM_PATH:
		if (!*value)
			return usage(cli, "%s must not be empty", param->name);
		fill_path(cli, param->target, value);
		return EXIT_DONE;
	case PARAM_TEXT:
		json_object_set_new(cli->body, param->target, json_string(value));
		return EXIT_DONE;
	case PARAM_NUMBER:
		/* what is none is refused by the shape, with the limits */
		json_object_set_new(cli->body, param->target, *value && strspn(value, "0123456789") == strlen(value) && strlen(value) < 18 ?
		    json_integer(strtoll(value, NULL, 10)) : json_string(value));
		return EXIT_DONE;
	case PARAM_QUERY:
		json_object_set_new(cli->query, param->target, json_string(value));
		return EXIT_DONE;
	case PARAM_LIST:
		list = json_object_get(cli->body, param->target);
		if (!list) {
			list = json_array();
			json_object_set_new(cli->body, param->target, list);
		}
		json_array_append_new(list, json_string(value));
		return EXIT_DONE;
	case PARAM_FLAG:
		json_object_set_new(cli->body, param->target, json_true());
		return EXIT_DONE;
	case PARAM_WORD:
		equals = strchr(param->target, '=');
		list = json_object_get(cli->body, op_strndup(cli->op, param->target, (size_t)(equals - param->target)));
		if (list && strcmp(json_string_value(list), equals + 1))
			return usage(cli, "%s contradicts another option", param->name);
		json_object_set_new(
		    cli->body, op_strndup(cli->op, param->target, (size_t)(equals - param->target)), json_string(equals + 1));
		return EXIT_DONE;
	case PARAM_FILE:
	case PARAM_SECRET:
	case PARAM_YAML:
		return take_file(cli, param, value);
	case PARAM_SELF:
		return take_self(cli, param, value);
	}
	return EXIT_USAGE;
}

static const struct param list_params[] = {
	{ COMMAND_COUNT, "--limit", true, false, PARAM_QUERY, "limit", "N", "" },
	{ COMMAND_COUNT, "--after", true, false, PARAM_QUERY, "after", "CURSOR", "" },
};

/* One option at argv[*at]; *ret_is_found false when param is another one. */
static int
try_option(struct cli *cli, const struct param *param, int argc, char **argv, int *at, bool *ret_is_found)
{
	const char *name = op_strndup(cli->op, param->name, strcspn(param->name, "!"));
	const char *value;
	bool is_missing;

	*ret_is_found = true;
	if (!*param->value) {
		*ret_is_found = !strcmp(argv[*at], name);
		return *ret_is_found ? take(cli, param, NULL) : EXIT_DONE;
	}
	value = option_value(name, argc, argv, at, &is_missing);
	if (is_missing)
		return usage(cli, "%s needs a value", name);
	*ret_is_found = value != NULL;
	return value ? take(cli, param, value) : EXIT_DONE;
}

static int
read_option(struct cli *cli, int argc, char **argv, int *at, bool *seen)
{
	const char *word = argv[*at];
	const struct param *params;
	bool is_found = false;
	size_t n;
	int rc = EXIT_DONE;

	params = command_params(&n);
	for (size_t i = 0; i < n && !is_found; i++) {
		if (params[i].command != cli->id || !params[i].is_option)
			continue;
		rc = try_option(cli, &params[i], argc, argv, at, &is_found);
		seen[i] = seen[i] || is_found;
	}
	if (!is_found && cli->command->run == run_list && !strcmp(word, "--all"))
		is_found = cli->want_all = true;
	for (size_t i = 0; i < countof(list_params) && !is_found && cli->command->run == run_list; i++)
		rc = try_option(cli, &list_params[i], argc, argv, at, &is_found);
	return is_found ? rc : usage(cli, "there is no option %s here", word);
}

static int
read_argument(struct cli *cli, const char *value, bool *seen)
{
	size_t n;
	const struct param *params = command_params(&n);

	for (size_t i = 0; i < n; i++)
		if (params[i].command == cli->id && !params[i].is_option && (!seen[i] || params[i].kind == PARAM_LIST)) {
			seen[i] = true;
			return take(cli, &params[i], value);
		}
	return usage(cli, "\"%s\" is one argument too many", value);
}

int
arguments_read(struct cli *cli, int argc, char **argv)
{
	bool are_arguments = false;
	const struct param *params;
	bool *seen;
	size_t n;

	params = command_params(&n);
	seen = op_alloc(cli->op, n);
	for (int i = 0; i < argc; i++) {
		bool is_option = !are_arguments && argv[i][0] == '-' && argv[i][1];
		int rc;

		if (is_option && !strcmp(argv[i], "--")) {
			are_arguments = true;
			continue;
		}
		rc = is_option ? read_option(cli, argc, argv, &i, seen) : read_argument(cli, argv[i], seen);
		if (rc)
			return rc;
	}
	for (size_t i = 0; i < n; i++)
		if (params[i].command == cli->id && params[i].is_required && !seen[i])
			return usage(cli, "%s is missing", op_strndup(cli->op, params[i].name, strcspn(params[i].name, "!?")));
	return EXIT_DONE;
}
