/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The API over the audit log.  Whoever begins to read it is recorded in it (ASVS 5.0 16.2.1; who looked at whom is a question that
 * clinics are asked); the pages behind that are not.  Read api_audit_list, then view.
 */
#include <string.h>

#include "api_int.h"
#include "audit/audit.h"
#include "base/json.h"
#include "base/network.h"
#include "base/text.h"
#include "base/time.h"
#include "base/uuid.h"
#include "people/catalog.h"
#include "store/audit.h"
#include "store/user.h"

struct page {
	struct audit_filter filter;
	const char *person, *after, *words; /* words: the filter as it was asked for */
	bool is_newest_first;
	size_t limit;
	struct shape_audit_list list; /* out */
};

/* ---- rows as they are shown ---- */

/* Names today of the accounts that a page speaks of. */
struct names {
	const char **ids;
	struct user **users;
	size_t n;
};

static void
want_name(struct names *names, const char *id)
{
	if (id && uuid_is_valid(id))
		names->ids[names->n++] = id;
}

static int
names_load(struct op *op, const struct audit_row *rows, size_t n, struct names *ret)
{
	ret->ids = op_alloc(op, (2 * n + 1) * sizeof(*ret->ids));
	ret->n = 0;
	for (size_t i = 0; i < n; i++) {
		want_name(ret, rows[i].actor);
		want_name(ret, rows[i].target);
	}
	return db_user_read_many(op, ret->ids, ret->n, &ret->users);
}

static const char *
object_name(const struct catalog_snapshot *c, const char *id)
{
	const struct catalog_role *role = catalog_role_by_id(c, id);
	const struct catalog_location *location = catalog_location_by_id(c, id);
	const struct catalog_directory *directory = catalog_directory_by_id(c, id);
	const struct catalog_rule *rule = catalog_rule_by_id(c, id);
	const struct catalog_app *app = catalog_app_by_id(c, id);

	return role	   ? role->body->name
	       : location  ? location->body->name
	       : directory ? directory->body->name
	       : rule	   ? rule->body->name
	       : app	   ? app->body->name
			   : NULL;
}

static const char *
name_of(struct op *op, const struct names *names, const char *id)
{
	for (size_t i = 0; id && i < names->n; i++)
		if (strcmp(names->ids[i], id) == 0 && names->users[i])
			return names->users[i]->login;
	return id ? object_name(catalog_get(op), id) : NULL;
}

/* Facts hold ids, because names change; who reads them wants to see a name. */
static json_t *
fact_names(struct op *op, const json_t *facts)
{
	const struct catalog_snapshot *catalog = catalog_get(op);
	json_t *names = json_own(op, json_object()), *value;
	const char *fact;

	json_object_foreach((json_t *)(uintptr_t)facts, fact, value) {
		const char *id = json_string_value(value), *name = id && uuid_is_valid(id) ? object_name(catalog, id) : NULL;

		if (name)
			json_object_set_new(names, fact, json_string(name));
	}
	return json_object_size(names) ? names : NULL;
}

/* What stands in clear beside the row; a commitment without its clear text was erased. */
static int
view_personal(struct op *op, const struct audit_row *row, const json_t *canonical, struct shape_audit_view *view)
{
	json_t *personal = json_own(op, json_object()), *commitment;
	struct audit_personal_row *v;
	const char *name;
	size_t n;
	int rc = db_audit_personal(op, row->id, &v, &n);

	if (rc)
		return rc;
	json_object_foreach(json_object_get(canonical, "personal"), name, commitment)
	    json_object_set_new(personal, name, json_null());
	for (size_t i = 0; i < n; i++) {
		if (strcmp(v[i].field, "address") == 0) {
			view->address = v[i].value;
			json_object_del(personal, "address");
		} else {
			json_object_set_new(personal, v[i].field, json_string(v[i].value));
		}
	}
	view->personal = json_object_size(personal) ? personal : NULL;
	return 0;
}

static int
view(struct op *op, const struct audit_row *row, const struct names *names, struct shape_audit_view *ret)
{
	const json_t *actor;
	json_t *canonical;
	int rc = json_read(op, row->canonical, strlen(row->canonical), &canonical);

	if (rc)
		return rc;
	actor = json_object_get(canonical, "actor");
	*ret = (struct shape_audit_view){
	    .id = row->id,
	    .at = row->at_ms,
	    .event = row->event,
	    .text = event_text(row->event),
	    .actor_kind = json_get_text(actor, "kind"),
	    .actor = row->actor,
	    .actor_name = name_of(op, names, row->actor),
	    .on_behalf_of = json_get_text(canonical, "on_behalf_of"),
	    .target = row->target,
	    .target_name = name_of(op, names, row->target),
	    .session = json_get_text(canonical, "session"),
	    .request = row->request_id,
	    .facts = json_object_get(canonical, "facts"),
	};
	ret->fact_names = fact_names(op, ret->facts);
	return view_personal(op, row, canonical, ret);
}

/* ---- finding them ---- */

/* An account of that name or id, and whatever was recorded with that login name, account or none. */
static int
find_person(struct op *op, struct page *page)
{
	struct user *user;
	int rc;

	if (!page->person)
		return 0;
	page->filter.login = page->person;
	rc = api_user_find(op, page->person, &user);
	if (rc == ERR_NOT_FOUND) {
		op_forgive(op);
		page->filter.user_id = uuid_is_valid(page->person) ? page->person : NULL;
		return 0;
	}
	if (!rc) {
		page->filter.user_id = user->id;
		page->filter.login = user->login;
	}
	return rc;
}

