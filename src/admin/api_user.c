/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The API over people: looking, disabling and enabling here, roles by hand, sessions. */
#include <string.h>

#include "api_int.h"
#include "audit/audit.h"
#include "base/config.h"
#include "base/json.h"
#include "base/text.h"
#include "base/uuid.h"
#include "people/catalog.h"
#include "people/user.h"
#include "store/audit.h"
#include "store/session.h"

#define REFUSALS_MS (30 * INT64_C(86400000))

/* One request about one person: found, perhaps changed, and shown, in one transaction. */
struct about {
	const char *name;                       /* id or login name */
	int (*change)(struct op *op, const struct user *user, const void *in);
	const void *in;
	struct shape_user_view view;            /* out */
};

/* By id, or by login name: the one who has it, or the only active one of several (names are handed over). */
int
api_user_find(struct op *op, const char *name, struct user **ret)
{
	char *key = text_fold(op->mem, name);
	struct user **found, *active = NULL;
	size_t n, n_active = 0;
	int rc;

	if (uuid_is_valid(name))
		return db_user_read(op, name, ret);
	if (!key)
		return op_fail(op, ERR_INVALID, "the name is not UTF-8");
	rc = db_user_find_login(op, key, &found, &n);
	if (rc)
		return rc;
	for (size_t i = 0; i < n; i++)
		if (found[i]->is_active) {
			active = found[i];
			n_active++;
		}
	if (!n)
		return op_fail(op, ERR_NOT_FOUND, "there is no account with login name or id %s", name);
	if (n > 1 && n_active != 1)
		return op_fail(op, ERR_CONFLICT, "%zu accounts have the login name %s; say which by its id", n, name);
	*ret = n > 1 ? active : found[0];
	return 0;
}

static const char *
rule_source(struct op *op, const struct catalog_snapshot *catalog, const struct grant *grant)
{
	const struct catalog_rule *rule;

	if (strcmp(grant->source_kind, "rule"))
		return "hand";
	rule = catalog_rule_by_id(catalog, grant->source_id);
	return op_printf(op, "rule %s", rule ? rule->body->name : grant->source_id);
}

static int
view_grants(struct op *op, const struct user *user, struct shape_list *ret)
{
	const struct catalog_snapshot *catalog = catalog_get(op);
	struct shape_grant_view *views;
	struct grant *grants;
	size_t n;
	int rc = db_grant_list(op, user->id, op->now_ms, &grants, &n);

	if (rc)
		return rc;
	views = op_alloc(op, n * sizeof(*views));
	for (size_t i = 0; i < n; i++) {
		const struct catalog_role *role = catalog_role_by_id(catalog, grants[i].role_id);
		const struct catalog_location *location =
		    grants[i].location_id ? catalog_location_by_id(catalog, grants[i].location_id) : NULL;

		views[i] = (struct shape_grant_view){
			.role = role ? role->body->name : grants[i].role_id,
			.location = location ? location->body->name : grants[i].location_id,
			.until = grants[i].valid_until,
			.source = rule_source(op, catalog, &grants[i]),
		};
	}
	*ret = (struct shape_list){ views, n };
	return 0;
}

static const char *
directory_reason_words(const char *reason)
{
	return !strcmp(reason, "gone") ? "no longer found in the directory" :
	    !strcmp(reason, "out_of_scope") ? "no longer in the part of the directory that is read" :
	    !strcmp(reason, "expired") ? "expired in the directory" : "disabled in the directory";
}

static int
view_reason(struct op *op, const struct user *user, const char **ret)
{
	const char *local = NULL;
	int rc = 0;

	*ret = NULL;
	if (user->is_active)
		return 0;
	if (!user->local_active)
		rc = db_user_state_reason(op, user->id, "local", &local);
	if (!rc && !user->local_active)
		local = local && *local ? op_printf(op, "disabled here: %s", local) : "disabled here";
	if (!rc && user->directory_active)
		*ret = local;
	else if (!rc)
		*ret = op_printf(op, "%s%s%s", directory_reason_words(user->directory_reason), local ? "; " : "", local ? local : "");
	return rc;
}

