/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The sign-in, from the form to the redirect.  Read page_login_post from top to bottom: what was entered is checked, a try is
 * counted, the person is found and his password checked (method_ldap.c), then one transaction brings the account up to date and
 * makes the session.
 */
#include "login/flow.h"

#include <string.h>

#include "audit/audit.h"
#include "base/config.h"
#include "base/metric.h"
#include "login/page.h"
#include "login/throttle.h"
#include "store/restore.h"
#include "method_int.h"
#include "page_int.h"

#define LOGIN_MAX_BYTES 256
#define PASSWORD_MAX_BYTES 1024
#define THEN_MAX_BYTES 12000

struct attempt {
	const char *login, *password, *then;
	enum web_word login_error, password_error;      /* 0: none (the first word is no error) */
	struct method_result method;
	const struct session *old_session;      /* the browser's session until now; ends */
	const char *cookie;             /* out */
	bool is_refused;                /* out: the account may not be used, seen in the transaction */
	bool is_untold;                 /* out: no directory was given the password, or it answered that it cannot tell */
	const char *user_id;            /* out */
};

/* ---- where it leads ---- */

bool
flow_is_then(const char *then)
{
	const char *c;

	if (strcmp(then, "/account") == 0)
		return true;
	if (!text_starts_with(then, "/oauth2/authorize?") || strlen(then) > THEN_MAX_BYTES)
		return false;
	for (c = then; *c; c++)
		if (*c <= 0x20 || *c >= 0x7f || *c == '\\')
			return false;
	return true;
}

static const char *
then_of(const char *given)
{
	return given && flow_is_then(given) ? given : "/account";
}

/* The application that the person is on the way to, by the client_id in then; NULL when there is none. */
static const struct catalog_app *
app_of(struct op *op, const char *then)
{
	static const char name[] = "client_id=";
	const char *at = strchr(then, '?');
	char *client_id;
	size_t n;

	while (at && !text_starts_with(at + 1, name))
		at = strchr(at + 1, '&');
	if (!at)
		return NULL;
	at += strlen(name) + 1;
	n = strcspn(at, "&");
	client_id = op_alloc(op, n + 1);
	return percent_decode(at, n, true, client_id, &n) ? catalog_app(catalog_get(op), client_id) : NULL;
}

void
flow_start(struct op *op, struct reply *reply, const char *then, const char *login_hint, bool is_again)
{
	struct buf buf = buf_in(op->mem);

	buf_add(&buf, "/login?then=");
	buf_add_percent(&buf, then_of(then));
	if (login_hint && *login_hint && strlen(login_hint) <= LOGIN_MAX_BYTES) {
		buf_add(&buf, "&hint=");
		buf_add_percent(&buf, login_hint);
	}
	if (is_again)
		buf_add(&buf, "&again=1");
	reply_redirect(reply, buf.text);
}

/* ---- the page ---- */

/*
 * Chromium checks form-action on every redirect that follows the form's post, up to the application's address.  So the page of
 * somebody on the way to an application allows the addresses registered for it, and all of https behind them; otherwise only
 * 'self'.
 */
static void
show_login(struct op *op, const struct request *request, struct reply *reply, int status, struct web_login *page)
{
	const struct catalog_app *app = app_of(op, page->then);

	page->organisation = op->config->organisation;
	page->source_url = op->config->source_url;
	page->service_desk = op->config->service_desk;
	page->idle_minutes = page_idle_minutes(op);
	page->app_title = !app ? NULL : app->body->title ? app->body->title : app->body->name;
	page->csrf = form_token(op, request, reply);
	page_send(op, reply, status, web_login(op->mem, op->caller.language, page),
	    app ? page_form_action(op, &app->body->redirect_uris) : "");
}

static bool
is_name_clean(const char *text, size_t max)
{
	size_t n = strlen(text);

	return n <= max && text_is_utf8(text, n) && !text_has_control(text);
}