static int
list_body(struct op *op, void *arg)
{
	struct page *page = arg;
	struct shape_audit_view *views;
	struct audit_row *rows;
	struct names names;
	size_t n;
	int rc = page->after ? db_audit_exists(op, page->after) : 0;

	if (!rc)
		rc = find_person(op, page);
	if (!rc)
		rc = db_audit_search(op, &page->filter, page->is_newest_first, page->after, page->limit + 1, &rows, &n);
	if (rc)
		return rc;
	page->list.next = n > page->limit ? rows[page->limit - 1].id : NULL;
	n = n > page->limit ? page->limit : n;
	views = op_alloc(op, (n + 1) * sizeof(*views));
	rc = names_load(op, rows, n, &names);
	for (size_t i = 0; !rc && i < n; i++)
		rc = view(op, &rows[i], &names, &views[i]);
	page->list.items = (struct shape_list){ views, n };
	return rc;
}

static int
record_body(struct op *op, void *arg)
{
	const struct page *page = arg;

	return audit_record(op, EV_AUDIT_READ, NULL, FACTS(PERSONAL("filter", *page->words ? page->words : NULL)));
}

/* ---- what was asked for ---- */

static int
read_time(struct op *op, const struct request *request, const char *name, int64_t *ret_ms)
{
	const char *text;
	int rc = api_query(op, request, name, &text);

	if (rc || !text)
		return rc;
	return time_parse(text, ret_ms)
		   ? 0
		   : op_fail(op, ERR_INVALID, "%s must be a time like 2030-01-31 or 2030-01-31T17:00:00Z", name);
}

static int
check_event(struct op *op, const char *event)
{
	size_t n;
	const char *const *codes = event_codes(&n), *near;

	if (!event || event_text(event))
		return 0;
	near = text_nearest(event, codes, n);
	return op_fail(
	    op, ERR_INVALID, "there is no event %s%s%s%s", event, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

/* As the log writes it; what is none would look like a machine that never came. */
static int
read_address(struct op *op, const char **address)
{
	char *text = op_alloc(op, ADDRESS_TEXT_BYTES);
	struct address read;

	if (!*address || !strcmp(*address, "unix"))
		return 0;
	if (!address_read(*address, &read))
		return op_fail(
		    op, ERR_INVALID, "address must be one network address like 192.0.2.7 or 2001:db8::1, or unix (the command line)");
	*address = address_text(&read, text);
	return 0;
}

static int
read_filter(struct op *op, const struct request *request, struct page *page)
{
	const struct {
		const char *name, **to;
	} texts[] = {
	    { "person", &page->person },
	    { "actor", &page->filter.actor },
	    { "event", &page->filter.event },
	    { "app", &page->filter.app },
	    { "address", &page->filter.address },
	    { "request", &page->filter.request_id },
	    { "after", &page->after },
	};
	int rc = 0;

	for (size_t i = 0; !rc && i < countof(texts); i++)
		rc = api_query(op, request, texts[i].name, texts[i].to);
	if (!rc)
		rc = check_event(op, page->filter.event);
	if (!rc)
		rc = read_time(op, request, "from", &page->filter.from_ms);
	if (!rc)
		rc = read_time(op, request, "to", &page->filter.to_ms);
	if (!rc)
		rc = read_address(op, &page->filter.address);
	if (!rc && page->filter.from_ms && page->filter.to_ms && page->filter.to_ms <= page->filter.from_ms)
		return op_fail(op, ERR_INVALID, "from must be before to (a date alone means its first moment, in UTC)");
	return rc;
}

/* Rows that are written side by side appear in another order than their ids: who goes on behind the last one must not miss any. */
static int
read_settled(struct op *op, const struct request *request, struct page *page)
{
	const char *settled;
	int rc = api_query(op, request, "settled", &settled);

	if (!rc && settled && strcmp(settled, "true") != 0)
		return op_fail(op, ERR_INVALID, "settled must be true, or be left out");
	if (!rc && settled)
		page->filter.before_id = db_settled(op);
	page->list.complete = db_audit_is_complete(op, &page->filter);
	return rc;
}

static int
read_order(struct op *op, const struct request *request, struct page *page)
{
	const char *order;
	int rc = api_query(op, request, "order", &order);

	if (!rc && order && strcmp(order, "oldest") && strcmp(order, "newest"))
		return op_fail(op, ERR_INVALID, "order must be newest or oldest");
	page->is_newest_first = !order || !strcmp(order, "newest");
	return rc;
}

HANDLER(api_audit_list);
HANDLER(api_audit_list)
{
	struct page page = { .words = request->raw_query };
	int rc = api_limit(op, request, &page.limit);

	if (!rc)
		rc = read_order(op, request, &page);
	if (!rc)
		rc = read_filter(op, request, &page);
	if (!rc)
		rc = read_settled(op, request, &page);
	if (!rc)
		rc = db_read(op, list_body, &page);
	/* a page behind a row that exists goes on with what was recorded */
	if (!rc && !page.after)
		rc = db_run(op, record_body, &page);
	if (!rc)
		reply_shape(op, reply, 200, shape_audit_list(), &page.list);
	return rc;
}
