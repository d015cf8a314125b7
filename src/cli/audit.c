/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The audit log on the command line: its end, perhaps followed, and all of it or a part as a file.  Pages are fetched one after
 * another in memory that ends with the page, so that a log of any length can be exported.  Read each_page.
 */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/time.h"

#define PAGE "1000"
#define TAIL_PRESET "20"
#define FOLLOW_MS 1000
#define SETTLE_POLL_MS 200
#define SETTLE_MS 90000                 /* no transaction takes longer */
#define CURSOR_BYTES 201

/* ---- one row as text ---- */

static const char *
shown(struct cli *cli, const json_t *item, const char *name, const char *instead)
{
	const char *text = json_get_text(item, name);

	text = text && *text ? text : json_get_text(item, instead);
	return text ? clean_text(cli->op, text) : NULL;
}

static void
add_members(struct cli *cli, struct buf *out, const json_t *object, const json_t *names)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, name, value) {
		const char *known = json_get_text(names, name);
		const char *text = known ? known : json_string_value(value);

		buf_printf(out, "  %s=%s", clean_text(cli->op, name), text ? clean_text(cli->op, text) : "(erased)");
	}
}

static void
print_row(struct cli *cli, const json_t *item)
{
	const char *actor = shown(cli, item, "actor_name", "actor"), *target = shown(cli, item, "target_name", "target");
	const char *address = shown(cli, item, "address", ""), *request = shown(cli, item, "request", "");
	struct buf out = buf_in(cli->op->mem);

	buf_printf(&out, "%s  %-20s %s", shown(cli, item, "at", ""), shown(cli, item, "event", ""),
	    actor ? actor : shown(cli, item, "actor_kind", ""));
	if (target)
		buf_printf(&out, " -> %s", target);
	if (address)
		buf_printf(&out, "  from %s", address);
	add_members(cli, &out, json_object_get(item, "personal"), NULL);
	add_members(cli, &out, json_object_get(item, "facts"), json_object_get(item, "fact_names"));
	printf("%s  request=%s\n", out.text, request ? request : "");
}

void
view_audit(struct cli *cli, const json_t *answer)
{
	json_t *item;
	size_t i;

	/* so that a name that was mistyped does not look like somebody who did nothing */
	if (!json_array_size(json_object_get(answer, "items")))
		fputs("no row of the audit log fits\n", stderr);
	json_array_foreach(json_object_get(answer, "items"), i, item)
		print_row(cli, item);
}

/* ---- pages ---- */

struct stream {
	char after[CURSOR_BYTES];       /* the last row that was taken; "" at the begin */
	bool is_complete;               /* nothing more comes of what was asked for */
	int (*take)(struct cli *cli, const json_t *item, void *arg);
	void *arg;
};

static int
take_page(struct cli *cli, struct stream *stream, bool *ret_has_more)
{
	struct answer answer;
	json_t *item;
	size_t i;
	int rc = client_call(cli, "GET", cli->path, cli->query, NULL, &answer);

	*ret_has_more = false;
	if (rc)
		return rc;
	json_array_foreach(json_object_get(answer.json, "items"), i, item) {
		const char *id = json_get_text(item, "id");

		rc = stream->take(cli, item, stream->arg);
		if (rc)
			return rc;
		snprintf(stream->after, sizeof(stream->after), "%s", id ? id : "");
	}
	*ret_has_more = json_get_text(answer.json, "next") != NULL;
	stream->is_complete = !*ret_has_more && json_get_bool(answer.json, "complete");
	return EXIT_DONE;
}

