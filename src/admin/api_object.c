/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The API over objects: listing, showing and removing is the same for every kind; plan, apply and export work on files;
 * creating a directory stands in api_directory.c, an application in api_app.c.
 */
#include <string.h>

#include "api_int.h"
#include "base/time.h"
#include "people/plan.h"

struct page {
	enum object_kind kind;
	const char *name;               /* one object, or NULL */
	const char *after, *query;      /* folded */
	size_t limit;
	json_t *items;                  /* out */
	const char *next;               /* out */
};

/* The object's own shape, with id, version and changed besides. */
static json_t *
object_json(struct op *op, const struct object *object)
{
	json_t *json = shape_write(op, object_kind_row(object->kind)->shape(), object->body);
	char changed[TIME_TEXT_BYTES];

	json_object_set_new(json, "id", json_string(object->id));
	json_object_set_new(json, "version", json_integer(object->version));
	json_object_set_new(json, "changed", json_string(time_text(object->changed_ms, changed)));
	return json;
}

static bool
is_wanted(const struct page *page, const struct object *object)
{
	if (object->kind != page->kind)
		return false;
	if (page->name)
		return !strcmp(object->name_key, page->name);
	return (!page->after || strcmp(object->name_key, page->after) > 0) &&
	       (!page->query || strstr(object->name_key, page->query));
}

static int
page_body(struct op *op, void *arg)
{
	struct page *page = arg;
	const char *last = NULL;
	struct object *v;
	size_t n;
	int rc = objects_read(op, op, &v, &n);

	page->items = json_own(op, json_array());
	page->next = NULL;
	for (size_t i = 0; i < n && !rc; i++) {
		if (!is_wanted(page, &v[i]))
			continue;
		if (json_array_size(page->items) == page->limit) {
			page->next = last;
			break;
		}
		json_array_append(page->items, object_json(op, &v[i]));
		last = v[i].name;
	}
	return rc;
}

/* A name for comparison; NULL stays NULL. */
static int
fold(struct op *op, const char *name, const char **ret)
{
	*ret = name ? text_fold(op->mem, name) : NULL;
	return name && !*ret ? op_fail(op, ERR_INVALID, "the name is not UTF-8") : 0;
}

static int
object_list(struct op *op, struct request *request, struct reply *reply, enum object_kind kind)
{
	struct page page = { .kind = kind };
	struct shape_object_list list;
	const char *after, *query;
	int rc = api_limit(op, request, &page.limit);

	if (!rc)
		rc = api_query(op, request, "after", &after);
	if (!rc)
		rc = api_query(op, request, "query", &query);
	if (!rc)
		rc = fold(op, after, &page.after);
	if (!rc)
		rc = fold(op, query, &page.query);
	if (!rc)
		rc = db_read(op, page_body, &page);
	if (rc)
		return rc;
	list = (struct shape_object_list){ page.items, page.next };
	reply_shape(op, reply, 200, shape_object_list(), &list);
	return 0;
}

static int
object_show(struct op *op, struct request *request, struct reply *reply, enum object_kind kind)
{
	struct page page = { .kind = kind, .limit = 1 };
	const char *name = route_param(request, "name");
	int rc = fold(op, name, &page.name);

	if (!rc)
		rc = db_read(op, page_body, &page);
	if (rc)
		return rc;
	if (!json_array_size(page.items))
		return op_fail(op, ERR_NOT_FOUND, "there is no %s called %s", object_kind_row(kind)->name, name);
	reply_json(op, reply, 200, json_array_get(page.items, 0));
	return 0;
}

static int
object_remove(struct op *op, struct request *request, struct reply *reply, enum object_kind kind)
{
	const char *name = route_param(request, "name");
	struct object_change change = { .kind = kind, .name = name };
	const struct objects_options options = { .source = NULL };
	struct objects_result result;
	int rc = objects_change(op, &change, 1, &options, &result);

	if (!rc)
		api_done(op, reply, "removed %s %s", object_kind_row(kind)->name, name);
	return rc;
}

HANDLER(api_role_list);
HANDLER(api_role_list)
{
	return object_list(op, request, reply, OBJECT_ROLE);
}

HANDLER(api_role_show);
HANDLER(api_role_show)
{
	return object_show(op, request, reply, OBJECT_ROLE);
}

HANDLER(api_role_remove);
HANDLER(api_role_remove)
{
	return object_remove(op, request, reply, OBJECT_ROLE);
}

HANDLER(api_location_list);
HANDLER(api_location_list)
{
	return object_list(op, request, reply, OBJECT_LOCATION);
}

HANDLER(api_location_show);
HANDLER(api_location_show)
{
	return object_show(op, request, reply, OBJECT_LOCATION);
}

HANDLER(api_location_remove);
HANDLER(api_location_remove)
{
	return object_remove(op, request, reply, OBJECT_LOCATION);
}

HANDLER(api_directory_list);
HANDLER(api_directory_list)
{
	return object_list(op, request, reply, OBJECT_DIRECTORY);
}

HANDLER(api_directory_show);
HANDLER(api_directory_show)
{
	return object_show(op, request, reply, OBJECT_DIRECTORY);
}

HANDLER(api_directory_remove);
HANDLER(api_directory_remove)
{
	return object_remove(op, request, reply, OBJECT_DIRECTORY);
}

HANDLER(api_rule_list);
HANDLER(api_rule_list)
{
	return object_list(op, request, reply, OBJECT_RULE);
}

HANDLER(api_rule_show);
HANDLER(api_rule_show)
{
	return object_show(op, request, reply, OBJECT_RULE);
}

HANDLER(api_rule_remove);
HANDLER(api_rule_remove)
{
	return object_remove(op, request, reply, OBJECT_RULE);
}

HANDLER(api_app_list);
HANDLER(api_app_list)
{
	return object_list(op, request, reply, OBJECT_APP);
}

HANDLER(api_app_show);
HANDLER(api_app_show)
{
	return object_show(op, request, reply, OBJECT_APP);
}

HANDLER(api_app_remove);
HANDLER(api_app_remove)
{
	return object_remove(op, request, reply, OBJECT_APP);
}

static int
run_plan(struct op *op, struct request *request, struct reply *reply, bool want_apply)
{
	const struct shape_plan_request *in = route_body(request);
	const struct plan_request plan = { .source = in->file ? in->file : "file", .text = in->text, .size = strlen(in->text),
		.want_prune = in->prune, .want_apply = want_apply, .mark = in->mark };
	const struct shape_plan_view *view;
	int rc = plan_file(op, &plan, &view);

	if (!rc)
		reply_shape(op, reply, 200, shape_plan_view(), view);
	return rc;
}

HANDLER(api_plan);
HANDLER(api_plan)
{
	return run_plan(op, request, reply, false);
}

HANDLER(api_apply);
HANDLER(api_apply)
{
	return run_plan(op, request, reply, true);
}

HANDLER(api_export);
HANDLER(api_export)
{
	char *yaml;
	int rc = plan_export(op, &yaml);

	(void)request;
	if (!rc)
		reply_shape(op, reply, 200, shape_export_view(), &(struct shape_export_view){ yaml });
	return rc;
}
