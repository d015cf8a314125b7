/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The API over synchronisation: beginning and approving runs, watching them, reading their plans page by page. */
#include <stdlib.h>
#include <string.h>

#include "api_int.h"
#include "base/config.h"
#include "base/text.h"
#include "base/time.h"
#include "people/catalog.h"
#include "store/sync.h"
#include "sync/sync.h"

static const char *
directory_name(struct op *op, const char *id)
{
	const struct catalog_directory *directory = catalog_directory_by_id(catalog_get(op), id);

	return directory ? directory->body->name : id;
}

static int
run_view(struct op *op, const struct sync_run_row *run, struct shape_sync_run_view *ret)
{
	struct shape_sync_counts_view *view = op_alloc(op, sizeof(*view));
	json_t *counts;
	int rc = json_read(op, run->counts, strlen(run->counts), &counts);

	if (rc)
		return rc;
#define COUNT(name) .name = json_get_int(counts, #name)
	*view = (struct shape_sync_counts_view){
		COUNT(read), COUNT(skipped), COUNT(groups), COUNT(create), COUNT(change), COUNT(disable), COUNT(enable), COUNT(grant),
		COUNT(end), COUNT(member), COUNT(unchanged), COUNT(inactive), COUNT(planned), COUNT(losing),
		COUNT(disabled_lately), COUNT(active_before), COUNT(limit), .applied = run->applied_seq,
	};
#undef COUNT
	*ret = (struct shape_sync_run_view){
		.id = run->id, .directory = directory_name(op, run->directory_id), .purpose = run->purpose, .state = run->state,
		.cause = run->cause, .finished = run->finished_ms != 0,
		.over_limit = view->losing > 0 && view->losing + view->disabled_lately > view->limit && view->limit > 0,
		.since = run->started_ms, .until = run->finished_ms, .failure = run->failure, .approved_by = run->approved_by,
		.plan_hash = *run->plan_hash ? run->plan_hash : NULL, .counts = view,
	};
	return 0;
}

/* ---- beginning ---- */

/* The directory of the request; the only one that is enabled when none is named. */
static int
find_directory(struct op *op, const char *name, const struct catalog_directory **ret)
{
	const struct catalog_snapshot *catalog = catalog_get(op);
	size_t n = 0;

	if (name) {
		*ret = catalog_directory(catalog, name);
		return *ret ? 0 : op_fail(op, ERR_NOT_FOUND, "there is no directory %s", name);
	}
	for (size_t i = 0; i < catalog->n_directories; i++)
		if (catalog->directories[i].body->enabled) {
			*ret = &catalog->directories[i];
			n++;
		}
	if (!n)
		return op_fail(op, ERR_NOT_FOUND, "there is no directory yet: add one with keyward directory add");
	if (n > 1)
		return op_fail(op, ERR_INVALID, "there are %zu directories; say which one with --directory NAME", n);
	return 0;
}

struct show {
	const char *id;
	struct shape_sync_run_view view;        /* out */
};

static int
show_body(struct op *op, void *arg)
{
	struct show *show = arg;
	struct sync_run_row *run;
	int rc = db_sync_run_read(op, show->id, &run);

	return rc ? rc : run_view(op, run, &show->view);
}

static int
show(struct op *op, struct reply *reply, int status, const char *id)
{
	struct show about = { .id = id };
	int rc = db_read(op, show_body, &about);

	if (!rc)
		reply_shape(op, reply, status, shape_sync_run_view(), &about.view);
	return rc;
}

static int
begin(struct op *op, struct request *request, struct reply *reply, bool is_preview)
{
	const struct shape_sync_request *in = route_body(request);
	const struct catalog_directory *directory;
	char *run;
	int rc = find_directory(op, in ? in->directory : NULL, &directory);

	if (!rc)
		rc = sync_start(op, directory, is_preview, "hand", &run);
	if (!rc)
		rc = sync_queue(op, run);
	return rc ? rc : show(op, reply, 202, run);
}

HANDLER(api_sync_preview);
HANDLER(api_sync_preview)
{
	return begin(op, request, reply, true);
}

HANDLER(api_sync_run);
HANDLER(api_sync_run)
{
	return begin(op, request, reply, false);
}

HANDLER(api_sync_approve);
HANDLER(api_sync_approve)
{
	const char *run = route_param(request, "run");
	int rc = sync_approve(op, run);

	if (!rc)
		rc = sync_queue(op, run);
	return rc ? rc : show(op, reply, 202, run);
}

/* ---- watching ---- */

HANDLER(api_sync_run_show);
HANDLER(api_sync_run_show)
{
	return show(op, reply, 200, route_param(request, "run"));
}

struct runs {
	const char *directory_id, *after;
	size_t limit;
	struct shape_sync_run_list list;        /* out */
};

