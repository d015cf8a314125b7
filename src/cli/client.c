/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* HTTP over the daemon's UNIX socket. */
#include "cli.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"

#define ANSWER_BYTES_MAX (64u << 20)
#define CONNECT_SEC 5L
#define ANSWER_SEC 600L

/* The socket's path: --socket, else the configuration's; NULL after a message. */
static const char *
socket_path(struct cli *cli)
{
	const char *file = cli->config_file;
	const struct config *config;
	struct problems problems;
	const char *path = NULL;

	if (cli->socket)
		return cli->socket;
	if (!file && access(DEFAULT_CONFIG, F_OK) == 0)
		file = DEFAULT_CONFIG;
	problems = problems_in(cli->op, file ? file : "presets");
	/* Without a file the preset of the socket's path is enough; that others must be given does not matter here. */
	if (config_load(cli->op, file, &problems, &config) == 0) {
		path = op_strdup(cli->op, config->socket);
		config_unref(config);
	} else if (!file) {
		op_forgive(cli->op);
		return "/run/keyward/keyward.sock";
	} else {
		cli_tell_failure(cli, ERR_CONFIG, op_failure(cli->op), &problems);
		fputs("keyward: so the path of the daemon's socket is not known; give it with --socket PATH\n", stderr);
	}
	return path;
}

static size_t
on_data(char *data, size_t size, size_t n, void *arg)
{
	struct buf *out = arg;

	if (out->length + size * n > ANSWER_BYTES_MAX)
		return 0;
	buf_add_bytes(out, data, size * n);
	return size * n;
}

static char *
url_of(struct cli *cli, const char *path, const json_t *query)
{
	struct buf url = buf_in(cli->op->mem);
	const char *name;
	json_t *value;
	char mark = '?';

	buf_printf(&url, "http://localhost%s", path);
	json_object_foreach((json_t *)(uintptr_t)query, name, value) {
		buf_printf(&url, "%c%s=", mark, name);
		buf_add_percent(&url, json_string_value(value));
		mark = '&';
	}
	return url.text;
}

/* Everything wrong with a request, when it is more than the one thing that detail tells. */
static void
add_errors(struct buf *out, const json_t *problem)
{
	const json_t *errors = json_object_get(problem, "errors");
	json_t *error;
	size_t i;

	if (json_array_size(errors) < 2)
		return;
	json_array_foreach(errors, i, error)
		buf_printf(out, "\n  %s: %s", json_get_text(error, "path"), json_get_text(error, "detail"));
}

static void
tell(struct cli *cli, const struct answer *answer)
{
	if (!cli->is_silent)
		fprintf(stderr, "keyward: %s\n", clean_lines(cli->op, answer->why));
}

/* Says what the daemon said, and gives the exit code of it. */
static int
fail(struct cli *cli, struct answer *answer)
{
	const char *detail = json_get_text(answer->json, "detail"), *code = json_get_text(answer->json, "code");
	struct buf why = buf_in(cli->op->mem);

	if (!detail)
		detail = json_get_text(answer->json, "title");
	if (detail)
		buf_add(&why, detail);
	else
		buf_printf(&why, "the daemon answered with status %ld", answer->status);
	add_errors(&why, answer->json);
	answer->why = why.text;
	if (cli->is_quiet && answer->status == 409)
		return EXIT_FAILED;
	if (cli->is_json && answer->json && !cli->is_silent)
		printf("%s\n", json_safe(cli->op, answer->text));
	tell(cli, answer);
	if (code && text_equal_ascii_case(code, "guard"))
		return EXIT_GUARD;
	return answer->status == 404 ? EXIT_NOT_FOUND : EXIT_FAILED;
}

static int
no_daemon(struct cli *cli, const char *socket, CURLcode code, long os_error, struct answer *answer)
{
	if (os_error == EACCES || os_error == EPERM)
		answer->why = op_printf(cli->op, "%s: permission denied; only root and the daemon's user may use it", socket);
	else if (code == CURLE_OPERATION_TIMEDOUT)
		answer->why = op_printf(cli->op, "the daemon at %s did not answer in time", socket);
	else
		answer->why = op_printf(cli->op, "no daemon answers at %s%s%s; is keywardd running?", socket, os_error ? ": " : "",
		    os_error ? strerror((int)os_error) : "");
	if (!cli->is_silent)
		cli_tell_failure(cli, ERR_UNREACHABLE, answer->why, NULL);
	return EXIT_NO_DAEMON;
}

static void
set_options(CURL *curl, const char *socket, const char *method, const char *url, struct curl_slist *headers, const char *body,
    struct buf *out)
{
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SEC);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, ANSWER_SEC);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
	if (body) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
	}
}

int
client_call(struct cli *cli, const char *method, const char *path, const json_t *query, const json_t *body, struct answer *ret)
{
	const char *socket = socket_path(cli), *text = NULL;
	struct buf out = buf_in(cli->op->mem);
	struct curl_slist *headers = NULL;
	long os_error = 0;
	CURLcode code;
	CURL *curl;

	*ret = (struct answer){ .why = "" };
	if (!socket) {
		ret->why = "the path of the daemon's socket is not known";
		return EXIT_FAILED;
	}
	if (strcmp(method, "GET") && strcmp(method, "DELETE"))
		text = body ? json_text(cli->op, body) : "";
	curl = curl_easy_init();
	if (!curl)
		return EXIT_FAILED;
	headers = curl_slist_append(headers, "Accept: application/json");
	headers = curl_slist_append(headers, text && *text ? "Content-Type: application/json" : "Content-Type:");
	headers = curl_slist_append(headers, "Expect:");
	set_options(curl, socket, method, url_of(cli, path, query), headers, text, &out);
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ret->status);
	curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os_error);
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	if (code != CURLE_OK)
		return no_daemon(cli, socket, code, os_error, ret);
	ret->text = out.text;
	ret->json = NULL;
	if (out.length && json_read(cli->op, out.text, out.length, &ret->json))
		op_forgive(cli->op);
	return ret->status >= 200 && ret->status < 300 ? EXIT_DONE : fail(cli, ret);
}
