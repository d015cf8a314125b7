/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * From a YAML file to changes of objects and back.  plan_file reads the file into changes, lets people/object.c do the work, and
 * says what came of it field by field; plan_export writes the file.
 */
#include "people/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "people/catalog.h"

struct changes {
	struct object_change *v;
	size_t n;
};

/* The objects of one document as changes, each with its place in the file. */
static void
add_document(struct changes *changes, const struct node *document, const struct shape_config_file *file)
{
	for (int kind = 0; kind < OBJECT_KINDS; kind++) {
		const struct object_kind_row *row = object_kind_row(kind);
		const struct node *nodes = node_get(document, row->plural);
		struct shape_list list;

		memcpy(&list, (const char *)file + row->list_offset, sizeof(list));
		for (size_t i = 0; i < list.n; i++)
			changes->v[changes->n++] = (struct object_change){ .kind = kind, .where = &nodes->items[i],
			    .body = (const char *)list.v + i * row->shape()->size };
	}
}

static size_t
count_objects(const struct node *documents, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		for (int kind = 0; kind < OBJECT_KINDS; kind++) {
			const struct node *list =
			    documents[i].kind == NODE_MAP ? node_get(&documents[i], object_kind_row(kind)->plural) : NULL;

			count += list ? list->n : 0;
		}
	return count;
}

static int
read_file(struct op *op, const struct plan_request *request, struct changes *ret)
{
	struct problems problems = problems_in(op, request->source);
	struct node *documents;
	size_t n;
	int rc = node_read_yaml(op, request->text, request->size, &problems, &documents, &n);

	if (rc)
		return problems.n ? objects_refuse(op, &problems) : rc;
	*ret = (struct changes){ op_alloc(op, (count_objects(documents, n) + 1) * sizeof(*ret->v)), 0 };
	for (size_t i = 0; i < n; i++) {
		const void *file;

		if (documents[i].kind == NODE_NULL)
			continue;
		if (documents[i].kind != NODE_MAP) {
			problems_add(&problems, &documents[i], "", "this is no file of objects: one begins with roles:, locations:, "
			    "directories:, rules: or apps:, and the objects follow as a list, such as \"locations:\" and on the next line "
			    "\"  - name: downtown\"");
			continue;
		}
		/* The rest is read all the same, so that everything wrong is told in one run. */
		if (shape_read(op, shape_config_file(), &documents[i], &problems, &file) == 0)
			add_document(ret, &documents[i], file);
	}
	return problems.n ? objects_refuse(op, &problems) : 0;
}

/* The fields that differ; of a new or removed object all that have a value. */
static struct shape_list
fields_of(struct op *op, const struct object_change *change)
{
	const struct shape *shape = object_kind_row(change->kind)->shape();
	struct shape_plan_field *v = op_alloc(op, shape->n * sizeof(*v));
	size_t n = 0;

	for (size_t i = 0; i < shape->n; i++) {
		json_t *before = change->before ? json_object_get(change->before, shape->fields[i].name) : NULL;
		json_t *after = change->after ? json_object_get(change->after, shape->fields[i].name) : NULL;

		if (before == after || (before && after && json_equal(before, after)))
			continue;
		if ((!before && json_is_array(after) && !json_array_size(after)) ||
		    (!after && json_is_array(before) && !json_array_size(before)))
			continue;
		v[n++] = (struct shape_plan_field){ shape->fields[i].name, before, after };
	}
	return (struct shape_list){ v, n };
}

static const char *
item_name(const struct object_change *change)
{
	return change->body ? object_name(change->kind, change->body) : change->name;
}

/* A file holds no secrets: says where one has to be set by hand. */
static void
add_note(struct op *op, struct strings *notes, const struct object_change *change)
{
	const struct shape_app *app = change->body;
	const struct shape_directory *directory = change->body;
	const char *name = item_name(change);

	if (change->forgets_password && !directory->password && !catalog_is_kerberos(directory) && notes->n < 1000)
		notes->v[notes->n++] = op_printf(op,
		    "directory %s has another address: its saved password is forgotten; give it again: keyward directory password %s "
		    "--password-file FILE",
		    name, name);
	if (change->action != OBJECT_CREATE || notes->n == 1000)
		return;
	if (change->kind == OBJECT_DIRECTORY && !directory->password && !catalog_is_kerberos(directory))
		notes->v[notes->n++] = op_printf(op,
		    "directory %s needs the password of its service account: keyward directory password %s "
		    "--password-file FILE",
		    name, name);
	else if (change->kind == OBJECT_APP && strcmp(app->type, "public"))
		notes->v[notes->n++] = op_printf(op, "application %s needs a secret: keyward app secret %s", name, name);
}

