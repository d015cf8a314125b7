/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * OpenAPI 3.1 of the administration API, made of the tables routes, commands and shapes.  Read print_openapi first; above it a function
 * for each level of the document: path, operation, schema, field.
 */
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "print.h"
#include "routes.h"

static const char *const permissions[] = {
	"",
#define PERM(name, text, words) text,
#include "tables/permissions.def"
#undef PERM
};

static json_t *
reference(const char *shape)
{
	return json_pack("{s:o}", "$ref", json_sprintf("#/components/schemas/%s", shape));
}

static json_t *
words_of(const char *words)
{
	json_t *list = json_array();

	while (*words) {
		size_t n = strcspn(words, "|");

		json_array_append_new(list, json_stringn(words, n));
		words += n + (words[n] == '|');
	}
	return list;
}

static json_t *
field_schema(const struct field *field)
{
	switch (field->type) {
	case FIELD_STR:
	case FIELD_LONG:
		return json_pack("{s:s, s:I}", "type", "string", "maxLength", (json_int_t)field->max);
	case FIELD_ENUM:
		return json_pack("{s:s, s:o}", "type", "string", "enum", words_of(field->words));
	case FIELD_INT:
		return json_pack("{s:s, s:I, s:I, s:I}", "type", "integer", "minimum", (json_int_t)field->min, "maximum",
		    (json_int_t)field->max, "default", (json_int_t)field->preset);
	case FIELD_BOOL:
		return json_pack("{s:s, s:b}", "type", "boolean", "default", (int)(field->preset != 0));
	case FIELD_TIME:
		return json_pack("{s:s, s:s}", "type", "string", "format", "date-time");
	case FIELD_STRS:
		return json_pack("{s:s, s:I, s:{s:s, s:I}}", "type", "array", "maxItems", (json_int_t)field->max, "items", "type", "string",
		    "maxLength", (json_int_t)field->item_max);
	case FIELD_OBJ:
		return json_pack("{s:[o]}", "allOf", reference(field->sub()->name));
	case FIELD_LIST:
		return json_pack("{s:s, s:I, s:o}", "type", "array", "maxItems", (json_int_t)field->max, "items",
		    reference(field->sub()->name));
	case FIELD_JSON:
		return json_object();
	}
	return json_object();
}

static json_t *
shape_schema(const struct shape *shape)
{
	json_t *properties = json_object(), *required = json_array();
	json_t *schema = json_pack("{s:s, s:s, s:o}", "type", "object", "description", shape->text, "properties", properties);

	for (size_t i = 0; i < shape->n; i++) {
		json_t *field = field_schema(&shape->fields[i]);

		json_object_set_new(field, "description", json_string(shape->fields[i].text));
		json_object_set_new(properties, shape->fields[i].name, field);
		if (shape->fields[i].is_required)
			json_array_append_new(required, json_string(shape->fields[i].name));
	}
	if (json_array_size(required))
		json_object_set(schema, "required", required);
	json_decref(required);
	json_object_set_new(schema, "additionalProperties", json_false());
	return schema;
}

static json_t *
path_parameters(const char *path)
{
	json_t *list = json_array();

	for (const char *p = strchr(path, '{'); p; p = strchr(p + 1, '{'))
		json_array_append_new(list, json_pack("{s:o, s:s, s:b, s:{s:s}}", "name", json_stringn(p + 1, strcspn(p + 1, "}")), "in",
		    "path", "required", 1, "schema", "type", "string"));
	return list;
}

/* What a GET may be asked with: the options of the commands that send it. */
enum {
#define COMMAND(id, words, method, path, run, view, columns, text) ASKS_##id,
#define PARAM(...)
#include "tables/commands.def"
#undef PARAM
#undef COMMAND
};

static const char *const asked_paths[] = {
#define COMMAND(id, words, method, path, run, view, columns, text) [ASKS_##id] = method " " path,
#define PARAM(...)
#include "tables/commands.def"
#undef PARAM
#undef COMMAND
};

static const struct {
	int command;
	const char *kind, *name, *text;
} asked[] = {
#define COMMAND(...)
#define PARAM(command, option, kind, target, value, help) { ASKS_##command, #kind, target, help },
#include "tables/commands.def"
#undef PARAM
#undef COMMAND
};

