/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * JSON on top of jansson: strict reading, canonical writing (RFC 8785), and small helpers that tie values to an op.
 *
 *     json_t *object;
 *     int rc = json_read(op, bytes, n, &object);       // refuses duplicates, trailing bytes, depth over 32
 *     const char *login = json_get_text(object, "login");
 */
#ifndef KW_BASE_JSON_H
#define KW_BASE_JSON_H

#include <jansson.h>
#include "base/op.h"
#include "base/text.h"

/* The value belongs to the op: it is released in op_end.  Give every json_t made in an op to this once.  NULL-safe; returns value. */
json_t *json_own(struct op *op, json_t *value);

/* Reads one JSON text (RFC 8259): UTF-8, no duplicate members (RFC 7515 4), depth at most 32, nothing behind it.
 * ERR_MALFORMED.  The value belongs to the op. */
int json_read(struct op *op, const char *bytes, size_t n, json_t **ret_value) MUST_CHECK;

/* RFC 8785 canonical text.  Only integers up to 2^53 as numbers: floating point asserts.  The text belongs to the op. */
char *json_canonical(struct op *op, const json_t *value);
/* A string in canonical form, for texts that are written member by member in their order. */
void json_put_text(struct buf *out, const char *text);
/* Compact text for an answer, members in the order in which they were set; belongs to the op. */
char *json_text(struct op *op, const json_t *value);
/* The same for people: a member a line, indented; belongs to the op. */
char *json_pretty(struct op *op, const json_t *value);

/* Members of an object; NULL / 0 / false when missing or of another type. */
const char *json_get_text(const json_t *object, const char *name);
int64_t json_get_int(const json_t *object, const char *name);
bool json_get_bool(const json_t *object, const char *name);

#endif