static int
user_view(struct op *op, const struct user *user, struct shape_user_view *ret)
{
	const struct catalog_directory *directory = catalog_directory_by_id(catalog_get(op), user->directory_id);
	struct shape_user_source *source = op_alloc(op, sizeof(*source));
	int rc;

	*source = (struct shape_user_source){ directory ? directory->body->name : user->directory_id, user->external_id };
	*ret = (struct shape_user_view){
		.id = user->id, .login = user->login, .display_name = user->display_name, .mail = user->mail,
		.state = user->is_active ? "active" : "disabled", .source = source,
	};
	rc = view_reason(op, user, &ret->reason);
	return rc ? rc : view_grants(op, user, &ret->grants);
}

/* For the help desk: why he was refused last, in the directory's words. */
static int
view_refusal(struct op *op, const char *user_id, const struct shape_refusal_view **ret)
{
	const struct audit_filter filter = { .event = event_code(EV_LOGIN_FAIL), .user_id = user_id,
		.from_ms = op->now_ms - REFUSALS_MS };
	struct shape_refusal_view *view;
	struct audit_row *rows;
	const json_t *facts;
	json_t *row;
	size_t n;
	int rc = db_audit_search(op, &filter, true, NULL, 1, &rows, &n);

	if (rc || n == 0)
		return rc;
	rc = json_read(op, rows[0].canonical, strlen(rows[0].canonical), &row);
	facts = rc ? NULL : json_object_get(row, "facts");
	if (!facts || !json_get_text(facts, "reason"))
		return rc;
	view = op_alloc(op, sizeof(*view));
	*view = (struct shape_refusal_view){ .at = rows[0].at_ms, .reason = json_get_text(facts, "reason"),
		.detail = json_get_text(facts, "detail") };
	*ret = view;
	return 0;
}

static int
about_body(struct op *op, void *arg)
{
	struct about *about = arg;
	struct user *user;
	int rc = api_user_find(op, about->name, &user);

	if (!rc && about->change) {
		rc = about->change(op, user, about->in);
		if (!rc)
			rc = db_user_read(op, user->id, &user);
	}
	if (!rc)
		rc = user_view(op, user, &about->view);
	return rc ? rc : view_refusal(op, user->id, &about->view.last_refusal);
}

static int
answer(struct op *op, struct request *request, struct reply *reply, int (*change)(struct op *, const struct user *, const void *))
{
	struct about about = { .name = route_param(request, "user"), .change = change, .in = route_body(request) };
	int rc = change ? db_run(op, about_body, &about) : db_read(op, about_body, &about);

	if (!rc)
		reply_shape(op, reply, 200, shape_user_view(), &about.view);
	return rc;
}

HANDLER(api_user_show);
HANDLER(api_user_show)
{
	return answer(op, request, reply, NULL);
}

static int
change_disable(struct op *op, const struct user *user, const void *in)
{
	const struct shape_disable_request *request = in;

	return users_set_local(op, user->id, false, request ? request->reason : NULL);
}

HANDLER(api_user_disable);
HANDLER(api_user_disable)
{
	return answer(op, request, reply, change_disable);
}

static int
change_enable(struct op *op, const struct user *user, const void *in)
{
	(void)in;
	return users_set_local(op, user->id, true, NULL);
}

HANDLER(api_user_enable);
HANDLER(api_user_enable)
{
	return answer(op, request, reply, change_enable);
}

/* Names to ids of current objects. */
static int
find_role(struct op *op, const struct shape_grant_change *in, const char **ret_role, const char **ret_location)
{
	const struct catalog_snapshot *catalog = catalog_get(op);
	const struct catalog_role *role = catalog_role(catalog, in->role);
	const struct catalog_location *location = in->location ? catalog_location(catalog, in->location) : NULL;

	if (!role)
		return op_fail(op, ERR_NOT_FOUND, "there is no role %s", in->role);
	if (in->location && !location)
		return op_fail(op, ERR_NOT_FOUND, "there is no location %s", in->location);
	*ret_role = role->id;
	*ret_location = location ? location->id : NULL;
	return 0;
}

