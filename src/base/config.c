/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The configuration: one table row a key; presets, file, checks.  Read config_load, then take_value.
 */
#include "base/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/text.h"

#define FILE_MAX_BYTES (1 << 20)

struct row {
	const char *name;
	enum config_type type;
	size_t offset;
	const char *preset;
	int64_t min, max;
	bool is_live;
	const char *text;
};

#define KEY_LIVE true
#define KEY_START false
static const struct row rows[] = {
#define KEY(name, type, preset, min, max, when, text) \
	{ #name, CONFIG_##type, offsetof(struct config, name), preset, min, max, KEY_##when, text },
#include "tables/config.def"
#undef KEY
};

/* The object: counted, with its own memory. */
struct holder {
	struct config config;           /* first, so that a config is its holder */
	struct arena *mem;
	atomic_int references;
};

static struct holder *
holder_of(const struct config *config)
{
	return (struct holder *)(uintptr_t)config;
}

const struct config *
config_ref(const struct config *config)
{
	atomic_fetch_add(&holder_of(config)->references, 1);
	return config;
}

void
config_unref(const struct config *config)
{
	struct holder *holder;

	if (!config)
		return;
	holder = holder_of(config);
	if (atomic_fetch_sub(&holder->references, 1) == 1)
		arena_free(holder->mem);
}

struct loading {
	struct op *op;
	struct holder *holder;
	struct problems *problems;
	const char *folder;             /* of the file, for relative paths */
	const struct node *map;         /* the file; NULL without one */
};

static void
take_number(struct loading *l, const struct row *row, const struct node *node, const char *text)
{
	static const struct { char unit; int64_t seconds; } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	int64_t value, factor = 1;
	char *end;

	errno = 0;
	value = strtoll(text, &end, 10);
	for (size_t i = 0; row->type == CONFIG_SEC && i < countof(units); i++)
		if (end != text && *end == units[i].unit && !end[1]) {
			factor = units[i].seconds;
			end++;
		}
	if (errno || end == text || *end)
		problems_add(l->problems, node, row->name, row->type == CONFIG_SEC ?
		    "must be seconds, or a number with s, m, h or d: 300 or 5m" : "must be a whole number");
	else if (value > INT64_MAX / 86400 || value * factor < row->min || value * factor > row->max)
		problems_add(l->problems, node, row->name, "must be between %lld and %lld%s", (long long)row->min,
		    (long long)row->max, row->type == CONFIG_SEC ? " seconds" : "");
	else
		*(int64_t *)((char *)&l->holder->config + row->offset) = value * factor;
}

/* What is wrong with a text of this type, or NULL. */
static const char *
text_fault(const struct row *row, const char *text)
{
	const char *colon = strrchr(text, ':'), *slash;

	switch (row->type) {
	case CONFIG_URL:
		if (!text_starts_with(text, "https://") || strpbrk(text, " \"'<>?#@\\"))
			return "must be an https:// address without user name, query or fragment";
		slash = strchr(text + 8, '/');
		if (slash || text[8] == '\0' || text[8] == ':')
			return "must be https:// and a host, perhaps with a port, and nothing behind it";
		for (const char *c = text; *c; c++)
			if (*c >= 'A' && *c <= 'Z')
				return "must be in lower case";
		return NULL;
	case CONFIG_LISTEN:
		if (!colon || colon == text || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
		    atol(colon + 1) > 65535)
			return "must be address:port, for example 127.0.0.1:7443 or [::1]:7443";
		return NULL;
	case CONFIG_LEVEL:
		return log_level_parse(text) < 0 ? "must be error, warning, notice, info or debug" : NULL;
	default:
		return NULL;
	}
}

static void
take_text(struct loading *l, const struct row *row, const struct node *node, const char *text)
{
	const char **at = (const char **)(void *)((char *)&l->holder->config + row->offset);
	const char *fault = text_fault(row, text);
	int64_t n = (int64_t)strlen(text);

	if (n < row->min || n > row->max)
		problems_add(l->problems, node, row->name, "must have %lld to %lld bytes", (long long)row->min, (long long)row->max);
	else if (text_has_control(text))
		problems_add(l->problems, node, row->name, "contains a control character");
	else if (fault)
		problems_add(l->problems, node, row->name, "%s", fault);
	else if (row->type == CONFIG_SECRET && n)
		*at = secret_path(l->holder->mem, text, l->folder);
	else if (row->type == CONFIG_PATH && n && text[0] != '/' && l->folder)
		*at = arena_printf(l->holder->mem, "%s/%s", l->folder, text);
	else
		*at = arena_strdup(l->holder->mem, text);
}

static void
take_value(struct loading *l, const struct row *row, const struct node *node, const char *text)
{
	bool *flag = (bool *)((char *)&l->holder->config + row->offset);

	switch (row->type) {
	case CONFIG_SEC:
	case CONFIG_INT:
		take_number(l, row, node, text);
		break;
	case CONFIG_BOOL:
		if (strcmp(text, "true") && strcmp(text, "false"))
			problems_add(l->problems, node, row->name, "must be true or false");
		*flag = !strcmp(text, "true");
		break;
	default:
		take_text(l, row, node, text);
	}
}

static void
take_node(struct loading *l, const struct row *row, const struct node *node)
{
	if (node->kind == NODE_TEXT || node->kind == NODE_PLAIN)
		take_value(l, row, node, node->text);
	else
		problems_add(l->problems, node, row->name, "must be a single value");
}

static void
report_unknown(struct loading *l, const struct node *key)
{
	const char *names[countof(rows)], *near;

	for (size_t i = 0; i < countof(rows); i++)
		names[i] = rows[i].name;
	near = text_nearest(key->text, names, countof(names));
	if (near)
		problems_add(l->problems, key, "", "unknown key '%s'; did you mean '%s'?", key->text, near);
	else
		problems_add(l->problems, key, "", "unknown key '%s'", key->text);
}

static void
take_map(struct loading *l, const struct node *map)
{
	for (size_t i = 0; i < countof(rows); i++) {
		const struct node *value = node_get(map, rows[i].name);

		if (value)
			take_node(l, &rows[i], value);
		else if (!rows[i].preset && l->holder->config.file)
			problems_add(l->problems, map, "", "'%s' is missing: %s", rows[i].name, rows[i].text);
	}
	for (size_t i = 0; map && i < map->n; i++) {
		bool is_known = false;

		for (size_t j = 0; j < countof(rows) && !is_known; j++)
			is_known = !strcmp(map->keys[i].text, rows[j].name);
		if (!is_known)
			report_unknown(l, &map->keys[i]);
	}
}

/* Where a relation is broken: at the first of the keys that stands in the file. */
static void
broken(struct loading *l, const char *key, const char *other, const char *sentence)
{
	const struct node *at = l->map ? node_get(l->map, key) : NULL;

	if (!at && l->map && other)
		at = node_get(l->map, other);
	problems_add(l->problems, at, key, "%s", sentence);
}

/* Relations between keys. */
static void
check_whole(struct loading *l)
{
	const struct config *c = &l->holder->config;

	if (c->session_idle > c->session_absolute)
		broken(l, "session_idle", "session_absolute", "must not be longer than session_absolute");
	if (c->refresh_idle > c->refresh_absolute)
		broken(l, "refresh_idle", "refresh_absolute", "must not be longer than refresh_absolute");
	if (c->key_overlap < c->access_lifetime || c->key_overlap < c->id_token_lifetime)
		broken(l, "key_overlap", "access_lifetime", "must be at least as long as access_lifetime and id_token_lifetime");
	if (*c->tls_certificate && !*c->tls_key)
		broken(l, "tls_certificate", NULL, "needs a tls_key beside it");
	if (*c->tls_key && !*c->tls_certificate)
		broken(l, "tls_key", NULL, "needs a tls_certificate beside it");
	if (c->ops_listen && !text_starts_with(c->ops_listen, "127.") && !text_starts_with(c->ops_listen, "[::1]:"))
		broken(l, "ops_listen", NULL, "must be a loopback address: what is there is not for the network");
}

static int
read_file(struct op *op, const char *file, char **ret_text, size_t *ret_n)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct stat info;
	ssize_t n = -1;

	if (fd < 0)
		return op_fail(op, ERR_CONFIG, "cannot read %s: %s", file, strerror(errno));
	if (!fstat(fd, &info) && info.st_size <= FILE_MAX_BYTES) {
		*ret_text = op_alloc(op, (size_t)info.st_size + 1);
		n = file_read(fd, *ret_text, (size_t)info.st_size);
	}
	close(fd);
	if (n < 0)
		return op_fail(op, ERR_CONFIG, "cannot read %s: not a readable file of at most %d bytes", file, FILE_MAX_BYTES);
	*ret_n = (size_t)n;
	return 0;
}