static const struct shape_plan_view *
view_of(struct op *op, const struct objects_result *result, bool is_applied)
{
	static const char *const actions[] = { [OBJECT_CREATE] = "create", [OBJECT_CHANGE] = "change", [OBJECT_REMOVE] = "remove" };
	struct shape_plan_view *view = op_alloc(op, sizeof(*view));
	struct shape_plan_item *items = op_alloc(op, (result->n + 1) * sizeof(*items));
	size_t n = 0;

	view->notes.v = op_alloc(op, (result->n + 1) * sizeof(*view->notes.v));
	for (size_t i = 0; i < result->n; i++) {
		const struct object_change *change = &result->v[i];

		if (change->action == OBJECT_UNCHANGED)
			continue;
		items[n++] = (struct shape_plan_item){
		    actions[change->action], object_kind_row(change->kind)->name, item_name(change), fields_of(op, change) };
		add_note(op, &view->notes, change);
	}
	view->applied = is_applied;
	view->create = (int64_t)result->created;
	view->change = (int64_t)result->changed;
	view->remove = (int64_t)result->removed;
	view->unchanged = (int64_t)result->unchanged;
	view->items = (struct shape_list){ items, n };
	view->mark = result->mark;
	return view;
}

int
plan_file(struct op *op, const struct plan_request *request, const struct shape_plan_view **ret)
{
	const struct objects_options options = { .source = request->source, .is_dry_run = !request->want_apply,
		.want_prune = request->want_prune, .mark = request->mark };
	struct objects_result result;
	struct changes changes = { 0 };
	int rc = read_file(op, request, &changes);

	if (rc)
		return rc;
	/* An empty or wrong file must not empty the clinic. */
	if (!changes.n && request->want_prune)
		return op_fail(
		    op, ERR_INVALID, "%s: holds no objects at all; pruning by it would remove everything", request->source);
	rc = objects_change(op, changes.v, changes.n, &options, &result);
	if (!rc)
		*ret = view_of(op, &result, request->want_apply);
	return rc;
}

/* ---- export ---- */

static int
export_body(struct op *op, void *arg)
{
	struct changes *objects = arg;
	struct object *v;
	size_t n;
	int rc = objects_read(op, op, &v, &n);

	if (rc)
		return rc;
	*objects = (struct changes){ op_alloc(op, (n + 1) * sizeof(*objects->v)), 0 };
	for (size_t i = 0; i < n; i++)
		if (!object_is_test_page(v[i].kind, v[i].body))
			objects->v[objects->n++] = (struct object_change){ .kind = v[i].kind, .body = v[i].body };
	return 0;
}

/* Without what a reader would add again: empty lists. */
static json_t *
trimmed(json_t *object)
{
	const char *name;
	json_t *value;
	void *next;

	json_object_foreach_safe(object, next, name, value)
		if (json_is_array(value) && !json_array_size(value))
			json_object_del(object, name);
	return object;
}

int
plan_export(struct op *op, char **ret_yaml)
{
	json_t *file = json_own(op, json_object());
	struct changes objects;
	char *text = NULL;
	size_t size = 0;
	FILE *out;
	int rc = db_read(op, export_body, &objects);

	if (rc)
		return rc;
	for (size_t i = 0; i < objects.n; i++) {
		const struct object_kind_row *row = object_kind_row(objects.v[i].kind);
		json_t *list = json_object_get(file, row->plural);

		if (!list) {
			list = json_array();
			json_object_set_new(file, row->plural, list);
		}
		json_array_append(list, trimmed(shape_write(op, row->shape(), objects.v[i].body)));
	}
	out = open_memstream(&text, &size);
	if (!out)
		return op_fail(op, ERR_SYSTEM, "no memory for the export");
	node_write_yaml(out, file);
	fclose(out);
	*ret_yaml = op_strndup(op, text, size);
	mem_free(text);         /* open_memstream made it */
	return 0;
}