static void
wait_ms(int64_t ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

/* All pages from where the stream stands, oldest first. */
static int
each_page(struct cli *cli, struct stream *stream)
{
	bool has_more = true;
	int rc = EXIT_DONE;

	json_object_set_new(cli->query, "order", json_string("oldest"));
	while (!rc && has_more) {
		struct cli page = *cli;

		if (*stream->after)
			json_object_set_new(cli->query, "after", json_string(stream->after));
		page.op = op_begin(NULL, NULL);
		rc = take_page(&page, stream, &has_more);
		op_end(page.op);
	}
	return rc;
}

/* ---- tail ---- */

static int
take_shown(struct cli *cli, const json_t *item, void *arg)
{
	(void)arg;
	if (cli->is_json)
		printf("%s\n", json_safe(cli->op, json_text(cli->op, item)));
	else
		print_row(cli, item);
	return fflush(stdout) ? EXIT_FAILED : EXIT_DONE;
}

/* The newest rows come newest first. */
static int
show_end(struct cli *cli, struct stream *stream)
{
	const char *lines = json_get_text(cli->own, "lines");
	struct answer answer;
	const json_t *items;
	int rc;

	if (lines && (strspn(lines, "0123456789") != strlen(lines) || strlen(lines) > 4 || atoi(lines) < 1 || atoi(lines) > 1000)) {
		fputs("keyward: -n must be a number from 1 to 1000\nsee: keyward audit tail --help\n", stderr);
		return EXIT_USAGE;
	}
	json_object_set_new(cli->query, "limit", json_string(lines ? lines : TAIL_PRESET));
	rc = client_call(cli, "GET", cli->path, cli->query, NULL, &answer);
	if (rc)
		return rc;
	items = json_object_get(answer.json, "items");
	if (!json_array_size(items) && !cli->is_json)
		fputs("no row of the audit log fits\n", stderr);
	for (size_t i = json_array_size(items); i-- > 0 && !rc;) {
		const json_t *item = json_array_get(items, i);
		const char *id = json_get_text(item, "id");

		rc = take_shown(cli, item, NULL);
		snprintf(stream->after, sizeof(stream->after), "%s", id ? id : "");
	}
	return rc;
}

static int
follow(struct cli *cli, struct stream *stream)
{
	int rc = EXIT_DONE;

	json_object_set_new(cli->query, "limit", json_string(PAGE));
	while (!rc) {
		wait_ms(FOLLOW_MS);
		rc = each_page(cli, stream);
	}
	return rc;
}

/*
 * Following goes on behind the last row that was shown, so nothing is shown while a row with a smaller id may still appear.  Where
 * nothing fits yet, whatever appears is new, and no transaction is as old as SETTLE_MS.
 */
int
run_audit_tail(struct cli *cli)
{
	struct stream stream = { .take = take_shown };
	bool want_more = json_object_get(cli->own, "follow");
	char from[TIME_TEXT_BYTES];
	int rc;

	if (want_more)
		json_object_set_new(cli->query, "settled", json_string("true"));
	time_text(time_now_ms() - SETTLE_MS, from);
	rc = show_end(cli, &stream);
	if (rc || !want_more)
		return rc;
	if (!*stream.after)
		json_object_set_new(cli->query, "from", json_string(from));
	return follow(cli, &stream);
}

/* ---- export ---- */

struct export {
	FILE *out;
	bool is_csv;
	int64_t n;
};

/* login stands among the personal values, too; who reads a table wants it in a column. */
static const char *const columns[] = { "at", "id", "event", "text", "actor_kind", "actor", "actor_name", "on_behalf_of", "target",
	"target_name", "login", "address", "session", "request", "facts", "personal" };

static void
write_csv(struct cli *cli, FILE *out, const json_t *item)
{
	const char *values[countof(columns)];

	for (size_t i = 0; i < countof(columns); i++) {
		const json_t *value = json_object_get(item, columns[i]);

		if (!value)
			value = json_object_get(json_object_get(item, "personal"), columns[i]);
		values[i] = json_is_object(value) ? json_text(cli->op, value) : json_string_value(value);
	}
	csv_print_row(out, cli->op, values, countof(values));
}

static int
failed(const struct export *export, const struct cli *cli)
{
	(void)export;
	int cause = errno;

	fprintf(stderr, "keyward: %s: %s%s\n", cli->file ? cli->file : "standard output", strerror(cause),
	    cause == EEXIST ? "; an export replaces no file: name another one" : "");
	return EXIT_FAILED;
}

static int
take_exported(struct cli *cli, const json_t *item, void *arg)
{
	struct export *export = arg;

	if (export->is_csv)
		write_csv(cli, export->out, item);
	else
		fprintf(export->out, "%s\n", json_safe(cli->op, json_text(cli->op, item)));
	export->n++;
	return ferror(export->out) ? failed(export, cli) : EXIT_DONE;
}

/* Never over another file, and for nobody else to read: the log holds names and addresses. */
static int
open_file(struct cli *cli, struct export *export)
{
	int fd;

	export->out = stdout;
	if (!cli->file || !strcmp(cli->file, "-"))
		return EXIT_DONE;
	fd = open(cli->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	export->out = fd < 0 ? NULL : fdopen(fd, "w");
	return export->out ? EXIT_DONE : failed(export, cli);
}

/* A file that is not whole is worse than none. */
static int
close_file(struct cli *cli, struct export *export, int rc)
{
	bool is_bad = fflush(export->out) || (export->out != stdout && fsync(fileno(export->out)));

	if (is_bad && !rc)
		rc = failed(export, cli);
	if (export->out == stdout)
		return rc;
	fclose(export->out);
	if (rc)
		unlink(cli->file);
	return rc;
}

/* So that it comes to an end while others write: what is not recorded yet is left to the next export. */
static void
settle_end(struct cli *cli)
{
	const char *to = json_get_text(cli->query, "to");
	int64_t now_ms = time_now_ms(), to_ms;
	char now[TIME_TEXT_BYTES];

	/* what is no time the daemon refuses */
	if (!to || (time_parse(to, &to_ms) && to_ms > now_ms))
		json_object_set_new(cli->query, "to", json_string(time_text(now_ms, now)));
}

/* Every row of before the end, those included that are being written while we read: whoever goes on from that end misses none. */
static int
export_all(struct cli *cli, struct stream *stream)
{
	int64_t until_ms = time_monotonic_ms() + SETTLE_MS;
	int rc = each_page(cli, stream);

	while (!rc && !stream->is_complete && time_monotonic_ms() < until_ms) {
		wait_ms(SETTLE_POLL_MS);
		rc = each_page(cli, stream);
	}
	if (rc || stream->is_complete)
		return rc;
	fputs("keyward: rows of that time are still being written; export them again in a minute\n", stderr);
	return EXIT_FAILED;
}

int
run_audit_export(struct cli *cli)
{
	const char *format = json_get_text(cli->own, "format");
	struct export export = { .is_csv = format && !strcmp(format, "csv") };
	struct stream stream = { .take = take_exported, .arg = &export };
	int rc;

	if (format && !export.is_csv && strcmp(format, "jsonl")) {
		fputs("keyward: --format is jsonl or csv\nsee: keyward audit export --help\n", stderr);
		return EXIT_USAGE;
	}
	rc = open_file(cli, &export);
	if (rc)
		return rc;
	if (export.is_csv)
		csv_print_row(export.out, cli->op, columns, countof(columns));
	settle_end(cli);
	json_object_set_new(cli->query, "settled", json_string("true"));
	json_object_set_new(cli->query, "limit", json_string(PAGE));
	rc = close_file(cli, &export, export_all(cli, &stream));
	if (!rc && (export.out != stdout || isatty(STDERR_FILENO)))
		fprintf(stderr, "%lld row%s\n", (long long)export.n, export.n == 1 ? "" : "s");
	return rc;
}