/* A key that the file does not name may be a credential of systemd with this name. */
static void
take_credential(struct loading *l, const struct node *map)
{
	char *path = secret_path(l->op->mem, "credential:master.key", NULL);

	if (!node_get(map, "master_key") && access(path, F_OK) == 0)
		l->holder->config.master_key = arena_strdup(l->holder->mem, path);
}

static int
load_file(struct loading *l, const char *file)
{
	static const struct node empty = { .kind = NODE_MAP, .line = 1, .column = 1 };
	struct node *documents = NULL;
	char *text = NULL, *slash;
	size_t n = 0, count = 0;
	int rc = read_file(l->op, file, &text, &n);

	if (rc)
		return rc;
	l->holder->config.file = arena_strdup(l->holder->mem, file);
	l->folder = op_strdup(l->op, file);
	slash = strrchr(l->folder, '/');
	l->folder = slash ? op_strndup(l->op, file, (size_t)(slash - l->folder)) : ".";
	rc = node_read_yaml(l->op, text, n, l->problems, &documents, &count);
	if (rc)
		return rc;
	if (count > 1)
		problems_add(l->problems, &documents[1], "", "only one document is expected");
	if (count && documents[0].kind != NODE_MAP && documents[0].kind != NODE_NULL)
		problems_add(l->problems, &documents[0], "", "must be a map of keys");
	else
		l->map = count && documents[0].kind == NODE_MAP ? &documents[0] : &empty;
	if (l->map) {
		take_map(l, l->map);
		take_credential(l, l->map);
	}
	return 0;
}

