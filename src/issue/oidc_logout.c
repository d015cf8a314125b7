/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * RP-Initiated Logout 1.0.  A valid id_token_hint of the person who is signed in ends the session at once and may lead back to the
 * application; anything less asks first and leads nowhere.
 */
#include "oidc_int.h"

#include <string.h>

#include "login/page.h"
#include "login/session.h"

#define STATE_MAX_BYTES 2048

struct logout {
	const struct http_pairs *given;
	const struct catalog_app *app;  /* NULL when unknown */
	const char *sub;                /* of a valid hint, NULL otherwise */
	const char *redirect_uri, *state;
};

/* The hint; one that is modified, of another issuer or no ID token counts as none (RP-Initiated Logout 2, 4). */
static void
read_hint(struct op *op, struct logout *l)
{
	const char *hint = param(l->given, "id_token_hint");
	json_t *claims;

	if (!hint)
		return;
	if (token_verify_hint(op, hint, &claims)) {
		op_forgive(op);
		return;
	}
	l->app = catalog_app(catalog_get(op), json_get_text(claims, "aud"));
	l->sub = l->app ? json_get_text(claims, "sub") : NULL;
}

static int
read_logout(struct op *op, struct logout *l)
{
	const char *client_id = param(l->given, "client_id"), *uri = param(l->given, "post_logout_redirect_uri");
	const char *state = param(l->given, "state");
	int rc = param_check(op, l->given);

	if (rc)
		return rc;
	read_hint(op, l);
	/* RP-Initiated Logout 2: client_id must be the hint's */
	if (client_id && l->app && strcmp(l->app->body->name, client_id) != 0)
		return op_fail(op, ERR_INVALID, "client_id is not that of the id_token_hint");
	if (client_id && !l->app)
		l->app = catalog_app(catalog_get(op), client_id);
	if (state && strlen(state) > STATE_MAX_BYTES)
		return op_fail(op, ERR_INVALID, "parameter state is longer than 2048 bytes");
	/* RP-Initiated Logout 3: letter by letter; never elsewhere (RFC 9700 4.11: open redirector) */
	if (uri && l->app && !redirect_is_registered(&l->app->body->post_logout_uris, uri))
		return op_fail(op, ERR_REDIRECT, "the post_logout_redirect_uri is not registered for application %s", l->app->body->name);
	l->redirect_uri = uri && l->sub ? uri : NULL;
	l->state = state;
	return 0;
}

static int
end_body(struct op *op, void *arg)
{
	return session_end(op, arg, "signed out");
}

static int
end_session(struct op *op, struct reply *reply, const struct session *session)
{
	int rc = session ? db_run(op, end_body, op_strdup(op, session->id)) : 0;

	if (!rc)
		session_clear_cookie(reply);
	return rc;
}

static int
say_goodbye(struct op *op, const struct request *request, struct reply *reply, const struct logout *l)
{
	if (l->redirect_uri)
		reply_redirect(reply, redirect_build(op, l->redirect_uri, "state", l->state, NULL));
	else
		page_signed_out(op, request, reply);
	return 0;
}

/* The form of our own confirmation page came back; form_check keeps other sites from sending it. */
static int
confirmed(struct op *op, const struct request *request, struct reply *reply)
{
	struct session *session;
	int rc = form_check(op, request);

	if (!rc)
		rc = session_find(op, request, &session);
	if (!rc)
		rc = end_session(op, reply, session);
	if (!rc)
		page_signed_out(op, request, reply);
	return rc;
}

/* The same request as GET. */
static char *
as_get(struct op *op, const struct http_pairs *given)
{
	static const char *const names[] = { "id_token_hint", "client_id", "post_logout_redirect_uri", "state" };
	struct buf buf = buf_in(op->mem);

	buf_add(&buf, "/oauth2/logout");
	for (size_t i = 0, n = 0; i < countof(names); i++)
		if (param(given, names[i]))
			param_add(&buf, n++ ? '&' : '?', names[i], param(given, names[i]));
	return buf.text;
}

HANDLER(oidc_logout)
{
	struct logout l = { .given = request->method == HTTP_POST ? &request->form : &request->query };
	struct session *session;
	int rc;

	/* RFC 9110 9.2.1 */
	if (request->method == HTTP_HEAD)
		return op_fail(op, ERR_METHOD, "this path has no such method");
	if (request->method == HTTP_POST && param(&request->form, "confirm"))
		return confirmed(op, request, reply);
	rc = read_logout(op, &l);
	if (!rc)
		rc = session_find(op, request, &session);
	if (rc)
		return rc;
	/* a browser withholds our SameSite=Lax cookie from another site's POST, but not from the GET that follows a redirect */
	if (!session && request->method == HTTP_POST) {
		reply_redirect(reply, as_get(op, l.given));
		return 0;
	}
	if (!session && !l.sub) {
		page_signed_out(op, request, reply);
		return 0;
	}
	/* RP-Initiated Logout 2, 6: without the person's own ID token another site could sign people out */
	if (session && (!l.sub || strcmp(l.sub, session->user_id) != 0)) {
		page_logout_confirm(op, request, reply, l.app, NULL, 0);
		return 0;
	}
	rc = end_session(op, reply, session);
	return rc ? rc : say_goodbye(op, request, reply, &l);
}
