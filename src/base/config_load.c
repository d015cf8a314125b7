/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Where the values of the configuration come from: presets, the file, the files of its drop-in folder in their order, the
 * environment, credentials of systemd; the last one that names a key decides.  Read config_load first.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/secret.h"
#include "base/text.h"
#include "config_int.h"

#define FILE_MAX_BYTES (1 << 20)
#define DROP_INS_MAX 100
#define VARIABLE "KEYWARD_"

/* Variables that begin like ours and are no keys: of fault points, and of what runs the tests. */
static const char *const other_variables[] = { VARIABLE "FAULT", VARIABLE "FLOW_", VARIABLE "CHECK_", VARIABLE "AD_" };

static void
take(struct loading *l, size_t key, const char *source, const struct node *where, const char *text)
{
	l->holder->origins[key] = (struct config_origin){ .source = arena_strdup(l->holder->mem, source), .line = where ? where->line : 0,
		.column = where ? where->column : 0 };
	config_take(l, &config_rows[key], where, text);
}

/* A list is for keys of several values; its items are joined, as a single text would name them. */
static const char *
joined(struct loading *l, const struct node *list)
{
	struct buf out = buf_in(l->op->mem);

	for (size_t i = 0; i < list->n; i++) {
		if (list->items[i].kind != NODE_TEXT && list->items[i].kind != NODE_PLAIN)
			return NULL;
		buf_printf(&out, "%s%s", i ? ", " : "", list->items[i].text);
	}
	return out.text ? out.text : "";
}

static void
take_node(struct loading *l, size_t key, const char *source, const struct node *node)
{
	const char *text = NULL;

	if (node->kind == NODE_TEXT || node->kind == NODE_PLAIN)
		text = node->text;
	else if (node->kind == NODE_LIST && config_rows[key].type == CONFIG_NETWORKS)
		text = joined(l, node);
	if (text)
		take(l, key, source, node, text);
	else
		problems_add(l->problems, node, config_rows[key].name, "must be a single value");
}

static const char *
nearest(struct op *op, const char *name, const char *prefix)
{
	const char *names[CONFIG_KEYS];

	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		char *full = op_printf(op, "%s%s", prefix, config_rows[i].name);

		for (char *c = full; *prefix && *c; c++)
			*c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
		names[i] = full;
	}
	return text_nearest(name, names, CONFIG_KEYS);
}

static void
report_unknown(struct loading *l, const struct node *key, const char *what, const char *name, const char *near)
{
	if (near)
		problems_add(l->problems, key, "", "unknown %s '%s'; did you mean '%s'?", what, name, near);
	else
		problems_add(l->problems, key, "", "unknown %s '%s'", what, name);
}

static void
take_map(struct loading *l, const char *source, const struct node *map)
{
	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		const struct node *value = node_get(map, config_rows[i].name);

		if (value)
			take_node(l, i, source, value);
	}
	for (size_t i = 0; i < map->n; i++) {
		bool is_known = false;

		for (size_t j = 0; j < CONFIG_KEYS && !is_known; j++)
			is_known = !strcmp(map->keys[i].text, config_rows[j].name);
		if (!is_known)
			report_unknown(l, &map->keys[i], "key", map->keys[i].text, nearest(l->op, map->keys[i].text, ""));
	}
}

static int
read_file(struct op *op, const char *file, char **ret_text, size_t *ret_n)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat info;
	ssize_t n = -1;

	if (fd < 0)
		return op_fail(op, ERR_CONFIG, "cannot read %s: %s", file, strerror(errno));
	if (!fstat(fd, &info) && S_ISREG(info.st_mode) && info.st_size <= FILE_MAX_BYTES) {
		*ret_text = op_alloc(op, (size_t)info.st_size + 1);
		n = file_read(fd, *ret_text, (size_t)info.st_size);
	}
	close(fd);
	if (n < 0)
		return op_fail(op, ERR_CONFIG, "cannot read %s: not a readable file of at most %d bytes", file, FILE_MAX_BYTES);
	*ret_n = (size_t)n;
	return 0;
}