HANDLER(page_login)
{
	const char *hint = http_pair(&request->query, "hint", NULL);
	bool is_again = http_pair(&request->query, "again", NULL) != NULL;
	struct web_login page = { .then = then_of(http_pair(&request->query, "then", NULL)), .is_again = is_again };
	struct session *session;
	int rc = session_find(op, request, &session);

	if (rc)
		return rc;
	if (session && !is_again) {
		reply_redirect(reply, page.then);
		return 0;
	}
	page.login = hint && is_name_clean(hint, LOGIN_MAX_BYTES) ? hint : NULL;
	show_login(op, request, reply, 200, &page);
	return 0;
}

/* ---- refusals ---- */

static int
account_body(struct op *op, void *arg)
{
	struct attempt *a = arg;
	const struct person *person = &a->method.person->change.person;
	struct user *user;
	int rc = db_user_find_external(op, person->directory_id, person->external_id, &user);

	if (!rc)
		a->user_id = user->id;
	return rc;
}

/* Whose account a refusal is about, if the name led to a person who has one. */
static const char *
account_of(struct op *op, const struct attempt *a)
{
	struct attempt found = *a;

	if (a->user_id || !a->method.person)
		return a->user_id;
	if (db_read(op, account_body, &found) < 0)
		op_forgive(op);
	return found.user_id;
}

static void
record_refusal(struct op *op, const struct attempt *a, const char *reason, bool has_login)
{
	const struct catalog_directory *directory = a->method.directory;

	metric_add_at(METRIC_logins_total, LABELS(strcmp(reason, "directory") ? "refused" : "failed", reason, "password"), 1);
	audit_refusal(op, EV_LOGIN_FAIL, account_of(op, a), FACTS(FACT("method", "password"), FACT("directory",
	    directory ? directory->body->name : NULL),
	    PERSONAL("login", has_login ? a->login : NULL), FACT("reason", reason), FACT("detail", a->method.detail)));
}

static int
refuse(struct op *op, const struct request *request, struct reply *reply, const struct attempt *a, int status, const char *problem)
{
	struct web_login page = { .then = a->then, .login = a->login, .problem = problem, .is_rejected = true };

	show_login(op, request, reply, status, &page);
	return 0;
}

/* What was entered cannot be right; no directory is asked. */
static int
refuse_input(struct op *op, const struct request *request, struct reply *reply, const struct attempt *a)
{
	struct web_login page = { .then = a->then, .problem = page_word(op, WEB_login_check) };

	page.login = is_name_clean(a->login, LOGIN_MAX_BYTES) ? a->login : NULL;
	page.login_error = a->login_error ? page_word(op, a->login_error) : NULL;
	page.password_error = a->password_error ? page_word(op, a->password_error) : NULL;
	record_refusal(op, a, "malformed", page.login && *page.login);
	show_login(op, request, reply, 400, &page);
	return 0;
}

static int
refuse_throttled(struct op *op, const struct request *request, struct reply *reply, const struct attempt *a, const char *key)
{
	int64_t wait_sec = throttle_wait_sec(op, key);
	struct buf words = buf_in(op->mem);
	const char *word = page_word(op, WEB_login_throttled), *gap = strstr(word, "{}");

	op_forgive(op);
	record_refusal(op, a, "throttled", true);
	reply_header(reply, "Retry-After", op_printf(op, "%lld", (long long)wait_sec));
	buf_add_bytes(&words, word, gap ? (size_t)(gap - word) : strlen(word));
	buf_printf(&words, "%lld%s", (long long)((wait_sec + 59) / 60), gap ? gap + 2 : "");
	return refuse(op, request, reply, a, error_row(ERR_THROTTLED)->status, words.text);
}

