/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The configuration as an object, and how it is shown; config_load.c reads it. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config_int.h"

#define KEY_LIVE true
#define KEY_START false
const struct config_row config_rows[CONFIG_KEYS] = {
#define KEY(name, type, preset, min, max, when, text) \
	{ #name, CONFIG_##type, offsetof(struct config, name), preset, min, max, KEY_##when, text },
#include "tables/config.def"
#undef KEY
};

static struct config_holder *
holder_of(const struct config *config)
{
	return (struct config_holder *)(uintptr_t)config;
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
	struct config_holder *holder;

	if (!config)
		return;
	holder = holder_of(config);
	if (atomic_fetch_sub(&holder->references, 1) == 1)
		arena_free(holder->mem);
}

static char *
value_text(struct arena *mem, const struct config_row *row, const struct config *config)
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

/* For eyes. */
static char *
shown_text(struct arena *mem, const struct config_row *row, const struct config *config)
{
	char *text = value_text(mem, row, config);

	return row->type == CONFIG_DATABASE ? config_database_shown(mem, text) : text;
}

void
config_blame(const struct config *config, const char *key, struct problems *problems, const char *sentence)
{
	const struct config_origin *at = NULL;
	const char *source = problems->source;
	struct node where = { 0 };

	for (size_t i = 0; i < CONFIG_KEYS; i++)
		if (!strcmp(config_rows[i].name, key))
			at = &holder_of(config)->origins[i];
	if (at && at->source) {
		problems->source = op_strdup(problems->op, at->source);
		where = (struct node){ .line = at->line, .column = at->column };
	}
	problems_add(problems, &where, key, "%s", sentence);
	problems->source = source;
}

char *
config_needs_restart(struct op *op, const struct config *old, const struct config *new)
{
	struct buf out = buf_in(op->mem);

	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		if (config_rows[i].is_live ||
		    !strcmp(value_text(op->mem, &config_rows[i], old), value_text(op->mem, &config_rows[i], new)))
			continue;
		buf_add(&out, out.length ? ", " : "");
		buf_add(&out, config_rows[i].name);
	}
	return out.text;
}

void
config_keep_start(const struct config *config, const struct config *old)
{
	struct config_holder *holder = holder_of(config);

	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		const struct config_row *row = &config_rows[i];
		char *to = (char *)&holder->config + row->offset;
		const char *from = (const char *)old + row->offset;

		if (row->is_live)
			continue;
		holder->origins[i] = holder_of(old)->origins[i];
		if (holder->origins[i].source)
			holder->origins[i].source = arena_strdup(holder->mem, holder->origins[i].source);
		if (row->type == CONFIG_SEC || row->type == CONFIG_INT)
			memcpy(to, from, sizeof(int64_t));
		else if (row->type == CONFIG_BOOL)
			memcpy(to, from, sizeof(bool));
		else
			*(const char **)(void *)to = arena_strdup(holder->mem, *(const char *const *)(const void *)from);
	}
}

static json_t *
value_json(const struct config_row *row, const char *text)
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

static const char *
origin_text(struct arena *mem, const struct config *config, size_t key)
{
	const struct config_origin *origin = &holder_of(config)->origins[key];

	if (!origin->source)
		return "preset";
	return origin->line ? arena_printf(mem, "%s:%d:%d", origin->source, origin->line, origin->column) : origin->source;
}

void
config_show(FILE *out, const struct config *config, bool want_origin)
{
	struct arena *mem = arena_new();

	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		json_t *pair = json_object();

		json_object_set_new(pair, config_rows[i].name, value_json(&config_rows[i], shown_text(mem, &config_rows[i], config)));
		if (want_origin || !holder_of(config)->origins[i].source)
			fprintf(out, "# %s\n", origin_text(mem, config, i));
		node_write_yaml(out, pair);
		json_decref(pair);
	}
	arena_free(mem);
}

json_t *
config_json(struct op *op, const struct config *config, bool want_origin)
{
	json_t *all = json_own(op, json_object());

	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		json_t *value = value_json(&config_rows[i], shown_text(op->mem, &config_rows[i], config));

		if (want_origin)
			value = json_pack("{s:o,s:s}", "value", value, "origin", origin_text(op->mem, config, i));
		json_object_set_new(all, config_rows[i].name, value);
	}
	return all;
}

static const char *
type_words(const struct config_row *row)
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
	case CONFIG_NETWORKS:
		return "list of networks";
	case CONFIG_DATABASE:
		return "path, relative to this file's folder, or address";
	default:
		return "text";
	}
}

void
config_print_sample(FILE *out)
{
	fputs("# SPDX-License-Identifier: AGPL-3.0-or-later\n"
	    "# Every key of Keyward's configuration.  A key that is commented out shows its preset.\n"
	    "# Files of the folder keyward.d beside it (NAME.yaml, in the order of their names) and variables like KEYWARD_SESSION_IDLE\n"
	    "# go before it; keyward config show --origin tells where each value comes from.\n"
	    "# Check it: keyward config check FILE.  Reload it: systemctl reload keywardd, or SIGHUP.\n", out);
	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		const struct config_row *row = &config_rows[i];

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
	for (size_t i = 0; i < CONFIG_KEYS; i++) {
		const struct config_row *row = &config_rows[i];

		fprintf(out, ".TP\n.B %s\n%s\n", row->name, row->text);
		fprintf(out, "(%s", type_words(row));
		if (row->type == CONFIG_SEC || row->type == CONFIG_INT)
			fprintf(out, ", %lld to %lld", (long long)row->min, (long long)row->max);
		if (row->preset)
			fprintf(out, "; preset: %s", *row->preset ? row->preset : "empty");
		fprintf(out, "%s)\n", row->preset ? "" : "; must be given");
	}
}