static int
load_file(struct loading *l, const char *file)
{
	struct node *documents = NULL;
	char *text = NULL, *slash;
	size_t n = 0, count = 0;
	int rc = read_file(l->op, file, &text, &n);

	if (rc)
		return rc;
	l->problems->source = file;
	slash = strrchr(file, '/');
	l->folder = slash ? op_strndup(l->op, file, (size_t)(slash - file)) : ".";
	rc = node_read_yaml(l->op, text, n, l->problems, &documents, &count);
	if (rc)
		return rc;
	if (count > 1)
		problems_add(l->problems, &documents[1], "", "only one document is expected");
	if (count && documents[0].kind == NODE_MAP)
		take_map(l, file, &documents[0]);
	else if (count && documents[0].kind != NODE_NULL)
		problems_add(l->problems, &documents[0], "", "must be a map of keys");
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of the folder's .yaml files, in order. */
static size_t
list_folder(struct loading *l, DIR *dir, const char *names[static DROP_INS_MAX])
{
	const struct dirent *entry;
	size_t n = 0, length;

	while ((entry = readdir(dir))) {
		length = strlen(entry->d_name);
		if (length > 4 && entry->d_name[0] != '.' && !strcmp(entry->d_name + length - 4, ".yml"))
			problems_add(l->problems, NULL, "", "%s would not be read: rename it to %.*s.yaml", entry->d_name,
			    (int)length - 4, entry->d_name);
		if (entry->d_name[0] == '.' || length < 6 || strcmp(entry->d_name + length - 5, ".yaml"))
			continue;
		if (n == DROP_INS_MAX) {
			problems_add(l->problems, NULL, "", "holds more than %d files", DROP_INS_MAX);
			break;
		}
		names[n++] = op_strdup(l->op, entry->d_name);
	}
	qsort(names, n, sizeof(*names), by_name);
	return n;
}

/* keyward.yaml has keyward.d beside it. */
const char *
config_folder(struct op *op, const char *file)
{
	size_t n = strlen(file);

	return op_printf(op, "%.*s.d", (int)(n > 5 && !strcmp(file + n - 5, ".yaml") ? n - 5 : n), file);
}

/* One that cannot be read is a mistake among others: the rest is looked at as well. */
static void
load_drop_in(struct loading *l, const char *file)
{
	size_t known = l->problems->n;

	l->problems->source = file;
	if (load_file(l, file) && l->problems->n == known)
		problems_add(l->problems, NULL, "", "%s", op_failure(l->op));
	op_forgive(l->op);
}

static int
load_drop_ins(struct loading *l, const char *file)
{
	const char *names[DROP_INS_MAX], *folder = config_folder(l->op, file);
	DIR *dir = opendir(folder);
	size_t n;

	if (!dir && errno != ENOENT)
		return op_fail(l->op, ERR_CONFIG, "cannot read the folder %s: %s", folder, strerror(errno));
	if (!dir)
		return 0;
	l->problems->source = folder;
	n = list_folder(l, dir, names);
	closedir(dir);
	for (size_t i = 0; i < n; i++)
		load_drop_in(l, op_printf(l->op, "%s/%s", folder, names[i]));
	return 0;
}

static bool
is_other(const char *variable)
{
	for (size_t i = 0; i < countof(other_variables); i++)
		if (text_starts_with(variable, other_variables[i]))
			return true;
	return false;
}

/* True when the variable is that of the key: KEYWARD_ and the key in upper case. */
static bool
is_variable_of(const char *variable, const char *key)
{
	variable += strlen(VARIABLE);
	for (; *key; key++, variable++)
		if (*variable != (*key >= 'a' && *key <= 'z' ? *key - 'a' + 'A' : *key))
			return false;
	return *variable == '\0';
}

static void
load_environment(struct loading *l, const char *file)
{
	const char *slash = strrchr(file, '/');

	l->folder = slash ? op_strndup(l->op, file, (size_t)(slash - file)) : ".";
	for (char **entry = environ; *entry; entry++) {
		size_t n = strcspn(*entry, "="), key = 0;
		const char *name;

		if (!text_starts_with(*entry, VARIABLE) || is_other(*entry))
			continue;
		name = op_strndup(l->op, *entry, n);
		l->problems->source = name;
		while (key < CONFIG_KEYS && !is_variable_of(name, config_rows[key].name))
			key++;
		if (key < CONFIG_KEYS)
			take(l, key, name, NULL, *entry + n + ((*entry)[n] == '='));
		else
			report_unknown(l, NULL, "variable", name, nearest(l->op, name, VARIABLE));
	}
}

/* A secret that nobody named may be a credential of systemd: master_key is master.key, tls_key is tls.key. */
static void
load_credentials(struct loading *l)
{
	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		const char **at = (const char **)(void *)((char *)&l->holder->config + config_rows[i].offset);
		char *name, *path;

		if (config_rows[i].type != CONFIG_SECRET || l->holder->origins[i].source)
			continue;
		name = op_printf(l->op, "credential:%s", config_rows[i].name);
		for (char *c = name; *c; c++)
			*c = (char)(*c == '_' ? '.' : *c);
		path = secret_path(l->op->mem, name, NULL);
		if (access(path, F_OK) != 0)
			continue;
		*at = arena_strdup(l->holder->mem, path);
		l->holder->origins[i].source = arena_strdup(l->holder->mem, name);
	}
}