static int
code_of(const struct attempt *a)
{
	switch (a->method.outcome) {
	case METHOD_PASSWORD_EXPIRED:
		return ERR_PASSWORD_EXPIRED;
	case METHOD_MUST_CHANGE:
		return ERR_MUST_CHANGE;
	case METHOD_CLOSED:
		return ERR_ACCOUNT_CLOSED;
	case METHOD_ENDED:
		return ERR_ACCOUNT_ENDED;
	case METHOD_HOURS:
		return ERR_HOURS;
	case METHOD_WORKSTATION:
		return ERR_WORKSTATION;
	case METHOD_OK:
		return ERR_ACCOUNT_STATE;
	default:
		return ERR_CREDENTIAL;
	}
}

/*
 * ASVS 6.3.8: unknown, wrong, locked, disabled, ambiguous: one status, one text.  Only who gave the right password learns that it
 * has expired or must be changed, and where the directory itself says so to the right password alone, why else it refuses.  403,
 * since 401 would have to name a scheme of HTTP authentication (RFC 9110 15.5.2).
 */
static int
refuse_outcome(struct op *op, const struct request *request, struct reply *reply, const struct attempt *a, const char *reason)
{
	record_refusal(op, a, reason, true);
	return refuse(op, request, reply, a, 403, page_word(op, page_error_word(code_of(a))));
}

/* A directory could not be asked: said on the page itself, so that what was entered is not lost. */
static int
refuse_failure(struct op *op, const struct request *request, struct reply *reply, struct attempt *a, int code)
{
	int status = error_row(code)->status;

	if (status < 500)
		return code;
	a->is_untold = !a->method.is_unanswered;
	record_refusal(op, a, code == ERR_SYNC_FIRST ? "restored" : "directory", true);
	op_forgive(op);
	if (status == 503)
		reply_header(reply, "Retry-After", "5");
	return refuse(op, request, reply, a, status, page_word(op, page_error_word(code)));
}

/* ---- what was entered ---- */

/* RFC 6749 3.1 in spirit: a field given twice means two things. */
static int
read_field(struct op *op, const struct request *request, const char *name, const char **ret)
{
	size_t count = 0;
	const char *value = http_pair(&request->form, name, &count);

	if (count > 1)
		return op_fail(op, ERR_INVALID, "field %s was given twice", name);
	*ret = value ? value : "";
	return 0;
}

static int
read_attempt(struct op *op, const struct request *request, struct attempt *a)
{
	int rc = read_field(op, request, "login", &a->login);

	if (!rc)
		rc = read_field(op, request, "password", &a->password);
	if (!rc)
		rc = read_field(op, request, "then", &a->then);
	if (rc)
		return rc;
	a->then = then_of(a->then);
	if (!*a->login)
		a->login_error = WEB_login_name_missing;
	else if (!is_name_clean(a->login, LOGIN_MAX_BYTES))
		a->login_error = WEB_login_name_bad;
	/* RFC 4513 5.1.2: an empty password must never become a bind; one of blanks alone is nobody's */
	if (a->password[strspn(a->password, " ")] == '\0')
		a->password_error = WEB_login_password_missing;
	else if (!is_name_clean(a->password, PASSWORD_MAX_BYTES))
		a->password_error = WEB_login_password_bad;
	return 0;
}

/* ---- the end of a good sign-in ---- */

static int
audit_login(struct op *op, const struct attempt *a, const char *session_id)
{
	return audit_record(op, EV_LOGIN_OK, a->user_id, FACTS(FACT("method", "password"), FACT("directory",
	    a->method.directory->body->name),
	    FACT("session", session_id), PERSONAL("device", op->caller.device)));
}

static int
start_session(struct op *op, struct attempt *a)
{
	struct caller caller = op->caller;
	struct session *session;
	char *cookie;
	int rc;

	/* ASVS 7.2.4: a new id at every sign-in, and the old one is dead */
	rc = session_create(op, a->user_id, "pwd", &session, &cookie);
	if (!rc && a->old_session)
		rc = session_hand_over(op, a->old_session, session);
	if (rc)
		return rc;
	op->caller.kind = ACTOR_USER;
	op->caller.actor = a->user_id;
	op->caller.session = session->id;
	rc = audit_login(op, a, session->id);
	op->caller = caller;
	a->cookie = cookie;
	return rc;
}