int
config_load(struct op *op, const char *file, struct problems *problems, const struct config **ret)
{
	struct arena *mem = arena_new();
	struct holder *holder = arena_alloc(mem, sizeof(*holder));
	struct loading l = { .op = op, .holder = holder, .problems = problems };
	int rc = 0;

	holder->mem = mem;
	holder->references = 1;
	for (size_t i = 0; i < countof(rows); i++)
		if (rows[i].preset && *rows[i].preset)
			take_value(&l, &rows[i], NULL, rows[i].preset);
		else if (rows[i].type == CONFIG_STR || rows[i].type == CONFIG_PATH || rows[i].type == CONFIG_SECRET ||
		    rows[i].type == CONFIG_URL)
			*(const char **)(void *)((char *)&holder->config + rows[i].offset) = "";
	if (file)
		rc = load_file(&l, file);
	if (!rc)
		check_whole(&l);
	if (!rc && problems->n)
		rc = op_fail(op, ERR_CONFIG, "%s", problems_text(op, problems));
	if (rc)
		arena_free(mem);
	else
		*ret = &holder->config;
	return rc ? ERR_CONFIG : 0;
}

static char *
value_text(struct arena *mem, const struct row *row, const struct config *config)
{
	const void *at = (const char *)config + row->offset;

	switch (row->type) {
	case CONFIG_SEC:
	case CONFIG_INT:
		return arena_printf(mem, "%lld", (long long)*(const int64_t *)at);
	case CONFIG_BOOL:
		return arena_strdup(mem, *(const bool *)at ? "true" : "false");
	default:
		return arena_strdup(mem, *(const char *const *)at);
	}
}

char *
config_needs_restart(struct op *op, const struct config *old, const struct config *new)
{
	struct buf out = buf_in(op->mem);

	for (size_t i = 0; i < countof(rows); i++) {
		if (rows[i].is_live || !strcmp(value_text(op->mem, &rows[i], old), value_text(op->mem, &rows[i], new)))
			continue;
		buf_add(&out, out.length ? ", " : "");
		buf_add(&out, rows[i].name);
	}
	return out.text;
}