static int
change_grant(struct op *op, const struct user *user, const void *in)
{
	const struct shape_grant_change *change = in;
	const char *role, *location;
	int rc = find_role(op, change, &role, &location);

	return rc ? rc : users_grant(op, user->id, role, location, change->until);
}

HANDLER(api_user_grant);
HANDLER(api_user_grant)
{
	return answer(op, request, reply, change_grant);
}

static int
change_revoke(struct op *op, const struct user *user, const void *in)
{
	const char *role, *location;
	int rc = find_role(op, in, &role, &location);

	return rc ? rc : users_revoke(op, user->id, role, location);
}

HANDLER(api_user_revoke);
HANDLER(api_user_revoke)
{
	return answer(op, request, reply, change_revoke);
}

/* ---- lists ---- */

struct page {
	const char *after, *state, *directory_id, *query;
	size_t limit;
	struct shape_user_list list;            /* out */
};

static int
list_body(struct op *op, void *arg)
{
	struct page *page = arg;
	struct shape_user_view *views;
	struct user *users;
	size_t n;
	int rc = db_user_list(op, page->after, page->state, page->directory_id, page->query, page->limit + 1, &users, &n);

	if (rc)
		return rc;
	page->list.next = n > page->limit ? users[page->limit - 1].id : NULL;
	n = n > page->limit ? page->limit : n;
	views = op_alloc(op, n * sizeof(*views));
	for (size_t i = 0; !rc && i < n; i++)
		rc = user_view(op, &users[i], &views[i]);
	page->list.items = (struct shape_list){ views, n };
	return rc;
}

static int
list_filters(struct op *op, const struct request *request, struct page *page)
{
	const struct catalog_directory *directory;
	const char *name;
	int rc = api_query(op, request, "state", &page->state);

	if (!rc && page->state && strcmp(page->state, "active") && strcmp(page->state, "disabled"))
		return op_fail(op, ERR_INVALID, "state must be active or disabled");
	if (!rc)
		rc = api_query(op, request, "directory", &name);
	if (!rc && name) {
		directory = catalog_directory(catalog_get(op), name);
		if (!directory)
			return op_fail(op, ERR_NOT_FOUND, "there is no directory %s", name);
		page->directory_id = directory->id;
	}
	if (!rc)
		rc = api_query(op, request, "query", &page->query);
	if (!rc && page->query) {
		page->query = text_fold(op->mem, page->query);
		if (!page->query)
			return op_fail(op, ERR_INVALID, "query is not UTF-8");
	}
	return rc;
}

HANDLER(api_user_list);
HANDLER(api_user_list)
{
	struct page page = { 0 };
	int rc = api_limit(op, request, &page.limit);

	if (!rc)
		rc = api_query(op, request, "after", &page.after);
	if (!rc)
		rc = list_filters(op, request, &page);
	if (!rc)
		rc = db_read(op, list_body, &page);
	if (!rc)
		reply_shape(op, reply, 200, shape_user_list(), &page.list);
	return rc;
}

struct sessions {
	const char *name;
	struct shape_session_list list;         /* out */
};

static int
sessions_body(struct op *op, void *arg)
{
	struct sessions *sessions = arg;
	struct shape_session_view *views;
	struct session_row *rows;
	struct user *user;
	size_t n;
	int rc = api_user_find(op, sessions->name, &user);

	if (!rc)
		rc = db_session_list(op, user->id, op->now_ms, op->now_ms - op->config->session_idle * 1000, &rows, &n);
	if (rc)
		return rc;
	views = op_alloc(op, n * sizeof(*views));
	for (size_t i = 0; i < n; i++)
		views[i] = (struct shape_session_view){
			.id = rows[i].id, .since = rows[i].created_ms, .seen = rows[i].seen_ms, .until = rows[i].until_ms,
			.address = rows[i].address, .device = rows[i].device,
		};
	sessions->list.items = (struct shape_list){ views, n };
	return 0;
}

HANDLER(api_user_sessions);
HANDLER(api_user_sessions)
{
	struct sessions sessions = { .name = route_param(request, "user") };
	int rc = db_read(op, sessions_body, &sessions);

	if (!rc)
		reply_shape(op, reply, 200, shape_session_list(), &sessions.list);
	return rc;
}
