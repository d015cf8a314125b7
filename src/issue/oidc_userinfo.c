/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Claims of the person whose access token it is (OpenID Connect Core 5.3), by the rules of bearer tokens (RFC 6750). */
#include "oidc_int.h"

#include <string.h>
#include <strings.h>

/* RFC 6750 2: in the header or in the form, not in both, and never in the query, which ends up in logs. */
static int
take_token(struct op *op, const struct request *request, const char **ret)
{
	size_t count;
	const char *header = http_header(request, "Authorization", &count);
	const char *in_form = request->method == HTTP_POST ? param(&request->form, "access_token") : NULL;

	if (http_pair(&request->query, "access_token", NULL))
		return op_fail(op, ERR_INVALID, "an access token in the query is refused");
	if (count > 1 || (header && in_form) || param_is_repeated(&request->form, "access_token"))
		return op_fail(op, ERR_INVALID, "more than one access token");
	if (header && !strncasecmp(header, "Bearer ", strlen("Bearer "))) {
		*ret = header + strlen("Bearer ");
		*ret += strspn(*ret, " ");
		return 0;
	}
	*ret = in_form;
	return in_form ? 0 : op_fail(op, ERR_UNAUTHENTICATED, "there is no access token");
}

struct userinfo {
	struct access access;
	struct authorization *a;
	struct subject *subject;
	bool is_alive;
};

static int
read_person(struct op *op, void *arg)
{
	struct userinfo *u = arg;
	int rc = token_is_alive(op, &u->access, &u->is_alive, &u->a);

	if (rc || !u->is_alive)
		return rc;
	return subject_read(op, u->access.sub, &u->subject);
}

static int
check_token(struct op *op, const char *token, struct userinfo *u, const struct catalog_app **ret_app)
{
	int rc = token_verify_access(op, token, &u->access);

	if (rc)
		return rc;
	/* a service's token speaks of no person */
	if (!u->access.authorization_id)
		return op_fail(op, ERR_INVALID_TOKEN, "the token is not a person's");
	*ret_app = catalog_app(catalog_get(op), u->access.client_id);
	if (!*ret_app || !(*ret_app)->body->enabled)
		return op_fail(op, ERR_INVALID_TOKEN, "the application of the token is not enabled");
	if (!scope_has(u->access.scope, "openid"))
		return op_fail(op, ERR_INSUFFICIENT_SCOPE, "the token lacks scope openid");
	rc = db_read(op, read_person, u);
	if (!rc && !u->is_alive)
		return op_fail(op, ERR_INVALID_TOKEN, "the token was revoked, or its session or person is gone");
	return rc;
}

HANDLER(oidc_userinfo)
{
	struct userinfo u = { 0 };
	const struct catalog_app *app = NULL;
	const char *token;
	json_t *claims;
	int rc = take_token(op, request, &token);

	/* RFC 6750 3.1 */
	if (rc == ERR_INVALID)
		reply_header(reply, "WWW-Authenticate", "Bearer realm=\"keyward\", error=\"invalid_request\"");
	if (!rc)
		rc = check_token(op, token, &u, &app);
	if (rc)
		return rc == ERR_UNAUTHENTICATED ? rc : client_refused(op, app, rc);
	claims = json_own(op, json_object());
	json_object_set_new(claims, "sub", json_string(u.access.sub));
	claims_add_scope(op, claims, u.subject, u.access.scope);
	claims_add_asked(op, claims, u.subject, app, u.a->claims, "userinfo");
	return client_reply(op, reply, claims);
}