static int
runs_body(struct op *op, void *arg)
{
	struct runs *runs = arg;
	struct shape_sync_run_view *views;
	struct sync_run_row *rows;
	size_t n;
	int rc = db_sync_run_list(op, runs->directory_id, runs->after, runs->limit + 1, &rows, &n);

	if (rc)
		return rc;
	runs->list.next = n > runs->limit ? rows[runs->limit - 1].id : NULL;
	n = n > runs->limit ? runs->limit : n;
	views = op_alloc(op, n * sizeof(*views));
	for (size_t i = 0; !rc && i < n; i++)
		rc = run_view(op, &rows[i], &views[i]);
	runs->list.items = (struct shape_list){ views, n };
	return rc;
}

HANDLER(api_sync_run_list);
HANDLER(api_sync_run_list)
{
	const struct catalog_directory *directory;
	struct runs runs = { 0 };
	const char *name;
	int rc = api_limit(op, request, &runs.limit);

	if (!rc)
		rc = api_query(op, request, "after", &runs.after);
	if (!rc)
		rc = api_query(op, request, "directory", &name);
	if (!rc && name) {
		rc = find_directory(op, name, &directory);
		runs.directory_id = rc ? NULL : directory->id;
	}
	if (!rc)
		rc = db_read(op, runs_body, &runs);
	if (!rc)
		reply_shape(op, reply, 200, shape_sync_run_list(), &runs.list);
	return rc;
}

static int
status_of(struct op *op, const struct catalog_directory *directory, struct shape_sync_status_view *ret)
{
	struct shape_sync_run_view *last = op_alloc(op, sizeof(*last)), *frozen = op_alloc(op, sizeof(*frozen));
	struct sync_run_row *rows;
	int64_t last_ms;
	size_t n;
	int rc = db_sync_last_done(op, directory->id, &ret->last_success);

	ret->directory = directory->body->name;
	ret->enabled = directory->body->enabled;
	if (!rc)
		rc = db_sync_last_time(op, directory->id, &last_ms);
	if (!rc && directory->body->enabled)
		ret->next = last_ms + op->config->sync_interval * 1000;
	if (!rc)
		rc = db_sync_run_list(op, directory->id, NULL, 1, &rows, &n);
	if (!rc && n) {
		rc = run_view(op, &rows[0], last);
		ret->last = last;
	}
	if (!rc)
		rc = db_sync_run_frozen(op, directory->id, &rows, &n);
	if (!rc && n) {
		rc = run_view(op, &rows[0], frozen);
		ret->frozen = frozen;
	}
	return rc;
}

static int
status_body(struct op *op, void *arg)
{
	const struct catalog_snapshot *catalog = catalog_get(op);
	struct shape_sync_status_list *list = arg;
	struct shape_sync_status_view *views = op_alloc(op, catalog->n_directories * sizeof(*views));
	int rc = 0;

	for (size_t i = 0; !rc && i < catalog->n_directories; i++)
		rc = status_of(op, &catalog->directories[i], &views[i]);
	list->items = (struct shape_list){ views, catalog->n_directories };
	return rc;
}

HANDLER(api_sync_status);
HANDLER(api_sync_status)
{
	struct shape_sync_status_list list;
	int rc = db_read(op, status_body, &list);

	(void)request;
	if (!rc)
		reply_shape(op, reply, 200, shape_sync_status_list(), &list);
	return rc;
}

/* ---- the plan ---- */

static void
add_words(struct buf *text, const char *separator, const char *words)
{
	buf_printf(text, "%s%s", text->length ? separator : "", words);
}

/* "role nurse at harbour by rule nurses" */
static const char *
grant_words(struct op *op, const json_t *grant, bool want_rule)
{
	const struct catalog_snapshot *catalog = catalog_get(op);
	const char *role_id = json_get_text(grant, "role"), *location_id = json_get_text(grant, "location");
	const char *rule_id = json_get_text(grant, "rule");
	const struct catalog_role *role = role_id ? catalog_role_by_id(catalog, role_id) : NULL;
	const struct catalog_location *location = location_id ? catalog_location_by_id(catalog, location_id) : NULL;
	const struct catalog_rule *rule = rule_id ? catalog_rule_by_id(catalog, rule_id) : NULL;
	struct buf text = buf_in(op->mem);

	buf_printf(&text, "role %s", role ? role->body->name : role_id ? role_id : "?");
	if (location_id)
		buf_printf(&text, " at %s", location ? location->body->name : location_id);
	if (want_rule && rule_id)
		buf_printf(&text, " by rule %s", rule ? rule->body->name : rule_id);
	return text.text;
}

/* A value of a changed field for people: ends are kept as milliseconds. */
static const char *
field_text(struct op *op, const char *name, const json_t *value)
{
	const char *text = json_string_value(value);
	char time[TIME_TEXT_BYTES];

	if (!text)
		return "none";
	return strcmp(name, "until") ? text : op_strdup(op, time_text(atoll(text), time));
}

