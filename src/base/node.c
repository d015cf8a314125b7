/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Nodes from YAML (libyaml's event parser), JSON and forms; problems; block YAML out.  Read problems_add, then yaml_value.
 */
#include "base/node.h"

#include <stdarg.h>
#include <string.h>
#include <yaml.h>

#include "base/text.h"

#define DEPTH_MAX 16
#define YAML_MAX_BYTES (1 << 20)
#define PROBLEMS_MAX 100

struct problems
problems_in(struct op *op, const char *source)
{
	return (struct problems){ .op = op, .source = source };
}

void
problems_add(struct problems *problems, const struct node *where, const char *path, const char *format, ...)
{
	va_list args;
	struct problem *grown;

	if (problems->n >= PROBLEMS_MAX)
		return;
	grown = op_alloc(problems->op, (problems->n + 1) * sizeof(*grown));
	if (problems->n)
		memcpy(grown, problems->v, problems->n * sizeof(*grown));
	problems->v = grown;
	va_start(args, format);
	grown[problems->n++] = (struct problem){
		/* who reads it may outlive the work that named it */
		.source = problems->source ? op_strdup(problems->op, problems->source) : NULL,
		.line = where ? where->line : 0,
		.column = where ? where->column : 0,
		.path = path,
		.sentence = arena_vprintf(problems->op->mem, format, args),
	};
	va_end(args);
}

static void
problem_print(struct buf *out, const struct problem *p)
{
	if (p->source)
		buf_printf(out, "%s:", p->source);
	if (p->line)
		buf_printf(out, "%d:%d:", p->line, p->column);
	buf_add(out, p->source || p->line ? " " : "");
	buf_printf(out, "%s%s%s", p->path && *p->path ? p->path : "", p->path && *p->path ? ": " : "", p->sentence);
}

char *
problems_text(struct op *op, const struct problems *problems)
{
	struct buf out = buf_in(op->mem);

	for (size_t i = 0; i < problems->n; i++) {
		problem_print(&out, &problems->v[i]);
		buf_add_char(&out, '\n');
	}
	return out.text;
}

int
problems_result(struct op *op, const struct problems *problems)
{
	struct buf out = buf_in(op->mem);

	if (!problems->n)
		return 0;
	problem_print(&out, &problems->v[0]);
	if (problems->n > 1)
		buf_printf(&out, " (and %zu more)", problems->n - 1);
	return op_fail(op, ERR_INVALID, "%s", out.text);
}

const struct node *
node_get(const struct node *map, const char *key)
{
	for (size_t i = 0; map && map->kind == NODE_MAP && i < map->n; i++)
		if (!strcmp(map->keys[i].text, key))
			return &map->items[i];
	return NULL;
}

/* Room for one more in an array of nodes whose number is doubled at powers of two. */
static struct node *
grow(struct op *op, struct node *items, size_t n)
{
	struct node *grown;

	if (n && (n & (n - 1)))
		return items;
	grown = op_alloc(op, (n ? n * 2 : 1) * sizeof(*grown));
	if (n)
		memcpy(grown, items, n * sizeof(*grown));
	return grown;
}

struct yaml {
	struct op *op;
	struct problems *problems;
	yaml_parser_t parser;
	yaml_event_t event;
	bool has_failed;
};

static struct node
yaml_place(const struct yaml *yaml)
{
	return (struct node){ .line = (int)yaml->event.start_mark.line + 1, .column = (int)yaml->event.start_mark.column + 1 };
}

static void
yaml_problem(struct yaml *yaml, const char *sentence)
{
	struct node where = yaml_place(yaml);

	problems_add(yaml->problems, &where, "", "%s", sentence);
	yaml->has_failed = true;
}

/* The next event; false at an error, which is then a problem. */
static bool
yaml_next(struct yaml *yaml)
{
	yaml_event_delete(&yaml->event);
	if (yaml->has_failed)
		return false;
	if (yaml_parser_parse(&yaml->parser, &yaml->event))
		return true;
	struct node where = { .line = (int)yaml->parser.problem_mark.line + 1, .column = (int)yaml->parser.problem_mark.column + 1 };

	const char *said = yaml->parser.problem ? yaml->parser.problem : "cannot be read";

	/* The two slips behind this one: "password: @/etc/..." and a tab. */
	if (!strcmp(said, "found character that cannot start any token"))
		said = "a value that begins with @, ` or % needs quotes, and lines are indented with blanks, not with tabs";
	problems_add(yaml->problems, &where, "", "%s%s%s", said, yaml->parser.context ? ", " : "",
	    yaml->parser.context ? yaml->parser.context : "");
	yaml->has_failed = true;
	return false;
}

static bool yaml_value(struct yaml *yaml, int depth, struct node *ret);

static bool
yaml_scalar(struct yaml *yaml, struct node *ret)
{
	const char *value = (const char *)yaml->event.data.scalar.value;
	size_t n = yaml->event.data.scalar.length;
	bool is_plain = yaml->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	if (yaml->event.data.scalar.tag)
		return yaml_problem(yaml, "tags (!...) are not used here"), false;
	if (memchr(value, 0, n))
		return yaml_problem(yaml, "a NUL character is not allowed"), false;
	ret->kind = is_plain ? NODE_PLAIN : NODE_TEXT;
	if (is_plain && (!n || !strcmp(value, "~") || !strcmp(value, "null")))
		ret->kind = NODE_NULL;
	ret->text = op_strndup(yaml->op, value, n);
	return true;
}

static bool
yaml_list(struct yaml *yaml, int depth, struct node *ret)
{
	ret->kind = NODE_LIST;
	while (yaml_next(yaml) && yaml->event.type != YAML_SEQUENCE_END_EVENT) {
		ret->items = grow(yaml->op, ret->items, ret->n);
		if (!yaml_value(yaml, depth + 1, &ret->items[ret->n]))
			return false;
		ret->n++;
	}
	return !yaml->has_failed;
}

static bool
yaml_map(struct yaml *yaml, int depth, struct node *ret)
{
	ret->kind = NODE_MAP;
	while (yaml_next(yaml) && yaml->event.type != YAML_MAPPING_END_EVENT) {
		ret->keys = grow(yaml->op, ret->keys, ret->n);
		ret->items = grow(yaml->op, ret->items, ret->n);
		if (!yaml_value(yaml, depth + 1, &ret->keys[ret->n]))
			return false;
		if (ret->keys[ret->n].kind != NODE_PLAIN && ret->keys[ret->n].kind != NODE_TEXT)
			return yaml_problem(yaml, "a key must be a word"), false;
		if (node_get(ret, ret->keys[ret->n].text))
			problems_add(yaml->problems, &ret->keys[ret->n], "", "key '%s' is given twice", ret->keys[ret->n].text);
		if (!yaml_next(yaml) || !yaml_value(yaml, depth + 1, &ret->items[ret->n]))
			return false;
		ret->n++;
	}
	return !yaml->has_failed;
}

/* The value that begins with the current event. */
static bool
yaml_value(struct yaml *yaml, int depth, struct node *ret)
{
	*ret = yaml_place(yaml);
	if (depth > DEPTH_MAX)
		return yaml_problem(yaml, "nested too deep"), false;
	switch (yaml->event.type) {
	case YAML_SCALAR_EVENT:
		return yaml_scalar(yaml, ret);
	case YAML_SEQUENCE_START_EVENT:
		if (yaml->event.data.sequence_start.tag)
			return yaml_problem(yaml, "tags (!...) are not used here"), false;
		return yaml_list(yaml, depth, ret);
	case YAML_MAPPING_START_EVENT:
		if (yaml->event.data.mapping_start.tag)
			return yaml_problem(yaml, "tags (!...) are not used here"), false;
		return yaml_map(yaml, depth, ret);
	case YAML_ALIAS_EVENT:
		return yaml_problem(yaml, "aliases (*name) are not used here: write the value out"), false;
	default:
		return yaml_problem(yaml, "cannot be read"), false;
	}
}

static void
yaml_stream(struct yaml *yaml, struct node **ret_documents, size_t *ret_count)
{
	struct node *documents = NULL;
	size_t n = 0;

	while (yaml_next(yaml) && yaml->event.type != YAML_STREAM_END_EVENT) {
		if (yaml->event.type != YAML_DOCUMENT_START_EVENT)
			continue;
		if (!yaml_next(yaml))
			break;
		documents = grow(yaml->op, documents, n);
		if (!yaml_value(yaml, 0, &documents[n]))
			break;
		n++;
	}
	*ret_documents = documents;
	*ret_count = n;
}

int
node_read_yaml(struct op *op, const char *text, size_t n, struct problems *problems, struct node **ret_documents,
    size_t *ret_count)
{
	struct yaml yaml = { .op = op, .problems = problems };

	if (n > YAML_MAX_BYTES)
		return op_fail(op, ERR_TOO_LARGE, "%s is larger than %d bytes", problems->source, YAML_MAX_BYTES);
	if (!text_is_utf8(text, n)) {
		problems_add(problems, NULL, "", "is not UTF-8 text");
		return problems_result(op, problems);
	}
	if (!yaml_parser_initialize(&yaml.parser))
		return op_fail(op, ERR_INTERNAL, "the YAML reader cannot be set up");
	yaml_parser_set_input_string(&yaml.parser, (const unsigned char *)text, n);
	yaml_stream(&yaml, ret_documents, ret_count);
	yaml_event_delete(&yaml.event);
	yaml_parser_delete(&yaml.parser);
	return yaml.has_failed ? problems_result(op, problems) : 0;
}

static void
from_json(struct op *op, const json_t *value, struct problems *problems, struct node *ret)
{
	const char *name;
	json_t *member, *list = (json_t *)(uintptr_t)value;     /* jansson's iterators lack const */

	switch (json_typeof(value)) {
	case JSON_OBJECT:
		*ret = (struct node){ .kind = NODE_MAP };
		ret->keys = op_alloc(op, json_object_size(value) * sizeof(*ret->keys));
		ret->items = op_alloc(op, json_object_size(value) * sizeof(*ret->items));
		json_object_foreach(list, name, member) {
			ret->keys[ret->n] = (struct node){ .kind = NODE_TEXT, .text = op_strdup(op, name) };
			from_json(op, member, problems, &ret->items[ret->n++]);
		}
		break;
	case JSON_ARRAY:
		*ret = (struct node){ .kind = NODE_LIST, .n = json_array_size(value) };
		ret->items = op_alloc(op, ret->n * sizeof(*ret->items));
		for (size_t i = 0; i < ret->n; i++)
			from_json(op, json_array_get(value, i), problems, &ret->items[i]);
		break;
	case JSON_STRING:
		*ret = (struct node){ .kind = NODE_TEXT, .text = op_strdup(op, json_string_value(value)) };
		break;
	case JSON_INTEGER:
		*ret = (struct node){ .kind = NODE_INT, .number = json_integer_value(value) };
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		*ret = (struct node){ .kind = NODE_BOOL, .number = json_is_true(value) };
		break;
	case JSON_REAL:
		problems_add(problems, NULL, "", "numbers with a point or exponent are not used here");
		/* fall through */
	case JSON_NULL:
		*ret = (struct node){ .kind = NODE_NULL };
		break;
	}
}

int
node_from_json(struct op *op, const json_t *value, struct problems *problems, struct node **ret)
{
	*ret = op_alloc(op, sizeof(**ret));
	from_json(op, value, problems, *ret);
	return problems_result(op, problems);
}

/* ---- block YAML ---- */

/* A plain scalar only when it cannot be taken for anything else. */
static bool
is_plain_safe(const char *text)
{
	size_t n = strlen(text);

	if (!n || n > 200 || strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./ ") != n)
		return false;
	if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz/", text[0]) || text[n - 1] == ' ')
		return false;
	static const char *const words[] = { "true", "false", "yes", "no", "on", "off", "null", "y", "n" };

	for (size_t i = 0; i < countof(words); i++)
		if (text_equal_ascii_case(text, words[i]))
			return false;
	return true;
}

static void
write_quoted(FILE *out, const char *text)
{
	fputc('"', out);
	for (const char *s = text; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(out, "\\%c", *s);
		else if (*s == '\n')
			fputs("\\n", out);
		else if ((unsigned char)*s < 0x20 || *s == 0x7f)
			fprintf(out, "\\x%02x", (unsigned char)*s);
		else
			fputc(*s, out);
	}
	fputc('"', out);
}

/* Certificates: lines as they are, which is what people want to see. */
static bool
is_literal(const char *text)
{
	size_t n = strlen(text);

	return n > 1 && text[n - 1] == '\n' && text[n - 2] != '\n' && strchr(text, '\n') < text + n - 1 && text[0] != ' ' &&
	    !strchr(text, '\t') && !strchr(text, '\r') && text_is_utf8(text, n);
}

static void
write_literal(FILE *out, const char *text, int indent)
{
	fputs("|\n", out);
	while (*text) {
		size_t n = strcspn(text, "\n");

		fprintf(out, "%*s%.*s\n", n ? indent : 0, "", (int)n, text);
		text += n + 1;
	}
}

static void write_value(FILE *out, const json_t *value, int indent, bool is_in_list);

static void
write_scalar(FILE *out, const json_t *value, int indent)
{
	const char *text = json_string_value(value);

	if (text && is_literal(text)) {
		write_literal(out, text, indent);
		return;
	}
	if (text && is_plain_safe(text))
		fputs(text, out);
	else if (text)
		write_quoted(out, text);
	else if (json_is_integer(value))
		fprintf(out, "%lld", (long long)json_integer_value(value));
	else
		fputs(json_is_true(value) ? "true" : json_is_false(value) ? "false" : "null", out);
	fputc('\n', out);
}

static void
write_object(FILE *out, const json_t *object, int indent, bool is_in_list)
{
	json_t *member, *mutable_object = (json_t *)(uintptr_t)object;
	const char *name;
	bool is_first = true;

	json_object_foreach(mutable_object, name, member) {
		fprintf(out, "%*s%s:", is_first && is_in_list ? 0 : indent, "", name);
		is_first = false;
		if ((json_is_object(member) && json_object_size(member)) || (json_is_array(member) && json_array_size(member))) {
			fputc('\n', out);
			write_value(out, member, indent + 2, false);
		} else {
			fputc(' ', out);
			write_value(out, member, indent + 2, false);
		}
	}
}

static void
write_value(FILE *out, const json_t *value, int indent, bool is_in_list)
{
	if (json_is_object(value) && json_object_size(value)) {
		write_object(out, value, indent, is_in_list);
	} else if (json_is_array(value) && json_array_size(value)) {
		for (size_t i = 0; i < json_array_size(value); i++) {
			fprintf(out, "%*s- ", indent, "");
			write_value(out, json_array_get(value, i), indent + 2, true);
		}
	} else if (json_is_object(value)) {
		fputs("{}\n", out);
	} else if (json_is_array(value)) {
		fputs("[]\n", out);
	} else {
		write_scalar(out, value, indent);
	}
}

void
node_write_yaml(FILE *out, const json_t *value)
{
	write_value(out, value, 0, false);
}