void
config_keep_start(const struct config *config, const struct config *old)
{
	struct holder *holder = holder_of(config);

	for (size_t i = 0; i < countof(rows); i++) {
		const struct row *row = &rows[i];
		char *to = (char *)&holder->config + row->offset;
		const char *from = (const char *)old + row->offset;

		if (row->is_live)
			continue;
		if (row->type == CONFIG_SEC || row->type == CONFIG_INT)
			memcpy(to, from, sizeof(int64_t));
		else if (row->type == CONFIG_BOOL)
			memcpy(to, from, sizeof(bool));
		else
			*(const char **)(void *)to = arena_strdup(holder->mem, *(const char *const *)(const void *)from);
	}
}

static json_t *
value_json(const struct row *row, const char *text)
{
	switch (row->type) {
	case CONFIG_SEC:
	case CONFIG_INT:
		return json_integer(atoll(text));
	case CONFIG_BOOL:
		return json_boolean(!strcmp(text, "true"));
	default:
		return json_string(text);
	}
}

void
config_show(FILE *out, const struct config *config)
{
	struct arena *mem = arena_new();

	for (size_t i = 0; i < countof(rows); i++) {
		const char *value = value_text(mem, &rows[i], config);
		json_t *pair = json_object();

		json_object_set_new(pair, rows[i].name, value_json(&rows[i], value));
		if (rows[i].preset && !strcmp(value, rows[i].preset))
			fputs("# preset\n", out);
		node_write_yaml(out, pair);
		json_decref(pair);
	}
	arena_free(mem);
}

json_t *
config_json(struct op *op, const struct config *config)
{
	json_t *all = json_own(op, json_object());

	for (size_t i = 0; i < countof(rows); i++)
		json_object_set_new(all, rows[i].name, value_json(&rows[i], value_text(op->mem, &rows[i], config)));
	return all;
}

static const char *
type_words(const struct row *row)
{
	switch (row->type) {
	case CONFIG_SEC:
		return "seconds, or a number with s, m, h, d";
	case CONFIG_INT:
		return "number";
	case CONFIG_BOOL:
		return "true or false";
	case CONFIG_PATH:
		return "path, relative to this file's folder";
	case CONFIG_SECRET:
		return "path, \"@/path\" or credential:NAME";
	case CONFIG_URL:
		return "https address";
	case CONFIG_LISTEN:
		return "address:port";
	default:
		return "text";
	}
}

void
config_print_sample(FILE *out)
{
	fputs("# SPDX-License-Identifier: AGPL-3.0-or-later\n"
	    "# Every key of Keyward's configuration.  A key that is commented out shows its preset.\n"
	    "# Check it: keyward config check FILE.  Reload it: send SIGHUP to keywardd.\n", out);
	for (size_t i = 0; i < countof(rows); i++) {
		const struct row *row = &rows[i];

		fprintf(out, "\n# %s\n# (%s%s)\n", row->text, type_words(row), row->is_live ? "" : "; takes effect at a start");
		if (!row->preset)
			fprintf(out, "%s: %s\n", row->name, row->type == CONFIG_URL ? "https://sign-in.clinic.test" : "Sample Clinic");
		else
			fprintf(out, "#%s: %s\n", row->name, *row->preset ? row->preset : "\"\"");
	}
}

void
config_print_manual(FILE *out)
{
	for (size_t i = 0; i < countof(rows); i++) {
		const struct row *row = &rows[i];

		fprintf(out, ".TP\n.B %s\n%s\n", row->name, row->text);
		fprintf(out, "(%s", type_words(row));
		if (row->type == CONFIG_SEC || row->type == CONFIG_INT)
			fprintf(out, ", %lld to %lld", (long long)row->min, (long long)row->max);
		if (row->preset)
			fprintf(out, "; preset: %s", *row->preset ? row->preset : "empty");
		fprintf(out, "%s)\n", row->preset ? "" : "; must be given");
	}
}
