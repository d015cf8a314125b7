/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* JSON: strict reading by jansson, writing of our own (canonical as in RFC 8785 for the values that we use; jansson's is slow). */
#include "base/json.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define DEPTH_MAX 32

static void
release(void *value)
{
	json_decref(value);
}

json_t *
json_own(struct op *op, json_t *value)
{
	if (value)
		arena_on_free(op->mem, release, value);
	return value;
}

/* jansson's own limit is 2048 levels: we want far fewer, before it builds them. */
static bool
is_too_deep(const char *bytes, size_t n)
{
	int depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < n; i++) {
		char c = bytes[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > DEPTH_MAX)
				return true;
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	return false;
}

int
json_read(struct op *op, const char *bytes, size_t n, json_t **ret_value)
{
	json_error_t error;
	json_t *value;

	if (is_too_deep(bytes, n))
		return op_fail(op, ERR_MALFORMED, "JSON is nested deeper than %d levels", DEPTH_MAX);
	value = json_loadb(bytes, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!value)
		return op_fail(op, ERR_MALFORMED, "JSON, line %d column %d: %s", error.line, error.column, error.text);
	*ret_value = json_own(op, value);
	return 0;
}

/* RFC 8785 3.2.2.2, which is also what any reader takes */
static void
put_string(struct buf *out, const char *text, size_t n)
{
	static const char shorts[] = "\b\t\n\f\r", letters[] = "btnfr";
	size_t start = 0;

	buf_add_char(out, '"');
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		const char *hit;

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buf_add_bytes(out, text + start, i - start);
		start = i + 1;
		if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else if (c && (hit = strchr(shorts, c)))
			buf_printf(out, "\\%c", letters[hit - shorts]);
		else
			buf_printf(out, "\\u%04x", c);
	}
	buf_add_bytes(out, text + start, n - start);
	buf_add_char(out, '"');
}

void
json_put_text(struct buf *out, const char *text)
{
	put_string(out, text, strlen(text));
}

struct member {
	const char *name;
	const json_t *value;
};

/* RFC 8785 3.2.3 sorts by UTF-16 code units: differs from bytes only for U+E000-U+FFFF against what lies above. */
static int
compare_utf16(const void *a, const void *b)
{
	const unsigned char *x = (const unsigned char *)((const struct member *)a)->name;
	const unsigned char *y = (const unsigned char *)((const struct member *)b)->name;

	while (*x && *x == *y)
		x++, y++;
	if ((*x >= 0xf0) != (*y >= 0xf0) && *x >= 0xee && *y >= 0xee)
		return *x >= 0xf0 ? -1 : 1;
	return (int)*x - (int)*y;
}

static void write_value(struct buf *out, const json_t *value, bool is_canonical);

static void
write_object(struct buf *out, const json_t *object, bool is_canonical)
{
	struct member *members = arena_alloc(out->mem, (json_object_size(object) + 1) * sizeof(*members));
	json_t *value, *mutable_object = (json_t *)(uintptr_t)object;
	const char *name;
	size_t n = 0;

	json_object_foreach(mutable_object, name, value)
		members[n++] = (struct member){ name, value };
	if (is_canonical)
		qsort(members, n, sizeof(*members), compare_utf16);
	buf_add_char(out, '{');
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_add_char(out, ',');
		json_put_text(out, members[i].name);
		buf_add_char(out, ':');
		write_value(out, members[i].value, is_canonical);
	}
	buf_add_char(out, '}');
}

static void
write_array(struct buf *out, const json_t *array, bool is_canonical)
{
	buf_add_char(out, '[');
	for (size_t i = 0; i < json_array_size(array); i++) {
		if (i)
			buf_add_char(out, ',');
		write_value(out, json_array_get(array, i), is_canonical);
	}
	buf_add_char(out, ']');
}

static void
write_value(struct buf *out, const json_t *value, bool is_canonical)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		write_object(out, value, is_canonical);
		break;
	case JSON_ARRAY:
		write_array(out, value, is_canonical);
		break;
	case JSON_STRING:
		put_string(out, json_string_value(value), json_string_length(value));
		break;
	case JSON_INTEGER:
		/* RFC 8785 3.2.2.3: beyond 2^53 a number would not survive other readers */
		assert(!is_canonical || llabs(json_integer_value(value)) <= 1LL << 53);
		buf_printf(out, "%lld", (long long)json_integer_value(value));
		break;
	case JSON_REAL:
		assert(!is_canonical);
		buf_printf(out, "%.17g", json_real_value(value));
		break;
	case JSON_TRUE:
		buf_add(out, "true");
		break;
	case JSON_FALSE:
		buf_add(out, "false");
		break;
	case JSON_NULL:
		buf_add(out, "null");
		break;
	}
}

char *
json_canonical(struct op *op, const json_t *value)
{
	struct buf out = buf_in(op->mem);

	write_value(&out, value, true);
	return out.text;
}

char *
json_text(struct op *op, const json_t *value)
{
	struct buf out = buf_in(op->mem);

	write_value(&out, value, false);
	return out.text;
}

static int
add_piece(const char *piece, size_t n, void *arg)
{
	buf_add_bytes(arg, piece, n);
	return 0;
}

char *
json_pretty(struct op *op, const json_t *value)
{
	struct buf out = buf_in(op->mem);

	json_dump_callback(value, add_piece, &out, JSON_INDENT(2) | JSON_ENCODE_ANY);
	return out.text;
}

const char *
json_get_text(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

int64_t
json_get_int(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

bool
json_get_bool(const json_t *object, const char *name)
{
	return json_is_true(json_object_get(object, name));
}