/* Once, although several commands have it. */
static void
add_query(json_t *list, const char *name, const char *text, json_t *schema)
{
	size_t i;
	json_t *one;

	json_array_foreach(list, i, one)
		if (strcmp(json_string_value(json_object_get(one, "name")), name) == 0) {
			json_decref(schema);
			return;
		}
	json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o}", "name", name, "in", "query", "description", text, "schema", schema));
}

static bool
has_pages(const char *answer)
{
	const struct shape *shape;

	for (size_t i = 0; answer && (shape = shape_at(i)); i++)
		for (size_t j = 0; !strcmp(shape->name, answer) && j < shape->n; j++)
			if (!strcmp(shape->fields[j].name, "next"))
				return true;
	return false;
}

static json_t *
parameters(const struct route *route)
{
	json_t *list = path_parameters(route->path);

	if (route->method != HTTP_GET)
		return list;
	for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++) {
		const char *path = asked_paths[asked[i].command];

		if (!strcmp(asked[i].kind, "QUERY") && !strncmp(path, "GET ", 4) && !strcmp(path + 4, route->path))
			add_query(list, asked[i].name, asked[i].text, json_pack("{s:s}", "type", "string"));
	}
	if (has_pages(route->answer_shape)) {
		add_query(list, "limit", "Items of a page.",
		    json_pack("{s:s, s:i, s:i}", "type", "integer", "minimum", 1, "maximum", 1000));
		add_query(list, "after", "Cursor: next of the page before.", json_pack("{s:s}", "type", "string"));
	}
	return list;
}

static json_t *
content(const char *type, json_t *schema)
{
	return json_pack("{s:{s:o}}", type, "schema", schema);
}

static json_t *
operation(const struct route *route)
{
	json_t *answer = json_pack("{s:s}", "description", "Done.");
	json_t *object = json_pack("{s:s, s:s, s:s, s:o}", "operationId", route->handler_name, "summary", route->text, "x-permission",
	    permissions[route->guard], "parameters", parameters(route));

	if (route->body_shape)
		json_object_set_new(object, "requestBody", json_pack("{s:b, s:o}", "required", 1, "content",
		    content("application/json", reference(route->body_shape))));
	if (route->answer_shape)
		json_object_set_new(answer, "content", content("application/json", reference(route->answer_shape)));
	json_object_set_new(object, "responses", json_pack("{s:o, s:{s:s, s:o}}", "200", answer, "default", "description",
	    "What went wrong (RFC 9457).", "content", content("application/problem+json", reference("problem"))));
	return object;
}

static json_t *
problem_schema(void)
{
	return json_pack("{s:s, s:s, s:{s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}}}", "type", "object", "description",
	    "A failure.", "properties", "type", "type", "string", "title", "type", "string", "status", "type", "integer", "detail", "type",
	    "string", "code", "type", "string", "request_id", "type", "string", "errors", "type", "array");
}

static void
add_operation(json_t *paths, const struct route *route)
{
	static const char *const methods[] = { "get", "head", "post", "put", "patch", "delete", "options" };
	json_t *path = json_object_get(paths, route->path);

	if (!path) {
		path = json_object();
		json_object_set_new(paths, route->path, path);
	}
	json_object_set_new(path, methods[route->method], operation(route));
}

void
print_openapi(void)
{
	json_t *paths = json_object(), *schemas = json_object(), *document;
	size_t n_routes;
	const struct route *routes = routes_all(&n_routes);
	const struct shape *shape;

	for (size_t i = 0; i < n_routes; i++) {
		if (routes[i].face == FACE_API)
			add_operation(paths, &routes[i]);
	}
	for (size_t i = 0; (shape = shape_at(i)); i++)
		json_object_set_new(schemas, shape->name, shape_schema(shape));
	json_object_set_new(schemas, "problem", problem_schema());
	document = json_pack("{s:s, s:{s:s, s:s, s:s}, s:[{s:s, s:s}], s:o, s:{s:o}}", "openapi", "3.1.0", "info", "title",
	    "Keyward administration", "version", PACKAGE_VERSION, "summary",
	    "Served on the UNIX socket; root and the user of the daemon may use it.", "servers", "url", "http://keyward", "description",
	    "UNIX socket /run/keyward/keyward.sock", "paths", paths, "components", "schemas", schemas);
	json_dumpf(document, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(document);
}
