/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The account page: who am I, which roles do I hold where, where am I signed in; and its two forms, which end sessions. 
 * Everybody sees and ends only what is his own: every statement is bound to the user of the session.
 */
#include <string.h>

#include "base/config.h"
#include "base/time.h"
#include "login/flow.h"
#include "login/page.h"
#include "login/session.h"
#include "page_int.h"
#include "store/session.h"

struct account {
	const struct session *session;
	struct user *user;
	struct grant *grants;           size_t n_grants;
	struct session_row *sessions;   size_t n_sessions;
};

static int
read_body(struct op *op, void *arg)
{
	struct account *a = arg;
	int rc = db_user_read(op, a->session->user_id, &a->user);

	if (!rc)
		rc = db_grant_list(op, a->session->user_id, op->now_ms, &a->grants, &a->n_grants);
	if (!rc)
		rc = db_session_list(op, a->session->user_id, op->now_ms, op->now_ms - op->config->session_idle * 1000,
		    &a->sessions, &a->n_sessions);
	return rc;
}

/* ---- the page ---- */

static const char *
minute_text(struct op *op, int64_t at_ms)
{
	char text[TIME_TEXT_BYTES];

	time_text(at_ms, text);
	return op_printf(op, "%.10s %.5s UTC", text, text + 11);
}

static const char *
iso_text(struct op *op, int64_t at_ms)
{
	char text[TIME_TEXT_BYTES];

	return op_strdup(op, time_text(at_ms, text));
}

static const char *
first_found(const char *text, const char *const (*names)[2], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strstr(text, names[i][0]))
			return names[i][1];
	return NULL;
}

/*
 * "Firefox, Windows" from a User-Agent; names of products need no translation.  The order matters: most browsers name others,
 * too.
 */
static const char *
device_text(struct op *op, const char *agent)
{
	static const char *const browsers[][2] = { { "Edg", "Edge" }, { "Firefox/", "Firefox" }, { "OPR/", "Opera" },
		{ "Chrome/", "Chrome" },
		{ "CriOS/", "Chrome" }, { "Safari/", "Safari" }, { "curl/", "curl" } };
	static const char *const systems[][2] = { { "Windows", "Windows" }, { "iPhone", "iPhone" }, { "iPad", "iPad" },
		{ "Android", "Android" },
		{ "CrOS", "ChromeOS" }, { "Mac OS X", "macOS" }, { "Linux", "Linux" } };
	const char *browser = first_found(agent, browsers, countof(browsers)), *system = first_found(agent, systems,
	    countof(systems));

	if (browser && system)
		return op_printf(op, "%s, %s", browser, system);
	return browser ? browser : system ? system : page_word(op, WEB_account_unknown_device);
}

static void
fill_roles(struct op *op, const struct account *a, struct web_account *page)
{
	const struct catalog_snapshot *c = catalog_get(op);
	struct web_account_roles *v = op_alloc(op, a->n_grants * sizeof(*v));

	for (size_t i = 0; i < a->n_grants; i++) {
		const struct grant *grant = &a->grants[i];
		const struct catalog_role *role = catalog_role_by_id(c, grant->role_id);
		const struct catalog_location *place = grant->location_id ? catalog_location_by_id(c, grant->location_id) : NULL;

		/* a removed role or location gives nothing any more */
		if (!role || (grant->location_id && !place))
			continue;
		v[page->n_roles++] = (struct web_account_roles){
			.title = role->body->title ? role->body->title : role->body->name,
			.place = !place ? NULL : place->body->title ? place->body->title : place->body->name,
			.until = grant->valid_until ? minute_text(op, grant->valid_until) : NULL };
	}
	page->roles = v;
}

static void
fill_sessions(struct op *op, const struct account *a, struct web_account *page)
{
	struct web_account_sessions *v = op_alloc(op, a->n_sessions * sizeof(*v));

	for (size_t i = 0; i < a->n_sessions; i++) {
		const struct session_row *row = &a->sessions[i];

		v[i] = (struct web_account_sessions){ .id = row->id, .address = row->address, .device = device_text(op,
		    row->device),
			.since = minute_text(op, row->created_ms), .since_iso = iso_text(op, row->created_ms),
			.seen = minute_text(op, row->seen_ms), .seen_iso = iso_text(op, row->seen_ms),
			.is_current = strcmp(row->id, a->session->id) == 0 };
		page->has_others |= !v[i].is_current;
	}
	page->sessions = v;
	page->n_sessions = a->n_sessions;
}

static int
show_account(struct op *op, const struct request *request, struct reply *reply, const struct session *session, const char *done)
{
	struct account a = { .session = session };
	struct web_account page = { PAGE_FRAME_PLAIN(op), .done = done };
	const struct catalog_directory *directory;
	int rc = db_read(op, read_body, &a);

	if (rc)
		return rc;
	directory = catalog_directory_by_id(catalog_get(op), a.user->directory_id);
	page.display_name = *a.user->display_name ? a.user->display_name : a.user->login;
	page.login = a.user->login;
	page.mail = a.user->mail;
	page.directory = directory ? directory->body->name : "";
	page.csrf = form_token(op, request, reply);
	fill_roles(op, &a, &page);
	fill_sessions(op, &a, &page);
	page_send(op, reply, 200, web_account(op->mem, op->caller.language, &page), "");
	return 0;
}

HANDLER(page_account)
{
	struct session *session;
	int rc = session_find(op, request, &session);

	if (rc)
		return rc;
	if (session)
		return show_account(op, request, reply, session, NULL);
	flow_start(op, reply, "/account", NULL, false);
	return 0;
}

/* ---- ending sessions ---- */

static int
sign_out_body(struct op *op, void *session_id)
{
	return session_end(op, session_id, "signed out");
}

HANDLER(page_sign_out)
{
	struct session *session;
	int rc = session_find(op, request, &session);

	if (!rc && session)
		rc = db_run(op, sign_out_body, op_strdup(op, session->id));
	if (rc)
		return rc;
	session_clear_cookie(reply);
	page_signed_out(op, request, reply);
	return 0;
}

struct ending {
	const struct session *session;  /* the one that asks: never ended here */
	const char *which;              /* an id, or "others" */
	int ended;
};

static int
end_body(struct op *op, void *arg)
{
	struct ending *e = arg;
	struct session_row *rows;
	size_t n;
	int rc = db_session_list(op, e->session->user_id, op->now_ms, op->now_ms - op->config->session_idle * 1000, &rows, &n);

	e->ended = 0;
	/* only sessions of this person are in the list: another's id ends nothing */
	for (size_t i = 0; i < n && !rc; i++) {
		if (strcmp(rows[i].id, e->session->id) == 0 || (strcmp(e->which, "others") != 0 && strcmp(e->which,
		    rows[i].id) != 0))
			continue;
		rc = session_end(op, rows[i].id, "ended by the person");
		e->ended++;
	}
	return rc;
}

HANDLER(page_session_end)
{
	struct ending e = { .which = http_pair(&request->form, "session", NULL) };
	struct session *session;
	bool is_many;
	int rc = session_find(op, request, &session);

	if (rc)
		return rc;
	if (!session) {
		flow_start(op, reply, "/account", NULL, false);
		return 0;
	}
	if (!e.which)
		return op_fail(op, ERR_INVALID, "the form does not say which session to end");
	e.session = session;
	rc = db_run(op, end_body, &e);
	if (rc)
		return rc;
	is_many = strcmp(e.which, "others") == 0;
	return show_account(op, request, reply, session, page_word(op, e.ended == 0 ? WEB_account_ended_none :
	    is_many ? WEB_account_ended_many : WEB_account_ended_one));
}