static const char *
fields_words(struct op *op, const json_t *body)
{
	struct buf text = buf_in(op->mem);
	const char *name;
	json_t *pair;

	json_object_foreach((json_t *)(uintptr_t)body, name, pair) {
		if (!strcmp(name, "attributes") || !json_is_array(pair))
			add_words(&text, "; ", name);
		else
			add_words(&text, "; ", op_printf(op, "%s: %s -> %s", name, field_text(op, name, json_array_get(pair, 0)),
			    field_text(op, name, json_array_get(pair, 1))));
	}
	return text.length ? text.text : "data";
}

static const char *
member_words(struct op *op, const json_t *body)
{
	static const struct { const char *name, *words; } lists[] = { { "join", "joins" }, { "leave", "leaves" } };
	struct buf text = buf_in(op->mem);

	for (size_t i = 0; i < countof(lists); i++) {
		const json_t *list = json_object_get(body, lists[i].name);

		for (size_t j = 0; j < json_array_size(list); j++)
			add_words(&text, ", ", op_printf(op, "%s %s", lists[i].words, json_string_value(json_array_get(list, j))));
	}
	return text.text;
}

static const char *
what_words(struct op *op, const struct sync_plan_row *row, const json_t *body)
{
	const json_t *grants = json_object_get(body, "grants");
	struct buf text = buf_in(op->mem);

	if (!strcmp(row->action, "create")) {
		add_words(&text, "", "account is created");
		for (size_t i = 0; i < json_array_size(grants); i++)
			add_words(&text, ", ", grant_words(op, json_array_get(grants, i), true));
		return text.text;
	}
	if (!strcmp(row->action, "change"))
		return fields_words(op, body);
	if (!strcmp(row->action, "disable"))
		return "account is disabled, sessions end";
	if (!strcmp(row->action, "enable"))
		return "account is enabled";
	if (!strcmp(row->action, "grant"))
		return op_printf(op, "gets %s", grant_words(op, body, false));
	if (!strcmp(row->action, "end"))
		return op_printf(op, "loses %s", grant_words(op, body, false));
	if (!strcmp(row->action, "member"))
		return member_words(op, body);
	return "entry is skipped";
}

static const char *
why_words(struct op *op, const struct sync_plan_row *row, const json_t *body)
{
	const char *rule_id = json_get_text(body, "rule");
	const struct catalog_rule *rule = rule_id ? catalog_rule_by_id(catalog_get(op), rule_id) : NULL;

	if (!strcmp(row->action, "change"))
		return "changed in the directory";
	if (rule && !strcmp(row->action, "end"))
		return op_printf(op, "rule %s gives it no more", rule->body->name);
	return rule ? op_printf(op, "given by rule %s", rule->body->name) : row->why;
}

static int
plan_view(struct op *op, const struct sync_plan_row *row, struct shape_sync_plan_view *ret)
{
	json_t *body;
	int rc = json_read(op, row->body, strlen(row->body), &body);

	if (rc)
		return rc;
	*ret = (struct shape_sync_plan_view){
		.seq = row->seq, .action = row->action,
		.who = *row->login ? op_printf(op, "%s (%s)", row->display_name, row->login) : row->display_name,
		.what = what_words(op, row, body), .why = why_words(op, row, body),
		.login = *row->login ? row->login : NULL, .display_name = row->display_name, .user = row->user_id, .id = row->external_id,
	};
	return 0;
}

struct plan {
	const char *run;
	int64_t after;
	size_t limit;
	struct shape_sync_plan_list list;       /* out */
};

static int
plan_body(struct op *op, void *arg)
{
	struct plan *plan = arg;
	struct shape_sync_plan_view *views;
	struct sync_run_row *run;
	struct sync_plan_row *rows;
	size_t n;
	int rc = db_sync_run_read(op, plan->run, &run);

	if (!rc)
		rc = db_sync_plan_page(op, plan->run, plan->after, plan->limit + 1, &rows, &n);
	if (rc)
		return rc;
	plan->list.next = n > plan->limit ? op_printf(op, "%lld", (long long)rows[plan->limit - 1].seq) : NULL;
	n = n > plan->limit ? plan->limit : n;
	views = op_alloc(op, n * sizeof(*views));
	for (size_t i = 0; !rc && i < n; i++)
		rc = plan_view(op, &rows[i], &views[i]);
	plan->list.items = (struct shape_list){ views, n };
	return rc;
}

HANDLER(api_sync_plan);
HANDLER(api_sync_plan)
{
	struct plan plan = { .run = route_param(request, "run") };
	const char *after;
	int rc = api_limit(op, request, &plan.limit);

	if (!rc)
		rc = api_query(op, request, "after", &after);
	if (!rc && after) {
		if (strspn(after, "0123456789") != strlen(after) || strlen(after) > 15)
			return op_fail(op, ERR_INVALID, "after must be the cursor of the page before");
		plan.after = atoll(after);
	}
	if (!rc)
		rc = db_read(op, plan_body, &plan);
	if (!rc)
		reply_shape(op, reply, 200, shape_sync_plan_list(), &plan.list);
	return rc;
}
