/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Shapes: the bodies of requests and answers and the objects of configuration files, declared once in
 * include/tables/shapes.def.  A row makes a C struct (struct shape_NAME), a reader that checks and a writer.
 *
 *     const struct shape_grant_new *in;
 *     struct problems problems = problems_in(op, "request");
 *     int rc = shape_read(op, shape_grant_new(), node, &problems, (const void **)&in);
 *     ... in->role, in->location (NULL when not given) ...
 *     json_t *out = shape_write(op, shape_user_view(), &view);
 *
 * JSON, YAML and forms are read by the same code: "true" and "12" of a form are a BOOL and an INT.
 */
#ifndef KW_BASE_SHAPE_H
#define KW_BASE_SHAPE_H

#include "base/node.h"
#include "base/text.h"

enum field_type {
	FIELD_STR,                      /* const char *: UTF-8 without control characters; NULL when not given */
	FIELD_LONG,                     /* const char *: as STR, but line ends and tabs are allowed */
	FIELD_ENUM,                     /* const char *: one of the words in "a|b|c" */
	FIELD_INT,                      /* int64_t */
	FIELD_BOOL,                     /* bool */
	FIELD_TIME,                     /* int64_t ms; 0 when not given; written as RFC 3339 */
	FIELD_STRS,                     /* struct strings */
	FIELD_OBJ,                      /* const struct shape_SUB *; NULL when not given */
	FIELD_LIST,                     /* struct shape_list of struct shape_SUB */
	FIELD_JSON,                     /* json_t *: only in answers, written as it is */
};

struct shape;

struct field {
	const char *name;
	enum field_type type;
	size_t offset;
	bool is_required;
	int64_t preset, min, max;       /* INT: preset and bounds; texts: bytes; lists: items */
	int64_t item_max;               /* STRS: bytes of an item */
	const char *words;              /* ENUM: "a|b|c"; its first word is the preset when not required */
	const struct shape *(*sub)(void);
	const char *text;               /* what it is, for manuals */
};

struct shape {
	const char *name;
	const char *text;
	const struct field *fields;
	size_t n, size;
};

struct shape_list {
	const void *v;                  /* array of the item's struct */
	size_t n;
};

#define REQUIRED true
#define OPTIONAL false

/* pass 1: the structs */
#define SHAPE(name, words) struct shape_##name {
#define STR(n, need, max, words) const char *n;
#define LONG(n, need, max, words) const char *n;
#define ENUM(n, need, choice, words) const char *n;
#define INT(n, preset, min, max, words) int64_t n;
#define BOOL(n, preset, words) bool n;
#define TIME(n, need, words) int64_t n;
#define STRS(n, items, bytes, words) struct strings n;
#define OBJ(n, sub, need, words) const struct shape_##sub *n;
#define LIST(n, sub, items, words) struct shape_list n;
#define JSON(n, words) json_t *n;
#define END(name) }; const struct shape *shape_##name(void);
#include "tables/shapes.def"

/* All shapes, by name; NULL when unknown. */
const struct shape *shape_find(const char *name);
/* Every shape in order of the table; NULL behind the last. */
const struct shape *shape_at(size_t index);

/*
 * Checks the node and fills a fresh struct of the shape (op memory): unknown keys ("did you mean"), missing, mistyped,
 * too long and out-of-range values are all added to problems.  ERR_INVALID when there is any.
 */
int shape_read(struct op *op, const struct shape *shape, const struct node *node, struct problems *problems,
    const void **ret) MUST_CHECK;
/* JSON of a struct: fields that are NULL, and TIME 0, are left out; belongs to the op. */
json_t *shape_write(struct op *op, const struct shape *shape, const void *data);
/*
 * The same without fields that have their preset: what is stored.  A program of the release before, which does not know a field yet, so
 * goes on reading what does not use it; and refuses what does, rather than ignore it.
 */
json_t *shape_write_short(struct op *op, const struct shape *shape, const void *data);

#endif