static void
load_presets(struct loading *l)
{
	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		const struct config_row *row = &config_rows[i];
		bool is_number = row->type == CONFIG_SEC || row->type == CONFIG_INT || row->type == CONFIG_BOOL;

		if (row->preset && *row->preset)
			config_take(l, row, NULL, row->preset);
		else if (!is_number)
			*(const char **)(void *)((char *)&l->holder->config + row->offset) = "";
	}
}

static void
report_missing(struct loading *l, const char *file)
{
	static const struct node start = { .kind = NODE_MAP, .line = 1, .column = 1 };

	l->problems->source = file;
	for (size_t i = 0; i < CONFIG_KEYS; i++)
		if (!config_rows[i].preset && !l->holder->origins[i].source)
			problems_add(l->problems, &start, "", "'%s' is missing: %s", config_rows[i].name, config_rows[i].text);
}

/* Where a relation is broken: at the first of the keys that was given. */
static void
broken(struct loading *l, size_t key, size_t other, const char *sentence)
{
	const struct config_origin *origins = l->holder->origins, *at = &origins[origins[key].source ? key : other];
	struct node where = { .line = at->line, .column = at->column };

	if (at->source)
		l->problems->source = op_strdup(l->op, at->source);
	problems_add(l->problems, &where, config_rows[key].name, "%s", sentence);
}

/* Port 0 is any free one.  Two addresses of loopback may share a number, as long as neither stands for all of them. */
static bool
have_one_port(const char *a, const char *b)
{
	const char *port_a = a ? strrchr(a, ':') : NULL, *port_b = b ? strrchr(b, ':') : NULL;

	if (!port_a || !port_b || strcmp(port_a, port_b) != 0 || !strcmp(port_a, ":0"))
		return false;
	return !strcmp(a, b) || text_starts_with(a, "0.0.0.0:") || text_starts_with(a, "[::]:");
}

#define BROKEN(key, other, sentence) broken(l, CONFIG_KEY_##key, CONFIG_KEY_##other, sentence)

/* Relations between keys. */
static void
check_whole(struct loading *l)
{
	const struct config *c = &l->holder->config;

	if (c->session_idle > c->session_absolute)
		BROKEN(session_idle, session_absolute, "must not be longer than session_absolute");
	if (c->refresh_idle > c->refresh_absolute)
		BROKEN(refresh_idle, refresh_absolute, "must not be longer than refresh_absolute");
	if (c->key_overlap < c->access_lifetime || c->key_overlap < c->id_token_lifetime)
		BROKEN(key_overlap, access_lifetime, "must be at least as long as access_lifetime and id_token_lifetime");
	if (*c->tls_certificate && !*c->tls_key)
		BROKEN(tls_certificate, tls_certificate, "needs a tls_key beside it");
	if (*c->tls_key && !*c->tls_certificate)
		BROKEN(tls_key, tls_key, "needs a tls_certificate beside it");
	if (c->ops_listen && !text_starts_with(c->ops_listen, "127.") && !text_starts_with(c->ops_listen, "[::1]:"))
		BROKEN(ops_listen, ops_listen, "must be a loopback address: what is there is not for the network");
	if (have_one_port(c->listen, c->ops_listen))
		BROKEN(ops_listen, listen, "must not have the port of listen: each service needs its own");
}

static int
load_all(struct loading *l, const char *file)
{
	int rc = load_file(l, file);

	l->holder->config.file = arena_strdup(l->holder->mem, file);
	if (!rc)
		rc = load_drop_ins(l, file);
	if (rc)
		return rc;
	load_environment(l, file);
	load_credentials(l);
	report_missing(l, file);
	return 0;
}

int
config_load(struct op *op, const char *file, struct problems *problems, const struct config **ret)
{
	struct arena *mem = arena_new();
	struct config_holder *holder = arena_alloc(mem, sizeof(*holder));
	struct loading l = { .op = op, .holder = holder, .problems = problems };
	const char *source = problems->source;
	int rc = 0;

	holder->mem = mem;
	holder->references = 1;
	load_presets(&l);
	if (file)
		rc = load_all(&l, file);
	if (!rc)
		check_whole(&l);
	problems->source = source;
	if (!rc && problems->n)
		rc = op_fail(op, ERR_CONFIG, "%s", problems_text(op, problems));
	if (rc)
		arena_free(mem);
	else
		*ret = &holder->config;
	return rc ? ERR_CONFIG : 0;
}
