/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the files of the configuration share.  In reading order: config_load.c (where values come from), config_value.c (one value),
 * config.c (the object, and how it is shown).
 */
#ifndef KW_BASE_CONFIG_INT_H
#define KW_BASE_CONFIG_INT_H

#include <stdatomic.h>
#include "base/config.h"

/* A key: a row of config.def. */
struct config_row {
	const char *name;
	enum config_type type;
	size_t offset;
	const char *preset;
	int64_t min, max;
	bool is_live;
	const char *text;
};

enum {
#define KEY(name, type, preset, min, max, when, text) CONFIG_KEY_##name,
#include "tables/config.def"
#undef KEY
	CONFIG_KEYS
};

extern const struct config_row config_rows[CONFIG_KEYS];

/* Where a value was found. */
struct config_origin {
	const char *source;             /* file, or the variable's name; NULL: the preset */
	int line, column;               /* of a file */
};

/* The object: counted, with its own memory. */
struct config_holder {
	struct config config;           /* first, so that a config is its holder */
	struct config_origin origins[CONFIG_KEYS];
	struct arena *mem;
	atomic_int references;
};

struct loading {
	struct op *op;
	struct config_holder *holder;
	struct problems *problems;
	const char *folder;             /* for relative paths */
};

/* config_value.c: takes the text, or adds a problem at where (NULL: only the source is known). */
void config_take(struct loading *l, const struct config_row *row, const struct node *where, const char *text);

#endif