/* After a restore the accounts are of the past until their directory has been synchronised once. */
static int
check_restored(struct op *op, const struct catalog_directory *directory)
{
	int64_t since_ms;
	int rc = db_sync_wait_read(op, directory->id, &since_ms);

	if (!rc && since_ms)
		rc = op_fail(op, ERR_SYNC_FIRST, "the database was restored, and the directory %s has not been synchronised since",
		    directory->body->name);
	return rc;
}

static int
finish_body(struct op *op, void *arg)
{
	struct attempt *a = arg;
	struct user_change change = a->method.person->change;   /* a copy: the body may run twice */
	struct change_source source = { .kind = "login", .id = op->request_id };
	struct user *user;
	int rc = check_restored(op, a->method.directory);

	a->cookie = NULL;
	a->is_refused = true;
	if (!rc)
		rc = users_change(op, &change, 1, &source);
	a->user_id = change.user_id;
	/* who was never an account and is disabled does not become one */
	if (rc || !change.user_id)
		return rc;
	rc = db_user_read(op, change.user_id, &user);
	if (rc || !user->is_active)
		return rc;
	a->is_refused = false;
	return start_session(op, a);
}

static int
finish(struct op *op, struct request *request, struct reply *reply, struct attempt *a)
{
	struct caller caller = op->caller;
	struct session *old;
	int rc = session_find(op, request, &old);

	op->caller = caller;
	if (rc)
		return rc;
	a->old_session = old;
	op_touch(op);
	rc = db_run(op, finish_body, a);
	if (rc == ERR_SYNC_FIRST)
		return refuse_failure(op, request, reply, a, rc);
	if (rc)
		return rc;
	if (a->is_refused)
		return refuse_outcome(op, request, reply, a, a->method.person->change.person.is_active ? "disabled_here" :
		    a->method.person->change.person.reason);
	metric_add_at(METRIC_logins_total, LABELS("ok", "none", "password"), 1);
	session_set_cookie(reply, a->cookie);
	reply_redirect(reply, a->then);
	return 0;
}

/* Between the halves of the method stands the second counter: the person's, whichever of his names was given. */
static int
verify(struct op *op, struct request *request, struct reply *reply, struct attempt *a)
{
	const char *person;
	int rc = method_ldap_find(op, a->login, &a->method);

	if (rc)
		return refuse_failure(op, request, reply, a, rc);
	person = a->method.person_key;
	if (person && throttle_take(op, person) < 0)
		return refuse_throttled(op, request, reply, a, person);
	rc = method_ldap_check(op, a->password, &a->method);
	/*
	 * ASVS 6.3.1: a password that a directory was given without an answer counts as wrong.  Where wrong passwords are answered late,
	 * or never, the right one would otherwise be found by trying, and the directory's own lockout reached.
	 */
	if (person && (rc ? !a->method.is_unanswered : a->method.outcome != METHOD_REFUSED))
		throttle_give_back(op, person);
	if (rc)
		return refuse_failure(op, request, reply, a, rc);
	if (a->method.outcome != METHOD_OK)
		return refuse_outcome(op, request, reply, a, a->method.reason);
	return finish(op, request, reply, a);
}

HANDLER(page_login_post)
{
	struct attempt a = { 0 };
	const char *name_key;
	int rc = read_attempt(op, request, &a);

	if (rc)
		return rc;
	if (a.login_error || a.password_error)
		return refuse_input(op, request, reply, &a);
	name_key = text_fold(op->mem, a.login);
	if (!name_key)
		return op_fail(op, ERR_INVALID, "the login name is no UTF-8");
	if (throttle_take(op, name_key) < 0)
		return refuse_throttled(op, request, reply, &a, name_key);
	rc = verify(op, request, reply, &a);
	/* nobody is locked out because a directory was away */
	if (a.cookie || a.is_untold)
		throttle_give_back(op, name_key);
	return rc;
}
