/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Shapes: the table expanded, one reader, one writer.  Read shape_read, then read_field.
 */
#include "base/shape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"

/* pass 2: the field tables.  SELF is the struct at hand. */
#define SHAPE(n, words_) \
	const struct shape *shape_##n(void) \
	{ \
		typedef struct shape_##n SELF; \
		static const char text[] = words_; \
		static const struct field fields[] = {
#define ROW(n, t, need, ...) { .name = #n, .type = FIELD_##t, .offset = offsetof(SELF, n), .is_required = need, __VA_ARGS__ },
#define STR(n, need, bytes, words_) ROW(n, STR, need, .max = bytes, .text = words_)
#define LONG(n, need, bytes, words_) ROW(n, LONG, need, .max = bytes, .text = words_)
#define ENUM(n, need, choice, words_) ROW(n, ENUM, need, .words = choice, .text = words_)
#define INT(n, preset_, min_, max_, words_) ROW(n, INT, false, .preset = preset_, .min = min_, .max = max_, .text = words_)
#define BOOL(n, preset_, words_) ROW(n, BOOL, false, .preset = preset_, .text = words_)
#define TIME(n, need, words_) ROW(n, TIME, need, .text = words_)
#define STRS(n, items_, bytes, words_) ROW(n, STRS, false, .max = items_, .item_max = bytes, .text = words_)
#define OBJ(n, sub_, need, words_) ROW(n, OBJ, need, .sub = shape_##sub_, .text = words_)
#define LIST(n, sub_, items_, words_) ROW(n, LIST, false, .max = items_, .sub = shape_##sub_, .text = words_)
#define JSON(n, words_) ROW(n, JSON, false, .text = words_)
#define END(n) }; \
		static const struct shape shape = { #n, text, fields, countof(fields), sizeof(SELF) }; \
		return &shape; \
	}
#include "tables/shapes.def"

/* pass 3: the list of all */
#define SHAPE(n, words_)
#define STR(n, need, bytes, words_)
#define LONG(n, need, bytes, words_)
#define ENUM(n, need, choice, words_)
#define INT(n, preset_, min_, max_, words_)
#define BOOL(n, preset_, words_)
#define TIME(n, need, words_)
#define STRS(n, items_, bytes, words_)
#define OBJ(n, sub_, need, words_)
#define LIST(n, sub_, items_, words_)
#define JSON(n, words_)
#define END(n) shape_##n,
static const struct shape *(*const getters[])(void) = {
#include "tables/shapes.def"
};

const struct shape *
shape_at(size_t index)
{
	return index < countof(getters) ? getters[index]() : NULL;
}

const struct shape *
shape_find(const char *name)
{
	for (size_t i = 0; i < countof(getters); i++)
		if (!strcmp(getters[i]()->name, name))
			return getters[i]();
	return NULL;
}

struct reading {
	struct op *op;
	struct problems *problems;
};

static const char *
path_join(struct op *op, const char *path, const char *name)
{
	return *path ? op_printf(op, "%s.%s", path, name) : op_strdup(op, name);
}

/* The text of a scalar that should be text, or NULL after a problem. */
static const char *
read_text(struct reading *r, const struct field *field, const struct node *node, const char *path, int64_t max)
{
	bool is_long = field->type == FIELD_LONG;

	if (node->kind != NODE_TEXT && node->kind != NODE_PLAIN) {
		problems_add(r->problems, node, path, "must be text");
		return NULL;
	}
	if ((int64_t)strlen(node->text) > max) {
		problems_add(r->problems, node, path, "is too long: at most %lld bytes", (long long)max);
		return NULL;
	}
	if (!text_is_utf8(node->text, strlen(node->text))) {
		problems_add(r->problems, node, path, "is not UTF-8 text");
		return NULL;
	}
	for (const char *s = node->text; *s; s++)
		if (((unsigned char)*s < 0x20 && !(is_long && strchr("\n\t\r", *s))) || *s == 0x7f) {
			problems_add(r->problems, node, path, "contains a control character");
			return NULL;
		}
	return node->text;
}

static const char *
read_enum(struct reading *r, const struct field *field, const struct node *node, const char *path)
{
	const char *given = node->kind == NODE_TEXT || node->kind == NODE_PLAIN ? node->text : "";
	const char *candidates[16], *near, *at = field->words;
	size_t n = 0;

	while (*at && n < countof(candidates)) {
		size_t length = strcspn(at, "|");

		candidates[n] = op_strndup(r->op, at, length);
		if (!strcmp(candidates[n], given))
			return candidates[n];
		n++;
		at += length + (at[length] == '|');
	}
	near = text_nearest(given, candidates, n);
	if (near)
		problems_add(r->problems, node, path, "must be one of %s; did you mean '%s'?", field->words, near);
	else
		problems_add(r->problems, node, path, "must be one of %s", field->words);
	return NULL;
}

static bool
parse_int(const struct node *node, int64_t *ret)
{
	char *end;

	if (node->kind == NODE_INT) {
		*ret = node->number;
		return true;
	}
	if (node->kind != NODE_PLAIN || !*node->text || strspn(node->text, "-0123456789") != strlen(node->text))
		return false;
	errno = 0;
	*ret = strtoll(node->text, &end, 10);
	return !*end && !errno;
}

static void
read_int(struct reading *r, const struct field *field, const struct node *node, const char *path, int64_t *ret)
{
	int64_t value;

	if (!parse_int(node, &value))
		problems_add(r->problems, node, path, "must be a whole number");
	else if (value < field->min || value > field->max)
		problems_add(r->problems, node, path, "must be between %lld and %lld", (long long)field->min, (long long)field->max);
	else
		*ret = value;
}

static void
read_bool(struct reading *r, const struct node *node, const char *path, bool *ret)
{
	if (node->kind == NODE_BOOL)
		*ret = node->number;
	else if (node->kind == NODE_PLAIN && (!strcmp(node->text, "true") || !strcmp(node->text, "yes")))
		*ret = true;
	else if (node->kind == NODE_PLAIN && (!strcmp(node->text, "false") || !strcmp(node->text, "no")))
		*ret = false;
	else
		problems_add(r->problems, node, path, "must be true or false");
}

static void
read_time(struct reading *r, const struct node *node, const char *path, int64_t *ret)
{
	if ((node->kind != NODE_TEXT && node->kind != NODE_PLAIN) || !time_parse(node->text, ret))
		problems_add(r->problems, node, path, "must be a time such as 2030-01-31T17:00:00Z or a date such as 2030-01-31");
}

static bool
read_is_list(struct reading *r, const struct field *field, const struct node *node, const char *path)
{
	if (node->kind != NODE_LIST) {
		problems_add(r->problems, node, path, "must be a list");
		return false;
	}
	if ((int64_t)node->n > field->max) {
		problems_add(r->problems, node, path, "has too many items: at most %lld", (long long)field->max);
		return false;
	}
	return true;
}

static void
read_strs(struct reading *r, const struct field *field, const struct node *node, const char *path, struct strings *ret)
{
	if (!read_is_list(r, field, node, path))
		return;
	ret->v = op_alloc(r->op, (node->n + 1) * sizeof(*ret->v));
	ret->n = node->n;
	for (size_t i = 0; i < node->n; i++)
		ret->v[i] = read_text(r, field, &node->items[i], op_printf(r->op, "%s[%zu]", path, i), field->item_max);
}

static void read_struct(struct reading *r, const struct shape *shape, const struct node *node, const char *path, void *data);

static void
read_list(struct reading *r, const struct field *field, const struct node *node, const char *path, struct shape_list *ret)
{
	const struct shape *sub = field->sub();
	char *items;

	if (!read_is_list(r, field, node, path))
		return;
	items = op_alloc(r->op, (node->n + 1) * sub->size);
	for (size_t i = 0; i < node->n; i++)
		read_struct(r, sub, &node->items[i], op_printf(r->op, "%s[%zu]", path, i), items + i * sub->size);
	ret->v = items;
	ret->n = node->n;
}

static void
read_field(struct reading *r, const struct field *field, const struct node *node, const char *path, void *at)
{
	void *object;

	switch (field->type) {
	case FIELD_STR:
	case FIELD_LONG:
		*(const char **)at = read_text(r, field, node, path, field->max);
		break;
	case FIELD_ENUM:
		*(const char **)at = read_enum(r, field, node, path);
		break;
	case FIELD_INT:
		read_int(r, field, node, path, at);
		break;
	case FIELD_BOOL:
		read_bool(r, node, path, at);
		break;
	case FIELD_TIME:
		read_time(r, node, path, at);
		break;
	case FIELD_STRS:
		read_strs(r, field, node, path, at);
		break;
	case FIELD_LIST:
		read_list(r, field, node, path, at);
		break;
	case FIELD_OBJ:
		object = op_alloc(r->op, field->sub()->size);
		read_struct(r, field->sub(), node, path, object);
		*(const void **)at = object;
		break;
	case FIELD_JSON:
		problems_add(r->problems, node, path, "cannot be given");
		break;
	}
}

/* What a field is when it is not given. */
static void
preset_field(struct op *op, const struct field *field, void *at)
{
	if (field->type == FIELD_INT)
		*(int64_t *)at = field->preset;
	else if (field->type == FIELD_BOOL)
		*(bool *)at = field->preset;
	else if (field->type == FIELD_ENUM && !field->is_required)
		*(const char **)at = op_strndup(op, field->words, strcspn(field->words, "|"));
}

static void
report_unknown(struct reading *r, const struct shape *shape, const struct node *key, const char *path)
{
	const char *candidates[64], *near;
	size_t n = 0;

	for (size_t i = 0; i < shape->n && n < countof(candidates); i++)
		candidates[n++] = shape->fields[i].name;
	near = text_nearest(key->text, candidates, n);
	if (near)
		problems_add(r->problems, key, path, "unknown key '%s'; did you mean '%s'?", key->text, near);
	else
		problems_add(r->problems, key, path, "unknown key '%s'", key->text);
}

static void
read_struct(struct reading *r, const struct shape *shape, const struct node *node, const char *path, void *data)
{
	if (node->kind != NODE_MAP) {
		problems_add(r->problems, node, path, "must be a map of %s", shape->name);
		return;
	}
	for (size_t i = 0; i < shape->n; i++) {
		const struct field *field = &shape->fields[i];
		const struct node *value = node_get(node, field->name);
		void *at = (char *)data + field->offset;

		preset_field(r->op, field, at);
		if (value && value->kind != NODE_NULL)
			read_field(r, field, value, path_join(r->op, path, field->name), at);
		else if (field->is_required)
			problems_add(r->problems, node, path, "'%s' is missing", field->name);
	}
	for (size_t i = 0; i < node->n; i++) {
		bool is_known = false;

		for (size_t j = 0; j < shape->n && !is_known; j++)
			is_known = !strcmp(node->keys[i].text, shape->fields[j].name);
		if (!is_known)
			report_unknown(r, shape, &node->keys[i], path);
	}
}

int
shape_read(struct op *op, const struct shape *shape, const struct node *node, struct problems *problems, const void **ret)
{
	struct reading r = { op, problems };
	void *data = op_alloc(op, shape->size);

	read_struct(&r, shape, node, "", data);
	*ret = data;
	return problems_result(op, problems);
}

static json_t *write_struct(const struct shape *shape, const void *data);

static json_t *
write_list(const struct field *field, const struct shape_list *list)
{
	json_t *array = json_array();
	const struct shape *sub = field->sub();

	for (size_t i = 0; i < list->n; i++)
		json_array_append_new(array, write_struct(sub, (const char *)list->v + i * sub->size));
	return array;
}

/* The value of a field, or NULL when it is left out. */
static json_t *
write_field(const struct field *field, const void *at)
{
	char text[TIME_TEXT_BYTES];
	const struct strings *strs = at;
	json_t *value;

	switch (field->type) {
	case FIELD_STR:
	case FIELD_LONG:
	case FIELD_ENUM:
		return *(const char *const *)at ? json_string(*(const char *const *)at) : NULL;
	case FIELD_INT:
		return json_integer(*(const int64_t *)at);
	case FIELD_BOOL:
		return json_boolean(*(const bool *)at);
	case FIELD_TIME:
		return *(const int64_t *)at ? json_string(time_text(*(const int64_t *)at, text)) : NULL;
	case FIELD_STRS:
		value = json_array();
		for (size_t i = 0; i < strs->n; i++)
			json_array_append_new(value, json_string(strs->v[i]));
		return value;
	case FIELD_OBJ:
		return *(const void *const *)at ? write_struct(field->sub(), *(const void *const *)at) : NULL;
	case FIELD_LIST:
		return write_list(field, at);
	case FIELD_JSON:
		return json_incref(*(json_t *const *)at);
	}
	return NULL;
}

static json_t *
write_struct(const struct shape *shape, const void *data)
{
	json_t *object = json_object();

	for (size_t i = 0; i < shape->n; i++) {
		json_t *value = write_field(&shape->fields[i], (const char *)data + shape->fields[i].offset);

		if (value)
			json_object_set_new(object, shape->fields[i].name, value);
	}
	return object;
}

/* Whether a reader that does not find the field takes just this value. */
static bool
is_preset(const struct field *field, const void *at)
{
	switch (field->type) {
	case FIELD_ENUM:
		return !field->is_required && *(const char *const *)at && !strncmp(*(const char *const *)at, field->words,
		    strcspn(field->words, "|")) && strlen(*(const char *const *)at) == strcspn(field->words, "|");
	case FIELD_INT:
		return !field->is_required && *(const int64_t *)at == field->preset;
	case FIELD_BOOL:
		return !field->is_required && *(const bool *)at == (field->preset != 0);
	case FIELD_STRS:
		return !((const struct strings *)at)->n;
	case FIELD_LIST:
		return !((const struct shape_list *)at)->n;
	default:
		return false;
	}
}

json_t *
shape_write_short(struct op *op, const struct shape *shape, const void *data)
{
	json_t *object = json_own(op, json_object());

	for (size_t i = 0; i < shape->n; i++) {
		const struct field *field = &shape->fields[i];
		const void *at = (const char *)data + field->offset;
		json_t *value = is_preset(field, at) ? NULL : write_field(field, at);

		if (value)
			json_object_set_new(object, field->name, value);
	}
	return object;
}

json_t *
shape_write(struct op *op, const struct shape *shape, const void *data)
{
	return json_own(op, write_struct(shape, data));
}
