/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What somebody wrote, before it has a meaning: a tree of maps, lists and scalars with the place of each.  YAML files,
 * JSON bodies and form posts all become nodes; base/shape.h gives them types.
 *
 *     struct problems problems = problems_in(op, "etc/clinic.yaml");
 *     int rc = node_read_yaml(op, text, n, &problems, &documents, &count);
 *     if (problems.n) fputs(problems_text(op, &problems), stderr);
 */
#ifndef KW_BASE_NODE_H
#define KW_BASE_NODE_H

#include <stdio.h>
#include "base/json.h"
#include "base/op.h"

enum node_kind {
	NODE_NULL,
	NODE_TEXT,                      /* JSON string, quoted YAML scalar, form value */
	NODE_PLAIN,                     /* plain YAML scalar: its type is what the shape asks for */
	NODE_INT,                       /* JSON integer */
	NODE_BOOL,                      /* JSON true and false */
	NODE_LIST,
	NODE_MAP,
};

struct node {
	enum node_kind kind;
	int line, column;               /* from 1; 0 where the source has no lines */
	const char *text;               /* TEXT, PLAIN */
	int64_t number;                 /* INT; BOOL as 0 and 1 */
	struct node *items;             /* LIST, and the values of MAP */
	struct node *keys;              /* MAP: n TEXT nodes with their places */
	size_t n;
};

/* One thing wrong with an input. */
struct problem {
	const char *source;             /* what problems->source was when it was added */
	int line, column;
	const char *path;               /* "grants[2].role" */
	const char *sentence;           /* "unknown key; did you mean 'workers'?" */
};

/* All things wrong with one input, found in one run. */
struct problems {
	struct op *op;
	const char *source;             /* file name; NULL for the body of a request */
	struct problem *v;
	size_t n;
};

struct problems problems_in(struct op *op, const char *source);
void problems_add(struct problems *problems, const struct node *where, const char *path, const char *format, ...) PRINTF_LIKE(4, 5);
/* "file:line:column: path: sentence" a line; belongs to the op. */
char *problems_text(struct op *op, const struct problems *problems);
/* 0 when there are none, else op_fail(ERR_INVALID, first problem). */
int problems_result(struct op *op, const struct problems *problems) MUST_CHECK;

/*
 * A YAML stream of one or more documents.  Aliases, tags and duplicate keys are refused; depth at most 16, at most
 * 1 MB.  Syntax errors become problems and ERR_INVALID.
 */
int node_read_yaml(struct op *op, const char *text, size_t n, struct problems *problems,
    struct node **ret_documents, size_t *ret_count) MUST_CHECK;
/* A JSON value; floating point numbers become a problem. */
int node_from_json(struct op *op, const json_t *value, struct problems *problems, struct node **ret) MUST_CHECK;
/* The value under key, or NULL. */
const struct node *node_get(const struct node *map, const char *key);

/* The value as block YAML, keys in their order; only what node_read_yaml reads back. */
void node_write_yaml(FILE *out, const json_t *value);

#endif
